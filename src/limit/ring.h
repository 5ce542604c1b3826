/* SPDX-License-Identifier: MIT
 *
 * ring: one count for many users with many limits. See ring.c. */
#ifndef WEIR_LIMIT_RING_H
#define WEIR_LIMIT_RING_H

#include "limit/request.h"

enum {
    RING_CELLS     = 32,
    RING_CLASS_MIN = 10, /* windows up to 2^10 ns, about a microsecond */
    RING_CLASS_MAX = 59, /* windows up to 2^59 ns, above LIMIT_WINDOW_MAX */
    RING_CLASSES   = RING_CLASS_MAX - RING_CLASS_MIN + 1,
    RING_SLOTS     = RING_CELLS + 1,
};

struct ring {
    uint64_t newest_cell;
    uint64_t counts[RING_SLOTS]; /* permits by cell, at cell % RING_SLOTS */
};

/* The class whose rings serve `window_ns`: their window is 2^class >= window_ns. */
unsigned ring_class_for(uint64_t window_ns);

/* Permits of all users that may still be live in a window of the class. */
uint64_t ring_live(const struct ring *r, unsigned ring_class, uint64_t now_ns);

/* As window_admit() and window_look(), but the limit is compared with what all users took. */
bool          ring_admit(struct ring *r, unsigned ring_class, uint64_t limit, uint64_t cost,
                         uint64_t now_ns);
struct answer ring_look(const struct ring *r, unsigned ring_class, uint64_t limit, uint64_t cost,
                        uint64_t now_ns);

#endif
