/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_cassandra_opinion.h"

#include <stdio.h>
#include <string.h>

#include "support/check.h"
#include "support/opinion.h"

static struct doctor_cassandra facts;
static struct doctor_opinion   opinion;

#define MS_NS     UINT64_C(1000000)
#define SECOND_NS INT64_C(1000000000)

static void set(char *out, const char *text) { memcpy(out, text, strlen(text) + 1); }

/* Three nodes without a fault; each test takes something away. */
static struct doctor_node *good(void) {
    memset(&facts, 0, sizeof facts);
    set(facts.keyspace, "weir");
    set(facts.strategy, "NetworkTopologyStrategy");
    facts.schema             = DDL_READY;
    facts.is_durable         = true;
    facts.factor_count       = 1;
    facts.factors[0]         = (struct doctor_factor){"here", 3, 3};
    facts.trip_error         = -1;
    facts.trip_p50_ns        = MS_NS;
    facts.trip_p99_ns        = 2 * MS_NS;
    facts.conditional_p50_ns = 5 * MS_NS;
    facts.node_count         = 3;
    facts.datacenter_count   = 1;
    for (unsigned i = 0; i < 3; i++) {
        struct doctor_node *n = &facts.nodes[i];
        (void)snprintf(n->node.address, sizeof n->node.address, "h%u:9042", i);
        set(n->node.datacenter, "here");
        set(n->node.rack, "r1");
        set(n->node.version, "5.0.9");
        set(n->sync, "batch");
        n->has_clock = n->has_rate = true;
        n->rate                    = (struct doctor_rate){-400, 300};
    }
    return facts.nodes;
}

static const struct doctor_finding *found(const char *name) {
    doctor_cassandra_judge(&facts, &opinion);
    return opinion_of(&opinion, name);
}

static void check_level(const char *name, enum doctor_level level) {
    doctor_cassandra_judge(&facts, &opinion);
    opinion_check(&opinion, name, level);
}

TEST(three_replicas_that_keep_what_they_confirm_are_strict) {
    (void)good();
    check_level("replication", DOCTOR_FINE);
    CHECK_CONTAINS(found("consistency")->value, "2 of 3 replicas; 1 of them may be away");
    CHECK_CONTAINS(doctor_cassandra_promise(opinion.level), "strict: ");
    CHECK_STR_EQ(doctor_cassandra_promise_more(&opinion), "");
}

TEST(a_commit_log_that_is_synced_later_is_a_caveat_of_its_node) {
    set(good()[1].sync, "periodic");
    set(facts.nodes[1].period, "10000ms");
    check_level("commit log", DOCTOR_CAVEAT);
    CHECK_STR_EQ(found("commit log")->server, "h1:9042");
    CHECK_CONTAINS(found("commit log")->value,
                   "in the last 100 ms; without power, in the last 10000ms");
    set(good()[2].sync, "group");
    check_level("commit log", DOCTOR_FINE);
    good()[0].sync[0] = '\0';
    set(facts.nodes[0].sync_problem, "UNAUTHORIZED");
    check_level("commit log", DOCTOR_CAVEAT);
    CHECK_CONTAINS(found("commit log")->value, "not told: UNAUTHORIZED");
}

TEST(writes_that_no_commit_log_has_are_not_strict) {
    (void)good();
    facts.is_durable = false;
    check_level("durability", DOCTOR_BROKEN);
}

TEST(fewer_than_three_replicas_cost_something) {
    (void)good();
    facts.factors[0].replicas = 1;
    check_level("replication", DOCTOR_CAVEAT);
    /* Two of three that were one before the repair may both know nothing. */
    CHECK_CONTAINS(
        found("replication")->remedy,
        "ALTER KEYSPACE to two replicas, nodetool repair --full, then to three and repair");
    CHECK_CONTAINS(found("replication")->remedy, "loses what was used");
    (void)good();
    facts.factors[0].replicas = 2;
    check_level("replication", DOCTOR_IDLE);
    CHECK_CONTAINS(found("replication")->remedy,
                   "ALTER KEYSPACE to three replicas, then nodetool repair --full");
    CHECK_CONTAINS(found("consistency")->value, "2 of 2 replicas; 0 of them may be away");
    (void)good();
    facts.factors[0].replicas = facts.factors[0].nodes = 5;
    check_level("replication", DOCTOR_FINE);
    CHECK_CONTAINS(found("consistency")->value, "3 of 5 replicas; 2 of them may be away");
}

TEST(replicas_need_nodes) {
    (void)good();
    facts.factors[0].nodes = 1;
    check_level("replication", DOCTOR_IDLE);
    CHECK_CONTAINS(found("replication")->remedy, "can never be reached");
    facts.factors[0].nodes = 2;
    check_level("replication", DOCTOR_IDLE);
    CHECK_CONTAINS(found("replication")->remedy, "count as away");
    CHECK_CONTAINS(found("consistency")->value, "0 of them may be away");
    facts.factors[0].replicas = 0;
    check_level("replication", DOCTOR_IDLE);
}

TEST(quorums_of_two_data_centres_wait_for_the_far_one) {
    (void)good();
    facts.datacenter_count = facts.factor_count = 2;
    facts.factors[1]                            = (struct doctor_factor){"there", 3, 3};
    check_level("replication", DOCTOR_FINE);
    CHECK_CONTAINS(found("consistency")->value, "4 of 6 replicas, in whatever data centres");
    CHECK_CONTAINS(found("consistency")->value, "each trip waits for another data centre");
    facts.factors[1].replicas = 1;
    CHECK(strstr(found("consistency")->value, "each trip waits") == NULL);
}

TEST(other_strategies) {
    (void)good();
    set(facts.strategy, "SimpleStrategy");
    facts.factors[0].datacenter[0] = '\0';
    check_level("replication", DOCTOR_FINE);
    facts.datacenter_count = 2;
    check_level("replication", DOCTOR_IDLE);
    CHECK_CONTAINS(found("replication")->remedy, "while no limit is in use");
    set(facts.strategy, "OurOwnStrategy");
    check_level("replication", DOCTOR_CAVEAT);
    CHECK_CONTAINS(found("replication")->remedy, "while no limit is in use");
    (void)good();
    facts.has_odd_factor = true;
    check_level("replication", DOCTOR_CAVEAT);
}

TEST(without_tables_nothing_is_given_and_other_tables_are_not_ours) {
    (void)good();
    facts.schema = DDL_NO_TABLE;
    set(facts.schema_problem, "there is no table weir.weir_claims; run it");
    check_level("schema", DOCTOR_IDLE);
    CHECK_STR_EQ(found("schema")->value, "there is no table weir.weir_claims");
    CHECK(found("round trip") == NULL);
    facts.schema      = DDL_NO_KEYSPACE;
    facts.strategy[0] = '\0';
    check_level("schema", DOCTOR_IDLE);
    CHECK(found("replication") == NULL);
    (void)good();
    facts.schema = DDL_OTHER;
    check_level("schema", DOCTOR_BROKEN);
}

TEST(a_node_that_does_not_answer_is_named) {
    set(good()[2].problem, "Connection refused");
    check_level("node", DOCTOR_IDLE);
    CHECK_STR_EQ(found("node")->server, "h2:9042");
    CHECK_CONTAINS(found("nodes")->value, "2 of 3 answer");
    set(facts.nodes[0].sync, "periodic");
    check_level("commit log", DOCTOR_CAVEAT);
    CHECK_CONTAINS(doctor_cassandra_promise_more(&opinion), "marked -");
}

TEST(trips_that_are_slow_or_refused_give_no_permits) {
    (void)good();
    facts.trip_p50_ns = 30 * MS_NS;
    check_level("deadline", DOCTOR_IDLE);
    facts.deadline_ns = 40 * MS_NS;
    check_level("deadline", DOCTOR_FINE);
    facts.deadline_ns = MS_NS;
    check_level("deadline", DOCTOR_IDLE);
    (void)good();
    facts.conditional_p50_ns = 1001 * MS_NS;
    check_level("beat", DOCTOR_IDLE);
    (void)good();
    facts.trip_error = CQL_ERROR_UNAUTHORIZED;
    set(facts.trip_problem, "UNAUTHORIZED: no");
    check_level("writes", DOCTOR_IDLE);
    CHECK_CONTAINS(found("writes")->remedy, "GRANT");
}

TEST(clocks_matter_when_rows_would_expire_too_early) {
    good()[1].skew_ns = -3 * SECOND_NS;
    check_level("clocks", DOCTOR_FINE);
    good()[1].skew_ns = 601 * SECOND_NS;
    check_level("clocks", DOCTOR_CAVEAT);
    good()[1].skew_ns = 3600 * SECOND_NS;
    check_level("clocks", DOCTOR_BROKEN);
    for (unsigned i = 0; i < 3; i++)
        facts.nodes[i].skew_ns = 3600 * SECOND_NS; /* then ours is wrong */
    check_level("clocks", DOCTOR_FINE);
    CHECK_CONTAINS(found("clocks")->value, "1h from ours: rows expire by the nodes' clocks");
}

TEST(the_rate_of_our_clock_is_doubted_if_all_nodes_disagree_for_certain) {
    (void)good();
    check_level("clock rates", DOCTOR_FINE);
    CHECK_CONTAINS(found("clock rates")->value, "go -400 to +300 ppm");
    for (unsigned i = 0; i < 2; i++) facts.nodes[i].rate = (struct doctor_rate){1001, 1500};
    check_level("clock rates", DOCTOR_FINE);
    CHECK_CONTAINS(found("clock rates")->value, "go -400 to +1500 ppm beside this host's; some");
    facts.nodes[2].rate = (struct doctor_rate){1000, 1500};
    check_level("clock rates", DOCTOR_FINE);
    facts.nodes[2].rate = (struct doctor_rate){1001, 1500};
    check_level("clock rates", DOCTOR_CAVEAT);
    CHECK_CONTAINS(found("clock rates")->remedy, "this host's clock");
    for (unsigned i = 0; i < 3; i++) facts.nodes[i].rate = (struct doctor_rate){-3000, -1001};
    check_level("clock rates", DOCTOR_CAVEAT);
    for (unsigned i = 0; i < 3; i++) facts.nodes[i].has_rate = false;
    doctor_cassandra_judge(&facts, &opinion);
    CHECK_EQ(opinion_of(&opinion, "clock rates"), NULL);
}

TEST(old_servers_were_not_looked_into) {
    set(good()[0].node.version, "3.11.17");
    check_level("version", DOCTOR_CAVEAT);
}
