/* SPDX-License-Identifier: MIT
 *
 * hub: what the thread of a client has, shared by the files that know where requests go.
 *
 * All but the first group is the thread's alone. */
#ifndef WEIR_STORE_CASSANDRA_HUB_H
#define WEIR_STORE_CASSANDRA_HUB_H

#include <stdatomic.h>

#include "store/cassandra/contact.h"
#include "store/cassandra/control.h"
#include "store/cassandra/schema.h"
#include "store/net/engine.h"

/* After those of enum channel_count. */
enum hub_count { HUB_RETRIES = CHANNEL_COUNTS, HUB_REFRESHES, HUB_EVENTS, HUB_COUNTS };

struct cassandra {
    /* What any thread touches. */
    struct engine    engine;
    _Atomic uint64_t counts[HUB_COUNTS];

    struct contact         contact;
    unsigned               connections;
    SSL_CTX               *tls;
    struct channel_setting setting;
    struct random          random;
    bool                   is_restless; /* a channel was given something */
    struct query_list      parked;

    const struct cassandra_statement *statements[CASSANDRA_STATEMENTS_MAX];
    uint32_t                          statement_count;

    struct peer               *peers[TOKEN_RING_NODES_MAX]; /* the nodes of the ring */
    unsigned                   peer_count;
    uint32_t                   peer_number; /* of the newest */
    unsigned                   spin;        /* which of a peer's channels is next */
    struct peer               *gone;        /* freed at the end of the turn */
    struct token_ring          ring;
    struct token_ring_strategy strategy;
    struct control             control;
    struct schema              schema;
};

static inline void hub_count(struct cassandra *c, enum hub_count which) {
    atomic_fetch_add_explicit(&c->counts[which], 1, memory_order_relaxed);
}

/* From now on these are the nodes, in the order of the ring's; `ring` gets the former one. False: no memory,
 * and all is as it was. */
bool hub_set_nodes(struct cassandra *c, const struct peer_facts *members, struct token_ring *ring,
                   const struct token_ring_strategy *strategy);
/* Now it is known whom to ask, or that nobody will tell. */
void hub_unpark(struct cassandra *c);
/* Ends a query that was held. */
void hub_end_held(struct cassandra *c, struct query *query, bool is_agreed);

#endif
