/* SPDX-License-Identifier: MIT */
#include "server/batch.h"

#include "base/contract.h"
#include "server/command.h"

void batch_init(struct batch *b, const struct service *service) {
    b->service            = service;
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

static void call_answer(const struct batch *b, const struct call *call, struct reply *reply) {
    if (call->problem != NULL) {
        reply_error_about(reply, call->problem, call->problem_word);
    } else if (call->command == NULL) {
        command_answer_unknown(call, reply);
    } else if (call->is_misused) {
        command_answer_misused(call->command, reply);
    } else if (call->decision_index != CALL_DECIDES_NOTHING &&
               call_decision(b, call)->status != WEIR_OK) {
        reply_error_about(reply, "ERR ",
                          view_of(weir_status_text((weir_status)call_decision(b, call)->status)));
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

void batch_settle(struct batch *b, uint64_t now_ns, batch_deliver_fn deliver, void *context) {
    b->now_ns = now_ns;
    /* Each decision has its own status, and is answered with it. */
    if (b->request_count > 0)
        (void)limiter_decide_many(b->service->limiter, b->requests, b->request_count, now_ns,
                                  b->decisions);

    for (size_t i = 0; i < b->call_count; i++) {
        const struct call *call = &b->calls[i];
        if (call->peer != b->open_peer) {
            batch_hand_on(b, deliver, context);
            b->open_peer = call->peer;
        }
        size_t before     = b->reply.used;
        b->reply.protocol = call->session->protocol;
        call_answer(b, call, &b->reply);
        if (silence_step(call->session)) b->reply.used = before;
    }
    b->commands += b->call_count;
    b->call_count    = 0;
    b->word_count    = 0;
    b->request_count = 0;
}
