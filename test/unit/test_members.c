/* SPDX-License-Identifier: MIT */
#include "lease/members.h"

#include "base/random.h"
#include "support/check.h"

#define MS UINT64_C(1000000)

enum { SELF = 7, OTHER = 9, HOLD_US = 10000000 };

static const struct members_options options = {
    .clock_error_ppm = 1000, .beat_ns = 1000 * MS, .valid_ns = 5000 * MS};

static struct members members_new(uint64_t now_ms) {
    struct members m;
    members_begin(&m, &options, SELF, now_ms * MS);
    return m;
}

/* Whether such an errand is to be done at this time; others that come before it are given up. */
static bool asks(struct members *m, enum members_act act, uint64_t now_ms,
                 struct members_errand *errand) {
    while (members_poll(m, now_ms * MS, errand))
        if (errand->act == act) return true;
    return false;
}

static void join(struct members *m, uint64_t now_ms) {
    struct members_errand e;
    CHECK(asks(m, MEMBERS_JOIN, now_ms, &e));
    CHECK_EQ(e.id, SELF);
    members_beaten(m, MEMBERS_DONE, now_ms * MS);
}

/* It asks to join, and is told what became of that. */
static void tries_to_join(struct members *m, uint64_t now_ms, enum members_fate fate,
                          uint64_t told_ms) {
    struct members_errand e;
    CHECK(asks(m, MEMBERS_JOIN, now_ms, &e));
    members_beaten(m, fate, told_ms * MS);
}

static void look(struct members *m, uint64_t now_ms, uint64_t beat, bool is_fenced) {
    struct members_errand e;
    CHECK(asks(m, MEMBERS_LOOK, now_ms, &e));
    struct members_record records[] = {{.id = SELF, .beat = 1},
                                       {.id = OTHER, .beat = beat, .is_fenced = is_fenced}};
    members_looked(m, records, 2, now_ms * MS);
}

TEST(a_beat_is_good_from_its_start_on) {
    struct members        m = members_new(1000);
    struct members_errand e;
    CHECK(asks(&m, MEMBERS_JOIN, 1000, &e));
    CHECK_EQ(m.valid_until_ns, 0);
    members_beaten(&m, MEMBERS_DONE, 1400 * MS);
    /* By a clock that is slow as far as others take it to be fast: 5000 * 0.999 / 1.001 ms, and no more. */
    CHECK_LE(m.valid_until_ns, 1000 * MS + 4990009990);
    CHECK_GE(m.valid_until_ns, 1000 * MS + 4990000000);

    CHECK(asks(&m, MEMBERS_BEAT, 2000, &e));
    CHECK_EQ(e.beat, 2);
    members_beaten(&m, MEMBERS_DONE, 2900 * MS);
    CHECK_LE(m.valid_until_ns, 2000 * MS + 4990009990);
    CHECK_GE(m.valid_until_ns, 2000 * MS + 4990000000);
}

TEST(a_beat_that_may_not_have_been_done_is_good_for_nothing) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    CHECK(asks(&m, MEMBERS_BEAT, 2000, &e));
    members_beaten(&m, MEMBERS_UNKNOWN, 2500 * MS);
    CHECK_LE(m.valid_until_ns, 6000 * MS);
    CHECK(asks(&m, MEMBERS_BEAT, 2750, &e));
    CHECK_EQ(e.beat, 3);
}

TEST(a_join_that_was_done_before_is_no_end) {
    struct members        m = members_new(1000);
    struct members_errand e;
    tries_to_join(&m, 1000, MEMBERS_UNKNOWN, 1500);
    tries_to_join(&m, 1750, MEMBERS_NOT_DONE, 1760);
    CHECK(!m.is_fenced);
    CHECK(asks(&m, MEMBERS_BEAT, 1760, &e));
    members_beaten(&m, MEMBERS_DONE, 1770 * MS);
    CHECK_GT(m.valid_until_ns, 6700 * MS);
}

/* One that was done without an answer may have been fenced after V, and its record be gone when the store
 * can be reached again. */
TEST(no_name_is_joined_again_when_it_may_have_been_given_up) {
    struct members        m      = members_new(1000);
    uint64_t              now_ms = 1000;
    struct members_errand e;
    while (asks(&m, MEMBERS_JOIN, now_ms, &e)) {
        CHECK_LT(now_ms, 6000);
        CHECK(!members_is_over(&m, 100000 * MS)); /* it may be done yet */
        members_beaten(&m, MEMBERS_UNKNOWN, now_ms * MS);
        now_ms += 250;
    }
    CHECK_EQ(now_ms, 6000);
    CHECK(!members_is_over(&m, 5999 * MS));
    CHECK(members_is_over(&m, 6000 * MS));
    CHECK_LE(members_next_ns(&m), 6000 * MS);
    members_rejoin(&m, 8, 6000 * MS);
    CHECK(!members_is_over(&m, 100000 * MS));
    CHECK(asks(&m, MEMBERS_JOIN, 100000, &e));
    CHECK_EQ(e.id, 8);
    members_beaten(&m, MEMBERS_UNKNOWN, 100000 * MS);
    CHECK(!members_is_over(&m, 104999 * MS));
    CHECK(members_is_over(&m, 105000 * MS));
}

/* No record can be there by that name, nor come: so it need not be given up. */
TEST(who_never_reached_the_store_keeps_its_name_and_joins_at_once) {
    struct members        m      = members_new(1000);
    uint64_t              now_ms = 1000;
    struct members_errand e;
    for (; now_ms < 3600 * 1000; now_ms += 250) {
        CHECK(asks(&m, MEMBERS_JOIN, now_ms, &e));
        CHECK_EQ(e.id, SELF);
        CHECK_EQ(e.beat, 1);
        members_beaten(&m, MEMBERS_NOT_SENT, now_ms * MS);
        CHECK(!members_is_over(&m, now_ms * MS));
        CHECK(!asks(&m, MEMBERS_JOIN, now_ms + 249, &e));
        CHECK_LE(members_next_ns(&m), (now_ms + 250) * MS);
    }
    CHECK(!members_is_over(&m, 2 * now_ms * MS));
    join(&m, now_ms);
    CHECK_GT(m.valid_until_ns, (now_ms + 4900) * MS);
}

/* V counts from the first that may have been executed, whatever was not before it and after. */
TEST(joins_that_were_not_sent_neither_begin_nor_prolong_the_time_of_a_name) {
    struct members        m = members_new(1000);
    struct members_errand e;
    tries_to_join(&m, 1000, MEMBERS_NOT_SENT, 4000);
    tries_to_join(&m, 4250, MEMBERS_UNKNOWN, 4300);
    for (uint64_t now_ms = 4550; now_ms < 9250; now_ms += 250) {
        CHECK(!members_is_over(&m, now_ms * MS));
        CHECK(asks(&m, MEMBERS_JOIN, now_ms, &e));
        CHECK_EQ(e.beat, 2);
        members_beaten(&m, MEMBERS_NOT_SENT, now_ms * MS);
    }
    CHECK(!members_is_over(&m, 9249 * MS));
    CHECK(members_is_over(&m, 9250 * MS));
}

/* It had one of the old name. */
TEST(who_goes_on_under_another_name_has_no_record_until_it_is_seen) {
    struct members m = members_new(1000);
    join(&m, 1000);
    look(&m, 1000, 3, false);
    m.is_fenced = true;
    members_rejoin(&m, 8, 2000 * MS);
    tries_to_join(&m, 2000, MEMBERS_UNKNOWN, 2000);
    tries_to_join(&m, 2250, MEMBERS_UNKNOWN, 2250); /* and does not beat */
    CHECK(members_is_over(&m, 7000 * MS));
}

TEST(who_has_joined_may_be_slow_to_beat) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    CHECK(!members_is_over(&m, 100000 * MS));
    CHECK(asks(&m, MEMBERS_BEAT, 100000, &e));
    members_beaten(&m, MEMBERS_NOT_DONE, 100000 * MS);
    CHECK(members_is_over(&m, 100000 * MS));
}

TEST(who_may_not_beat_has_nothing_to_do_any_more) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    CHECK(asks(&m, MEMBERS_BEAT, 2000, &e));
    members_beaten(&m, MEMBERS_NOT_DONE, 2010 * MS);
    CHECK(m.is_fenced);
    CHECK(!members_poll(&m, 9000 * MS, &e));
    CHECK_EQ(members_next_ns(&m), UINT64_MAX);
}

TEST(who_does_not_beat_is_fenced_and_counts_for_a_hold_more) {
    struct members        m = members_new(1000);
    struct members_errand e;
    look(&m, 1000, 4, false);
    look(&m, 2000, 5, false);
    CHECK(!asks(&m, MEMBERS_FENCE, 6999, &e));
    CHECK(asks(&m, MEMBERS_FENCE, 7000, &e));
    CHECK_EQ(e.id, OTHER);
    CHECK_EQ(e.beat, 5);
    members_fenced(&m, MEMBERS_DONE, 7100 * MS);
    CHECK(members_count(&m, OTHER, HOLD_US, 17099 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 17100 * MS));
}

TEST(a_fence_that_fails_is_none) {
    for (enum members_fate fate = MEMBERS_NOT_DONE; fate <= MEMBERS_UNKNOWN; fate++) {
        struct members        m = members_new(1000);
        struct members_errand e;
        look(&m, 1000, 4, false);
        CHECK(asks(&m, MEMBERS_FENCE, 6000, &e));
        members_fenced(&m, fate, 6100 * MS);
        CHECK(members_count(&m, OTHER, HOLD_US, 60000 * MS));
        CHECK(!asks(&m, MEMBERS_FENCE, 11000, &e));
        CHECK(asks(&m, MEMBERS_FENCE, 11100, &e));
    }
}

TEST(who_was_fenced_by_others_counts_from_when_that_is_seen) {
    struct members m = members_new(1000);
    look(&m, 1000, 4, false);
    look(&m, 2000, 4, true);
    look(&m, 3000, 4, true);
    CHECK(members_count(&m, OTHER, HOLD_US, 11999 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 12000 * MS));
}

/* Its record has expired, and it has joined under the same name once more; or what was read is old. */
TEST(who_is_not_fenced_any_more_counts) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    look(&m, 1000, 1, false);
    look(&m, 7000, 1, true);
    CHECK(members_has_left(&m, OTHER));
    CHECK(!members_count(&m, OTHER, HOLD_US, 30000 * MS));
    CHECK(asks(&m, MEMBERS_LOOK, 8000, &e));
    members_looked(&m, NULL, 0, 8000 * MS);
    look(&m, 20000000, 17, false);
    CHECK(!members_has_left(&m, OTHER));
    CHECK(members_count(&m, OTHER, HOLD_US, 20004000 * MS));
    CHECK(!asks(&m, MEMBERS_FENCE, 20004999, &e));
    CHECK(asks(&m, MEMBERS_FENCE, 20005000, &e)); /* as anybody who does not beat */
    members_fenced(&m, MEMBERS_DONE, 20005000 * MS);
    CHECK(members_count(&m, OTHER, HOLD_US, 20014999 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 20015000 * MS));
}

TEST(who_is_not_known_counts) {
    struct members        m = members_new(1000);
    struct members_errand e;
    CHECK(members_count(&m, OTHER, 1, 1000000 * MS));
    look(&m, 1000, 4, true);
    CHECK(asks(&m, MEMBERS_LOOK, 20000, &e));
    members_looked(&m, NULL, 0, 20000 * MS);
    CHECK(!members_count(&m, OTHER, HOLD_US, 20000 * MS));
    CHECK(asks(&m, MEMBERS_LOOK, 21000, &e));
    members_looked(&m, NULL, 0, 21000 * MS);
    CHECK(asks(&m, MEMBERS_LOOK, 22000, &e));
    struct members_record self = {.id = SELF, .beat = 1};
    members_looked(&m, &self, 1, 22000 * MS); /* its record has expired */
    CHECK(members_count(&m, OTHER, HOLD_US, 22000 * MS));
}

/* In whatever order their records come, and go. */
TEST(each_of_many_is_known_as_long_as_its_record_is_there) {
    enum { COUNT = 300 };
    struct members        m      = members_new(1000);
    struct random         random = {.state = check_seed()};
    struct members_record records[COUNT];
    struct members_errand e;
    for (uint32_t i = 0; i < COUNT; i++)
        records[i] = (struct members_record){.id = 100 + i, .beat = 1, .is_fenced = true};
    for (uint64_t now_ms = 1000; now_ms < 30000; now_ms += 1000) {
        for (uint32_t i = COUNT - 1; i > 0; i--) {
            uint32_t              k      = (uint32_t)random_below(&random, i + 1);
            struct members_record record = records[i];
            records[i]                   = records[k];
            records[k]                   = record;
        }
        uint32_t count = (uint32_t)random_below(&random, COUNT + 1);
        CHECK(asks(&m, MEMBERS_LOOK, now_ms, &e));
        members_looked(&m, records, count, now_ms * MS);
        for (uint32_t i = 0; i < COUNT; i++) {
            CHECK_EQ(members_has_left(&m, records[i].id), i < count);
            CHECK_EQ(members_count(&m, records[i].id, 0, now_ms * MS), i >= count);
        }
    }
}

TEST(more_than_can_be_known_count) {
    struct members        m = members_new(1000);
    struct members_record records[MEMBERS_MAX + 1];
    for (uint32_t i = 0; i <= MEMBERS_MAX; i++)
        records[i] = (struct members_record){.id = 100 + i, .beat = 1, .is_fenced = true};
    struct members_errand e;
    CHECK(asks(&m, MEMBERS_LOOK, 1000, &e));
    members_looked(&m, records, MEMBERS_MAX + 1, 1000 * MS);
    CHECK(!members_count(&m, 100, HOLD_US, 60000 * MS));
    CHECK(members_count(&m, 100 + MEMBERS_MAX, HOLD_US, 60000 * MS));
}

TEST(who_goes_on_under_another_name_still_knows_the_dead) {
    struct members m = members_new(1000);
    join(&m, 1000);
    look(&m, 1000, 3, true);
    m.is_fenced = true;
    members_rejoin(&m, 8, 9000 * MS);
    CHECK(!m.is_fenced);
    CHECK(!m.is_joined);
    CHECK_EQ(m.valid_until_ns, 0);
    CHECK(members_count(&m, OTHER, HOLD_US, 10999 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 11000 * MS));
    struct members_errand e;
    CHECK(asks(&m, MEMBERS_JOIN, 9000, &e));
    CHECK_EQ(e.id, 8);
    CHECK_EQ(e.beat, 1);
}

TEST(a_fence_stays_as_long_as_claims_of_such_processes) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    look(&m, 1000, 3, false);
    m.keep_ns = 12345 * MS;
    CHECK(asks(&m, MEMBERS_FENCE, 6000, &e));
    CHECK_EQ(e.id, OTHER);
    CHECK_EQ(e.keep_ns, 12345 * MS);
}

TEST(of_many_dead_each_of_the_living_fences_another_first) {
    enum { COUNT = 10 };
    struct members_record records[COUNT];
    struct members_errand e;
    for (uint32_t i = 0; i < COUNT; i++)
        records[i] = (struct members_record){.id = 100 + 10 * i, .beat = 1};
    for (uint64_t id = 95; id < 205; id += 10) {
        struct members m;
        members_begin(&m, &options, id, 1000 * MS);
        members_looked(&m, records, COUNT, 1000 * MS);
        for (uint64_t i = 0; i < COUNT; i++) { /* and then all */
            CHECK(asks(&m, MEMBERS_FENCE, 6000, &e));
            CHECK_EQ(e.id, 100 + (id - 95 + 10 * i) % (10 * COUNT));
            members_fenced(&m, MEMBERS_DONE, 6000 * MS);
        }
        CHECK(!asks(&m, MEMBERS_FENCE, 6000, &e));
    }
}

/* ---- dates ---- */

enum { NEVER_MS = 1 << 30 };

static void see(struct members *m, uint64_t now_ms, const struct members_record *records,
                uint32_t count) {
    members_looked(m, records, count, now_ms * MS);
}

static struct members_record fenced(uint64_t id, uint64_t for_ms) {
    return (struct members_record){.id            = id,
                                   .beat          = 4,
                                   .keep_ns       = 100000 * MS,
                                   .is_fenced     = true,
                                   .fenced_for_ns = for_ms * MS};
}

/* When the next date is asked for, and of what; it is done then. NEVER_MS: none is. */
static uint64_t date_ms(struct members *m, uint64_t now_ms, struct members_errand *date) {
    for (uint64_t end_ms = now_ms + 200000; now_ms < end_ms; now_ms += 100) {
        if (!asks(m, MEMBERS_DATE, now_ms, date)) continue;
        members_dated(m, MEMBERS_DONE, now_ms * MS);
        return now_ms;
    }
    return NEVER_MS;
}

TEST(a_fence_is_dated_at_each_doubling_until_it_is_too_old_to_matter) {
    struct members        m      = members_new(1000);
    struct members_record record = fenced(OTHER, 0);
    struct members_errand date;
    join(&m, 1000);
    see(&m, 1000, &record, 1);
    uint64_t now_ms = 1000;
    for (uint64_t age_ms = 5000; age_ms <= 40000;
         age_ms *= 2) { /* 40 s are the first beyond a quarter */
        now_ms = date_ms(&m, now_ms, &date);
        CHECK_EQ(now_ms, 1000 + age_ms);
        CHECK_EQ(date.id, OTHER);
        CHECK_EQ(date.beat, 4);
        CHECK_EQ(date.keep_ns, record.keep_ns);
        CHECK_EQ(date.fenced_for_ns, age_ms * MS);
        record.fenced_for_ns = date.fenced_for_ns;
        see(&m, now_ms + 500, &record, 1);
    }
    CHECK_EQ(date_ms(&m, now_ms, &date), NEVER_MS);
}

/* Whether SELF dates with so many beats, beside another that has so many. */
static bool dates_beside(uint64_t beats, uint64_t other_id, uint64_t other_beats) {
    struct members        m         = members_new(1000);
    struct members_record records[] = {fenced(OTHER, 0), {.id = other_id, .beat = other_beats}};
    struct members_errand date;
    join(&m, 1000);
    m.beat = beats;
    see(&m, 1000, records, 2);
    records[1].beat++;
    see(&m, 5500, records, 2);
    return asks(&m, MEMBERS_DATE, 6000, &date);
}

TEST(of_those_who_have_lived_longest_the_first_dates_for_all) {
    CHECK(!dates_beside(100, SELF - 1, 100));
    CHECK(dates_beside(100, SELF + 1, 100));
    CHECK(!dates_beside(100, SELF - 1, 110)); /* they began together, or nearly */
    CHECK(dates_beside(100, SELF + 1, 110));
    CHECK(!dates_beside(110, SELF - 1, 100));
    CHECK(dates_beside(100, SELF - 1, 10));
    CHECK(!dates_beside(10, SELF + 1, 100));
}

TEST(who_was_before_those_who_died_dates_them_all) {
    struct members        m         = members_new(1000);
    struct members_record records[] = {fenced(OTHER, 0), {.id = SELF - 1, .beat = 1000}};
    struct members_errand date;
    join(&m, 1000);
    for (uint64_t now_ms = 1000; now_ms <= 20000; now_ms += 1000) {
        records[1].beat++;
        see(&m, now_ms, records, 2);
        CHECK(!asks(&m, MEMBERS_DATE, now_ms, &date));
    }
    records[1].is_fenced = true;
    records[1].keep_ns   = records[0].keep_ns;
    see(&m, 21000, records, 2);
    CHECK_EQ(date_ms(&m, 21000, &date), 21000);
    CHECK_EQ(date.id, OTHER);
    CHECK_EQ(date.fenced_for_ns, 20000 * MS);
    CHECK_EQ(date_ms(&m, 21000, &date), 26000);
    CHECK_EQ(date.id, SELF - 1);
    CHECK_EQ(date.fenced_for_ns, 5000 * MS);
}

TEST(who_goes_on_under_another_name_dates_if_it_is_the_first) {
    struct members        m         = members_new(1000);
    struct members_record records[] = {fenced(OTHER, 0), {.id = SELF - 1, .beat = 1}};
    struct members_errand date;
    see(&m, 1000, records, 2);
    CHECK_EQ(m.dates_at_ns, UINT64_MAX);
    members_rejoin(&m, SELF - 2, 2000 * MS);
    CHECK_EQ(date_ms(&m, 2000, &date), 6000);
}

/* Nobody tells it any more how an errand of its other name has ended. */
TEST(who_goes_on_under_another_name_has_nothing_out) {
    struct members        m         = members_new(1000);
    struct members_record records[] = {fenced(OTHER, 0), {.id = OTHER + 1, .beat = 1}};
    struct members_errand e;
    see(&m, 1000, records, 2);
    while (members_poll(&m, 6000 * MS, &e)) continue;
    CHECK(m.is_beating && m.is_looking && m.is_fencing && m.is_dating);
    members_rejoin(&m, SELF - 2, 20000 * MS);
    for (enum members_act act = MEMBERS_JOIN; act <= MEMBERS_DATE; act++) {
        struct members one = m;
        if (act != MEMBERS_BEAT) CHECK(asks(&one, act, 20000, &e));
    }
}

TEST(what_a_record_says_of_its_age_counts_as_waited) {
    struct members        m      = members_new(1000);
    struct members_record record = fenced(OTHER, 8000); /* since before this clock began */
    see(&m, 1000, &record, 1);
    CHECK(members_count(&m, OTHER, HOLD_US, 2999 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 3000 * MS));
    record.fenced_for_ns = 0; /* an older date that came late, or a fence */
    see(&m, 2000, &record, 1);
    CHECK(!members_count(&m, OTHER, HOLD_US, 3000 * MS));
    record.fenced_for_ns = 9500 * MS;
    see(&m, 2000, &record, 1);
    CHECK(members_count(&m, OTHER, HOLD_US, 2499 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 2500 * MS));
}

TEST(an_age_of_who_is_not_fenced_is_none) {
    struct members        m      = members_new(1000);
    struct members_record record = fenced(OTHER, 100000);
    record.is_fenced             = false;
    see(&m, 1000, &record, 1);
    CHECK(members_count(&m, OTHER, HOLD_US, 1000 * MS));
    record = fenced(OTHER, 0);
    see(&m, 2000, &record, 1);
    CHECK(members_count(&m, OTHER, HOLD_US, 11999 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 12000 * MS));
}

TEST(a_fence_that_was_known_when_one_s_own_is_done_is_as_old_as_it_was) {
    struct members        m = members_new(1000);
    struct members_errand e;
    look(&m, 1000, 4, false);
    CHECK(asks(&m, MEMBERS_FENCE, 6000, &e));
    struct members_record record = fenced(OTHER, 0);
    see(&m, 6500, &record, 1);
    members_fenced(&m, MEMBERS_DONE, 7500 * MS);
    CHECK(members_count(&m, OTHER, HOLD_US, 16499 * MS));
    CHECK(!members_count(&m, OTHER, HOLD_US, 16500 * MS));
    CHECK_EQ(date_ms(&m, 7500, &e), 11500);
    CHECK_EQ(e.fenced_for_ns, 5000 * MS);
}

TEST(a_date_that_was_not_done_is_told_again_after_the_next_look) {
    struct members        m      = members_new(1000);
    struct members_record record = fenced(OTHER, 0);
    struct members_errand date;
    join(&m, 1000);
    see(&m, 1000, &record, 1);
    CHECK_EQ(date_ms(&m, 1000, &date), 6000);
    CHECK(!asks(&m, MEMBERS_DATE, 6900, &date));
    see(&m, 7000, &record, 1);
    CHECK_EQ(date_ms(&m, 7000, &date), 7000);
    CHECK_EQ(date.fenced_for_ns, 6000 * MS);

    record.fenced_for_ns = 24000 * MS; /* of a process that began long before this clock */
    see(&m, 8000, &record, 1);
    record.fenced_for_ns = 5000 * MS;
    see(&m, 9000, &record, 1);
    CHECK_EQ(date_ms(&m, 9000, &date), 9000);
    CHECK_EQ(date.fenced_for_ns, 25000 * MS);
}

/* Else one bucket of which too few replicas are there would make as many updates as there are dead in it, as
 * fast as they are refused. */
TEST(after_a_date_that_was_not_done_there_is_none_for_a_beat) {
    for (enum members_fate fate = MEMBERS_DONE; fate <= MEMBERS_UNKNOWN; fate++) {
        struct members        m         = members_new(1000);
        struct members_record records[] = {fenced(OTHER, 0), fenced(OTHER + 1, 0)};
        struct members_errand date;
        uint64_t              next_ms = fate == MEMBERS_DONE ? 6000 : 7100;
        see(&m, 1000, records, 2);
        CHECK(asks(&m, MEMBERS_DATE, 6000, &date));
        CHECK_EQ(date.id, OTHER);
        CHECK(!asks(&m, MEMBERS_DATE, 6000, &date)); /* one at a time */
        members_dated(&m, fate, (next_ms - 1000) * MS);
        if (fate != MEMBERS_DONE) CHECK(!asks(&m, MEMBERS_DATE, next_ms - 1, &date));
        m.is_beating = m.is_looking = true;
        CHECK_EQ(members_next_ns(&m), (fate == MEMBERS_DONE ? 6000 : next_ms) * MS);
        CHECK(asks(&m, MEMBERS_DATE, next_ms, &date));
        CHECK_EQ(date.id, OTHER + 1);
        CHECK_EQ(date.fenced_for_ns, (next_ms - 1000) * MS);
    }
}

TEST(who_has_dated_all_that_is_due_waits_for_the_next) {
    struct members        m      = members_new(1000);
    struct members_record record = fenced(OTHER, 0);
    struct members_errand date;
    see(&m, 1000, &record, 1);
    CHECK(asks(&m, MEMBERS_DATE, 6000, &date));
    members_dated(&m, MEMBERS_DONE, 6000 * MS);
    m.is_beating = m.is_looking = true;
    CHECK_EQ(members_next_ns(&m), 11000 * MS);
}

TEST(a_date_keeps_the_record_for_as_long_as_the_fence_did) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    m.keep_ns = 12345000 * MS;
    look(&m, 1000, 3, false);
    CHECK(asks(&m, MEMBERS_FENCE, 6000, &e));
    members_fenced(&m, MEMBERS_DONE, 6000 * MS);
    CHECK_EQ(date_ms(&m, 6000, &e), 11000);
    CHECK_EQ(e.keep_ns, 12345000 * MS);
}

/* What is due is asked for once, however the errands end and whatever is read: nobody turns in a circle. */
TEST(who_has_asked_for_all_that_is_due_has_time) {
    enum { COUNT = 6 };
    struct random random = {.state = check_seed()};
    for (unsigned round = 0; round < 200; round++) {
        struct members        m = members_new(random_below(&random, 10000));
        struct members_errand e;
        struct members_record records[COUNT];
        for (uint32_t i = 0; i < COUNT; i++)
            records[i] = (struct members_record){.id = 5 + i, .beat = 1, .keep_ns = 60000 * MS};
        uint64_t now_ns = m.beats_at_ns, fails = round % 2 == 0 ? 2 : 100; /* one in so many */
        for (unsigned turn = 0; turn < 200; turn++) {
            unsigned errands = 0;
            if (members_is_over(&m, now_ns)) members_rejoin(&m, m.id + COUNT, now_ns);
            while (members_poll(&m, now_ns, &e)) {
                CHECK_LE(++errands, 4 + 2 * COUNT);
                if (random_below(&random, 8) == 0) continue; /* its end is late */
                enum members_fate fate =
                    random_below(&random, fails) == 0 ? MEMBERS_UNKNOWN : MEMBERS_DONE;
                if (e.act == MEMBERS_LOOK)
                    members_looked(&m, fate == MEMBERS_DONE ? records : NULL, COUNT, now_ns);
                else if (e.act == MEMBERS_FENCE)
                    members_fenced(&m, fate, now_ns);
                else if (e.act == MEMBERS_DATE)
                    members_dated(&m, fate, now_ns);
                else
                    members_beaten(&m, fate, now_ns);
            }
            CHECK_GT(members_next_ns(&m), now_ns);
            now_ns += random_below(&random, 3000) * MS;
            struct members_record *record = &records[random_below(&random, COUNT)];
            record->beat += !record->is_fenced;
            record->is_fenced |= random_below(&random, 8) == 0;
            record->fenced_for_ns = random_below(&random, 60000) * MS;
            if (random_below(&random, 4) == 0) see(&m, now_ns / MS, records, COUNT);
            if (random_below(&random, 4) != 0) continue;
            if (m.is_beating) members_beaten(&m, MEMBERS_UNKNOWN, now_ns);
            if (m.is_fencing) members_fenced(&m, MEMBERS_UNKNOWN, now_ns);
            if (m.is_dating) members_dated(&m, MEMBERS_UNKNOWN, now_ns);
        }
    }
}

/* Its rows of before are kept for as long as it said then. */
TEST(a_record_is_kept_for_as_long_as_it_ever_said) {
    struct members        m = members_new(1000);
    struct members_errand e;
    join(&m, 1000);
    CHECK(asks(&m, MEMBERS_LOOK, 1000, &e));
    struct members_record record = {.id = OTHER, .beat = 1, .keep_ns = 80000 * MS};
    members_looked(&m, &record, 1, 1000 * MS);
    CHECK(asks(&m, MEMBERS_LOOK, 2000, &e));
    record.keep_ns = 70000 * MS;
    members_looked(&m, &record, 1, 2000 * MS);
    CHECK(asks(&m, MEMBERS_FENCE, 6100, &e));
    CHECK_EQ(e.keep_ns, 80000 * MS);
}

/* Answers come too late, and so each name may leave a record. */
TEST(who_cannot_join_takes_new_names_less_and_less_often) {
    struct members        m = members_new(0);
    struct members_errand e;
    unsigned              names = 0;
    for (uint64_t now_ms = 0; now_ms < 3 * 3600 * 1000; now_ms += 100) {
        if (members_is_over(&m, now_ms * MS)) members_rejoin(&m, 1000 + ++names, now_ms * MS);
        while (members_poll(&m, now_ms * MS, &e)) {
            if (e.act == MEMBERS_JOIN) members_beaten(&m, MEMBERS_UNKNOWN, now_ms * MS);
            if (e.act == MEMBERS_LOOK) members_looked(&m, NULL, 0, now_ms * MS);
        }
    }
    CHECK_GT(names, 100);
    CHECK_LT(names, 320);
}

TEST(a_store_that_cannot_be_reached_makes_no_wait_grow) {
    struct members m = members_new(0);
    tries_to_join(&m, 0, MEMBERS_UNKNOWN, 0);
    members_rejoin(&m, SELF, 5000 * MS);
    for (uint64_t now_ms = 5000; now_ms < 600 * 1000; now_ms += 250) {
        CHECK(!members_is_over(&m, now_ms * MS));
        tries_to_join(&m, now_ms, MEMBERS_NOT_SENT, now_ms);
    }
    join(&m, 600 * 1000);
}

TEST(who_sees_its_record_has_joined_whatever_was_not_sent) {
    struct members        m = members_new(0);
    struct members_errand e;
    tries_to_join(&m, 0, MEMBERS_UNKNOWN, 100);
    CHECK(asks(&m, MEMBERS_JOIN, 400, &e));
    struct members_record own = {.id = SELF, .beat = 1};
    members_looked(&m, &own, 1, 450 * MS);
    members_beaten(&m, MEMBERS_NOT_SENT, 500 * MS);
    CHECK(asks(&m, MEMBERS_BEAT, 750, &e));
    CHECK_EQ(e.beat, 2);
    CHECK(!members_is_over(&m, 10000 * MS));
}

TEST(who_has_joined_waits_for_no_other_name) {
    struct members        m = members_new(0);
    struct members_errand e;
    tries_to_join(&m, 0, MEMBERS_UNKNOWN, 0);
    members_rejoin(&m, SELF, 6000 * MS);
    tries_to_join(&m, 6000, MEMBERS_UNKNOWN, 6000);
    members_rejoin(&m, SELF, 12000 * MS);
    CHECK(!asks(&m, MEMBERS_JOIN, 12000, &e));
    join(&m, 13000);
    members_rejoin(&m, SELF, 20000 * MS);
    join(&m, 20000);
}

TEST(who_sees_its_record_has_joined) {
    struct members        m = members_new(0);
    struct members_errand e;
    CHECK(asks(&m, MEMBERS_JOIN, 0, &e));
    CHECK(asks(&m, MEMBERS_LOOK, 100, &e));
    struct members_record own = {.id = SELF, .beat = 1};
    members_looked(&m, &own, 1, 200 * MS);
    members_beaten(&m, MEMBERS_UNKNOWN, 2000 * MS);
    CHECK_EQ(m.valid_until_ns, 0); /* nobody has said when */
    CHECK(asks(&m, MEMBERS_BEAT, 2250, &e));
    CHECK_EQ(e.id, SELF);
    CHECK(!members_is_over(&m, 10000 * MS));
}
