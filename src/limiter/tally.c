/* SPDX-License-Identifier: MIT */
#include "limiter/tally.h"

uint64_t tally_sum(const struct tally *t, enum tally_kind kind) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        sum += atomic_load_explicit(&t->slot[i].count[kind], memory_order_relaxed);
    }
    return sum;
}
