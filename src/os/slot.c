/* SPDX-License-Identifier: MIT */
#include "os/slot.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

_Thread_local unsigned slot_of_thread __attribute__((tls_model("initial-exec"))) = SLOT_UNKNOWN;

static _Atomic uint64_t slots_taken = 1; /* a bit for each; number 0 is never taken */
static pthread_once_t   slot_once   = PTHREAD_ONCE_INIT;
static pthread_key_t    slot_key; /* its destructor runs at a thread's end */
static bool             slot_key_is_made;

/* What the thread kept under its number is visible to the next who takes it. */
static void slot_give_back(void *slot_plus_one) {
    uint64_t bit   = UINT64_C(1) << ((uintptr_t)slot_plus_one - 1);
    slot_of_thread = SLOT_SHARED;
    atomic_fetch_and_explicit(&slots_taken, ~bit, memory_order_release);
}

/* A library that is unloaded must not be called at a later thread's end. */
__attribute__((destructor)) static void slot_unload(void) {
    if (slot_key_is_made) (void)pthread_key_delete(slot_key);
}

static void slot_make_key(void) {
    slot_key_is_made = pthread_key_create(&slot_key, slot_give_back) == 0;
}

unsigned slot_take(void) {
    slot_of_thread = SLOT_SHARED;
    (void)pthread_once(&slot_once, slot_make_key);
    if (!slot_key_is_made) return SLOT_SHARED;

    uint64_t taken = atomic_load_explicit(&slots_taken, memory_order_relaxed);
    while (~taken != 0) {
        unsigned slot = (unsigned)__builtin_ctzll(~taken);
        if (!atomic_compare_exchange_weak_explicit(&slots_taken, &taken,
                                                   taken | UINT64_C(1) << slot,
                                                   memory_order_acquire, memory_order_relaxed)) {
            continue;
        }
        if (pthread_setspecific(slot_key, (void *)((uintptr_t)slot + 1)) != 0) {
            slot_give_back((void *)((uintptr_t)slot + 1));
            return SLOT_SHARED;
        }
        slot_of_thread = slot;
        return slot;
    }
    return SLOT_SHARED;
}
