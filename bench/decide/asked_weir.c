/* SPDX-License-Identifier: MIT
 *
 * asked_weir: the questions of decide.c, put to weir.
 *
 * The policy is WEIR_POLICY_CLOSED, so that nothing is admitted which the store has not counted. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "decide/asked.h"

struct asked {
    weir        *w;
    weir_request rule;
};

const char asked_name[] = "weir";

struct asked *asked_open(const char *url, uint64_t limit, uint64_t window_ns) {
    struct asked *a       = calloc(1, sizeof *a);
    weir_options  options = WEIR_OPTIONS_DEFAULT;
    weir_error    error;
    if (a == NULL) exit(3);
    options.policy      = WEIR_POLICY_CLOSED;
    options.deadline_ns = (int64_t)asked_deadline_ns;
    a->w                = weir_open(url, &options, &error);
    a->rule             = weir_request_for(NULL, 0, limit, (int64_t)window_ns);
    if (a->w == NULL) {
        fprintf(stderr, "weir-bench-decide: %s\n", error.text);
        exit(3);
    }
    return a;
}

void asked_close(struct asked *a) {
    weir_close(a->w);
    free(a);
}

static weir_request request_of(const struct asked *a, const char *user, size_t user_bytes) {
    weir_request request = a->rule;
    request.user         = user;
    request.user_bytes   = user_bytes;
    return request;
}

static void note(struct ask *ask) {
    const weir_decision *d = &ask->ticket.decision;
    ask->is_allowed        = d->allowed;
    ask->has_failed        = d->status != WEIR_OK || d->why != WEIR_WHY_NONE;
}

void asked_wait(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    weir_request request = request_of(a, user, user_bytes);
    (void)weir_decide(a->w, &request, &ask->ticket.decision); /* its status is in the decision */
    note(ask);
}

static void on_decision(weir_ticket *ticket) {
    struct ask *ask = ticket->context;
    note(ask);
    ask->done(ask);
}

bool asked_begin(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    weir_request request = request_of(a, user, user_bytes);
    ask->ticket.done     = on_decision;
    ask->ticket.context  = ask;
    if (!weir_decide_async(a->w, &request, &ask->ticket)) return false;
    note(ask);
    return true;
}

void asked_tell(struct asked *a) {
    weir_statistics s = {.size = sizeof s};
    if (weir_stats(a->w, &s) != WEIR_OK) return;
    printf(",\"trips\":%" PRIu64 ",\"misses\":%" PRIu64 ",\"degraded\":%" PRIu64, s.trips, s.misses,
           s.degraded);
}
