/* SPDX-License-Identifier: MIT
 *
 * trips: which trips are out, and is there room for one more?
 *
 * The last few are kept for shards of which none is out, or no beat: those of a shard that has thousands
 * would else be taken again by the same, in the moment in which they come back. */
#ifndef WEIR_LIMITER_TRIPS_H
#define WEIR_LIMITER_TRIPS_H

#include <stddef.h>

#include "limiter/spin.h"
#include "store/store.h"

struct fleet;
struct entry;

struct fleet_trip {
    struct store_trip    trip;
    struct fleet        *fleet;
    struct entry        *entry; /* whose account; NULL: a beat, or a visit */
    uint64_t             sent_ns;
    struct fleet_ticket *visitor; /* who looks or resets; NULL: nobody */
};

struct trips {
    struct fleet_trip *all;
    uint32_t           trips_max, untouched;
    uint32_t           kept; /* so many are for who has none */
    uint32_t           left; /* that may be taken */
    struct spin        lock;
    struct store_trip *free;
    _Atomic uint32_t   out; /* whose done() has not returned */
};

static inline void trips_init(struct trips *t, struct fleet_trip *memory, uint32_t trips_max,
                              uint32_t kept) {
    *t = (struct trips){.all = memory, .trips_max = trips_max, .kept = kept, .left = trips_max};
}

/* Locked. */
static inline bool trips_has_one(const struct trips *t, bool is_first) {
    return t->left > (is_first ? 0 : t->kept);
}

/* is_first: the shard has none of its kind that is out. NULL: there is none for it. */
static inline struct fleet_trip *trips_take(struct trips *t, bool is_first) {
    struct fleet_trip *trip = NULL;
    spin_lock(&t->lock);
    if (trips_has_one(t, is_first)) {
        t->left--;
        if (t->free != NULL) {
            trip    = (struct fleet_trip *)(void *)t->free; /* its first member */
            t->free = t->free->next;
        } else {
            trip = &t->all[t->untouched++];
        }
    }
    spin_unlock(&t->lock);
    if (trip != NULL) atomic_fetch_add_explicit(&t->out, 1, memory_order_relaxed);
    return trip;
}

static inline bool trips_are_short(struct trips *t, bool is_first) {
    spin_lock(&t->lock);
    bool are_short = !trips_has_one(t, is_first);
    spin_unlock(&t->lock);
    return are_short;
}

/* It may be taken again; trips_end() is still to come. */
static inline void trips_put(struct trips *t, struct fleet_trip *trip) {
    spin_lock(&t->lock);
    trip->trip.next = t->free;
    t->free         = &trip->trip;
    t->left++;
    spin_unlock(&t->lock);
}

/* Its done() touches nothing more: the fleet may be freed. */
static inline void trips_end(struct trips *t) {
    atomic_fetch_sub_explicit(&t->out, 1, memory_order_release);
}

static inline uint32_t trips_out(const struct trips *t) {
    return atomic_load_explicit(&t->out, memory_order_acquire);
}

#endif
