/* SPDX-License-Identifier: MIT
 *
 * replay_algorithms: what would the usual algorithms have admitted? See replay_algorithms.c. */
#ifndef WEIR_CMD_REPLAY_ALGORITHMS_H
#define WEIR_CMD_REPLAY_ALGORITHMS_H

#include "cmd/replay_requests.h"

/* limit up to 2^40, window_ns from 1 to 10 years. */
struct replay_rule {
    uint64_t limit;
    uint64_t window_ns;
};

/* The requests of one user, in order of time: place[0 .. count). */
struct replay_stream {
    struct replay_requests *requests;
    const uint32_t         *place;
    size_t                  count;
};

struct replay_stream replay_stream_of(struct replay_requests *r, uint32_t user);

static inline struct replay_request *replay_stream_at(const struct replay_stream *s, size_t i) {
    return &s->requests->request[s->place[i]];
}

/* Each decides a user's requests by the rule, marks them as `whose`, and returns how many it
 * denied. A request whose cost is 0 passes. */
size_t replay_exact(const struct replay_stream *s, struct replay_rule rule,
                    enum replay_verdict whose);
size_t replay_fixed(const struct replay_stream *s, struct replay_rule rule,
                    enum replay_verdict whose);
size_t replay_gcra(const struct replay_stream *s, struct replay_rule rule,
                   enum replay_verdict whose); /* burst = limit */
size_t replay_two_counter(const struct replay_stream *s, struct replay_rule rule,
                          enum replay_verdict whose);

/* weir's own window, as the limiter runs it, on a counter of the user's own. */
size_t replay_window(const struct replay_stream *s, struct replay_rule rule,
                     enum replay_verdict whose);

/* The fullest window of what `whose` admitted, whoever decided it and by whatever rule. */
struct replay_worst {
    uint64_t permits;
    uint64_t end_ns; /* the window is (end_ns - window_ns, end_ns] */
};
struct replay_worst replay_worst_admitted(const struct replay_stream *s, uint64_t window_ns,
                                          enum replay_verdict whose);

/* The same of everything that was asked for, admitted or not. */
struct replay_worst replay_worst_offered(const struct replay_stream *s, uint64_t window_ns);

#endif
