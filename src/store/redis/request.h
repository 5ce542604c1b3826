/* SPDX-License-Identifier: MIT
 *
 * request: one command on its way.
 *
 * It is in exactly one place at a time. One whose deadline has passed while the server had it is over, and
 * stays only to meet its reply. */
#ifndef WEIR_STORE_REDIS_REQUEST_H
#define WEIR_STORE_REDIS_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/net/engine.h"
#include "store/redis/redis.h"

struct link;

enum request_place {
    REQUEST_NEW,     /* on the stack of those that were submitted; or between two places */
    REQUEST_WAITING, /* for its link to send it */
    REQUEST_SENT,    /* its reply is expected */
    REQUEST_HELD,    /* has its reply, waits for replicas */
    REQUEST_PAUSED,  /* to be tried again when it is due */
    REQUEST_PARKED,  /* until it is known whom to ask */
};

struct request {
    struct job                 job;  /* first: the engine gives it back */
    struct request            *next; /* in the list of its place */
    struct request            *previous;
    struct link               *link;
    const struct redis_script *script;
    redis_done_fn              done;
    void                      *context;
    struct redisReply         *reply; /* REQUEST_HELD */
    char                      *asked; /* has_trouble: who said it, "host:port"; NULL: no memory */
    uint64_t                   sent_ns;
    uint64_t           end_offset; /* REQUEST_SENT: of its last byte in all that its link sent */
    uint64_t           batch;      /* REQUEST_HELD: the WAIT that lets it go */
    enum request_place place;
    enum trouble       trouble; /* the last that made it be tried again, if has_trouble */
    uint16_t           slot;
    uint8_t            tries; /* redirections and loads so far */
    bool               wants_replicas;
    bool               is_asking; /* ASKING goes before it, once */
    bool               is_own;    /* of the client itself: nobody counts or repeats it */
    bool               is_over;   /* its answer was given */
    bool               has_trouble;
    bool               is_behind; /* replicas were waited for before it, when its deadline passed */
    uint32_t           bytes;
    char               command[]; /* as it is sent */
};

/* Requests in order; both ends are at hand. */
struct request_list {
    struct request *first;
    struct request *last;
};

static inline void request_list_append(struct request_list *list, struct request *request) {
    request->next     = NULL;
    request->previous = list->last;
    if (list->last != NULL) {
        list->last->next = request;
    } else {
        list->first = request;
    }
    list->last = request;
}

static inline void request_list_remove(struct request_list *list, struct request *request) {
    if (request->previous != NULL) {
        request->previous->next = request->next;
    } else {
        list->first = request->next;
    }
    if (request->next != NULL) {
        request->next->previous = request->previous;
    } else {
        list->last = request->previous;
    }
}

static inline struct request *request_list_take(struct request_list *list) {
    struct request *request = list->first;
    if (request != NULL) request_list_remove(list, request);
    return request;
}

/* A command as RESP has it; NULL: no memory, or it is longer than REDIS_COMMAND_BYTES_MAX (`*is_long`). */
struct request *request_new(const struct redis_command *command, bool *is_long);

/* With the reply that it may hold. */
void request_free(struct request *request);

#endif
