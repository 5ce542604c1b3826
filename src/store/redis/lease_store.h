/* SPDX-License-Identifier: MIT
 *
 * lease_store: the accounts of a fleet on Redis: store/store.h over the client and lease.lua.
 *
 * Trips that are there when the client's thread takes its turn go out together, those of one shard as one
 * call of the script, so that servers do less for each the more there is to do.
 *
 * Keys: weir:{TAG} is a shard's clock and weir:{TAG}:NAME an account of it; the braces keep them in one slot
 * of a Cluster. A server alone, or behind Sentinels, is one shard. A Cluster is LEASE_STORE_SHARDS, whose
 * tags are chosen so that their slots are evenly spread. Accounts expire some time after they equal new
 * ones; clocks never do. */
#ifndef WEIR_STORE_REDIS_LEASE_STORE_H
#define WEIR_STORE_REDIS_LEASE_STORE_H

#include "store/redis/redis.h"
#include "store/store.h"

enum { LEASE_STORE_SHARDS = 48 };

struct lease_store;

/* `options` are those of the client but for its turn, and copied: texts in it, and the URL, must stay until
 * the store is closed, since a child of fork() opens it anew. Does not wait for a server. NULL: see
 * `problem`. */
struct lease_store *lease_store_open(struct view url, const struct redis_options *options,
                                     char problem[REDIS_PROBLEM_BYTES_MAX]);

/* For fleet_open(); its close() frees all. */
struct store *lease_store_interface(struct lease_store *s);

/* The first word about a set-up that has never been used: no permit is out, so nothing need be waited for.
 * Says so on each shard whose clock is not there yet, or has granted nothing, and was asked by nobody who
 * knew another one; counts these. Waits until the deadline at most. False: `result` says what is wrong;
 * the caller clears it. True: result->is_confirmed says whether the replicas that are waited for have it,
 * of all shards. */
bool lease_store_begin(struct lease_store *s, uint64_t deadline_ns, uint32_t *begun,
                       struct redis_result *result);

/* How far back a store knows what was granted, of the shard that knows least: limits whose window and term
 * are longer than this are denied. UINT64_MAX: from the first on. */
struct lease_past {
    uint64_t us; /* for limits with windows below a week */
    uint64_t
        long_us; /* for all others: what makes the store lose the past of those is none for them */
    uint64_t
        born_us; /* by the shard's clock, when the last past was lost or a record made; 0: never */
};

/* Steps the clocks that are there, as any question does, so that a loss that nobody has noticed yet is told,
 * too. The rest is as above. */
bool lease_store_past(struct lease_store *s, uint64_t deadline_ns, struct lease_past *past,
                      struct redis_result *result);

/* The same of one shard. */
bool lease_store_past_of(struct lease_store *s, uint32_t shard, uint64_t deadline_ns,
                         struct lease_past *past, struct redis_result *result);

#endif
