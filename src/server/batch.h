/* SPDX-License-Identifier: MIT
 *
 * batch: the requests of one turn, from all its connections, and how they are answered together.
 *
 * A turn collects calls in the order in which they were read. Those that ask for a decision put a
 * weir_request beside it; batch_settle() lets the limiter decide all of these at once, which is what
 * makes the table fast (it fetches the lines of many users at a time), and then answers each call in
 * order. What a call answers is written only then, so that replies never overtake each other.
 *
 * Where the store is remote, all decisions are asked for at once too, but some may not be there yet. The
 * calls of a peer who has such ones are kept in an errand, and answered when it is over (batch_resume());
 * those of the others are answered now.
 *
 * A batch borrows: the views in its calls point into what was read, and must hold until it is
 * settled. */
#ifndef WEIR_SERVER_BATCH_H
#define WEIR_SERVER_BATCH_H

#include <stdbool.h>
#include <weir.h>

#include "server/reply.h"
#include "server/service.h"
#include "server/session.h"

/* Larger batches no longer gain: at 256 the requests and decisions are 40 KB, which leaves room for
 * the users' lines in the first caches. */
enum {
    BATCH_CALLS_MAX = 256,
    BATCH_WORDS_MAX = 4 * RESP_WORDS_MAX,
};

struct command;
struct errand;
struct inbox;
struct runner;

enum { CALL_DECIDES_NOTHING = UINT16_MAX };

/* One request of a peer, understood but not answered. */
struct call {
    struct session       *session;
    void                 *peer;    /* who is told; as given to batch_take() */
    const struct command *command; /* NULL: unknown */
    const struct view    *words; /* words[0] is the command's name; not kept for a plain decision */
    const char *problem; /* the request is answered with this error, and nothing was asked */
    struct view problem_word;
    uint16_t    word_count;
    uint16_t    decision_index;
    bool        is_misused; /* too many words for its command, or too few */
};

struct batch {
    const struct service *service;
    struct inbox  *inbox; /* of errands; NULL where the store is not remote, as is the runner */
    struct runner *runner;
    uint64_t       now_ns; /* of the latest settling */
    struct reply   reply;  /* what `open_peer` is to be told, as far as it was not handed on */
    void          *open_peer;
    size_t         call_count;
    size_t         word_count;
    size_t         request_count;
    uint64_t       commands;           /* answered since batch_init() */
    uint64_t       errors_of_protocol; /* the same */
    struct call    calls[BATCH_CALLS_MAX];
    weir_request   requests[BATCH_CALLS_MAX];
    weir_decision  decisions[BATCH_CALLS_MAX];
    struct view    words[BATCH_WORDS_MAX];
};

/* Hands on what a peer is to be told. It may come in several parts, and be empty for one that wants no
 * answers; when session.is_leaving is set, the part is the last. */
typedef void (*batch_deliver_fn)(void *context, void *peer, const struct reply *reply);

void batch_init(struct batch *b, const struct service *service);
void batch_clear(struct batch *b);

/* Room for the words of one more request; NULL: the batch is full and must be settled first. */
struct view *batch_words(struct batch *b);

enum batch_outcome {
    BATCH_TAKEN,      /* go on */
    BATCH_TAKEN_LAST, /* taken, but settle before the next request: it must see what this one did */
};

/* Takes the request that stands in batch_words(). */
enum batch_outcome batch_take(struct batch *b, struct session *session, void *peer,
                              size_t word_count);

/* Takes the end of a conversation: the peer is told `-ERR Protocol error: <problem>` after all that it
 * is to be told before, and leaves. Needs batch_words() not to be NULL. */
void batch_take_broken(struct batch *b, struct session *session, void *peer, const char *problem);

/* Decides and answers all calls, as of `now_ns`, but those of peers who now wait for an errand: their
 * sessions have it. The replies of the last peer may stay open, since more of its calls may follow;
 * batch_hand_on() ends them. */
void batch_settle(struct batch *b, uint64_t now_ns, batch_deliver_fn deliver, void *context);
void batch_hand_on(struct batch *b, batch_deliver_fn deliver, void *context);

/* Answers the calls of an errand that is over, and frees it. The batch must be settled. The peer may have to
 * wait for another then. */
void batch_resume(struct batch *b, struct errand *errand, uint64_t now_ns, batch_deliver_fn deliver,
                  void *context);

#endif
