/* SPDX-License-Identifier: MIT
 *
 * node: a fleet on a model of a store, for tests that ask it one thing after the other. */
#ifndef WEIR_TEST_FLEET_NODE_H
#define WEIR_TEST_FLEET_NODE_H

#include <string.h>
#include <time.h>

#include "fleet/model_store.h"
#include "limiter/fleet.h"
#include "os/clock.h"
#include "support/check.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define HOUR   (3600 * SECOND)

/* Longer than any pause of a busy machine: what takes so long never comes. */
#define LONG (20 * SECOND)

static const struct hash_secret secret = {1, 2};

static inline struct fleet_question question(const char *user, uint64_t limit, uint64_t window_ns) {
    return (struct fleet_question){
        .name      = fleet_name_of(secret, user, strlen(user), window_ns, ALGORITHM_STRICT),
        .limit     = limit,
        .window_ns = window_ns,
        .cost      = 1,
        .wait_ns   = LONG};
}

static inline struct fleet_answer decide(struct fleet *f, struct fleet_question q) {
    struct fleet_answer a;
    fleet_decide(f, &q, clock_now_ns(), &a);
    return a;
}

static inline struct fleet_answer ask(struct fleet *f, const char *user, uint64_t limit,
                                      uint64_t window_ns) {
    return decide(f, question(user, limit, window_ns));
}

static inline struct fleet_statistics statistics(struct fleet *f) {
    struct fleet_statistics s;
    fleet_statistics(f, clock_now_ns(), &s);
    return s;
}

static inline void sleep_ns(uint64_t ns) {
    (void)nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)}, NULL);
}

/* Who asks and does not wait for the answer. */
struct seen {
    struct fleet_ticket ticket;
    struct model_store *model; /* who wants to know more of it */
    _Atomic unsigned    times;
};

static inline void see(struct fleet_ticket *t) {
    struct seen *s = t->context;
    atomic_fetch_add(&s->times, 1);
}

static inline void wait_for(struct seen *s) {
    for (uint64_t i = 0; atomic_load(&s->times) == 0; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
}

/* Replies that are slow since the machine is busy are good enough here: nothing is judged by time. */
static inline struct fleet *open_fleet(struct model_store *m, struct fleet_options options) {
    if (options.lease.tolerance_ns == 0) options.lease.tolerance_ns = SECOND;
    struct fleet *f = fleet_open(model_store(m), &options);
    CHECK_NE(f, NULL);
    return f;
}

static inline struct model_store *open_model(void) {
    return model_open(&(struct model_options){.seed = check_seed()});
}

static inline void close_both(struct fleet *f, struct model_store *m) {
    (void)fleet_close(f, 0);
    model_close(m);
}

#endif
