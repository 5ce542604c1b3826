/* SPDX-License-Identifier: MIT */
#include "cmd/cluster_nodes.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "os/clock.h"
#include "store/net/url_part.h"

enum { COLUMNS = 6, PORT_USUAL = 9042 };

#define ASK_NS UINT64_C(2000000000)

bool cluster_ask(struct cassandra *c, const struct cql_uuid *node, const char *text,
                 struct cassandra_result *result) {
    cassandra_call(c,
                   &(struct cassandra_request){.text        = view_of(text),
                                               .node        = node,
                                               .consistency = CQL_ONE,
                                               .deadline_ns = clock_now_ns() + ASK_NS},
                   result);
    return result->status == CASSANDRA_DONE && result->result.kind == CQL_ROWS;
}

bool cluster_answers(struct cassandra *c, const struct cql_uuid *node,
                     struct cassandra_result *result) {
    return cluster_ask(c, node, "SELECT key FROM system.local WHERE key = 'local'", result);
}

void cluster_text(struct cql_value value, char *out, size_t room) {
    size_t bytes = value.bytes.bytes < room ? value.bytes.bytes : room - 1;
    for (size_t i = 0; i < bytes; i++) {
        char c = value.bytes.data[i];
        out[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    out[bytes] = '\0';
}

/* host_id, data_center, rack, release_version, address, and a port in some. False: the node is half known, as
 * one that is just joining or leaving. */
static bool node_read(const struct cql_value *values, struct cluster_node *node) {
    struct url_host host   = {.port = PORT_USUAL};
    struct cql_inet inet   = {.address_bytes = 0};
    int32_t         port   = 0;
    int             family = AF_INET;
    if (!cql_value_uuid(values[0], &node->id)) return false;
    cluster_text(values[1], node->datacenter, sizeof node->datacenter);
    cluster_text(values[2], node->rack, sizeof node->rack);
    cluster_text(values[3], node->version, sizeof node->version);
    if (cql_value_inet(values[4], &inet) && inet.address_bytes == sizeof inet.address)
        family = AF_INET6;
    if (inet.address_bytes == 0 ||
        inet_ntop(family, inet.address, host.name, sizeof host.name) == NULL)
        return false;
    if (cql_value_int(values[5], &port) && port > 0 && port <= UINT16_MAX)
        host.port = (uint16_t)port;
    url_host_write(&host, node->address, sizeof node->address);
    return node->datacenter[0] != '\0';
}

static void nodes_add(struct cluster_nodes *nodes, struct cql_rows rows) {
    struct cql_value    values[COLUMNS];
    struct cluster_node node;
    while (cql_rows_next(&rows, values, COLUMNS)) {
        if (!node_read(values, &node)) continue;
        if (nodes->count == CLUSTER_NODES_MAX) {
            nodes->left_out++;
        } else {
            nodes->nodes[nodes->count++] = node;
        }
    }
}

bool cluster_nodes_ask(struct cassandra *c, struct cluster_nodes *nodes,
                       struct cassandra_result *result) {
    nodes->count = nodes->left_out = 0;
    if (!cluster_ask(c, NULL,
                     "SELECT host_id, data_center, rack, release_version, rpc_address "
                     "FROM system.local WHERE key = 'local'",
                     result))
        return false;
    nodes_add(nodes, result->result.rows);
    if (nodes->count == 0) {
        (void)snprintf(result->problem, sizeof result->problem,
                       "the server does not tell its own address and data centre");
        return false;
    }
    /* Where it answers is known better than what it says of itself. */
    struct cluster_node *first = &nodes->nodes[0];
    if (result->server != NULL)
        (void)snprintf(first->address, sizeof first->address, "%s", result->server);
    cassandra_result_clear(result);

    bool has_v2 = cluster_ask(c, &first->id,
                              "SELECT host_id, data_center, rack, release_version, native_address, "
                              "native_port FROM system.peers_v2",
                              result);
    if (!has_v2 && result->error == CQL_ERROR_INVALID) { /* before Cassandra 4 */
        cassandra_result_clear(result);
        has_v2 = cluster_ask(c, &first->id,
                             "SELECT host_id, data_center, rack, release_version, rpc_address "
                             "FROM system.peers",
                             result);
    }
    if (has_v2) nodes_add(nodes, result->result.rows);
    if (has_v2) cassandra_result_clear(result);
    return has_v2;
}
