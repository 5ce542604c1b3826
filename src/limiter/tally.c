/* SPDX-License-Identifier: MIT */
#include "limiter/tally.h"

_Thread_local unsigned tally_thread;

unsigned tally_number_thread(void) {
    static _Atomic unsigned threads;
    tally_thread = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return tally_thread;
}

uint64_t tally_sum(const struct tally *t, enum tally_kind kind) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < TALLY_SLOTS; i++) {
        sum += atomic_load_explicit(&t->slot[i].count[kind], memory_order_relaxed);
    }
    return sum;
}
