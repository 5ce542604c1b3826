/* SPDX-License-Identifier: MIT
 *
 * JSON from any bytes, and lines for the judge: nothing is read beyond the view; all that the reader
 * yields lies inside it; what a string means is written and read back as the same bytes; and a
 * reader of any bytes accepts whatever a reader of UTF-8 accepts. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cmd/judge_line.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true) abort();
}

static void check_round_trip(struct view meaning) {
    size_t             room   = 6 * meaning.bytes + 64;
    char              *buffer = malloc(room), *again = malloc(room);
    struct json_writer w;
    struct json_reader reader;
    struct json_field  field;
    struct view        back = {0};
    must(buffer != NULL && again != NULL);
    json_write_begin(&w, buffer, room, NULL, NULL);
    json_write_object(&w);
    json_write_bytes(&w, "user", meaning);
    json_write_object_end(&w);
    must(json_write_end(&w));
    json_read_begin(&reader, (struct view){.data = buffer, .bytes = w.used}, JSON_UTF8_ONLY);
    must(json_read_next(&reader, &field));
    if (view_equals(field.name, view_of("user"))) {
        must(json_to_text(&field.value, again, room, &back));
    } else {
        must(json_hex_decode(field.value.text, again, room, &back));
    }
    must(view_equals(back, meaning));
    must(!json_read_next(&reader, &field) && reader.problem == JSON_FINE);
    free(buffer);
    free(again);
}

static enum json_problem read_all(struct view text, enum json_bytes bytes, unsigned depth) {
    struct json_reader reader;
    struct json_field  field;
    json_read_begin(&reader, text, bytes);
    while (json_read_next(&reader, &field)) {
        struct view value = field.value.text;
        must(value.data >= text.data && value.data + value.bytes <= text.data + text.bytes);
        uint64_t u      = 0;
        int64_t  i      = 0;
        bool     is_u64 = json_to_u64(&field.value, &u);
        bool     is_i64 = json_to_i64(&field.value, &i);
        must(!is_u64 || !is_i64 || u == (uint64_t)i);
        must(!is_u64 || is_i64 || u > INT64_MAX);
        if (field.value.type == JSON_STRING) {
            char       *buffer  = malloc(value.bytes + 1);
            struct view meaning = {0};
            must(buffer != NULL && json_to_text(&field.value, buffer, value.bytes, &meaning));
            must(meaning.bytes <= value.bytes);
            must(bytes != JSON_UTF8_ONLY || json_is_utf8(meaning));
            check_round_trip(meaning);
            free(buffer);
        }
        if (field.value.type == JSON_OBJECT || field.value.type == JSON_ARRAY) {
            must(depth < JSON_DEPTH_MAX);
            must(read_all(value, bytes, depth + 1) == JSON_FINE);
        }
    }
    return reader.problem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = {.data = (const char *)data, .bytes = size};
    /* Each string is written and read again, so a long input says nothing that a short one does not. */
    if (size > 4096) return 0;
    enum json_problem strict = read_all(text, JSON_UTF8_ONLY, 0);
    enum json_problem loose  = read_all(text, JSON_ANY_BYTES, 0);
    must(strict != JSON_FINE || loose == JSON_FINE);

    static char       scratch[JUDGE_LINE_SCRATCH_BYTES];
    struct judge_line line;
    if (judge_line_read(text, scratch, &line) == NULL) {
        must(line.sent_ns >= 0 && line.sent_ns <= line.received_ns);
        must(line.limit <= JUDGE_LIMIT_MAX && line.window_ns >= 1);
    }
    return 0;
}
