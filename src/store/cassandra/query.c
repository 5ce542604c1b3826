/* SPDX-License-Identifier: MIT */
#include "store/cassandra/query.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "wire/cql_token.h"

enum { FRAME_BYTES_MAX = 128, VALUE_BYTES_MAX = 4 }; /* around all, and around each value */

static struct view copy(char **at, struct view bytes) {
    struct view copied = {.data = *at, .bytes = bytes.bytes};
    if (bytes.bytes > 0) memcpy(*at, bytes.data, bytes.bytes);
    *at += bytes.bytes;
    return copied;
}

struct query *query_new(const struct cassandra_request *request, bool *is_long) {
    size_t bytes = request->text.bytes;
    *is_long = request->value_count > CASSANDRA_VALUES_MAX || bytes > CASSANDRA_REQUEST_BYTES_MAX;
    for (unsigned i = 0; i < request->value_count && !*is_long; i++) {
        bytes += request->values[i].bytes.bytes;
        *is_long = bytes > CASSANDRA_REQUEST_BYTES_MAX;
    }
    if (*is_long) return NULL;

    size_t        values_bytes = request->value_count * sizeof request->values[0];
    struct query *query        = malloc(sizeof *query + values_bytes + bytes);
    if (query == NULL) return NULL;
    *query = (struct query){.done      = request->done,
                            .context   = request->context,
                            .job       = {.deadline_ns = request->deadline_ns},
                            .kind      = request->statement != NULL ? QUERY_PREPARED : QUERY_TEXT,
                            .statement = request->statement,
                            .error     = -1,
                            .has_token = request->key.bytes > 0,
                            .is_conditional = request->is_conditional,
                            .bytes          = (uint32_t)bytes};
    if (query->has_token) query->token = cql_token(request->key);
    query->has_node = request->node != NULL;
    if (query->has_node) query->node = *request->node;

    char *at = (char *)query->values + values_bytes;
    for (unsigned i = 0; i < request->value_count; i++)
        query->values[i] = (struct cql_value){.presence = request->values[i].presence,
                                              .bytes    = copy(&at, request->values[i].bytes)};
    query->text       = copy(&at, request->text);
    query->parameters = (struct cql_parameters){.consistency        = request->consistency,
                                                .serial_consistency = request->serial_consistency,
                                                .values             = query->values,
                                                .value_count    = (uint16_t)request->value_count,
                                                .has_timestamp  = request->has_timestamp,
                                                .timestamp_us   = request->timestamp_us,
                                                .skips_metadata = request->skips_columns};
    return query;
}

struct query *query_new_register(void) {
    struct query *query = malloc(sizeof *query);
    if (query != NULL) *query = (struct query){.kind = QUERY_REGISTER, .error = -1, .is_own = true};
    return query;
}

void query_free(struct query *query) {
    free(query->held);
    free(query);
}

size_t query_frame_bytes_max(const struct query *query) {
    return FRAME_BYTES_MAX + query->bytes + (size_t)query->parameters.value_count * VALUE_BYTES_MAX;
}

size_t query_write(const struct query *query, char *out, size_t room, int16_t stream,
                   struct view id) {
    switch (query->kind) {
    case QUERY_TEXT: return cql_request_query(out, room, stream, query->text, &query->parameters);
    case QUERY_PREPARED: return cql_request_execute(out, room, stream, id, &query->parameters);
    case QUERY_REGISTER:
        return cql_request_register(out, room, stream,
                                    CQL_EVENTS_TOPOLOGY | CQL_EVENTS_STATUS | CQL_EVENTS_SCHEMA);
    }
    INVARIANT(query->kind <= QUERY_REGISTER);
    return 0;
}
