/* SPDX-License-Identifier: MIT
 *
 * conversation: what would a server say? Request bytes in, reply bytes out, through the real commands
 * and a real limiter, without a socket and on a clock that the caller sets. */
#ifndef WEIR_TEST_CONVERSATION_H
#define WEIR_TEST_CONVERSATION_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limiter.h"
#include "server/protocol.h"

struct conversation {
    struct service service; /* first: its functions find the rest from it */
    struct batch   batch;
    struct session session;
    uint64_t       now_ns;
    char          *told; /* all that was said since conversation_begin(), ended with a NUL */
    size_t         told_bytes;
    size_t         told_room;
    char          *heard; /* requests that are not whole yet */
    size_t         heard_bytes;
};

static void conversation_describe(const struct service *service, struct service_facts *facts) {
    (void)service;
    *facts = (struct service_facts){
        .connections = 1, .connections_max = 10, .thread_count = 1, .port = 7400};
}

static uint64_t conversation_wall_ns(void) { return UINT64_C(1700000000123456789); }

static void conversation_hear(void *context, void *peer, const struct reply *reply) {
    struct conversation *talk = context;
    (void)peer;
    if (talk->told_bytes + reply->used + 1 > talk->told_room) {
        talk->told_room = 2 * (talk->told_bytes + reply->used + 1);
        talk->told      = realloc(talk->told, talk->told_room);
        if (talk->told == NULL) abort();
    }
    if (reply->used > 0) memcpy(talk->told + talk->told_bytes, reply->data, reply->used);
    talk->told_bytes += reply->used;
    talk->told[talk->told_bytes] = '\0';
}

static inline struct conversation *conversation_new(uint64_t users_max) {
    struct conversation   *talk    = calloc(1, sizeof *talk);
    struct limiter_options options = {.users_max = users_max, .secret = "a known secret"};
    if (talk == NULL) abort();
    talk->service.limiter  = limiter_new(&options);
    talk->service.describe = conversation_describe;
    talk->service.wall_ns  = conversation_wall_ns;
    if (talk->service.limiter == NULL) abort();
    talk->now_ns  = UINT64_C(1000000000000);
    talk->session = (struct session){.id = 7, .started_ns = talk->now_ns, .protocol = 2};
    batch_init(&talk->batch, &talk->service);
    return talk;
}

static inline void conversation_free(struct conversation *talk) {
    batch_clear(&talk->batch);
    limiter_free(talk->service.limiter);
    free(talk->told);
    free(talk->heard);
    free(talk);
}

/* Says some bytes, which need not be whole requests, and returns what is answered to them. */
static inline const char *conversation_say(struct conversation *talk, const void *bytes,
                                           size_t count) {
    talk->told_bytes = 0;
    talk->heard      = realloc(talk->heard, talk->heard_bytes + count + 1);
    if (talk->heard == NULL) abort();
    if (count > 0) memcpy(talk->heard + talk->heard_bytes, bytes, count);
    talk->heard_bytes += count;

    const struct protocol *protocol = NULL;
    size_t                 taken    = 0;
    struct intake          intake   = {.must_settle = true};
    while (intake.must_settle && taken < talk->heard_bytes) {
        if (protocol == NULL)
            protocol = protocol_of((struct view){.data = talk->heard, .bytes = talk->heard_bytes});
        intake = protocol->consume(&talk->batch, &talk->session, talk, talk->heard + taken,
                                   talk->heard_bytes - taken);
        taken += intake.bytes;
        batch_settle(&talk->batch, talk->now_ns, conversation_hear, talk);
    }
    batch_hand_on(&talk->batch, conversation_hear, talk);
    memmove(talk->heard, talk->heard + taken, talk->heard_bytes - taken);
    talk->heard_bytes -= taken;
    return talk->told_bytes == 0 ? "" : talk->told;
}

/* The same for one line, whose end is added. */
static inline const char *conversation_ask(struct conversation *talk, const char *line) {
    char request[4096];
    int  bytes = snprintf(request, sizeof request, "%s\r\n", line);
    return conversation_say(talk, request, (size_t)bytes);
}

#endif
