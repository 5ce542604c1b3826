/* SPDX-License-Identifier: MIT
 *
 * paxos: what a store with conditional updates may do to src/sim/ledger.c.
 *
 * Updates of one record wait for one another, as those of one partition do in Cassandra: whoever is first is
 * served for four rounds between replicas. If its condition does not hold it is answered after two, and the
 * next is served after a sixth of the four. On three real servers an update takes 3.2 times as long as a
 * plain write at QUORUM, so a round here is four fifths of a plain one; and of the updates that one client
 * gets done in a second 4 get 68 %, 16 get 28 %: each that waits in vain costs the others a sixth. A
 * coordinator that has waited too long gives up. Of those that meet others some are lost (real ones: 2.5 to
 * 2.9 %; of others none was): nothing comes of them, or they are done and nobody is told, or done when nobody
 * expects it any more.
 *
 * Reads are plain, at QUORUM, and do not wait. While an update is decided but not yet confirmed they may find
 * the record as it was before.
 *
 * What it models is what Cassandra may do, not how. */
#include "sim/paxos.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

enum {
    CALL_MS         = 300,  /* a coordinator waits so long */
    LATE_MS         = 6000, /* an update that was given up may still be done within so long */
    UNKNOWN_MIL     = 1,    /* of 1000 updates so many are given up */
    MET_UNKNOWN_MIL = 27,   /* the same where others wait */
    TAIL_MIL = 30, /* of 1000 messages between replicas so many take up to so many times the mean */
    TAIL_TIMES      = 20,
    DOWN_GAP_MS     = 500,
    DOWN_MS         = 4000,
    BACKUP_EVERY_MS = 4000,
};

/* What is fixed of a page, before its charges and cells. */
enum { PAGE_HEAD_BYTES = offsetof(struct ledger_page, account.charges) };

static event_fn paxos_look, paxos_decide, paxos_confirm, paxos_late, paxos_read, paxos_send;
static event_fn paxos_read_clocks, paxos_write_clock;
static event_fn replica_fail, replica_return, roll_back, back_up;
static void     paxos_next(struct paxos *p);

static void plan(struct paxos *p, uint64_t every_ns, event_fn *run) {
    if (every_ns == 0) return;
    uint64_t at_ns =
        p->world->now_ns + DOWN_GAP_MS * SIM_MS + world_exponential(&p->random_fault, every_ns);
    if (p->scenario->calm_ns != 0 && at_ns >= p->scenario->calm_ns) return;
    world_at(p->world, at_ns, run, p, NULL, 0);
}

void paxos_begin(struct paxos *p, struct world *w, const struct scenario *s) {
    p->world         = w;
    p->scenario      = s;
    p->random_fault  = random_split(&w->random);
    p->random_link   = random_split(&w->random);
    p->replica_count = 1 + (uint32_t)s->replicas;
    p->quorum        = p->replica_count / 2 + 1;
    plan(p, s->failover_every_ns, replica_fail);
    plan(p, s->rollback_every_ns, roll_back);
    if (s->rollback_every_ns > 0) world_at(w, 0, back_up, p, NULL, 0);
}

/* ---- records as bytes ---- */

size_t paxos_request_bytes(const struct paxos_request *request) {
    const struct account *a = &request->update.page.account;
    if (!request->is_update) return offsetof(struct paxos_request, update);
    return offsetof(struct paxos_request, update.page.account.cells) +
           a->cell_count * sizeof a->cells[0];
}

static void request_copy(struct paxos_request *to, const struct paxos_request *from) {
    memcpy(to, from, paxos_request_bytes(from));
}

size_t paxos_reply_bytes(const struct paxos_reply *reply) { return sizeof *reply + reply->bytes; }

static unsigned char *put(unsigned char *to, const void *bytes, size_t count) {
    memcpy(to, bytes, count);
    return to + count;
}

static const unsigned char *take(const unsigned char *from, void *bytes, size_t count) {
    memcpy(bytes, from, count);
    return from + count;
}

static unsigned char *page_pack(unsigned char *to, const struct ledger_page *page) {
    const struct account *a = &page->account;
    to                      = put(to, page, PAGE_HEAD_BYTES);
    to                      = put(to, a->charges, a->charge_count * sizeof a->charges[0]);
    return put(to, a->cells, a->cell_count * sizeof a->cells[0]);
}

/* `hides`: as it was before the last update. */
static size_t record_pack(struct paxos *p, unsigned char *to, bool hides) {
    const struct ledger_record *r       = &p->record;
    unsigned char              *begin   = to;
    uint64_t                    version = hides ? r->version - 1 : r->version;
    /* The last update's page is the one that page_before is of. */
    bool     drops = hides && !p->had_page;
    uint32_t count = drops ? r->page_count - 1 : r->page_count;
    to             = put(to, &version, sizeof version);
    to             = put(to, &count, sizeof count);
    for (uint32_t i = 0; i < r->page_count; i++) {
        const struct ledger_page *page = &r->pages[i];
        if (hides && page->id == p->page_before.id) {
            if (!drops) to = page_pack(to, &p->page_before);
        } else {
            to = page_pack(to, page);
        }
    }
    return (size_t)(to - begin);
}

void paxos_unpack(const struct paxos_reply *reply, struct ledger_record *record) {
    const unsigned char *from = (const unsigned char *)(reply + 1);
    from                      = take(from, &record->version, sizeof record->version);
    from                      = take(from, &record->page_count, sizeof record->page_count);
    REQUIRE(record->page_count <= LEDGER_PAGES_MAX);
    for (uint32_t i = 0; i < record->page_count; i++) {
        struct account *a = &record->pages[i].account;
        from              = take(from, &record->pages[i], PAGE_HEAD_BYTES);
        from              = take(from, a->charges, a->charge_count * sizeof a->charges[0]);
        from              = take(from, a->cells, a->cell_count * sizeof a->cells[0]);
    }
}

/* ---- replies ---- */

static struct paxos_reply *reply_begin(struct paxos *p, const struct paxos_request *request,
                                       enum ledger_fate fate) {
    struct paxos_reply *reply = (struct paxos_reply *)p->scratch;
    *reply                    = (struct paxos_reply){.node    = request->node,
                                                     .machine = request->machine,
                                                     .memory  = request->memory,
                                                     .number  = request->number,
                                                     .fate    = fate};
    return reply;
}

static struct paxos_reply *reply_with_record(struct paxos *p, const struct paxos_request *request,
                                             enum ledger_fate fate, bool hides) {
    struct paxos_reply *reply = reply_begin(p, request, fate);
    reply->bytes              = record_pack(p, p->scratch + sizeof *reply, hides);
    return reply;
}

static void paxos_send(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct paxos             *p     = subject;
    const struct paxos_reply *reply = cargo;
    p->reply(p->context, reply, paxos_reply_bytes(reply));
}

static void paxos_reply_at(struct paxos *p, uint64_t at_ns, const struct paxos_reply *reply) {
    world_at(p->world, at_ns, paxos_send, p, reply, paxos_reply_bytes(reply));
}

/* ---- rounds ---- */

static uint64_t replica_delay_ns(struct paxos *p) {
    uint64_t mean_ns  = p->scenario->replica_delay_ns;
    uint64_t delay_ns = 200 * SIM_US + world_exponential(&p->random_link, mean_ns);
    if (random_below(&p->random_link, 1000) < TAIL_MIL)
        delay_ns += random_below(&p->random_link, TAIL_TIMES * mean_ns + 1);
    return delay_ns;
}

/* Until a quorum has answered; UINT64_MAX: it never does. */
static uint64_t round_ns(struct paxos *p) {
    uint64_t took_ns[SIM_SERVERS_MAX] = {0};
    uint32_t count                    = 0;
    for (uint32_t i = 0; i < p->replica_count; i++) {
        uint64_t ns = replica_delay_ns(p) + replica_delay_ns(p);
        if (p->is_down[i]) continue;
        uint32_t at = count++;
        for (; at > 0 && took_ns[at - 1] > ns; at--) took_ns[at] = took_ns[at - 1];
        took_ns[at] = ns;
    }
    return count < p->quorum ? UINT64_MAX : took_ns[p->quorum - 1];
}

static uint64_t update_round_ns(struct paxos *p) {
    uint64_t ns = round_ns(p);
    return ns == UINT64_MAX ? CALL_MS * SIM_MS : ns / 5 * 4;
}

/* ---- reads ---- */

static void paxos_read(struct world *w, void *subject, void *cargo) {
    struct paxos *p     = subject;
    bool          hides = p->is_unsure && random_below(&p->random_fault, 2) == 0;
    paxos_reply_at(p, w->now_ns + round_ns(p) / 2, reply_with_record(p, cargo, LEDGER_DONE, hides));
}

/* ---- clocks ---- */

static void paxos_read_clocks(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct paxos       *p     = subject;
    struct paxos_reply *reply = reply_begin(p, cargo, LEDGER_DONE);
    reply->bytes              = p->clock_count * sizeof p->clocks[0];
    memcpy(p->scratch + sizeof *reply, p->clocks, reply->bytes);
    p->reply(p->context, reply, paxos_reply_bytes(reply));
}

/* Half of the write is over; the other half, and the read. */
static void paxos_write_clock(struct world *w, void *subject, void *cargo) {
    struct paxos               *p       = subject;
    const struct paxos_request *request = cargo;
    uint32_t                    at      = 0;
    while (at < p->clock_count && p->clocks[at].id != request->clock.id) at++;
    if (at == p->clock_count) {
        at = p->clock_next++ % PAXOS_CLOCKS_MAX;
        if (p->clock_count < PAXOS_CLOCKS_MAX) p->clock_count++;
        p->clocks[at] = request->clock;
    }
    if (p->clocks[at].us < request->clock.us) p->clocks[at] = request->clock;
    uint64_t ns = round_ns(p);
    if (ns == UINT64_MAX) return; /* too few are there to answer */
    world_at(w, w->now_ns + ns, paxos_read_clocks, p, request, paxos_request_bytes(request));
}

/* ---- updates ---- */

static const struct paxos_request *paxos_current(const struct paxos *p) {
    return &p->queue[p->first].request;
}

static void paxos_leave(struct paxos *p) {
    p->is_busy = false;
    p->first   = (p->first + 1) % PAXOS_QUEUE_MAX;
    p->waiting--;
}

static enum paxos_luck paxos_draw(struct paxos *p) {
    bool     is_dead = round_ns(p) == UINT64_MAX;
    uint64_t lost    = p->waiting > 1 ? MET_UNKNOWN_MIL : UNKNOWN_MIL;
    if (!is_dead && random_below(&p->random_fault, 1000) >= lost) return PAXOS_FINE;
    switch (random_below(&p->random_fault, 3)) {
    case 0: return PAXOS_NEVER;
    case 1: return is_dead ? PAXOS_NEVER : PAXOS_UNTOLD;
    default: return PAXOS_LATE;
    }
}

/* Takes the next of the queue. */
static void paxos_next(struct paxos *p) {
    uint64_t now_ns = p->world->now_ns;
    while (!p->is_busy && p->waiting > 0) {
        const struct paxos_wait    *wait    = &p->queue[p->first];
        const struct paxos_request *request = &wait->request;
        uint64_t                    ends_ns = wait->since_ns + CALL_MS * SIM_MS;
        bool                        is_over = now_ns >= ends_ns;
        p->luck                             = is_over ? PAXOS_NEVER : paxos_draw(p);
        if (p->luck != PAXOS_FINE)
            paxos_reply_at(p, ends_ns, reply_begin(p, request, LEDGER_UNKNOWN));
        if (p->luck == PAXOS_LATE) {
            uint64_t late_ns = random_below(&p->random_fault, LATE_MS * SIM_MS);
            world_at(p->world, now_ns + late_ns, paxos_late, p, request,
                     paxos_request_bytes(request));
        }
        if (is_over) {
            paxos_leave(p);
            continue;
        }
        p->is_busy      = true;
        uint64_t two_ns = update_round_ns(p) + update_round_ns(p);
        p->rest_ns      = two_ns - two_ns / 3;
        world_at(p->world, now_ns + two_ns / 3, paxos_look, p, NULL, 0);
    }
}

static void paxos_change(struct paxos *p, const struct paxos_request *request) {
    const struct ledger_update *u      = &request->update;
    const struct ledger_page   *before = ledger_record_find(&p->record, u->page.id);
    p->had_page                        = before != NULL;
    p->page_before.id                  = u->page.id;
    if (before != NULL) ledger_page_copy(&p->page_before, before);
    bool is_changed = ledger_record_change(&p->record, u);
    REQUIRE(is_changed);
    p->is_unsure = true;
    world_note(p->world, "change", request->node, p->record.version, p->record.page_count);
}

/* Whether it will be done, unless a late one comes between. */
static void paxos_look(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos               *p       = subject;
    const struct paxos_request *request = paxos_current(p);
    bool                        is_lost = p->luck == PAXOS_NEVER || p->luck == PAXOS_LATE;
    if (!is_lost && p->record.version == request->update.version) {
        world_at(w, w->now_ns + p->rest_ns + update_round_ns(p), paxos_decide, p, NULL, 0);
        p->rest_ns = 0;
        return;
    }
    if (p->luck == PAXOS_FINE)
        paxos_reply_at(p, w->now_ns + p->rest_ns,
                       reply_with_record(p, request, LEDGER_NOT_DONE, false));
    paxos_leave(p);
    paxos_next(p);
}

static void paxos_decide(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos *p = subject;
    if (p->record.version != paxos_current(p)->update.version) { /* a late one came between */
        paxos_look(w, subject, NULL);
        return;
    }
    paxos_change(p, paxos_current(p));
    world_at(w, w->now_ns + update_round_ns(p), paxos_confirm, p, NULL, 0);
}

static void paxos_confirm(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos *p = subject;
    p->is_unsure    = false;
    if (p->luck == PAXOS_FINE)
        paxos_reply_at(p, w->now_ns, reply_begin(p, paxos_current(p), LEDGER_DONE));
    paxos_leave(p);
    paxos_next(p);
}

static void paxos_late(struct world *w, void *subject, void *cargo) {
    (void)w;
    struct paxos               *p       = subject;
    const struct paxos_request *request = cargo;
    if (p->record.version != request->update.version || p->is_unsure) return;
    paxos_change(p, request);
    p->is_unsure = false;
    world_note(p->world, "late", request->node, p->record.version, 0);
}

void paxos_serve(struct paxos *p, const struct paxos_request *request) {
    uint64_t now_ns = p->world->now_ns;
    if (!request->is_update) {
        uint64_t ns = round_ns(p);
        if (request->is_beat) {
            if (ns != UINT64_MAX)
                world_at(p->world, now_ns + ns / 2, paxos_write_clock, p, request,
                         paxos_request_bytes(request));
            return;
        }
        if (ns == UINT64_MAX)
            paxos_reply_at(p, now_ns + CALL_MS * SIM_MS, reply_begin(p, request, LEDGER_UNKNOWN));
        else
            world_at(p->world, now_ns + ns / 2, paxos_read, p, request,
                     paxos_request_bytes(request));
        return;
    }
    if (p->waiting == PAXOS_QUEUE_MAX) return; /* as if the connection had been refused */
    struct paxos_wait *wait = &p->queue[(p->first + p->waiting++) % PAXOS_QUEUE_MAX];
    wait->since_ns          = now_ns;
    request_copy(&wait->request, request);
    paxos_next(p);
}

/* ---- faults ---- */

/* One replica at a time, mostly: another may follow before it is back. */
static void replica_fail(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos *p      = subject;
    uint32_t      number = (uint32_t)random_below(&p->random_fault, p->replica_count);
    if (!p->is_down[number]) {
        p->is_down[number] = true;
        world_note(w, "down", number, 0, 0);
        world_at(w, w->now_ns + SIM_S / 2 + random_below(&p->random_fault, DOWN_MS * SIM_MS),
                 replica_return, p, &number, sizeof number);
    }
    plan(p, p->scenario->failover_every_ns, replica_fail);
}

static void replica_return(struct world *w, void *subject, void *cargo) {
    struct paxos *p      = subject;
    uint32_t      number = *(const uint32_t *)cargo;
    p->is_down[number]   = false;
    world_note(w, "up", number, 0, 0);
}

static void back_up(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos *p = subject;
    ledger_record_copy(&p->backup, &p->record);
    p->has_backup = true;
    world_at(w, w->now_ns + BACKUP_EVERY_MS * SIM_MS, back_up, p, NULL, 0);
}

/* As when all replicas lose power and what they had not yet written. */
static void roll_back(struct world *w, void *subject, void *cargo) {
    (void)cargo;
    struct paxos *p = subject;
    if (p->has_backup) ledger_record_copy(&p->record, &p->backup);
    p->is_unsure = false;
    world_note(w, "rollback", 0, p->record.version, 0);
    plan(p, p->scenario->rollback_every_ns, roll_back);
}
