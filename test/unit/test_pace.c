/* SPDX-License-Identifier: MIT */
#include "base/pace.h"
#include "support/check.h"

static void send_all(struct pace *p) {
    while (pace_has_room(p)) pace_send(p);
}

/* More often than the window can be halved. */
static void halve_often(struct pace *p) {
    for (unsigned i = 0; i < 20; i++) {
        pace_send(p);
        pace_end(p, false, 100 + 10 * i, 101 + 10 * i);
    }
}

TEST(what_is_out_is_bounded) {
    struct pace p;
    pace_begin(&p, false);
    send_all(&p);
    CHECK_EQ(p.out, PACE_FIRST);
    pace_end(&p, true, 0, 1);
    CHECK(pace_has_room(&p));
}

TEST(a_full_window_that_is_answered_grows_by_one) {
    struct pace p;
    pace_begin(&p, false);
    for (uint32_t i = 0; i < PACE_FIRST; i++) {
        send_all(&p);
        pace_end(&p, true, 0, 1);
    }
    CHECK_EQ(p.window, PACE_FIRST + 1);
    for (uint32_t i = 0; i < 4 * PACE_FIRST && p.out > 0; i++) pace_end(&p, true, 0, 1);
    CHECK_EQ(p.window, PACE_FIRST + 1); /* it was not needed */
}

TEST(those_that_were_out_together_halve_it_once) {
    struct pace p;
    pace_begin(&p, false);
    send_all(&p);
    for (unsigned i = 0; i < PACE_FIRST; i++) pace_end(&p, false, 10, 20 + i);
    CHECK_EQ(p.window, PACE_FIRST / 2);
    CHECK_EQ(p.out, 0);
    halve_often(&p);
    CHECK_EQ(p.window, 1);
}

/* As if so many windows had been full, and answered. */
static void answer_windows(struct pace *p, unsigned windows) {
    while (windows-- > 0)
        for (uint32_t i = p->window; i > 0; i--) {
            send_all(p);
            pace_end(p, true, 1000, 1000);
        }
}

TEST(it_grows_more_slowly_near_to_where_it_was_halved) {
    struct pace p;
    pace_begin(&p, false);
    send_all(&p);
    pace_end(&p, false, 10, 20);
    CHECK_EQ(p.window, 32);
    answer_windows(&p, 16);
    CHECK_EQ(p.window, 48);
    answer_windows(&p, PACE_NEAR_WINDOWS - 1);
    CHECK_EQ(p.window, 48);
    answer_windows(&p, 1);
    CHECK_EQ(p.window, 49);
    answer_windows(&p, 32 * PACE_NEAR_WINDOWS);
    CHECK_EQ(p.window, 81);
    answer_windows(&p, 1);
    CHECK_EQ(p.window, 82);
}

TEST(it_comes_back_from_one) {
    struct pace p;
    pace_begin(&p, false);
    halve_often(&p);
    answer_windows(&p, 2 * PACE_NEAR_WINDOWS + 20);
    CHECK_GT(p.window, 16);
}

TEST(it_is_doubled_until_it_is_halved_if_it_is_eager) {
    struct pace p;
    pace_begin(&p, true);
    answer_windows(&p, 1);
    CHECK_EQ(p.window, 2 * PACE_FIRST);
    send_all(&p);
    pace_end(&p, false, 2000, 2000);
    CHECK_EQ(p.window, PACE_FIRST);
    answer_windows(&p, 1);
    CHECK_EQ(p.window, PACE_FIRST + 1);
}

TEST(it_heals_where_little_is_asked) {
    struct pace p;
    pace_begin(&p, false);
    halve_often(&p);
    uint64_t now_ns = 300;
    for (unsigned i = 1; i < 64; i *= 2) {
        CHECK_EQ(p.window, i);
        now_ns += PACE_HEAL_NS;
        for (unsigned k = 0; k < 3; k++) {
            pace_send(&p);
            pace_end(&p, true, now_ns, now_ns + k);
        }
    }
    CHECK_EQ(p.window, PACE_FIRST);
    pace_send(&p);
    pace_end(&p, true, now_ns, now_ns + PACE_HEAL_NS);
    CHECK_EQ(p.window, PACE_FIRST);
}
