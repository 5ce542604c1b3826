/* SPDX-License-Identifier: MIT
 *
 * window_head: the grid of a window, and the head of its counter. Inline, because the usual admission
 * needs no more than this. The meaning of it all is told in window.c. */
#ifndef WEIR_LIMIT_WINDOW_HEAD_H
#define WEIR_LIMIT_WINDOW_HEAD_H

#include <stdbool.h>

#include "limit/counter.h"

enum {
    PATH_WORDS     = COUNTER_BODY_WORDS,
    PATH_BITS      = 64 * PATH_WORDS,
    REMAINDER_BITS = 33,
    ONES_BITS      = 9,

    FINE_QUANTA  = PATH_BITS / 2, /* limits up to here count every permit */
    FINE_STEP    = 32,            /* of such limits, so that few changes of a limit redraw */
    FINE_CODES   = FINE_QUANTA / FINE_STEP,
    EXACT_QUANTA = 64, /* quanta below are any number, above have 6 significant bits */
    MANTISSAS    = EXACT_QUANTA / 2,
    FIRST_CODE   = FINE_CODES + 1, /* of quantum 2 */
};

_Static_assert(REMAINDER_BITS + ONES_BITS + 11 == COUNTER_HEAD_BITS, "the head is full");

/* The algorithm's part of a counter's head, taken apart. */
struct path_head {
    uint64_t remainder;
    uint32_t ones;
    uint32_t code;
};

/* Cuts the limit. The path has room for 320 steps; limits up to 160 count single permits and leave
 * the rest to time (160 to 288 cells), larger ones take 160 each way. A quantum above 63 is rounded
 * up to six significant bits, so that a code fits in 11 bits and near limits share one; it stays
 * below limit / 160 * 33/32, that is 0.65 % of the limit. Smaller codes are finer in both ways. */
static inline uint32_t grid_code_for(uint64_t limit) {
    if (limit <= FINE_QUANTA)
        return limit <= FINE_STEP ? 1 : ((uint32_t)limit + FINE_STEP - 1) / FINE_STEP;

    uint64_t quantum = (limit + FINE_QUANTA - 1) / FINE_QUANTA;
    if (quantum < EXACT_QUANTA) return FIRST_CODE + (uint32_t)quantum - 2;

    uint32_t shift    = 63 - (uint32_t)__builtin_clzll(quantum) - 5;
    uint32_t mantissa = (uint32_t)((quantum + (UINT64_C(1) << shift) - 1) >> shift);
    return FIRST_CODE + EXACT_QUANTA - 2 + (shift - 1) * MANTISSAS + (mantissa - MANTISSAS);
}

static inline uint64_t grid_quantum(uint32_t code) {
    if (code < FIRST_CODE) return 1;
    uint32_t step = code - FIRST_CODE;
    if (step < EXACT_QUANTA - 2) return step + 2;
    step -= EXACT_QUANTA - 2;
    return (uint64_t)(MANTISSAS + step % MANTISSAS) << (step / MANTISSAS + 1);
}

static inline uint32_t grid_quanta(uint32_t code) {
    return code < FIRST_CODE ? code * FINE_STEP : FINE_QUANTA;
}

static inline struct path_head path_head_read(uint64_t head) {
    return (struct path_head){
        .remainder = head & ((UINT64_C(1) << REMAINDER_BITS) - 1),
        .ones      = (uint32_t)(head >> REMAINDER_BITS) & ((1u << ONES_BITS) - 1),
        .code      = (uint32_t)((head & COUNTER_HEAD_MASK) >> (REMAINDER_BITS + ONES_BITS)),
    };
}

static inline uint64_t path_head_write(uint64_t head, struct path_head h) {
    return (head & ~COUNTER_HEAD_MASK) | h.remainder | (uint64_t)h.ones << REMAINDER_BITS |
           (uint64_t)h.code << (REMAINDER_BITS + ONES_BITS);
}

#endif
