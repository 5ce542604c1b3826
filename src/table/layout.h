/* SPDX-License-Identifier: MIT
 *
 * layout: the table's memory, and what its files share.
 *
 *     0          struct table
 *     4096       the shared rings: RING_CLASSES x TABLE_STRIPES
 *     then       the buckets, from a page's start
 *
 * All zeros is an empty table. Nothing in it is an address but `yield`. */
#ifndef WEIR_TABLE_LAYOUT_H
#define WEIR_TABLE_LAYOUT_H

#include "limit/ring.h"
#include "table/bucket.h"
#include "table/shape.h"
#include "table/table.h"

enum {
    TABLE_STRIPES    = 8,
    TABLE_PAGE_BYTES = 4096,
    TABLE_LINE_BYTES = 64,
};

struct table_ring {
    _Alignas(TABLE_LINE_BYTES) _Atomic uint32_t lock;
    struct ring ring;
};

struct table {
    /* Read by all, changed never or seldom. */
    _Alignas(TABLE_LINE_BYTES) _Atomic uint64_t shape;
    uint64_t       users_max;
    struct bucket *buckets;
    void (*yield)(unsigned turn);
    uint32_t passes;
    uint32_t sizes[SHAPE_PASSES_MAX + 1];

    /* Changed by whoever brings a new user. */
    _Alignas(TABLE_LINE_BYTES) _Atomic uint64_t users;
    _Atomic uint64_t users_forgotten;
    _Atomic uint64_t overflowed;
    _Atomic uint64_t forgot_at_ns; /* the newest fresh_at_ns of anybody forgotten */
    _Atomic uint64_t hand;         /* the bucket that is swept next */
    _Atomic uint32_t grow_lock;
};

_Static_assert(sizeof(struct table) <= TABLE_PAGE_BYTES, "the table's own page");

static inline struct table_ring *table_rings(struct table *t) {
    return (struct table_ring *)(void *)((char *)t + TABLE_PAGE_BYTES);
}

static inline uint32_t table_size(const struct table *t, struct shape s) {
    return t->sizes[s.cursor == SHAPE_AT_REST ? s.pass : s.pass + 1];
}

static inline struct shape table_shape(const struct table *t) {
    return shape_read(line_load(&t->shape));
}

static inline struct shape_places table_places(const struct table *t, struct shape s,
                                               uint64_t hash) {
    return shape_places(s, t->sizes, hash);
}

/* --- seat.c --------------------------------------------------------------------------------- */

/* The bucket locks that one thread holds. The first may be waited for, others are only tried, so
 * that no two threads wait for each other. */
enum { HELD_MAX = 8 };

struct held {
    struct table *table;
    uint32_t      count;
    uint32_t      bucket[HELD_MAX];
};

bool held_try(struct held *held, uint32_t bucket);
void held_release(struct held *held, uint32_t count); /* all but the first `count` */

/* A line that the caller has locked and that belongs to nobody. */
struct seat {
    struct bucket *bucket;
    uint32_t       index;
};

static inline struct line *seat_line(struct seat s) { return &s.bucket->line[s.index]; }

/* Finds a seat for a user with these places, whose home is held: an empty one, one of somebody who
 * can be forgotten, or one whose user can go to their other place. */
bool seat_take(struct held *held, const struct shape_places *places, uint64_t now_ns,
               struct seat *seat);

enum seat_found {
    SEAT_FOUND,
    SEAT_NONE,  /* users_max are there, and none was found who can be forgotten */
    SEAT_CROWD, /* these places are full or being changed: the table grows, or try again */
};

/* The same for a user who comes new, if one more is allowed, and counts them. */
enum seat_found seat_take_for_new(struct held *held, const struct shape_places *places,
                                  uint64_t now_ns, struct seat *seat);

/* Moves the user of `from` (locked, taken) to `to` (locked, empty); `from` is then empty and both are
 * still locked. */
void seat_move(struct seat from, struct seat to);

/* Takes the user out of a locked line who equals new. */
void seat_forget(struct table *t, struct seat seat);

/* Forgets all in the next bucket who equal new; true: somebody was. */
bool seat_sweep(struct table *t, uint64_t now_ns);

/* --- grow.c --------------------------------------------------------------------------------- */

/* Whether newcomers must wait until the table has grown, so that those who move have seats. */
bool grow_is_behind(const struct table *t);

/* Called after a user came in, without locks: starts to grow when the table is full enough, and
 * moves a few users on. */
void grow_step(struct table *t, uint64_t now_ns);

/* Fills in the sizes of all passes up to what users_max needs; returns their number. */
uint32_t grow_sizes(uint64_t users_max, uint32_t sizes[SHAPE_PASSES_MAX + 1]);

#endif
