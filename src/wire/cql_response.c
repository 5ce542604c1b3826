/* SPDX-License-Identifier: MIT */
#include "wire/cql_response.h"

#include "base/contract.h"

enum { FLAG_ONE_TABLE = 0x1, FLAG_MORE_PAGES = 0x2, FLAG_NO_METADATA = 0x4 };

/* The number that a text stands for, 0 if it stands for none. */
struct word {
    const char *text;
    int         number;
};

static int number_of(struct view text, const struct word *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (view_equals(text, view_of(words[i].text))) return words[i].number;
    return 0;
}

static bool equals(struct view text, const char *word) { return view_equals(text, view_of(word)); }

/* ---- ERROR ---- */

static void read_replicas(struct cql_cursor *c, struct cql_error *error) {
    error->consistency = cql_cursor_short(c);
    error->received    = cql_cursor_int(c);
    error->required    = cql_cursor_int(c);
}

static enum cql_write_type read_write_type(struct cql_cursor *c) {
    static const struct word types[] = {
        {"SIMPLE", CQL_WRITE_SIMPLE},
        {"BATCH", CQL_WRITE_BATCH},
        {"UNLOGGED_BATCH", CQL_WRITE_UNLOGGED_BATCH},
        {"COUNTER", CQL_WRITE_COUNTER},
        {"BATCH_LOG", CQL_WRITE_BATCH_LOG},
        {"CAS", CQL_WRITE_CAS},
        {"VIEW", CQL_WRITE_VIEW},
        {"CDC", CQL_WRITE_CDC},
    };
    return (enum cql_write_type)number_of(cql_cursor_string(c), types,
                                          sizeof types / sizeof types[0]);
}

bool cql_response_error(struct view body, struct cql_error *error) {
    struct cql_cursor c = cql_cursor_of(body);
    *error              = (struct cql_error){.code = cql_cursor_int(&c)};
    error->message      = cql_cursor_string(&c);
    switch (error->code) {
    case CQL_ERROR_UNAVAILABLE: /* the other way round than the others */
        error->consistency = cql_cursor_short(&c);
        error->required    = cql_cursor_int(&c);
        error->received    = cql_cursor_int(&c);
        break;
    case CQL_ERROR_CAS_UNKNOWN: read_replicas(&c, error); break;
    case CQL_ERROR_READ_TIMEOUT:
        read_replicas(&c, error);
        error->has_data = cql_cursor_byte(&c) != 0;
        break;
    case CQL_ERROR_WRITE_TIMEOUT:
        read_replicas(&c, error);
        error->write_type = read_write_type(&c);
        break;
    case CQL_ERROR_READ_FAILURE:
        read_replicas(&c, error);
        error->failures = cql_cursor_int(&c);
        error->has_data = cql_cursor_byte(&c) != 0;
        break;
    case CQL_ERROR_WRITE_FAILURE:
        read_replicas(&c, error);
        error->failures   = cql_cursor_int(&c);
        error->write_type = read_write_type(&c);
        break;
    case CQL_ERROR_ALREADY_EXISTS:
        error->keyspace = cql_cursor_string(&c);
        error->table    = cql_cursor_string(&c);
        break;
    case CQL_ERROR_UNPREPARED: error->statement_id = cql_cursor_string(&c); break;
    default: break;
    }
    return !c.is_broken;
}

/* ---- before the first statement ---- */

bool cql_response_authenticate(struct view body, struct view *authenticator) {
    struct cql_cursor c = cql_cursor_of(body);
    *authenticator      = cql_cursor_string(&c);
    return !c.is_broken;
}

bool cql_response_auth_token(struct view body, struct cql_value *token) {
    struct cql_cursor c = cql_cursor_of(body);
    *token              = cql_cursor_value(&c);
    return !c.is_broken;
}

bool cql_response_supported(struct view body, struct cql_supported *supported) {
    struct cql_cursor c = cql_cursor_of(body);
    *supported          = (struct cql_supported){.option_left = cql_cursor_short(&c)};
    supported->cursor   = c;
    for (uint32_t options = supported->option_left; options > 0 && !c.is_broken; options--) {
        cql_cursor_string(&c);
        for (uint32_t values = cql_cursor_short(&c); values > 0; values--) cql_cursor_string(&c);
    }
    return !c.is_broken;
}

bool cql_supported_next(struct cql_supported *supported, struct view *option, struct view *value) {
    while (supported->value_left == 0) {
        if (supported->option_left == 0) return false;
        supported->option_left--;
        supported->option     = cql_cursor_string(&supported->cursor);
        supported->value_left = cql_cursor_short(&supported->cursor);
    }
    supported->value_left--;
    *option = supported->option;
    *value  = cql_cursor_string(&supported->cursor);
    return true;
}

/* ---- types: an [option], whose value may be types again ---- */

/* A type that others are within: how many are still to be read, and whether names are before them. */
struct outer {
    uint32_t left;
    bool     has_names;
};

/* What a type of this id says of the types within it, after it has said what else it has. */
static struct outer read_outer(struct cql_cursor *c, uint16_t id) {
    switch (id) {
    case CQL_TYPE_CUSTOM: cql_cursor_string(c); return (struct outer){0}; /* a class of Java */
    case CQL_TYPE_LIST:
    case CQL_TYPE_SET: return (struct outer){.left = 1};
    case CQL_TYPE_MAP: return (struct outer){.left = 2};
    case CQL_TYPE_TUPLE: return (struct outer){.left = cql_cursor_short(c)};
    case CQL_TYPE_UDT:
        cql_cursor_string(c); /* its keyspace and its name */
        cql_cursor_string(c);
        return (struct outer){.left = cql_cursor_short(c), .has_names = true};
    default: return (struct outer){0};
    }
}

/* Reads a type to its end, by a stack of those it is within, since they may be nested as deep as a
 * body is long. */
static struct cql_type read_type(struct cql_cursor *c) {
    struct cql_type type = {.id = cql_cursor_short(c)};
    struct outer    outers[CQL_TYPE_DEPTH_MAX];
    size_t          depth = 0;
    bool            is_collection =
        type.id == CQL_TYPE_LIST || type.id == CQL_TYPE_SET || type.id == CQL_TYPE_MAP;

    outers[0] = read_outer(c, type.id);
    while (!c->is_broken) {
        struct outer *outer = &outers[depth];
        if (outer->left == 0) {
            if (depth == 0) break;
            depth--;
            continue;
        }
        if (outer->has_names) cql_cursor_string(c);
        uint16_t id = cql_cursor_short(c);
        if (depth == 0 && is_collection) {
            bool is_value = type.id == CQL_TYPE_MAP && outer->left == 1;
            *(is_value ? &type.value_id : &type.element_id) = id;
        }
        outer->left--;
        if (depth + 1 == CQL_TYPE_DEPTH_MAX) {
            c->is_broken = true;
            break;
        }
        outers[++depth] = read_outer(c, id);
    }
    return type;
}

/* ---- columns ---- */

static struct cql_column read_column(struct cql_cursor *c, const struct cql_columns *columns) {
    struct cql_column column = {.keyspace = columns->keyspace, .table = columns->table};
    if (!columns->is_one_table) {
        column.keyspace = cql_cursor_string(c);
        column.table    = cql_cursor_string(c);
    }
    column.name = cql_cursor_string(c);
    column.type = read_type(c);
    return column;
}

/* Specs of so many columns, and past them. */
static struct cql_columns read_columns(struct cql_cursor *c, int32_t flags, uint32_t count) {
    struct cql_columns columns = {.cursor = cql_cursor_of((struct view){0})};
    if (flags & FLAG_NO_METADATA) return columns;
    columns.is_one_table = flags & FLAG_ONE_TABLE;
    if (columns.is_one_table) {
        columns.keyspace = cql_cursor_string(c);
        columns.table    = cql_cursor_string(c);
    }
    columns.left   = count;
    columns.cursor = *c;
    for (; count > 0 && !c->is_broken; count--) read_column(c, &columns);
    return columns;
}

bool cql_columns_next(struct cql_columns *columns, struct cql_column *column) {
    if (columns->left == 0) return false;
    columns->left--;
    *column = read_column(&columns->cursor, columns);
    return true;
}

/* ---- RESULT ---- */

/* All but the rows themselves. */
static struct cql_rows read_metadata(struct cql_cursor *c) {
    int32_t         flags = cql_cursor_int(c);
    struct cql_rows rows  = {.column_count = cql_cursor_count(c)};
    if (flags & FLAG_MORE_PAGES) rows.paging_state = cql_cursor_value(c).bytes;
    rows.columns = read_columns(c, flags, rows.column_count);
    return rows;
}

static struct cql_rows read_rows(struct cql_cursor *c) {
    struct cql_rows rows = read_metadata(c);
    rows.row_left        = cql_cursor_count(c);
    rows.cursor          = *c;
    /* Rows of no columns take no bytes, so nothing would bound how many there are. */
    if (rows.column_count == 0 && rows.row_left > 0) c->is_broken = true;
    uint64_t value_count = (uint64_t)rows.row_left * rows.column_count;
    for (; value_count > 0 && !c->is_broken; value_count--) cql_cursor_value(c);
    return rows;
}

bool cql_rows_next(struct cql_rows *rows, struct cql_value *values, size_t room) {
    if (rows->row_left == 0) return false;
    rows->row_left--;
    for (size_t i = 0; i < rows->column_count; i++) {
        struct cql_value value = cql_cursor_value(&rows->cursor);
        if (i < room) values[i] = value;
    }
    for (size_t i = rows->column_count; i < room; i++)
        values[i] = (struct cql_value){.presence = CQL_NULL, .bytes = {"", 0}};
    return true;
}

static struct cql_prepared read_prepared(struct cql_cursor *c) {
    struct cql_prepared prepared = {.id = cql_cursor_string(c)};
    int32_t             flags    = cql_cursor_int(c);
    prepared.marker_count        = cql_cursor_count(c);
    prepared.key_column_count    = cql_cursor_count(c);
    prepared.key_markers         = cql_cursor_take(c, (size_t)prepared.key_column_count * 2);
    if (c->is_broken) return prepared;
    for (uint32_t i = 0; i < prepared.key_column_count; i++)
        if (cql_prepared_key_marker(&prepared, i) >= prepared.marker_count) c->is_broken = true;

    prepared.markers      = read_columns(c, flags, prepared.marker_count);
    struct cql_rows rows  = read_metadata(c);
    prepared.column_count = rows.column_count;
    prepared.columns      = rows.columns;
    return prepared;
}

uint16_t cql_prepared_key_marker(const struct cql_prepared *prepared, uint32_t index) {
    REQUIRE(index < prepared->key_column_count);
    struct cql_cursor c = cql_cursor_of(view_from(prepared->key_markers, (size_t)index * 2));
    return cql_cursor_short(&c);
}

static struct cql_schema_change read_schema_change(struct cql_cursor *c) {
    struct cql_schema_change schema = {.change = cql_cursor_string(c)};
    schema.target                   = cql_cursor_string(c);
    schema.keyspace                 = cql_cursor_string(c);
    bool has_arguments = equals(schema.target, "FUNCTION") || equals(schema.target, "AGGREGATE");
    if (has_arguments || equals(schema.target, "TABLE") || equals(schema.target, "TYPE"))
        schema.name = cql_cursor_string(c);
    if (has_arguments)
        for (uint32_t left = cql_cursor_short(c); left > 0; left--) cql_cursor_string(c);
    return schema;
}

bool cql_response_result(struct view body, struct cql_result *result) {
    struct cql_cursor c    = cql_cursor_of(body);
    int32_t           kind = cql_cursor_int(&c);
    *result                = (struct cql_result){.kind = (enum cql_result_kind)kind};
    switch (kind) {
    case CQL_VOID: break;
    case CQL_ROWS: result->rows = read_rows(&c); break;
    case CQL_SET_KEYSPACE: result->keyspace = cql_cursor_string(&c); break;
    case CQL_PREPARED: result->prepared = read_prepared(&c); break;
    case CQL_SCHEMA_CHANGE: result->schema = read_schema_change(&c); break;
    default: return false;
    }
    return !c.is_broken;
}

/* ---- EVENT ---- */

static enum cql_event_kind read_node_change(struct cql_cursor *c, struct cql_inet *node) {
    static const struct word changes[] = {
        {"NEW_NODE", CQL_EVENT_NEW_NODE},
        {"REMOVED_NODE", CQL_EVENT_REMOVED_NODE},
        {"MOVED_NODE", CQL_EVENT_MOVED_NODE},
        {"UP", CQL_EVENT_UP},
        {"DOWN", CQL_EVENT_DOWN},
    };
    struct view change = cql_cursor_string(c);
    *node              = cql_cursor_inet(c);
    return (enum cql_event_kind)number_of(change, changes, sizeof changes / sizeof changes[0]);
}

bool cql_response_event(struct view body, struct cql_event *event) {
    struct cql_cursor c    = cql_cursor_of(body);
    struct view       type = cql_cursor_string(&c);
    *event                 = (struct cql_event){.kind = CQL_EVENT_OTHER};
    if (equals(type, "TOPOLOGY_CHANGE") || equals(type, "STATUS_CHANGE")) {
        event->kind = read_node_change(&c, &event->node);
    } else if (equals(type, "SCHEMA_CHANGE")) {
        event->kind   = CQL_EVENT_SCHEMA;
        event->schema = read_schema_change(&c);
    }
    return !c.is_broken;
}
