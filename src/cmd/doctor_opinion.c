/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_opinion.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/range.h"
#include "base/text.h"
#include "cmd/store_past.h"
#include "store/redis/slot.h"

enum {
    RATE_PPM_MAX = 1000, /* what strictness allows two clocks to differ in rate by default */
    OFTEN        = 20,   /* one trip in so many is too many to call it fine */
};

#define ROUND_TRIP_USUAL_NS UINT64_C(1000000)    /* where the URL says none */
#define ROUND_TRIP_MAX_NS   UINT64_C(1000000000) /* that it can say */

static void find_untold(struct doctor_opinion *opinion, const char *server, const char *name,
                        const char *remedy) {
    doctor_find(opinion, DOCTOR_CAVEAT, server, name, remedy, "not told");
}

static void judge_version(struct doctor_opinion *opinion, const struct doctor_server *s) {
    if (s->version[0] == '\0') {
        find_untold(opinion, s->address, "version", "allow INFO, or look there");
        return;
    }
    char *rest  = NULL;
    long  major = strtol(s->version, &rest, 10);
    long  minor = *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
    bool  is_ok = major > 6 || (major == 6 && minor >= 2);
    bool  waits = major > 7 || (major == 7 && minor >= 2);
    doctor_find(opinion, is_ok ? DOCTOR_FINE : DOCTOR_BROKEN, s->address, "version",
                "upgrade to Redis 6.2 or newer, or Valkey", "%s; WAIT%s", s->version,
                waits ? " and WAITAOF" : ", no WAITAOF (7.2)");
}

/* What mends it, by what the server says. */
static const char *script_remedy(enum trouble trouble) {
    switch (trouble) {
    case TROUBLE_NOPERM:
        return "let the user of the URL run EVALSHA, SCRIPT LOAD and what docs/redis.md lists";
    case TROUBLE_READONLY:
    case TROUBLE_MASTERDOWN:
    case TROUBLE_UNBLOCKED: return "name the primary in the URL, or the Sentinels that know it";
    case TROUBLE_OOM: return "give it more maxmemory, or take away what else is kept there";
    case TROUBLE_NOREPLICAS:
        return "start the replicas that are missing, or lower min-replicas-to-write";
    case TROUBLE_CLUSTERDOWN:
        return "start the servers that are missing, and assign all slots (CLUSTER NODES)";
    case TROUBLE_COMMAND:
        return "use Redis 6.2 or newer, or Valkey, without EVALSHA and SCRIPT renamed";
    default: return "see what the server says, and its log";
    }
}

static void judge_script(struct doctor_opinion *opinion, const struct doctor_server *s) {
    bool is_ok = s->script_problem[0] == '\0';
    doctor_find(opinion, is_ok ? DOCTOR_FINE : DOCTOR_BROKEN, s->address, "scripts",
                script_remedy(s->script_trouble), "%s",
                is_ok ? "a script that writes is run" : s->script_problem);
}

static bool is_often(uint64_t count, uint64_t of) { return count > 0 && count * OFTEN >= of; }

/* Whether replicas would confirm enough if they were given longer. */
static bool is_confirmed_late(const struct doctor_server *s) {
    return is_often(s->trips_late + s->trips_unconfirmed, s->trips) &&
           s->trips_late > s->trips_unconfirmed;
}

/* What the URL should say of the trips to a server: a usual one, and within twice that, which is believed
 * and waited for in any window, a slow one. Of confirmations that come late the slowest count: where others
 * do not come at all, few may be missing. */
static uint64_t round_trip_for(const struct doctor_server *s) {
    uint64_t slow_ns = is_confirmed_late(s) ? s->trip_p99_ns : s->trip_p95_ns;
    return larger(s->trip_p50_ns, (slow_ns + 1) / 2);
}

/* One URL is for all servers, and for all that is found of them. Two digits, upwards. */
static void write_round_trip(const struct doctor_facts *facts, char out[TEXT_DURATION_BYTES_MAX]) {
    uint64_t wanted_ns = 0, unit_ns = 1000;
    for (unsigned i = 0; i < facts->server_count; i++)
        wanted_ns = larger(wanted_ns, round_trip_for(&facts->servers[i]));
    while (wanted_ns > 100 * unit_ns) unit_ns *= 10;
    wanted_ns = (wanted_ns + unit_ns - 1) / unit_ns * unit_ns;
    text_duration_write((int64_t)smaller(wanted_ns, ROUND_TRIP_MAX_NS), out);
}

/* "1 of 2", or "1 of the" where it is not told how many there are. */
enum { OF_BYTES_MAX = 48 };
static void write_of(const struct doctor_facts *facts, const struct doctor_server *s,
                     char out[OF_BYTES_MAX]) {
    unsigned long long wanted = facts->replicas_wanted, there = s->replicas;
    if (s->replicas == DOCTOR_UNKNOWN)
        (void)snprintf(out, OF_BYTES_MAX, "%llu of the", wanted);
    else
        (void)snprintf(out, OF_BYTES_MAX, "%llu of %llu", wanted, there);
}

/* What replicas did not confirm in time is not given out. */
static void judge_confirmations(struct doctor_opinion *opinion, const struct doctor_facts *facts,
                                const struct doctor_server *s, const char *of,
                                const char *how_many) {
    char fit[TEXT_DURATION_BYTES_MAX];
    char remedy[DOCTOR_WORDS_BYTES_MAX] =
        "let the user of the URL run WAIT, or look after the replicas: no permit is given before "
        "they confirm";
    write_round_trip(facts, fit);
    if (is_confirmed_late(s))
        (void)snprintf(remedy, sizeof remedy,
                       "say round-trip=%s in the URL: replicas have twice that, and 10ms at least, "
                       "to confirm a permit",
                       fit);
    if (s->trips_unconfirmed < s->trips)
        doctor_find(opinion, DOCTOR_IDLE, s->address, "waiting", remedy,
                    "weir waits for %s replicas%s", of, how_many);
    else
        doctor_find(opinion, DOCTOR_IDLE, s->address, "waiting", remedy,
                    "weir waits for %s replicas in vain: %.160s", of,
                    s->wait_problem[0] != '\0' ? s->wait_problem : "a second is not enough");
}

static void judge_waiting(struct doctor_opinion *opinion, const struct doctor_facts *facts,
                          const struct doctor_server *s) {
    unsigned long long wanted = facts->replicas_wanted, there = s->replicas, trips = s->trips;
    unsigned long long late = s->trips_late, never = s->trips_unconfirmed;
    char               how_many[DOCTOR_WORDS_BYTES_MAX / 2] = "", patience[TEXT_DURATION_BYTES_MAX];
    char               of[OF_BYTES_MAX];
    write_of(facts, s, of);
    text_duration_write_short((int64_t)facts->wait_ns, patience);
    if (wanted > 0 && s->script_problem[0] != '\0')
        (void)snprintf(how_many, sizeof how_many,
                       "; whether they confirm is not known, since no script runs");
    if (late + never > 0)
        (void)snprintf(
            how_many, sizeof how_many,
            "; of %llu trips %llu were confirmed after more than the URL's %s, and %llu not at all",
            trips, late, patience, never);
    if (is_often(late + never, trips)) {
        judge_confirmations(opinion, facts, s, of, how_many);
        return;
    }
    if (wanted > there) {
        doctor_find(opinion, DOCTOR_IDLE, s->address, "waiting",
                    "wait for as many as there are: until so many confirm, no permit is given",
                    "weir waits for %s replicas", of);
        return;
    }
    doctor_find(opinion, there > 0 && wanted == there ? DOCTOR_FINE : DOCTOR_CAVEAT, s->address,
                "waiting",
                "wait for all replicas: a failover may promote one that lacks the newest permits",
                "weir waits for %s replicas%s", of, how_many);
}

/* Who is cut off from its replicas and goes on is a second primary for as long as nobody stops it. */
static void judge_replicas(struct doctor_opinion *opinion, const struct doctor_facts *facts,
                           const struct doctor_server *s) {
    bool has_failover = facts->kind != URL_STANDALONE || s->replicas > 0;
    if (!has_failover) {
        doctor_find(
            opinion, facts->replicas_wanted > 0 ? DOCTOR_IDLE : DOCTOR_FINE, s->address, "replicas",
            "weir is to wait for replicas, and there are none: add them or lower --replicas",
            "none: nothing is promoted, and nothing survives the loss of this server");
        return;
    }
    if (s->replicas == DOCTOR_UNKNOWN) {
        find_untold(opinion, s->address, "replicas", "allow INFO, or look there");
        if (facts->replicas_wanted > 0) judge_waiting(opinion, facts, s); /* that was measured */
        return;
    }
    doctor_find(opinion, s->replicas == 0 ? DOCTOR_CAVEAT : DOCTOR_FINE, s->address, "replicas",
                "add a replica: if this server is lost, its users begin anew",
                "%llu connected, %llu bytes behind", (unsigned long long)s->replicas,
                (unsigned long long)s->lag_bytes_max);
    judge_waiting(opinion, facts, s);
    if (s->min_replicas == DOCTOR_UNKNOWN || s->max_lag_s == DOCTOR_UNKNOWN) {
        find_untold(opinion, s->address, "min-replicas", "allow CONFIG GET, or look there");
        return;
    }
    bool is_held = s->min_replicas > 0 && s->max_lag_s > 0;
    doctor_find(opinion, is_held ? DOCTOR_FINE : DOCTOR_CAVEAT, s->address, "min-replicas",
                "set min-replicas-to-write to at least 1, so that a primary that is cut off stops",
                "min-replicas-to-write %llu, max-lag %llu s", (unsigned long long)s->min_replicas,
                (unsigned long long)s->max_lag_s);
}

static void judge_memory(struct doctor_opinion *opinion, const struct doctor_server *s) {
    if (s->policy[0] == '\0') {
        find_untold(opinion, s->address, "eviction", "allow CONFIG GET, or look there");
        return;
    }
    bool              is_kept  = strcmp(s->policy, "noeviction") == 0;
    enum doctor_level level    = is_kept ? DOCTOR_FINE : DOCTOR_BROKEN;
    char              most[24] = "not told";
    if (s->maxmemory != DOCTOR_UNKNOWN)
        (void)snprintf(most, sizeof most, "%llu", (unsigned long long)s->maxmemory);
    doctor_find(opinion, level, s->address, "eviction",
                "set maxmemory-policy noeviction: any other forgets users when memory is full",
                "maxmemory-policy %s, maxmemory %s", s->policy, most);
}

static void judge_disk(struct doctor_opinion *opinion, const struct doctor_server *s) {
    bool is_told   = s->appendonly[0] != '\0';
    bool is_on     = strcmp(s->appendonly, "yes") == 0;
    bool is_always = is_on && strcmp(s->appendfsync, "always") == 0;
    if (!is_told) {
        find_untold(opinion, s->address, "disk", "allow CONFIG GET, or look there");
        return;
    }
    doctor_find(opinion, is_always ? DOCTOR_FINE : DOCTOR_CAVEAT, s->address, "disk",
                is_on
                    ? "set appendfsync always: a power loss takes the last second"
                    : "set appendonly yes: a restart forgets all users, or all since the last save",
                "appendonly %s, appendfsync %s", s->appendonly, s->appendfsync);
}

/* A permit that comes more slowly than is believed of the network is not used. */
static void judge_trip(struct doctor_opinion *opinion, const struct doctor_facts *facts,
                       const struct doctor_server *s) {
    char        said[TEXT_DURATION_BYTES_MAX], window[TEXT_DURATION_BYTES_MAX] = "";
    char        fit[TEXT_DURATION_BYTES_MAX], remedy[DOCTOR_WORDS_BYTES_MAX];
    uint64_t    said_ns  = facts->round_trip_ns != 0 ? facts->round_trip_ns : ROUND_TRIP_USUAL_NS;
    uint64_t    least_ns = doctor_window_ns_min(s->trip_p50_ns, said_ns);
    const char *where = "", *late = "";
    if (least_ns > 0) {
        late = " most permits come too late";
    } else {
        least_ns = doctor_window_ns_min(s->trip_p95_ns, said_ns);
        if (least_ns > 0) late = " one permit in twenty comes too late";
    }
    if (least_ns > 0) where = least_ns == UINT64_MAX ? ": in any window" : ": in windows below ";
    if (least_ns > 0 && least_ns != UINT64_MAX)
        text_duration_write_short((int64_t)least_ns, window);
    text_duration_write_short((int64_t)said_ns, said);
    write_round_trip(facts, fit);
    (void)snprintf(remedy, sizeof remedy,
                   "say round-trip=%s in the URL: it costs long windows little", fit);
    doctor_find(opinion, least_ns == 0 ? DOCTOR_FINE : DOCTOR_IDLE, s->address, "round trip",
                remedy, "p50 %.3f ms, p99 %.3f ms%s; the URL says %s%s%s%s",
                (double)s->trip_p50_ns / 1e6, (double)s->trip_p99_ns / 1e6,
                facts->replicas_wanted > 0 ? " with the replicas" : "", said, where, window, late);
}

static void judge_clock(struct doctor_opinion *opinion, const struct doctor_server *s) {
    if (!s->has_clock) {
        find_untold(opinion, s->address, "clock",
                    "look again: it was set meanwhile, or TIME is not allowed or not answered");
        return;
    }
    bool is_ok = s->rate_ppm >= -RATE_PPM_MAX && s->rate_ppm <= RATE_PPM_MAX;
    doctor_find(opinion, is_ok ? DOCTOR_FINE : DOCTOR_CAVEAT, s->address, "clock",
                "let the machine's clock be slewed slower, and look again: one second is short",
                "%+.3f ms from ours, goes %+lld ppm", (double)s->skew_ns / 1e6,
                (long long)s->rate_ppm);
}

static void judge_role(struct doctor_opinion *opinion, const struct doctor_server *s) {
    if (s->role[0] == '\0') {
        find_untold(opinion, s->address, "role", "allow INFO, or look there");
        return;
    }
    bool is_primary = strcmp(s->role, "master") == 0;
    doctor_find(opinion, is_primary ? DOCTOR_FINE : DOCTOR_BROKEN, s->address, "role",
                "name the primary in the URL, or the Sentinels that know it", "%s",
                is_primary ? "primary" : "replica");
}

static void judge_cluster(struct doctor_opinion *opinion, const struct doctor_facts *facts) {
    bool is_told  = facts->cluster_state[0] != '\0';
    bool is_whole = facts->slots_served == SLOT_COUNT;
    bool is_ok    = is_whole && strcmp(facts->cluster_state, "ok") == 0;
    if (is_whole && !is_told)
        find_untold(opinion, "", "cluster", "allow CLUSTER INFO, or look there");
    else
        doctor_find(
            opinion, is_ok ? DOCTOR_FINE : DOCTOR_BROKEN, "", "cluster",
            "assign all slots, and start the servers that are missing (CLUSTER NODES shows them)",
            "state %s, %llu of %d slots served", is_told ? facts->cluster_state : "not told",
            (unsigned long long)facts->slots_served, SLOT_COUNT);
    /* Not from CLUSTER SLOTS, which leaves out a replica of a primary that has not written anything yet. */
    uint64_t alone   = 0;
    bool     is_sure = true;
    for (unsigned i = 0; i < facts->server_count; i++) {
        if (facts->servers[i].replicas == DOCTOR_UNKNOWN) is_sure = false; /* a finding itself */
        if (facts->servers[i].replicas == 0) alone += facts->servers[i].slots;
    }
    if (alone == 0 && !is_sure) return;
    doctor_find(opinion, alone == 0 ? DOCTOR_FINE : DOCTOR_CAVEAT, "", "slots",
                "give each primary a replica: the users of these slots have none",
                "%llu%s without a replica", (unsigned long long)alone, is_sure ? "" : " at least");
}

/* Nothing is granted that may have been granted before: after FLUSHALL, or a restart without a disk. */
static void judge_past(struct doctor_opinion *opinion, const struct doctor_facts *facts) {
    if (!facts->is_past_told) {
        if (doctor_runs_scripts(facts)) /* else that is a finding itself */
            find_untold(opinion, "", "past", "look again: the store did not answer in time");
        return;
    }
    char text[STORE_PAST_BYTES_MAX];
    bool is_whole = !store_past_write(&facts->past, text);
    bool is_fine  = is_whole || store_past_is_fair(&facts->past);
    doctor_find(opinion, is_fine ? DOCTOR_FINE : DOCTOR_IDLE, "", "past",
                "wait until it knows a window and a lease's term; or say by weir init that it is "
                "new, if it is known that nothing was granted",
                "%s", is_whole ? "all that was granted is known" : text);
}

void doctor_judge(const struct doctor_facts *facts, struct doctor_opinion *opinion) {
    opinion->level         = DOCTOR_FINE;
    opinion->is_idle       = false;
    opinion->finding_count = 0;
    judge_past(opinion, facts);
    if (facts->kind == URL_CLUSTER) judge_cluster(opinion, facts);
    for (unsigned i = 0; i < facts->server_count; i++) {
        const struct doctor_server *s          = &facts->servers[i];
        bool                        is_primary = strcmp(s->role, "master") == 0;
        judge_version(opinion, s);
        bool is_told = s->role[0] != '\0';
        judge_role(opinion, s);
        judge_script(opinion, s);
        if (is_primary || !is_told) judge_replicas(opinion, facts, s);
        judge_memory(opinion, s);
        judge_disk(opinion, s);
        judge_clock(opinion, s);
        if (s->trip_p50_ns > 0) judge_trip(opinion, facts, s);
    }
}

const char *doctor_promise(enum doctor_level level) {
    switch (level) {
    case DOCTOR_FINE: return "strict: as long as the servers keep what they have confirmed";
    case DOCTOR_IDLE:
        return "strict, but limits will deny too much, or everything: what is marked - says why";
    case DOCTOR_CAVEAT:
        return "strict until a failover, a restart or a power loss: what is marked ! says which";
    case DOCTOR_BROKEN: break;
    }
    return "not strict: what is marked x must change first";
}

const char *doctor_promise_more(const struct doctor_opinion *opinion) {
    if (!opinion->is_idle || opinion->level == DOCTOR_IDLE) return "";
    return "limits will deny too much, or everything, all the same: what is marked - says why";
}
