/* SPDX-License-Identifier: MIT */
#include "wire/resp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/check.h"

static struct view words[RESP_WORDS_MAX];

/* Reads all requests of a copy of `bytes`, whose end is the end of its memory, and writes down what they
 * were: "[PING][hi 2]|" and so on, then what stopped it. */
static char *told_of(const char *bytes, size_t count) {
    size_t room = 64 * 1024 + 8 * count, used = 0, at = 0;
    char  *told = malloc(room), *copy = malloc(count > 0 ? count : 1);
    CHECK(told != NULL);
    CHECK(copy != NULL);
    memcpy(copy, bytes, count);
    while (true) {
        struct resp_request request;
        enum resp_outcome   outcome = resp_read(copy + at, count - at, words, &request);
        if (outcome == RESP_PARTIAL) {
            CHECK_GT(request.bytes_wanted, count - at);
            snprintf(told + used, room - used, "and %zu more", count - at);
            break;
        }
        if (outcome == RESP_BROKEN) {
            snprintf(told + used, room - used, "broken: %s", request.problem);
            break;
        }
        CHECK_GT(request.bytes, 0);
        CHECK_LE(request.bytes, count - at);
        for (size_t i = 0; outcome == RESP_REQUEST && i < request.word_count; i++) {
            CHECK(words[i].data >= copy + at);
            CHECK(words[i].data + words[i].bytes <= copy + at + request.bytes);
            used += (size_t)snprintf(told + used, room - used, "[%.*s]", (int)words[i].bytes,
                                     words[i].data);
        }
        used += (size_t)snprintf(told + used, room - used, outcome == RESP_REQUEST ? "|" : "-");
        at += request.bytes;
    }
    free(copy);
    return told;
}

static void check_told(const char *bytes, const char *expected) {
    char *told = told_of(bytes, strlen(bytes));
    CHECK_STR_EQ(told, expected);
    free(told);
}

TEST(an_array_of_words_is_a_request) {
    check_told("*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", "[PING][hi]|and 0 more");
    check_told("*1\r\n$0\r\n\r\n", "[]|and 0 more");
    check_told("*2\r\n$3\r\na\r\n\r\n$1\r\nb\r\n", "[a\r\n][b]|and 0 more");
}

TEST(a_line_of_words_is_a_request) {
    check_told("PING hi\r\n", "[PING][hi]|and 0 more");
    check_told("  ping \t a \n", "[ping][a]|and 0 more");
    check_told("set \"a b\" 'c d'\r\n", "[set][a b][c d]|and 0 more");
    check_told("a \"\\x41\\n\\\"\\q\\xz\" 'it\\'s \\n'\r\n", "[a][A\n\"qxz][it's \\n]|and 0 more");
    check_told("a \"\"\r\n", "[a][]|and 0 more");
    check_told("a ab\"c d\"\r\n", "[a][abc d]|and 0 more");
}

TEST(empty_requests_are_passed_over) {
    check_told("\r\n\n*0\r\n*-1\r\nPING\r\n", "----[PING]|and 0 more");
}

TEST(what_is_no_request_is_broken) {
    check_told("*1\r\n+PING\r\n", "broken: expected '$' before each word");
    check_told("*x\r\n", "broken: invalid multibulk length");
    check_told("*\r\n", "broken: invalid multibulk length");
    check_told("*1 \r\n", "broken: invalid multibulk length");
    check_told("*1\n", "broken: invalid multibulk length");
    check_told("*1\rx", "broken: invalid multibulk length");
    check_told("*9999999999999999999999\r\n", "broken: invalid multibulk length");
    check_told("*1025\r\n", "broken: invalid multibulk length");
    check_told("*1\r\n$-1\r\n", "broken: invalid bulk length");
    check_told("*1\r\n$66561\r\n", "broken: invalid bulk length");
    check_told("*1\r\n$1\r\nabc", "broken: expected a line end after each word");
    check_told("\"a\r\n", "broken: unbalanced quotes in request");
    check_told("'a\r\n", "broken: unbalanced quotes in request");
    check_told("\"a\"b\r\n", "broken: unbalanced quotes in request");
    check_told("PING\r\n*z\r\n", "[PING]|broken: invalid multibulk length");
}

TEST(a_word_of_the_greatest_length_passes_and_one_more_byte_does_not) {
    enum { ROOM = RESP_REQUEST_BYTES_MAX + 64 };
    char *bytes = calloc(1, ROOM);
    int   head  = snprintf(bytes, ROOM, "*1\r\n$%d\r\n", RESP_WORD_BYTES_MAX);
    memset(bytes + head, 'u', RESP_WORD_BYTES_MAX);
    memcpy(bytes + head + RESP_WORD_BYTES_MAX, "\r\n", 2);

    struct resp_request request;
    size_t              whole = (size_t)head + RESP_WORD_BYTES_MAX + 2;
    CHECK_EQ(resp_read(bytes, whole, words, &request), RESP_REQUEST);
    CHECK_EQ(words[0].bytes, RESP_WORD_BYTES_MAX);
    CHECK_EQ(resp_read(bytes, whole - 1, words, &request), RESP_PARTIAL);
    CHECK_EQ(request.bytes_wanted, whole);

    snprintf(bytes, ROOM, "*1\r\n$%d\r\n", RESP_WORD_BYTES_MAX + 1);
    CHECK_EQ(resp_read(bytes, strlen(bytes), words, &request), RESP_BROKEN);
    free(bytes);
}

TEST(a_request_that_would_be_too_large_is_refused_before_it_is_there) {
    enum { ROOM = RESP_REQUEST_BYTES_MAX };
    char *bytes = calloc(1, ROOM + 64);
    int   used  = snprintf(bytes, 64, "*2\r\n$66000\r\n");
    memset(bytes + used, 'a', 66000);
    used += 66000;
    used += snprintf(bytes + used, 64, "\r\n$66000\r\n");
    struct resp_request request;
    CHECK_EQ(resp_read(bytes, (size_t)used, words, &request), RESP_BROKEN);
    CHECK_STR_EQ(request.problem, "too big request");
    free(bytes);
}

TEST(a_line_without_an_end_is_refused) {
    char *bytes = malloc(RESP_LINE_BYTES_MAX);
    memset(bytes, 'a', RESP_LINE_BYTES_MAX);
    struct resp_request request;
    CHECK_EQ(resp_read(bytes, RESP_LINE_BYTES_MAX - 1, words, &request), RESP_PARTIAL);
    CHECK_EQ(resp_read(bytes, RESP_LINE_BYTES_MAX, words, &request), RESP_BROKEN);
    bytes[RESP_LINE_BYTES_MAX - 1] = '\n';
    CHECK_EQ(resp_read(bytes, RESP_LINE_BYTES_MAX, words, &request), RESP_REQUEST);
    free(bytes);
}

/* What a server would do: offers what has come, takes what is whole, waits for more. */
static void check_cut(const char *bytes, size_t count, const size_t *cuts, size_t cut_count,
                      const char *expected) {
    char  *buffer = malloc(count + 1), *told = malloc(64 * 1024);
    size_t held = 0, from = 0, used = 0;
    bool   is_broken = false;
    for (size_t piece = 0; piece <= cut_count && !is_broken; piece++) {
        size_t to = piece < cut_count ? cuts[piece] : count;
        memcpy(buffer + held, bytes + from, to - from);
        held += to - from;
        from      = to;
        size_t at = 0;
        while (true) {
            struct resp_request request;
            enum resp_outcome   outcome = resp_read(buffer + at, held - at, words, &request);
            if (outcome == RESP_PARTIAL) break;
            if (outcome == RESP_BROKEN) {
                used += (size_t)snprintf(told + used, 1024, "broken: %s", request.problem);
                is_broken = true;
                break;
            }
            for (size_t i = 0; outcome == RESP_REQUEST && i < request.word_count; i++)
                used += (size_t)snprintf(told + used, 1024, "[%.*s]", (int)words[i].bytes,
                                         words[i].data);
            used += (size_t)snprintf(told + used, 8, outcome == RESP_REQUEST ? "|" : "-");
            at += request.bytes;
        }
        memmove(buffer, buffer + at, held - at);
        held -= at;
    }
    if (!is_broken) snprintf(told + used, 64, "and %zu more", held);
    CHECK_STR_EQ(told, expected);
    free(told);
    free(buffer);
}

static const char *const conversations[] = {
    "*4\r\n$10\r\nWEIR.ALLOW\r\n$3\r\nann\r\n$3\r\n100\r\n$5\r\n60000\r\n*1\r\n$4\r\nPING\r\n",
    "PING\r\n\r\n*0\r\nECHO \"a \\x41 b\"\r\n*1\r\n$4\r\nQUIT\r\n",
    "*2\r\n$4\r\nECHO\r\n$0\r\n\r\nPING 'x y'\nweir.allow u 1 1\r\n*2\r\n$3\r\nget",
    "PING\r\n*1\r\n:4\r\nPING\r\n",
    "*1\r\n$4\r\nPINGPING\r\n",
    "*3\r\n$1\r\na\r\n$999999\r\n",
    "\"unbalanced\r\nPING\r\n",
    "*-12345678901234567890\r\n",
};

TEST(requests_mean_the_same_wherever_their_bytes_are_cut) {
    for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
        size_t count    = strlen(conversations[i]);
        char  *expected = told_of(conversations[i], count);
        for (size_t first = 0; first <= count; first++)
            for (size_t second = first; second <= count; second++)
                check_cut(conversations[i], count, (size_t[]){first, second}, 2, expected);
        free(expected);
    }
}

TEST(random_bytes_are_read_within_their_bounds_and_alike_however_they_are_cut) {
    static const char *const shards[] = {
        "*",  "$", "\r\n",  "1", "3",  "PING",   " ",           "\"",           "\\x4", "'",
        "\n", "-", "66560", "a", "\r", "*2\r\n", "$1\r\nz\r\n", "$2\r\nab\r\n", "\\",   "\t"};
    struct random r = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(20000); round++) {
        char   bytes[256];
        size_t count = 0;
        while (count < sizeof bytes - 16 && random_below(&r, 24) > 0) {
            if (random_below(&r, 8) == 0) {
                char any       = (char)random_below(&r, 256);
                bytes[count++] = any == '\0' ? '0' : any;
                continue;
            }
            const char *shard = shards[random_below(&r, sizeof shards / sizeof shards[0])];
            memcpy(bytes + count, shard, strlen(shard));
            count += strlen(shard);
        }
        char  *expected = told_of(bytes, count);
        size_t first    = random_below(&r, count + 1);
        check_cut(bytes, count, (size_t[]){first, random_between(&r, first, count)}, 2, expected);
        free(expected);
    }
}

TEST(heads_are_written_as_they_are_read) {
    static const int64_t numbers[] = {0, 1, 9, 10, -1, -10, 123456789, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char written[RESP_HEAD_BYTES_MAX + 1], expected[64];
        *resp_write_head(written, ':', numbers[i]) = '\0';
        snprintf(expected, sizeof expected, ":%lld\r\n", (long long)numbers[i]);
        CHECK_STR_EQ(written, expected);
    }
}

TEST(a_line_that_is_written_cannot_be_split_by_what_is_in_it) {
    char written[64];
    *resp_write_line(written, '-', view_of("ERR a\r\n+OK\tb")) = '\0';
    CHECK_STR_EQ(written, "-ERR a  +OK b\r\n");
}
