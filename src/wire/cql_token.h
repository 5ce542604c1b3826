/* SPDX-License-Identifier: MIT
 *
 * cql_token: which replicas own a partition? Those of the ring's place that its key's token names.
 *
 * The Murmur3Partitioner: the first half of MurmurHash3 x64 128 (Austin Appleby, public domain) with
 * seed 0, and with a mistake that Cassandra cannot mend any more: bytes after the last whole block of
 * 16 are taken as signed, so that one of 0x80 or more also flips all bits above it. */
#ifndef WEIR_WIRE_CQL_TOKEN_H
#define WEIR_WIRE_CQL_TOKEN_H

#include "wire/cql.h"

enum { CQL_KEY_BYTES_MAX = UINT16_MAX };

/* Never INT64_MIN, which no token may be: it becomes INT64_MAX. */
int64_t cql_token(struct view key);

/* The key of a partition out of its columns' values, in the order of the table's key. Of one column it
 * is the value; of several, for each a [short] length, the value and a zero byte. Writes it to `out`,
 * of `room` bytes. False: it does not fit, or is longer than a server takes. `column_count` is 1 or
 * more. */
bool cql_key_write(const struct view *columns, size_t column_count, char *out, size_t room,
                   size_t *bytes);

#endif
