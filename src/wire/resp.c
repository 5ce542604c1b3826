/* SPDX-License-Identifier: MIT */
#include "wire/resp.h"

#include "base/contract.h"
#include "base/hex.h"

static enum resp_outcome read_array(char *data, size_t bytes, struct view *words,
                                    struct resp_request *request);
static enum resp_outcome read_line(char *data, size_t bytes, struct view *words,
                                   struct resp_request *request);

enum resp_outcome resp_read(char *data, size_t bytes, struct view *words,
                            struct resp_request *request) {
    *request = (struct resp_request){.bytes_wanted = bytes + 1};
    if (bytes == 0) return RESP_PARTIAL;
    if (data[0] == '*') return read_array(data, bytes, words, request);
    return read_line(data, bytes, words, request);
}

static enum resp_outcome broken(struct resp_request *request, const char *problem) {
    request->problem = problem;
    return RESP_BROKEN;
}

/* ---- arrays of bulk strings ---- */

/* Reads "<mark><number>\r\n" whose mark was seen already. Zero: not all there yet. Negative: it is no
 * such thing. Otherwise its bytes. A line that does not end within RESP_HEAD_BYTES_MAX is wrong
 * whether or not more is to come. */
static int read_head(const char *data, size_t bytes, int64_t *number) {
    size_t at          = 1;
    bool   is_negative = at < bytes && data[at] == '-';
    if (is_negative) at++;

    size_t  digits_at = at;
    int64_t value     = 0;
    for (; at < bytes && (unsigned char)(data[at] - '0') < 10; at++) {
        if (at - digits_at == 18) return -1;
        value = value * 10 + (data[at] - '0');
    }
    if (at == bytes) return 0;
    if (at == digits_at || data[at] != '\r') return -1;
    if (at + 1 == bytes) return 0;
    if (data[at + 1] != '\n') return -1;
    *number = is_negative ? -value : value;
    return (int)at + 2;
}

static enum resp_outcome read_array(char *data, size_t bytes, struct view *words,
                                    struct resp_request *request) {
    int64_t word_count = 0;
    int     head       = read_head(data, bytes, &word_count);
    if (head == 0) return RESP_PARTIAL;
    if (head < 0 || word_count > RESP_WORDS_MAX) return broken(request, "invalid multibulk length");

    size_t at = (size_t)head;
    if (word_count <= 0) {
        request->bytes = at;
        return RESP_NOTHING;
    }

    for (int64_t i = 0; i < word_count; i++) {
        int64_t length = 0;
        if (at == bytes) return RESP_PARTIAL;
        if (data[at] != '$') return broken(request, "expected '$' before each word");
        head = read_head(data + at, bytes - at, &length);
        if (head == 0) return RESP_PARTIAL;
        if (head < 0 || length < 0 || length > RESP_WORD_BYTES_MAX)
            return broken(request, "invalid bulk length");

        at += (size_t)head;
        size_t end = at + (size_t)length;
        if (end + 2 > RESP_REQUEST_BYTES_MAX) return broken(request, "too big request");
        if (end + 2 > bytes) {
            request->bytes_wanted = end + 2;
            return RESP_PARTIAL;
        }
        if (data[end] != '\r' || data[end + 1] != '\n')
            return broken(request, "expected a line end after each word");
        words[i] = (struct view){.data = data + at, .bytes = (size_t)length};
        at       = end + 2;
    }
    request->bytes      = at;
    request->word_count = (size_t)word_count;
    return RESP_REQUEST;
}

/* ---- lines of words ---- */

/* What is left of a line, and where its next decoded byte goes: never after `at`. */
struct line {
    const char *at;
    const char *end;
    char       *out;
};

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The byte that the escape after a backslash stands for. */
static char read_escape(struct line *line) {
    char c = *line->at++;
    switch (c) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'b': return '\b';
    case 'a': return '\a';
    case 'x':
        if (line->end - line->at >= 2) {
            int byte = hex_byte(line->at);
            if (byte >= 0) {
                line->at += 2;
                return (char)byte;
            }
        }
        return c;
    default: return c;
    }
}

/* The rest of a quoted part, its closing quote included. False: it does not end, or something but a
 * blank follows. In single quotes only \' is an escape. */
static bool read_quoted(struct line *line, char quote) {
    while (line->at < line->end) {
        char c = *line->at++;
        if (c == quote) return line->at == line->end || is_blank(*line->at);
        if (c == '\\' && line->at < line->end) {
            if (quote == '"')
                c = read_escape(line);
            else if (*line->at == '\'')
                c = *line->at++;
        }
        *line->out++ = c;
    }
    return false;
}

static bool read_word(struct line *line, struct view *word) {
    char *start = line->out;
    while (line->at < line->end && !is_blank(*line->at)) {
        char c = *line->at++;
        if (c == '"' || c == '\'') {
            if (!read_quoted(line, c)) return false;
            break;
        }
        *line->out++ = c;
    }
    *word = (struct view){.data = start, .bytes = (size_t)(line->out - start)};
    return true;
}

static enum resp_outcome read_line(char *data, size_t bytes, struct view *words,
                                   struct resp_request *request) {
    size_t      room = bytes < RESP_LINE_BYTES_MAX ? bytes : RESP_LINE_BYTES_MAX;
    const char *end  = memchr(data, '\n', room);
    if (end == NULL)
        return room < RESP_LINE_BYTES_MAX ? RESP_PARTIAL
                                          : broken(request, "too big inline request");

    request->bytes   = (size_t)(end - data) + 1;
    struct line line = {.at = data, .end = end, .out = data};
    while (true) {
        while (line.at < line.end && is_blank(*line.at)) line.at++;
        if (line.at == line.end) break;
        if (request->word_count == RESP_WORDS_MAX)
            return broken(request, "too many words in a line");
        /* Words are written where they stand or before, so that decoding never runs into what is
         * still to be read. */
        line.out = (char *)line.at;
        if (!read_word(&line, &words[request->word_count]))
            return broken(request, "unbalanced quotes in request");
        request->word_count++;
    }
    return request->word_count == 0 ? RESP_NOTHING : RESP_REQUEST;
}

/* ---- writing ---- */

char *resp_write_head(char *at, char mark, int64_t number) {
    *at++ = mark;
    /* Nearly every number written is a single digit: a verdict, a count, a length. */
    if ((uint64_t)number < 10) {
        *at++ = (char)('0' + number);
    } else {
        char     digits[20];
        size_t   start     = sizeof digits;
        uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
        do {
            digits[--start] = (char)('0' + magnitude % 10);
            magnitude /= 10;
        } while (magnitude > 0);
        if (number < 0) *at++ = '-';
        memcpy(at, digits + start, sizeof digits - start);
        at += sizeof digits - start;
    }
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

char *resp_write_bulk(char *at, struct view bytes) {
    REQUIRE(bytes.bytes <= INT64_MAX);
    at = resp_write_head(at, '$', (int64_t)bytes.bytes);
    if (bytes.bytes > 0) memcpy(at, bytes.data, bytes.bytes);
    at += bytes.bytes;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

char *resp_write_line(char *at, char mark, struct view text) {
    *at++ = mark;
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned char c = (unsigned char)text.data[i];
        *at++           = c < 0x20 || c == 0x7f ? ' ' : (char)c;
    }
    *at++ = '\r';
    *at++ = '\n';
    return at;
}
