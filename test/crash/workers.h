/* SPDX-License-Identifier: MIT
 *
 * workers: processes that decide on one file, and are killed.
 *
 * Each worker is a process of several threads, which ask two kinds of questions:
 *
 *   counted   of users whose window is an hour long, as fast as they can: nothing expires, so the file must
 *             know of every permit that was answered, and of no other but those that were asked for when
 *             their process was killed
 *   judged    of users with a short window, at a pace: each answer is a line for `weir judge`
 *
 * What they are told goes at once into memory that the driver shares with them: it survives them. Only the
 * public functions are used. */
#ifndef WEIR_TEST_WORKERS_H
#define WEIR_TEST_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { WORKERS_MAX = 8, WORKER_THREADS_MAX = 4 };

struct workers_plan {
    const char *path; /* of the file */
    uint64_t    seed;
    uint64_t    users_max;
    uint32_t    workers, threads;
    uint32_t    counted_users;
    uint32_t    judged_users;
    uint64_t    judged_limit;
    int64_t     judged_window_ns;
    int64_t     judged_pace_ns; /* of a thread */
    uint32_t    joint_percent;  /* of the judged: together with somebody counted */
    bool   is_slow;   /* every other thread takes its steps one at a time: the most of its life is
                                   in the middle of something, and it holds for long what others want */
    size_t lines_max; /* of a thread */
};

struct workers;

struct workers *workers_new(const struct workers_plan *plan);
void            workers_free(struct workers *w);

/* Starts all; kills one, which is another process afterwards; stops one for a while; kills all for good.
 * False: errno says why. */
bool workers_start(struct workers *w);
bool workers_kill(struct workers *w, uint32_t which);
void workers_pause(struct workers *w, uint32_t which, int64_t length_ns);
void workers_end(struct workers *w);

/* Sees to it that none has ended by itself: NULL, or what one said. */
const char *workers_trouble(struct workers *w);

struct workers_sums {
    uint64_t decisions, lines;
    uint64_t interrupted; /* calls in which somebody was killed */
    int64_t  longest_ns;  /* of the judged, from the question to the answer */
};

/* At any time. */
struct workers_sums workers_sums(struct workers *w);

struct workers_use {
    uint64_t allowed, overflowed;
    uint64_t exact; /* what an exact log of the same arrivals would have allowed */
};

/* Of the judged, when all have ended. */
struct workers_use workers_use(struct workers *w);

/* Compares the file with what was answered: how many permits of the counted users it does not know of, and
 * how many it knows of that nobody asked for. False: the file cannot be opened; `why` says so. */
struct workers_counted {
    uint64_t taken, unanswered, missing, invented;
    char     why[300];
};

bool workers_count(struct workers *w, struct workers_counted *counted);

/* Writes the lines of each thread into a file of its own, folder/0.jsonl and so on; returns how many. */
size_t workers_write_lines(struct workers *w, const char *folder);

int64_t workers_now_ns(void);

#endif
