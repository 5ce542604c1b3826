/* SPDX-License-Identifier: MIT */
#include "wire/json.h"

#include <stdio.h>
#include <string.h>

#include "base/random.h"
#include "support/check.h"

/* Reads all fields; the problem at the end. */
static enum json_problem problem_of_view(struct view text, enum json_bytes bytes) {
    struct json_reader reader;
    struct json_field  field;
    json_read_begin(&reader, text, bytes);
    while (json_read_next(&reader, &field)) continue;
    return reader.problem;
}

static enum json_problem problem_of(const char *text) {
    return problem_of_view(view_of(text), JSON_UTF8_ONLY);
}

/* The value of the only element of [text]. */
static struct json_value value_of(const char *text) {
    static char        document[4096];
    struct json_reader reader;
    struct json_field  field = {0};
    snprintf(document, sizeof document, "[%s]", text);
    json_read_begin(&reader, view_of(document), JSON_UTF8_ONLY);
    CHECK(json_read_next(&reader, &field));
    struct json_field rest;
    CHECK(!json_read_next(&reader, &rest));
    CHECK_EQ(reader.problem, JSON_FINE);
    return field.value;
}

static bool means(const char *text, const char *meaning, size_t meaning_bytes) {
    static char       buffer[4096];
    struct json_value value = value_of(text);
    struct view       meant;
    return json_to_text(&value, buffer, value.text.bytes, &meant) &&
           view_equals(meant, (struct view){meaning, meaning_bytes});
}

static bool u64_is(const char *text, uint64_t expected) {
    struct json_value value  = value_of(text);
    uint64_t          number = expected + 1;
    return json_to_u64(&value, &number) && number == expected;
}

static bool is_no_u64(const char *text) {
    struct json_value value = value_of(text);
    uint64_t          number;
    return !json_to_u64(&value, &number);
}

static bool i64_is(const char *text, int64_t expected) {
    struct json_value value  = value_of(text);
    int64_t           number = 0;
    return json_to_i64(&value, &number) && number == expected;
}

static bool is_no_i64(const char *text) {
    struct json_value value = value_of(text);
    int64_t           number;
    return !json_to_i64(&value, &number);
}

TEST(fields_come_in_order_with_their_types) {
    static const struct {
        const char    *name;
        enum json_type type;
        const char    *text;
    } expected[] = {{"s", JSON_STRING, "x"},  {"n", JSON_NUMBER, "-1.5e3"},
                    {"t", JSON_TRUE, "true"}, {"f", JSON_FALSE, "false"},
                    {"z", JSON_NULL, "null"}, {"o", JSON_OBJECT, "{\"a\": [1, {}]}"},
                    {"a", JSON_ARRAY, "[ ]"}, {"", JSON_STRING, ""}};
    struct json_reader reader;
    struct json_field  field;
    json_read_begin(&reader,
                    view_of(" { \"s\" : \"x\",\"n\":-1.5e3 ,\"t\":true,\"f\":false,\"z\":null,\r\n"
                            "\t\"o\":{\"a\": [1, {}]},\"a\":[ ],\"\":\"\" } "),
                    JSON_UTF8_ONLY);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        CHECK(json_read_next(&reader, &field));
        CHECK(view_equals(field.name, view_of(expected[i].name)));
        CHECK_EQ(field.value.type, expected[i].type);
        CHECK(view_equals(field.value.text, view_of(expected[i].text)));
    }
    CHECK(!json_read_next(&reader, &field));
    CHECK(!json_read_next(&reader, &field));
    CHECK_EQ(reader.problem, JSON_FINE);
}

TEST(a_nested_value_can_be_read_by_a_reader_of_its_own) {
    struct json_reader outer, inner;
    struct json_field  field;
    uint64_t           sum = 0, number;
    json_read_begin(&outer, view_of("{\"skip\":[[]],\"numbers\":[1,2,39]}"), JSON_UTF8_ONLY);
    while (json_read_next(&outer, &field)) {
        if (!view_equals(field.name, view_of("numbers"))) continue;
        json_read_begin(&inner, field.value.text, JSON_UTF8_ONLY);
        while (json_read_next(&inner, &field))
            if (json_to_u64(&field.value, &number)) sum += number;
        CHECK_EQ(inner.problem, JSON_FINE);
    }
    CHECK_EQ(outer.problem, JSON_FINE);
    CHECK_EQ(sum, 42);
}

TEST(what_is_not_json_is_refused_with_the_reason) {
    CHECK_EQ(problem_of(""), JSON_NOT_A_DOCUMENT);
    CHECK_EQ(problem_of("  "), JSON_NOT_A_DOCUMENT);
    CHECK_EQ(problem_of("3"), JSON_NOT_A_DOCUMENT);
    CHECK_EQ(problem_of("{"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a\""), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a\":"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a\":1"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a\":1,"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{\"a\":[1"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("[\"\\u12"), JSON_CUT_OFF);
    CHECK_EQ(problem_of("{,}"), JSON_NOT_A_NAME);
    CHECK_EQ(problem_of("{\"a\":1,}"), JSON_NOT_A_NAME);
    CHECK_EQ(problem_of("{a:1}"), JSON_NOT_A_NAME);
    CHECK_EQ(problem_of("{1:1}"), JSON_NOT_A_NAME);
    CHECK_EQ(problem_of("{\"a\" 1}"), JSON_NO_COLON);
    CHECK_EQ(problem_of("{\"a\":1 \"b\":2}"), JSON_NO_COMMA);
    CHECK_EQ(problem_of("{\"a\":1]"), JSON_NO_COMMA);
    CHECK_EQ(problem_of("{\"a\":[1}]"), JSON_NO_COMMA);
    CHECK_EQ(problem_of("[1,]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[[1,]]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[,1]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[tru]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[True]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[NaN]"), JSON_NOT_A_VALUE);
    CHECK_EQ(problem_of("[truefalse]"), JSON_NO_COMMA);
    CHECK_EQ(problem_of("{} {}"), JSON_LEFTOVER);
    CHECK_EQ(problem_of("{}x"), JSON_LEFTOVER);
    for (enum json_problem p = JSON_FINE; p <= JSON_LEFTOVER; p++)
        CHECK_GT(strlen(json_problem_text(p)), 5);
}

TEST(numbers_are_written_as_json_writes_them_or_refused) {
    static const char *const bad[] = {"[01]", "[-]",   "[+1]",  "[.5]",  "[1.]",  "[1.e3]",
                                      "[1e]", "[1e+]", "[--1]", "[0x1]", "[-01]", "[00]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        CHECK_SAYS(problem_of(bad[i]) != JSON_FINE, "%s is taken for JSON", bad[i]);
    CHECK_EQ(problem_of("[0,-0,0.0,1e5,1E-5,1e+05,10.25]"), JSON_FINE);
}

TEST(whole_numbers_are_exact_however_they_are_written) {
    CHECK(u64_is("0", 0));
    CHECK(u64_is("-0", 0));
    CHECK(u64_is("18446744073709551615", UINT64_MAX));
    CHECK(is_no_u64("18446744073709551616"));
    CHECK(is_no_u64("-1"));
    CHECK(u64_is("5.0", 5));
    CHECK(u64_is("5.000e0", 5));
    CHECK(u64_is("1.5e1", 15));
    CHECK(u64_is("1500e-2", 15));
    CHECK(u64_is("0.00015e6", 150));
    CHECK(u64_is("1e19", UINT64_C(10000000000000000000)));
    CHECK(u64_is("1.8446744073709551615e19", UINT64_MAX));
    CHECK(is_no_u64("1e20"));
    CHECK(u64_is("0e999999999999999999999", 0));
    CHECK(is_no_u64("1e999999999999999999999"));
    CHECK(is_no_u64("1e-1"));
    CHECK(is_no_u64("1.5"));
    CHECK(is_no_u64("true"));
    CHECK(is_no_u64("\"1\""));
    CHECK(i64_is("-9223372036854775808", INT64_MIN));
    CHECK(i64_is("9223372036854775807", INT64_MAX));
    CHECK(i64_is("-1.2e1", -12));
    CHECK(is_no_i64("9223372036854775808"));
    CHECK(is_no_i64("-9223372036854775809"));
    CHECK(is_no_i64("-0.5"));
}

TEST(numbers_of_any_length_come_back_from_what_was_written) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(100000); i++) {
        uint64_t number = random_next(&r) >> random_below(&r, 64);
        char     text[64], padded[80];
        snprintf(text, sizeof text, "%llu", (unsigned long long)number);
        CHECK(u64_is(text, number));
        /* One more digit, one odd character somewhere: the eight at once must see it. */
        size_t at  = random_below(&r, strlen(text));
        char   odd = (char)random_between(&r, 1, 255);
        snprintf(padded, sizeof padded, "[%s]", text);
        padded[at + 1] = odd;
        if ((unsigned char)(odd - '0') > 9 && strchr(".eE-]", odd) == NULL &&
            strchr(" \t\r\n,", odd) == NULL)
            CHECK_SAYS(problem_of(padded) != JSON_FINE, "%s is taken for JSON", padded);
        uint64_t next;
        snprintf(padded, sizeof padded, "%s0", text);
        struct json_value value = value_of(number == 0 ? "0" : padded);
        CHECK_EQ(json_to_u64(&value, &next), number <= UINT64_MAX / 10);
        if (number <= UINT64_MAX / 10) CHECK_EQ(next, number * 10);
    }
}

TEST(escapes_are_decoded) {
    CHECK(means("\"plain\"", "plain", 5));
    CHECK(means("\"\"", "", 0));
    CHECK(means("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8));
    CHECK(means("\"a\\u0000b\"", "a\0b", 3));
    CHECK(means("\"\\u00e9\\u20AC\"", "\xc3\xa9\xe2\x82\xac", 5));
    CHECK(means("\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!", 5));
    CHECK(means("\"long enough for eight at once \\n and on\"",
                "long enough for eight at once \n and on", 38));
    struct json_value value = value_of("\"\\n1234\"");
    char              small[2];
    struct view       text;
    CHECK(!json_to_text(&value, small, sizeof small, &text));
}

TEST(wrong_escapes_and_raw_controls_are_refused) {
    CHECK_EQ(problem_of("[\"\\x\"]"), JSON_BAD_ESCAPE);
    CHECK_EQ(problem_of("[\"\\u12g4\"]"), JSON_BAD_ESCAPE);
    CHECK_EQ(problem_of("[\"\\ud800\"]"), JSON_BAD_ESCAPE);
    CHECK_EQ(problem_of("[\"\\ud800\\u0041\"]"), JSON_BAD_ESCAPE);
    CHECK_EQ(problem_of("[\"\\udc00\\ud800\"]"), JSON_BAD_ESCAPE);
    CHECK_EQ(problem_of("[\"a\nb\"]"), JSON_BAD_STRING);
    CHECK_EQ(problem_of_view((struct view){"[\"\0\"]", 5}, JSON_ANY_BYTES), JSON_BAD_STRING);
}

TEST(utf8_is_what_the_standard_says) {
    static const char *const good[] = {"\xc2\x80",        "\xdf\xbf",     "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",    "\xee\x80\x80", "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[]  = {"\x80",
                                       "\xc0\x80",
                                       "\xc1\xbf",
                                       "\xc2",
                                       "\xe0\x9f\xbf",
                                       "\xed\xa0\x80",
                                       "\xf0\x8f\xbf\xbf",
                                       "\xf4\x90\x80\x80",
                                       "\xf5\x80\x80\x80",
                                       "\xff",
                                       "\xe2\x82",
                                       "\xc3\xc3"};
    char                     document[32];
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        snprintf(document, sizeof document, "[\"%s\"]", good[i]);
        CHECK(json_is_utf8(view_of(good[i])));
        CHECK_EQ(problem_of(document), JSON_FINE);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(document, sizeof document, "[\"%s\"]", bad[i]);
        CHECK(!json_is_utf8(view_of(bad[i])));
        CHECK_EQ(problem_of(document), JSON_BAD_UTF8);
        CHECK_EQ(problem_of_view(view_of(document), JSON_ANY_BYTES), JSON_FINE);
    }
}

TEST(depth_has_a_bound) {
    char deep[2 * JSON_DEPTH_MAX + 3];
    for (size_t depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(deep, '[', depth);
        memset(deep + depth, ']', depth);
        enum json_problem problem = problem_of_view((struct view){deep, 2 * depth}, JSON_UTF8_ONLY);
        CHECK_EQ(problem, depth <= JSON_DEPTH_MAX ? JSON_FINE : JSON_TOO_DEEP);
    }
}

/* ---- writing ---- */

TEST(a_document_is_written_with_its_commas) {
    char               buffer[512];
    struct json_writer w;
    json_write_begin(&w, buffer, sizeof buffer, NULL, NULL);
    json_write_object(&w);
    json_write_name(&w, "a\"b");
    json_write_array(&w);
    json_write_u64(&w, UINT64_MAX);
    json_write_i64(&w, INT64_MIN);
    json_write_bool(&w, true);
    json_write_null(&w);
    json_write_array_end(&w);
    json_write_name(&w, "o");
    json_write_object(&w);
    json_write_object_end(&w);
    json_write_name(&w, "t");
    json_write_text(&w, view_of("\x01\x7f\n\xc3\xa9/\\"));
    json_write_bytes(&w, "user", view_of("ann"));
    json_write_bytes(&w, "user", (struct view){"\xff\x00", 2});
    json_write_object_end(&w);
    json_write_line_end(&w);
    json_write_array(&w);
    json_write_array_end(&w);
    CHECK(json_write_end(&w));
    buffer[w.used] = '\0';
    CHECK_STR_EQ(buffer,
                 "{\"a\\\"b\":[18446744073709551615,-9223372036854775808,true,null],\"o\":{},"
                 "\"t\":\"\\u0001\\u007f\\n\xc3\xa9/\\\\\",\"user\":\"ann\",\"user_hex\":"
                 "\"ff00\"}\n[]");
}

static const char *real_text(double number, unsigned decimals) {
    static char        buffer[64];
    struct json_writer w;
    json_write_begin(&w, buffer, sizeof buffer - 1, NULL, NULL);
    json_write_real(&w, number, decimals);
    buffer[w.used] = '\0';
    return buffer;
}

TEST(reals_are_written_with_as_many_decimals_as_asked) {
    CHECK_STR_EQ(real_text(0.5, 3), "0.5");
    CHECK_STR_EQ(real_text(-0.125, 2), "-0.13");
    CHECK_STR_EQ(real_text(1.9999, 3), "2");
    CHECK_STR_EQ(real_text(-0.0001, 3), "0");
    CHECK_STR_EQ(real_text(12.05, 2), "12.05");
    CHECK_STR_EQ(real_text(3, 0), "3");
    CHECK_STR_EQ(real_text(1e18, 9), "1000000000000000000");
    CHECK_STR_EQ(real_text(1e19, 1), "null");
    CHECK_STR_EQ(real_text(-1.0 / 0.0, 1), "null");
    CHECK_STR_EQ(real_text(0.0 / 0.0, 1), "null");
}

struct drain {
    char   text[65536];
    size_t used;
    size_t room;
};

static bool drain_take(void *context, struct view bytes) {
    struct drain *drain = context;
    if (bytes.bytes > drain->room - drain->used) return false;
    memcpy(drain->text + drain->used, bytes.data, bytes.bytes);
    drain->used += bytes.bytes;
    return true;
}

TEST(a_full_buffer_goes_to_the_sink_or_stops_the_writer) {
    static struct drain drain;
    char                buffer[3];
    struct json_writer  w;
    drain = (struct drain){.room = sizeof drain.text};
    json_write_begin(&w, buffer, sizeof buffer, drain_take, &drain);
    json_write_array(&w);
    for (uint64_t i = 0; i < 20; i++) json_write_u64(&w, 1000 + i);
    json_write_array_end(&w);
    CHECK(json_write_end(&w));
    CHECK_EQ(drain.used, 101);
    CHECK_EQ(problem_of_view((struct view){drain.text, drain.used}, JSON_UTF8_ONLY), JSON_FINE);

    drain.room = drain.used + 2;
    json_write_begin(&w, buffer, sizeof buffer, drain_take, &drain);
    json_write_text(&w, view_of("longer than that"));
    CHECK(!json_write_end(&w));

    json_write_begin(&w, buffer, sizeof buffer, NULL, NULL);
    json_write_u64(&w, 12345);
    CHECK(!json_write_end(&w));
    CHECK_EQ(w.used, 3);
}

TEST(any_bytes_come_back_from_what_was_written) {
    struct random       r = {.state = check_seed()};
    static struct drain drain;
    for (uint64_t i = 0; i < check_effort(20000); i++) {
        char   name[48], buffer[16], meaning[600];
        size_t bytes = random_below(&r, sizeof name);
        /* Mostly from few bytes, so that sequences of UTF-8 and escapes come up. */
        static const char alphabet[] = "a\"\\\x01\x7f\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
        bool              is_any     = random_below(&r, 4) == 0;
        for (size_t k = 0; k < bytes; k++)
            name[k] = is_any ? (char)random_below(&r, 256)
                             : alphabet[random_below(&r, sizeof alphabet - 1)];
        struct view        user = {name, bytes};
        struct json_writer w;
        drain = (struct drain){.room = sizeof drain.text};
        json_write_begin(&w, buffer, sizeof buffer, drain_take, &drain);
        json_write_object(&w);
        json_write_bytes(&w, "user", user);
        json_write_object_end(&w);
        CHECK(json_write_end(&w));

        struct json_reader reader;
        struct json_field  field;
        struct view        back = {0};
        json_read_begin(&reader, (struct view){drain.text, drain.used}, JSON_UTF8_ONLY);
        CHECK(json_read_next(&reader, &field));
        if (view_equals(field.name, view_of("user"))) {
            CHECK(json_is_utf8(user));
            CHECK(json_to_text(&field.value, meaning, sizeof meaning, &back));
        } else {
            CHECK(view_equals(field.name, view_of("user_hex")));
            CHECK(!json_is_utf8(user));
            CHECK(json_hex_decode(field.value.text, meaning, sizeof meaning, &back));
        }
        CHECK(view_equals(back, user));
        CHECK(!json_read_next(&reader, &field));
        CHECK_EQ(reader.problem, JSON_FINE);
    }
}
