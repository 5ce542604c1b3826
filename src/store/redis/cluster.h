/* SPDX-License-Identifier: MIT
 *
 * cluster: which server has a slot?
 *
 * A map of all slots, asked of any server (CLUSTER SLOTS, which Redis from 3.0 and Valkey answer alike).
 * MOVED changes one slot at once. Doubt (MOVED, a connection that broke, CLUSTERDOWN) asks for the whole
 * map, but one question at a time, a tenth of a second apart, later and later while nobody answers. */
#ifndef WEIR_STORE_REDIS_CLUSTER_H
#define WEIR_STORE_REDIS_CLUSTER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/redis/node.h"
#include "store/redis/slot.h"

struct redis;

struct cluster {
    struct redis *client;
    struct node  *node_of[SLOT_COUNT]; /* NULL: not known */
    bool          is_asking;
    unsigned      failures; /* in a row */
    uint64_t      asked_ns;
    uint64_t      ask_ns;
    char          problem[REDIS_PROBLEM_BYTES_MAX];
};

/* The hosts of the URL are where it begins. False: no memory. */
bool cluster_init(struct cluster *cluster, struct redis *client);

/* Whether a server has answered with one, in which some slots may be nobody's. */
bool cluster_has_map(const struct cluster *cluster);

/* The map may be wrong. */
void cluster_doubt(struct cluster *cluster);
/* One slot of it is. */
void cluster_move(struct cluster *cluster, uint16_t slot, struct node *node);

/* What became of the client's own question; the reply is only read. NULL: there is none. */
void cluster_answered(struct cluster *cluster, const struct link *link,
                      const struct redisReply *reply);

/* Once a turn; returns when it wants to be called again. */
uint64_t cluster_turn(struct cluster *cluster, uint64_t now_ns);

#endif
