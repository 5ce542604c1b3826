/* SPDX-License-Identifier: MIT
 *
 * cluster_nodes: which nodes does a Cassandra cluster have? As one of them tells it. */
#ifndef WEIR_CMD_CLUSTER_NODES_H
#define WEIR_CMD_CLUSTER_NODES_H

#include <stdbool.h>
#include <stdint.h>

#include "store/cassandra/cassandra.h"

enum { CLUSTER_NODES_MAX = 64, CLUSTER_TEXT_BYTES_MAX = 64 };

struct cluster_node {
    struct cql_uuid id;
    char            address[CASSANDRA_SERVER_BYTES_MAX]; /* "host:port" */
    char            datacenter[CLUSTER_TEXT_BYTES_MAX];
    char            rack[CLUSTER_TEXT_BYTES_MAX];
    char            version[CLUSTER_TEXT_BYTES_MAX]; /* empty: it is not told */
};

struct cluster_nodes {
    unsigned            count;
    unsigned            left_out;                 /* beyond CLUSTER_NODES_MAX */
    struct cluster_node nodes[CLUSTER_NODES_MAX]; /* the one that told it first */
};

/* One question without values to `node`; NULL: to any. Waits for two seconds at most. False: `result` says
 * why there are no rows. cassandra_result_clear() must follow in any case. */
bool cluster_ask(struct cassandra *c, const struct cql_uuid *node, const char *text,
                 struct cassandra_result *result);

/* Whether it answers us. The same for `result`. */
bool cluster_answers(struct cassandra *c, const struct cql_uuid *node,
                     struct cassandra_result *result);

/* A column as text; what is no printable ASCII becomes ?. */
void cluster_text(struct cql_value value, char *out, size_t room);

/* False: `result` says why not; cassandra_result_clear() must follow. */
bool cluster_nodes_ask(struct cassandra *c, struct cluster_nodes *nodes,
                       struct cassandra_result *result);

#endif
