/* SPDX-License-Identifier: MIT
 *
 * include/weir.h, sentence by sentence, on the real clock: windows are long enough that nothing expires
 * in a test, or short enough to wait for. */
#include <weir.h>

#include "support/check.h"

#include <limits.h>
#include <string.h>
#include <time.h>

static weir *open_default(void) {
    weir_error error;
    weir      *w = weir_open("memory:", NULL, &error);
    CHECK_NE(w, NULL);
    CHECK_EQ(error.status, WEIR_OK);
    return w;
}

static weir_decision decide(weir *w, const weir_request *r) {
    weir_decision d;
    memset(&d, 0xee, sizeof d);
    weir_status status = weir_decide(w, r, &d);
    CHECK_EQ(d.status, status);
    for (size_t i = 0; i < sizeof d.reserved / sizeof *d.reserved; i++) CHECK_EQ(d.reserved[i], 0);
    return d;
}

/* ---- opening ---- */

TEST(a_limiter_opens_and_closes) {
    weir *w = weir_open("memory:", NULL, NULL);
    CHECK_NE(w, NULL);
    weir_close(w);
    weir_close(NULL);
}

TEST(a_url_that_is_no_store_is_refused_by_name) {
    static const char *const urls[] = {
        "", "memory", "memory:x", "memory: ", "file", "cassandra:h", "MEMORY:", " memory:"};
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        weir_error error;
        CHECK_EQ(weir_open(urls[i], NULL, &error), NULL);
        CHECK_EQ(error.status, WEIR_BAD_URL);
        CHECK_CONTAINS(error.text, urls[i]);
        CHECK_CONTAINS(error.text, "memory:");
    }
    weir_error error;
    CHECK_EQ(weir_open("postgres://ann:secret@host/0", NULL, &error), NULL);
    CHECK_CONTAINS(error.text, "postgres:");
    CHECK_EQ(strstr(error.text, "secret"), NULL);
    CHECK_EQ(weir_open("postgres://", NULL, NULL), NULL);
    char long_url[4096];
    memset(long_url, 'x', sizeof long_url - 1);
    long_url[sizeof long_url - 1] = 0;
    CHECK_EQ(weir_open(long_url, NULL, &error), NULL);
    CHECK_LT(strlen(error.text), sizeof error.text);
}

TEST(a_redis_url_that_makes_no_sense_is_refused_without_its_password) {
    static const struct {
        const char *url, *says;
    } cases[] = {
        {"redis://", "host"},
        {"redis://ann:hunter2@", "host"},
        {"redis://ann:hunter2@h/many", "database"},
        {"redis://h?colour=red", "replicas, nodes"},
        {"redis://ann:hunter2@h?policy=maybe", "closed, open or local"},
        {"redis://h?policy", "name=value"},
        {"redis://h?deadline=0s", "deadline"},
        {"redis://h?deadline=soon", "deadline"},
        {"redis://h?nodes=0", "nodes"},
        {"redis://h?replicas=-1", "replicas"},
        {"redis://h?replicas=1001", "replicas"},
        {"redis://h?secret=", "secret"},
        {"redis://h?secret=%zz", "%XX"},
        {"redis://h?secret=%00", "%XX"},
        {"rediss://h?ca-file=/not/there", "/not/there"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_error error = {.status = WEIR_OK};
        CHECK_EQ(weir_open(cases[i].url, NULL, &error), NULL);
        CHECK_EQ(error.status, WEIR_BAD_URL);
        CHECK_CONTAINS(error.text, cases[i].says);
        CHECK_EQ(strstr(error.text, "hunter2"), NULL);
    }
}

/* Nobody listens at port 1. */
TEST(the_policy_decides_while_redis_is_away) {
    weir_options options = WEIR_OPTIONS_DEFAULT;
    options.nodes        = 2;
    weir *w = weir_open("redis://127.0.0.1:1?policy=closed&deadline=10ms", &options, NULL);
    CHECK_NE(w, NULL);
    weir_request  r = weir_request_for("ann", 3, 4, WEIR_HOUR);
    weir_decision d = decide(w, &r);
    CHECK(!d.allowed);
    CHECK_EQ(d.how, WEIR_HOW_CLOSED);
    CHECK_NE(d.why, WEIR_WHY_NONE);

    r.policy = WEIR_POLICY_OPEN;
    d        = decide(w, &r);
    CHECK(d.allowed);
    CHECK_EQ(d.how, WEIR_HOW_OPEN);

    r.policy = WEIR_POLICY_LOCAL; /* a half of 4 */
    for (unsigned i = 0; i < 4; i++) {
        d = decide(w, &r);
        CHECK_EQ(d.allowed, i < 2);
        CHECK_EQ(d.how, WEIR_HOW_LOCAL);
    }
    r.cost = 5; /* above the limit, whatever the store would say */
    d      = decide(w, &r);
    CHECK(!d.allowed);
    CHECK_EQ(d.retry_after_ns, WEIR_NEVER);
    CHECK_EQ(d.how, WEIR_HOW_LEASE);
    CHECK_EQ(weir_reset(w, &r), WEIR_STORE_DOWN);

    r.cost      = 1;
    r.algorithm = WEIR_GCRA;
    CHECK_EQ(decide(w, &r).status, WEIR_UNSUPPORTED);
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.degraded, 6);
    CHECK_EQ(s.refused, 1);
    weir_close(w);
}

TEST(options_are_checked) {
    weir_error   error;
    weir_options o    = WEIR_OPTIONS_DEFAULT;
    o.clock_error_ppm = 100001;
    CHECK_EQ(weir_open("memory:", &o, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "100001");

    o           = (weir_options)WEIR_OPTIONS_DEFAULT;
    o.users_max = UINT64_MAX;
    CHECK_EQ(weir_open("memory:", &o, &error), NULL);
    CHECK(error.status == WEIR_BAD_OPTIONS || error.status == WEIR_NO_MEMORY);

    for (size_t i = 0; i < sizeof o.reserved / sizeof *o.reserved; i++) {
        o             = (weir_options)WEIR_OPTIONS_DEFAULT;
        o.reserved[i] = 1;
        CHECK_EQ(weir_open("memory:", &o, &error), NULL);
        CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    }
    o        = (weir_options)WEIR_OPTIONS_DEFAULT;
    o.policy = WEIR_POLICY_LOCAL + 1;
    CHECK_EQ(weir_open("memory:", &o, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "policy");

    o             = (weir_options)WEIR_OPTIONS_DEFAULT;
    o.deadline_ns = -1;
    CHECK_EQ(weir_open("memory:", &o, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "deadline_ns");

    o      = (weir_options)WEIR_OPTIONS_DEFAULT;
    o.size = 0;
    CHECK_EQ(weir_open("memory:", &o, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
}

TEST(options_of_an_older_and_of_a_newer_program_are_taken) {
    struct {
        weir_options known;
        uint64_t     new_field;
    } newer               = {.known = WEIR_OPTIONS_DEFAULT};
    newer.known.size      = sizeof newer;
    newer.known.users_max = 5;
    weir *w               = weir_open("memory:", &newer.known, NULL);
    CHECK_NE(w, NULL);
    weir_close(w);

    weir_error error;
    newer.new_field = 1; /* Something that this library does not know. */
    CHECK_EQ(weir_open("memory:", &newer.known, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);

    weir_options older = {.size            = offsetof(weir_options, clock_error_ppm),
                          .users_max       = 7,
                          .clock_error_ppm = UINT64_MAX};
    w                  = weir_open("memory:", &older, &error);
    CHECK_NE(w, NULL);
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.users_max, 7);
    weir_close(w);
}

TEST(every_number_of_users_from_one_up_can_be_asked_for) {
    static const uint64_t counts[] = {1, 2, 15, 16, 100, 12345, 10000000, 1000000000};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        weir_options o = WEIR_OPTIONS_DEFAULT;
        weir_error   error;
        o.users_max = counts[i];
        weir *w     = weir_open("memory:", &o, &error);
        if (w == NULL && counts[i] == 1000000000)
            continue; /* 76 GB of address space may not be had. */
        CHECK_NE(w, NULL);
        CHECK(weir_allow(w, "ann", 1, WEIR_HOUR));
        CHECK(!weir_allow(w, "ann", 1, WEIR_HOUR));
        weir_close(w);
    }
}

/* ---- asking ---- */

TEST(allow_is_the_missions_function) {
    weir *w = open_default();
    for (unsigned i = 0; i < 3; i++) CHECK(weir_allow(w, "ann", 3, WEIR_HOUR));
    CHECK(!weir_allow(w, "ann", 3, WEIR_HOUR));
    CHECK(weir_allow(w, "bob", 3, WEIR_HOUR));
    CHECK(weir_allow(w, "", 1, WEIR_HOUR));
    CHECK(!weir_allow(w, "", 1, WEIR_HOUR));
    CHECK(!weir_allow(w, "cat", 0, WEIR_HOUR));
    CHECK(!weir_allow(w, "cat", WEIR_LIMIT_MAX + 1, WEIR_HOUR));
    CHECK(!weir_allow(w, "cat", 1, 0));
    CHECK(!weir_allow(w, "cat", 1, -1));
    CHECK(!weir_allow(w, "cat", 1, INT64_MAX));
    CHECK(!weir_allow(w, NULL, 1, WEIR_HOUR));
    CHECK(weir_allow(w, "cat", WEIR_LIMIT_MAX, WEIR_WINDOW_MAX));
    weir_close(w);
}

TEST(allow_and_decide_share_the_counter) {
    weir        *w = open_default();
    weir_request r = weir_request_for("ann", 3, 5, WEIR_HOUR);
    CHECK(weir_allow(w, "ann", 5, WEIR_HOUR));
    CHECK_EQ(decide(w, &r).remaining, 3);
    weir_close(w);
}

TEST(permits_come_back_when_the_window_has_passed) {
    weir        *w = open_default();
    weir_request r = weir_request_for("ann", 3, 1, 20 * WEIR_MILLISECOND);
    CHECK(decide(w, &r).allowed);
    weir_decision d = decide(w, &r);
    if (!d.allowed) {
        CHECK_GT(d.retry_after_ns, 0);
        CHECK_LE(d.retry_after_ns, 20 * WEIR_MILLISECOND);
        struct timespec wait = {.tv_nsec = d.retry_after_ns};
        nanosleep(&wait, NULL);
        CHECK(decide(w, &r).allowed);
    }
    weir_close(w);
}

TEST(each_field_out_of_range_has_its_status) {
    weir *w = open_default();
    struct {
        weir_request request;
        weir_status  status;
    } cases[] = {
        {{.user = NULL, .user_bytes = 1, .limit = 1, .window_ns = WEIR_SECOND}, WEIR_BAD_USER},
        {{.user = "x", .user_bytes = WEIR_USER_BYTES_MAX + 1, .limit = 1, .window_ns = WEIR_SECOND},
         WEIR_BAD_USER},
        {{.user = "x", .user_bytes = SIZE_MAX, .limit = 1, .window_ns = WEIR_SECOND},
         WEIR_BAD_USER},
        {{.limit = WEIR_LIMIT_MAX + 1, .window_ns = WEIR_SECOND}, WEIR_BAD_LIMIT},
        {{.limit = UINT64_MAX, .window_ns = WEIR_SECOND}, WEIR_BAD_LIMIT},
        {{.limit = 1, .window_ns = 999}, WEIR_BAD_WINDOW},
        {{.limit = 1, .window_ns = INT64_MIN}, WEIR_BAD_WINDOW},
        {{.limit = 1, .window_ns = WEIR_WINDOW_MAX + 1}, WEIR_BAD_WINDOW},
        {{.limit = 1, .window_ns = WEIR_SECOND, .burst = 1}, WEIR_BAD_BURST},
        {{.limit = 1, .window_ns = WEIR_SECOND, .burst = 1, .algorithm = WEIR_FIXED},
         WEIR_BAD_BURST},
        {{.limit     = 1,
          .window_ns = WEIR_SECOND,
          .burst     = WEIR_LIMIT_MAX + 1,
          .algorithm = WEIR_GCRA},
         WEIR_BAD_BURST},
        {{.limit = 1, .window_ns = WEIR_YEAR, .burst = 1000, .algorithm = WEIR_GCRA},
         WEIR_BAD_BURST},
        {{.limit = 1, .window_ns = WEIR_SECOND, .algorithm = 3}, WEIR_BAD_ALGORITHM},
        {{.limit = 1, .window_ns = WEIR_SECOND, .flags = 1}, WEIR_BAD_REQUEST},
        {{.limit = 1, .window_ns = WEIR_SECOND, .request_id = {[15] = 1}}, WEIR_BAD_REQUEST},
        {{.limit = 1, .window_ns = WEIR_SECOND, .reserved = 1}, WEIR_BAD_REQUEST},
        {{.limit = 1, .window_ns = WEIR_SECOND, .deadline_ns = -1}, WEIR_BAD_REQUEST},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        weir_decision d = decide(w, &cases[i].request);
        CHECK_SAYS(d.status == cases[i].status, "case %zu: %s", i,
                   weir_status_text((weir_status)d.status));
        CHECK(!d.allowed);
        CHECK_EQ(d.how, WEIR_HOW_NONE);
    }
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.refused, sizeof cases / sizeof *cases);
    CHECK_EQ(s.users, 0);
    weir_close(w);
}

TEST(any_bytes_are_a_user) {
    static char big[WEIR_USER_BYTES_MAX];
    memset(big, 0xc3, sizeof big); /* not UTF-8 */
    static const char *const users[] = {"",     "\0",           "\0\0",    "a\0b",
                                        "a\0c", "\xff\xfe\xfd", "\xc3\x28"};
    static const size_t      bytes[] = {0, 1, 2, 3, 3, 3, 2};
    weir                    *w       = open_default();
    for (size_t i = 0; i < sizeof users / sizeof *users; i++) {
        weir_request r = weir_request_for(users[i], bytes[i], 1, WEIR_HOUR);
        CHECK(decide(w, &r).allowed);
        CHECK(!decide(w, &r).allowed);
    }
    weir_request r = weir_request_for(NULL, 0, 1, WEIR_HOUR);
    CHECK(!decide(w, &r).allowed); /* The empty user, who was here. */
    r = weir_request_for(big, sizeof big, 1, WEIR_HOUR);
    CHECK(decide(w, &r).allowed);
    CHECK(!decide(w, &r).allowed);
    r.user_bytes--; /* Another. */
    CHECK(decide(w, &r).allowed);
    weir_close(w);
}

TEST(a_cost_of_any_size_is_answered) {
    weir        *w = open_default();
    weir_request r = weir_request_for("ann", 3, 10, WEIR_HOUR);
    r.cost         = UINT64_MAX;
    CHECK_EQ(decide(w, &r).retry_after_ns, WEIR_NEVER);
    r.cost = 11;
    CHECK_EQ(decide(w, &r).retry_after_ns, WEIR_NEVER);
    r.cost = 10;
    CHECK(decide(w, &r).allowed);
    r.cost = 0;
    CHECK(!decide(w, &r).allowed);
    r.limit = 0;
    CHECK(!decide(w, &r).allowed);
    r = (weir_request){.user        = "all",
                       .user_bytes  = SIZE_MAX,
                       .limit       = UINT64_MAX,
                       .window_ns   = -1,
                       .cost        = UINT64_MAX,
                       .burst       = UINT64_MAX,
                       .deadline_ns = -1,
                       .algorithm   = UINT32_MAX,
                       .flags       = UINT32_MAX};
    CHECK_NE(decide(w, &r).status, WEIR_OK);
    weir_close(w);
}

TEST(each_algorithm_says_how_it_decided) {
    weir *w = open_default();
    for (uint32_t a = WEIR_STRICT; a <= WEIR_FIXED; a++) {
        weir_request r = weir_request_for("ann", 3, 2, WEIR_YEAR);
        r.algorithm    = a;
        CHECK_EQ(decide(w, &r).how, a + 1);
        CHECK(decide(w, &r).allowed);
        weir_decision d = decide(w, &r);
        CHECK(!d.allowed);
        CHECK_EQ(d.how, a + 1);
        CHECK_EQ(d.remaining, 0);
    }
    weir_close(w);
}

static void must_not_be_called(weir_ticket *ticket) {
    CHECK_EQ(ticket, NULL); /* nobody waits for memory */
}

TEST(a_ticket_is_answered_at_once_where_no_store_is_asked) {
    weir        *w      = open_default();
    weir_request r      = weir_request_for("ann", 3, 1, WEIR_HOUR);
    weir_ticket  ticket = {.done = must_not_be_called};
    CHECK(weir_decide_async(w, &r, &ticket));
    CHECK_EQ(ticket.decision.status, WEIR_OK);
    CHECK(ticket.decision.allowed);
    CHECK(weir_decide_async(w, &r, &ticket));
    CHECK(!ticket.decision.allowed);
    r.policy = UINT32_MAX;
    CHECK(weir_decide_async(w, &r, &ticket));
    CHECK_EQ(ticket.decision.status, WEIR_BAD_REQUEST);
    weir_close(w);
}

TEST(many_answer_each_for_itself) {
    weir         *w = open_default();
    weir_request  r[70];
    weir_decision d[70];
    for (size_t i = 0; i < 70; i++) r[i] = weir_request_for("ann", 3, 40, WEIR_HOUR);
    r[13].window_ns = 0;
    r[50].limit     = UINT64_MAX;
    CHECK_EQ(weir_decide_many(w, r, 70, d), WEIR_BAD_WINDOW);
    unsigned allowed = 0;
    for (size_t i = 0; i < 70; i++) allowed += d[i].allowed;
    CHECK_EQ(allowed, 40);
    CHECK_EQ(d[13].status, WEIR_BAD_WINDOW);
    CHECK_EQ(d[50].status, WEIR_BAD_LIMIT);
    CHECK_EQ(weir_decide_many(w, r, 0, d), WEIR_OK);
    CHECK_EQ(weir_decide_many(w, NULL, 0, NULL), WEIR_OK);
    weir_close(w);
}

TEST(all_pass_or_nothing_counts) {
    weir         *w    = open_default();
    weir_request  r[2] = {weir_request_for("ann", 3, 10, WEIR_SECOND * 100),
                          weir_request_for("org", 3, 1, WEIR_DAY)};
    weir_decision d[2];
    CHECK_EQ(weir_decide_all(w, r, 2, d), WEIR_OK);
    CHECK(d[0].allowed && d[1].allowed);
    CHECK_EQ(weir_decide_all(w, r, 2, d), WEIR_OK);
    CHECK(d[0].allowed && !d[1].allowed);
    r[0].cost = 0;
    CHECK_EQ(decide(w, &r[0]).remaining, 9);
    CHECK_EQ(weir_decide_all(w, NULL, 0, NULL), WEIR_OK);
    weir_close(w);
}

TEST(a_reset_forgets_one_counter) {
    weir        *w = open_default();
    weir_request r = weir_request_for("ann", 3, 1, WEIR_HOUR);
    CHECK(decide(w, &r).allowed);
    CHECK(!decide(w, &r).allowed);
    weir_request other = {
        .user = "ann", .user_bytes = 3, .limit = UINT64_MAX, .window_ns = WEIR_HOUR, .cost = 77};
    CHECK_EQ(weir_reset(w, &other), WEIR_OK); /* Its other fields are not looked at. */
    CHECK(decide(w, &r).allowed);
    other.window_ns = 0;
    CHECK_EQ(weir_reset(w, &other), WEIR_BAD_WINDOW);
    other.algorithm = 9;
    CHECK_EQ(weir_reset(w, &other), WEIR_BAD_ALGORITHM);
    other = (weir_request){.user = NULL, .user_bytes = 3, .window_ns = WEIR_HOUR};
    CHECK_EQ(weir_reset(w, &other), WEIR_BAD_USER);
    weir_close(w);
}

/* ---- telling ---- */

TEST(statistics_grow_without_breaking_programs) {
    weir *w = open_default();
    CHECK(weir_allow(w, "ann", 1, WEIR_HOUR));
    CHECK(!weir_allow(w, "ann", 1, WEIR_HOUR));
    CHECK(!weir_allow(w, "ann", 1, 0));
    weir_statistics s;
    memset(&s, 0xee, sizeof s);
    s.size = sizeof s;
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.denied, 1);
    CHECK_EQ(s.refused, 1);
    CHECK_EQ(s.users, 1);
    CHECK_EQ(s.overflowed, 0);
    CHECK_EQ(s.users_max, 10000000);
    CHECK_GT(s.memory_bytes, 0);
    for (size_t i = 0; i < sizeof s.reserved / sizeof *s.reserved; i++) CHECK_EQ(s.reserved[i], 0);

    /* An older program, whose structure ends after `allowed`. */
    memset(&s, 0xee, sizeof s);
    s.size = offsetof(weir_statistics, denied);
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_EQ(s.allowed, 1);
    CHECK_EQ(s.denied, UINT64_C(0xeeeeeeeeeeeeeeee));

    /* A newer one. */
    struct {
        weir_statistics known;
        uint64_t        more;
    } newer = {.known.size = sizeof newer, .more = 5};
    CHECK_EQ(weir_stats(w, &newer.known), WEIR_OK);
    CHECK_EQ(newer.more, 0);
    CHECK_EQ(newer.known.size, sizeof newer);

    s.size = 0;
    CHECK_EQ(weir_stats(w, &s), WEIR_BAD_REQUEST);
    weir_close(w);
}

TEST(explain_tells_what_each_rule_means) {
    weir_explanation e = {.size = sizeof e};
    weir_request     r = weir_request_for(NULL, 0, 100, WEIR_MINUTE);
    CHECK_EQ(weir_explain(&r, &e), WEIR_OK);
    CHECK(e.is_strict);
    CHECK_EQ(e.worst_window, 100);
    CHECK_EQ(e.burst, 100);
    CHECK_EQ(e.quantum, 1);
    CHECK_GT(e.cell_ns, 0);
    CHECK_LE(e.cell_ns, WEIR_MINUTE / 160 + 1);
    CHECK_EQ(e.interval_ns, 0);
    CHECK(e.user_bytes >= 64 && e.user_bytes <= 80);

    r.limit = WEIR_LIMIT_MAX;
    CHECK_EQ(weir_explain(&r, &e), WEIR_OK);
    CHECK(e.is_strict);
    CHECK_LE((double)e.quantum, 0.007 * (double)r.limit);

    r           = weir_request_for(NULL, 0, 30, WEIR_MINUTE);
    r.algorithm = WEIR_GCRA;
    r.burst     = 16;
    CHECK_EQ(weir_explain(&r, &e), WEIR_OK);
    CHECK(!e.is_strict);
    CHECK_EQ(e.worst_window, 45);
    CHECK_EQ(e.burst, 16);
    CHECK_EQ(e.interval_ns, 2 * WEIR_SECOND);

    r           = weir_request_for(NULL, 0, 30, WEIR_MINUTE);
    r.algorithm = WEIR_FIXED;
    CHECK_EQ(weir_explain(&r, &e), WEIR_OK);
    CHECK(!e.is_strict);
    CHECK_EQ(e.worst_window, 60);

    for (uint32_t a = WEIR_STRICT; a <= WEIR_FIXED; a++) { /* Nothing passes: that is strict. */
        r           = weir_request_for(NULL, 0, 0, WEIR_MINUTE);
        r.algorithm = a;
        CHECK_EQ(weir_explain(&r, &e), WEIR_OK);
        CHECK_EQ(e.worst_window, 0);
        CHECK(e.is_strict);
    }
    r.window_ns = 0;
    CHECK_EQ(weir_explain(&r, &e), WEIR_BAD_WINDOW);
    e.size = 0;
    CHECK_EQ(weir_explain(&r, &e), WEIR_BAD_REQUEST);
}

TEST(every_status_has_a_text_of_its_own) {
    static const weir_status all[] = {
#define STATUS_VALUE(name, value, text) name,
        WEIR_STATUS_TABLE(STATUS_VALUE)
#undef STATUS_VALUE
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const char *text = weir_status_text(all[i]);
        CHECK_GT(strlen(text), 0);
        CHECK_NE(text[strlen(text) - 1], '.');
        for (size_t k = 0; k < i; k++) CHECK_NE(strcmp(text, weir_status_text(all[k])), 0);
    }
    CHECK_NE(weir_status_text((weir_status)999), NULL);
    for (int why = WEIR_WHY_NONE; why <= WEIR_WHY_ENDING; why++)
        for (int other = WEIR_WHY_NONE; other < why; other++)
            CHECK_NE(strcmp(weir_why_text((weir_why)why), weir_why_text((weir_why)other)), 0);
    CHECK_NE(weir_why_text((weir_why)999), NULL);
    CHECK_STR_EQ(weir_version(), "0.1.0");
}

/* Programs and libraries of different versions meet here: these numbers are for ever. */
TEST(the_layout_of_what_callers_pass_is_fixed) {
    CHECK_EQ(sizeof(weir_request), 96);
    CHECK_EQ(sizeof(weir_decision), 64);
    CHECK_EQ(offsetof(weir_request, user_bytes), 8);
    CHECK_EQ(offsetof(weir_request, algorithm), 56);
    CHECK_EQ(offsetof(weir_request, flags), 60);
    CHECK_EQ(offsetof(weir_request, request_id), 64);
    CHECK_EQ(offsetof(weir_decision, remaining), 8);
    CHECK_EQ(offsetof(weir_decision, reset_after_ns), 24);
}
