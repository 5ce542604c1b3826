/* SPDX-License-Identifier: MIT
 *
 * token_ring: which nodes have the replicas of a partition?
 *
 * Tokens in a circle, each a node's; a partition belongs to the first token that is not below its own, and
 * its other replicas are found by going on from there, as the keyspace's strategy has it. Pure. Nodes, data
 * centres and racks are small numbers here.
 *
 *     SimpleStrategy           the next so many nodes
 *     NetworkTopologyStrategy  for each data centre the next so many of its nodes, each in a rack of its
 *                              own as far as it has so many racks (as Cassandra 4.0 and later do) */
#ifndef WEIR_STORE_CASSANDRA_TOKEN_RING_H
#define WEIR_STORE_CASSANDRA_TOKEN_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TOKEN_RING_NODES_MAX       = 1024,
    TOKEN_RING_PLACES_MAX      = 1024 * 256,
    TOKEN_RING_DATACENTERS_MAX = 32,
    TOKEN_RING_REPLICAS_MAX    = 32, /* of one partition; more are not looked for */
};

struct token_ring_node {
    uint16_t datacenter; /* below TOKEN_RING_DATACENTERS_MAX */
    uint16_t rack;       /* alike only for those of one rack of one data centre */
};

struct token_ring_place {
    int64_t  token;
    uint16_t node;
};

struct token_ring {
    struct token_ring_node   nodes[TOKEN_RING_NODES_MAX];
    uint16_t                 node_count;
    struct token_ring_place *places; /* by token */
    uint32_t                 place_count;
    uint32_t                 place_room;
    /* Of each data centre; by token_ring_end(). */
    uint16_t datacenter_nodes[TOKEN_RING_DATACENTERS_MAX];
    uint16_t datacenter_racks[TOKEN_RING_DATACENTERS_MAX];
};

enum token_ring_strategy_kind {
    TOKEN_RING_NONE, /* not known, or a strategy of somebody's own: there are no replicas to tell */
    TOKEN_RING_SIMPLE,
    TOKEN_RING_NETWORK,
};

struct token_ring_strategy {
    enum token_ring_strategy_kind kind;
    uint16_t                      factor;                              /* TOKEN_RING_SIMPLE */
    uint16_t                      factors[TOKEN_RING_DATACENTERS_MAX]; /* TOKEN_RING_NETWORK */
};

void token_ring_clear(struct token_ring *ring);

/* Room is kept; what is in it is forgotten. */
void token_ring_begin(struct token_ring *ring);
/* False: there is no memory, or there are too many. */
bool token_ring_add_node(struct token_ring *ring, struct token_ring_node node);
bool token_ring_add_place(struct token_ring *ring, int64_t token, uint16_t node);
void token_ring_end(struct token_ring *ring);

/* Returns how many there are, the owner of the token first, the others in the order of the ring. */
size_t token_ring_replicas(const struct token_ring          *ring,
                           const struct token_ring_strategy *strategy, int64_t token,
                           uint16_t replicas[TOKEN_RING_REPLICAS_MAX]);

#endif
