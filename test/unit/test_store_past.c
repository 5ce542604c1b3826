/* SPDX-License-Identifier: MIT */
#include "cmd/store_past.h"

#include "support/check.h"

#define HOUR_US UINT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

static char text[STORE_PAST_BYTES_MAX];

static const char *told(uint64_t us, uint64_t long_us) {
    const struct lease_past past = {.us = us, .long_us = long_us};
    return store_past_write(&past, text) ? text : "all";
}

TEST(what_is_known_of_all_windows_is_one_time) {
    CHECK_STR_EQ(told(UINT64_MAX, UINT64_MAX), "all");
    CHECK_STR_EQ(told(2 * HOUR_US, 2 * HOUR_US),
                 "does not know what was granted before the last 2h: limits whose windows reach "
                 "further back are denied");
    CHECK_STR_EQ(told(0, 0), "does not know what was granted before now: limits whose windows "
                             "reach further back are denied");
}

TEST(long_windows_are_told_of_apart_where_more_is_known_of_them) {
    CHECK_STR_EQ(told(2 * HOUR_US, UINT64_MAX),
                 "does not know what was granted before the last 2h: limits whose windows reach "
                 "further back are denied, but for those of a week and more, of which it knows "
                 "all");
    CHECK_STR_EQ(told(0, 20 * DAY_US),
                 "does not know what was granted before now: limits whose windows reach further "
                 "back are denied, but for those of a week and more, of which it knows the last "
                 "20d");
}

TEST(long_windows_may_be_all_that_is_denied) {
    CHECK_STR_EQ(told(20 * DAY_US, 30 * DAY_US),
                 "does not know what was granted before the last 30d: limits whose windows reach "
                 "further back are denied");
    CHECK_STR_EQ(told(20 * DAY_US, UINT64_MAX), "all");
    CHECK_STR_EQ(told(UINT64_MAX, 2 * DAY_US),
                 "does not know what was granted before the last 2d: limits whose windows reach "
                 "further back are denied");
}

TEST(a_day_is_fair) {
    CHECK(store_past_is_fair(&(struct lease_past){.us = DAY_US, .long_us = UINT64_MAX}));
    CHECK(!store_past_is_fair(&(struct lease_past){.us = DAY_US - 1, .long_us = UINT64_MAX}));
    CHECK(!store_past_is_fair(&(struct lease_past){.us = DAY_US, .long_us = DAY_US - 1}));
}

#define SECOND_US UINT64_C(1000000)

TEST(a_loss_is_seen_also_if_more_is_known_now_than_was_before_it) {
    const struct lease_past before = {
        .us = 3 * SECOND_US, .long_us = 3 * SECOND_US, .born_us = 100};
    struct lease_past now = {.us = 5 * SECOND_US, .long_us = 5 * SECOND_US, .born_us = 100};
    CHECK(!store_past_is_shorter(&now, &before));
    now.born_us = 101;
    CHECK(store_past_is_shorter(&now, &before));
    now.us = UINT64_MAX;
    CHECK_SAYS(!store_past_is_shorter(&now, &before), "it knows all");
    now.us = 2 * SECOND_US;
    CHECK(store_past_is_shorter(&now, &before));
}

TEST(where_nothing_was_known_nothing_is_lost) {
    const struct lease_past before = {.us = 0, .long_us = 0, .born_us = 100};
    const struct lease_past now = {.us = 5 * SECOND_US, .long_us = 5 * SECOND_US, .born_us = 101};
    CHECK(!store_past_is_shorter(&now, &before));
}

TEST(a_clock_that_is_turned_back_a_little_has_lost_nothing) {
    const struct lease_past before = {.us = 9 * SECOND_US, .long_us = UINT64_MAX, .born_us = 100};
    struct lease_past       now    = before;
    now.us -= SECOND_US / 4;
    CHECK(!store_past_is_shorter(&now, &before));
}
