/* SPDX-License-Identifier: MIT
 *
 * window: a sliding window that never admits more than the limit. See window.c. */
#ifndef WEIR_LIMIT_WINDOW_H
#define WEIR_LIMIT_WINDOW_H

#include "limit/counter.h"
#include "limit/request.h"
#include "limit/window_head.h"

/* How a limit and a window are cut: the resolution of a counter. */
struct window_grid {
    uint64_t cell_ns; /* one step of time; cells * cell_ns >= window_ns */
    uint64_t quantum; /* permits counted as one */
    uint32_t cells;
    uint32_t quanta; /* most quanta that a counter can hold; quanta * quantum >= limit */
};

/* The grid that a fresh counter takes for this rule. */
struct window_grid window_grid_for(uint64_t limit, uint64_t window_ns);

/* Takes `cost` permits if at most `limit` are then live. True: taken. False: nothing changed.
 * cost >= 1, limit 0 to LIMIT_MAX. `window_ns` is the same in every call for one counter; the limit
 * may differ. */
bool window_admit(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                  uint64_t now_ns);

/* Whether `cost` would fit even if nothing had expired; from the head of a counter alone. */
static inline bool window_has_room(uint64_t head, uint64_t limit, uint64_t cost) {
    struct path_head h = path_head_read(head);
    return h.ones * grid_quantum(h.code) + h.remainder + cost <= limit;
}

/* Whether a counter may have been written by the functions below: for counters from a file, where a disk
 * or a stranger may have. What is not sound must not be given to them. */
static inline bool window_is_sound(const struct counter *c) {
    struct path_head h    = path_head_read(c->head);
    uint32_t         ones = 0;
#pragma GCC unroll 5
    for (unsigned i = 0; i < PATH_WORDS; i++) ones += (uint32_t)__builtin_popcountll(c->body[i]);
    return h.ones == ones && h.code >= 1 && h.code <= grid_code_for(LIMIT_MAX) &&
           ones <= grid_quanta(h.code) && h.remainder < grid_quantum(h.code);
}

/* The usual case in a burst, from the head of a counter and its fresh_at_ns: the newest cell is open,
 * there is room even if nothing had expired, and the cost fills no quantum. True: taken, only *head
 * has changed. False: ask window_admit(). cost <= limit. */
static inline bool window_admit_in_remainder(uint64_t *head, uint64_t fresh_at_ns, uint64_t limit,
                                             uint64_t window_ns, uint64_t cost, uint64_t now_ns) {
    struct path_head h       = path_head_read(*head);
    uint64_t         quantum = grid_quantum(h.code);
    if (h.remainder + cost >= quantum || now_ns + window_ns > fresh_at_ns) return false;
    if (h.ones * quantum + h.remainder + cost > limit || h.code > grid_code_for(limit))
        return false;
    *head += cost;
    return true;
}

/* As window_admit() and then window_look() for the same cost, in one go; allowed is whether it was
 * taken. */
void window_decide(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                   uint64_t now_ns, struct answer *answer);

/* What the counter says at `now_ns` without changing it: `remaining`, `reset_after_ns`, whether
 * `cost` would pass, and if not, when. */
struct answer window_look(const struct counter *c, uint64_t limit, uint64_t window_ns,
                          uint64_t cost, uint64_t now_ns);

/* Makes the counter one that took `spent` permits just now; spent <= limit. */
void window_spend(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t spent,
                  uint64_t now_ns);

#endif
