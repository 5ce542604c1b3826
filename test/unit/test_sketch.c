/* SPDX-License-Identifier: MIT
 *
 * The sketch by example: one user alone, users who share, time that goes on, late, and far ahead. */
#include "support/check.h"
#include "table/sketch.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

enum { LINE_BYTES = SKETCH_LINE_BYTES };

static const uint64_t second = 1000000000;
static const uint64_t start  = 5000000000;

static void no_yield(unsigned turn) { (void)turn; }

static struct sketch *sketch_in(size_t bytes, uint64_t window_ns, uint64_t limit_max) {
    void *memory = aligned_alloc(LINE_BYTES, sketch_bytes(bytes));
    CHECK_NE(memory, NULL);
    memset(memory, 0, sketch_bytes(bytes));
    struct sketch_options options = {
        .window_ns = window_ns, .limit_max = limit_max, .yield = no_yield};
    return sketch_init(memory, bytes, &options);
}

static struct answer decide(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost,
                            uint64_t now_ns) {
    struct answer answer;
    sketch_decide(s, hash, limit, cost, now_ns, &answer);
    return answer;
}

static uint64_t remaining(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t now_ns) {
    return sketch_look(s, hash, limit, 1, now_ns).remaining;
}

/* ---- a user alone ---- */

TEST(a_decision_says_all_that_the_header_promises) {
    struct sketch *s = sketch_in(1 << 20, 6 * second, 15);
    struct answer  a = decide(s, 1, 3, 2, 6 * second + 5);
    CHECK(a.allowed);
    CHECK_EQ(a.remaining, 1);
    CHECK_EQ(a.retry_after_ns, 0);
    CHECK_EQ(a.reset_after_ns, 7 * second - 5);

    a = decide(s, 1, 3, 2, 8 * second);
    CHECK(!a.allowed);
    CHECK_EQ(a.remaining, 1);
    CHECK_EQ(a.retry_after_ns, 5 * second);
    CHECK_EQ(a.reset_after_ns, 5 * second);

    a = decide(s, 1, 3, 4, 8 * second);
    CHECK(!a.allowed);
    CHECK_EQ(a.retry_after_ns, LIMIT_NEVER);
    CHECK_EQ(a.remaining, 1);
    free(s);
}

TEST(the_time_to_try_again_waits_for_as_many_cells_as_it_takes) {
    struct sketch *s = sketch_in(1 << 20, 6 * second, 15);
    for (uint64_t i = 0; i < 6; i++) CHECK(sketch_admit(s, 1, 6, 1, start + i * second));
    struct answer a = decide(s, 1, 6, 3, start + 5 * second);
    CHECK(!a.allowed);
    CHECK_EQ(a.retry_after_ns, 4 * second);
    CHECK(!sketch_admit(s, 1, 6, 3, start + 9 * second - 1));
    CHECK(sketch_admit(s, 1, 6, 3, start + 9 * second));
    free(s);
}

TEST(a_permit_is_held_for_the_window_and_at_most_a_sixth_more) {
    struct random r = {.state = check_seed()};
    for (int i = 0; i < 1000; i++) {
        uint64_t       window_ns = random_between(&r, 1, i % 2 ? 50 : 30 * 86400 * second);
        uint64_t       now_ns    = random_below(&r, 1000 * 86400 * second);
        struct sketch *s         = sketch_in(1 << 12, window_ns, 1);
        CHECK(sketch_admit(s, 7, 1, 1, now_ns));
        CHECK(!sketch_admit(s, 7, 1, 1, now_ns + window_ns - 1));
        CHECK(sketch_admit(s, 7, 1, 1, now_ns + window_ns + window_ns / SKETCH_CELLS + 7));
        free(s);
    }
}

TEST(a_limit_of_zero_denies_and_looking_takes_nothing) {
    struct sketch *s = sketch_in(1 << 20, second, 255);
    CHECK(!sketch_admit(s, 1, 0, 1, start));
    CHECK_EQ(sketch_look(s, 1, 0, 1, start).retry_after_ns, LIMIT_NEVER);
    for (int i = 0; i < 10; i++) CHECK(sketch_look(s, 1, 1, 1, start).allowed);
    CHECK(sketch_admit(s, 1, 1, 1, start));
    CHECK(!sketch_look(s, 1, 1, 1, start).allowed);
    CHECK_EQ(sketch_look(s, 2, 1, 1, start).reset_after_ns, 0);
    free(s);
}

TEST(each_limit_from_1_to_255_is_counted_exactly_for_a_user_alone) {
    for (uint64_t limit = 1; limit <= SKETCH_LIMIT_MAX; limit++) {
        struct sketch *s = sketch_in(1 << 12, second, limit);
        for (uint64_t i = 0; i < limit; i++) {
            CHECK_EQ(remaining(s, 9, limit, start), limit - i);
            CHECK(sketch_admit(s, 9, limit, 1, start));
        }
        CHECK(!sketch_admit(s, 9, limit, 1, start));
        CHECK_EQ(remaining(s, 9, limit, start), 0);
        CHECK(!sketch_admit(s, 9, limit, UINT64_MAX, start + 7 * second));
        CHECK(sketch_admit(s, 9, limit, limit, start + 7 * second));
        CHECK_EQ(remaining(s, 9, limit, start + 7 * second), 0);
        free(s);
    }
}

TEST(each_admission_respects_the_limit_that_it_came_with) {
    struct sketch *s = sketch_in(1 << 20, second, 100);
    CHECK(sketch_admit(s, 1, 100, 50, start));
    CHECK(!sketch_admit(s, 1, 50, 1, start));
    CHECK_EQ(remaining(s, 1, 10, start), 0);
    CHECK(sketch_admit(s, 1, 51, 1, start));
    free(s);
}

/* ---- time ---- */

TEST(a_late_call_counts_in_the_cell_that_its_lines_saw_last) {
    struct sketch *s = sketch_in(1 << 20, 6 * second, 15);
    CHECK(sketch_admit(s, 1, 3, 1, 20 * second));
    struct answer a = decide(s, 1, 3, 1, 12 * second);
    CHECK(a.allowed);
    CHECK_EQ(a.remaining, 1);
    CHECK_EQ(a.reset_after_ns, (20 + 7 - 12) * second);
    CHECK_EQ(remaining(s, 1, 3, 26 * second), 1);
    CHECK_EQ(remaining(s, 1, 3, 27 * second), 3);
    free(s);
}

/* A head of 16 bits would take a line that was idle for 65536 cells for a fresh one. */
TEST(no_idle_time_however_long_makes_old_permits_count_again) {
    struct sketch *s = sketch_in(1 << 12, 6, 1);
    for (unsigned bits = 8; bits < 62; bits++) {
        for (uint64_t beside = 0; beside < 15; beside++) {
            uint64_t now_ns = (UINT64_C(1) << bits) + beside * 7;
            CHECK(sketch_admit(s, 1, 1, 1, now_ns));
            CHECK(!sketch_admit(s, 1, 1, 1, now_ns + 6));
        }
    }
    CHECK(sketch_admit(s, 1, 1, 1, LIMIT_NOW_MAX));
    CHECK(!sketch_admit(s, 1, 1, 1, LIMIT_NOW_MAX));
    free(s);
}

/* ---- users who share ---- */

TEST(users_who_share_every_count_are_one_user_at_worst) {
    struct sketch *s        = sketch_in(3 * (size_t)LINE_BYTES, second, 200);
    struct random  r        = {.state = check_seed()};
    uint64_t       admitted = 0;
    for (int i = 0; i < 100000; i++) admitted += sketch_admit(s, random_next(&r), 200, 1, start);
    CHECK_GE(admitted, 200);
    CHECK_LE(admitted, 200 * 2 * 8);
    for (int i = 0; i < 1000; i++) CHECK_EQ(remaining(s, random_next(&r), 200, start), 0);
    CHECK_EQ(remaining(s, 5, 200, start + 2 * second), 200);
    free(s);
}

/* By the layout that sketch.c describes: eight counts of a byte in the word of each cell. */
TEST(an_admission_raises_no_count_above_what_it_found_and_its_cost) {
    enum { BYTES = 3 * LINE_BYTES, WORD = 1 + (5 + SKETCH_SLOTS) % SKETCH_SLOTS };
    struct sketch *s = sketch_in(BYTES, 6 * second, 255);
    struct random  r = {.state = check_seed()};
    for (int i = 0; i < 300; i++) {
        uint8_t  before[BYTES], after[BYTES];
        uint64_t hash = random_next(&r), cost = 1 + random_below(&r, 3);
        uint64_t found = 255 - remaining(s, hash, 255, start);
        memcpy(before, s, BYTES);
        if (!sketch_admit(s, hash, 255, cost, start)) continue;
        memcpy(after, s, BYTES);
        unsigned raised = 0;
        for (unsigned line = 1; line <= 2; line++) {
            uint64_t newest = 0;
            memcpy(&newest, &after[line * LINE_BYTES], sizeof newest);
            CHECK_EQ(newest, 5 + SKETCH_SLOTS);
            for (unsigned k = 8; k < LINE_BYTES; k++) {
                unsigned at = line * LINE_BYTES + k;
                if (k / 8 != WORD) CHECK_EQ(after[at], 0);
                if (before[at] == after[at]) continue;
                CHECK_EQ(after[at], found + cost);
                CHECK_GE(before[at], found);
                raised++;
            }
        }
        CHECK_GE(raised, 1);
        CHECK_LE(raised, 4);
    }
    free(s);
}

TEST(a_roomy_sketch_denies_nobody_within_the_limit) {
    struct sketch *s = sketch_in(1 << 20, second, 10);
    struct random  r = {.state = 3};
    for (int user = 0; user < 10000; user++) {
        uint64_t hash = random_next(&r);
        for (int i = 0; i < 3; i++) CHECK(sketch_admit(s, hash, 10, 1, start));
    }
    free(s);
}

/* ---- memory ---- */

TEST(a_shape_uses_whole_pairs_of_lines_and_bits_that_hold_the_limit) {
    CHECK_EQ(sketch_bytes(0), 0);
    CHECK_EQ(sketch_bytes(3 * LINE_BYTES - 1), 0);
    CHECK_EQ(sketch_bytes(3 * LINE_BYTES), 3 * LINE_BYTES);
    CHECK_EQ(sketch_bytes(5 * LINE_BYTES - 1), 3 * LINE_BYTES);
    CHECK_EQ(sketch_shape_of(1 << 20, 10).lines, (1 << 20) / LINE_BYTES - 2);
    CHECK_EQ(sketch_shape_of(1 << 20, 1).count_bits, 1);
    CHECK_EQ(sketch_shape_of(1 << 20, 3).count_bits, 2);
    CHECK_EQ(sketch_shape_of(1 << 20, 4).count_bits, 4);
    CHECK_EQ(sketch_shape_of(1 << 20, 15).line_counts, 16);
    CHECK_EQ(sketch_shape_of(1 << 20, 16).count_bits, 8);
    CHECK_EQ(sketch_shape_of(1 << 20, 255).line_counts, 8);
    CHECK_LE(sketch_shape_of(SIZE_MAX, 1).bytes, UINT64_C(1) << 40);
}

TEST(broken_promises_stop_the_process) {
    struct sketch *s = sketch_in(1 << 12, second, 10);
    CHECK_EQ(sketch_limit_max(s), 15);
    CHECK_TRAPS((void)sketch_admit(s, 1, 16, 1, start));
    CHECK_TRAPS((void)sketch_admit(s, 1, 10, 0, start));
    CHECK_TRAPS((void)sketch_admit(s, 1, 10, 1, LIMIT_NOW_MAX + 1));
    CHECK_TRAPS((void)sketch_shape_of(1 << 12, 0));
    CHECK_TRAPS((void)sketch_shape_of(1 << 12, 256));
    free(s);
}
