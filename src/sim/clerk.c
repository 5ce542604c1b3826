/* SPDX-License-Identifier: MIT
 *
 * clerk: what stands between a holder and a record in one process: sends the ledger's errands, gives them up
 * in time, hands the holder its answers, and tells other processes of this one's clock. */
#include "sim/clerk.h"

#include <stddef.h>

#include "base/contract.h"
#include "base/range.h"
#include "sim/node.h"

enum {
    ERRAND_MS = 500, /* then its outcome is not known */
    BEAT_MS = 250, /* mean; at random, so that now and then one is read just after it was written */
};

struct errand_end {
    uint64_t memory, number;
};

static event_fn clerk_receive, clerk_take, clerk_give_up, clerk_timer, clerk_beat;
static void     clerk_go_on(struct node *n);

void clerk_begin(struct node *n) {
    struct clerk *c = &n->clerk;
    c->errand       = 0;
    ledger_begin(&c->ledger, n->terms, random_next(&n->random_fault), node_own_now(n));
    world_at(n->world, n->world->now_ns, clerk_beat, n, &n->memory, sizeof n->memory);
}

/* ---- to the store ---- */

static void clerk_errand(struct node *n, enum ledger_act act) {
    struct clerk         *c = &n->clerk;
    struct paxos_request *q = &c->request;
    q->node                 = n->number;
    q->machine              = n->machine;
    q->memory               = n->memory;
    q->number = c->errand = ++c->errands;
    q->is_update          = act == LEDGER_UPDATE;
    q->is_beat            = false;
    n->evidence->trips++;
    if (q->is_update) {
        const struct ledger_update *u = &c->ledger.update;
        q->update.version             = u->version;
        q->update.dropped_count       = u->dropped_count;
        for (uint32_t i = 0; i < u->dropped_count; i++) q->update.dropped[i] = u->dropped[i];
        ledger_page_copy(&q->update.page, &u->page);
        n->evidence->updates++;
    }
    world_note(n->world, q->is_update ? "update" : "read", n->number, q->number,
               c->ledger.record.version);
    node_carry_out(n, clerk_receive, q, paxos_request_bytes(q));
    struct errand_end end   = {.memory = n->memory, .number = q->number};
    uint64_t          at_ns = own_clock_when(&n->clock, node_own_now(n) + ERRAND_MS * SIM_MS);
    world_at(n->world, at_ns, clerk_give_up, n, &end, sizeof end);
}

/* Tells others of this process's clock, and hears of theirs: for all users together, so it is no trip. */
static void clerk_beat(struct world *w, void *subject, void *cargo) {
    struct node   *n      = subject;
    const uint64_t memory = *(const uint64_t *)cargo;
    if (node_is_paused(n, clerk_beat, cargo, sizeof memory)) return;
    if (!n->is_up || memory != n->memory) return;
    struct paxos_request *q = &n->clerk.request;
    q->node                 = n->number;
    q->machine              = n->machine;
    q->memory               = n->memory;
    q->number               = 0;
    q->is_update            = false;
    q->is_beat              = true;
    q->clock                = (struct paxos_clock){n->clerk.ledger.id, node_own_now(n) / SIM_US};
    n->evidence->beats += 2;
    node_carry_out(n, clerk_receive, q, paxos_request_bytes(q));
    uint64_t pause_ns = random_below(&n->random_link, 2 * BEAT_MS * SIM_MS);
    world_at(w, w->now_ns + pause_ns, clerk_beat, n, cargo, sizeof memory);
}

static void clerk_hear(struct node *n, const struct paxos_reply *reply) {
    const struct paxos_clock *clocks = (const struct paxos_clock *)(reply + 1);
    for (size_t i = 0; i < reply->bytes / sizeof clocks[0]; i++)
        ledger_hear(&n->clerk.ledger, clocks[i].id, clocks[i].us, node_own_now(n));
}

/* At the store. */
static void clerk_receive(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node *n = subject;
    paxos_serve(n->clerk.paxos, cargo);
}

static void clerk_answer(struct node *n) {
    struct parcel parcel = {
        .node = n->number, .machine = n->machine, .reply = n->clerk.ledger.reply};
    parcel.reply.sent_ns = node_own_now(n); /* the clock that it tells is this one */
    node_deliver(n, &parcel);
}

static void clerk_go_on(struct node *n) {
    struct clerk   *c      = &n->clerk;
    uint64_t        now_ns = node_own_now(n);
    enum ledger_act act;
    while (ledger_poll(&c->ledger, now_ns, &act)) {
        if (act == LEDGER_ANSWER)
            clerk_answer(n);
        else
            clerk_errand(n, act);
    }
    uint64_t next_ns = ledger_next_ns(&c->ledger);
    if (next_ns == UINT64_MAX || n->clock.rate_ppm == -1000000) return;
    struct errand_end t = {.memory = n->memory, .number = ++c->timer};
    world_at(n->world, own_clock_when(&n->clock, larger(next_ns, now_ns + 1)), clerk_timer, n, &t,
             sizeof t);
}

static void clerk_timer(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node             *n = subject;
    const struct errand_end *t = cargo;
    if (node_is_paused(n, clerk_timer, t, sizeof *t)) return;
    if (n->is_up && t->memory == n->memory && t->number == n->clerk.timer) clerk_go_on(n);
}

void clerk_send(struct node *n, const struct lease_request *request) {
    ledger_ask(&n->clerk.ledger, request);
    clerk_go_on(n);
}

/* ---- from the store ---- */

/* `reply` NULL: none has come in time. */
static void clerk_end(struct node *n, uint64_t number, const struct paxos_reply *reply) {
    struct clerk *c = &n->clerk;
    if (number != c->errand) return;
    c->errand                      = 0;
    enum ledger_fate      fate     = reply == NULL ? LEDGER_UNKNOWN : reply->fate;
    bool                  has_some = reply != NULL && reply->bytes > 0;
    struct ledger_record *record   = has_some ? &c->scratch : NULL;
    if (has_some) paxos_unpack(reply, record);
    if (c->ledger.out == LEDGER_READ)
        ledger_has_read(&c->ledger, record, node_own_now(n));
    else
        ledger_updated(&c->ledger, fate, record, node_own_now(n));
    clerk_go_on(n);
}

static void clerk_take(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node              *n     = subject;
    const struct paxos_reply *reply = cargo;
    if (node_is_paused(n, clerk_take, reply, paxos_reply_bytes(reply))) return;
    bool is_mine = reply->machine == n->machine && reply->memory == n->memory;
    if (!n->is_up || !is_mine) return;
    if (reply->number == 0)
        clerk_hear(n, reply);
    else
        clerk_end(n, reply->number, reply);
}

void clerk_reply(struct node *n, const struct paxos_reply *reply, size_t bytes) {
    node_carry_in(n, clerk_take, reply, bytes);
}

static void clerk_give_up(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node             *n   = subject;
    const struct errand_end *end = cargo;
    if (node_is_paused(n, clerk_give_up, end, sizeof *end)) return;
    if (n->is_up && end->memory == n->memory) clerk_end(n, end->number, NULL);
}
