/* SPDX-License-Identifier: MIT
 *
 * arrivals: what has come from other threads since this one last looked?
 *
 * A stack without locks. Any thread adds to it; one takes all that is there at once, so nobody ever takes a
 * single thing off it, and the trap of such stacks (what is on top is gone and comes back meanwhile) is not
 * there. What is added begins with a struct arrival. */
#ifndef WEIR_BASE_ARRIVALS_H
#define WEIR_BASE_ARRIVALS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct arrival {
    struct arrival *next;
};

struct arrivals {
    _Atomic(struct arrival *) newest;
};

static inline void arrivals_init(struct arrivals *arrivals) {
    atomic_store_explicit(&arrivals->newest, NULL, memory_order_relaxed);
}

/* True: it is the first since all were taken, so whoever takes them is to be woken. */
static inline bool arrivals_add(struct arrivals *arrivals, struct arrival *arrival) {
    struct arrival *newest = atomic_load_explicit(&arrivals->newest, memory_order_relaxed);
    do {
        arrival->next = newest;
    } while (!atomic_compare_exchange_weak_explicit(&arrivals->newest, &newest, arrival,
                                                    memory_order_release, memory_order_relaxed));
    return newest == NULL;
}

static inline bool arrivals_are_none(const struct arrivals *arrivals) {
    return atomic_load_explicit(&arrivals->newest, memory_order_acquire) == NULL;
}

/* All that are there, for arrivals_next(): those of one thread in the order in which it added them. */
static inline struct arrival *arrivals_take(struct arrivals *arrivals) {
    if (arrivals_are_none(arrivals)) return NULL; /* as mostly; and looking writes nothing */
    struct arrival *newest =
        atomic_exchange_explicit(&arrivals->newest, NULL, memory_order_acquire);
    struct arrival *first = NULL;
    while (newest != NULL) {
        struct arrival *older = newest->next;
        newest->next          = first;
        first                 = newest;
        newest                = older;
    }
    return first;
}

/* Takes the first off the list; NULL: there is none left. */
static inline struct arrival *arrivals_next(struct arrival **list) {
    struct arrival *first = *list;
    if (first != NULL) *list = first->next;
    return first;
}

#endif
