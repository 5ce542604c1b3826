/* SPDX-License-Identifier: MIT
 *
 * cluster: servers that run the account of src/lease, and fail.
 *
 * A primary replicates every change as a stream of whole states, in order, each link with its own
 * delays. A grant is shown to its node when `wait` replicas have confirmed it, or as not replicated
 * after 100 ms. A failover makes a replica the primary, whatever it has; the old one is dead for a
 * while, or goes on for the nodes that have not heard (a split brain), and comes back with a copy of
 * the new one's state. Server clocks are apart, run at wrong rates and step.
 *
 * What it models is what a store may do to src/lease, not how Redis does it: tests with a real one
 * come beside it. */
#include "sim/cluster.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"

enum {
    WAIT_MS            = 100,
    FAILOVER_GAP_MS    = 2000,
    WIPE_GAP_MS        = 20000,
    BACKUP_EVERY_MS    = 4000,
    WALL_START_S       = 1000000,
    REPLICA_TAIL_MIL   = 30, /* of 1000 changes so many take up to so many times the mean */
    REPLICA_TAIL_TIMES = 10,
};

struct snapshot {
    uint32_t            from, to;
    uint64_t            epoch, offset;
    struct server_state state;
};

struct ack {
    uint32_t from, to;
    uint64_t epoch, offset;
};

struct wait_end {
    uint32_t server;
    uint32_t index;
    uint64_t number;
};

static event_fn fail_over, server_return, step_clock, creep_clock, wipe, roll_back, back_up;
static event_fn snapshot_arrive, ack_arrive, wait_expire;

/* Calls `run` after about `every_ns`, if such faults are on and the calm has not come. */
static void plan(struct cluster *c, uint64_t every_ns, uint64_t gap_ns, event_fn *run) {
    if (every_ns == 0) return;
    uint64_t at_ns = c->world->now_ns + gap_ns + world_exponential(&c->random_fault, every_ns);
    if (c->scenario->calm_ns != 0 && at_ns >= c->scenario->calm_ns) return;
    world_at(c->world, at_ns, run, c, NULL, 0);
}

/* Where nobody watches, all differences of servers' clocks are multiples of twice the clamp: two jumps that
 * leave less between two contacts would get through, and only a watch finds that. */
static uint64_t jump_ns(const struct cluster *c, uint64_t ns) {
    return c->scenario->has_watch ? ns : ns - ns % (2 * c->scenario->clamp_us * SIM_US);
}

void cluster_begin(struct cluster *c, struct world *w, const struct scenario *s) {
    c->world        = w;
    c->scenario     = s;
    c->random_fault = random_split(&w->random);
    c->random_link  = random_split(&w->random);
    c->server_count = 1 + (uint32_t)s->replicas;
    for (uint32_t i = 0; i < c->server_count; i++) {
        struct server *v     = &c->servers[i];
        uint64_t       apart = jump_ns(c, random_below(&c->random_fault, s->skew_ns + 1));
        v->is_alive          = true;
        v->wall              = (struct own_clock){.own_ns = WALL_START_S * SIM_S + apart};
        v->wall.rate_ppm =
            (int64_t)random_below(&c->random_fault, 2 * (uint64_t)s->rate_error_ppm + 1) -
            s->rate_error_ppm;
        if (s->server_rate_ppm != 0) v->wall.rate_ppm = s->server_rate_ppm;
    }
    uint64_t first_us = own_clock_at(&c->servers[0].wall, 0) / SIM_US;
    for (uint32_t i = 0; i < c->server_count; i++)
        store_clock_begin(&c->servers[i].state.clock, first_us, true);

    plan(c, s->failover_every_ns, FAILOVER_GAP_MS * SIM_MS, fail_over);
    plan(c, s->step_every_ns, 0, step_clock);
    plan(c, s->creep_every_ns, 0, creep_clock);
    plan(c, s->wipe_every_ns, 0, wipe);
    plan(c, s->rollback_every_ns, 0, roll_back);
    if (s->rollback_every_ns > 0) world_at(w, 0, back_up, c, NULL, 0);
}

/* --- requests and replication ---------------------------------------------------------------- */

static void replicate(struct cluster *c, uint32_t from) {
    struct server *v = &c->servers[from];
    v->offset++;
    for (uint32_t to = 0; to < c->server_count; to++) {
        if (to == from) continue;
        uint64_t delay_ns =
            200 * SIM_US + world_exponential(&c->random_link, c->scenario->replica_delay_ns);
        if (random_below(&c->random_link, 1000) < REPLICA_TAIL_MIL)
            delay_ns += random_below(&c->random_link,
                                     REPLICA_TAIL_TIMES * c->scenario->replica_delay_ns + 1);
        uint64_t at_ns = c->world->now_ns + delay_ns;
        if (at_ns < v->link_free_ns[to]) at_ns = v->link_free_ns[to];
        v->link_free_ns[to] = at_ns;
        struct snapshot s   = {
              .from = from, .to = to, .epoch = v->epoch, .offset = v->offset, .state = v->state};
        world_at(c->world, at_ns, snapshot_arrive, c, &s, sizeof s);
    }
}

static void snapshot_arrive(struct world *w, void *subject, void *cargo) {
    struct cluster        *c = subject;
    const struct snapshot *s = cargo;
    struct server         *v = &c->servers[s->to];
    if (!v->is_alive || v->is_deposed || s->from != c->primary || s->epoch != c->epoch) return;
    v->state     = s->state;
    v->epoch     = s->epoch;
    v->offset    = s->offset;
    struct ack a = {.from = s->to, .to = s->from, .epoch = s->epoch, .offset = s->offset};
    world_at(w, w->now_ns + world_exponential(&c->random_link, c->scenario->delay_ns), ack_arrive,
             c, &a, sizeof a);
}

static void wait_end(struct cluster *c, struct server_wait *wait, bool is_replicated) {
    wait->is_used                    = false;
    wait->parcel.reply.is_replicated = is_replicated;
    c->reply(c->context, &wait->parcel);
}

static void ack_arrive(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct cluster   *c = subject;
    const struct ack *a = cargo;
    struct server    *v = &c->servers[a->to];
    if (!v->is_alive || v->epoch != a->epoch) return;
    if (a->offset > v->acked[a->from]) v->acked[a->from] = a->offset;
    for (uint32_t i = 0; i < CLUSTER_WAITS_MAX; i++) {
        struct server_wait *wait = &v->waits[i];
        if (!wait->is_used) continue;
        uint64_t have = 0;
        for (uint32_t k = 0; k < c->server_count; k++) have += v->acked[k] >= wait->offset;
        if (have >= c->scenario->wait) wait_end(c, wait, true);
    }
}

static void wait_expire(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct cluster        *c    = subject;
    const struct wait_end *e    = cargo;
    struct server_wait    *wait = &c->servers[e->server].waits[e->index];
    if (wait->is_used && wait->number == e->number) wait_end(c, wait, false);
}

static void wait_begin(struct cluster *c, uint32_t server, const struct parcel *parcel) {
    struct server *v = &c->servers[server];
    uint32_t       i = 0;
    while (i < CLUSTER_WAITS_MAX && v->waits[i].is_used) i++;
    if (i == CLUSTER_WAITS_MAX) return; /* as if the connection had been refused */
    v->waits[i] = (struct server_wait){
        .is_used = true, .offset = v->offset, .number = ++c->wait_count, .parcel = *parcel};
    struct wait_end e = {.server = server, .index = i, .number = c->wait_count};
    world_at(c->world, c->world->now_ns + WAIT_MS * SIM_MS, wait_expire, c, &e, sizeof e);
}

void cluster_serve(struct cluster *c, const struct parcel *parcel) {
    uint32_t       number = c->route[parcel->node];
    struct server *v      = &c->servers[number];
    if (!v->is_alive) return;

    struct parcel answer  = *parcel;
    uint64_t      wall_us = own_clock_at(&v->wall, c->world->now_ns) / SIM_US;
    uint64_t      sent_ns = parcel->reply.sent_ns;
    store_clock_step(&v->state.clock, wall_us, c->scenario->clamp_us);
    account_serve(&v->state.account, &v->state.clock, &parcel->request, &answer.reply);
    answer.reply.sent_ns       = sent_ns;
    answer.reply.is_replicated = true;
    replicate(c, number);
    if (answer.reply.granted > 0) {
        world_note(c->world, "grant", parcel->node, answer.reply.granted, answer.reply.free);
        if (c->scenario->wait > 0) {
            wait_begin(c, number, &answer);
            return;
        }
    }
    c->reply(c->context, &answer);
}

/* --- faults ---------------------------------------------------------------------------------- */

static bool may_lead(const struct cluster *c, uint32_t i) {
    return i != c->primary && c->servers[i].is_alive && !c->servers[i].is_deposed;
}

static uint32_t choose_leader(struct cluster *c) {
    uint32_t best = c->primary, count = 0;
    for (uint32_t i = 0; i < c->server_count; i++) {
        if (!may_lead(c, i)) continue;
        const struct server *v = &c->servers[i], *b = &c->servers[best];
        count++;
        bool is_better = v->epoch != b->epoch ? v->epoch > b->epoch : v->offset > b->offset;
        if (best == c->primary ||
            (c->scenario->promotes_any ? random_below(&c->random_fault, count) == 0 : is_better))
            best = i;
    }
    return best;
}

static void fail_over(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c    = subject;
    uint32_t        from = c->primary, to = choose_leader(c);
    if (to != from) {
        struct server *old = &c->servers[from], *leader = &c->servers[to];
        leader->epoch = ++c->epoch;
        c->primary    = to;
        memset(leader->acked, 0, sizeof leader->acked);
        bool splits = c->scenario->has_split_brain && random_below(&c->random_fault, 2) == 0;
        for (uint32_t n = 0; n < c->scenario->nodes; n++)
            if (!splits || random_below(&c->random_fault, 2) == 0) c->route[n] = to;
        old->is_deposed = splits;
        old->is_alive   = splits;
        if (!splits) memset(old->waits, 0, sizeof old->waits);
        world_note(w, splits ? "split" : "failover", to, from, leader->offset);
        replicate(c, to); /* whoever follows a new primary first copies what it has */
        uint64_t back_ns = w->now_ns + SIM_S / 2 + random_below(&c->random_fault, 7 * SIM_S / 2);
        world_at(w, back_ns, server_return, c, &from, sizeof from);
    }
    plan(c, c->scenario->failover_every_ns, FAILOVER_GAP_MS * SIM_MS, fail_over);
}

/* The old primary hears of the new one and copies all that it has. */
static void server_return(struct world *w, void *subject, void *cargo) {
    struct cluster *c      = subject;
    uint32_t        number = *(const uint32_t *)cargo;
    struct server  *v = &c->servers[number], *leader = &c->servers[c->primary];
    v->is_alive   = true;
    v->is_deposed = false;
    v->state      = leader->state;
    v->offset     = leader->offset;
    v->epoch      = leader->epoch;
    memset(v->waits, 0, sizeof v->waits);
    for (uint32_t n = 0; n < c->scenario->nodes; n++)
        if (c->route[n] == number) c->route[n] = c->primary;
    world_note(w, "return", number, c->primary, leader->offset);
}

/* A step that is absorbed: not between 0 and twice the clamp. */
static void step_clock(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c     = subject;
    struct server  *v     = &c->servers[random_below(&c->random_fault, c->server_count)];
    uint64_t        least = 2 * c->scenario->clamp_us * SIM_US;
    uint64_t step_ns = jump_ns(c, least + random_below(&c->random_fault, c->scenario->step_ns));
    bool     is_back = random_below(&c->random_fault, 2) == 0;
    v->wall.own_ns += is_back ? -step_ns : step_ns;
    world_note(w, "step", is_back, step_ns, 0);
    plan(c, c->scenario->step_every_ns, 0, step_clock);
}

static void creep_clock(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c       = subject;
    uint64_t        half_ns = c->scenario->creep_ns / 2;
    uint64_t        step_ns = half_ns + random_below(&c->random_fault, half_ns + 1);
    c->servers[c->primary].wall.own_ns += step_ns;
    world_note(w, "creep", c->primary, step_ns, 0);
    plan(c, c->scenario->creep_every_ns, 0, creep_clock);
}

static void wipe(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c = subject;
    for (uint32_t i = 0; i < c->server_count; i++) {
        memset(&c->servers[i].state, 0, sizeof c->servers[i].state);
        memset(c->servers[i].waits, 0, sizeof c->servers[i].waits);
    }
    c->servers[c->primary].epoch = ++c->epoch; /* what is still on its way is of before */
    world_note(w, "wipe", 0, 0, 0);
    plan(c, c->scenario->wipe_every_ns, WIPE_GAP_MS * SIM_MS, wipe);
}

static void back_up(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c = subject;
    c->backup         = c->servers[c->primary].state;
    c->has_backup     = true;
    world_at(w, w->now_ns + BACKUP_EVERY_MS * SIM_MS, back_up, c, NULL, 0);
}

static void roll_back(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct cluster *c = subject;
    if (c->has_backup) {
        for (uint32_t i = 0; i < c->server_count; i++) {
            c->servers[i].state = c->backup;
            memset(c->servers[i].waits, 0, sizeof c->servers[i].waits);
        }
        c->servers[c->primary].epoch = ++c->epoch;
        world_note(w, "rollback", 0, 0, 0);
    }
    plan(c, c->scenario->rollback_every_ns, WIPE_GAP_MS * SIM_MS, roll_back);
}
