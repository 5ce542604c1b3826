/* SPDX-License-Identifier: MIT */
#include "server/batch.h"

#include <string.h>

#include "base/contract.h"
#include "server/command.h"
#include "server/errand.h"
#include "server/runner.h"

void batch_init(struct batch *b, const struct service *service) {
    b->service            = service;
    b->inbox              = NULL;
    b->runner             = NULL;
    b->now_ns             = 0;
    b->open_peer          = NULL;
    b->call_count         = 0;
    b->word_count         = 0;
    b->request_count      = 0;
    b->commands           = 0;
    b->errors_of_protocol = 0;
    reply_init(&b->reply);
}

void batch_clear(struct batch *b) { reply_clear(&b->reply); }

/* ---- taking ---- */

struct view *batch_words(struct batch *b) {
    if (b->call_count == BATCH_CALLS_MAX) return NULL;
    if (BATCH_WORDS_MAX - b->word_count < RESP_WORDS_MAX) return NULL;
    return b->words + b->word_count;
}

static struct call *call_add(struct batch *b, struct session *session, void *peer) {
    struct call *call = &b->calls[b->call_count++];
    *call = (struct call){.session = session, .peer = peer, .decision_index = CALL_DECIDES_NOTHING};
    return call;
}

/* A peer of another protocol that was led here, such as a browser that a strange page told to post to
 * this port: what follows its first line must not be obeyed. */
static bool is_foreign(struct view word) { return word_is(word, "post") || word_is(word, "host:"); }

enum batch_outcome batch_take(struct batch *b, struct session *session, void *peer,
                              size_t word_count) {
    const struct view    *words    = b->words + b->word_count;
    const struct command *command  = command_find(words[0]);
    bool                  is_alone = command != NULL && (command->flags & COMMAND_ALONE) != 0;
    struct call          *call     = call_add(b, session, peer);
    call->command                  = command;
    call->words                    = words;
    call->word_count               = (uint16_t)word_count;
    call->is_misused               = command != NULL && !command_takes(command, word_count);
    if (command != NULL && command->ask != NULL && !call->is_misused) {
        weir_request *request = &b->requests[b->request_count];
        if (command->ask(call, request)) {
            /* All that matters of its words is in the request now, so their room is free again. */
            call->decision_index = (uint16_t)b->request_count++;
            return BATCH_TAKEN;
        }
    }
    b->word_count += word_count;
    if (command == NULL ? is_foreign(words[0]) : (command->flags & COMMAND_LEAVES) != 0)
        session->is_leaving = true;
    return is_alone ? BATCH_TAKEN_LAST : BATCH_TAKEN;
}

void batch_take_broken(struct batch *b, struct session *session, void *peer, const char *problem) {
    REQUIRE(b->call_count < BATCH_CALLS_MAX);
    struct call *call   = call_add(b, session, peer);
    call->problem       = "ERR Protocol error: ";
    call->problem_word  = view_of(problem);
    session->is_leaving = true;
    b->errors_of_protocol++;
}

/* ---- settling ---- */

void batch_hand_on(struct batch *b, batch_deliver_fn deliver, void *context) {
    if (b->open_peer != NULL) deliver(context, b->open_peer, &b->reply);
    b->reply.used   = 0;
    b->reply.is_cut = false;
    b->open_peer    = NULL;
}

static void batch_open(struct batch *b, void *peer, batch_deliver_fn deliver, void *context) {
    if (peer == b->open_peer) return;
    batch_hand_on(b, deliver, context);
    b->open_peer = peer;
}

static void errand_wait_for(struct errand *errand, const struct call *call) {
    errand->inbox->out_count++;
    errand->peer          = call->peer;
    call->session->errand = errand;
}

/* What may wait for the store is made on another thread, where the store is remote. */
static void call_act(const struct batch *b, const struct call *call, struct reply *reply) {
    if (!service_is_remote(b->service)) {
        call->command->act(b->service, call, b->now_ns, reply);
        return;
    }
    struct errand *errand = errand_new(b->inbox, 0);
    if (errand == NULL || !errand_keep(errand, call, 1, NULL, 0)) {
        reply_error_about(reply, "ERR ", view_of(weir_status_text(WEIR_NO_MEMORY)));
    } else {
        errand->reply.protocol = reply->protocol;
        if (runner_send(b->runner, errand)) {
            errand_wait_for(errand, call);
            return;
        }
        reply_error(reply, "ERR too many commands wait for the store");
    }
    if (errand != NULL) errand_free(errand);
}

static void call_answer(const struct batch *b, const struct call *call, struct reply *reply) {
    if (call->problem != NULL) {
        reply_error_about(reply, call->problem, call->problem_word);
    } else if (call->command == NULL) {
        command_answer_unknown(call, reply);
    } else if (call->is_misused) {
        command_answer_misused(call->command, reply);
    } else if (call->decision_index != CALL_DECIDES_NOTHING &&
               call_decision(b, call)->status != WEIR_OK) {
        command_answer_refused((weir_status)call_decision(b, call)->status,
                               call_request(b, call)->algorithm, reply);
    } else if (call->command->act != NULL) {
        call_act(b, call, reply);
    } else {
        call->command->answer(b, call, reply);
    }
}

/* CLIENT REPLY: whether what was just written for this session is taken back. */
static bool silence_step(struct session *session) {
    switch (session->silence) {
    case SESSION_ANSWERS: return false;
    case SESSION_IS_SILENT: return true;
    case SESSION_SKIPS_ONE: session->silence = SESSION_SKIPPING; return true;
    case SESSION_SKIPPING: session->silence = SESSION_ANSWERS; return true;
    }
    return false;
}

/* Answers each call whose peer does not wait. */
static void batch_answer(struct batch *b, batch_deliver_fn deliver, void *context) {
    size_t waiting = 0;
    for (size_t i = 0; i < b->call_count; i++) {
        const struct call *call    = &b->calls[i];
        struct session    *session = call->session;
        if (session->errand == NULL) {
            batch_open(b, call->peer, deliver, context);
            size_t before     = b->reply.used;
            b->reply.protocol = session->protocol;
            call_answer(b, call, &b->reply);
            if (session->errand == NULL && silence_step(session)) b->reply.used = before;
        }
        waiting += session->errand != NULL;
    }
    b->commands += b->call_count - waiting;
    b->call_count    = 0;
    b->word_count    = 0;
    b->request_count = 0;
}

/* ---- a remote store ---- */

/* Calls of one peer that stand together, and their requests. */
struct run {
    const struct call *calls;
    size_t             call_count;
    size_t             request_index, request_count;
};

static struct run run_at(const struct batch *b, size_t call_index, size_t request_index) {
    struct run run  = {.calls = &b->calls[call_index], .request_index = request_index};
    size_t     left = b->call_count - call_index;
    while (run.call_count < left && run.calls[run.call_count].peer == run.calls->peer) {
        run.request_count += run.calls[run.call_count].decision_index != CALL_DECIDES_NOTHING;
        run.call_count++;
    }
    return run;
}

static void run_fail(struct batch *b, const struct run *run) {
    for (size_t i = 0; i < run->request_count; i++)
        b->decisions[run->request_index + i] = (weir_decision){.status = WEIR_NO_MEMORY};
}

/* Asks for its decisions. If some are not there yet, its peer waits. */
static void run_ask(struct batch *b, const struct run *run) {
    const weir_request *requests = b->requests + run->request_index;
    struct errand      *errand   = errand_new(b->inbox, run->request_count);
    if (errand == NULL) {
        run_fail(b, run);
        return;
    }
    if (errand_ask(errand, b->service->store, requests)) {
        for (size_t i = 0; i < run->request_count; i++)
            b->decisions[run->request_index + i] = errand->tickets[i].decision;
        errand_free(errand);
    } else if (errand_keep(errand, run->calls, run->call_count, b->requests, run->request_index)) {
        errand_wait_for(errand, run->calls);
    } else {
        b->inbox->out_count++;
        errand_leave(errand);
        run_fail(b, run);
    }
}

/* All are asked for before any is answered, so that they share trips. */
static void batch_ask(struct batch *b) {
    size_t request_index = 0;
    for (size_t i = 0; i < b->call_count;) {
        struct run run = run_at(b, i, request_index);
        if (run.request_count > 0) run_ask(b, &run);
        i += run.call_count;
        request_index += run.request_count;
    }
}

void batch_resume(struct batch *b, struct errand *errand, uint64_t now_ns, batch_deliver_fn deliver,
                  void *context) {
    REQUIRE(b->call_count == 0);
    REQUIRE(errand->peer != NULL);
    struct session *session = errand->calls->session;
    b->now_ns               = now_ns;
    session->errand         = NULL;
    if (errand->ticket_count == 0) {
        batch_open(b, errand->peer, deliver, context);
        if (!silence_step(session)) reply_copy(&b->reply, &errand->reply);
        b->commands++;
    } else {
        memcpy(b->calls, errand->calls, errand->call_count * sizeof b->calls[0]);
        memcpy(b->requests, errand->requests, errand->ticket_count * sizeof b->requests[0]);
        for (size_t i = 0; i < errand->ticket_count; i++)
            b->decisions[i] = errand->tickets[i].decision;
        b->call_count = errand->call_count;
        batch_answer(b, deliver, context);
    }
    errand_free(errand);
}

/* ---- all together ---- */

void batch_settle(struct batch *b, uint64_t now_ns, batch_deliver_fn deliver, void *context) {
    b->now_ns = now_ns;
    if (b->request_count > 0) {
        /* Each decision has its own status, and is answered with it. */
        if (service_is_remote(b->service))
            batch_ask(b);
        else
            (void)limiter_decide_many(b->service->limiter, b->requests, b->request_count, now_ns,
                                      b->decisions);
    }
    batch_answer(b, deliver, context);
}
