/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_cassandra.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/shared.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/entropy.h"

enum {
    TIMES            = 20, /* that a clock is asked for */
    TRIPS_FIRST      = 10, /* not counted: connecting, preparing, a server that is cold */
    TRIPS            = 100,
    CONDITIONALS     = 20,
    NAME_BYTES       = 16,
    VALUES_MAX       = 2,
    PROBE_BYTES_MAX  = 256,
    NS_PER_MS        = 1000000,
    SETTINGS_COLUMNS = 2,
};

#define READY_NS UINT64_C(10000000000)
#define ASK_NS   UINT64_C(5000000000)
#define TRIPS_NS UINT64_C(2000000000) /* all of one kind */
#define RATE_NS  UINT64_C(2000000000) /* between two looks at a clock */

static bool copy_problem(char out[CASSANDRA_PROBLEM_BYTES_MAX], struct cassandra_result *result) {
    cluster_text((struct cql_value){.presence = CQL_PRESENT, .bytes = view_of(result->problem)},
                 out, CASSANDRA_PROBLEM_BYTES_MAX);
    cassandra_result_clear(result);
    return false;
}

/* ---- the keyspace ---- */

static void count_nodes(struct doctor_cassandra *facts) {
    for (unsigned i = 0; i < facts->node_count; i++) {
        const char *name    = facts->nodes[i].node.datacenter;
        bool        is_seen = false;
        for (unsigned k = 0; k < i; k++)
            is_seen = is_seen || strcmp(name, facts->nodes[k].node.datacenter) == 0;
        facts->datacenter_count += !is_seen;
    }
    for (unsigned f = 0; f < facts->factor_count; f++) {
        struct doctor_factor *factor = &facts->factors[f];
        for (unsigned i = 0; i < facts->node_count; i++)
            factor->nodes += factor->datacenter[0] == '\0' ||
                             strcmp(factor->datacenter, facts->nodes[i].node.datacenter) == 0;
    }
}

/* {'class': 'org.apache.cassandra.locator.NetworkTopologyStrategy', 'here': '3'} */
static void read_replication(struct doctor_cassandra *facts, struct cql_value replication) {
    static const char   factor_word[] = "replication_factor";
    struct cql_elements elements;
    struct cql_value    name, value;
    if (!cql_value_map(replication, &elements)) return;
    while (cql_elements_next(&elements, &name) && cql_elements_next(&elements, &value)) {
        char     text[CLUSTER_TEXT_BYTES_MAX];
        uint64_t replicas = 0;
        if (view_equals(name.bytes, view_of("class"))) {
            const char *dot = NULL;
            for (size_t i = 0; i < value.bytes.bytes; i++)
                if (value.bytes.data[i] == '.') dot = value.bytes.data + i;
            if (dot != NULL)
                value.bytes = view_from(value.bytes, (size_t)(dot - value.bytes.data) + 1);
            cluster_text(value, facts->strategy, sizeof facts->strategy);
            continue;
        }
        if (facts->factor_count == DOCTOR_FACTORS_MAX) continue;
        struct doctor_factor *factor = &facts->factors[facts->factor_count++];
        cluster_text(name, factor->datacenter, sizeof factor->datacenter);
        cluster_text(value, text, sizeof text);
        if (strcmp(factor->datacenter, factor_word) == 0) factor->datacenter[0] = '\0';
        if (!text_number_parse(view_of(text), &replicas)) facts->has_odd_factor = true;
        factor->replicas = (unsigned)replicas;
    }
}

static bool ask_keyspace(struct cassandra *c, struct doctor_cassandra *facts,
                         struct cassandra_result *result) {
    struct cql_value values[2];
    char             text[PROBE_BYTES_MAX];
    facts->schema =
        ddl_look(c, facts->keyspace, NULL, clock_now_ns() + ASK_NS, facts->schema_problem);
    (void)snprintf(text, sizeof text,
                   "SELECT replication, durable_writes FROM system_schema.keyspaces "
                   "WHERE keyspace_name = '%s'",
                   facts->keyspace);
    if (!cluster_ask(c, NULL, text, result)) return false;
    if (cql_rows_next(&result->result.rows, values, 2)) {
        read_replication(facts, values[0]);
        (void)cql_value_boolean(values[1], &facts->is_durable);
    }
    cassandra_result_clear(result);
    return true;
}

/* ---- each node ---- */

static void read_setting(struct doctor_node *n, const struct cql_value *values) {
    struct view name = values[0].bytes;
    if (view_equals(name, view_of("commitlog_sync"))) {
        cluster_text(values[1], n->sync, sizeof n->sync);
    } else if (view_equals(name, view_of("commitlog_sync_period"))) {
        cluster_text(values[1], n->period, sizeof n->period);
    } else if (view_equals(name, view_of("commitlog_sync_period_in_ms")) && n->period[0] == '\0') {
        char text[DOCTOR_SETTING_BYTES_MAX - 2];
        cluster_text(values[1], text, sizeof text);
        (void)snprintf(n->period, sizeof n->period, "%sms", text);
    }
}

static void ask_settings(struct cassandra *c, struct doctor_node *n) {
    struct cassandra_result result;
    struct cql_value        values[SETTINGS_COLUMNS];
    if (!cluster_ask(c, &n->node.id, "SELECT name, value FROM system_views.settings", &result)) {
        (void)copy_problem(n->sync_problem, &result);
        return;
    }
    while (cql_rows_next(&result.result.rows, values, SETTINGS_COLUMNS)) read_setting(n, values);
    cassandra_result_clear(&result);
}

static void ask_clock(struct cassandra *c, const struct cluster_node *node,
                      struct doctor_offset *offset) {
    doctor_offset_begin(offset);
    for (int i = 0; i < TIMES; i++) {
        struct cassandra_result result;
        struct cql_value        value;
        int64_t                 server_ms = 0;
        uint64_t                from_ns   = clock_now_ns();
        bool                    is_told =
            cluster_ask(c, &node->id, "SELECT toUnixTimestamp(now()) FROM system.local", &result);
        uint64_t to_ns = clock_now_ns();
        is_told        = is_told && cql_rows_next(&result.result.rows, &value, 1) &&
                  cql_value_bigint(value, &server_ms);
        cassandra_result_clear(&result);
        if (is_told) doctor_offset_take(offset, server_ms * NS_PER_MS, NS_PER_MS, from_ns, to_ns);
    }
}

static void ask_rate(struct cassandra *c, struct doctor_node *n,
                     const struct doctor_offset *before) {
    struct doctor_offset after;
    clock_sleep_until(before->at_ns + RATE_NS);
    ask_clock(c, &n->node, &after);
    n->has_clock = doctor_offset_is_sound(&after);
    if (n->has_clock) n->skew_ns = doctor_offset_skew_ns(&after);
    n->has_rate = doctor_rate_between(before, &after, &n->rate);
}

static void ask_node(struct cassandra *c, struct doctor_node *n, struct doctor_offset *offset) {
    struct cassandra_result result;
    if (!cluster_answers(c, &n->node.id, &result)) {
        (void)copy_problem(n->problem, &result);
        return;
    }
    cassandra_result_clear(&result);
    ask_settings(c, n);
    ask_clock(c, &n->node, offset);
}

/* ---- trips: as a raise of a claim makes them, and a beat ---- */

static const struct cassandra_statement claim_write = {
    "INSERT INTO weir_claims (name, id, number, permits, demand, resets) VALUES (?, ?, 0, 0, 0, 0) "
    "USING TTL 60"};
static const struct cassandra_statement claim_read = {
    "SELECT id, number, permits, demand, resets FROM weir_claims WHERE name = ?"};
static const struct cassandra_statement claim_join = {
    "INSERT INTO weir_claims (name, id, number, permits, demand, resets) VALUES (?, ?, 0, 0, 0, 0) "
    "IF NOT EXISTS USING TTL 60"};

struct probe {
    char name[NAME_BYTES];
    char id[CQL_BIGINT_BYTES];
};

static bool probe_run(struct cassandra *c, const struct cassandra_statement *statement,
                      const struct probe *probe, bool is_conditional,
                      struct doctor_cassandra *facts) {
    struct cassandra_result result;
    struct view             name               = {probe->name, sizeof probe->name};
    struct view             id                 = {probe->id, sizeof probe->id};
    struct cql_value        values[VALUES_MAX] = {{.presence = CQL_PRESENT, .bytes = name},
                                                  {.presence = CQL_PRESENT, .bytes = id}};
    cassandra_call(c,
                   &(struct cassandra_request){.statement      = statement,
                                               .values         = values,
                                               .value_count    = statement == &claim_read ? 1 : 2,
                                               .key            = name,
                                               .consistency    = CQL_QUORUM,
                                               .is_conditional = is_conditional,
                                               .deadline_ns    = clock_now_ns() + ASK_NS},
                   &result);
    facts->trip_error = result.error;
    if (result.status != CASSANDRA_DONE) return copy_problem(facts->trip_problem, &result);
    cassandra_result_clear(&result);
    return true;
}

static int compare_u64(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static bool probe_fill(struct probe *probe, struct doctor_cassandra *facts) {
    if (entropy_fill(probe, sizeof *probe)) return true;
    (void)snprintf(facts->trip_problem, sizeof facts->trip_problem, "the system has no entropy");
    return false;
}

static void ask_trips(struct cassandra *c, struct doctor_cassandra *facts) {
    struct probe probe;
    uint64_t     trips[TRIPS], until_ns = clock_now_ns() + TRIPS_NS;
    int          count = 0, first = TRIPS_FIRST;
    while (count == 0 || (count < TRIPS && clock_now_ns() < until_ns)) {
        uint64_t from_ns = clock_now_ns();
        if (!probe_fill(&probe, facts)) return;
        if (!probe_run(c, &claim_write, &probe, false, facts)) return;
        if (!probe_run(c, &claim_read, &probe, false, facts)) return;
        if (first-- > 0) continue;
        trips[count++] = clock_now_ns() - from_ns;
    }
    qsort(trips, (size_t)count, sizeof trips[0], compare_u64);
    facts->trip_p50_ns = trips[count / 2];
    facts->trip_p99_ns = trips[count - count / 100 - 1];

    until_ns = clock_now_ns() + TRIPS_NS;
    count    = 0;
    first    = TRIPS_FIRST;
    while (count == 0 || (count < CONDITIONALS && clock_now_ns() < until_ns)) {
        uint64_t from_ns = clock_now_ns();
        if (!probe_fill(&probe, facts)) return;
        if (!probe_run(c, &claim_join, &probe, true, facts)) return;
        if (first-- > 0) continue;
        trips[count++] = clock_now_ns() - from_ns;
    }
    qsort(trips, (size_t)count, sizeof trips[0], compare_u64);
    facts->conditional_p50_ns = trips[count / 2];
}

/* By a client that knows the keyspace, so that it asks replicas, as the store does. */
static void ask_store(const struct shared_url *url, struct doctor_cassandra *facts) {
    struct cassandra *c =
        cassandra_open(view_of(url->servers), &url->cassandra, facts->trip_problem);
    if (c == NULL) return;
    ask_trips(c, facts);
    cassandra_close(c);
}

bool doctor_cassandra_ask(struct cassandra *c, const struct shared_url *url,
                          struct doctor_cassandra *facts, struct cassandra_result *result) {
    static struct cluster_nodes nodes;
    static struct doctor_offset offsets[CLUSTER_NODES_MAX];
    memcpy(facts->keyspace, url->keyspace, sizeof facts->keyspace);
    facts->deadline_ns = (uint64_t)url->deadline_ns;
    facts->trip_error  = -1;
    cassandra_ready(c, clock_now_ns() + READY_NS, result);
    if (result->status != CASSANDRA_DONE) return false;
    cassandra_result_clear(result);
    if (!cluster_nodes_ask(c, &nodes, result)) return false;
    facts->node_count = nodes.count;
    facts->left_out   = nodes.left_out;
    for (unsigned i = 0; i < nodes.count; i++) facts->nodes[i].node = nodes.nodes[i];
    if (!ask_keyspace(c, facts, result)) return false;
    count_nodes(facts);
    for (unsigned i = 0; i < facts->node_count; i++) ask_node(c, &facts->nodes[i], &offsets[i]);
    if (facts->schema == DDL_READY) ask_store(url, facts);
    for (unsigned i = 0; i < facts->node_count; i++)
        if (offsets[i].at_ns > 0) ask_rate(c, &facts->nodes[i], &offsets[i]);
    return true;
}
