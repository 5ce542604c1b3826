/* SPDX-License-Identifier: MIT
 *
 * counter: what one user has used, in 56 bytes of plain words.
 *
 * One format for all algorithms, so that a table can hold, lock, copy, move and forget counters
 * without knowing how they count:
 *
 *     fresh_at_ns  from this instant on the counter equals a new one and may be forgotten. A new
 *                  counter has 0. Never decreases, so that forgetting is one compare.
 *     head         bits 0..52 belong to the algorithm. Bits 53..63 belong to whoever stores the
 *                  counter (the table's lock bit and version): algorithms keep them as they are.
 *     body         the algorithm's.
 *
 * Every algorithm judges expiry by `now` as a lower bound of the time and stamps what it admits with
 * an upper bound, so `now` may lag behind by as much as it likes. */
#ifndef WEIR_LIMIT_COUNTER_H
#define WEIR_LIMIT_COUNTER_H

#include <stdint.h>

enum {
    COUNTER_HEAD_BITS  = 53,
    COUNTER_BODY_WORDS = 5,
};

#define COUNTER_HEAD_MASK ((UINT64_C(1) << COUNTER_HEAD_BITS) - 1)

struct counter {
    uint64_t fresh_at_ns;
    uint64_t head;
    uint64_t body[COUNTER_BODY_WORDS];
};

#endif
