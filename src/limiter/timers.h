/* SPDX-License-Identifier: MIT
 *
 * timers: whose turn is next? A heap of numbered things, each there at most once. See timers.c. */
#ifndef WEIR_LIMITER_TIMERS_H
#define WEIR_LIMITER_TIMERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    uint64_t due_ns;
    uint32_t number;
};

struct timers {
    struct timer *heap;
    uint32_t     *place; /* of each number in the heap, counted from 1; 0: it is not there */
    uint32_t      count;
    uint32_t      numbers; /* they are 0 to this - 1 */
};

/* So many bytes of zeros, aligned to 8, are what timers_init() takes over. */
size_t timers_bytes(uint32_t numbers);
void   timers_init(struct timers *t, void *memory, uint32_t numbers);

/* Sets the time of `number` to due_ns if that is earlier than what it has, or if it has none. True: it is
 * the first of all now. */
bool timers_hasten(struct timers *t, uint32_t number, uint64_t due_ns);

/* When the first is due; UINT64_MAX: there is none. */
uint64_t timers_next_ns(const struct timers *t);

/* Takes the first out if it is due; false: none is. */
bool timers_take(struct timers *t, uint64_t now_ns, uint32_t *number);

#endif
