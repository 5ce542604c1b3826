/* SPDX-License-Identifier: MIT
 *
 * cql_value: values of columns in Cassandra's protocol (section 6), from bytes and to bytes.
 *
 * blob, ascii and text are their bytes and need no function. Readers return false, and leave the
 * result alone, if the value is NULL or is no value of the type; the type itself is not in the bytes,
 * so who asks must have looked at the column's, or have chosen the statement. */
#ifndef WEIR_WIRE_CQL_VALUE_H
#define WEIR_WIRE_CQL_VALUE_H

#include "wire/cql.h"
#include "wire/cql_cursor.h"

enum { CQL_INT_BYTES = 4, CQL_BIGINT_BYTES = 8, CQL_UUID_BYTES = 16 };

struct cql_uuid {
    uint8_t bytes[CQL_UUID_BYTES];
};

bool cql_value_int(struct cql_value value, int32_t *number);
bool cql_value_bigint(struct cql_value value, int64_t *number); /* counters, too */
bool cql_value_boolean(struct cql_value value, bool *is_true);  /* all but 0 is true */
bool cql_value_uuid(struct cql_value value, struct cql_uuid *uuid);
bool cql_value_inet(struct cql_value value, struct cql_inet *inet);

/* Elements of a set or list; of a map, the first key, its value, the second key, and so on. NULL has
 * none, since a server keeps no empty ones. All are checked before the first is given; of what is no
 * list there are none. */
struct cql_elements {
    uint64_t          left;
    struct cql_cursor cursor;
};

bool cql_value_list(struct cql_value value, struct cql_elements *elements); /* a set, too */
bool cql_value_map(struct cql_value value, struct cql_elements *elements);

/* False: there are no more. */
bool cql_elements_next(struct cql_elements *elements, struct cql_value *element);

/* Values to bind, whose bytes are written to `out`, where they must stay until the request is written.
 * */
struct cql_value cql_value_of_int(int32_t number, char out[CQL_INT_BYTES]);
struct cql_value cql_value_of_bigint(int64_t number, char out[CQL_BIGINT_BYTES]);

#endif
