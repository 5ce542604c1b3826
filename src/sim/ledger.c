/* SPDX-License-Identifier: MIT
 *
 * ledger: leases by conditional updates, without a clock that is anybody's but one's own.
 *
 * A process serves a holder's request on its copy of the record, in the account on its own page, with what
 * other pages leave of the limit; and writes the page if the record still has the version of the copy. The
 * grant is told when that is known to be done, or when the record that is read has it.
 *
 * Which clock? The store has none that a condition could ask, and no two processes' clocks are compared. So
 * the stamps of a page are times of its writer's clock, and each process knows of each other clock what it
 * has heard itself. A page says what its writer's clock showed before it was written, and so does a row that
 * each process writes a few times a second. Who reads that, and has the answer when its own clock shows m,
 * knows that the other's shows no less by then; and, while its own advances by d, that the other's advances
 * by d (1 - rho) / (1 + rho) at least. The greatest of these bounds is kept: they all rise alike. It is late
 * by the quickest way that a word of that process took to this one, and gets no worse from hand to hand.
 *
 * Strict. Let a permit be used at the real time u, by process Q, of a grant of update i. Q's clock shows then
 * no more than the permit's stamp s: the end of the term, or what a report says. Whoever counts it no more
 * when it builds an update knows that Q's clock shows s + H at least, so that H / (1 + rho) >= W of real time
 * have passed since u. So all that is built between i and u + W counts it. At a real instant x let j be the
 * last update done by then that granted anything. Every permit used in (x - W, x] was granted by j or before
 * it, since it was told when its update was done. j was built before x, and on the version that it changed,
 * or it would not have been done. So it counted them all, and granted no more than the limit leaves beside
 * them. So at most limit permits were used in (x - W, x].
 *
 * An update of unknown outcome changes the version that it was built on, or nothing ever: from then on
 * somebody else has. So to read again and to serve the request again is enough: the same lease id gets the
 * same grant from the account (account.c). If the late update comes first the new one is not done; if it
 * comes second it is not done itself. That the read is stale does no harm: what is built on it is not done,
 * and a denial is only a denial.
 *
 * Who starts anew draws another id, so another page, and the old page ages as the pages of others do. So
 * nobody needs to know who is alive.
 *
 * Refused: a clock in the record, advanced by who writes. How far apart two updates of different processes
 * are neither knows, so it would stand still for a write and a read at each change of hands: the more of
 * them, the longer the window. And a reading that others take for the present (wall clocks that agree within
 * a bound): that compares two machines. */
#include "sim/ledger.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      UINT64_C(1000000000)

enum {
    LOOKS_A_HOLD   = 64, /* a copy that is younger than one of so many parts of the hold may deny */
    PARTS_A_HOLD   = 1024, /* how exactly a time to come back is told */
    BACKOFF_MS     = 4,    /* after a second failure; then twice as long, at random */
    BACKOFF_SHIFTS = 4,
};

void ledger_begin(struct ledger *l, const struct lease_terms *terms, uint64_t id, uint64_t now_ns) {
    *l = (struct ledger){.terms = terms, .id = id, .random = {.state = id}};
    store_clock_begin(&l->clock, now_ns / 1000, true);
}

/* ---- records ---- */

struct ledger_page *ledger_record_find(struct ledger_record *r, uint64_t id) {
    for (uint32_t i = 0; i < r->page_count; i++)
        if (r->pages[i].id == id) return &r->pages[i];
    return NULL;
}

void ledger_page_copy(struct ledger_page *to, const struct ledger_page *from) {
    const struct account *a = &from->account;
    memcpy(to, from, offsetof(struct ledger_page, account.charges));
    memcpy(to->account.charges, a->charges, a->charge_count * sizeof a->charges[0]);
    memcpy(to->account.cells, a->cells, a->cell_count * sizeof a->cells[0]);
}

void ledger_record_copy(struct ledger_record *to, const struct ledger_record *from) {
    to->version    = from->version;
    to->page_count = from->page_count;
    for (uint32_t i = 0; i < from->page_count; i++)
        ledger_page_copy(&to->pages[i], &from->pages[i]);
}

static void record_drop(struct ledger_record *r, uint64_t id) {
    struct ledger_page *page = ledger_record_find(r, id);
    if (page == NULL) return;
    const struct ledger_page *last = &r->pages[--r->page_count];
    if (page != last) ledger_page_copy(page, last);
}

bool ledger_record_change(struct ledger_record *r, const struct ledger_update *u) {
    if (r->version != u->version) return false;
    for (uint32_t i = 0; i < u->dropped_count; i++) record_drop(r, u->dropped[i]);
    struct ledger_page *page = ledger_record_find(r, u->page.id);
    if (page == NULL) {
        REQUIRE(r->page_count < LEDGER_PAGES_MAX);
        page = &r->pages[r->page_count++];
    }
    ledger_page_copy(page, &u->page);
    r->version++;
    return true;
}

/* ---- clocks of others ---- */

static struct ledger_peer *ledger_find_peer(struct ledger *l, uint64_t id) {
    for (uint32_t i = 0; i < l->peer_count; i++)
        if (l->peers[i].id == id) return &l->peers[i];
    return NULL;
}

/* What its clock shows at least. */
static uint64_t peer_now_us(const struct ledger *l, const struct ledger_peer *p, uint64_t now_ns) {
    return p->theirs_us + lease_terms_store_us(l->terms, now_ns - p->own_ns);
}

/* A place for one more: if need be of the one that was heard of longest ago, and has no page. */
static struct ledger_peer *ledger_add_peer(struct ledger *l) {
    if (l->peer_count < LEDGER_PEERS_MAX) return &l->peers[l->peer_count++];
    struct ledger_peer *oldest = NULL;
    for (uint32_t i = 0; i < l->peer_count; i++) {
        struct ledger_peer *p = &l->peers[i];
        if (oldest != NULL && p->own_ns >= oldest->own_ns) continue;
        if (ledger_record_find(&l->record, p->id) == NULL) oldest = p;
    }
    INVARIANT(oldest != NULL); /* there are more than pages */
    return oldest;
}

void ledger_hear(struct ledger *l, uint64_t id, uint64_t theirs_us, uint64_t now_ns) {
    if (id == l->id) return;
    struct ledger_peer *p = ledger_find_peer(l, id);
    if (p != NULL && theirs_us <= peer_now_us(l, p, now_ns)) return;
    if (p == NULL) p = ledger_add_peer(l);
    *p = (struct ledger_peer){.id = id, .theirs_us = theirs_us, .own_ns = now_ns};
}

static void ledger_adopt(struct ledger *l, const struct ledger_record *record, uint64_t now_ns) {
    ledger_record_copy(&l->record, record);
    l->has_record = true;
    l->must_read  = false;
    l->read_ns    = l->sent_ns;
    for (uint32_t i = 0; i < record->page_count; i++)
        ledger_hear(l, record->pages[i].id, record->pages[i].written_us, now_ns);
}

/* ---- requests ---- */

static uint64_t page_live(struct ledger *l, const struct ledger_page *page, uint64_t now_ns) {
    const struct ledger_peer *p = ledger_find_peer(l, page->id);
    REQUIRE(p != NULL);
    return account_live(&page->account, peer_now_us(l, p, now_ns));
}

static uint64_t ledger_others(struct ledger *l, uint64_t now_ns) {
    uint64_t live = 0;
    for (uint32_t i = 0; i < l->record.page_count; i++)
        if (l->record.pages[i].id != l->id) live += page_live(l, &l->record.pages[i], now_ns);
    return live;
}

/* After how long so many permits are live at most, if nothing but time passes. */
static uint64_t ledger_wait_us(struct ledger *l, uint64_t room, uint64_t now_ns) {
    const struct lease_request *q        = &l->request;
    uint64_t                    early_us = 0, late_us = 2 * (q->hold_us + q->term_us);
    while (late_us - early_us > q->hold_us / PARTS_A_HOLD + 1) {
        uint64_t us   = early_us + (late_us - early_us) / 2;
        uint64_t live = ledger_others(l, now_ns + us * 1000) +
                        account_live(&l->update.page.account, l->clock.now_us + us);
        if (live <= room)
            late_us = us;
        else
            early_us = us;
    }
    return late_us;
}

/* Serves the request on the copy of this process's page, in l->update. True: that must be written. */
static bool ledger_serve(struct ledger *l, uint64_t now_ns) {
    struct lease_request      q    = l->request;
    struct ledger_page       *page = &l->update.page;
    const struct ledger_page *own  = ledger_record_find(&l->record, l->id);
    (void)store_clock_step(&l->clock, now_ns / 1000, LEASE_NUMBER_MAX / 2);
    if (own != NULL)
        ledger_page_copy(page, own);
    else
        *page = (struct ledger_page){.id = l->id};
    page->written_us = l->clock.now_us;

    uint64_t others = q.is_reset ? 0 : ledger_others(l, now_ns);
    uint64_t grants = l->clock.grants;
    q.limit         = above(q.limit, others);
    account_serve(&page->account, &l->clock, &q, &l->reply);

    if (l->reply.retry_after_us > 0 && q.need <= l->request.limit)
        l->reply.retry_after_us = ledger_wait_us(l, l->request.limit - q.need, now_ns);
    l->reply.is_replicated = true;
    l->served              = l->request;
    return l->clock.grants != grants || q.report_count > 0 || q.is_reset;
}

/* Nothing of it counts any more, so nothing of it is out; or it is to be forgotten. */
static void ledger_drop_pages(struct ledger *l, uint64_t now_ns) {
    struct ledger_update *u = &l->update;
    u->dropped_count        = 0;
    for (uint32_t i = 0; i < l->record.page_count; i++) {
        const struct ledger_page *page = &l->record.pages[i];
        if (page->id == l->id) continue;
        if (!l->request.is_reset && page_live(l, page, now_ns) > 0) continue;
        u->dropped[u->dropped_count++] = page->id;
    }
}

static bool ledger_has_room(struct ledger *l) {
    bool is_there = ledger_record_find(&l->record, l->id) != NULL;
    return is_there || l->record.page_count - l->update.dropped_count < LEDGER_PAGES_MAX;
}

/* What comes for the lease that an update is out for is a resend, and answered with it. */
void ledger_ask(struct ledger *l, const struct lease_request *q) {
    if (l->out == LEDGER_UPDATE && lease_id_equals(q->id, l->served.id)) return;
    l->request  = *q;
    l->is_asked = true;
}

/* ---- errands ---- */

static void ledger_fail(struct ledger *l, uint64_t now_ns) {
    uint64_t shifts  = smaller(l->failures, BACKOFF_SHIFTS);
    uint64_t most_ns = l->failures == 0 ? 1 : (BACKOFF_MS * MILLISECOND) << shifts;
    l->failures++;
    l->retry_at_ns = now_ns + random_below(&l->random, most_ns);
}

static bool ledger_begin_errand(struct ledger *l, enum ledger_act act, uint64_t now_ns) {
    l->out     = act;
    l->sent_ns = now_ns;
    return true;
}

static bool ledger_answer(struct ledger *l) {
    l->has_answer = false;
    l->failures   = 0;
    return true;
}

bool ledger_poll(struct ledger *l, uint64_t now_ns, enum ledger_act *act) {
    *act = LEDGER_ANSWER;
    if (l->has_answer) return ledger_answer(l);
    if (l->out != LEDGER_NOTHING || !l->is_asked || now_ns < l->retry_at_ns) return false;

    *act = LEDGER_READ;
    if (!l->has_record || l->must_read) return ledger_begin_errand(l, LEDGER_READ, now_ns);
    if (ledger_serve(l, now_ns)) {
        ledger_drop_pages(l, now_ns);
        if (!ledger_has_room(l)) { /* for one more process: until others' permits have aged out */
            l->must_read = true;
            ledger_fail(l, now_ns);
            return false;
        }
        l->update.version = l->record.version;
        l->is_asked       = false;
        *act              = LEDGER_UPDATE;
        return ledger_begin_errand(l, LEDGER_UPDATE, now_ns);
    }
    uint64_t fresh_ns = between(20 * MILLISECOND, l->request.hold_us * 1000 / LOOKS_A_HOLD, SECOND);
    bool     is_fresh = now_ns < l->read_ns + fresh_ns;
    if (l->reply.granted == 0 && !is_fresh) return ledger_begin_errand(l, LEDGER_READ, now_ns);
    l->is_asked = false;
    *act        = LEDGER_ANSWER;
    return ledger_answer(l);
}

uint64_t ledger_next_ns(const struct ledger *l) {
    if (l->out != LEDGER_NOTHING || !l->is_asked) return UINT64_MAX;
    return l->retry_at_ns;
}

void ledger_has_read(struct ledger *l, const struct ledger_record *record, uint64_t now_ns) {
    REQUIRE(l->out == LEDGER_READ);
    l->out = LEDGER_NOTHING;
    if (record == NULL)
        ledger_fail(l, now_ns);
    else
        ledger_adopt(l, record, now_ns);
}

/* What was served is served again, unless the holder has asked something else since. */
static void ledger_take_back(struct ledger *l) {
    if (l->is_asked) return;
    l->request  = l->served;
    l->is_asked = true;
}

void ledger_updated(struct ledger *l, enum ledger_fate fate, const struct ledger_record *record,
                    uint64_t now_ns) {
    REQUIRE(l->out == LEDGER_UPDATE);
    l->out = LEDGER_NOTHING;
    switch (fate) {
    case LEDGER_DONE: {
        bool is_changed = ledger_record_change(&l->record, &l->update);
        INVARIANT(is_changed);
        l->read_ns    = l->sent_ns;
        l->has_answer = true;
        return;
    }
    case LEDGER_NOT_DONE: ledger_adopt(l, record, now_ns); break;
    case LEDGER_UNKNOWN: l->must_read = true; break;
    }
    ledger_take_back(l);
    ledger_fail(l, now_ns);
}
