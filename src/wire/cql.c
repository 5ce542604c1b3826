/* SPDX-License-Identifier: MIT */
#include "wire/cql.h"

#include "base/contract.h"
#include "wire/cql_cursor.h"

enum { VERSION = 4, FROM_SERVER = 0x80 };
enum { FLAG_COMPRESSED = 0x01, FLAG_TRACING = 0x02, FLAG_PAYLOAD = 0x04, FLAG_WARNING = 0x08 };
enum { TRACING_ID_BYTES = 16 };

static bool skip_prefixes(uint8_t flags, struct cql_cursor *body);

static enum cql_outcome broken(struct cql_frame *frame, const char *problem) {
    frame->problem = problem;
    return CQL_BROKEN;
}

enum cql_outcome cql_read(struct view bytes, size_t body_bytes_max, struct cql_frame *frame) {
    REQUIRE(body_bytes_max <= CQL_BODY_BYTES_MAX);
    *frame = (struct cql_frame){.bytes_wanted = CQL_HEADER_BYTES};

    /* What is no frame is seen from its first byte: a TLS alert, or the words of another protocol. */
    struct cql_cursor header  = cql_cursor_of(bytes);
    uint8_t           version = cql_cursor_byte(&header);
    if (!header.is_broken && version != (FROM_SERVER | VERSION))
        return broken(frame, (version & FROM_SERVER) ? "another version of the protocol than 4"
                                                     : "what is no response of a Cassandra server");
    uint8_t flags = cql_cursor_byte(&header);
    if (flags & FLAG_COMPRESSED) return broken(frame, "a compressed frame without being asked to");
    frame->stream   = (int16_t)cql_cursor_short(&header);
    frame->opcode   = cql_cursor_byte(&header);
    uint32_t length = (uint32_t)cql_cursor_int(&header);
    if (header.is_broken) return CQL_PARTIAL;

    if (length > body_bytes_max) return broken(frame, "a longer frame than is taken");
    if (length > cql_cursor_left(&header)) {
        frame->bytes_wanted = CQL_HEADER_BYTES + (size_t)length;
        return CQL_PARTIAL;
    }
    struct cql_cursor body = cql_cursor_of(cql_cursor_take(&header, length));
    if (!skip_prefixes(flags, &body))
        return broken(frame,
                      "a tracing id, warnings or a payload that do not fit into their frame");
    frame->bytes = CQL_HEADER_BYTES + (size_t)length;
    frame->body  = (struct view){.data = body.at, .bytes = cql_cursor_left(&body)};
    return CQL_FRAME;
}

/* Goes past what stands before the body. */
static bool skip_prefixes(uint8_t flags, struct cql_cursor *body) {
    if (flags & FLAG_TRACING) cql_cursor_take(body, TRACING_ID_BYTES);
    if (flags & FLAG_WARNING) {
        for (uint16_t left = cql_cursor_short(body); left > 0; left--) cql_cursor_string(body);
    }
    if (flags & FLAG_PAYLOAD) {
        for (uint16_t left = cql_cursor_short(body); left > 0; left--) {
            cql_cursor_string(body);
            cql_cursor_value(body);
        }
    }
    return !body->is_broken;
}

/* ---- errors ---- */

const char *cql_error_word(int32_t code) {
    switch (code) {
#define CQL_ERROR_WORD(name, code, word, text)                                                     \
    case code: return word;
        CQL_ERROR_TABLE(CQL_ERROR_WORD)
#undef CQL_ERROR_WORD
    default: return "UNKNOWN";
    }
}

const char *cql_error_text(int32_t code) {
    switch (code) {
#define CQL_ERROR_TEXT(name, code, word, text)                                                     \
    case code: return text;
        CQL_ERROR_TABLE(CQL_ERROR_TEXT)
#undef CQL_ERROR_TEXT
    default: return "an error that this version of weir does not know";
    }
}
