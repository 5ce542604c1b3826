/* SPDX-License-Identifier: MIT */
#include "sim/world.h"
#include "support/check.h"

static uint64_t seen[8];
static size_t   seen_count;

static void note(struct world *w, void *subject, void *cargo) {
    (void)subject;
    (void)w;
    seen[seen_count++] = *(uint64_t *)cargo;
}

TEST(events_happen_in_the_order_of_time_and_then_of_planning) {
    struct world   w;
    const uint64_t at[] = {30, 10, 20, 10, 30, 5};
    world_begin(&w, 1, NULL);
    for (uint64_t i = 0; i < 6; i++) world_at(&w, at[i], note, NULL, &i, sizeof i);
    seen_count = 0;
    world_run(&w, 29);
    CHECK_EQ(seen_count, 4);
    CHECK_EQ(w.now_ns, 29);
    world_run(&w, 30);
    const uint64_t order[] = {5, 1, 3, 2, 0, 4};
    for (size_t i = 0; i < 6; i++) CHECK_EQ(seen[i], order[i]);
    world_end(&w);
}

TEST(nothing_happens_before_now) {
    struct world   w;
    const uint64_t one = 1;
    world_begin(&w, 1, NULL);
    world_run(&w, 100);
    world_at(&w, 5, note, NULL, &one, sizeof one);
    seen_count = 0;
    world_run(&w, 100);
    CHECK_EQ(seen_count, 1);
    world_end(&w);
}

TEST(a_different_note_is_a_different_hash) {
    struct world a, b;
    world_begin(&a, 1, NULL);
    world_begin(&b, 1, NULL);
    world_note(&a, "x", 1, 2, 3);
    world_note(&b, "x", 1, 2, 3);
    CHECK_EQ(a.hash, b.hash);
    world_note(&a, "x", 1, 2, 3);
    world_note(&b, "x", 1, 2, 4);
    CHECK_NE(a.hash, b.hash);
}

TEST(a_clock_runs_at_its_rate_and_stands_still) {
    struct own_clock c = {.own_ns = 500, .rate_ppm = 100000};
    CHECK_EQ(own_clock_at(&c, 1000), 1600);
    CHECK_EQ(own_clock_when(&c, 1600), 1000);
    CHECK_EQ(own_clock_when(&c, 1601), 1001);
    CHECK_EQ(own_clock_when(&c, 3), 0);
    own_clock_change(&c, 1000, -1000000);
    CHECK_EQ(own_clock_at(&c, 99999), 1600);
    own_clock_change(&c, 2000, -500000);
    CHECK_EQ(own_clock_at(&c, 2100), 1650);
}

TEST(delays_have_about_the_mean_that_was_wanted) {
    struct random r   = {.state = 1};
    uint64_t      sum = 0;
    for (int i = 0; i < 100000; i++) sum += world_exponential(&r, 1000);
    CHECK_GT(sum, 95000000);
    CHECK_LT(sum, 105000000);
}
