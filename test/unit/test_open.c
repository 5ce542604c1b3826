/* SPDX-License-Identifier: MIT */
#include "api/open.h"

#include "store/redis/lease_store.h"
#include "support/check.h"

#define MINUTE_US UINT64_C(60000000)
#define DAY_US    UINT64_C(86400000000)

/* Nobody need be there: it is only asked what was denied. */
static weir *begin(const char *url) {
    weir *w = weir_open(url, NULL, NULL);
    CHECK_NE(w, NULL);
    return w;
}

static bool wants_past(const weir *w, int64_t window_ns, int64_t wait_ns, struct lease_past past) {
    weir_request  request  = weir_request_for("ann", 3, 3, window_ns);
    weir_decision decision = {.status = WEIR_OK, .how = WEIR_HOW_STORE, .retry_after_ns = wait_ns};
    return open_wants_past(w, &request, &decision, &past);
}

static struct lease_past known(uint64_t us) { return (struct lease_past){.us = us, .long_us = us}; }

/* The terms of a limit of a minute are some seconds longer than that. */
TEST(a_past_is_wanted_that_is_shorter_than_a_window_and_a_term) {
    weir *w = begin("redis://127.0.0.1:1");
    CHECK(wants_past(w, WEIR_MINUTE, 70 * WEIR_SECOND, known(0)));
    CHECK(wants_past(w, WEIR_MINUTE, 40 * WEIR_SECOND, known(MINUTE_US / 2)));
    CHECK(!wants_past(w, WEIR_MINUTE, 70 * WEIR_SECOND, known(2 * MINUTE_US)));
    CHECK(!wants_past(w, WEIR_MINUTE, 70 * WEIR_SECOND, known(UINT64_MAX)));
    weir_close(w);
}

TEST(a_denial_that_is_over_before_the_past_is_known_has_another_cause) {
    weir *w = begin("redis+cluster://127.0.0.1:1");
    CHECK(!wants_past(w, WEIR_MINUTE, 10 * WEIR_SECOND, known(0)));
    CHECK(!wants_past(w, WEIR_MINUTE, 25 * WEIR_SECOND, known(MINUTE_US / 2)));
    CHECK(!wants_past(w, WEIR_MINUTE, WEIR_NEVER, known(0)));
    weir_close(w);
}

TEST(windows_of_a_week_and_more_have_a_past_of_their_own) {
    weir             *w    = begin("redis://127.0.0.1:1");
    struct lease_past some = {.us = DAY_US, .long_us = UINT64_MAX};
    CHECK(wants_past(w, 2 * WEIR_DAY, 2 * WEIR_DAY, some));
    CHECK(!wants_past(w, 8 * WEIR_DAY, 8 * WEIR_DAY, some));
    some.long_us = 2 * DAY_US;
    CHECK(wants_past(w, 8 * WEIR_DAY, 7 * WEIR_DAY, some));
    weir_close(w);
}

TEST(nobody_else_wants_a_past) {
    weir *here = begin("memory:");
    CHECK(!wants_past(here, WEIR_MINUTE, 70 * WEIR_SECOND, known(0)));
    weir_close(here);

    weir         *w        = begin("redis://127.0.0.1:1");
    weir_request  request  = weir_request_for("ann", 3, 3, WEIR_MINUTE);
    weir_decision decision = {
        .how = WEIR_HOW_CLOSED, .why = WEIR_WHY_LATE, .retry_after_ns = 70 * WEIR_SECOND};
    struct lease_past none = known(0);
    CHECK(!open_wants_past(w, &request, &decision, &none));
    decision = (weir_decision){.how = WEIR_HOW_STORE, .allowed = true};
    CHECK(!open_wants_past(w, &request, &decision, &none));
    weir_close(w);
}
