/* SPDX-License-Identifier: MIT */
#include "base/random.h"
#include "lease/message.h"
#include "lease/terms.h"
#include "support/check.h"

static const uint64_t             second = 1000000000;
static const struct lease_options usual  = {0};

static struct lease_terms terms_of(uint64_t limit, uint64_t window_ns) {
    struct lease_terms t;
    lease_terms_make(limit, window_ns, &usual, &t);
    return t;
}

TEST(a_large_limit_in_a_long_window_is_shared_by_leases) {
    struct lease_terms t = terms_of(1000, 60 * second);
    CHECK_EQ(t.mode, LEASE_MODE_SHARE);
    CHECK_EQ(t.term_us, 2000000);
    CHECK_LT(t.term_ns, 2 * second);
    CHECK_GT(t.hold_us, 60000000);
    CHECK_LT(t.loss_ppm, 20000);
}

TEST(small_limits_and_short_windows_take_a_trip_a_decision) {
    CHECK_EQ(terms_of(31, 60 * second).mode, LEASE_MODE_EACH);
    CHECK_EQ(terms_of(32, 60 * second).mode, LEASE_MODE_SHARE);
    CHECK_EQ(terms_of(1000, second / 20).mode, LEASE_MODE_EACH);
    CHECK_EQ(terms_of(1, 1).mode, LEASE_MODE_EACH);
}

TEST(a_limit_of_nothing_is_denied_and_senseless_rules_are_told) {
    CHECK_EQ(terms_of(0, second).mode, LEASE_MODE_NEVER);
    CHECK_EQ(terms_of(1, 0).mode, LEASE_MODE_BAD);
    CHECK_EQ(terms_of(LIMIT_MAX, 60 * second).mode, LEASE_MODE_SHARE);
    CHECK_EQ(terms_of(LIMIT_MAX + 1, second).mode, LEASE_MODE_BAD);
    CHECK_EQ(terms_of(1, LIMIT_WINDOW_MAX + 1).mode, LEASE_MODE_BAD);
    CHECK_EQ(terms_of(UINT64_MAX, UINT64_MAX).mode, LEASE_MODE_BAD);
}

TEST(a_useless_window_says_so) {
    CHECK_GT(terms_of(10, 1000).loss_ppm, 990000);
    CHECK_LT(terms_of(10, LIMIT_WINDOW_MAX).loss_ppm, 10000);
}

/* With rho in thousandths: (1 + rho) (1 - rho) and the like, by whole numbers of 128 bits. */
TEST(rates_are_on_the_safe_side_for_any_numbers) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(100000); i++) {
        struct lease_options o         = {.clock_error_ppm = random_below(&r, 120000),
                                          .round_trip_ns   = random_next(&r) >> random_below(&r, 64),
                                          .nodes           = random_next(&r) >> random_below(&r, 64),
                                          .term_ns         = random_next(&r) >> random_below(&r, 64),
                                          .margin_ns       = random_next(&r) >> random_below(&r, 64),
                                          .tolerance_ns    = random_next(&r) >> random_below(&r, 64),
                                          .idle_ns         = random_next(&r) >> random_below(&r, 64)};
        uint64_t             limit     = random_next(&r) >> random_below(&r, 64);
        uint64_t             window_ns = random_next(&r) >> random_below(&r, 64);
        struct lease_terms   t;
        lease_terms_make(limit, window_ns, &o, &t);
        bool is_bad = limit > LIMIT_MAX || window_ns == 0 || window_ns > LIMIT_WINDOW_MAX;
        CHECK_EQ(t.mode == LEASE_MODE_BAD, is_bad);
        if (is_bad) continue;

        CHECK_EQ(t.mode == LEASE_MODE_NEVER, limit == 0);
        double rho = (double)t.clock_error_ppm / 1e6;
        CHECK_LE((double)t.term_ns / (1 - rho), (double)t.term_us * 1e3 / (1 + rho) * (1 + 1e-12));
        CHECK_GE((double)t.hold_us * 1e3 / (1 + rho), (double)window_ns * (1 - 1e-12));
        CHECK_LE(t.hold_us, LEASE_NUMBER_MAX / 8);
        CHECK_LE(t.loss_ppm, 1000000);
        CHECK_GT(t.poll_ns, 0);
        CHECK_GT(t.retry_ns, 0);
    }
}

TEST(an_exchange_of_two_usual_round_trips_is_a_contact) {
    for (uint64_t trip_ns = 1; trip_ns <= 10 * second; trip_ns *= 10)
        for (uint64_t window_ns = 1; window_ns <= LIMIT_WINDOW_MAX; window_ns *= 10) {
            struct lease_terms t;
            lease_terms_make(100, window_ns, &(struct lease_options){.round_trip_ns = trip_ns}, &t);
            CHECK_GE(t.tolerance_ns, 2 * trip_ns);
        }
}

TEST(ages_are_at_most_what_passed_at_the_store) {
    struct lease_terms t = {.clock_error_ppm = 100000};
    CHECK_EQ(lease_terms_store_us(&t, 0), 0);
    CHECK_EQ(lease_terms_store_us(&t, 11 * second), 9000000);
    CHECK_EQ(lease_terms_store_us(&t, 1222), 0);
    CHECK_EQ(lease_terms_store_us(&t, 1223), 1);
    CHECK_EQ(lease_terms_store_us(&t, UINT64_MAX), LEASE_NUMBER_MAX);
    CHECK_EQ(lease_terms_store_us_max(100000, 9 * second, false), 11000000);
    CHECK_EQ(lease_terms_store_us_max(100000, 1, false), 0);
    CHECK_EQ(lease_terms_store_us_max(100000, 1, true), 1);
}
