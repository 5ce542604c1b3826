/* SPDX-License-Identifier: MIT
 *
 * The fixed window by example; test/model compares it with a model at random. */
#include "limit/fixed.h"
#include "support/check.h"

static const uint64_t minute = 60000000000;

TEST(windows_begin_at_multiples_of_their_length) {
    struct counter c = {0};
    CHECK(fixed_admit(&c, 2, minute, 2, 3 * minute - 1));
    CHECK_EQ(c.fresh_at_ns, 3 * minute);
    CHECK(!fixed_admit(&c, 2, minute, 1, 3 * minute - 1));
    CHECK_EQ(fixed_look(&c, 2, minute, 1, 3 * minute - 1).retry_after_ns, 1);
    CHECK(fixed_admit(&c, 2, minute, 2,
                      3 * minute)); /* Twice the limit in 1 ns: that is how it is. */
}

TEST(a_late_call_counts_in_the_newest_window) {
    struct counter c = {0};
    CHECK(fixed_admit(&c, 2, minute, 1, 3 * minute));
    CHECK(fixed_admit(&c, 2, minute, 1, 2 * minute));
    CHECK(!fixed_admit(&c, 2, minute, 1, 2 * minute));
    CHECK_EQ(fixed_look(&c, 2, minute, 1, 2 * minute).retry_after_ns, 2 * minute);
}

TEST(what_never_passes_says_never) {
    struct counter c = {0};
    CHECK(!fixed_admit(&c, 0, minute, 1, 0));
    CHECK_EQ(fixed_look(&c, 0, minute, 1, 0).retry_after_ns, LIMIT_NEVER);
    CHECK(!fixed_admit(&c, 5, minute, UINT64_MAX, 0));
    CHECK_EQ(fixed_look(&c, 5, minute, UINT64_MAX, 0).retry_after_ns, LIMIT_NEVER);
    CHECK_EQ(c.fresh_at_ns, 0);
}

TEST(limits_may_change_within_a_window) {
    struct counter c = {0};
    CHECK(fixed_admit(&c, 10, minute, 8, minute));
    CHECK_EQ(fixed_look(&c, 5, minute, 1, minute).remaining, 0);
    CHECK(!fixed_admit(&c, 5, minute, 1, minute));
    CHECK_EQ(fixed_look(&c, 20, minute, 1, minute).remaining, 12);
    CHECK(fixed_admit(&c, 20, minute, 12, minute));
}
