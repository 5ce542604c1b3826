/* SPDX-License-Identifier: MIT */
#include "sim/run.h"

#include <stdlib.h>

#include "base/contract.h"
#include "sim/cluster.h"
#include "sim/node.h"
#include "sim/paxos.h"
#include "sim/ring.h"
#include "sim/world.h"

enum {
    SHARES_MAX    = 1000,
    SHARES_MIN    = 50,
    SHARES_CHANGE = 2000,
    BURST_TIMES   = 15,
    CYCLE_WINDOWS = 7, /* of TRAFFIC_LULLS: a lull, and a rush to one node */
    LULL_WINDOWS  = 5,
    LULL_PERCENT  = 5,
    HALF_PERCENT  = 53, /* of a window, from one half of a limit to the next */
    FIRST_PERCENT = 95,
    WAITS_MAX     = 2000, /* tenths of a millisecond; who waited longer is counted there */
};

struct run {
    struct world           world;
    const struct scenario *scenario;
    struct lease_terms     terms;
    struct cluster         cluster;
    struct ring            ring;
    struct paxos           paxos;
    struct node            nodes[SIM_NODES_MAX];
    struct evidence        evidence;
    struct random          random;
    uint64_t               shares[SIM_NODES_MAX]; /* of the callers */
};

static event_fn run_arrival;
static void     run_reply(void *context, const struct parcel *parcel);
static void     run_ring_reply(void *context, const struct ring_reply *reply, size_t bytes);
static void     run_paxos_reply(void *context, const struct paxos_reply *reply, size_t bytes);
static void     run_share_out(struct run *r);
static void     run_waits(const struct evidence *e, struct run_outcome *outcome);

bool run_scenario(const struct scenario *s, uint64_t seed, FILE *trace,
                  struct run_outcome *outcome) {
    struct run *r = calloc(1, sizeof *r);
    if (r == NULL) return false;
    world_begin(&r->world, seed, trace);
    r->scenario = s;
    r->random   = random_split(&r->world.random);
    lease_terms_make(s->limit, s->window_ns, &s->options, &r->terms);
    REQUIRE(r->terms.mode != LEASE_MODE_BAD);
    REQUIRE(s->nodes <= SIM_NODES_MAX);
    REQUIRE(s->replicas < SIM_SERVERS_MAX);

    bool has_ring = s->members.beat_ns != 0 && !s->has_record;
    if (s->has_record)
        paxos_begin(&r->paxos, &r->world, s);
    else if (has_ring)
        ring_begin(&r->ring, &r->world, s);
    else
        cluster_begin(&r->cluster, &r->world, s);
    r->cluster.reply   = run_reply;
    r->cluster.context = r;
    r->ring.reply      = run_ring_reply;
    r->ring.context    = r;
    r->paxos.reply     = run_paxos_reply;
    r->paxos.context   = r;
    for (uint32_t i = 0; i < s->nodes; i++) {
        struct node *n = &r->nodes[i];
        n->world       = &r->world;
        n->scenario    = s;
        n->terms       = &r->terms;
        n->cluster     = &r->cluster;
        if (has_ring) n->claimer.ring = &r->ring;
        if (s->has_record) n->clerk.paxos = &r->paxos;
        n->evidence = &r->evidence;
        n->nodes    = r->nodes;
        n->number   = i;
        node_begin(n);
    }
    run_share_out(r);
    if (s->traffic != TRAFFIC_GREEDY) world_at(&r->world, 0, run_arrival, r, NULL, 0);
    world_run(&r->world, s->duration_ns);

    uint64_t healing_ns = 2 * (r->terms.hold_us + r->terms.term_us) * SIM_US;
    *outcome            = (struct run_outcome){.trace_hash = r->world.hash,
                                               .events     = r->world.event_count,
                                               .trips      = r->evidence.trips,
                                               .updates    = r->evidence.updates,
                                               .beats      = r->evidence.beats,
                                               .callers    = r->evidence.request_count,
                                               .hold_us    = r->terms.hold_us,
                                               .loss_ppm   = r->terms.loss_ppm};
    verdict_of(&r->evidence, s, s->calm_ns > 0 ? s->calm_ns + healing_ns : 0, &outcome->verdict);
    run_waits(&r->evidence, outcome);
    evidence_clear(&r->evidence);
    world_end(&r->world);
    free(r);
    return true;
}

static void run_reply(void *context, const struct parcel *parcel) {
    struct run *r = context;
    node_reply(&r->nodes[parcel->node], parcel);
}

static void run_ring_reply(void *context, const struct ring_reply *reply, size_t bytes) {
    struct run *r = context;
    claimer_reply(&r->nodes[reply->request.node], reply, bytes);
}

static void run_paxos_reply(void *context, const struct paxos_reply *reply, size_t bytes) {
    struct run *r = context;
    clerk_reply(&r->nodes[reply->node], reply, bytes);
}

/* How long those who were admitted had waited. */
static void run_waits(const struct evidence *e, struct run_outcome *outcome) {
    uint64_t counts[WAITS_MAX + 1] = {0}, count = 0, sum_us = 0;
    for (size_t i = 0; i < e->request_count; i++) {
        const struct evidence_request *r = &e->requests[i];
        if (!r->is_admitted) continue;
        uint64_t tenths = r->waited_ns / (100 * SIM_US);
        counts[tenths < WAITS_MAX ? tenths : WAITS_MAX]++;
        count++;
        sum_us += r->waited_ns / SIM_US;
    }
    if (count == 0) return;
    uint64_t at = 0, below = 0;
    while (below + counts[at] < count - count / 100) below += counts[at++];
    outcome->wait_mean_us = sum_us / count;
    outcome->wait_99_us   = at * 100;
}

/* --- callers --------------------------------------------------------------------------------- */

/* Uneven: squares of even numbers. */
static void run_share_out(struct run *r) {
    for (uint32_t i = 0; i < r->scenario->nodes; i++) {
        uint64_t share = random_below(&r->random, SHARES_MAX);
        r->shares[i]   = share * share / SHARES_MAX + SHARES_MIN;
    }
}

static bool run_is_rush(const struct run *r) {
    uint64_t window = r->world.now_ns / r->scenario->window_ns;
    return r->scenario->traffic == TRAFFIC_LULLS && window % CYCLE_WINDOWS >= LULL_WINDOWS;
}

static uint32_t run_choose_node(struct run *r) {
    uint64_t sum = 0;
    if (run_is_rush(r))
        return (uint32_t)(r->world.now_ns / r->scenario->window_ns / CYCLE_WINDOWS %
                          r->scenario->nodes);
    for (uint32_t i = 0; i < r->scenario->nodes; i++) sum += r->shares[i];
    uint64_t at = random_below(&r->random, sum);
    uint32_t i  = 0;
    while (at >= r->shares[i]) at -= r->shares[i++];
    return i;
}

/* From one caller to the next. */
static uint64_t run_gap_ns(struct run *r) {
    const struct scenario *s    = r->scenario;
    uint64_t               load = s->load_percent;
    /* A first window that is not full before its end: else all is used at once, and again a window
     * later, and how the run ends decides what share of it was used. */
    if (r->world.now_ns < s->window_ns && load > FIRST_PERCENT) load = FIRST_PERCENT;
    uint64_t gap_ns = s->window_ns / s->limit * 100 / load * (s->cost_max + 1) / 2;
    switch (s->traffic) {
    case TRAFFIC_BURSTS:
        if (random_below(&r->random, s->limit * 6 / 10 + 1) == 0)
            return s->window_ns / 10 + random_below(&r->random, s->window_ns * 14 / 10);
        return world_exponential(&r->random, gap_ns / BURST_TIMES);
    case TRAFFIC_HALVES: return s->window_ns / 100 * HALF_PERCENT;
    case TRAFFIC_LULLS:
        if (!run_is_rush(r)) gap_ns = gap_ns * load / LULL_PERCENT;
        break;
    case TRAFFIC_STEADY:
    case TRAFFIC_GREEDY: break; /* the greedy do not come, they take */
    }
    return world_exponential(&r->random, gap_ns);
}

static void run_arrival(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct run *r    = subject;
    uint64_t    cost = random_between(&r->random, 1, r->scenario->cost_max);
    if (r->scenario->traffic == TRAFFIC_HALVES) cost = r->scenario->limit / 2;
    world_at(w, w->now_ns + run_gap_ns(r), run_arrival, r, NULL, 0);
    node_come(&r->nodes[run_choose_node(r)], cost);
    if (random_below(&r->random, SHARES_CHANGE) == 0) run_share_out(r);
}
