/* SPDX-License-Identifier: MIT
 *
 * window_program: what is worth asking of a window?
 *
 * The seed makes the program while it runs, since a good adversary looks at the counter before it
 * asks. */
#ifndef WEIR_TEST_WINDOW_PROGRAM_H
#define WEIR_TEST_WINDOW_PROGRAM_H

#include "model/program.h"

/* Makes and runs the program of this seed, up to `steps` steps; stops at the first failure, which
 * is left in `failure`, with the program as far as it ran. True: nothing failed. */
bool window_program_run(struct program *program, uint64_t seed, size_t steps,
                        struct program_tally *tally, char *failure);

/* A program_fails_fn. */
bool window_program_fails(const struct program *program, char *failure);

#endif
