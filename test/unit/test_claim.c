/* SPDX-License-Identifier: MIT
 *
 * One process against rows that the test writes by hand. Many against each other, and a store that
 * fails: weir sim, the worlds called ring-... */
#include "lease/claim.h"
#include "support/check.h"

#define MS   UINT64_C(1000000)
#define KEEP (UINT64_C(7200000) * MS)

enum { SELF = 7, OTHER = 9, LIMIT = 100, HOLD_US = 10000000, TERM_US = 1000000 };

struct process {
    struct claim         claim;
    struct account       account;
    struct claim_process self;
    uint64_t             sequence;
    uint64_t             hold_us; /* of its requests */
    uint64_t             now_ms;
    uint64_t             reset_ms; /* when it was asked for a reset */
};

static void process_begin(struct process *p, uint64_t nodes) {
    *p = (struct process){.now_ms = 1000, .hold_us = HOLD_US};
    claim_process_begin(&p->self,
                        &(struct members_options){.clock_error_ppm = 1000,
                                                  .beat_ns         = 1000 * MS,
                                                  .valid_ns        = 86400000 * MS},
                        nodes, SELF, p->now_ms * MS);
    claim_begin(&p->claim, &p->account);
    struct members_errand e;
    CHECK(members_poll(&p->self.members, p->now_ms * MS, &e));
    members_beaten(&p->self.members, MEMBERS_DONE, p->now_ms * MS);
}

/* True: there is a reply. The request is the last one, asked again. */
static bool serve_again(struct process *p, uint64_t need, uint64_t want, uint64_t limit,
                        struct lease_reply *reply) {
    struct lease_request q = {.id      = {.incarnation = 1, .sequence = p->sequence},
                              .need    = need,
                              .want    = want,
                              .limit   = limit,
                              .term_us = TERM_US,
                              .hold_us = p->hold_us};
    return claim_serve(&p->claim, &p->self, &q, p->now_ms * MS, reply);
}

static bool serve(struct process *p, uint64_t need, struct lease_reply *reply) {
    p->sequence++;
    return serve_again(p, need, need, LIMIT, reply);
}

static struct claim_errand poll(struct process *p) {
    struct claim_errand e = {.act = CLAIM_NOTHING};
    if (!claim_poll(&p->claim, &p->self, p->now_ms * MS, &e)) e.act = CLAIM_NOTHING;
    return e;
}

static struct claim_errand must_write(struct process *p, uint64_t permits) {
    struct claim_errand e = poll(p);
    CHECK_EQ(e.act, CLAIM_WRITE);
    CHECK_EQ(e.permits, permits);
    return e;
}

static void written(struct process *p, enum claim_fate fate) {
    p->now_ms += 5;
    claim_written(&p->claim, fate, p->now_ms * MS);
}

/* The rows that are read: this process's own as it was last written, and one of another. */
static bool read(struct process *p, uint64_t permits, uint64_t demand) {
    struct claim_errand e = poll(p);
    CHECK_EQ(e.act, CLAIM_READ);
    p->now_ms += 5;
    struct claim_row rows[] = {
        {.id = SELF, .number = p->claim.done_number, .permits = p->claim.told},
        {.id = OTHER, .number = 1, .permits = permits, .demand = demand}};
    return claim_has_read(&p->claim, &p->self, rows, 2, p->now_ms * MS);
}

/* Asks for so many, and writes that they are claimed. */
static void announce(struct process *p, uint64_t need) {
    struct lease_reply reply;
    CHECK(!serve(p, need, &reply));
    must_write(p, p->claim.usable + need);
    written(p, CLAIM_DONE);
}

/* Takes so many, beside what another claims. */
static void take(struct process *p, uint64_t need, uint64_t others) {
    struct lease_reply reply;
    if (!serve(p, need, &reply)) {
        must_write(p, p->claim.usable + need);
        CHECK(!serve_again(p, need, need, LIMIT, &reply));
        written(p, CLAIM_DONE);
        CHECK(!serve_again(p, need, need, LIMIT, &reply));
        CHECK(read(p, others, others));
        CHECK(serve_again(p, need, need, LIMIT, &reply));
    }
    CHECK_EQ(reply.granted, need);
    CHECK(reply.is_replicated);
}

TEST(a_claim_is_written_read_and_only_then_used) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 5, 0);
    CHECK_EQ(p.claim.usable, 5);
    CHECK(!serve(&p, 1, &reply)); /* the five are in use */
}

TEST(who_asks_again_for_what_was_granted_claims_no_more) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 5, 0);
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 5);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    CHECK_EQ(p.claim.usable, 5);
}

TEST(what_is_claimed_is_used_again_without_a_word) {
    struct process p;
    process_begin(&p, 1);
    struct lease_reply reply;
    take(&p, 5, 0);
    p.now_ms += (HOLD_US + TERM_US) / 1000 - 20;
    for (unsigned i = 0; i < 3; i++) {
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        p.now_ms += 20;
        CHECK(serve(&p, 5, &reply));
        CHECK_EQ(reply.granted, 5);
        p.now_ms += (HOLD_US + TERM_US) / 1000 - 20;
    }
}

TEST(what_does_not_fit_beside_others_is_withdrawn_and_denied) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    announce(&p, 5);
    CHECK(read(&p, LIMIT - 3, LIMIT - 3));
    CHECK_EQ(p.claim.usable, 3); /* that fits, and is kept for whoever needs no more */
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    CHECK_GT(reply.retry_after_us, 0);
    CHECK_LT(reply.retry_after_us, LEASE_NEVER);
    must_write(&p, 3);
}

TEST(a_write_of_unknown_outcome_is_not_used_and_is_taken_back) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    CHECK(!serve(&p, 5, &reply));
    must_write(&p, 5);
    written(&p, CLAIM_UNKNOWN);
    CHECK_EQ(p.claim.usable, 0);
    CHECK(!serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING); /* not at once */
    p.now_ms += 1000;
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    must_write(&p, 5);
}

/* Forgotten, it would stay in its row until that expires: by somebody who lives, and so for everybody. */
TEST(who_may_have_claimed_is_remembered_until_that_is_taken_back) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    CHECK(!serve(&p, 5, &reply));
    must_write(&p, 5);
    written(&p, CLAIM_UNKNOWN);
    claim_give_up(&p.claim);
    CHECK(!claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
    CHECK_LE(claim_next_ns(&p.claim, p.now_ms * MS), (p.now_ms + 1000) * MS);
    p.now_ms += 1000;
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    CHECK(claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
}

TEST(a_write_that_was_not_done_is_tried_again) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    CHECK(!serve(&p, 5, &reply));
    struct claim_errand first = must_write(&p, 5);
    written(&p, CLAIM_NOT_DONE);
    p.now_ms += 1000;
    CHECK(!serve_again(&p, 5, 5, LIMIT, &reply));
    struct claim_errand again = must_write(&p, 5);
    CHECK_GT(again.number, first.number);
}

TEST(a_read_without_an_answer_takes_the_raise_back) {
    struct process p;
    process_begin(&p, 4);
    announce(&p, 5);
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    CHECK(claim_has_read(&p.claim, &p.self, NULL, 0, p.now_ms * MS));
    CHECK_EQ(p.claim.usable, 0);
    p.now_ms += 1000;
    must_write(&p, 0);
}

TEST(a_row_that_is_not_there_any_more_is_told_and_not_built_upon) {
    struct process p;
    process_begin(&p, 4);
    announce(&p, 5);
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    struct claim_row other = {.id = OTHER, .number = 1};
    CHECK(!claim_has_read(&p.claim, &p.self, &other, 1, p.now_ms * MS));
    CHECK_EQ(p.claim.usable, 0);
}

static void age(struct process *p) { p->now_ms += (p->hold_us + TERM_US) / 1000; }

static void must_let_go(struct process *p) {
    for (unsigned i = 0; i < 3 && p->claim.usable > 0; i++) {
        p->now_ms += 2000;
        struct claim_errand e = poll(p);
        if (e.act == CLAIM_NOTHING) continue;
        CHECK_EQ(e.act, CLAIM_WRITE);
        CHECK_EQ(e.permits, 0);
        CHECK_EQ(p->claim.usable, 0); /* before anybody is told */
        written(p, CLAIM_DONE);
    }
    CHECK(claim_is_idle(&p->claim, &p->self, p->now_ms * MS));
}

TEST(what_is_idle_is_let_go_but_never_below_what_is_live) {
    struct process p;
    process_begin(&p, 4);
    take(&p, 5, LIMIT / 2);
    p.now_ms += HOLD_US / 1000;
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.now_ms += TERM_US / 1000;
    must_let_go(&p);
}

TEST(what_is_idle_while_most_is_free_is_there_for_the_next_who_asks) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    p.self.members.valid_until_ns = UINT64_MAX;
    take(&p, 5, LIMIT / 8);
    for (unsigned i = 0; i < 20; i++) {
        for (unsigned k = 0; k < 6; k++) {
            age(&p);
            CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        }
        CHECK(serve(&p, 5, &reply));
        CHECK_EQ(reply.granted, 5);
    }
    for (unsigned k = 0; k < 3 * 8 && p.claim.usable > 0; k++) {
        age(&p);
        (void)poll(&p);
    }
    CHECK_EQ(p.claim.usable, 0);
}

TEST(what_is_idle_while_others_miss_some_is_let_go) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    announce(&p, 5);
    CHECK(read(&p, LIMIT / 8, LIMIT / 4));
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    age(&p);
    must_let_go(&p);
}

TEST(what_is_idle_in_a_short_window_is_let_go) {
    struct process p;
    process_begin(&p, 4);
    p.hold_us = 1000000;
    take(&p, 5, 0);
    age(&p);
    must_let_go(&p);
}

TEST(an_idle_claim_is_written_anew_but_once) {
    const uint64_t holds_s[] = {10, 60, 600, 3600, 86400};
    for (unsigned i = 0; i < 5; i++) {
        struct process p;
        process_begin(&p, 4);
        p.self.members.valid_until_ns = UINT64_MAX;
        p.hold_us                     = holds_s[i] * 1000000;
        take(&p, 5, 0);
        unsigned writes = 0;
        while (p.claim.usable > 0) {
            p.now_ms += p.hold_us / 1000 / 8;
            if (poll(&p).act == CLAIM_NOTHING) continue;
            writes++;
            written(&p, CLAIM_DONE);
        }
        CHECK_LE(writes, 2); /* its last says that nothing is claimed */
        CHECK_EQ(p.claim.told, 0);
    }
}

TEST(who_has_more_than_its_part_of_little_asks_nobody) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 16);
    take(&p, LIMIT / 5, 0);
    age(&p);
    CHECK(serve(&p, 1, &reply));
    CHECK_EQ(reply.granted, 1);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
}

TEST(where_users_crowd_nothing_idle_is_kept) {
    struct process p;
    process_begin(&p, 4);
    p.self.is_crowded = true;
    take(&p, 5, 0);
    age(&p);
    must_let_go(&p);
}

TEST(what_is_kept_when_a_crowd_comes_is_let_go) {
    struct process p;
    process_begin(&p, 4);
    p.self.members.valid_until_ns = UINT64_MAX;
    take(&p, 5, 0);
    age(&p);
    age(&p);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.self.is_crowded = true;
    must_let_go(&p);
}

TEST(who_hears_that_others_miss_some_looks_and_lets_go) {
    struct process p;
    process_begin(&p, 4);
    take(&p, 5, 0);
    age(&p);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    claim_hear_shortage(&p.claim, &p.self);
    CHECK(read(&p, LIMIT - 5, LIMIT));
    must_let_go(&p);
}

TEST(who_keeps_nothing_idle_need_not_hear_that_others_miss_some) {
    struct process p;
    process_begin(&p, 1);
    take(&p, LIMIT / 2, 0);
    claim_hear_shortage(&p.claim, &p.self);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
}

TEST(who_has_more_than_its_part_lets_go_what_others_miss) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 80, 0);
    p.now_ms += 2000;
    CHECK(!serve(&p, 21, &reply));
    CHECK(read(&p, 0, 80)); /* half of the demand is there, and nothing is claimed */
    CHECK_LE(p.claim.ceiling, 56);
    CHECK_EQ(p.claim.usable, 80); /* all of these are live */
    age(&p);
    struct claim_errand e = poll(&p);
    CHECK_EQ(e.act, CLAIM_WRITE);
    CHECK_LE(e.permits, 56);
}

/* Nobody asks here any more, and much is free, so that no period ends soon. */
TEST(who_has_more_than_its_part_comes_back_to_let_go) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 60, 20);
    p.now_ms += 2000;
    CHECK(!serve(&p, 21, &reply));
    CHECK(read(&p, 20, 80));
    CHECK(serve_again(&p, 21, 21, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    must_write(&p, 60); /* that it misses some */
    written(&p, CLAIM_DONE);
    CHECK_LT(p.claim.ceiling, p.claim.usable);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    CHECK_LE(claim_next_ns(&p.claim, p.now_ms * MS), p.now_ms * MS + HOLD_US * UINT64_C(1000) / 64);
}

TEST(who_has_no_more_than_its_part_asks_nobody) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, 0);
    for (unsigned i = 0; i < 5; i++) {
        age(&p);
        CHECK(serve(&p, 25, &reply));
        CHECK_EQ(reply.granted, 25);
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    }
}

static bool tells(struct process *p) { return claim_tells_shortage(&p->claim, p->now_ms * MS); }

TEST(who_is_denied_tells_others_what_it_misses) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 5, LIMIT - 5);
    p.now_ms += 1000;
    CHECK(!serve(&p, 5, &reply));
    CHECK(read(&p, LIMIT - 5, LIMIT - 5));
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    struct claim_errand e = must_write(&p, 5);
    CHECK_EQ(e.demand, 10);
    CHECK(!tells(&p)); /* nobody can read it yet */
    written(&p, CLAIM_DONE);
    CHECK(tells(&p));
    CHECK(!tells(&p));

    for (unsigned seconds = 1; seconds <= 8; seconds++) { /* still the same shortage */
        p.now_ms += 1000;
        CHECK(!serve(&p, 5, &reply));
        CHECK(read(&p, LIMIT - 5, LIMIT - 5));
        CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
        CHECK_EQ(reply.granted, 0);
        CHECK_EQ(tells(&p), seconds % 4 == 0);
    }
    p.now_ms += 5000; /* nobody asks any more */
    CHECK(!tells(&p));
}

/* Others have claimed all that it does not: it is denied, and writes so. */
static void write_first_miss(struct process *p) {
    struct lease_reply reply;
    take(p, 5, LIMIT - 5);
    p->now_ms += 1000;
    CHECK(!serve(p, 5, &reply));
    CHECK(read(p, LIMIT - 5, LIMIT - 5));
    CHECK(serve_again(p, 5, 5, LIMIT, &reply));
    must_write(p, 5);
}

TEST(a_shortage_that_may_not_have_been_written_is_told_again) {
    const enum claim_fate fates[] = {CLAIM_NOT_DONE, CLAIM_UNKNOWN};
    for (unsigned i = 0; i < 2; i++) {
        struct process     p;
        struct lease_reply reply;
        process_begin(&p, 4);
        write_first_miss(&p);
        written(&p, fates[i]);
        CHECK(!tells(&p));
        p.now_ms += 500;
        CHECK(!serve(&p, 5, &reply));
        CHECK(read(&p, LIMIT - 5, LIMIT - 5));
        CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
        struct claim_errand e = must_write(&p, 5);
        CHECK_EQ(e.demand, 10);
        written(&p, CLAIM_DONE);
        CHECK(tells(&p));
    }
}

/* Asks for five of what others claim, and has written that it misses them. */
static void complain(struct process *p, enum claim_fate fate) {
    struct lease_reply reply;
    bool               knows = p->claim.has_read;
    p->now_ms += 1000;
    if (!knows) announce(p, 5);
    if (knows) CHECK(!serve(p, 5, &reply));
    CHECK(read(p, LIMIT, LIMIT));
    CHECK(serve_again(p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    if (p->claim.complains) return;
    struct claim_errand e = must_write(p, 0);
    CHECK_EQ(e.demand, 5);
    written(p, fate);
}

static bool is_idle(struct process *p) {
    return claim_is_idle(&p->claim, &p->self, p->now_ms * MS);
}

/* Others keep what is idle for two periods of eight holds. */
enum { UNSAYS_MS = 2 * 8 * HOLD_US / 1000 };

/* Nothing is to be done until others have let go what was idle when it was last denied; then it is said that
 * it misses none. */
static void unsay(struct process *p, enum claim_fate fate) {
    uint64_t unsays_ms = p->claim.missed_ns / MS + UNSAYS_MS;
    for (; p->now_ms < unsays_ms; p->now_ms += 10) {
        CHECK_EQ(poll(p).act, CLAIM_NOTHING);
        CHECK(!is_idle(p));
        CHECK_LE(claim_next_ns(&p->claim, p->now_ms * MS), unsays_ms * MS);
    }
    p->now_ms             = unsays_ms;
    struct claim_errand e = must_write(p, 0);
    CHECK_EQ(e.demand, 0);
    written(p, fate);
}

TEST(a_shortage_is_unsaid_when_nothing_was_denied_for_long) {
    struct process p;
    process_begin(&p, 4);
    p.self.members.valid_until_ns = UINT64_MAX;
    CHECK(is_idle(&p));
    complain(&p, CLAIM_DONE);
    p.now_ms += 6000;
    complain(&p, CLAIM_DONE);
    unsay(&p, CLAIM_DONE);
    CHECK(is_idle(&p));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    complain(&p, CLAIM_DONE);
    unsay(&p, CLAIM_DONE);
}

TEST(a_shortage_that_may_have_been_written_is_unsaid) {
    const enum claim_fate fates[] = {CLAIM_NOT_DONE, CLAIM_UNKNOWN};
    for (unsigned i = 0; i < 2; i++) {
        struct process p;
        process_begin(&p, 4);
        p.self.members.valid_until_ns = UINT64_MAX;
        complain(&p, CLAIM_DONE);
        unsay(&p, CLAIM_DONE);
        complain(&p, CLAIM_UNKNOWN);
        p.now_ms += 1000; /* nobody asks any more, and so it is not said again */
        unsay(&p, fates[i]);
        CHECK(!is_idle(&p));
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        CHECK_GT(claim_next_ns(&p.claim, p.now_ms * MS), p.now_ms * MS);
        p.now_ms += 1000;
        must_write(&p, 0);
        written(&p, CLAIM_DONE);
        CHECK(is_idle(&p));
    }
}

/* So long do others keep what is idle: 450 s at most; and the row stays for four holds. */
TEST(a_shortage_in_a_long_window_is_unsaid_after_a_quarter_of_an_hour_or_a_hold) {
    static const uint64_t hold_s[]  = {60, 600, 3600};
    static const uint64_t after_s[] = {900, 900, 3600};
    for (unsigned i = 0; i < 3; i++) {
        struct process p;
        process_begin(&p, 4);
        p.self.members.valid_until_ns = UINT64_MAX;
        p.hold_us                     = hold_s[i] * 1000000;
        complain(&p, CLAIM_DONE);
        uint64_t denied_ms = p.claim.missed_ns / MS;
        p.now_ms           = denied_ms + after_s[i] * 1000 - 1;
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        CHECK_EQ(claim_next_ns(&p.claim, p.now_ms * MS), (p.now_ms + 1) * MS);
        p.now_ms++;
        must_write(&p, 0);
    }
}

TEST(a_shortage_is_unsaid_but_once) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    p.self.members.valid_until_ns = UINT64_MAX;
    take(&p, 5, 0);
    p.now_ms += 1000;
    CHECK(!serve(&p, LIMIT, &reply));
    CHECK(read(&p, 0, 0));
    CHECK(serve_again(&p, LIMIT, LIMIT, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    struct claim_errand e = must_write(&p, 5);
    CHECK_GT(e.demand, 5);
    written(&p, CLAIM_DONE);
    uint64_t unsays_ms = p.claim.missed_ns / MS + UNSAYS_MS;
    for (; p.now_ms < unsays_ms; p.now_ms += 100) {
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        CHECK_LE(claim_next_ns(&p.claim, p.now_ms * MS), unsays_ms * MS);
    }
    p.now_ms = unsays_ms;
    e        = must_write(&p, 5);
    CHECK_LE(e.demand, 5);
    written(&p, CLAIM_DONE);
    CHECK_EQ(p.claim.usable, 5);
    p.sequence++;
    CHECK(serve_again(&p, 1, 2, LIMIT, &reply)); /* it could use more, and is not denied */
    CHECK_EQ(reply.granted, 2);
    for (unsigned i = 0; i < 50; i++) {
        p.now_ms += 100;
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    }
}

/* Others would not hear of it for four seconds, since they have heard of the one before. */
TEST(a_shortage_after_one_that_is_over_is_another_one) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    write_first_miss(&p);
    written(&p, CLAIM_DONE);
    CHECK(tells(&p));
    p.now_ms += 1000;
    CHECK(!serve(&p, 5, &reply));
    CHECK(read(&p, LIMIT - 10, LIMIT - 10)); /* they have let go */
    CHECK(!serve_again(&p, 5, 5, LIMIT, &reply));
    struct claim_errand e = must_write(&p, 10);
    CHECK_EQ(e.demand, 10);
    written(&p, CLAIM_DONE);
    CHECK(read(&p, LIMIT - 10, LIMIT - 10));
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 5);
    CHECK(!tells(&p));
    p.now_ms += 1000;
    CHECK(!serve(&p, 5, &reply));
    CHECK(read(&p, LIMIT - 10, LIMIT - 10));
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    e = must_write(&p, 10);
    CHECK_EQ(e.demand, 15);
    written(&p, CLAIM_DONE);
    CHECK(tells(&p));
}

TEST(where_users_crowd_nobody_is_remembered_for_its_shortage) {
    struct process p;
    process_begin(&p, 4);
    complain(&p, CLAIM_DONE);
    CHECK(!is_idle(&p));
    p.self.is_crowded = true;
    CHECK(is_idle(&p));
}

TEST(who_raises_its_claim_misses_nothing_until_it_is_denied) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    p.sequence++;
    CHECK(!serve_again(&p, 1, 5, LIMIT, &reply));
    struct claim_errand e =
        must_write(&p, 5); /* for half of a term; it could use more in a window */
    CHECK_EQ(e.demand, 5);
    written(&p, CLAIM_DONE);
    CHECK(read(&p, 0, 0));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
}

TEST(who_may_have_been_given_up_unsays_nothing) {
    struct process p;
    process_begin(&p, 4);
    complain(&p, CLAIM_DONE);
    p.now_ms += UNSAYS_MS;
    p.self.members.valid_until_ns = p.now_ms * MS;
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    CHECK_GT(claim_next_ns(&p.claim, p.now_ms * MS), p.now_ms * MS);
    CHECK_LE(claim_next_ns(&p.claim, p.now_ms * MS), (p.now_ms + 1000) * MS);
    p.now_ms += 10; /* and as soon as it is alive */
    p.self.members.valid_until_ns = UINT64_MAX;
    must_write(&p, 0);
}

TEST(who_cannot_unsay_yet_claims_all_the_same) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    complain(&p, CLAIM_DONE);
    p.now_ms += UNSAYS_MS;
    p.self.members.valid_until_ns = p.now_ms * MS;
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.now_ms += 10;
    CHECK(!serve(&p, 5, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
}

TEST(a_denial_is_not_asked_about_again_at_once) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    announce(&p, 5);
    CHECK(read(&p, LIMIT, LIMIT));
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    CHECK(serve(&p, 1, &reply));
    CHECK_EQ(reply.granted, 0);
    p.now_ms += 1000;
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
}

TEST(what_was_claimed_of_a_greater_limit_is_claimed_anew) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 10, 0);
    age(&p);
    p.sequence++;
    CHECK(!serve_again(&p, 6, 6, 20, &reply));
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    must_write(&p, 6);
    written(&p, CLAIM_DONE);
    CHECK(read(&p, 15, 15));
    CHECK(serve_again(&p, 6, 6, 20, &reply));
    CHECK_EQ(reply.granted, 0);
    CHECK_EQ(p.claim.usable, 5);
}

TEST(more_than_the_limit_is_never) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 5, 0);
    CHECK(serve(&p, LIMIT + 1, &reply));
    CHECK_EQ(reply.retry_after_us, LEASE_NEVER);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING); /* nor is it missed */
}

TEST(nothing_is_granted_beyond_the_last_beat) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, 0);
    p.self.members.valid_until_ns = (p.now_ms + 20000) * MS;
    p.now_ms += 19001;
    CHECK(!serve(&p, 1, &reply));
    p.self.members.valid_until_ns += 1000 * MS;
    CHECK(serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK_EQ(reply.granted, 1);
}

/* Who is not known counts: so its record must be there for as long as its rows. */
TEST(the_record_of_a_process_is_kept_as_long_as_its_rows) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 1);
    p.hold_us = 36000 * UINT64_C(1000000); /* ten hours */
    CHECK(!serve(&p, 5, &reply));
    struct claim_errand e = must_write(&p, 5);
    CHECK_GE(e.keep_ns, 4 * p.hold_us * 1000);
    CHECK_GE(p.self.members.keep_ns, e.keep_ns);
    struct members_errand beat;
    while (members_poll(&p.self.members, (p.now_ms + 1000) * MS, &beat))
        if (beat.act == MEMBERS_BEAT) break;
    CHECK_EQ(beat.act, MEMBERS_BEAT);
    CHECK_GE(beat.keep_ns, e.keep_ns);
}

TEST(rows_are_written_anew_long_before_they_expire) {
    struct process p;
    process_begin(&p, 1);
    struct lease_reply reply;
    take(&p, 25, 0);
    p.self.members.valid_until_ns = UINT64_MAX;
    uint64_t claimed_ms           = p.now_ms;
    while (p.now_ms < claimed_ms + KEEP / 4 / MS) {
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
        age(&p);
        CHECK(serve(&p, 25, &reply));
        CHECK_EQ(reply.granted, 25);
    }
    must_write(&p, 25);
    written(&p, CLAIM_UNKNOWN);
    p.now_ms = claimed_ms + KEEP / 2 / MS;
    CHECK(!serve(&p, 1, &reply));
}

TEST(who_may_have_been_given_up_does_not_write_its_row_anew) {
    struct process p;
    process_begin(&p, 1);
    take(&p, 25, 0);
    p.now_ms += KEEP / 4 / MS - 1000;
    struct lease_reply reply;
    p.self.members.valid_until_ns = p.now_ms * MS + 1;
    (void)serve(&p, 1, &reply);
    p.now_ms += 1000;
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.self.members.valid_until_ns = UINT64_MAX;
    p.now_ms += 1000;
    CHECK_EQ(poll(&p).act, CLAIM_WRITE);
}

/* If its record has expired, a row that it writes counts for everybody, as that of somebody who is not
 * known, until it expires, too. */
TEST(who_may_have_been_given_up_raises_nothing) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    p.self.members.valid_until_ns = p.now_ms * MS;
    CHECK(!serve(&p, 5, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.now_ms += 10; /* and as soon as it is alive */
    p.self.members.valid_until_ns = UINT64_MAX;
    must_write(&p, 5);
}

/* A wish for more than is needed, which nobody takes back, and an outage after which all is tried at once. */
TEST(who_was_away_for_long_takes_back_what_it_may_have_claimed_and_raises_nothing) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 5, 0);
    age(&p);
    p.sequence++;
    CHECK(serve_again(&p, 1, 20, LIMIT, &reply)); /* of the twenty at most five are there */
    CHECK_GT(reply.granted, 0);
    CHECK_LE(reply.granted, 5);
    CHECK_GT(poll(&p).permits, 20);
    p.self.members.valid_until_ns = (p.now_ms + 5000) * MS;
    while (p.now_ms * MS < 2 * KEEP) {
        written(&p, CLAIM_UNKNOWN);
        claim_give_up(&p.claim);
        p.now_ms += 600000;
        struct claim_errand e = poll(&p);
        CHECK_EQ(e.act, CLAIM_WRITE);
        CHECK_LE(e.permits, 5);
    }
    written(&p, CLAIM_DONE);
    CHECK_EQ(p.claim.told, 0);
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
}

TEST(who_may_have_been_given_up_looks_and_lets_go) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, LIMIT - 25);
    p.self.members.valid_until_ns = p.now_ms * MS;
    p.now_ms += 1000;
    CHECK(!serve(&p, 1, &reply));
    CHECK(read(&p, LIMIT - 25, LIMIT - 25));
    CHECK(serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING); /* nor does it tell that it misses some */
    claim_let_go(&p.claim, (p.now_ms + 2 * HOLD_US / 1000) * MS);
    must_write(&p, 0);
}

TEST(a_process_that_is_no_member_claims_nothing) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    p.self.members.is_joined = false;
    CHECK(!serve(&p, 5, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.self.members.is_joined = true;
    must_write(&p, 5);
}

TEST(the_dead_count_no_more) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply    reply;
    struct members_errand e;
    while (members_poll(&p.self.members, p.now_ms * MS, &e)) continue;
    struct members_record dead = {.id = OTHER, .beat = 1, .is_fenced = true};
    members_looked(&p.self.members, &dead, 1, p.now_ms * MS);
    p.now_ms += HOLD_US / 1000;
    announce(&p, 5);
    CHECK(read(&p, LIMIT, LIMIT));
    CHECK(serve_again(&p, 5, 5, LIMIT, &reply));
    CHECK_EQ(reply.granted, 5);
}

TEST(who_has_left_misses_nothing) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply    reply;
    struct members_errand e;
    take(&p, 80, 0);
    p.now_ms += 2000;
    while (members_poll(&p.self.members, p.now_ms * MS, &e)) continue;
    struct members_record left = {.id = OTHER, .beat = 1, .is_fenced = true};
    members_looked(&p.self.members, &left, 1, p.now_ms * MS);
    CHECK(!serve(&p, 21, &reply));
    CHECK(read(&p, 5, 80)); /* what it claims counts for a hold more */
    CHECK_EQ(p.claim.others, 5);
    CHECK_EQ(p.claim.ceiling, 80);
}

/* Asks, as the API does, to forget the user, which was asked for at reset_ms; true: it is done. */
static bool reset_again(struct process *p, struct lease_reply *reply) {
    struct lease_request q = {.term_us = TERM_US, .hold_us = HOLD_US, .is_reset = true};
    if (!claim_reset(&p->claim, &p->self, p->reset_ms * MS)) return false;
    return claim_serve(&p->claim, &p->self, &q, p->now_ms * MS, reply);
}

static bool reset(struct process *p, struct lease_reply *reply) {
    p->reset_ms = p->now_ms;
    return reset_again(p, reply);
}

/* Rows of which another's tells of a reset, and claims so many. */
static bool read_two(struct process *p, uint64_t permits, uint64_t resets) {
    struct claim_errand e = poll(p);
    CHECK_EQ(e.act, CLAIM_READ);
    p->now_ms += 5;
    struct claim_row rows[] = {
        {.id      = SELF,
         .number  = p->claim.done_number,
         .permits = p->claim.told,
         .resets  = p->claim.resets.made},
        {.id = OTHER, .number = 1, .permits = permits, .demand = permits, .resets = resets}};
    return claim_has_read(&p->claim, &p->self, rows, 2, p->now_ms * MS);
}

static bool read_resets(struct process *p, uint64_t resets) { return read_two(p, 0, resets); }

/* Does all of it; returns its number. */
static uint64_t reset_all(struct process *p, uint64_t others) {
    struct lease_reply reply;
    CHECK(!reset(p, &reply));
    CHECK(read_two(p, others, 0));
    CHECK(!reset_again(p, &reply));
    struct claim_errand e = poll(p);
    CHECK_EQ(e.act, CLAIM_WRITE);
    written(p, CLAIM_DONE);
    CHECK(reset_again(p, &reply));
    return e.resets;
}

static void use(struct process *p, uint64_t count);
static void look(struct process *p, uint64_t resets);

TEST(a_reset_is_told_to_others_before_it_is_done) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, 0);
    p.now_ms += 1000;
    CHECK(!reset(&p, &reply));
    CHECK(read_resets(&p, 3));
    CHECK(!reset_again(&p, &reply));
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 25); /* it is in hand */
    CHECK_EQ(must_write(&p, 25).resets, 4);
    CHECK(!reset_again(&p, &reply));
    written(&p, CLAIM_UNKNOWN);
    CHECK(!reset_again(&p, &reply));
    p.now_ms += 100;
    CHECK_EQ(must_write(&p, 25).resets, 4);
    written(&p, CLAIM_DONE);
    CHECK(reset_again(&p, &reply));
    CHECK(serve(&p, 25, &reply));
    CHECK_EQ(reply.granted, 25);
}

/* So whoever wrote its row before the reset was asked for knows it for a new one, whatever clocks show. */
TEST(a_reset_is_above_all_numbers_in_rows) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    CHECK(!reset(&p, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    struct claim_row other = {.id = OTHER, .number = 1000000, .resets = 7};
    CHECK(claim_has_read(&p.claim, &p.self, &other, 1, p.now_ms * MS));
    CHECK(!reset_again(&p, &reply));
    struct claim_errand e = must_write(&p, 0);
    CHECK_GT(e.resets, 1000000);
    CHECK_GT(e.number, e.resets);
}

/* Or one row that somebody wrote by hand would have all of this process's rise beyond what can be read. */
TEST(a_number_that_no_clock_will_show_is_not_taken_over) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, 0);
    look(&p, CLAIM_NUMBER_MAX + 1);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 25); /* it is no reset */
    p.now_ms += 1000;
    CHECK(!reset(&p, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    struct claim_row rows[] = {
        {.id = OTHER, .number = CLAIM_NUMBER_MAX + 1},
        {.id = SELF, .number = p.claim.number, .permits = 25},
    };
    CHECK(claim_has_read(&p.claim, &p.self, rows, 2, p.now_ms * MS));
    CHECK(!reset_again(&p, &reply));
    struct claim_errand e = must_write(&p, 25);
    CHECK_GT(e.resets, 0);
    CHECK_LT(e.number, 1000000);
    written(&p, CLAIM_DONE);
    CHECK(reset_again(&p, &reply));
}

TEST(what_is_written_after_a_reset_was_read_has_a_greater_number) {
    struct process p;
    process_begin(&p, 4);
    take(&p, 5, 0);
    look(&p, 1000000);
    announce(&p, 6);
    CHECK_GT(p.claim.number, 1000000);
}

/* Or who resets next might number that below what is known here, once the row that told of it is gone. */
TEST(who_has_a_claim_and_reads_of_a_reset_writes_its_row_anew) {
    struct process p;
    process_begin(&p, 4);
    take(&p, 5, 0);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    look(&p, 1000000);
    CHECK_GT(must_write(&p, 5).number, 1000000);
    written(&p, CLAIM_DONE);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
}

TEST(a_row_that_must_rise_above_a_reset_is_written_until_that_is_done) {
    for (enum claim_fate fate = CLAIM_NOT_DONE; fate <= CLAIM_UNKNOWN; fate++) {
        struct process p;
        process_begin(&p, 4);
        take(&p, 5, 0);
        look(&p, 1000000);
        CHECK_GT(must_write(&p, 5).number, 1000000);
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING); /* one at a time */
        written(&p, fate);
        p.now_ms += 100;
        CHECK_GT(must_write(&p, 5).number, 1000001);
        written(&p, CLAIM_DONE);
        p.now_ms += 100;
        CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    }
}

TEST(all_who_asked_before_the_read_share_one_reset) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    p.now_ms += 1000;
    uint64_t early_ms = p.now_ms;
    CHECK(!reset(&p, &reply));
    CHECK(read_resets(&p, 0));
    uint64_t late_ms = p.now_ms;
    CHECK(!reset(&p, &reply));
    p.reset_ms = early_ms;
    CHECK_EQ(poll(&p).act, CLAIM_READ); /* the late one looks first */
    struct claim_row other = {.id = OTHER, .number = 1};
    CHECK(claim_has_read(&p.claim, &p.self, &other, 1, p.now_ms * MS));
    CHECK(!reset_again(&p, &reply));
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    for (unsigned i = 0; i < 100; i++) CHECK(reset_again(&p, &reply));
    p.reset_ms = late_ms;
    CHECK(reset_again(&p, &reply));
    CHECK(!reset(&p, &reply)); /* who asks now has another one */
    CHECK_EQ(poll(&p).act, CLAIM_READ);
}

/* The row of the old record is the only one that tells of it. */
TEST(who_has_forgotten_a_user_reads_its_row_before_it_writes) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    uint64_t resets = reset_all(&p, 50);
    p.now_ms += 30000;
    CHECK(claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
    uint64_t number = p.claim.done_number;
    claim_begin(&p.claim, &p.account);
    CHECK(!serve(&p, 50, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    struct claim_row own = {.id = SELF, .number = number, .resets = resets};
    CHECK(claim_has_read(&p.claim, &p.self, &own, 1, p.now_ms * MS));
    CHECK(!serve_again(&p, 50, 50, LIMIT, &reply));
    CHECK_EQ(must_write(&p, 50).resets, resets);
    written(&p, CLAIM_DONE);
    CHECK(read_two(&p, 50, 0));
    CHECK(serve_again(&p, 50, 50, LIMIT, &reply));
    CHECK_EQ(reply.granted, 50);
}

/* Who has told of a reset, forgotten the user, and is asked so long after. */
static void process_forgot_reset(struct process *p, uint64_t after_ms) {
    process_begin(p, 4);
    p->self.members.valid_until_ns = UINT64_MAX;
    (void)reset_all(p, 0);
    claim_begin(&p->claim, &p->account);
    p->now_ms += after_ms;
}

/* A row may be there for longer than it is kept by this clock. */
TEST(who_told_of_a_reset_reads_first_for_half_as_long_again_as_rows_are_kept) {
    struct process     p;
    struct lease_reply reply;
    process_forgot_reset(&p, 3 * KEEP / 2 / MS - 1000);
    CHECK(!serve(&p, 5, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
}

/* Rows of the old name stay as they are. */
TEST(who_told_of_a_reset_by_another_name_writes_at_once) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    (void)reset_all(&p, 0);
    p.self.members.is_fenced = true;
    claim_process_rejoin(&p.self, SELF + 1, p.now_ms * MS);
    claim_begin(&p.claim, &p.account);
    struct members_errand e;
    CHECK(members_poll(&p.self.members, p.now_ms * MS, &e));
    CHECK_EQ(e.act, MEMBERS_JOIN);
    members_beaten(&p.self.members, MEMBERS_DONE, p.now_ms * MS);
    CHECK(!serve(&p, 5, &reply));
    must_write(&p, 5);
}

TEST(who_has_told_of_no_reset_of_late_writes_at_once) {
    struct process     p;
    struct lease_reply reply;
    process_forgot_reset(&p, 3 * KEEP / 2 / MS);
    CHECK(!serve(&p, 5, &reply));
    must_write(&p, 5);
}

/* Not what it has read of others: it would be there when theirs are gone, and then come back. */
TEST(a_row_tells_of_the_resets_of_its_process_only) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 5, 0);
    look(&p, 1000);
    CHECK(!serve(&p, 6, &reply));
    CHECK_EQ(must_write(&p, 11).resets, 0);
}

/* Of before this memory: the replica that still shows it has a slow clock. */
TEST(a_reset_that_comes_back_is_not_taken_for_a_new_one) {
    struct process p;
    process_begin(&p, 4);
    p.self.number = 1000000;
    take(&p, 50, 0);
    look(&p, 0);
    use(&p, 50);
    look(&p, 0);
    look(&p, 999999);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 50);
    look(&p, 2000000);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 0);
}

TEST(a_reset_that_nobody_waits_for_any_more_forgets_all_the_same) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, 0);
    use(&p, 25);
    p.now_ms += 1000;
    CHECK(!reset(&p, &reply));
    CHECK(read_resets(&p, 0));
    CHECK(!reset_again(&p, &reply));
    CHECK(!claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
    must_write(&p, 25);
    written(&p, CLAIM_DONE);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 0);
}

TEST(a_reset_is_not_forgotten_before_it_is_told) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    CHECK(!reset(&p, &reply));
    CHECK(read_resets(&p, 0));
    CHECK(!reset_again(&p, &reply));
    CHECK(!claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
    must_write(&p, 0);
    written(&p, CLAIM_DONE);
    CHECK(claim_is_idle(&p.claim, &p.self, p.now_ms * MS));
}

/* Whose claim counts no more. */
TEST(a_reset_by_who_has_died_is_heard_of) {
    struct process p;
    process_begin(&p, 4);
    struct members_errand e;
    while (members_poll(&p.self.members, p.now_ms * MS, &e)) continue;
    struct members_record dead = {.id = OTHER, .beat = 1, .is_fenced = true};
    members_looked(&p.self.members, &dead, 1, p.now_ms * MS);
    p.now_ms += HOLD_US / 1000;
    take(&p, 25, 0);
    use(&p, 25);
    look(&p, 0);
    look(&p, 11);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 0);
}

/* The user may have been reset after the read began, and then used. */
TEST(what_was_used_while_a_read_was_out_is_not_forgotten) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, 0);
    struct lease_request q = {
        .need = LIMIT, .limit = LIMIT, .term_us = TERM_US, .hold_us = HOLD_US};
    p.now_ms += 1000;
    CHECK(!claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    p.now_ms += 100;
    use(&p, 25);
    p.now_ms += 100;
    struct claim_row own = {.id = SELF, .number = p.claim.done_number, .permits = 25};
    CHECK(claim_has_read(&p.claim, &p.self, &own, 1, p.now_ms * MS));
    look(&p, 11);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 25);
}

/* A process that slept before it saw the answer: its row expires by when it was sent. */
TEST(a_row_of_which_the_answer_comes_late_is_not_used_for_longer) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 1);
    p.self.members.valid_until_ns = UINT64_MAX;
    CHECK(!serve(&p, 25, &reply));
    must_write(&p, 25);
    p.now_ms += KEEP / 2 / MS - 2000;
    written(&p, CLAIM_DONE);
    CHECK(read(&p, 0, 0));
    CHECK(serve_again(&p, 25, 25, LIMIT, &reply));
    CHECK_EQ(reply.granted, 25);
    p.now_ms += 2000;
    CHECK(!serve(&p, 1, &reply));
    age(&p);
    CHECK(!serve(&p, 1, &reply));
}

TEST(a_reset_changes_no_limit) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, 0);
    use(&p, 25);
    (void)reset_all(&p, 0);
    CHECK_EQ(p.claim.limit, LIMIT);
    CHECK_EQ(p.claim.usable, 25);
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    CHECK(serve(&p, 25, &reply));
    CHECK_EQ(reply.granted, 25);
}

/* Tells that the last lease was used, just now. */
static void use(struct process *p, uint64_t count) {
    struct lease_reply   reply;
    struct lease_request q = {
        .limit        = LIMIT,
        .term_us      = TERM_US,
        .hold_us      = HOLD_US,
        .report_count = 1,
        .reports      = {
                 {.id = {1, p->sequence}, .is_final = true, .use_count = 1, .uses = {{0, count}}}}};
    CHECK(claim_serve(&p->claim, &p->self, &q, p->now_ms * MS, &reply));
    CHECK(reply.receipts[0].is_over);
}

/* Reads rows that tell of so many resets. */
static void look(struct process *p, uint64_t resets) {
    struct lease_reply   reply;
    struct lease_request q = {
        .need = LIMIT, .limit = LIMIT, .term_us = TERM_US, .hold_us = HOLD_US};
    p->now_ms += 1000;
    CHECK(!claim_serve(&p->claim, &p->self, &q, p->now_ms * MS, &reply));
    CHECK(read_resets(p, resets));
}

/* What was used since the last read that showed none may be of after a reset. */
static void use_after_the_read(struct process *p) {
    struct lease_reply reply;
    p->now_ms += 20000; /* all has aged out */
    CHECK(serve(p, 25, &reply));
    use(p, 25);
    look(p, 12);
    CHECK_EQ(account_live(&p->account, p->now_ms * 1000), 25);
}

TEST(who_reads_of_a_reset_forgets_once) {
    struct process p;
    process_begin(&p, 4);
    take(&p, 25, 0);
    use(&p, 25);
    look(&p, 0); /* nobody has reset it yet */
    look(&p, 11);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 0);
    take(&p, 25, 0);
    use(&p, 25);
    look(&p, 11);
    look(&p, 11);
    CHECK_EQ(account_live(&p.account, p.now_ms * 1000), 25);
    use_after_the_read(&p);
}

TEST(who_looks_is_told_of_what_others_have) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply   reply;
    struct lease_request q = {.need = 1, .limit = LIMIT, .term_us = TERM_US, .hold_us = HOLD_US};
    CHECK(!claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK(read(&p, LIMIT - 1, LIMIT - 1));
    CHECK(claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK_EQ(reply.retry_after_us, 0);
    p.now_ms += 1000;
    CHECK(!claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK(read(&p, LIMIT, LIMIT));
    CHECK(claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK(reply.retry_after_us > 0);
}

TEST(a_row_that_is_lost_is_written_before_it_is_used_again) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, LIMIT - 25);
    p.now_ms += 2000;
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    CHECK(!claim_has_read(&p.claim, &p.self, &(struct claim_row){.id = OTHER}, 1, p.now_ms * MS));
    age(&p); /* the 25 are free again */
    CHECK(!serve(&p, 1, &reply));
    must_write(&p, 25);
    written(&p, CLAIM_DONE);
    CHECK(!serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK(read(&p, LIMIT - 10, LIMIT - 10)); /* others have claimed more meanwhile */
    CHECK(serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK_EQ(reply.granted, 1);
    CHECK_EQ(p.claim.usable, 10);
    must_write(&p, 10);
}

/* Somebody deletes it, by a clock that is ahead. */
TEST(a_row_that_is_lost_whenever_it_is_written_is_not_written_all_the_time) {
    struct process     p;
    struct lease_reply reply;
    struct claim_row   others = {.id = OTHER};
    process_begin(&p, 4);
    take(&p, 25, LIMIT - 25);
    p.now_ms += 2000;
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    CHECK(!claim_has_read(&p.claim, &p.self, &others, 1, p.now_ms * MS));
    must_write(&p, 25);
    written(&p, CLAIM_DONE);
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    CHECK(!claim_has_read(&p.claim, &p.self, &others, 1, p.now_ms * MS));
    CHECK_EQ(poll(&p).act, CLAIM_NOTHING);
    p.now_ms += 1000;
    must_write(&p, 25);
}

/* Replicas that have it and such that have not may answer in turn. */
TEST(a_row_that_is_lost_and_found_is_written_all_the_same) {
    struct process     p;
    struct lease_reply reply;
    process_begin(&p, 4);
    take(&p, 25, LIMIT - 25);
    p.now_ms += 2000;
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    CHECK(!claim_has_read(&p.claim, &p.self, &(struct claim_row){.id = OTHER}, 1, p.now_ms * MS));
    p.now_ms += 1000;
    CHECK(!reset(&p, &reply)); /* which looks first */
    CHECK(read(&p, LIMIT - 25, LIMIT - 25));
    age(&p);
    CHECK(!serve(&p, 1, &reply));
    must_write(&p, 25);
    written(&p, CLAIM_DONE);
    CHECK(read(&p, LIMIT - 25, LIMIT - 25));
    CHECK(serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK_EQ(reply.granted, 1);
}

/* A process that slept, whose row has expired, and whose member record has not. */
TEST(a_row_that_has_expired_is_not_written_again) {
    struct process p;
    process_begin(&p, 1);
    struct lease_reply reply;
    take(&p, 25, 0);
    p.now_ms += 3 * KEEP / 2 / MS;
    CHECK(!serve(&p, 1, &reply));
    must_write(&p, 0);
    CHECK_EQ(p.claim.usable, 0);
}

TEST(a_report_makes_no_room_in_a_claim_that_has_ended) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, LIMIT - 25);
    p.now_ms += 1000;
    CHECK(!serve(&p, 1, &reply));
    CHECK(read(&p, LIMIT - 25, LIMIT - 25)); /* so it is not worth asking */
    p.self.members.valid_until_ns = p.now_ms * MS;
    struct lease_request q        = {.id           = {.incarnation = 1, .sequence = p.sequence},
                                     .need         = 1,
                                     .want         = 1,
                                     .limit        = LIMIT,
                                     .term_us      = TERM_US,
                                     .hold_us      = HOLD_US,
                                     .report_count = 1,
                                     .reports      = {{.id = {1, p.sequence - 1}, .is_final = true}}};
    CHECK(claim_serve(&p.claim, &p.self, &q, p.now_ms * MS, &reply));
    CHECK(reply.receipts[0].is_over);
    CHECK_EQ(reply.granted, 0);
}

TEST(a_slow_read_is_an_answer_all_the_same) {
    struct process p;
    process_begin(&p, 4);
    struct lease_reply reply;
    take(&p, 25, LIMIT - 25);
    p.now_ms += 1000;
    CHECK(!serve(&p, 1, &reply));
    CHECK_EQ(poll(&p).act, CLAIM_READ);
    p.now_ms += 400; /* more than an answer is good for from when it was asked */
    struct claim_row rows[] = {
        {.id = SELF, .number = p.claim.done_number, .permits = 25},
        {.id = OTHER, .number = 1, .permits = LIMIT - 25, .demand = LIMIT - 25}};
    CHECK(claim_has_read(&p.claim, &p.self, rows, 2, p.now_ms * MS));
    CHECK(serve_again(&p, 1, 1, LIMIT, &reply));
    CHECK_EQ(reply.granted, 0);
}
