/* SPDX-License-Identifier: MIT */
#include "lease/message.h"
#include "lease/store_clock.h"
#include "support/check.h"

static const uint64_t clamp = 250000;

static struct store_clock clock_at(uint64_t server_us) {
    struct store_clock c;
    store_clock_begin(&c, server_us, true);
    return c;
}

TEST(it_goes_with_the_server) {
    struct store_clock c = clock_at(1000000);
    CHECK_EQ(store_clock_step(&c, 1000001, clamp), 1000001);
    CHECK_EQ(store_clock_step(&c, 1000001 + clamp, clamp), 1000001 + clamp);
}

TEST(steps_back_and_far_ahead_are_absorbed) {
    struct store_clock c = clock_at(1000000);
    CHECK_EQ(store_clock_step(&c, 1000000 + clamp + 1, clamp), 1000000);
    CHECK_EQ(store_clock_step(&c, 1000000 + clamp + 11, clamp), 1000010);
    CHECK_EQ(store_clock_step(&c, 5, clamp), 1000010);
    CHECK_EQ(store_clock_step(&c, 25, clamp), 1000030);
    CHECK_EQ(store_clock_step(&c, LEASE_NUMBER_MAX / 2, clamp), 1000030);
}

TEST(a_rewind_counts_once) {
    struct store_clock c = clock_at(1000000);
    store_clock_rewind(&c, 0, 400);
    CHECK_EQ(c.now_us, 999600);
    store_clock_rewind(&c, 0, 400);
    CHECK_EQ(c.now_us, 999600);
    store_clock_rewind(&c, 1, 100);
    CHECK_EQ(c.now_us, 999500);
    store_clock_rewind(&c, 2, 0);
    CHECK_EQ(c.generation, 2);
    store_clock_rewind(&c, 2, UINT64_MAX);
    CHECK_EQ(c.now_us, 0);
}

TEST(a_shard_without_a_clock_grants_nothing_for_a_term_and_a_hold) {
    struct store_clock c = {0};
    store_clock_step(&c, 7000000, clamp);
    CHECK(c.is_known);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 1100);
    store_clock_step(&c, 7001099, clamp);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 1);
    store_clock_step(&c, 7001100, clamp);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
    CHECK_EQ(store_clock_wait_us(&c, 100, 2000), 1000);
}

TEST(a_virgin_shard_grants_at_once) {
    struct store_clock c = clock_at(7000000);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
}

TEST(a_grant_that_the_shard_does_not_know_is_a_lost_past) {
    struct store_clock c = clock_at(7000000);
    c.grants             = 5;
    store_clock_step(&c, 7000010, clamp);
    store_clock_compare(&c, 7000000, 5);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
    store_clock_compare(&c, 7000000, 6);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 1100);
    CHECK_EQ(c.grants, 6);
    store_clock_step(&c, 7001110, clamp);
    store_clock_compare(&c, 7000000, 6);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
}

TEST(a_clock_before_it_shows_that_a_shard_is_not_virgin) {
    struct store_clock c = clock_at(7000000);
    store_clock_compare(&c, 0, 0);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
    store_clock_step(&c, 7000010, clamp);
    store_clock_compare(&c, 6999999, 0);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 1100);
    store_clock_step(&c, 7001110, clamp);
    store_clock_compare(&c, 6999999, 0);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
}

TEST(what_was_seen_in_another_era_matters_only_if_that_is_a_later_one) {
    struct store_clock c = {0};
    store_clock_step(&c, 7000000, clamp);
    store_clock_step(&c, 7001100, clamp);
    store_clock_compare(&c, 6999999, 1000);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 0);
    store_clock_compare(&c, 7000001, 0);
    CHECK_EQ(store_clock_wait_us(&c, 100, 1000), 1100);
    CHECK_EQ(c.grants, 0);
}
