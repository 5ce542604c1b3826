/* SPDX-License-Identifier: MIT
 *
 * program: what was asked, so that it can be asked again?
 *
 * A program is a window and a list of steps with absolute times: dropping some leaves the others what
 * they were. That is what makes a program that fails easy to shorten. */
#ifndef WEIR_TEST_PROGRAM_H
#define WEIR_TEST_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROGRAM_FAILURE_BYTES = 400 };

struct program_step {
    uint64_t now_ns;
    uint64_t limit;
    uint64_t cost;
};

struct program {
    uint64_t             seed;
    uint64_t             window_ns;
    uint64_t             burst;    /* of GCRA, else 0 */
    uint64_t             head_top; /* what the storer keeps in a counter's head */
    struct program_step *steps;
    size_t               count;
};

/* What a run of programs did, added up. */
struct program_tally {
    uint64_t programs, steps, admissions, denials, retries;
};

/* Runs a program from its beginning. True if something is broken, which is then in `failure`. */
typedef bool program_fails_fn(const struct program *program, char *failure);

/* Room for so many steps, and none yet. */
void program_begin(struct program *program, uint64_t seed, size_t steps_max);
void program_clear(struct program *program);

/* Drops steps as long as what is left still fails. The program must fail. */
void program_shorten(struct program *program, program_fails_fn *fails, char *failure);

/* Shortens a program that failed, writes it to stderr as a scenario that test/scenario can run, with
 * `rule_tail` after each rule, and fails the test that is running. */
void program_report(struct program *program, program_fails_fn *fails, const char *rule_tail,
                    char *failure) __attribute__((noreturn));

/* The scenario alone. */
void program_print(const struct program *program, const char *rule_tail, const char *failure);

#endif
