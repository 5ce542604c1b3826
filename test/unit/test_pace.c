/* SPDX-License-Identifier: MIT */
#include "store/cassandra/pace.h"
#include "support/check.h"

static void send_all(struct pace *p) {
    while (pace_has_room(p)) pace_send(p);
}

TEST(what_is_out_is_bounded) {
    struct pace p;
    pace_begin(&p);
    send_all(&p);
    CHECK_EQ(p.out, PACE_FIRST);
    pace_end(&p, true, 0, 1);
    CHECK(pace_has_room(&p));
}

TEST(a_full_window_that_is_answered_grows_by_one) {
    struct pace p;
    pace_begin(&p);
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
    pace_begin(&p);
    send_all(&p);
    for (unsigned i = 0; i < PACE_FIRST; i++) pace_end(&p, false, 10, 20 + i);
    CHECK_EQ(p.window, PACE_FIRST / 2);
    CHECK_EQ(p.out, 0);
    for (unsigned i = 0; i < 20; i++) {
        pace_send(&p);
        pace_end(&p, false, 100 + 10 * i, 101 + 10 * i);
    }
    CHECK_EQ(p.window, PACE_LEAST);
}
