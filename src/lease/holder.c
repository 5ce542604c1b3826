/* SPDX-License-Identifier: MIT
 *
 * holder: permits in hand, and what the store must be told.
 *
 * Five rules make it strict; the proof is in docs/leases.md, and test/planted/sim.bugs breaks each of
 * them:
 *
 *   1. A lease ends term_ns after asked_ns, the own time before the first send of its acquire: not of
 *      a resend, not of the reply. The store counted its term from later, when it granted.
 *   2. A lease is spent only if its grant was replicated, and if the exchange that brought it shows
 *      that the store's clock has not run ahead.
 *   3. Never more than `granted` is spent, by one holder only: a new memory has a new incarnation.
 *   4. A final report is sent of a lease that is LEASE_OVER, of which nothing can be spent any more.
 *   5. Uses are told under the latest of their times, with ages that are at most the real ones.
 *
 * The rest is for use and for few trips. A caller finds a permit in hand, or waits for a trip that
 * all who come meanwhile share. What is acquired is what they want and what is expected for half a
 * term; when less than 30 % is left, or an eighth of the term, the next lease is acquired ahead. Who
 * was idle gives back, and so does every lease that has ended. A store's denial serves for as long as
 * the store said that it would, but others may give back earlier, so after poll_ns it is asked again.
 * Small limits and short windows (LEASE_MODE_EACH) take what the waiting callers want and nothing
 * ahead.
 *
 * Uses need no prompt report: until it comes they count as used at the end of the term, which matters
 * only when they would have aged out. So they are told on whatever trip is made, and on one of their
 * own not before seven eighths of a window have passed. And not even then if seven eighths of the limit
 * were free when they were granted: whoever asks once costs one trip, and others may have to wait up to
 * a term longer for an eighth of the limit. What is given back is told at once. */
#include "lease/holder.h"

#include <stddef.h>

#include "base/contract.h"
#include "base/range.h"

enum {
    AHEAD_PERCENT   = 30,
    AHEAD_PERMITS   = 4, /* smaller leases are not renewed ahead: there the limit is near */
    BACKOFF_SHIFTS  = 4,
    PARTS_OF_TERM   = 2, /* demand is counted in these */
    GROUPS_OF_TERM  = 8, /* uses within such a part of a term share a group */
    AHEAD_TERM_PART = 8,
};

static struct holder_answer holder_answer(struct holder *h, uint64_t cost, uint64_t now_ns);
static struct holder_lease *holder_ask_store(struct holder *h, uint64_t now_ns);
static uint64_t             lease_unspent(const struct holder_lease *l);
static uint64_t             lease_due_ns(const struct holder *h, const struct holder_lease *l);
static bool                 lease_can_wait(const struct holder_lease *l);
static bool                 holder_wish(struct holder *h, uint64_t now_ns);
static bool                 holder_is_due(const struct holder *h, uint64_t now_ns, bool is_wish);

static void holder_spend(struct holder *h, uint64_t cost, uint64_t now_ns);
static void lease_use(struct holder_lease *l, uint64_t width_ns, uint64_t count, uint64_t now_ns);
static void holder_close(struct holder *h, uint64_t now_ns);
static void holder_tell(struct holder *h, uint64_t now_ns, struct lease_request *q);
static void holder_settle(struct holder *h, const struct lease_receipt *receipt);
static void holder_take_grant(struct holder *h, struct holder_lease *l,
                              const struct lease_reply *reply, bool is_usable, uint64_t now_ns);

void holder_begin(struct holder *h, const struct lease_terms *terms, uint64_t incarnation) {
    REQUIRE(terms->mode != LEASE_MODE_BAD);
    *h = (struct holder){.terms = terms, .incarnation = incarnation};
}

/* --- callers --------------------------------------------------------------------------------- */

static void holder_note_demand(struct holder *h, uint64_t cost, uint64_t now_ns) {
    uint64_t part_ns = h->terms->term_ns / PARTS_OF_TERM + 1;
    if (now_ns >= h->part_ns + part_ns) {
        uint64_t parts = (now_ns - h->part_ns) / part_ns;
        h->demand      = (h->demand + h->part_asked) / 2 >> smaller(parts - 1, 63);
        h->part_asked  = 0;
        h->part_ns += parts * part_ns;
    }
    h->part_asked = smaller(h->part_asked + cost, LIMIT_MAX);
    h->called_ns  = larger(h->called_ns, now_ns);
}

struct holder_answer holder_ask(struct holder *h, uint64_t cost, uint64_t now_ns) {
    REQUIRE(cost > 0);
    REQUIRE(cost <= LIMIT_MAX);
    if (cost > h->terms->limit) return (struct holder_answer){HOLDER_DENIED, LIMIT_NEVER};

    holder_note_demand(h, cost, now_ns);
    return holder_answer(h, cost, now_ns);
}

struct holder_answer holder_ask_again(struct holder *h, uint64_t cost, uint64_t now_ns) {
    REQUIRE(cost > 0);
    REQUIRE(cost <= h->terms->limit);
    return holder_answer(h, cost, now_ns);
}

static struct holder_answer holder_answer(struct holder *h, uint64_t cost, uint64_t now_ns) {
    uint64_t until_ns, left = holder_left(h, now_ns, &until_ns);
    if (left >= cost) {
        holder_spend(h, cost, now_ns);
        return (struct holder_answer){.outcome = HOLDER_ALLOWED};
    }

    if (now_ns < h->denied_until_ns && cost - left >= h->denied_need)
        return (struct holder_answer){HOLDER_DENIED,
                                      h->retry_at_ns > now_ns ? h->retry_at_ns - now_ns : 0};

    h->need    = h->waiting == 0 ? cost : smaller(h->need, cost);
    h->waiting = smaller(h->waiting + cost, LIMIT_MAX);
    return (struct holder_answer){.outcome = HOLDER_WAIT};
}

uint64_t holder_left(const struct holder *h, uint64_t now_ns, uint64_t *until_ns) {
    uint64_t left = 0;
    *until_ns     = UINT64_MAX;
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        const struct holder_lease *l = &h->leases[i];
        if (l->state != LEASE_OPEN || l->left == 0 || now_ns >= l->ends_ns) continue;
        left += l->left;
        *until_ns = smaller(*until_ns, l->ends_ns);
    }
    return left;
}

/* Takes from the lease that ends first, then from the other. */
static void holder_spend(struct holder *h, uint64_t cost, uint64_t now_ns) {
    uint64_t width_ns = h->terms->term_ns / GROUPS_OF_TERM;
    while (cost > 0) {
        struct holder_lease *first = NULL;
        for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
            struct holder_lease *l = &h->leases[i];
            if (l->state != LEASE_OPEN || l->left == 0 || now_ns >= l->ends_ns) continue;
            if (first == NULL || l->ends_ns < first->ends_ns) first = l;
        }
        INVARIANT(first != NULL);
        uint64_t count = smaller(cost, first->left);
        first->left -= count;
        cost -= count;
        lease_use(first, width_ns, count, now_ns);
        if (first->left == 0) first->state = LEASE_OVER;
    }
}

/* Notes uses, in the newest group or in a new one; if there are too many, the two that are nearest to
 * each other become one, under the later time. */
static void lease_use(struct holder_lease *l, uint64_t width_ns, uint64_t count, uint64_t now_ns) {
    struct holder_use *last = l->use_count > 0 ? &l->uses[l->use_count - 1] : NULL;
    if (last != NULL && now_ns < last->first_ns + width_ns) {
        last->latest_ns = larger(last->latest_ns, now_ns);
        last->count += count;
        return;
    }
    if (l->use_count == LEASE_USES_MAX) {
        uint32_t near = 0;
        for (uint32_t i = 1; i + 1 < l->use_count; i++)
            if (l->uses[i + 1].latest_ns - l->uses[i].latest_ns <
                l->uses[near + 1].latest_ns - l->uses[near].latest_ns)
                near = i;
        l->uses[near + 1].first_ns = l->uses[near].first_ns;
        l->uses[near + 1].count += l->uses[near].count;
        for (uint32_t i = near; i + 1 < l->use_count; i++) l->uses[i] = l->uses[i + 1];
        l->use_count--;
    }
    l->uses[l->use_count++] =
        (struct holder_use){.first_ns = now_ns, .latest_ns = now_ns, .count = count};
}

/* --- what to send ---------------------------------------------------------------------------- */

static struct holder_lease *holder_find(struct holder *h, enum holder_state state) {
    for (uint32_t i = 0; i < HOLDER_LEASES; i++)
        if (h->leases[i].state == state) return &h->leases[i];
    return NULL;
}

/* After so many sends, how long to wait before the next. */
static inline uint64_t backoff_ns(const struct holder *h, uint32_t sends) {
    if (sends == 0) return 0;
    return h->terms->retry_ns << smaller(sends - 1, BACKOFF_SHIFTS);
}

static bool holder_may_send(const struct holder *h, uint64_t now_ns) {
    return now_ns >= h->sent_ns + backoff_ns(h, h->sends);
}

bool holder_would_send(struct holder *h, uint64_t now_ns) {
    holder_close(h, now_ns);
    bool is_asked = holder_find(h, LEASE_ASKED) != NULL;
    bool is_wish  = !is_asked && holder_wish(h, now_ns);
    bool is_sent =
        is_asked ? holder_may_send(h, now_ns) : is_wish && holder_find(h, LEASE_NONE) != NULL;
    return is_sent || holder_is_due(h, now_ns, is_wish);
}

void holder_give_up(struct holder *h) { h->waiting = 0; }

void holder_ask_ahead(struct holder *h) {
    h->need    = 1;
    h->waiting = smaller(h->waiting, larger(h->demand, h->part_asked));
}

bool holder_is_in_demand(const struct holder *h, uint64_t now_ns) {
    if (h->terms->mode != LEASE_MODE_SHARE) return false; /* nothing of it would be kept */
    if (now_ns >= h->called_ns + h->terms->term_ns) return false;
    return larger(h->demand, h->part_asked) >= AHEAD_PERMITS;
}

bool holder_poll(struct holder *h, uint64_t now_ns, struct lease_request *q) {
    if (!holder_would_send(h, now_ns)) return false;
    struct holder_lease *asked = holder_find(h, LEASE_ASKED);
    if (asked == NULL && holder_wish(h, now_ns)) asked = holder_ask_store(h, now_ns);
    bool is_sent = asked != NULL && holder_may_send(h, now_ns);

    *q           = (struct lease_request){.limit             = h->terms->limit,
                                          .term_us           = h->terms->term_us,
                                          .hold_us           = h->terms->hold_us,
                                          .era_seen_us       = h->era_seen_us,
                                          .grants_seen       = h->grants_seen,
                                          .rewind_us         = h->rewind_us,
                                          .rewind_generation = h->generation};
    h->rewind_us = 0;
    if (is_sent) {
        q->id      = (struct lease_id){h->incarnation, asked->sequence};
        q->need    = h->wish_need;
        q->want    = h->wish_want;
        h->sent_ns = now_ns;
        h->sends++;
    }
    holder_tell(h, now_ns, q);
    return true;
}

void holder_keep(struct holder *h, uint64_t until_ns) {
    h->kept_until_ns = larger(h->kept_until_ns, until_ns);
}

/* When what is in hand goes back if nobody asks for it. */
static uint64_t holder_idle_ns(const struct holder *h) {
    if (h->terms->mode == LEASE_MODE_EACH) return h->kept_until_ns;
    return larger(h->kept_until_ns, h->called_ns + h->terms->idle_ns);
}

/* Takes out of use what has ended, what nobody asks for, and with LEASE_MODE_EACH what was left by
 * those who waited. Forgets leases of which the store knows all, and uses that have aged out there. */
static void holder_close(struct holder *h, uint64_t now_ns) {
    bool is_idle = h->waiting == 0 && now_ns >= holder_idle_ns(h);
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        struct holder_lease *l = &h->leases[i];
        if (l->state == LEASE_OPEN && (is_idle || now_ns >= l->ends_ns)) {
            l->state = LEASE_OVER;
            l->left  = 0;
        }
        if (l->state != LEASE_OVER) continue;
        bool     is_known = l->base == l->granted;
        uint64_t aged_ns  = l->ends_ns + h->terms->hold_us * 1000;
        if (is_known || (lease_can_wait(l) && now_ns >= aged_ns)) l->state = LEASE_NONE;
    }
}

/* Whether to acquire, and then wish_need and wish_want: for those who wait, or ahead. */
static bool holder_wish(struct holder *h, uint64_t now_ns) {
    uint64_t until_ns, left = holder_left(h, now_ns, &until_ns);
    bool     shares   = h->terms->mode == LEASE_MODE_SHARE;
    uint64_t recent   = h->part_asked > h->waiting ? h->part_asked - h->waiting : 0;
    uint64_t expected = shares ? larger(h->demand, recent) : 0;
    if (h->waiting > 0) {
        h->wish_need = h->need > left ? h->need - left : 1;
        h->wish_want = h->waiting > left ? h->waiting - left + expected : expected;
        h->wish_want = larger(h->wish_need, smaller(h->wish_want, h->terms->limit));
        return true;
    }
    if (expected == 0 || left == 0 || now_ns < h->denied_until_ns) return false;

    const struct holder_lease *newest     = NULL;
    uint32_t                   open_count = 0;
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        const struct holder_lease *l = &h->leases[i];
        if (l->state != LEASE_OPEN) continue;
        open_count++;
        if (newest == NULL || l->ends_ns > newest->ends_ns) newest = l;
    }
    if (open_count != 1 || newest->granted < AHEAD_PERMITS) return false;

    bool is_short =
        left < newest->granted / 100 * AHEAD_PERCENT + newest->granted % 100 * AHEAD_PERCENT / 100;
    bool is_ending = now_ns + h->terms->term_ns / AHEAD_TERM_PART >= newest->ends_ns;
    h->wish_need   = 1;
    h->wish_want   = smaller(expected, h->terms->limit);
    return is_short || is_ending;
}

/* A place for a new lease; NULL if all are taken by leases that the store has not confirmed. */
static struct holder_lease *holder_ask_store(struct holder *h, uint64_t now_ns) {
    struct holder_lease *l = holder_find(h, LEASE_NONE);
    if (l == NULL) return NULL;
    *l = (struct holder_lease){.state = LEASE_ASKED, .sequence = ++h->sequence, .asked_ns = now_ns};
    h->sends = 0;
    return l;
}

/* --- reports --------------------------------------------------------------------------------- */

static uint64_t lease_unspent(const struct holder_lease *l) {
    uint64_t unspent = l->granted - l->base;
    for (uint32_t i = 0; i < l->use_count; i++) unspent -= l->uses[i].count;
    return unspent;
}

/* Whether it is told of only on a trip that is made anyway. */
static bool lease_can_wait(const struct holder_lease *l) {
    return l->state == LEASE_OVER && l->is_loose && !l->is_told && lease_unspent(l) == 0;
}

/* When a trip is to be made to tell of a lease. */
static uint64_t lease_due_ns(const struct holder *h, const struct holder_lease *l) {
    uint64_t report_ns = h->terms->report_ns;
    if (l->state == LEASE_OPEN && l->use_count > 0)
        return l->is_loose ? UINT64_MAX : larger(l->uses[0].first_ns, l->told_ns) + report_ns;
    if (l->state != LEASE_OVER) return UINT64_MAX;
    if (l->is_told) return l->told_ns + backoff_ns(h, l->tells);
    if (lease_can_wait(l)) return UINT64_MAX;
    return lease_unspent(l) > 0 ? 0 : l->uses[0].first_ns + report_ns;
}

/* Whether a request must be sent although nothing is acquired by it. */
static bool holder_is_due(const struct holder *h, uint64_t now_ns, bool is_wish) {
    if (h->rewind_us > 0) return true;
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        const struct holder_lease *l = &h->leases[i];
        if (now_ns >= lease_due_ns(h, l)) return true;
        /* Somebody waits for a place that this one has. */
        if (is_wish && l->state == LEASE_OVER && !l->is_told) return true;
    }
    return false;
}

static void holder_tell(struct holder *h, uint64_t now_ns, struct lease_request *q) {
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        struct holder_lease *l = &h->leases[i];
        if (l->state != LEASE_OVER && (l->state != LEASE_OPEN || l->use_count == 0)) continue;

        struct lease_report *r = &q->reports[q->report_count++];
        *r                     = (struct lease_report){.id        = {h->incarnation, l->sequence},
                                                       .base      = l->base,
                                                       .is_final  = l->state == LEASE_OVER,
                                                       .use_count = l->use_count};
        for (uint32_t k = 0; k < l->use_count; k++) {
            uint64_t latest_ns = l->uses[k].latest_ns;
            uint64_t age_ns    = now_ns > latest_ns ? now_ns - latest_ns : 0;
            r->uses[k] = (struct lease_use){.age_us = lease_terms_store_us(h->terms, age_ns),
                                            .count  = l->uses[k].count};
        }
        l->told_ns = now_ns;
        if (l->state == LEASE_OVER) {
            l->is_told = true;
            l->tells++;
        }
    }
}

uint64_t holder_next_ns(const struct holder *h) {
    uint64_t next_ns = UINT64_MAX;
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        const struct holder_lease *l = &h->leases[i];
        next_ns                      = smaller(next_ns, lease_due_ns(h, l));
        if (l->state == LEASE_ASKED)
            next_ns = smaller(next_ns, h->sent_ns + backoff_ns(h, h->sends));
        if (l->state != LEASE_OPEN) continue;
        next_ns = smaller(next_ns, l->ends_ns);
        if (h->waiting == 0) next_ns = smaller(next_ns, holder_idle_ns(h));
    }
    return next_ns;
}

/* --- replies --------------------------------------------------------------------------------- */

bool holder_take(struct holder *h, struct watch *watch, const struct lease_reply *reply,
                 uint64_t now_ns) {
    REQUIRE(lease_reply_is_sound(reply));
    enum watch_verdict verdict  = WATCH_FINE;
    uint64_t           ahead_us = 0;
    if (watch != NULL) verdict = watch_take(watch, reply, now_ns, &ahead_us);
    if (verdict == WATCH_AHEAD) {
        h->rewind_us  = ahead_us;
        h->generation = reply->generation;
    }
    for (uint32_t i = 0; i < reply->receipt_count; i++) holder_settle(h, &reply->receipts[i]);
    if (reply->era_us != h->era_seen_us) {
        h->era_seen_us = reply->era_us;
        h->grants_seen = 0;
    }
    if (reply->granted > 0 && reply->is_replicated)
        h->grants_seen = larger(h->grants_seen, reply->grants);

    struct holder_lease *asked = holder_find(h, LEASE_ASKED);
    if (asked == NULL || reply->id.incarnation != h->incarnation ||
        reply->id.sequence != asked->sequence)
        return false;
    holder_take_grant(h, asked, reply, reply->is_replicated && verdict == WATCH_FINE, now_ns);
    h->waiting = 0;
    return true;
}

/* The store has `settled` uses of a lease: what is told of it begins behind them. */
static void holder_settle(struct holder *h, const struct lease_receipt *receipt) {
    if (receipt->id.incarnation != h->incarnation) return;
    for (uint32_t i = 0; i < HOLDER_LEASES; i++) {
        struct holder_lease *l = &h->leases[i];
        if (l->sequence != receipt->id.sequence) continue;
        if (l->state != LEASE_OPEN && l->state != LEASE_OVER) continue;
        if (receipt->is_over && l->state == LEASE_OVER) {
            l->state = LEASE_NONE;
            return;
        }
        while (l->base < receipt->settled && l->use_count > 0) {
            uint64_t count = smaller(receipt->settled - l->base, l->uses[0].count);
            l->base += count;
            l->uses[0].count -= count;
            if (l->uses[0].count > 0) continue;
            for (uint32_t k = 0; k + 1 < l->use_count; k++) l->uses[k] = l->uses[k + 1];
            l->use_count--;
        }
    }
}

static void holder_take_grant(struct holder *h, struct holder_lease *l,
                              const struct lease_reply *reply, bool is_usable, uint64_t now_ns) {
    if (reply->granted == 0) {
        uint64_t retry_ns  = reply->retry_after_us < LIMIT_NOW_MAX / 1000
                                 ? reply->retry_after_us * 1000
                                 : LIMIT_NOW_MAX;
        uint64_t poll_ns   = h->terms->poll_ns;
        h->denied_until_ns = now_ns + (retry_ns == 0 ? poll_ns : smaller(retry_ns, poll_ns));
        h->denied_need     = h->wish_need;
        h->retry_at_ns     = now_ns + retry_ns;
        l->state           = LEASE_NONE;
        return;
    }
    l->state           = LEASE_OPEN;
    l->is_loose        = reply->free >= h->terms->limit - h->terms->limit / 8;
    l->granted         = reply->granted;
    l->left            = reply->granted;
    l->ends_ns         = l->asked_ns + h->terms->term_ns;
    h->denied_until_ns = 0;
    if (!is_usable || now_ns >= l->ends_ns) {
        l->state = LEASE_OVER;
        l->left  = 0;
    }
}
