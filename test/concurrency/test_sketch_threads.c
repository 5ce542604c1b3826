/* SPDX-License-Identifier: MIT
 *
 * Threads on one sketch. Where virtual time stands still nothing expires: what a user was admitted must
 * be exact if nobody shares all their counts, and never above the limit if many do. Where it goes on
 * and lines age under the threads' hands, the calls that surely lay within one window must keep the
 * promise. */
#include "concurrency/crew.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "model/seeds.h"
#include "table/sketch.h"

enum { THREADS = 4, USERS = 64, LIMIT = 15 };

static const uint64_t start = 5000000000, second = 1000000000;

static void yield(unsigned turn) {
    (void)turn;
    sched_yield();
}

static struct sketch *sketch_in(size_t bytes, uint64_t window_ns) {
    void *memory = aligned_alloc(SKETCH_LINE_BYTES, sketch_bytes(bytes));
    CHECK_NE(memory, NULL);
    memset(memory, 0, sketch_bytes(bytes));
    struct sketch_options options = {.window_ns = window_ns, .limit_max = LIMIT, .yield = yield};
    return sketch_init(memory, bytes, &options);
}

struct crowd {
    struct sketch   *sketch;
    uint64_t         rounds, users;
    uint64_t         hash[USERS];
    _Atomic uint64_t taken[USERS];
};

static void crowd_begin(struct crowd *c, size_t bytes, uint64_t users) {
    struct random r = {.state = check_seed()};
    *c              = (struct crowd){.sketch = sketch_in(bytes, second),
                                     .rounds = seeds_share(check_effort(100000)) + 100,
                                     .users  = users};
    for (uint64_t u = 0; u < users; u++) c->hash[u] = random_next(&r);
}

static void crowd_run(struct crew_member *m) {
    struct crowd *c = m->work;
    for (uint64_t i = 0; i < c->rounds; i++) {
        uint64_t      u    = random_below(&m->random, c->users);
        uint64_t      cost = 1 + random_below(&m->random, 2);
        struct answer answer;
        sketch_decide(c->sketch, c->hash[u], LIMIT, cost, start, &answer);
        if (answer.allowed) atomic_fetch_add(&c->taken[u], cost);
        CHECK_LE(answer.remaining, LIMIT);
    }
}

TEST(users_who_have_counts_of_their_own_lose_none) {
    struct crowd c;
    crowd_begin(&c, 1 << 22, USERS);
    crew_run(THREADS, crowd_run, &c);
    for (uint64_t u = 0; u < USERS; u++) {
        uint64_t left = sketch_look(c.sketch, c.hash[u], LIMIT, 1, start).remaining;
        CHECK_EQ(left, LIMIT - c.taken[u]);
    }
    free(c.sketch);
}

/* Of two pairs of lines, so that some share their second line and not the first. */
TEST(users_who_share_lines_are_within_their_limits) {
    for (uint64_t round = 0; round < 100; round++) {
        struct crowd c;
        crowd_begin(&c, (3 + 2 * (round % 2)) * SKETCH_LINE_BYTES, USERS);
        c.rounds = 400;
        crew_run(THREADS, crowd_run, &c);
        for (uint64_t u = 0; u < USERS; u++) {
            CHECK_LE(c.taken[u], LIMIT);
            CHECK_LE(sketch_look(c.sketch, c.hash[u], LIMIT, 1, start).remaining,
                     LIMIT - c.taken[u]);
        }
        free(c.sketch);
    }
}

/* ---- two who come at the same moment, again and again ---- */

/* So few that they have a processor each and really come together. */
enum { RUSH_THREADS = 2, RUSH_ASKS = LIMIT + 5 };

struct rush {
    struct sketch   *sketch;
    uint64_t         rounds;
    uint64_t         hash[RUSH_THREADS];
    _Atomic uint64_t arrived;
    _Atomic uint64_t taken[RUSH_THREADS]; /* in this round */
};

/* Each round is two windows after the last. */
static uint64_t rush_now_ns(uint64_t round) { return start + 2 * second * round; }

static void rush_wait(struct rush *rush, uint64_t for_all_of) {
    atomic_fetch_add(&rush->arrived, 1);
    for (unsigned turn = 1; atomic_load(&rush->arrived) < for_all_of * RUSH_THREADS; turn++)
        if (turn % 1024 == 0) sched_yield();
}

static void rush_run(struct crew_member *m) {
    struct rush *rush = m->work;
    for (uint64_t round = 0; round < rush->rounds; round++) {
        uint64_t taken = 0;
        rush_wait(rush, 3 * round + 1);
        for (int i = 0; i < RUSH_ASKS; i++)
            taken += sketch_admit(rush->sketch, rush->hash[m->index], LIMIT, 1, rush_now_ns(round));
        atomic_store(&rush->taken[m->index], taken);
        rush_wait(rush, 3 * round + 2);
        if (rush->hash[0] == rush->hash[1]) {
            CHECK_EQ(rush->taken[0] + rush->taken[1], LIMIT);
        } else {
            CHECK_LE(taken, LIMIT);
        }
        rush_wait(rush, 3 * round + 3);
    }
}

static void rush(size_t bytes, uint64_t one, uint64_t other) {
    struct rush rush = {.sketch = sketch_in(bytes, second),
                        .rounds = seeds_share(check_effort(40000)) + 200,
                        .hash   = {one, other}};
    crew_run(RUSH_THREADS, rush_run, &rush);
    free(rush.sketch);
}

TEST(a_hot_user_gets_exactly_the_limit) { rush(1 << 12, 1, 1); }

/* Which lines an admission of this user changes, a bit for each. */
static unsigned lines_of(size_t bytes, uint64_t hash) {
    struct sketch *s     = sketch_in(bytes, second);
    unsigned       lines = 0;
    CHECK(sketch_admit(s, hash, LIMIT, 1, start));
    for (size_t i = 1; i < bytes / SKETCH_LINE_BYTES; i++) {
        uint64_t head = 0;
        memcpy(&head, (char *)s + i * SKETCH_LINE_BYTES, sizeof head);
        if (head != 0) lines |= 1u << i;
    }
    free(s);
    return lines;
}

/* Lines 1 and 2 are the lower half, 3 and 4 the upper one. */
TEST(users_who_share_one_line_of_two_are_within_their_limits) {
    enum { BYTES = 5 * SKETCH_LINE_BYTES, PARTED_BELOW = 1 << 1 | 1 << 2, PARTED_ABOVE = 3 << 3 };
    struct random r      = {.state = check_seed()};
    uint64_t      one    = random_next(&r);
    bool          is_met = false, is_met_above = false;
    while (!is_met || !is_met_above) {
        uint64_t other = random_next(&r);
        unsigned apart = lines_of(BYTES, one) ^ lines_of(BYTES, other);
        if (apart == PARTED_BELOW && !is_met_above) {
            is_met_above = true;
            rush(BYTES, one, other);
        }
        if (apart == PARTED_ABOVE && !is_met) {
            is_met = true;
            rush(BYTES, one, other);
        }
    }
}

/* ---- while time goes on ---- */

struct call {
    uint64_t began_ns, ended_ns;
};

struct flow {
    struct sketch   *sketch;
    uint64_t         rounds;
    _Atomic uint64_t now_ns;
    _Atomic size_t   count;
    struct call     *calls; /* of the hot user, admitted */
};

static void flow_run(struct crew_member *m) {
    struct flow *f = m->work;
    for (uint64_t i = 0; i < f->rounds; i++) {
        uint64_t hash  = random_below(&m->random, 3) == 0 ? random_next(&m->random) : 1;
        uint64_t began = atomic_load(&f->now_ns);
        if (random_below(&m->random, 100) == 0) sched_yield();
        bool     allowed = sketch_admit(f->sketch, hash, LIMIT, 1, began);
        uint64_t ended   = atomic_fetch_add(&f->now_ns, random_below(&m->random, second / 50));
        if (allowed && hash == 1)
            f->calls[atomic_fetch_add(&f->count, 1)] = (struct call){began, ended};
    }
}

TEST(no_window_holds_more_while_lines_age) {
    struct flow f = {.sketch = sketch_in(3 * (size_t)SKETCH_LINE_BYTES, second),
                     .rounds = seeds_share(check_effort(20000)) + 200,
                     .now_ns = start};
    f.calls       = calloc(THREADS * f.rounds, sizeof *f.calls);
    CHECK_NE(f.calls, NULL);
    crew_run(THREADS, flow_run, &f);

    CHECK_GT(f.count, f.rounds / 1000);
    for (size_t i = 0; i < f.count; i++) {
        uint64_t until = f.calls[i].ended_ns, within = 0;
        size_t   from = i < 1000 ? 0 : i - 1000; /* calls are nearly in order */
        size_t   to   = i + 1000 < f.count ? i + 1000 : f.count;
        for (size_t k = from; k < to; k++)
            within += f.calls[k].began_ns + second > until && f.calls[k].ended_ns <= until;
        CHECK_LE(within, LIMIT);
    }
    free(f.calls);
    free(f.sketch);
}
