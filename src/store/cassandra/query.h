/* SPDX-License-Identifier: MIT
 *
 * query: one request on its way.
 *
 * It is in exactly one place at a time. One whose deadline has passed while the server had it is over, and
 * stays only to meet its answer. */
#ifndef WEIR_STORE_CASSANDRA_QUERY_H
#define WEIR_STORE_CASSANDRA_QUERY_H

#include "store/cassandra/cassandra.h"
#include "store/net/engine.h"
#include "wire/cql_request.h"
#include "wire/cql_value.h"

struct channel;

enum query_kind {
    QUERY_TEXT,
    QUERY_PREPARED,
    QUERY_REGISTER, /* for events */
};

enum query_place {
    QUERY_NEW,     /* on the stack of those that were submitted; or between two places */
    QUERY_WAITING, /* for its channel to send it */
    QUERY_SENT,    /* its answer is expected */
    QUERY_PAUSED,  /* to be tried again when it is due */
    QUERY_PARKED,  /* until it is known which nodes there are */
    QUERY_HELD,    /* has its answer, waits for all nodes to have the schema */
};

struct query {
    struct job         job;  /* first: the engine gives it back */
    struct query      *next; /* in the list of its place */
    struct query      *previous;
    struct query_list *list;
    struct channel    *channel;
    cassandra_done_fn  done;
    void              *context;
    char              *held; /* QUERY_HELD: the body of its answer */
    size_t             held_bytes;
    uint64_t           held_ns;
    uint32_t           held_number; /* of the peer that answered */
    uint64_t           sent_ns;     /* 0: it was not */
    uint64_t           end_offset;  /* QUERY_SENT: of its last byte in all that its channel sent */
    enum query_kind    kind;
    enum query_place   place;
    const struct cassandra_statement *statement; /* QUERY_PREPARED */
    uint32_t                          statement_index;
    uint32_t                          statement_round; /* of preparing it, when it was sent */
    struct view                       text;            /* QUERY_TEXT */
    struct cql_parameters             parameters;
    int64_t                           token;
    struct cql_uuid                   node; /* has_node */
    uint32_t         avoided;  /* the number of the peer that would not do it last; 0: none */
    int32_t          error;    /* that it met last, or -1 */
    uint8_t          tries;    /* that were in vain */
    uint8_t          own_step; /* of the control's own */
    bool             is_own;   /* of the client itself: nobody counts it or tries it again */
    bool             is_over;  /* its answer was given */
    bool             has_token;
    bool             has_node; /* no other will do */
    bool             is_conditional;
    uint32_t         bytes;
    struct cql_value values[]; /* and behind them the bytes of values and text */
};

/* Queries in order; both ends are at hand. */
struct query_list {
    struct query *first;
    struct query *last;
};

static inline void query_list_append(struct query_list *list, struct query *query) {
    query->list     = list;
    query->next     = NULL;
    query->previous = list->last;
    if (list->last != NULL) {
        list->last->next = query;
    } else {
        list->first = query;
    }
    list->last = query;
}

static inline void query_list_remove(struct query *query) {
    struct query_list *list = query->list;
    if (query->previous != NULL) {
        query->previous->next = query->next;
    } else {
        list->first = query->next;
    }
    if (query->next != NULL) {
        query->next->previous = query->previous;
    } else {
        list->last = query->previous;
    }
    query->list = NULL;
}

static inline struct query *query_list_take(struct query_list *list) {
    struct query *query = list->first;
    if (query != NULL) query_list_remove(query);
    return query;
}

/* NULL: no memory, or it is longer than CASSANDRA_REQUEST_BYTES_MAX or CASSANDRA_VALUES_MAX (`*is_long`). */
struct query *query_new(const struct cassandra_request *request, bool *is_long);
/* REGISTER, for all kinds of events. */
struct query *query_new_register(void);
void          query_free(struct query *query);

/* Room enough for query_write(). */
size_t query_frame_bytes_max(const struct query *query);
/* The frame; `id` is that of its prepared statement. Returns its length. */
size_t query_write(const struct query *query, char *out, size_t room, int16_t stream,
                   struct view id);

#endif
