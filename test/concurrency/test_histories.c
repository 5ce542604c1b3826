/* SPDX-License-Identifier: MIT
 *
 * Is what several threads were told about one user what one thread could have been told?
 *
 * Threads ask about one user at the same time, while the table grows and moves lines, and write down
 * when each call began and ended. The checker (Wing and Gong, "Testing and verifying concurrent
 * objects", 1993) looks for an order of the calls that respects who ended before whom began, and in
 * which an exact log gives every answer that was given: allowed or not, and how much remained.
 *
 * The log can be exact because the window is so short that its cells are nanoseconds. */
#include "concurrency/crew.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/seeds.h"
#include "table/table.h"

enum {
    THREADS    = 3,
    CALLS      = 5, /* of a thread in a history */
    CALLS_ALL  = THREADS * CALLS,
    NEWCOMERS  = 4, /* whom each thread brings in besides, so that lines move */
    STATES_MAX = 200000,
};

static const uint64_t window_ns = 160;
static const uint64_t start     = 1000000;

enum kind { KIND_DECIDE, KIND_LOOK, KIND_ALLOW, KIND_JOINT, KIND_RESET, KIND_COUNT };

struct call {
    enum kind kind;
    uint64_t  began, ended; /* tickets */
    uint64_t  now_ns, cost;
    bool      allowed;
    uint64_t  remaining; /* of KIND_DECIDE and KIND_LOOK */
};

struct history {
    uint64_t    limit;
    struct call call[CALLS_ALL];
};

/* ---- the checker ---- */

struct search {
    const struct history *history;
    uint64_t taken[CALLS_ALL + 1], at_ns[CALLS_ALL + 1]; /* the log: admissions in order */
    size_t   count;
    uint64_t states;
};

static uint64_t log_within(const struct search *s, uint64_t now_ns) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (s->at_ns[i] + window_ns > now_ns) sum += s->taken[i];
    }
    return sum;
}

/* Plays one call on the log; false: the log would have answered otherwise. */
static bool call_play(struct search *s, const struct call *c) {
    if (c->kind == KIND_RESET) {
        s->count = 0;
        return true;
    }
    uint64_t newest_ns = s->count == 0 ? 0 : s->at_ns[s->count - 1];
    uint64_t now_ns    = c->now_ns > newest_ns ? c->now_ns : newest_ns;
    uint64_t used      = log_within(s, now_ns);
    uint64_t limit     = s->history->limit;
    uint64_t left      = used < limit ? limit - used : 0;
    uint64_t needed    = c->kind == KIND_LOOK ? 1 : c->cost;
    bool     passes    = needed <= left;
    if (passes != c->allowed) return false;
    if (passes && c->kind != KIND_LOOK) {
        s->at_ns[s->count] = now_ns;
        s->taken[s->count] = c->cost;
        s->count++;
        left -= c->cost;
    }
    return c->kind == KIND_ALLOW || c->kind == KIND_JOINT || c->remaining == left;
}

static bool search_step(struct search *s, uint32_t done) {
    if (done == (1u << CALLS_ALL) - 1) return true;
    if (s->states++ > STATES_MAX) return true; /* Too many orders to tell: no accusation. */

    uint64_t first_end = UINT64_MAX;
    for (unsigned i = 0; i < CALLS_ALL; i++) {
        if (!(done >> i & 1) && s->history->call[i].ended < first_end)
            first_end = s->history->call[i].ended;
    }
    struct search saved = *s;
    for (unsigned i = 0; i < CALLS_ALL; i++) {
        const struct call *c = &s->history->call[i];
        if ((done >> i & 1) || c->began > first_end) continue;
        bool fits = call_play(s, c) && search_step(s, done | 1u << i);
        if (fits) return true;
        uint64_t states = s->states;
        *s              = saved;
        s->states       = states;
    }
    return false;
}

static bool history_is_linear(const struct history *h, uint64_t *states) {
    struct search s  = {.history = h};
    bool          ok = search_step(&s, 0);
    *states += s.states;
    return ok;
}

static void history_print(const struct history *h, uint64_t round) {
    static const char *const names[] = {"decide", "look", "allow", "joint", "reset"};
    fprintf(stderr, "history %" PRIu64 ", limit %" PRIu64 " per %" PRIu64 "ns:\n", round, h->limit,
            window_ns);
    for (unsigned i = 0; i < CALLS_ALL; i++) {
        const struct call *c = &h->call[i];
        fprintf(stderr,
                "  thread %u [%5" PRIu64 ", %5" PRIu64 "] at %+5" PRId64 "ns %s %" PRIu64
                " -> %s, %" PRIu64 " left\n",
                i / CALLS, c->began, c->ended, (int64_t)(c->now_ns - start), names[c->kind],
                c->cost, c->allowed ? "allowed" : "denied", c->remaining);
    }
}

/* ---- the threads ---- */

struct play {
    struct table    *tables[THREADS]; /* on one memory: each thread is a process of its own */
    uint64_t         rounds, user_seed;
    struct history  *histories;
    _Atomic uint64_t ticket, clock_ns;
    _Atomic uint64_t arrived; /* at the barrier between histories */
};

static struct table_question question(uint64_t hash, uint64_t limit, uint64_t window,
                                      uint64_t cost) {
    return (struct table_question){
        .hash = hash,
        .rule = {.limit = limit, .window_ns = window, .algorithm = ALGORITHM_STRICT},
        .cost = cost};
}

/* Some time, so that calls overlap even where one processor plays all the threads. */
static void dawdle(struct random *r) {
    if (random_below(r, 3) == 0) sched_yield();
    for (uint64_t i = random_below(r, 300); i > 0; i--) __asm__ volatile("");
}

static void wait_for(void *context, uint32_t process, unsigned spins) {
    (void)context;
    (void)process;
    (void)spins;
    sched_yield();
}

static void call_make(struct play *p, struct table *t, struct call *c, uint64_t hash,
                      uint64_t limit, struct line **hint, struct random *r) {
    static const enum kind kinds[] = {KIND_DECIDE, KIND_DECIDE, KIND_DECIDE, KIND_LOOK,
                                      KIND_ALLOW,  KIND_JOINT,  KIND_RESET};
    *c = (struct call){.kind = kinds[random_below(r, sizeof kinds / sizeof *kinds)],
                       .cost = 1 + random_below(r, 2)};
    if (c->kind == KIND_RESET && random_below(r, 4) != 0) c->kind = KIND_DECIDE;
    if (c->kind == KIND_LOOK) c->cost = 0;
    if (c->kind == KIND_JOINT) c->cost = 2;

    struct table_question q[2] = {
        question(hash, limit, window_ns, c->kind == KIND_JOINT ? 1 : c->cost),
        question(hash, limit, window_ns, 1)};
    struct table_answer a[2] = {0};
    c->began                 = atomic_fetch_add(&p->ticket, 1);
    c->now_ns                = atomic_fetch_add(&p->clock_ns, random_below(r, 40));
    dawdle(r); /* A thread may lose its processor between the clock and the table: a late call. */
    switch (c->kind) {
    case KIND_DECIDE:
    case KIND_LOOK:
        table_decide(t, 1, q, c->now_ns, hint, a);
        c->allowed   = a[0].answer.allowed;
        c->remaining = a[0].answer.remaining;
        break;
    case KIND_ALLOW: c->allowed = table_allow(t, 1, q, c->now_ns, hint); break;
    case KIND_JOINT: c->allowed = table_decide_joint(t, 1, q, 2, c->now_ns, a); break;
    case KIND_RESET: table_reset(t, 1, hash, c->now_ns); break;
    case KIND_COUNT: break;
    }
    c->ended = atomic_fetch_add(&p->ticket, 1);
}

static void play_run(struct crew_member *m) {
    struct play  *p    = m->work;
    struct table *t    = p->tables[m->index];
    struct line  *hint = NULL; /* kept from user to user: a wrong one must be noticed */
    for (uint64_t round = 0; round < p->rounds; round++) {
        struct history *h    = &p->histories[round];
        struct random   seed = {.state = p->user_seed + round};
        uint64_t        hash = random_next(&seed);
        atomic_fetch_add(&p->arrived, 1);
        for (unsigned spins = 0; atomic_load(&p->arrived) < (round + 1) * THREADS; spins++) {
            if (spins > 10000) sched_yield();
        }
        for (unsigned i = 0; i < CALLS; i++) {
            call_make(p, t, &h->call[m->index * CALLS + i], hash, h->limit, &hint, &m->random);
            struct line          *fresh_hint = NULL;
            struct table_question q          = question(random_next(&m->random), 5, 1000000000, 1);
            if (i < NEWCOMERS) CHECK(table_allow(t, 1, &q, start, &fresh_hint));
        }
    }
}

TEST(every_history_of_a_user_has_an_order_that_explains_it) {
    struct play p         = {.rounds    = seeds_share(check_effort(60000)) + 200,
                             .user_seed = check_seed(),
                             .clock_ns  = start};
    uint64_t    users_max = p.rounds * (THREADS * NEWCOMERS + 1) * 9 / 8 + 1000;
    size_t      bytes     = table_bytes(users_max, THREADS);
    void       *memory    = aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    CHECK_NE(memory, NULL);
    memset(memory, 0, bytes);
    void *handles[THREADS];
    for (uint32_t i = 0; i < THREADS; i++) {
        handles[i]  = aligned_alloc(64, table_handle_bytes());
        p.tables[i] = table_attach(
            handles[i], memory,
            &(struct table_options){
                .users_max = users_max, .processes = THREADS, .process = i + 1, .wait = wait_for});
        CHECK_NE(p.tables[i], NULL);
    }
    p.histories     = calloc(p.rounds, sizeof *p.histories);
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < p.rounds; i++) p.histories[i].limit = 1 + random_below(&r, 6);

    crew_run(THREADS, play_run, &p);
    uint64_t states = 0, overlapping = 0;
    for (uint64_t i = 0; i < p.rounds; i++) {
        const struct history *h = &p.histories[i];
        for (unsigned a = 0; a < CALLS; a++) {
            for (unsigned b = CALLS; b < CALLS_ALL; b++) {
                overlapping +=
                    h->call[a].began < h->call[b].ended && h->call[b].began < h->call[a].ended;
            }
        }
        if (!history_is_linear(h, &states)) {
            history_print(h, i);
            CHECK_SAYS(false, "no order of the calls explains history %" PRIu64, i);
        }
    }
    printf("%" PRIu64 " histories of %d calls, %" PRIu64 " pairs of calls overlapped, %" PRIu64
           " states searched\n",
           p.rounds, CALLS_ALL, overlapping, states);
    CHECK_GT(overlapping, p.rounds / 10);
    free(p.histories);
    for (uint32_t i = 0; i < THREADS; i++) free(handles[i]);
    free(memory);
}

/* The checker is checked: what no order explains must be found out. */
TEST(a_history_that_no_order_explains_is_found_out) {
    struct history h = {.limit = 1};
    for (unsigned i = 0; i < CALLS_ALL; i++) {
        h.call[i] = (struct call){.kind    = KIND_ALLOW,
                                  .began   = 2 * i,
                                  .ended   = 2 * i + 1,
                                  .now_ns  = start,
                                  .cost    = 1,
                                  .allowed = i == 0};
    }
    uint64_t states = 0;
    CHECK(history_is_linear(&h, &states));
    h.call[3].allowed = true;
    CHECK(!history_is_linear(&h, &states));
    h.call[3].allowed = false;
    h.call[0].allowed = false; /* The first call found a limit of 1 used up by nobody. */
    CHECK(!history_is_linear(&h, &states));
    h.call[0].began   = 2; /* It may have been after the second, if that was admitted. */
    h.call[0].ended   = 5;
    h.call[1].began   = 3;
    h.call[1].ended   = 4;
    h.call[1].allowed = true;
    CHECK(history_is_linear(&h, &states));
}
