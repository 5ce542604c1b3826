/* SPDX-License-Identifier: MIT
 *
 * bench_loop: how long does one of these take?
 *
 * The timed stretches of `weir bench`. A stretch is made of chunks of BENCH_CHUNK calls; the users of a
 * chunk are drawn and their names written before its time is taken, since a program that asks about
 * a user has the name at hand. A chunk's names and requests fit into the first level cache.
 *
 * Times are CPU times of the thread, which a neighbour on the same processor does not lengthen (but
 * for the caches that he empties); what taking the time costs is measured and taken off. */
#ifndef WEIR_CMD_BENCH_LOOP_H
#define WEIR_CMD_BENCH_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <weir.h>

enum {
    BENCH_CHUNK       = 256,
    BENCH_USERS_MAX   = 80000000,
    BENCH_THREADS_MAX = 64,
};

enum bench_call {
    BENCH_NOTHING, /* the loop itself */
    BENCH_CLOCK,   /* clock_gettime(CLOCK_BOOTTIME) */
    BENCH_TOUCH,   /* the bare memory loop; batch 0: one by one, not fetched ahead */
    BENCH_CHAIN,   /* the same, each place known only when the last was read */
    BENCH_ALLOW,   /* weir_allow */
    BENCH_DECIDE,  /* weir_decide */
    BENCH_MANY,    /* weir_decide_many, `batch` at a time */
};

enum bench_order { BENCH_HOT, BENCH_UNIFORM, BENCH_ZIPF };

/* A limiter with so many users in it, and bare memory as large as its table. */
struct bench_world {
    weir          *limiter;
    uint64_t       user_count;
    weir_algorithm algorithm;
    uint64_t       limit;
    uint64_t       limit_of_even; /* of the users with an even number */
    int64_t        window_ns;
    uint8_t       *memory; /* zeros; see touch(). NULL if no row wants it */
    uint64_t       memory_bytes;
};

struct bench_load {
    enum bench_call           call;
    const struct bench_world *world; /* NULL: BENCH_NOTHING and BENCH_CLOCK */
    enum bench_order          order;
    unsigned                  batch;
    unsigned                  threads;
    bool                      is_one_user; /* BENCH_HOT: all threads ask about the same user */
};

struct bench_crew;

struct bench_time {
    double ns;      /* between two calls of all threads together, CPU time */
    double wall_ns; /* the same by the wall clock: more, if the machine was shared */
    double allowed; /* share of the calls that were allowed */
};

/* Call once before all others: what taking the time costs. */
void bench_calibrate(void);

/* Threads that stay for the whole benchmark, each pinned to a processor, as a server's do: what weir
 * keeps for a thread is there in every row. NULL: no memory. */
struct bench_crew *bench_crew_new(unsigned threads);
void               bench_crew_free(struct bench_crew *crew);

/* Runs the load for so long on load->threads of them. */
struct bench_time bench_run(struct bench_crew *crew, const struct bench_load *load, double seconds,
                            uint64_t seed);

/* Asks about each of `count` users once, from `first` on. Returns CPU nanoseconds a user; negative: no
 * memory. */
double bench_fill(const struct bench_world *world, uint64_t first, uint64_t count);

#endif
