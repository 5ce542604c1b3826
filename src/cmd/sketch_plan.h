/* SPDX-License-Identifier: MIT
 *
 * sketch_plan: how often will a sketch of so many bytes deny a user who is within the limit? */
#ifndef WEIR_CMD_SKETCH_PLAN_H
#define WEIR_CMD_SKETCH_PLAN_H

#include <stddef.h>
#include <stdint.h>

/* `users` who all ask alike: at random times, `mean` permits each in a window on average. */
struct sketch_plan {
    size_t   bytes;
    uint64_t users; /* > 0 */
    double   mean;  /* >= 0 */
    uint64_t limit; /* 1 to SKETCH_LIMIT_MAX */
};

/* The probability that a request for one permit is denied although its user took less than the limit in
 * the last window and cell: not above this. 1 if the bytes are too few for a sketch. Takes some
 * milliseconds; the larger the limit, the more. */
double sketch_plan_false_denial(const struct sketch_plan *plan);

#endif
