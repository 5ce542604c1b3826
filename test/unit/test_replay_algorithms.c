/* SPDX-License-Identifier: MIT
 *
 * The reference algorithms against brute force and against their known worst cases. */
#include "support/check.h"

#include "cmd/replay_algorithms.h"

#include "base/random.h"
#include "limit/window.h"

#define SECOND_NS UINT64_C(1000000000)

static struct replay_requests requests;

static void begin(void) { replay_requests_init(&requests, 1000000); }

static void ask(uint64_t time_ns, uint64_t cost) {
    CHECK_EQ(replay_requests_add(&requests, time_ns, view_of("ann"), cost), REPLAY_ADDED);
}

static struct replay_stream ann(void) {
    CHECK(replay_requests_seal(&requests, false));
    return replay_stream_of(&requests, 0);
}

static void end(void) { replay_requests_clear(&requests); }

/* An exact log as one would explain it: count what was admitted in the last window, anew each time. */
static bool naive_admits(const bool *admitted, size_t i, struct replay_rule rule) {
    uint64_t used = replay_cost(&requests, &requests.request[i]);
    if (used == 0) return true;
    for (size_t j = 0; j < i; j++) {
        uint64_t age = requests.request[i].time_ns - requests.request[j].time_ns;
        if (admitted[j] && age < rule.window_ns)
            used += replay_cost(&requests, &requests.request[j]);
    }
    return used <= rule.limit;
}

/* The fullest window, by trying each that ends at a request. */
static uint64_t naive_worst(size_t count, uint64_t window_ns, uint32_t mask) {
    uint64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t used = 0;
        for (size_t j = 0; j <= i; j++) {
            const struct replay_request *one = &requests.request[j];
            if ((one->verdicts & mask) != mask) continue;
            if (requests.request[i].time_ns - one->time_ns < window_ns) {
                used += replay_cost(&requests, one);
            }
        }
        if (used > most) most = used;
    }
    return most;
}

static void random_log(struct random *r, struct replay_rule *rule, bool has_costs) {
    rule->limit     = random_below(r, 12);
    rule->window_ns = random_between(r, 1, 50);
    size_t   count  = random_between(r, 1, 120);
    uint64_t now    = random_below(r, 1000);
    begin();
    for (size_t i = 0; i < count; i++) {
        now += random_below(r, 3) == 0 ? random_below(r, rule->window_ns + 2) : random_below(r, 3);
        ask(now, has_costs ? random_below(r, 5) : 1);
    }
}

TEST(the_exact_log_and_the_worst_window_agree_with_brute_force) {
    struct random r = {check_seed()};
    for (uint64_t round = 0; round < check_effort(3000); round++) {
        struct replay_rule rule;
        random_log(&r, &rule, round % 2 == 0);
        struct replay_stream s      = ann();
        size_t               denied = replay_exact(&s, rule, REPLAY_EXACT);
        bool                 admitted[128];
        size_t               naive_denied = 0;
        for (size_t i = 0; i < s.count; i++) {
            admitted[i] = naive_admits(admitted, i, rule);
            naive_denied += !admitted[i];
            CHECK_EQ(replay_is_admitted(replay_stream_at(&s, i), REPLAY_EXACT), admitted[i]);
        }
        CHECK_EQ(denied, naive_denied);
        CHECK_EQ(replay_worst_admitted(&s, rule.window_ns, REPLAY_EXACT).permits,
                 naive_worst(s.count, rule.window_ns, 1u << REPLAY_EXACT));
        CHECK_EQ(replay_worst_offered(&s, rule.window_ns).permits,
                 naive_worst(s.count, rule.window_ns, 0));
        CHECK_LE(replay_worst_admitted(&s, rule.window_ns, REPLAY_EXACT).permits, rule.limit);
        end();
    }
}

/* Theorem 2 of the window for a whole log: with costs of 1, weir admits no fewer than an exact log
 * that is stricter by one time cell and one quantum, and no more than the exact log. */
TEST(the_window_admits_between_two_exact_logs) {
    struct random r = {check_seed()};
    for (uint64_t round = 0; round < check_effort(300); round++) {
        struct replay_rule rule = {random_between(&r, 1, 1000),
                                   random_between(&r, 1000, 1000000000)};
        begin();
        uint64_t now = 0;
        for (size_t i = 0; i < 3000; i++) {
            now += random_below(&r, 2 * rule.window_ns / rule.limit + 1);
            ask(now, 1);
        }
        struct replay_stream s        = ann();
        struct window_grid   grid     = window_grid_for(rule.limit, rule.window_ns);
        struct replay_rule   stricter = {rule.limit - (grid.quantum - 1),
                                         rule.window_ns + grid.cell_ns};
        size_t               denied   = replay_window(&s, rule, REPLAY_STRICT);
        CHECK_GE(denied, replay_exact(&s, rule, REPLAY_EXACT));
        CHECK_LE(denied, replay_exact(&s, stricter, REPLAY_TRIAL));
        CHECK_LE(replay_worst_admitted(&s, rule.window_ns, REPLAY_STRICT).permits, rule.limit);
        end();
    }
}

TEST(a_fixed_window_admits_twice_its_limit_around_an_edge) {
    struct replay_rule rule = {100, 60 * SECOND_NS};
    begin();
    for (int i = 0; i < 150; i++) ask(119 * SECOND_NS, 1);
    for (int i = 0; i < 150; i++) ask(120 * SECOND_NS, 1);
    struct replay_stream s = ann();
    CHECK_EQ(replay_fixed(&s, rule, REPLAY_FIXED), 100);
    struct replay_worst worst = replay_worst_admitted(&s, rule.window_ns, REPLAY_FIXED);
    CHECK_EQ(worst.permits, 200);
    CHECK_EQ(worst.end_ns, 120 * SECOND_NS);
    end();
}

TEST(gcra_admits_its_burst_and_a_limit_less_one_in_one_window) {
    struct replay_rule rule = {100, 60 * SECOND_NS};
    begin();
    for (uint64_t i = 0; i < 60000; i++) {
        ask(10 * SECOND_NS + i * 1000000, 1);
        if (i == 0) {
            for (int n = 0; n < 99; n++) ask(10 * SECOND_NS, 1);
        }
    }
    struct replay_stream s = ann();
    replay_gcra(&s, rule, REPLAY_GCRA);
    CHECK_EQ(replay_worst_admitted(&s, rule.window_ns, REPLAY_GCRA).permits, 199);
    end();
}

TEST(gcra_gives_a_permit_back_exactly_when_its_time_has_come) {
    /* 3 in 10 ns: a permit comes back after 3 1/3 ns. */
    struct replay_rule rule = {3, 10};
    begin();
    for (int i = 0; i < 4; i++) ask(1000, 1);
    ask(1003, 1);
    ask(1004, 1);
    ask(1006, 1);
    ask(1007, 1);
    ask(1009, 1);
    ask(1010, 1);
    struct replay_stream s       = ann();
    static const bool expected[] = {true, true, true, false, false, true, false, true, false, true};
    replay_gcra(&s, rule, REPLAY_GCRA);
    for (size_t i = 0; i < s.count; i++) {
        CHECK_EQ(replay_is_admitted(replay_stream_at(&s, i), REPLAY_GCRA), expected[i]);
    }
    end();
}

TEST(a_two_counter_estimate_admits_nearly_twice_its_limit) {
    /* The whole limit at the end of one window is taken to have been even over it, and has nearly
     * faded at the end of the next, while it is still in the last window. */
    struct replay_rule rule = {100, 60 * SECOND_NS};
    begin();
    for (int i = 0; i < 100; i++) ask(120 * SECOND_NS - 1, 1);
    for (uint64_t i = 0; i < 60000; i++) ask(120 * SECOND_NS + i * 1000000 - 2, 1);
    struct replay_stream s = ann();
    replay_two_counter(&s, rule, REPLAY_TWO_COUNTER);
    uint64_t most = replay_worst_admitted(&s, rule.window_ns, REPLAY_TWO_COUNTER).permits;
    CHECK_GE(most, 190);
    CHECK_LE(most, 199);
    end();
}

TEST(a_two_counter_estimate_forgets_all_but_the_window_before) {
    struct replay_rule rule = {10, 60 * SECOND_NS};
    begin();
    for (int i = 0; i < 10; i++) ask(60 * SECOND_NS, 1);
    for (int i = 0; i < 10; i++) ask(180 * SECOND_NS, 1);
    struct replay_stream s = ann();
    CHECK_EQ(replay_two_counter(&s, rule, REPLAY_TWO_COUNTER), 0);
    end();
}

TEST(a_two_counter_estimate_denies_where_an_exact_log_would_not) {
    struct replay_rule rule = {10, 60 * SECOND_NS};
    begin();
    for (int i = 0; i < 10; i++) ask(60 * SECOND_NS, 1); /* at the very beginning of a window */
    ask(120 * SECOND_NS, 1);                             /* all have left, and weigh fully */
    struct replay_stream s = ann();
    CHECK_EQ(replay_exact(&s, rule, REPLAY_EXACT), 0);
    CHECK_EQ(replay_two_counter(&s, rule, REPLAY_TWO_COUNTER), 1);
    end();
}

TEST(costs_beyond_any_limit_are_denied_by_all_and_nothing_overflows) {
    static const uint64_t costs[] = {
        UINT64_MAX, UINT64_MAX - 1, UINT64_C(1) << 40, (UINT64_C(1) << 40) + 1, 0, 1};
    struct replay_rule rule = {UINT64_C(1) << 40, UINT64_C(315360000) * SECOND_NS};
    begin();
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        ask((UINT64_C(1) << 62) - 100 + i, costs[i]);
    }
    struct replay_stream s                        = ann();
    static const bool    expected[]               = {false, false, true, false, true, false};
    size_t (*const decide[])(const struct replay_stream *, struct replay_rule,
                             enum replay_verdict) = {replay_exact, replay_fixed, replay_gcra,
                                                     replay_two_counter, replay_window};
    for (size_t a = 0; a < sizeof decide / sizeof *decide; a++) {
        decide[a](&s, rule, REPLAY_TRIAL);
        for (size_t i = 0; i < s.count; i++) {
            /* In 2 ns a bucket of 2^40 in ten years has nothing back either. */
            CHECK_SAYS(replay_is_admitted(replay_stream_at(&s, i), REPLAY_TRIAL) == expected[i],
                       "algorithm %zu, request %zu", a, i);
        }
    }
    CHECK_EQ(replay_worst_offered(&s, rule.window_ns).permits, UINT64_MAX);
    end();
}

TEST(a_limit_of_zero_denies_all_that_costs) {
    struct replay_rule rule = {0, SECOND_NS};
    begin();
    ask(1, 1);
    ask(2, 0);
    struct replay_stream s = ann();
    CHECK_EQ(replay_exact(&s, rule, REPLAY_EXACT), 1);
    CHECK_EQ(replay_fixed(&s, rule, REPLAY_FIXED), 1);
    CHECK_EQ(replay_gcra(&s, rule, REPLAY_GCRA), 1);
    CHECK_EQ(replay_two_counter(&s, rule, REPLAY_TWO_COUNTER), 1);
    CHECK_EQ(replay_window(&s, rule, REPLAY_STRICT), 1);
    end();
}
