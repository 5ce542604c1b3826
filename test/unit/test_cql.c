/* SPDX-License-Identifier: MIT
 *
 * Cassandra's protocol by example, byte for byte. Bytes are written as hexadecimal digits, with blanks
 * where it reads better, and 'letters'. */
#include "wire/cql.h"

#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "base/random.h"
#include "support/check.h"
#include "support/cql_told.h"
#include "wire/cql_request.h"
#include "wire/cql_response.h"
#include "wire/cql_token.h"
#include "wire/cql_value.h"

enum { BYTES_MAX = 4096 };

/* What `text` stands for, until four more calls. */
static struct view bytes_of(const char *text) {
    static char     buffers[4][BYTES_MAX];
    static unsigned turn;
    char           *out  = buffers[turn++ % 4];
    size_t          used = 0;
    while (*text != '\0') {
        CHECK_LT(used, BYTES_MAX);
        if (*text == ' ') {
            text++;
        } else if (*text == '\'') {
            for (text++; *text != '\''; text++) out[used++] = *text;
            text++;
        } else {
            int byte = hex_byte(text);
            CHECK_GE(byte, 0);
            out[used++] = (char)byte;
            text += 2;
        }
    }
    return (struct view){.data = out, .bytes = used};
}

/* A copy that ends where its memory does, so that a step beyond it is seen. */
static struct view exact_copy(struct view bytes, size_t count) {
    char *copy = malloc(count > 0 ? count : 1);
    CHECK(copy != NULL);
    if (count > 0) memcpy(copy, bytes.data, count);
    return (struct view){.data = copy, .bytes = count};
}

static void drop(struct view copy) { free((void *)copy.data); }

/* ---- frames ---- */

static enum cql_outcome read_exact(struct view bytes, size_t count, size_t body_bytes_max,
                                   struct cql_frame *frame) {
    struct view      copy    = exact_copy(bytes, count);
    enum cql_outcome outcome = cql_read(copy, body_bytes_max, frame);
    if (outcome == CQL_FRAME) {
        CHECK_LE(frame->bytes, count);
        CHECK_LE(frame->body.bytes, frame->bytes - CQL_HEADER_BYTES);
        /* The body is the end of its frame; from here on, that of the bytes that stay. */
        frame->body.data = bytes.data + frame->bytes - frame->body.bytes;
    }
    drop(copy);
    return outcome;
}

static void check_body(const char *frame_text, const char *body_text) {
    struct view      bytes = bytes_of(frame_text), body = bytes_of(body_text);
    struct cql_frame frame;
    CHECK_EQ(read_exact(bytes, bytes.bytes, 1000, &frame), CQL_FRAME);
    CHECK_EQ(frame.bytes, bytes.bytes);
    CHECK_EQ(frame.body.bytes, body.bytes);
    CHECK_MEM_EQ(frame.body.data, body.data, body.bytes);
}

static void check_broken(const char *frame_text, const char *problem) {
    struct view      bytes = bytes_of(frame_text);
    struct cql_frame frame;
    CHECK_EQ(read_exact(bytes, bytes.bytes, 1000, &frame), CQL_BROKEN);
    CHECK_CONTAINS(frame.problem, problem);
}

TEST(a_frame_is_a_header_and_as_many_bytes_as_it_says) {
    struct view      bytes = bytes_of("84 00 0102 08 00000004 00000001 84 00");
    struct cql_frame frame;
    CHECK_EQ(cql_read(bytes, 1000, &frame), CQL_FRAME);
    CHECK_EQ(frame.bytes, 13);
    CHECK_EQ(frame.stream, 0x102);
    CHECK_EQ(frame.opcode, CQL_RESULT);
    CHECK_EQ(frame.body.bytes, 4);
    CHECK(frame.body.data == bytes.data + 9);
    check_body("84 00 0000 02 00000000", "");
}

TEST(a_stream_has_a_sign) {
    struct {
        const char *frame;
        int         stream;
    } const examples[] = {
        {"84 00 0000 02 00000000", 0},      {"84 00 7fff 02 00000000", 32767},
        {"84 00 ffff 0c 00000000", -1},     {"84 00 8000 02 00000000", -32768},
        {"84 00 00ff 02 00000000", 0x00ff}, {"84 00 ff00 02 00000000", -256},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) {
        struct cql_frame frame;
        CHECK_EQ(cql_read(bytes_of(examples[i].frame), 0, &frame), CQL_FRAME);
        CHECK_EQ(frame.stream, examples[i].stream);
    }
    CHECK_EQ(examples[2].stream, CQL_STREAM_EVENT);
}

TEST(a_frame_that_is_not_all_there_says_what_it_needs) {
    struct view bytes = bytes_of("84 0e 0001 08 00000023 00112233445566778899aabbccddeeff"
                                 "0001 0003 'hot' 0001 0001 'k' 00000001 'v' 00000001");
    CHECK_EQ(bytes.bytes, 9 + 0x25);
    bytes.bytes -= 2; /* the frame ends before its body does, which is its own affair */
    for (size_t count = 0; count < bytes.bytes; count++) {
        struct cql_frame frame;
        CHECK_EQ(read_exact(bytes, count, 1000, &frame), CQL_PARTIAL);
        CHECK_EQ(frame.bytes_wanted, count < 9 ? 9 : bytes.bytes);
    }
    struct cql_frame frame;
    CHECK_EQ(read_exact(bytes, bytes.bytes, 1000, &frame), CQL_FRAME);
    CHECK_EQ(frame.body.bytes, 2);
}

TEST(what_is_before_the_body_is_passed_over) {
    check_body("84 02 0000 08 00000014 00112233445566778899aabbccddeeff 00000001", "00000001");
    check_body("84 08 0000 08 0000000f 0002 0003 'hot' 0002 '!!' 00000001", "00000001");
    check_body("84 04 0000 08 00000010 0002 0001 'k' 00000001 'v' 0000 ffffffff", "");
    check_body("84 0e 0000 08 00000018 00112233445566778899aabbccddeeff 0000 0000 00000001",
               "00000001");
    check_body("84 f0 0000 08 00000004 00000001", "00000001");
}

TEST(what_is_before_the_body_must_be_within_its_frame) {
    const char *problem = "do not fit into their frame";
    check_broken("84 02 0000 08 0000000f 00112233445566778899aabbccddee 00 00", problem);
    check_broken("84 08 0000 08 00000001 00 00 00", problem);
    check_broken("84 08 0000 08 00000004 0001 0001 'abc'", problem);
    check_broken("84 08 0000 08 00000002 ffff", problem);
    check_broken("84 04 0000 08 00000008 0001 0000 00000001 'v'", problem);
    check_broken("84 04 0000 08 00000008 0001 0000 7fffffff", problem);
    check_broken("84 06 0000 08 00000010 00112233445566778899aabbccddeeff 0000", problem);
}

TEST(what_is_no_response_of_version_4_is_broken_from_its_first_byte) {
    check_broken("83", "another version");
    check_broken("85", "another version");
    check_broken("84 01", "compressed");
    check_broken("04 00 0000 05 00000000", "no response");
    check_broken("'HTTP/1.1 400 Bad Request'", "no response");
    check_broken("15 03", "no response"); /* a TLS alert */
}

TEST(a_frame_longer_than_the_bound_is_broken_once_its_header_is_there) {
    struct cql_frame frame;
    check_broken("84 00 0000 08 000003e9", "longer frame");
    check_broken("84 00 0000 08 7fffffff", "longer frame");
    check_broken("84 00 0000 08 ffffffff", "longer frame");
    CHECK_EQ(cql_read(bytes_of("84 00 0000 08 000003e8"), 1000, &frame), CQL_PARTIAL);
    CHECK_EQ(frame.bytes_wanted, 1009);
    CHECK_EQ(cql_read(bytes_of("84 00 0000 08 10000000"), CQL_BODY_BYTES_MAX, &frame), CQL_PARTIAL);
    CHECK_EQ(cql_read(bytes_of("84 00 0000 08 10000001"), CQL_BODY_BYTES_MAX, &frame), CQL_BROKEN);
    CHECK_TRAPS(cql_read(bytes_of(""), CQL_BODY_BYTES_MAX + 1, &frame));
}

/* ---- requests ---- */

/* The call, which uses `out` and `room`, writes the bytes expected if there is room for them, and
 * nothing beyond its room if there is not. */
#define CHECK_REQUEST(call, expected)                                                              \
    do {                                                                                           \
        char        out[BYTES_MAX];                                                                \
        struct view wanted = bytes_of(expected);                                                   \
        for (size_t room = 0; room < wanted.bytes; room++) {                                       \
            memset(out, 0x5a, sizeof out);                                                         \
            CHECK_EQ(call, 0);                                                                     \
            for (size_t at = room; at < sizeof out; at++) CHECK_EQ(out[at], 0x5a);                 \
        }                                                                                          \
        size_t room = wanted.bytes;                                                                \
        CHECK_EQ(call, wanted.bytes);                                                              \
        CHECK_MEM_EQ(out, wanted.data, wanted.bytes);                                              \
    } while (0)

TEST(a_connection_begins_with_startup) {
    CHECK_REQUEST(cql_request_startup(out, room, 0, view_of("weir"), view_of("1.2")),
                  "04 00 0000 01 0000003e 0003"
                  "000b 'CQL_VERSION' 0005 '3.0.0' 000b 'DRIVER_NAME' 0004 'weir'"
                  "000e 'DRIVER_VERSION' 0003 '1.2'");
}

TEST(options_are_a_header_alone) {
    CHECK_REQUEST(cql_request_options(out, room, 32767), "04 00 7fff 05 00000000");
}

TEST(a_user_and_a_password_are_told_as_plain) {
    CHECK_REQUEST(cql_request_auth_plain(out, room, 1, view_of("ann"), view_of("secret")),
                  "04 00 0001 0f 0000000f 0000000b 00 'ann' 00 'secret'");
    CHECK_REQUEST(cql_request_auth_plain(out, room, 1, view_of(""), view_of("")),
                  "04 00 0001 0f 00000006 00000002 00 00");
    char out[100];
    CHECK_TRAPS(cql_request_auth_plain(out, 100, 1, bytes_of("'a' 00 'b'"), view_of("x")));
    CHECK_TRAPS(cql_request_auth_plain(out, 100, 1, view_of("x"), bytes_of("'a' 00 'b'")));
}

TEST(events_are_asked_for_by_name) {
    CHECK_REQUEST(cql_request_register(out, room, 2, CQL_EVENTS_STATUS),
                  "04 00 0002 0b 00000011 0001 000d 'STATUS_CHANGE'");
    CHECK_REQUEST(cql_request_register(out, room, 2,
                                       CQL_EVENTS_TOPOLOGY | CQL_EVENTS_STATUS | CQL_EVENTS_SCHEMA),
                  "04 00 0002 0b 00000031 0003 000f 'TOPOLOGY_CHANGE' 000d 'STATUS_CHANGE'"
                  "000d 'SCHEMA_CHANGE'");
}

TEST(a_statement_is_prepared) {
    CHECK_REQUEST(cql_request_prepare(out, room, 3, view_of("SELECT 1")),
                  "04 00 0003 09 0000000c 00000008 'SELECT 1'");
}

TEST(a_query_says_no_more_than_it_must) {
    struct cql_parameters plain = {.consistency = CQL_LOCAL_ONE};
    CHECK_REQUEST(cql_request_query(out, room, 4, view_of("USE a"), &plain),
                  "04 00 0004 07 0000000c 00000005 'USE a' 000a 00");
}

TEST(a_query_says_all_that_it_can_in_the_order_of_the_specification) {
    struct cql_value      values[] = {{.presence = CQL_PRESENT, .bytes = view_of("ab")},
                                      {.presence = CQL_NULL},
                                      {.presence = CQL_UNSET},
                                      {.presence = CQL_PRESENT}};
    struct cql_parameters all      = {
             .consistency        = CQL_LOCAL_QUORUM,
             .serial_consistency = CQL_LOCAL_SERIAL,
             .values             = values,
             .value_count        = 4,
             .page_rows          = 5000,
             .paging_state       = view_of("next"),
             .has_timestamp      = true,
             .timestamp_us       = 0x0102030405060708,
             .skips_metadata     = true,
    };
    CHECK_REQUEST(cql_request_query(out, room, 5, view_of("X"), &all),
                  "04 00 0005 07 00000032 00000001 'X' 0006 3f"
                  "0004 00000002 'ab' ffffffff fffffffe 00000000"
                  "00001388 00000004 'next' 0009 0102030405060708");
}

TEST(what_was_prepared_is_executed_by_its_id) {
    struct view           id    = {.data = "\x0b\xad\xca\xfe", .bytes = 4};
    struct cql_value      value = {.presence = CQL_PRESENT, .bytes = view_of("k")};
    struct cql_parameters one   = {.consistency        = CQL_QUORUM,
                                   .serial_consistency = CQL_SERIAL,
                                   .values             = &value,
                                   .value_count        = 1,
                                   .skips_metadata     = true};
    CHECK_REQUEST(cql_request_execute(out, room, 6, id, &one),
                  "04 00 0006 0a 00000012 0004 0badcafe 0004 13 0001 00000001 'k' 0008");
    struct cql_parameters dated = {.consistency = CQL_ONE, .has_timestamp = true};
    CHECK_REQUEST(cql_request_execute(out, room, 6, id, &dated),
                  "04 00 0006 0a 00000011 0004 0badcafe 0001 20 0000000000000000");
}

TEST(what_no_server_would_take_breaks_a_promise) {
    char                  out[100];
    struct cql_parameters late = {.has_timestamp = true, .timestamp_us = -1};
    struct cql_parameters many = {.page_rows = UINT32_C(0x80000000)};
    struct view           id   = {.data = out, .bytes = 65536};
    CHECK_TRAPS(cql_request_options(out, sizeof out, -1));
    CHECK_TRAPS(cql_request_query(out, sizeof out, 0, view_of(""), &late));
    CHECK_TRAPS(cql_request_query(out, sizeof out, 0, view_of(""), &many));
    CHECK_TRAPS(cql_request_execute(out, sizeof out, 0, id, &late));
    CHECK_TRAPS(cql_request_register(out, sizeof out, 0, 8));
    struct view huge = {.data = out, .bytes = (size_t)CQL_BODY_BYTES_MAX + 1};
    CHECK_EQ(cql_request_prepare(out, sizeof out, 0, huge), 0);
}

/* ---- responses ---- */

static char *told_of(uint8_t opcode, struct view body) {
    char  *told  = NULL;
    size_t bytes = 0;
    FILE  *out   = open_memstream(&told, &bytes);
    CHECK(out != NULL);
    if (!told_response(out, opcode, body)) fputs("broken", out);
    fclose(out);
    return told;
}

static void check_told(uint8_t opcode, struct view body, size_t count, const char *expected) {
    struct view copy = exact_copy(body, count);
    char       *told = told_of(opcode, copy);
    if (expected != NULL)
        CHECK_SAYS(strcmp(told, expected) == 0, "%zu of %zu bytes say \"%s\", not \"%s\"", count,
                   body.bytes, told, expected);
    free(told);
    drop(copy);
}

/* The body says this, and so it does with more behind it, and none of it if any of it is missing; with
 * any one byte changed it says something, or nothing, and nobody reads what is not there. */
static void check_response(uint8_t opcode, const char *body_text, const char *expected) {
    struct view body = bytes_of(body_text);
    check_told(opcode, body, body.bytes, expected);
    for (size_t count = 0; count < body.bytes; count++) check_told(opcode, body, count, "broken");

    char *at = (char *)body.data;
    memset(at + body.bytes, 0xff, 3);
    check_told(opcode, body, body.bytes + 3, expected);
    static const unsigned char others[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    for (size_t i = 0; i < body.bytes; i++) {
        char old = at[i];
        for (size_t other = 0; other < sizeof others; other++) {
            at[i] = (char)others[other];
            check_told(opcode, body, body.bytes, NULL);
        }
        at[i] = old;
    }
}

static void check_refused(uint8_t opcode, const char *body_text) {
    struct view body = bytes_of(body_text);
    check_told(opcode, body, body.bytes, "broken");
}

TEST(before_the_first_statement) {
    check_told(CQL_READY, bytes_of(""), 0, "ready");
    check_response(CQL_AUTHENTICATE, "0003 'a.B'", "authenticate a.B");
    check_response(CQL_AUTH_CHALLENGE, "00000002 'hi'", "token hi");
    check_response(CQL_AUTH_SUCCESS, "00000000", "token ''");
    check_response(CQL_AUTH_SUCCESS, "ffffffff", "token null");
    check_response(CQL_AUTH_SUCCESS, "80000000", "token null");
    check_refused(CQL_AUTH_SUCCESS, "7fffffff 'hi'");
    check_response(CQL_SUPPORTED,
                   "0003 0001 'A' 0002 0001 '1' 0000 0001 'B' 0000 0001 'C' 0001 0001 '3'",
                   "supported A=1 A='' C=3");
    check_response(CQL_SUPPORTED, "0000", "supported");
    check_refused(CQL_SUPPORTED, "ffff 0001 'A' ffff 0001 '1'");
}

TEST(an_error_has_a_code_a_message_and_what_its_code_adds) {
    check_response(CQL_ERROR, "00000000 0004 'oops'", "error SERVER_ERROR 0 oops");
    check_response(CQL_ERROR, "00001001 0000", "error OVERLOADED 1001 ''");
    check_response(CQL_ERROR, "00001000 0001 'm' 0004 00000002 00000001",
                   "error UNAVAILABLE 1000 m consistency=4 received=1 required=2");
    check_response(CQL_ERROR, "00001100 0001 'm' 0004 00000001 00000002 0006 'SIMPLE'",
                   "error WRITE_TIMEOUT 1100 m consistency=4 received=1 required=2 write=1");
    check_response(CQL_ERROR, "00001200 0001 'm' 0004 00000001 00000002 01",
                   "error READ_TIMEOUT 1200 m consistency=4 received=1 required=2 data=1");
    check_response(CQL_ERROR, "00001300 0001 'm' 0004 00000001 00000002 00000003 00",
                   "error READ_FAILURE 1300 m consistency=4 received=1 required=2 failures=3");
    check_response(
        CQL_ERROR, "00001500 0001 'm' 0004 00000001 00000002 00000003 0003 'CAS'",
        "error WRITE_FAILURE 1500 m consistency=4 received=1 required=2 failures=3 write=6");
    check_response(CQL_ERROR, "00001700 0001 'm' 0008 00000001 00000002",
                   "error CAS_WRITE_UNKNOWN 1700 m consistency=8 received=1 required=2");
    check_response(CQL_ERROR, "00002400 0001 'm' 0002 'ks' 0001 't'",
                   "error ALREADY_EXISTS 2400 m keyspace=ks table=t");
    check_response(CQL_ERROR, "00002400 0001 'm' 0002 'ks' 0000",
                   "error ALREADY_EXISTS 2400 m keyspace=ks");
    check_response(CQL_ERROR, "00002500 0001 'm' 0003 010203",
                   "error UNPREPARED 2500 m statement=%01%02%03");
    check_response(CQL_ERROR, "ffff0000 0001 'm'", "error UNKNOWN ffff0000 m");
    check_refused(CQL_ERROR, "00001001 0005 'oops'");
}

TEST(every_type_of_write_is_known_and_a_new_one_is_another) {
    static const struct {
        const char         *word;
        enum cql_write_type type;
    } types[] = {
        {"0005 'BATCH'", CQL_WRITE_BATCH},      {"000e 'UNLOGGED_BATCH'", CQL_WRITE_UNLOGGED_BATCH},
        {"0007 'COUNTER'", CQL_WRITE_COUNTER},  {"0009 'BATCH_LOG'", CQL_WRITE_BATCH_LOG},
        {"0003 'CAS'", CQL_WRITE_CAS},          {"0004 'VIEW'", CQL_WRITE_VIEW},
        {"0003 'CDC'", CQL_WRITE_CDC},          {"0003 'cas'", CQL_WRITE_OTHER},
        {"0006 'SIMPLE'", CQL_WRITE_SIMPLE},    {"0000", CQL_WRITE_OTHER},
        {"000a 'BATCH_LOGS'", CQL_WRITE_OTHER},
    };
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char text[200];
        snprintf(text, sizeof text, "00001100 0000 0001 00000000 00000001 %s", types[i].word);
        struct cql_error error;
        CHECK(cql_response_error(bytes_of(text), &error));
        CHECK_EQ(error.write_type, types[i].type);
    }
}

TEST(every_error_of_the_table_has_a_word_and_a_text_of_its_own) {
    static const int32_t codes[] = {
#define CODE(name, code, word, text) name,
        CQL_ERROR_TABLE(CODE)
#undef CODE
    };
    enum { CODE_COUNT = sizeof codes / sizeof codes[0] };
    CHECK_EQ(CODE_COUNT, 20);
    for (size_t i = 0; i < CODE_COUNT; i++) {
        CHECK(strcmp(cql_error_word(codes[i]), "UNKNOWN") != 0);
        for (size_t k = 0; k < i; k++) {
            CHECK(strcmp(cql_error_word(codes[i]), cql_error_word(codes[k])) != 0);
            CHECK(strcmp(cql_error_text(codes[i]), cql_error_text(codes[k])) != 0);
        }
    }
    CHECK_STR_EQ(cql_error_word(0x2500), "UNPREPARED");
    CHECK_CONTAINS(cql_error_text(0x0100), "user and password");
    CHECK_STR_EQ(cql_error_word(0x9999), "UNKNOWN");
    CHECK_CONTAINS(cql_error_text(-1), "does not know");
}

TEST(a_result_is_void_or_a_keyspace_or_a_change_of_the_schema) {
    check_response(CQL_RESULT, "00000001", "void");
    check_response(CQL_RESULT, "00000003 0002 'ks'", "keyspace ks");
    check_response(CQL_RESULT, "00000005 0007 'CREATED' 0008 'KEYSPACE' 0002 'ks'",
                   "schema CREATED KEYSPACE ks");
    check_response(CQL_RESULT, "00000005 0007 'UPDATED' 0005 'TABLE' 0002 'ks' 0001 't'",
                   "schema UPDATED TABLE ks name=t");
    check_response(CQL_RESULT, "00000005 0007 'DROPPED' 0004 'TYPE' 0002 'ks' 0001 't'",
                   "schema DROPPED TYPE ks name=t");
    check_response(
        CQL_RESULT,
        "00000005 0007 'CREATED' 0008 'FUNCTION' 0002 'ks' 0001 'f' 0002 0003 'int' 0004 'text'",
        "schema CREATED FUNCTION ks name=f");
    check_response(CQL_RESULT, "00000005 0007 'CREATED' 0009 'AGGREGATE' 0002 'ks' 0001 'f' 0000",
                   "schema CREATED AGGREGATE ks name=f");
    check_refused(CQL_RESULT, "00000000");
    check_refused(CQL_RESULT, "00000006");
    check_refused(CQL_RESULT, "ffffffff");
}

TEST(rows_have_columns_with_names_and_types) {
    check_response(
        CQL_RESULT,
        "00000002 00000001 00000003 0002 'ks' 0001 't'"
        "0009 '[applied]' 0004  0001 'n' 0002  0001 'k' 0003  00000002"
        "00000001 01 00000008 fffffffffffffffe 00000002 'ab'"
        "00000001 00 ffffffff 00000000",
        "rows columns=3 ks.t.[applied]:4 ks.t.n:2 ks.t.k:3 | true -2 ab | false null ''");
    check_response(CQL_RESULT,
                   "00000002 00000000 00000002 0001 'a' 0001 'b' 0001 'c' 0009"
                   "0001 'd' 0001 'e' 0001 'f' 000d 00000001 00000004 80000000 00000001 'x'",
                   "rows columns=2 a.b.c:9 d.e.f:d | -2147483648 x");
    check_response(CQL_RESULT,
                   "00000002 00000001 00000001 0001 'k' 0001 't' 0001 'c' 0009 00000000",
                   "rows columns=1 k.t.c:9");
}

TEST(rows_may_come_without_metadata_and_with_more_to_come) {
    check_response(CQL_RESULT, "00000002 00000004 00000002 00000001 00000001 'a' ffffffff",
                   "rows columns=2 | a null");
    check_response(CQL_RESULT, "00000002 00000006 00000001 00000004 'next' 00000001 00000001 'a'",
                   "rows columns=1 next=next | a");
    check_response(
        CQL_RESULT,
        "00000002 00000003 00000001 00000004 'next' 0001 'k' 0001 't' 0001 'c' 0009 00000000",
        "rows columns=1 next=next k.t.c:9");
    check_response(CQL_RESULT, "00000002 00000004 00000000 00000000", "rows columns=0");
}

TEST(counts_that_lie_are_refused) {
    check_refused(CQL_RESULT, "00000002 00000004 00000000 00000001"); /* rows without columns */
    check_refused(CQL_RESULT, "00000002 00000004 00000000 7fffffff");
    check_refused(CQL_RESULT, "00000002 00000004 00000001 7fffffff 00000001 'a'");
    check_refused(CQL_RESULT, "00000002 00000004 7fffffff 7fffffff 00000001 'a'");
    check_refused(CQL_RESULT, "00000002 00000004 ffffffff 00000000");
    check_refused(CQL_RESULT, "00000002 00000004 00000001 ffffffff");
    check_refused(CQL_RESULT,
                  "00000002 00000001 7fffffff 0001 'k' 0001 't' 0001 'c' 0009 00000000");
    check_refused(CQL_RESULT, "00000004 0001 'i' 00000001 00000000 7fffffff 0000");
    check_refused(CQL_RESULT, "00000004 0001 'i' 00000001 00000000 ffffffff");
    check_refused(CQL_RESULT, "00000004 0001 'i' 00000001 ffffffff 00000000");
}

TEST(the_next_row_gives_what_it_is_asked_for) {
    struct view body = bytes_of(
        "00000002 00000004 00000002 00000002 00000001 'a' 00000001 'b' 00000001 'c' ffffffff");
    struct cql_result result;
    struct cql_value  values[3];
    CHECK(cql_response_result(body, &result));
    CHECK_EQ(result.kind, CQL_ROWS);
    memset(values, 0x5a, sizeof values);
    CHECK(cql_rows_next(&result.rows, values, 1));
    CHECK(view_equals(values[0].bytes, view_of("a")));
    CHECK_EQ(values[1].bytes.bytes, UINT64_C(0x5a5a5a5a5a5a5a5a));
    CHECK(cql_rows_next(&result.rows, values, 3));
    CHECK(view_equals(values[0].bytes, view_of("c")));
    CHECK_EQ(values[1].presence, CQL_NULL);
    CHECK_EQ(values[2].presence, CQL_NULL);
    CHECK_EQ(values[2].bytes.bytes, 0);
    CHECK(!cql_rows_next(&result.rows, values, 3));
}

TEST(types_within_types_are_passed_over) {
    check_response(
        CQL_RESULT,
        "00000002 00000001 00000009 0001 'k' 0001 't'"
        "0001 'a' 0022 000d"                /* set<text> */
        "0001 'b' 0020 0009"                /* list<int> */
        "0001 'c' 0021 000d 0002"           /* map<text, bigint> */
        "0001 'd' 0000 0003 'x.Y'"          /* custom */
        "0001 'e' 0031 0002 0009 0022 000d" /* tuple<int, set<text>> */
        "0001 'f' 0030 0001 'k' 0001 'u' 0002 0001 'x' 0009 0001 'y' 0021 0009 0009" /* a user's */
        "0001 'g' 0021 0022 000d 0020 0009" /* map<set<text>, list<int>> */
        "0001 'h' 0031 0000"                /* an empty tuple */
        "0001 'i' 0009 00000000",
        "rows columns=9 k.t.a:22<d> k.t.b:20<9> k.t.c:21<d,2> k.t.d:0 k.t.e:31 k.t.f:30 "
        "k.t.g:21<22,20> k.t.h:31 k.t.i:9");
}

TEST(a_type_within_too_many_others_is_refused) {
    for (size_t depth = 0; depth < 40; depth++) {
        char   text[400] = "00000002 00000001 00000001 0000 0000 0000 ";
        size_t used      = strlen(text);
        for (size_t i = 0; i < depth; i++, used += 5) memcpy(text + used, "0020 ", 6);
        memcpy(text + used, "0009 00000000", 14);
        struct cql_result result;
        CHECK_EQ(cql_response_result(bytes_of(text), &result), depth < CQL_TYPE_DEPTH_MAX);
    }
}

TEST(what_was_prepared_has_an_id_markers_and_columns) {
    check_response(
        CQL_RESULT,
        "00000004 0002 0bad 00000001 00000003 00000002 0002 0000 0002 'ks' 0001 't'"
        "0001 'a' 0003 0001 'b' 0002 0001 'c' 0009"
        "00000001 00000001 0002 'ks' 0001 't' 0001 'v' 0002",
        "prepared %0B%AD markers=3 ks.t.a:3 ks.t.b:2 ks.t.c:9 key=2,0, columns=1 ks.t.v:2");
    check_response(CQL_RESULT,
                   "00000004 0001 'i' 00000000 00000001 00000000 0001 'a' 0001 'b' 0001 'c' 0003"
                   "00000004 00000000",
                   "prepared i markers=1 a.b.c:3 key= columns=0");
    check_response(CQL_RESULT, "00000004 0001 'i' 00000000 00000000 00000000 00000004 00000002",
                   "prepared i markers=0 key= columns=2");
    /* A column of the key whose marker is none of the statement's. */
    check_refused(CQL_RESULT, "00000004 0001 'i' 00000000 00000001 00000001 0001"
                              "0001 'a' 0001 'b' 0001 'c' 0003 00000004 00000000");
}

TEST(events_are_about_nodes_or_the_schema) {
    check_response(CQL_EVENT, "000f 'TOPOLOGY_CHANGE' 0008 'NEW_NODE' 04 7f000001 00002352",
                   "event new 7f000001 9042");
    check_response(CQL_EVENT, "000f 'TOPOLOGY_CHANGE' 000c 'REMOVED_NODE' 04 7f000001 00000000",
                   "event removed 7f000001 0");
    check_response(CQL_EVENT, "000f 'TOPOLOGY_CHANGE' 000a 'MOVED_NODE' 04 7f000001 00002352",
                   "event moved 7f000001 9042");
    check_response(CQL_EVENT,
                   "000d 'STATUS_CHANGE' 0002 'UP' 10 00112233445566778899aabbccddeeff 0000ffff",
                   "event up 00112233445566778899aabbccddeeff 65535");
    check_response(CQL_EVENT, "000d 'STATUS_CHANGE' 0004 'DOWN' 04 7f000001 00002352",
                   "event down 7f000001 9042");
    check_response(CQL_EVENT, "000d 'STATUS_CHANGE' 0004 'IDLE' 04 7f000001 00002352",
                   "event other 7f000001 9042");
    check_response(CQL_EVENT, "000d 'SCHEMA_CHANGE' 0007 'DROPPED' 0005 'TABLE' 0002 'ks' 0001 't'",
                   "event schema schema DROPPED TABLE ks name=t");
    check_response(CQL_EVENT, "0003 'NEW'", "event other  0");
}

TEST(an_address_has_4_or_16_bytes_and_a_port_16_bits) {
    check_refused(CQL_EVENT, "000d 'STATUS_CHANGE' 0002 'UP' 05 7f00000101 00002352");
    check_refused(CQL_EVENT, "000d 'STATUS_CHANGE' 0002 'UP' 00 00002352");
    check_refused(CQL_EVENT,
                  "000d 'STATUS_CHANGE' 0002 'UP' 11 00112233445566778899aabbccddeeff00 00000001");
    check_refused(CQL_EVENT, "000d 'STATUS_CHANGE' 0002 'UP' 04 7f000001 00010000");
    check_refused(CQL_EVENT, "000d 'STATUS_CHANGE' 0002 'UP' 04 7f000001 ffffffff");
}

/* ---- values ---- */

static struct cql_value present(const char *text) {
    return (struct cql_value){.presence = CQL_PRESENT, .bytes = bytes_of(text)};
}

TEST(values_of_the_wrong_length_and_null_are_none) {
    static const struct cql_value null    = {.presence = CQL_NULL};
    int32_t                       number  = 7;
    int64_t                       big     = 7;
    bool                          is_true = true;
    struct cql_uuid               uuid    = {{7}};
    struct cql_inet               inet    = {.port = 7};
    CHECK(!cql_value_int(null, &number));
    CHECK(!cql_value_int(present(""), &number));
    CHECK(!cql_value_int(present("000001"), &number));
    CHECK(!cql_value_int(present("0000000001"), &number));
    CHECK(!cql_value_bigint(null, &big));
    CHECK(!cql_value_bigint(present("00000001"), &big));
    CHECK(!cql_value_boolean(null, &is_true));
    CHECK(!cql_value_boolean(present(""), &is_true));
    CHECK(!cql_value_boolean(present("0000"), &is_true));
    CHECK(!cql_value_uuid(null, &uuid));
    CHECK(!cql_value_uuid(present("00112233445566778899aabbccddee"), &uuid));
    CHECK(!cql_value_inet(null, &inet));
    CHECK(!cql_value_inet(present("7f0000"), &inet));
    CHECK_EQ(number, 7);
    CHECK_EQ(big, 7);
    CHECK(is_true);
    CHECK_EQ(uuid.bytes[0], 7);
    CHECK_EQ(inet.port, 7);
}

TEST(values_are_read) {
    int32_t         number;
    int64_t         big;
    bool            is_true;
    struct cql_uuid uuid;
    struct cql_inet inet;
    CHECK(cql_value_int(present("ff000001"), &number));
    CHECK_EQ(number, -0xffffff);
    CHECK(cql_value_bigint(present("8000000000000000"), &big));
    CHECK_EQ(big, INT64_MIN);
    CHECK(cql_value_boolean(present("00"), &is_true));
    CHECK(!is_true);
    CHECK(cql_value_boolean(present("80"), &is_true));
    CHECK(is_true);
    CHECK(cql_value_uuid(present("00112233445566778899aabbccddeeff"), &uuid));
    CHECK_MEM_EQ(uuid.bytes, bytes_of("00112233445566778899aabbccddeeff").data, 16);
    CHECK(cql_value_inet(present("7f000001"), &inet));
    CHECK_EQ(inet.address_bytes, 4);
    CHECK_MEM_EQ(inet.address, bytes_of("7f000001").data, 4);
    CHECK_EQ(inet.port, 0);
    CHECK(cql_value_inet(present("00112233445566778899aabbccddeeff"), &inet));
    CHECK_EQ(inet.address_bytes, 16);
}

static bool told_elements(const char *text, bool is_map, const char *expected) {
    struct cql_value value = present(text);
    struct view      copy  = exact_copy(value.bytes, value.bytes.bytes);
    char            *told  = NULL;
    size_t           bytes = 0;
    FILE            *out   = open_memstream(&told, &bytes);
    value.bytes            = copy;
    told_value(out,
               (struct cql_type){.id         = is_map ? CQL_TYPE_MAP : CQL_TYPE_SET,
                                 .element_id = CQL_TYPE_VARCHAR,
                                 .value_id   = CQL_TYPE_INT},
               value);
    fclose(out);
    bool is_same = strcmp(told, expected) == 0;
    free(told);
    drop(copy);
    return is_same;
}

TEST(sets_lists_and_maps_are_walked) {
    CHECK(told_elements("00000002 00000001 'a' 00000002 '-9'", false, "{a,-9}"));
    CHECK(told_elements("00000000", false, "{}"));
    CHECK(told_elements("00000001 ffffffff", false, "{null}"));
    CHECK(told_elements("00000001 00000001 'a' 00000004 00000007", true, "{a:7}"));
    CHECK(told_elements("00000001 00000001 'a'", true, "wrong"));
    CHECK(told_elements("00000002 00000001 'a'", false, "wrong"));
    CHECK(told_elements("7fffffff 00000001 'a'", false, "wrong"));
    CHECK(told_elements("7fffffff 00000001 'a'", true, "wrong"));
    CHECK(told_elements("ffffffff", false, "wrong"));
    CHECK(told_elements("00000001 00000002 'a'", false, "wrong"));
    CHECK(told_elements("000000", false, "wrong"));
    CHECK(told_elements("", false, "wrong"));

    struct cql_elements elements;
    struct cql_value    element, null = {.presence = CQL_NULL};
    CHECK(cql_value_list(null, &elements));
    CHECK(!cql_elements_next(&elements, &element));
    CHECK(cql_value_map(null, &elements));
    CHECK(!cql_elements_next(&elements, &element));
}

/* ---- what is written is read back ---- */

static struct view random_bytes(struct random *r, char *out, size_t bytes_max) {
    size_t bytes = random_below(r, bytes_max + 1);
    for (size_t i = 0; i < bytes; i++) out[i] = (char)random_next(r);
    return (struct view){.data = out, .bytes = bytes};
}

/* A request, read by the notations of the specification. */
static void check_parameters(struct cql_cursor *c, const struct cql_parameters *p) {
    CHECK_EQ(cql_cursor_short(c), p->consistency);
    unsigned flags = cql_cursor_byte(c);
    CHECK_EQ((flags & 2) != 0, p->skips_metadata);
    CHECK_EQ((flags & 1) != 0, p->value_count > 0);
    if (flags & 1) CHECK_EQ(cql_cursor_short(c), p->value_count);
    for (size_t i = 0; i < p->value_count; i++) {
        struct cql_cursor here  = *c;
        struct cql_value  value = cql_cursor_value(c);
        int32_t           bytes = cql_cursor_int(&here);
        CHECK_EQ(value.presence == CQL_PRESENT, p->values[i].presence == CQL_PRESENT);
        if (bytes < 0) CHECK_EQ(bytes, p->values[i].presence == CQL_UNSET ? -2 : -1);
        if (bytes >= 0) CHECK(view_equals(value.bytes, p->values[i].bytes));
    }
    if (flags & 4) CHECK_EQ(cql_cursor_int(c), p->page_rows);
    if (flags & 8) CHECK(view_equals(cql_cursor_value(c).bytes, p->paging_state));
    if (flags & 16) CHECK_EQ(cql_cursor_short(c), p->serial_consistency);
    if (flags & 32) CHECK_EQ(cql_cursor_number(c, 8), p->timestamp_us);
    CHECK_EQ((flags & 4) != 0, p->page_rows > 0);
    CHECK_EQ((flags & 8) != 0, p->paging_state.bytes > 0);
    CHECK_EQ((flags & 16) != 0, p->serial_consistency != 0);
    CHECK_EQ((flags & 32) != 0, p->has_timestamp);
}

TEST(what_is_written_is_read_back) {
    static const enum cql_consistency serials[] = {CQL_ANY, CQL_SERIAL, CQL_LOCAL_SERIAL};
    static char                       out[16 * 1024], text[1024], id[64], state[64], bytes[8][64];
    struct random                     r = {.state = check_seed()};
    for (uint64_t round = check_effort(2000); round > 0; round--) {
        struct cql_value      values[8];
        struct cql_parameters p = {
            .consistency        = (enum cql_consistency)random_below(&r, 11),
            .serial_consistency = serials[random_below(&r, 3)],
            .values             = values,
            .value_count        = (uint16_t)random_below(&r, 9),
            .page_rows          = random_below(&r, 2) ? 0 : (uint32_t)random_below(&r, INT32_MAX),
            .paging_state       = random_bytes(&r, state, random_below(&r, 2) * sizeof state),
            .has_timestamp      = random_below(&r, 2),
            .timestamp_us       = (int64_t)(random_next(&r) >> 1),
            .skips_metadata     = random_below(&r, 2),
        };
        for (size_t i = 0; i < 8; i++) {
            values[i] = (struct cql_value){.presence = (enum cql_presence)random_below(&r, 3)};
            if (values[i].presence == CQL_PRESENT)
                values[i].bytes = random_bytes(&r, bytes[i], sizeof bytes[i]);
        }
        int16_t     stream      = (int16_t)random_below(&r, 32768);
        bool        is_prepared = random_below(&r, 2);
        struct view statement   = random_bytes(&r, text, sizeof text);
        struct view name        = random_bytes(&r, id, sizeof id);
        size_t      written = is_prepared ? cql_request_execute(out, sizeof out, stream, name, &p)
                                          : cql_request_query(out, sizeof out, stream, statement, &p);
        CHECK_GT(written, 0);
        out[0] = (char)0x84; /* as if a server had sent it */
        struct cql_frame frame;
        CHECK_EQ(cql_read((struct view){out, written}, sizeof out, &frame), CQL_FRAME);
        CHECK_EQ(frame.bytes, written);
        CHECK_EQ(frame.stream, stream);
        CHECK_EQ(frame.opcode, is_prepared ? CQL_EXECUTE : CQL_QUERY);

        struct cql_cursor c = cql_cursor_of(frame.body);
        CHECK(is_prepared ? view_equals(cql_cursor_string(&c), name)
                          : view_equals(cql_cursor_value(&c).bytes, statement));
        check_parameters(&c, &p);
        CHECK(!c.is_broken);
        CHECK_EQ(cql_cursor_left(&c), 0);
    }
}

TEST(numbers_that_are_bound_are_read_back) {
    struct random r = {.state = check_seed()};
    for (uint64_t round = check_effort(2000); round > 0; round--) {
        char    out[CQL_BIGINT_BYTES];
        int64_t big    = (int64_t)(random_next(&r) >> random_below(&r, 64)), big_back;
        int32_t number = (int32_t)random_next(&r), number_back;
        CHECK(cql_value_bigint(cql_value_of_bigint(big, out), &big_back));
        CHECK_EQ(big_back, big);
        CHECK(cql_value_int(cql_value_of_int(number, out), &number_back));
        CHECK_EQ(number_back, number);
    }
    char out[CQL_BIGINT_BYTES];
    CHECK_MEM_EQ(cql_value_of_bigint(-2, out).bytes.data, "\xff\xff\xff\xff\xff\xff\xff\xfe", 8);
    CHECK_MEM_EQ(cql_value_of_int(258, out).bytes.data, "\0\0\1\2", 4);
}

/* ---- tokens ---- */

TEST(a_token_is_what_cassandra_says) {
    /* As its function token() and its drivers say. */
    CHECK_EQ(cql_token(bytes_of("")), 0);
    CHECK_EQ(cql_token(view_of("a")), INT64_C(-8839064797231613815));
    CHECK_EQ(cql_token(view_of("123")), INT64_C(-7468325962851647638));
    CHECK_EQ(cql_token(view_of("weir:user:ann")), INT64_C(8525086509473859550));
    CHECK_EQ(cql_token(bytes_of("00000000000000000000000000000000")), INT64_C(5457549051747178710));
}

TEST(a_token_takes_bytes_of_its_tail_as_signed) {
    CHECK_EQ(cql_token(bytes_of("80")), INT64_C(-5284281814142962636));
    CHECK_EQ(cql_token(bytes_of("ffffffffffffffffffffffffffffff")), INT64_C(-2195530867418009455));
    CHECK_EQ(cql_token(bytes_of("78797a7b7c7d7e7f80818283848586"
                                "8788898a8b8c8d8e8f90919293949596")),
             INT64_C(-3821201578399801977));
    /* In a block there are no signs. */
    CHECK_EQ(cql_token(bytes_of("808182838485868788898a8b8c8d8e8f")), INT64_C(7217206371623098675));
}

TEST(the_least_number_is_no_token) {
    /* Found by running the hash backwards. */
    CHECK_EQ(cql_token(bytes_of("dfe76f52023fad4c82b861c2c65c7a6b")), INT64_MAX);
    CHECK_EQ(cql_token(bytes_of("0d68d15960efee13f50aaac4a49090e1")), -INT64_MAX);
    CHECK_EQ(cql_token(bytes_of("1aaebd2d9c3a9d7e66513b2c91fcf940")), INT64_MAX);
}

TEST(a_key_of_one_column_is_its_value_and_of_several_has_their_lengths) {
    struct view columns[] = {view_of("ab"), view_of(""), view_of("c")};
    char        out[32];
    size_t      bytes = 99;
    CHECK(cql_key_write(columns, 1, out, 2, &bytes));
    CHECK_EQ(bytes, 2);
    CHECK_MEM_EQ(out, "ab", 2);
    CHECK(!cql_key_write(columns, 1, out, 1, &bytes));

    struct view all = bytes_of("0002 'ab' 00 0000 00 0001 'c' 00");
    for (size_t room = 0; room < all.bytes; room++) {
        memset(out, 0x5a, sizeof out);
        CHECK(!cql_key_write(columns, 3, out, room, &bytes));
        for (size_t at = room; at < sizeof out; at++) CHECK_EQ(out[at], 0x5a);
    }
    CHECK(cql_key_write(columns, 3, out, all.bytes, &bytes));
    CHECK_EQ(bytes, all.bytes);
    CHECK_MEM_EQ(out, all.data, all.bytes);
    CHECK_TRAPS(cql_key_write(columns, 0, out, sizeof out, &bytes));
}

TEST(a_key_is_no_longer_than_64_kib_less_one) {
    static char long_one[70000], out[200000];
    struct view columns[2] = {{long_one, 65535}, {long_one, 0}};
    size_t      bytes;
    CHECK(cql_key_write(columns, 1, out, sizeof out, &bytes));
    CHECK_EQ(bytes, 65535);
    columns[0].bytes++;
    CHECK(!cql_key_write(columns, 1, out, sizeof out, &bytes));
    columns[0].bytes = 65535 - 6;
    CHECK(cql_key_write(columns, 2, out, sizeof out, &bytes));
    CHECK_EQ(bytes, 65535);
    columns[0].bytes++;
    CHECK(!cql_key_write(columns, 2, out, sizeof out, &bytes));
}
