/* SPDX-License-Identifier: MIT
 *
 * draw: random numbers of the kinds that find something. */
#ifndef WEIR_TEST_DRAW_H
#define WEIR_TEST_DRAW_H

#include "base/random.h"
#include "limit/request.h"

/* A number in [1, high], each power of two as likely as the next; high > 0. */
static inline uint64_t draw_log_uniform(struct random *r, uint64_t high) {
    uint64_t bits  = 64 - (uint64_t)__builtin_clzll(high);
    uint64_t top   = random_below(r, bits);
    uint64_t value = (UINT64_C(1) << top) + random_below(r, UINT64_C(1) << top);
    return value > high ? high : value;
}

/* `value`, or up to `distance` beside it; not below 0. */
static inline uint64_t draw_beside(struct random *r, uint64_t value, uint64_t distance) {
    uint64_t moved = value + random_below(r, 2 * distance + 1);
    return moved < distance ? 0 : moved - distance;
}

/* The time to the next event of a Poisson stream with mean 1. */
static inline double draw_exponential(struct random *r) {
    return -__builtin_log(1.0 - random_unit(r));
}

/* 1 to LIMIT_MAX, with a liking for small ones, powers of two and multiples of 160. */
uint64_t draw_limit(struct random *r);

/* 1 to LIMIT_WINDOW_MAX. */
uint64_t draw_window_ns(struct random *r);

/* When a program begins: 0 to LIMIT_NOW_MAX, with a liking for both ends. */
uint64_t draw_start_ns(struct random *r, uint64_t window_ns);

#endif
