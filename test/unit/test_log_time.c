/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include "wire/log_time.h"

#include <time.h>

#include "base/random.h"

#define SECOND_NS UINT64_C(1000000000)

static uint64_t clf(const char *text) {
    uint64_t time_ns = 1;
    return log_time_parse_clf(view_of(text), &time_ns) ? time_ns : UINT64_MAX;
}

static uint64_t rfc3339(const char *text) {
    uint64_t time_ns = 1;
    return log_time_parse_rfc3339(view_of(text), &time_ns) ? time_ns : UINT64_MAX;
}

static uint64_t number(const char *text, enum log_time_unit unit) {
    uint64_t time_ns = 1;
    return log_time_parse_number(view_of(text), unit, &time_ns) ? time_ns : UINT64_MAX;
}

TEST(clf_times_are_read_with_any_zone) {
    CHECK_EQ(clf("17/May/2015:10:05:03 +0000"), 1431857103 * SECOND_NS);
    CHECK_EQ(clf("17/May/2015:12:05:03 +0200"), 1431857103 * SECOND_NS);
    CHECK_EQ(clf("17/May/2015:04:35:03 -0530"), 1431857103 * SECOND_NS);
    CHECK_EQ(clf("01/Jan/1970:00:00:00 +0000"), 0);
    CHECK_EQ(clf("31/Dec/1969:23:00:00 -0100"), 0);
    CHECK_EQ(clf("29/Feb/2000:00:00:00 +0000"), 951782400 * SECOND_NS);
    CHECK_EQ(clf("30/Jun/2015:23:59:60 +0000"), 1435708800 * SECOND_NS);
}

TEST(clf_times_that_make_no_sense_are_refused) {
    static const char *const wrong[] = {
        "",
        "17/May/2015:10:05:03",
        "17/May/2015:10:05:03 +000",
        "17/May/2015:10:05:03 +00000",
        "17/May/2015:10:05:03 00000",
        "17/Mai/2015:10:05:03 +0000",
        "32/May/2015:10:05:03 +0000",
        "00/May/2015:10:05:03 +0000",
        "29/Feb/2015:10:05:03 +0000",
        "29/Feb/2100:10:05:03 +0000",
        "31/Apr/2015:10:05:03 +0000",
        "17/May/2015:24:05:03 +0000",
        "17/May/2015:10:60:03 +0000",
        "17/May/2015:10:05:61 +0000",
        "17/May/2015:10:05:03 +2400",
        "17/May/2015:10:05:03 +0060",
        "17-May-2015:10:05:03 +0000",
        "1a/May/2015:10:05:03 +0000",
        "31/Dec/1969:23:59:59 +0000",
        "01/Jan/2117:00:00:00 +0000",
        "01/Jan/9999:00:00:00 +0000",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_SAYS(clf(wrong[i]) == UINT64_MAX, "'%s' was read", wrong[i]);
    }
}

TEST(rfc3339_times_are_read_with_fraction_and_zone) {
    CHECK_EQ(rfc3339("2015-05-17T10:05:03Z"), 1431857103 * SECOND_NS);
    CHECK_EQ(rfc3339("2015-05-17t10:05:03z"), 1431857103 * SECOND_NS);
    CHECK_EQ(rfc3339("2015-05-17T10:05:03.25Z"), 1431857103 * SECOND_NS + 250000000);
    CHECK_EQ(rfc3339("2015-05-17T10:05:03,123+00:00"), 1431857103 * SECOND_NS + 123000000);
    CHECK_EQ(rfc3339("2015-05-17T10:05:03.123456789012Z"), 1431857103 * SECOND_NS + 123456789);
    CHECK_EQ(rfc3339("2015-05-17T12:05:03+02:00"), 1431857103 * SECOND_NS);
    CHECK_EQ(rfc3339("2015-05-17T12:05:03+0200"), 1431857103 * SECOND_NS);
    CHECK_EQ(rfc3339("2015-05-17 12:05:03.5 +0200"), 1431857103 * SECOND_NS + 500000000);
    CHECK_EQ(rfc3339("2015-05-17 10:05:03"), 1431857103 * SECOND_NS);
}

TEST(rfc3339_times_that_make_no_sense_are_refused) {
    static const char *const wrong[] = {
        "",
        "2015-05-17",
        "2015-05-17T10:05",
        "2015-05-17T10:05:03.",
        "2015-05-17T10:05:03.Z",
        "2015-05-17T10:05:03+",
        "2015-05-17T10:05:03+2:00",
        "2015-05-17T10:05:03ZZ",
        "2015-13-17T10:05:03Z",
        "2015-02-29T10:05:03Z",
        "2015/05/17T10:05:03Z",
        "2015-05-17x10:05:03Z",
        "-015-05-17T10:05:03Z",
        "1960-05-17T10:05:03Z",
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_SAYS(rfc3339(wrong[i]) == UINT64_MAX, "'%s' was read", wrong[i]);
    }
}

TEST(numbers_are_times_in_the_unit_that_their_size_tells) {
    uint64_t whole = 1431857103 * SECOND_NS;
    CHECK_EQ(number("1431857103", LOG_TIME_GUESS), whole);
    CHECK_EQ(number("1431857103250", LOG_TIME_GUESS), whole + 250000000);
    CHECK_EQ(number("1431857103250001", LOG_TIME_GUESS), whole + 250001000);
    CHECK_EQ(number("1431857103250001002", LOG_TIME_GUESS), whole + 250001002);
    CHECK_EQ(number("1431857103.25", LOG_TIME_GUESS), whole + 250000000);
    CHECK_EQ(number("1431857103.123456789", LOG_TIME_GUESS), whole + 123456789);
    CHECK_EQ(number("1431857103.1234567899", LOG_TIME_GUESS), whole + 123456789);
    CHECK_EQ(number("1.43185710325e9", LOG_TIME_GUESS), whole + 250000000);
    CHECK_EQ(number("1.43185710325E+12", LOG_TIME_GUESS), whole + 250000000);
    CHECK_EQ(number("14318571032500000000e-10", LOG_TIME_GUESS), whole + 250000000);
}

TEST(numbers_are_times_in_the_unit_that_is_told) {
    CHECK_EQ(number("5", LOG_TIME_SECONDS), 5 * SECOND_NS);
    CHECK_EQ(number("5", LOG_TIME_MILLISECONDS), 5000000);
    CHECK_EQ(number("5", LOG_TIME_MICROSECONDS), 5000);
    CHECK_EQ(number("5", LOG_TIME_NANOSECONDS), 5);
    CHECK_EQ(number("5.5", LOG_TIME_NANOSECONDS), 5);
    CHECK_EQ(number("5e-3", LOG_TIME_SECONDS), 5000000);
    CHECK_EQ(number("12e-12", LOG_TIME_SECONDS), 0);
    CHECK_EQ(number("0", LOG_TIME_SECONDS), 0);
}

TEST(numbers_that_are_no_times_are_refused) {
    static const char *const wrong[] = {"",      "-1",         "+1",   "1x",
                                        ".",     "1e",         "1e+",  "1e999",
                                        "1.2.3", "e5",         "nan",  "99999999999999999999",
                                        "1e18",  "5000000000", "0x10", " 1"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_SAYS(number(wrong[i], LOG_TIME_SECONDS) == UINT64_MAX, "'%s' was read", wrong[i]);
    }
}

TEST(random_instants_come_back_as_the_c_library_wrote_them) {
    struct random r = {check_seed()};
    for (uint64_t i = 0; i < check_effort(20000); i++) {
        time_t    seconds = (time_t)random_below(&r, 4611686018);
        struct tm tm;
        char      text[64];
        gmtime_r(&seconds, &tm);
        strftime(text, sizeof text, "%d/%b/%Y:%H:%M:%S +0000", &tm);
        CHECK_EQ(clf(text), (uint64_t)seconds * SECOND_NS);
        strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm);
        CHECK_EQ(rfc3339(text), (uint64_t)seconds * SECOND_NS);
    }
}
