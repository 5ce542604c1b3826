/* SPDX-License-Identifier: MIT
 *
 * control: which nodes are there, and who owns what?
 *
 * A channel of its own to any one node, which is asked for all of them (system.local and system.peers_v2, or
 * system.peers before Cassandra 4) and for the replication of our keyspace, and which tells of changes
 * (REGISTER). An event is a doubt, and a doubt asks for everything again, once for all that come together.
 * When the node is lost, the next one is asked: a node that we know to be up, or a host of the URL. */
#ifndef WEIR_STORE_CASSANDRA_CONTROL_H
#define WEIR_STORE_CASSANDRA_CONTROL_H

#include "store/cassandra/peer.h"
#include "store/cassandra/token_ring.h"

struct cassandra;

enum control_step {
    CONTROL_RESTING,
    CONTROL_REGISTER,
    CONTROL_LOCAL,
    CONTROL_PEERS_V2,
    CONTROL_PEERS,
    CONTROL_KEYSPACE,
};

struct control {
    struct cassandra      *client;
    struct channel_setting setting;
    struct channel         channel;
    enum control_step      step;      /* whose answer is expected */
    bool                   is_known;  /* the nodes are */
    bool                   has_no_v2; /* system.peers_v2 is not there */
    unsigned               contact_index;
    unsigned               failures; /* in a row */
    uint64_t               asked_ns;
    uint64_t               ask_ns; /* when to ask again */
    int32_t                error;  /* of enum cql_error_code, why nothing is known; or -1 */
    char                   problem[CASSANDRA_PROBLEM_BYTES_MAX];

    /* What the answers tell, until all are there. */
    struct peer_facts         *members;
    uint32_t                   member_room;
    struct token_ring          ring; /* its nodes are the members */
    struct token_ring_strategy strategy;
    char                       datacenters[TOKEN_RING_DATACENTERS_MAX][PEER_NAME_BYTES_MAX];
    unsigned                   datacenter_count;
};

void control_init(struct control *control, struct cassandra *client);
void control_clear(struct control *control);

/* Whether it is in vain to wait for it. */
bool control_is_hopeless(const struct control *control);

/* Once a turn; returns when it wants to be called again. */
uint64_t control_turn(struct control *control, uint64_t now_ns);

#endif
