/* SPDX-License-Identifier: MIT */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "support/check.h"

static bool number_is(const char *text, uint64_t expected) {
    uint64_t number = expected + 1;
    return text_number_parse(view_of(text), &number) && number == expected;
}

static bool number_is_refused(const char *text) {
    uint64_t number = 4711;
    return !text_number_parse(view_of(text), &number) && number == 4711;
}

static bool duration_is(const char *text, int64_t expected) {
    int64_t duration = -1;
    return text_duration_parse(view_of(text), &duration) && duration == expected;
}

static bool duration_is_refused(const char *text) {
    int64_t duration = -1;
    return !text_duration_parse(view_of(text), &duration) && duration == -1;
}

static bool rate_is(const char *text, uint64_t limit, int64_t window_ns) {
    uint64_t l;
    int64_t  w;
    return text_rate_parse(view_of(text), &l, &w) && l == limit && w == window_ns;
}

static bool rate_is_refused(const char *text) {
    uint64_t l = 1;
    int64_t  w = 2;
    return !text_rate_parse(view_of(text), &l, &w) && l == 1 && w == 2;
}

static const char *written(int64_t duration_ns) {
    static char text[TEXT_DURATION_BYTES_MAX];
    size_t      bytes = text_duration_write(duration_ns, text);
    CHECK_EQ(bytes, strlen(text));
    return text;
}

static const char *shown(int64_t duration_ns) {
    static char text[TEXT_DURATION_BYTES_MAX];
    size_t      bytes = text_duration_write_short(duration_ns, text);
    CHECK_EQ(bytes, strlen(text));
    return text;
}

TEST(numbers_go_from_0_to_the_last_that_fits) {
    CHECK(number_is("0", 0));
    CHECK(number_is("42", 42));
    CHECK(number_is("007", 7));
    CHECK(number_is("18446744073709551615", UINT64_MAX));
    CHECK(number_is("00000000000000000000000018446744073709551615", UINT64_MAX));
    CHECK(number_is_refused("18446744073709551616"));
    CHECK(number_is_refused("99999999999999999999"));
    CHECK(number_is_refused("184467440737095516150"));
}

TEST(a_number_is_digits_and_nothing_else) {
    CHECK(number_is_refused(""));
    CHECK(number_is_refused(" 1"));
    CHECK(number_is_refused("1 "));
    CHECK(number_is_refused("+1"));
    CHECK(number_is_refused("-1"));
    CHECK(number_is_refused("1e3"));
    CHECK(number_is_refused("0x10"));
    CHECK(number_is_refused("1,000"));
    uint64_t number;
    CHECK(!text_number_parse((struct view){.data = "1\0", .bytes = 2}, &number));
}

TEST(integers_reach_both_ends) {
    int64_t integer;
    CHECK(text_integer_parse(view_of("-9223372036854775808"), &integer));
    CHECK_EQ(integer, INT64_MIN);
    CHECK(text_integer_parse(view_of("9223372036854775807"), &integer));
    CHECK_EQ(integer, INT64_MAX);
    CHECK(text_integer_parse(view_of("-0"), &integer));
    CHECK_EQ(integer, 0);
    CHECK(!text_integer_parse(view_of("9223372036854775808"), &integer));
    CHECK(!text_integer_parse(view_of("-9223372036854775809"), &integer));
    CHECK(!text_integer_parse(view_of("-"), &integer));
    CHECK(!text_integer_parse(view_of("--1"), &integer));
    CHECK(!text_integer_parse(view_of(""), &integer));
}

TEST(durations_have_a_whole_number_and_a_unit) {
    CHECK(duration_is("0s", 0));
    CHECK(duration_is("1ns", 1));
    CHECK(duration_is("250us", 250000));
    CHECK(duration_is("10ms", 10000000));
    CHECK(duration_is("1s", 1000000000));
    CHECK(duration_is("5m", INT64_C(300000000000)));
    CHECK(duration_is("2h", INT64_C(7200000000000)));
    CHECK(duration_is("1d", INT64_C(86400000000000)));
    CHECK(duration_is("1w", INT64_C(604800000000000)));
    CHECK(duration_is("9223372036854775807ns", INT64_MAX));
    CHECK(duration_is("15250w", INT64_C(15250) * 604800000000000));
    CHECK(duration_is_refused("9223372036854775808ns"));
    CHECK(duration_is_refused("15251w"));
    CHECK(duration_is_refused("18446744073709551616s"));
    CHECK(duration_is_refused("18446744073709551615w"));
    CHECK(duration_is_refused(""));
    CHECK(duration_is_refused("s"));
    CHECK(duration_is_refused("10"));
    CHECK(duration_is_refused("1.5s"));
    CHECK(duration_is_refused("1 s"));
    CHECK(duration_is_refused("1S"));
    CHECK(duration_is_refused("1h30m"));
    CHECK(duration_is_refused("-1s"));
    CHECK(duration_is_refused("1min"));
}

TEST(rates_have_a_limit_a_slash_and_a_window) {
    CHECK(rate_is("100/1m", 100, INT64_C(60000000000)));
    CHECK(rate_is("5/s", 5, 1000000000));
    CHECK(rate_is("0/1s", 0, 1000000000));
    CHECK(rate_is("3/0s", 3, 0));
    CHECK(rate_is("18446744073709551615/1ns", UINT64_MAX, 1));
    CHECK(rate_is_refused("18446744073709551616/1s"));
    CHECK(rate_is_refused("100"));
    CHECK(rate_is_refused("100/"));
    CHECK(rate_is_refused("/1m"));
    CHECK(rate_is_refused("100/1m/1m"));
    CHECK(rate_is_refused("100/60"));
    CHECK(rate_is_refused("-1/1m"));
    CHECK(rate_is_refused("1/-1m"));
    CHECK(rate_is_refused("100 / 1m"));
    CHECK(rate_is_refused(""));
}

TEST(durations_are_written_in_their_largest_whole_unit) {
    CHECK_STR_EQ(written(0), "0s");
    CHECK_STR_EQ(written(1), "1ns");
    CHECK_STR_EQ(written(1500000000), "1500ms");
    CHECK_STR_EQ(written(INT64_C(60000000000)), "1m");
    CHECK_STR_EQ(written(INT64_C(90000000000)), "90s");
    CHECK_STR_EQ(written(INT64_C(86400000000000)), "1d");
    CHECK_STR_EQ(written(INT64_C(365) * 86400000000000), "365d");
    CHECK_STR_EQ(written(INT64_MAX), "9223372036854775807ns");
    char text[TEXT_DURATION_BYTES_MAX];
    CHECK_TRAPS(text_duration_write(-1, text));
}

TEST(durations_for_people_have_three_digits_or_two_units) {
    CHECK_STR_EQ(shown(0), "0s");
    CHECK_STR_EQ(shown(1), "1ns");
    CHECK_STR_EQ(shown(999), "999ns");
    CHECK_STR_EQ(shown(1000), "1us");
    CHECK_STR_EQ(shown(1234), "1.23us");
    CHECK_STR_EQ(shown(999499), "999us");
    CHECK_STR_EQ(shown(999500), "1ms");
    CHECK_STR_EQ(shown(45678901), "45.7ms");
    CHECK_STR_EQ(shown(1230000000), "1.23s");
    CHECK_STR_EQ(shown(1050000000), "1.05s");
    CHECK_STR_EQ(shown(9995000000), "10s");
    CHECK_STR_EQ(shown(59949999999), "59.9s");
    CHECK_STR_EQ(shown(59950000000), "1m");
    CHECK_STR_EQ(shown(60000000000), "1m");
    CHECK_STR_EQ(shown(61400000000), "1m 1s");
    CHECK_STR_EQ(shown(INT64_C(3599500000000)), "1h");
    CHECK_STR_EQ(shown(INT64_C(7500000000000)), "2h 5m");
    CHECK_STR_EQ(shown(INT64_C(86399) * 1000000000), "1d");
    CHECK_STR_EQ(shown(INT64_C(76) * 3600000000000), "3d 4h");
    CHECK_STR_EQ(shown(INT64_C(99) * 86400000000000 + INT64_C(86399000000000)), "100d");
    CHECK_STR_EQ(shown(INT64_C(3650) * 86400000000000), "3650d");
    CHECK_STR_EQ(shown(INT64_MAX), "106752d");
}

/* Small and large alike: as many bits as the draw says. */
static int64_t draw_duration(struct random *r) {
    int64_t              duration = (int64_t)(random_next(r) >> random_between(r, 1, 63));
    static const int64_t units[]  = {1, 1000, 1000000, 1000000000, INT64_C(60000000000)};
    int64_t              unit     = units[random_below(r, 5)];
    return duration <= INT64_MAX / unit ? duration * unit : duration;
}

TEST(what_was_written_is_read_back_as_the_same) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(200000); i++) {
        int64_t  duration = draw_duration(&r), read_back = -1, window = -1;
        uint64_t limit = random_next(&r) >> random_below(&r, 64), limit_back = limit + 1;
        char     text[TEXT_DURATION_BYTES_MAX], rate[TEXT_DURATION_BYTES_MAX + 24];
        size_t   bytes = text_duration_write(duration, text);
        CHECK_EQ(bytes, strlen(text));
        CHECK(text_duration_parse(view_of(text), &read_back));
        CHECK_EQ(read_back, duration);

        snprintf(rate, sizeof rate, "%llu/%s", (unsigned long long)limit, text);
        CHECK(text_rate_parse(view_of(rate), &limit_back, &window));
        CHECK_EQ(limit_back, limit);
        CHECK_EQ(window, duration);
    }
}

TEST(what_people_are_shown_is_within_two_percent_and_never_too_long) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(200000); i++) {
        int64_t duration = draw_duration(&r);
        double  sum      = 0;
        char    text[TEXT_DURATION_BYTES_MAX], unit[4];
        CHECK_LT(text_duration_write_short(duration, text), TEXT_DURATION_BYTES_MAX);
        for (char *part = text; *part != '\0';) {
            double number;
            int    used = 0;
            CHECK_EQ(sscanf(part, "%lf%3[a-z]%n", &number, unit, &used), 2);
            const char *names[] = {"ns", "us", "ms", "s", "m", "h", "d"};
            double      ns[]    = {1, 1e3, 1e6, 1e9, 6e10, 3.6e12, 8.64e13};
            for (size_t n = 0; n < 7; n++)
                if (strcmp(unit, names[n]) == 0) sum += number * ns[n];
            part += used;
            if (*part == ' ') part++;
        }
        double exact = (double)duration;
        CHECK_SAYS(sum >= exact * 0.979 - 0.5 && sum <= exact * 1.021 + 0.5, "%lld is shown as %s",
                   (long long)duration, text);
    }
}
