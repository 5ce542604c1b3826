/* SPDX-License-Identifier: MIT
 *
 * sketch: how much did a user take at most, when there is no room for a counter each? See sketch.c. */
#ifndef WEIR_TABLE_SKETCH_H
#define WEIR_TABLE_SKETCH_H

#include <stddef.h>

#include "limit/request.h"

struct sketch;

enum {
    SKETCH_CELLS      = 6, /* of a window; a permit is held for one more at most */
    SKETCH_SLOTS      = SKETCH_CELLS + 1,
    SKETCH_LINES      = 2, /* cache lines that a user's permits are counted in */
    SKETCH_ROWS       = 2, /* counts a user has in each of them */
    SKETCH_LINE_BYTES = 64,
    SKETCH_LIMIT_MAX  = 255, /* larger limits are for a table */
};

struct sketch_options {
    uint64_t window_ns; /* 1 to LIMIT_WINDOW_MAX; the one window that this sketch counts */
    uint64_t limit_max; /* 1 to SKETCH_LIMIT_MAX; no question has a larger limit. The smaller, the
                           more counts there are in the same memory: see sketch_shape_of() */
    void (*yield)(unsigned turn); /* as in table_options */
};

/* How much memory is cut into what. */
struct sketch_shape {
    size_t   bytes;       /* used; a multiple of SKETCH_LINE_BYTES, not above what was offered */
    uint64_t lines;       /* without the first, which describes the sketch; even. 0: too little
                             memory for any */
    unsigned count_bits;  /* 1, 2, 4 or 8: the least that hold limit_max */
    unsigned line_counts; /* of each cell, in a line: 64 / count_bits */
};

/* Of `bytes`, which may be any number, the shape uses what makes whole pairs of lines. */
struct sketch_shape sketch_shape_of(size_t bytes, uint64_t limit_max);

/* The bytes that a sketch uses of so many: what to reserve. 0: too few. */
size_t sketch_bytes(size_t bytes);

/* Makes a sketch in `memory`: sketch_bytes(bytes) of zeros, aligned to a cache line. Nothing else is
 * allocated, and there is nothing to clear or to end: the memory is the sketch. */
struct sketch *sketch_init(void *memory, size_t bytes, const struct sketch_options *options);

/* The largest limit that may be asked about: options->limit_max, or what fits its bits as well. */
uint64_t sketch_limit_max(const struct sketch *s);

/* Takes `cost` >= 1 permits if at most `limit` are then live. True: taken. False: nothing was written.
 *
 * `hash` is the user's, 64 keyed bits; users with equal hashes are one user. `limit` is 0 to
 * sketch_limit_max() and may differ from call to call; each admission respects its own. `now_ns` is
 * 0 to LIMIT_NOW_MAX, of one clock for all callers: a call whose time is before what its lines have
 * seen counts in the cell that they saw last, and one far ahead would keep its lines there. Any
 * threads, at any time. */
bool sketch_admit(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost, uint64_t now_ns);

/* The same, and says all about it.
 *
 * `remaining` could be taken now. `retry_after_ns` is exact if until then nobody takes permits who
 * shares counts with this user; else it may be too early. `reset_after_ns`: after so long `remaining`
 * is the limit, if nobody takes any. */
void sketch_decide(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost, uint64_t now_ns,
                   struct answer *answer);

/* What sketch_decide() would say, without taking anything. cost >= 1. */
struct answer sketch_look(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost,
                          uint64_t now_ns);

/* Some work ahead of a decision, so that its two cache lines are there by then. */
void sketch_prefetch(const struct sketch *s, uint64_t hash);

#endif
