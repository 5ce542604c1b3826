/* SPDX-License-Identifier: MIT
 *
 * client: what the thread of a client has, shared by the files that know how servers are found.
 *
 * All but the first group is the thread's alone. */
#ifndef WEIR_STORE_REDIS_CLIENT_H
#define WEIR_STORE_REDIS_CLIENT_H

#include <stdatomic.h>

#include "store/net/engine.h"
#include "store/redis/cluster.h"
#include "store/redis/node.h"
#include "store/redis/sentinel.h"

enum {
    CLIENT_NODES_MAX = 1024,
};

/* After those of enum link_count. */
enum client_count { CLIENT_REDIRECTS = LINK_COUNTS, CLIENT_REFRESHES, CLIENT_COUNTS };

struct redis {
    /* What any thread touches. */
    struct engine    engine;
    _Atomic uint64_t counts[CLIENT_COUNTS];

    struct url          url;
    unsigned            connections;
    SSL_CTX            *tls;
    struct link_setting setting;
    struct random       random;
    bool                is_restless; /* a link was given something */
    struct request_list parked;
    struct node        *nodes[CLIENT_NODES_MAX];
    unsigned            node_count;
    struct node        *gone;    /* freed at the end of the turn */
    struct node        *primary; /* where all slots are; not in a Cluster. NULL: not known yet */
    struct sentinel     sentinel;
    struct cluster      cluster;
};

static inline void client_count(struct redis *r, enum client_count which) {
    atomic_fetch_add_explicit(&r->counts[which], 1, memory_order_relaxed);
}

/* A command of the client's own: whoever asked is told by way of `owner` of its link's setting. NULL: no
 * memory. */
struct request *client_ask(const struct view *words, unsigned count);

/* The node at this address, which is made if there is none. NULL: no memory, or CLIENT_NODES_MAX. */
struct node *client_node(struct redis *r, const struct url_host *host);
/* Takes a node away; what it had goes elsewhere. */
void client_forget(struct redis *r, struct node *node);
/* All slots are there from now on. */
void client_set_primary(struct redis *r, const struct url_host *host);
/* Now it is known whom to ask. */
void client_unpark(struct redis *r);

#endif
