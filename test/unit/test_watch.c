/* SPDX-License-Identifier: MIT */
#include "lease/watch.h"
#include "support/check.h"

#define MS UINT64_C(1000000)

static const uint64_t span = 12000 * MS;

/* A contact sent at `sent_ms` and answered at `now_ms` with the store's time in ms. */
static enum watch_verdict contact(struct watch *w, uint64_t sent_ms, uint64_t now_ms,
                                  uint64_t store_ms, uint64_t *ahead_us) {
    struct lease_reply reply = {.era_us = 1, .store_us = store_ms * 1000, .sent_ns = sent_ms * MS};
    return watch_take(w, &reply, now_ms * MS, ahead_us);
}

static struct watch watch_new(void) {
    struct watch w;
    watch_begin(&w, 1000, span, 50 * MS);
    return w;
}

TEST(an_honest_clock_is_believed) {
    struct watch w = watch_new();
    uint64_t     ahead;
    for (uint64_t t = 1000; t < 60000; t += 97)
        CHECK_EQ(contact(&w, t, t + 4, 500000 + t + t % 5, &ahead), WATCH_FINE);
}

TEST(a_clock_that_ran_ahead_is_found) {
    struct watch w = watch_new();
    uint64_t     ahead;
    CHECK_EQ(contact(&w, 1000, 1002, 500001, &ahead), WATCH_FINE);
    CHECK_EQ(contact(&w, 1100, 1102, 500201, &ahead), WATCH_AHEAD);
    CHECK_GT(ahead, 97000);
    CHECK_LE(ahead, 98000);
}

TEST(small_steps_add_up) {
    struct watch w     = watch_new();
    uint64_t     ahead = 0, steps = 0;
    for (uint64_t t = 1000; ahead == 0 && steps < 100; t += 100, steps++)
        contact(&w, t, t + 10, 500000 + t + 3 * steps, &ahead);
    CHECK_GT(ahead, 0);
    CHECK_LE(steps, 6);
}

TEST(a_step_is_remembered_for_the_span) {
    struct watch w = watch_new();
    uint64_t     ahead;
    CHECK_EQ(contact(&w, 1000, 1000, 500000, &ahead), WATCH_FINE);
    CHECK_EQ(contact(&w, 12900, 12900, 512000, &ahead), WATCH_AHEAD);
    CHECK_EQ(contact(&w, 14000, 14000, 514000, &ahead), WATCH_FINE);
}

TEST(a_slow_exchange_tells_nothing_and_is_not_kept) {
    struct watch w = watch_new();
    uint64_t     ahead;
    CHECK_EQ(contact(&w, 1000, 1051, 500000, &ahead), WATCH_SLOW);
    CHECK_EQ(contact(&w, 1060, 1060, 500200, &ahead), WATCH_FINE);
    CHECK_EQ(contact(&w, 1070, 1121, 500261, &ahead), WATCH_SLOW);
    CHECK_EQ(contact(&w, 1130, 1190, 600000, &ahead), WATCH_AHEAD);
}

TEST(a_store_that_was_rewound_is_believed_again) {
    struct watch w = watch_new();
    uint64_t     ahead;
    CHECK_EQ(contact(&w, 1000, 1002, 500001, &ahead), WATCH_FINE);
    CHECK_EQ(contact(&w, 1100, 1102, 500301, &ahead), WATCH_AHEAD);
    CHECK_EQ(contact(&w, 1110, 1111, 500310 - ahead / 1000 - 2, &ahead), WATCH_FINE);
}

TEST(a_clock_of_another_era_is_another_clock) {
    struct watch       w = watch_new();
    uint64_t           ahead;
    struct lease_reply reply = {.era_us = 2, .store_us = 900000000, .sent_ns = 1100 * MS};
    CHECK_EQ(contact(&w, 1000, 1002, 500001, &ahead), WATCH_FINE);
    CHECK_EQ(watch_take(&w, &reply, 1101 * MS, &ahead), WATCH_FINE);
}
