/* SPDX-License-Identifier: MIT
 *
 * GCRA by example; test/model judges it at random. */
#include "limit/gcra.h"
#include "support/check.h"

static const uint64_t second = 1000000000;
static const uint64_t start  = 7000000000;

static struct rule rule_for(uint64_t limit, uint64_t window_ns, uint64_t burst) {
    return (struct rule){
        .limit = limit, .window_ns = window_ns, .burst = burst, .algorithm = ALGORITHM_GCRA};
}

/* The first example of redis-cell's README: CL.THROTTLE user123 15 30 60 1. */
TEST(redis_cells_example_holds) {
    struct rule    rule = rule_for(30, 60 * second, 16);
    struct counter c    = {0};
    CHECK(gcra_admit(&c, &rule, 1, start));
    struct answer look = gcra_look(&c, &rule, 1, start);
    CHECK_EQ(look.remaining, 15);
    CHECK_EQ(look.reset_after_ns, 2 * second);

    CHECK(gcra_admit(&c, &rule, 15, start));
    look = gcra_look(&c, &rule, 1, start);
    CHECK(!look.allowed);
    CHECK_EQ(look.remaining, 0);
    CHECK_EQ(look.retry_after_ns, 2 * second);
    CHECK_EQ(look.reset_after_ns, 32 * second);
}

TEST(a_burst_passes_and_then_the_even_rate) {
    struct rule    rule = rule_for(10, second, 3);
    struct counter c    = {0};
    for (unsigned i = 0; i < 3; i++) CHECK(gcra_admit(&c, &rule, 1, start));
    CHECK(!gcra_admit(&c, &rule, 1, start));
    CHECK(!gcra_admit(&c, &rule, 1, start + second / 10 - 1));
    CHECK(gcra_admit(&c, &rule, 1, start + second / 10));
    CHECK(!gcra_admit(&c, &rule, 1, start + second / 10));
    CHECK(gcra_admit(&c, &rule, 3, start + second / 10 + 3 * second / 10));
}

TEST(what_never_passes_says_never) {
    struct rule    rule = rule_for(10, second, 3), closed = rule_for(0, second, 3);
    struct counter c = {0};
    CHECK(!gcra_admit(&c, &rule, 4, start));
    CHECK_EQ(gcra_look(&c, &rule, 4, start).retry_after_ns, LIMIT_NEVER);
    CHECK_EQ(gcra_look(&c, &rule, 4, start).remaining, 3);
    CHECK(!gcra_admit(&c, &rule, UINT64_MAX, start));
    CHECK(!gcra_admit(&c, &closed, 1, start));
    CHECK_EQ(gcra_look(&c, &closed, 1, start).retry_after_ns, LIMIT_NEVER);
    CHECK_EQ(gcra_look(&c, &closed, 1, start).remaining, 0);
}

TEST(a_counter_serves_rules_that_change) {
    struct rule    slow = rule_for(1, second, 1), fast = rule_for(1000, second, 100);
    struct counter c = {0};
    CHECK(gcra_admit(&c, &slow, 1,
                     start)); /* Drained in 1 s, which is 1000 permits of the fast rule. */
    struct answer look = gcra_look(&c, &fast, 1, start);
    CHECK(!look.allowed);
    CHECK_EQ(look.retry_after_ns, second - 99 * second / 1000);
    CHECK(gcra_admit(&c, &fast, 1, start + look.retry_after_ns));
}

TEST(rates_above_one_a_nanosecond_keep_their_fraction) {
    struct rule    rule = rule_for(LIMIT_MAX, 1000, 1);
    struct counter c    = {0};
    CHECK(gcra_admit(&c, &rule, 1, start));
    CHECK(!gcra_admit(&c, &rule, 1, start));
    CHECK(gcra_admit(&c, &rule, 1, start + 1));

    struct rule    deep  = rule_for(LIMIT_MAX, 1000, LIMIT_MAX);
    struct counter other = {0};
    CHECK(gcra_admit(&other, &deep, LIMIT_MAX, start));
    CHECK_EQ(gcra_look(&other, &deep, 1, start + 500).remaining, LIMIT_MAX / 2);
    CHECK(gcra_admit(&other, &deep, LIMIT_MAX, start + 1000));
}

TEST(the_interval_is_rounded_up) {
    CHECK_EQ(gcra_interval_ns(30, 60 * second), 2 * second);
    CHECK_EQ(gcra_interval_ns(3, 10), 4);
    CHECK_EQ(gcra_interval_ns(LIMIT_MAX, 1), 1);
    CHECK_TRAPS(gcra_interval_ns(0, 1));
}

TEST(the_ends_of_time_are_served) {
    uint64_t       longest = (UINT64_C(1) << 62) - 1;
    uint64_t       burst   = longest / LIMIT_WINDOW_MAX;
    struct rule    rule    = rule_for(1, LIMIT_WINDOW_MAX, burst);
    struct counter c       = {0};
    CHECK(gcra_rule_fits(1, LIMIT_WINDOW_MAX, burst));
    CHECK(!gcra_rule_fits(1, LIMIT_WINDOW_MAX, burst + 1));
    CHECK(gcra_admit(&c, &rule, burst, LIMIT_NOW_MAX));
    CHECK_EQ(gcra_look(&c, &rule, 1, LIMIT_NOW_MAX).retry_after_ns, LIMIT_WINDOW_MAX);
    CHECK_EQ(gcra_look(&c, &rule, 1, LIMIT_NOW_MAX).reset_after_ns, burst * LIMIT_WINDOW_MAX);
}
