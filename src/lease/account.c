/* SPDX-License-Identifier: MIT
 *
 * account: which permits of a user are out, and which have been used?
 *
 *     charges   permits that were granted. They count as used at the latest time at which they can
 *               be, the end of the term, until reports tell better.
 *     cells     permits that were reported, under an upper bound of the time of their use.
 *     live(C)   all of them whose stamp + H lies after C, the store's clock
 *
 * Escrow (O'Neil 1986) whose rights end by time (Gray and Cheriton, "Leases", 1989), and count until a
 * window after their use.
 *
 * Strict. A grant leaves live <= limit. Everything else lowers it or lets it be: a report moves
 * permits from a charge to a cell, never more than are there; a final report takes the rest away,
 * after its holder has stopped; time takes permits away whose use is H and more ago on the store's
 * clock, which is W and more of real time. So at any instant x all that was used in (x - W, x] is
 * live, and within the limit. Where something must give, stamps rise: they are never lowered but by a
 * report of the permit's own use.
 *
 * Reports are cumulative. A holder tells of the uses after `base`; the account skips those of them
 * that it has. If base is more than it has, a failover lost reports that the holder saw confirmed:
 * these permits have been used, at unknown times before now, and are stamped now. Without this gap
 * rule the final report would give them back.
 *
 * C may be rewound when it has run ahead (watch.h). So what counts is asked of the present C each
 * time, and what has aged out is kept for 1/16 of H more. What is not kept any more and would count
 * again is not granted over: until C has passed it once more, nothing is. (Without this a jump made
 * the account forget permits, and the rewind that followed did not bring them back: the simulator
 * found 202 of 200.) An account of which nothing has counted for a hold becomes a new one, so that a
 * store need not read it, and still knows until when that did: a jump can be longer than a short hold.
 *
 * For the same reason a grant that is repeated must fit when it is repeated.
 *
 * Bounded. Cells: stamps whose quotient by the cell length is the same share a cell, under the latest
 * of them. So a user who asks seldom is kept exactly, and one who never stops takes 128 cells of H
 * and loses at most 1/128 of it. Rewinds can stretch that over more cells; then the two oldest become
 * one, under the later stamp. (The strict counter of limit/window.c is smaller, but takes permits in
 * the order of time only, and reports of several nodes are in none.) Charges: account_make_room().
 *
 * Exact whole numbers: stamps, and sums of all counts, are below 2^53. */
#include "lease/account.h"

#include <string.h>

#include "base/contract.h"

static void account_renew(struct account *a, const struct store_clock *clock,
                          const struct lease_request *q);
static void account_expire(struct account *a, uint64_t now_us);
static void account_report(struct account *a, uint64_t now_us, const struct lease_report *report,
                           struct lease_receipt *receipt);
static void account_acquire(struct account *a, struct store_clock *clock,
                            const struct lease_request *q, struct lease_reply *reply);
static uint64_t account_wait_us(const struct account *a, const struct store_clock *clock,
                                const struct lease_request *q);
static uint64_t account_refusal_us(const struct account *a, const struct store_clock *clock,
                                   const struct lease_request *q);
static bool     account_has_room(const struct account *a, uint64_t now_us);
static void     account_make_room(struct account *a, uint64_t now_us);
static void     account_charge(struct account *a, const struct account_charge *charge);
static void     account_settle(struct account *a, uint64_t now_us, struct account_charge *charge,
                               uint64_t age_us, uint64_t count);
static void account_count(struct account *a, uint64_t now_us, uint64_t stamp_us, uint64_t count);
static uint64_t account_retry_us(const struct account *a, uint64_t now_us, uint64_t live,
                                 uint64_t room);

void account_serve(struct account *a, struct store_clock *clock, const struct lease_request *q,
                   struct lease_reply *reply) {
    REQUIRE(clock->is_known);
    REQUIRE(lease_request_is_sound(q));

    store_clock_rewind(clock, q->rewind_generation, q->rewind_us);
    store_clock_compare(clock, q->era_seen_us, q->grants_seen);

    if (q->is_reset) *a = (struct account){.era_us = clock->era_us};
    account_renew(a, clock, q);
    if (a->hold_us < q->hold_us) a->hold_us = q->hold_us;
    account_expire(a, clock->now_us);

    *reply = (struct lease_reply){.id = q->id, .receipt_count = q->report_count};
    for (uint32_t i = 0; i < q->report_count; i++)
        account_report(a, clock->now_us, &q->reports[i], &reply->receipts[i]);
    if (q->id.sequence != 0)
        account_acquire(a, clock, q, reply);
    else if (q->need > 0)
        reply->retry_after_us = account_refusal_us(a, clock, q);

    uint64_t live     = account_live(a, clock->now_us);
    bool     waits    = account_wait_us(a, clock, q) > 0;
    reply->free       = live < q->limit && !waits ? q->limit - live : 0;
    reply->store_us   = clock->now_us;
    reply->era_us     = clock->era_us;
    reply->generation = clock->generation;
    reply->grants     = clock->grants;
}

uint64_t account_live(const struct account *a, uint64_t now_us) {
    uint64_t live = 0;
    for (uint32_t i = 0; i < a->charge_count; i++) {
        const struct account_charge *c = &a->charges[i];
        if (c->ends_us + a->hold_us > now_us) live += c->granted - c->settled;
    }
    for (uint32_t i = 0; i < a->cell_count; i++)
        if (a->cells[i].latest_us + a->hold_us > now_us) live += a->cells[i].count;
    return live;
}

uint64_t account_fresh_at_us(const struct account *a) {
    uint64_t last_us = 0;
    if (a->charge_count > 0) last_us = a->charges[a->charge_count - 1].ends_us;
    if (a->cell_count > 0 && a->cells[a->cell_count - 1].latest_us > last_us)
        last_us = a->cells[a->cell_count - 1].latest_us;
    uint64_t fresh_us = last_us == 0 ? 0 : last_us + 2 * a->hold_us;
    uint64_t sure_us  = a->forgot_us == 0 ? 0 : a->forgot_us + a->hold_us;
    return fresh_us > sure_us ? fresh_us : sure_us;
}

/* The head, then the charges, then the cells. */
static size_t charges_bytes(const struct account *a) {
    return a->charge_count * sizeof a->charges[0];
}

size_t account_bytes(const struct account *a) {
    return offsetof(struct account, charges) + charges_bytes(a) +
           a->cell_count * sizeof a->cells[0];
}

void account_pack(const struct account *a, void *out) {
    char  *at         = out;
    size_t head_bytes = offsetof(struct account, charges);
    memcpy(at, a, head_bytes);
    memcpy(at + head_bytes, a->charges, charges_bytes(a));
    memcpy(at + head_bytes + charges_bytes(a), a->cells, a->cell_count * sizeof a->cells[0]);
}

void account_unpack(struct account *a, const void *packed) {
    const char *at         = packed;
    size_t      head_bytes = offsetof(struct account, charges);
    memcpy(a, at, head_bytes);
    memcpy(a->charges, at + head_bytes, charges_bytes(a));
    memcpy(a->cells, at + head_bytes + charges_bytes(a), a->cell_count * sizeof a->cells[0]);
}

/* --- time ------------------------------------------------------------------------------------ */

/* What another clock has stamped is older than this one's hold. Who was away for long is as good as new,
 * but for what a rewind may bring back: all of it counts until forgot_us at most. */
static void account_renew(struct account *a, const struct store_clock *clock,
                          const struct lease_request *q) {
    uint64_t fresh_us  = account_fresh_at_us(a);
    uint64_t forgot_us = 0;
    if (a->era_us == clock->era_us) {
        if (fresh_us == 0 || fresh_us > clock->now_us || a->hold_us < q->hold_us) return;
        forgot_us = fresh_us - a->hold_us;
    }
    *a = (struct account){.era_us = clock->era_us, .forgot_us = forgot_us};
}

/* Whether something stamped so has aged out long ago, so that it need not be kept. If C is rewound so
 * far that it would count again, forgot_us knows. */
static bool account_forget(struct account *a, uint64_t now_us, uint64_t stamp_us) {
    uint64_t until_us = stamp_us + a->hold_us;
    if (until_us + a->hold_us / ACCOUNT_KEEP_PARTS > now_us) return false;
    if (until_us > a->forgot_us) a->forgot_us = until_us;
    return true;
}

static void account_expire(struct account *a, uint64_t now_us) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < a->charge_count; i++) {
        const struct account_charge *c = &a->charges[i];
        if (c->is_over ? c->ends_us <= now_us : account_forget(a, now_us, c->ends_us)) continue;
        a->charges[kept++] = *c;
    }
    a->charge_count = kept;

    uint32_t gone = 0;
    while (gone < a->cell_count && account_forget(a, now_us, a->cells[gone].latest_us)) gone++;
    a->cell_count -= gone;
    memmove(a->cells, a->cells + gone, a->cell_count * sizeof a->cells[0]);
}

/* --- reports --------------------------------------------------------------------------------- */

static struct account_charge *account_find(const struct account *a, struct lease_id id) {
    for (uint32_t i = 0; i < a->charge_count; i++)
        if (lease_id_equals(a->charges[i].id, id)) return (struct account_charge *)&a->charges[i];
    return NULL;
}

void account_forget_before(struct account *a, uint64_t before_us) {
    uint32_t gone = 0;
    while (gone < a->cell_count && a->cells[gone].latest_us < before_us) gone++;
    a->cell_count -= gone;
    memmove(a->cells, a->cells + gone, a->cell_count * sizeof a->cells[0]);
}

bool account_has_granted(const struct account *a, struct lease_id id) {
    const struct account_charge *charge = account_find(a, id);
    return charge != NULL && charge->settled == 0 && !charge->is_over;
}

static void account_report(struct account *a, uint64_t now_us, const struct lease_report *report,
                           struct lease_receipt *receipt) {
    struct account_charge *charge = account_find(a, report->id);
    *receipt                      = (struct lease_receipt){.id = report->id, .is_over = true};
    if (charge == NULL) return;

    if (!charge->is_over) {
        if (report->base > charge->settled)
            account_settle(a, now_us, charge, 0, report->base - charge->settled);
        uint64_t known = charge->settled > report->base ? charge->settled - report->base : 0;
        for (uint32_t i = 0; i < report->use_count; i++) {
            const struct lease_use *use  = &report->uses[i];
            uint64_t                skip = known < use->count ? known : use->count;
            known -= skip;
            account_settle(a, now_us, charge, use->age_us, use->count - skip);
        }
        if (report->is_final) {
            charge->granted = charge->settled;
            charge->is_over = true;
        }
    }
    receipt->settled = charge->settled;
    receipt->is_over = charge->is_over;
}

/* Moves up to `count` permits of a charge to where they were used. */
static void account_settle(struct account *a, uint64_t now_us, struct account_charge *charge,
                           uint64_t age_us, uint64_t count) {
    uint64_t left = charge->granted - charge->settled;
    if (count > left) count = left;
    if (count == 0) return;
    charge->settled += count;
    if (charge->settled == charge->granted) charge->is_over = true;
    account_count(a, now_us, age_us < now_us ? now_us - age_us : 0, count);
}

static void account_count(struct account *a, uint64_t now_us, uint64_t stamp_us, uint64_t count) {
    if (account_forget(a, now_us, stamp_us)) return;

    uint64_t cell_us = a->hold_us / ACCOUNT_CELLS_A_HOLD + 1;
    uint64_t number  = stamp_us / cell_us;
    uint32_t at      = a->cell_count; /* behind all cells that are not later */
    while (at > 0 && a->cells[at - 1].latest_us / cell_us > number) at--;

    if (at > 0 && a->cells[at - 1].latest_us / cell_us == number) {
        struct account_cell *cell = &a->cells[at - 1];
        if (cell->latest_us < stamp_us) cell->latest_us = stamp_us;
        cell->count += count;
        return;
    }
    if (a->cell_count == ACCOUNT_CELLS_MAX) {
        a->cells[1].count += a->cells[0].count;
        a->cell_count--;
        memmove(a->cells, a->cells + 1, a->cell_count * sizeof a->cells[0]);
        if (at > 0) at--;
    }
    memmove(a->cells + at + 1, a->cells + at, (a->cell_count - at) * sizeof a->cells[0]);
    a->cells[at] = (struct account_cell){.latest_us = stamp_us, .count = count};
    a->cell_count++;
}

/* --- grants ---------------------------------------------------------------------------------- */

/* How long nothing may be granted, since the past is not known. */
static uint64_t account_wait_us(const struct account *a, const struct store_clock *clock,
                                const struct lease_request *q) {
    uint64_t wait_us  = store_clock_wait_us(clock, q->term_us, q->hold_us);
    uint64_t until_us = clock->now_us + wait_us;
    return a->forgot_us > until_us ? a->forgot_us - clock->now_us : wait_us;
}

static void account_acquire(struct account *a, struct store_clock *clock,
                            const struct lease_request *q, struct lease_reply *reply) {
    const struct account_charge *known = account_find(a, q->id);
    uint64_t                     live  = account_live(a, clock->now_us);
    if (known != NULL) {
        /* Asked before: the same answer, or none if it has been used; nor if it would not be given now.
         * That is so if the clock was ahead when it was given, and has been rewound: whoever asks sees
         * the clock of this answer, and not of that one. */
        uint64_t wait  = account_wait_us(a, clock, q);
        bool     holds = known->settled == 0 && !known->is_over && live <= q->limit && wait == 0;
        reply->granted = holds ? known->granted : 0;
        return;
    }
    reply->retry_after_us = account_refusal_us(a, clock, q);
    if (reply->retry_after_us > 0) return;

    /* Half of what is free, so that others find some: shares follow demand within a few trips, and
     * leases shrink to single permits where the limit is near and accuracy matters. */
    uint64_t free  = q->limit - live;
    uint64_t share = q->need > free / 2 ? q->need : free / 2;
    reply->granted = q->want < share ? q->want : share;
    account_make_room(a, clock->now_us);
    account_charge(a, &(struct account_charge){.id      = q->id,
                                               .ends_us = clock->now_us + q->term_us,
                                               .granted = reply->granted});
    clock->grants++;
}

/* After how long `need` may fit. 0: it fits now, and there is room for its charge. */
static uint64_t account_refusal_us(const struct account *a, const struct store_clock *clock,
                                   const struct lease_request *q) {
    if (q->need > q->limit) return LEASE_NEVER;
    uint64_t wait = account_wait_us(a, clock, q);
    if (wait > 0) return wait;
    uint64_t live = account_live(a, clock->now_us);
    uint64_t room = q->limit - q->need;
    if (live > room) return account_retry_us(a, clock->now_us, live, room);
    if (account_has_room(a, clock->now_us)) return 0;
    return q->term_us < ACCOUNT_FULL_RETRY_MAX ? q->term_us : ACCOUNT_FULL_RETRY_MAX;
}

/* The first charge that is over, else the oldest. */
static uint32_t account_dispensable(const struct account *a) {
    for (uint32_t i = 0; i < a->charge_count; i++)
        if (a->charges[i].is_over) return i;
    return 0;
}

/* Whether there is room for a charge, or account_make_room() can make it: else all are running. */
static bool account_has_room(const struct account *a, uint64_t now_us) {
    if (a->charge_count < ACCOUNT_CHARGES_MAX) return true;
    const struct account_charge *c = &a->charges[account_dispensable(a)];
    return c->is_over || c->ends_us <= now_us;
}

/* When charges are full: one that is over goes first; then the oldest whose term has passed becomes
 * used permits of its latest time, and reports of it come too late. */
static void account_make_room(struct account *a, uint64_t now_us) {
    if (a->charge_count < ACCOUNT_CHARGES_MAX) return;

    uint32_t              gone = account_dispensable(a);
    struct account_charge c    = a->charges[gone];
    if (!c.is_over) account_count(a, now_us, c.ends_us, c.granted - c.settled);
    a->charge_count--;
    memmove(a->charges + gone, a->charges + gone + 1,
            (a->charge_count - gone) * sizeof a->charges[0]);
}

static void account_charge(struct account *a, const struct account_charge *charge) {
    uint32_t at = a->charge_count;
    while (at > 0 && a->charges[at - 1].ends_us > charge->ends_us) at--;
    memmove(a->charges + at + 1, a->charges + at, (a->charge_count - at) * sizeof a->charges[0]);
    a->charges[at] = *charge;
    a->charge_count++;
}

/* After how long `room` and fewer are live of those that are now, if nothing but time passes: goes
 * through charges and cells together in the order in which they end. */
static uint64_t account_retry_us(const struct account *a, uint64_t now_us, uint64_t live,
                                 uint64_t room) {
    uint64_t last_us = now_us;
    uint32_t charge = 0, cell = 0;
    while (live > room) {
        bool has_charge = charge < a->charge_count, has_cell = cell < a->cell_count;
        INVARIANT(has_charge || has_cell);
        uint64_t until_us, count;
        if (!has_cell || (has_charge && a->charges[charge].ends_us < a->cells[cell].latest_us)) {
            const struct account_charge *c = &a->charges[charge++];
            until_us                       = c->ends_us + a->hold_us;
            count                          = c->granted - c->settled;
        } else {
            const struct account_cell *c = &a->cells[cell++];
            until_us                     = c->latest_us + a->hold_us;
            count                        = c->count;
        }
        if (until_us <= now_us || count == 0) continue;
        live -= count;
        last_us = until_us;
    }
    return last_us - now_us;
}
