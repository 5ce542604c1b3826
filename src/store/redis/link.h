/* SPDX-License-Identifier: MIT
 *
 * link: one connection to one server, which comes back when it breaks.
 *
 * Requests wait in line, are sent many at a time, and meet their replies in the order in which they were
 * sent. Commands of our own go among them: the greeting (AUTH, SELECT, HELLO, ROLE, PING), SCRIPT LOAD,
 * ASKING, WAIT, and a PING when nothing else is to be said.
 *
 * A link decides nothing about a request but when to send it: what a reply or the loss of the connection
 * means for it is told to the owner. It is used by one thread. */
#ifndef WEIR_STORE_REDIS_LINK_H
#define WEIR_STORE_REDIS_LINK_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "os/loop.h"
#include "store/net/dial.h"
#include "store/net/patience.h"
#include "store/redis/request.h"
#include "store/redis/url.h"

struct redisReader;

enum {
    LINK_FLIGHT_MAX   = 1024, /* commands that were sent and not answered */
    LINK_EXPECTED_MAX = 4096, /* the same and our own among them */
    LINK_OPEN_MISSES  = 3, /* so many in a row, and nobody is let wait for this server any longer */
    LINK_BATCHES_MAX  = 2, /* that wait for replicas */
};

enum link_state {
    LINK_RESTING, /* until retry_ns; for ever if nobody has wanted it yet */
    LINK_DIALING,
    LINK_GREETING,
    LINK_UP,
};

/* What a reply is for. */
enum link_purpose {
    LINK_COMMAND,
    LINK_AUTH,
    LINK_SELECT,
    LINK_MODE,
    LINK_ROLE,
    LINK_HELLO_PING,
    LINK_IDLE_PING,
    LINK_ASKING,
    LINK_LOAD,
    LINK_WAIT,
};

struct link_expected {
    enum link_purpose purpose;
    struct request   *request; /* LINK_COMMAND */
};

/* What all links of a client have in common. */
struct link_setting {
    struct loop      *loop;
    struct random    *random;
    SSL_CTX          *tls; /* NULL: without */
    const char       *user;
    const char       *password;
    uint32_t          database;
    bool              is_primary_wanted; /* a replica is not the server that we mean */
    bool              is_whole_wanted;   /* nor is one that has some slots of a Cluster */
    uint64_t          connect_ns;
    unsigned          replicas;
    uint64_t          replicas_ns;
    _Atomic uint64_t *counts; /* by enum link_count */

    void *owner;
    /* The server has answered; `reply` is handed over. */
    void (*answered)(void *owner, struct link *link, struct request *request,
                     struct redisReply *reply, bool is_confirmed);
    /* The link lets go of a request without an answer. */
    void (*dropped)(void *owner, struct link *link, struct request *request, bool was_sent);
    /* It is LINK_UP, or is so no longer. */
    void (*changed)(void *owner, struct link *link);
    /* A message that nobody asked for. Only read. */
    void (*heard)(void *owner, struct link *link, const struct redisReply *message);
};

enum link_count {
    LINK_CONNECTS,
    LINK_LOSSES,
    LINK_MISSES,
    LINK_LOADS,
    LINK_WAITS,
    LINK_WRITES,
    LINK_COUNTS,
};

struct link {
    const struct link_setting *setting;
    enum link_state            state;
    bool                       is_wanted;
    bool                is_listening; /* it has subscribed: messages come among the replies */
    struct dial         dial;
    struct stream       stream;
    struct redisReader *reader;
    unsigned            interest; /* as the loop knows it */
    uint64_t            now_ns;   /* as last told */

    uint64_t retry_ns;
    uint64_t
        since_ns; /* of the attempt; LINK_UP: when the server was heard last, or asked after that */
    struct patience patience;
    unsigned        failures; /* in a row */
    unsigned        misses;   /* in a row, with nothing heard in between */
    uint64_t        missed_ns;
    enum trouble    trouble; /* why the last connection ended, if has_trouble */
    bool            has_trouble;
    char            problem[REDIS_PROBLEM_BYTES_MAX]; /* the same in words; "" at first */

    struct request_list  again; /* to be sent before those that wait */
    struct request_list  waiting;
    struct request_list  held;
    struct link_expected expected[LINK_EXPECTED_MAX]; /* a ring */
    uint32_t             expected_first;
    uint32_t             expected_count;
    uint32_t             flight_count; /* of LINK_COMMAND among them */
    uint32_t             wait_count;   /* of LINK_WAIT */
    uint64_t             batch;        /* of the last WAIT that was sent */
    uint64_t             batch_done;
    uint64_t             batch_sent_ns[LINK_BATCHES_MAX]; /* by batch % LINK_BATCHES_MAX */
    uint64_t
        confirm_ns; /* how long the last one took until it was confirmed; UINT64_MAX: none yet */

    /* A script that the server does not know. Nothing is sent until all that was sent before is answered,
     * so that the commands of a key stay in order, and until the server has taken the text. */
    const struct redis_script *unknown;
    bool                       is_loading;

    char    *unsent;
    size_t   unsent_from;
    size_t   unsent_to;
    size_t   unsent_room;
    uint64_t sent_bytes; /* that the stream has taken since the connection began */
};

/* It stays in place until link_clear(). */
void link_init(struct link *link, const struct link_setting *setting, const struct url_host *host);
/* Ends the connection and drops what it has; the loop's events of this turn may still name it. */
void link_clear(struct link *link);

/* Connect, even if nothing is to be sent. */
void link_want(struct link *link);
/* Sends it as soon as it can be. */
void link_send(struct link *link, struct request *request);
/* Takes back what is not sent: waiting or held. */
void link_take_back(struct link *link, struct request *request);
/* Drops what is not sent, for another server to take it. */
void link_release(struct link *link);
/* The deadline of something that was sent has passed. */
void link_miss(struct link *link, const struct request *request);

/* Whether the server has answered all that came before a WAIT, and holds up the rest for it. */
bool link_waits_for_replicas(const struct link *link);
/* Gives the connection up, and looks the server up anew. */
void link_lose(struct link *link, const enum trouble *trouble, const char *problem);

/* Whether waiting for it is in vain: it has failed again and again. */
bool link_is_hopeless(const struct link *link);

/* Why nothing comes from there, with the address. */
void link_problem_write(const struct link *link, char out[REDIS_PROBLEM_BYTES_MAX]);

/* An event of the loop; a lookup that has ended. */
void link_react(struct link *link, const struct loop_event *event, uint64_t now_ns);
void link_looked_up(struct link *link, uint64_t now_ns);
/* Once a turn: what is due by time, and what can be sent. Returns when it wants to be called again. */
uint64_t link_turn(struct link *link, uint64_t now_ns);

#endif
