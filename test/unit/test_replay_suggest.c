/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include "cmd/replay_suggest.h"

#include <stdio.h>

#include "base/random.h"
#include "cmd/replay_algorithms.h"

static struct replay_requests r;

struct denials {
    uint64_t requests, users;
};

static struct denials denials_with(uint64_t limit, uint64_t window_ns) {
    struct denials sum = {0};
    for (uint32_t u = 0; u < r.users.count; u++) {
        struct replay_stream s      = replay_stream_of(&r, u);
        struct replay_rule   rule   = {limit, window_ns};
        size_t               denied = replay_exact(&s, rule, REPLAY_EXACT);
        sum.requests += denied;
        sum.users += denied > 0;
    }
    return sum;
}

TEST(each_suggested_limit_is_the_smallest_that_meets_its_share) {
    struct random random = {check_seed()};
    for (uint64_t round = 0; round < check_effort(60); round++) {
        uint64_t window_ns = random_between(&random, 1, 1000);
        size_t   count     = random_between(&random, 1, 3000);
        uint64_t users     = random_between(&random, 1, 300);
        uint64_t now       = 0;
        replay_requests_init(&r, count);
        for (size_t i = 0; i < count; i++) {
            char name[32];
            int  bytes = snprintf(
                 name, sizeof name, "%llu",
                 (unsigned long long)random_below(&random, 1 + random_below(&random, users)));
            now += random_below(&random, 4);
            replay_requests_add(&r, now, (struct view){name, (size_t)bytes}, 1);
        }
        CHECK(replay_requests_seal(&r, false));

        struct replay_suggestions s;
        CHECK(replay_suggest(&r, window_ns, &s));
        for (int of = 0; of < REPLAY_SHARES_OF; of++) {
            uint64_t whole = of == REPLAY_SHARE_OF_USERS ? r.users.count : r.count;
            for (int i = 0; i < REPLAY_SUGGESTIONS; i++) {
                const struct replay_suggestion *one  = &s.suggestion[of][i];
                uint64_t                        may  = whole * replay_suggest_permille[i] / 1000;
                struct denials                  here = denials_with(one->limit, window_ns);
                CHECK_EQ(one->requests_denied, here.requests);
                CHECK_EQ(one->users_denied, here.users);
                CHECK_LE(of == REPLAY_SHARE_OF_USERS ? here.users : here.requests, may);
                CHECK_GE(one->window_denied, here.requests);
                if (one->limit == 0) continue;
                struct denials below = denials_with(one->limit - 1, window_ns);
                CHECK_GT(of == REPLAY_SHARE_OF_USERS ? below.users : below.requests, may);
            }
        }
        CHECK_EQ(denials_with(s.peak, window_ns).requests, 0);
        replay_requests_clear(&r);
    }
}

TEST(costs_are_counted_in_suggestions) {
    replay_requests_init(&r, 10);
    replay_requests_add(&r, 1, view_of("a"), 700);
    replay_requests_add(&r, 2, view_of("a"), 300);
    replay_requests_add(&r, 3, view_of("b"), 5);
    CHECK(replay_requests_seal(&r, false));
    struct replay_suggestions s;
    CHECK(replay_suggest(&r, 10, &s));
    CHECK_EQ(s.peak, 1000);
    CHECK_EQ(s.suggestion[REPLAY_SHARE_OF_REQUESTS][0].limit, 1000);
    CHECK_EQ(s.suggestion[REPLAY_SHARE_OF_USERS][2].limit, 1000);
    replay_requests_clear(&r);
}
