/* SPDX-License-Identifier: MIT
 *
 * range: the smaller and the larger of two numbers, by how much one is above the other, and what is kept
 * between them. */
#ifndef WEIR_BASE_RANGE_H
#define WEIR_BASE_RANGE_H

#include <stdint.h>

static inline uint64_t smaller(uint64_t a, uint64_t b) { return a < b ? a : b; }
static inline uint64_t larger(uint64_t a, uint64_t b) { return a > b ? a : b; }

/* By how much a is above b; 0 if it is not. */
static inline uint64_t above(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* x, or the bound that it is beyond; low is at most high. */
static inline uint64_t between(uint64_t low, uint64_t x, uint64_t high) {
    return smaller(larger(low, x), high);
}

#endif
