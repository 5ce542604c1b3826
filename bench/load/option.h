/* SPDX-License-Identifier: MIT
 *
 * option: what the programs of benchmarks say of wrong command lines, and of other trouble. */
#ifndef WEIR_BENCH_OPTION_H
#define WEIR_BENCH_OPTION_H

/* What messages begin with; each program has its own. */
extern const char *option_program;

/* Says so, and ends the program with `code`: 2 wrong usage, 3 trouble. */
void die(int code, const char *format, ...) __attribute__((noreturn, format(printf, 2, 3)));

/* The number from `low` to `high` that --option was given; ends the program if it is none. */
double number_of(const char *option, const char *text, double low, double high);

#endif
