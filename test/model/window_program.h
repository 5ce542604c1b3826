/* SPDX-License-Identifier: MIT
 *
 * window_program: what is worth asking of a window, and what is the shortest way to break it?
 *
 * A program is a window and a list of steps with absolute times. Its seed makes it while it runs,
 * since a good adversary looks at the counter before it asks; what was asked is written down, so
 * that a program that fails can be shortened and shown. */
#ifndef WEIR_TEST_WINDOW_PROGRAM_H
#define WEIR_TEST_WINDOW_PROGRAM_H

#include "base/random.h"
#include "model/window_trial.h"

enum { WINDOW_PROGRAM_LIMITS_MAX = 6 };

struct window_program {
    uint64_t            seed;
    uint64_t            window_ns;
    uint64_t            head_top;
    struct window_step *steps;
    size_t              count;
};

/* What a run of programs did, added up. */
struct window_tally {
    uint64_t programs, steps, admissions, denials, retries;
};

/* Makes and runs the program of this seed, up to `steps` steps; stops at the first failure, which
 * is left in `failure`, with the program as far as it ran. True: nothing failed. */
bool window_program_run(struct window_program *program, uint64_t seed, size_t steps,
                        struct window_tally *tally, char *failure);

/* Drops steps as long as what is left still fails. */
void window_program_shorten(struct window_program *program, char *failure);

/* Writes the program as a scenario that test/scenario can run. */
void window_program_print(const struct window_program *program, const char *failure);

void window_program_clear(struct window_program *program);

#endif
