/* SPDX-License-Identifier: MIT
 *
 * The reference for test_lease_script.py: accounts and their shard's clock (src/lease), told by lines of
 * numbers.
 *
 *     new                                              all begin anew, with the past lost
 *     lose                                             the clock is lost
 *     virgin SERVER                                    the clock begins, and nothing was granted before
 *     serve SERVER CLAMP USER WORDS...                 one request; answered by a line of numbers
 *     beat SERVER CLAMP ERA GRANTS BY GENERATION       a beat, so too
 *
 * WORDS are the words of a request and the reply as src/store/redis/lease.lua has them, incarnations in
 * hexadecimal, with the number of reports before the first of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease/account.h"

enum { USERS_MAX = 8 };

static struct account     accounts[USERS_MAX];
static struct store_clock shard;

static uint64_t word(int base) {
    char text[24];
    if (scanf("%23s", text) != 1) exit(2);
    return strtoull(text, NULL, base);
}

static uint64_t number(void) { return word(10); }

static void read_report(struct lease_report *r) {
    r->id.incarnation = word(16);
    r->id.sequence    = number();
    r->base           = number();
    r->is_final       = number() != 0;
    r->use_count      = (uint32_t)number();
    if (r->use_count > LEASE_USES_MAX) exit(2);
    for (uint32_t i = 0; i < r->use_count; i++) {
        r->uses[i].age_us = number();
        r->uses[i].count  = number();
    }
}

static void read_request(struct lease_request *q) {
    *q                   = (struct lease_request){.id.incarnation = word(16)};
    q->id.sequence       = number();
    q->need              = number();
    q->want              = number();
    q->limit             = number();
    q->term_us           = number();
    q->hold_us           = number();
    q->era_seen_us       = number();
    q->grants_seen       = number();
    q->rewind_us         = number();
    q->rewind_generation = number();
    q->is_reset          = number() != 0;
    q->report_count      = (uint32_t)number();
    if (q->report_count > LEASE_REPORTS_MAX) exit(2);
    for (uint32_t i = 0; i < q->report_count; i++) read_report(&q->reports[i]);
}

static void step(void) {
    uint64_t server_us = number(), clamp_us = number();
    (void)store_clock_step(&shard, server_us, clamp_us);
}

static void answer(const struct lease_reply *r) {
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
           r->granted, r->free, r->retry_after_us, r->store_us, r->era_us, r->generation,
           r->grants);
    for (uint32_t i = 0; i < r->receipt_count; i++)
        printf(" %" PRIu64 " %d", r->receipts[i].settled, r->receipts[i].is_over);
    printf("\n");
    (void)fflush(stdout);
}

static bool is_empty(const struct account *a) {
    return a->charge_count == 0 && a->cell_count == 0 && a->forgot_us == 0;
}

static bool is_same(const struct account *a, const struct account *b) {
    bool same = a->charge_count == b->charge_count && a->cell_count == b->cell_count;
    for (uint32_t i = 0; same && i < a->charge_count; i++) {
        const struct account_charge *c = &a->charges[i], *d = &b->charges[i];
        same = lease_id_equals(c->id, d->id) && c->ends_us == d->ends_us &&
               c->granted == d->granted && c->settled == d->settled && c->is_over == d->is_over;
    }
    for (uint32_t i = 0; same && i < a->cell_count; i++)
        same = a->cells[i].latest_us == b->cells[i].latest_us &&
               a->cells[i].count == b->cells[i].count;
    return same && a->forgot_us == b->forgot_us;
}

/* Whether the store writes what a request has made of an account: not if only time has passed. */
static bool is_written(const struct account *before, const struct account *after,
                       const struct lease_request *q) {
    if (!is_empty(before) && (q->is_reset || before->hold_us < q->hold_us)) return true;
    struct account       aged  = *before;
    struct store_clock   clock = shard;
    struct lease_request look  = {.limit = q->limit, .term_us = q->term_us, .hold_us = q->hold_us};
    struct lease_reply   reply;
    account_serve(&aged, &clock, &look, &reply);
    return !is_same(&aged, after);
}

static void serve(void) {
    struct lease_request q;
    struct lease_reply   reply;
    step();
    uint64_t user = number();
    if (user >= USERS_MAX) exit(2);
    struct account *a = &accounts[user], before = *a;
    read_request(&q);
    account_serve(a, &shard, &q, &reply);
    answer(&reply);
    if (!is_written(&before, a, &q)) *a = before;
    /* The store forgets an account of which there is nothing to know. */
    if (is_empty(a)) *a = (struct account){0};
}

static void beat(void) {
    step();
    uint64_t era_us = number(), grants = number(), by_us = number(), generation = number();
    store_clock_rewind(&shard, generation, by_us);
    store_clock_compare(&shard, era_us, grants);
    answer(&(struct lease_reply){.store_us   = shard.now_us,
                                 .era_us     = shard.era_us,
                                 .generation = shard.generation,
                                 .grants     = shard.grants});
}

int main(void) {
    char verb[16];
    while (scanf("%15s", verb) == 1) {
        if (strcmp(verb, "new") == 0) {
            memset(accounts, 0, sizeof accounts);
            shard = (struct store_clock){0};
        } else if (strcmp(verb, "lose") == 0) {
            shard = (struct store_clock){0};
        } else if (strcmp(verb, "virgin") == 0) {
            store_clock_begin(&shard, number(), true);
        } else if (strcmp(verb, "serve") == 0) {
            serve();
        } else if (strcmp(verb, "beat") == 0) {
            beat();
        } else {
            return 2;
        }
    }
    return 0;
}
