/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_clock.h"

#include "base/random.h"
#include "os/clock.h"
#include "support/check.h"

#define US     INT64_C(1000)
#define MS     INT64_C(1000000)
#define SECOND INT64_C(1000000000)

static struct doctor_offset one_answer(int64_t server_ns, uint64_t sent_ns, uint64_t received_ns) {
    struct doctor_offset o;
    doctor_offset_begin(&o);
    doctor_offset_take(&o, server_ns, MS, sent_ns, received_ns);
    return o;
}

TEST(an_answer_bounds_an_offset_by_its_trip_and_its_unit) {
    struct doctor_offset o = one_answer(500 * SECOND, 10, 110);
    CHECK(doctor_offset_is_sound(&o));
    CHECK_EQ(o.least_ns, 500 * SECOND - 110);
    CHECK_EQ(o.most_ns, 500 * SECOND + MS - 10);
    CHECK_EQ(o.at_ns, 110);
    doctor_offset_begin(&o);
    CHECK(!doctor_offset_is_sound(&o));
}

TEST(a_clock_that_is_set_meanwhile_says_what_cannot_be) {
    struct doctor_offset before = one_answer(SECOND, 0, 100), after = before;
    struct doctor_rate   rate;
    doctor_offset_take(&after, 3 * SECOND, MS, 200, 300);
    CHECK(!doctor_offset_is_sound(&after));
    CHECK(!doctor_rate_between(&before, &after, &rate));
    CHECK(!doctor_rate_between(&after, &before, &rate));
    CHECK(!doctor_rate_between(&before, &before, &rate)); /* no time between them */
}

TEST(our_wall_clock_is_not_ahead_of_itself) {
    uint64_t             now_ns = clock_now_ns();
    int64_t              wall   = (int64_t)clock_wall_ns();
    struct doctor_offset o      = one_answer(wall - MS / 2, now_ns, now_ns);
    int64_t              skew   = doctor_offset_skew_ns(&o);
    CHECK_LE(skew, SECOND);
    CHECK_GE(skew, -SECOND);
}

/* A clock of some rate, asked for whole milliseconds by trips of up to two. The true rate is between the two
 * that are told, but for what the clock goes wrong within a look: 60 ms of two seconds at most. That may also
 * be more than answers allow that are nearly exact: then nothing is told. */
TEST(the_true_rate_is_between_the_two_that_are_told) {
    struct random r    = {check_seed()};
    unsigned      told = 0;
    for (unsigned turn = 0; turn < 200; turn++) {
        int64_t              ppm   = (int64_t)random_below(&r, 2001) - 1000;
        int64_t              ahead = (int64_t)random_below(&r, 1U << 30) * SECOND;
        uint64_t             now = UINT64_C(1000000000) + random_below(&r, UINT64_C(1000000000000));
        uint64_t             begun = now;
        struct doctor_offset looks[2];
        struct doctor_rate   rate;
        for (unsigned look = 0; look < 2; look++) {
            doctor_offset_begin(&looks[look]);
            for (unsigned i = 0; i < 20; i++) {
                uint64_t sent   = now += random_below(&r, 1000000);
                uint64_t asked  = now += random_below(&r, 1000000);
                uint64_t passed = asked - begun;
                int64_t  server = ahead + (int64_t)asked + (int64_t)passed * ppm / 1000000;
                now += random_below(&r, 1000000);
                doctor_offset_take(&looks[look], server / MS * MS, MS, sent, now);
            }
            if (look == 0) now += UINT64_C(2000000000);
        }
        if (!doctor_rate_between(&looks[0], &looks[1], &rate)) continue;
        told++;
        CHECK_LE(rate.least_ppm, ppm + 60);
        CHECK_GE(rate.most_ppm, ppm - 60);
        CHECK_LE(rate.most_ppm - rate.least_ppm, 3000);
    }
    CHECK_GE(told, 150);
}
