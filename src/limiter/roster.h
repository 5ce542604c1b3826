/* SPDX-License-Identifier: MIT
 *
 * roster: where is a user's entry, who may touch it, who leaves? See roster.c. */
#ifndef WEIR_LIMITER_ROSTER_H
#define WEIR_LIMITER_ROSTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease/holder.h"
#include "limit/counter.h"
#include "limiter/spin.h"
#include "store/store.h"

enum {
    ROSTER_PLACES     = 16, /* of a bucket */
    ROSTER_SWEEP_MAX  = 8,  /* whom a newcomer looks at outside their bucket, when all are taken */
    ROSTER_USERS_MAX  = 1 << 24,
    ROSTER_LOAD_USERS = 8, /* of a bucket, when the roster is full */
};

#define ROSTER_NOWHERE UINT32_MAX

struct fleet_ticket;

/* What a node has of one user under one rule. Whoever has the bucket's lock may touch it. */
struct entry {
    struct store_name    name;
    uint64_t             limit, window_ns;
    _Atomic uint32_t     bucket; /* ROSTER_NOWHERE: free */
    uint32_t             number;
    uint32_t             shard, watch;
    uint32_t             trips_out;
    bool                 is_armed; /* a timer will come to it */
    bool                 is_held;  /* it is in its lane's queue (fleet.c) */
    uint32_t             next_held;
    uint64_t             newest_ns;
    uint64_t             free; /* permits that nobody held when the store spoke last */
    struct lease_terms   terms;
    struct holder        holder;
    struct counter       local; /* what was allowed without the store: the fault policy's share */
    struct fleet_ticket *first, *last; /* who waits */
    uint32_t             next_free;
};

struct bucket {
    struct spin lock;
    uint32_t    count;
    uint64_t    tag[ROSTER_PLACES];
    uint32_t    entry[ROSTER_PLACES];
};

struct roster {
    struct bucket   *buckets;
    struct entry    *entries;
    uint32_t         bucket_count; /* a power of two */
    uint32_t         entries_max;
    struct spin      pool; /* of entries that nobody has */
    uint32_t         untouched;
    uint32_t         free;
    _Atomic uint32_t hand;
    _Atomic uint32_t count;
    _Atomic uint64_t evicted;
};

/* So many bytes of zeros, aligned to a page, are what roster_init() takes over. */
size_t roster_bytes(uint32_t users_max);
void   roster_init(struct roster *r, void *memory, uint32_t users_max);

/* Forgets everybody and every lock: for the child of a fork, before it has threads. */
void roster_wipe(struct roster *r);

struct bucket     *roster_bucket(struct roster *r, const struct store_name *name);
struct bucket     *roster_lock(struct roster *r, const struct store_name *name);
static inline void roster_unlock(struct bucket *b) { spin_unlock(&b->lock); }

/* Locks the bucket of an entry; NULL: nobody has it. */
struct bucket *roster_lock_entry(struct roster *r, struct entry *e);

/* In a bucket that is locked; NULL: not there. */
struct entry *roster_find(struct roster *r, const struct bucket *b, const struct store_name *name,
                          uint64_t limit, uint64_t window_ns);

/* An entry for somebody who has none, with name, limit and window, all else as it may be; somebody who has
 * nothing may have to leave for it. NULL: everybody has something. */
struct entry *roster_claim(struct roster *r, struct bucket *b, const struct store_name *name,
                           uint64_t limit, uint64_t window_ns, uint64_t now_ns);

/* Whether a holder has no permit in hand, asks for none and has none to give back. */
bool entry_has_nothing(const struct entry *e);

#endif
