/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include "wire/access_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/random.h"

#define SECOND_NS UINT64_C(1000000000)
#define COMMON    "10.0.0.1 - ann [17/May/2015:10:05:03 +0000] \"GET /a?b=c HTTP/1.1\" 200 2326"
#define COMBINED  COMMON " \"http://example.com/\" \"Mozilla/5.0 (X11; \\\"quoted\\\")\""

static struct access_log_scratch scratch;
static struct access_log_entry   entry;

static enum access_log_outcome read_with(struct access_log_reader *reader, const char *line) {
    return access_log_read(reader, view_of(line), &scratch, &entry);
}

static struct access_log_reader reader_by(const char *key) {
    struct access_log_reader reader = access_log_reader_default();
    if (key != NULL) {
        reader.key_is_default = false;
        CHECK(access_log_names_parse(view_of(key), '+', &reader.key));
    }
    return reader;
}

/* The user of a line by a key, or "(none)". */
static const char *user_of(const char *key, const char *line) {
    static char              text[1024];
    struct access_log_reader reader = reader_by(key);
    if (read_with(&reader, line) != ACCESS_LOG_READ) return "(none)";
    memcpy(text, entry.user.data, entry.user.bytes);
    text[entry.user.bytes] = '\0';
    return text;
}

TEST(a_line_tells_time_user_and_cost) {
    struct access_log_reader reader = reader_by(NULL);
    CHECK_EQ(read_with(&reader, COMMON), ACCESS_LOG_READ);
    CHECK_EQ(reader.format, ACCESS_LOG_CLF);
    CHECK_EQ(entry.time_ns, 1431857103 * SECOND_NS);
    CHECK_EQ(entry.cost, 1);
    CHECK(view_equals(entry.user, view_of("10.0.0.1")));
}

TEST(every_clf_field_can_be_the_user) {
    CHECK_STR_EQ(user_of("ip", COMBINED), "10.0.0.1");
    CHECK_STR_EQ(user_of("host", COMBINED), "10.0.0.1");
    CHECK_STR_EQ(user_of("ident", COMBINED), "(none)");
    CHECK_STR_EQ(user_of("user", COMBINED), "ann");
    CHECK_STR_EQ(user_of("time", COMBINED), "17/May/2015:10:05:03 +0000");
    CHECK_STR_EQ(user_of("request", COMBINED), "GET /a?b=c HTTP/1.1");
    CHECK_STR_EQ(user_of("method", COMBINED), "GET");
    CHECK_STR_EQ(user_of("target", COMBINED), "/a?b=c");
    CHECK_STR_EQ(user_of("path", COMBINED), "/a");
    CHECK_STR_EQ(user_of("query", COMBINED), "b=c");
    CHECK_STR_EQ(user_of("protocol", COMBINED), "HTTP/1.1");
    CHECK_STR_EQ(user_of("status", COMBINED), "200");
    CHECK_STR_EQ(user_of("bytes", COMBINED), "2326");
    CHECK_STR_EQ(user_of("referer", COMBINED), "http://example.com/");
    CHECK_STR_EQ(user_of("agent", COMBINED), "Mozilla/5.0 (X11; \\\"quoted\\\")");
    CHECK_STR_EQ(user_of("agent", COMMON), "(none)");
    CHECK_STR_EQ(user_of("vhost", COMBINED), "(none)");
    CHECK_STR_EQ(user_of("vhost", "example.com:443 " COMBINED), "example.com:443");
    CHECK_STR_EQ(user_of("ip", "example.com:443 " COMBINED), "10.0.0.1");
    CHECK_STR_EQ(user_of("ip", "::1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1"),
                 "::1");
    CHECK_STR_EQ(user_of("10", COMBINED " \"203.0.113.9\" 0.002"), "203.0.113.9");
    CHECK_STR_EQ(user_of("11", COMBINED " \"203.0.113.9\" 0.002"), "0.002");
    CHECK_STR_EQ(user_of("12", COMBINED " \"203.0.113.9\" 0.002"), "(none)");
}

TEST(a_client_may_be_told_with_its_port_or_not_at_all) {
    CHECK_STR_EQ(
        user_of("ip", "10.0.0.1:5678 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1"),
        "10.0.0.1:5678");
    CHECK_STR_EQ(user_of("vhost", "10.0.0.1:5678 - - [17/May/2015:10:05:03 +0000] \"GET /\" 200 1"),
                 "(none)");
    CHECK_STR_EQ(user_of(NULL, "- - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1"),
                 "(none)");
}

TEST(joined_fields_make_one_user) {
    CHECK_STR_EQ(user_of("ip+path", COMBINED), "10.0.0.1\t/a");
    CHECK_STR_EQ(user_of("ip+ident", COMBINED), "(none)");
    CHECK_STR_EQ(user_of("a+b.c", "{\"time\":1,\"b\":{\"c\":\"y\\u0041\"},\"a\":\"x\\n\"}"),
                 "x\n\tyA");
}

TEST(a_request_that_is_no_http_has_no_path) {
    const char *line = "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"\\x16\\x03\\x01\" 400 226";
    CHECK_STR_EQ(user_of("path", line), "(none)");
    CHECK_STR_EQ(user_of("method", line), "(none)");
    CHECK_STR_EQ(user_of("ip", line), "10.0.0.1");
}

TEST(a_target_may_hold_blanks) {
    const char *line = "10.0.0.1 - - [17/May/2015:10:05:03 +0000] \"GET /a b c HTTP/1.1\" 400 226";
    CHECK_STR_EQ(user_of("path", line), "/a b c");
    CHECK_STR_EQ(user_of("protocol", line), "HTTP/1.1");
}

TEST(a_user_name_may_hold_blanks) {
    const char *line = "10.0.0.1 - ann b [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 -";
    CHECK_STR_EQ(user_of("user", line), "ann b");
}

TEST(the_cost_is_a_field) {
    struct access_log_reader reader = reader_by(NULL);
    CHECK(access_log_names_parse(view_of("bytes"), '\0', &reader.cost));
    CHECK_EQ(read_with(&reader, COMMON), ACCESS_LOG_READ);
    CHECK_EQ(entry.cost, 2326);
    CHECK_EQ(read_with(&reader, "h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 304 -"),
             ACCESS_LOG_READ);
    CHECK_EQ(entry.cost, 0);

    struct access_log_reader json = reader_by("u");
    CHECK(access_log_names_parse(view_of("n"), '\0', &json.cost));
    CHECK_EQ(read_with(&json, "{\"time\":1,\"u\":\"a\",\"n\":7}"), ACCESS_LOG_READ);
    CHECK_EQ(entry.cost, 7);
    CHECK_EQ(read_with(&json, "{\"time\":1,\"u\":\"a\",\"n\":\"8\"}"), ACCESS_LOG_READ);
    CHECK_EQ(entry.cost, 8);
    CHECK_EQ(read_with(&json, "{\"time\":1,\"u\":\"a\",\"n\":-8}"), ACCESS_LOG_WITHOUT_COST);
    CHECK_EQ(read_with(&json, "{\"time\":1,\"u\":\"a\",\"n\":1.5}"), ACCESS_LOG_WITHOUT_COST);
    CHECK_EQ(read_with(&json, "{\"time\":1,\"u\":\"a\"}"), ACCESS_LOG_WITHOUT_COST);
}

TEST(every_cut_of_a_common_line_before_its_last_column_is_torn) {
    const char *whole = COMMON;
    for (size_t bytes = 1; bytes < strlen(whole) - 4; bytes++) {
        struct access_log_reader reader = reader_by(NULL);
        reader.format                   = ACCESS_LOG_CLF;
        struct view line                = {whole, bytes};
        CHECK_SAYS(access_log_read(&reader, line, &scratch, &entry) == ACCESS_LOG_TORN,
                   "'%.*s' was read", (int)bytes, whole);
    }
}

TEST(every_cut_inside_quotes_of_a_combined_line_is_torn) {
    const char *whole  = COMBINED;
    size_t      common = strlen(COMMON);
    for (size_t bytes = common + 2; bytes < strlen(whole); bytes++) {
        struct access_log_reader reader = reader_by(NULL);
        reader.format                   = ACCESS_LOG_CLF;
        struct view line                = {whole, bytes};
        bool        is_at_edge          = whole[bytes - 1] == ' ' || whole[bytes - 1] == '"';
        if (is_at_edge)
            continue; /* a whole line with fewer columns, or the last quote was escaped */
        CHECK_SAYS(access_log_read(&reader, line, &scratch, &entry) == ACCESS_LOG_TORN,
                   "'%.*s' was read", (int)bytes, whole);
    }
}

TEST(every_cut_of_a_json_line_is_torn) {
    const char *whole = "{\"time\":\"2015-05-17T10:05:03Z\",\"ip\":\"a\",\"n\":{\"m\":[1,2,{}]}}";
    for (size_t bytes = 1; bytes < strlen(whole); bytes++) {
        struct access_log_reader reader = reader_by(NULL);
        struct view              line   = {whole, bytes};
        CHECK_EQ(access_log_read(&reader, line, &scratch, &entry), ACCESS_LOG_TORN);
    }
    CHECK_STR_EQ(user_of(NULL, whole), "a");
}

TEST(what_is_wrong_with_a_line_is_told_apart) {
    struct access_log_reader reader = reader_by("u");
    CHECK_EQ(read_with(&reader, ""), ACCESS_LOG_EMPTY);
    CHECK_EQ(read_with(&reader, " \t\r"), ACCESS_LOG_EMPTY);
    CHECK_EQ(read_with(&reader, "[1,2]"), ACCESS_LOG_TORN);
    CHECK_EQ(reader.format, ACCESS_LOG_UNKNOWN);
    CHECK_EQ(read_with(&reader, "{\"u\":\"a\"}"), ACCESS_LOG_WITHOUT_TIME);
    CHECK_EQ(reader.format, ACCESS_LOG_JSON);
    CHECK_EQ(read_with(&reader, "{\"time\":true,\"u\":\"a\"}"), ACCESS_LOG_WITHOUT_TIME);
    CHECK_EQ(read_with(&reader, "{\"time\":\"noon\",\"u\":\"a\"}"), ACCESS_LOG_WITHOUT_TIME);
    CHECK_EQ(read_with(&reader, "{\"time\":1}"), ACCESS_LOG_WITHOUT_KEY);
    CHECK_EQ(read_with(&reader, "{\"time\":1,\"u\":null}"), ACCESS_LOG_WITHOUT_KEY);
    CHECK_EQ(read_with(&reader, "{\"time\":1,\"u\":\"\"}"), ACCESS_LOG_WITHOUT_KEY);
    CHECK_EQ(read_with(&reader, "{\"time\":1,\"u\":[1]}"), ACCESS_LOG_WITHOUT_KEY);
    CHECK_EQ(read_with(&reader, "{\"time\":1,\"u\":7}"), ACCESS_LOG_READ);
    CHECK_EQ(read_with(&reader, COMMON), ACCESS_LOG_TORN);

    struct access_log_reader clf = reader_by(NULL);
    CHECK_EQ(read_with(&clf, "h - - [17/Mai/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 304 -"),
             ACCESS_LOG_WITHOUT_TIME);
    CHECK_EQ(read_with(&clf, "h - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" OK -"),
             ACCESS_LOG_TORN);
    CHECK_EQ(read_with(&clf, "{\"time\":1,\"ip\":7}"), ACCESS_LOG_TORN);
}

TEST(json_times_are_found_by_the_usual_names_in_any_form) {
    struct access_log_reader reader  = reader_by("u");
    static const char *const lines[] = {
        "{\"time\":\"2015-05-17T10:05:03Z\",\"u\":1}",
        "{\"timestamp\":1431857103,\"u\":1}",
        "{\"@timestamp\":\"2015-05-17T10:05:03.000+00:00\",\"u\":1}",
        "{\"ts\":1431857103.0,\"u\":1}",
        "{\"ts\":\"1431857103000\",\"u\":1}",
        "{\"time\":\"17/May/2015:10:05:03 +0000\",\"u\":1}",
        "{\"time\":null,\"ts\":1431857103,\"u\":1}",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        CHECK_EQ(read_with(&reader, lines[i]), ACCESS_LOG_READ);
        CHECK_EQ(entry.time_ns, 1431857103 * SECOND_NS);
    }
}

TEST(dots_lead_into_nested_json_unless_a_name_holds_them) {
    CHECK_STR_EQ(user_of("a.b.c", "{\"ts\":1,\"a\":{\"b\":{\"c\":\"deep\"}}}"), "deep");
    CHECK_STR_EQ(user_of("a.b.c", "{\"ts\":1,\"a.b\":{\"c\":\"half\"}}"), "half");
    CHECK_STR_EQ(user_of("a.b.c", "{\"ts\":1,\"a\":{\"b.c\":\"other half\"}}"), "other half");
    CHECK_STR_EQ(user_of("a.b", "{\"ts\":1,\"a\":{\"b\":\"deep\"},\"a.b\":\"flat\"}"), "flat");
    CHECK_STR_EQ(user_of("a.b", "{\"ts\":1,\"a\":{\"x\":1}}"), "(none)");
    CHECK_STR_EQ(user_of("a.b", "{\"ts\":1,\"a\":[{\"b\":1}]}"), "(none)");
    CHECK_STR_EQ(user_of(NULL, "{\"ts\":1,\"host\":\"server\",\"remote_addr\":\"client\"}"),
                 "client");
}

TEST(names_are_cut_and_checked) {
    struct access_log_names names;
    CHECK(access_log_names_parse(view_of("ip+path+10"), '+', &names));
    CHECK_EQ(names.count, 3);
    CHECK_EQ(access_log_names_unknown_to_clf(&names).bytes, 0);
    CHECK(access_log_names_parse(view_of("ip+user.id"), '+', &names));
    CHECK(view_equals(access_log_names_unknown_to_clf(&names), view_of("user.id")));
    CHECK(access_log_names_parse(view_of("33"), '+', &names));
    CHECK_EQ(access_log_names_unknown_to_clf(&names).bytes, 2);
    CHECK(access_log_names_parse(view_of("99999999999999999999"), '+', &names));
    CHECK_EQ(access_log_names_unknown_to_clf(&names).bytes, 20);
    CHECK(!access_log_names_parse(view_of(""), '+', &names));
    CHECK(!access_log_names_parse(view_of("ip+"), '+', &names));
    CHECK(!access_log_names_parse(view_of("+ip"), '+', &names));
    CHECK(!access_log_names_parse(view_of("a+b+c+d+e+f+g+h+i"), '+', &names));
}

TEST(a_user_of_many_long_fields_is_refused_and_not_overrun) {
    size_t bytes = ACCESS_LOG_LINE_BYTES_MAX - 64;
    char  *line  = malloc(bytes + 64);
    char  *at    = line + snprintf(line, 64, "{\"ts\":1,\"u\":\"\\n");
    memset(at, 'x', bytes);
    memcpy(at + bytes, "\"}", 2);
    struct view text = {line, (size_t)(at - line) + bytes + 2};

    struct access_log_reader one = reader_by("u");
    CHECK_EQ(access_log_read(&one, text, &scratch, &entry), ACCESS_LOG_READ);
    CHECK_EQ(entry.user.bytes, bytes + 1);
    struct access_log_reader two = reader_by("u+u");
    CHECK_EQ(access_log_read(&two, text, &scratch, &entry), ACCESS_LOG_WITHOUT_KEY);
    struct access_log_reader many = reader_by("u+u+u+u+u+u+u+u");
    CHECK_EQ(access_log_read(&many, text, &scratch, &entry), ACCESS_LOG_WITHOUT_KEY);
    free(line);
}

TEST(random_damage_never_breaks_the_reader) {
    static const char *const keys[]  = {NULL, "ip+path", "agent", "a.b", "u+u+u"};
    static const char *const lines[] = {
        COMBINED, "example.com:80 " COMBINED " \"x\" 1",
        "{\"time\":\"2015-05-17T10:05:03Z\",\"ip\":\"a\\u00e9\",\"a\":{\"b\":[]},\"u\":1.5e3}"};
    struct random r = {check_seed()};
    for (uint64_t i = 0; i < check_effort(100000); i++) {
        const char *line  = lines[random_below(&r, 3)];
        size_t      bytes = strlen(line);
        char       *copy  = malloc(bytes);
        memcpy(copy, line, bytes);
        for (uint64_t n = random_below(&r, 5); n > 0; n--) {
            copy[random_below(&r, bytes)] = (char)random_below(&r, 256);
        }
        struct view              view    = {copy, random_between(&r, 1, bytes)};
        struct access_log_reader reader  = reader_by(keys[random_below(&r, 5)]);
        enum access_log_outcome  outcome = access_log_read(&reader, view, &scratch, &entry);
        CHECK_LT(outcome, ACCESS_LOG_OUTCOMES);
        if (outcome == ACCESS_LOG_READ) CHECK_GT(entry.user.bytes, 0);
        free(copy);
    }
}
