/* SPDX-License-Identifier: MIT
 *
 * cql_told: everything that a response of Cassandra's protocol says, as a line of text.
 *
 * For tests, which compare it; for the oracle in Python, which says the same of what another client
 * has read; and for the fuzzer, since it walks over all that there is. Bytes are words: blanks,
 * percent signs and what cannot be printed are %XX, nothing is ''. */
#ifndef WEIR_TEST_CQL_TOLD_H
#define WEIR_TEST_CQL_TOLD_H

#include <inttypes.h>
#include <stdio.h>

#include "wire/cql_response.h"
#include "wire/cql_value.h"

static inline void told_word(FILE *out, struct view bytes) {
    if (bytes.bytes == 0) fputs("''", out);
    for (size_t i = 0; i < bytes.bytes; i++) {
        unsigned char c = (unsigned char)bytes.data[i];
        if (c > ' ' && c < 0x7f && c != '%' && c != '\'')
            fputc(c, out);
        else
            fprintf(out, "%%%02X", c);
    }
}

static inline void told_name(FILE *out, const char *name, struct view bytes) {
    if (bytes.bytes == 0) return;
    fprintf(out, " %s=", name);
    told_word(out, bytes);
}

static inline void told_number(FILE *out, const char *name, int64_t number) {
    if (number != 0) fprintf(out, " %s=%" PRId64, name, number);
}

static inline void told_hex(FILE *out, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++) fprintf(out, "%02x", bytes[i]);
}

/* A value of a type that holds no others. */
static inline void told_simple(FILE *out, uint16_t type, struct cql_value value) {
    int32_t         number   = 0;
    int64_t         big      = 0;
    bool            is_true  = false;
    bool            is_right = true;
    struct cql_uuid uuid     = {0};
    struct cql_inet inet     = {0};
    if (value.presence != CQL_PRESENT) {
        fputs("null", out);
        return;
    }
    switch (type) {
    case CQL_TYPE_INT:
        is_right = cql_value_int(value, &number);
        if (is_right) fprintf(out, "%" PRId32, number);
        break;
    case CQL_TYPE_BIGINT:
        is_right = cql_value_bigint(value, &big);
        if (is_right) fprintf(out, "%" PRId64, big);
        break;
    case CQL_TYPE_BOOLEAN:
        is_right = cql_value_boolean(value, &is_true);
        if (is_right) fputs(is_true ? "true" : "false", out);
        break;
    case CQL_TYPE_UUID:
        is_right = cql_value_uuid(value, &uuid);
        if (is_right) told_hex(out, uuid.bytes, sizeof uuid.bytes);
        break;
    case CQL_TYPE_INET:
        is_right = cql_value_inet(value, &inet);
        if (is_right) told_hex(out, inet.address, inet.address_bytes);
        break;
    default: told_word(out, value.bytes); break;
    }
    if (!is_right) fputs("wrong", out);
}

static inline void told_value(FILE *out, struct cql_type type, struct cql_value value) {
    struct cql_elements elements;
    struct cql_value    element;
    bool                is_map = type.id == CQL_TYPE_MAP;
    if (!is_map && type.id != CQL_TYPE_LIST && type.id != CQL_TYPE_SET) {
        told_simple(out, type.id, value);
        return;
    }
    if (!(is_map ? cql_value_map : cql_value_list)(value, &elements)) {
        fputs("wrong", out);
        return;
    }
    fputc('{', out);
    for (uint64_t i = 0; cql_elements_next(&elements, &element); i++) {
        if (i > 0) fputc(is_map && i % 2 == 1 ? ':' : ',', out);
        told_simple(out, is_map && i % 2 == 1 ? type.value_id : type.element_id, element);
    }
    fputc('}', out);
}

enum { TOLD_COLUMNS_MAX = 64 }; /* more are counted only */

/* Names and types of columns; notes the types of the first ones. */
static inline void told_columns(FILE *out, struct cql_columns columns, struct cql_type *types) {
    struct cql_column column;
    for (size_t i = 0; cql_columns_next(&columns, &column); i++) {
        fputc(' ', out);
        told_word(out, column.keyspace);
        fputc('.', out);
        told_word(out, column.table);
        fputc('.', out);
        told_word(out, column.name);
        fprintf(out, ":%x", column.type.id);
        if (column.type.element_id > 0) fprintf(out, "<%x", column.type.element_id);
        if (column.type.value_id > 0) fprintf(out, ",%x", column.type.value_id);
        if (column.type.element_id > 0) fputc('>', out);
        if (types != NULL && i < TOLD_COLUMNS_MAX) types[i] = column.type;
    }
}

static inline void told_rows(FILE *out, struct cql_rows rows) {
    struct cql_type  types[TOLD_COLUMNS_MAX] = {0};
    struct cql_value values[TOLD_COLUMNS_MAX];
    fprintf(out, "rows columns=%" PRIu32, rows.column_count);
    told_name(out, "next", rows.paging_state);
    told_columns(out, rows.columns, types);
    while (cql_rows_next(&rows, values, TOLD_COLUMNS_MAX)) {
        fputs(" |", out);
        for (size_t i = 0; i < rows.column_count && i < TOLD_COLUMNS_MAX; i++) {
            fputc(' ', out);
            told_value(out, types[i], values[i]);
        }
    }
}

static inline void told_schema(FILE *out, const struct cql_schema_change *schema) {
    fputs("schema ", out);
    told_word(out, schema->change);
    fputc(' ', out);
    told_word(out, schema->target);
    fputc(' ', out);
    told_word(out, schema->keyspace);
    told_name(out, "name", schema->name);
}

static inline bool told_result(FILE *out, struct view body) {
    struct cql_result result;
    if (!cql_response_result(body, &result)) return false;
    switch (result.kind) {
    case CQL_VOID: fputs("void", out); break;
    case CQL_ROWS: told_rows(out, result.rows); break;
    case CQL_SET_KEYSPACE:
        fputs("keyspace ", out);
        told_word(out, result.keyspace);
        break;
    case CQL_PREPARED:
        fputs("prepared ", out);
        told_word(out, result.prepared.id);
        fprintf(out, " markers=%" PRIu32, result.prepared.marker_count);
        told_columns(out, result.prepared.markers, NULL);
        fputs(" key=", out);
        for (uint32_t i = 0; i < result.prepared.key_column_count; i++)
            fprintf(out, "%u,", cql_prepared_key_marker(&result.prepared, i));
        fprintf(out, " columns=%" PRIu32, result.prepared.column_count);
        told_columns(out, result.prepared.columns, NULL);
        break;
    case CQL_SCHEMA_CHANGE: told_schema(out, &result.schema); break;
    }
    return true;
}

static inline bool told_error(FILE *out, struct view body) {
    struct cql_error error;
    if (!cql_response_error(body, &error)) return false;
    fprintf(out, "error %s %" PRIx32 " ", cql_error_word(error.code), (uint32_t)error.code);
    told_word(out, error.message);
    told_number(out, "consistency", error.consistency);
    told_number(out, "received", error.received);
    told_number(out, "required", error.required);
    told_number(out, "failures", error.failures);
    told_number(out, "data", error.has_data);
    told_number(out, "write", error.write_type);
    told_name(out, "keyspace", error.keyspace);
    told_name(out, "table", error.table);
    told_name(out, "statement", error.statement_id);
    return true;
}

static inline bool told_event(FILE *out, struct view body) {
    static const char *const kinds[] = {"other", "new", "removed", "moved", "up", "down", "schema"};
    struct cql_event         event;
    if (!cql_response_event(body, &event)) return false;
    fprintf(out, "event %s ", kinds[event.kind]);
    if (event.kind == CQL_EVENT_SCHEMA) {
        told_schema(out, &event.schema);
    } else {
        told_hex(out, event.node.address, event.node.address_bytes);
        fprintf(out, " %u", event.node.port);
    }
    return true;
}

static inline bool told_supported(FILE *out, struct view body) {
    struct cql_supported supported;
    struct view          option, value;
    if (!cql_response_supported(body, &supported)) return false;
    fputs("supported", out);
    while (cql_supported_next(&supported, &option, &value)) {
        fputc(' ', out);
        told_word(out, option);
        fputc('=', out);
        told_word(out, value);
    }
    return true;
}

/* False, and nothing told: the body is broken. */
static inline bool told_response(FILE *out, uint8_t opcode, struct view body) {
    struct view      text;
    struct cql_value token;
    switch (opcode) {
    case CQL_ERROR: return told_error(out, body);
    case CQL_READY: fputs("ready", out); return true;
    case CQL_AUTHENTICATE:
        if (!cql_response_authenticate(body, &text)) return false;
        fputs("authenticate ", out);
        told_word(out, text);
        return true;
    case CQL_AUTH_CHALLENGE:
    case CQL_AUTH_SUCCESS:
        if (!cql_response_auth_token(body, &token)) return false;
        fputs("token ", out);
        told_simple(out, CQL_TYPE_BLOB, token);
        return true;
    case CQL_SUPPORTED: return told_supported(out, body);
    case CQL_RESULT: return told_result(out, body);
    case CQL_EVENT: return told_event(out, body);
    default: fprintf(out, "opcode %x", opcode); return true;
    }
}

#endif
