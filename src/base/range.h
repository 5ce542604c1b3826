/* SPDX-License-Identifier: MIT
 *
 * range: the smaller and the larger of two numbers, and what is kept between them. */
#ifndef WEIR_BASE_RANGE_H
#define WEIR_BASE_RANGE_H

#include <stdint.h>

static inline uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* x, or the bound that it is beyond; low is at most high. */
static inline uint64_t between(uint64_t low, uint64_t x, uint64_t high) {
    return smaller(larger(low, x), high);
}

#endif
