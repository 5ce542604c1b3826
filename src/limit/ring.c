/* SPDX-License-Identifier: MIT
 *
 * ring: how much did all the users together take who share this count?
 *
 * For users whom a full table has no room for. The count of all is at least the count of each, so
 * comparing it with one user's limit is strict for that user, whatever the limits of the others;
 * it may deny too much. For the same reason windows may share a ring whose window is longer than
 * theirs: the next power of two, so that a class of rings serves any window.
 *
 * 32 cells of a window and one more: a permit leaves when its whole cell is a window old. Coarser
 * than the lattice path, but it takes any limit without being redrawn, which a path cannot: a path
 * drawn for a small limit would forget what belongs to a user with a larger one. */
#include "limit/ring.h"

#include <stdatomic.h>

#include "base/contract.h"

enum { CELL_BITS = 5 };

_Static_assert(RING_CELLS == 1 << CELL_BITS, "cells divide the window");

static inline uint64_t ring_cell_of(unsigned ring_class, uint64_t now_ns) {
    return now_ns >> (ring_class - CELL_BITS);
}

/* The cell to count in: the present one, or a newer one that has been seen. */
static inline uint64_t ring_cell_at(const struct ring *r, unsigned ring_class, uint64_t now_ns) {
    uint64_t cell = ring_cell_of(ring_class, now_ns);
    return cell > r->newest_cell ? cell : r->newest_cell;
}

/* The oldest cell of which something may be live. */
static inline uint64_t ring_oldest(uint64_t cell) {
    return cell > RING_CELLS ? cell - RING_CELLS : 0;
}

unsigned ring_class_for(uint64_t window_ns) {
    REQUIRE(window_ns > 0);
    REQUIRE(window_ns <= LIMIT_WINDOW_MAX);
    unsigned ring_class = window_ns <= 1 ? 0 : 64 - (unsigned)__builtin_clzll(window_ns - 1);
    return ring_class < RING_CLASS_MIN ? RING_CLASS_MIN : ring_class;
}

uint64_t ring_live(const struct ring *r, unsigned ring_class, uint64_t now_ns) {
    uint64_t oldest = ring_oldest(ring_cell_at(r, ring_class, now_ns));
    uint64_t live   = 0;
    for (uint64_t i = 0; i < RING_SLOTS && oldest + i <= r->newest_cell; i++)
        live += r->counts[(oldest + i) % RING_SLOTS];
    return live;
}

/* Makes `cell` the newest. A process that is killed on the way leaves more in the ring than was taken,
 * and never less: a cell is the newest before its slot is emptied, so that what was in there is missed by
 * nobody who still counts it. */
static void ring_advance(struct ring *r, uint64_t cell) {
    if (cell <= r->newest_cell) return;
    uint64_t from = r->newest_cell + 1;
    if (cell - r->newest_cell > RING_SLOTS) from = cell - RING_SLOTS + 1;
    for (uint64_t i = from; i <= cell; i++) {
        r->newest_cell = i;
        atomic_signal_fence(memory_order_seq_cst); /* the compiler keeps this order, too */
        r->counts[i % RING_SLOTS] = 0;
        atomic_signal_fence(memory_order_seq_cst);
    }
}

bool ring_admit(struct ring *r, unsigned ring_class, uint64_t limit, uint64_t cost,
                uint64_t now_ns) {
    if (cost > limit || ring_live(r, ring_class, now_ns) > limit - cost) return false;

    uint64_t cell = ring_cell_at(r, ring_class, now_ns);
    ring_advance(r, cell);
    r->counts[cell % RING_SLOTS] += cost;
    return true;
}

struct answer ring_look(const struct ring *r, unsigned ring_class, uint64_t limit, uint64_t cost,
                        uint64_t now_ns) {
    uint64_t live    = ring_live(r, ring_class, now_ns);
    uint64_t cell_ns = UINT64_C(1) << (ring_class - CELL_BITS);

    struct answer answer = {.remaining = live < limit ? limit - live : 0};
    answer.allowed       = cost <= answer.remaining;
    if (live > 0) answer.reset_after_ns = (r->newest_cell + RING_SLOTS) * cell_ns - now_ns;
    if (answer.allowed) return answer;
    if (cost > limit) {
        answer.retry_after_ns = LIMIT_NEVER;
        return answer;
    }
    uint64_t oldest = ring_oldest(ring_cell_at(r, ring_class, now_ns));
    for (unsigned i = 0; i < RING_SLOTS && live > limit - cost; i++)
        live -= r->counts[oldest++ % RING_SLOTS]; /* no further, whatever a disk has made of it */
    answer.retry_after_ns = (oldest + RING_CELLS) * cell_ns - now_ns;
    return answer;
}
