/* SPDX-License-Identifier: MIT
 *
 * message: what a holder and a store tell each other about one user under one rule.
 *
 * A request does up to five things, in this order and in one atomic step at the store: it may ask the
 * store's clock to step back, it empties the account, it reports uses, it gives back, and it acquires
 * or looks. Each part may come twice, late, out of order or never, and strictness does not depend on
 * it; but for a reset, whose purpose is to forget what was used: each one that comes does.
 *
 *     request  id          the lease to acquire; sequence 0: none, the request looks or only reports
 *              need        grant at least so much, or nothing; 1 to limit. Of a look: 1 and more, nothing
 *                          is granted but retry_after_us answered. 0: only reports
 *              want        and at most so much; need to limit
 *              limit       permits a window may hold, 0 to LIMIT_MAX; the one of this request decides
 *              term_us     T: how long after the grant the store expects uses
 *              hold_us     H: how long a permit is kept after it was used; terms.h says why it is so long
 *              era_seen_us the era of the last reply; 0: none
 *              grants_seen the largest `grants` that came with a replicated grant of that era
 *              rewind_us   how far the store's clock ran ahead of the sender's; 0: it did not
 *              rewind_generation   the `generation` that this was seen in
 *              is_reset    the account is a new one before anything is reported: reports find no lease
 *              reports     of leases whose uses the store has not confirmed, or that are over
 *     report   base        uses that the store has confirmed; `uses` begin after these
 *              uses        oldest first: `count` permits, none of them used less than `age_us` of the
 *                          store's time before the request was sent
 *              is_final    the holder has stopped; what is neither in base nor in uses is given back
 *     reply    id          as asked
 *              granted     0: denied, or a look
 *              free        permits that nobody holds, after this; 0 while the store does not know its past
 *              retry_after_us      denied: after so long `need` fits, if nobody takes and nobody gives back.
 *                          LEASE_NEVER: need is above the limit. Of a look: what an acquire would be
 *                          denied with now; 0: it would be granted
 *              store_us    C, the store's clock; `era_us` names the clock, `generation` counts its rewinds
 *              grants      how many grants the store had made, this one included
 *              receipts    one for each report, in their order
 *     receipt  settled     uses that the store has, counted from the lease's first
 *              is_over     the store knows nothing of the lease any more, or that it is final
 *
 * Numbers are whole and at most LEASE_NUMBER_MAX, 2^53 - 1, and so is every sum that a store forms of
 * them: a Redis script holds numbers as doubles. Times are microseconds: 2^53 of them are 285 years,
 * of nanoseconds they would be 104 days. Only an id's incarnation has 64 bits: stores compare it and
 * do not calculate. A store adds, subtracts, compares, and divides when it chooses a cell; whatever
 * depends on clock rates has been done by the sender, in 128 bits.
 *
 * A beat is a request without a user, for whoever has users on a shard (store_clock.h): era_seen_us,
 * grants_seen and the rewind mean what they mean in any; store_us, era_us, generation and grants answer
 * it, and retry_after_us how long permits of the shard still count, if the store knows; all else is 0. */
#ifndef WEIR_LEASE_MESSAGE_H
#define WEIR_LEASE_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/request.h"

enum {
    LEASE_REPORTS_MAX = 4, /* of a request: as many leases as a holder keeps */
    LEASE_USES_MAX    = 4, /* groups of uses in a report */
};

#define LEASE_NUMBER_MAX ((UINT64_C(1) << 53) - 1)
#define LEASE_NEVER      LEASE_NUMBER_MAX

/* Names a lease for ever. The incarnation is drawn at random when a holder's memory begins (start,
 * fork), the sequence counts from 1. */
struct lease_id {
    uint64_t incarnation;
    uint64_t sequence;
};

struct lease_use {
    uint64_t age_us;
    uint64_t count;
};

struct lease_report {
    struct lease_id  id;
    uint64_t         base;
    bool             is_final;
    uint32_t         use_count;
    struct lease_use uses[LEASE_USES_MAX];
};

struct lease_request {
    struct lease_id     id;
    uint64_t            need, want;
    uint64_t            limit;
    uint64_t            term_us, hold_us;
    uint64_t            era_seen_us, grants_seen;
    uint64_t            rewind_us, rewind_generation;
    bool                is_reset;
    uint32_t            report_count;
    struct lease_report reports[LEASE_REPORTS_MAX];
};

struct lease_receipt {
    struct lease_id id;
    uint64_t        settled;
    bool            is_over;
};

struct lease_reply {
    struct lease_id      id;
    uint64_t             granted;
    uint64_t             free;
    uint64_t             retry_after_us;
    uint64_t             store_us, era_us, generation;
    uint64_t             grants;
    uint32_t             receipt_count;
    struct lease_receipt receipts[LEASE_REPORTS_MAX];

    /* Not the store's words but the carrier's, who knows them: whether as many replicas as are configured
     * have the grant (Redis: WAIT; a quorum write: always), and the holder's own time just before that
     * request was sent which this answers. */
    bool     is_replicated;
    uint64_t sent_ns;
};

static inline bool lease_id_equals(struct lease_id a, struct lease_id b) {
    return a.incarnation == b.incarnation && a.sequence == b.sequence;
}

static inline bool lease_report_is_sound(const struct lease_report *r) {
    uint64_t sum = r->base;
    if (r->base > LIMIT_MAX || r->use_count > LEASE_USES_MAX) return false;
    for (uint32_t i = 0; i < r->use_count; i++) {
        if (r->uses[i].age_us > LEASE_NUMBER_MAX || r->uses[i].count > LIMIT_MAX) return false;
        sum += r->uses[i].count;
    }
    return sum <= LIMIT_MAX;
}

/* Whether a request is in the ranges above, so that a store may take it. A holder's always are. */
static inline bool lease_request_is_sound(const struct lease_request *q) {
    if (q->limit > LIMIT_MAX || q->report_count > LEASE_REPORTS_MAX) return false;
    if (q->term_us > LEASE_NUMBER_MAX / 8 || q->hold_us > LEASE_NUMBER_MAX / 8) return false;
    if (q->need > LIMIT_MAX) return false;
    if (q->id.sequence != 0 && (q->need == 0 || q->want < q->need || q->want > LIMIT_MAX))
        return false;
    if (q->rewind_us > LEASE_NUMBER_MAX) return false;
    for (uint32_t i = 0; i < q->report_count; i++)
        if (!lease_report_is_sound(&q->reports[i])) return false;
    return true;
}

/* Whether a reply is in the ranges above: a carrier asks before it gives what came from a network to a
 * holder. */
static inline bool lease_reply_is_sound(const struct lease_reply *r) {
    if (r->granted > LIMIT_MAX || r->free > LIMIT_MAX) return false;
    if (r->receipt_count > LEASE_REPORTS_MAX) return false;
    for (uint32_t i = 0; i < r->receipt_count; i++)
        if (r->receipts[i].settled > LIMIT_MAX) return false;
    return r->retry_after_us <= LEASE_NEVER && r->store_us <= LEASE_NUMBER_MAX;
}

#endif
