/* SPDX-License-Identifier: MIT
 *
 * The limiter in virtual time: what it makes of requests, who shares a counter with whom, what happens
 * when the table is full, and what a late call may not do. */
#include "limiter/limiter.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static const uint64_t start = 5000000000;

static struct limiter *limiter_for(uint64_t users_max) {
    struct limiter_options options = {.users_max = users_max, .secret = {1, 2, 3}};
    struct limiter        *l       = limiter_new(&options);
    CHECK_NE(l, NULL);
    return l;
}

static weir_request request_for(const char *user, uint64_t limit, int64_t window_ns,
                                uint64_t cost) {
    weir_request r = weir_request_for(user, strlen(user), limit, window_ns);
    r.cost         = cost;
    return r;
}

static weir_decision ask(struct limiter *l, const char *user, uint64_t limit, int64_t window_ns,
                         uint64_t cost, uint64_t now_ns) {
    weir_request  r = request_for(user, limit, window_ns, cost);
    weir_decision d;
    CHECK_EQ(limiter_decide(l, &r, now_ns, &d), WEIR_OK);
    CHECK_EQ(d.status, WEIR_OK);
    return d;
}

static bool allowed(struct limiter *l, const char *user, uint64_t limit, int64_t window_ns,
                    uint64_t cost, uint64_t now_ns) {
    return ask(l, user, limit, window_ns, cost, now_ns).allowed;
}

static weir_statistics stats_of(struct limiter *l) {
    weir_statistics s = {.size = sizeof s};
    limiter_stats(l, &s);
    return s;
}

/* Fills the table with users who stay until `now_ns + window_ns`; returns how many got a counter. */
static uint64_t fill(struct limiter *l, uint64_t users, int64_t window_ns, uint64_t now_ns) {
    uint64_t seated = 0;
    for (uint64_t i = 0; i < users; i++) {
        char name[32];
        snprintf(name, sizeof name, "filler %llu", (unsigned long long)i);
        seated += ask(l, name, 1, window_ns, 1, now_ns).how == WEIR_HOW_STRICT;
    }
    return seated;
}

/* ---- answers ---- */

TEST(a_decision_says_all_that_the_manual_promises) {
    struct limiter *l = limiter_for(100);
    weir_decision   d = ask(l, "ann", 3, WEIR_SECOND, 2, start);
    CHECK(d.allowed);
    CHECK_EQ(d.how, WEIR_HOW_STRICT);
    CHECK_EQ(d.remaining, 1);
    CHECK_EQ(d.retry_after_ns, 0);
    CHECK_EQ(d.reset_after_ns, WEIR_SECOND);

    d = ask(l, "ann", 3, WEIR_SECOND, 2, start + 100);
    CHECK(!d.allowed);
    CHECK_EQ(d.remaining, 1);
    CHECK_EQ(d.retry_after_ns, WEIR_SECOND - 100);
    CHECK_EQ(d.reset_after_ns, WEIR_SECOND - 100);

    d = ask(l, "ann", 3, WEIR_SECOND, 4, start + 100);
    CHECK(!d.allowed);
    CHECK_EQ(d.retry_after_ns, WEIR_NEVER);
    CHECK_EQ(d.remaining, 1);
    limiter_free(l);
}

TEST(a_cost_of_zero_only_looks) {
    struct limiter *l = limiter_for(100);
    weir_decision   d = ask(l, "ann", 1, WEIR_SECOND, 0, start);
    CHECK(d.allowed);
    CHECK_EQ(d.remaining, 1);
    CHECK_EQ(stats_of(l).users, 0);
    CHECK(allowed(l, "ann", 1, WEIR_SECOND, 1, start));
    d = ask(l, "ann", 1, WEIR_SECOND, 0, start + 1);
    CHECK(!d.allowed);
    CHECK_EQ(d.remaining, 0);
    CHECK_EQ(d.retry_after_ns, WEIR_SECOND - 1);
    CHECK(!ask(l, "zoe", 0, WEIR_SECOND, 0, start).allowed);
    limiter_free(l);
}

TEST(users_windows_and_algorithms_have_counters_of_their_own) {
    struct limiter *l = limiter_for(100);
    CHECK(allowed(l, "ann", 1, WEIR_SECOND, 1, start));
    CHECK(!allowed(l, "ann", 1, WEIR_SECOND, 1, start));
    CHECK(allowed(l, "bob", 1, WEIR_SECOND, 1, start));
    CHECK(allowed(l, "", 1, WEIR_SECOND, 1, start));
    CHECK(allowed(l, "ann", 1, WEIR_SECOND + 1, 1, start));
    for (uint32_t algorithm = WEIR_GCRA; algorithm <= WEIR_FIXED; algorithm++) {
        weir_request  r = request_for("ann", 1, WEIR_SECOND, 1);
        weir_decision d;
        r.algorithm = algorithm;
        CHECK_EQ(limiter_decide(l, &r, start, &d), WEIR_OK);
        CHECK(d.allowed);
        CHECK_EQ(d.how, algorithm + 1);
    }
    CHECK_EQ(stats_of(l).users, 6);
    limiter_free(l);
}

TEST(users_are_bytes) {
    struct limiter   *l     = limiter_for(100);
    static const char big[] = "a\0b\0\xff\xfe\x80";
    for (size_t bytes = 0; bytes <= sizeof big; bytes++) {
        weir_request  r = weir_request_for(big, bytes, 1, WEIR_SECOND);
        weir_decision d;
        CHECK_EQ(limiter_decide(l, &r, start, &d), WEIR_OK);
        CHECK(d.allowed);
        CHECK_EQ(limiter_decide(l, &r, start, &d), WEIR_OK);
        CHECK(!d.allowed);
    }
    limiter_free(l);
}

TEST(many_in_order_are_as_one_by_one) {
    struct limiter *one = limiter_for(1000), *many = limiter_for(1000);
    struct random   r      = {.state = check_seed()};
    uint64_t        now_ns = start;
    for (unsigned round = 0; round < 200; round++) {
        weir_request  requests[100];
        weir_decision decisions[100];
        char          names[100][16];
        size_t        count = random_below(&r, 101);
        now_ns += random_below(&r, WEIR_MILLISECOND);
        for (size_t i = 0; i < count; i++) {
            snprintf(names[i], sizeof names[i], "u%u", (unsigned)random_below(&r, 40));
            requests[i] =
                request_for(names[i], 1 + random_below(&r, 20), WEIR_SECOND, random_below(&r, 4));
            if (random_below(&r, 30) == 0) requests[i].limit = UINT64_MAX;
            requests[i].algorithm = (uint32_t)random_below(&r, 3);
        }
        weir_status first  = WEIR_OK;
        weir_status status = limiter_decide_many(many, requests, count, now_ns, decisions);
        for (size_t i = 0; i < count; i++) {
            weir_decision d;
            weir_status   single = limiter_decide(one, &requests[i], now_ns, &d);
            if (first == WEIR_OK) first = single;
            CHECK_MEM_EQ(&decisions[i], &d, sizeof d);
        }
        CHECK_EQ(status, first);
    }
    weir_statistics a = stats_of(one), b = stats_of(many);
    CHECK_MEM_EQ(&a, &b, sizeof a);
    limiter_free(one);
    limiter_free(many);
}

/* ---- all or nothing ---- */

TEST(all_or_nothing_takes_all_or_nothing) {
    struct limiter *l    = limiter_for(100);
    weir_request    r[2] = {request_for("ann", 3, WEIR_SECOND, 1),
                            request_for("ann", 2, WEIR_MINUTE, 1)};
    weir_decision   d[2];
    for (unsigned i = 0; i < 2; i++) {
        CHECK_EQ(limiter_decide_all(l, r, 2, start, d), WEIR_OK);
        CHECK(d[0].allowed && d[1].allowed);
        CHECK_EQ(d[0].remaining, 2 - i);
        CHECK_EQ(d[1].remaining, 1 - i);
    }
    CHECK_EQ(limiter_decide_all(l, r, 2, start, d), WEIR_OK);
    CHECK(d[0].allowed && !d[1].allowed);
    CHECK_EQ(d[0].remaining, 1);
    CHECK_EQ(d[1].retry_after_ns, WEIR_MINUTE);
    CHECK_EQ(ask(l, "ann", 3, WEIR_SECOND, 0, start).remaining, 1);
    limiter_free(l);
}

TEST(requests_for_one_counter_add_up) {
    struct limiter *l = limiter_for(100);
    weir_request    r[3];
    weir_decision   d[3];
    for (size_t i = 0; i < 3; i++) r[i] = request_for("ann", 5, WEIR_SECOND, 2);
    CHECK_EQ(limiter_decide_all(l, r, 3, start, d), WEIR_OK);
    CHECK(d[0].allowed && d[1].allowed && !d[2].allowed);
    CHECK_EQ(ask(l, "ann", 5, WEIR_SECOND, 0, start).remaining, 5);
    CHECK_EQ(limiter_decide_all(l, r, 2, start, d), WEIR_OK);
    CHECK(d[0].allowed && d[1].allowed);
    CHECK_EQ(ask(l, "ann", 5, WEIR_SECOND, 0, start).remaining, 1);
    limiter_free(l);
}

TEST(one_bad_request_spoils_all_and_counts_nothing) {
    struct limiter *l    = limiter_for(100);
    weir_request    r[3] = {request_for("ann", 5, WEIR_SECOND, 1), request_for("bob", 5, 0, 1),
                            request_for("cat", UINT64_MAX, WEIR_SECOND, 1)};
    weir_decision   d[3];
    CHECK_EQ(limiter_decide_all(l, r, 3, start, d), WEIR_BAD_WINDOW);
    CHECK_EQ(d[1].status, WEIR_BAD_WINDOW);
    CHECK_EQ(d[2].status, WEIR_BAD_LIMIT);
    for (size_t i = 0; i < 3; i++) CHECK(!d[i].allowed);
    CHECK_EQ(ask(l, "ann", 5, WEIR_SECOND, 0, start).remaining, 5);
    CHECK_EQ(stats_of(l).refused, 3);

    weir_request  many[WEIR_RULES_MAX + 1];
    weir_decision answers[WEIR_RULES_MAX + 1];
    for (size_t i = 0; i <= WEIR_RULES_MAX; i++) many[i] = request_for("ann", 100, WEIR_SECOND, 1);
    CHECK_EQ(limiter_decide_all(l, many, WEIR_RULES_MAX + 1, start, answers), WEIR_BAD_REQUEST);
    CHECK_EQ(limiter_decide_all(l, many, WEIR_RULES_MAX, start, answers), WEIR_OK);
    CHECK_EQ(ask(l, "ann", 100, WEIR_SECOND, 0, start).remaining, 100 - WEIR_RULES_MAX);
    CHECK_EQ(limiter_decide_all(l, many, 0, start, answers), WEIR_OK);
    limiter_free(l);
}

TEST(looking_in_company_takes_nothing) {
    struct limiter *l    = limiter_for(100);
    weir_request    r[2] = {request_for("ann", 5, WEIR_SECOND, 0),
                            request_for("bob", 5, WEIR_SECOND, 2)};
    weir_decision   d[2];
    CHECK_EQ(limiter_decide_all(l, r, 2, start, d), WEIR_OK);
    CHECK(d[0].allowed && d[1].allowed);
    CHECK_EQ(d[0].remaining, 5);
    CHECK_EQ(d[1].remaining, 3);
    limiter_free(l);
}

/* ---- forgetting ---- */

TEST(a_reset_gives_everything_back) {
    struct limiter *l = limiter_for(100);
    weir_request    r = request_for("ann", 3, WEIR_HOUR, 3);
    CHECK(allowed(l, "ann", 3, WEIR_HOUR, 3, start));
    CHECK(allowed(l, "ann", 3, WEIR_DAY, 3, start));
    CHECK_EQ(limiter_reset(l, &r, start), WEIR_OK);
    CHECK(!allowed(l, "ann", 3, WEIR_DAY, 1, start)); /* Another counter. */
    CHECK(allowed(l, "ann", 3, WEIR_HOUR, 3, start));
    weir_request stranger = request_for("nobody", 3, WEIR_HOUR, 3);
    CHECK_EQ(limiter_reset(l, &stranger, start), WEIR_OK);
    limiter_free(l);
}

TEST(a_full_table_never_forgets_who_is_live_and_stays_strict_for_the_rest) {
    struct limiter *l      = limiter_for(50);
    uint64_t        seated = fill(l, 50, WEIR_HOUR, start);
    CHECK_EQ(seated, 50);
    CHECK_EQ(stats_of(l).users, 50);

    uint64_t passed = 0, passed_by[100] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "late comer %u", i % 100);
        weir_decision d = ask(l, name, 3, WEIR_HOUR, 1, start + i);
        CHECK_EQ(d.how, WEIR_HOW_OVERFLOW);
        passed += d.allowed;
        passed_by[i % 100] += d.allowed;
        CHECK_LE(passed_by[i % 100], 3);
    }
    CHECK_GT(passed, 0);
    CHECK_LE(stats_of(l).users, 50);
    CHECK_EQ(stats_of(l).overflowed, 1000);
    for (unsigned i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "filler %u", i);
        weir_decision d = ask(l, name, 1, WEIR_HOUR, 1, start + WEIR_HOUR - 1);
        CHECK(!d.allowed);
        CHECK_EQ(d.how, WEIR_HOW_STRICT);
        CHECK_EQ(d.retry_after_ns, 1);
    }
    /* And when they can be forgotten, they are. */
    for (unsigned i = 0; i < 50; i++) {
        char name[32];
        snprintf(name, sizeof name, "new %u", i);
        CHECK(allowed(l, name, 1, WEIR_HOUR, 1, start + WEIR_HOUR * 3));
    }
    CHECK_GE(stats_of(l).users_forgotten, 1);
    CHECK_LE(stats_of(l).users, 50);
    limiter_free(l);
}

TEST(each_user_of_a_shared_counter_is_within_their_limit) {
    struct limiter *l = limiter_for(10);
    struct random   r = {.state = check_seed()};
    fill(l, 10, WEIR_YEAR, start);
    enum { USERS = 7, STEPS = 3000 };
    static uint64_t at[USERS][STEPS];
    size_t          count[USERS] = {0};
    uint64_t        now_ns       = start;
    for (unsigned i = 0; i < STEPS; i++) {
        now_ns += random_below(&r, WEIR_SECOND / 20);
        unsigned      user    = (unsigned)random_below(&r, USERS);
        uint64_t      limit   = 1 + user * 5;
        char          name[2] = {(char)('a' + user), 0};
        weir_decision d       = ask(l, name, limit, WEIR_SECOND, 1, now_ns);
        CHECK_EQ(d.how, WEIR_HOW_OVERFLOW);
        if (!d.allowed) continue;
        at[user][count[user]++] = now_ns;
        size_t live             = 0;
        for (size_t k = 0; k < count[user]; k++)
            live += at[user][k] + (uint64_t)WEIR_SECOND > now_ns;
        CHECK_LE(live, limit);
    }
    limiter_free(l);
}

/* A user takes permits on the shared counter, gets a seat when somebody leaves, and must not find that
 * what they took is forgotten: not even when they come for their seat with a smaller limit. */
TEST(who_gets_a_seat_brings_along_what_they_took_before) {
    for (uint64_t seat_limit = 1; seat_limit <= 20; seat_limit++) {
        struct limiter *l = limiter_for(1);
        CHECK(allowed(l, "owner", 1, WEIR_SECOND, 1, start));
        weir_decision d = ask(l, "ann", 10, WEIR_HOUR, 10, start + 1);
        CHECK_EQ(d.how, WEIR_HOW_OVERFLOW);
        CHECK(d.allowed);
        uint64_t now_ns = start + 2 * WEIR_SECOND; /* The owner can be forgotten. */
        uint64_t taken  = 10;
        taken += allowed(l, "ann", seat_limit, WEIR_HOUR, 1, now_ns);
        CHECK_LE(taken, seat_limit > 10 ? seat_limit : 10);
        for (unsigned i = 0; i < 20; i++) {
            if (!allowed(l, "ann", 10, WEIR_HOUR, 1, now_ns + i)) continue;
            taken++;
            CHECK_SAYS(taken <= 10, "limit 10, seat taken with limit %u: %u passed",
                       (unsigned)seat_limit, (unsigned)taken);
        }
        limiter_free(l);
    }
}

TEST(memory_is_bounded_when_users_come_and_go_for_ever) {
    enum { USERS_MAX = 2000 };
    struct limiter *l      = limiter_for(USERS_MAX);
    uint64_t        now_ns = start, most_bytes = 0, overflowed = 0;
    uint64_t        users = check_effort(2000000);
    for (uint64_t i = 0; i < users; i++) {
        char name[32];
        snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        now_ns += 1000; /* 1000 users a millisecond, windows of 1 ms: half the table is live */
        weir_decision d = ask(l, name, 5, WEIR_MILLISECOND, 5, now_ns);
        CHECK(d.allowed || d.how == WEIR_HOW_OVERFLOW);
        overflowed += d.how == WEIR_HOW_OVERFLOW;
        if (i % 1000 == 0) {
            weir_statistics s = stats_of(l);
            CHECK_LE(s.users, USERS_MAX);
            if (s.memory_bytes > most_bytes) most_bytes = s.memory_bytes;
        }
    }
    printf("%llu users through %d seats: %llu overflowed, %llu forgotten, at most %llu bytes\n",
           (unsigned long long)users, USERS_MAX, (unsigned long long)overflowed,
           (unsigned long long)stats_of(l).users_forgotten, (unsigned long long)most_bytes);
    CHECK_LE(overflowed, users / 100);
    limiter_free(l);
}

/* Time stands still, so nobody expires: when all came in, each must have exactly what they took. */
TEST(growth_loses_nobody) {
    uint64_t        users = check_effort(300000);
    struct limiter *l     = limiter_for(users + users / 10 + 100);
    for (uint64_t i = 0; i < users; i++) {
        char name[32];
        snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        CHECK(allowed(l, name, 100, WEIR_HOUR, 1 + i % 100, start));
        if (i % 3 == 0) { /* someone who came earlier, while the table grows */
            uint64_t earlier = (i * 7919) % (i + 1);
            snprintf(name, sizeof name, "%llu", (unsigned long long)earlier);
            weir_decision d = ask(l, name, 100, WEIR_HOUR, 0, start);
            CHECK_EQ(d.remaining, 100 - (1 + earlier % 100));
        }
    }
    CHECK_EQ(stats_of(l).users, users);
    for (uint64_t i = 0; i < users; i++) {
        char name[32];
        snprintf(name, sizeof name, "%llu", (unsigned long long)i);
        weir_decision d = ask(l, name, 100, WEIR_HOUR, 0, start);
        CHECK_EQ(d.remaining, 100 - (1 + i % 100));
    }
    printf("%.1f bytes a user at %llu users\n", (double)stats_of(l).memory_bytes / (double)users,
           (unsigned long long)users);
    limiter_free(l);
}

/* ---- late calls ---- */

/* A call read the clock at 10, lost its processor, and comes in when its user has been forgotten. It
 * cannot count at 10, where the user had used all up, so it must count when they were forgotten or
 * later. */
static struct limiter *forget_ann(uint64_t forgot_ns) {
    struct limiter *l = limiter_for(1);
    CHECK(allowed(l, "ann", 5, WEIR_SECOND, 5, forgot_ns - (uint64_t)WEIR_SECOND));
    CHECK(allowed(l, "bob", 1, WEIR_SECOND, 1, forgot_ns)); /* Takes ann's seat, */
    weir_request r = request_for("bob", 1, WEIR_SECOND, 1);
    CHECK_EQ(limiter_reset(l, &r, forgot_ns), WEIR_OK); /* and would give it back to anybody. */
    CHECK_EQ(stats_of(l).users_forgotten, 1);
    return l;
}

static void check_late_and_again(struct limiter *l, uint64_t late_ns, uint64_t again_ns) {
    uint64_t late = 0, again = 0;
    for (unsigned i = 0; i < 5; i++) late += allowed(l, "ann", 5, WEIR_SECOND, 1, late_ns);
    for (unsigned i = 0; i < 5; i++) again += allowed(l, "ann", 5, WEIR_SECOND, 1, again_ns);
    CHECK_SAYS(late + again <= 5, "%u late and %u right after them, limit 5", (unsigned)late,
               (unsigned)again);
    limiter_free(l);
}

TEST(a_late_call_cannot_use_what_was_forgotten_since) {
    uint64_t forgot_ns = start + (uint64_t)WEIR_SECOND;
    check_late_and_again(forget_ann(forgot_ns), start + 10, forgot_ns + 10);
}

TEST(a_late_call_cannot_use_a_seat_that_was_brought_in_empty) {
    uint64_t        forgot_ns = start + (uint64_t)WEIR_SECOND;
    struct limiter *l         = forget_ann(forgot_ns);
    /* Ann gets a seat in a joint decision that is then denied. */
    weir_request  r[2] = {request_for("ann", 5, WEIR_SECOND, 1),
                          request_for("ann", 5, WEIR_SECOND, 5)};
    weir_decision d[2];
    CHECK_EQ(limiter_decide_all(l, r, 2, forgot_ns + 5, d), WEIR_OK);
    CHECK(!(d[0].allowed && d[1].allowed));
    check_late_and_again(l, start + 10, forgot_ns + 10);
}

TEST(a_late_joint_call_cannot_use_what_was_forgotten_since) {
    uint64_t        forgot_ns = start + (uint64_t)WEIR_SECOND;
    struct limiter *l         = forget_ann(forgot_ns);
    weir_request    r         = request_for("ann", 5, WEIR_SECOND, 3);
    weir_decision   d;
    CHECK_EQ(limiter_decide_all(l, &r, 1, start + 10, &d), WEIR_OK);
    uint64_t taken = d.allowed ? 3 : 0;
    for (unsigned i = 0; i < 5; i++) taken += allowed(l, "ann", 5, WEIR_SECOND, 1, forgot_ns + 10);
    CHECK_LE(taken, 5);
    limiter_free(l);
}

TEST(too_many_joint_requests_are_refused_one_by_one) {
    struct limiter *l = limiter_for(10);
    weir_request    r[WEIR_RULES_MAX + 1];
    weir_decision   d[WEIR_RULES_MAX + 1];
    memset(d, 0xff, sizeof d);
    for (size_t i = 0; i <= WEIR_RULES_MAX; i++) r[i] = request_for("ann", 5, WEIR_SECOND, 1);
    CHECK_EQ(limiter_decide_all(l, r, WEIR_RULES_MAX + 1, start, d), WEIR_BAD_REQUEST);
    for (size_t i = 0; i <= WEIR_RULES_MAX; i++) {
        CHECK_EQ(d[i].status, WEIR_BAD_REQUEST);
        CHECK(!d[i].allowed);
    }
    CHECK_EQ(stats_of(l).refused, WEIR_RULES_MAX + 1);
    limiter_free(l);
}

TEST(a_late_call_counts_at_the_newest_admission) {
    struct limiter *l = limiter_for(10);
    CHECK(allowed(l, "ann", 2, WEIR_SECOND, 1, start + WEIR_SECOND / 2));
    CHECK(allowed(l, "ann", 2, WEIR_SECOND, 1, start));
    CHECK(!allowed(l, "ann", 2, WEIR_SECOND, 1, start + WEIR_SECOND));
    CHECK(allowed(l, "ann", 2, WEIR_SECOND, 2, start + WEIR_SECOND / 2 + WEIR_SECOND));
    limiter_free(l);
}

/* ---- what a request may be ---- */

TEST(rules_are_checked_field_by_field) {
    struct rule  rule;
    weir_request r = request_for("ann", 1, WEIR_SECOND, 1);
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_OK);
    CHECK_EQ(rule.window_ns, WEIR_SECOND);

    r.limit = WEIR_LIMIT_MAX + 1;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_LIMIT);
    r = request_for("ann", WEIR_LIMIT_MAX, WEIR_WINDOW_MAX, UINT64_MAX);
    CHECK_EQ(limiter_rule_of(&r, 100000, &rule), WEIR_OK);
    CHECK_EQ(rule.window_ns, LIMIT_WINDOW_MAX);
    static const int64_t bad_windows[] = {0, -1, 999, WEIR_WINDOW_MAX + 1, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof bad_windows / sizeof *bad_windows; i++) {
        r = request_for("ann", 1, bad_windows[i], 1);
        CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_WINDOW);
    }
    r           = request_for("ann", 1, 1, 1);
    r.algorithm = WEIR_GCRA;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_OK);
    CHECK_EQ(rule.burst, 1);
    r.window_ns = 0;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_WINDOW);
    r.window_ns = WEIR_WINDOW_MAX;
    r.burst     = 11; /* 110 years */
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_OK);
    r.burst = 15;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_BURST);
    r.burst = WEIR_LIMIT_MAX + 1;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_BURST);

    r       = request_for("ann", 1, WEIR_SECOND, 1);
    r.burst = 1;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_BURST);
    r           = request_for("ann", 1, WEIR_SECOND, 1);
    r.algorithm = 3;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_ALGORITHM);
    r.algorithm = UINT32_MAX;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_ALGORITHM);
}

TEST(reserved_fields_must_be_zero) {
    struct rule rule;
    for (unsigned field = 0; field < 22; field++) {
        weir_request r = request_for("ann", 1, WEIR_SECOND, 1);
        if (field < 16) r.request_id[field] = 1;
        if (field == 16) r.flags = 1;
        if (field == 17) r.reserved_word = 1;
        if (field == 18) r.reserved = UINT64_MAX;
        if (field == 19) r.deadline_ns = -1;
        if (field == 20) r.flags = UINT32_C(1) << 31;
        if (field == 21) r.policy = WEIR_POLICY_LOCAL + 1;
        CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_BAD_REQUEST);
    }
    weir_request r = request_for("ann", 1, WEIR_SECOND, 1);
    r.deadline_ns  = INT64_MAX;
    r.policy       = WEIR_POLICY_LOCAL;
    CHECK_EQ(limiter_rule_of(&r, 0, &rule), WEIR_OK);
}

TEST(windows_are_lengthened_by_the_clock_error_rounded_up) {
    struct rule  rule;
    weir_request r = request_for("ann", 1, WEIR_MICROSECOND, 1);
    CHECK_EQ(limiter_rule_of(&r, 1, &rule), WEIR_OK);
    CHECK_EQ(rule.window_ns, 1001);
    r.window_ns = WEIR_SECOND;
    CHECK_EQ(limiter_rule_of(&r, 1000, &rule), WEIR_OK);
    CHECK_EQ(rule.window_ns, 1001 * WEIR_MILLISECOND);
}

TEST(extremes_are_answered) {
    struct limiter *l = limiter_for(10);
    weir_decision d = ask(l, "max", WEIR_LIMIT_MAX, WEIR_WINDOW_MAX, WEIR_LIMIT_MAX, LIMIT_NOW_MAX);
    CHECK(d.allowed);
    CHECK_EQ(d.reset_after_ns, WEIR_WINDOW_MAX);
    d = ask(l, "max", WEIR_LIMIT_MAX, WEIR_WINDOW_MAX, 1, LIMIT_NOW_MAX);
    CHECK(!d.allowed);
    CHECK_EQ(d.retry_after_ns, WEIR_WINDOW_MAX);
    d = ask(l, "max", WEIR_LIMIT_MAX, WEIR_WINDOW_MAX, UINT64_MAX, LIMIT_NOW_MAX);
    CHECK_EQ(d.retry_after_ns, WEIR_NEVER);
    d = ask(l, "zero", 0, WEIR_SECOND, 1, 0);
    CHECK(!d.allowed);
    CHECK_EQ(d.retry_after_ns, WEIR_NEVER);
    CHECK(!limiter_allow(l, "zero", 4, 0, WEIR_SECOND, 0));
    CHECK(!limiter_allow(l, "zero", 4, UINT64_MAX, WEIR_SECOND, 0));
    CHECK(!limiter_allow(l, "zero", 4, 1, INT64_MIN, 0));
    CHECK(!limiter_allow(l, NULL, 4, 1, WEIR_SECOND, 0));
    CHECK(!limiter_allow(l, "zero", WEIR_USER_BYTES_MAX + 1, 1, WEIR_SECOND, 0));
    CHECK_EQ(stats_of(l).refused, 4);
    CHECK_EQ(stats_of(l).users, 1);
    limiter_free(l);
}

TEST(a_table_too_large_to_have_is_refused) {
    struct limiter_options options = {.users_max = UINT64_MAX};
    CHECK_EQ(limiter_new(&options), NULL);
    limiter_free(NULL);
}
