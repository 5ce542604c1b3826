/* SPDX-License-Identifier: MIT */
#include "store/cassandra/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/text.h"
#include "store/cassandra/failure.h"
#include "store/cassandra/hub.h"
#include "store/net/backoff.h"
#include "wire/cql_value.h"

#define DOUBT_NS                                                                                   \
    UINT64_C(200000000) /* so long after the first event, for those that come with it */
#define REFRESH_NS    UINT64_C(60000000000) /* without any doubt; half of it or as much again */
#define ANSWER_NS_MAX UINT64_C(10000000000) /* a node that takes longer is not the one to ask */

/* The URL's is taken from a node's where it names none. */
_Static_assert((int)CONTACT_DATACENTER_BYTES_MAX == (int)PEER_NAME_BYTES_MAX, "one size");

enum { COLUMNS_MAX = 8, HOPELESS_FAILURES = 3, MEMBERS_FIRST = 4 };

static void control_answered(void *owner, struct channel *channel, struct query *query,
                             const struct cql_frame *frame, bool is_executed);
static void control_dropped(void *owner, struct channel *channel, struct query *query,
                            bool was_sent);
static void control_changed(void *owner, struct channel *channel);
static void control_heard(void *owner, struct channel *channel, const struct cql_event *event);
static void control_ask(struct control *control, enum control_step step);

void control_init(struct control *control, struct cassandra *client) {
    *control = (struct control){
        .client = client, .setting = client->setting, .ask_ns = UINT64_MAX, .error = -1};
    control->setting.keyspace = ""; /* it need not be there for asking */
    control->setting.owner    = control;
    control->setting.answered = control_answered;
    control->setting.dropped  = control_dropped;
    control->setting.changed  = control_changed;
    control->setting.heard    = control_heard;
    control->contact_index    = (unsigned)random_below(&client->random, client->contact.host_count);
    channel_init(&control->channel, &control->setting,
                 &client->contact.hosts[control->contact_index]);
    channel_want(&control->channel);
}

void control_clear(struct control *control) {
    channel_clear(&control->channel);
    token_ring_clear(&control->ring);
    free(control->members);
}

bool control_is_hopeless(const struct control *control) {
    unsigned hosts = control->client->contact.host_count;
    return !control->is_known &&
           control->failures >= (hosts > HOPELESS_FAILURES ? hosts : HOPELESS_FAILURES);
}

/* Something has changed, or will have: what is known is asked for anew. */
static void control_doubt(struct control *control) {
    uint64_t soon_ns = control->client->engine.now_ns + DOUBT_NS;
    if (control->is_known && soon_ns < control->ask_ns) control->ask_ns = soon_ns;
}

static void control_fail(struct control *control, int32_t error, const char *problem) {
    control->step = CONTROL_RESTING;
    channel_lose(&control->channel, error, problem);
}

/* ---- whom to ask ---- */

/* One of those that are connected, by chance; NULL: none is. */
static const struct peer *control_find_up(const struct control *control) {
    struct cassandra *c = control->client;
    if (c->peer_count == 0) return NULL;
    unsigned start = (unsigned)random_below(&c->random, c->peer_count);
    for (int wish = 0; wish < 2; wish++) {
        for (unsigned i = 0; i < c->peer_count; i++) {
            const struct peer *peer = c->peers[(start + i) % c->peer_count];
            if ((peer->is_local || wish > 0) && peer_is_up(peer)) return peer;
        }
    }
    return NULL;
}

static void control_choose(struct control *control) {
    const struct contact *contact = &control->client->contact;
    const struct peer    *peer    = control_find_up(control);
    /* Who has just failed may look connected yet, so every other attempt is at a host of the URL. */
    if (peer != NULL && control->failures % 2 == 1) {
        channel_set_host(&control->channel, &peer->facts.host);
        return;
    }
    control->contact_index = (control->contact_index + 1) % contact->host_count;
    channel_set_host(&control->channel, &contact->hosts[control->contact_index]);
}

static void control_changed(void *owner, struct channel *channel) {
    struct control *control = owner;
    if (channel->state == CHANNEL_UP) {
        control_ask(control, CONTROL_REGISTER);
        return;
    }
    control->failures++;
    control->step  = CONTROL_RESTING;
    control->error = channel->error;
    (void)snprintf(control->problem, sizeof control->problem, "%s", channel->problem);
    control_choose(control);
    if (control_is_hopeless(control)) hub_unpark(control->client);
}

static void control_heard(void *owner, struct channel *channel, const struct cql_event *event) {
    struct control   *control = owner;
    struct cassandra *c       = control->client;
    (void)channel;
    hub_count(c, HUB_EVENTS);
    if (event->kind == CQL_EVENT_OTHER) return;
    bool is_of_ours = event->kind != CQL_EVENT_SCHEMA ||
                      view_equals(event->schema.keyspace, view_of(c->contact.keyspace));
    if (!is_of_ours) return;
    /* Whom we wait for may be there again, and the keyspace that we miss. */
    if (event->kind != CQL_EVENT_DOWN)
        for (unsigned i = 0; i < c->peer_count; i++) peer_hurry(c->peers[i], c->engine.now_ns);
    bool is_about_tables =
        event->kind == CQL_EVENT_SCHEMA && !view_equals(event->schema.target, view_of("KEYSPACE"));
    if (!is_about_tables) control_doubt(control);
}

/* ---- asking ---- */

static const char *control_text(enum control_step step) {
    switch (step) {
    case CONTROL_LOCAL:
        return "SELECT host_id, rpc_address, data_center, rack, tokens FROM system.local "
               "WHERE key = 'local'";
    case CONTROL_PEERS_V2:
        return "SELECT host_id, native_address, data_center, rack, tokens, native_port "
               "FROM system.peers_v2";
    case CONTROL_PEERS:
        return "SELECT host_id, rpc_address, data_center, rack, tokens FROM system.peers";
    case CONTROL_KEYSPACE:
        return "SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = ?";
    case CONTROL_RESTING:
    case CONTROL_REGISTER: break;
    }
    INVARIANT(step != CONTROL_RESTING);
    INVARIANT(step != CONTROL_REGISTER);
    return "";
}

static struct query *control_question(const struct control *control, enum control_step step) {
    if (step == CONTROL_REGISTER) return query_new_register();
    bool             is_long  = false;
    struct cql_value keyspace = {.presence = CQL_PRESENT,
                                 .bytes    = view_of(control->client->contact.keyspace)};
    struct query    *query =
        query_new(&(struct cassandra_request){.text        = view_of(control_text(step)),
                                              .values      = &keyspace,
                                              .value_count = step == CONTROL_KEYSPACE,
                                              .consistency = CQL_ONE},
                  &is_long);
    if (query != NULL) query->is_own = true;
    return query;
}

static void control_ask(struct control *control, enum control_step step) {
    struct query *query = control_question(control, step);
    if (query == NULL) {
        control_fail(control, -1, "out of memory");
        return;
    }
    query->own_step   = (uint8_t)step;
    control->step     = step;
    control->asked_ns = control->client->engine.now_ns;
    channel_send(&control->channel, query);
}

uint64_t control_turn(struct control *control, uint64_t now_ns) {
    bool is_free = control->channel.state == CHANNEL_UP && control->step == CONTROL_RESTING;
    if (is_free && now_ns >= control->ask_ns) {
        control->ask_ns = UINT64_MAX;
        control_ask(control, CONTROL_LOCAL);
    } else if (control->step != CONTROL_RESTING && now_ns >= control->asked_ns + ANSWER_NS_MAX) {
        control_fail(control, -1, "it does not tell which nodes there are");
    }
    uint64_t next_ns = channel_turn(&control->channel, now_ns);
    if (control->channel.state != CHANNEL_UP) return next_ns;
    if (control->step != CONTROL_RESTING)
        return due_earlier(next_ns, control->asked_ns + ANSWER_NS_MAX);
    return due_earlier(next_ns, control->ask_ns);
}

/* ---- what answers tell ---- */

static bool text_keep(struct cql_value value, char *out, size_t room) {
    if (value.presence != CQL_PRESENT || value.bytes.bytes >= room) return false;
    memcpy(out, value.bytes.data, value.bytes.bytes);
    out[value.bytes.bytes] = '\0';
    return memchr(out, '\0', value.bytes.bytes) == NULL;
}

/* An address as its numbers; false: there is none, or it means every address. */
static bool address_keep(struct cql_value value, struct url_host *host) {
    static const uint8_t every[CQL_INET_BYTES_MAX];
    struct cql_inet      inet;
    if (!cql_value_inet(value, &inet)) return false;
    if (memcmp(inet.address, every, inet.address_bytes) == 0) return false;
    const uint8_t *a    = inet.address;
    size_t         room = sizeof host->name;
    if (inet.address_bytes == 4) {
        (void)snprintf(host->name, room, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
        return true;
    }
    for (size_t i = 0, used = 0; i < CQL_INET_BYTES_MAX; i += 2)
        used += (size_t)snprintf(host->name + used, room - used, "%s%x", i > 0 ? ":" : "",
                                 (unsigned)(a[i] << 8 | a[i + 1]));
    return true;
}

/* The number of a data centre by its name; TOKEN_RING_DATACENTERS_MAX: there are too many. */
static unsigned control_datacenter(struct control *control, const char *name) {
    unsigned i = 0;
    while (i < control->datacenter_count && strcmp(control->datacenters[i], name) != 0) i++;
    if (i == control->datacenter_count && i < TOKEN_RING_DATACENTERS_MAX) {
        memcpy(control->datacenters[i], name, strlen(name) + 1);
        control->datacenter_count++;
    }
    return i;
}

static bool control_add_tokens(struct control *control, struct cql_value tokens, uint16_t node) {
    struct cql_elements elements;
    struct cql_value    element;
    int64_t             token = 0;
    if (!cql_value_list(tokens, &elements)) return false;
    while (cql_elements_next(&elements, &element))
        if (!text_integer_parse(element.bytes, &token) ||
            !token_ring_add_place(&control->ring, token, node))
            return false;
    return true;
}

static bool control_member_room(struct control *control) {
    if (control->ring.node_count < control->member_room) return true;
    uint32_t           room   = control->member_room > 0 ? 2 * control->member_room : MEMBERS_FIRST;
    struct peer_facts *larger = realloc(control->members, room * sizeof larger[0]);
    if (larger == NULL) return false;
    control->members     = larger;
    control->member_room = room;
    return true;
}

/* The racks of different data centres are different ones. */
static uint16_t control_rack(const struct control *control, const struct peer_facts *facts) {
    uint16_t i = 0;
    while (i < control->ring.node_count &&
           (strcmp(control->members[i].datacenter, facts->datacenter) != 0 ||
            strcmp(control->members[i].rack, facts->rack) != 0))
        i++;
    return i;
}

/* host_id, address, data_center, rack, tokens[, port]. A row that lacks something is of a node that comes or
 * goes. False: no memory, or there are too many. */
static bool control_add_member(struct control *control, const struct cql_value *values,
                               bool is_local) {
    const struct url_host *asked       = &control->channel.dial.host;
    struct peer_facts      facts       = {.told.port = asked->port};
    int32_t                port        = 0;
    bool                   has_address = address_keep(values[1], &facts.told);
    if (!is_local && cql_value_int(values[5], &port) && port > 0 && port <= UINT16_MAX)
        facts.told.port = (uint16_t)port;
    if (!has_address && is_local) facts.told = *asked;
    facts.host    = is_local ? *asked : facts.told;
    bool is_whole = (has_address || is_local) && cql_value_uuid(values[0], &facts.id) &&
                    text_keep(values[2], facts.datacenter, sizeof facts.datacenter) &&
                    text_keep(values[3], facts.rack, sizeof facts.rack);
    if (!is_whole) return true;

    unsigned datacenter = control_datacenter(control, facts.datacenter);
    uint16_t node       = control->ring.node_count;
    if (datacenter == TOKEN_RING_DATACENTERS_MAX || !control_member_room(control)) return false;
    control->members[node] = facts;
    return token_ring_add_node(&control->ring,
                               (struct token_ring_node){.datacenter = (uint16_t)datacenter,
                                                        .rack = control_rack(control, &facts)}) &&
           control_add_tokens(control, values[4], node);
}

static bool control_add_members(struct control *control, struct cql_rows rows, bool is_local) {
    struct cql_value values[COLUMNS_MAX];
    while (cql_rows_next(&rows, values, COLUMNS_MAX))
        if (!control_add_member(control, values, is_local)) return false;
    return true;
}

static uint16_t factor_of(struct view text) {
    uint64_t    number = 0;
    struct view before;
    /* "3/1" has three replicas, of which one is transient. */
    if (url_part_split(&text, '/', false, &before)) text = before;
    return text_number_parse(text, &number) && number <= UINT16_MAX ? (uint16_t)number : 0;
}

static bool ends_with(struct view text, const char *end) {
    size_t bytes = strlen(end);
    return text.bytes >= bytes && memcmp(text.data + text.bytes - bytes, end, bytes) == 0;
}

/* {'class': 'org.apache.cassandra.locator.SimpleStrategy', 'replication_factor': '3'}, or a factor for each
 * data centre. */
static void control_read_strategy(struct control *control, struct cql_value replication) {
    struct cql_elements elements;
    struct cql_value    name, value;
    memset(&control->strategy, 0, sizeof control->strategy);
    if (!cql_value_map(replication, &elements)) return;
    while (cql_elements_next(&elements, &name) && cql_elements_next(&elements, &value)) {
        if (view_equals(name.bytes, view_of("class"))) {
            if (ends_with(value.bytes, "SimpleStrategy"))
                control->strategy.kind = TOKEN_RING_SIMPLE;
            if (ends_with(value.bytes, "NetworkTopologyStrategy"))
                control->strategy.kind = TOKEN_RING_NETWORK;
        } else if (view_equals(name.bytes, view_of("replication_factor"))) {
            control->strategy.factor = factor_of(value.bytes);
        } else {
            for (unsigned i = 0; i < control->datacenter_count; i++)
                if (view_equals(name.bytes, view_of(control->datacenters[i])))
                    control->strategy.factors[i] = factor_of(value.bytes);
        }
    }
}

/* The data centre of the URL must be one that is there: a slip of the pen would send all far away. */
static bool control_has_datacenter(struct control *control) {
    struct contact *contact = &control->client->contact;
    if (contact->datacenter[0] == '\0')
        memcpy(contact->datacenter, control->members[0].datacenter, PEER_NAME_BYTES_MAX);
    for (unsigned i = 0; i < control->datacenter_count; i++)
        if (strcmp(control->datacenters[i], contact->datacenter) == 0) return true;
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    (void)snprintf(
        problem, sizeof problem,
        "the cluster has no data centre \"%s\", as the URL says; one that it has is \"%s\"",
        contact->datacenter, control->members[0].datacenter);
    control_fail(control, CQL_ERROR_CONFIG, problem);
    return false;
}

/* All is told. */
static void control_apply(struct control *control) {
    struct cassandra *c = control->client;
    token_ring_end(&control->ring);
    if (control->ring.node_count == 0) {
        control_fail(control, -1, "it tells of no node that is part of the cluster");
        return;
    }
    if (!control_has_datacenter(control)) return;
    if (!hub_set_nodes(c, control->members, &control->ring, &control->strategy)) {
        control_fail(control, -1, "out of memory");
        return;
    }
    control->step       = CONTROL_RESTING;
    control->is_known   = true;
    control->failures   = 0;
    control->problem[0] = '\0';
    control->error      = -1;
    uint64_t next_ns    = c->engine.now_ns + REFRESH_NS / 2 + random_below(&c->random, REFRESH_NS);
    control->ask_ns     = due_earlier(control->ask_ns, next_ns);
    hub_count(c, HUB_REFRESHES);
    hub_unpark(c);
}

static void control_begin(struct control *control) {
    token_ring_begin(&control->ring);
    control->datacenter_count = 0;
    memset(&control->strategy, 0, sizeof control->strategy);
}

static void control_take_rows(struct control *control, enum control_step step,
                              struct cql_rows rows) {
    struct cql_value values[COLUMNS_MAX];
    bool             has_keyspace = control->client->contact.keyspace[0] != '\0';
    bool             is_added     = true;
    switch (step) {
    case CONTROL_LOCAL:
        control_begin(control);
        is_added = control_add_members(control, rows, true);
        if (is_added) control_ask(control, control->has_no_v2 ? CONTROL_PEERS : CONTROL_PEERS_V2);
        break;
    case CONTROL_PEERS_V2:
    case CONTROL_PEERS:
        is_added = control_add_members(control, rows, false);
        if (is_added && has_keyspace) control_ask(control, CONTROL_KEYSPACE);
        if (is_added && !has_keyspace) control_apply(control);
        break;
    case CONTROL_KEYSPACE:
        if (cql_rows_next(&rows, values, COLUMNS_MAX)) control_read_strategy(control, values[0]);
        control_apply(control);
        break;
    case CONTROL_RESTING:
    case CONTROL_REGISTER: break;
    }
    if (!is_added)
        control_fail(control, -1,
                     "it tells of nodes that cannot be kept: of too many, or of tokens "
                     "that are none of the Murmur3Partitioner");
}

static void control_take_error(struct control *control, enum control_step step, struct view body) {
    struct cql_error error;
    char             problem[CASSANDRA_PROBLEM_BYTES_MAX];
    if (!cql_response_error(body, &error)) {
        control_fail(control, -1, "the server sent an error that cannot be read");
        return;
    }
    if (step == CONTROL_PEERS_V2 && error.code == CQL_ERROR_INVALID) {
        control->has_no_v2 = true;
        control_ask(control, CONTROL_PEERS);
        return;
    }
    failure_write(error.code, error.message, problem, sizeof problem);
    control_fail(control, error.code, problem);
}

static void control_answered(void *owner, struct channel *channel, struct query *query,
                             const struct cql_frame *frame, bool is_executed) {
    struct control   *control = owner;
    enum control_step step    = (enum control_step)query->own_step;
    struct cql_result result;
    (void)channel;
    (void)is_executed;
    query_free(query);
    if (frame->opcode == CQL_ERROR) {
        control_take_error(control, step, frame->body);
    } else if (step == CONTROL_REGISTER && frame->opcode == CQL_READY) {
        control_ask(control, CONTROL_LOCAL);
    } else if (frame->opcode == CQL_RESULT && cql_response_result(frame->body, &result) &&
               result.kind == CQL_ROWS) {
        control_take_rows(control, step, result.rows);
    } else {
        control_fail(control, -1, "the server answers what is no answer to the question");
    }
}

static void control_dropped(void *owner, struct channel *channel, struct query *query,
                            bool was_sent) {
    (void)owner;
    (void)channel;
    (void)was_sent;
    query_free(query);
}
