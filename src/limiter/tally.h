/* SPDX-License-Identifier: MIT
 *
 * tally: how many decisions, counted by threads that do not disturb each other.
 *
 * The first 63 threads of a process have a cache line each, to which they add without a locked
 * instruction; later ones share the first line and pay for it. */
#ifndef WEIR_LIMITER_TALLY_H
#define WEIR_LIMITER_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { TALLY_SLOTS = 64 };

enum tally_kind { TALLY_DENIED, TALLY_ALLOWED, TALLY_REFUSED, TALLY_KINDS };

struct tally_slot {
    _Alignas(64) _Atomic uint64_t count[TALLY_KINDS];
};

struct tally {
    struct tally_slot slot[TALLY_SLOTS];
};

extern _Thread_local unsigned tally_thread __attribute__((tls_model("initial-exec"))); /* 0: not numbered yet */
unsigned                      tally_number_thread(void);

static inline unsigned tally_this_thread(void) {
    return tally_thread != 0 ? tally_thread : tally_number_thread();
}

static inline void tally_add(struct tally *t, enum tally_kind kind, uint64_t count) {
    unsigned          thread  = tally_this_thread();
    bool              is_ours = thread < TALLY_SLOTS;
    _Atomic uint64_t *word    = &t->slot[is_ours ? thread : 0].count[kind];
    if (is_ours) {
        uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, before + count, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(word, count, memory_order_relaxed);
    }
}

uint64_t tally_sum(const struct tally *t, enum tally_kind kind);

#endif
