/* SPDX-License-Identifier: MIT
 *
 * channel: one connection to one node, which comes back when it breaks.
 *
 * Queries wait in line, are sent many at a time, each as a stream of its own, and their answers come in any
 * order. A stream is not used again until its answer has come, however late. Requests of our own go among
 * them: STARTUP, AUTH_RESPONSE, USE, PREPARE, and OPTIONS to see whether somebody is there.
 *
 * A channel decides nothing about a query but when to send it, and that its statement is prepared before;
 * what an answer or the loss of the connection means for it is told to the owner. It is used by one
 * thread. */
#ifndef WEIR_STORE_CASSANDRA_CHANNEL_H
#define WEIR_STORE_CASSANDRA_CHANNEL_H

#include "base/random.h"
#include "store/cassandra/query.h"
#include "store/net/dial.h"
#include "store/net/patience.h"

enum {
    CHANNEL_STREAMS_MAX  = 2048, /* at once; the protocol has 32768 */
    CHANNEL_ID_BYTES_MAX = 32,   /* of a prepared statement; they have 16 */
    CHANNEL_OPEN_MISSES = 3, /* so many in a row, and nobody is let wait for this node any longer */
};

enum channel_state {
    CHANNEL_RESTING, /* until retry_ns; for ever if nobody has wanted it yet */
    CHANNEL_DIALING,
    CHANNEL_STARTING,
    CHANNEL_UP,
};

enum channel_count {
    CHANNEL_CONNECTS,
    CHANNEL_LOSSES,
    CHANNEL_MISSES,
    CHANNEL_PREPARES,
    CHANNEL_UNPREPARED,
    CHANNEL_WRITES,
    CHANNEL_COUNTS,
};

/* What all channels of a kind have in common. */
struct channel_setting {
    struct loop      *loop;
    struct random    *random;
    SSL_CTX          *tls; /* NULL: without */
    const char       *user;
    const char       *password; /* "": we do not log in */
    const char       *keyspace; /* "": none */
    uint64_t          connect_ns;
    _Atomic uint64_t *counts; /* by enum channel_count */

    void *owner;
    /* The server has answered the query; is_executed says that it is no answer to PREPARE. The frame is
     * borrowed. */
    void (*answered)(void *owner, struct channel *channel, struct query *query,
                     const struct cql_frame *frame, bool is_executed);
    /* The channel lets go of a query without an answer. */
    void (*dropped)(void *owner, struct channel *channel, struct query *query, bool was_sent);
    /* It is CHANNEL_UP, or is so no longer. NULL, as the next: nobody wants to know. */
    void (*changed)(void *owner, struct channel *channel);
    void (*heard)(void *owner, struct channel *channel, const struct cql_event *event);
};

/* What an answer is for. */
enum channel_purpose {
    CHANNEL_FOR_NOBODY, /* the stream is free */
    CHANNEL_FOR_QUERY,
    CHANNEL_FOR_STARTUP,
    CHANNEL_FOR_LOGIN,
    CHANNEL_FOR_USE,
    CHANNEL_FOR_PREPARE,
    CHANNEL_FOR_OPTIONS,
};

struct channel_stream {
    struct query        *query; /* CHANNEL_FOR_QUERY */
    enum channel_purpose purpose;
    uint16_t             statement; /* CHANNEL_FOR_PREPARE: which one */
    int16_t              next_free; /* -1: there are no more */
};

enum channel_knowledge { CHANNEL_UNKNOWN, CHANNEL_ASKED, CHANNEL_KNOWN };

/* What its node knows of a statement. */
struct channel_statement {
    enum channel_knowledge knowledge;
    uint32_t               round; /* how often it was prepared */
    uint32_t               id_bytes;
    char                   id[CHANNEL_ID_BYTES_MAX];
    struct query_list      waiting; /* for it to be prepared */
};

struct channel {
    const struct channel_setting *setting;
    enum channel_state            state;
    bool                          is_wanted;
    bool                          is_asking; /* OPTIONS was sent, its answer is expected */
    uint32_t                      peer_number;
    struct dial                   dial;
    struct stream                 stream;
    unsigned                      interest; /* as the loop knows it */
    uint64_t                      now_ns;   /* as last told */
    uint64_t                      retry_ns;
    uint64_t since_ns; /* of the attempt; CHANNEL_UP: when it was heard last, or asked after that */
    uint64_t asked_ns; /* is_asking: since when */
    struct patience patience;
    unsigned        failures; /* in a row */
    unsigned        misses;   /* in a row, with nothing heard in between */
    uint64_t        missed_ns;
    int32_t         error; /* why the last connection ended, of enum cql_error_code; or -1 */
    char            problem[CASSANDRA_PROBLEM_BYTES_MAX]; /* the same in words; "" at first */
    char            server[CASSANDRA_SERVER_BYTES_MAX];

    struct query_list        waiting;
    struct channel_statement statements[CASSANDRA_STATEMENTS_MAX];
    struct channel_stream   *streams; /* while there is a connection */
    int16_t                  free_stream;
    uint32_t                 flight_count; /* of queries */
    uint32_t                 orphan_count; /* of those that are over */

    char    *inbox;
    size_t   inbox_used;
    size_t   inbox_room;
    char    *unsent;
    size_t   unsent_from;
    size_t   unsent_to;
    size_t   unsent_room;
    uint64_t sent_bytes; /* that the stream has taken since the connection began */
};

/* It stays in place until channel_clear(). */
void channel_init(struct channel *channel, const struct channel_setting *setting,
                  const struct url_host *host);
/* Another host from the next connection on. */
void channel_set_host(struct channel *channel, const struct url_host *host);
/* Ends the connection and drops what it has; the loop's events of this turn may still name it. */
void channel_clear(struct channel *channel);

/* Connect, even if nothing is to be sent. */
void channel_want(struct channel *channel);
/* Sends it as soon as it can be. */
void channel_send(struct channel *channel, struct query *query);
/* Takes back what waits. */
void channel_take_back(struct query *query);
/* The deadline of something that was sent has passed. */
void channel_miss(struct channel *channel, const struct query *query);
/* Gives the connection up; `error` is the server's, or -1. */
void channel_lose(struct channel *channel, int32_t error, const char *problem);
/* Somebody says that the node is there: try now, if it is being waited for. */
void channel_hurry(struct channel *channel, uint64_t now_ns);

/* Whether waiting for it is in vain: it has failed again and again. */
bool channel_is_hopeless(const struct channel *channel);

/* Why nothing comes from there, with the address. */
void channel_problem_write(const struct channel *channel, char out[CASSANDRA_PROBLEM_BYTES_MAX]);

/* An event of the loop; a lookup that has ended. */
void channel_react(struct channel *channel, const struct loop_event *event, uint64_t now_ns);
void channel_looked_up(struct channel *channel, uint64_t now_ns);
/* Once a turn: what is due by time, and what can be sent. Returns when it wants to be called again. */
uint64_t channel_turn(struct channel *channel, uint64_t now_ns);

#endif
