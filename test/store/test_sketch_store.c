/* SPDX-License-Identifier: MIT
 *
 * The store sketch: through the public functions. What a sketch counts is tested in test/unit/test_sketch.c
 * and test/model; here, that it is asked as the header says. */
#include <stdio.h>
#include <string.h>

#include <weir.h>

#include "support/check.h"

static weir *open_sketch(const char *url, uint64_t bytes_max, uint64_t limit_max) {
    weir_error   error   = {0};
    weir_options options = {.size = sizeof options, .bytes_max = bytes_max, .limit_max = limit_max};
    weir        *w       = weir_open(url, &options, &error);
    CHECK_SAYS(w != NULL, "%s", error.text);
    return w;
}

TEST(a_sketch_admits_up_to_the_limit_and_says_how) {
    weir         *w       = open_sketch("sketch:1h", 1 << 20, 0);
    weir_request  request = weir_request_for("ann", 3, 3, WEIR_HOUR);
    weir_decision d;
    for (uint64_t i = 0; i < 3; i++) {
        CHECK_EQ(weir_decide(w, &request, &d), WEIR_OK);
        CHECK(d.allowed);
        CHECK_EQ(d.how, WEIR_HOW_SKETCH);
        CHECK_EQ(d.remaining, 2 - i);
    }
    CHECK_EQ(weir_decide(w, &request, &d), WEIR_OK);
    CHECK(!d.allowed);
    CHECK_GT(d.retry_after_ns, 0);
    CHECK(!weir_allow(w, "ann", 3, WEIR_HOUR));
    CHECK(weir_allow(w, "bob", 3, WEIR_HOUR));

    request.cost = 0;
    CHECK_EQ(weir_decide_many(w, &request, 1, &d), WEIR_OK);
    CHECK(!d.allowed);
    CHECK_EQ(weir_decide_all(w, &request, 1, &d), WEIR_OK);
    CHECK(!d.allowed);
    weir_close(w);
}

TEST(a_sketch_stays_in_its_bytes_however_many_come) {
    weir           *w = open_sketch("sketch:1m", 1 << 20, 15);
    weir_statistics s = {.size = sizeof s};
    char            user[16];
    uint64_t        allowed = 0;
    for (int i = 0; i < 200000; i++) {
        (void)snprintf(user, sizeof user, "%d", i);
        allowed += weir_allow(w, user, 10, WEIR_MINUTE);
    }
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_LE(s.memory_bytes, 1 << 20);
    CHECK_EQ(s.users, 0);
    CHECK_EQ(s.allowed, allowed);
    CHECK_EQ(s.denied, 200000 - allowed);
    CHECK_GT(allowed, 199000); /* 5 bytes a user who asks once */
    weir_close(w);
}

TEST(what_a_sketch_does_not_count_is_refused_and_counts_nothing) {
    weir           *w = open_sketch("sketch:1s", 1 << 20, 100);
    weir_statistics s = {.size = sizeof s};
    weir_decision   d[2];
    weir_request    bad[4];
    for (int i = 0; i < 4; i++) bad[i] = weir_request_for("ann", 3, 10, WEIR_SECOND);
    bad[0].window_ns = WEIR_MINUTE;
    bad[1].limit     = 256;
    bad[2].algorithm = WEIR_GCRA;
    bad[3].algorithm = WEIR_FIXED;
    for (int i = 0; i < 4; i++) {
        CHECK_EQ(weir_decide(w, &bad[i], d), WEIR_UNSUPPORTED);
        CHECK_EQ(d[0].status, WEIR_UNSUPPORTED);
    }
    weir_request two[2] = {weir_request_for("ann", 3, 10, WEIR_SECOND),
                           weir_request_for("bob", 3, 10, WEIR_SECOND)};
    CHECK_EQ(weir_decide_all(w, two, 2, d), WEIR_UNSUPPORTED);
    CHECK_EQ(weir_reset(w, &two[0]), WEIR_UNSUPPORTED);
    CHECK(!weir_allow(w, "ann", 10, WEIR_MINUTE));
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.allowed + s.denied, 0);
    CHECK_GE(s.refused, 7);
    weir_close(w);
}

TEST(a_sketch_url_says_a_window_and_options_are_checked) {
    static const char *const urls[] = {"sketch:", "sketch:x", "sketch:0s", "sketch:100y",
                                       "sketch:1"};
    weir_error               error;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        CHECK_EQ(weir_open(urls[i], NULL, &error), NULL);
        CHECK_EQ(error.status, WEIR_BAD_URL);
        CHECK_CONTAINS(error.text, "sketch:1m");
    }
    weir_options options = {.size = sizeof options, .bytes_max = 10};
    CHECK_EQ(weir_open("sketch:1m", &options, &error), NULL);
    CHECK_CONTAINS(error.text, "bytes_max is 10");
    options = (weir_options){.size = sizeof options, .limit_max = 256};
    CHECK_EQ(weir_open("sketch:1m", &options, &error), NULL);
    CHECK_CONTAINS(error.text, "limit_max is 256");
}
