/* SPDX-License-Identifier: MIT */
#include "lease/shortage.h"

#include "support/check.h"

static bool tells(const struct shortages *s, uint64_t user) {
    unsigned count = 0;
    for (uint32_t i = 0; i < s->list.count; i++) count += s->list.users[i] == user;
    CHECK_LE(count, 1);
    return count == 1;
}

TEST(each_is_told_by_so_many_beats) {
    struct shortages s = {0};
    shortage_add(&s, 5);
    shortage_told(&s);
    shortage_add(&s, 6);
    for (int i = 1; i < SHORTAGE_BEATS; i++) {
        CHECK(tells(&s, 5));
        CHECK(tells(&s, 6));
        shortage_told(&s);
    }
    CHECK(!tells(&s, 5));
    CHECK(tells(&s, 6));
    shortage_told(&s);
    CHECK_EQ(s.list.count, 0);
}

TEST(one_that_begins_again_is_told_anew) {
    struct shortages s = {0};
    shortage_add(&s, 5);
    shortage_add(&s, 6);
    for (int i = 1; i < SHORTAGE_BEATS; i++) shortage_told(&s);
    shortage_add(&s, 5);
    CHECK(tells(&s, 5));
    shortage_told(&s);
    CHECK(tells(&s, 5));
    CHECK(!tells(&s, 6));
}

TEST(of_too_many_the_oldest_are_not_told) {
    struct shortages s = {0};
    for (uint64_t user = 0; user < 3 * SHORTAGES_MAX; user++) shortage_add(&s, user);
    CHECK_EQ(s.list.count, SHORTAGES_MAX);
    for (uint64_t user = 0; user < 3 * SHORTAGES_MAX; user++)
        CHECK_EQ(tells(&s, user), user >= 2 * SHORTAGES_MAX);
}
