/* SPDX-License-Identifier: MIT
 *
 * asked_update: the questions of decide.c, each of them a conditional update that Cassandra does.
 *
 * What one writes who wants a strict limit on Cassandra and has no weir: GCRA, one number a user, the
 * theoretical arrival time (TAT) of the next permit.
 *
 *     UPDATE lwt SET tat = (the greater of tat and now) + interval WHERE name = user
 *     IF tat = (what I think it is)
 *
 * It is as good as we know how to make it:
 *
 * - No read: what the last answer about a user said is remembered, and the update is tried on that. An update
 *   whose condition does not hold tells the number that is there, and is tried again with it.
 * - A TAT only grows, so a question that the remembered one denies is denied without a word to a server.
 * - All clients ask the same replica of a user first, so that they meet in its queue (is_conditional).
 * - An update of unknown outcome is tried again on what is remembered. If it was done, a permit is lost.
 *
 * TATs are of the wall clocks of who asks: one machine here. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/range.h"
#include "decide/asked.h"
#include "load/option.h"
#include "os/clock.h"
#include "os/latch.h"
#include "store/cassandra/cassandra.h"
#include "wire/cql_value.h"

enum {
    USER_BYTES_MAX = 128,
    TATS     = 1 << 20, /* of users who are remembered; who has the slot of another displaces him */
    TAT_NONE = 0,
};

#define SECOND UINT64_C(1000000000)

struct remembered {
    uint64_t hash, tat_ns;
};

struct asked {
    struct cassandra *client;
    uint64_t          interval_ns, window_ns;
    int32_t           keep_s;
    _Atomic uint64_t  updates, displaced,
        unknown; /* statements; whose condition did not hold; outcome */
    pthread_mutex_t   lock;
    struct remembered tats[TATS]; /* under the lock */
};

/* A question until it is answered: several updates, perhaps. */
struct update {
    struct asked *a;
    struct ask   *ask;
    uint64_t      deadline_ns, hash;
    uint64_t      tat_ns, next_ns; /* what it is thought to be, and is to be */
    size_t        user_bytes;
    char          user[USER_BYTES_MAX];
};

const char asked_name[] = "lwt";

static const struct cassandra_statement statement = {
    "UPDATE lwt USING TTL ? SET tat = ? WHERE name = ? IF tat = ?"};

struct asked *asked_open(const char *url, uint64_t limit, uint64_t window_ns) {
    char                    problem[CASSANDRA_PROBLEM_BYTES_MAX];
    struct cassandra_result result;
    struct asked           *a = calloc(1, sizeof *a);
    if (a == NULL) die(3, "out of memory");
    a->client = cassandra_open(view_of(url), NULL, problem);
    if (a->client == NULL) die(3, "%s", problem);
    cassandra_ready(a->client, clock_now_ns() + asked_deadline_ns, &result);
    if (result.status != CASSANDRA_DONE) die(3, "%s", result.problem);
    cassandra_result_clear(&result);
    pthread_mutex_init(&a->lock, NULL);
    a->interval_ns = window_ns / limit;
    a->window_ns   = window_ns;
    a->keep_s      = (int32_t)(2 * window_ns / SECOND + 2);
    return a;
}

void asked_close(struct asked *a) {
    cassandra_close(a->client);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

/* ---- what is remembered of users ---- */

static uint64_t recall(struct asked *a, uint64_t hash) {
    pthread_mutex_lock(&a->lock);
    const struct remembered *slot   = &a->tats[hash % TATS];
    uint64_t                 tat_ns = slot->hash == hash ? slot->tat_ns : TAT_NONE;
    pthread_mutex_unlock(&a->lock);
    return tat_ns;
}

static void remember(struct asked *a, uint64_t hash, uint64_t tat_ns) {
    pthread_mutex_lock(&a->lock);
    struct remembered *slot = &a->tats[hash % TATS];
    if (slot->hash != hash || slot->tat_ns < tat_ns)
        *slot = (struct remembered){.hash = hash, .tat_ns = tat_ns};
    pthread_mutex_unlock(&a->lock);
}

/* ---- one question ---- */

static void on_answer(void *context, struct cassandra_result *result);

/* False: it is answered already. */
static bool update_try(struct update *u) {
    struct asked *a      = u->a;
    uint64_t      now_ns = clock_wall_ns();
    char          keep[CQL_INT_BYTES], next[CQL_BIGINT_BYTES], tat[CQL_BIGINT_BYTES];
    u->next_ns         = larger(u->tat_ns, now_ns) + a->interval_ns;
    u->ask->is_allowed = false;
    u->ask->has_failed = false;
    if (u->next_ns > now_ns + a->window_ns) return false;

    struct view      user     = {.data = u->user, .bytes = u->user_bytes};
    struct cql_value values[] = {
        cql_value_of_int(a->keep_s, keep),
        cql_value_of_bigint((int64_t)u->next_ns, next),
        {CQL_PRESENT, user},
        u->tat_ns == TAT_NONE ? (struct cql_value){.presence = CQL_NULL}
                              : cql_value_of_bigint((int64_t)u->tat_ns, tat),
    };
    struct cassandra_request request = {.statement          = &statement,
                                        .values             = values,
                                        .value_count        = 4,
                                        .key                = user,
                                        .consistency        = CQL_QUORUM,
                                        .serial_consistency = CQL_SERIAL,
                                        .is_conditional     = true,
                                        .deadline_ns        = u->deadline_ns,
                                        .done               = on_answer,
                                        .context            = u};
    atomic_fetch_add_explicit(&a->updates, 1, memory_order_relaxed);
    u->ask->has_failed = cassandra_submit(a->client, &request) != CASSANDRA_DONE;
    return !u->ask->has_failed;
}

static bool answer_read(const struct cassandra_result *result, bool *is_applied, uint64_t *tat_ns) {
    struct cql_rows  rows = result->result.rows;
    struct cql_value said[2];
    int64_t          tat = TAT_NONE;
    if (result->result.kind != CQL_ROWS || !cql_rows_next(&rows, said, 2)) return false;
    (void)cql_value_bigint(said[1], &tat); /* there is none if there is no row */
    *tat_ns = (uint64_t)tat;
    return cql_value_boolean(said[0], is_applied);
}

static void update_end(struct update *u) {
    struct ask *ask = u->ask;
    free(u);
    ask->done(ask);
}

static void on_answer(void *context, struct cassandra_result *result) {
    struct update *u          = context;
    struct asked  *a          = u->a;
    bool           is_applied = false;
    uint64_t       tat_ns     = u->tat_ns;
    bool           is_unknown = result->fate == FATE_UNKNOWN;
    bool is_answer = result->status == CASSANDRA_DONE && answer_read(result, &is_applied, &tat_ns);
    if (is_answer && is_applied) {
        remember(a, u->hash, u->next_ns);
        u->ask->is_allowed = true;
        update_end(u);
        return;
    }
    if (is_answer) {
        atomic_fetch_add_explicit(&a->displaced, 1, memory_order_relaxed);
        remember(a, u->hash, tat_ns);
        u->tat_ns = tat_ns;
    }
    if (is_unknown) atomic_fetch_add_explicit(&a->unknown, 1, memory_order_relaxed);
    bool may_try = (is_answer || is_unknown) && clock_now_ns() < u->deadline_ns;
    if (may_try && update_try(u)) return;
    if (!may_try) u->ask->has_failed = true;
    update_end(u);
}

bool asked_begin(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    static const struct hash_secret secret = {1, 2};
    struct update                  *u      = malloc(sizeof *u);
    if (u == NULL || user_bytes > sizeof u->user) die(3, "no room for a question");
    *u = (struct update){.a           = a,
                         .ask         = ask,
                         .deadline_ns = clock_now_ns() + asked_deadline_ns,
                         .hash        = hash_of(secret, 0, user, user_bytes),
                         .user_bytes  = user_bytes};
    memcpy(u->user, user, user_bytes);
    u->tat_ns = recall(a, u->hash);
    if (update_try(u)) return false;
    free(u);
    return true;
}

static void on_waited(struct ask *ask) { latch_open(ask->context); }

void asked_wait(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    struct latch latch;
    struct ask   waited = {.done = on_waited, .context = &latch};
    latch_init(&latch);
    if (!asked_begin(a, user, user_bytes, &waited)) latch_wait(&latch);
    ask->is_allowed = waited.is_allowed;
    ask->has_failed = waited.has_failed;
}

static uint64_t counted(const _Atomic uint64_t *count) {
    return atomic_load_explicit(count, memory_order_relaxed);
}

void asked_tell(struct asked *a) {
    printf(",\"updates\":%" PRIu64 ",\"displaced\":%" PRIu64 ",\"unknown\":%" PRIu64,
           counted(&a->updates), counted(&a->displaced), counted(&a->unknown));
}
