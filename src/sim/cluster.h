/* SPDX-License-Identifier: MIT
 *
 * cluster: a model of a replicated store that holds one shard with one user. See cluster.c. */
#ifndef WEIR_SIM_CLUSTER_H
#define WEIR_SIM_CLUSTER_H

#include "lease/account.h"
#include "lease/message.h"
#include "lease/store_clock.h"
#include "sim/scenario.h"
#include "sim/world.h"

enum { CLUSTER_WAITS_MAX = 32 };

/* What a server holds and replicates. */
struct server_state {
    struct store_clock clock;
    struct account     account;
};

/* A request on its way to the store, or its reply on the way back. */
struct parcel {
    uint32_t             node;
    uint64_t             machine; /* on which the node was when it sent this */
    struct lease_request request;
    struct lease_reply   reply;
};

/* A grant that is not shown yet: the server has done so much, and replicas must have it. */
struct server_wait {
    bool          is_used;
    uint64_t      offset;
    uint64_t      number; /* of the wait, so that its deadline finds the right one */
    struct parcel parcel;
};

struct server {
    struct own_clock    wall;
    struct server_state state;
    uint64_t            epoch;  /* of the primary that it is or follows */
    uint64_t            offset; /* changes that it has */
    bool                is_alive;
    bool     is_deposed; /* was the primary, does not know better, and some nodes neither */
    uint64_t link_free_ns[SIM_SERVERS_MAX]; /* to each server: a stream, in order */
    uint64_t acked[SIM_SERVERS_MAX];        /* what each has confirmed */
    struct server_wait waits[CLUSTER_WAITS_MAX];
};

struct cluster {
    struct world          *world;
    const struct scenario *scenario;
    struct random          random_fault, random_link;
    struct server          servers[SIM_SERVERS_MAX];
    uint32_t               server_count;
    uint32_t               primary;
    uint32_t               route[SIM_NODES_MAX]; /* the server that a node talks to */
    uint64_t               epoch;
    uint64_t               wait_count;
    struct server_state    backup; /* an old copy, of which a rollback makes the present */
    bool                   has_backup;

    /* Sends a reply back over the network. */
    void (*reply)(void *context, const struct parcel *parcel);
    void *context;
};

void cluster_begin(struct cluster *c, struct world *w, const struct scenario *s);

/* A request has come over the network, for the server that its node talks to. */
void cluster_serve(struct cluster *c, const struct parcel *parcel);

#endif
