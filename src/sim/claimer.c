/* SPDX-License-Identifier: MIT
 *
 * claimer: what stands between a holder and a ring in one process: the holder's requests are served from the
 * claim, or wait until it is greater; errands of claim and membership go out, and are given up in time. Who
 * finds itself fenced begins anew, and what was leased from the old claim may be spent to its end. */
#include "sim/claimer.h"

#include <stddef.h>

#include "base/contract.h"
#include "base/range.h"
#include "sim/node.h"

enum {
    ERRAND_MS = 500, /* then its outcome is not known */
    THE_USER  = 1,
};

struct errand_end {
    uint64_t memory, number;
};

static event_fn claimer_receive, claimer_give_up, claimer_timer;
static void     claimer_go_on(struct node *n);

void claimer_begin(struct node *n) {
    struct claimer               *c       = &n->claimer;
    const struct members_options *options = &n->scenario->members;
    *c = (struct claimer){.ring = c->ring, .errands = c->errands, .timer = c->timer};
    claim_process_begin(&c->process, options, n->scenario->options.nodes,
                        random_next(&n->random_fault), node_own_now(n));
    claim_begin(&c->claim, &c->account);
    world_note(n->world, "member", n->number, c->process.members.id, 0);
    claimer_go_on(n);
}

/* ---- to the ring ---- */

static uint64_t claimer_errand(struct node *n, struct ring_request *request) {
    struct claimer *c = &n->claimer;
    request->node     = n->number;
    request->machine  = n->machine;
    request->memory   = n->memory;
    request->number   = ++c->errands;
    if (request->id == 0) request->id = c->process.members.id;
    node_carry_out(n, claimer_receive, request, sizeof *request);
    struct errand_end end   = {.memory = n->memory, .number = request->number};
    uint64_t          at_ns = own_clock_when(&n->clock, node_own_now(n) + ERRAND_MS * SIM_MS);
    world_at(n->world, at_ns, claimer_give_up, n, &end, sizeof end);
    return request->number;
}

/* At the ring. */
static void claimer_receive(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node *n = subject;
    ring_serve(n->claimer.ring, cargo);
}

static void claimer_send_member(struct node *n, const struct members_errand *e) {
    struct claimer     *c       = &n->claimer;
    struct ring_request request = {.is_member = true, .member = *e};
    n->evidence->beats++;
    uint64_t unsent_permille = n->scenario->unsent_permille;
    bool     says_life       = e->act == MEMBERS_JOIN || e->act == MEMBERS_BEAT;
    if (says_life && unsent_permille > 0 &&
        random_below(&n->random_fault, 1000) < unsent_permille) {
        members_beaten(&c->process.members, MEMBERS_NOT_SENT, node_own_now(n));
        return;
    }
    if (e->act == MEMBERS_BEAT) request.member.shortages = c->process.shortages.list;
    uint64_t number = claimer_errand(n, &request);
    switch (e->act) {
    case MEMBERS_JOIN:
    case MEMBERS_BEAT: c->beat_errand = number; break;
    case MEMBERS_LOOK: c->look_errand = number; break;
    case MEMBERS_FENCE: c->fence_errand = number; break;
    case MEMBERS_DATE: c->date_errand = number; break;
    }
}

static void claimer_send_claim(struct node *n, const struct claim_errand *e) {
    struct ring_request request = {.claim = *e};
    n->evidence->trips++;
    n->claimer.claim_errand = claimer_errand(n, &request);
    world_note(n->world, e->act == CLAIM_WRITE ? "write" : "read", n->number, e->number,
               e->permits);
}

/* ---- from the holder ---- */

static bool claimer_serve(struct node *n, const struct lease_request *request) {
    struct claimer *c      = &n->claimer;
    uint64_t        now_ns = node_own_now(n);
    struct parcel   parcel = {.node = n->number, .machine = n->machine};
    if (!claim_serve(&c->claim, &c->process, request, now_ns, &parcel.reply)) return false;
    parcel.reply.sent_ns = now_ns;
    node_deliver(n, &parcel);
    return true;
}

void claimer_send(struct node *n, const struct lease_request *request) {
    struct claimer *c = &n->claimer;
    if (!claimer_serve(n, request)) {
        c->is_pending = true;
        c->pending    = *request;
    }
    claimer_go_on(n);
}

void claimer_reset(struct node *n) {
    struct claimer *c = &n->claimer;
    if (c->is_resetting) return;
    c->is_resetting = true;
    c->reset_ns     = node_own_now(n);
    c->reset        = evidence_reset(n->evidence, n->world->now_ns);
    world_note(n->world, "reset", n->number, 0, 0);
    claimer_go_on(n);
}

/* Nobody gives up: a reset that is not told may be done at any time, and then nothing can be judged. */
static void claimer_serve_reset(struct node *n) {
    struct claimer      *c     = &n->claimer;
    struct lease_request reset = {
        .term_us = n->terms->term_us, .hold_us = n->terms->hold_us, .is_reset = true};
    struct lease_reply reply;
    if (!c->is_resetting || !claim_reset(&c->claim, &c->process, c->reset_ns)) return;
    if (!claim_serve(&c->claim, &c->process, &reset, node_own_now(n), &reply)) return;
    c->is_resetting = false;
    evidence_reset_told(n->evidence, n->world->now_ns, c->reset);
    world_note(n->world, "forgot", n->number, c->claim.resets.made, 0);
}

/* As claim_store.c does it: nothing is kept of a user of whom there is nothing to be known. */
static void claimer_forget(struct claimer *c, uint64_t now_ns) {
    bool waits = c->is_pending || c->is_resetting;
    if (!waits && claim_is_idle(&c->claim, &c->process, now_ns))
        claim_begin(&c->claim, &c->account);
}

static void claimer_go_on(struct node *n) {
    struct claimer *c = &n->claimer;
    if (members_is_over(&c->process.members, node_own_now(n))) {
        world_note(n->world, "fenced", n->number, c->process.members.id, 0);
        claim_process_rejoin(&c->process, random_next(&n->random_fault), node_own_now(n));
        claim_begin(&c->claim, &c->account);
        c->claim_errand = c->beat_errand = c->look_errand = c->fence_errand = c->date_errand = 0;
        world_note(n->world, "member", n->number, c->process.members.id, 0);
    }
    if (c->is_pending && claimer_serve(n, &c->pending)) c->is_pending = false;
    claimer_serve_reset(n);

    uint64_t              now_ns = node_own_now(n);
    struct members_errand member;
    struct claim_errand   claim;
    while (members_poll(&c->process.members, now_ns, &member)) claimer_send_member(n, &member);
    while (claim_poll(&c->claim, &c->process, now_ns, &claim)) claimer_send_claim(n, &claim);
    if (claim_tells_shortage(&c->claim, now_ns)) shortage_add(&c->process.shortages, THE_USER);
    claimer_forget(c, now_ns);
    uint64_t next_ns =
        smaller(members_next_ns(&c->process.members), claim_next_ns(&c->claim, now_ns));
    if (next_ns == UINT64_MAX || n->clock.rate_ppm == -1000000) return;
    struct errand_end t = {.memory = n->memory, .number = ++c->timer};
    world_at(n->world, own_clock_when(&n->clock, larger(next_ns, now_ns)), claimer_timer, n, &t,
             sizeof t);
}

static void claimer_timer(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node             *n = subject;
    const struct errand_end *t = cargo;
    if (node_is_paused(n, claimer_timer, t, sizeof *t)) return;
    if (n->is_up && t->memory == n->memory && t->number == n->claimer.timer) claimer_go_on(n);
}

/* ---- from the ring ---- */

static bool claimer_is_out(uint64_t *errand, uint64_t number) {
    if (number != *errand) return false;
    *errand = 0;
    return true;
}

static enum members_fate fate_of_member(enum claim_fate fate) {
    switch (fate) {
    case CLAIM_DONE: return MEMBERS_DONE;
    case CLAIM_NOT_DONE: return MEMBERS_NOT_DONE;
    case CLAIM_UNKNOWN: break;
    }
    return MEMBERS_UNKNOWN;
}

static void claimer_hear(struct claimer *c, const struct ring_reply *reply) {
    for (uint32_t i = 0; i < reply->count; i++) {
        const struct members_record *record = &reply->records[i];
        if (record->id == c->process.members.id || record->is_fenced) continue;
        if (record->shortages.count > 0) claim_hear_shortage(&c->claim, &c->process);
    }
}

/* `reply` NULL: none has come in time. */
static void claimer_end(struct node *n, uint64_t number, const struct ring_reply *reply) {
    struct claimer *c       = &n->claimer;
    enum claim_fate fate    = reply == NULL ? CLAIM_UNKNOWN : reply->fate;
    bool            is_done = fate == CLAIM_DONE;
    uint64_t        now_ns  = node_own_now(n);
    if (claimer_is_out(&c->beat_errand, number)) {
        members_beaten(&c->process.members, fate_of_member(fate), now_ns);
        if (is_done) shortage_told(&c->process.shortages);
    } else if (claimer_is_out(&c->look_errand, number)) {
        members_looked(&c->process.members, is_done ? reply->records : NULL,
                       is_done ? reply->count : 0, now_ns);
        if (is_done) claimer_hear(c, reply);
    } else if (claimer_is_out(&c->fence_errand, number)) {
        members_fenced(&c->process.members, fate_of_member(fate), now_ns);
    } else if (claimer_is_out(&c->date_errand, number)) {
        members_dated(&c->process.members, fate_of_member(fate), now_ns);
    } else if (!claimer_is_out(&c->claim_errand, number)) {
        return;
    } else if (c->claim.out == CLAIM_WRITE) {
        claim_written(&c->claim, fate, now_ns);
    } else if (!claim_has_read(&c->claim, &c->process, is_done ? reply->rows : NULL,
                               is_done ? reply->count : 0, now_ns)) {
        world_note(n->world, "lost", n->number, c->claim.done_number, 0);
    }
    claimer_go_on(n);
}

static void claimer_take(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node             *n           = subject;
    const struct ring_reply *reply       = cargo;
    size_t                   bytes       = offsetof(struct ring_reply, rows);
    bool                     has_records = reply->request.is_member;
    bytes += reply->count * (has_records ? sizeof reply->records[0] : sizeof reply->rows[0]);
    if (node_is_paused(n, claimer_take, reply, bytes)) return;
    bool is_mine = reply->request.machine == n->machine && reply->request.memory == n->memory;
    if (n->is_up && is_mine) claimer_end(n, reply->request.number, reply);
}

void claimer_reply(struct node *n, const struct ring_reply *reply, size_t bytes) {
    node_carry_in(n, claimer_take, reply, bytes);
}

static void claimer_give_up(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct node             *n   = subject;
    const struct errand_end *end = cargo;
    if (node_is_paused(n, claimer_give_up, end, sizeof *end)) return;
    if (n->is_up && end->memory == n->memory) claimer_end(n, end->number, NULL);
}
