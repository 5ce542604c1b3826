/* SPDX-License-Identifier: MIT
 *
 * replay_suggest: which limit would have denied how much?
 *
 * Told by an exact sliding log. Two facts make it quick:
 *
 *   A user is never denied if, and only if, the limit is at least their peak: the most they asked
 *   for in any window. So the limits for shares of users are ranks in the list of peaks, and the
 *   limit for a share of requests concerns only the users whose peak is above it.
 *
 *   With costs of 1, a higher limit never admits fewer requests: an exact log that admits whenever
 *   it can admits as many as any schedule could (its k-th admission is never later than another's
 *   k-th). So the smallest limit is found by halving: at most 41 goes through the requests for each
 *   share, and only through those of users above the limit in question. With other costs one more
 *   permit can, rarely, let a large request in that keeps small ones out; then what is found is a limit
 *   that meets the share where the next smaller one does not.
 *
 * weir's own window holds a permit up to one time cell longer and may count quanta, so it may deny a
 * little more; how much is told beside. */
#include "cmd/replay_suggest.h"

#include <stdlib.h>

#include "base/contract.h"
#include "cmd/replay_algorithms.h"
#include "limit/request.h"

const uint32_t replay_suggest_permille[REPLAY_SUGGESTIONS] = {1, 10, 50};

struct peak {
    uint64_t permits;
    uint32_t user;
};

static int peak_compare(const void *a, const void *b) {
    const struct peak *x = a;
    const struct peak *y = b;
    if (x->permits != y->permits) return x->permits < y->permits ? 1 : -1;
    return x->user < y->user ? -1 : x->user > y->user;
}

/* Peaks are sorted, the highest first: how many are above `limit`. */
static size_t users_above(const struct peak *peak, size_t count, uint64_t limit) {
    size_t low  = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (peak[middle].permits > limit) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

typedef size_t (*decide_fn)(const struct replay_stream *, struct replay_rule, enum replay_verdict);

/* How many requests are denied with `limit`; stops counting above `enough`. */
static uint64_t denied_with(struct replay_requests *r, const struct peak *peak, size_t users,
                            struct replay_rule rule, decide_fn decide, uint64_t enough) {
    uint64_t denied = 0;
    for (size_t i = 0; i < users && denied <= enough; i++) {
        struct replay_stream stream = replay_stream_of(r, peak[i].user);
        denied += decide(&stream, rule, REPLAY_TRIAL);
    }
    return denied;
}

static uint64_t limit_for_users(const struct peak *peak, size_t count, uint64_t users_may) {
    return users_may >= count ? 0 : peak[users_may].permits;
}

static uint64_t limit_for_requests(struct replay_requests *r, const struct peak *peak, size_t count,
                                   uint64_t window_ns, uint64_t requests_may) {
    uint64_t low  = 0; /* the limit sought is in [low, high] */
    uint64_t high = count > 0 ? peak[0].permits : 0;
    while (low < high) {
        uint64_t           limit = low + (high - low) / 2;
        struct replay_rule rule  = {limit, window_ns};
        size_t             above = users_above(peak, count, limit);
        if (denied_with(r, peak, above, rule, replay_exact, requests_may) > requests_may) {
            low = limit + 1;
        } else {
            high = limit;
        }
    }
    return low;
}

bool replay_suggest(struct replay_requests *r, uint64_t window_ns,
                    struct replay_suggestions *suggestions) {
    REQUIRE(window_ns > 0);
    size_t       count = r->users.count;
    struct peak *peak  = malloc((count > 0 ? count : 1) * sizeof *peak);
    if (peak == NULL) return false;
    for (uint32_t user = 0; user < count; user++) {
        struct replay_stream stream  = replay_stream_of(r, user);
        uint64_t             permits = replay_worst_offered(&stream, window_ns).permits;
        peak[user] = (struct peak){permits < LIMIT_MAX ? permits : LIMIT_MAX, user};
    }
    qsort(peak, count, sizeof *peak, peak_compare);

    *suggestions = (struct replay_suggestions){.window_ns = window_ns,
                                               .peak      = count > 0 ? peak[0].permits : 0};
    for (int of = 0; of < REPLAY_SHARES_OF; of++) {
        for (int i = 0; i < REPLAY_SUGGESTIONS; i++) {
            uint64_t                  permille = replay_suggest_permille[i];
            struct replay_suggestion *s        = &suggestions->suggestion[of][i];
            s->limit =
                of == REPLAY_SHARE_OF_USERS
                    ? limit_for_users(peak, count, count * permille / 1000)
                    : limit_for_requests(r, peak, count, window_ns, r->count * permille / 1000);
            struct replay_rule rule = {s->limit, window_ns};
            s->users_denied         = users_above(peak, count, s->limit);
            s->requests_denied =
                denied_with(r, peak, s->users_denied, rule, replay_exact, UINT64_MAX);
            s->window_denied = denied_with(r, peak, count, rule, replay_window, UINT64_MAX);
        }
    }
    free(peak);
    return true;
}
