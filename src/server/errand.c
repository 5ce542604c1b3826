/* SPDX-License-Identifier: MIT */
#include "server/errand.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/processor.h"

/* ---- inbox ---- */

void inbox_init(struct inbox *inbox, struct loop *loop) { *inbox = (struct inbox){.loop = loop}; }

/* The owner may be at its end and wait for this errand alone, so that the loop would be gone when we wake
 * it: `putting` says that we are still here. That the post may fail is nothing: the loop is then full of
 * words, which wake it too, and whoever is woken looks into the inbox. */
static void inbox_put(struct inbox *inbox, struct errand *e) {
    atomic_fetch_add_explicit(&inbox->putting, 1, memory_order_relaxed);
    if (arrivals_add(&inbox->over, &e->arrival)) (void)loop_post(inbox->loop, INBOX_WORD);
    atomic_fetch_sub_explicit(&inbox->putting, 1, memory_order_release);
}

void inbox_close(struct inbox *inbox) {
    REQUIRE(inbox->out_count == 0);
    for (unsigned turn = 0; atomic_load_explicit(&inbox->putting, memory_order_acquire) > 0; turn++)
        processor_yield(turn);
}

/* ---- out and back ---- */

struct errand *errand_new(struct inbox *inbox, size_t ticket_count) {
    struct errand *e = malloc(sizeof *e + ticket_count * sizeof e->tickets[0]);
    if (e == NULL) return NULL;
    *e = (struct errand){.inbox = inbox, .ticket_count = ticket_count, .left = 1};
    reply_init(&e->reply);
    return e;
}

void errand_leave(struct errand *e) {
    e->peer = NULL;
    atomic_fetch_add_explicit(&e->inbox->left_count, 1, memory_order_relaxed);
}

void errand_free(struct errand *e) {
    reply_clear(&e->reply);
    free(e->calls);
    free(e);
}

static bool errand_is_over(struct errand *e, uint32_t parts_done) {
    return atomic_fetch_sub_explicit(&e->left, parts_done, memory_order_acq_rel) == parts_done;
}

void errand_part_done(struct errand *e) {
    if (errand_is_over(e, 1)) inbox_put(e->inbox, e);
}

static void ticket_done(weir_ticket *ticket) { errand_part_done(ticket->context); }

bool errand_ask(struct errand *e, weir *store, const weir_request *requests) {
    uint32_t parts_done = 1; /* one part is this call: no ticket is the last before all are out */
    atomic_init(&e->left, (uint32_t)e->ticket_count + 1);
    for (size_t i = 0; i < e->ticket_count; i++) {
        weir_ticket *ticket = &e->tickets[i];
        ticket->done        = ticket_done;
        ticket->context     = e;
        parts_done += weir_decide_async(store, &requests[i], ticket);
    }
    return errand_is_over(e, parts_done);
}

/* ---- keeping ---- */

/* Of a call that is decided only the request matters, and of one with a problem only that. */
static size_t words_kept(const struct call *call) {
    bool is_needed = call->decision_index == CALL_DECIDES_NOTHING && call->problem == NULL;
    return is_needed ? call->word_count : 0;
}

static struct view view_keep(struct view view, char **bytes) {
    char *at = *bytes;
    if (view.bytes > 0) memcpy(at, view.data, view.bytes);
    *bytes = at + view.bytes;
    return (struct view){.data = at, .bytes = view.bytes};
}

bool errand_keep(struct errand *e, const struct call *calls, size_t call_count,
                 const weir_request *requests, size_t request_index) {
    size_t word_count = 0, byte_count = 0;
    for (size_t i = 0; i < call_count; i++) {
        size_t kept = words_kept(&calls[i]);
        word_count += kept;
        byte_count += calls[i].problem_word.bytes;
        for (size_t j = 0; j < kept; j++) byte_count += calls[i].words[j].bytes;
    }

    /* All in one piece: calls, requests, views, and what these show. */
    _Static_assert(sizeof(struct call) % _Alignof(weir_request) == 0, "requests follow the calls");
    e->calls = malloc(call_count * sizeof *calls + e->ticket_count * sizeof *requests +
                      word_count * sizeof(struct view) + byte_count);
    if (e->calls == NULL) return false;
    e->requests        = (weir_request *)(void *)(e->calls + call_count);
    struct view *words = (struct view *)(void *)(e->requests + e->ticket_count);
    char        *bytes = (char *)(words + word_count);
    e->call_count      = call_count;

    for (size_t i = 0; i < e->ticket_count; i++) {
        e->requests[i]            = requests[request_index + i];
        e->requests[i].user       = NULL;
        e->requests[i].user_bytes = 0;
    }
    for (size_t i = 0; i < call_count; i++) {
        struct call *call  = &e->calls[i];
        size_t       kept  = words_kept(&calls[i]);
        *call              = calls[i];
        call->words        = words;
        call->word_count   = (uint16_t)kept;
        call->problem_word = view_keep(calls[i].problem_word, &bytes);
        for (size_t j = 0; j < kept; j++) *words++ = view_keep(calls[i].words[j], &bytes);
        if (call->decision_index != CALL_DECIDES_NOTHING)
            call->decision_index = (uint16_t)(call->decision_index - request_index);
    }
    return true;
}
