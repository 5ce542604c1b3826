/* SPDX-License-Identifier: MIT
 *
 * A node's holder by example; src/sim judges it among others of its kind. */
#include "lease/holder.h"
#include "support/check.h"

#define MS UINT64_C(1000000)

static struct lease_terms   terms;
static struct holder        holder;
static struct lease_request sent;
static const uint64_t       start = 1000000 * MS;

static void begin(uint64_t limit) {
    struct lease_options o = {.nodes = 4, .term_ns = 1000 * MS};
    lease_terms_make(limit, 10000 * MS, &o, &terms);
    holder_begin(&holder, &terms, 77);
}

static struct holder_answer ask_for(uint64_t cost, uint64_t at_ms) {
    return holder_ask(&holder, cost, start + at_ms * MS);
}

static enum holder_outcome ask(uint64_t at_ms) { return ask_for(1, at_ms).outcome; }

static bool poll(uint64_t at_ms) { return holder_poll(&holder, start + at_ms * MS, &sent); }

/* The store's answer to what was sent last. */
static struct lease_reply answer(uint64_t granted) {
    struct lease_reply r = {.id            = sent.id,
                            .granted       = granted,
                            .is_replicated = true,
                            .sent_ns       = holder.sent_ns,
                            .receipt_count = sent.report_count};
    for (uint32_t i = 0; i < sent.report_count; i++) {
        const struct lease_report *q = &sent.reports[i];
        uint64_t                   n = q->base;
        for (uint32_t k = 0; k < q->use_count; k++) n += q->uses[k].count;
        r.receipts[i] = (struct lease_receipt){.id = q->id, .settled = n, .is_over = q->is_final};
    }
    return r;
}

static bool take(struct lease_reply r, uint64_t at_ms) {
    return holder_take(&holder, NULL, &r, start + at_ms * MS);
}

/* Asks, and gets so many granted at `at_ms`. */
static void grant(uint64_t granted, uint64_t at_ms) {
    CHECK_EQ(ask(at_ms), HOLDER_WAIT);
    CHECK(poll(at_ms));
    CHECK(take(answer(granted), at_ms));
}

static uint64_t again(uint64_t at_ms) {
    return holder_ask_again(&holder, 1, start + at_ms * MS).outcome;
}

static uint64_t left(uint64_t at_ms) {
    uint64_t until_ns;
    return holder_left(&holder, start + at_ms * MS, &until_ns);
}

TEST(many_callers_share_one_trip) {
    begin(100);
    CHECK(!poll(0));
    for (int i = 0; i < 5; i++) CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    CHECK_EQ(sent.need, 1);
    CHECK_GE(sent.want, 5);
    CHECK(!poll(1));
    CHECK_EQ(ask(1), HOLDER_WAIT);
    CHECK(!poll(1));
    CHECK(take(answer(8), 3));
    for (int i = 0; i < 6; i++) CHECK_EQ(again(3), HOLDER_ALLOWED);
    CHECK_EQ(ask(4), HOLDER_ALLOWED);
    CHECK_EQ(left(4), 1);
}

/* One asks at 0 and takes one at 1, of so many granted, when so many more are free. */
static void take_one_of(uint64_t granted, uint64_t left_free) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    CHECK_EQ(sent.want, 1);
    struct lease_reply r = answer(granted);
    r.free               = left_free;
    CHECK(take(r, 1));
    CHECK_EQ(again(1), HOLDER_ALLOWED);
}

TEST(who_asks_once_far_from_the_limit_costs_one_trip) {
    take_one_of(1, 88);
    for (uint64_t at_ms = 1; at_ms < 20000; at_ms++) CHECK(!poll(at_ms));
    CHECK_EQ(holder_next_ns(&holder), UINT64_MAX);
}

TEST(uses_far_from_the_limit_are_told_when_a_trip_is_made_anyway) {
    for (uint64_t at_ms = 700; at_ms < 11300; at_ms += 500) {
        take_one_of(1, 88);
        CHECK_EQ(ask(at_ms), HOLDER_WAIT);
        CHECK(poll(at_ms));
        uint64_t counts_us = terms.term_ns / 1000 + terms.hold_us;
        CHECK_EQ(sent.report_count, at_ms * 1000 < counts_us);
        if (sent.report_count == 0) continue;
        CHECK(sent.reports[0].is_final);
        CHECK_EQ(sent.reports[0].uses[0].count, 1);
    }
}

TEST(uses_near_the_limit_are_told_in_time) {
    take_one_of(1, 87);
    uint64_t at_ms = 1;
    while (!poll(at_ms)) CHECK_LT(++at_ms, 10000);
    CHECK_GT(at_ms, 8000);
    CHECK_EQ(sent.id.sequence, 0);
    CHECK_EQ(sent.report_count, 1);
    CHECK_LT(sent.reports[0].uses[0].age_us, 10000 * 1000);
}

TEST(what_is_left_is_given_back_however_far_the_limit_is) {
    take_one_of(2, 98);
    uint64_t at_ms = 1;
    while (!poll(at_ms)) CHECK_LT(++at_ms, 2000);
    CHECK(sent.reports[0].is_final);
    CHECK_EQ(sent.reports[0].uses[0].count, 1);
}

TEST(a_lease_ends_a_term_after_the_first_send) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    CHECK(poll(20));
    CHECK_EQ(sent.id.sequence, 1);
    CHECK(take(answer(10), 300));
    CHECK_EQ(left(997), 10);
    CHECK_EQ(left(998), 10);
    CHECK_EQ(left(999), 0);
    CHECK_EQ(ask(999), HOLDER_WAIT);
}

TEST(a_reply_after_the_term_is_given_back) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    CHECK(take(answer(10), 1000));
    CHECK_EQ(again(1000), HOLDER_WAIT);
    CHECK(poll(1000));
    CHECK_EQ(sent.id.sequence, 2);
    CHECK_EQ(sent.report_count, 1);
    CHECK(sent.reports[0].is_final);
    CHECK_EQ(sent.reports[0].use_count, 0);
}

TEST(what_is_not_replicated_is_given_back) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    struct lease_reply r = answer(10);
    r.is_replicated      = false;
    CHECK(take(r, 5));
    CHECK_EQ(left(5), 0);
    CHECK_EQ(holder.grants_seen, 0);
}

TEST(resends_have_the_same_name_and_grow_rare) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    int sends = 0;
    for (uint64_t t = 0; t < 10000; t++)
        while (poll(t)) {
            CHECK_EQ(sent.id.sequence, 1);
            CHECK_EQ(sent.id.incarnation, 77);
            sends++;
        }
    CHECK_LT(sends, 45);
    CHECK_GT(sends, 10);
}

TEST(replies_to_others_to_the_past_and_again_change_nothing) {
    begin(100);
    grant(10, 0);
    CHECK_EQ(again(0), HOLDER_ALLOWED);
    struct lease_reply r = answer(10);
    CHECK(!take(r, 1));
    CHECK_EQ(left(1), 9);
    r.id.incarnation = 78;
    r.id.sequence    = 2;
    CHECK(!take(r, 1));
    CHECK_EQ(left(1), 9);
}

TEST(uses_are_told_with_ages_that_are_not_too_long) {
    begin(100);
    grant(10, 0);
    CHECK_EQ(again(0), HOLDER_ALLOWED);
    CHECK_EQ(ask(100), HOLDER_ALLOWED);
    CHECK_EQ(ask(400), HOLDER_ALLOWED);
    for (uint64_t t = 400; !poll(t); t++) CHECK_LT(t, 5000);
    CHECK_EQ(sent.report_count, 1);
    const struct lease_report *r = &sent.reports[0];
    CHECK(r->is_final);
    CHECK_EQ(r->base, 0);
    CHECK_EQ(r->use_count, 2);
    CHECK_EQ(r->uses[0].count, 2);
    CHECK_EQ(r->uses[1].count, 1);
    CHECK_EQ(left(600), 0);
    CHECK_LE(r->uses[0].age_us - r->uses[1].age_us, 300000);
    CHECK_LE(r->uses[1].age_us, 200000);
    CHECK_GT(r->uses[1].age_us, 199000);
}

TEST(more_groups_than_a_report_holds_become_fewer_under_later_times) {
    begin(1000);
    grant(500, 0);
    for (uint64_t t = 0; t < 990; t++) CHECK_EQ(t % 3 == 0 ? again(t) : 0, HOLDER_ALLOWED);
    for (uint64_t t = 990; !poll(t); t++) CHECK_LT(t, 5000);
    const struct lease_report *r   = &sent.reports[0];
    uint64_t                   sum = 0;
    CHECK_LE(r->use_count, LEASE_USES_MAX);
    for (uint32_t i = 0; i < r->use_count; i++) {
        sum += r->uses[i].count;
        if (i > 0) CHECK_LT(r->uses[i].age_us, r->uses[i - 1].age_us);
    }
    CHECK_EQ(sum, 330);
}

TEST(confirmed_uses_are_not_told_again) {
    begin(100);
    grant(10, 0);
    CHECK_EQ(again(0), HOLDER_ALLOWED);
    CHECK_EQ(ask(100), HOLDER_ALLOWED);
    CHECK_EQ(ask(300), HOLDER_ALLOWED);
    struct lease_reply r = {.receipt_count = 1, .receipts = {{.id = {77, 1}, .settled = 1}}};
    CHECK(!take(r, 310));
    CHECK_EQ(holder.leases[0].uses[0].count, 1);
    CHECK_EQ(holder.leases[0].uses[1].count, 1);
    r.receipts[0].settled = 2;
    CHECK(!take(r, 320));
    r.receipts[0].settled = 1;
    CHECK(!take(r, 330));
    for (uint64_t t = 330; !poll(t); t++) CHECK_LT(t, 5000);
    CHECK_EQ(sent.reports[0].base, 2);
    CHECK_EQ(sent.reports[0].use_count, 1);
    CHECK_EQ(sent.reports[0].uses[0].count, 1);
}

TEST(who_is_idle_stops_first_and_then_gives_back) {
    begin(100);
    grant(10, 0);
    CHECK_EQ(again(0), HOLDER_ALLOWED);
    CHECK_EQ(holder_next_ns(&holder), start + 200 * MS);
    CHECK(!poll(199));
    CHECK_EQ(left(199), 9);
    CHECK(poll(200));
    CHECK(sent.reports[0].is_final);
    CHECK_EQ(left(200), 0);
    CHECK_EQ(ask(201), HOLDER_WAIT);
}

TEST(a_lease_is_renewed_before_it_is_empty) {
    begin(100);
    grant(20, 0);
    for (int i = 0; i < 14; i++) CHECK_EQ(ask(1), HOLDER_ALLOWED);
    CHECK(!poll(1));
    CHECK_EQ(ask(2), HOLDER_ALLOWED);
    CHECK(poll(2));
    CHECK_EQ(sent.id.sequence, 2);
    CHECK_EQ(sent.need, 1);
    CHECK(take(answer(20), 5));
    CHECK_EQ(left(5), 25);
    CHECK(!poll(6));
}

TEST(a_denial_serves_until_it_is_time_to_ask_again) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    struct lease_reply r = answer(0);
    r.retry_after_us     = 5000000;
    CHECK(take(r, 4));
    CHECK_EQ(again(4), HOLDER_DENIED);
    CHECK_EQ(ask_for(1, 5).retry_after_ns, 4999 * MS);
    CHECK(!poll(5));
    CHECK_EQ(ask(43), HOLDER_DENIED);
    CHECK_EQ(ask(44), HOLDER_WAIT);
    CHECK(poll(44));
}

TEST(a_denial_of_much_is_none_of_less) {
    begin(100);
    CHECK_EQ(ask_for(50, 0).outcome, HOLDER_WAIT);
    CHECK(poll(0));
    CHECK_EQ(sent.need, 50);
    struct lease_reply r = answer(0);
    r.retry_after_us     = 5000000;
    CHECK(take(r, 1));
    CHECK_EQ(ask_for(50, 2).outcome, HOLDER_DENIED);
    CHECK_EQ(ask_for(49, 2).outcome, HOLDER_WAIT);
}

TEST(a_cost_may_be_paid_from_two_leases) {
    begin(100);
    grant(10, 0);
    CHECK_EQ(ask_for(15, 1).outcome, HOLDER_WAIT);
    CHECK(poll(1));
    CHECK_EQ(sent.need, 5);
    CHECK(take(answer(6), 2));
    CHECK_EQ(holder_ask_again(&holder, 15, start + 2 * MS).outcome, HOLDER_ALLOWED);
    CHECK_EQ(left(2), 1);
}

TEST(with_a_trip_a_decision_nothing_is_kept) {
    begin(10);
    CHECK_EQ(terms.mode, LEASE_MODE_EACH);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    CHECK_EQ(sent.want, 2);
    CHECK(take(answer(2), 1));
    CHECK_EQ(again(1), HOLDER_ALLOWED);
    CHECK(poll(1));
    CHECK(sent.reports[0].is_final);
    CHECK_EQ(left(1), 0);
}

TEST(costs_above_the_limit_never_pass_and_ask_nobody) {
    begin(10);
    CHECK_EQ(ask_for(11, 0).outcome, HOLDER_DENIED);
    CHECK_EQ(ask_for(11, 0).retry_after_ns, LIMIT_NEVER);
    begin(0);
    CHECK_EQ(ask(0), HOLDER_DENIED);
    CHECK(!poll(0));
}

TEST(a_new_memory_holds_nothing_and_has_another_name) {
    begin(100);
    grant(10, 0);
    holder_begin(&holder, &terms, 78);
    CHECK_EQ(left(1), 0);
    CHECK_EQ(ask(1), HOLDER_WAIT);
    CHECK(poll(1));
    CHECK_EQ(sent.id.incarnation, 78);
    CHECK_EQ(sent.report_count, 0);
}

TEST(a_store_that_ran_ahead_is_not_used_and_asked_back) {
    struct watch watch;
    begin(100);
    watch_begin(&watch, terms.clock_error_ppm, terms.span_ns, terms.tolerance_ns);
    struct lease_reply beat = {.store_us = 5000000, .sent_ns = start};
    CHECK(!holder_take(&holder, &watch, &beat, start + 1 * MS));

    CHECK_EQ(ask(100), HOLDER_WAIT);
    CHECK(poll(100));
    struct lease_reply r = answer(10);
    r.store_us           = 5300000;
    r.generation         = 4;
    CHECK(holder_take(&holder, &watch, &r, start + 102 * MS));
    CHECK_EQ(left(102), 0);
    CHECK_EQ(again(102), HOLDER_WAIT);
    CHECK(poll(102));
    CHECK_GT(sent.rewind_us, 190000);
    CHECK_EQ(sent.rewind_generation, 4);
    CHECK_EQ(sent.reports[0].is_final, true);
    CHECK_EQ(sent.id.sequence, 2);
}

TEST(requests_are_sound_whatever_replies_were) {
    struct random {
        uint64_t x;
    } r = {check_seed()};
    begin(100);
    for (uint64_t i = 0; i < check_effort(100000); i++) {
        r.x           = r.x * UINT64_C(6364136223846793005) + 1442695040888963407u;
        uint64_t at   = i * 7;
        uint64_t what = r.x >> 60;
        if (what < 9) {
            ask_for(1 + (r.x >> 40) % 3, at);
        } else if (what < 14 && sent.limit > 0) {
            struct lease_reply reply = answer((r.x >> 30) % 12);
            reply.retry_after_us     = (r.x >> 20) % 100000;
            reply.receipt_count      = reply.receipt_count > what % 3 ? reply.receipt_count : 0;
            take(reply, at);
        }
        while (poll(at)) CHECK(lease_request_is_sound(&sent));
        CHECK_GT(holder_next_ns(&holder), start + at * MS);
    }
}

TEST(replies_out_of_range_are_told_from_sound_ones) {
    struct lease_reply r = {.granted = LIMIT_MAX, .free = LIMIT_MAX, .retry_after_us = LEASE_NEVER};
    CHECK(lease_reply_is_sound(&r));
    r.granted = LIMIT_MAX + 1;
    CHECK(!lease_reply_is_sound(&r));
    r                     = (struct lease_reply){.receipt_count = LEASE_REPORTS_MAX};
    r.receipts[3].settled = LIMIT_MAX;
    CHECK(lease_reply_is_sound(&r));
    r.receipts[3].settled++;
    CHECK(!lease_reply_is_sound(&r));
    r = (struct lease_reply){.receipt_count = LEASE_REPORTS_MAX + 1};
    CHECK(!lease_reply_is_sound(&r));
    r = (struct lease_reply){.store_us = LEASE_NUMBER_MAX + 1};
    CHECK(!lease_reply_is_sound(&r));
}

TEST(grants_that_were_seen_are_those_of_the_present_era) {
    begin(100);
    CHECK_EQ(ask(0), HOLDER_WAIT);
    CHECK(poll(0));
    struct lease_reply r = answer(10);
    r.era_us             = 5;
    r.grants             = 9;
    CHECK(take(r, 1));
    CHECK_EQ(holder.era_seen_us, 5);
    CHECK_EQ(holder.grants_seen, 9);
    struct lease_reply beat = {.era_us = 6};
    CHECK(!take(beat, 2));
    CHECK_EQ(holder.era_seen_us, 6);
    CHECK_EQ(holder.grants_seen, 0);
}

static bool is_in_demand(uint64_t at_ms) {
    return holder_is_in_demand(&holder, start + at_ms * MS);
}

TEST(who_was_asked_for_often_within_a_term_is_in_demand) {
    begin(100);
    for (unsigned i = 0; i < 3; i++) CHECK_EQ(ask(i), HOLDER_WAIT);
    CHECK(!is_in_demand(3));
    CHECK_EQ(ask(3), HOLDER_WAIT);
    CHECK(is_in_demand(3));
    CHECK(is_in_demand(900));
    CHECK(!is_in_demand(1100));
    CHECK_EQ(ask(20000), HOLDER_WAIT); /* and that is long ago */
    CHECK(!is_in_demand(20000));
}

/* As many as ask in a part of a term, which is half a second here, and once more as many as will. */
TEST(for_those_who_have_gone_no_more_is_acquired_than_others_will_want) {
    begin(1000);
    for (unsigned i = 0; i < 40; i++) CHECK_EQ(ask_for(3, i * 100).outcome, HOLDER_WAIT);
    CHECK_EQ(holder.waiting, 120);
    holder_ask_ahead(&holder);
    CHECK(poll(4000));
    CHECK_EQ(sent.need, 1);
    CHECK_GE(sent.want, 15);
    CHECK_LE(sent.want, 30);
}

TEST(who_keeps_nothing_is_not_in_demand) {
    begin(4);
    for (unsigned i = 0; i < 8; i++) CHECK_EQ(ask(i), HOLDER_WAIT);
    CHECK_EQ(terms.mode, LEASE_MODE_EACH);
    CHECK(!is_in_demand(8));
}
