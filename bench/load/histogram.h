/* SPDX-License-Identifier: MIT
 *
 * histogram: how long did the slowest one in a hundred take?
 *
 * Log-linear, as HdrHistogram: below 128 each nanosecond has its own count; above, each power of two is
 * cut into 128 equal parts, so that any figure read back is at most 0.8 % too high and never too low.
 * Written here because Debian's packages have no such library in C, and it is fifty lines. */
#ifndef WEIR_BENCH_HISTOGRAM_H
#define WEIR_BENCH_HISTOGRAM_H

#include <stdint.h>

enum {
    HISTOGRAM_PART_BITS = 7,
    HISTOGRAM_PARTS     = 1 << HISTOGRAM_PART_BITS,
    HISTOGRAM_SLOTS     = (64 - HISTOGRAM_PART_BITS + 1) * HISTOGRAM_PARTS,
};

struct histogram {
    uint64_t count, sum, max;
    uint64_t slots[HISTOGRAM_SLOTS];
};

void histogram_add(struct histogram *h, uint64_t value);

/* Adds all that `other` holds. */
void histogram_join(struct histogram *h, const struct histogram *other);

/* The value that `share` (0 to 1) of the values do not exceed; 0 if there are none. */
uint64_t histogram_at(const struct histogram *h, double share);

double histogram_mean(const struct histogram *h);

#endif
