/* SPDX-License-Identifier: MIT
 *
 * tally: how many decisions, counted by threads that do not disturb each other.
 *
 * 63 threads at a time have a cache line each, to which they add without a locked instruction; more of
 * them share the first line and pay for it. */
#ifndef WEIR_LIMITER_TALLY_H
#define WEIR_LIMITER_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#include "os/slot.h"

enum tally_kind { TALLY_DENIED, TALLY_ALLOWED, TALLY_REFUSED, TALLY_KINDS };

struct tally_slot {
    _Alignas(64) _Atomic uint64_t count[TALLY_KINDS];
};

struct tally {
    struct tally_slot slot[SLOT_COUNT];
};

static inline void tally_add(struct tally *t, enum tally_kind kind, uint64_t count) {
    unsigned          slot = slot_mine();
    _Atomic uint64_t *word = &t->slot[slot].count[kind];
    if (slot != SLOT_SHARED) {
        uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, before + count, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(word, count, memory_order_relaxed);
    }
}

uint64_t tally_sum(const struct tally *t, enum tally_kind kind);

#endif
