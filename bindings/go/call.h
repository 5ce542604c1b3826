/* SPDX-License-Identifier: MIT
 *
 * call: what Go crosses into C with.
 *
 * A weir_request holds a pointer, and a Go pointer inside a structure that Go passes to C is
 * what the rules of cgo forbid. So Go passes plain arguments, and the request is built here, on
 * the C stack. Answers come back by value: an answer that C wrote through a pointer would have to
 * live on the Go heap, one allocation for each call. */
#ifndef WEIR_GO_CALL_H
#define WEIR_GO_CALL_H

#include <stdlib.h>
#include <string.h>
#include <weir.h>

/* A handle and the array of a batch as Go passes them: numbers. Both are C's memory. A pointer to a
 * type without a body, or with a pointer in it, is one that cgo would examine on each call, with an
 * allocation before Go 1.20. */
typedef uintptr_t weir_go_handle;
typedef uintptr_t weir_go_requests;

static inline weir *weir_go_limiter(weir_go_handle handle) { return (weir *)handle; }

static inline weir_go_handle weir_go_open(const char *url, const weir_options *options,
                                          weir_error *error) {
    return (weir_go_handle)weir_open(url, options, error);
}

static inline void weir_go_close(weir_go_handle handle) { weir_close(weir_go_limiter(handle)); }

static inline weir_status weir_go_stats(weir_go_handle handle, weir_statistics *statistics) {
    return weir_stats(weir_go_limiter(handle), statistics);
}

/* How many statuses this header knows; a test compares it with what Go knows. */
#define WEIR_GO_ONE(name, value, text) +1
enum { WEIR_GO_STATUS_COUNT = 0 WEIR_STATUS_TABLE(WEIR_GO_ONE) };
#undef WEIR_GO_ONE

/* No request may carry all flags, so this one is answered with WEIR_BAD_REQUEST. Go sets it for
 * what a weir_request cannot say, such as a negative cost. */
#define WEIR_GO_REFUSE UINT32_MAX

/* A weir_decision without its reserve: half the bytes to carry back. */
struct weir_go_answer {
    uint32_t status;
    uint8_t  how;
    bool     allowed;
    uint64_t remaining;
    int64_t  retry_after_ns;
    int64_t  reset_after_ns;
};

static inline bool weir_go_allow(weir_go_handle handle, const char *user, size_t user_bytes, uint64_t limit,
                                 int64_t window_ns) {
    weir_request  request = weir_request_for(user, user_bytes, limit, window_ns);
    weir_decision decision;
    return weir_decide(weir_go_limiter(handle), &request, &decision) == WEIR_OK && decision.allowed;
}

static inline struct weir_go_answer weir_go_decide(weir_go_handle handle, const char *user, size_t user_bytes,
                                                   uint64_t limit, int64_t window_ns,
                                                   uint64_t cost, uint64_t burst,
                                                   int64_t deadline_ns, uint32_t algorithm,
                                                   uint32_t flags) {
    weir_request request = weir_request_for(user, user_bytes, limit, window_ns);
    request.cost         = cost;
    request.burst        = burst;
    request.deadline_ns  = deadline_ns;
    request.algorithm    = algorithm;
    request.flags        = flags;

    weir_decision         decision = {0};
    weir_status           status   = weir_decide(weir_go_limiter(handle), &request, &decision);
    struct weir_go_answer answer   = {
          .status         = (uint32_t)status,
          .how            = decision.how,
          .allowed        = status == WEIR_OK && decision.allowed,
          .remaining      = decision.remaining,
          .retry_after_ns = decision.retry_after_ns,
          .reset_after_ns = decision.reset_after_ns,
    };
    return answer;
}

static inline weir_status weir_go_reset(weir_go_handle handle, const char *user, size_t user_bytes,
                                        int64_t window_ns, uint32_t algorithm) {
    weir_request request = weir_request_for(user, user_bytes, 1, window_ns);
    request.algorithm    = algorithm;
    return weir_reset(weir_go_limiter(handle), &request);
}

/* Points each request at its user. Users lie one behind the other; one that is too long was not
 * copied, and its request is refused before anyone looks at the bytes. */
static inline void weir_go_place_users(weir_request *requests, size_t count, const char *users) {
    for (size_t i = 0; i < count; i++) {
        requests[i].user = users;
        if (requests[i].user_bytes <= WEIR_USER_BYTES_MAX) users += requests[i].user_bytes;
    }
}

static inline weir_status weir_go_decide_many(weir_go_handle handle, weir_go_requests at, size_t count,
                                              const char *users, weir_decision *decisions) {
    weir_request *requests = (weir_request *)at;
    weir_go_place_users(requests, count, users);
    return weir_decide_many(weir_go_limiter(handle), requests, count, decisions);
}

/* When the call itself is refused (too many rules, say), every decision tells why. */
static inline weir_status weir_go_decide_all(weir_go_handle handle, weir_go_requests at, size_t count,
                                             const char *users, weir_decision *decisions) {
    weir_request *requests = (weir_request *)at;
    weir_go_place_users(requests, count, users);
    memset(decisions, 0, count * sizeof *decisions);
    weir_status status = weir_decide_all(weir_go_limiter(handle), requests, count, decisions);
    if (status != WEIR_OK && count > WEIR_RULES_MAX) {
        for (size_t i = 0; i < count; i++) decisions[i].status = (uint32_t)status;
    }
    return status;
}

/* realloc(), with what is new set to zero. */
static inline void *weir_go_grow(void *memory, size_t old_bytes, size_t new_bytes) {
    char *grown = realloc(memory, new_bytes);
    if (grown) memset(grown + old_bytes, 0, new_bytes - old_bytes);
    return grown;
}

#endif
