/* SPDX-License-Identifier: MIT
 *
 * shared: a store that many hosts share, from its URL.
 *
 * What follows the "?" of the URL is for us and not for the servers: name=value, joined by &, with %XX for a
 * byte in values. See docs/redis.md and docs/cassandra.md for the names. */
#ifndef WEIR_API_SHARED_H
#define WEIR_API_SHARED_H

#include <stdbool.h>

#include <weir.h>

#include "lease/terms.h"
#include "store/cassandra/cassandra.h"
#include "store/cassandra/contact.h"
#include "store/redis/lease_store.h"
#include "store/store.h"

struct claim_store;
struct remote;

/* What a URL says. Zero, or NULL: nothing. */
struct shared_url {
    bool                 is_cassandra;
    char                *text;    /* where the texts of the others are */
    char                *servers; /* what the client reads: up to the "?"; of Cassandra with the
                                     keyspace, also if the URL leaves it out, and the data centre */
    struct redis_options redis;

    /* Cassandra */
    struct cassandra_options cassandra;
    char       *cluster; /* as `servers`, without the keyspace: it may not be there yet */
    char        keyspace[CONTACT_KEYSPACE_BYTES_MAX];
    const char *datacenter; /* as it is written */

    uint64_t    nodes;
    int64_t     deadline_ns, round_trip_ns;
    uint32_t    policy; /* enum weir_policy */
    const char *secret;
};

struct shared {
    struct store        *store; /* whatever it is made of: one of the next two */
    struct lease_store  *redis;
    struct claim_store  *claims;
    struct remote       *remote; /* NULL: opened by shared_open_redis() */
    struct lease_options lease;  /* of the fleet */
    struct shared_url    url;
};

/* Whether the URL names such a store; and whether that is Cassandra. */
bool shared_is_url(const char *url);
bool shared_is_cassandra(const char *url);

/* False: `error` says why, and never quotes a password. shared_url_clear() takes the texts back. */
bool shared_url_read(const char *url, struct shared_url *read, weir_error *error);
void shared_url_clear(struct shared_url *url);

/* False: `error` says why, and never quotes a password. */
bool shared_open(struct shared *s, const char *url, const weir_options *options, weir_error *error);

/* Only the store, which is on Redis; for those who ask about it. */
bool shared_open_redis(struct shared *s, const char *url, weir_error *error);

void shared_close(struct shared *s);

#endif
