/* SPDX-License-Identifier: MIT
 *
 * random: numbers from a seed.
 *
 * For tests, simulations and workloads: the same seed gives the same numbers everywhere, and
 * never anything that must be secret. SplitMix64 (Steele, Lea, Flood, "Fast splittable
 * pseudorandom number generators", OOPSLA 2014): one word of state, passes BigCrush, and any seed
 * is a good one. */
#ifndef WEIR_BASE_RANDOM_H
#define WEIR_BASE_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *r) {
    r->state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t x = r->state;
    x          = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x          = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* A number in [0, bound); bound > 0. By multiplication (Lemire 2019), without the rejection
 * step: the bias is below bound / 2^64. */
static inline uint64_t random_below(struct random *r, uint64_t bound) {
    return (uint64_t)((__extension__((unsigned __int128)random_next(r) * bound)) >> 64);
}

/* A number in [low, high]. */
static inline uint64_t random_between(struct random *r, uint64_t low, uint64_t high) {
    return low + random_below(r, high - low + 1);
}

/* A number in [0, 1). */
static inline double random_unit(struct random *r) {
    return (double)(random_next(r) >> 11) * 0x1.0p-53;
}

/* A generator of its own for one consumer, so that a new consumer does not shift the others. */
static inline struct random random_split(struct random *r) {
    return (struct random){.state = random_next(r)};
}

#endif
