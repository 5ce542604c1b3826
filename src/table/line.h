/* SPDX-License-Identifier: MIT
 *
 * line: one user's counter in memory that threads share; 64 bytes, one cache line.
 *
 *     offset  0  tag          hash of user, window and algorithm; what is in an empty line means
 * nothing
 *             8  fresh_at_ns  \
 *            16  head          > struct counter; head bits 53..62 version or owner, bit 63 lock
 *            24  body[5]      /
 *
 * Who holds the lock bit may change the line and its print in the bucket. While it is set, bits 53..62
 * say which process holds it, so that others can find out whether that still lives; else they are the
 * line's version, which the holder keeps meanwhile (holder.h). The version changes with every change, so
 * that a reader can see that what it copied belongs together. A reader that is asleep for exactly 1024
 * changes may be fooled, so readers only deny; whoever admits holds the lock. */
#ifndef WEIR_TABLE_LINE_H
#define WEIR_TABLE_LINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "limit/counter.h"

enum {
    LINE_SPINS_MAX    = 128,
    LINE_VERSION_BITS = 10,
    LINE_VERSION_MASK = (1 << LINE_VERSION_BITS) - 1,
    LINE_SEARCHED =
        512, /* added to an owner: that process finds out whether a thread of it holds the lock */
};

#define LINE_LOCKED (UINT64_C(1) << 63)

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

/* The process that holds a lock whose word says `owner`. */
static inline uint32_t line_process(uint32_t owner) { return owner & ~(uint32_t)LINE_SEARCHED; }

/* The owner of a line whose head is locked; of one that is not, its version. */
static inline uint32_t line_owner(uint64_t head) {
    return (uint32_t)(head >> COUNTER_HEAD_BITS) & LINE_VERSION_MASK;
}

/* What a head has besides the counter's bits while `process` holds the line. */
static inline uint64_t line_lock_word(uint32_t process) {
    return LINE_LOCKED | (uint64_t)process << COUNTER_HEAD_BITS;
}

/* The same for a line that is free. */
static inline uint64_t line_version_word(uint64_t version) {
    return (version & LINE_VERSION_MASK) << COUNTER_HEAD_BITS;
}

/* Copies the counter out of a line that the caller has locked. Into the caller's own, word by word: a
 * returned structure is copied once more, sixteen bytes at a time, which has to wait for the words. */
static inline void line_take(const struct line *line, struct counter *c) {
    c->fresh_at_ns = atomic_load_explicit(&line->fresh_at_ns, memory_order_relaxed);
    c->head        = atomic_load_explicit(&line->head, memory_order_relaxed) & COUNTER_HEAD_MASK;
#pragma GCC unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) {
        c->body[i] = atomic_load_explicit(&line->body[i], memory_order_relaxed);
    }
}

/* Puts a counter into a line that is locked, and keeps the lock. Each store releases, so that nobody
 * who reads one of them can miss that the line was locked before it. */
static inline void line_store(struct line *line, const struct counter *c) {
#pragma GCC        unroll 5
    for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) {
               atomic_store_explicit(&line->body[i], c->body[i], memory_order_release);
    }
    atomic_store_explicit(&line->fresh_at_ns, c->fresh_at_ns, memory_order_release);
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed) & ~COUNTER_HEAD_MASK;
    atomic_store_explicit(&line->head, head | (c->head & COUNTER_HEAD_MASK), memory_order_release);
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
