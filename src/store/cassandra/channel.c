/* SPDX-License-Identifier: MIT */
#include "store/cassandra/channel.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "store/cassandra/failure.h"
#include "store/net/backoff.h"

#define IDLE_NS UINT64_C(15000000000) /* a silent connection is asked for a sign of life so often */

enum {
    INBOX_BYTES      = 64 * 1024, /* kept while nothing is in it */
    BODY_BYTES_MAX   = 16 * 1024 * 1024,
    READS_MAX        = 16,                           /* in one turn, so that others have theirs */
    UNSENT_BYTES_MAX = 256 * 1024,                   /* then queries wait in line */
    OWN_STREAMS      = CASSANDRA_STATEMENTS_MAX + 4, /* that no query may take */
    ORPHANS_MAX      = CHANNEL_STREAMS_MAX / 2, /* never answered by a node that answers others */
    TRIES_MAX        = 8,    /* of one query, whose statement is forgotten each time */
    OWN_BYTES_MAX    = 2048, /* of a request of our own, PREPARE apart */
};

#define DRIVER_NAME    "weir"
#define DRIVER_VERSION "1"

static void channel_dialed(struct channel *channel, enum dial_outcome outcome);
static void channel_start(struct channel *channel);
static void channel_read(struct channel *channel);
static void channel_take(struct channel *channel, const struct cql_frame *frame);
static void channel_flush(struct channel *channel);

static void channel_count(const struct channel *channel, enum channel_count which) {
    atomic_fetch_add_explicit(&channel->setting->counts[which], 1, memory_order_relaxed);
}

/* ---- coming and going ---- */

void channel_init(struct channel *channel, const struct channel_setting *setting,
                  const struct url_host *host) {
    memset(channel, 0, sizeof *channel);
    channel->setting  = setting;
    channel->retry_ns = UINT64_MAX;
    channel->error    = -1;
    channel->dial     = (struct dial){.loop = setting->loop, .owner = channel, .tls = setting->tls};
    channel_set_host(channel, host);
}

void channel_set_host(struct channel *channel, const struct url_host *host) {
    channel->dial.host = *host;
    url_host_write(host, channel->server, sizeof channel->server);
}

void channel_want(struct channel *channel) {
    if (channel->is_wanted) return;
    channel->is_wanted = true;
    channel->retry_ns  = 0;
}

void channel_hurry(struct channel *channel, uint64_t now_ns) {
    if (channel->is_wanted && channel->state == CHANNEL_RESTING && channel->retry_ns > now_ns)
        channel->retry_ns = now_ns + backoff_ns(channel->setting->random, 1);
}

bool channel_is_hopeless(const struct channel *channel) {
    return channel->state != CHANNEL_UP && channel->failures >= CHANNEL_OPEN_MISSES;
}

/* Leaves nothing of a connection, or of the attempt to have one. The inbox stays: whoever reads from it may
 * have caused this. */
static void channel_end_connection(struct channel *channel) {
    dial_cancel(&channel->dial);
    if (channel->state >= CHANNEL_STARTING) {
        loop_remove(channel->setting->loop, channel->stream.socket);
        stream_close(&channel->stream);
    }
    free(channel->streams);
    channel->streams      = NULL;
    channel->state        = CHANNEL_RESTING;
    channel->inbox_used   = 0;
    channel->is_asking    = false;
    channel->unsent_from  = 0;
    channel->unsent_to    = 0;
    channel->misses       = 0;
    channel->flight_count = 0;
    channel->orphan_count = 0;
}

/* What the channel had, apart from the channel: it may be given new things while it lets go of these. */
struct channel_left_over {
    struct query_list sent;
    struct query_list
        unsent; /* appended to the stream, which took not all of them; or still in line */
};

static void move_all(struct query_list *from, struct query_list *to) {
    struct query *query;
    while ((query = query_list_take(from)) != NULL) query_list_append(to, query);
}

static void channel_empty(struct channel *channel, struct channel_left_over *left) {
    *left = (struct channel_left_over){0};
    for (int i = 0; channel->streams != NULL && i < CHANNEL_STREAMS_MAX; i++) {
        struct channel_stream *stream = &channel->streams[i];
        if (stream->purpose != CHANNEL_FOR_QUERY) continue;
        bool is_sent = stream->query->end_offset <= channel->sent_bytes;
        query_list_append(is_sent ? &left->sent : &left->unsent, stream->query);
    }
    for (int i = 0; i < CASSANDRA_STATEMENTS_MAX; i++) {
        move_all(&channel->statements[i].waiting, &left->unsent);
        channel->statements[i].knowledge = CHANNEL_UNKNOWN;
    }
    move_all(&channel->waiting, &left->unsent);
}

static void channel_drop_all(struct channel *channel, struct query_list *list, bool was_sent) {
    struct query *query;
    while ((query = query_list_take(list)) != NULL) {
        query->channel = NULL;
        channel->setting->dropped(channel->setting->owner, channel, query, was_sent);
    }
}

void channel_clear(struct channel *channel) {
    struct channel_left_over left;
    channel_empty(channel, &left);
    channel_end_connection(channel);
    free(channel->unsent);
    free(channel->inbox);
    channel->unsent = channel->inbox = NULL;
    channel->unsent_room = channel->inbox_room = 0;
    channel->retry_ns                          = UINT64_MAX;
    channel_drop_all(channel, &left.sent, true);
    channel_drop_all(channel, &left.unsent, false);
}

static void channel_tell_change(struct channel *channel) {
    const struct channel_setting *setting = channel->setting;
    if (setting->changed != NULL) setting->changed(setting->owner, channel);
}

void channel_problem_write(const struct channel *channel, char out[CASSANDRA_PROBLEM_BYTES_MAX]) {
    const char *text = cassandra_status_text(CASSANDRA_UNREACHABLE);
    if (channel->problem[0] != '\0') {
        memcpy(out, channel->problem, sizeof channel->problem);
        return;
    }
    /* The first attempt has not come to an end yet. */
    if (channel->state == CHANNEL_DIALING) text = dial_text(&channel->dial);
    if (channel->state == CHANNEL_STARTING) text = dial_silence_text(&channel->dial);
    if (channel->state == CHANNEL_UP) text = "it has not answered yet";
    (void)snprintf(out, CASSANDRA_PROBLEM_BYTES_MAX, "%s: %s", channel->server, text);
}

void channel_lose(struct channel *channel, int32_t error, const char *problem) {
    (void)snprintf(channel->problem, sizeof channel->problem, "%s: %s", channel->server, problem);
    channel->error = error;

    struct channel_left_over left;
    channel_empty(channel, &left);
    channel_end_connection(channel);
    channel_count(channel, CHANNEL_LOSSES);
    channel->failures++;
    /* Nobody waits for what only a person can change. */
    bool is_refused = error >= 0 && failure_of(error).status == CASSANDRA_REFUSED;
    if (is_refused && channel->failures < CHANNEL_OPEN_MISSES)
        channel->failures = CHANNEL_OPEN_MISSES;
    channel->retry_ns = channel->now_ns + backoff_ns(channel->setting->random, channel->failures);
    channel_tell_change(channel);
    channel_drop_all(channel, &left.sent, true);
    channel_drop_all(channel, &left.unsent, false);
}

static void channel_lose_text(struct channel *channel, const char *problem) {
    channel_lose(channel, -1, problem);
}

/* It takes connections and says nothing: whoever comes next need not find that out again. */
static void channel_lose_silent(struct channel *channel) {
    if (channel->failures + 1 < CHANNEL_OPEN_MISSES) channel->failures = CHANNEL_OPEN_MISSES - 1;
    channel_lose_text(channel, "the server is connected and silent");
}

/* ---- connecting ---- */

static void channel_begin(struct channel *channel) {
    channel_count(channel, CHANNEL_CONNECTS);
    channel_dialed(channel, dial_begin(&channel->dial));
}

static void channel_dialed(struct channel *channel, enum dial_outcome outcome) {
    channel->state    = CHANNEL_DIALING;
    channel->since_ns = channel->now_ns;
    if (outcome == DIAL_DONE) channel_start(channel);
    if (outcome == DIAL_FAILED) channel_lose_text(channel, channel->dial.problem);
}

void channel_looked_up(struct channel *channel, uint64_t now_ns) {
    channel->now_ns = now_ns;
    channel_dialed(channel, dial_looked_up(&channel->dial));
}

/* ---- streams ---- */

static void channel_stream_free(struct channel *channel, int16_t id) {
    channel->streams[id] = (struct channel_stream){.next_free = channel->free_stream};
    channel->free_stream = id;
}

static bool channel_streams_init(struct channel *channel) {
    channel->streams     = malloc(CHANNEL_STREAMS_MAX * sizeof channel->streams[0]);
    channel->free_stream = -1;
    if (channel->streams == NULL) return false;
    for (int i = CHANNEL_STREAMS_MAX; i-- > 0;) channel_stream_free(channel, (int16_t)i);
    return true;
}

static bool channel_has_stream(const struct channel *channel) {
    return channel->flight_count < CHANNEL_STREAMS_MAX - OWN_STREAMS;
}

static int16_t channel_stream_take(struct channel *channel, enum channel_purpose purpose) {
    int16_t id = channel->free_stream;
    INVARIANT(id >= 0);
    channel->free_stream         = channel->streams[id].next_free;
    channel->streams[id].purpose = purpose;
    return id;
}

/* ---- sending ---- */

/* Room for so many more bytes; NULL: no memory. */
static char *channel_room(struct channel *channel, size_t bytes) {
    if (channel->unsent_from == channel->unsent_to) channel->unsent_from = channel->unsent_to = 0;
    if (channel->unsent_room - channel->unsent_to >= bytes)
        return channel->unsent + channel->unsent_to;

    size_t used = channel->unsent_to - channel->unsent_from;
    if (used > 0) memmove(channel->unsent, channel->unsent + channel->unsent_from, used);
    channel->unsent_from = 0;
    channel->unsent_to   = used;
    if (channel->unsent_room - used < bytes) {
        size_t room   = 2 * (used + bytes);
        char  *larger = realloc(channel->unsent, room);
        if (larger == NULL) return NULL;
        channel->unsent      = larger;
        channel->unsent_room = room;
    }
    return channel->unsent + channel->unsent_to;
}

/* Sends a request of our own. False: no memory, and the connection is lost. */
static bool channel_say(struct channel *channel, enum channel_purpose purpose, struct view text,
                        uint16_t statement) {
    size_t room = OWN_BYTES_MAX + text.bytes;
    char  *at   = channel_room(channel, room);
    if (at == NULL) {
        channel_lose_text(channel, "out of memory");
        return false;
    }
    int16_t                     id    = channel_stream_take(channel, purpose);
    const struct cql_parameters plain = {.consistency = CQL_ONE};
    size_t                      bytes = 0;
    channel->streams[id].statement    = statement;
    switch (purpose) {
    case CHANNEL_FOR_STARTUP:
        bytes = cql_request_startup(at, room, id, view_of(DRIVER_NAME), view_of(DRIVER_VERSION));
        break;
    case CHANNEL_FOR_LOGIN:
        bytes = cql_request_auth_plain(at, room, id, view_of(channel->setting->user),
                                       view_of(channel->setting->password));
        break;
    case CHANNEL_FOR_USE: bytes = cql_request_query(at, room, id, text, &plain); break;
    case CHANNEL_FOR_PREPARE: bytes = cql_request_prepare(at, room, id, text); break;
    case CHANNEL_FOR_OPTIONS: bytes = cql_request_options(at, room, id); break;
    case CHANNEL_FOR_NOBODY:
    case CHANNEL_FOR_QUERY: break;
    }
    INVARIANT(bytes > 0);
    channel->unsent_to += bytes;
    return true;
}

static bool channel_ask(struct channel *channel) {
    channel->is_asking = true;
    channel->asked_ns  = channel->now_ns;
    return channel_say(channel, CHANNEL_FOR_OPTIONS, (struct view){0}, 0);
}

void channel_send(struct channel *channel, struct query *query) {
    channel_want(channel);
    query->channel = channel;
    query->place   = QUERY_WAITING;
    query_list_append(&channel->waiting, query);
}

void channel_take_back(struct query *query) {
    REQUIRE(query->place == QUERY_WAITING);
    query_list_remove(query);
    query->channel = NULL;
    query->place   = QUERY_NEW;
}

/* Whether its statement is prepared here; else it waits until that is so. */
static bool channel_knows(struct channel *channel, struct query *query) {
    struct channel_statement *statement = &channel->statements[query->statement_index];
    if (statement->knowledge == CHANNEL_KNOWN) return true;
    query_list_remove(query);
    query_list_append(&statement->waiting, query);
    if (statement->knowledge == CHANNEL_ASKED) return false;
    statement->knowledge = CHANNEL_ASKED;
    statement->round++;
    channel_count(channel, CHANNEL_PREPARES);
    (void)channel_say(channel, CHANNEL_FOR_PREPARE, view_of(query->statement->text),
                      (uint16_t)query->statement_index);
    return false;
}

/* Moves one query from its line to the stream. False: no memory. */
static bool channel_append(struct channel *channel, struct query *query) {
    size_t room = query_frame_bytes_max(query);
    char  *at   = channel_room(channel, room);
    if (at == NULL) return false;
    struct channel_statement *statement = &channel->statements[query->statement_index];
    int16_t                   id        = channel_stream_take(channel, CHANNEL_FOR_QUERY);
    size_t                    bytes =
        query_write(query, at, room, id, (struct view){statement->id, statement->id_bytes});
    INVARIANT(bytes > 0);
    channel->unsent_to += bytes;
    channel->streams[id].query = query;
    query->statement_round     = statement->round;
    query->sent_ns             = channel->now_ns;
    query->end_offset          = channel->sent_bytes + (channel->unsent_to - channel->unsent_from);
    query->place               = QUERY_SENT;
    query_list_remove(query);
    /* From now on the server is asked: it has been silent since now, and not since we last spoke. */
    if (channel->flight_count++ == 0) channel->since_ns = channel->now_ns;
    return true;
}

/* From the line to the stream: one batch. */
static void channel_fill(struct channel *channel) {
    struct query *query;
    while (channel->state == CHANNEL_UP && (query = channel->waiting.first) != NULL) {
        bool is_full = channel->unsent_to - channel->unsent_from >= UNSENT_BYTES_MAX;
        if (is_full || !channel_has_stream(channel)) return;
        if (query->kind == QUERY_PREPARED && !channel_knows(channel, query)) continue;
        if (!channel_append(channel, query)) {
            channel_lose_text(channel, "out of memory");
            return;
        }
    }
}

static void channel_watch(struct channel *channel, unsigned interest) {
    if (channel->interest == interest) return;
    channel->interest = interest;
    loop_change(channel->setting->loop, channel->stream.socket, interest, channel);
}

static void channel_lose_stream(struct channel *channel, enum socket_outcome outcome) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    bool is_plain = channel->setting->tls == NULL;
    if (outcome == SOCKET_LOST && stream_problem(&channel->stream, problem, sizeof problem)) {
        channel_lose_text(channel, problem);
    } else if (channel->state == CHANNEL_STARTING && is_plain) {
        channel_lose_text(
            channel,
            "the server hangs up before it has answered; does it want TLS (cassandras://)?");
    } else {
        channel_lose_text(channel, outcome == SOCKET_ENDED ? "the server has hung up"
                                                           : "the connection is gone");
    }
}

static void channel_flush(struct channel *channel) {
    size_t bytes = channel->unsent_to - channel->unsent_from, taken = 0;
    if (bytes > 0 || stream_is_writing(&channel->stream)) {
        enum socket_outcome outcome =
            stream_write(&channel->stream, channel->unsent + channel->unsent_from, bytes, &taken);
        channel->unsent_from += taken;
        channel->sent_bytes += taken;
        if (taken > 0) channel_count(channel, CHANNEL_WRITES);
        if (outcome == SOCKET_LOST || outcome == SOCKET_ENDED) {
            /* What the server said last may be in the way of reading, and tells more. */
            channel_read(channel);
            if (channel->state >= CHANNEL_STARTING) channel_lose_stream(channel, outcome);
            return;
        }
    }
    bool is_stuffed =
        stream_is_writing(&channel->stream) ||
        (channel->stream.session == NULL && channel->unsent_from < channel->unsent_to);
    channel_watch(channel, is_stuffed ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

/* ---- starting ---- */

static void channel_start(struct channel *channel) {
    channel->stream     = channel->dial.stream;
    channel->interest   = LOOP_WRITE;
    channel->sent_bytes = 0;
    channel->state      = CHANNEL_STARTING;
    if (!channel_streams_init(channel)) {
        channel_lose_text(channel, "out of memory");
        return;
    }
    if (channel_say(channel, CHANNEL_FOR_STARTUP, (struct view){0}, 0)) channel_flush(channel);
}

static void channel_be_up(struct channel *channel) {
    channel->state      = CHANNEL_UP;
    channel->problem[0] = '\0';
    channel->error      = -1;
    channel_tell_change(channel);
}

static void channel_log_in(struct channel *channel) {
    if (channel->setting->password[0] == '\0') {
        channel_lose(channel, CQL_ERROR_CREDENTIALS,
                     "the server asks for a password: put user:password@ into the URL");
        return;
    }
    (void)channel_say(channel, CHANNEL_FOR_LOGIN, (struct view){0}, 0);
}

static void channel_use(struct channel *channel) {
    char text[64];
    if (channel->setting->keyspace[0] == '\0') {
        channel_be_up(channel);
        return;
    }
    (void)snprintf(text, sizeof text, "USE \"%s\"", channel->setting->keyspace);
    (void)channel_say(channel, CHANNEL_FOR_USE, view_of(text), 0);
}

static void channel_lose_error(struct channel *channel, struct view body) {
    char             problem[CASSANDRA_PROBLEM_BYTES_MAX];
    struct cql_error error;
    if (!cql_response_error(body, &error)) {
        channel_lose_text(channel, "the server sent an error that cannot be read");
        return;
    }
    failure_write(error.code, error.message, problem, sizeof problem);
    channel_lose(channel, error.code, problem);
}

static void channel_take_starting(struct channel *channel, enum channel_purpose purpose,
                                  const struct cql_frame *frame) {
    bool is_logged_in = frame->opcode == CQL_READY || frame->opcode == CQL_AUTH_SUCCESS;
    if (frame->opcode == CQL_ERROR) {
        channel_lose_error(channel, frame->body);
    } else if (purpose == CHANNEL_FOR_STARTUP && frame->opcode == CQL_AUTHENTICATE) {
        channel_log_in(channel);
    } else if (purpose == CHANNEL_FOR_USE && frame->opcode == CQL_RESULT) {
        channel_be_up(channel);
    } else if (purpose != CHANNEL_FOR_USE && is_logged_in) {
        channel_use(channel);
    } else if (frame->opcode == CQL_AUTH_CHALLENGE) {
        channel_lose(channel, CQL_ERROR_CREDENTIALS,
                     "the server's authenticator wants more than a user and a password");
    } else {
        channel_lose_text(channel, "the server answers what is no answer to a login");
    }
}

/* ---- events of the loop ---- */

void channel_react(struct channel *channel, const struct loop_event *event, uint64_t now_ns) {
    channel->now_ns = now_ns;
    if (channel->state == CHANNEL_DIALING && (event->is_writable || event->is_broken)) {
        channel_dialed(channel, dial_react(&channel->dial));
        return;
    }
    if (channel->state >= CHANNEL_STARTING && (event->is_readable || event->is_broken))
        channel_read(channel);
    /* A TLS session may have to send before it can read, and to read before it can send. */
    if (channel->state >= CHANNEL_STARTING) channel_flush(channel);
}

static bool channel_inbox_grow(struct channel *channel, size_t bytes) {
    size_t room = bytes > INBOX_BYTES ? bytes : INBOX_BYTES;
    if (channel->inbox_room >= room) return true;
    char *larger = realloc(channel->inbox, room);
    if (larger == NULL) return false;
    channel->inbox      = larger;
    channel->inbox_room = room;
    return true;
}

/* Takes all whole frames from the inbox, and makes room for the rest of the next one. */
static void channel_take_frames(struct channel *channel) {
    size_t           from    = 0;
    struct cql_frame frame   = {0};
    enum cql_outcome outcome = CQL_FRAME;
    while (outcome == CQL_FRAME) {
        struct view bytes = {channel->inbox + from, channel->inbox_used - from};
        outcome           = cql_read(bytes, BODY_BYTES_MAX, &frame);
        if (outcome != CQL_FRAME) break;
        channel_take(channel, &frame);
        if (channel->state < CHANNEL_STARTING) return;
        from += frame.bytes;
    }
    if (outcome == CQL_BROKEN) {
        char problem[CASSANDRA_PROBLEM_BYTES_MAX];
        (void)snprintf(problem, sizeof problem,
                       "what comes from there is not Cassandra's protocol: the server sent %s",
                       frame.problem);
        channel_lose_text(channel, problem);
        return;
    }
    channel->inbox_used -= from;
    if (from > 0 && channel->inbox_used > 0)
        memmove(channel->inbox, channel->inbox + from, channel->inbox_used);
    if (!channel_inbox_grow(channel, frame.bytes_wanted))
        channel_lose_text(channel, "out of memory");
}

static void channel_read(struct channel *channel) {
    if (!channel_inbox_grow(channel, INBOX_BYTES)) {
        channel_lose_text(channel, "out of memory");
        return;
    }
    for (int i = 0; i < READS_MAX && channel->state >= CHANNEL_STARTING; i++) {
        size_t              count = 0, room = channel->inbox_room - channel->inbox_used;
        enum socket_outcome outcome =
            stream_read(&channel->stream, channel->inbox + channel->inbox_used, room, &count);
        if (outcome == SOCKET_WAIT) break;
        if (outcome != SOCKET_DONE) {
            channel_lose_stream(channel, outcome);
            return;
        }
        channel->since_ns = channel->now_ns;
        channel->misses   = 0;
        channel->inbox_used += count;
        channel_take_frames(channel);
    }
    if (channel->inbox_used == 0 && channel->inbox_room > INBOX_BYTES) {
        free(channel->inbox);
        channel->inbox      = NULL;
        channel->inbox_room = 0;
    }
}

/* ---- answers ---- */

static void channel_take_event(struct channel *channel, const struct cql_frame *frame) {
    struct cql_event event;
    if (frame->opcode != CQL_EVENT || !cql_response_event(frame->body, &event)) {
        channel_lose_text(channel, "the server sent an event that cannot be read");
        return;
    }
    const struct channel_setting *setting = channel->setting;
    if (setting->heard != NULL) setting->heard(setting->owner, channel, &event);
}

static void channel_take_prepared(struct channel *channel, uint16_t index,
                                  const struct cql_frame *frame) {
    struct channel_statement *statement = &channel->statements[index];
    struct query_list         waiting   = {0};
    struct cql_result         result;
    move_all(&statement->waiting, &waiting);
    bool is_read   = frame->opcode == CQL_RESULT && cql_response_result(frame->body, &result);
    bool is_usable = is_read && result.kind == CQL_PREPARED && result.prepared.id.bytes > 0 &&
                     result.prepared.id.bytes <= CHANNEL_ID_BYTES_MAX;
    if (is_usable) {
        statement->knowledge = CHANNEL_KNOWN;
        statement->id_bytes  = (uint32_t)result.prepared.id.bytes;
        memcpy(statement->id, result.prepared.id.data, result.prepared.id.bytes);
        move_all(&waiting, &channel->waiting);
        return;
    }
    statement->knowledge = CHANNEL_UNKNOWN;
    if (frame->opcode == CQL_ERROR) {
        struct query *query;
        while ((query = query_list_take(&waiting)) != NULL) {
            query->channel = NULL;
            channel->setting->answered(channel->setting->owner, channel, query, frame, false);
        }
        return;
    }
    move_all(&waiting, &channel->waiting);
    channel_lose_text(channel, "the server answers what is no answer to PREPARE");
}

/* The node has forgotten the statement of a query: it restarted, had too many, or its table was made anew.
 * Only an answer to the newest preparing says that it has to be done once more. */
static bool channel_is_unprepared(struct channel *channel, struct query *query,
                                  const struct cql_frame *frame) {
    struct cql_error error;
    if (frame->opcode != CQL_ERROR || query->kind != QUERY_PREPARED || query->is_over) return false;
    if (!cql_response_error(frame->body, &error) || error.code != CQL_ERROR_UNPREPARED)
        return false;
    channel_count(channel, CHANNEL_UNPREPARED);
    if (query->tries >= TRIES_MAX) return false;
    struct channel_statement *statement = &channel->statements[query->statement_index];
    bool                      is_newest = query->statement_round == statement->round;
    if (statement->knowledge == CHANNEL_KNOWN && is_newest) statement->knowledge = CHANNEL_UNKNOWN;
    query->tries++;
    query->place = QUERY_WAITING;
    query_list_append(&channel->waiting, query);
    return true;
}

static void channel_take_query(struct channel *channel, struct query *query,
                               const struct cql_frame *frame) {
    channel->flight_count--;
    if (query->is_over) channel->orphan_count--;
    channel->failures = 0;
    if (channel_is_unprepared(channel, query, frame)) return;
    query->channel = NULL;
    channel->setting->answered(channel->setting->owner, channel, query, frame, true);
}

static void channel_take(struct channel *channel, const struct cql_frame *frame) {
    if (frame->stream == CQL_STREAM_EVENT) {
        channel_take_event(channel, frame);
        return;
    }
    bool is_ours = frame->stream >= 0 && frame->stream < CHANNEL_STREAMS_MAX &&
                   channel->streams[frame->stream].purpose != CHANNEL_FOR_NOBODY;
    if (!is_ours) {
        channel_lose_text(channel, "the server answers what nobody asked");
        return;
    }
    struct channel_stream stream = channel->streams[frame->stream];
    channel_stream_free(channel, frame->stream);
    switch (stream.purpose) {
    case CHANNEL_FOR_QUERY: channel_take_query(channel, stream.query, frame); break;
    case CHANNEL_FOR_PREPARE: channel_take_prepared(channel, stream.statement, frame); break;
    case CHANNEL_FOR_OPTIONS:
        channel->is_asking = false;
        channel->failures  = 0;
        break;
    case CHANNEL_FOR_STARTUP:
    case CHANNEL_FOR_LOGIN:
    case CHANNEL_FOR_USE: channel_take_starting(channel, stream.purpose, frame); break;
    case CHANNEL_FOR_NOBODY: break;
    }
}

/* ---- time ---- */

/* Misses within one deadline are one: a pause of the server that is a little longer than a deadline must not
 * cost the connection, however many were waiting. And a server that is only slow with what it was asked will
 * answer to OPTIONS. */
void channel_miss(struct channel *channel, const struct query *query) {
    channel_count(channel, CHANNEL_MISSES);
    channel->orphan_count++;
    if (channel->state != CHANNEL_UP) return;
    if (channel->orphan_count > ORPHANS_MAX && channel->misses == 0) {
        channel_lose_text(channel, "the server leaves half of what it is asked unanswered");
        return;
    }
    bool is_heard = channel->since_ns > query->sent_ns;
    bool is_known = query->sent_ns < channel->missed_ns;
    if (is_heard || is_known) return;
    channel->missed_ns = query->job.deadline_ns;
    if (++channel->misses >= CHANNEL_OPEN_MISSES) {
        channel_lose_silent(channel);
    } else if (!channel->is_asking) {
        (void)channel_ask(channel);
    }
}

/* When the channel gives up or says something if nothing happens until then. */
static uint64_t channel_due_ns(const struct channel *channel) {
    uint64_t connect_ns = channel->setting->connect_ns;
    switch (channel->state) {
    case CHANNEL_RESTING: return channel->retry_ns;
    case CHANNEL_DIALING:
        /* A lookup ends by itself. */
        return channel->dial.is_connecting ? channel->since_ns + connect_ns : UINT64_MAX;
    case CHANNEL_STARTING:
        return patience_end_ns(&channel->patience, channel->since_ns, connect_ns);
    case CHANNEL_UP: break;
    }
    if (channel->is_asking)
        return patience_end_ns(&channel->patience, channel->asked_ns, connect_ns);
    return channel->since_ns + (channel->flight_count > 0 ? connect_ns : IDLE_NS);
}

/* Whether the server was silent for as long as it may be, and we were there to hear it. */
static bool channel_is_deserted(struct channel *channel, uint64_t since_ns) {
    return patience_is_over(&channel->patience, since_ns, channel->setting->connect_ns,
                            channel->now_ns);
}

static void channel_be_due(struct channel *channel) {
    switch (channel->state) {
    case CHANNEL_RESTING: channel_begin(channel); return;
    case CHANNEL_DIALING: channel_dialed(channel, dial_give_up(&channel->dial)); return;
    case CHANNEL_STARTING:
        if (!channel_is_deserted(channel, channel->since_ns)) return;
        channel_lose_text(channel, dial_silence_text(&channel->dial));
        return;
    case CHANNEL_UP: break;
    }
    if (!channel->is_asking) {
        (void)channel_ask(channel);
    } else if (channel->since_ns >= channel->asked_ns) {
        channel->asked_ns = channel->now_ns; /* it says other things meanwhile */
    } else if (channel_is_deserted(channel, channel->asked_ns)) {
        channel_lose_silent(channel);
    }
}

uint64_t channel_turn(struct channel *channel, uint64_t now_ns) {
    channel->now_ns = now_ns;
    if (now_ns >= channel_due_ns(channel)) channel_be_due(channel);
    if (channel->state == CHANNEL_UP) channel_fill(channel);
    if (channel->state >= CHANNEL_STARTING && channel->unsent_from < channel->unsent_to)
        channel_flush(channel);
    return channel_due_ns(channel);
}
