/* SPDX-License-Identifier: MIT
 *
 * limiter: which way does a request go?
 *
 * Checks what the caller asks, turns it into a rule and a key, lets the table decide, and turns the
 * answer into the caller's decision. Time comes in by the door: the library passes the clock's,
 * replay passes the log's, the simulator its own. */
#ifndef WEIR_LIMITER_LIMITER_H
#define WEIR_LIMITER_LIMITER_H

#include <weir.h>

#include "limit/request.h"

struct limiter;
struct table;

struct limiter_options {
    uint64_t      users_max;       /* > 0 */
    uint64_t      clock_error_ppm; /* 0 to 100,000 */
    uint8_t       secret[16]; /* the key of the hash: from the system's entropy, or from a seed */
    struct table *table; /* of a store, which outlives the limiter; NULL: in memory of its own */
    uint64_t      sketch_window_ns; /* > 0: no table but a sketch of this window, in bytes_max */
    uint64_t sketch_limit_max; /* the largest limit that it is asked about; 1 to SKETCH_LIMIT_MAX */
    uint64_t bytes_max;        /* of the sketch */
    uint64_t clock_ahead_ns;   /* how much the table's clock is ahead of the callers' */
    void    *ask_context;      /* see limiter_halt() */
};

/* The most users up to users_max whose limiter in memory stays within bytes_max (0: no such bound). */
uint64_t limiter_users_within(uint64_t users_max, uint64_t bytes_max);

/* Makes a limiter; NULL if there is not enough memory. limiter_free() takes it back. */
struct limiter *limiter_new(const struct limiter_options *options);
void            limiter_free(struct limiter *l);

/* Asks before the next decision, and from then on before each, whether there may be one: what `ask` returns
 * for the options' ask_context is then the status of a decision that is not made, unless it is WEIR_OK. A
 * decision that is under way is not answered either. For stores that cannot be used for the moment, and for
 * children of fork(). Any thread, at any time, also in a signal handler. */
typedef weir_status (*limiter_ask_fn)(void *context);
void limiter_halt(struct limiter *l, limiter_ask_fn ask);

/* Ends that, if it is still `ask` that is asked. False: something else is, so that there is no decision. */
bool limiter_resume(struct limiter *l, limiter_ask_fn ask);

/* Of limiter_options; while the limiter is halted. */
void limiter_set_clock_ahead(struct limiter *l, uint64_t ahead_ns);

/* From the next decision on the limiter is on another table of the same users and secret. The one before
 * must stay until limiter_free(), for calls that are under way. */
void limiter_replace_table(struct limiter *l, struct table *table);

/* As the weir_* functions of the same name, at `now_ns`: a lower bound of the time, 0 to
 * LIMIT_NOW_MAX, on any clock that all calls for one limiter share. Calls may come in with times out
 * of order: a late one is then decided as of the newest time its counter has seen (a leaky bucket has
 * seen none, and judges it at its own time, which can only deny more). */
bool        limiter_allow(struct limiter *l, const char *user, size_t user_bytes, uint64_t limit,
                          int64_t window_ns, uint64_t now_ns);
weir_status limiter_decide(struct limiter *l, const weir_request *request, uint64_t now_ns,
                           weir_decision *decision);
weir_status limiter_decide_many(struct limiter *l, const weir_request *requests, size_t count,
                                uint64_t now_ns, weir_decision *decisions);
weir_status limiter_decide_all(struct limiter *l, const weir_request *requests, size_t count,
                               uint64_t now_ns, weir_decision *decisions);
weir_status limiter_reset(struct limiter *l, const weir_request *request, uint64_t now_ns);
void        limiter_stats(struct limiter *l, weir_statistics *statistics);

/* What it was made with. */
uint64_t limiter_clock_error_ppm(const struct limiter *l);

/* Whether it may be a user: any bytes, to WEIR_USER_BYTES_MAX. */
static inline bool limiter_user_is_sound(const void *user, size_t user_bytes) {
    return user_bytes <= WEIR_USER_BYTES_MAX && (user != NULL || user_bytes == 0);
}

/* The rule that a request states, or what is wrong with it. Reads all fields but the user's bytes. */
weir_status limiter_rule_of(const weir_request *request, uint64_t clock_error_ppm,
                            struct rule *rule);

#endif
