/* SPDX-License-Identifier: MIT
 *
 * owned_lock: a lock in memory that processes share, which says who holds it.
 *
 * A 32-bit word: 0 is free, else the holder's process number. So a lock whose holder was killed can be
 * told from one that is held, and freed. All threads of a process have its number. */
#ifndef WEIR_STORE_EMBEDDED_OWNED_LOCK_H
#define WEIR_STORE_EMBEDDED_OWNED_LOCK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Who asks, and what they do while somebody else holds the lock. */
struct lock_owner {
    uint32_t process; /* > 0; no other living process has it */
    void    *context;
    /* Lets time pass; `turn` counts from 0 in each wait. `holder` is who held the lock a moment ago: if
     * that process is dead, this calls ..._release_dead() for it. */
    void (*wait)(void *context, uint32_t holder, unsigned turn);
};

static inline bool owned_lock_try(_Atomic uint32_t *lock, uint32_t process, uint32_t *holder) {
    *holder = 0;
    return atomic_compare_exchange_strong_explicit(lock, holder, process, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void owned_lock_take(_Atomic uint32_t *lock, const struct lock_owner *me) {
    uint32_t holder = 0;
    for (unsigned turn = 0; !owned_lock_try(lock, me->process, &holder); turn++) {
        me->wait(me->context, holder, turn);
    }
}

static inline void owned_lock_give(_Atomic uint32_t *lock) {
    atomic_store_explicit(lock, 0, memory_order_release);
}

/* Frees the lock if a dead process holds it. */
static inline void owned_lock_release_dead(_Atomic uint32_t *lock, uint32_t process) {
    (void)atomic_compare_exchange_strong_explicit(lock, &process, 0, memory_order_acq_rel,
                                                  memory_order_relaxed);
}

/* The same, if the holder is one that `is_gone` knows of. */
static inline void owned_lock_release_gone(_Atomic uint32_t *lock,
                                           bool (*is_gone)(void *context, uint32_t process),
                                           void *context) {
    uint32_t holder = atomic_load_explicit(lock, memory_order_acquire);
    if (holder != 0 && is_gone(context, holder)) owned_lock_release_dead(lock, holder);
}

#endif
