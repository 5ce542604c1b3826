/* SPDX-License-Identifier: MIT
 *
 * replay_algorithms: what would the usual algorithms have admitted?
 *
 * Written from their definitions, in exact arithmetic, and apart from src/limit, so that they can be
 * held against weir's own. Each goes once through one user's requests in order of time. The window that
 * ends at t is (t - window, t]: what happened exactly one window ago has left it.
 *
 *   exact        remembers every admission: admits if those in the last window leave room.
 *   fixed        counts in windows that begin at multiples of the window since 1970.
 *   gcra         a bucket of `limit` permits that fills at limit/window (a token bucket; here the
 *                time at which it is full again is kept, which is the same).
 *   two-counter  fixed windows, and of the one before as much as still overlaps if its admissions
 *                had been even (Cloudflare's estimate; what others call "sliding window counter").
 *
 * All count what they admitted and not what they denied. Some deployments count denials too; they
 * deny more. */
#include "cmd/replay_algorithms.h"

#include "base/contract.h"
#include "limit/window.h"

__extension__ typedef unsigned __int128 wide;

struct replay_stream replay_stream_of(struct replay_requests *r, uint32_t user) {
    REQUIRE(r->place != NULL);
    REQUIRE(user < r->users.count);
    return (struct replay_stream){.requests = r,
                                  .place    = r->place + r->first[user],
                                  .count    = r->first[user + 1] - r->first[user]};
}

/* Whether `cost` more fits beside `used`; without overflow, since both may be large. */
static bool fits(uint64_t used, uint64_t cost, uint64_t limit) {
    return used <= limit && cost <= limit - used;
}

size_t replay_exact(const struct replay_stream *s, struct replay_rule rule,
                    enum replay_verdict whose) {
    size_t   denied = 0;
    uint64_t live   = 0;
    size_t   oldest = 0; /* whatever was admitted before it has left the window */
    for (size_t i = 0; i < s->count; i++) {
        struct replay_request *request = replay_stream_at(s, i);
        for (;; oldest++) {
            const struct replay_request *leaving = replay_stream_at(s, oldest);
            if (request->time_ns - leaving->time_ns < rule.window_ns) break;
            if (replay_is_admitted(leaving, whose)) live -= replay_cost(s->requests, leaving);
        }
        uint64_t cost        = replay_cost(s->requests, request);
        bool     is_admitted = cost == 0 || fits(live, cost, rule.limit);
        if (is_admitted) live += cost;
        denied += !is_admitted;
        replay_set_verdict(request, whose, is_admitted);
    }
    return denied;
}

size_t replay_fixed(const struct replay_stream *s, struct replay_rule rule,
                    enum replay_verdict whose) {
    size_t   denied = 0;
    uint64_t number = UINT64_MAX; /* of the window that `used` belongs to */
    uint64_t used   = 0;
    for (size_t i = 0; i < s->count; i++) {
        struct replay_request *request = replay_stream_at(s, i);
        uint64_t               now     = request->time_ns / rule.window_ns;
        if (now != number) {
            number = now;
            used   = 0;
        }
        uint64_t cost        = replay_cost(s->requests, request);
        bool     is_admitted = cost == 0 || fits(used, cost, rule.limit);
        if (is_admitted) used += cost;
        denied += !is_admitted;
        replay_set_verdict(request, whose, is_admitted);
    }
    return denied;
}

size_t replay_gcra(const struct replay_stream *s, struct replay_rule rule,
                   enum replay_verdict whose) {
    /* Times are told in 1/limit ns, so that window/limit, the time a permit takes to come back, is a
     * whole number. Below 2^62 * 2^40. */
    size_t denied  = 0;
    wide   full_at = 0; /* when the bucket is full again */
    for (size_t i = 0; i < s->count; i++) {
        struct replay_request *request     = replay_stream_at(s, i);
        uint64_t               cost        = replay_cost(s->requests, request);
        bool                   is_admitted = cost == 0;
        if (cost > 0 && cost <= rule.limit) {
            wide now  = (wide)request->time_ns * rule.limit;
            wide base = full_at > now ? full_at : now;
            wide then = base + (wide)cost * rule.window_ns;
            if (then - now <= (wide)rule.limit * rule.window_ns) {
                is_admitted = true;
                full_at     = then;
            }
        }
        denied += !is_admitted;
        replay_set_verdict(request, whose, is_admitted);
    }
    return denied;
}

size_t replay_two_counter(const struct replay_stream *s, struct replay_rule rule,
                          enum replay_verdict whose) {
    size_t   denied = 0;
    uint64_t number = 0; /* of the window that `used` belongs to */
    uint64_t used   = 0;
    uint64_t before = 0; /* used in the window before it */
    for (size_t i = 0; i < s->count; i++) {
        struct replay_request *request = replay_stream_at(s, i);
        uint64_t               now     = request->time_ns / rule.window_ns;
        uint64_t               phase   = request->time_ns % rule.window_ns;
        if (now != number) {
            before = now == number + 1 ? used : 0;
            used   = 0;
            number = now;
        }
        /* before * (1 - phase/window) + used + cost <= limit, times the window. */
        uint64_t cost        = replay_cost(s->requests, request);
        bool     is_admitted = cost == 0;
        if (cost > 0 && fits(used, cost, rule.limit)) {
            wide estimate =
                (wide)before * (rule.window_ns - phase) + (wide)(used + cost) * rule.window_ns;
            is_admitted = estimate <= (wide)rule.limit * rule.window_ns;
            if (is_admitted) used += cost;
        }
        denied += !is_admitted;
        replay_set_verdict(request, whose, is_admitted);
    }
    return denied;
}

size_t replay_window(const struct replay_stream *s, struct replay_rule rule,
                     enum replay_verdict whose) {
    size_t         denied = 0;
    struct counter c      = {0};
    for (size_t i = 0; i < s->count; i++) {
        struct replay_request *request = replay_stream_at(s, i);
        uint64_t               cost    = replay_cost(s->requests, request);
        bool                   is_admitted =
            cost == 0 || window_admit(&c, rule.limit, rule.window_ns, cost, request->time_ns);
        denied += !is_admitted;
        replay_set_verdict(request, whose, is_admitted);
    }
    return denied;
}

/* A window can be moved to the right until it ends at one of its requests without losing any of
 * them, so it is enough to look at those. */
static struct replay_worst worst(const struct replay_stream *s, uint64_t window_ns,
                                 uint32_t whose_mask) {
    struct replay_worst worst  = {0};
    wide                live   = 0; /* what was asked for has no bound */
    size_t              oldest = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct replay_request *request = replay_stream_at(s, i);
        if ((request->verdicts & whose_mask) != whose_mask) continue;
        for (;; oldest++) {
            const struct replay_request *leaving = replay_stream_at(s, oldest);
            if (request->time_ns - leaving->time_ns < window_ns) break;
            if ((leaving->verdicts & whose_mask) != whose_mask) continue;
            live -= replay_cost(s->requests, leaving);
        }
        live += replay_cost(s->requests, request);
        if (live > worst.permits) {
            worst.permits = live < UINT64_MAX ? (uint64_t)live : UINT64_MAX;
            worst.end_ns  = request->time_ns;
        }
    }
    return worst;
}

struct replay_worst replay_worst_admitted(const struct replay_stream *s, uint64_t window_ns,
                                          enum replay_verdict whose) {
    return worst(s, window_ns, 1u << whose);
}

struct replay_worst replay_worst_offered(const struct replay_stream *s, uint64_t window_ns) {
    return worst(s, window_ns, 0);
}
