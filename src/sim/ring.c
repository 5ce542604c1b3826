/* SPDX-License-Identifier: MIT
 *
 * ring: replicas without a leader, and what they may do to src/lease/claim.c and members.c.
 *
 * A write goes to all replicas, each with its own delay, and is done when a quorum has confirmed it. So it
 * may be on one replica and not on others for as long as it takes; to one that is down it is handed later, or
 * never. The row with the greater number stays, whichever comes last. A read asks all, and takes of each row
 * the greatest number that a quorum knows of; nobody repairs what is stale. A coordinator that waits
 * too long, or is cut off, says that the outcome is not known.
 *
 * Conditional updates of members' records happen one after the other, at some instant between request and
 * reply: or later, when nobody expects them any more, or never, and then the outcome is not known either.
 *
 * Rows and records expire as those of store/cassandra/claim_words.c do: so long after they were written as
 * the errand says, and records no sooner than an hour after the rows.
 *
 * What it models is what Cassandra may do, not how: tests with a real one come beside it. */
#include "sim/ring.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

enum {
    CALL_MS = 300,    /* a coordinator waits so long */
    HINT_MS = 8000,   /* what a replica missed is handed on within so long */
    LATE_MS = 6000,   /* a conditional update that was given up may still be done within so long */
    UNKNOWN_MIL = 20, /* of 1000 conditional updates so many are given up */
    TAIL_MIL = 30, /* of 1000 messages between replicas so many take up to so many times the mean */
    TAIL_TIMES  = 20,
    DOWN_GAP_MS = 500,
    DOWN_MS     = 4000,
};

struct to_replica {
    uint32_t         replica, call;
    uint64_t         serial;
    bool             is_read, is_hint;
    struct claim_row row;
    uint64_t         expires_ns;
};

struct from_replica {
    uint32_t         call;
    uint64_t         serial;
    struct ring_rows rows; /* of a read; sent with as many as there are */
};

static event_fn replica_serve, call_answered, call_expire, member_update, replica_fail,
    replica_return, replica_wipe, outage_begin, outage_end;

static void plan(struct ring *r, uint64_t every_ns, event_fn *run) {
    if (every_ns == 0) return;
    uint64_t at_ns =
        r->world->now_ns + DOWN_GAP_MS * SIM_MS + world_exponential(&r->random_fault, every_ns);
    if (r->scenario->calm_ns != 0 && at_ns >= r->scenario->calm_ns) return;
    world_at(r->world, at_ns, run, r, NULL, 0);
}

void ring_begin(struct ring *r, struct world *w, const struct scenario *s) {
    r->world         = w;
    r->scenario      = s;
    r->random_fault  = random_split(&w->random);
    r->random_link   = random_split(&w->random);
    r->replica_count = 1 + (uint32_t)s->replicas;
    r->quorum        = s->quorum != 0 ? (uint32_t)s->quorum : r->replica_count / 2 + 1;
    plan(r, s->failover_every_ns, replica_fail);
    plan(r, s->wipe_every_ns, replica_wipe);
    if (s->outage_ns == 0) return;
    REQUIRE(s->calm_ns >= s->outage_ns);
    world_at(w, s->calm_ns - s->outage_ns, outage_begin, r, NULL, 0);
    world_at(w, s->calm_ns, outage_end, r, NULL, 0);
}

static bool ring_is_down(const struct ring *r, uint32_t replica) {
    return r->is_out || r->is_down[replica];
}

/* ---- rows ---- */

static struct claim_row *rows_find(struct ring_rows *rows, uint64_t id) {
    for (uint32_t i = 0; i < rows->count; i++)
        if (rows->rows[i].id == id) return &rows->rows[i];
    return NULL;
}

static void rows_merge(struct ring_rows *rows, const struct claim_row *row) {
    struct claim_row *known = rows_find(rows, row->id);
    if (known == NULL) {
        REQUIRE(rows->count < RING_ROWS_MAX);
        rows->rows[rows->count++] = *row;
    } else if (row->number > known->number) {
        *known = *row;
    }
}

/* What has expired is gone: of two writes of a row the later one expires later. */
static void replica_expire(struct ring_replica *v, uint64_t now_ns) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < v->rows.count; i++) {
        if (now_ns >= v->expires_ns[i]) continue;
        v->rows.rows[kept]    = v->rows.rows[i];
        v->expires_ns[kept++] = v->expires_ns[i];
    }
    v->rows.count = kept;
}

static void replica_write(struct ring_replica *v, const struct claim_row *row,
                          uint64_t expires_ns) {
    rows_merge(&v->rows, row);
    const struct claim_row *kept = rows_find(&v->rows, row->id);
    if (kept->number == row->number) v->expires_ns[kept - v->rows.rows] = expires_ns;
}

static size_t rows_bytes(uint32_t count) { return count * sizeof(struct claim_row); }

/* ---- calls ---- */

/* To be sent: no rows yet. */
static struct ring_reply *reply_begin(struct ring *r, const struct ring_request *request,
                                      enum claim_fate fate) {
    struct ring_reply *reply = &r->scratch;
    reply->request           = *request;
    reply->fate              = fate;
    reply->count             = 0;
    return reply;
}

static void call_end(struct ring *r, struct ring_call *call, enum claim_fate fate) {
    struct ring_reply *reply = reply_begin(r, &call->request, fate);
    call->is_used            = false;
    reply->count             = fate == CLAIM_DONE ? call->read.count : 0;
    memcpy(reply->rows, call->read.rows, rows_bytes(reply->count));
    r->reply(r->context, reply, offsetof(struct ring_reply, rows) + rows_bytes(reply->count));
}

static uint64_t replica_delay_ns(struct ring *r) {
    uint64_t mean_ns  = r->scenario->replica_delay_ns;
    uint64_t delay_ns = 200 * SIM_US + world_exponential(&r->random_link, mean_ns);
    if (random_below(&r->random_link, 1000) < TAIL_MIL)
        delay_ns += random_below(&r->random_link, TAIL_TIMES * mean_ns + 1);
    return delay_ns;
}

static void call_begin(struct ring *r, const struct ring_request *request) {
    uint32_t at = 0;
    while (at < RING_CALLS_MAX && r->calls[at].is_used) at++;
    if (at == RING_CALLS_MAX) return; /* as if the connection had been refused */
    r->calls[at] =
        (struct ring_call){.is_used = true, .serial = ++r->call_count, .request = *request};

    const struct claim_errand *e = &request->claim;
    struct to_replica          m = {.call       = at,
                                    .serial     = r->call_count,
                                    .is_read    = e->act == CLAIM_READ,
                                    .row        = {.id      = request->id,
                                                   .number  = e->number,
                                                   .permits = e->permits,
                                                   .demand  = e->demand,
                                                   .resets  = e->resets},
                                    .expires_ns = r->world->now_ns + e->keep_ns};
    for (m.replica = 0; m.replica < r->replica_count; m.replica++)
        world_at(r->world, r->world->now_ns + replica_delay_ns(r), replica_serve, r, &m, sizeof m);
    world_at(r->world, r->world->now_ns + CALL_MS * SIM_MS, call_expire, r, &m, sizeof m);
}

static void replica_serve(struct world *w, void *subject, void *cargo) {
    struct ring      *r = subject;
    struct to_replica m = *(const struct to_replica *)cargo;
    if (ring_is_down(r, m.replica)) {
        bool is_hinted = !m.is_read && random_below(&r->random_fault, 2) == 0;
        m.is_hint      = true;
        if (is_hinted)
            world_at(w, w->now_ns + random_below(&r->random_fault, HINT_MS * SIM_MS), replica_serve,
                     r, &m, sizeof m);
        return;
    }
    struct ring_replica *v = &r->replicas[m.replica];
    struct from_replica  f = {.call = m.call, .serial = m.serial};
    if (!m.is_read) replica_write(v, &m.row, m.expires_ns);
    replica_expire(v, w->now_ns);
    if (m.is_read) f.rows = v->rows;
    if (m.is_hint) return;
    world_at(w, w->now_ns + replica_delay_ns(r), call_answered, r, &f,
             offsetof(struct from_replica, rows.rows) + rows_bytes(f.rows.count));
}

static void call_answered(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct ring               *r    = subject;
    const struct from_replica *f    = cargo;
    struct ring_call          *call = &r->calls[f->call];
    if (!call->is_used || call->serial != f->serial) return;
    for (uint32_t i = 0; i < f->rows.count; i++) rows_merge(&call->read, &f->rows.rows[i]);
    if (++call->answers == r->quorum) call_end(r, call, CLAIM_DONE);
}

static void call_expire(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct ring             *r    = subject;
    const struct to_replica *m    = cargo;
    struct ring_call        *call = &r->calls[m->call];
    if (call->is_used && call->serial == m->serial) call_end(r, call, CLAIM_UNKNOWN);
}

/* ---- members ---- */

static struct members_record *record_find(struct ring *r, uint64_t id) {
    for (uint32_t i = 0; i < r->record_count; i++)
        if (r->records[i].id == id) return &r->records[i];
    return NULL;
}

static void records_expire(struct ring *r) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < r->record_count; i++) {
        if (r->world->now_ns >= r->expires_ns[i]) continue;
        r->records[kept]      = r->records[i];
        r->expires_ns[kept++] = r->expires_ns[i];
    }
    r->record_count = kept;
}

/* It has been written. A date is written with what is left of the fence's time. */
static void record_keep(struct ring *r, struct members_record *record,
                        const struct members_errand *e) {
    uint64_t past_ns                   = e->act == MEMBERS_DATE ? e->fenced_for_ns : 0;
    record->keep_ns                    = larger(MEMBER_KEEP_NS_MIN, e->keep_ns);
    r->expires_ns[record - r->records] = r->world->now_ns + above(record->keep_ns, past_ns);
}

/* Whether the condition held. */
static bool record_update(struct ring *r, const struct members_errand *e) {
    struct members_record *record = record_find(r, e->id);
    if (e->act == MEMBERS_JOIN) {
        if (record != NULL) return false;
        REQUIRE(r->record_count < RING_ROWS_MAX);
        record  = &r->records[r->record_count++];
        *record = (struct members_record){.id = e->id, .beat = e->beat};
        record_keep(r, record, e);
        return true;
    }
    if (record == NULL || record->is_fenced != (e->act == MEMBERS_DATE)) return false;
    if (e->act == MEMBERS_DATE) {
        if (record->beat != e->beat) return false;
        record->fenced_for_ns = e->fenced_for_ns;
        record_keep(r, record, e);
        world_note(r->world, "date", 0, e->id, e->fenced_for_ns);
        return true;
    }
    if (e->act == MEMBERS_FENCE) {
        if (record->beat != e->beat) return false;
        record->is_fenced = true;
        world_note(r->world, "fence", 0, e->id, e->beat);
    } else {
        if (record->beat >= e->beat) return false;
        record->beat      = e->beat;
        record->shortages = e->shortages;
    }
    record_keep(r, record, e);
    return true;
}

static void member_reply(struct ring *r, const struct ring_request *request, enum claim_fate fate) {
    struct ring_reply *reply = reply_begin(r, request, fate);
    if (request->member.act == MEMBERS_LOOK && fate == CLAIM_DONE) {
        reply->count = r->record_count;
        memcpy(reply->records, r->records, reply->count * sizeof reply->records[0]);
    }
    r->reply(r->context, reply,
             offsetof(struct ring_reply, rows) + reply->count * sizeof reply->records[0]);
}

/* `number` 0: nobody is told any more. */
static void member_update(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct ring               *r       = subject;
    const struct ring_request *request = cargo;
    if (r->is_out) return;
    records_expire(r);
    bool is_done = request->member.act == MEMBERS_LOOK || record_update(r, &request->member);
    if (request->number != 0) member_reply(r, request, is_done ? CLAIM_DONE : CLAIM_NOT_DONE);
}

static uint32_t ring_alive(const struct ring *r) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->replica_count; i++) count += !ring_is_down(r, i);
    return count;
}

static void member_serve(struct ring *r, const struct ring_request *request) {
    uint64_t at_ns   = r->world->now_ns + 2 * replica_delay_ns(r) + 2 * replica_delay_ns(r);
    bool     is_lost = random_below(&r->random_fault, 1000) < UNKNOWN_MIL;
    if (ring_alive(r) >= r->quorum && !is_lost) {
        world_at(r->world, at_ns, member_update, r, request, sizeof *request);
        return;
    }
    member_reply(r, request, CLAIM_UNKNOWN);
    struct ring_request late = *request;
    late.number              = 0;
    if (random_below(&r->random_fault, 2) == 0)
        world_at(r->world, at_ns + random_below(&r->random_fault, LATE_MS * SIM_MS), member_update,
                 r, &late, sizeof late);
}

void ring_serve(struct ring *r, const struct ring_request *request) {
    if (request->is_member) {
        member_serve(r, request);
    } else if (ring_alive(r) < r->quorum && random_below(&r->random_fault, 2) == 0) {
        r->reply(r->context, reply_begin(r, request, CLAIM_NOT_DONE), /* "unavailable" */
                 offsetof(struct ring_reply, rows));
    } else {
        call_begin(r, request);
    }
}

/* ---- faults ---- */

/* One replica at a time, mostly: another may follow before it is back. */
static void replica_fail(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct ring *r      = subject;
    uint32_t     number = (uint32_t)random_below(&r->random_fault, r->replica_count);
    if (!r->is_down[number]) {
        r->is_down[number] = true;
        world_note(w, "down", number, 0, 0);
        world_at(w, w->now_ns + SIM_S / 2 + random_below(&r->random_fault, DOWN_MS * SIM_MS),
                 replica_return, r, &number, sizeof number);
    }
    plan(r, r->scenario->failover_every_ns, replica_fail);
}

static void replica_return(struct world *w, void *subject, void *cargo) {
    struct ring *r      = subject;
    uint32_t     number = *(const uint32_t *)cargo;
    r->is_down[number]  = false;
    world_note(w, "up", number, 0, 0);
}

static void replica_wipe(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct ring *r                 = subject;
    uint32_t     number            = (uint32_t)random_below(&r->random_fault, r->replica_count);
    r->replicas[number].rows.count = 0;
    world_note(w, "wipe", number, 0, 0);
    plan(r, r->scenario->wipe_every_ns, replica_wipe);
}

/* All of it: what is on its way is lost, or comes late. */
static void outage_begin(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct ring *r = subject;
    r->is_out      = true;
    world_note(w, "out", 0, 0, 0);
}

static void outage_end(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct ring *r = subject;
    r->is_out      = false;
    world_note(w, "back", 0, 0, 0);
}
