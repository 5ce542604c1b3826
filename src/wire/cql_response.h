/* SPDX-License-Identifier: MIT
 *
 * cql_response: bodies of the responses of Cassandra's protocol (section 4.2), bytes to values.
 *
 * A reader takes the body of a frame (cql_read()) and checks all of it, so that walking over what it
 * gave cannot fail any more. False: the body is shorter than it says, or says what cannot be; then the
 * result means nothing, and nor does anything else that the server says on this connection. What
 * follows the part that is known is passed over, as the protocol asks. All views point into the body.
 * READY has an empty body and no reader.
 *
 *     ERROR           [int] code, [string] message, and what the code adds
 *     AUTHENTICATE    [string] class of the server's authenticator
 *     AUTH_CHALLENGE  [bytes]; AUTH_SUCCESS the same
 *     SUPPORTED       [string multimap]: options, and for each what it may be
 *     RESULT          [int] kind, then
 *       rows            metadata, [int] count of rows, for each row and column [bytes]
 *       set keyspace    [string]
 *       prepared        [short bytes] id, [int] flags, [int] count of markers, [int] count of key
 *                       columns, for each [short] its marker; specs of markers; metadata of its rows
 *       metadata        [int] flags, [int] count of columns, [bytes] where to go on if flag 2; specs
 *                       unless flag 4
 *       specs           [string] keyspace and [string] table if flag 1; for each column keyspace and
 *                       table unless flag 1, [string] name, [option] type
 *       schema change   [string] change, [string] target, [string] keyspace, [string] name unless the
 *                       target is a keyspace, [string list] arguments if it is a function or aggregate
 *     EVENT           [string] type; then [string] change and [inet] of a node, or a schema change */
#ifndef WEIR_WIRE_CQL_RESPONSE_H
#define WEIR_WIRE_CQL_RESPONSE_H

#include "wire/cql.h"
#include "wire/cql_cursor.h"

/* ---- ERROR ---- */

/* What kind of write it was. */
enum cql_write_type {
    CQL_WRITE_OTHER, /* none that we know */
    CQL_WRITE_SIMPLE,
    CQL_WRITE_BATCH,
    CQL_WRITE_UNLOGGED_BATCH,
    CQL_WRITE_COUNTER,
    CQL_WRITE_BATCH_LOG,
    CQL_WRITE_CAS, /* a conditional write: whether it was done is not known */
    CQL_WRITE_VIEW,
    CQL_WRITE_CDC,
};

struct cql_error {
    int32_t     code; /* of enum cql_error_code, or one that we do not know */
    struct view message;

    /* UNAVAILABLE, READ_TIMEOUT, WRITE_TIMEOUT, READ_FAILURE, WRITE_FAILURE, CAS_WRITE_UNKNOWN */
    uint16_t consistency;
    int32_t  received; /* replicas that answered; UNAVAILABLE: that are up */
    int32_t  required;
    /* READ_FAILURE, WRITE_FAILURE */
    int32_t failures;
    /* READ_TIMEOUT, READ_FAILURE: whether the replica that was asked for data, and not for a digest,
     * answered */
    bool has_data;
    /* WRITE_TIMEOUT, WRITE_FAILURE */
    enum cql_write_type write_type;
    /* ALREADY_EXISTS; the table is empty if it is the keyspace that exists */
    struct view keyspace;
    struct view table;
    /* UNPREPARED: the id of the statement */
    struct view statement_id;
};

bool cql_response_error(struct view body, struct cql_error *error);

/* ---- before the first statement ---- */

bool cql_response_authenticate(struct view body, struct view *authenticator);

/* AUTH_CHALLENGE and AUTH_SUCCESS. */
bool cql_response_auth_token(struct view body, struct cql_value *token);

/* Pairs of an option and something it may be; an option that may be several things comes several
 * times. */
struct cql_supported {
    uint32_t          option_left;
    uint32_t          value_left;
    struct view       option;
    struct cql_cursor cursor;
};

bool cql_response_supported(struct view body, struct cql_supported *supported);

/* False: there are no more. */
bool cql_supported_next(struct cql_supported *supported, struct view *option, struct view *value);

/* ---- RESULT ---- */

struct cql_type {
    uint16_t id;         /* of enum cql_type_id, or another */
    uint16_t element_id; /* LIST and SET: of the elements; MAP: of the keys; else 0 */
    uint16_t value_id;   /* MAP: of the values; else 0 */
};

struct cql_column {
    struct view     keyspace;
    struct view     table;
    struct view     name;
    struct cql_type type;
};

enum { CQL_TYPE_DEPTH_MAX = 16 }; /* a type within so many others is refused */

/* Columns of rows, or markers of a statement. A copy is a walk of its own. */
struct cql_columns {
    uint32_t left; /* columns with a name and a type that are still to come; 0 without metadata */
    bool     is_one_table;
    struct view       keyspace; /* is_one_table: of all of them */
    struct view       table;
    struct cql_cursor cursor;
};

/* False: there are no more. */
bool cql_columns_next(struct cql_columns *columns, struct cql_column *column);

struct cql_rows {
    uint32_t           column_count;
    uint32_t           row_left;
    struct view        paging_state; /* empty: these are the last rows */
    struct cql_columns columns;
    struct cql_cursor  cursor;
};

/* The next row's values, `room` of them at most; what has no column is NULL. False: there are no more
 * rows. */
bool cql_rows_next(struct cql_rows *rows, struct cql_value *values, size_t room);

struct cql_prepared {
    struct view        id; /* for cql_request_execute() */
    struct cql_columns markers;
    uint32_t           marker_count;
    uint32_t    key_column_count; /* 0: not every column of the partition's key has a marker */
    struct view key_markers;
    uint32_t    column_count; /* of its rows; 0 for what is no SELECT */
    struct cql_columns columns;
};

/* Which marker is column `index` of the partition's key: below marker_count. */
uint16_t cql_prepared_key_marker(const struct cql_prepared *prepared, uint32_t index);

struct cql_schema_change {
    struct view change; /* CREATED, UPDATED, DROPPED */
    struct view target; /* KEYSPACE, TABLE, TYPE, FUNCTION, AGGREGATE */
    struct view keyspace;
    struct view name; /* empty if the target is a keyspace, or one that we do not know */
};

enum cql_result_kind {
    CQL_VOID          = 1,
    CQL_ROWS          = 2,
    CQL_SET_KEYSPACE  = 3,
    CQL_PREPARED      = 4,
    CQL_SCHEMA_CHANGE = 5,
};

struct cql_result {
    enum cql_result_kind kind;
    union {
        struct cql_rows          rows;
        struct view              keyspace;
        struct cql_prepared      prepared;
        struct cql_schema_change schema;
    };
};

bool cql_response_result(struct view body, struct cql_result *result);

/* ---- EVENT ---- */

enum cql_event_kind {
    CQL_EVENT_OTHER, /* none that we know: pass over it */
    CQL_EVENT_NEW_NODE,
    CQL_EVENT_REMOVED_NODE,
    CQL_EVENT_MOVED_NODE, /* of older servers: a node has another token */
    CQL_EVENT_UP,
    CQL_EVENT_DOWN,
    CQL_EVENT_SCHEMA,
};

struct cql_event {
    enum cql_event_kind      kind;
    struct cql_inet          node;   /* whom a TOPOLOGY_CHANGE or STATUS_CHANGE is about */
    struct cql_schema_change schema; /* CQL_EVENT_SCHEMA */
};

bool cql_response_event(struct view body, struct cql_event *event);

#endif
