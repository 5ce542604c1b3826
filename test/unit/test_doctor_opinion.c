/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_opinion.h"

#include <string.h>

#include "support/check.h"

static struct doctor_facts   facts;
static struct doctor_opinion opinion;

/* One server without a fault; each test takes something away. */
static struct doctor_server *good(void) {
    memset(&facts, 0, sizeof facts);
    facts.server_count          = 1;
    struct doctor_server server = {.address      = "h:1",
                                   .version      = "7.2.4",
                                   .role         = "master",
                                   .min_replicas = 1,
                                   .max_lag_s    = 10,
                                   .policy       = "noeviction",
                                   .appendonly   = "yes",
                                   .appendfsync  = "always"};
    facts.servers[0]            = server;
    return &facts.servers[0];
}

static const struct doctor_finding *found(const char *name) {
    doctor_judge(&facts, &opinion);
    for (unsigned i = 0; i < opinion.finding_count; i++)
        if (strcmp(opinion.findings[i].name, name) == 0) return &opinion.findings[i];
    return NULL;
}

static void check_level(const char *name, enum doctor_level level) {
    const struct doctor_finding *finding = found(name);
    CHECK_SAYS(finding != NULL, "nothing is said of %s", name);
    CHECK_EQ(finding->level, level);
    CHECK_EQ(finding->remedy[0] == '\0', level == DOCTOR_FINE);
    CHECK_EQ(opinion.level, level);
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
    (void)good();
    facts.replicas_wanted = 1;
    check_level("replicas", DOCTOR_CAVEAT);
}

TEST(a_clock_that_goes_wrong_is_a_caveat) {
    good()->rate_ppm = -1001;
    check_level("clock", DOCTOR_CAVEAT);
    good()->rate_ppm = 1000;
    check_level("clock", DOCTOR_FINE);
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
    server->replicas   = 1;
    facts.slots_served = 16383;
    check_level("cluster", DOCTOR_BROKEN);
    memcpy(facts.cluster_state, "fail", 5);
    facts.slots_served = 16384;
    check_level("cluster", DOCTOR_BROKEN);
}
