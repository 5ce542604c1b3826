/* SPDX-License-Identifier: MIT
 *
 * Plays random traffic of many users on the whole limiter in virtual time: small tables that overflow
 * and forget, windows from a microsecond to days, limits that change, joint decisions, looks, resets.
 * Each counter has an exact log. Whatever happens to the table, no user is ever above the limit that
 * an admission came with; and while nobody had to share a counter, what remains is what the log says,
 * within one quantum and one cell for each time that the limit changed. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limit/window.h"
#include "limiter/limiter.h"
#include "model/draw.h"
#include "model/exact_log.h"
#include "model/seeds.h"

enum {
    WORLDS      = 400,
    STEPS_FULL  = 20000,
    STEPS_MIN   = 400,
    USERS_MAX   = 200,
    WINDOWS_MAX = 3,
    JOINT_MAX   = 6,
};

struct world {
    struct limiter  *limiter;
    uint64_t         users, windows, window_ns[WINDOWS_MAX], clock_error_ppm;
    uint64_t         limit[USERS_MAX]; /* the usual one of each user */
    bool             has_changes;      /* limits differ from call to call */
    bool             has_shared;       /* somebody was decided on a shared counter */
    uint64_t         now_ns;
    struct exact_log log[USERS_MAX][WINDOWS_MAX];
    uint64_t         steps, admitted, denied, shared;
};

struct question {
    uint64_t     user, window;
    char         name[24];
    weir_request request;
};

static void question_make(struct world *w, struct random *r, struct question *q) {
    q->user   = random_below(r, 3) == 0 ? random_below(r, 3) % w->users : random_below(r, w->users);
    q->window = random_below(r, w->windows);
    snprintf(q->name, sizeof q->name, "user %u", (unsigned)q->user);
    uint64_t limit = w->limit[q->user];
    if (w->has_changes && random_below(r, 4) == 0)
        limit = random_below(r, 2) == 0 ? draw_limit(r) : limit / 2;
    q->request =
        weir_request_for(q->name, strlen(q->name), limit, (int64_t)w->window_ns[q->window]);
    switch (random_below(r, 6)) {
    case 0: q->request.cost = 0; break;
    case 1: q->request.cost = draw_log_uniform(r, limit + 1); break;
    case 2: q->request.cost = limit / 3 + 1; break;
    default: q->request.cost = 1 + limit / (1 + random_below(r, 100)); break;
    }
}

static uint64_t world_seed; /* said with a failure: it plays this world first */

static struct exact_log *log_of(struct world *w, const struct question *q) {
    return &w->log[q->user][q->window];
}

static void judge_admission(struct world *w, const struct question *q) {
    struct exact_log *log = log_of(w, q);
    exact_log_add(log, w->now_ns, q->request.cost);
    uint64_t within = exact_log_within(log, w->now_ns, w->window_ns[q->window]);
    CHECK_SAYS(within <= q->request.limit,
               "PROMISE BROKEN: %s has %" PRIu64 " in the %" PRIu64 "ns before %" PRIu64
               "ns, limit %" PRIu64 " (%s; alone: --seed %" PRIu64 ")",
               q->name, within, w->window_ns[q->window], w->now_ns, q->request.limit,
               w->has_shared ? "counters were shared" : "no counter was shared", world_seed);
}

/* What remains, against the log: never more than is free, and not less by more than is promised. */
static void judge_answer(struct world *w, const struct question *q, const weir_decision *d) {
    CHECK_EQ(d->status, WEIR_OK);
    if (d->how == WEIR_HOW_OVERFLOW) w->has_shared = true;
    w->shared += d->how == WEIR_HOW_OVERFLOW;
    uint64_t limit     = q->request.limit;
    uint64_t window_ns = w->window_ns[q->window];
    uint64_t within    = exact_log_within(log_of(w, q), w->now_ns, window_ns);
    uint64_t free      = within < limit ? limit - within : 0;
    CHECK_SAYS(d->remaining <= free || d->how == WEIR_HOW_OVERFLOW,
               "%s: %" PRIu64 " remain where %" PRIu64 " are free (alone: --seed %" PRIu64 ")",
               q->name, d->remaining, free, world_seed);
    if (w->has_shared || w->has_changes) return;
    uint64_t           true_ns = window_ns + (window_ns * w->clock_error_ppm + 999999) / 1000000;
    struct window_grid grid    = window_grid_for(limit, true_ns);
    uint64_t           longer  = exact_log_within(log_of(w, q), w->now_ns, true_ns + grid.cell_ns);
    CHECK_SAYS(d->remaining + longer + grid.quantum - 1 >= limit,
               "%s: only %" PRIu64 " remain of %" PRIu64 " with %" PRIu64
               " used (alone: --seed %" PRIu64 ")",
               q->name, d->remaining, limit, longer, world_seed);
}

static void step_single(struct world *w, struct random *r) {
    struct question q;
    question_make(w, r, &q);
    if (random_below(r, 5) == 0) {
        q.request.cost = 1;
        bool allowed   = limiter_allow(w->limiter, q.name, strlen(q.name), q.request.limit,
                                       q.request.window_ns, w->now_ns);
        /* An answer of one word does not tell how it was reached. */
        weir_statistics s = {.size = sizeof s};
        limiter_stats(w->limiter, &s);
        w->has_shared = w->has_shared || s.overflowed > 0;
        if (allowed) judge_admission(w, &q);
        return;
    }
    weir_decision d;
    CHECK_EQ(limiter_decide(w->limiter, &q.request, w->now_ns, &d), WEIR_OK);
    if (d.allowed && q.request.cost > 0) judge_admission(w, &q);
    d.allowed ? w->admitted++ : w->denied++;
    judge_answer(w, &q, &d);
}

static void step_several(struct world *w, struct random *r, bool joint) {
    struct question q[JOINT_MAX];
    weir_request    requests[JOINT_MAX];
    weir_decision   d[JOINT_MAX];
    size_t          count = 1 + random_below(r, JOINT_MAX);
    for (size_t i = 0; i < count; i++) {
        question_make(w, r, &q[i]);
        requests[i]      = q[i].request;
        requests[i].user = q[i].name;
    }
    weir_status status = joint ? limiter_decide_all(w->limiter, requests, count, w->now_ns, d)
                               : limiter_decide_many(w->limiter, requests, count, w->now_ns, d);
    CHECK_EQ(status, WEIR_OK);
    bool all = true;
    for (size_t i = 0; i < count; i++) all = all && d[i].allowed;
    for (size_t i = 0; i < count; i++) {
        if (d[i].how == WEIR_HOW_OVERFLOW) w->has_shared = true;
        if (d[i].allowed && q[i].request.cost > 0 && (!joint || all)) judge_admission(w, &q[i]);
        if (!joint) judge_answer(w, &q[i], &d[i]);
    }
    if (joint) { /* Each tells what remains after all of them. */
        for (size_t i = 0; i < count; i++) judge_answer(w, &q[i], &d[i]);
    }
}

static void step_reset(struct world *w, struct random *r) {
    struct question q;
    weir_decision   d;
    if (w->has_shared)
        return; /* What was taken on a shared counter is not reset: the log would not know. */
    question_make(w, r, &q);
    q.request.cost = 0;
    CHECK_EQ(limiter_decide(w->limiter, &q.request, w->now_ns, &d), WEIR_OK);
    CHECK_EQ(limiter_reset(w->limiter, &q.request, w->now_ns), WEIR_OK);
    exact_log_clear(log_of(w, &q));
    CHECK_EQ(limiter_decide(w->limiter, &q.request, w->now_ns, &d), WEIR_OK);
    CHECK_EQ(d.remaining, q.request.limit);
}

static void world_play(uint64_t seed, size_t steps, uint64_t *admitted, uint64_t *denied,
                       uint64_t *shared) {
    static struct world w;
    struct random       r = {.state = seed};
    memset(&w, 0, sizeof w);
    w.users       = 1 + draw_log_uniform(&r, USERS_MAX - 1);
    w.windows     = 1 + random_below(&r, WINDOWS_MAX);
    w.has_changes = random_below(&r, 3) == 0;
    if (random_below(&r, 4) == 0) w.clock_error_ppm = draw_log_uniform(&r, 100000);
    for (uint64_t i = 0; i < w.windows; i++) {
        w.window_ns[i] = 1000 + draw_log_uniform(&r, (uint64_t)WEIR_DAY) + i;
        for (uint64_t k = 0; k < i; k++) w.window_ns[i] += w.window_ns[i] == w.window_ns[k];
    }
    for (uint64_t u = 0; u < w.users; u++)
        w.limit[u] = random_below(&r, 3) == 0 ? draw_limit(&r) : random_between(&r, 1, 300);
    w.now_ns = draw_start_ns(&r, (uint64_t)WEIR_DAY) % (LIMIT_NOW_MAX / 2);

    struct limiter_options options = {.users_max = draw_log_uniform(&r, 2 * w.users * w.windows),
                                      .clock_error_ppm = w.clock_error_ppm,
                                      .secret          = {(uint8_t)seed}};
    w.limiter                      = limiter_new(&options);
    CHECK_NE(w.limiter, NULL);
    bool resets = random_below(&r, 2) == 0;
    for (w.steps = 0; w.steps < steps; w.steps++) {
        uint64_t window_ns = w.window_ns[random_below(&r, w.windows)];
        switch (random_below(&r, 8)) {
        case 0: w.now_ns += draw_log_uniform(&r, window_ns); break;
        case 1: w.now_ns += random_below(&r, window_ns / 50 + 1); break;
        case 2:
            if (random_below(&r, 20) == 0) w.now_ns += draw_beside(&r, window_ns, 1);
            break;
        default: break;
        }
        uint64_t kind = random_below(&r, 20);
        if (kind < 14) {
            step_single(&w, &r);
        } else if (kind < 19) {
            step_several(&w, &r, kind >= 16);
        } else if (resets && random_below(&r, 10) == 0) {
            step_reset(&w, &r);
        }
        weir_statistics s = {.size = sizeof s};
        if (w.steps % 64 == 0) {
            limiter_stats(w.limiter, &s);
            CHECK_LE(s.users, options.users_max);
        }
    }
    *admitted += w.admitted;
    *denied += w.denied;
    *shared += w.shared;
    for (uint64_t u = 0; u < USERS_MAX; u++) {
        for (uint64_t i = 0; i < WINDOWS_MAX; i++) exact_log_clear(&w.log[u][i]);
    }
    limiter_free(w.limiter);
}

/* The first world is that of the run's own seed, so that --seed repeats the one that failed. */
TEST(no_user_of_a_busy_limiter_is_above_the_limit) {
    static uint64_t seeds[SEEDS_MAX];
    size_t          count    = seeds_read("model_limiter", seeds);
    uint64_t        steps    = seeds_share(check_effort(STEPS_FULL));
    uint64_t        admitted = 0, denied = 0, shared = 0;
    if (steps < STEPS_MIN) steps = STEPS_MIN;
    for (size_t i = 0; i < count; i++)
        world_play(seeds[i], STEPS_FULL, &admitted, &denied, &shared);

    struct random r    = {.state = check_seed()};
    uint64_t      seed = check_seed();
    for (size_t i = 0; i < WORLDS; i++) {
        world_seed = seed;
        world_play(seed, steps, &admitted, &denied, &shared);
        seed = random_next(&r);
    }
    printf("%d worlds, %" PRIu64 " admitted, %" PRIu64 " denied, %" PRIu64 " on shared counters\n",
           WORLDS, admitted, denied, shared);
    CHECK_GT(admitted, steps);
    CHECK_GT(denied, steps);
    CHECK_GT(shared, steps);
}
