/* SPDX-License-Identifier: MIT
 *
 * judge: did any window admit more than its limit? Lines of decisions go in, a verdict comes out.
 * See judge.c, and docs/judge.md for what exactly is decided and why it is sound. */
#ifndef WEIR_CMD_JUDGE_H
#define WEIR_CMD_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/hash.h"
#include "base/view.h"
#include "cmd/judge_line.h"

enum { JUDGE_HOSTS_MAX = 4096, JUDGE_USER_BYTES_MAX = 65536 };

struct judge;

struct judge_options {
    uint64_t           memory_bytes;    /* the most that is held at once, 1 MiB at least */
    int64_t            horizon_ns;      /* lines come at most so much out of order */
    bool               has_clock_error; /* hosts can be compared: */
    int64_t            clock_error_ns;  /* their clocks differ by at most this, 0 to 2^60 */
    uint32_t           shown_max;       /* violations that are kept with their details */
    struct hash_secret secret;
};

/* A window that certainly broke its limit. */
struct judge_violation {
    struct view user;
    struct view host; /* all its admissions are of this host; NULL data: of several */
    int64_t     window_ns;
    uint64_t    limit;      /* in force for the last of them */
    uint64_t    admitted;   /* permits */
    uint64_t    admissions; /* lines */
    int64_t     begin_ns;   /* the first was sent */
    int64_t     end_ns;     /* the last was received; less than window_ns after begin_ns */
    uint32_t    first_file, last_file;
    uint64_t    first_line, last_line;
};

struct judge_result {
    uint64_t lines;   /* taken */
    uint64_t allowed; /* lines that admitted something */
    uint64_t denied;
    uint64_t looked;   /* lines with cost 0: they take nothing */
    uint64_t counters; /* (user, window) pairs, in each host where hosts are judged apart. A user
                             who was idle for a window and came back is counted again */
    uint64_t windows;  /* checked: each ends with one admission */
    uint64_t certain;  /* windows that certainly broke their limit */
    uint64_t possible; /* windows that broke it only if the decisions fell unluckily */
    uint64_t certain_users;
    uint32_t hosts;
    uint64_t memory_bytes; /* the most that was held */

    const struct judge_violation *shown;
    uint32_t                      shown_count;

    /* The window that came nearest to its limit, or furthest beyond. */
    uint64_t    fullest_admitted;
    uint64_t    fullest_limit;
    int64_t     fullest_window_ns;
    struct view fullest_user;
};

enum judge_outcome {
    JUDGE_TAKEN,
    JUDGE_LATE,           /* more out of order than the horizon allows: not taken */
    JUDGE_NO_MEMORY,      /* not taken; no more can be judged */
    JUDGE_TOO_MANY_HOSTS, /* not taken */
};

/* NULL: not enough memory. */
struct judge *judge_new(const struct judge_options *options);
void          judge_free(struct judge *j);

enum judge_outcome judge_take(struct judge *j, const struct judge_line *line);

/* Fetches ahead what judge_take() will look at, step by step: call step 0 for some dozens of lines,
 * then step 1 for them, then 2, then take them. Three misses of the cache a line are most of the
 * time otherwise. Changes nothing but the line's hint; a line without hints is as good. */
enum { JUDGE_HINT_STEPS = 3 };
void judge_hint(const struct judge *j, struct judge_line *line, int step);

/* From now on every line is sent at `watermark_ns` or later, but for late ones. Never goes back. */
void judge_advance(struct judge *j, int64_t watermark_ns);

/* No more lines come: judges what is still open. */
void judge_end(struct judge *j);

/* Valid until the next judge_ call. */
struct judge_result judge_result(const struct judge *j);

/* What is live now, to say what the memory went to. */
uint64_t judge_live_counters(const struct judge *j);
uint64_t judge_live_admissions(const struct judge *j);

#endif
