/* SPDX-License-Identifier: MIT
 *
 * A store's account by example; test/model compares it with a log of every permit. */
#include "lease/account.h"
#include "support/check.h"

enum { TERM = 1000000, HOLD = 10000000, START = 50000000 };

static struct account     account;
static struct store_clock store;
static struct lease_reply reply;

static void begin(void) {
    account = (struct account){0};
    store_clock_begin(&store, START, true);
}

static struct lease_request empty(uint64_t limit) {
    return (struct lease_request){.limit = limit, .term_us = TERM, .hold_us = HOLD};
}

static void serve(const struct lease_request *q, uint64_t at_us) {
    store_clock_step(&store, START + at_us, HOLD * 10);
    account_serve(&account, &store, q, &reply);
}

static uint64_t acquire(uint64_t sequence, uint64_t need, uint64_t want, uint64_t limit,
                        uint64_t at_us) {
    struct lease_request q = empty(limit);
    q.id                   = (struct lease_id){1, sequence};
    q.need                 = need;
    q.want                 = want;
    serve(&q, at_us);
    return reply.granted;
}

/* One group of uses, `count` of them `age_us` ago. */
static struct lease_receipt report(uint64_t sequence, uint64_t base, uint64_t age_us,
                                   uint64_t count, bool is_final, uint64_t at_us) {
    struct lease_request q = empty(100);
    q.report_count         = 1;
    q.reports[0]           = (struct lease_report){.id        = {1, sequence},
                                                   .base      = base,
                                                   .is_final  = is_final,
                                                   .use_count = count > 0,
                                                   .uses      = {{age_us, count}}};
    serve(&q, at_us);
    CHECK_EQ(reply.receipt_count, 1);
    return reply.receipts[0];
}

static uint64_t live(uint64_t at_us) { return account_live(&account, START + at_us); }

TEST(half_of_what_is_free_is_granted_and_at_least_what_is_needed) {
    begin();
    CHECK_EQ(acquire(1, 1, 100, 100, 0), 50);
    CHECK_EQ(reply.free, 50);
    CHECK_EQ(acquire(2, 40, 40, 100, 0), 40);
    CHECK_EQ(acquire(3, 1, 3, 100, 0), 3);
    CHECK_EQ(acquire(4, 8, 8, 100, 0), 0);
    CHECK_EQ(acquire(5, 7, 100, 100, 0), 7);
    CHECK_EQ(reply.free, 0);
}

TEST(the_same_question_gets_the_same_grant) {
    begin();
    CHECK_EQ(acquire(1, 1, 10, 100, 0), 10);
    CHECK_EQ(acquire(1, 1, 10, 100, 500), 10);
    CHECK_EQ(live(500), 10);
    report(1, 0, 0, 3, false, 600);
    CHECK_EQ(acquire(1, 1, 10, 100, 700), 0);
    CHECK_EQ(live(700), 10);
}

TEST(what_is_not_reported_counts_as_used_at_the_end_of_the_term) {
    begin();
    CHECK_EQ(acquire(1, 1, 10, 100, 0), 10);
    CHECK_EQ(live(TERM + HOLD - 1), 10);
    CHECK_EQ(live(TERM + HOLD), 0);
}

TEST(reported_uses_age_from_when_they_happened) {
    begin();
    acquire(1, 1, 10, 100, 0);
    struct lease_receipt r = report(1, 0, 300, 4, false, 1000);
    CHECK_EQ(r.settled, 4);
    CHECK(!r.is_over);
    CHECK_EQ(live(700 + HOLD - 1), 10);
    CHECK_EQ(live(700 + HOLD), 6);
}

TEST(a_report_may_come_twice_and_late) {
    begin();
    acquire(1, 1, 10, 100, 0);
    report(1, 0, 300, 4, false, 1000);
    CHECK_EQ(report(1, 0, 300, 4, false, 1500).settled, 4);
    CHECK_EQ(report(1, 0, 0, 3, false, 1600).settled, 4);
    CHECK_EQ(report(1, 4, 100, 2, false, 1700).settled, 6);
    CHECK_EQ(live(1700), 10);
    CHECK_EQ(live(1600 + HOLD), 4);
}

TEST(a_final_report_gives_the_rest_back_once) {
    begin();
    acquire(1, 1, 10, 100, 0);
    struct lease_receipt r = report(1, 0, 0, 4, true, 1000);
    CHECK(r.is_over);
    CHECK_EQ(live(1000), 4);
    CHECK_EQ(report(1, 0, 0, 4, true, 1100).settled, 4);
    CHECK_EQ(report(1, 4, 0, 3, false, 1200).settled, 4);
    CHECK_EQ(live(1200), 4);
    CHECK_EQ(acquire(1, 1, 10, 100, 1300), 0);
    CHECK_EQ(live(1300), 4);
}

TEST(uses_that_the_store_has_lost_are_stamped_now_and_not_given_back) {
    begin();
    acquire(1, 1, 10, 100, 0);
    struct lease_receipt r = report(1, 6, 500000, 1, true, 900000);
    CHECK_EQ(r.settled, 7);
    CHECK_EQ(live(900000), 7);
    CHECK_EQ(live(400000 + HOLD), 6);
    CHECK_EQ(live(900000 + HOLD), 0);
}

TEST(nobody_can_report_more_than_was_granted) {
    begin();
    acquire(1, 1, 10, 100, 0);
    CHECK_EQ(report(1, 8, 0, 50, false, 1000).settled, 10);
    CHECK_EQ(live(1000), 10);
}

TEST(a_report_of_an_unknown_lease_is_ignored) {
    begin();
    CHECK(report(9, 0, 0, 5, true, 0).is_over);
    CHECK_EQ(live(0), 0);
}

TEST(a_denial_tells_exactly_when_it_would_fit) {
    begin();
    acquire(1, 5, 5, 10, 0);
    acquire(2, 5, 5, 10, 100);
    report(1, 0, 0, 5, false, 200);
    CHECK_EQ(acquire(3, 5, 5, 10, 1000), 0);
    CHECK_EQ(reply.retry_after_us, 200 + HOLD - 1000);
    CHECK_EQ(acquire(4, 6, 6, 10, 1000), 0);
    CHECK_EQ(reply.retry_after_us, 100 + TERM + HOLD - 1000);
    CHECK_EQ(acquire(5, 11, 11, 10, 1000), 0);
    CHECK_EQ(reply.retry_after_us, LEASE_NEVER);
    CHECK_EQ(acquire(6, 5, 5, 10, 200 + HOLD), 5);
}

/* What an acquire of `need` is told that the account must not notice. */
static uint64_t look(uint64_t need, uint64_t limit, uint64_t at_us) {
    struct lease_request q = empty(limit);
    q.need                 = need;
    serve(&q, at_us);
    CHECK_EQ(reply.granted, 0);
    return reply.retry_after_us;
}

TEST(a_look_tells_what_an_acquire_is_told_and_takes_nothing) {
    begin();
    acquire(1, 5, 5, 10, 0);
    report(1, 0, 0, 5, false, 200);
    CHECK_EQ(look(5, 10, 1000), 0);
    CHECK_EQ(reply.free, 5);
    CHECK_EQ(look(6, 10, 1000), 200 + HOLD - 1000);
    CHECK_EQ(look(11, 10, 1000), LEASE_NEVER);
    CHECK_EQ(reply.grants, 1);
    CHECK_EQ(account.charge_count, 1);
    CHECK_EQ(account.cell_count, 1);
    CHECK_EQ(live(1000), 5);
}

TEST(a_look_sees_what_the_reports_beside_it_gave_back) {
    begin();
    acquire(1, 10, 10, 10, 0);
    CHECK_GT(look(4, 10, 100), 0);
    struct lease_request q = empty(10);
    q.need                 = 4;
    q.report_count         = 1;
    q.reports[0]           = (struct lease_report){.id = {1, 1}, .is_final = true};
    serve(&q, 100);
    CHECK_EQ(reply.retry_after_us, 0);
    CHECK_EQ(reply.free, 10);
}

TEST(who_only_reports_is_told_no_wait) {
    begin();
    store = (struct store_clock){0};
    report(1, 0, 0, 1, true, 0);
    CHECK_EQ(reply.retry_after_us, 0);
}

TEST(a_look_knows_of_a_lost_past) {
    begin();
    store = (struct store_clock){0};
    CHECK_EQ(look(1, 10, 20), TERM + HOLD);
    CHECK_EQ(look(1, 10, 20 + TERM + HOLD), 0);
}

TEST(a_look_at_a_full_account_makes_no_room) {
    begin();
    for (uint64_t i = 1; i <= ACCOUNT_CHARGES_MAX; i++) CHECK_EQ(acquire(i, 1, 1, 1000, i), 1);
    CHECK_EQ(look(1, 1000, 200), TERM);
    CHECK_EQ(look(1, 1000, TERM + 1), 0);
    CHECK(!report(1, 0, 0, 0, false, TERM + 1).is_over);
    CHECK_EQ(account.charge_count, ACCOUNT_CHARGES_MAX);
}

TEST(after_a_reset_the_account_is_a_new_one) {
    begin();
    acquire(1, 5, 5, 10, 0);
    acquire(2, 5, 5, 10, 0);
    report(1, 0, 0, 5, true, 100);
    struct lease_request q = empty(10);
    q.is_reset             = true;
    serve(&q, 200);
    CHECK_EQ(reply.free, 10);
    CHECK_EQ(account_fresh_at_us(&account), 0);
    CHECK_EQ(reply.grants, 2);
    CHECK(report(2, 0, 0, 5, false, 300).is_over);
    CHECK_EQ(live(300), 0);
    CHECK_EQ(acquire(1, 8, 8, 10, 400), 8);
}

TEST(a_reset_comes_before_the_reports_and_the_grant_beside_it) {
    begin();
    acquire(1, 10, 10, 10, 0);
    struct lease_request q = empty(10);
    q.is_reset             = true;
    q.id                   = (struct lease_id){1, 2};
    q.need = q.want = 7;
    q.report_count  = 1;
    q.reports[0]    = (struct lease_report){.id = {1, 1}, .use_count = 1, .uses = {{0, 3}}};
    serve(&q, 100);
    CHECK_EQ(reply.granted, 7);
    CHECK_EQ(reply.free, 3);
    CHECK_EQ(reply.receipts[0].settled, 0);
    CHECK(reply.receipts[0].is_over);
}

TEST(a_reset_ends_the_wait_for_what_a_rewind_brought_back) {
    begin();
    acquire(1, 10, 10, 10, 0);
    report(1, 0, 0, 10, true, 0);
    store.now_us += 2 * HOLD;
    CHECK_EQ(look(1, 10, 0), 0);
    store_clock_rewind(&store, 0, 2 * HOLD);
    CHECK_EQ(look(1, 10, 0), HOLD);
    struct lease_request q = empty(10);
    q.is_reset             = true;
    serve(&q, 0);
    CHECK_EQ(look(1, 10, 0), 0);
}

TEST(a_lowered_limit_holds_at_once) {
    begin();
    CHECK_EQ(acquire(1, 8, 8, 10, 0), 8);
    CHECK_EQ(acquire(2, 1, 1, 5, 0), 0);
    CHECK_EQ(reply.free, 0);
    CHECK_EQ(acquire(3, 2, 2, 10, 0), 2);
}

TEST(the_longest_hold_of_all_who_ask_is_kept) {
    begin();
    struct lease_request q = empty(10);
    q.hold_us              = 2 * HOLD;
    serve(&q, 0);
    acquire(1, 10, 10, 10, 0);
    report(1, 0, 0, 10, false, 0);
    CHECK_EQ(live(2 * HOLD - 1), 10);
    CHECK_EQ(live(2 * HOLD), 0);
}

TEST(another_clock_makes_a_new_account_that_grants_nothing_yet) {
    begin();
    acquire(1, 10, 10, 10, 0);
    store = (struct store_clock){0};
    CHECK_EQ(acquire(2, 1, 1, 10, 20), 0);
    CHECK_EQ(reply.retry_after_us, TERM + HOLD);
    CHECK_EQ(reply.free, 0);
    CHECK_EQ(account_live(&account, store.now_us), 0);
    CHECK_EQ(acquire(3, 1, 1, 10, 20 + TERM + HOLD), 1);
}

TEST(full_of_leases_it_forgets_the_finished_then_settles_the_ended_then_refuses) {
    begin();
    for (uint64_t i = 1; i <= ACCOUNT_CHARGES_MAX; i++) CHECK_EQ(acquire(i, 1, 1, 1000, i), 1);
    CHECK_EQ(acquire(100, 1, 1, 1000, 200), 0);
    CHECK_GT(reply.retry_after_us, 0);

    report(7, 0, 0, 0, true, 300);
    CHECK_EQ(acquire(101, 1, 1, 1000, 300), 1);
    CHECK_EQ(acquire(102, 1, 1, 1000, 300), 0);

    CHECK_EQ(acquire(103, 1, 1, 1000, TERM + 1), 1);
    CHECK_EQ(live(TERM + 1), ACCOUNT_CHARGES_MAX + 1);
    CHECK(report(1, 0, 0, 0, true, TERM + 2).is_over);
    CHECK_EQ(live(TERM + HOLD), ACCOUNT_CHARGES_MAX + 1);
    CHECK_EQ(live(TERM + HOLD + 1), ACCOUNT_CHARGES_MAX);
}

TEST(a_clock_that_ran_ahead_and_was_rewound_frees_nothing) {
    begin();
    acquire(1, 5, 5, 10, 0);
    acquire(2, 5, 5, 10, 0);
    report(1, 0, 0, 5, true, 0);
    struct lease_request beat = empty(10);
    /* Not so far that it was forgotten: it counts again. */
    serve(&beat, HOLD + 1000);
    CHECK_EQ(reply.free, 5);
    store_clock_rewind(&store, 0, 1001);
    CHECK_EQ(account_live(&account, store.now_us), 10);
    /* Further: what was forgotten is waited for. */
    store.now_us += 1001 + HOLD / 2;
    serve(&beat, HOLD + 1000);
    CHECK_EQ(reply.free, 10);
    store_clock_rewind(&store, 1, 1001 + HOLD / 2);
    CHECK_EQ(acquire(3, 1, 1, 10, HOLD + 1000), 0);
    CHECK_EQ(reply.retry_after_us, TERM + 1);
    CHECK_EQ(acquire(4, 1, 1, 10, HOLD + 1000 + TERM + 1), 1);
}

TEST(an_account_that_has_become_new_waits_for_what_a_rewind_brings_back) {
    begin();
    acquire(1, 10, 10, 10, 0);
    store.now_us += TERM + 2 * HOLD;
    CHECK_EQ(acquire(2, 1, 1, 10, 0), 1);
    CHECK_EQ(account.charge_count, 1);
    store_clock_rewind(&store, 0, TERM + 2 * HOLD);
    CHECK_EQ(acquire(3, 1, 1, 10, 0), 0);
    CHECK_EQ(reply.retry_after_us, TERM + HOLD);
    CHECK_EQ(acquire(4, 1, 1, 10, TERM + HOLD), 1);
}

TEST(a_grant_of_a_clock_that_ran_ahead_is_not_repeated_when_that_was_rewound) {
    begin();
    acquire(1, 10, 10, 10, 0);
    report(1, 0, 0, 10, true, 0);
    store.now_us += HOLD + 1;
    CHECK_EQ(acquire(2, 4, 4, 10, 1000), 4);
    CHECK_EQ(acquire(2, 4, 4, 10, 1001), 4);
    store_clock_rewind(&store, 0, HOLD + 1);
    CHECK_EQ(acquire(2, 4, 4, 10, 1002), 0);
    CHECK_EQ(account_live(&account, store.now_us), 14);
    CHECK_EQ(acquire(2, 4, 4, 10, HOLD), 4);
}

TEST(full_of_cells_it_loses_no_permit_and_lowers_no_stamp) {
    begin();
    uint64_t cell = HOLD / ACCOUNT_CELLS_A_HOLD + 1;
    uint64_t used = 0;
    for (; used < ACCOUNT_CELLS_A_HOLD; used++) {
        acquire(used + 1, 1, 1, 1000, used * cell);
        report(used + 1, 0, 0, 1, true, used * cell);
    }
    /* A rewind keeps all of them for longer, and what is older than the oldest is live, too. */
    store_clock_rewind(&store, 0, 29 * cell);
    uint64_t now_us = START + (used - 1) * cell;
    for (uint64_t k = 1; k < 28; k++, used++) {
        acquire(used + 1, 1, 1, 1000, now_us - START);
        report(used + 1, 0, (now_us - START) - 29 * cell + k * cell, 1, true, now_us - START);
        CHECK_EQ(account_live(&account, store.now_us), used + 1);
        CHECK_LE(account.cell_count, ACCOUNT_CELLS_MAX);
        for (uint32_t i = 1; i < account.cell_count; i++)
            CHECK_LT(account.cells[i - 1].latest_us, account.cells[i].latest_us);
    }
    CHECK_EQ(account.cell_count, ACCOUNT_CELLS_MAX);
}

TEST(it_equals_a_new_one_when_it_says_so) {
    begin();
    CHECK_EQ(account_fresh_at_us(&account), 0);
    acquire(1, 5, 5, 10, 0);
    CHECK_EQ(account_fresh_at_us(&account), START + TERM + 2 * HOLD);
    report(1, 0, 0, 3, true, 500);
    CHECK_GE(account_fresh_at_us(&account), START + 500 + 2 * HOLD);
    struct lease_request q = empty(10);
    serve(&q, 500 + HOLD + HOLD / 8); /* it has forgotten all, and may have to know again */
    CHECK_EQ(account.charge_count + account.cell_count, 0);
    CHECK_EQ(account_fresh_at_us(&account), START + 500 + 2 * HOLD);
}
