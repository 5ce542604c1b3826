/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include "cmd/log_input.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zlib.h>

#include "base/random.h"

enum { LINE_MAX_HERE = 1000 };

static char path[] = "/tmp/weir-log-input-XXXXXX";

static void make_file(const void *bytes, size_t count) {
    snprintf(path, sizeof path, "/tmp/weir-log-input-XXXXXX");
    int file = mkstemp(path);
    CHECK_GE(file, 0);
    CHECK_EQ(write(file, bytes, count), (ssize_t)count);
    close(file);
}

static struct log_input *open_file(void) {
    char              error[256];
    struct log_input *input = log_input_open(path, LINE_MAX_HERE, error, sizeof error);
    CHECK_NE(input, NULL);
    return input;
}

static void close_file(struct log_input *input) {
    log_input_close(input);
    unlink(path);
}

static size_t gzip(void *bytes, size_t count, uint8_t *out, size_t room) {
    z_stream z = {0};
    CHECK_EQ(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in   = bytes;
    z.avail_in  = (uInt)count;
    z.next_out  = out;
    z.avail_out = (uInt)room;
    CHECK_EQ(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return room - z.avail_out;
}

static void expect(struct log_input *input, enum log_input_step step, const char *text) {
    struct view line;
    CHECK_EQ(log_input_next(input, &line), step);
    if (text == NULL) return;
    CHECK_EQ(line.bytes, strlen(text));
    CHECK_MEM_EQ(line.data, text, line.bytes);
}

TEST(lines_come_one_by_one_and_the_last_needs_no_line_feed) {
    make_file("a\n\nb\0c\r\nd", 9);
    struct log_input *input = open_file();
    struct view       line;
    expect(input, LOG_INPUT_LINE, "a");
    expect(input, LOG_INPUT_LINE, "");
    CHECK_EQ(log_input_next(input, &line), LOG_INPUT_LINE);
    CHECK_EQ(line.bytes, 4);
    CHECK_MEM_EQ(line.data, "b\0c\r", 4);
    expect(input, LOG_INPUT_LINE, "d");
    expect(input, LOG_INPUT_END, NULL);
    expect(input, LOG_INPUT_END, NULL);
    CHECK_EQ(log_input_trouble(input), NULL);
    CHECK_EQ(log_input_bytes_read(input), 9);
    CHECK_EQ(log_input_bytes_total(input), 9);
    close_file(input);
}

TEST(an_empty_file_has_no_line) {
    make_file("", 0);
    struct log_input *input = open_file();
    expect(input, LOG_INPUT_END, NULL);
    CHECK_EQ(log_input_trouble(input), NULL);
    close_file(input);
}

TEST(a_file_that_is_not_there_is_named) {
    char error[256];
    CHECK_EQ(log_input_open("/nowhere/at/all", LINE_MAX_HERE, error, sizeof error), NULL);
    CHECK_CONTAINS(error, "'/nowhere/at/all'");
    CHECK_CONTAINS(error, "No such file");
    CHECK_EQ(log_input_open("/tmp", LINE_MAX_HERE, error, sizeof error), NULL);
    CHECK_CONTAINS(error, "is a folder");
}

/* Any text, plain and as gzip, is cut as memchr would cut it; longer lines are told and skipped. */
TEST(random_texts_are_cut_into_their_lines) {
    enum { TEXT_MAX = 900000 };
    struct random r    = {check_seed()};
    char         *text = malloc(TEXT_MAX);
    uint8_t      *zip  = malloc(TEXT_MAX + 100000);
    for (uint64_t round = 0; round < check_effort(40); round++) {
        size_t   count   = random_below(&r, random_below(&r, 2) == 0 ? 3000 : TEXT_MAX);
        uint64_t average = random_between(&r, 1, 1500);
        for (size_t i = 0; i < count; i++) {
            text[i] = "abc"[random_below(&r, 3)];
            if (random_below(&r, average) == 0) text[i] = '\n';
        }
        bool is_gzip = random_below(&r, 2) == 0;
        if (is_gzip) {
            size_t half  = count / 2; /* two members */
            size_t bytes = gzip(text, half, zip, TEXT_MAX + 100000);
            bytes += gzip(text + half, count - half, zip + bytes, TEXT_MAX + 100000 - bytes);
            make_file(zip, bytes);
        } else {
            make_file(text, count);
        }
        struct log_input *input = open_file();
        for (size_t at = 0; at < count;) {
            const char         *feed  = memchr(text + at, '\n', count - at);
            size_t              bytes = feed != NULL ? (size_t)(feed - text) - at : count - at;
            struct view         line;
            enum log_input_step step = log_input_next(input, &line);
            CHECK_EQ(step, bytes > LINE_MAX_HERE ? LOG_INPUT_TOO_LONG : LOG_INPUT_LINE);
            CHECK_EQ(line.bytes, bytes > LINE_MAX_HERE ? LINE_MAX_HERE : bytes);
            CHECK_MEM_EQ(line.data, text + at, line.bytes);
            at += bytes + 1;
        }
        expect(input, LOG_INPUT_END, NULL);
        CHECK_EQ(log_input_is_gzip(input), is_gzip);
        CHECK_EQ(log_input_trouble(input), NULL);
        close_file(input);
    }
    free(text);
    free(zip);
}

TEST(gzip_that_is_cut_off_gives_what_it_has_and_says_so) {
    char          text[40000];
    uint8_t       zip[60000];
    struct random r = {check_seed()};
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = "abcdefghijklmnop"[random_below(&r, 16)];
        if (i % 100 == 99) text[i] = '\n';
    }
    size_t bytes = gzip(text, sizeof text, zip, sizeof zip);
    make_file(zip, bytes / 2);
    struct log_input *input = open_file();
    struct view       line;
    size_t            lines = 0;
    while (log_input_next(input, &line) == LOG_INPUT_LINE) lines++;
    CHECK_GT(lines, 50);
    CHECK_LT(lines, 400);
    CHECK_STR_EQ(log_input_trouble(input), "the gzip data is cut off");
    close_file(input);

    zip[bytes / 2] ^= 0x55;
    zip[bytes - 5] ^= 0x55; /* the checksum at the latest tells */
    make_file(zip, bytes);
    input = open_file();
    while (log_input_next(input, &line) == LOG_INPUT_LINE) {}
    CHECK_NE(log_input_trouble(input), NULL);
    close_file(input);
}
