/* SPDX-License-Identifier: MIT
 *
 * The reference for test_lease_script.py: an account and its shard's clock (src/lease), told by lines of
 * numbers.
 *
 *     new                                              both begin anew, with the past lost
 *     virgin SERVER                                    the clock begins, and nothing was granted before
 *     serve SERVER CLAMP WORDS...                      one request; answered by a line of numbers
 *
 * WORDS are the words of a request and the reply as src/store/redis/lease.lua has them, incarnations in
 * hexadecimal, with the number of reports before the first of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lease/account.h"

static struct account     account;
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
    q->report_count      = (uint32_t)number();
    if (q->report_count > LEASE_REPORTS_MAX) exit(2);
    for (uint32_t i = 0; i < q->report_count; i++) read_report(&q->reports[i]);
}

static void serve(void) {
    struct lease_request q;
    struct lease_reply   reply;
    uint64_t             server_us = number(), clamp_us = number();
    read_request(&q);
    (void)store_clock_step(&shard, server_us, clamp_us);
    account_serve(&account, &shard, &q, &reply);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64,
           reply.granted, reply.free, reply.retry_after_us, reply.store_us, reply.era_us,
           reply.generation, reply.grants);
    for (uint32_t i = 0; i < reply.receipt_count; i++)
        printf(" %" PRIu64 " %d", reply.receipts[i].settled, reply.receipts[i].is_over);
    printf("\n");
    (void)fflush(stdout);
    /* The store forgets an account of which there is nothing to know. */
    bool is_empty = account.charge_count == 0 && account.cell_count == 0 && account.forgot_us == 0;
    if (is_empty) account = (struct account){0};
}

int main(void) {
    char verb[16];
    while (scanf("%15s", verb) == 1) {
        if (strcmp(verb, "new") == 0) {
            account = (struct account){0};
            shard   = (struct store_clock){0};
        } else if (strcmp(verb, "virgin") == 0) {
            store_clock_begin(&shard, number(), true);
        } else if (strcmp(verb, "serve") == 0) {
            serve();
        } else {
            return 2;
        }
    }
    return 0;
}
