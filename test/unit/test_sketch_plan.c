/* SPDX-License-Identifier: MIT
 *
 * The bound of false denials, beside what happens when it is tried. */
#include "cmd/sketch_plan.h"
#include "support/check.h"

#include <stdio.h>

#include "cmd/sketch_trial.h"

static double bound_of(double user_bytes, uint64_t users, double mean, uint64_t limit) {
    struct sketch_plan plan = {.bytes = (size_t)(user_bytes * (double)users),
                               .users = users,
                               .mean  = mean,
                               .limit = limit};
    return sketch_plan_false_denial(&plan);
}

static struct sketch_tried tried(double user_bytes, uint64_t users, double mean, uint64_t limit,
                                 double zipf) {
    struct sketch_trial trial = {.bytes   = (size_t)(user_bytes * (double)users),
                                 .users   = users,
                                 .mean    = mean,
                                 .limit   = limit,
                                 .zipf    = zipf,
                                 .windows = 3,
                                 .seed    = check_seed()};
    struct sketch_tried result;
    CHECK(sketch_trial_run(&trial, &result));
    return result;
}

static double share(uint64_t part, uint64_t whole) { return (double)part / (double)whole; }

TEST(what_is_tried_stays_below_the_bound) {
    static const struct {
        double   user_bytes, mean;
        uint64_t limit;
    } cases[] = {{2, 2.5, 10}, {4, 2.5, 10}, {8, 2.5, 10}, {2, 1, 10}, {8, 5, 15},
                 {0.5, .2, 1}, {2, .6, 3},   {8, 5, 40},   {8, 20, 80}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double bound          = bound_of(cases[i].user_bytes, 20000, cases[i].mean, cases[i].limit);
        struct sketch_tried t = tried(cases[i].user_bytes, 20000, cases[i].mean, cases[i].limit, 0);
        double              seen = share(t.denied_falsely, t.asked);
        printf("%4.1f bytes, mean %4.1f, limit %3d: %.5f %% of %d, at most %.5f %%\n",
               cases[i].user_bytes, cases[i].mean, (int)cases[i].limit, 100 * seen, (int)t.asked,
               100 * bound);
        CHECK_LE(seen, bound);
    }
}

/* Plain counting, simulated by a program that is not this one, denied 3.52 %, 0.196 % and 0.015 % of all
 * requests although there was room in the last window and cell. */
TEST(the_bound_is_near_what_plain_counting_denies) {
    CHECK_LT(bound_of(4, 200000, 2.5, 10), 0.08);
    CHECK_LT(bound_of(8, 200000, 2.5, 10), 0.0032);
    CHECK_LT(bound_of(16, 200000, 2.5, 10), 0.0002);
    CHECK_GT(bound_of(4, 200000, 2.5, 10), 0.0353);
    CHECK_GT(bound_of(8, 200000, 2.5, 10), 0.00196);
    CHECK_GT(bound_of(16, 200000, 2.5, 10), 0.00015);
}

TEST(more_memory_fewer_users_and_larger_limits_deny_less) {
    double before = 1.1;
    for (unsigned user_bytes = 2; user_bytes < 64; user_bytes += user_bytes / 2) {
        double bound = bound_of(user_bytes, 100000, 2.5, 10);
        CHECK_LT(bound, before);
        CHECK_GT(bound, 0.0);
        before = bound;
    }
    CHECK_LT(bound_of(8, 100000, 2, 10), bound_of(8, 100000, 2.5, 10));
    CHECK_LT(bound_of(8, 100000, 2.5, 11), bound_of(8, 100000, 2.5, 10));
}

TEST(a_thousand_million_users_are_as_a_hundred_thousand) {
    double few = bound_of(8, 100000, 2.5, 10), many = bound_of(8, 1000000000, 2.5, 10);
    CHECK_LT(many, few * 1.001);
    CHECK_GT(many, few * 0.9);
}

TEST(what_cannot_be_computed_is_a_certain_denial) {
    CHECK_EQ(bound_of(0.001, 100000, 2.5, 10), 1.0);
    CHECK_EQ(bound_of(0, 100000, 2.5, 10), 1.0);
}

TEST(a_sketch_with_room_for_all_denies_nobody_falsely) {
    struct sketch_tried t = tried(400, 2000, 2.5, 10, 0);
    CHECK_EQ(t.denied_falsely, 0);
    CHECK_EQ(t.denied_within, 0);
    CHECK_EQ(t.allowed, t.allowed_exactly);
    CHECK_GT(t.asked, 14000);
    CHECK_LE(t.asked_within, t.asked);
}

TEST(when_a_few_ask_most_those_within_their_limit_fare_better) {
    struct sketch_tried even = tried(4, 50000, 2.5, 10, 0), zipf = tried(4, 50000, 2.5, 10, 0.99);
    CHECK_LT(share(zipf.denied_within, zipf.asked_within),
             share(even.denied_within, even.asked_within));
    CHECK_LT(zipf.asked_within, zipf.asked);
    CHECK_LE(zipf.allowed, zipf.allowed_exactly);
}
