/* SPDX-License-Identifier: MIT
 *
 * What a decision of a fleet costs when a permit is in hand, against a store that grants all that is
 * asked for, in no time: nanoseconds a call without the clock reading, and trips. Beside it, what a reading
 * of the clock costs.
 *
 * usage: weir-bench-fleet [SECONDS] */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/fleet.h"
#include "os/clock.h"

enum { THREADS_MAX = 2, CALLS_A_CLOCK = 64, WARM_RUNS = 4, NS_PER_S = 1000000000 };

struct generous {
    pthread_mutex_t    lock;
    pthread_cond_t     wake;
    pthread_t          thread;
    bool               is_over;
    struct store_trip *first;
};

struct load {
    struct fleet    *fleet;
    uint32_t         users, first_user;
    uint64_t         run_ns;
    _Atomic uint64_t calls, denied;
    uint64_t         ns; /* a hundred calls */
};

static void serve(void *context, struct store_trip *trip) {
    struct generous *g = context;
    pthread_mutex_lock(&g->lock);
    trip->next = g->first;
    g->first   = trip;
    pthread_cond_signal(&g->wake);
    pthread_mutex_unlock(&g->lock);
}

static void answer(struct store_trip *trip, uint64_t grants) {
    const struct lease_request *q = &trip->request;
    trip->status                  = STORE_DONE;
    trip->reply                   = (struct lease_reply){.id            = q->id,
                                                         .granted       = q->want,
                                                         .store_us      = clock_now_ns() / 1000,
                                                         .era_us        = 1,
                                                         .grants        = grants,
                                                         .receipt_count = q->report_count,
                                                         .is_replicated = true};
    for (uint32_t i = 0; i < q->report_count; i++) {
        uint64_t used = q->reports[i].base;
        for (uint32_t k = 0; k < q->reports[i].use_count; k++) used += q->reports[i].uses[k].count;
        trip->reply.receipts[i] = (struct lease_receipt){
            .id = q->reports[i].id, .settled = used, .is_over = q->reports[i].is_final};
    }
    trip->done(trip);
}

static void *serve_all(void *context) {
    struct generous *g      = context;
    uint64_t         grants = 0;
    pthread_mutex_lock(&g->lock);
    while (!g->is_over || g->first != NULL) {
        struct store_trip *trip = g->first;
        if (trip == NULL) {
            pthread_cond_wait(&g->wake, &g->lock);
            continue;
        }
        g->first = trip->next;
        pthread_mutex_unlock(&g->lock);
        answer(trip, ++grants);
        pthread_mutex_lock(&g->lock);
    }
    pthread_mutex_unlock(&g->lock);
    return NULL;
}

static struct fleet_question question(uint32_t user) {
    static const struct hash_secret secret = {5, 6};
    const uint64_t                  minute = UINT64_C(60) * NS_PER_S;
    return (struct fleet_question){
        .name      = fleet_name_of(secret, &user, sizeof user, minute, ALGORITHM_STRICT),
        .limit     = UINT64_C(1) << 34,
        .window_ns = minute,
        .cost      = 1,
        .wait_ns   = NS_PER_S};
}

/* Asks until end_ns; leases grow with demand, so what comes first is no measure. */
static void load_ask(struct load *l, const struct fleet_question *q, uint64_t end_ns) {
    uint64_t now_ns, calls = 0, denied = 0;
    while ((now_ns = clock_now_ns()) < end_ns) {
        for (unsigned i = 0; i < CALLS_A_CLOCK; i++, calls++) {
            struct fleet_answer a;
            fleet_decide(l->fleet, &q[calls % l->users], now_ns, &a);
            denied += !a.allowed;
        }
    }
    l->calls  = calls;
    l->denied = denied;
}

static void *load_run(void *context) {
    struct load           *l = context;
    struct fleet_question *q = calloc(l->users, sizeof *q);
    if (q == NULL) abort();
    for (uint32_t i = 0; i < l->users; i++) q[i] = question(l->first_user + i);
    load_ask(l, q, clock_now_ns() + WARM_RUNS * l->run_ns);
    uint64_t began_ns = clock_now_ns();
    load_ask(l, q, began_ns + l->run_ns);
    l->ns = (clock_now_ns() - began_ns) * 100 / (l->calls + 1);
    free(q);
    return NULL;
}

static void measure(struct store *store, const char *name, unsigned threads, uint32_t users,
                    bool is_shared, uint64_t run_ns) {
    /* Nobody gives back within the run: what is measured is finding a permit in hand. */
    const struct fleet_options options = {.lease = {.idle_ns = UINT64_C(3600) * NS_PER_S}};
    struct fleet              *f       = fleet_open(store, &options);
    struct load                loads[THREADS_MAX];
    pthread_t                  id[THREADS_MAX];
    uint64_t                   calls = 0, denied = 0, ns = 0;
    if (f == NULL) abort();
    for (unsigned i = 0; i < threads; i++) {
        loads[i] = (struct load){
            .fleet = f, .users = users, .first_user = is_shared ? 0 : i * users, .run_ns = run_ns};
        if (pthread_create(&id[i], NULL, load_run, &loads[i]) != 0) abort();
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(id[i], NULL);
        calls += loads[i].calls;
        denied += loads[i].denied;
        ns += loads[i].ns;
    }
    struct fleet_statistics s;
    fleet_statistics(f, clock_now_ns(), &s);
    uint64_t decisions = 0;
    for (unsigned i = 0; i < FLEET_HOW_COUNT; i++) decisions += s.decisions[i];
    printf("%-34s %6.2f ns a call, %" PRIu64 " calls, %" PRIu64
           " denied; %.4f trips per 1000 decisions, warming up included\n",
           name, (double)ns / threads / 100, calls, denied,
           1000 * (double)s.trips / (double)decisions);
    (void)fleet_close(f, 0);
}

/* The reference: a read of the clock, which the library makes before each call. */
static void measure_clock(uint64_t run_ns) {
    uint64_t began_ns = clock_now_ns(), now_ns = began_ns, reads = 1;
    for (; now_ns < began_ns + run_ns; reads++) now_ns = clock_now_ns();
    printf("%-34s %6.2f ns a read\n", "clock", (double)(now_ns - began_ns) / (double)reads);
}

int main(int count, char **words) {
    double          seconds = count > 1 ? strtod(words[1], NULL) : 1;
    struct generous g       = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};
    struct store    store   = {.context       = &g,
                               .shard_count   = 1,
                               .trips_max     = 1024,
                               .round_trip_ns = 1000000,
                               .clamp_ns      = NS_PER_S,
                               .serve         = serve};
    if (pthread_create(&g.thread, NULL, serve_all, &g) != 0) return 1;
    uint64_t run_ns = (uint64_t)(seconds * NS_PER_S);
    measure_clock(run_ns);
    measure(&store, "one thread, one user", 1, 1, true, run_ns);
    measure(&store, "one thread, 100 users", 1, 100, true, run_ns);
    measure(&store, "two threads, one user", 2, 1, true, run_ns);
    measure(&store, "two threads, 100 users each", 2, 100, false, run_ns);
    pthread_mutex_lock(&g.lock);
    g.is_over = true;
    pthread_cond_signal(&g.wake);
    pthread_mutex_unlock(&g.lock);
    pthread_join(g.thread, NULL);
    return 0;
}
