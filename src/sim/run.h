/* SPDX-License-Identifier: MIT
 *
 * run: one scenario with one seed, from begin to verdict. */
#ifndef WEIR_SIM_RUN_H
#define WEIR_SIM_RUN_H

#include <stdint.h>
#include <stdio.h>

#include "sim/scenario.h"
#include "sim/verdict.h"

struct run_outcome {
    struct verdict verdict;
    uint64_t       trace_hash; /* the same for the same seed, scenario and code */
    uint64_t       events, trips, beats, callers;
    uint64_t       updates;                  /* conditional ones, of trips */
    uint64_t       wait_mean_us, wait_99_us; /* of those admitted: mean, and 99 of 100 at most */
    uint64_t       hold_us, loss_ppm;        /* of the terms, see lease/terms.h */
};

/* Runs it. The trace, if `trace` is not NULL, has a line for each thing that happened. False: no
 * memory. */
bool run_scenario(const struct scenario *s, uint64_t seed, FILE *trace,
                  struct run_outcome *outcome);

#endif
