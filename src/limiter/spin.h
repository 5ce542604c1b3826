/* SPDX-License-Identifier: MIT
 *
 * spin: one thread at a time, for some dozens of instructions that neither wait nor call the system. */
#ifndef WEIR_LIMITER_SPIN_H
#define WEIR_LIMITER_SPIN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "os/processor.h"
#include "table/line.h"

struct spin {
    _Atomic uint32_t is_held;
};

static inline bool spin_try(struct spin *s) {
    return atomic_exchange_explicit(&s->is_held, 1, memory_order_acquire) == 0;
}

static inline void spin_lock(struct spin *s) {
    for (unsigned turn = 0; !spin_try(s); turn++) {
        unsigned spins = 0;
        while (atomic_load_explicit(&s->is_held, memory_order_relaxed) != 0) {
            if (spins++ == LINE_SPINS_MAX) break;
            line_pause();
        }
        if (spins > LINE_SPINS_MAX) processor_yield(turn);
    }
}

static inline void spin_unlock(struct spin *s) {
    atomic_store_explicit(&s->is_held, 0, memory_order_release);
}

#endif
