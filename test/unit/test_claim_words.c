/* SPDX-License-Identifier: MIT
 *
 * What servers answer to a beat, byte by byte; what a date says, and what is read of it. */
#include "store/cassandra/claim_words.h"

#include <stdlib.h>
#include <string.h>

#include "support/check.h"

enum { BYTES_MAX = 512 };

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

/* ---- dates ---- */

enum { TTL, BEAT, KEEP, FENCED_FOR, BUCKET, ID, IF_BEAT, VALUES };

#define SECOND UINT64_C(1000000000)

static int32_t int_of(const struct claim_words *words, unsigned i) {
    int32_t number = 0;
    CHECK(cql_value_int(words->values[i], &number));
    return number;
}

static int64_t bigint_of(const struct claim_words *words, unsigned i) {
    int64_t number = 0;
    CHECK(cql_value_bigint(words->values[i], &number));
    return number;
}

static void write_date(struct claim_words *words, uint64_t keep_ns, uint64_t fenced_for_ns) {
    struct members_errand date = {.act           = MEMBERS_DATE,
                                  .id            = 83,
                                  .beat          = 17,
                                  .keep_ns       = keep_ns,
                                  .fenced_for_ns = fenced_for_ns};
    claim_words_write_member(words, &date, 0);
}

TEST(a_date_is_written_only_on_a_fence_and_with_all_that_a_record_says) {
    struct claim_words words;
    write_date(&words, 20000 * SECOND, 80 * SECOND);
    CHECK_STR_EQ(words.request.statement->text,
                 "UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = true, keep = ?, "
                 "shortages = 0x, fenced_for = ? WHERE bucket = ? AND id = ? "
                 "IF is_fenced = true AND beat = ?");
    CHECK(words.request.is_conditional);
    CHECK_EQ(words.request.consistency, CQL_QUORUM);
    CHECK_EQ(words.request.serial_consistency, CQL_SERIAL);
    CHECK_EQ(words.request.value_count, VALUES);
    CHECK_EQ(bigint_of(&words, BEAT), 17);
    CHECK_EQ(int_of(&words, KEEP), 20000);
    CHECK_EQ(int_of(&words, FENCED_FOR), 80);
    CHECK_EQ(int_of(&words, BUCKET), 83 % 8);
    CHECK_EQ(bigint_of(&words, ID), 83);
    CHECK_EQ(bigint_of(&words, IF_BEAT), 17);
    CHECK(words.request.key.data == words.values[BUCKET].bytes.data);
}

TEST(a_dated_record_expires_when_it_would_have_and_is_not_older_than_it_was) {
    static const struct {
        uint64_t keep_ns, fenced_for_ns;
        int32_t  ttl_s, keep_s, fenced_for_s;
    } cases[] = {{0, 0, 10800, 10800, 0}, /* as long as any record */
                 {20000 * SECOND, 1, 20000, 20000, 0},
                 {20000 * SECOND, 10 * SECOND - 1, 19991, 20000, 9},
                 {20000 * SECOND, 10 * SECOND, 19990, 20000, 10},
                 {20000 * SECOND + 1, 10 * SECOND, 19991, 20001, 10},
                 {20000 * SECOND, 19999 * SECOND, 1, 20000, 19999},
                 {20000 * SECOND, 20000 * SECOND, 1, 20000, 20000}, /* 0 is for ever */
                 {20000 * SECOND, 30000 * SECOND, 1, 20000, 30000},
                 {CLAIM_KEEP_NS_MAX, UINT64_MAX, 1, 630720000, 630720000}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct claim_words words;
        write_date(&words, cases[i].keep_ns, cases[i].fenced_for_ns);
        CHECK_EQ(int_of(&words, TTL), cases[i].ttl_s);
        CHECK_EQ(int_of(&words, KEEP), cases[i].keep_s);
        CHECK_EQ(int_of(&words, FENCED_FOR), cases[i].fenced_for_s);
    }
}

/* A fence of who is fenced, and perhaps dated, would shorten the life of a part of its record. */
TEST(a_fence_is_written_only_on_who_is_not_fenced) {
    enum { FENCE_TTL, FENCE_BEAT, FENCE_KEEP, FENCE_BUCKET, FENCE_ID, FENCE_IF_BEAT, FENCE_VALUES };
    struct members_errand fence = {
        .act = MEMBERS_FENCE, .id = 83, .beat = 17, .keep_ns = 20000 * SECOND};
    struct claim_words words;
    claim_words_write_member(&words, &fence, 0);
    CHECK_STR_EQ(words.request.statement->text,
                 "UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = true, keep = ? "
                 "WHERE bucket = ? AND id = ? IF is_fenced = false AND beat = ?");
    CHECK(words.request.is_conditional);
    CHECK_EQ(words.request.value_count, FENCE_VALUES);
    CHECK_EQ(int_of(&words, FENCE_TTL), 20000);
    CHECK_EQ(bigint_of(&words, FENCE_BEAT), 17);
    CHECK_EQ(int_of(&words, FENCE_KEEP), 20000);
    CHECK_EQ(int_of(&words, FENCE_BUCKET), 83 % 8);
    CHECK_EQ(bigint_of(&words, FENCE_ID), 83);
    CHECK_EQ(bigint_of(&words, FENCE_IF_BEAT), 17);
}

/* ---- how long rows are kept ---- */

#define YEAR_2038 (UINT64_C(2145916800) * SECOND)

static int32_t row_keep_s(uint64_t keep_ns, uint64_t wall_ns) {
    enum { ROW_NAME, ROW_ID, NUMBER, PERMITS, DEMAND, RESETS, ROW_TTL, ROW_VALUES };
    const struct claim_errand errand = {.act = CLAIM_WRITE, .number = 5, .keep_ns = keep_ns};
    const struct store_name   name   = {0};
    struct claim_words        words;
    claim_words_write(&words, &errand, &name, 83, wall_ns);
    CHECK_EQ(words.request.value_count, ROW_VALUES);
    return int_of(&words, ROW_TTL);
}

static int32_t member_keep_s(enum members_act act, uint64_t keep_ns, uint64_t fenced_for_ns,
                             uint64_t wall_ns) {
    enum { JOIN_TTL = 4 };
    const struct members_errand errand = {
        .act = act, .id = 83, .beat = 5, .keep_ns = keep_ns, .fenced_for_ns = fenced_for_ns};
    struct claim_words words;
    claim_words_write_member(&words, &errand, wall_ns);
    return int_of(&words, act == MEMBERS_JOIN ? JOIN_TTL : TTL);
}

/* A server refuses what would: also what takes a claim back. */
TEST(nothing_is_kept_beyond_2037_or_for_more_than_twenty_years) {
    static const enum members_act acts[] = {MEMBERS_JOIN, MEMBERS_BEAT, MEMBERS_FENCE};
    const uint64_t                soon = YEAR_2038 - 20000 * SECOND, year_ns = 31536000 * SECOND;
    CHECK_EQ(row_keep_s(7200 * SECOND, soon), 7200);
    CHECK_EQ(row_keep_s(year_ns, soon), 20000);
    CHECK_EQ(row_keep_s(25 * year_ns, YEAR_2038 - 30 * year_ns), 630720000);
    CHECK_EQ(row_keep_s(year_ns, YEAR_2038 + 1), 31536000); /* servers of then take it, or none */
    for (unsigned i = 0; i < sizeof acts / sizeof *acts; i++) {
        CHECK_EQ(member_keep_s(acts[i], 0, 0, soon), 10800);
        CHECK_EQ(member_keep_s(acts[i], year_ns, 0, soon), 20000);
        CHECK_EQ(member_keep_s(acts[i], 0, 0, YEAR_2038 - 100 * SECOND), 100);
        CHECK_EQ(member_keep_s(acts[i], 25 * year_ns, 0, YEAR_2038 - 30 * year_ns), 630720000);
    }
    CHECK_EQ(member_keep_s(MEMBERS_DATE, year_ns, 5000 * SECOND, soon), 20000);
    CHECK_EQ(member_keep_s(MEMBERS_DATE, 24000 * SECOND, 5000 * SECOND, soon), 19000);
}

/* So many bytes, or none: -1 is NULL. */
static void put_value(struct body *b, int bytes, uint64_t number) {
    put_int(b, 4, (uint64_t)(uint32_t)bytes);
    if (bytes > 0) put_int(b, (unsigned)bytes, number);
}

static void begin_records(struct body *b, unsigned count) {
    begin(b, 6);
    put_column(b, "id", CQL_TYPE_BIGINT);
    put_column(b, "beat", CQL_TYPE_BIGINT);
    put_column(b, "is_fenced", CQL_TYPE_BOOLEAN);
    put_column(b, "keep", CQL_TYPE_INT);
    put_column(b, "shortages", CQL_TYPE_BLOB);
    put_column(b, "fenced_for", CQL_TYPE_INT);
    put_int(b, 4, count);
}

/* The bytes of each column but the key and the shortages. */
struct widths {
    int beat, is_fenced, keep, fenced_for;
};

static const struct widths usual = {8, 1, 4, 4};

static void put_record(struct body *b, uint64_t id, struct widths widths, uint64_t fenced_for) {
    put_value(b, 8, id);
    put_value(b, widths.beat, 17);
    put_value(b, widths.is_fenced, true);
    put_value(b, widths.keep, 20000);
    put_value(b, 0, 0);
    put_value(b, widths.fenced_for, fenced_for);
}

/* A record, and how long it says that it has been fenced: in so many bytes; -1: NULL. */
static uint64_t read_fenced_for(int bytes, uint64_t fenced_for) {
    struct body   b;
    struct widths widths = usual;
    widths.fenced_for    = bytes;
    begin_records(&b, 1);
    put_record(&b, 83, widths, fenced_for);

    struct cassandra_result result  = result_of(&b);
    struct members_record  *records = NULL;
    uint32_t                room = 0, count = 0;
    CHECK(claim_words_records(&result, &records, &room, &count));
    CHECK_EQ(count, 1);
    struct members_record record = records[0];
    free(records);
    CHECK_EQ(record.id, 83);
    CHECK_EQ(record.beat, 17);
    CHECK(record.is_fenced);
    CHECK_EQ(record.keep_ns, 20000 * SECOND);
    CHECK_EQ(record.shortages.count, 0);
    return record.fenced_for_ns;
}

TEST(how_long_a_member_has_been_fenced_is_read_if_it_was_written) {
    CHECK_EQ(read_fenced_for(4, 80), 80 * SECOND);
    CHECK_EQ(read_fenced_for(4, 0), 0);
    CHECK_EQ(read_fenced_for(4, INT32_MAX), INT32_MAX * SECOND);
    CHECK_EQ(read_fenced_for(-1, 0), 0);
    CHECK_EQ(read_fenced_for(0, 0), 0);
    CHECK_EQ(read_fenced_for(4, UINT32_MAX), 0); /* below nothing */
}

/* How many of three records are read, if those of the second are of these widths; -1: nothing is. */
static int read_beside(struct widths widths) {
    struct body b;
    begin_records(&b, 3);
    put_record(&b, 83, usual, 80);
    put_record(&b, 84, widths, 80);
    put_record(&b, 85, usual, 80);
    struct cassandra_result result  = result_of(&b);
    struct members_record  *records = NULL;
    uint32_t                room = 0, count = 0;
    bool                    is_read = claim_words_records(&result, &records, &room, &count);
    if (is_read) CHECK_EQ(records[0].id, 83);
    if (is_read) CHECK_EQ(records[count - 1].id, 85);
    free(records);
    return is_read ? (int)count : -1;
}

TEST(a_record_of_which_a_part_has_expired_hides_no_other) {
    CHECK_EQ(read_beside(usual), 3);
    CHECK_EQ(read_beside((struct widths){-1, 1, 4, 4}), 2);
    CHECK_EQ(read_beside((struct widths){8, -1, 4, 4}), 2);
    CHECK_EQ(read_beside((struct widths){8, 1, -1, 4}), 2);
    CHECK_EQ(read_beside((struct widths){-1, -1, -1, 4}), 2);
    CHECK_EQ(read_beside((struct widths){7, 1, 4, 4}), -1);
    CHECK_EQ(read_beside((struct widths){8, 2, 4, 4}), -1);
    CHECK_EQ(read_beside((struct widths){8, 1, 3, 4}), -1);
}

/* ---- statements ---- */

static void must_say(const struct claim_words *words, const char *text, bool is_conditional) {
    const struct cassandra_request *request = &words->request;
    CHECK_STR_EQ(request->statement->text, text);
    CHECK_EQ(request->consistency, CQL_QUORUM);
    CHECK_EQ(request->is_conditional, is_conditional);
    if (is_conditional) CHECK_EQ(request->serial_consistency, CQL_SERIAL);
}

/* Two nodes of three that agree are what the promise stands on; and no test without three sees it. */
TEST(all_is_asked_of_a_quorum) {
    static const struct {
        enum claim_act act;
        const char    *text;
    } rows[] = {
        {CLAIM_WRITE, "INSERT INTO weir_claims (name, id, number, permits, demand, resets) "
                      "VALUES (?, ?, ?, ?, ?, ?) USING TTL ?"},
        {CLAIM_READ, "SELECT id, number, permits, demand, resets FROM weir_claims WHERE name = ?"}};
    static const struct {
        enum members_act act;
        const char      *text;
    } members[] = {
        {MEMBERS_JOIN, "INSERT INTO weir_members (bucket, id, beat, is_fenced, keep) "
                       "VALUES (?, ?, ?, false, ?) IF NOT EXISTS USING TTL ?"},
        {MEMBERS_BEAT,
         "UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = false, keep = ?, shortages = ? "
         "WHERE bucket = ? AND id = ? IF is_fenced = false AND beat < ?"},
        {MEMBERS_FENCE, "UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = true, keep = ? "
                        "WHERE bucket = ? AND id = ? IF is_fenced = false AND beat = ?"},
        {MEMBERS_DATE, "UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = true, keep = ?, "
                       "shortages = 0x, fenced_for = ? "
                       "WHERE bucket = ? AND id = ? IF is_fenced = true AND beat = ?"},
        {MEMBERS_LOOK, "SELECT id, beat, is_fenced, keep, shortages, fenced_for FROM weir_members "
                       "WHERE bucket IN (0, 1, 2, 3, 4, 5, 6, 7)"}};
    struct claim_words words;
    struct store_name  name = {.bytes = {1}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct claim_errand errand = {.act = rows[i].act, .number = 1};
        claim_words_write(&words, &errand, &name, 7, SECOND);
        must_say(&words, rows[i].text, false);
    }
    for (unsigned i = 0; i < sizeof members / sizeof *members; i++) {
        struct members_errand errand = {.act = members[i].act, .id = 7, .beat = 1};
        claim_words_write_member(&words, &errand, SECOND);
        must_say(&words, members[i].text, members[i].act != MEMBERS_LOOK);
    }
}
