/* SPDX-License-Identifier: MIT
 *
 * redis: a command for the right server, and its answer before a deadline.
 *
 * An asynchronous client over hiredis' reply reader. One thread of its own has all connections; any
 * thread may submit. Standalone servers, Sentinel and Cluster differ only in the URL (url.h).
 *
 *     struct redis *r = redis_open(view_of("redis://127.0.0.1"), NULL, problem);
 *     struct redis_script script;
 *     redis_script_init(&script, "return redis.call('INCRBY', KEYS[1], ARGV[1])");
 *     redis_submit(r, &(struct redis_command){.script = &script, .keys = &key, .key_count = 1,
 *                                             .words = &cost, .word_count = 1,
 *                                             .done = on_answer, .context = me});
 *
 * What is promised:
 *
 * - If redis_submit() takes a command, `done` is called exactly once, on the client's thread, and no later
 *   than its deadline and a turn of the loop. It says how the command ended (status) and whether it was
 *   executed (fate): FATE_UNKNOWN may be sent again only if executing it twice does no harm.
 * - A command that surely was not executed is tried again by itself until its deadline, where that may help:
 *   on a server that moved, on a connection that is new. One that may have been executed never is.
 * - Commands of one key take one connection, in the order in which one thread submitted them; only what
 *   is tried again may come later. With options.replicas there are two: those that want replicas stay in
 *   order among themselves, and so do those that do not.
 * - Nothing grows without bound: commands_max, and COMMAND_BYTES_MAX each.
 *
 * After fork() the child has no thread that could answer: there every call says REDIS_FORKED. */
#ifndef WEIR_STORE_REDIS_REDIS_H
#define WEIR_STORE_REDIS_REDIS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"
#include "store/net/fate.h"
#include "store/redis/trouble.h"

struct latch;
struct redis;
struct redisReply; /* <hiredis/hiredis.h> */

enum {
    REDIS_PROBLEM_BYTES_MAX = 640,
    REDIS_SERVER_BYTES_MAX  = 272,       /* "host:port" */
    REDIS_COMMAND_BYTES_MAX = 64 * 1024, /* as sent, a script's text apart */
    REDIS_CONNECTIONS_MAX   = 16,
    REDIS_COMMANDS_DEFAULT  = 16384,
    REDIS_SCRIPT_NAME_BYTES = 40,
};

#define REDIS_REPLICAS_NS_DEFAULT UINT64_C(10000000)

#define REDIS_STATUS_TABLE(X)                                                                      \
    X(REDIS_DONE, "done")                                                                          \
    X(REDIS_FAILED, "the server reports an error")                                                 \
    X(REDIS_REFUSED, "the server refuses it")                                                      \
    X(REDIS_UNREADY, "no server takes it now")                                                     \
    X(REDIS_UNREACHABLE, "the server cannot be reached")                                           \
    X(REDIS_LATE, "the server did not answer in time")                                             \
    X(REDIS_LOST, "the connection ended before the answer came")                                   \
    X(REDIS_FULL, "too many commands wait already")                                                \
    X(REDIS_FORKED, "this process is a child of the one that opened the store")                    \
    X(REDIS_BAD_COMMAND, "the command is too long, or its keys are in two slots")                  \
    X(REDIS_NO_MEMORY, "out of memory")

enum redis_status {
#define REDIS_STATUS_VALUE(name, text) name,
    REDIS_STATUS_TABLE(REDIS_STATUS_VALUE)
#undef REDIS_STATUS_VALUE
};

/* Zero means the default. Texts are copied. */
struct redis_options {
    uint64_t deadline_ns;  /* of a command that names none: 20 ms */
    uint64_t connect_ns;   /* to connect and greet, and how long a connection may be silent: 1 s */
    unsigned connections;  /* to each server: 1 */
    unsigned commands_max; /* that are not yet answered: REDIS_COMMANDS_DEFAULT */

    /* WAIT: before answers are shown, so many replicas have them, or so much time has passed. One WAIT for
     * all commands that were sent together. What does not want replicas never stands behind one: it has a
     * connection of its own to each server, one more. */
    unsigned replicas;    /* 0: no WAIT */
    uint64_t replicas_ns; /* REDIS_REPLICAS_NS_DEFAULT; at most connect_ns / 2 */

    /* Called on the client's thread in each of its turns, before it sends: what is submitted there goes out
     * together. Returns when it wants to be called again at the latest, on clock_now_ns(); UINT64_MAX: when
     * something happens. Must be quick, and must neither call redis_call() nor redis_close(). NULL: nobody
     * is called. */
    uint64_t (*turn)(void *context);
    void *turn_context;

    /* TLS. Without ca_file: those that the system trusts. */
    const char *ca_file;
    const char *cert_file; /* of ours, for servers that ask for one; with key_file */
    const char *key_file;

    /* At the Sentinels; the URL's are for the servers. */
    const char *sentinel_user;
    const char *sentinel_password;
};

/* A script and its name, which the caller keeps as long as the client is open. */
struct redis_script {
    struct view text;
    char        name[REDIS_SCRIPT_NAME_BYTES]; /* its SHA-1 in hexadecimal */
};

struct redis_result {
    enum redis_status status;
    enum fate         fate;
    enum trouble trouble; /* REDIS_FAILED, REDIS_REFUSED, and mostly REDIS_UNREADY: which one */
    struct redisReply
        *reply;        /* REDIS_DONE. Who wants to keep it sets it to NULL here, and frees it */
    bool is_confirmed; /* at least options.replicas replicas have it */
    bool is_behind;    /* REDIS_LATE: what was sent before waited for replicas still */
    char problem[REDIS_PROBLEM_BYTES_MAX]; /* what an operator reads; "" if REDIS_DONE */
};

/* Must be quick, may submit, and must neither call redis_call() nor redis_close(). */
typedef void (*redis_done_fn)(void *context, struct redis_result *result);

struct redis_command {
    const struct redis_script *script; /* NULL: `words` are a whole command */
    const struct view *keys;      /* of the script; of a whole command: they only name the slot */
    const struct view *words;     /* what follows the keys */
    unsigned           key_count; /* all in one slot */
    unsigned           word_count;
    uint64_t           deadline_ns;    /* on clock_now_ns(); 0: options.deadline_ns from now */
    bool               wants_replicas; /* waits for options.replicas */
    bool               has_slot;       /* for a command without a key: ask the server of `slot` */
    uint16_t           slot;
    redis_done_fn      done;
    void              *context;
};

/* Does not wait for a server: commands do, until their deadlines. NULL: `problem` says what is wrong with
 * the URL or the options. */
struct redis *redis_open(struct view url, const struct redis_options *options,
                         char problem[REDIS_PROBLEM_BYTES_MAX]);

/* What was submitted is answered first; that takes no longer than its deadlines. No other thread may be
 * using `r`. In a child of fork() it gives back nothing but the handle: the rest was never the child's. */
void redis_close(struct redis *r);

/* Whether its URL is of a Cluster, where the keys of a command must be in one slot. */
bool redis_is_cluster(const struct redis *r);

void redis_script_init(struct redis_script *script, const char *text);

/* REDIS_DONE: taken; the views are not needed any longer, and `done` will be called. All else: not taken, and
 * `done` will not be called. */
enum redis_status redis_submit(struct redis *r, const struct redis_command *command);

/* The same and waits for the answer; `done` and `context` are not looked at. The caller frees the reply
 * by redis_result_clear(). */
void redis_call(struct redis *r, const struct redis_command *command, struct redis_result *result);
void redis_result_clear(struct redis_result *result);
/* Waits for what `done` of a command opens; not on the client's thread, which is to answer it. */
void redis_wait(const struct redis *r, struct latch *latch);

/* Makes the client's thread take a turn, soon. Any thread. */
void redis_wake(struct redis *r);

/* Waits until there is a server that takes commands: REDIS_DONE; else `result` says what is wrong. */
void redis_ready(struct redis *r, uint64_t deadline_ns, struct redis_result *result);

const char *redis_status_text(enum redis_status status);
const char *redis_status_name(enum redis_status status); /* "late" */

/* Since it was opened; any thread. */
struct redis_counts {
    uint64_t connects;  /* attempts */
    uint64_t losses;    /* connections that ended, attempts that failed */
    uint64_t misses;    /* commands that were sent and not answered by their deadline */
    uint64_t redirects; /* MOVED and ASK */
    uint64_t refreshes; /* questions to Sentinels, or for a Cluster's slots */
    uint64_t loads;     /* of scripts */
    uint64_t waits;     /* WAIT */
    uint64_t writes;    /* to sockets */
};
void redis_counts(const struct redis *r, struct redis_counts *counts);

#endif
