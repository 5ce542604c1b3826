/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include "cmd/replay_requests.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

#define SECOND_NS UINT64_C(1000000000)

static struct replay_requests r;

TEST(requests_are_put_in_order_and_those_of_one_instant_keep_theirs) {
    struct random random = {check_seed()};
    for (uint64_t round = 0; round < check_effort(200); round++) {
        size_t   count     = random_between(&random, 1, 2000);
        uint64_t scale     = UINT64_C(1) << random_below(&random, 60);
        bool     is_coarse = random_below(&random, 2) == 0;
        replay_requests_init(&r, count);
        for (size_t i = 0; i < count; i++) {
            uint64_t time_ns = random_below(&random, scale);
            if (is_coarse) time_ns = time_ns % 1000 * SECOND_NS;
            /* The cost tells the order in which they came. */
            CHECK_EQ(replay_requests_add(&r, time_ns, view_of("u"), i), REPLAY_ADDED);
        }
        CHECK(replay_requests_seal(&r, false));
        for (size_t i = 1; i < count; i++) {
            CHECK_LE(r.request[i - 1].time_ns, r.request[i].time_ns);
            if (r.request[i - 1].time_ns == r.request[i].time_ns) {
                CHECK_LT(replay_cost(&r, &r.request[i - 1]), replay_cost(&r, &r.request[i]));
            }
        }
        replay_requests_clear(&r);
    }
}

TEST(every_request_belongs_to_its_user) {
    enum { COUNT = 20000, USERS = 3000 };
    struct random   random = {check_seed()};
    static uint32_t asked[USERS];
    memset(asked, 0, sizeof asked);
    replay_requests_init(&r, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t    user = random_below(&random, USERS);
        char        name[32];
        int         bytes = snprintf(name, sizeof name, "%llu", (unsigned long long)user);
        struct view view  = {name, (size_t)bytes};
        CHECK_EQ(replay_requests_add(&r, random_below(&random, 1000000), view, user), REPLAY_ADDED);
        asked[user]++;
    }
    CHECK(replay_requests_seal(&r, false));
    size_t seen = 0;
    for (uint32_t u = 0; u < r.users.count; u++) {
        char        text[32] = {0};
        struct view name     = replay_user_name(&r, u);
        memcpy(text, name.data, name.bytes);
        uint64_t user = strtoull(text, NULL, 10);
        CHECK_EQ(r.first[u + 1] - r.first[u], asked[user]);
        for (uint32_t i = r.first[u]; i < r.first[u + 1]; i++) {
            CHECK_EQ(r.request[r.place[i]].user, u);
            CHECK_EQ(replay_cost(&r, &r.request[r.place[i]]), user);
            if (i > r.first[u]) CHECK_LT(r.place[i - 1], r.place[i]);
            seen++;
        }
    }
    CHECK_EQ(seen, COUNT);
    replay_requests_clear(&r);
}

TEST(users_are_bytes_and_the_empty_one_is_one) {
    static const struct view names[] = {{"", 0}, {"a", 1}, {"a\0", 2}, {"a\0b", 3}, {"\xff", 1}};
    replay_requests_init(&r, 100);
    for (size_t i = 0; i < 10; i++) {
        CHECK_EQ(replay_requests_add(&r, i, names[i % 5], 1), REPLAY_ADDED);
    }
    CHECK_EQ(r.users.count, 5);
    for (uint32_t u = 0; u < 5; u++) CHECK(view_equals(replay_user_name(&r, u), names[u]));
    replay_requests_clear(&r);
}

TEST(late_requests_are_counted_within_their_file) {
    replay_requests_init(&r, 100);
    static const uint64_t first[] = {10, 12, 11, 12, 5};
    for (size_t i = 0; i < 5; i++) replay_requests_add(&r, first[i], view_of("u"), 1);
    replay_requests_begin_file(&r);
    replay_requests_add(&r, 1, view_of("u"), 1);
    CHECK_EQ(r.late_count, 2);
    CHECK_EQ(r.late_ns_max, 7);
    replay_requests_clear(&r);
}

TEST(spread_puts_the_requests_of_a_second_evenly_into_it) {
    replay_requests_init(&r, 100);
    for (int i = 0; i < 4; i++) replay_requests_add(&r, 7 * SECOND_NS, view_of("u"), 1);
    replay_requests_add(&r, 8 * SECOND_NS, view_of("u"), 1);
    CHECK(replay_requests_seal(&r, true));
    for (uint64_t i = 0; i < 4; i++) {
        CHECK_EQ(r.request[i].time_ns, 7 * SECOND_NS + i * SECOND_NS / 4);
    }
    CHECK_EQ(r.request[4].time_ns, 8 * SECOND_NS);
    replay_requests_clear(&r);
}

TEST(spread_leaves_fractions_alone) {
    replay_requests_init(&r, 100);
    replay_requests_add(&r, 7 * SECOND_NS, view_of("u"), 1);
    replay_requests_add(&r, 7 * SECOND_NS, view_of("u"), 1);
    replay_requests_add(&r, 7 * SECOND_NS + 1, view_of("u"), 1);
    CHECK(replay_requests_seal(&r, true));
    CHECK_EQ(r.request[1].time_ns, 7 * SECOND_NS);
    replay_requests_clear(&r);
}

TEST(more_requests_than_allowed_are_refused) {
    replay_requests_init(&r, 2);
    CHECK_EQ(replay_requests_add(&r, 1, view_of("u"), 1), REPLAY_ADDED);
    CHECK_EQ(replay_requests_add(&r, 1, view_of("u"), 1), REPLAY_ADDED);
    CHECK_EQ(replay_requests_add(&r, 1, view_of("u"), 1), REPLAY_FULL);
    replay_requests_clear(&r);
}

TEST(costs_of_any_size_come_back) {
    static const uint64_t costs[] = {
        0, 1, REPLAY_COST_INLINE - 1, REPLAY_COST_INLINE, REPLAY_COST_INLINE + 1, UINT64_MAX};
    replay_requests_init(&r, 100);
    for (size_t i = 0; i < 6; i++) replay_requests_add(&r, 10 - i, view_of("u"), costs[i]);
    CHECK(replay_requests_seal(&r, false));
    for (size_t i = 0; i < 6; i++) CHECK_EQ(replay_cost(&r, &r.request[5 - i]), costs[i]);
    replay_requests_clear(&r);
}

TEST(verdicts_do_not_disturb_one_another_or_the_cost) {
    replay_requests_init(&r, 1);
    replay_requests_add(&r, 1, view_of("u"), REPLAY_COST_INLINE - 1);
    struct replay_request *one = &r.request[0];
    for (int a = 0; a < REPLAY_VERDICTS; a++) {
        replay_set_verdict(one, (enum replay_verdict)a, true);
        for (int b = 0; b < REPLAY_VERDICTS; b++) {
            CHECK_EQ(replay_is_admitted(one, (enum replay_verdict)b), b <= a);
        }
    }
    replay_set_verdict(one, REPLAY_EXACT, false);
    CHECK(!replay_is_admitted(one, REPLAY_EXACT));
    CHECK(replay_is_admitted(one, REPLAY_TRIAL));
    CHECK_EQ(replay_cost(&r, one), REPLAY_COST_INLINE - 1);
    replay_requests_clear(&r);
}
