/* SPDX-License-Identifier: MIT
 *
 * The simulator's judges, with evidence made by hand: each crime beside its innocent twin. */
#include "sim/verdict.h"
#include "sim/world.h"
#include "support/check.h"

static const struct scenario usual = {.limit              = 3,
                                      .window_ns          = SIM_S,
                                      .nodes              = 2,
                                      .duration_ns        = 100 * SIM_S,
                                      .trips_max_permille = 1000,
                                      .callers_enough     = 40};

static struct evidence evidence;

static struct verdict judged(const struct scenario *s, uint64_t repaired_ns) {
    struct verdict v;
    verdict_of(&evidence, s, repaired_ns, &v);
    evidence_clear(&evidence);
    return v;
}

static void come(uint64_t at_ns, uint32_t node, bool is_admitted) {
    size_t request = evidence_come(&evidence, at_ns, node, 1);
    if (is_admitted) evidence_admit(&evidence, at_ns, request, 1);
}

TEST(the_limit_in_a_window_is_kept_and_one_more_is_not) {
    evidence_admit(&evidence, 10, SIZE_MAX, 2);
    evidence_admit(&evidence, SIM_S + 9, SIZE_MAX, 1);
    evidence_admit(&evidence, SIM_S + 10, SIZE_MAX, 2);
    struct verdict v = judged(&usual, 0);
    CHECK(!v.is_convicted);
    CHECK_EQ(v.fullest, 3);
    CHECK_EQ(v.admitted, 5);

    evidence_admit(&evidence, 10, SIZE_MAX, 2);
    evidence_admit(&evidence, SIM_S + 9, SIZE_MAX, 2);
    v = judged(&usual, 0);
    CHECK(v.is_convicted);
    CHECK_CONTAINS(v.reason, "not strict: 4 of 3");
}

TEST(who_admits_nothing_is_useless) {
    struct verdict v = judged(&usual, 0);
    CHECK_CONTAINS(v.reason, "useless");
}

TEST(use_is_told_beside_an_ideal_log) {
    struct scenario s  = usual;
    s.use_min_permille = 800;
    for (uint64_t i = 0; i < 50; i++) come(i * SIM_S / 5, 0, i % 5 < 3);
    struct verdict v = judged(&s, 0);
    CHECK(!v.is_convicted);
    CHECK_EQ(v.use_permille, 1000);

    for (uint64_t i = 0; i < 50; i++) come(i * SIM_S / 5, 0, i % 5 < 2);
    v = judged(&s, 0);
    CHECK_CONTAINS(v.reason, "not useful: 666 of 1000");
}

TEST(repair_is_judged_from_its_time_on_and_with_what_was_live_then) {
    struct scenario s     = usual;
    s.calm_ns             = 10 * SIM_S;
    s.repair_min_permille = 900;
    for (uint64_t i = 0; i < 200; i++) come(i * SIM_S / 5, 0, i > 100 && i % 5 < 3);
    CHECK(!judged(&s, 25 * SIM_S).is_convicted);

    for (uint64_t i = 0; i < 200; i++) come(i * SIM_S / 5, 0, i <= 100 && i % 5 < 3);
    CHECK_CONTAINS(judged(&s, 25 * SIM_S).reason, "not repaired: 0 of 1000");
}

TEST(a_node_that_never_gets_anything_is_found) {
    for (uint64_t i = 0; i < 100; i++) come(i * SIM_S / 2, i % 2, i % 2 == 0);
    CHECK_CONTAINS(judged(&usual, 0).reason, "denied for ever: node 1, 50 callers");
    struct scenario s = usual;
    s.callers_enough  = 51; /* too few to tell */
    for (uint64_t i = 0; i < 100; i++) come(i * SIM_S / 2, i % 2, i % 2 == 0);
    CHECK(!judged(&s, 0).is_convicted);
}

TEST(traffic_is_counted) {
    for (uint64_t i = 0; i < 10; i++) come(i * SIM_S, 0, true);
    evidence.trips = 10;
    CHECK(!judged(&usual, 0).is_convicted);
    for (uint64_t i = 0; i < 10; i++) come(i * SIM_S, 0, true);
    evidence.trips = 11;
    CHECK_CONTAINS(judged(&usual, 0).reason, "too much traffic: 1100 trips for 1000 callers");
}
