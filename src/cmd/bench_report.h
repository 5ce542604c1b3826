/* SPDX-License-Identifier: MIT
 *
 * bench_report: how does a person, or a program, read what was measured? */
#ifndef WEIR_CMD_BENCH_REPORT_H
#define WEIR_CMD_BENCH_REPORT_H

#include "cmd/bench_plan.h"

struct bench_setting {
    int      word_count; /* the command line */
    char   **words;
    unsigned rounds, threads;
    double   row_seconds;     /* for each row, all rounds together */
    double   load_average[2]; /* of the machine before and after, 1 minute */
};

/* Bytes of this process that are resident; 0 where that is not told. */
uint64_t bench_resident_bytes(void);

/* The machine's load average of the last minute; negative where that is not told. */
double bench_load_average(void);

/* To stdout. The plan's wanted rows are settled. */
void bench_report_table(const struct bench_plan *plan, const struct bench_setting *setting);
void bench_report_json(const struct bench_plan *plan, const struct bench_setting *setting);

#endif
