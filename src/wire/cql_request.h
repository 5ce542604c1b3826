/* SPDX-License-Identifier: MIT
 *
 * cql_request: requests of Cassandra's protocol (section 4.1), values to frames.
 *
 * Each function writes one whole frame to `out`, which has `room` bytes, and returns its length; 0 if
 * it does not fit, or is longer than a server takes, and then what `out` holds means nothing. It never
 * writes beyond the room. A request's stream is 0 or more.
 *
 *     STARTUP        a [string map]: CQL_VERSION 3.0.0, DRIVER_NAME, DRIVER_VERSION
 *     OPTIONS        nothing
 *     AUTH_RESPONSE  [bytes]
 *     REGISTER       a [string list] of types of events
 *     PREPARE        [long string] statement
 *     QUERY          [long string] statement, parameters
 *     EXECUTE        [short bytes] id, parameters
 *     parameters     [short] consistency, a byte of flags, then each if its flag says so: [short] count
 *                    and so many [value] (0x01), [int] rows of a page (0x04), [bytes] where to go on
 *                    (0x08), [short] serial consistency (0x10), [long] timestamp (0x20). Flag 0x02:
 *                    skip the metadata */
#ifndef WEIR_WIRE_CQL_REQUEST_H
#define WEIR_WIRE_CQL_REQUEST_H

#include "wire/cql.h"

struct cql_parameters {
    enum cql_consistency consistency;
    enum cql_consistency
        serial_consistency;         /* CQL_SERIAL or CQL_LOCAL_SERIAL; 0: the server's, SERIAL */
    const struct cql_value *values; /* one for each marker of the statement */
    uint16_t                value_count;
    uint32_t    page_rows;    /* at most so many rows in a response, up to INT32_MAX; 0: all */
    struct view paging_state; /* what the response before said; empty: from the beginning */
    bool        has_timestamp;
    int64_t     timestamp_us;   /* since 1970, not negative; without it the server's clock counts */
    bool        skips_metadata; /* the response names no columns */
};

enum cql_events {
    CQL_EVENTS_TOPOLOGY = 1, /* TOPOLOGY_CHANGE */
    CQL_EVENTS_STATUS   = 2, /* STATUS_CHANGE */
    CQL_EVENTS_SCHEMA   = 4, /* SCHEMA_CHANGE */
};

/* Name and version are at most 64 KiB - 1, and are shown to operators of the server. */
size_t cql_request_startup(char *out, size_t room, int16_t stream, struct view driver_name,
                           struct view driver_version);

size_t cql_request_options(char *out, size_t room, int16_t stream);

/* The answer to a PasswordAuthenticator: SASL PLAIN (RFC 4616) without an authorization identity.
 * Neither may hold a NUL. */
size_t cql_request_auth_plain(char *out, size_t room, int16_t stream, struct view user,
                              struct view password);

/* `events`: a sum of enum cql_events. */
size_t cql_request_register(char *out, size_t room, int16_t stream, unsigned events);

size_t cql_request_prepare(char *out, size_t room, int16_t stream, struct view statement);

size_t cql_request_query(char *out, size_t room, int16_t stream, struct view statement,
                         const struct cql_parameters *parameters);

/* `id` is that of cql_response_result(), at most 64 KiB - 1. */
size_t cql_request_execute(char *out, size_t room, int16_t stream, struct view id,
                           const struct cql_parameters *parameters);

#endif
