/* SPDX-License-Identifier: MIT
 *
 * cassandra: a statement for the right node, and its answer before a deadline.
 *
 * An asynchronous client of Apache Cassandra's native protocol, version 4 (wire/cql.h). One thread of its own
 * has all connections; any thread may submit.
 *
 *     static const struct cassandra_statement add = {"UPDATE hits SET n = ? WHERE name = ?"};
 *     struct cassandra *c = cassandra_open(view_of("cassandra://127.0.0.1/weir"), NULL, problem);
 *     cassandra_submit(c, &(struct cassandra_request){.statement = &add, .values = values,
 *                                                     .value_count = 2, .key = name,
 *                                                     .consistency = CQL_QUORUM,
 *                                                     .done = on_answer, .context = me});
 *
 * What is promised:
 *
 * - If cassandra_submit() takes a request, `done` is called exactly once, on the client's thread, and no
 *   later than its deadline and a turn of the loop. It says how the request ended (status) and whether it was
 *   executed (fate): FATE_UNKNOWN may be sent again only if executing it twice does no harm.
 * - A request that surely was not executed is tried again by itself until its deadline, where that may help:
 *   at another node, or later. One that may have been executed never is, but for a conditional update of
 *   which a server says UNAVAILABLE or OVERLOADED: nearly always that means that it was not, and a later try
 *   may find what an earlier one has done. If none is answered its fate is FATE_UNKNOWN.
 * - A statement is prepared at each node when it is first wanted there, and again if the node forgot it.
 * - A request with a key goes to a replica of that key, if one is up; nodes of the local data centre come
 *   first.
 * - Nothing grows without bound: requests_max, and CASSANDRA_REQUEST_BYTES_MAX each.
 *
 * Requests are not kept in order, not even those of one key: a server has many hands.
 *
 * After fork() the child has no thread that could answer: there every call says CASSANDRA_FORKED. */
#ifndef WEIR_STORE_CASSANDRA_CASSANDRA_H
#define WEIR_STORE_CASSANDRA_CASSANDRA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "store/net/fate.h"
#include "wire/cql_response.h"
#include "wire/cql_value.h"

struct cassandra;

enum {
    CASSANDRA_PROBLEM_BYTES_MAX = 640,
    CASSANDRA_SERVER_BYTES_MAX  = 272, /* "host:port" */
    CASSANDRA_REQUEST_BYTES_MAX =
        64 * 1024, /* the text of a request that is not prepared, and all values */
    CASSANDRA_VALUES_MAX       = 256,
    CASSANDRA_STATEMENTS_MAX   = 64, /* prepared ones of one client */
    CASSANDRA_CONNECTIONS_MAX  = 16,
    CASSANDRA_REQUESTS_DEFAULT = 16384,
};

#define CASSANDRA_STATUS_TABLE(X)                                                                  \
    X(CASSANDRA_DONE, "done")                                                                      \
    X(CASSANDRA_FAILED, "the server reports an error")                                             \
    X(CASSANDRA_REFUSED, "the server refuses it")                                                  \
    X(CASSANDRA_UNREADY, "no server takes it now")                                                 \
    X(CASSANDRA_UNREACHABLE, "no server can be reached")                                           \
    X(CASSANDRA_LATE, "the server did not answer in time")                                         \
    X(CASSANDRA_LOST, "the connection ended before the answer came")                               \
    X(CASSANDRA_FULL, "too many requests wait already")                                            \
    X(CASSANDRA_FORKED, "this process is a child of the one that opened the store")                \
    X(CASSANDRA_BAD_REQUEST,                                                                       \
      "the request is too long, or there are too many values or statements")                       \
    X(CASSANDRA_NO_MEMORY, "out of memory")

enum cassandra_status {
#define CASSANDRA_STATUS_VALUE(name, text) name,
    CASSANDRA_STATUS_TABLE(CASSANDRA_STATUS_VALUE)
#undef CASSANDRA_STATUS_VALUE
};

/* Zero means the default. Texts are copied. */
struct cassandra_options {
    uint64_t deadline_ns;  /* of a request that names none: 500 ms */
    uint64_t connect_ns;   /* to connect and to log in, and how long a node may be silent: 2 s */
    unsigned connections;  /* to each node: 1 */
    unsigned requests_max; /* that are not yet answered: CASSANDRA_REQUESTS_DEFAULT */

    /* Called on the client's thread in each of its turns, before it sends: what is submitted there goes out
     * together. Returns when it wants to be called again at the latest, on clock_now_ns(); UINT64_MAX: when
     * something happens. Must be quick, and must neither call cassandra_call() nor cassandra_close(). */
    uint64_t (*turn)(void *context);
    void *turn_context;

    /* TLS. Without ca_file: those that the system trusts. */
    const char *ca_file;
    const char *cert_file; /* of ours, for servers that ask for one; with key_file */
    const char *key_file;
};

/* A statement to be prepared, by its address: the caller keeps it and its text as they are while a client is
 * open that was given it. */
struct cassandra_statement {
    const char *text;
};

struct cassandra_result {
    enum cassandra_status status;
    enum fate             fate;
    int32_t               error;  /* of enum cql_error_code, if a server said one; else -1 */
    struct cql_result     result; /* CASSANDRA_DONE; borrowed until `done` returns */
    struct view           body;   /* the same as the server sent it */
    const char *
        server; /* who answered, or did not: "host:port"; NULL: it was sent to none. Borrowed, too */
    /* CASSANDRA_DONE of what changes the schema: whether all nodes that are up have it. */
    bool  is_agreed;
    void *kept;                                 /* what cassandra_result_clear() frees */
    char  problem[CASSANDRA_PROBLEM_BYTES_MAX]; /* what an operator reads; "" if CASSANDRA_DONE */
};

/* Must be quick, may submit, and must neither call cassandra_call() nor cassandra_close(). */
typedef void (*cassandra_done_fn)(void *context, struct cassandra_result *result);

struct cassandra_request {
    const struct cassandra_statement
                           *statement; /* NULL: `text` is sent as it is, and not prepared */
    struct view             text;
    const struct cql_value *values; /* one for each marker */
    unsigned                value_count;
    struct view key; /* of the partition, as cql_key_write() writes it; empty: any node will do. Its
                        replicas are those of the URL's keyspace */
    const struct cql_uuid
        *node; /* its host_id: this one alone is asked, in whatever data centre; NULL: who
                                    is best */
    enum cql_consistency consistency;
    enum cql_consistency
             serial_consistency; /* CQL_SERIAL or CQL_LOCAL_SERIAL; 0: the server's, SERIAL */
    bool     is_conditional;     /* all clients should ask the same replica first */
    bool     skips_columns;      /* rows come without the names of their columns */
    bool     has_timestamp;
    int64_t  timestamp_us; /* since 1970, not negative */
    uint64_t deadline_ns;  /* on clock_now_ns(); 0: options.deadline_ns from now */
    cassandra_done_fn done;
    void             *context;
};

/* Does not wait for a server: requests do, until their deadlines. NULL: `problem` says what is wrong with the
 * URL (see contact.h) or the options. */
struct cassandra *cassandra_open(struct view url, const struct cassandra_options *options,
                                 char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

/* What was submitted is answered first; that takes no longer than its deadlines. No other thread may be
 * using `c`. In a child of fork() it gives back nothing but the handle: the rest was never the child's. */
void cassandra_close(struct cassandra *c);

/* CASSANDRA_DONE: taken; the views are not needed any longer, and `done` will be called. All else: not taken,
 * and `done` will not be called. */
enum cassandra_status cassandra_submit(struct cassandra               *c,
                                       const struct cassandra_request *request);

/* The same and waits for the answer; `done` and `context` are not looked at. cassandra_result_clear() must
 * follow; until then the result is there. */
void cassandra_call(struct cassandra *c, const struct cassandra_request *request,
                    struct cassandra_result *result);
void cassandra_result_clear(struct cassandra_result *result);

/* Makes the client's thread take a turn, soon. Any thread. */
void cassandra_wake(struct cassandra *c);

/* Waits until there is a node that takes statements: CASSANDRA_DONE; else `result` says what is wrong. */
void cassandra_ready(struct cassandra *c, uint64_t deadline_ns, struct cassandra_result *result);

/* Whether this process is a child of the one that opened it. */
bool cassandra_is_forked(const struct cassandra *c);

const char *cassandra_status_text(enum cassandra_status status);
const char *cassandra_status_name(enum cassandra_status status); /* "CASSANDRA_LATE" */

/* Since it was opened; any thread. */
struct cassandra_counts {
    uint64_t connects;   /* attempts */
    uint64_t losses;     /* connections that ended, attempts that failed */
    uint64_t misses;     /* requests that were sent and not answered by their deadline */
    uint64_t prepares;   /* of statements, at a node */
    uint64_t unprepared; /* requests whose statement a node had forgotten */
    uint64_t retries;    /* of requests that a server did not execute */
    uint64_t refreshes;  /* of what is known of the nodes */
    uint64_t events;     /* of nodes and schema, as a server told them */
    uint64_t writes;     /* to sockets */
};
void cassandra_counts(const struct cassandra *c, struct cassandra_counts *counts);

#endif
