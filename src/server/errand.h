/* SPDX-License-Identifier: MIT
 *
 * errand: what one connection waits for at a remote store, and how its thread hears that it is over.
 *
 * There are two kinds. Calls that ask for decisions: all of these are asked for at once, a ticket each,
 * and the calls are kept until the last ticket is done. And one call that may wait for the store in a
 * function of ours (command.h: `act`), which a runner makes.
 *
 * A connection has one errand at a time and is not read meanwhile. So an errand holds at most
 * BATCH_CALLS_MAX calls, of the bytes that one read has brought, and a request that was kept before.
 *
 * A ticket cannot be taken back: an errand whose peer has left goes on without it until the last ticket is
 * done, which is within the store's deadline. Only then is it freed, by the thread that sent it. Until then
 * it counts as a connection: whoever comes, asks and goes would fill the memory. */
#ifndef WEIR_SERVER_ERRAND_H
#define WEIR_SERVER_ERRAND_H

#include <stdatomic.h>

#include "base/arrivals.h"
#include "os/loop.h"
#include "server/batch.h"

/* What is posted to a loop whose owner is to look into its inbox. */
#define INBOX_WORD (UINT64_MAX - 2)

/* Errands of one thread that are over. Any thread puts them in; the owner takes them out, woken by one word
 * for all that came since it looked. */
struct inbox {
    struct loop     *loop;
    struct arrivals  over;
    _Atomic uint32_t putting;    /* threads that are about to touch the loop */
    size_t           out_count;  /* the owner's: sent, and not taken out yet */
    _Atomic size_t   left_count; /* of these, for nobody. Any thread reads it */
};

struct errand {
    struct arrival   arrival; /* in the inbox; first */
    struct inbox    *inbox;
    void            *peer;     /* who waits; NULL: nobody any more. The owner's */
    struct call     *calls;    /* in order, with all that their views show */
    weir_request    *requests; /* of these; their users are not kept */
    size_t           call_count;
    size_t           ticket_count; /* 0: a runner makes the one call */
    struct reply     reply;        /* what the runner's call has answered */
    _Atomic uint32_t left;         /* parts that are not done */
    weir_ticket      tickets[];    /* one for each request */
};

void inbox_init(struct inbox *inbox, struct loop *loop);
/* When no errand is out: from then on no other thread touches the inbox or its loop. */
void inbox_close(struct inbox *inbox);

/* For nobody yet, and without calls. NULL: there is no memory. */
struct errand *errand_new(struct inbox *inbox, size_t ticket_count);
/* It is out, and whoever waited for it does not any more. */
void errand_leave(struct errand *e);
void errand_free(struct errand *e);

/* Asks for the decisions of ticket_count requests. True: they are all in the tickets. False: the errand is
 * out, and comes to the inbox. */
bool errand_ask(struct errand *e, weir *store, const weir_request *requests);

/* Copies calls of one peer, and the requests that they refer to from `request_index` on, out of a batch.
 * False: there is no memory. */
bool errand_keep(struct errand *e, const struct call *calls, size_t call_count,
                 const weir_request *requests, size_t request_index);

/* A part is done; any thread. With the last one, the errand belongs to the inbox's owner again. */
void errand_part_done(struct errand *e);

#endif
