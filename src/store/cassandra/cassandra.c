/* SPDX-License-Identifier: MIT */
#include "store/cassandra/cassandra.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/entropy.h"
#include "store/cassandra/failure.h"
#include "store/cassandra/hub.h"
#include "store/net/tls.h"

#define NS_PER_MS       UINT64_C(1000000)
#define DEADLINE_NS     (500 * NS_PER_MS)
#define DEADLINE_NS_MAX (600000 * NS_PER_MS) /* from now; a later one is this one */
#define CONNECT_NS      (2000 * NS_PER_MS)
#define CONNECT_NS_MIN  (10 * NS_PER_MS)
#define RETRY_NS_MIN    (1 * NS_PER_MS) /* until what was refused for now is tried again */

enum {
    REQUESTS_LIMIT  = 1 << 20,
    RETRY_DOUBLINGS = 6, /* and then it is tried again every 64 ms at most */
};

static void     cassandra_arrived(void *owner, struct job *job);
static void     cassandra_expired(void *owner, struct job *job);
static uint64_t cassandra_work(void *owner);
static void     cassandra_react(void *owner, const struct loop_event *event);
static void     cassandra_route(struct cassandra *c, struct query *query);
static void     cassandra_answered(void *owner, struct channel *channel, struct query *query,
                                   const struct cql_frame *frame, bool is_executed);
static void     cassandra_dropped(void *owner, struct channel *channel, struct query *query,
                                  bool was_sent);

/* ---- opening and closing ---- */

static bool cassandra_set_options(struct cassandra *c, const struct cassandra_options *options,
                                  char *problem) {
    c->connections = options->connections > 0 ? options->connections : 1;
    if (c->connections > CASSANDRA_CONNECTIONS_MAX || options->requests_max > REQUESTS_LIMIT) {
        (void)snprintf(
            problem, CASSANDRA_PROBLEM_BYTES_MAX,
            "at most %d connections to a node, and %d requests on their way, are possible",
            CASSANDRA_CONNECTIONS_MAX, REQUESTS_LIMIT);
        return false;
    }
    uint64_t connect_ns = options->connect_ns > 0 ? options->connect_ns : CONNECT_NS;
    if (connect_ns < CONNECT_NS_MIN) connect_ns = CONNECT_NS_MIN;
    c->setting = (struct channel_setting){.loop       = &c->engine.loop,
                                          .random     = &c->random,
                                          .tls        = c->tls,
                                          .user       = c->contact.user,
                                          .password   = c->contact.password,
                                          .keyspace   = c->contact.keyspace,
                                          .connect_ns = connect_ns,
                                          .counts     = c->counts,
                                          .owner      = c,
                                          .answered   = cassandra_answered,
                                          .dropped    = cassandra_dropped};
    return true;
}

static bool cassandra_init_engine(struct cassandra *c, const struct cassandra_options *options) {
    unsigned requests_max =
        options->requests_max > 0 ? options->requests_max : CASSANDRA_REQUESTS_DEFAULT;
    uint64_t deadline_ns = options->deadline_ns > 0 ? options->deadline_ns : DEADLINE_NS;
    const struct engine_setting setting = {.jobs_max        = requests_max,
                                           .deadline_ns     = deadline_ns,
                                           .deadline_ns_max = DEADLINE_NS_MAX,
                                           .turn            = options->turn,
                                           .turn_context    = options->turn_context,
                                           .owner           = c,
                                           .arrived         = cassandra_arrived,
                                           .expired         = cassandra_expired,
                                           .work            = cassandra_work,
                                           .react           = cassandra_react};
    return engine_init(&c->engine, &setting);
}

static void hub_forget(struct cassandra *c, struct peer *peer) {
    peer_clear(peer);
    peer->next_gone = c->gone;
    c->gone         = peer;
}

static void hub_free_gone(struct cassandra *c) {
    while (c->gone != NULL) {
        struct peer *peer = c->gone;
        c->gone           = peer->next_gone;
        peer_free(peer);
    }
}

static void cassandra_free_nodes(struct cassandra *c) {
    while (c->peer_count > 0) hub_forget(c, c->peers[--c->peer_count]);
    hub_free_gone(c);
    control_clear(&c->control);
    token_ring_clear(&c->ring);
}

struct cassandra *cassandra_open(struct view url, const struct cassandra_options *options,
                                 char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    static const struct cassandra_options none;
    if (options == NULL) options = &none;
    struct cassandra *c = calloc(1, sizeof *c);
    (void)snprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, "out of memory");
    if (c == NULL) return NULL;

    char url_problem[URL_PROBLEM_BYTES_MAX];
    if (!contact_parse(url, &c->contact, url_problem)) {
        (void)snprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, "%s", url_problem);
        goto free_cassandra;
    }
    if (c->contact.is_tls) {
        c->tls = tls_new(options->ca_file, options->cert_file, options->key_file, problem,
                         CASSANDRA_PROBLEM_BYTES_MAX);
        if (c->tls == NULL) goto free_cassandra;
    }
    if (!cassandra_set_options(c, options, problem)) goto free_tls;
    if (!entropy_fill(&c->random, sizeof c->random)) goto free_tls;
    if (!cassandra_init_engine(c, options)) goto free_tls;
    control_init(&c->control, c);
    schema_init(&c->schema, c);
    if (!engine_start(&c->engine, "weir-cassandra")) goto free_nodes;
    problem[0] = '\0';
    return c;

free_nodes:
    cassandra_free_nodes(c);
    engine_clear(&c->engine);
free_tls:
    tls_free(c->tls);
free_cassandra:
    OPENSSL_cleanse(&c->contact, sizeof c->contact);
    free(c);
    return NULL;
}

void cassandra_close(struct cassandra *c) {
    if (!engine_stop(&c->engine)) return;
    cassandra_free_nodes(c);
    engine_clear(&c->engine);
    tls_free(c->tls);
    OPENSSL_cleanse(&c->contact, sizeof c->contact);
    free(c);
}

/* ---- submitting: any thread ---- */

void cassandra_wake(struct cassandra *c) { engine_wake(&c->engine); }

enum cassandra_status cassandra_submit(struct cassandra               *c,
                                       const struct cassandra_request *request) {
    REQUIRE(request->done != NULL);
    REQUIRE((request->statement != NULL) != (request->text.bytes > 0));
    if (cassandra_is_forked(c)) return CASSANDRA_FORKED;
    if (!engine_reserve(&c->engine)) return CASSANDRA_FULL;
    bool          is_long = false;
    struct query *query   = query_new(request, &is_long);
    if (query == NULL) {
        engine_release(&c->engine);
        return is_long ? CASSANDRA_BAD_REQUEST : CASSANDRA_NO_MEMORY;
    }
    engine_submit(&c->engine, &query->job);
    return CASSANDRA_DONE;
}

struct call {
    struct latch             latch;
    struct cassandra_result *result;
};

/* The views of a result point into its body, so a copy of it is read anew. */
static void result_keep(struct cassandra_result *result) {
    const char *server       = result->server != NULL ? result->server : "";
    size_t      server_bytes = strlen(server) + 1;
    char       *kept         = malloc(server_bytes + result->body.bytes);
    if (kept == NULL) {
        result->status = CASSANDRA_NO_MEMORY;
        result->server = NULL;
        return;
    }
    memcpy(kept, server, server_bytes);
    if (result->body.bytes > 0) memcpy(kept + server_bytes, result->body.data, result->body.bytes);
    result->kept   = kept;
    result->server = result->server != NULL ? kept : NULL;
    result->body   = (struct view){kept + server_bytes, result->body.bytes};
    if (result->status == CASSANDRA_DONE)
        INVARIANT(cql_response_result(result->body, &result->result));
}

static void call_done(void *context, struct cassandra_result *result) {
    struct call *call = context;
    *call->result     = *result;
    result_keep(call->result);
    latch_open(&call->latch);
}

void cassandra_call(struct cassandra *c, const struct cassandra_request *request,
                    struct cassandra_result *result) {
    struct call              call = {.result = result};
    struct cassandra_request mine = *request;
    latch_init(&call.latch);
    mine.done    = call_done;
    mine.context = &call;

    enum cassandra_status status = cassandra_submit(c, &mine);
    if (status == CASSANDRA_DONE) {
        engine_wait(&c->engine, &call.latch);
        return;
    }
    *result = (struct cassandra_result){.status = status, .fate = FATE_NOT_EXECUTED, .error = -1};
    (void)snprintf(result->problem, sizeof result->problem, "%s", cassandra_status_text(status));
}

void cassandra_result_clear(struct cassandra_result *result) {
    free(result->kept);
    result->kept   = NULL;
    result->server = NULL;
}

void cassandra_ready(struct cassandra *c, uint64_t deadline_ns, struct cassandra_result *result) {
    cassandra_call(c,
                   &(struct cassandra_request){.text = view_of("SELECT key FROM system.local"),
                                               .consistency = CQL_ONE,
                                               .deadline_ns = deadline_ns},
                   result);
}

void cassandra_counts(const struct cassandra *c, struct cassandra_counts *counts) {
#define COUNT(which) atomic_load_explicit(&c->counts[which], memory_order_relaxed)
    *counts = (struct cassandra_counts){.connects   = COUNT(CHANNEL_CONNECTS),
                                        .losses     = COUNT(CHANNEL_LOSSES),
                                        .misses     = COUNT(CHANNEL_MISSES),
                                        .prepares   = COUNT(CHANNEL_PREPARES),
                                        .unprepared = COUNT(CHANNEL_UNPREPARED),
                                        .retries    = COUNT(HUB_RETRIES),
                                        .refreshes  = COUNT(HUB_REFRESHES),
                                        .events     = COUNT(HUB_EVENTS),
                                        .writes     = COUNT(CHANNEL_WRITES)};
#undef COUNT
}

static const struct {
    const char *name;
    const char *text;
} statuses[] = {
#define STATUS_ENTRY(name, text) {#name, text},
    CASSANDRA_STATUS_TABLE(STATUS_ENTRY)
#undef STATUS_ENTRY
};

bool cassandra_is_forked(const struct cassandra *c) { return engine_is_forked(&c->engine); }

const char *cassandra_status_text(enum cassandra_status status) { return statuses[status].text; }

const char *cassandra_status_name(enum cassandra_status status) { return statuses[status].name; }

/* ---- the thread ---- */

/* Whose host was looked up; NULL: it is gone by now. */
static struct channel *cassandra_find_lookup(struct cassandra *c, uint64_t word) {
    struct channel *control = &c->control.channel;
    if ((uint64_t)(uintptr_t)control == word && control->dial.lookup != NULL) return control;
    for (unsigned i = 0; i < c->peer_count; i++) {
        for (unsigned k = 0; k < c->peers[i]->channel_count; k++) {
            struct channel *channel = &c->peers[i]->channels[k];
            if ((uint64_t)(uintptr_t)channel == word && channel->dial.lookup != NULL)
                return channel;
        }
    }
    return NULL;
}

static void cassandra_react(void *owner, const struct loop_event *event) {
    struct cassandra *c = owner;
    if (event->owner != NULL) {
        channel_react(event->owner, event, c->engine.now_ns);
    } else {
        struct channel *channel = cassandra_find_lookup(c, event->word);
        if (channel != NULL) channel_looked_up(channel, c->engine.now_ns);
    }
}

/* What is to be sent, and to be asked of whom. Returns when the next thing is. */
static uint64_t cassandra_work(void *owner) {
    struct cassandra *c      = owner;
    uint64_t          now_ns = c->engine.now_ns;
    c->is_restless           = false;
    uint64_t next_ns =
        due_earlier(control_turn(&c->control, now_ns), schema_turn(&c->schema, now_ns));
    for (unsigned i = 0; i < c->peer_count; i++)
        next_ns = due_earlier(next_ns, peer_turn(c->peers[i], now_ns));
    hub_free_gone(c); /* no event of this turn is left that could be theirs */
    /* What one channel let go of waits at another, which had its turn already. */
    return c->is_restless ? 0 : next_ns;
}

/* ---- the end of a query ---- */

/* Tells whoever asked. A query that its channel still has stays until its answer comes. */
static void cassandra_tell(struct cassandra *c, struct query *query,
                           struct cassandra_result *result) {
    INVARIANT(!query->is_over);
    query->is_over = true;
    engine_end(&c->engine, &query->job);
    query->done(query->context, result);
}

static void cassandra_release(struct cassandra *c, struct query *query) {
    query_free(query);
    engine_release(&c->engine);
}

/* `channel` NULL: it was sent to none. */
static void cassandra_end(struct cassandra *c, struct query *query, enum cassandra_status status,
                          enum fate fate, const struct channel *channel, const char *problem) {
    struct cassandra_result result;
    /* Of a conditional update a server may say that it cannot be done now when it has been agreed on. */
    bool may_be_done = query->is_conditional && query->tries > 0;
    result.status    = status;
    result.fate      = may_be_done ? FATE_UNKNOWN : fate;
    result.error     = query->error;
    result.body      = (struct view){0};
    result.server    = channel != NULL ? channel->server : NULL;
    result.is_agreed = false;
    result.kept      = NULL;
    (void)snprintf(result.problem, sizeof result.problem, "%s",
                   problem != NULL && problem[0] != '\0' ? problem : cassandra_status_text(status));
    cassandra_tell(c, query, &result);
}

static void cassandra_end_done(struct cassandra *c, struct query *query, const char *server,
                               struct view body, const struct cql_result *cql, bool is_agreed) {
    struct cassandra_result result;
    result.status     = CASSANDRA_DONE;
    result.fate       = FATE_EXECUTED;
    result.error      = -1;
    result.result     = *cql;
    result.body       = body;
    result.server     = server;
    result.is_agreed  = is_agreed;
    result.kept       = NULL;
    result.problem[0] = '\0';
    cassandra_tell(c, query, &result);
    cassandra_release(c, query);
}

void hub_end_held(struct cassandra *c, struct query *query, bool is_agreed) {
    struct view       body = {query->held, query->held_bytes};
    struct cql_result cql;
    query_list_remove(query);
    INVARIANT(cql_response_result(body, &cql));
    cassandra_end_done(c, query, NULL, body, &cql, is_agreed);
}

/* Nothing was sent, and nobody is in a state to take it. `error` and `problem` are why not. */
static void cassandra_end_unreachable(struct cassandra *c, struct query *query, int32_t error,
                                      const char *problem) {
    bool is_refused = error >= 0 && failure_of(error).status == CASSANDRA_REFUSED;
    if (error >= 0) query->error = error;
    cassandra_end(c, query, is_refused ? CASSANDRA_REFUSED : CASSANDRA_UNREACHABLE,
                  FATE_NOT_EXECUTED, NULL, problem);
    cassandra_release(c, query);
}

/* Which nodes there are is not known. */
static void cassandra_end_asking(struct cassandra *c, struct query *query) {
    char                  problem[CASSANDRA_PROBLEM_BYTES_MAX];
    const struct control *control = &c->control;
    if (control->problem[0] != '\0')
        memcpy(problem, control->problem, sizeof problem);
    else
        channel_problem_write(&control->channel, problem); /* of the first host */
    cassandra_end_unreachable(c, query, control->error, problem);
}

/* It was refused for now, and there is no time left. */
static void cassandra_end_refused(struct cassandra *c, struct query *query) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    (void)snprintf(problem, sizeof problem, "%s: %s", cql_error_word(query->error),
                   cql_error_text(query->error));
    cassandra_end(c, query, failure_of(query->error).status, FATE_NOT_EXECUTED, NULL, problem);
    cassandra_release(c, query);
}

/* ---- where to ---- */

/* The best of the channels that were looked at so far. */
struct choice {
    struct channel *channel;
    struct channel *hopeless; /* which says why there is none */
    unsigned        weight;
};

enum { WEIGHT_LOCAL = 1, WEIGHT_WILLING = 2, WEIGHT_UP = 4, WEIGHT_BEST = 7 };

/* What is up is better than what may come up; who has not just refused it better than who has; the local data
 * centre better than others. True: there is none better. */
static bool choice_consider(struct choice *choice, const struct query *query, struct peer *peer,
                            unsigned spin) {
    struct channel *channel = &peer->channels[spin % peer->channel_count];
    if (channel_is_hopeless(channel)) {
        choice->hopeless = channel;
        return false;
    }
    unsigned weight = 0;
    if (channel->state == CHANNEL_UP) weight += WEIGHT_UP;
    if (channel->peer_number != query->avoided) weight += WEIGHT_WILLING;
    if (peer->is_local) weight += WEIGHT_LOCAL;
    if (choice->channel == NULL || weight > choice->weight) {
        choice->channel = channel;
        choice->weight  = weight;
    }
    return choice->weight == WEIGHT_BEST;
}

/* The one that was asked for, or none. */
static struct choice cassandra_find_node(struct cassandra *c, const struct query *query) {
    struct choice choice = {0};
    for (unsigned i = 0; i < c->peer_count; i++)
        if (memcmp(&c->peers[i]->facts.id, &query->node, sizeof query->node) == 0)
            (void)choice_consider(&choice, query, c->peers[i], c->spin++);
    return choice;
}

/* Replicas first. Conditional requests of one key meet at one replica, which has them in its own order
 * instead of in a race with other replicas; all others are spread. */
static struct choice cassandra_choose(struct cassandra *c, const struct query *query) {
    struct choice choice = {0};
    unsigned      spin   = c->spin++;
    uint16_t      replicas[TOKEN_RING_REPLICAS_MAX];
    size_t        count =
        query->has_token ? token_ring_replicas(&c->ring, &c->strategy, query->token, replicas) : 0;
    size_t start = query->is_conditional || count == 0 ? 0 : random_below(&c->random, count);
    for (size_t i = 0; i < count; i++)
        if (choice_consider(&choice, query, c->peers[replicas[(start + i) % count]], spin))
            return choice;

    start = random_below(&c->random, c->peer_count);
    for (size_t i = 0; i < c->peer_count; i++)
        if (choice_consider(&choice, query, c->peers[(start + i) % c->peer_count], spin)) break;
    return choice;
}

/* Statements have numbers here, by which channels know them. False: there are too many. */
static bool cassandra_number(struct cassandra *c, struct query *query) {
    if (query->kind != QUERY_PREPARED) return true;
    uint32_t i = 0;
    while (i < c->statement_count && c->statements[i] != query->statement) i++;
    query->statement_index = i;
    if (i < c->statement_count) return true;
    if (i == CASSANDRA_STATEMENTS_MAX) return false;
    c->statements[c->statement_count++] = query->statement;
    return true;
}

static void cassandra_route(struct cassandra *c, struct query *query) {
    const struct control *control = &c->control;
    if (!cassandra_number(c, query)) {
        cassandra_end(c, query, CASSANDRA_BAD_REQUEST, FATE_NOT_EXECUTED, NULL,
                      "the client was given more statements to prepare than it can keep");
        cassandra_release(c, query);
        return;
    }
    if (control_is_hopeless(control)) {
        cassandra_end_unreachable(c, query, control->error, control->problem);
        return;
    }
    if (!control->is_known) {
        query->place = QUERY_PARKED;
        query_list_append(&c->parked, query);
        return;
    }
    struct choice choice =
        query->has_node ? cassandra_find_node(c, query) : cassandra_choose(c, query);
    if (choice.channel == NULL && choice.hopeless == NULL) {
        INVARIANT(query->has_node);
        cassandra_end_unreachable(c, query, -1, "the cluster has no node of this id");
        return;
    }
    if (choice.channel == NULL) {
        cassandra_end_unreachable(c, query, choice.hopeless->error, choice.hopeless->problem);
        return;
    }
    c->is_restless = true;
    channel_send(choice.channel, query);
}

static void cassandra_arrived(void *owner, struct job *job) {
    cassandra_route(owner, (struct query *)job);
}

/* A try that would hardly be answered before the deadline is not made: the fate of this one is known. */
static void cassandra_pause(struct cassandra *c, struct query *query) {
    unsigned doublings = query->tries < RETRY_DOUBLINGS ? query->tries : RETRY_DOUBLINGS;
    uint64_t retry_ns =
        c->engine.now_ns + random_between(&c->random, RETRY_NS_MIN, RETRY_NS_MIN << doublings);
    uint64_t trip_ns = query->sent_ns > 0 ? c->engine.now_ns - query->sent_ns : 0;
    query->place     = QUERY_PAUSED;
    if (query->tries < UINT8_MAX) query->tries++;
    if (retry_ns + 2 * trip_ns >= query->job.deadline_ns) {
        cassandra_end_refused(c, query);
        return;
    }
    hub_count(c, HUB_RETRIES);
    engine_set_due(&c->engine, &query->job, retry_ns);
}

static void cassandra_expire_waiting(struct cassandra *c, struct query *query) {
    const struct channel *channel = query->channel;
    char                  problem[CASSANDRA_PROBLEM_BYTES_MAX];
    channel_take_back(query);
    if (query->error >= 0) {
        cassandra_end_refused(c, query);
    } else if (channel->state != CHANNEL_UP) {
        channel_problem_write(channel, problem);
        cassandra_end_unreachable(c, query, channel->error, problem);
    } else {
        cassandra_end(c, query, CASSANDRA_LATE, FATE_NOT_EXECUTED, channel,
                      "the request was still in line at its deadline; the connection is at its "
                      "limit, or the statement is still being prepared");
        cassandra_release(c, query);
    }
}

/* Its deadline has passed, or its pause. */
static void cassandra_expired(void *owner, struct job *job) {
    struct cassandra *c     = owner;
    struct query     *query = (struct query *)job;
    switch (query->place) {
    case QUERY_PAUSED:
        query->place = QUERY_NEW;
        engine_set_due(&c->engine, job, job->deadline_ns);
        cassandra_route(c, query);
        return;
    case QUERY_PARKED:
        query_list_remove(query);
        cassandra_end_asking(c, query);
        return;
    case QUERY_WAITING: cassandra_expire_waiting(c, query); return;
    case QUERY_HELD: hub_end_held(c, query, false); return;
    case QUERY_SENT:
        query->error = -1; /* of a former try */
        cassandra_end(c, query, CASSANDRA_LATE, FATE_UNKNOWN, query->channel, NULL);
        channel_miss(query->channel, query); /* which may let go of it */
        return;
    case QUERY_NEW: break;
    }
    INVARIANT(query->place != QUERY_NEW);
}

/* ---- what channels tell ---- */

static void cassandra_answered_error(struct cassandra *c, struct channel *channel,
                                     struct query *query, const struct cql_error *error,
                                     bool is_executed) {
    char           problem[CASSANDRA_PROBLEM_BYTES_MAX];
    struct failure failure = failure_of(error->code);
    query->error           = error->code;
    if (failure.cure == FAILURE_ELSEWHERE) {
        query->avoided = channel->peer_number;
        cassandra_pause(c, query);
        return;
    }
    failure_write(error->code, error->message, problem, sizeof problem);
    cassandra_end(c, query, failure.status, is_executed ? failure.fate : FATE_NOT_EXECUTED, channel,
                  problem);
    cassandra_release(c, query);
}

static void cassandra_answered(void *owner, struct channel *channel, struct query *query,
                               const struct cql_frame *frame, bool is_executed) {
    struct cassandra *c = owner;
    struct cql_error  error;
    struct cql_result result;
    query->place = QUERY_NEW;
    if (query->is_own) {
        schema_answered(&c->schema, query, frame);
    } else if (query->is_over) {
        cassandra_release(c, query);
    } else if (frame->opcode == CQL_ERROR && cql_response_error(frame->body, &error)) {
        cassandra_answered_error(c, channel, query, &error, is_executed);
    } else if (frame->opcode == CQL_RESULT && cql_response_result(frame->body, &result)) {
        /* Done, but another node may not know it yet. */
        bool is_held = result.kind == CQL_SCHEMA_CHANGE &&
                       schema_hold(&c->schema, query, channel->peer_number, frame->body);
        if (!is_held) cassandra_end_done(c, query, channel->server, frame->body, &result, false);
    } else {
        cassandra_end(c, query, CASSANDRA_FAILED, FATE_UNKNOWN, channel,
                      "the server answers what cannot be read");
        cassandra_release(c, query);
        channel_lose(channel, -1, "the server answers what cannot be read");
    }
}

static void cassandra_dropped(void *owner, struct channel *channel, struct query *query,
                              bool was_sent) {
    struct cassandra *c = owner;
    query->place        = QUERY_NEW;
    if (query->is_own) {
        schema_answered(&c->schema, query, NULL);
    } else if (query->is_over) {
        cassandra_release(c, query);
    } else if (was_sent) {
        cassandra_end(c, query, CASSANDRA_LOST, FATE_UNKNOWN, channel, channel->problem);
        cassandra_release(c, query);
    } else {
        cassandra_route(c, query);
    }
}

/* ---- nodes ---- */

/* The peer that is this node already; it is taken from `old`. NULL: it is new here. */
static struct peer *hub_find_peer(struct peer **old, unsigned old_count,
                                  const struct peer_facts *facts) {
    for (unsigned i = 0; i < old_count; i++) {
        struct peer *peer = old[i];
        if (peer == NULL || memcmp(&peer->facts.id, &facts->id, sizeof facts->id) != 0) continue;
        if (!url_host_equals(&peer->facts.told, &facts->told)) continue;
        old[i] = NULL;
        return peer;
    }
    return NULL;
}

bool hub_set_nodes(struct cassandra *c, const struct peer_facts *members, struct token_ring *ring,
                   const struct token_ring_strategy *strategy) {
    struct peer *old[TOKEN_RING_NODES_MAX], *next[TOKEN_RING_NODES_MAX],
        *made[TOKEN_RING_NODES_MAX];
    unsigned old_count = c->peer_count, made_count = 0;
    for (unsigned i = 0; i < old_count; i++) old[i] = c->peers[i];
    for (unsigned i = 0; i < ring->node_count; i++) {
        next[i] = hub_find_peer(old, old_count, &members[i]);
        if (next[i] == NULL) {
            next[i] = peer_new(&c->setting, &members[i], ++c->peer_number, c->connections);
            made[made_count++] = next[i];
        }
        if (next[i] == NULL) {
            for (unsigned k = 0; k + 1 < made_count; k++) peer_free(made[k]);
            return false;
        }
        memcpy(next[i]->facts.datacenter, members[i].datacenter, PEER_NAME_BYTES_MAX);
        memcpy(next[i]->facts.rack, members[i].rack, PEER_NAME_BYTES_MAX);
        next[i]->is_local = strcmp(members[i].datacenter, c->contact.datacenter) == 0;
    }
    for (unsigned i = 0; i < ring->node_count; i++) c->peers[i] = next[i];
    c->peer_count            = ring->node_count;
    struct token_ring former = c->ring;
    c->ring                  = *ring;
    *ring                    = former;
    c->strategy              = *strategy;
    for (unsigned i = 0; i < c->peer_count; i++)
        if (c->peers[i]->is_local) peer_want(c->peers[i]);
    /* What these have goes to others, so all must be in place by now. */
    for (unsigned i = 0; i < old_count; i++)
        if (old[i] != NULL) hub_forget(c, old[i]);
    return true;
}

void hub_unpark(struct cassandra *c) {
    struct query_list parked = {0};
    struct query     *query;
    while ((query = query_list_take(&c->parked)) != NULL) query_list_append(&parked, query);
    while ((query = query_list_take(&parked)) != NULL) cassandra_route(c, query);
}
