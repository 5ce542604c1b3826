/* SPDX-License-Identifier: MIT
 *
 * pace: how much may be out at a time? See pace.c. Plain data; one thread at a time. */
#ifndef WEIR_BASE_PACE_H
#define WEIR_BASE_PACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PACE_FIRST = 64,
    PACE_MOST  = 1024,
    PACE_NEAR_WINDOWS =
        8, /* so many must be answered near to where it was halved before it grows */
};

#define PACE_HEAL_NS                                                                               \
    UINT64_C(1000000000) /* so long after it was halved it is doubled, below PACE_FIRST */

struct pace {
    uint32_t out, window;
    uint32_t answered; /* while it was full, since it grew */
    uint32_t halved;   /* it was so large when it was halved last */
    uint64_t halved_ns;
    bool is_eager; /* until it is halved for the first time it is doubled and not grown by one */
};

void pace_begin(struct pace *p, bool is_eager);

static inline bool pace_has_room(const struct pace *p) { return p->out < p->window; }

static inline void pace_send(struct pace *p) { p->out++; }

/* One has come back of which nothing is to be learnt. */
static inline void pace_forget(struct pace *p) { p->out--; }

/* What made it small was no crowd: if it is eager it is doubled until it is halved again. */
static inline void pace_excuse(struct pace *p) { p->halved = 0; }

/* One that went out at `sent_ns` has come back, or is given up. */
void pace_end(struct pace *p, bool is_in_time, uint64_t sent_ns, uint64_t now_ns);

#endif
