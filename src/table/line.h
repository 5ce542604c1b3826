/* SPDX-License-Identifier: MIT
 *
 * line: one user's counter in memory that threads share; 64 bytes, one cache line.
 *
 *     offset  0  tag          hash of user, window and algorithm; what is in an empty line means nothing
 *             8  fresh_at_ns  \
 *            16  head          > struct counter; head bits 53..62 version, bit 63 lock
 *            24  body[5]      /
 *
 * Who holds the lock bit may change the line and its print in the bucket. The version changes with
 * every change, so that a reader can see that what it copied belongs together. A reader that is
 * asleep for exactly 1024 changes may be fooled, so readers only deny; whoever admits holds the
 * lock. */
#ifndef WEIR_TABLE_LINE_H
#define WEIR_TABLE_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "limit/counter.h"

enum { LINE_SPINS_MAX = 128 };

#define LINE_LOCKED       (UINT64_C(1) << 63)
#define LINE_VERSION_STEP (UINT64_C(1) << COUNTER_HEAD_BITS)

struct line {
    _Atomic uint64_t tag;
    _Atomic uint64_t fresh_at_ns;
    _Atomic uint64_t head;
    _Atomic uint64_t body[COUNTER_BODY_WORDS];
};

_Static_assert(sizeof(struct line) == 64, "a line is a cache line");

static inline void line_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static inline uint64_t line_load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline bool line_try_lock(struct line *line) {
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
    return (head & LINE_LOCKED) == 0 &&
           atomic_compare_exchange_strong_explicit(&line->head, &head, head | LINE_LOCKED,
                                                   memory_order_acquire, memory_order_relaxed);
}

/* `yield` gives the processor to a holder that has lost it. */
static inline void line_lock(struct line *line, void (*yield)(unsigned)) {
    for (unsigned spins = 0; !line_try_lock(line); spins++) {
        if (spins < LINE_SPINS_MAX) {
            line_pause();
        } else {
            yield(spins - LINE_SPINS_MAX);
        }
    }
}

/* Unlocks a line that was not changed. */
static inline void line_unlock(struct line *line) {
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
    atomic_store_explicit(&line->head, head & ~LINE_LOCKED, memory_order_release);
}

/* Copies the counter out of a line that the caller has locked. Into the caller's own, word by word: a
 * returned structure is copied once more, sixteen bytes at a time, which has to wait for the words. */
static inline void line_take(const struct line *line, struct counter *c) {
    c->fresh_at_ns = atomic_load_explicit(&line->fresh_at_ns, memory_order_relaxed);
    c->head        = atomic_load_explicit(&line->head, memory_order_relaxed);
#pragma GCC unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) {
        c->body[i] = atomic_load_explicit(&line->body[i], memory_order_relaxed);
    }
}

/* Puts a counter into a line that the caller has locked, and keeps the lock. Each store releases,
 * so that nobody who reads one of them can miss that the line was locked before it. */
static inline void line_put(struct line *line, const struct counter *c) {
#pragma GCC        unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) {
               atomic_store_explicit(&line->body[i], c->body[i], memory_order_release);
    }
    atomic_store_explicit(&line->fresh_at_ns, c->fresh_at_ns, memory_order_release);
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
    head = ((head & ~COUNTER_HEAD_MASK) | (c->head & COUNTER_HEAD_MASK)) + LINE_VERSION_STEP;
    atomic_store_explicit(&line->head, head | LINE_LOCKED, memory_order_release);
}

/* Copies the counter of `tag` out of a line that is not locked. False: it was being changed, or is
 * another's now. */
static inline bool line_read(const struct line *line, uint64_t tag, struct counter *c) {
    c->head = line_load(&line->head);
    if (c->head & LINE_LOCKED) return false;
    uint64_t owner = line_load(&line->tag);
    c->fresh_at_ns = line_load(&line->fresh_at_ns);
#pragma GCC unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) c->body[i] = line_load(&line->body[i]);
    return atomic_load_explicit(&line->head, memory_order_relaxed) == c->head && owner == tag;
}

#endif
