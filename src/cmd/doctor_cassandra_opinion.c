/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_cassandra_opinion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "base/text.h"

enum {
    VERSION_MAJOR_MIN = 4,
    RATE_PPM_MAX =
        1000, /* what claims allow a process's clock to be wrong in its rate by default */
};

#define DEADLINE_USUAL_NS UINT64_C(20000000)

/* A process that has not beaten for 5 s may not use what it claims; it beats several times in that. */
#define BEAT_NS_MAX UINT64_C(1000000000)

/* Rows live for two hours at least, and nobody uses them after half of that. */
#define CLOCK_SLACK_NS UINT64_C(3600000000000)
#define CLOCK_APART_NS UINT64_C(600000000000) /* so far apart clocks are wrong, and may go on so */
#define CLOCK_NOTED_NS UINT64_C(5000000000)

/* What follows from the replication, of each user. */
struct quorum {
    unsigned replicas;
    unsigned needed; /* a quorum of them */
    unsigned there;  /* nodes that may have them, at most as many as replicas */
    unsigned datacenters;
    unsigned most_in_one;
};

static struct quorum quorum_of(const struct doctor_cassandra *facts) {
    struct quorum q = {0};
    for (unsigned i = 0; i < facts->factor_count; i++) {
        const struct doctor_factor *factor = &facts->factors[i];
        q.replicas += factor->replicas;
        q.there += factor->replicas < factor->nodes ? factor->replicas : factor->nodes;
        q.datacenters += factor->replicas > 0;
        if (factor->replicas > q.most_in_one) q.most_in_one = factor->replicas;
    }
    q.needed = q.replicas / 2 + 1;
    return q;
}

/* ---- the store ---- */

static void judge_schema(struct doctor_opinion *opinion, const struct doctor_cassandra *facts) {
    const char *problem = facts->schema_problem;
    const char *cure    = strstr(problem, "; "); /* which the line below says */
    int         bytes   = cure != NULL ? (int)(cure - problem) : (int)strlen(problem);
    switch (facts->schema) {
    case DDL_READY:
        doctor_find(opinion, DOCTOR_FINE, "", "schema", "", "version %d, in the keyspace %s",
                    DDL_VERSION, facts->keyspace);
        return;
    case DDL_NO_KEYSPACE:
    case DDL_NO_TABLE:
        doctor_find(opinion, DOCTOR_IDLE, "", "schema", "run weir init with this URL", "%.*s",
                    bytes, problem);
        return;
    case DDL_OTHER:
        doctor_find(opinion, DOCTOR_BROKEN, "", "schema",
                    "name another keyspace in the URL, or drop the table while no limit is in use, "
                    "and run weir init",
                    "%.*s", bytes, problem);
        return;
    case DDL_UNASKED: break;
    }
    doctor_find(opinion, DOCTOR_IDLE, "", "schema",
                "let the user of the URL read system_schema, and look again", "not told: %.200s",
                problem);
}

static void write_factors(const struct doctor_cassandra *facts, char *text, size_t room) {
    size_t used = 0;
    text[0]     = '\0';
    for (unsigned i = 0; i < facts->factor_count && used < room; i++) {
        const struct doctor_factor *factor = &facts->factors[i];
        used += (size_t)snprintf(text + used, room - used, "%s%s%s%u", i > 0 ? ", " : "",
                                 factor->datacenter, factor->datacenter[0] != '\0' ? " " : "",
                                 factor->replicas);
    }
}

/* The worst that there is to say; "": nothing. One replica more at a time, and a repair between: then each
 * quorum of now has one of each quorum of before. From one to three it need not. Another class moves them. */
static const char *replication_remedy(const struct doctor_cassandra *facts, const struct quorum *q,
                                      enum doctor_level *level) {
    bool is_simple  = strcmp(facts->strategy, "SimpleStrategy") == 0;
    bool is_network = strcmp(facts->strategy, "NetworkTopologyStrategy") == 0;
    *level          = DOCTOR_CAVEAT;
    if (!is_simple && !is_network)
        return "use NetworkTopologyStrategy, set while no limit is in use: what follows from this one "
               "is not known here";
    if (facts->has_odd_factor)
        return "give data centres whole numbers of replicas: transient ones were not looked into";
    if (q->replicas == 1)
        return "ALTER KEYSPACE to two replicas, nodetool repair --full, then to three and repair "
               "again; at once only while no limit is in use: with one no node may be away, and who "
               "loses its disk loses what was used";
    *level = DOCTOR_IDLE;
    if (q->there < q->needed)
        return "add nodes, or ALTER KEYSPACE to fewer replicas: a quorum can never be reached, so "
               "everything is denied";
    if (q->needed == q->replicas)
        return "ALTER KEYSPACE to three replicas, then nodetool repair --full: with two a quorum is both, "
               "so no node may be away";
    if (q->there < q->replicas)
        return "add nodes: there are fewer than replicas, and those that are missing count as away";
    if (is_simple && facts->datacenter_count > 1)
        return "use NetworkTopologyStrategy, set while no limit is in use: SimpleStrategy puts replicas "
               "into whatever data centre comes next, so any trip may wait for a far one";
    *level = DOCTOR_FINE;
    return "";
}

static void judge_replication(struct doctor_opinion *opinion, const struct doctor_cassandra *facts,
                              const struct quorum *q) {
    char              factors[128];
    enum doctor_level level;
    const char       *remedy = replication_remedy(facts, q, &level);
    write_factors(facts, factors, sizeof factors);
    doctor_find(opinion, level, "", "replication", remedy, "%s, %s", facts->strategy, factors);

    bool     waits_far = q->datacenters > 1 && q->needed > q->most_in_one;
    unsigned away      = q->there > q->needed ? q->there - q->needed : 0;
    doctor_find(opinion, DOCTOR_FINE, "", "consistency", "",
                "QUORUM: %u of %u replicas%s; %u of them may be away%s", q->needed, q->replicas,
                q->datacenters > 1 ? ", in whatever data centres" : "", away,
                waits_far ? "; each trip waits for another data centre: LOCAL_QUORUMs of two need "
                            "not overlap"
                          : "");
    doctor_find(
        opinion, facts->is_durable ? DOCTOR_FINE : DOCTOR_BROKEN, "", "durability",
        "ALTER KEYSPACE ... WITH durable_writes = true: without it a node that restarts has "
        "forgotten all since its last flush",
        "durable_writes %s", facts->is_durable ? "true" : "false");
}

static void judge_nodes(struct doctor_opinion *opinion, const struct doctor_cassandra *facts) {
    unsigned answer = 0;
    for (unsigned i = 0; i < facts->node_count; i++) answer += facts->nodes[i].problem[0] == '\0';
    char more[64] = "";
    if (facts->left_out > 0)
        (void)snprintf(more, sizeof more, "; %u more were not looked at", facts->left_out);
    doctor_find(opinion, answer == facts->node_count ? DOCTOR_FINE : DOCTOR_IDLE, "", "nodes",
                "start those that do not answer, or open their port to us: see below",
                "%u of %u answer, in %u data centre%s%s", answer, facts->node_count,
                facts->datacenter_count, facts->datacenter_count > 1 ? "s" : "", more);
}

/* No server's clock is compared with ours by anything that weir decides. But rows expire by them. */
static void judge_clocks(struct doctor_opinion *opinion, const struct doctor_cassandra *facts) {
    int64_t  least = INT64_MAX, most = INT64_MIN;
    uint64_t far = 0;
    for (unsigned i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];
        if (!n->has_clock) continue;
        if (n->skew_ns < least) least = n->skew_ns;
        if (n->skew_ns > most) most = n->skew_ns;
        far = larger(far, (uint64_t)llabs(n->skew_ns));
    }
    if (most < least) return;
    uint64_t          apart = (uint64_t)most - (uint64_t)least;
    enum doctor_level level = apart >= CLOCK_SLACK_NS   ? DOCTOR_BROKEN
                              : apart >= CLOCK_APART_NS ? DOCTOR_CAVEAT
                                                        : DOCTOR_FINE;
    char              apart_text[TEXT_DURATION_BYTES_MAX], far_text[TEXT_DURATION_BYTES_MAX];
    text_duration_write_short((int64_t)apart, apart_text);
    text_duration_write_short((int64_t)far, far_text);
    doctor_find(
        opinion, level, "", "clocks",
        "set the nodes' clocks, with care: rows expire by them, and an hour is what they may "
        "be wrong by",
        "%s apart, %s from ours%s", apart_text, far_text,
        far > CLOCK_NOTED_NS ? ": rows expire by the nodes' clocks, nothing else uses them" : "");
}

/* The servers' rates matter to nothing, and so they are a measure for ours, which does: it is wrong if all of
 * them disagree with it, for certain, by more than strictness allows for. */
static void judge_rates(struct doctor_opinion *opinion, const struct doctor_cassandra *facts) {
    int64_t  least = INT64_MAX, most = INT64_MIN;
    unsigned known = 0, slower = 0, faster = 0;
    for (unsigned i = 0; i < facts->node_count; i++) {
        const struct doctor_node *n = &facts->nodes[i];
        if (!n->has_rate) continue;
        known++;
        if (n->rate.least_ppm < least) least = n->rate.least_ppm;
        if (n->rate.most_ppm > most) most = n->rate.most_ppm;
        faster += n->rate.least_ppm > RATE_PPM_MAX;
        slower += n->rate.most_ppm < -RATE_PPM_MAX;
    }
    if (known == 0) return;
    bool is_ok = slower < known && faster < known;
    doctor_find(opinion, is_ok ? DOCTOR_FINE : DOCTOR_CAVEAT, "", "clock rates",
                "let this host's clock be set right, by slewing it, and look again: processes here "
                "may use what they claim for too long or too short a time",
                "the nodes' clocks go %+lld to %+lld ppm beside this host's%s", (long long)least,
                (long long)most,
                slower + faster > 0 && is_ok ? "; some are wrong, which harms nothing here" : "");
}

/* ---- trips ---- */

static void judge_trips(struct doctor_opinion *opinion, const struct doctor_cassandra *facts) {
    if (facts->trip_problem[0] != '\0') {
        bool is_right = facts->trip_error == CQL_ERROR_UNAUTHORIZED;
        doctor_find(opinion, DOCTOR_IDLE, "", "writes",
                    is_right ? "GRANT SELECT and MODIFY ON KEYSPACE to the user of the URL"
                             : "a quorum of the replicas of each user must be up and take writes",
                    "%.200s", facts->trip_problem);
        return;
    }
    doctor_find(opinion, DOCTOR_FINE, "", "round trip", "",
                "a write and a read at QUORUM: p50 %.3f ms, p99 %.3f ms",
                (double)facts->trip_p50_ns / 1e6, (double)facts->trip_p99_ns / 1e6);

    uint64_t deadline_ns = facts->deadline_ns != 0 ? facts->deadline_ns : DEADLINE_USUAL_NS;
    char     deadline[TEXT_DURATION_BYTES_MAX];
    text_duration_write_short((int64_t)deadline_ns, deadline);
    doctor_find(
        opinion, facts->trip_p50_ns <= deadline_ns ? DOCTOR_FINE : DOCTOR_IDLE, "", "deadline",
        "say a larger deadline in the URL: a decision waits no longer, and the policy decides",
        "a decision waits for %s%s", deadline,
        facts->trip_p99_ns > deadline_ns ? ": less than the slowest trip in a hundred" : "");
    doctor_find(opinion, facts->conditional_p50_ns <= BEAT_NS_MAX ? DOCTOR_FINE : DOCTOR_IDLE, "",
                "beat",
                "look after the nodes: a process that cannot beat may not use what it claims",
                "a conditional write, one a second for each process: p50 %.3f ms",
                (double)facts->conditional_p50_ns / 1e6);
}

/* ---- each node ---- */

/* A node that is killed forgets what it has not yet handed to its system, which it does each tenth of a
 * second; one that loses power what it has not yet synced. */
static void judge_commit_log(struct doctor_opinion *opinion, const struct doctor_node *n) {
    static const char set[] =
        "set commitlog_sync: batch (or group) in its cassandra.yaml; until then strict if no node dies "
        "so while another replica of its users is away or behind, and no two within that time";
    const char *address    = n->node.address;
    bool        is_durable = strcmp(n->sync, "batch") == 0 || strcmp(n->sync, "group") == 0;
    if (is_durable) {
        doctor_find(opinion, DOCTOR_FINE, address, "commit log", "",
                    "commitlog_sync %s: what it confirms is on its disk", n->sync);
    } else if (n->sync[0] != '\0') {
        doctor_find(opinion, DOCTOR_CAVEAT, address, "commit log", set,
                    "commitlog_sync %s: killed, it forgets what it confirmed in the last 100 ms; "
                    "without power, in the last %s",
                    n->sync, n->period[0] != '\0' ? n->period : "ten seconds");
    } else {
        doctor_find(
            opinion, DOCTOR_CAVEAT, address, "commit log",
            "look into its cassandra.yaml: commitlog_sync should be batch or group. Cassandra 4.0 "
            "and newer tell it, to users who may SELECT from system_views.settings",
            "not told%s%.160s", n->sync_problem[0] != '\0' ? ": " : "", n->sync_problem);
    }
}

static void judge_node(struct doctor_opinion *opinion, const struct doctor_node *n) {
    long major = strtol(n->node.version, NULL, 10);
    doctor_find(opinion, major >= VERSION_MAJOR_MIN ? DOCTOR_FINE : DOCTOR_CAVEAT, n->node.address,
                "version", "upgrade to Cassandra 4.0 or newer: older ones were not looked into",
                "%s", n->node.version[0] != '\0' ? n->node.version : "not told");
    bool answers = n->problem[0] == '\0';
    doctor_find(
        opinion, answers ? DOCTOR_FINE : DOCTOR_IDLE, n->node.address, "node",
        "start it, or open its port to us: as long as it is away its users have one replica "
        "less",
        "data centre %s, rack %s%s%.120s", n->node.datacenter, n->node.rack, answers ? "" : ": ",
        n->problem);
    if (answers) judge_commit_log(opinion, n);
}

void doctor_cassandra_judge(const struct doctor_cassandra *facts, struct doctor_opinion *opinion) {
    struct quorum q        = quorum_of(facts);
    opinion->level         = DOCTOR_FINE;
    opinion->is_idle       = false;
    opinion->finding_count = 0;
    judge_schema(opinion, facts);
    if (facts->strategy[0] != '\0') judge_replication(opinion, facts, &q);
    judge_nodes(opinion, facts);
    judge_clocks(opinion, facts);
    judge_rates(opinion, facts);
    if (facts->schema == DDL_READY) judge_trips(opinion, facts);
    for (unsigned i = 0; i < facts->node_count; i++) judge_node(opinion, &facts->nodes[i]);
}

const char *doctor_cassandra_promise(enum doctor_level level) {
    switch (level) {
    case DOCTOR_FINE: return "strict: as long as the nodes keep what they have confirmed";
    case DOCTOR_IDLE:
        return "strict, but limits deny too much, or everything, or will when a node is away: what is "
               "marked - says why";
    case DOCTOR_CAVEAT:
        return "strict until nodes are killed, or lose power or their disks: what is marked ! says "
               "which";
    case DOCTOR_BROKEN: break;
    }
    return "not strict: what is marked x must change first";
}

const char *doctor_cassandra_promise_more(const struct doctor_opinion *opinion) {
    if (!opinion->is_idle || opinion->level == DOCTOR_IDLE) return "";
    return "limits deny too much, or everything, or will when a node is away, all the same: what is "
           "marked - says why";
}
