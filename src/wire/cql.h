/* SPDX-License-Identifier: MIT
 *
 * cql: Cassandra's native protocol in version 4: frames, and the words that all messages share.
 *
 * Source: native_protocol_v4.spec of Apache Cassandra; section numbers are its. Requests are written
 * by cql_request.h, bodies of responses read by cql_response.h, columns by cql_value.h; who owns a
 * partition key says cql_token.h. Nothing is allocated: what is read are views into the bytes that
 * were given.
 *
 * A frame (section 2), numbers big-endian as everywhere in the protocol:
 *
 *     offset  bytes
 *          0      1  version: 0x04 a request, 0x84 a response
 *          1      1  flags
 *          2      2  stream: signed; a response has that of its request, an EVENT has -1
 *          4      1  opcode
 *          5      4  length of what follows
 *          9         of a response, each if its flag says so: a tracing id of 16 bytes (0x02), warnings, a
 *                    [string list] (0x08), a custom payload, a [bytes map] (0x04); then the body
 *
 * Frames are not compressed, since we never ask for it. */
#ifndef WEIR_WIRE_CQL_H
#define WEIR_WIRE_CQL_H

#include <stdint.h>

#include "base/view.h"

enum {
    CQL_HEADER_BYTES   = 9,
    CQL_BODY_BYTES_MAX = 256 * 1024 * 1024, /* servers take and send no more */
    CQL_STREAM_EVENT   = -1,
};

enum cql_opcode {
    CQL_ERROR          = 0x00,
    CQL_STARTUP        = 0x01,
    CQL_READY          = 0x02, /* its body is empty */
    CQL_AUTHENTICATE   = 0x03,
    CQL_OPTIONS        = 0x05,
    CQL_SUPPORTED      = 0x06,
    CQL_QUERY          = 0x07,
    CQL_RESULT         = 0x08,
    CQL_PREPARE        = 0x09,
    CQL_EXECUTE        = 0x0a,
    CQL_REGISTER       = 0x0b,
    CQL_EVENT          = 0x0c,
    CQL_AUTH_CHALLENGE = 0x0e,
    CQL_AUTH_RESPONSE  = 0x0f,
    CQL_AUTH_SUCCESS   = 0x10,
};

enum cql_consistency {
    CQL_ANY          = 0x0,
    CQL_ONE          = 0x1,
    CQL_TWO          = 0x2,
    CQL_THREE        = 0x3,
    CQL_QUORUM       = 0x4,
    CQL_ALL          = 0x5,
    CQL_LOCAL_QUORUM = 0x6,
    CQL_EACH_QUORUM  = 0x7,
    CQL_SERIAL       = 0x8,
    CQL_LOCAL_SERIAL = 0x9,
    CQL_LOCAL_ONE    = 0xa,
};

/* Types of columns (section 4.2.5.2) that somebody here reads; others pass by their number. */
enum cql_type_id {
    CQL_TYPE_CUSTOM  = 0x00,
    CQL_TYPE_ASCII   = 0x01,
    CQL_TYPE_BIGINT  = 0x02,
    CQL_TYPE_BLOB    = 0x03,
    CQL_TYPE_BOOLEAN = 0x04,
    CQL_TYPE_INT     = 0x09,
    CQL_TYPE_UUID    = 0x0c,
    CQL_TYPE_VARCHAR = 0x0d,
    CQL_TYPE_INET    = 0x10,
    CQL_TYPE_LIST    = 0x20,
    CQL_TYPE_MAP     = 0x21,
    CQL_TYPE_SET     = 0x22,
    CQL_TYPE_UDT     = 0x30,
    CQL_TYPE_TUPLE   = 0x31,
};

/* X(name, code, the protocol's word for it, what an operator reads). Section 9, and two of later
 * versions. */
#define CQL_ERROR_TABLE(X)                                                                         \
    X(CQL_ERROR_SERVER, 0x0000, "SERVER_ERROR",                                                    \
      "something unexpected happened in the server; see its log")                                  \
    X(CQL_ERROR_PROTOCOL, 0x000a, "PROTOCOL_ERROR", "the server did not understand a message")     \
    X(CQL_ERROR_CREDENTIALS, 0x0100, "BAD_CREDENTIALS",                                            \
      "the server does not accept the user and password")                                          \
    X(CQL_ERROR_UNAVAILABLE, 0x1000, "UNAVAILABLE",                                                \
      "fewer replicas are up than the consistency level needs")                                    \
    X(CQL_ERROR_OVERLOADED, 0x1001, "OVERLOADED", "the server has too much to do")                 \
    X(CQL_ERROR_BOOTSTRAPPING, 0x1002, "IS_BOOTSTRAPPING", "the server is just joining its ring")  \
    X(CQL_ERROR_TRUNCATE, 0x1003, "TRUNCATE_ERROR", "a table could not be truncated")              \
    X(CQL_ERROR_WRITE_TIMEOUT, 0x1100, "WRITE_TIMEOUT",                                            \
      "too few replicas confirmed a write in time; it may have been done, or may yet be")          \
    X(CQL_ERROR_READ_TIMEOUT, 0x1200, "READ_TIMEOUT", "too few replicas answered a read in time")  \
    X(CQL_ERROR_READ_FAILURE, 0x1300, "READ_FAILURE", "replicas failed to read; see their logs")   \
    X(CQL_ERROR_FUNCTION_FAILURE, 0x1400, "FUNCTION_FAILURE", "a user's function failed")          \
    X(CQL_ERROR_WRITE_FAILURE, 0x1500, "WRITE_FAILURE",                                            \
      "replicas failed to write, and others may have written; see their logs")                     \
    X(CQL_ERROR_CDC_WRITE, 0x1600, "CDC_WRITE_FAILURE",                                            \
      "the disk space for captured changes is full")                                               \
    X(CQL_ERROR_CAS_UNKNOWN, 0x1700, "CAS_WRITE_UNKNOWN",                                          \
      "a conditional write may have been done, or may yet be")                                     \
    X(CQL_ERROR_SYNTAX, 0x2000, "SYNTAX_ERROR", "the server cannot read a statement")              \
    X(CQL_ERROR_UNAUTHORIZED, 0x2100, "UNAUTHORIZED", "the user may not run this statement")       \
    X(CQL_ERROR_INVALID, 0x2200, "INVALID", "the server cannot run a statement as it is")          \
    X(CQL_ERROR_CONFIG, 0x2300, "CONFIG_ERROR", "the server's configuration forbids a statement")  \
    X(CQL_ERROR_ALREADY_EXISTS, 0x2400, "ALREADY_EXISTS", "a keyspace or table is there already")  \
    X(CQL_ERROR_UNPREPARED, 0x2500, "UNPREPARED",                                                  \
      "the server does not know a prepared statement any more")

enum cql_error_code {
#define CQL_ERROR_CODE(name, code, word, text) name = code,
    CQL_ERROR_TABLE(CQL_ERROR_CODE)
#undef CQL_ERROR_CODE
};

/* "UNPREPARED", and what it means. Of a code that is not in the table: "UNKNOWN", and that it is. */
const char *cql_error_word(int32_t code);
const char *cql_error_text(int32_t code);

/* A column's value, or one that a statement's marker is bound to. */
enum cql_presence {
    CQL_PRESENT,
    CQL_NULL,
    CQL_UNSET, /* only bound: leaves the column as it is; for a marker that must have a value, an error */
};

struct cql_value {
    enum cql_presence presence;
    struct view       bytes; /* CQL_PRESENT; else empty */
};

enum { CQL_INET_BYTES_MAX = 16 };

struct cql_inet {
    uint8_t  address[CQL_INET_BYTES_MAX];
    uint8_t  address_bytes; /* 4 or 16 */
    uint16_t port;          /* 0 if there is none: columns have none */
};

/* ---- frames ---- */

enum cql_outcome {
    CQL_FRAME,   /* the frame is whole */
    CQL_PARTIAL, /* not all there; the frame has at least bytes_wanted bytes */
    CQL_BROKEN,  /* no frame for us: `problem` says why; nothing after it makes sense */
};

struct cql_frame {
    size_t      bytes;        /* CQL_FRAME: how many it took */
    size_t      bytes_wanted; /* CQL_PARTIAL */
    const char *problem;      /* CQL_BROKEN: what follows "the server sent ..." */
    int16_t     stream;
    uint8_t     opcode; /* any; which ones are expected knows who asked */
    struct view body;   /* without tracing id, warnings and payload; borrowed */
};

/* Reads the response at the front of `bytes`. Keeps no state, so that a frame means the same however
 * its bytes were cut. A frame that claims more than `body_bytes_max` (at most CQL_BODY_BYTES_MAX)
 * after its header is broken, and is so as soon as its header is there. */
enum cql_outcome cql_read(struct view bytes, size_t body_bytes_max, struct cql_frame *frame);

#endif
