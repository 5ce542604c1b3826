/* SPDX-License-Identifier: MIT
 *
 * roster: the entries of a node, found by their names.
 *
 * Buckets of 16 places, each with one lock; entries come from a pool of users_max, so that memory is
 * touched as it is used. When all are taken, eight to a bucket on average, less than one user in a
 * thousand finds their bucket full although others are not.
 *
 * An entry's name is the account's, its limit and its window: who asks about one user under two limits has
 * two holders for one account, as two nodes would, and each request's limit decides.
 *
 * Who may leave: whose holder has no permit in hand and none to give back; for whom nobody waits and no
 * trip is out or held back; and whose local share has been forgotten by time. Uses that were not reported
 * yet are no reason to stay, or a user of a long window would stay for most of it: the store then counts
 * them as used at the end of the term, a little later than they were. If a holder were dropped with permits
 * in hand it would still be strict, but they would be lost for a term and a window.
 *
 * Locks: a bucket's, then at most one other bucket's by trying, then the pool's. */
#include "limiter/roster.h"

#include <string.h>

#include "base/contract.h"
#include "limit/limit.h"

static inline uint64_t name_word(const struct store_name *name, unsigned which) {
    uint64_t word;
    memcpy(&word, name->bytes + 8 * which, sizeof word);
    return word;
}

static uint32_t bucket_count_for(uint32_t users_max) {
    uint32_t count = 1;
    while (count < users_max / ROSTER_LOAD_USERS) count *= 2;
    return count;
}

static size_t buckets_bytes(uint32_t users_max) {
    return (size_t)bucket_count_for(users_max) * sizeof(struct bucket);
}

size_t roster_bytes(uint32_t users_max) {
    return buckets_bytes(users_max) + (size_t)users_max * sizeof(struct entry);
}

void roster_init(struct roster *r, void *memory, uint32_t users_max) {
    REQUIRE(users_max > 0);
    REQUIRE(users_max <= ROSTER_USERS_MAX);
    char *entries = (char *)memory + buckets_bytes(users_max);
    *r            = (struct roster){.buckets      = memory,
                                    .entries      = (struct entry *)(void *)entries,
                                    .bucket_count = bucket_count_for(users_max),
                                    .entries_max  = users_max,
                                    .free         = ROSTER_NOWHERE};
}

void roster_wipe(struct roster *r) {
    memset(r->buckets, 0, r->bucket_count * sizeof *r->buckets);
    roster_init(r, r->buckets, r->entries_max);
}

struct bucket *roster_bucket(struct roster *r, const struct store_name *name) {
    return &r->buckets[name_word(name, 1) & (r->bucket_count - 1)];
}

struct bucket *roster_lock(struct roster *r, const struct store_name *name) {
    struct bucket *b = roster_bucket(r, name);
    spin_lock(&b->lock);
    return b;
}

struct bucket *roster_lock_entry(struct roster *r, struct entry *e) {
    for (;;) {
        uint32_t number = atomic_load_explicit(&e->bucket, memory_order_acquire);
        if (number == ROSTER_NOWHERE) return NULL;
        struct bucket *b = &r->buckets[number];
        spin_lock(&b->lock);
        if (atomic_load_explicit(&e->bucket, memory_order_relaxed) == number) return b;
        spin_unlock(&b->lock); /* it was given to somebody else meanwhile */
    }
}

struct entry *roster_find(struct roster *r, const struct bucket *b, const struct store_name *name,
                          uint64_t limit, uint64_t window_ns) {
    uint64_t tag = name_word(name, 0);
    for (uint32_t i = 0; i < b->count; i++) {
        if (b->tag[i] != tag) continue;
        struct entry *e = &r->entries[b->entry[i]];
        if (e->limit == limit && e->window_ns == window_ns &&
            name_word(&e->name, 1) == name_word(name, 1))
            return e;
    }
    return NULL;
}

/* --- who leaves ------------------------------------------------------------------------------ */

bool entry_has_nothing(const struct entry *e) {
    for (unsigned i = 0; i < HOLDER_LEASES; i++) {
        const struct holder_lease *l    = &e->holder.leases[i];
        uint64_t                   used = l->base;
        if (l->state == LEASE_NONE) continue;
        if (l->state != LEASE_OVER) return false;
        for (uint32_t k = 0; k < l->use_count; k++) used += l->uses[k].count;
        if (used < l->granted) return false;
    }
    return true;
}

static bool entry_may_leave(const struct entry *e, uint64_t now_ns) {
    return e->trips_out == 0 && !e->is_held && e->first == NULL && entry_has_nothing(e) &&
           limit_is_fresh(&e->local, now_ns);
}

static void pool_put(struct roster *r, struct entry *e) {
    atomic_store_explicit(&e->bucket, ROSTER_NOWHERE, memory_order_release);
    spin_lock(&r->pool);
    e->next_free = r->free;
    r->free      = e->number;
    spin_unlock(&r->pool);
    atomic_fetch_sub_explicit(&r->count, 1, memory_order_relaxed);
}

static void bucket_drop(struct roster *r, struct bucket *b, uint32_t place) {
    struct entry *e = &r->entries[b->entry[place]];
    b->count--;
    b->tag[place]   = b->tag[b->count];
    b->entry[place] = b->entry[b->count];
    pool_put(r, e);
    atomic_fetch_add_explicit(&r->evicted, 1, memory_order_relaxed);
}

/* Of those who may leave a bucket, whoever has not asked for longest does. */
static bool bucket_evict(struct roster *r, struct bucket *b, uint64_t now_ns) {
    uint32_t oldest = ROSTER_PLACES;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct entry *e = &r->entries[b->entry[i]];
        if (!entry_may_leave(e, now_ns)) continue;
        if (oldest == ROSTER_PLACES || e->newest_ns < r->entries[b->entry[oldest]].newest_ns)
            oldest = i;
    }
    if (oldest == ROSTER_PLACES) return false;
    bucket_drop(r, b, oldest);
    return true;
}

/* The same in other buckets, which are passed over if they are busy. */
static bool roster_sweep(struct roster *r, const struct bucket *own, uint64_t now_ns) {
    for (uint32_t i = 0; i < ROSTER_SWEEP_MAX; i++) {
        uint32_t       hand = atomic_fetch_add_explicit(&r->hand, 1, memory_order_relaxed);
        struct bucket *b    = &r->buckets[hand & (r->bucket_count - 1)];
        if (b == own || !spin_try(&b->lock)) continue;
        bool has_evicted = bucket_evict(r, b, now_ns);
        spin_unlock(&b->lock);
        if (has_evicted) return true;
    }
    return false;
}

/* --- who comes ------------------------------------------------------------------------------- */

static struct entry *pool_take(struct roster *r) {
    struct entry *e = NULL;
    spin_lock(&r->pool);
    if (r->free != ROSTER_NOWHERE) {
        e       = &r->entries[r->free];
        r->free = e->next_free;
    } else if (r->untouched < r->entries_max) {
        e         = &r->entries[r->untouched];
        e->number = r->untouched++;
    }
    spin_unlock(&r->pool);
    return e;
}

struct entry *roster_claim(struct roster *r, struct bucket *b, const struct store_name *name,
                           uint64_t limit, uint64_t window_ns, uint64_t now_ns) {
    if (b->count == ROSTER_PLACES && !bucket_evict(r, b, now_ns)) return NULL;
    struct entry *e = pool_take(r);
    if (e == NULL && (bucket_evict(r, b, now_ns) || roster_sweep(r, b, now_ns))) e = pool_take(r);
    if (e == NULL) return NULL;

    e->name            = *name;
    e->limit           = limit;
    e->window_ns       = window_ns;
    b->tag[b->count]   = name_word(name, 0);
    b->entry[b->count] = e->number;
    b->count++;
    atomic_store_explicit(&e->bucket, (uint32_t)(b - r->buckets), memory_order_release);
    atomic_fetch_add_explicit(&r->count, 1, memory_order_relaxed);
    return e;
}
