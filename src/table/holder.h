/* SPDX-License-Identifier: MIT
 *
 * holder: what does a thread hold, so that others can let go of it when its process is killed?
 *
 * Each thread of each process that shares a table has one of these, in the table's memory, and writes
 * into it before it takes a lock: where, and, for a line, which version the line had. What stands here
 * is more than what is held (the lock words themselves tell who holds them), never less. Before a held
 * line changes, its counter is copied here; before a user moves, both lines are named. All this is a few
 * stores to memory that no other thread touches.
 *
 * A process that is killed stops between two of its instructions, and what it stored until then stays:
 * so only the order of stores matters, and that the compiler keeps it. recover.c reads what is left. */
#ifndef WEIR_TABLE_HOLDER_H
#define WEIR_TABLE_HOLDER_H

#include "table/line.h"

enum {
    HOLDER_LINES   = 70, /* a joint decision's 64, or a few that move */
    HOLDER_BUCKETS = 9,
    HOLDER_COUNTS  = 4,
};

/* A line's number is its place among the cache lines of all buckets. Entries of line[] are the number
 * and the version: number << LINE_VERSION_BITS | version. */
struct holder {
    _Alignas(
        64) _Atomic uint64_t undo_line; /* number + 1 of the line that is being changed; 0: none */
    _Atomic uint64_t seen_ns;           /* the newest time that the thread was told */
    uint32_t         line_count;        /* entries in use; the thread's own */
    uint32_t         bucket_count;
    _Atomic uint64_t line[HOLDER_LINES];
    _Atomic uint64_t undo[2 + COUNTER_BODY_WORDS]; /* fresh_at_ns, head, body */
    _Atomic uint64_t move_from;                    /* number + 1; 0: nobody is being moved */
    _Atomic uint64_t move_to;
    _Atomic uint32_t counted;                /* 1: counted a user who has no line yet */
    _Atomic uint32_t bucket[HOLDER_BUCKETS]; /* index + 1; 0: none */

    /* For whoever counts what this thread does; zeros at first. */
    _Alignas(64) _Atomic uint64_t count[HOLDER_COUNTS];
};

/* Nothing is held, changed or moved. */
static inline void holder_clear(struct holder *h) {
    atomic_store_explicit(&h->undo_line, 0, memory_order_relaxed);
    atomic_store_explicit(&h->move_from, 0, memory_order_relaxed);
    atomic_store_explicit(&h->counted, 0, memory_order_relaxed);
    for (unsigned i = 0; i < HOLDER_LINES; i++)
        atomic_store_explicit(&h->line[i], 0, memory_order_relaxed);
    for (unsigned i = 0; i < HOLDER_BUCKETS; i++)
        atomic_store_explicit(&h->bucket[i], 0, memory_order_relaxed);
    h->line_count   = 0;
    h->bucket_count = 0;
}

static inline void holder_note(_Atomic uint64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
    atomic_signal_fence(memory_order_seq_cst);
}

/* Notes a line that the thread is about to try to lock. */
static inline void holder_note_line(struct holder *me, uint64_t number, uint64_t version) {
    holder_note(&me->line[me->line_count], number << LINE_VERSION_BITS | version);
}

/* The note of the line that was locked last. */
static inline _Atomic uint64_t *holder_last_line(struct holder *me) {
    return &me->line[me->line_count - (me->line_count > 0)];
}

/* The version that it had. */
static inline uint64_t holder_version(struct holder *me) {
    return atomic_load_explicit(holder_last_line(me), memory_order_relaxed);
}

/* It is not the same any more. */
static inline void holder_note_change(struct holder *me) {
    uint64_t entry = holder_version(me);
    uint64_t next  = (entry & ~(uint64_t)LINE_VERSION_MASK) | ((entry + 1) & LINE_VERSION_MASK);
    atomic_store_explicit(holder_last_line(me), next, memory_order_relaxed);
}

/* Keeps what is in a locked line until holder_keep(): should the thread not get there, the line becomes
 * that again. */
static inline void holder_undo(struct holder *me, uint64_t number, const struct line *line) {
    struct counter c;
    line_take(line, &c);
    atomic_store_explicit(&me->undo[0], c.fresh_at_ns, memory_order_relaxed);
    atomic_store_explicit(&me->undo[1], c.head, memory_order_relaxed);
#pragma GCC unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) {
        atomic_store_explicit(&me->undo[2 + i], c.body[i], memory_order_relaxed);
    }
    holder_note(&me->undo_line, number + 1);
}

static inline void holder_keep(struct holder *me) { holder_note(&me->undo_line, 0); }

#endif
