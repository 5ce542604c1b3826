/* SPDX-License-Identifier: MIT */
#include "store/cassandra/schema.h"

#include <stdlib.h>
#include <string.h>

#include "store/cassandra/hub.h"

#define ASK_NS        UINT64_C(50000000)   /* from one question to the next */
#define ANSWER_NS_MAX UINT64_C(5000000000) /* then it is asked again */

enum schema_step { SCHEMA_LOCAL, SCHEMA_PEERS };

enum { COLUMNS = 2 };

void schema_init(struct schema *schema, struct cassandra *client) {
    *schema = (struct schema){.client = client};
}

bool schema_hold(struct schema *schema, struct query *query, uint32_t peer_number,
                 struct view body) {
    query->held = malloc(body.bytes);
    if (query->held == NULL) return false;
    memcpy(query->held, body.data, body.bytes);
    query->held_bytes  = body.bytes;
    query->held_ns     = schema->client->engine.now_ns;
    query->held_number = peer_number;
    query->place       = QUERY_HELD;
    query_list_append(&schema->held, query);
    return true;
}

static struct channel *schema_channel(const struct schema *schema) {
    const struct cassandra *c = schema->client;
    for (unsigned i = 0; i < c->peer_count; i++) {
        struct channel *channel = &c->peers[i]->channels[0];
        if (channel->peer_number == schema->peer_number && channel->state == CHANNEL_UP)
            return channel;
    }
    return NULL;
}

static void schema_ask(struct schema *schema, enum schema_step step) {
    static const char *const texts[] = {
        "SELECT schema_version FROM system.local WHERE key = 'local'",
        "SELECT schema_version, host_id FROM system.peers"};
    struct channel *channel = schema_channel(schema);
    bool            is_long = false;
    struct query   *query   = channel == NULL
                                  ? NULL
                                  : query_new(&(struct cassandra_request){.text = view_of(texts[step]),
                                                                          .consistency = CQL_ONE},
                                              &is_long);
    schema->ask_ns = schema->client->engine.now_ns + (query != NULL ? ANSWER_NS_MAX : ASK_NS);
    if (query == NULL) return;
    query->is_own               = true;
    query->own_step             = (uint8_t)step;
    schema->client->is_restless = true;
    channel_send(channel, query);
}

uint64_t schema_turn(struct schema *schema, uint64_t now_ns) {
    if (schema->held.first == NULL) return UINT64_MAX;
    if (now_ns >= schema->ask_ns) {
        schema->peer_number = schema->held.first->held_number;
        schema->asked_ns    = now_ns;
        schema_ask(schema, SCHEMA_LOCAL);
    }
    return schema->ask_ns;
}

/* Whether the node of this id would have to agree: who is down learns the schema later. */
static bool schema_counts(const struct schema *schema, const struct cql_uuid *id) {
    const struct cassandra *c = schema->client;
    for (unsigned i = 0; i < c->peer_count; i++) {
        const struct peer *peer = c->peers[i];
        if (memcmp(&peer->facts.id, id, sizeof *id) == 0)
            return peer_is_up(peer) || !peer->channels[0].is_wanted;
    }
    return false;
}

static bool schema_is_agreed(const struct schema *schema, struct cql_rows rows) {
    struct cql_value values[COLUMNS];
    struct cql_uuid  version, id;
    while (cql_rows_next(&rows, values, COLUMNS))
        if (cql_value_uuid(values[0], &version) && cql_value_uuid(values[1], &id) &&
            memcmp(&version, &schema->version, sizeof version) != 0 && schema_counts(schema, &id))
            return false;
    return true;
}

/* Who began to wait at this node before it was asked waits no longer. */
static void schema_let_go(struct schema *schema) {
    for (struct query *query = schema->held.first, *next; query != NULL; query = next) {
        next = query->next;
        if (query->held_ns <= schema->asked_ns && query->held_number == schema->peer_number)
            hub_end_held(schema->client, query, true);
    }
}

void schema_answered(struct schema *schema, struct query *query, const struct cql_frame *frame) {
    enum schema_step  step = (enum schema_step)query->own_step;
    struct cql_result result;
    struct cql_value  value;
    query_free(query);
    schema->ask_ns = schema->client->engine.now_ns + ASK_NS;
    bool is_read   = frame != NULL && frame->opcode == CQL_RESULT &&
                   cql_response_result(frame->body, &result) && result.kind == CQL_ROWS;
    if (!is_read) return;
    if (step == SCHEMA_PEERS) {
        if (schema_is_agreed(schema, result.rows)) schema_let_go(schema);
    } else if (cql_rows_next(&result.rows, &value, 1) && cql_value_uuid(value, &schema->version)) {
        schema_ask(schema, SCHEMA_PEERS);
    }
}
