/* SPDX-License-Identifier: MIT
 *
 * zipf: which user comes next, when a few come often and most come seldom?
 *
 * Ranks 1 to n with probability proportional to 1 / rank^exponent, by rejection-inversion
 * (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
 * distributions", 1996): no table, so that ten million users cost nothing, and about 60 ns a number. */
#ifndef WEIR_CMD_ZIPF_H
#define WEIR_CMD_ZIPF_H

#include <math.h>
#include <stdint.h>

#include "base/random.h"

struct zipf {
    uint64_t count;
    double   exponent; /* > 0 */
    double   at_first, at_last, shortcut;
};

/* (e^x - 1) / x and log(1 + x) / x, which are 1 at 0. */
static inline double zipf_expm1_over(double x) { return fabs(x) > 1e-8 ? expm1(x) / x : 1 + x / 2; }
static inline double zipf_log1p_over(double x) { return fabs(x) > 1e-8 ? log1p(x) / x : 1 - x / 2; }

static inline double zipf_density(const struct zipf *z, double x) {
    return exp(-z->exponent * log(x));
}
static inline double zipf_integral(const struct zipf *z, double x) {
    double log_x = log(x);
    return zipf_expm1_over((1 - z->exponent) * log_x) * log_x;
}
static inline double zipf_inverse(const struct zipf *z, double x) {
    double t = fmax(x * (1 - z->exponent), -1);
    return exp(zipf_log1p_over(t) * x);
}

static inline struct zipf zipf_of(uint64_t count, double exponent) {
    struct zipf z = {.count = count, .exponent = exponent};
    z.at_first    = zipf_integral(&z, 1.5) - 1;
    z.at_last     = zipf_integral(&z, (double)count + 0.5);
    z.shortcut    = 2 - zipf_inverse(&z, zipf_integral(&z, 2.5) - zipf_density(&z, 2));
    return z;
}

/* A rank in [0, count), 0 being the most frequent. */
static inline uint64_t zipf_next(const struct zipf *z, struct random *r) {
    for (;;) {
        double   u    = z->at_last + random_unit(r) * (z->at_first - z->at_last);
        double   x    = zipf_inverse(z, u);
        uint64_t rank = x < 1 ? 1 : (uint64_t)(x + 0.5);
        if (rank < 1) rank = 1;
        if (rank > z->count) rank = z->count;
        double k = (double)rank;
        if (k - x <= z->shortcut) return rank - 1;
        if (u >= zipf_integral(z, k + 0.5) - zipf_density(z, k)) return rank - 1;
    }
}

#endif
