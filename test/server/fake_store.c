/* SPDX-License-Identifier: MIT */
#include "server/fake_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "os/clock.h"
#include "os/thread.h"
#include "support/check.h"

enum { OUT_MAX = 65536 };

#define NEVER_NS UINT64_MAX

struct out {
    weir_ticket  *ticket;
    void         *context; /* as it was when the ticket was asked for */
    weir_decision decision;
    uint64_t      due_ns; /* NEVER_NS: it is held */
};

struct weir {
    pthread_mutex_t mutex;
    pthread_cond_t  changed;
    struct thread   thread;
    struct random   random;
    uint64_t        delay_ns_max;
    uint64_t        asked_count, begun_count, reset_count, changed_count;
    size_t          out_count;
    bool            is_released, is_ending, holds_acts;
    struct out      out[OUT_MAX];
};

/* ---- the thread ---- */

static size_t soonest(const weir *w) {
    size_t found = 0;
    for (size_t i = 1; i < w->out_count; i++)
        if (w->out[i].due_ns < w->out[found].due_ns) found = i;
    return found;
}

static void answer(weir *w, size_t index) {
    struct out out = w->out[index];
    w->out[index]  = w->out[--w->out_count];
    w->changed_count += out.ticket->context != out.context;
    if (out.ticket->context != out.context) return;
    out.ticket->decision = out.decision;
    (void)pthread_mutex_unlock(&w->mutex);
    out.ticket->done(out.ticket);
    (void)pthread_mutex_lock(&w->mutex);
}

static void *store_run(void *context) {
    weir *w = context;
    (void)pthread_mutex_lock(&w->mutex);
    while (!w->is_ending) {
        size_t   next   = soonest(w);
        uint64_t due_ns = w->out_count == 0 ? NEVER_NS : w->out[next].due_ns;
        if (due_ns == NEVER_NS) {
            (void)pthread_cond_wait(&w->changed, &w->mutex);
        } else if (due_ns <= clock_now_ns()) {
            answer(w, next);
        } else {
            struct timespec pause = {.tv_nsec = 20000};
            (void)pthread_mutex_unlock(&w->mutex);
            (void)nanosleep(&pause, NULL);
            (void)pthread_mutex_lock(&w->mutex);
        }
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return NULL;
}

weir *fake_store_open(uint64_t delay_ns_max, uint64_t seed) {
    weir *w = calloc(1, sizeof *w);
    CHECK(w != NULL);
    w->random       = (struct random){.state = seed};
    w->delay_ns_max = delay_ns_max;
    CHECK_EQ(pthread_mutex_init(&w->mutex, NULL), 0);
    CHECK_EQ(pthread_cond_init(&w->changed, NULL), 0);
    CHECK(thread_start_quiet(&w->thread, "fake-store", store_run, w));
    return w;
}

void fake_store_close(weir *w) {
    (void)pthread_mutex_lock(&w->mutex);
    CHECK_EQ(w->out_count, 0);
    w->is_ending = true;
    (void)pthread_cond_signal(&w->changed);
    (void)pthread_mutex_unlock(&w->mutex);
    thread_join(&w->thread);
    (void)pthread_cond_destroy(&w->changed);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}

static uint64_t read_of(weir *w, const uint64_t *count) {
    (void)pthread_mutex_lock(&w->mutex);
    uint64_t value = *count;
    (void)pthread_mutex_unlock(&w->mutex);
    return value;
}

uint64_t fake_store_asked(weir *w) { return read_of(w, &w->asked_count); }
uint64_t fake_store_begun(weir *w) { return read_of(w, &w->begun_count); }
uint64_t fake_store_resets(weir *w) { return read_of(w, &w->reset_count); }
uint64_t fake_store_changed(weir *w) { return read_of(w, &w->changed_count); }

uint64_t fake_store_out(weir *w) {
    (void)pthread_mutex_lock(&w->mutex);
    uint64_t value = w->out_count;
    (void)pthread_mutex_unlock(&w->mutex);
    return value;
}

void fake_store_release(weir *w) {
    (void)pthread_mutex_lock(&w->mutex);
    w->is_released = true;
    w->holds_acts  = false;
    for (size_t i = 0; i < w->out_count; i++)
        if (w->out[i].due_ns == NEVER_NS) w->out[i].due_ns = 0;
    (void)pthread_cond_broadcast(&w->changed);
    (void)pthread_mutex_unlock(&w->mutex);
}

void fake_store_hold_acts(weir *w) {
    (void)pthread_mutex_lock(&w->mutex);
    w->holds_acts = true;
    (void)pthread_mutex_unlock(&w->mutex);
}

/* ---- the library ---- */

static bool user_begins(const weir_request *request, const char *with) {
    size_t bytes = strlen(with);
    return request->user_bytes >= bytes && memcmp(request->user, with, bytes) == 0;
}

static weir_decision decision_of(const weir_request *request) {
    weir_decision decision = {
        .how = WEIR_HOW_STORE, .allowed = (request->limit & 1) != 0, .remaining = request->limit};
    if (request->algorithm != WEIR_STRICT) return (weir_decision){.status = WEIR_UNSUPPORTED};
    if (request->user_bytes > 0 && memmem(request->user, request->user_bytes, "cut", 3) != NULL) {
        decision.how = WEIR_HOW_OPEN;
        decision.why = WEIR_WHY_CUT;
    }
    return decision;
}

bool weir_decide_async(weir *w, const weir_request *request, weir_ticket *ticket) {
    weir_decision decision = decision_of(request);
    (void)pthread_mutex_lock(&w->mutex);
    w->asked_count++;
    bool is_held = !w->is_released && user_begins(request, "held");
    bool is_now  = user_begins(request, "now") || decision.status != WEIR_OK;
    if (is_now) {
        ticket->decision = decision;
    } else {
        CHECK_LT(w->out_count, OUT_MAX);
        uint64_t delay_ns = random_below(&w->random, w->delay_ns_max + 1);
        w->out[w->out_count++] =
            (struct out){.ticket   = ticket,
                         .context  = ticket->context,
                         .decision = decision,
                         .due_ns   = is_held ? NEVER_NS : clock_now_ns() + delay_ns};
        (void)pthread_cond_broadcast(&w->changed);
    }
    (void)pthread_mutex_unlock(&w->mutex);
    return is_now;
}

weir_status weir_decide(weir *w, const weir_request *request, weir_decision *decision) {
    (void)w;
    *decision = decision_of(request);
    return (weir_status)decision->status;
}

/* Returns with the mutex locked. */
static void act_begin(weir *w) {
    (void)pthread_mutex_lock(&w->mutex);
    w->begun_count++;
    while (w->holds_acts) (void)pthread_cond_wait(&w->changed, &w->mutex);
}

weir_status weir_reset(weir *w, const weir_request *request) {
    if (request->algorithm != WEIR_STRICT) return WEIR_UNSUPPORTED;
    act_begin(w);
    w->reset_count++;
    (void)pthread_mutex_unlock(&w->mutex);
    return WEIR_OK;
}

weir_status weir_stats(weir *w, weir_statistics *statistics) {
    act_begin(w);
    (void)pthread_mutex_unlock(&w->mutex);
    *statistics = (weir_statistics){.size       = sizeof *statistics,
                                    .users      = 17,
                                    .degraded   = 1,
                                    .trips      = 2,
                                    .misses     = 3,
                                    .permits    = 4,
                                    .shards_cut = 5,
                                    .held       = 6};
    return WEIR_OK;
}

const char *weir_version(void) { return "fake"; }

const char *weir_status_text(weir_status status) {
    return status == WEIR_UNSUPPORTED ? "unsupported" : "some status";
}

const char *weir_why_text(weir_why why) {
    return why == WEIR_WHY_CUT ? "the store is cut off" : "some reason";
}

weir_status weir_explain(const weir_request *request, weir_explanation *explanation) {
    (void)request;
    (void)explanation;
    return WEIR_UNSUPPORTED;
}
