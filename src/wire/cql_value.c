/* SPDX-License-Identifier: MIT */
#include "wire/cql_value.h"

/* The bytes of a value that must have so many. */
static bool take(struct cql_value value, size_t bytes, struct cql_cursor *cursor) {
    if (value.presence != CQL_PRESENT || value.bytes.bytes != bytes) return false;
    *cursor = cql_cursor_of(value.bytes);
    return true;
}

bool cql_value_int(struct cql_value value, int32_t *number) {
    struct cql_cursor cursor;
    if (!take(value, CQL_INT_BYTES, &cursor)) return false;
    *number = cql_cursor_int(&cursor);
    return true;
}

bool cql_value_bigint(struct cql_value value, int64_t *number) {
    struct cql_cursor cursor;
    if (!take(value, CQL_BIGINT_BYTES, &cursor)) return false;
    *number = (int64_t)cql_cursor_number(&cursor, CQL_BIGINT_BYTES);
    return true;
}

bool cql_value_boolean(struct cql_value value, bool *is_true) {
    struct cql_cursor cursor;
    if (!take(value, 1, &cursor)) return false;
    *is_true = cql_cursor_byte(&cursor) != 0;
    return true;
}

bool cql_value_uuid(struct cql_value value, struct cql_uuid *uuid) {
    struct cql_cursor cursor;
    if (!take(value, CQL_UUID_BYTES, &cursor)) return false;
    memcpy(uuid->bytes, cursor.at, CQL_UUID_BYTES);
    return true;
}

bool cql_value_inet(struct cql_value value, struct cql_inet *inet) {
    struct cql_cursor cursor;
    if (!take(value, 4, &cursor) && !take(value, 16, &cursor)) return false;
    *inet = (struct cql_inet){.address_bytes = (uint8_t)value.bytes.bytes};
    memcpy(inet->address, cursor.at, value.bytes.bytes);
    return true;
}

/* ---- lists, sets, maps: [int] count, then so many [bytes], or so many pairs of them ---- */

static bool read_elements(struct cql_value value, unsigned per_count,
                          struct cql_elements *elements) {
    *elements = (struct cql_elements){.cursor = cql_cursor_of((struct view){0})};
    if (value.presence != CQL_PRESENT) return true;

    struct cql_cursor cursor = cql_cursor_of(value.bytes);
    uint64_t          count  = (uint64_t)cql_cursor_count(&cursor) * per_count;
    struct cql_cursor check  = cursor;
    for (uint64_t left = count; left > 0 && !check.is_broken; left--) cql_cursor_value(&check);
    if (check.is_broken) return false;
    *elements = (struct cql_elements){.left = count, .cursor = cursor};
    return true;
}

bool cql_value_list(struct cql_value value, struct cql_elements *elements) {
    return read_elements(value, 1, elements);
}

bool cql_value_map(struct cql_value value, struct cql_elements *elements) {
    return read_elements(value, 2, elements);
}

bool cql_elements_next(struct cql_elements *elements, struct cql_value *element) {
    if (elements->left == 0) return false;
    elements->left--;
    *element = cql_cursor_value(&elements->cursor);
    return true;
}

/* ---- values to bind ---- */

static struct cql_value value_of(uint64_t number, char *out, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) out[i] = (char)(number >> (8 * (bytes - 1 - i)));
    return (struct cql_value){.presence = CQL_PRESENT, .bytes = {.data = out, .bytes = bytes}};
}

struct cql_value cql_value_of_int(int32_t number, char out[CQL_INT_BYTES]) {
    return value_of((uint32_t)number, out, CQL_INT_BYTES);
}

struct cql_value cql_value_of_bigint(int64_t number, char out[CQL_BIGINT_BYTES]) {
    return value_of((uint64_t)number, out, CQL_BIGINT_BYTES);
}
