/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_opinion.h"

#include <string.h>

#include "support/check.h"
#include "support/opinion.h"

static struct doctor_facts   facts;
static struct doctor_opinion opinion;

/* One server without a fault; each test takes something away. */
static struct doctor_server *good(void) {
    memset(&facts, 0, sizeof facts);
    facts.server_count          = 1;
    facts.is_past_told          = true;
    facts.past                  = (struct lease_past){.us = UINT64_MAX, .long_us = UINT64_MAX};
    struct doctor_server server = {.address      = "h:1",
                                   .version      = "7.2.4",
                                   .role         = "master",
                                   .min_replicas = 1,
                                   .max_lag_s    = 10,
                                   .policy       = "noeviction",
                                   .appendonly   = "yes",
                                   .appendfsync  = "always",
                                   .has_clock    = true};
    facts.servers[0]            = server;
    return &facts.servers[0];
}

static const struct doctor_finding *found(const char *name) {
    doctor_judge(&facts, &opinion);
    return opinion_of(&opinion, name);
}

static void check_level(const char *name, enum doctor_level level) {
    doctor_judge(&facts, &opinion);
    opinion_check(&opinion, name, level);
}

TEST(a_lone_server_that_keeps_everything_is_strict) {
    (void)good();
    check_level("disk", DOCTOR_FINE);
    CHECK_CONTAINS(doctor_promise(opinion.level), "strict: ");
}

TEST(what_forgets_users_is_not_strict) {
    struct doctor_server *server = good();
    memcpy(server->policy, "allkeys-lru", 12);
    check_level("eviction", DOCTOR_BROKEN);
    CHECK_CONTAINS(doctor_promise(opinion.level), "not strict");
    memcpy(good()->version, "6.0.16", 7);
    check_level("version", DOCTOR_BROKEN);
    memcpy(good()->version, "6.2.0", 6);
    check_level("version", DOCTOR_FINE);
    memcpy(good()->role, "slave", 6);
    check_level("role", DOCTOR_BROKEN);
    memcpy(good()->script_problem, "NOPERM", 7);
    check_level("scripts", DOCTOR_BROKEN);
}

TEST(what_a_server_does_not_tell_is_not_guessed) {
    struct doctor_server *server = good();
    server->role[0] = server->version[0] = '\0';
    server->replicas                     = DOCTOR_UNKNOWN;
    facts.replicas_wanted                = 1;
    check_level("role", DOCTOR_CAVEAT);
    CHECK_STR_EQ(found("role")->value, "not told");
    server->maxmemory = DOCTOR_UNKNOWN;
    CHECK_STR_EQ(found("eviction")->value, "maxmemory-policy noeviction, maxmemory not told");
    CHECK_STR_EQ(found("version")->value, "not told");
    CHECK_STR_EQ(found("replicas")->value, "not told");
}

TEST(a_store_without_a_past_denies) {
    (void)good();
    check_level("past", DOCTOR_FINE);
    facts.past = (struct lease_past){.us = UINT64_C(86400000000), .long_us = UINT64_MAX};
    check_level("past", DOCTOR_FINE);
    facts.past = (struct lease_past){.us = 7000000, .long_us = 7000000};
    check_level("past", DOCTOR_IDLE);
    CHECK_CONTAINS(found("past")->value, "before the last 7s");
    CHECK_CONTAINS(found("past")->remedy, "weir init");
    facts.past = (struct lease_past){.us = 0, .long_us = 0};
    check_level("past", DOCTOR_IDLE);
    facts.is_past_told = false;
    check_level("past", DOCTOR_CAVEAT);
    memcpy(facts.servers[0].script_problem, "NOPERM", 7);
    CHECK(found("past") == NULL);
}

TEST(of_a_replica_nothing_is_said_that_a_primary_should_do) {
    memcpy(good()->role, "slave", 6);
    check_level("role", DOCTOR_BROKEN);
    CHECK(found("replicas") == NULL);
    CHECK(found("waiting") == NULL);
}

TEST(why_no_script_runs_has_its_own_remedy) {
    static const struct {
        enum trouble trouble;
        const char  *remedy;
    } cases[] = {{TROUBLE_NOPERM, "run EVALSHA"},
                 {TROUBLE_OOM, "maxmemory"},
                 {TROUBLE_NOREPLICAS, "replicas"},
                 {TROUBLE_READONLY, "name the primary"},
                 {TROUBLE_CLUSTERDOWN, "assign all slots"},
                 {TROUBLE_COMMAND, "renamed"},
                 {TROUBLE_SCRIPT, "its log"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct doctor_server *server = good();
        memcpy(server->script_problem, "why", 4);
        server->script_trouble = cases[i].trouble;
        CHECK_CONTAINS(found("scripts")->remedy, cases[i].remedy);
    }
}

TEST(what_a_restart_or_a_power_loss_takes_is_a_caveat) {
    memcpy(good()->appendonly, "no", 3);
    check_level("disk", DOCTOR_CAVEAT);
    memcpy(good()->appendfsync, "everysec", 9);
    check_level("disk", DOCTOR_CAVEAT);
    good()->appendonly[0] = '\0';
    check_level("disk", DOCTOR_CAVEAT);
    good()->policy[0] = '\0';
    check_level("eviction", DOCTOR_CAVEAT);
}

TEST(with_replicas_all_must_be_waited_for_and_a_lone_primary_must_stop) {
    good()->replicas      = 2;
    facts.replicas_wanted = 2;
    check_level("waiting", DOCTOR_FINE);
    good()->replicas      = 2;
    facts.replicas_wanted = 1;
    check_level("waiting", DOCTOR_CAVEAT);
    good()->replicas              = 1;
    facts.replicas_wanted         = 1;
    facts.servers[0].min_replicas = 0;
    check_level("min-replicas", DOCTOR_CAVEAT);
    good()->replicas              = 1;
    facts.replicas_wanted         = 1;
    facts.servers[0].min_replicas = DOCTOR_UNKNOWN;
    check_level("min-replicas", DOCTOR_CAVEAT);
}

TEST(what_no_permit_can_be_given_by_is_said_although_it_is_strict) {
    (void)good();
    facts.replicas_wanted = 1;
    check_level("replicas", DOCTOR_IDLE);
    CHECK_CONTAINS(doctor_promise(opinion.level), "deny too much");
    good()->replicas      = 1;
    facts.replicas_wanted = 2;
    check_level("waiting", DOCTOR_IDLE);
    good()->trip_p50_ns = 2000000;
    check_level("round trip", DOCTOR_FINE);
    good()->trip_p50_ns = 2000001;
    check_level("round trip", DOCTOR_IDLE);
    good()->trip_p50_ns = 2000001;
    facts.round_trip_ns = 1000001;
    check_level("round trip", DOCTOR_FINE);
}

TEST(replicas_that_do_not_confirm_are_as_good_as_none) {
    good()->replicas       = 1;
    facts.replicas_wanted  = 1;
    facts.servers[0].trips = facts.servers[0].trips_unconfirmed = 3;
    memcpy(facts.servers[0].wait_problem, "NOPERM", 7);
    check_level("waiting", DOCTOR_IDLE);
    CHECK_CONTAINS(found("waiting")->value, "NOPERM");
    CHECK_CONTAINS(found("waiting")->remedy, "look after the replicas");
    CHECK_SAYS(found("round trip") == NULL, "nothing is known of it");
}

TEST(confirmations_are_judged_where_it_is_not_told_how_many_replicas_there_are) {
    good()->replicas       = DOCTOR_UNKNOWN;
    facts.replicas_wanted  = 1;
    facts.servers[0].trips = facts.servers[0].trips_unconfirmed = 3;
    check_level("replicas", DOCTOR_CAVEAT);
    CHECK_EQ(found("waiting")->level, DOCTOR_IDLE);
    CHECK(opinion.is_idle);
    CHECK_STR_EQ(found("waiting")->value,
                 "weir waits for 1 of the replicas in vain: a second is not enough");
    facts.servers[0].trips_unconfirmed = 0;
    check_level("waiting", DOCTOR_CAVEAT);
    CHECK_STR_EQ(found("waiting")->value, "weir waits for 1 of the replicas");
    CHECK(!opinion.is_idle);
    facts.replicas_wanted = 0;
    CHECK(found("waiting") == NULL);
}

/* As if `late` of 200 trips were confirmed after the patience of the URL, and `never` not at all. */
static void confirms(unsigned late, unsigned never) {
    struct doctor_server *server = good();
    server->replicas             = 1;
    server->trips                = 200;
    server->trips_late           = late;
    server->trips_unconfirmed    = never;
    server->trip_p50_ns          = 1000000;
    server->trip_p95_ns          = 2000000;
    server->trip_p99_ns          = 61000000;
    facts.replicas_wanted        = 1;
    facts.wait_ns                = 10000000;
}

TEST(one_confirmation_in_twenty_that_is_missing_is_one_too_many) {
    confirms(10, 0);
    check_level("waiting", DOCTOR_IDLE);
    CHECK_CONTAINS(found("waiting")->value,
                   "of 200 trips 10 were confirmed after more than the URL's 10ms");
    CHECK_CONTAINS(found("waiting")->remedy, "say round-trip=31ms");
    confirms(0, 10);
    check_level("waiting", DOCTOR_IDLE);
    CHECK_CONTAINS(found("waiting")->value, "and 10 not at all");
    CHECK_CONTAINS(found("waiting")->remedy, "look after the replicas");
    confirms(6, 4);
    check_level("waiting", DOCTOR_IDLE);
    CHECK_CONTAINS(found("waiting")->remedy, "say round-trip=31ms");
    confirms(5, 4);
    check_level("waiting", DOCTOR_FINE);
    CHECK_CONTAINS(found("waiting")->value, "5 were confirmed after");
    confirms(0, 0);
    check_level("waiting", DOCTOR_FINE);
    CHECK_STR_EQ(found("waiting")->value, "weir waits for 1 of 1 replicas");
}

TEST(a_trip_in_twenty_that_is_slow_is_said_with_the_round_trip_that_fits) {
    confirms(0, 0);
    facts.servers[0].trip_p95_ns = 2000001;
    check_level("round trip", DOCTOR_IDLE);
    CHECK_CONTAINS(found("round trip")->value,
                   "in windows below 3.2s one permit in twenty comes too late");
    CHECK_CONTAINS(found("round trip")->remedy, "say round-trip=1100us");
    facts.servers[0].trip_p50_ns = 45600000;
    check_level("round trip", DOCTOR_IDLE);
    CHECK_CONTAINS(found("round trip")->value, "in any window most permits come too late");
    CHECK_CONTAINS(found("round trip")->remedy, "say round-trip=46ms");
    facts.servers[0].trip_p50_ns = 1230001;
    check_level("round trip", DOCTOR_IDLE);
    CHECK_CONTAINS(found("round trip")->remedy, "say round-trip=1300us");
    facts.servers[0].trip_p95_ns = 4000000000;
    check_level("round trip", DOCTOR_IDLE);
    CHECK_CONTAINS(found("round trip")->remedy, "say round-trip=1s");
}

/* What is advised to whoever reads this finding of the server with this number. */
static const char *advised(const char *name, const char *server) {
    doctor_judge(&facts, &opinion);
    for (unsigned i = 0; i < opinion.finding_count; i++)
        if (strcmp(opinion.findings[i].name, name) == 0 &&
            strcmp(opinion.findings[i].server, server) == 0)
            return opinion.findings[i].remedy;
    return "nothing is said";
}

TEST(one_round_trip_is_advised_for_all_that_is_found) {
    confirms(10, 0);
    facts.servers[0].trip_p95_ns = 11000000;
    CHECK_CONTAINS(advised("waiting", "h:1"), "say round-trip=31ms");
    CHECK_CONTAINS(advised("round trip", "h:1"), "say round-trip=31ms");

    facts.servers[1] = facts.servers[0];
    memcpy(facts.servers[1].address, "h:2", 4);
    facts.servers[1].trips_late  = 0;
    facts.servers[1].trip_p50_ns = 44000000;
    facts.server_count           = 2;
    CHECK_CONTAINS(advised("waiting", "h:1"), "say round-trip=44ms");
    CHECK_CONTAINS(advised("round trip", "h:1"), "say round-trip=44ms");
    CHECK_CONTAINS(advised("round trip", "h:2"), "say round-trip=44ms");
}

TEST(where_no_script_runs_nothing_is_said_of_trips) {
    struct doctor_server *server = good();
    server->replicas             = 1;
    facts.replicas_wanted        = 1;
    memcpy(server->script_problem, "NOPERM", 7);
    CHECK_STR_EQ(found("scripts")->value, "NOPERM");
    CHECK(found("round trip") == NULL);
    CHECK_EQ(found("waiting")->level, DOCTOR_FINE);
    CHECK_CONTAINS(found("waiting")->value, "1 of 1 replicas; whether they confirm is not known");
}

TEST(a_slow_trip_is_too_late_for_short_windows_alone) {
    static const struct {
        uint64_t    trip_ns;
        const char *text;
    } cases[] = {{2000001, "in windows below 3.2s"},
                 {8000000, "in windows below 6.4s"},
                 {8000001, "in windows below 12.8s"},
                 {16000000, "in windows below 12.8s"},
                 {16000001, "in any window"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        good()->trip_p50_ns = cases[i].trip_ns;
        check_level("round trip", DOCTOR_IDLE);
        CHECK_CONTAINS(found("round trip")->value, cases[i].text);
    }
}

TEST(that_no_permit_can_be_given_is_said_beside_what_is_not_strict) {
    (void)good();
    CHECK(found("disk") != NULL && !opinion.is_idle);
    good()->replicas      = 1;
    facts.replicas_wanted = 3;
    memcpy(facts.servers[0].appendonly, "no", 3);
    check_level("disk", DOCTOR_CAVEAT);
    CHECK(opinion.is_idle);
}

TEST(a_clock_that_goes_wrong_is_a_caveat) {
    good()->rate_ppm = -1001;
    check_level("clock", DOCTOR_CAVEAT);
    good()->rate_ppm = 1000;
    check_level("clock", DOCTOR_FINE);
}

TEST(a_clock_that_is_set_meanwhile_is_not_said_to_be_right) {
    good()->has_clock = false;
    check_level("clock", DOCTOR_CAVEAT);
    CHECK_STR_EQ(found("clock")->value, "not told");
}

TEST(a_cluster_needs_all_slots_and_replicas_for_them) {
    struct doctor_server *server = good();
    server->replicas             = 1;
    server->slots                = 16384;
    facts.kind                   = URL_CLUSTER;
    facts.replicas_wanted        = 1;
    facts.slots_served           = 16384;
    memcpy(facts.cluster_state, "ok", 3);
    check_level("cluster", DOCTOR_FINE);
    server->replicas = 0;
    check_level("slots", DOCTOR_CAVEAT);
    server->replicas = DOCTOR_UNKNOWN;
    CHECK(found("slots") == NULL);
    facts.servers[1]       = *server; /* that does not tell either how many it has */
    facts.servers[0].slots = 8000;
    facts.server_count     = 2;
    server->replicas       = 0;
    check_level("slots", DOCTOR_CAVEAT);
    CHECK_STR_EQ(found("slots")->value, "8000 at least without a replica");
    facts.server_count     = 1;
    server->replicas       = 1;
    facts.cluster_state[0] = '\0';
    check_level("cluster", DOCTOR_CAVEAT);
    facts.slots_served = 16383;
    check_level("cluster", DOCTOR_BROKEN);
    CHECK_CONTAINS(found("cluster")->value, "state not told, 16383 of 16384");
    memcpy(facts.cluster_state, "ok", 3);
    check_level("cluster", DOCTOR_BROKEN);
    memcpy(facts.cluster_state, "fail", 5);
    facts.slots_served = 16384;
    check_level("cluster", DOCTOR_BROKEN);
}
