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
    CHECK_LE(m.valid_until_ns, 6000 * MS);
    CHECK_GE(m.valid_until_ns, 5989 * MS);

    CHECK(asks(&m, MEMBERS_BEAT, 2000, &e));
    CHECK_EQ(e.beat, 2);
    members_beaten(&m, MEMBERS_DONE, 2900 * MS);
    CHECK_LE(m.valid_until_ns, 7000 * MS);
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
    CHECK(asks(&m, MEMBERS_JOIN, 1000, &e));
    members_beaten(&m, MEMBERS_UNKNOWN, 1500 * MS);
    CHECK(asks(&m, MEMBERS_JOIN, 1750, &e));
    members_beaten(&m, MEMBERS_NOT_DONE, 1760 * MS);
    CHECK(!m.is_fenced);
    CHECK(asks(&m, MEMBERS_BEAT, 1760, &e));
    members_beaten(&m, MEMBERS_DONE, 1770 * MS);
    CHECK_GT(m.valid_until_ns, 6700 * MS);
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
