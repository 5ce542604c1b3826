/* SPDX-License-Identifier: MIT */
#include "cmd/store_past.h"

#include "support/check.h"

#define HOUR_US UINT64_C(3600000000)
#define DAY_US  (24 * HOUR_US)

static char text[STORE_PAST_BYTES_MAX];

static const char *told(uint64_t us, uint64_t long_us) {
    const struct lease_past past = {us, long_us};
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
    CHECK(store_past_is_fair(&(struct lease_past){DAY_US, UINT64_MAX}));
    CHECK(!store_past_is_fair(&(struct lease_past){DAY_US - 1, UINT64_MAX}));
    CHECK(!store_past_is_fair(&(struct lease_past){DAY_US, DAY_US - 1}));
}
