/* SPDX-License-Identifier: MIT
 *
 * Many threads on several nodes that share a store which fails: is any window above its limit?
 *
 * Every admission is kept with the clock before the call and after it. A window breaks its limit for
 * certain if more than the limit was admitted by calls that began and ended within it. */
#include "concurrency/crew.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fleet/model_store.h"
#include "limiter/fleet.h"
#include "model/seeds.h"
#include "os/clock.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

enum {
    THREADS     = 6, /* all but the last ask; that one makes the faults */
    NODES_MAX   = 3,
    USERS_MAX   = 400,
    TICKETS     = 8, /* of a thread, out at once */
    KEPT_MAX    = 400000,
    RUN_MS_MIN  = 1500,
    SLACK_MS    = 2000, /* of a busy machine */
    RETRY_TURNS = 30000,
};

struct admission {
    uint32_t user, cost;
    uint64_t before_ns, after_ns;
};

/* What one thread was told. */
struct told {
    struct admission *kept;
    size_t            count;
    uint64_t          decisions, degraded, longest_ns;
};

struct caller {
    struct fleet_ticket ticket;
    struct admission    admission;
    _Atomic bool        is_free;
    _Atomic uint64_t    after_ns;
};

struct scene {
    struct model_options model;
    uint64_t             nodes, users, limit, window_ns, wait_ns, run_ns;
    enum fleet_policy    policy;
    bool                 has_outages, loses_all, has_jumps, has_two_limits;
    uint32_t             users_max; /* of a node; 0: 300 */
    uint64_t             pause_us;  /* between the calls of a thread */

    struct model_store *store;
    struct fleet       *fleets[NODES_MAX];
    _Atomic bool        is_over;
    struct told         told[THREADS];
};

static void pause_ns(uint64_t ns) {
    (void)nanosleep(
        &(struct timespec){.tv_sec = (time_t)(ns / SECOND), .tv_nsec = (long)(ns % SECOND)}, NULL);
}

static struct fleet_question question(const struct scene *s, uint32_t user, uint64_t cost) {
    static const struct hash_secret secret = {3, 4};
    return (struct fleet_question){
        .name      = fleet_name_of(secret, &user, sizeof user, s->window_ns, ALGORITHM_STRICT),
        .limit     = s->limit,
        .window_ns = s->window_ns,
        .cost      = cost,
        .wait_ns   = s->wait_ns};
}

/* ---- the judge ---- */

static int by_end(const void *a, const void *b) {
    const struct admission *x = a, *y = b;
    if (x->user != y->user) return x->user < y->user ? -1 : 1;
    return x->after_ns < y->after_ns ? -1 : x->after_ns > y->after_ns;
}

/* The most that certainly fell into one window of one user. Sorts. */
static uint64_t fullest_window(struct admission *a, size_t count, uint64_t window_ns) {
    uint64_t fullest = 0;
    qsort(a, count, sizeof *a, by_end);
    for (size_t i = 0; i < count; i++) {
        uint64_t sum = 0;
        for (size_t k = i + 1; k-- > 0;) {
            if (a[k].user != a[i].user || a[k].after_ns + window_ns <= a[i].after_ns) break;
            if (a[k].before_ns + window_ns > a[i].after_ns) sum += a[k].cost;
        }
        if (sum > fullest) fullest = sum;
    }
    return fullest;
}

TEST(the_judge_finds_one_too_many) {
    struct admission a[] = {{1, 5, 100, 110}, {1, 5, 150, 190}, {2, 9, 100, 120}, {1, 1, 195, 199}};
    CHECK_EQ(fullest_window(a, 4, 100), 11);
    CHECK_EQ(fullest_window(a, 4, 99),
             10); /* the first and the last are not surely in one window */
    CHECK_EQ(fullest_window(a, 4, 5), 1);
}

/* ---- callers ---- */

static void keep(struct told *t, const struct admission *a, const struct fleet_answer *answer) {
    t->decisions++;
    t->degraded += answer->how == FLEET_DEGRADED;
    if (a->after_ns - a->before_ns > t->longest_ns) t->longest_ns = a->after_ns - a->before_ns;
    if (!answer->allowed) return;
    CHECK_LT(t->count, KEPT_MAX);
    t->kept[t->count++] = *a;
}

static void caller_told(struct fleet_ticket *ticket) {
    struct caller *c = ticket->context;
    atomic_store(&c->after_ns, clock_now_ns());
    atomic_store(&c->is_free, true);
}

static void caller_harvest(struct told *t, struct caller *c) {
    if (c->ticket.context == NULL) return;
    c->admission.after_ns = c->after_ns;
    keep(t, &c->admission, &c->ticket.answer);
    c->ticket.context = NULL;
}

static void ask_once(struct scene *s, struct told *t, struct caller *callers, struct random *r) {
    uint32_t              user = (uint32_t)random_below(r, s->users);
    struct fleet         *f    = s->fleets[random_below(r, s->nodes)];
    struct fleet_question q    = question(s, user, random_below(r, 8) == 0 ? 3 : 1);
    struct admission      a = {.user = user, .cost = (uint32_t)q.cost, .before_ns = clock_now_ns()};
    struct caller        *c = &callers[random_below(r, TICKETS)];
    if (random_below(r, 4) != 0 || !atomic_load(&c->is_free)) {
        struct fleet_answer answer;
        fleet_decide(f, &q, a.before_ns, &answer);
        a.after_ns = clock_now_ns();
        keep(t, &a, &answer);
        return;
    }
    caller_harvest(t, c);
    c->admission = a;
    c->ticket    = (struct fleet_ticket){.done = caller_told, .context = c};
    atomic_store(&c->is_free, false);
    if (fleet_decide_async(f, &q, a.before_ns, &c->ticket)) caller_told(&c->ticket);
}

static void make_faults(struct scene *s, struct random *r) {
    uint64_t end_ns   = clock_now_ns() + s->run_ns;
    bool     has_lost = false;
    while (clock_now_ns() < end_ns) {
        pause_ns(random_between(r, 50 * MS, 400 * MS));
        if (s->has_outages) {
            model_cut(s->store, true);
            pause_ns(random_between(r, 5 * MS, 300 * MS));
            model_cut(s->store, false);
        }
        if (s->has_jumps) model_jump(s->store, (int64_t)random_between(r, 0, 900000) - 100000);
        if (s->loses_all && !has_lost && clock_now_ns() + s->run_ns * 2 / 3 > end_ns) {
            model_lose_all(s->store);
            has_lost = true;
        }
    }
    atomic_store(&s->is_over, true);
}

static void scene_run(struct crew_member *m) {
    struct scene *s = m->work;
    struct told  *t = &s->told[m->index];
    if (m->index == THREADS - 1) {
        make_faults(s, &m->random);
        return;
    }
    struct caller callers[TICKETS] = {0};
    for (unsigned i = 0; i < TICKETS; i++) atomic_store(&callers[i].is_free, true);
    while (!atomic_load(&s->is_over)) {
        ask_once(s, t, callers, &m->random);
        if (s->pause_us > 0) pause_ns(random_below(&m->random, 2000 * s->pause_us));
    }
    for (unsigned i = 0; i < TICKETS; i++) {
        while (!atomic_load(&callers[i].is_free)) pause_ns(MS);
        caller_harvest(t, &callers[i]);
    }
}

/* Everybody is admitted again, some time after all faults have ended. */
static void scene_recovers(struct scene *s) {
    for (uint32_t user = 0; user < s->users; user += 1 + (uint32_t)s->users / 10) {
        for (uint64_t n = 0; n < s->nodes; n++) {
            struct fleet_question q = question(s, user, 1);
            struct fleet_answer   a;
            unsigned              turns = 0;
            do {
                CHECK_SAYS(turns++ < RETRY_TURNS, "user %" PRIu32 " is denied for ever", user);
                fleet_decide(s->fleets[n], &q, clock_now_ns(), &a);
                if (!a.allowed || a.how == FLEET_DEGRADED) pause_ns(MS);
            } while (!a.allowed || a.how == FLEET_DEGRADED);
        }
    }
}

/* Plays a scene; returns the most that a window of anybody held. */
static uint64_t scene_play(struct scene *s, const char *name) {
    s->model.seed = check_seed();
    s->run_ns =
        check_effort(s->run_ns) < RUN_MS_MIN * MS ? RUN_MS_MIN * MS : check_effort(s->run_ns);
    s->model.accounts_max = USERS_MAX * 2;
    s->store              = model_open(&s->model);
    for (uint64_t i = 0; i < s->nodes; i++) {
        s->fleets[i] =
            fleet_open(model_store(s->store),
                       &(struct fleet_options){.users_max = s->users_max != 0 ? s->users_max : 300,
                                               .policy    = s->policy,
                                               .lease     = {.nodes = s->nodes}});
        CHECK_NE(s->fleets[i], NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        s->told[i].kept = calloc(KEPT_MAX, sizeof *s->told[i].kept);
        CHECK_NE(s->told[i].kept, NULL);
    }
    uint64_t began_ns = clock_now_ns();
    crew_run(THREADS, scene_run, s);
    uint64_t took_ns = clock_now_ns() - began_ns;
    scene_recovers(s);

    size_t   count     = 0;
    uint64_t decisions = 0, degraded = 0, longest_ns = 0, admitted = 0, trips = 0;
    for (unsigned i = 0; i < THREADS; i++) count += s->told[i].count;
    struct admission *all = calloc(count + 1, sizeof *all);
    count                 = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        const struct told *t = &s->told[i];
        memcpy(all + count, t->kept, t->count * sizeof *all);
        count += t->count;
        decisions += t->decisions;
        degraded += t->degraded;
        if (t->longest_ns > longest_ns) longest_ns = t->longest_ns;
        free(t->kept);
    }
    for (size_t i = 0; i < count; i++) admitted += all[i].cost;
    for (uint64_t i = 0; i < s->nodes; i++) {
        struct fleet_statistics f;
        fleet_statistics(s->fleets[i], clock_now_ns(), &f);
        trips += f.trips;
        (void)fleet_close(s->fleets[i], SECOND);
    }
    uint64_t fullest = fullest_window(all, count, s->window_ns);
    double   could   = (double)(s->limit * s->users) * ((double)took_ns / (double)s->window_ns + 1);
    printf("%s: %" PRIu64 " decisions, %" PRIu64 " degraded, %" PRIu64 " permits (%.0f %% of all), "
           "fullest window %" PRIu64 " of %" PRIu64 ", %.0f trips per 1000, longest call %.1f ms\n",
           name, decisions, degraded, admitted, 100 * (double)admitted / could, fullest, s->limit,
           1000 * (double)trips / (double)decisions, (double)longest_ns / 1e6);
    CHECK_GT(admitted, 0);
    CHECK_LT(longest_ns, s->wait_ns + SLACK_MS * MS);
    free(all);
    model_close(s->store);
    return fullest;
}

TEST(few_users_on_many_threads_and_nodes) {
    struct scene s = {.nodes     = 3,
                      .users     = 2,
                      .limit     = 3000,
                      .window_ns = SECOND,
                      .wait_ns   = 20 * MS,
                      .policy    = FLEET_CLOSED,
                      .run_ns    = 4 * SECOND,
                      .pause_us  = 50};
    CHECK_LE(scene_play(&s, "few users"), s.limit);
}

TEST(many_users_with_small_limits) {
    struct scene s = {.nodes     = 2,
                      .users     = USERS_MAX,
                      .limit     = 5,
                      .window_ns = 300 * MS,
                      .wait_ns   = 20 * MS,
                      .policy    = FLEET_CLOSED,
                      .run_ns    = 3 * SECOND,
                      .pause_us  = 50};
    CHECK_LE(scene_play(&s, "many users"), s.limit);
}

TEST(trips_that_are_lost_repeated_and_late) {
    struct scene s = {.model = {.lost_permille = 50, .repeated_permille = 100, .late_permille = 50},
                      .nodes = 3,
                      .users = 3,
                      .limit = 500,
                      .window_ns = 500 * MS,
                      .wait_ns   = 20 * MS,
                      .policy    = FLEET_CLOSED,
                      .run_ns    = 4 * SECOND,
                      .pause_us  = 50};
    CHECK_LE(scene_play(&s, "lossy"), s.limit);
}

TEST(outages_and_a_store_that_forgets_everything) {
    struct scene s = {.model = {.lost_permille = 20, .repeated_permille = 50, .late_permille = 20},
                      .nodes = 3,
                      .users = 4,
                      .limit = 400,
                      .window_ns   = 500 * MS,
                      .wait_ns     = 20 * MS,
                      .policy      = FLEET_CLOSED,
                      .run_ns      = 6 * SECOND,
                      .pause_us    = 50,
                      .has_outages = true,
                      .loses_all   = true};
    CHECK_LE(scene_play(&s, "outages"), s.limit);
}

TEST(local_shares_stay_within_their_bound) {
    struct scene s = {.nodes       = 3,
                      .users       = 3,
                      .limit       = 90,
                      .window_ns   = 500 * MS,
                      .wait_ns     = 5 * MS,
                      .policy      = FLEET_LOCAL,
                      .run_ns      = 4 * SECOND,
                      .pause_us    = 100,
                      .has_outages = true};
    CHECK_LE(scene_play(&s, "local shares"), s.limit + s.nodes * (s.limit / s.nodes));
}

TEST(a_store_whose_clock_jumps) {
    struct scene s = {.nodes     = 2,
                      .users     = 3,
                      .limit     = 200,
                      .window_ns = 500 * MS,
                      .wait_ns   = 20 * MS,
                      .policy    = FLEET_CLOSED,
                      .run_ns    = 5 * SECOND,
                      .pause_us  = 50,
                      .has_jumps = true};
    CHECK_LE(scene_play(&s, "jumps"), s.limit);
}

TEST(more_users_than_there_is_room_for) {
    struct scene s = {.nodes     = 2,
                      .users     = USERS_MAX,
                      .limit     = 64,
                      .window_ns = 500 * MS,
                      .wait_ns   = 20 * MS,
                      .policy    = FLEET_CLOSED,
                      .run_ns    = 3 * SECOND,
                      .pause_us  = 50,
                      .users_max = 48};
    CHECK_LE(scene_play(&s, "a crowd"), s.limit);
}

/* Who asks with the lower limit is denied more; nobody gets more than the higher one. */
TEST(two_limits_for_the_same_users) {
    struct scene s = {.nodes          = 2,
                      .users          = 3,
                      .limit          = 300,
                      .window_ns      = 500 * MS,
                      .wait_ns        = 20 * MS,
                      .policy         = FLEET_CLOSED,
                      .run_ns         = 3 * SECOND,
                      .pause_us       = 50,
                      .has_two_limits = true};
    CHECK_LE(scene_play(&s, "two limits"), s.limit);
}
