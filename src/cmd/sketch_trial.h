/* SPDX-License-Identifier: MIT
 *
 * sketch_trial: how often did a sketch deny a user who was within the limit? Tried, on the real one. */
#ifndef WEIR_CMD_SKETCH_TRIAL_H
#define WEIR_CMD_SKETCH_TRIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SKETCH_TRIAL_WINDOWS_MAX = 32 };

/* Users who ask at random times for one permit, `mean` times each in a window on average. */
struct sketch_trial {
    size_t   bytes;
    uint64_t users;
    double   mean;
    uint64_t limit;   /* 1 to SKETCH_LIMIT_MAX */
    double   zipf;    /* the exponent of how much more often some ask than others; 0: all alike */
    unsigned windows; /* judged, after two that fill the sketch; 1 to SKETCH_TRIAL_WINDOWS_MAX */
    uint64_t seed;
};

/* Exact counts of each user stand beside the sketch; they hold a permit as long as it does. */
struct sketch_tried {
    uint64_t asked;
    uint64_t allowed;
    uint64_t allowed_exactly; /* that an exact count, used in place of the sketch, allows */
    uint64_t denied_falsely;  /* although the user had taken less than the limit */
    uint64_t asked_within;  /* by users who had asked at most `limit` times, with denied requests */
    uint64_t denied_within; /* of these */
};

/* False: no memory for it; it takes 24 bytes a user beside the sketch. About 0.2 us a request. */
bool sketch_trial_run(const struct sketch_trial *trial, struct sketch_tried *tried);

#endif
