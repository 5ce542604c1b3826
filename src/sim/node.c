/* SPDX-License-Identifier: MIT
 *
 * node: drives a holder as a real driver would: parks callers, sends what holder_poll() says, asks
 * again after replies, keeps the shard's clock going by beats. And it fails: it crashes and starts
 * with a new memory, is paused with everything that comes meanwhile handled late, is forked, is cut
 * off or clogged. */
#include "sim/node.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

enum {
    PARKED_MS     = 150, /* the deadline of callers */
    GREED_MS      = 20,
    LAST_US       = 10, /* the last instant of a term begins so long before its end */
    START_AT_MS   = 2000,
    CLOCK_START_S = 1000,
};

struct timer {
    uint64_t memory, number;
};

struct arrival {
    struct node_caller caller;
    uint64_t           memory;
};

static event_fn node_decide, node_timer, node_beat, node_receive, node_crash, node_start,
    node_pause, node_reset;
static event_fn node_resume, node_change_rate, node_fork, node_cut, node_clog, node_greed,
    node_greed_late;
static void node_go_on(struct node *n);
static void greed_after_reply(struct node *n);

uint64_t node_own_now(const struct node *n) { return own_clock_at(&n->clock, n->world->now_ns); }

static void plan(struct node *n, uint64_t every_ns, event_fn *run) {
    if (every_ns == 0) return;
    uint64_t at_ns =
        n->world->now_ns + START_AT_MS * SIM_MS + world_exponential(&n->random_fault, every_ns);
    if (n->scenario->calm_ns != 0 && at_ns >= n->scenario->calm_ns) return;
    world_at(n->world, at_ns, run, n, NULL, 0);
}

bool node_is_paused(struct node *n, event_fn *run, const void *cargo, size_t bytes) {
    if (n->world->now_ns >= n->paused_until_ns) return false;
    world_at(n->world, n->paused_until_ns, run, n, cargo, bytes);
    return true;
}

/* Its store is a cluster, which is sent requests; else it has one in its process. */
static bool node_has_cluster(const struct node *n) {
    return n->claimer.ring == NULL && n->clerk.paxos == NULL;
}

/* A memory begins, with an incarnation that no other has. */
static void node_remember(struct node *n) {
    n->memory++;
    n->parked_count = 0;
    n->spends_at    = 0;
    holder_begin(&n->holder, n->terms, random_next(&n->random_fault));
    watch_begin(&n->watch, n->terms->clock_error_ppm, n->terms->span_ns, n->terms->tolerance_ns);
    if (n->claimer.ring != NULL) claimer_begin(n);
    if (n->clerk.paxos != NULL) clerk_begin(n);
}

void node_begin(struct node *n) {
    const struct scenario *s = n->scenario;
    n->random_fault          = random_split(&n->world->random);
    n->random_link           = random_split(&n->world->random);
    n->random_greed          = random_split(&n->world->random);
    uint64_t apart           = random_below(&n->random_fault, 1000 * SIM_S);
    uint64_t error           = (uint64_t)s->rate_error_ppm;
    int64_t  rate            = (int64_t)random_between(&n->random_fault, error / 2, error);
    n->clock.own_ns          = CLOCK_START_S * SIM_S + apart;
    bool is_fast             = random_below(&n->random_fault, 2) == 0 || s->has_fast_nodes;
    if (s->has_fast_nodes) rate = (int64_t)error;
    n->clock.rate_ppm = is_fast ? rate : -rate;
    n->is_up          = true;
    node_remember(n);

    plan(n, s->crash_every_ns, node_crash);
    plan(n, s->pause_every_ns, node_pause);
    plan(n, s->rate_every_ns, node_change_rate);
    plan(n, s->fork_every_ns, node_fork);
    plan(n, s->cut_every_ns, node_cut);
    plan(n, s->clog_every_ns, node_clog);
    if (n->claimer.ring != NULL) plan(n, s->reset_every_ns, node_reset);
    if (node_has_cluster(n))
        world_at(n->world, random_below(&n->random_link, n->terms->contact_ns), node_beat, n, NULL,
                 0);
    if (s->traffic == TRAFFIC_GREEDY) world_at(n->world, 0, node_greed, n, NULL, 0);
}

/* --- callers --------------------------------------------------------------------------------- */

void node_come(struct node *n, uint64_t cost) {
    struct arrival a = {
        .caller = {.request = evidence_come(n->evidence, n->world->now_ns, n->number, cost),
                   .cost    = cost},
        .memory = n->memory};
    if (n->is_up) world_at(n->world, n->world->now_ns, node_decide, n, &a, sizeof a);
}

static void node_admit(struct node *n, size_t request, uint64_t cost) {
    evidence_admit(n->evidence, n->world->now_ns, request, cost);
    world_note(n->world, "admit", n->number, cost, 0);
}

static void node_park(struct node *n, struct node_caller caller) {
    if (n->parked_count < NODE_PARKED_MAX) n->parked[n->parked_count++] = caller;
}

static void node_decide(struct world *w, void *subject, void *cargo) {
    struct node          *n = subject;
    const struct arrival *a = cargo;
    (void)w;
    if (node_is_paused(n, node_decide, a, sizeof *a) || !n->is_up || a->memory != n->memory) return;

    struct node_caller   caller = a->caller;
    struct holder_answer answer = holder_ask(&n->holder, caller.cost, node_own_now(n));
    caller.until_ns             = node_own_now(n) + PARKED_MS * SIM_MS;
    if (answer.outcome == HOLDER_ALLOWED) node_admit(n, caller.request, caller.cost);
    if (answer.outcome == HOLDER_WAIT) node_park(n, caller);
    node_go_on(n);
}

/* All who wait ask again, but for those who have waited too long. */
static void node_unpark(struct node *n) {
    uint32_t count  = n->parked_count;
    uint64_t own_ns = node_own_now(n);
    n->parked_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct node_caller caller = n->parked[i];
        if (own_ns >= caller.until_ns) continue;
        struct holder_answer answer = holder_ask_again(&n->holder, caller.cost, own_ns);
        if (answer.outcome == HOLDER_ALLOWED) node_admit(n, caller.request, caller.cost);
        if (answer.outcome == HOLDER_WAIT) node_park(n, caller);
    }
}

/* --- the network ----------------------------------------------------------------------------- */

static uint64_t link_delay_ns(struct node *n) {
    const struct scenario *s = n->scenario;
    uint64_t delay_ns        = 300 * SIM_US + world_exponential(&n->random_link, s->delay_ns);
    if (random_below(&n->random_link, 1000) < s->tail_permille)
        delay_ns += random_below(&n->random_link, n->terms->term_us * SIM_US * 3 / 2);
    uint64_t at_ns = n->world->now_ns + delay_ns;
    if (at_ns < n->clogged_until_ns) at_ns = n->clogged_until_ns;
    return at_ns;
}

static event_fn cluster_receive;

static void link_carry(struct node *n, uint64_t cut_until_ns, event_fn *run, const void *cargo,
                       size_t bytes) {
    bool is_lost     = random_below(&n->random_link, 1000) < n->scenario->loss_permille;
    bool is_repeated = random_below(&n->random_link, 1000) < n->scenario->repeat_permille;
    if (n->world->now_ns < cut_until_ns) return;
    if (!is_lost) world_at(n->world, link_delay_ns(n), run, n, cargo, bytes);
    if (is_repeated) world_at(n->world, link_delay_ns(n), run, n, cargo, bytes);
}

void node_carry_out(struct node *n, event_fn *run, const void *cargo, size_t bytes) {
    link_carry(n, n->cut_out_ns, run, cargo, bytes);
}

void node_carry_in(struct node *n, event_fn *run, const void *cargo, size_t bytes) {
    link_carry(n, n->cut_in_ns, run, cargo, bytes);
}

static void cluster_receive(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node *n = subject;
    cluster_serve(n->cluster, cargo);
}

void node_reply(struct node *n, const struct parcel *parcel) {
    node_carry_in(n, node_receive, parcel, sizeof *parcel);
}

void node_deliver(struct node *n, const struct parcel *parcel) {
    world_at(n->world, n->world->now_ns, node_receive, n, parcel, sizeof *parcel);
}

static void node_send(struct node *n, const struct lease_request *request) {
    if (n->claimer.ring != NULL) {
        claimer_send(n, request);
        return;
    }
    if (n->clerk.paxos != NULL) {
        clerk_send(n, request);
        return;
    }
    struct parcel parcel = {.node = n->number, .machine = n->machine, .request = *request};
    parcel.reply.sent_ns = node_own_now(n);
    node_carry_out(n, cluster_receive, &parcel, sizeof parcel);
}

static void node_receive(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node         *n      = subject;
    const struct parcel *parcel = cargo;
    if (node_is_paused(n, node_receive, parcel, sizeof *parcel)) return;
    if (!n->is_up || parcel->machine != n->machine) return;

    struct watch *watch = n->scenario->has_watch ? &n->watch : NULL;
    n->free_seen        = parcel->reply.free;
    if (holder_take(&n->holder, watch, &parcel->reply, node_own_now(n))) {
        node_unpark(n);
        if (n->scenario->traffic == TRAFFIC_GREEDY) greed_after_reply(n);
    }
    node_go_on(n);
}

/* Sends what is to be sent, and comes back when there may be more. */
static void node_go_on(struct node *n) {
    struct lease_request request;
    while (holder_poll(&n->holder, node_own_now(n), &request)) {
        if (node_has_cluster(n)) n->evidence->trips++;
        node_send(n, &request);
    }
    uint64_t next_ns = holder_next_ns(&n->holder);
    if (next_ns == UINT64_MAX || n->clock.rate_ppm == -1000000) return;
    struct timer t = {.memory = n->memory, .number = ++n->timer};
    world_at(n->world, own_clock_when(&n->clock, next_ns), node_timer, n, &t, sizeof t);
}

static void node_timer(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node        *n = subject;
    const struct timer *t = cargo;
    if (node_is_paused(n, node_timer, t, sizeof *t)) return;
    if (n->is_up && t->memory == n->memory && t->number == n->timer) node_go_on(n);
}

/* A request that asks for nothing: keeps the store's clock going, and this node's watch on it. */
static void node_beat(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n = subject;
    if (node_is_paused(n, node_beat, NULL, 0)) return;
    world_at(w, w->now_ns + n->terms->contact_ns, node_beat, n, NULL, 0);
    if (!n->is_up) return;
    struct lease_request beat = {.limit       = n->terms->limit,
                                 .term_us     = n->terms->term_us,
                                 .hold_us     = n->terms->hold_us,
                                 .era_seen_us = n->holder.era_seen_us,
                                 .grants_seen = n->holder.grants_seen};
    n->evidence->beats++;
    node_send(n, &beat);
}

/* --- faults ---------------------------------------------------------------------------------- */

static void node_die(struct node *n) {
    n->is_up = false;
    n->memory++;
    n->paused_until_ns = 0;
    world_note(n->world, "crash", n->number, 0, 0);
    uint64_t longest_ns = n->scenario->crashes_after ? 100 * SIM_MS : 2000 * SIM_MS;
    uint64_t down_ns    = random_between(&n->random_fault, 50 * SIM_MS, longest_ns);
    world_at(n->world, n->world->now_ns + down_ns, node_start, n, NULL, 0);
}

static void node_crash(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    (void)w;
    struct node *n = subject;
    if (n->is_up) node_die(n);
    plan(n, n->scenario->crash_every_ns, node_crash);
}

static void node_start(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n = subject;
    if (n->is_up) return;
    n->is_up = true;
    node_remember(n);
    world_note(w, "start", n->number, n->memory, 0);
}

/* A child of another node's process takes this node's place: it has the parent's memory, begins a new
 * one as every child must, and the parent's machine and clock. */
static void node_fork(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n      = subject;
    struct node *parent = &n->nodes[random_below(&n->random_fault, n->scenario->nodes)];
    if (parent != n && parent->is_up && n->is_up) {
        n->holder          = parent->holder;
        n->clock           = parent->clock;
        n->paused_until_ns = parent->paused_until_ns;
        n->machine++;
        node_remember(n);
        world_note(w, "fork", n->number, parent->number, 0);
        node_go_on(n);
    }
    plan(n, n->scenario->fork_every_ns, node_fork);
}

static void node_pause(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n = subject;
    plan(n, n->scenario->pause_every_ns, node_pause);
    if (w->now_ns < n->paused_until_ns) return;

    const uint64_t term_ns   = n->terms->term_us * SIM_US;
    const uint64_t lengths[] = {50 * SIM_MS, 300 * SIM_MS, term_ns * 6 / 5, term_ns * 5 / 2,
                                term_ns + n->scenario->window_ns * 3 / 5};
    uint64_t       pause_ns  = lengths[random_below(&n->random_fault, 5)];
    n->paused_until_ns       = w->now_ns + pause_ns;
    world_note(w, "pause", n->number, pause_ns, n->scenario->has_freezes);
    if (n->scenario->has_freezes) {
        int64_t rate = n->clock.rate_ppm;
        own_clock_change(&n->clock, w->now_ns, -1000000);
        world_at(w, n->paused_until_ns, node_resume, n, &rate, sizeof rate);
    }
}

/* The machine goes on, and its clock from where it stood. Timers were set by that clock. */
static void node_resume(struct world *w, void *subject, void *cargo) {
    struct node *n = subject;
    own_clock_change(&n->clock, w->now_ns, *(const int64_t *)cargo);
    if (n->spends_at > 0)
        world_at(w, own_clock_when(&n->clock, n->spends_at), node_greed_late, n, &n->memory,
                 sizeof n->memory);
}

/* The clock goes on at another rate. Timers that were set by the old one come late, or early and are
 * set again. */
static void node_change_rate(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n     = subject;
    uint64_t     error = (uint64_t)n->scenario->rate_error_ppm;
    own_clock_change(&n->clock, w->now_ns,
                     (int64_t)random_below(&n->random_fault, 2 * error + 1) - (int64_t)error);
    world_note(w, "rate", n->number, n->clock.own_ns, 0);
    plan(n, n->scenario->rate_every_ns, node_change_rate);
}

static void node_cut(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n     = subject;
    uint64_t     most  = larger(n->scenario->window_ns, 2 * n->scenario->members.valid_ns);
    uint64_t     ns    = w->now_ns + random_below(&n->random_fault, most);
    uint64_t     which = random_below(&n->random_fault, 3);
    if (which != 0) n->cut_out_ns = ns;
    if (which != 1) n->cut_in_ns = ns;
    world_note(w, "cut", n->number, which, ns);
    plan(n, n->scenario->cut_every_ns, node_cut);
}

static void node_clog(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n      = subject;
    uint64_t     most   = 2 * n->terms->term_us * SIM_US;
    n->clogged_until_ns = w->now_ns + random_below(&n->random_fault, most);
    world_note(w, "clog", n->number, n->clogged_until_ns, 0);
    plan(n, n->scenario->clog_every_ns, node_clog);
}

static void node_reset(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n = subject;
    if (node_is_paused(n, node_reset, NULL, 0)) return;
    if (n->is_up) claimer_reset(n);
    plan(n, n->scenario->reset_every_ns, node_reset);
    (void)w;
}

/* --- greed ----------------------------------------------------------------------------------- */

/* Whoever is greedy asks for all that is free, or for one and takes what comes with it; spends at
 * once, or in the last instant of the term, or half and half; and may die then, so that no report is
 * ever sent. */
static void node_greed(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct node *n = subject;
    if (node_is_paused(n, node_greed, NULL, 0)) return;
    uint64_t pause_ns = GREED_MS * SIM_MS + random_below(&n->random_greed, GREED_MS * SIM_MS);
    world_at(w, w->now_ns + pause_ns, node_greed, n, NULL, 0);
    if (!n->is_up || n->spends_at != 0) return;

    uint64_t cost = random_below(&n->random_greed, 2) == 0 ? n->free_seen : 1;
    if (cost == 0) cost = 1;
    if (cost > n->terms->limit) cost = n->terms->limit;
    if (holder_ask(&n->holder, cost, node_own_now(n)).outcome == HOLDER_ALLOWED)
        node_admit(n, SIZE_MAX, cost);
    node_go_on(n);
}

/* Spends up to `count` permits that are in hand. A broken world may have granted more than the limit,
 * which no caller can ask for at once: each piece is at most the limit. */
static void greed_spend(struct node *n, uint64_t count) {
    uint64_t until_ns, left = holder_left(&n->holder, node_own_now(n), &until_ns);
    if (count > left) count = left;
    while (count > 0) {
        uint64_t cost = smaller(count, n->terms->limit);
        if (holder_ask_again(&n->holder, cost, node_own_now(n)).outcome != HOLDER_ALLOWED) return;
        node_admit(n, SIZE_MAX, cost);
        count -= cost;
    }
}

static void greed_after_reply(struct node *n) {
    uint64_t until_ns, left = holder_left(&n->holder, node_own_now(n), &until_ns);
    if (left == 0 || n->spends_at != 0) return;
    uint64_t way = random_below(&n->random_greed, 4);
    if (way == 0 || n->terms->mode == LEASE_MODE_EACH) {
        greed_spend(n, left);
        return;
    }
    if (way == 1) greed_spend(n, (left + 1) / 2);
    n->spends_at = until_ns - LAST_US * SIM_US;
    world_at(n->world, own_clock_when(&n->clock, n->spends_at), node_greed_late, n, &n->memory,
             sizeof n->memory);
}

static void node_greed_late(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node   *n      = subject;
    const uint64_t memory = *(const uint64_t *)cargo;
    if (node_is_paused(n, node_greed_late, cargo, sizeof memory)) return;
    if (!n->is_up || memory != n->memory || n->spends_at == 0) return;
    if (node_own_now(n) < n->spends_at) { /* the clock has slowed down since */
        world_at(w, own_clock_when(&n->clock, n->spends_at), node_greed_late, n, cargo,
                 sizeof memory);
        return;
    }
    n->spends_at = 0;
    greed_spend(n, UINT64_MAX);
    bool dies = n->scenario->crashes_after && random_below(&n->random_greed, 2) == 0;
    if (dies && (n->scenario->calm_ns == 0 || w->now_ns < n->scenario->calm_ns)) {
        node_die(n);
        return;
    }
    node_go_on(n);
}
