/* SPDX-License-Identifier: MIT
 *
 * layout: the table's memory, and what its files share.
 *
 *     0          struct table_head
 *     4096       the shared rings: RING_CLASSES x TABLE_STRIPES
 *     then       the holders: TABLE_THREADS for each process that may come
 *     then       the buckets, from a page's start
 *
 * All zeros is an empty table, and nothing in it is an address: processes may map it where they like.
 * What each of them needs to use it is in its own struct table. */
#ifndef WEIR_TABLE_LAYOUT_H
#define WEIR_TABLE_LAYOUT_H

#include "base/contract.h"
#include "limit/ring.h"
#include "table/bucket.h"
#include "table/holder.h"
#include "table/shape.h"
#include "table/table.h"

enum {

    TABLE_PAGE_BYTES = 4096,
    TABLE_LINE_BYTES = 64,
};

struct table_ring {
    _Alignas(TABLE_LINE_BYTES) _Atomic uint32_t lock; /* the process that holds it */
    struct ring ring;
};

struct table_head {
    /* Read by all, changed never or seldom. */
    _Alignas(TABLE_LINE_BYTES) _Atomic uint64_t shape;
    uint64_t users_max;
    uint32_t processes;

    /* Changed by whoever brings a new user. */
    _Alignas(TABLE_LINE_BYTES) _Atomic uint64_t users;
    _Atomic uint64_t users_forgotten;
    _Atomic uint64_t overflowed;
    _Atomic uint64_t forgot_at_ns; /* the newest fresh_at_ns of anybody forgotten */
    _Atomic uint64_t hand;         /* the bucket that is swept next */
    _Atomic uint32_t grow_lock;    /* the process that holds it */

    /* Changed seldom. */
    _Alignas(TABLE_LINE_BYTES) _Atomic uint64_t
        stuck_at_ns;                       /* when there was no room to grow; 0: there is */
    _Atomic uint64_t mended;               /* lines that a killed process was changing */
    _Atomic uint64_t damaged;              /* lines that nobody can have written */
    _Atomic uint64_t seen_ns;              /* the newest time, */
    _Atomic uint64_t count[HOLDER_COUNTS]; /* and counts, of holders that are no more */
    _Atomic uint64_t present[TABLE_PROCESSES_MAX / 64]; /* a bit for each process */
};

_Static_assert(sizeof(struct table_head) <= TABLE_PAGE_BYTES, "the table's own page");

/* A process's view of a table. */
struct table {
    _Alignas(TABLE_LINE_BYTES) struct bucket *buckets;
    struct table_head *head;
    struct holder     *holders; /* this process's */
    uint64_t           lock_word;
    uint32_t           process;
    uint32_t           processes; /* that there may be */
    uint32_t           passes;
    bool               is_shared; /* with other processes: what is there may come from a file */
    struct table_ring *rings;
    void (*wait)(void *context, uint32_t process, unsigned turn);
    bool (*reserve)(void *context, uint64_t bytes);
    void                        *context;
    const struct table_recorder *recorder;
    _Atomic uint32_t             crowd_lock; /* of threads without a number of their own */
    uint32_t                     sizes[SHAPE_PASSES_MAX + 1];
};

/* Bytes of a table with so many buckets. */
uint64_t table_bytes_with(uint32_t processes, uint32_t buckets);

static inline uint32_t table_size(const struct table *t, struct shape s) {
    return t->sizes[s.cursor == SHAPE_AT_REST ? s.pass : s.pass + 1];
}

static inline struct shape table_shape(const struct table *t) {
    return shape_read(line_load(&t->head->shape));
}

static inline struct shape_places table_places(const struct table *t, struct shape s,
                                               uint64_t hash) {
    return shape_places(s, t->sizes, hash);
}

/* Waits a little longer for a lock that `process` holds. */
static inline void table_wait(struct table *t, uint32_t process, unsigned spins) {
    if (spins < LINE_SPINS_MAX) {
        line_pause();
    } else {
        t->wait(t->context, process, spins - LINE_SPINS_MAX);
    }
}

/* Waits for what `owner` does; 0: nobody is known, and after long it may be locks that nobody has. */
static inline void table_wait_for(struct table *t, uint32_t owner, unsigned turn) {
    t->wait(t->context, line_process(owner), turn);
}

/* All holders; those of `process` come first at (process - 1) * TABLE_THREADS. */
static inline struct holder *table_holders(const struct table *t, uint32_t process) {
    return t->holders + ((ptrdiff_t)process - (ptrdiff_t)t->process) * TABLE_THREADS;
}

static inline bool table_is_present(const struct table *t, uint32_t process) {
    return (line_load(&t->head->present[process / 64]) >> process % 64 & 1) != 0;
}

static inline void table_set_present(struct table *t, uint32_t process, bool is_present) {
    _Atomic uint64_t *word = &t->head->present[process / 64];
    uint64_t          bit  = UINT64_C(1) << process % 64;
    if (is_present) {
        atomic_fetch_or_explicit(word, bit, memory_order_release);
    } else {
        atomic_fetch_and_explicit(word, ~bit, memory_order_release);
    }
}

static inline void raise_to(_Atomic uint64_t *word, uint64_t value) {
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak_explicit(
                               word, &seen, value, memory_order_release, memory_order_relaxed)) {}
}

/* Where a file fails, zeros take its place in the middle of things (os/guard.h): then nothing is held
 * any more, and whatever is found out is thrown away. So nothing here may rely on a count that is not 0. */

/* A thread notes what it is about to lock, and the lock's exchange releases the note: who reads the one has
 * seen the other (table_scour()). */

/* --- locks of lines ------------------------------------------------------------------------- */

static inline uint64_t table_line_number(const struct table *t, const struct line *line) {
    return (uint64_t)((const char *)line - (const char *)t->buckets) / TABLE_LINE_BYTES;
}

static inline bool table_try_lock(struct table *t, struct holder *me, struct line *line) {
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
    if (head & LINE_LOCKED) return false;
    INVARIANT(me->line_count < HOLDER_LINES);
    holder_note_line(me, table_line_number(t, line), line_owner(head));
    if (!atomic_compare_exchange_strong_explicit(&line->head, &head,
                                                 (head & COUNTER_HEAD_MASK) | t->lock_word,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return false;
    }
    me->line_count++;
    return true;
}

static inline void table_lock(struct table *t, struct holder *me, struct line *line) {
    for (unsigned spins = 0; !table_try_lock(t, me, line); spins++) {
        uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
        if (head & LINE_LOCKED) table_wait(t, line_process(line_owner(head)), spins);
    }
}

/* Unlocks the line that was locked last, of which no more than the head's part of the counter was
 * changed, to `head`; `version` tells whether. */
static inline void table_unlock_as(struct holder *me, struct line *line, uint64_t head,
                                   uint64_t version) {
    me->line_count -= me->line_count > 0;
    atomic_store_explicit(&line->head, (head & COUNTER_HEAD_MASK) | line_version_word(version),
                          memory_order_release);
}

/* Unlocks the line that was locked last. Lines are unlocked in the reverse order of locking. */
static inline void table_unlock(struct holder *me, struct line *line) {
    table_unlock_as(me, line, atomic_load_explicit(&line->head, memory_order_relaxed),
                    holder_version(me));
}

/* Puts a counter into the line that was locked last, and keeps the lock. */
static inline void table_put(struct table *t, struct holder *me, struct line *line,
                             const struct counter *c) {
    holder_undo(me, table_line_number(t, line), line);
    line_store(line, c);
    holder_keep(me);
    holder_note_change(me);
}

/* --- locks of buckets, rings and the like: the process that holds it, or 0 ------------------- */

static inline bool owner_try_lock(struct table *t, _Atomic uint32_t *lock) {
    uint32_t nobody = 0;
    return atomic_load_explicit(lock, memory_order_relaxed) == 0 &&
           atomic_compare_exchange_strong_explicit(lock, &nobody, t->process, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static inline void owner_unlock(_Atomic uint32_t *lock) {
    atomic_store_explicit(lock, 0, memory_order_release);
}

static inline bool bucket_try_lock(struct table *t, struct holder *me, uint32_t bucket) {
    INVARIANT(me->bucket_count < HOLDER_BUCKETS);
    /* Noted by nobody who only waits: table_scour() would take them for the holder. */
    if (atomic_load_explicit(&t->buckets[bucket].lock, memory_order_relaxed) != 0) return false;
    atomic_store_explicit(&me->bucket[me->bucket_count], bucket + 1, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
    if (!owner_try_lock(t, &t->buckets[bucket].lock)) return false;
    me->bucket_count++;
    return true;
}

static inline void bucket_lock(struct table *t, struct holder *me, uint32_t bucket) {
    for (unsigned spins = 0; !bucket_try_lock(t, me, bucket); spins++) {
        uint32_t owner = atomic_load_explicit(&t->buckets[bucket].lock, memory_order_relaxed);
        if (owner != 0) table_wait(t, line_process(owner), spins);
    }
}

/* Unlocks the bucket that was locked last. */
static inline void bucket_unlock(struct table *t, struct holder *me, uint32_t bucket) {
    me->bucket_count -= me->bucket_count > 0;
    owner_unlock(&t->buckets[bucket].lock);
}

/* --- seat.c --------------------------------------------------------------------------------- */

/* The bucket locks that one thread holds. The first may be waited for, others are only tried, so
 * that no two threads wait for each other. */
enum { HELD_MAX = HOLDER_BUCKETS - 1 };

struct held {
    struct table  *table;
    struct holder *me;
    uint32_t       count;
    uint32_t       bucket[HELD_MAX];
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

/* Makes a newcomer the user of a seat that seat_take_for_new() found. */
void seat_name(struct holder *me, struct seat seat, uint64_t hash);

/* Counts one user less: the seat is not taken after all. */
void seat_leave(struct table *t, struct holder *me);

/* Moves the user of `from` (locked, taken) to `to` (locked last, empty); `from` is then empty and both
 * are still locked. */
void seat_move(struct table *t, struct holder *me, struct seat from, struct seat to);

/* Takes the user out of a locked line who equals new. */
void seat_forget(struct table *t, struct seat seat);

/* Forgets all in the next bucket who equal new; true: somebody was. */
bool seat_sweep(struct table *t, struct holder *me, uint64_t now_ns);

/* --- grow.c --------------------------------------------------------------------------------- */

/* Whether newcomers must wait until the table has grown, so that those who move have seats. */
bool grow_is_behind(const struct table *t);

/* Whether there was no room for the table to grow, a moment ago: who finds no seat then gets none. */
bool grow_is_stuck(const struct table *t);

/* Called after a user came in, without locks: starts to grow when the table is full enough, and
 * moves a few users on. */
void grow_step(struct table *t, struct holder *me, uint64_t now_ns);

/* The first pass of a table that so many users do not make grow; the last, if there is none. */
uint32_t grow_pass_for(const uint32_t *sizes, uint32_t passes, uint64_t users);

/* Fills in the sizes of all passes up to what users_max needs; returns their number. */
uint32_t grow_sizes(uint64_t users_max, uint32_t sizes[SHAPE_PASSES_MAX + 1]);

#endif
