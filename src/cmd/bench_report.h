/* SPDX-License-Identifier: MIT
 *
 * bench_report: how does a person, or a program, read what was measured? */
#ifndef WEIR_CMD_BENCH_REPORT_H
#define WEIR_CMD_BENCH_REPORT_H

#include "cmd/bench_plan.h"

enum { BENCH_COMMAND_BYTES_MAX = 1024 };

struct bench_setting {
    char     command[BENCH_COMMAND_BYTES_MAX]; /* as it was typed */
    unsigned rounds, threads;
    double   row_seconds;     /* for each row, all rounds together */
    double   load_average[2]; /* of the machine before and after, 1 minute */
};

/* Clears the setting and keeps the command line in it. */
void bench_setting_command(struct bench_setting *setting, int word_count, char **words);

/* Bytes of this process that are resident; 0 where that is not told. */
uint64_t bench_resident_bytes(void);

/* The machine's load average of the last minute; negative where that is not told. */
double bench_load_average(void);

/* To stdout. The plan's wanted rows are settled. */
void bench_report_table(const struct bench_plan *plan, const struct bench_setting *setting);
void bench_report_json(const struct bench_plan *plan, const struct bench_setting *setting);

#endif
