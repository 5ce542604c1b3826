/* SPDX-License-Identifier: MIT
 *
 * One process against a record that the test keeps. Many against each other, and a store that fails: weir
 * sim, the worlds called lwt-... */
#include "sim/ledger.h"
#include "support/check.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum { SELF = 7, OTHER = 9, LIMIT = 100 };

struct process {
    struct lease_terms   terms;
    struct ledger        ledger;
    struct ledger_record store;
    uint64_t             sequence;
    uint64_t             now_ms;
};

/* Large. */
static struct process p;

static void begin(void) {
    const struct lease_options options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = SECOND};
    p                                  = (struct process){.now_ms = 1000};
    lease_terms_make(LIMIT, 10 * SECOND, &options, &p.terms);
    ledger_begin(&p.ledger, &p.terms, SELF, p.now_ms * MS);
}

static struct lease_request request(uint64_t need) {
    return (struct lease_request){.id      = {.incarnation = 1, .sequence = p.sequence},
                                  .need    = need,
                                  .want    = need,
                                  .limit   = LIMIT,
                                  .term_us = p.terms.term_us,
                                  .hold_us = p.terms.hold_us};
}

static void ask_again(uint64_t need) {
    struct lease_request q = request(need);
    ledger_ask(&p.ledger, &q);
}

static void ask(uint64_t need) {
    p.sequence++;
    ask_again(need);
}

static enum ledger_act poll(void) {
    enum ledger_act act;
    return ledger_poll(&p.ledger, p.now_ms * MS, &act) ? act : LEDGER_NOTHING;
}

static void read(void) {
    CHECK_EQ(poll(), LEDGER_READ);
    p.now_ms += 5;
    ledger_has_read(&p.ledger, &p.store, p.now_ms * MS);
}

static void updated(enum ledger_fate fate) {
    p.now_ms += 20;
    ledger_updated(&p.ledger, fate, fate == LEDGER_NOT_DONE ? &p.store : NULL, p.now_ms * MS);
}

static void update(void) {
    CHECK_EQ(poll(), LEDGER_UPDATE);
    CHECK(ledger_record_change(&p.store, &p.ledger.update));
    updated(LEDGER_DONE);
}

static void must_answer(uint64_t granted) {
    CHECK_EQ(poll(), LEDGER_ANSWER);
    CHECK_EQ(p.ledger.reply.granted, granted);
    CHECK_EQ(p.ledger.reply.id.sequence, p.sequence);
    CHECK_EQ(poll(), LEDGER_NOTHING);
}

/* Another process has used so many, when its clock showed theirs_us. */
static void other_uses(uint64_t count, uint64_t theirs_us) {
    struct ledger_update u = {.version = p.store.version,
                              .page    = {.id         = OTHER,
                                          .written_us = theirs_us,
                                          .account    = {.hold_us    = p.terms.hold_us,
                                                         .cell_count = 1,
                                                         .cells      = {{theirs_us, count}}}}};
    CHECK(ledger_record_change(&p.store, &u));
}

TEST(a_grant_is_read_for_written_and_then_told) {
    begin();
    ask(10);
    read();
    update();
    must_answer(10);
    CHECK_EQ(p.store.version, 1);
    CHECK_EQ(p.store.page_count, 1);
    CHECK_EQ(p.store.pages[0].id, SELF);
    CHECK_EQ(p.ledger.reply.free, LIMIT - 10);
}

TEST(the_next_grant_is_built_on_the_last_without_a_read) {
    begin();
    ask(10);
    read();
    update();
    must_answer(10);
    p.now_ms += 60000;
    ask(20);
    update();
    must_answer(20);
}

TEST(what_others_have_is_not_granted) {
    begin();
    other_uses(95, 5000000000);
    ask(5);
    read();
    update();
    must_answer(5);
    ask(1);
    must_answer(0);
    CHECK(p.ledger.reply.retry_after_us > 9000000);
    CHECK(p.ledger.reply.retry_after_us < 11000000);
}

/* Nothing is known of another's clock but how it went on since it was seen: it may show any time. */
TEST(permits_of_others_age_from_when_they_were_seen) {
    for (int is_ahead = 0; is_ahead < 2; is_ahead++) {
        begin();
        other_uses(LIMIT, is_ahead ? 90000000000 : 20000000);
        ask(1);
        read();
        must_answer(0);
        uint64_t hold_ms = p.terms.hold_us / 1000;
        p.now_ms += hold_ms;
        ask(1);
        read();
        must_answer(0);
        p.now_ms += hold_ms / 400; /* twice the error of a clock */
        ask(1);
        update();
        must_answer(1);
    }
}

TEST(a_later_page_tells_more_of_its_writers_clock_and_an_old_one_nothing) {
    begin();
    uint64_t hold_us = p.terms.hold_us;
    other_uses(LIMIT, 20000000);
    ask(1);
    read();
    must_answer(0);
    /* It wrote again, when its clock showed the whole hold and more: so it has aged out. */
    p.now_ms += 1000;
    other_uses(0, 20000000 + hold_us);
    p.store.pages[0].account.cells[0] = (struct account_cell){20000000, LIMIT};
    ask(1);
    read();
    update();
    must_answer(1);
    /* And again with a page that had been on its way for long: that does not set its clock back. */
    other_uses(LIMIT - 1, 20000001);
    p.ledger.must_read = true;
    p.now_ms += 1000;
    ask(1);
    read();
    update();
    must_answer(1);
}

TEST(a_page_of_which_nothing_counts_is_taken_away) {
    begin();
    other_uses(LIMIT, 20000000);
    ask(1);
    read();
    must_answer(0);
    p.now_ms += p.terms.hold_us / 1000 * 2;
    ask(1);
    update();
    must_answer(1);
    CHECK_EQ(p.store.page_count, 1);
    CHECK_EQ(p.store.pages[0].id, SELF);
}

TEST(an_update_that_is_not_done_is_built_anew_on_what_the_record_was) {
    begin();
    ask(10);
    read();
    CHECK_EQ(poll(), LEDGER_UPDATE);
    other_uses(95, 5000000000);
    CHECK(!ledger_record_change(&p.store, &p.ledger.update));
    updated(LEDGER_NOT_DONE);
    must_answer(0);
}

TEST(an_update_of_unknown_outcome_is_settled_by_a_read) {
    for (int is_done = 0; is_done < 2; is_done++) {
        begin();
        ask(60);
        read();
        CHECK_EQ(poll(), LEDGER_UPDATE);
        if (is_done) CHECK(ledger_record_change(&p.store, &p.ledger.update));
        updated(LEDGER_UNKNOWN);
        read();
        if (!is_done) update();
        must_answer(60);
        CHECK_EQ(p.store.version, 1);
        CHECK_EQ(p.store.pages[0].account.charge_count, 1);
    }
}

TEST(an_update_that_is_done_late_is_found) {
    begin();
    ask(60);
    read();
    CHECK_EQ(poll(), LEDGER_UPDATE);
    static struct ledger_update late;
    late = p.ledger.update;
    updated(LEDGER_UNKNOWN);
    read();
    CHECK_EQ(poll(), LEDGER_UPDATE);
    CHECK(ledger_record_change(&p.store, &late));
    updated(LEDGER_NOT_DONE);
    p.now_ms += 100;
    must_answer(60);
    CHECK_EQ(p.store.pages[0].account.charge_count, 1);
}

TEST(an_old_copy_denies_nobody) {
    begin();
    other_uses(LIMIT, 5000000000);
    ask(1);
    read();
    must_answer(0);
    ask(1);
    must_answer(0);
    p.now_ms += 200;
    p.store.page_count = 0;
    ask(1);
    read();
    update();
    must_answer(1);
}

TEST(a_resend_is_answered_with_the_update_that_is_out) {
    begin();
    ask(10);
    read();
    CHECK_EQ(poll(), LEDGER_UPDATE);
    ask_again(10);
    CHECK(ledger_record_change(&p.store, &p.ledger.update));
    updated(LEDGER_DONE);
    must_answer(10);
}

TEST(a_new_memory_begins_a_new_page) {
    begin();
    ask(60);
    read();
    update();
    must_answer(60);
    ledger_begin(&p.ledger, &p.terms, SELF + 1, p.now_ms * MS);
    ask(60);
    read();
    must_answer(0);
    ask(40);
    update();
    must_answer(40);
    CHECK_EQ(p.store.page_count, 2);
}

TEST(a_reset_takes_all_pages_away) {
    begin();
    other_uses(LIMIT, 5000000000);
    p.sequence++;
    struct lease_request q = request(LIMIT);
    q.is_reset             = true;
    ledger_ask(&p.ledger, &q);
    read();
    update();
    must_answer(LIMIT);
    CHECK_EQ(p.store.page_count, 1);
}
