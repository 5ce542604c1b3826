/* SPDX-License-Identifier: MIT */
#include "cmd/store_watch.h"

#include "support/check.h"

#define SECOND_NS UINT64_C(1000000000)

static const char late[] = "the server did not answer in time", gone[] = "h:1: Connection refused";

static struct store_watch watch;
static uint64_t           now_ns;

static void begin(void) {
    watch  = (struct store_watch){0};
    now_ns = 1000 * SECOND_NS;
}

/* A second passes, and the store is as told. */
static enum store_watch_news second(const char *complaint, const char *problem) {
    now_ns += SECOND_NS;
    if (!store_watch_wants(&watch, complaint, now_ns)) return STORE_WATCH_NOTHING;
    return store_watch_note(&watch, complaint, problem, now_ns);
}

static unsigned lines(const char *complaint, const char *problem, unsigned seconds) {
    unsigned count = 0;
    while (seconds-- > 0) count += second(complaint, problem) != STORE_WATCH_NOTHING;
    return count;
}

TEST(a_store_that_nobody_complains_of_is_not_asked) {
    begin();
    for (unsigned i = 0; i < 100; i++) {
        now_ns += SECOND_NS;
        CHECK(!store_watch_wants(&watch, "", now_ns));
    }
}

TEST(a_store_that_does_not_answer_is_told_at_once_and_once) {
    begin();
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    CHECK_STR_EQ(watch.text, gone);
    CHECK_EQ(lines(late, gone, 1000), 0);
}

TEST(it_is_over_when_it_answers_and_nobody_complains) {
    begin();
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    CHECK_EQ(lines("", gone, 10), 0); /* nobody asks it */
    CHECK_EQ(lines(late, NULL, 10), 0);
    CHECK_EQ(lines("", NULL, 10), 1);
    CHECK(!watch.is_told);
}

TEST(the_seconds_for_which_a_complaint_stands_after_the_trouble_do_not_count) {
    begin();
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    CHECK_EQ(lines(late, gone, 6), 0);
    CHECK_EQ(lines(late, NULL, 10), 0);
    CHECK_EQ(lines("", NULL, 3), 1);
    CHECK_LE(watch.well_ns - watch.begun_ns, 8 * SECOND_NS);
}

TEST(of_hosts_that_are_down_for_one_reason_one_is_told) {
    begin();
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(lines(late, "h:2: Connection refused", 7), 0);
        CHECK_EQ(lines(late, "h:3: Connection refused", 7), 0);
    }
    CHECK_EQ(lines(late, "h:2: WRONGPASS", 3), 1);
    CHECK_EQ(lines(late, gone, 60), 0);
    CHECK_EQ(lines(late, "h:1: WRONGPASS", 60), 0);
    CHECK_EQ(lines("", NULL, 3), 1);
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    CHECK_EQ(lines(late, "h:2: WRONGPASS", 60), 1);
}

TEST(a_store_in_trouble_is_asked_each_two_seconds) {
    unsigned asked = 0;
    begin();
    for (unsigned i = 0; i < 40; i++) {
        now_ns += SECOND_NS;
        if (!store_watch_wants(&watch, late, now_ns)) continue;
        (void)store_watch_note(&watch, late, gone, now_ns);
        asked++;
    }
    CHECK_EQ(asked, 20);
}

TEST(a_single_trip_that_was_late_is_not_told) {
    begin();
    for (unsigned i = 0; i < 50; i++) {
        CHECK_EQ(lines(late, NULL, 11), 0);
        CHECK_EQ(lines("", NULL, 3), 0);
    }
}

TEST(what_stands_is_told_though_the_store_answers) {
    begin();
    CHECK_EQ(lines("OOM", NULL, 14), 0);
    CHECK_EQ(lines("OOM", NULL, 10), 1);
    CHECK_STR_EQ(watch.text, "OOM");
    CHECK_EQ(lines("OOM", NULL, 1000), 0);
    CHECK_EQ(lines("", NULL, 3), 1);
}

TEST(another_reason_is_told_but_not_each_that_passes) {
    begin();
    CHECK_EQ(second(late, gone), STORE_WATCH_BEGUN);
    CHECK_EQ(lines(late, "h:1: the server hangs up", 8), 0);
    CHECK_EQ(lines(late, gone, 8), 0);
    CHECK_EQ(lines(late, "h:1: WRONGPASS", 3), 1);
    CHECK_STR_EQ(watch.text, "h:1: WRONGPASS");
}

TEST(a_store_that_comes_and_goes_does_not_flood_and_the_last_word_is_true) {
    begin();
    unsigned said = 0;
    for (unsigned i = 0; i < 600; i++) said += lines(late, gone, 3) + lines("", NULL, 3);
    CHECK(said >= 2);
    CHECK(said <= STORE_WATCH_LINES + 61);
    said = lines(late, gone, 70);
    CHECK(said <= 2);
    CHECK(watch.is_told);
    said = lines("", NULL, 70);
    CHECK_EQ(said, 1);
    CHECK(!watch.is_told);
}
