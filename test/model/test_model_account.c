/* SPDX-License-Identifier: MIT
 *
 * A store's account against two that forget nothing: a log of when each permit was really used, which
 * no window may exceed, and a naive account that keeps every permit by itself, which must say the
 * same up to a cell.
 *
 * Holders here are honest (they spend what they were granted, before the end of the term, and report
 * real ages or shorter ones) and the messages are not: reports are repeated, come late and out of
 * order, or never; finals are forgotten; acquires are repeated; copies of the account from a while
 * ago come back, as in a failover that lost reports and no grant. And the clock runs ahead for a
 * request of somebody else, and is rewound. */
#include "lease/account.h"

#include <string.h>

#include "base/random.h"
#include "support/check.h"

enum {
    LEASES_MAX = 400,
    USES_MAX   = 64, /* permits of a lease */
    STEPS      = 1500,
    OLD_MAX    = 16, /* reports that are kept to be repeated */
};

/* What really happens to a lease, and what the naive account knows. */
struct lease {
    uint64_t granted;
    uint64_t ends_us;
    uint64_t used_us[USES_MAX]; /* of the first `used` permits, ascending */
    uint64_t used;
    uint64_t stamp_us[USES_MAX]; /* naive: of the first `settled` permits */
    uint64_t settled;
    uint64_t confirmed;    /* what its holder knows to be settled */
    bool     is_stopped;   /* its holder spends no more */
    bool     is_over;      /* naive */
    bool     is_forgotten; /* the account dropped it while its clock was ahead */
};

struct trial {
    struct random        random;
    struct account       account;
    struct store_clock   clock;
    uint64_t             limit, term_us, hold_us;
    struct lease         leases[LEASES_MAX];
    uint64_t             lease_count;
    struct lease_request old[OLD_MAX];
    uint64_t             old_count;
    uint64_t             grants, denials, leaps;
};

static struct trial t;

static uint64_t below(uint64_t bound) { return random_below(&t.random, bound); }

/* --- the truth ------------------------------------------------------------------------------- */

/* Permits that were used in (now - window, now], or may still be. */
static uint64_t true_live(uint64_t now_us) {
    uint64_t live = 0;
    for (uint64_t i = 0; i < t.lease_count; i++) {
        const struct lease *l = &t.leases[i];
        for (uint64_t k = 0; k < l->used; k++) live += l->used_us[k] + t.hold_us > now_us;
        if (!l->is_stopped && now_us < l->ends_us) live += l->granted - l->used;
    }
    return live;
}

/* What the naive account counts, if permits are held for so long. */
static uint64_t naive_live(uint64_t now_us, uint64_t hold_us) {
    uint64_t live = 0;
    for (uint64_t i = 0; i < t.lease_count; i++) {
        const struct lease *l = &t.leases[i];
        for (uint64_t k = 0; k < l->settled; k++) live += l->stamp_us[k] + hold_us > now_us;
        if (!l->is_over && l->ends_us + hold_us > now_us) live += l->granted - l->settled;
    }
    return live;
}

static void naive_settle(struct lease *l, uint64_t stamp_us) {
    if (l->settled < l->granted) l->stamp_us[l->settled++] = stamp_us;
}

static bool is_forgotten(const struct lease *l, uint64_t now_us) {
    return l->ends_us + t.hold_us + t.hold_us / ACCOUNT_KEEP_PARTS <= now_us;
}

static void naive_report(const struct lease_report *r, uint64_t now_us) {
    struct lease *l = &t.leases[r->id.sequence - 1];
    if (l->is_over || l->is_forgotten || is_forgotten(l, now_us)) return;
    while (l->settled < r->base) naive_settle(l, now_us);
    uint64_t at = r->base;
    for (uint32_t i = 0; i < r->use_count; i++)
        for (uint64_t k = 0; k < r->uses[i].count; k++, at++)
            if (at == l->settled) naive_settle(l, now_us - r->uses[i].age_us);
    if (r->is_final) l->is_over = true;
    if (l->settled == l->granted) l->is_over = true;
}

/* --- what holders do ------------------------------------------------------------------------- */

static struct lease *any_lease(void) {
    if (t.lease_count == 0) return NULL;
    uint64_t newest = t.lease_count > 12 ? 12 : t.lease_count;
    return &t.leases[t.lease_count - 1 - below(newest)];
}

static void spend(struct lease *l, uint64_t now_us) {
    uint64_t count = 1 + below(4);
    if (l->is_stopped || now_us >= l->ends_us) return;
    while (count-- > 0 && l->used < l->granted) l->used_us[l->used++] = now_us;
}

/* A report of a lease as its holder would make it, now. */
static struct lease_report report_of(struct lease *l, uint64_t now_us) {
    if (now_us >= l->ends_us || l->used == l->granted || below(6) == 0) l->is_stopped = true;
    struct lease_report r = {
        .id = {1, (uint64_t)(l - t.leases) + 1}, .base = l->confirmed, .is_final = l->is_stopped};
    uint64_t at = l->confirmed;
    while (at < l->used && r.use_count < LEASE_USES_MAX) {
        bool     is_last = r.use_count + 1 == LEASE_USES_MAX;
        uint64_t count   = is_last ? l->used - at : 1 + below(l->used - at);
        uint64_t age_us  = now_us - l->used_us[at + count - 1];
        if (below(3) == 0) age_us -= below(age_us + 1);
        r.uses[r.use_count++] = (struct lease_use){.age_us = age_us, .count = count};
        at += count;
    }
    /* A final that does not tell of all uses would give used ones back. */
    if (at < l->used) r.is_final = false;
    return r;
}

static void check_account(uint64_t now_us) {
    uint64_t cell_us = t.hold_us / ACCOUNT_CELLS_A_HOLD + 1;
    uint64_t live    = account_live(&t.account, now_us);
    CHECK_LE(true_live(now_us), t.limit);
    CHECK_LE(t.account.cell_count, ACCOUNT_CELLS_A_HOLD * 17 / 16 + 2);
    CHECK_LE(live, naive_live(now_us, t.hold_us + cell_us));
    if (t.account.forgot_us > now_us) return;
    CHECK_GE(live, naive_live(now_us, t.hold_us));
    CHECK_LE(true_live(now_us), live);
}

/* Serves and compares. */
static struct lease_reply serve(const struct lease_request *q) {
    struct lease_reply reply;
    uint64_t           now_us = t.clock.now_us;
    account_serve(&t.account, &t.clock, q, &reply);
    CHECK_EQ(reply.receipt_count, q->report_count);
    for (uint32_t i = 0; i < q->report_count; i++) {
        struct lease *l = &t.leases[q->reports[i].id.sequence - 1];
        naive_report(&q->reports[i], now_us);
        if (reply.receipts[i].settled > 0) CHECK_EQ(reply.receipts[i].settled, l->settled);
        if (below(3) > 0 && reply.receipts[i].settled > l->confirmed)
            l->confirmed = reply.receipts[i].settled;
    }
    return reply;
}

static void acquire(void) {
    /* What happens when charges are full is told in test_account; the naive account is never full. */
    if (t.lease_count == LEASES_MAX || t.account.charge_count == ACCOUNT_CHARGES_MAX) return;
    struct lease_request q       = {.limit = t.limit, .term_us = t.term_us, .hold_us = t.hold_us};
    uint64_t             now_us  = t.clock.now_us;
    uint64_t             told_us = UINT64_MAX; /* what an acquire is told beforehand, by a look */
    q.id                         = (struct lease_id){1, t.lease_count + 1};
    q.need                       = 1 + (below(4) == 0 ? below(t.limit) : 0);
    q.want                       = q.need + below(USES_MAX);
    if (q.want > USES_MAX) q.want = USES_MAX;
    if (q.need > q.want) q.need = q.want;
    if (below(2) == 0 && t.lease_count > 0) {
        q.report_count = 1;
        q.reports[0]   = report_of(any_lease(), now_us);
    }
    if (below(2) == 0) {
        struct lease_request look = q;
        look.id.sequence          = 0;
        q.report_count            = 0;
        told_us                   = serve(&look).retry_after_us;
    }
    struct lease_reply reply = serve(&q);
    if (told_us != UINT64_MAX) CHECK_EQ(reply.retry_after_us, told_us);
    uint64_t cell_us = t.hold_us / ACCOUNT_CELLS_A_HOLD + 1;
    uint64_t surely  = naive_live(now_us, t.hold_us + cell_us);
    uint64_t least   = naive_live(now_us, t.hold_us);
    if (t.account.forgot_us > now_us) {
        CHECK_EQ(reply.granted, 0);
        CHECK_GE(reply.retry_after_us, t.account.forgot_us - now_us);
        return;
    }
    if (q.need + surely <= t.limit) CHECK_GE(reply.granted, q.need);
    CHECK_LE(reply.granted, q.want);
    if (reply.granted > 0) CHECK_LE(reply.granted + least, t.limit);

    if (reply.granted == 0) {
        t.denials++;
        if (q.need > t.limit) {
            CHECK_EQ(reply.retry_after_us, LEASE_NEVER);
            return;
        }
        CHECK_GT(reply.retry_after_us, 0);
        CHECK_GT(account_live(&t.account, now_us + reply.retry_after_us - 1) + q.need, t.limit);
        CHECK_LE(account_live(&t.account, now_us + reply.retry_after_us) + q.need, t.limit);
        return;
    }
    t.grants++;
    t.leases[t.lease_count++] =
        (struct lease){.granted = reply.granted, .ends_us = now_us + t.term_us};
    if (below(4) == 0) {
        q.report_count = 0;
        CHECK_EQ(serve(&q).granted, reply.granted);
    }
}

static void tell(void) {
    struct lease *l = any_lease();
    if (l == NULL) return;
    struct lease_request q = {.limit = t.limit, .term_us = t.term_us, .hold_us = t.hold_us};
    if (t.old_count > 0 && below(4) == 0) {
        /* One of before once more: its ages are too short now, which only makes stamps later. */
        q = t.old[below(t.old_count)];
        serve(&q);
        return;
    }
    q.report_count                                                = 1;
    q.reports[0]                                                  = report_of(l, t.clock.now_us);
    t.old[t.old_count < OLD_MAX ? t.old_count++ : below(OLD_MAX)] = q;
    if (below(5) > 0) serve(&q);
}

/* The account as it was comes back, if no grant was made since. */
static void fail_over(const struct account *old, const struct lease *leases, uint64_t lease_count) {
    if (lease_count != t.lease_count) return;
    t.account = *old;
    for (uint64_t i = 0; i < lease_count; i++) {
        struct lease *l = &t.leases[i];
        memcpy(l->stamp_us, leases[i].stamp_us, sizeof l->stamp_us);
        l->settled      = leases[i].settled;
        l->is_over      = leases[i].is_over;
        l->is_forgotten = leases[i].is_forgotten;
    }
}

/* While the clock is ahead a request is served whose reply is lost: an empty one, or an acquire. The
 * clock is rewound, and then the acquire repeated: its holder sees the clock as it should be. */
static void leap(void) {
    struct lease_request q = {.limit = t.limit, .term_us = t.term_us, .hold_us = t.hold_us};
    struct lease_reply   reply;
    uint64_t             ahead_us = below(t.hold_us / (1 + below(40)) + 1);
    bool has_room = t.lease_count < LEASES_MAX && t.account.charge_count < ACCOUNT_CHARGES_MAX - 1;
    if (has_room && below(2) == 0) {
        q.id   = (struct lease_id){1, t.lease_count + 1};
        q.need = 1;
        q.want = 1 + below(USES_MAX);
    }
    t.clock.now_us += ahead_us;
    account_serve(&t.account, &t.clock, &q, &reply);
    for (uint64_t i = 0; i < t.lease_count; i++)
        if (is_forgotten(&t.leases[i], t.clock.now_us)) t.leases[i].is_forgotten = true;
    uint64_t ends_us = t.clock.now_us + t.term_us;
    store_clock_rewind(&t.clock, t.clock.generation, ahead_us);
    t.leaps += t.account.forgot_us > t.clock.now_us;
    if (reply.granted == 0) return;

    t.leases[t.lease_count++] = (struct lease){.granted = reply.granted, .ends_us = ends_us};
    account_serve(&t.account, &t.clock, &q, &reply);
    t.leases[t.lease_count - 1].is_stopped = reply.granted == 0;
}

static void play(uint64_t seed) {
    static struct lease leases[LEASES_MAX];
    struct account      old         = {0};
    uint64_t            lease_count = UINT64_MAX;
    memset(&t, 0, sizeof t);
    t.random.state = seed;
    t.limit        = 1 + below(below(2) == 0 ? 5 : 60);
    t.hold_us      = 1 + below(1000000);
    t.term_us      = 1 + below(t.hold_us / 5 + 1);
    store_clock_begin(&t.clock, 1000000000, true);
    for (int step = 0; step < STEPS; step++) {
        uint64_t pause_us = below(3) == 0 ? below(t.hold_us / 20 + 2) : below(3);
        store_clock_step(&t.clock, t.clock.server_us + pause_us, t.hold_us + 10);
        uint64_t      what = below(100);
        struct lease *l    = any_lease();
        if (what < 30) {
            acquire();
        } else if (what < 65) {
            if (l != NULL) spend(l, t.clock.now_us);
        } else if (what < 95) {
            tell();
        } else if (what < 97) {
            leap();
        } else if (what < 99) {
            old         = t.account;
            lease_count = t.lease_count;
            memcpy(leases, t.leases, sizeof leases);
        } else {
            fail_over(&old, leases, lease_count);
        }
        check_account(t.clock.now_us);
    }
}

TEST(an_account_counts_what_is_used_and_little_more) {
    struct random seeds  = {.state = check_seed()};
    uint64_t      grants = 0, denials = 0, leaps = 0;
    for (uint64_t i = 0; i < check_effort(1000); i++) {
        play(random_next(&seeds));
        grants += t.grants;
        denials += t.denials;
        leaps += t.leaps;
    }
    CHECK_GT(grants, 10);
    CHECK_GT(denials, 10);
    CHECK_GT(leaps, 10);
}
