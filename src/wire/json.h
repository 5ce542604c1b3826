/* SPDX-License-Identifier: MIT
 *
 * json: JSON text to values and back, one document at a time, in place. See json.c.
 *
 *     struct json_reader reader;
 *     struct json_field  field;
 *     json_read_begin(&reader, line, JSON_UTF8_ONLY);
 *     while (json_read_next(&reader, &field))
 *         if (view_equals(field.name, view_of("limit"))) ok = json_to_u64(&field.value, &limit);
 *     if (reader.problem != JSON_FINE) ...
 *
 * Nothing is copied: views point into the text that was given. */
#ifndef WEIR_WIRE_JSON_H
#define WEIR_WIRE_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum {
    JSON_DEPTH_MAX = 32, /* arrays and objects inside one another */
};

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_OBJECT,
    JSON_ARRAY,
};

/* What may stand in strings: valid UTF-8 as the standard has it, or any bytes from 0x20 on. */
enum json_bytes { JSON_UTF8_ONLY, JSON_ANY_BYTES };

#define JSON_PROBLEM_TABLE(X)                                                                      \
    X(JSON_FINE, "no problem")                                                                     \
    X(JSON_NOT_A_DOCUMENT, "it does not begin with { or [")                                        \
    X(JSON_CUT_OFF, "it ends too early")                                                           \
    X(JSON_NOT_A_VALUE, "a value is missing or not JSON")                                          \
    X(JSON_NOT_A_NAME, "a field name in quotes is missing")                                        \
    X(JSON_NO_COLON, "a colon is missing after a field name")                                      \
    X(JSON_NO_COMMA, "a comma or closing bracket is missing")                                      \
    X(JSON_BAD_NUMBER, "a number is not written as JSON writes it")                                \
    X(JSON_BAD_STRING, "a string holds a raw control character")                                   \
    X(JSON_BAD_ESCAPE, "a string holds a wrong escape")                                            \
    X(JSON_BAD_UTF8, "a string is not valid UTF-8")                                                \
    X(JSON_TOO_DEEP, "it is nested too deep")                                                      \
    X(JSON_LEFTOVER, "something follows the end")

enum json_problem {
#define JSON_PROBLEM_VALUE(name, text) name,
    JSON_PROBLEM_TABLE(JSON_PROBLEM_VALUE)
#undef JSON_PROBLEM_VALUE
};

struct json_value {
    enum json_type type;
    bool           has_escapes; /* JSON_STRING */
    bool           is_negative; /* JSON_NUMBER */
    bool           is_plain;    /* JSON_NUMBER: digits only, and `magnitude` holds them exactly */
    uint64_t       magnitude;   /* JSON_NUMBER, if is_plain */
    struct view    text;        /* JSON_STRING: between its quotes, escapes as written. Others: as
                                   written, brackets included */
};

/* `name` is as written between the quotes: escapes in it are not decoded, so an escaped name equals
 * no plain one. In an array it is empty. */
struct json_field {
    struct view       name;
    struct json_value value;
};

struct json_reader {
    const char       *at;
    const char       *end;
    enum json_bytes   bytes;
    enum json_problem problem;
    char              closing; /* '}' or ']' */
    bool              is_first;
    bool              is_done;
};

/* Begins to read one object or array and what it holds; blanks around it are skipped. `text` is
 * borrowed as long as the reader and its fields are used. */
void json_read_begin(struct json_reader *reader, struct view text, enum json_bytes bytes);

/* The next field of an object, or element of an array. A value that is itself an object or array is
 * checked and skipped whole; its text can be read with a reader of its own. False at the end:
 * `problem` is then JSON_FINE, and the whole text was one JSON document, or it says what is wrong. */
bool json_read_next(struct json_reader *reader, struct json_field *field);

const char *json_problem_text(enum json_problem problem);

/* A number without a fraction in its value: 5, 5.0 and 5e0 are five. False: another type, negative,
 * not whole, or too large. */
bool json_to_u64(const struct json_value *value, uint64_t *number);
bool json_to_i64(const struct json_value *value, int64_t *number);
bool json_to_bool(const struct json_value *value, bool *flag);

/* The bytes that a string means: a view of the text if it has no escapes, else decoded into `buffer`.
 * False: another type, or `room` is too small; value->text.bytes is always enough. */
bool json_to_text(const struct json_value *value, char *buffer, size_t room, struct view *text);

/* Whether bytes are UTF-8 as RFC 3629 has it: shortest forms only, no surrogates, to U+10FFFF. */
bool json_is_utf8(struct view text);

/* ---- writing ---- */

/* Takes bytes that do not fit the buffer any longer. False: it cannot; the writer stops. */
typedef bool (*json_sink_fn)(void *context, struct view bytes);

/* Writes into a buffer of the caller's. When it is full the sink takes its content; without a sink
 * the writer stops and is_cut says so. Commas are the writer's business. */
struct json_writer {
    char        *buffer;
    size_t       used;
    size_t       room;
    json_sink_fn sink; /* may be NULL */
    void        *context;
    uint32_t     depth;
    bool         is_first; /* no comma is due before the next value */
    bool         is_cut;
};

void json_write_begin(struct json_writer *w, char *buffer, size_t room, json_sink_fn sink,
                      void *context);

void json_write_object(struct json_writer *w);     /* { */
void json_write_object_end(struct json_writer *w); /* } */
void json_write_array(struct json_writer *w);      /* [ */
void json_write_array_end(struct json_writer *w);  /* ] */
void json_write_name(struct json_writer *w, const char *name);

void json_write_null(struct json_writer *w);
void json_write_bool(struct json_writer *w, bool flag);
void json_write_u64(struct json_writer *w, uint64_t number);
void json_write_i64(struct json_writer *w, int64_t number);
/* With at most `decimals` (0 to 9) digits after the point; null if it is no finite number or its
 * magnitude is 2^63 or more. */
void json_write_real(struct json_writer *w, double number, unsigned decimals);
/* A string; `text` must be valid UTF-8. */
void json_write_text(struct json_writer *w, struct view text);

/* Any bytes, without loss: "user":"ann" if they are UTF-8, else "user_hex":"ff00". The one way in
 * which weir writes what it was given as bytes. */
void json_write_bytes(struct json_writer *w, const char *name, struct view bytes);

/* A line feed between documents (JSON lines); the next document needs no comma. */
void json_write_line_end(struct json_writer *w);

/* Hands what is left in the buffer to the sink. False: the writer had to stop. */
bool json_write_end(struct json_writer *w);

/* Bytes from hexadecimal digits, two a byte. False: not hexadecimal, or `room` is too small. */
bool json_hex_decode(struct view hex, char *buffer, size_t room, struct view *bytes);

#endif
