/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include <string.h>

#include "../../bench/load/command.h"

static const struct command_rule rule = {.limit = 100, .window_ms = 60000};

static struct command command_of(const char *name) {
    struct command c;
    CHECK(command_make(&c, name, &rule));
    return c;
}

static struct reply reply_of(const struct command *c, const char *text) {
    struct reply reply;
    CHECK(reply_read(c, text, strlen(text), &reply));
    return reply;
}

TEST(command_says_the_rule_and_the_user) {
    struct command c = command_of("weir.allow");
    char           text[COMMAND_BYTES_MAX + 1];
    command_write(&c, 42, text);
    text[c.byte_count] = 0;
    CHECK_STR_EQ(text,
                 "*4\r\n$10\r\nWEIR.ALLOW\r\n$13\r\nuser:10000042\r\n$3\r\n100\r\n$5\r\n60000\r\n");
}

TEST(command_without_a_user_stays_as_it_is) {
    struct command c = command_of("ping");
    char           text[COMMAND_BYTES_MAX + 1];
    command_write(&c, 42, text);
    text[c.byte_count] = 0;
    CHECK_STR_EQ(text, "*1\r\n$4\r\nPING\r\n");
}

TEST(command_of_unknown_name_or_unsayable_rule_is_refused) {
    struct command            c;
    const struct command_rule half_a_second = {.limit = 1, .window_ms = 500};
    CHECK(!command_make(&c, "sing", &rule));
    CHECK(!command_make(&c, "cl.throttle", &half_a_second));
    CHECK(!command_make(&c, "evalsha", &rule));
}

TEST(reply_tells_allowed_by_the_command_it_answers) {
    struct command allow = command_of("weir.allow"), throttle = command_of("cl.throttle");
    struct reply   yes = reply_of(&allow, ":1\r\n");
    struct reply   no  = reply_of(&throttle, "*5\r\n:1\r\n:100\r\n:0\r\n:-1\r\n:60\r\n");
    CHECK(yes.has_shape);
    CHECK_EQ(yes.first, allow.allowed_value);
    CHECK_EQ(yes.bytes, 4);
    CHECK(no.has_shape);
    CHECK_NE(no.first, throttle.allowed_value);
    CHECK_EQ(no.bytes, 28);
}

TEST(reply_that_is_cut_anywhere_needs_more) {
    struct command c    = command_of("cl.throttle");
    const char    *text = "*5\r\n:1\r\n:100\r\n:0\r\n:-1\r\n:60\r\n";
    struct reply   reply;
    for (size_t bytes = 0; bytes < strlen(text); bytes++)
        CHECK(!reply_read(&c, text, bytes, &reply));
}

TEST(reply_that_is_an_error_is_counted_as_one) {
    struct command c = command_of("weir.allow");
    struct reply   r = reply_of(&c, "-ERR no\r\n:1\r\n");
    CHECK(r.is_error);
    CHECK(!r.is_malformed);
    CHECK_EQ(r.bytes, 9);
}

TEST(reply_of_another_shape_is_noticed) {
    struct command c = command_of("weir.allow");
    CHECK(!reply_of(&c, "+OK\r\n").has_shape);
    CHECK(!reply_of(&c, "*2\r\n:1\r\n:2\r\n").has_shape);
    CHECK(!reply_of(&c, "*5\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n").has_shape);
}

TEST(reply_that_is_no_resp_is_malformed) {
    struct command c = command_of("weir.allow");
    CHECK(reply_of(&c, "HTTP/1.1 400\r\n").is_malformed);
    CHECK(reply_of(&c, ":\r\n").is_malformed);
    CHECK(reply_of(&c, ":1x\r\n").is_malformed);
    CHECK(reply_of(&c, ":1\n").is_malformed);
    CHECK(reply_of(&c, "*1\r\n+x\r\n").is_malformed);
    CHECK(reply_of(&c, "*0\r\n").is_malformed);
    CHECK(reply_of(&c, ":1234567890123456789012\r\n").is_malformed);
}
