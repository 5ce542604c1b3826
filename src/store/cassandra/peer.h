/* SPDX-License-Identifier: MIT
 *
 * peer: one node of the cluster, and our channels to it. */
#ifndef WEIR_STORE_CASSANDRA_PEER_H
#define WEIR_STORE_CASSANDRA_PEER_H

#include "store/cassandra/channel.h"
#include "wire/cql_value.h"

enum { PEER_NAME_BYTES_MAX = 128 };

/* What the cluster tells of a node. */
struct peer_facts {
    struct cql_uuid id;
    struct url_host told; /* its address, as other nodes know it */
    struct url_host host; /* where we reach it: mostly the same */
    char            datacenter[PEER_NAME_BYTES_MAX];
    char            rack[PEER_NAME_BYTES_MAX];
};

struct peer {
    struct peer_facts facts;
    struct peer      *next_gone;
    bool              is_local; /* of our data centre */
    unsigned          channel_count;
    struct channel    channels[];
};

/* `number` is one that no peer of the client had before, and not 0. NULL: no memory. */
struct peer *peer_new(const struct channel_setting *setting, const struct peer_facts *facts,
                      uint32_t number, unsigned channels);
/* After peer_clear(), and when no event of the loop names its channels any longer. */
void peer_free(struct peer *peer);
void peer_clear(struct peer *peer);

bool     peer_is_up(const struct peer *peer);
void     peer_want(struct peer *peer);
void     peer_hurry(struct peer *peer, uint64_t now_ns);
uint64_t peer_turn(struct peer *peer, uint64_t now_ns);

#endif
