/* SPDX-License-Identifier: MIT
 *
 * pace: how many statements may be out at a time?
 *
 * Nodes that are asked for more than they can do answer everything too late, and what is not known to be
 * written must be taken back, which is one more write: without a bound a fleet that asks too much decides
 * nothing at all. So there is a window as TCP has one (Jacobson, "Congestion avoidance and control", SIGCOMM
 * 1988): it grows by one for each window that was full and answered, and is halved for answers that did not
 * come, once for all that were out together. */
#ifndef WEIR_STORE_CASSANDRA_PACE_H
#define WEIR_STORE_CASSANDRA_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/range.h"

enum { PACE_LEAST = 4, PACE_FIRST = 64, PACE_MOST = 1024 };

struct pace {
    uint32_t out, window, answered; /* answered: of the window, while it was full */
    uint64_t halved_ns;
};

static inline void pace_begin(struct pace *p) { *p = (struct pace){.window = PACE_FIRST}; }

static inline bool pace_has_room(const struct pace *p) { return p->out < p->window; }

static inline void pace_send(struct pace *p) { p->out++; }

/* Of one that went out at `sent_ns`. */
static inline void pace_end(struct pace *p, bool is_answered, uint64_t sent_ns, uint64_t now_ns) {
    bool was_full = p->out >= p->window;
    p->out--;
    if (!is_answered) {
        if (sent_ns < p->halved_ns) return;
        p->window    = (uint32_t)larger(PACE_LEAST, p->window / 2);
        p->halved_ns = now_ns;
        p->answered  = 0;
    } else if (was_full && ++p->answered >= p->window) {
        p->window   = (uint32_t)smaller(PACE_MOST, p->window + 1);
        p->answered = 0;
    }
}

#endif
