/* SPDX-License-Identifier: MIT
 *
 * The strict window by example; test/model judges it at random. */
#include "limit/window.h"
#include "support/check.h"

static const uint64_t second = 1000000000;
static const uint64_t start  = 5000000000;

static uint64_t remaining(const struct counter *c, uint64_t limit, uint64_t window_ns,
                          uint64_t now_ns) {
    return window_look(c, limit, window_ns, 1, now_ns).remaining;
}

TEST(a_new_counter_has_the_whole_limit) {
    struct counter c    = {0};
    struct answer  look = window_look(&c, 3, second, 1, 0);
    CHECK(look.allowed);
    CHECK_EQ(look.remaining, 3);
    CHECK_EQ(look.retry_after_ns, 0);
    CHECK_EQ(look.reset_after_ns, 0);
}

TEST(the_limit_passes_and_one_more_does_not) {
    struct counter c = {0};
    for (uint64_t taken = 0; taken < 3; taken++) {
        CHECK_EQ(remaining(&c, 3, second, start), 3 - taken);
        CHECK(window_admit(&c, 3, second, 1, start));
    }
    CHECK(!window_admit(&c, 3, second, 1, start));
}

TEST(permits_come_back_exactly_one_window_later) {
    struct counter c = {0};
    CHECK(window_admit(&c, 3, second, 3, start));
    CHECK_EQ(c.fresh_at_ns, start + second);
    CHECK(!window_admit(&c, 3, second, 1, start + second - 1));
    CHECK_EQ(window_look(&c, 3, second, 1, start + second - 1).retry_after_ns, 1);
    CHECK(window_admit(&c, 3, second, 3, start + second));
}

TEST(burst_wait_one_window_burst_is_served_in_full_for_ever) {
    static const uint64_t limits[] = {1, 7, 160, 161, 1000003, LIMIT_MAX};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        struct counter c = {0};
        for (uint64_t turn = 0; turn < 100; turn++) {
            CHECK(window_admit(&c, limits[l], second, limits[l], start + turn * second));
        }
    }
}

TEST(a_window_forgets_one_hit_at_a_time) {
    struct counter c = {0};
    CHECK(window_admit(&c, 3, 10 * second, 1, start));
    CHECK(window_admit(&c, 3, 10 * second, 1, start + second));
    CHECK(window_admit(&c, 3, 10 * second, 1, start + second));
    struct answer look = window_look(&c, 3, 10 * second, 1, start + 2 * second);
    CHECK(!look.allowed);
    CHECK_EQ(look.retry_after_ns, 8 * second);
    CHECK(window_admit(&c, 3, 10 * second, 1, start + 10 * second));
    CHECK(!window_admit(&c, 3, 10 * second, 1, start + 10 * second));
}

TEST(a_cost_above_the_limit_never_passes_and_says_so) {
    struct counter c = {0};
    CHECK(!window_admit(&c, 3, second, 4, start));
    CHECK_EQ(window_look(&c, 3, second, 4, start).retry_after_ns, LIMIT_NEVER);
    CHECK(!window_admit(&c, LIMIT_MAX, second, UINT64_MAX, start));
    CHECK_EQ(window_look(&c, LIMIT_MAX, second, UINT64_MAX, start).retry_after_ns, LIMIT_NEVER);
    CHECK_EQ(c.fresh_at_ns, 0);
}

TEST(a_limit_of_zero_always_denies) {
    struct counter c    = {0};
    struct answer  look = window_look(&c, 0, second, 1, start);
    CHECK(!look.allowed);
    CHECK_EQ(look.remaining, 0);
    CHECK_EQ(look.retry_after_ns, LIMIT_NEVER);
    CHECK(!window_admit(&c, 0, second, 1, start));
}

TEST(a_denial_writes_nothing) {
    struct counter c = {.head = ~COUNTER_HEAD_MASK};
    CHECK(window_admit(&c, 100, second, 100, start));
    const struct counter before = c;
    for (uint64_t at = start; at < start + second; at += second / 97) {
        CHECK(!window_admit(&c, 100, second, 1, at));
        CHECK_MEM_EQ(&c, &before, sizeof c);
    }
}

TEST(the_storers_bits_are_left_alone) {
    for (uint64_t top = 0; top < 2048; top += 89) {
        struct counter c = {.head = top << COUNTER_HEAD_BITS};
        CHECK(window_admit(&c, 1000000, second, 12345, start));
        CHECK(window_admit(&c, 1000000, second, 54321, start + 12345678));
        CHECK(window_admit(&c, 50, second, 1, start + 2 * second));
        window_spend(&c, 70, second, 70, start + 4 * second);
        CHECK_EQ(c.head >> COUNTER_HEAD_BITS, top);
    }
}

TEST(a_lower_limit_counts_at_once_and_a_higher_one_grants_the_difference) {
    struct counter c = {0};
    CHECK(window_admit(&c, 100, second, 80, start));
    CHECK(!window_admit(&c, 50, second, 1, start + 1));
    CHECK_EQ(remaining(&c, 50, second, start + 1), 0);
    CHECK_EQ(remaining(&c, 90, second, start + 1), 10);
    CHECK(window_admit(&c, 90, second, 10, start + 1));
    CHECK_EQ(remaining(&c, 1000000, second, start + 2), 1000000 - 90);
    CHECK(window_admit(&c, 1000000, second, 1000000 - 90, start + 2));
    CHECK(!window_admit(&c, 1000000, second, 1, start + 3));
    CHECK(!window_admit(&c, 100, second, 1, start + second + 1));
}

TEST(a_late_call_counts_what_came_before_it_was_late) {
    struct counter c = {0};
    CHECK(window_admit(&c, 2, second, 1, start + second / 2));
    CHECK(window_admit(&c, 2, second, 1, start));
    CHECK(!window_admit(&c, 2, second, 1, start));
    CHECK(!window_admit(&c, 2, second, 1, start + second)); /* Both count at start + second/2. */
    CHECK(window_admit(&c, 2, second, 2, start + second / 2 + second));
}

TEST(spending_makes_a_counter_that_spent) {
    static const uint64_t limits[] = {1, 160, 161, 100003, LIMIT_MAX};
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        for (unsigned part = 0; part <= 4; part++) {
            struct counter c     = {0};
            uint64_t       spent = limits[l] / 4 * part + (part == 4 ? limits[l] % 4 : 0);
            window_spend(&c, limits[l], second, spent, start);
            CHECK_EQ(remaining(&c, limits[l], second, start), limits[l] - spent);
            CHECK_EQ(remaining(&c, limits[l], second, start + second - 1), limits[l] - spent);
            CHECK_EQ(remaining(&c, limits[l], second, start + second), limits[l]);
            CHECK_EQ(c.fresh_at_ns, start + second);
        }
    }
}

TEST(spending_more_than_the_limit_breaks_a_contract) {
    struct counter c = {0};
    CHECK_TRAPS(window_spend(&c, 5, second, 6, start));
}

TEST(grids_cover_the_window_and_stay_within_the_stated_loss) {
    static const uint64_t windows[] = {
        1, 2, 287, 288, 289, 1000, 1001, 1000000000, LIMIT_WINDOW_MAX};
    uint64_t limit = 1;
    while (limit < LIMIT_MAX) {
        limit += limit / 37 + 1;
        if (limit > LIMIT_MAX) limit = LIMIT_MAX;
        for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
            struct window_grid grid = window_grid_for(limit, windows[w]);
            CHECK_GE(grid.cells * grid.cell_ns, windows[w]);
            CHECK_LE(grid.cells + grid.quanta, 64 * COUNTER_BODY_WORDS);
            CHECK_GE(grid.quanta * grid.quantum + grid.quantum - 1,
                     limit); /* Room for the whole limit. */
            if (limit <= 160) CHECK_EQ(grid.quantum, 1);
            CHECK_LE((double)(grid.quantum - 1), 0.007 * (double)limit);
            CHECK_GE(grid.cells, 160);
        }
    }
}

TEST(the_ends_of_time_are_served) {
    struct counter c = {0};
    CHECK(window_admit(&c, 1, LIMIT_WINDOW_MAX, 1, 0));
    CHECK(!window_admit(&c, 1, LIMIT_WINDOW_MAX, 1, LIMIT_WINDOW_MAX - 1));
    CHECK(window_admit(&c, 1, LIMIT_WINDOW_MAX, 1, LIMIT_WINDOW_MAX));
    CHECK(window_admit(&c, 1, LIMIT_WINDOW_MAX, 1, LIMIT_NOW_MAX));
    struct answer look = window_look(&c, 1, LIMIT_WINDOW_MAX, 1, LIMIT_NOW_MAX);
    CHECK(!look.allowed);
    CHECK_EQ(look.retry_after_ns, LIMIT_WINDOW_MAX);
    struct counter tick = {0};
    CHECK(window_admit(&tick, 1, 1, 1, 0));
    CHECK(!window_admit(&tick, 1, 1, 1, 0));
    CHECK(window_admit(&tick, 1, 1, 1, 1));
}
