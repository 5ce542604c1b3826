/* SPDX-License-Identifier: MIT
 *
 * What servers answer to a beat, byte by byte. */
#include "store/cassandra/claim_words.h"

#include <string.h>

#include "support/check.h"

enum { BYTES_MAX = 256 };

struct body {
    char   bytes[BYTES_MAX];
    size_t used;
};

static void put(struct body *b, const void *bytes, size_t count) {
    CHECK_LE(b->used + count, sizeof b->bytes);
    memcpy(b->bytes + b->used, bytes, count);
    b->used += count;
}

static void put_int(struct body *b, unsigned bytes, uint64_t number) {
    while (bytes > 0) {
        char byte = (char)(number >> 8 * --bytes & 0xff);
        put(b, &byte, 1);
    }
}

static void put_string(struct body *b, const char *text) {
    put_int(b, 2, strlen(text));
    put(b, text, strlen(text));
}

static void put_boolean(struct body *b, bool value) {
    put_int(b, 4, 1);
    put_int(b, 1, value);
}

static void put_column(struct body *b, const char *name, unsigned type) {
    put_string(b, name);
    put_int(b, 2, type);
}

/* Rows of one table, one of them. */
static void begin(struct body *b, unsigned columns) {
    *b = (struct body){.used = 0};
    put_int(b, 4, 2);
    put_int(b, 4, 1);
    put_int(b, 4, columns);
    put_string(b, "weir");
    put_string(b, "weir_members");
}

static struct cassandra_result result_of(const struct body *b) {
    struct cassandra_result result = {.status = CASSANDRA_DONE};
    CHECK(cql_response_result((struct view){b->bytes, b->used}, &result.result));
    return result;
}

/* A condition that does not hold is answered with what is there. */
static struct cassandra_result not_applied(struct body *b, uint64_t beat, bool is_fenced) {
    begin(b, 3);
    put_column(b, "[applied]", CQL_TYPE_BOOLEAN);
    put_column(b, "beat", CQL_TYPE_BIGINT);
    put_column(b, "is_fenced", CQL_TYPE_BOOLEAN);
    put_int(b, 4, 1);
    put_boolean(b, false);
    put_int(b, 4, 8);
    put_int(b, 8, beat);
    put_boolean(b, is_fenced);
    return result_of(b);
}

TEST(a_beat_that_finds_itself_was_done) {
    struct body             b;
    struct cassandra_result result = not_applied(&b, 8, false);
    bool                    is_applied;
    CHECK(claim_words_applied(&result, &is_applied));
    CHECK(!is_applied);
    CHECK(claim_words_has_beaten(&result, 8));
    CHECK(!claim_words_has_beaten(&result, 9));
}

TEST(a_beat_that_finds_a_fence_was_not) {
    struct body             b;
    struct cassandra_result result = not_applied(&b, 8, true);
    CHECK(!claim_words_has_beaten(&result, 8));
}

TEST(a_beat_that_finds_no_record_was_not) {
    struct body b;
    begin(&b, 1);
    put_column(&b, "[applied]", CQL_TYPE_BOOLEAN);
    put_int(&b, 4, 1);
    put_boolean(&b, false);
    struct cassandra_result result = result_of(&b);
    bool                    is_applied;
    CHECK(claim_words_applied(&result, &is_applied));
    CHECK(!is_applied);
    CHECK(!claim_words_has_beaten(&result, 8));
}
