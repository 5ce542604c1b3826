/* SPDX-License-Identifier: MIT
 *
 * bench_plan: which rows does `weir bench` measure, in which worlds, and beside what?
 *
 * A row is one kind of call under one kind of load. Its reference is another row of the same run: the
 * clock read, the bare memory loop, or itself on one thread. Pure: nothing runs here. */
#ifndef WEIR_CMD_BENCH_PLAN_H
#define WEIR_CMD_BENCH_PLAN_H

#include "cmd/bench_loop.h"

enum {
    BENCH_NAME_BYTES_MAX  = 64,
    BENCH_ROWS_MAX        = 160,
    BENCH_WORLDS_MAX      = 32,
    BENCH_ROUNDS_MAX      = 99,
    BENCH_POPULATIONS_MAX = 2,
    BENCH_NO_REFERENCE    = -1,
};

struct bench_row {
    char              name[BENCH_NAME_BYTES_MAX];
    struct bench_load load;
    int               reference; /* index of a row, or BENCH_NO_REFERENCE */
    bool              is_wanted;
    double            ns[BENCH_ROUNDS_MAX]; /* one for each round; sorted by bench_row_settle() */
    double            wall_ns[BENCH_ROUNDS_MAX];
    double            allowed; /* mean of the rounds */
};

/* What filling a world has shown. */
struct bench_memory {
    double   fill_ns; /* CPU time that a new user takes */
    uint64_t resident_bytes;
    uint64_t table_bytes;
    uint64_t worst_bytes; /* most table bytes a user at any time from a tenth of the users on */
    uint64_t users_held, users_max, overflowed;
};

struct bench_place {
    char                name[BENCH_NAME_BYTES_MAX];
    struct bench_world  world;
    uint64_t            users_max;
    bool                is_wanted;     /* a row that is wanted runs in it */
    bool                wants_memory;  /* a bare loop runs beside it */
    bool                is_population; /* its memory is worth telling */
    struct bench_memory memory;
};

struct bench_plan {
    struct bench_row   rows[BENCH_ROWS_MAX];
    unsigned           row_count;
    struct bench_place places[BENCH_WORLDS_MAX];
    unsigned           place_count;
};

/* Rows for these numbers of users (0: none), with 1 and `threads` threads. `only`: those whose name
 * holds it, or one of several parted by commas, and what they stand beside; NULL: all. False: no
 * row's name does. */
bool bench_plan_make(struct bench_plan *plan, const uint64_t users[BENCH_POPULATIONS_MAX],
                     unsigned threads, const char *only);

/* "10m", "250k", "12345". */
void bench_plan_count_write(uint64_t count, char *out, unsigned room);

/* Sorts the row's rounds, so that [0] is the least. */
void bench_row_settle(struct bench_row *row, unsigned rounds);

/* Of a settled row. */
double bench_row_median(const double *values, unsigned rounds);

#endif
