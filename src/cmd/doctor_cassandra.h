/* SPDX-License-Identifier: MIT
 *
 * doctor_cassandra: what do the nodes of a Cassandra cluster say of themselves, and how quick are they? */
#ifndef WEIR_CMD_DOCTOR_CASSANDRA_H
#define WEIR_CMD_DOCTOR_CASSANDRA_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cluster_nodes.h"
#include "cmd/doctor_clock.h"
#include "store/cassandra/ddl.h"

struct shared_url;

enum { DOCTOR_FACTORS_MAX = DDL_FACTORS_MAX, DOCTOR_SETTING_BYTES_MAX = 32 };

/* Texts are empty where it does not tell. */
struct doctor_node {
    struct cluster_node node;
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];      /* why it does not answer us; "": it does */
    char sync[DOCTOR_SETTING_BYTES_MAX];            /* commitlog_sync */
    char period[DOCTOR_SETTING_BYTES_MAX];          /* commitlog_sync_period, with its unit */
    char sync_problem[CASSANDRA_PROBLEM_BYTES_MAX]; /* why it does not tell them */

    bool               has_clock, has_rate;
    int64_t            skew_ns; /* its wall clock, less ours */
    struct doctor_rate rate;    /* beside our monotonic one */
};

struct doctor_factor {
    char     datacenter[CLUSTER_TEXT_BYTES_MAX]; /* empty: of a strategy that knows none */
    unsigned replicas;
    unsigned nodes; /* that may have them */
};

struct doctor_cassandra {
    char           keyspace[DDL_NAME_BYTES_MAX];
    uint64_t       deadline_ns; /* the same */
    enum ddl_state schema;
    char           schema_problem[CASSANDRA_PROBLEM_BYTES_MAX];

    /* The keyspace; not DDL_NO_KEYSPACE */
    char                 strategy[CLUSTER_TEXT_BYTES_MAX]; /* without its package */
    unsigned             factor_count;
    struct doctor_factor factors[DOCTOR_FACTORS_MAX];
    bool                 has_odd_factor; /* one that is no number: transient replicas */
    bool                 is_durable;     /* durable_writes */

    unsigned           node_count, left_out, datacenter_count;
    struct doctor_node nodes[CLUSTER_NODES_MAX];

    /* DDL_READY: a write and a read at QUORUM, and conditional writes */
    char     trip_problem[CASSANDRA_PROBLEM_BYTES_MAX]; /* why they are not done; "" */
    int32_t  trip_error;                                /* enum cql_error_code, or -1 */
    uint64_t trip_p50_ns, trip_p99_ns; /* of a write and the read that follows it */
    uint64_t conditional_p50_ns;
};

/* Asks all nodes; takes some seconds. False: `result` says why none answers. Writes rows of nobody's,
 * which claim nothing and live for a minute. */
bool doctor_cassandra_ask(struct cassandra *c, const struct shared_url *url,
                          struct doctor_cassandra *facts, struct cassandra_result *result);

#endif
