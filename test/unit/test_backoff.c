/* SPDX-License-Identifier: MIT */
#include "store/net/backoff.h"

#include "support/check.h"

static uint64_t bound_of(unsigned failures) {
    uint64_t bound = BACKOFF_NS_FIRST;
    for (unsigned i = 1; i < failures && bound < BACKOFF_NS_MAX; i++) bound *= 2;
    return bound < BACKOFF_NS_MAX ? bound : BACKOFF_NS_MAX;
}

TEST(waits_double_up_to_a_bound_and_spread_over_all_of_it) {
    struct random random = {.state = check_seed()};
    for (unsigned failures = 1; failures < 40; failures++) {
        uint64_t bound = bound_of(failures), least = UINT64_MAX, most = 0;
        for (int i = 0; i < 1000; i++) {
            uint64_t ns = backoff_ns(&random, failures);
            CHECK_GE(ns, BACKOFF_NS_MIN);
            CHECK_LE(ns, bound);
            if (ns < least) least = ns;
            if (ns > most) most = ns;
        }
        CHECK_LT(least, bound / 4);
        CHECK_GT(most, bound / 4 * 3);
    }
    CHECK_LE(backoff_ns(&random, UINT32_MAX), BACKOFF_NS_MAX);
}
