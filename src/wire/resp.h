/* SPDX-License-Identifier: MIT
 *
 * resp: the protocol of Redis clients (RESP2 and RESP3), bytes to requests and values to bytes.
 *
 * Reading. A request is an array of bulk strings, "*2\r\n$4\r\nPING\r\n$2\r\nhi\r\n", or one line of
 * words, "PING hi\r\n", with quotes as Redis has them. resp_read() takes whole requests off the front
 * of a buffer and keeps no state, so that a request means the same however its bytes were cut.
 *
 * Writing. Each resp_write_* function appends to a buffer whose room the caller has made sure of, and
 * returns its new end. */
#ifndef WEIR_WIRE_RESP_H
#define WEIR_WIRE_RESP_H

#include <stdint.h>

#include "base/view.h"

/* What one request may be. A user has 64 KiB at most; the kilobyte more lets a longer one be
 * refused as a user, with the connection kept, before it is refused as a protocol error. */
enum {
    RESP_WORDS_MAX         = 1024,
    RESP_WORD_BYTES_MAX    = 65 * 1024,
    RESP_LINE_BYTES_MAX    = 64 * 1024, /* a request written as a line */
    RESP_REQUEST_BYTES_MAX = 128 * 1024,
};

enum {
    RESP_HEAD_BYTES_MAX = 24, /* "*-9223372036854775808\r\n", and every integer or length written */
};

enum resp_outcome {
    RESP_REQUEST, /* words[0 .. word_count) hold a request */
    RESP_NOTHING, /* an empty line or an empty array: taken, and not to be answered */
    RESP_PARTIAL, /* no whole request yet; it has at least bytes_wanted bytes */
    RESP_BROKEN, /* not RESP, or beyond a bound: `problem` says what; nothing after it makes sense */
};

struct resp_request {
    size_t      bytes;        /* RESP_REQUEST, RESP_NOTHING: how many it took */
    size_t      word_count;   /* RESP_REQUEST: 1 to RESP_WORDS_MAX */
    size_t      bytes_wanted; /* RESP_PARTIAL */
    const char *problem;      /* RESP_BROKEN: what follows "Protocol error: " */
};

/* Reads the request at the front of `bytes`. `words` has room for RESP_WORDS_MAX views; they point
 * into `data`, where quoted words of a line are decoded in place once the line is whole. */
enum resp_outcome resp_read(char *data, size_t bytes, struct view *words,
                            struct resp_request *request);

/* ---- writing ---- */

/* "<mark><number>\r\n": ':' integers, '*' arrays, '%' maps, '$' the head of a bulk string. Needs room
 * for RESP_HEAD_BYTES_MAX bytes. */
char *resp_write_head(char *at, char mark, int64_t number);

/* A bulk string. Needs room for its bytes and RESP_HEAD_BYTES_MAX + 2. */
char *resp_write_bulk(char *at, struct view bytes);

/* "<mark><text>\r\n": '+' simple strings, '-' errors. Line ends and other control characters in the
 * text become blanks. Needs room for its bytes and 3. */
char *resp_write_line(char *at, char mark, struct view text);

#endif
