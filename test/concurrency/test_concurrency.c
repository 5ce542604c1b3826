/* SPDX-License-Identifier: MIT
 *
 * Threads on one limiter. Where virtual time stands still nothing expires, so that every count must be
 * exact: what a user was admitted is min(limit, asked), and no permit of anybody is lost while the
 * table grows, moves users and forgets others. With the real clock the recorded calls must keep the
 * promise in every window. */
#include "concurrency/crew.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limiter.h"
#include "model/seeds.h"
#include "os/clock.h"

enum { THREADS = 4, NAME_BYTES = 40 };

static const uint64_t start = 5000000000;

static struct limiter *limiter_for(uint64_t users_max) {
    struct limiter_options options = {.users_max = users_max, .secret = {9, 8, 7}};
    struct limiter        *l       = limiter_new(&options);
    CHECK_NE(l, NULL);
    return l;
}

static weir_request request_for(const char *name, uint64_t limit, int64_t window_ns,
                                uint64_t cost) {
    weir_request r = weir_request_for(name, strlen(name), limit, window_ns);
    r.cost         = cost;
    return r;
}

static uint64_t remaining_of(struct limiter *l, const char *name, uint64_t limit, uint64_t now_ns) {
    weir_request  r = request_for(name, limit, WEIR_HOUR, 0);
    weir_decision d;
    CHECK_EQ(limiter_decide(l, &r, now_ns, &d), WEIR_OK);
    return d.remaining;
}

static weir_statistics stats_of(struct limiter *l) {
    weir_statistics s = {.size = sizeof s};
    limiter_stats(l, &s);
    return s;
}

/* ---- a hot user ---- */

struct hot {
    struct limiter  *limiter;
    uint64_t         rounds, limit;
    _Atomic uint64_t admitted, denied;
};

static void hot_run(struct crew_member *m) {
    struct hot *hot = m->work;
    for (uint64_t i = 0; i < hot->rounds; i++) {
        weir_request  r[8];
        weir_decision d[8];
        uint64_t      taken = 0, refused = 0;
        size_t        count = 1;
        for (size_t k = 0; k < 8; k++)
            r[k] = request_for("hot", hot->limit, WEIR_HOUR, 1 + random_below(&m->random, 3));
        switch (random_below(&m->random, 4)) {
        case 0:
            r[0].cost    = 1;
            d[0].allowed = limiter_allow(hot->limiter, "hot", 3, hot->limit, WEIR_HOUR, start);
            break;
        case 1: CHECK_EQ(limiter_decide(hot->limiter, r, start, d), WEIR_OK); break;
        case 2:
            count = 1 + random_below(&m->random, 8);
            CHECK_EQ(limiter_decide_many(hot->limiter, r, count, start, d), WEIR_OK);
            break;
        default: {
            count = 1 + random_below(&m->random, 4);
            CHECK_EQ(limiter_decide_all(hot->limiter, r, count, start, d), WEIR_OK);
            bool all = true;
            for (size_t k = 0; k < count; k++) all = all && d[k].allowed;
            if (!all)
                for (size_t k = 0; k < count; k++) d[k].allowed = false;
        }
        }
        for (size_t k = 0; k < count; k++) {
            if (d[k].allowed)
                taken += r[k].cost;
            else
                refused++;
        }
        atomic_fetch_add(&hot->admitted, taken);
        atomic_fetch_add(&hot->denied, refused);
    }
}

TEST(a_hot_user_gets_exactly_the_limit) {
    static const uint64_t limits[] = {1, 100, 10000, 1000000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct hot hot = {.limiter = limiter_for(100),
                          .limit   = limits[i],
                          .rounds  = seeds_share(check_effort(200000)) + 50};
        crew_run(THREADS, hot_run, &hot);
        uint64_t left = remaining_of(hot.limiter, "hot", hot.limit, start);
        CHECK_EQ(hot.admitted + left, hot.limit);
        if (hot.limit <= hot.rounds) CHECK_EQ(left, 0);
        limiter_free(hot.limiter);
    }
}

/* ---- many users, growth, everything at once ---- */

struct crowd {
    struct limiter   *limiter;
    uint64_t          users, rounds, limit;
    _Atomic uint64_t *taken; /* by user */
    _Atomic uint64_t  allowed, denied, refused;
};

static void crowd_run(struct crew_member *m) {
    struct crowd *c = m->work;
    for (uint64_t i = 0; i < c->rounds; i++) {
        enum { BATCH_MAX = 40 };
        weir_request  r[BATCH_MAX];
        weir_decision d[BATCH_MAX];
        char          name[BATCH_MAX][NAME_BYTES];
        uint64_t      user[BATCH_MAX];
        size_t        count = 1;
        uint64_t      kind  = random_below(&m->random, 10);
        if (kind < 3) count = 1 + random_below(&m->random, BATCH_MAX);
        if (kind == 3 || kind == 4) count = 1 + random_below(&m->random, 5);
        for (size_t k = 0; k < count; k++) {
            user[k] = random_below(&m->random, 5) == 0 ? random_below(&m->random, 10)
                                                       : random_below(&m->random, c->users);
            snprintf(name[k], sizeof name[k], "%" PRIu64, user[k]);
            r[k] = request_for(name[k], c->limit, WEIR_HOUR, random_below(&m->random, 3));
        }
        if (random_below(&m->random, 50) == 0) r[0].limit = UINT64_MAX;
        bool joint = kind == 3 || kind == 4;
        if (joint) {
            (void)!limiter_decide_all(c->limiter, r, count, start, d);
        } else if (count > 1) {
            (void)!limiter_decide_many(c->limiter, r, count, start, d);
        } else {
            (void)!limiter_decide(c->limiter, r, start, d);
        }
        bool all = true, sound = true;
        for (size_t k = 0; k < count; k++) {
            all   = all && d[k].allowed;
            sound = sound && d[k].status == WEIR_OK;
        }
        for (size_t k = 0; k < count; k++) {
            if (d[k].status != WEIR_OK || (joint && !sound)) {
                atomic_fetch_add(&c->refused, 1);
                continue;
            }
            atomic_fetch_add(d[k].allowed ? &c->allowed : &c->denied, 1);
            if (d[k].allowed && (!joint || all)) atomic_fetch_add(&c->taken[user[k]], r[k].cost);
            CHECK_LE(d[k].remaining, c->limit);
            CHECK_NE(d[k].how, WEIR_HOW_OVERFLOW);
        }
    }
}

TEST(growth_under_load_loses_no_permit_and_no_count) {
    uint64_t     effort = seeds_share(check_effort(120000));
    struct crowd c      = {.users = effort + 100, .rounds = effort / 4 + 100, .limit = 7};
    c.limiter           = limiter_for(c.users + c.users / 8 + 100);
    c.taken             = calloc(c.users, sizeof *c.taken);
    crew_run(THREADS, crowd_run, &c);

    uint64_t held = 0;
    for (uint64_t u = 0; u < c.users; u++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%" PRIu64, u);
        CHECK_LE(c.taken[u], c.limit);
        CHECK_SAYS(remaining_of(c.limiter, name, c.limit, start) == c.limit - c.taken[u],
                   "user %s took %" PRIu64 " of %" PRIu64 " and has %" PRIu64 " left", name,
                   (uint64_t)c.taken[u], c.limit, remaining_of(c.limiter, name, c.limit, start));
        held += c.taken[u] > 0;
    }
    weir_statistics s = stats_of(c.limiter);
    CHECK_GE(s.users, held);
    CHECK_LE(s.users, c.users);
    CHECK_EQ(s.overflowed, 0);
    CHECK_EQ(s.refused, c.refused);
    CHECK_GE(s.allowed + s.denied, c.allowed + c.denied);
    free(c.taken);
    limiter_free(c.limiter);
}

/* ---- newcomers whom several threads bring at once ---- */

/* Few, so that they have a processor each and really come together. */
enum { RUSH_THREADS = 2 };

struct rush {
    struct limiter   *limiter;
    uint64_t          users;
    _Atomic uint64_t  arrived;
    _Atomic uint32_t *taken;
};

static void rush_run(struct crew_member *m) {
    struct rush *r = m->work;
    for (uint64_t u = 0; u < r->users; u++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "%" PRIu64, u);
        atomic_fetch_add(&r->arrived, 1);
        for (unsigned spins = 0; atomic_load(&r->arrived) < (u + 1) * RUSH_THREADS; spins++) {
            if (spins > 2000) sched_yield();
        }
        if (limiter_allow(r->limiter, name, strlen(name), 1, WEIR_HOUR, start)) {
            CHECK_SAYS(atomic_fetch_add(&r->taken[u], 1) == 0,
                       "user %s with limit 1 was admitted twice", name);
        }
    }
}

TEST(everybody_comes_at_once) {
    struct rush r = {.users = seeds_share(check_effort(600000)) + 20000};
    r.limiter     = limiter_for(r.users * 9 / 8 + 1000);
    r.taken       = calloc(r.users, sizeof *r.taken);
    crew_run(RUSH_THREADS, rush_run, &r);
    for (uint64_t u = 0; u < r.users; u++) CHECK_EQ(r.taken[u], 1);
    CHECK_EQ(stats_of(r.limiter).users, r.users);
    free(r.taken);
    limiter_free(r.limiter);
}

/* ---- a full table ---- */

struct full {
    struct limiter  *limiter;
    uint64_t         rounds, users_max;
    _Atomic uint64_t shared_taken[64]; /* by newcomer */
    _Atomic uint64_t overflowed;
};

static void full_run(struct crew_member *m) {
    struct full *f = m->work;
    for (uint64_t i = 0; i < f->rounds; i++) {
        char          name[NAME_BYTES];
        uint64_t      who = random_below(&m->random, 64);
        weir_decision d;
        if (random_below(&m->random, 3) == 0) {
            snprintf(name, sizeof name, "seated %" PRIu64, random_below(&m->random, f->users_max));
            weir_request r = request_for(name, 5, WEIR_HOUR, 1);
            CHECK_EQ(limiter_decide(f->limiter, &r, start + 1, &d), WEIR_OK);
            CHECK_EQ(d.how, WEIR_HOW_STRICT);
            CHECK_SAYS(!d.allowed, "%s had used all up and was admitted: the table forgot them",
                       name);
            continue;
        }
        snprintf(name, sizeof name, "newcomer %" PRIu64, who);
        weir_request r = request_for(name, 1 + who, WEIR_HOUR, 1);
        CHECK_EQ(limiter_decide(f->limiter, &r, start + 1, &d), WEIR_OK);
        CHECK_EQ(d.how, WEIR_HOW_OVERFLOW);
        atomic_fetch_add(&f->overflowed, 1);
        if (d.allowed) CHECK_LE(atomic_fetch_add(&f->shared_taken[who], 1) + 1, 1 + who);
    }
}

TEST(a_full_table_forgets_nobody_and_is_strict_for_newcomers) {
    struct full f = {.users_max = 300, .rounds = seeds_share(check_effort(200000)) + 100};
    f.limiter     = limiter_for(f.users_max);
    for (uint64_t i = 0; i < f.users_max; i++) {
        char name[NAME_BYTES];
        snprintf(name, sizeof name, "seated %" PRIu64, i);
        weir_request  r = request_for(name, 5, WEIR_HOUR, 5);
        weir_decision d;
        CHECK_EQ(limiter_decide(f.limiter, &r, start, &d), WEIR_OK);
        CHECK_EQ(d.how, WEIR_HOW_STRICT);
        CHECK(d.allowed);
    }
    crew_run(THREADS, full_run, &f);
    weir_statistics s = stats_of(f.limiter);
    CHECK_EQ(s.users, f.users_max);
    CHECK_EQ(s.overflowed, f.overflowed);
    limiter_free(f.limiter);
}

/* ---- users come and go: nobody passes twice in one window ---- */

struct churn {
    struct limiter  *limiter;
    uint64_t         rounds;
    _Atomic uint64_t clock_ns; /* advances by a nanosecond with each call: all times differ */
    _Atomic uint64_t next_user;
    _Atomic uint64_t admitted, overflowed;
};

enum { AHEAD_NS_MAX = 100000 };

/* Each thread brings users who ask twice within half a window with limit 1: the second is denied. */
static void churn_run(struct crew_member *m) {
    struct churn *c = m->work;
    for (uint64_t i = 0; i < c->rounds; i++) {
        char          name[NAME_BYTES];
        weir_decision first, second;
        snprintf(name, sizeof name, "%" PRIu64, atomic_fetch_add(&c->next_user, 1));
        weir_request r      = weir_request_for(name, strlen(name), 1, 200 * WEIR_MICROSECOND);
        uint64_t     now_ns = atomic_fetch_add(&c->clock_ns, 700);
        CHECK_EQ(limiter_decide(c->limiter, &r, now_ns, &first), WEIR_OK);
        CHECK_EQ(limiter_decide(c->limiter, &r, now_ns + 1 + random_below(&m->random, AHEAD_NS_MAX),
                                &second),
                 WEIR_OK);
        /* Unless the time of all has gone on so far that the user was forgotten meanwhile: the second call
         * is then late, and counts when they were forgotten. */
        bool is_timely = atomic_load(&c->clock_ns) + AHEAD_NS_MAX < now_ns + (uint64_t)r.window_ns;
        if (first.allowed && second.allowed && is_timely) {
            CHECK_SAYS(false, "user %s passed twice in half a window (how %d and %d)", name,
                       first.how, second.how);
        }
        if (!first.allowed) CHECK_EQ(first.how, WEIR_HOW_OVERFLOW);
        atomic_fetch_add(&c->admitted, first.allowed);
        atomic_fetch_add(&c->overflowed, first.how == WEIR_HOW_OVERFLOW);
    }
}

TEST(users_who_come_and_go_pass_once_a_window) {
    struct churn c = {.limiter  = limiter_for(1000),
                      .rounds   = seeds_share(check_effort(500000)) + 1000,
                      .clock_ns = start};
    crew_run(THREADS, churn_run, &c);
    weir_statistics s = stats_of(c.limiter);
    CHECK_LE(s.users, 1000);
    CHECK_LE(s.memory_bytes, 4 << 20);
    CHECK_GT(s.users_forgotten, c.rounds);
    limiter_free(c.limiter);
}

/* ---- looks ---- */

struct looks {
    struct limiter  *limiter;
    uint64_t         newcomers, victims;
    _Atomic uint64_t next;
    _Atomic bool     stop;
};

static void looks_run(struct crew_member *m) {
    struct looks *l = m->work;
    char          name[NAME_BYTES];
    weir_decision d;
    if (m->index == 0) { /* the one who looks: victims have used up all */
        while (!atomic_load(&l->stop)) {
            snprintf(name, sizeof name, "victim %" PRIu64, random_below(&m->random, l->victims));
            weir_request r = request_for(name, 3, WEIR_HOUR, random_below(&m->random, 2));
            CHECK_EQ(limiter_decide(l->limiter, &r, start, &d), WEIR_OK);
            CHECK_SAYS(!d.allowed, "%s has nothing left, and a %s said that %" PRIu64 " are left",
                       name, r.cost == 0 ? "look" : "decision", d.remaining);
        }
        return;
    }
    for (;;) {
        uint64_t i = atomic_fetch_add(&l->next, 1);
        if (i >= l->newcomers) break;
        snprintf(name, sizeof name, "newcomer %" PRIu64, i);
        weir_request r = request_for(name, 3, WEIR_HOUR, 1);
        CHECK_EQ(limiter_decide(l->limiter, &r, start, &d), WEIR_OK);
        CHECK_SAYS(d.allowed, "%s is new and denied (how %d)", name, d.how);
    }
    atomic_store(&l->stop, true);
}

TEST(a_look_never_misses_a_user_who_is_being_moved) {
    for (unsigned round = 0; round < 4; round++) {
        struct looks l = {.newcomers = seeds_share(check_effort(400000)) + 3000, .victims = 500};
        l.limiter      = limiter_for(l.newcomers * 9 / 8 + 1000);
        for (uint64_t i = 0; i < l.victims; i++) {
            char          name[NAME_BYTES];
            weir_decision d;
            snprintf(name, sizeof name, "victim %" PRIu64, i);
            weir_request r = request_for(name, 3, WEIR_HOUR, 3);
            CHECK_EQ(limiter_decide(l.limiter, &r, start, &d), WEIR_OK);
        }
        crew_run(3, looks_run, &l);
        limiter_free(l.limiter);
    }
}

/* ---- accounting with more threads than there are slots ---- */

struct account {
    struct limiter *limiter;
    uint64_t        rounds;
};

static void account_run(struct crew_member *m) {
    struct account *a = m->work;
    for (uint64_t i = 0; i < a->rounds; i++) {
        (void)limiter_allow(a->limiter, "ann", 3, 10, WEIR_HOUR, start);
    }
}

static void *nothing_run(void *limiter) {
    (void)limiter_allow(limiter, "ann", 3, 10, WEIR_HOUR, start);
    return NULL;
}

TEST(no_decision_goes_uncounted_however_many_threads_there_were) {
    struct account a      = {.limiter = limiter_for(10),
                             .rounds  = seeds_share(check_effort(300000)) + 1000};
    uint64_t       others = 0;
    for (unsigned turn = 0; turn < 10; turn++) {
        crew_run(4, account_run, &a);
        others += 4 * a.rounds;
        for (unsigned i = 0; i < 15; i++) { /* use up the numbers that threads get */
            pthread_t thread;
            CHECK_EQ(pthread_create(&thread, NULL, nothing_run, a.limiter), 0);
            CHECK_EQ(pthread_join(thread, NULL), 0);
            others++;
        }
    }
    weir_statistics s = stats_of(a.limiter);
    CHECK_EQ(s.allowed, 10);
    CHECK_EQ(s.allowed + s.denied, others);
    limiter_free(a.limiter);
}

/* More threads at once than have numbers of their own, and after them others who take over the
 * numbers: no count is lost, theirs or ours. */
enum { GUESTS = 80, GUEST_ASKS = 2000, GUEST_ROUNDS = 3 };

static void *guest_run(void *work) {
    struct limiter *l = work;
    for (unsigned i = 0; i < GUEST_ASKS; i++) {
        (void)limiter_allow(l, "guest", 5, 10, WEIR_HOUR, start);
        if (i % 64 == 0) (void)sched_yield();
    }
    return NULL;
}

TEST(threads_that_share_a_slot_do_not_overwrite_counts) {
    struct limiter *l = limiter_for(10);
    for (unsigned round = 0; round < GUEST_ROUNDS; round++) {
        pthread_t thread[GUESTS];
        for (unsigned i = 0; i < GUESTS; i++)
            CHECK_EQ(pthread_create(&thread[i], NULL, guest_run, l), 0);
        (void)guest_run(l);
        for (unsigned i = 0; i < GUESTS; i++) CHECK_EQ(pthread_join(thread[i], NULL), 0);
    }
    weir_statistics counts = stats_of(l);
    CHECK_EQ(counts.allowed, 10);
    CHECK_EQ(counts.allowed + counts.denied, (uint64_t)GUEST_ROUNDS * (GUESTS + 1) * GUEST_ASKS);
    limiter_free(l);
}

/* ---- the real clock: the promise in every window ---- */

struct call {
    uint64_t before_ns, after_ns, cost;
};

struct timed {
    struct limiter *limiter;
    uint64_t        limit, until_ns;
    int64_t         window_ns;
    struct call    *calls[CREW_MAX]; /* admitted ones, by thread */
    size_t          count[CREW_MAX], count_max;
};

static void timed_run(struct crew_member *m) {
    struct timed *t = m->work;
    for (;;) {
        struct call   call = {.before_ns = clock_now_ns(), .cost = 1 + random_below(&m->random, 2)};
        weir_request  r    = request_for("ann", t->limit, t->window_ns, call.cost);
        weir_decision d;
        if (call.before_ns >= t->until_ns) break;
        CHECK_EQ(limiter_decide(t->limiter, &r, call.before_ns, &d), WEIR_OK);
        call.after_ns = clock_now_ns();
        if (d.allowed && t->count[m->index] < t->count_max)
            t->calls[m->index][t->count[m->index]++] = call;
        if (random_below(&m->random, 20) == 0) { /* others come and go, so that lines are moved */
            char other[NAME_BYTES];
            snprintf(other, sizeof other, "%" PRIu64, random_below(&m->random, 5000));
            r = request_for(other, 5, t->window_ns, 1);
            CHECK_EQ(limiter_decide(t->limiter, &r, clock_now_ns(), &d), WEIR_OK);
        }
    }
}

static int call_order(const void *a, const void *b) {
    const struct call *x = a, *y = b;
    return (x->after_ns > y->after_ns) - (x->after_ns < y->after_ns);
}

/* Convicts only what is certain: calls that began after x and returned by x + window were all
 * admitted within that window. */
TEST(no_window_of_the_real_clock_is_above_the_limit) {
    static const int64_t windows[] = {20 * WEIR_MICROSECOND, WEIR_MILLISECOND,
                                      50 * WEIR_MILLISECOND};
    for (size_t w = 0; w < sizeof windows / sizeof *windows; w++) {
        struct timed t = {.limiter   = limiter_for(600),
                          .limit     = 50,
                          .window_ns = windows[w],
                          .count_max = 2000000};
        for (size_t i = 0; i < THREADS; i++) t.calls[i] = malloc(t.count_max * sizeof *t.calls[i]);
        t.until_ns = clock_now_ns() + check_effort(1500) * 1000000 + 100000000;
        crew_run(THREADS, timed_run, &t);

        size_t count = 0;
        for (size_t i = 0; i < THREADS; i++) count += t.count[i];
        struct call *all = malloc((count + 1) * sizeof *all);
        size_t       at  = 0;
        for (size_t i = 0; i < THREADS; i++) {
            memcpy(all + at, t.calls[i], t.count[i] * sizeof *all);
            at += t.count[i];
            free(t.calls[i]);
        }
        qsort(all, count, sizeof *all, call_order);
        CHECK_GT(count, 0);
        /* For a window (x, x + W]: x just before the earliest start of calls i..; the calls are in order
         * of their ends, so for each end y count those that began after y - W. */
        uint64_t worst = 0;
        for (size_t last = 0; last < count; last++) {
            uint64_t sum = 0, from_ns = all[last].after_ns - (uint64_t)t.window_ns;
            for (size_t i = last + 1; i-- > 0 && all[i].after_ns > from_ns;) {
                if (all[i].before_ns > from_ns) sum += all[i].cost;
            }
            CHECK_SAYS(sum <= t.limit,
                       "%" PRIu64 " were certainly admitted within %" PRId64 "ns, limit %" PRIu64,
                       sum, t.window_ns, t.limit);
            if (sum > worst) worst = sum;
        }
        printf("window %" PRId64 "ns: %zu admitted, at most %" PRIu64 " of %" PRIu64
               " certainly in one window\n",
               t.window_ns, count, worst, t.limit);
        free(all);
        limiter_free(t.limiter);
    }
}

/* Joint decisions hold some lines while they look for others; the table moves users meanwhile. Neither
 * may wait for the other for ever (the test's time limit is the judge). */
enum { JOINT_USERS = 600, JOINT_COMERS = 30000, JOINT_LOOKS = 32 };

struct joiner {
    struct limiter *limiter;
    uint64_t        seed;
    uint64_t        joints;
    _Atomic bool   *stop;
};

static void *joiner_run(void *work) {
    struct joiner *j = work;
    struct random  r = {.state = j->seed};
    while (!atomic_load_explicit(j->stop, memory_order_relaxed)) {
        weir_request  q[2 * JOINT_LOOKS];
        weir_decision d[2 * JOINT_LOOKS];
        char          name[2 * JOINT_LOOKS][32];
        for (unsigned i = 0; i < 2 * JOINT_LOOKS; i++) {
            bool is_absent = i % 2 == 1;
            int  bytes     = snprintf(name[i], sizeof name[i], is_absent ? "absent %u" : "user %u",
                                      (unsigned)random_below(&r, is_absent ? UINT32_MAX : JOINT_USERS));
            q[i]           = weir_request_for(name[i], (size_t)bytes, 1000000000, WEIR_DAY);
            if (is_absent) q[i].cost = 0;
        }
        CHECK_EQ(limiter_decide_all(j->limiter, q, 2 * JOINT_LOOKS, start, d), WEIR_OK);
        j->joints++;
    }
    return NULL;
}

TEST(joint_decisions_and_growth_do_not_wait_for_each_other) {
    struct random r      = {.state = check_seed()};
    uint64_t      rounds = 1 + seeds_share(check_effort(20));
    for (uint64_t round = 0; round < rounds; round++) {
        struct limiter *l    = limiter_for(1000000);
        _Atomic bool    stop = false;
        char            name[32];
        for (unsigned i = 0; i < JOINT_USERS; i++) {
            int bytes = snprintf(name, sizeof name, "user %u", i);
            CHECK(limiter_allow(l, name, (size_t)bytes, 1000000000, WEIR_DAY, start));
        }
        struct joiner joiner[2];
        pthread_t     thread[2];
        for (unsigned i = 0; i < 2; i++) {
            joiner[i] = (struct joiner){.limiter = l, .seed = random_next(&r), .stop = &stop};
            CHECK_EQ(pthread_create(&thread[i], NULL, joiner_run, &joiner[i]), 0);
        }
        for (unsigned i = JOINT_USERS; i < JOINT_COMERS; i++) {
            int bytes = snprintf(name, sizeof name, "user %u", i);
            CHECK(limiter_allow(l, name, (size_t)bytes, 1000000000, WEIR_DAY, start));
        }
        atomic_store(&stop, true);
        for (unsigned i = 0; i < 2; i++) CHECK_EQ(pthread_join(thread[i], NULL), 0);
        weir_statistics counts = stats_of(l);
        CHECK_EQ(counts.users, JOINT_COMERS);
        limiter_free(l);
    }
}
