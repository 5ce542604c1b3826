/* SPDX-License-Identifier: MIT
 *
 * json: how do bytes become JSON values, and values bytes?
 *
 * Strict as RFC 8259 has it: no comments, no trailing commas, no leading zeros, no raw control
 * characters, surrogates only in pairs. Lines of decisions and of logs are read by the million, so
 * the reader copies nothing, looks at each byte once, and steps over the plain part of a string
 * eight bytes at a time. Nested values are skipped with a stack of bits, so depth costs no C stack.
 *
 * Always true: reader->at <= reader->end; a reader with a problem yields no more fields. */
#include "wire/json.h"

#include "base/contract.h"
#include "base/hex.h"

static void   skip_blanks(struct json_reader *reader);
static bool   fail(struct json_reader *reader, enum json_problem problem);
static bool   finish(struct json_reader *reader);
static bool   read_string(struct json_reader *reader, struct json_value *value);
static bool   read_escape(struct json_reader *reader);
static bool   read_number(struct json_reader *reader, struct json_value *value);
static bool   read_word(struct json_reader *reader, struct json_value *value);
static bool   read_scalar(struct json_reader *reader, struct json_value *value);
static bool   read_nested(struct json_reader *reader, struct json_value *value);
static bool   hex4(const char *at, uint32_t *code);
static size_t utf8_length(const unsigned char *at, size_t left);
static size_t utf8_write(uint32_t code, char *out);

/* ---- reading ---- */

void json_read_begin(struct json_reader *reader, struct view text, enum json_bytes bytes) {
    *reader = (struct json_reader){
        .at = text.data, .end = text.data + text.bytes, .bytes = bytes, .is_first = true};
    skip_blanks(reader);
    if (reader->at == reader->end || (*reader->at != '{' && *reader->at != '[')) {
        fail(reader, JSON_NOT_A_DOCUMENT);
        return;
    }
    reader->closing = *reader->at == '{' ? '}' : ']';
    reader->at++;
}

bool json_read_next(struct json_reader *reader, struct json_field *field) {
    if (reader->is_done) return false;

    skip_blanks(reader);
    if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
    if (*reader->at == reader->closing && reader->is_first) return finish(reader);
    if (!reader->is_first) {
        if (*reader->at == reader->closing) return finish(reader);
        if (*reader->at != ',') return fail(reader, JSON_NO_COMMA);
        reader->at++;
        skip_blanks(reader);
    }
    reader->is_first = false;

    field->name = (struct view){.data = "", .bytes = 0};
    if (reader->closing == '}') {
        struct json_value name;
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
        if (*reader->at != '"') return fail(reader, JSON_NOT_A_NAME);
        if (!read_string(reader, &name)) return false;
        field->name = name.text;
        skip_blanks(reader);
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
        if (*reader->at != ':') return fail(reader, JSON_NO_COLON);
        reader->at++;
        skip_blanks(reader);
    }
    if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
    if (*reader->at == '{' || *reader->at == '[') return read_nested(reader, &field->value);
    return read_scalar(reader, &field->value);
}

const char *json_problem_text(enum json_problem problem) {
    static const char *const texts[] = {
#define JSON_PROBLEM_TEXT(name, text) text,
        JSON_PROBLEM_TABLE(JSON_PROBLEM_TEXT)
#undef JSON_PROBLEM_TEXT
    };
    REQUIRE((size_t)problem < sizeof texts / sizeof texts[0]);
    return texts[problem];
}

static bool fail(struct json_reader *reader, enum json_problem problem) {
    reader->problem = problem;
    reader->is_done = true;
    return false;
}

/* The closing bracket: after it only blanks may follow. */
static bool finish(struct json_reader *reader) {
    reader->is_done = true;
    reader->at++;
    skip_blanks(reader);
    if (reader->at != reader->end) reader->problem = JSON_LEFTOVER;
    return false;
}

static void skip_blanks(struct json_reader *reader) {
    while (reader->at < reader->end && (unsigned char)*reader->at <= ' ') {
        char c = *reader->at;
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') return;
        reader->at++;
    }
}

static bool read_scalar(struct json_reader *reader, struct json_value *value) {
    char c = *reader->at;
    if (c == '"') return read_string(reader, value);
    if (c == '-' || (c >= '0' && c <= '9')) return read_number(reader, value);
    return read_word(reader, value);
}

static bool read_word(struct json_reader *reader, struct json_value *value) {
    static const struct {
        const char    *text;
        enum json_type type;
    } words[] = {{"true", JSON_TRUE}, {"false", JSON_FALSE}, {"null", JSON_NULL}};

    size_t left = (size_t)(reader->end - reader->at);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t bytes = strlen(words[i].text);
        if (left < bytes || memcmp(reader->at, words[i].text, bytes) != 0) continue;
        *value = (struct json_value){.type = words[i].type,
                                     .text = {.data = reader->at, .bytes = bytes}};
        reader->at += bytes;
        return true;
    }
    return fail(reader, JSON_NOT_A_VALUE);
}

/* Eight bytes, the first in the lowest. */
static inline uint64_t load_eight(const char *at) {
    uint64_t eight;
    memcpy(&eight, at, sizeof eight);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    eight = __builtin_bswap64(eight);
#endif
    return eight;
}

/* '0' to '9' have 3 in their upper half, and have it still with 6 added. */
static inline bool are_digits(uint64_t eight) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    return ((eight & ones * 0xf0) | ((eight + ones * 6) & ones * 0xf0) >> 4) == ones * 0x33;
}

/* Pairs, then fours, then all eight, each by one multiplication (Lemire, "Quickly parsing eight
 * digits", 2018). */
static inline uint64_t digits_value(uint64_t eight) {
    eight -= UINT64_C(0x0101010101010101) * '0';
    eight = eight * 10 + (eight >> 8);
    return ((eight & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
            (eight >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
           32;
}

/* Whether a number of twenty digits or more fits: leading zeros are refused, so it has just twenty. */
static bool is_below_2_to_64(const char *digits, const char *end) {
    return end - digits == 20 && memcmp(digits, "18446744073709551615", 20) <= 0;
}

/* -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? */
static bool read_number(struct json_reader *reader, struct json_value *value) {
    const char *at  = reader->at;
    const char *end = reader->end;
    *value          = (struct json_value){.type = JSON_NUMBER, .text = {.data = at}};

    value->is_negative = *at == '-';
    if (value->is_negative) at++;
    const char *digits    = at;
    uint64_t    magnitude = 0;
    for (uint64_t eight; end - at >= 8 && are_digits(eight = load_eight(at)); at += 8)
        magnitude = magnitude * 100000000 + digits_value(eight);
    for (; at < end && (unsigned)(*at - '0') <= 9; at++)
        magnitude = magnitude * 10 + (uint64_t)(*at - '0');
    if (at == digits) return fail(reader, at == end ? JSON_CUT_OFF : JSON_BAD_NUMBER);
    if (*digits == '0' && at - digits > 1) return fail(reader, JSON_BAD_NUMBER);
    value->magnitude = magnitude;
    value->is_plain  = at - digits < 20 || is_below_2_to_64(digits, at);

    if (at < end && *at == '.') {
        const char *fraction = ++at;
        while (at < end && (unsigned)(*at - '0') <= 9) at++;
        if (at == fraction) return fail(reader, at == end ? JSON_CUT_OFF : JSON_BAD_NUMBER);
        value->is_plain = false;
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-')) at++;
        const char *exponent = at;
        while (at < end && (unsigned)(*at - '0') <= 9) at++;
        if (at == exponent) return fail(reader, at == end ? JSON_CUT_OFF : JSON_BAD_NUMBER);
        value->is_plain = false;
    }
    value->text.bytes = (size_t)(at - reader->at);
    reader->at        = at;
    return true;
}

/* Which bytes end the plain part of a string: quote, backslash, control, and what is not ASCII. Each
 * is found in all eight bytes at once by the carry into its highest bit (Mycroft 1987); a false alarm
 * in a byte above a true one does no harm, since the lowest is taken. */
static inline uint64_t odd_bytes(uint64_t eight) {
    const uint64_t ones  = UINT64_C(0x0101010101010101);
    uint64_t       quote = eight ^ (ones * '"');
    uint64_t       slash = eight ^ (ones * '\\');
    return ((eight - ones * 0x20) | (quote - ones) | (slash - ones) | eight) & (ones * 0x80);
}

static bool read_string(struct json_reader *reader, struct json_value *value) {
    *value            = (struct json_value){.type = JSON_STRING};
    const char *begin = ++reader->at;

    for (;;) {
        while (reader->end - reader->at >= 8) {
            uint64_t odd = odd_bytes(load_eight(reader->at));
            if (odd != 0) {
                reader->at += __builtin_ctzll(odd) / 8;
                break;
            }
            reader->at += 8;
        }
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);

        unsigned char c = (unsigned char)*reader->at;
        if (c == '"') break;
        if (c == '\\') {
            value->has_escapes = true;
            if (!read_escape(reader)) return false;
        } else if (c < 0x20) {
            return fail(reader, JSON_BAD_STRING);
        } else if (c < 0x80 || reader->bytes == JSON_ANY_BYTES) {
            reader->at++;
        } else {
            size_t bytes =
                utf8_length((const unsigned char *)reader->at, (size_t)(reader->end - reader->at));
            if (bytes == 0) return fail(reader, JSON_BAD_UTF8);
            reader->at += bytes;
        }
    }
    value->text = (struct view){.data = begin, .bytes = (size_t)(reader->at - begin)};
    reader->at++;
    return true;
}

/* Steps over one escape, or over the two that make a surrogate pair. */
static bool read_escape(struct json_reader *reader) {
    const char *at   = reader->at + 1;
    size_t      left = (size_t)(reader->end - at);
    if (left == 0) return fail(reader, JSON_CUT_OFF);
    if (*at != 'u') {
        if (memchr("\"\\/bfnrt", *at, 8) == NULL) return fail(reader, JSON_BAD_ESCAPE);
        reader->at = at + 1;
        return true;
    }

    uint32_t code;
    if (left < 5) return fail(reader, JSON_CUT_OFF);
    if (!hex4(at + 1, &code)) return fail(reader, JSON_BAD_ESCAPE);
    at += 5;
    if (code >= 0xd800 && code <= 0xdfff) {
        uint32_t low;
        if (code >= 0xdc00) return fail(reader, JSON_BAD_ESCAPE);
        if (reader->end - at < 6) return fail(reader, JSON_BAD_ESCAPE);
        if (at[0] != '\\' || at[1] != 'u') return fail(reader, JSON_BAD_ESCAPE);
        if (!hex4(at + 2, &low)) return fail(reader, JSON_BAD_ESCAPE);
        if (low < 0xdc00 || low > 0xdfff) return fail(reader, JSON_BAD_ESCAPE);
        at += 6;
    }
    reader->at = at;
    return true;
}

/* Checks an object or array inside another and steps over it. One bit for each open bracket: 1 for an
 * object. The document that holds it is a level too. */
static bool read_nested(struct json_reader *reader, struct json_value *value) {
    const char *begin   = reader->at;
    uint64_t    objects = 0;
    unsigned    depth   = 0;
    bool        is_first;
    *value = (struct json_value){.type = *begin == '{' ? JSON_OBJECT : JSON_ARRAY};

open:
    if (depth + 1 == JSON_DEPTH_MAX) return fail(reader, JSON_TOO_DEEP);
    objects  = objects << 1 | (*reader->at == '{');
    is_first = true;
    depth++;
    reader->at++;

next:
    skip_blanks(reader);
    if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
    if (*reader->at == ((objects & 1) != 0 ? '}' : ']')) {
        reader->at++;
        objects >>= 1;
        is_first = false;
        if (--depth > 0) goto next;
        value->text = (struct view){.data = begin, .bytes = (size_t)(reader->at - begin)};
        return true;
    }
    if (!is_first) {
        if (*reader->at != ',') return fail(reader, JSON_NO_COMMA);
        reader->at++;
        skip_blanks(reader);
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
    }
    is_first = false;
    struct json_value inner;
    if ((objects & 1) != 0) {
        if (*reader->at != '"') return fail(reader, JSON_NOT_A_NAME);
        if (!read_string(reader, &inner)) return false;
        skip_blanks(reader);
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
        if (*reader->at != ':') return fail(reader, JSON_NO_COLON);
        reader->at++;
        skip_blanks(reader);
        if (reader->at == reader->end) return fail(reader, JSON_CUT_OFF);
    }
    if (*reader->at == '{' || *reader->at == '[') goto open;
    if (!read_scalar(reader, &inner)) return false;
    goto next;
}

/* ---- values ---- */

bool json_to_u64(const struct json_value *value, uint64_t *number) {
    if (value->type != JSON_NUMBER) return false;
    if (value->is_plain) {
        if (value->is_negative && value->magnitude != 0) return false;
        *number = value->magnitude;
        return true;
    }

    /* A fraction or an exponent, exactly: the digits without the point, times ten to the exponent
     * less the digits after the point. Zeros at the end of the digits are held back, so that 1.500
     * and 15e-1 agree and 5.0 is whole. */
    uint64_t sum       = 0;
    int64_t  exponent  = 0;
    int64_t  zeros     = 0;
    bool     is_behind = false;
    size_t   i         = value->is_negative ? 1 : 0;
    for (; i < value->text.bytes && (value->text.data[i] | 0x20) != 'e'; i++) {
        char c = value->text.data[i];
        if (c == '.') {
            is_behind = true;
            continue;
        }
        if (is_behind) exponent--;
        if (c == '0') {
            zeros++;
            continue;
        }
        for (int64_t z = 0; sum != 0 && z <= zeros; z++)
            if (__builtin_mul_overflow(sum, (uint64_t)10, &sum)) return false;
        zeros = 0;
        if (__builtin_add_overflow(sum, (uint64_t)(c - '0'), &sum)) return false;
    }
    if (sum == 0) {
        *number = 0;
        return true;
    }
    exponent += zeros;

    int64_t written = 0;
    if (i < value->text.bytes) {
        bool is_negative = value->text.data[++i] == '-';
        if (is_negative || value->text.data[i] == '+') i++;
        for (; i < value->text.bytes; i++) {
            written = written * 10 + (value->text.data[i] - '0');
            if (written > INT32_MAX) written = INT32_MAX;
        }
        if (is_negative) written = -written;
    }
    exponent += written;
    if (exponent < 0 || value->is_negative) return false;
    for (; exponent > 0; exponent--)
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum)) return false;
    *number = sum;
    return true;
}

bool json_to_i64(const struct json_value *value, int64_t *number) {
    struct json_value positive = *value;
    uint64_t          magnitude;
    if (value->type != JSON_NUMBER) return false;
    if (value->is_negative) {
        positive.is_negative = false;
        positive.text        = view_from(value->text, 1);
    }
    if (!json_to_u64(&positive, &magnitude)) return false;
    if (magnitude > (uint64_t)INT64_MAX + (value->is_negative ? 1 : 0)) return false;
    *number = value->is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool json_to_bool(const struct json_value *value, bool *flag) {
    if (value->type != JSON_TRUE && value->type != JSON_FALSE) return false;
    *flag = value->type == JSON_TRUE;
    return true;
}

bool json_to_text(const struct json_value *value, char *buffer, size_t room, struct view *text) {
    if (value->type != JSON_STRING) return false;
    if (!value->has_escapes) {
        *text = value->text;
        return true;
    }

    /* An escape is never shorter than what it means, so `used` stays behind `at`. */
    const char *at   = value->text.data;
    const char *end  = at + value->text.bytes;
    size_t      used = 0;
    if (room < value->text.bytes) return false;
    while (at < end) {
        const char *slash = memchr(at, '\\', (size_t)(end - at));
        size_t      plain = slash == NULL ? (size_t)(end - at) : (size_t)(slash - at);
        memcpy(buffer + used, at, plain);
        used += plain;
        if (slash == NULL) break;

        at = slash + 2;
        switch (slash[1]) {
        case 'b': buffer[used++] = '\b'; break;
        case 'f': buffer[used++] = '\f'; break;
        case 'n': buffer[used++] = '\n'; break;
        case 'r': buffer[used++] = '\r'; break;
        case 't': buffer[used++] = '\t'; break;
        case 'u': {
            uint32_t code, low;
            INVARIANT(hex4(slash + 2, &code));
            at += 4;
            if (code >= 0xd800 && code <= 0xdbff) {
                INVARIANT(hex4(at + 2, &low));
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
            used += utf8_write(code, buffer + used);
            break;
        }
        default: buffer[used++] = slash[1]; break;
        }
    }
    *text = (struct view){.data = buffer, .bytes = used};
    return true;
}

bool json_is_utf8(struct view text) {
    const unsigned char *at   = (const unsigned char *)text.data;
    size_t               left = text.bytes;
    while (left > 0) {
        size_t bytes = *at < 0x80 ? 1 : utf8_length(at, left);
        if (bytes == 0) return false;
        at += bytes;
        left -= bytes;
    }
    return true;
}

bool json_hex_decode(struct view hex, char *buffer, size_t room, struct view *bytes) {
    if (hex.bytes % 2 != 0 || hex.bytes / 2 > room) return false;
    for (size_t i = 0; i < hex.bytes; i += 2) {
        int byte = hex_byte(hex.data + i);
        if (byte < 0) return false;
        buffer[i / 2] = (char)byte;
    }
    *bytes = (struct view){.data = buffer, .bytes = hex.bytes / 2};
    return true;
}

static bool hex4(const char *at, uint32_t *code) {
    uint32_t sum = 0;
    for (size_t i = 0; i < 4; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0) return false;
        sum = sum << 4 | (uint32_t)digit;
    }
    *code = sum;
    return true;
}

/* Bytes of the character at `at`, 0 if it is not UTF-8. The second byte's range is what keeps out
 * longer forms than needed, surrogates and codes above U+10FFFF (RFC 3629, section 4). */
static size_t utf8_length(const unsigned char *at, size_t left) {
    unsigned char first = at[0];
    if (first < 0x80) return 1;

    size_t        bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    unsigned char low = 0x80, high = 0xbf;
    if (first < 0xc2 || first > 0xf4 || left < bytes) return 0;
    if (first == 0xe0) low = 0xa0;
    if (first == 0xed) high = 0x9f;
    if (first == 0xf0) low = 0x90;
    if (first == 0xf4) high = 0x8f;
    if (at[1] < low || at[1] > high) return 0;
    for (size_t i = 2; i < bytes; i++)
        if ((at[i] & 0xc0) != 0x80) return 0;
    return bytes;
}

static size_t utf8_write(uint32_t code, char *out) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

/* ---- writing ---- */

static void put(struct json_writer *w, struct view bytes) {
    while (!w->is_cut && bytes.bytes > 0) {
        size_t part = w->room - w->used < bytes.bytes ? w->room - w->used : bytes.bytes;
        memcpy(w->buffer + w->used, bytes.data, part);
        w->used += part;
        bytes = view_from(bytes, part);
        if (bytes.bytes == 0) return;
        if (w->sink == NULL || !w->sink(w->context, (struct view){w->buffer, w->used})) {
            w->is_cut = true;
            return;
        }
        w->used = 0;
    }
}

static void put_char(struct json_writer *w, char c) {
    put(w, (struct view){.data = &c, .bytes = 1});
}

static void put_comma(struct json_writer *w) {
    if (!w->is_first) put_char(w, ',');
    w->is_first = false;
}

static void put_number(struct json_writer *w, uint64_t number) {
    char   digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put(w, (struct view){.data = digits + at, .bytes = sizeof digits - at});
}

/* The letter after the backslash; 0: the character has no short escape. */
static char short_escape(unsigned char c) {
    switch (c) {
    case '"': return '"';
    case '\\': return '\\';
    case '\b': return 'b';
    case '\f': return 'f';
    case '\n': return 'n';
    case '\r': return 'r';
    case '\t': return 't';
    default: return 0;
    }
}

static void put_text(struct json_writer *w, struct view text) {
    static const char hex[] = "0123456789abcdef";
    put_char(w, '"');
    size_t plain = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
        put(w, (struct view){.data = text.data + plain, .bytes = i - plain});
        plain = i + 1;

        char   escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        char   letter   = short_escape(c);
        size_t bytes    = letter == 0 ? sizeof escape : 2;
        if (letter != 0) escape[1] = letter;
        put(w, (struct view){.data = escape, .bytes = bytes});
    }
    put(w, (struct view){.data = text.data + plain, .bytes = text.bytes - plain});
    put_char(w, '"');
}

void json_write_begin(struct json_writer *w, char *buffer, size_t room, json_sink_fn sink,
                      void *context) {
    REQUIRE(room > 0);
    *w = (struct json_writer){
        .buffer = buffer, .room = room, .sink = sink, .context = context, .is_first = true};
}

static void open_with(struct json_writer *w, char bracket) {
    put_comma(w);
    put_char(w, bracket);
    w->depth++;
    w->is_first = true;
}

static void close_with(struct json_writer *w, char bracket) {
    REQUIRE(w->depth > 0);
    put_char(w, bracket);
    w->depth--;
    w->is_first = false;
}

void json_write_object(struct json_writer *w) { open_with(w, '{'); }
void json_write_object_end(struct json_writer *w) { close_with(w, '}'); }
void json_write_array(struct json_writer *w) { open_with(w, '['); }
void json_write_array_end(struct json_writer *w) { close_with(w, ']'); }

void json_write_name(struct json_writer *w, const char *name) {
    put_comma(w);
    put_text(w, view_of(name));
    put_char(w, ':');
    w->is_first = true;
}

void json_write_null(struct json_writer *w) {
    put_comma(w);
    put(w, view_of("null"));
}

void json_write_bool(struct json_writer *w, bool flag) {
    put_comma(w);
    put(w, view_of(flag ? "true" : "false"));
}

void json_write_u64(struct json_writer *w, uint64_t number) {
    put_comma(w);
    put_number(w, number);
}

void json_write_i64(struct json_writer *w, int64_t number) {
    put_comma(w);
    if (number < 0) put_char(w, '-');
    put_number(w, number < 0 ? 0 - (uint64_t)number : (uint64_t)number);
}

void json_write_real(struct json_writer *w, double number, unsigned decimals) {
    REQUIRE(decimals <= 9);
    double magnitude = number < 0 ? -number : number;
    if (!(magnitude < 9223372036854775808.0)) {
        json_write_null(w);
        return;
    }

    uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; i++) scale *= 10;
    uint64_t whole = (uint64_t)magnitude;
    uint64_t parts = (uint64_t)((magnitude - (double)whole) * (double)scale + 0.5);
    if (parts >= scale) {
        whole++;
        parts = 0;
    }
    put_comma(w);
    if (number < 0 && (whole | parts) != 0) put_char(w, '-');
    put_number(w, whole);
    if (parts == 0) return;
    put_char(w, '.');
    for (uint64_t place = scale / 10; parts != 0; place /= 10) {
        put_char(w, (char)('0' + parts / place));
        parts %= place;
    }
}

void json_write_text(struct json_writer *w, struct view text) {
    put_comma(w);
    put_text(w, text);
}

void json_write_bytes(struct json_writer *w, const char *name, struct view bytes) {
    static const char hex[] = "0123456789abcdef";
    put_comma(w);
    put_char(w, '"');
    put(w, view_of(name));
    if (json_is_utf8(bytes)) {
        put(w, view_of("\":"));
        put_text(w, bytes);
        return;
    }
    put(w, view_of("_hex\":\""));
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        put(w, (struct view){.data = (char[]){hex[c >> 4], hex[c & 15]}, .bytes = 2});
    }
    put_char(w, '"');
}

void json_write_line_end(struct json_writer *w) {
    REQUIRE(w->depth == 0);
    put_char(w, '\n');
    w->is_first = true;
}

bool json_write_end(struct json_writer *w) {
    if (!w->is_cut && w->sink != NULL && w->used > 0) {
        w->is_cut = !w->sink(w->context, (struct view){w->buffer, w->used});
        if (!w->is_cut) w->used = 0;
    }
    return !w->is_cut;
}
