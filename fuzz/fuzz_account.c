/* SPDX-License-Identifier: MIT
 *
 * Any sound requests to a store's account, from holders as dishonest as they like: uses that were
 * never granted, ages of years, rewinds to the beginning, clocks that jump. The account may then
 * count anything, but it stays in order, within its bounds, and grants no more than the limit.
 *
 * Sixteen bytes are a step: what is done, and numbers that are spread over all magnitudes. */
#include "lease/account.h"

#include <string.h>

#include "base/contract.h"

enum { STEP_BYTES = 16, LEASES = 100 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two bytes as a number up to `most`, of any magnitude. */
static uint64_t number(const uint8_t *p, uint64_t most) {
    uint64_t n = ((uint64_t)p[1] << 8 | p[0]) << (p[1] % 45);
    return n % (most + 1);
}

static void check_account(const struct account *a) {
    INVARIANT(a->charge_count <= ACCOUNT_CHARGES_MAX);
    INVARIANT(a->cell_count <= ACCOUNT_CELLS_MAX);
    for (uint32_t i = 0; i < a->charge_count; i++) {
        INVARIANT(a->charges[i].settled <= a->charges[i].granted);
        INVARIANT(i == 0 || a->charges[i - 1].ends_us <= a->charges[i].ends_us);
    }
    for (uint32_t i = 0; i < a->cell_count; i++) {
        INVARIANT(a->cells[i].count > 0);
        INVARIANT(i == 0 || a->cells[i - 1].latest_us < a->cells[i].latest_us);
    }
}

static void report_read(const uint8_t *p, struct lease_report *r) {
    *r = (struct lease_report){.id        = {1, 1 + p[0] % LEASES},
                               .base      = number(p + 1, 100),
                               .is_final  = (p[0] & 128) != 0,
                               .use_count = p[3] % (LEASE_USES_MAX + 1)};
    for (uint32_t i = 0; i < r->use_count; i++)
        r->uses[i] = (struct lease_use){.age_us = number(p + 4 + i, LEASE_NUMBER_MAX),
                                        .count  = number(p + 3 + i, 1000)};
}

static void step(struct account *a, struct store_clock *clock, const uint8_t *p) {
    uint64_t server_us = clock->server_us + number(p, UINT64_C(1) << (p[0] % 40));
    if (p[15] == 255) server_us = number(p, LEASE_NUMBER_MAX / 2);
    if (server_us > LEASE_NUMBER_MAX / 2) server_us = LEASE_NUMBER_MAX / 2;
    if (p[15] == 254) *clock = (struct store_clock){0};
    store_clock_step(clock, server_us, 1 + number(p + 1, UINT64_C(1) << 40));

    struct lease_request q = {.limit   = number(p + 2, LIMIT_MAX),
                              .term_us = number(p + 3, LEASE_NUMBER_MAX / 8),
                              .hold_us = number(p + 4, LEASE_NUMBER_MAX / 8),
                              .era_seen_us =
                                  p[5] % 32 == 0 ? number(p + 5, LEASE_NUMBER_MAX) : clock->era_us,
                              .grants_seen = p[5] % 16 == 0 ? number(p + 5, 1000) : 0};
    if (p[6] % 4 == 0) {
        q.rewind_us         = number(p + 6, LEASE_NUMBER_MAX);
        q.rewind_generation = clock->generation;
    }
    if (p[7] % 2 == 0) {
        q.report_count = 1;
        report_read(p + 7, &q.reports[0]);
    }
    if (p[8] % 2 == 0) {
        q.id   = (struct lease_id){1, 1 + p[9] % LEASES};
        q.need = 1 + number(p + 9, LIMIT_MAX - 1);
        q.want = q.need + number(p + 10, LIMIT_MAX - q.need);
    }
    if (!lease_request_is_sound(&q)) return;

    struct lease_reply reply;
    account_serve(a, clock, &q, &reply);
    check_account(a);
    INVARIANT(reply.receipt_count == q.report_count);
    INVARIANT(lease_reply_is_sound(&reply));
    if (reply.granted == 0) return;
    INVARIANT(reply.granted <= LIMIT_MAX);
    INVARIANT(reply.retry_after_us == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct account a;
    struct store_clock    clock = {0};
    memset(&a, 0, sizeof a);
    if (size > 0 && data[0] % 2 == 0) store_clock_begin(&clock, 1000000, true);
    for (size_t at = 0; at + STEP_BYTES <= size; at += STEP_BYTES) step(&a, &clock, data + at);
    return 0;
}
