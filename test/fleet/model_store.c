/* SPDX-License-Identifier: MIT */
#include "fleet/model_store.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "lease/account.h"
#include "os/clock.h"
#include "os/process.h"
#include "support/check.h"

enum {
    EVENTS_MAX = 1 << 15,
    JOBS_MAX   = 1 << 13,
    SHARDS_MAX = 64,
    HELD_NS    = 1000000,
    NS_PER_S   = 1000000000
};

enum kind { ARRIVES, IS_ANSWERED, TIMES_OUT };

/* What is known of a trip; it outlives the trip if it arrives late. */
struct job {
    struct store_trip   *trip; /* NULL: done */
    struct store_name    name;
    uint32_t             shard;
    bool                 is_beat;
    struct lease_request request;
    struct lease_reply   reply;
    unsigned             events; /* that name it */
    struct job          *next_free;
};

struct event {
    uint64_t    at_ns;
    enum kind   kind;
    struct job *job;
};

struct known {
    bool              is_used;
    struct store_name name;
    uint64_t          served;
    struct account    account;
};

struct model_store {
    struct store         store;
    struct model_options options;
    pthread_mutex_t      lock;
    pthread_cond_t       wake;
    pthread_t            thread;
    bool                 is_ending, is_cut, is_held, is_refused;
    bool                 has_refused; /* one account, alone */
    struct store_name    refused, slow;
    uint64_t             slow_ns;
    struct random        random;
    struct event        *events; /* a heap */
    size_t               event_count;
    struct job          *jobs, *free;
    size_t               job_count;
    int64_t              ahead_us; /* the server's clock, of the true time */
    struct store_clock   clocks[SHARDS_MAX];
    struct known        *accounts;
    struct model_counts  counts;
};

static bool chance(struct model_store *m, uint32_t permille) {
    return random_below(&m->random, 1000) < permille;
}

static uint64_t way_ns(struct model_store *m) {
    uint64_t delay_ns = m->options.delay_ns;
    uint64_t way      = random_between(&m->random, delay_ns / 2, delay_ns * 3 / 2);
    return chance(m, m->options.late_permille) ? way + random_below(&m->random, 100000000) : way;
}

static void plan(struct model_store *m, uint64_t at_ns, enum kind kind, struct job *job) {
    CHECK_LT(m->event_count, EVENTS_MAX);
    size_t at = m->event_count++;
    for (; at > 0 && m->events[(at - 1) / 2].at_ns > at_ns; at = (at - 1) / 2)
        m->events[at] = m->events[(at - 1) / 2];
    m->events[at] = (struct event){at_ns, kind, job};
    job->events++;
}

static struct event take_first(struct model_store *m) {
    struct event first = m->events[0], last = m->events[--m->event_count];
    size_t       at = 0;
    for (size_t child; (child = 2 * at + 1) < m->event_count; at = child) {
        if (child + 1 < m->event_count && m->events[child + 1].at_ns < m->events[child].at_ns)
            child++;
        if (m->events[child].at_ns >= last.at_ns) break;
        m->events[at] = m->events[child];
    }
    m->events[at] = last;
    return first;
}

static struct known *account_of(struct model_store *m, const struct store_name *name) {
    uint64_t word;
    memcpy(&word, name->bytes, sizeof word);
    for (uint64_t i = 0; i < m->options.accounts_max; i++) {
        struct known *k = &m->accounts[(word + i) % m->options.accounts_max];
        if (!k->is_used) {
            *k = (struct known){.is_used = true, .name = *name};
            m->counts.accounts++;
        }
        if (memcmp(&k->name, name, sizeof *name) == 0) return k;
    }
    CHECK_SAYS(false, "the model has no room for one more account");
    return NULL;
}

static void execute(struct model_store *m, struct job *job) {
    struct store_clock *clock = &m->clocks[job->shard];
    store_clock_step(clock, (uint64_t)((int64_t)(clock_now_ns() / 1000) + m->ahead_us),
                     m->options.clamp_us);
    m->counts.executed++;
    if (!job->is_beat) {
        struct known *k = account_of(m, &job->name);
        if (++k->served > m->counts.account_served_max) m->counts.account_served_max = k->served;
        account_serve(&k->account, clock, &job->request, &job->reply);
    } else {
        store_clock_rewind(clock, job->request.rewind_generation, job->request.rewind_us);
        store_clock_compare(clock, job->request.era_seen_us, job->request.grants_seen);
        job->reply = (struct lease_reply){.store_us   = clock->now_us,
                                          .era_us     = clock->era_us,
                                          .generation = clock->generation,
                                          .grants     = clock->grants};
    }
    job->reply.is_replicated = true;
}

/* Ends a trip with the lock let go of meanwhile: done() serves again. */
static void finish(struct model_store *m, struct job *job, enum store_status status,
                   bool is_alone) {
    struct store_trip *trip = job->trip;
    job->trip               = NULL;
    trip->status            = status;
    trip->is_alone          = is_alone;
    trip->reason            = status == STORE_REFUSED ? "the model was told to" : NULL;
    trip->reply             = job->reply;
    pthread_mutex_unlock(&m->lock);
    trip->done(trip);
    pthread_mutex_lock(&m->lock);
}

static bool is_refused_alone(const struct model_store *m, const struct job *job) {
    return m->has_refused && !job->is_beat &&
           memcmp(&job->name, &m->refused, sizeof job->name) == 0;
}

static void happen(struct model_store *m, struct event e) {
    struct job *job = e.job;
    switch (e.kind) {
    case ARRIVES:
        if (m->is_held) {
            plan(m, clock_now_ns() + HELD_NS, ARRIVES, job);
        } else if (m->is_cut) {
            m->counts.cut++;
        } else if (m->is_refused && !job->is_beat) {
            if (job->trip != NULL) finish(m, job, STORE_REFUSED, false);
        } else if (is_refused_alone(m, job)) {
            if (job->trip != NULL) finish(m, job, STORE_REFUSED, true);
        } else {
            execute(m, job);
            if (!chance(m, m->options.lost_permille))
                plan(m, clock_now_ns() + way_ns(m), IS_ANSWERED, job);
        }
        break;
    case IS_ANSWERED:
        if (job->trip != NULL && !m->is_cut) finish(m, job, STORE_DONE, false);
        break;
    case TIMES_OUT:
        if (job->trip != NULL) finish(m, job, STORE_UNKNOWN, false);
        break;
    }
    if (--job->events == 0) {
        CHECK(job->trip == NULL);
        job->next_free = m->free;
        m->free        = job;
    }
}

/* Or until something else has been planned. */
static void wait_until(struct model_store *m, uint64_t at_ns) {
    struct timespec at;
    uint64_t        now_ns = clock_now_ns();
    CHECK_EQ(clock_gettime(CLOCK_MONOTONIC, &at), 0);
    uint64_t ns = (uint64_t)at.tv_nsec + (at_ns > now_ns ? at_ns - now_ns : 0);
    at.tv_sec += (time_t)(ns / NS_PER_S);
    at.tv_nsec = (long)(ns % NS_PER_S);
    pthread_cond_timedwait(&m->wake, &m->lock, &at);
}

static void *run(void *context) {
    struct model_store *m = context;
    pthread_mutex_lock(&m->lock);
    while (!m->is_ending || m->event_count > 0) {
        if (m->event_count == 0) {
            pthread_cond_wait(&m->wake, &m->lock);
        } else if (!m->is_ending && m->events[0].at_ns > clock_now_ns()) {
            wait_until(m, m->events[0].at_ns);
        } else {
            happen(m, take_first(m));
        }
    }
    pthread_mutex_unlock(&m->lock);
    return NULL;
}

static struct job *job_new(struct model_store *m) {
    struct job *job = m->free;
    if (job != NULL) {
        m->free = job->next_free;
        return job;
    }
    CHECK_LT(m->job_count, JOBS_MAX);
    return &m->jobs[m->job_count++];
}

static void serve(void *context, struct store_trip *trip) {
    struct model_store *m      = context;
    uint64_t            now_ns = clock_now_ns();
    CHECK(lease_request_is_sound(&trip->request));
    pthread_mutex_lock(&m->lock);
    struct job *job = job_new(m);
    *job            = (struct job){.trip    = trip,
                                   .name    = trip->name,
                                   .shard   = trip->shard,
                                   .is_beat = trip->is_beat,
                                   .request = trip->request};
    CHECK_LT(trip->shard, m->store.shard_count);
    if (trip->is_beat)
        m->counts.beats++;
    else
        m->counts.served++;
    bool     is_slow   = !trip->is_beat && memcmp(&job->name, &m->slow, sizeof job->name) == 0;
    uint64_t arrive_ns = now_ns + way_ns(m) + (is_slow ? m->slow_ns : 0);
    if (!chance(m, m->options.lost_permille)) plan(m, arrive_ns, ARRIVES, job);
    if (chance(m, m->options.repeated_permille)) plan(m, now_ns + 3 * way_ns(m), ARRIVES, job);
    plan(m, trip->deadline_ns, TIMES_OUT, job);
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
}

static void health(void *context, struct store_health *h) {
    struct model_store *m = context;
    pthread_mutex_lock(&m->lock);
    *h = (struct store_health){.is_up = !m->is_cut, .text = "a model"};
    pthread_mutex_unlock(&m->lock);
}

static void thread_begin(struct model_store *m) {
    pthread_condattr_t attributes;
    CHECK_EQ(pthread_condattr_init(&attributes), 0);
    CHECK_EQ(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC), 0);
    CHECK_EQ(pthread_cond_init(&m->wake, &attributes), 0);
    CHECK_EQ(pthread_mutex_init(&m->lock, NULL), 0);
    CHECK_EQ(pthread_create(&m->thread, NULL, run, m), 0);
}

/* A child of fork() has a model of its own, as it was, with nothing out. */
static bool reopen(void *context) {
    struct model_store *m = context;
    m->event_count        = 0;
    m->free               = NULL;
    m->job_count          = 0;
    m->is_ending          = false;
    thread_begin(m);
    return true;
}

static void close_model(void *context) {
    struct model_store *m = context;
    pthread_mutex_lock(&m->lock);
    m->is_ending = true;
    pthread_cond_signal(&m->wake);
    pthread_mutex_unlock(&m->lock);
    CHECK_EQ(pthread_join(m->thread, NULL), 0);
}

struct model_store *model_open(const struct model_options *options) {
    struct model_store *m = calloc(1, sizeof *m);
    CHECK_NE(m, NULL);
    m->options = *options;
    if (m->options.shards == 0) m->options.shards = 1;
    if (m->options.accounts_max == 0) m->options.accounts_max = 1024;
    if (m->options.delay_ns == 0) m->options.delay_ns = 100000;
    if (m->options.clamp_us == 0) m->options.clamp_us = 1000000;
    if (m->options.round_trip_ns == 0) m->options.round_trip_ns = 2000000;
    CHECK_LE(m->options.shards, SHARDS_MAX);
    m->random.state = options->seed;
    m->events       = calloc(EVENTS_MAX, sizeof *m->events);
    m->jobs         = calloc(JOBS_MAX, sizeof *m->jobs);
    m->accounts     = calloc(m->options.accounts_max, sizeof *m->accounts);
    CHECK_NE(m->events, NULL);
    CHECK_NE(m->jobs, NULL);
    CHECK_NE(m->accounts, NULL);
    for (uint32_t i = 0; i < m->options.shards; i++)
        store_clock_begin(&m->clocks[i], clock_now_ns() / 1000, true);
    m->store = (struct store){.context       = m,
                              .shard_count   = m->options.shards,
                              .trips_max     = 4096,
                              .round_trip_ns = m->options.round_trip_ns,
                              .clamp_ns      = m->options.clamp_us * 1000,
                              .grants_wait   = options->grants_wait,
                              .serve         = serve,
                              .health        = health,
                              .reopen        = reopen,
                              .close         = close_model};
    thread_begin(m);
    return m;
}

void model_close(struct model_store *m) {
    m->store.close(m);
    free(m->events);
    free(m->jobs);
    free(m->accounts);
    free(m);
}

struct store *model_store(struct model_store *m) {
    return &m->store;
}

void model_cut(struct model_store *m, bool is_cut) {
    pthread_mutex_lock(&m->lock);
    m->is_cut = is_cut;
    pthread_mutex_unlock(&m->lock);
}

void model_hold(struct model_store *m, bool is_held) {
    pthread_mutex_lock(&m->lock);
    m->is_held = is_held;
    pthread_mutex_unlock(&m->lock);
}

void model_refuse(struct model_store *m, bool is_refused) {
    pthread_mutex_lock(&m->lock);
    m->is_refused = is_refused;
    pthread_mutex_unlock(&m->lock);
}

void model_refuse_alone(struct model_store *m, const struct store_name *name) {
    pthread_mutex_lock(&m->lock);
    m->has_refused = name != NULL;
    if (name != NULL) m->refused = *name;
    pthread_mutex_unlock(&m->lock);
}

void model_slow(struct model_store *m, const struct store_name *name, uint64_t by_ns) {
    pthread_mutex_lock(&m->lock);
    m->slow    = *name;
    m->slow_ns = by_ns;
    pthread_mutex_unlock(&m->lock);
}

void model_lose_all(struct model_store *m) {
    pthread_mutex_lock(&m->lock);
    memset(m->clocks, 0, sizeof m->clocks);
    memset(m->accounts, 0, m->options.accounts_max * sizeof *m->accounts);
    m->counts.accounts = 0;
    pthread_mutex_unlock(&m->lock);
}

void model_jump(struct model_store *m, int64_t by_us) {
    pthread_mutex_lock(&m->lock);
    m->ahead_us += by_us;
    pthread_mutex_unlock(&m->lock);
}

struct model_counts model_counts(struct model_store *m) {
    pthread_mutex_lock(&m->lock);
    struct model_counts counts = m->counts;
    pthread_mutex_unlock(&m->lock);
    return counts;
}

uint64_t model_live(struct model_store *m, const struct store_name *name) {
    pthread_mutex_lock(&m->lock);
    struct known *k    = account_of(m, name);
    uint64_t      live = account_live(&k->account, m->clocks[0].now_us);
    pthread_mutex_unlock(&m->lock);
    return live;
}
