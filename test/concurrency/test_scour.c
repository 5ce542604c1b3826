/* SPDX-License-Identifier: MIT
 *
 * A spoiled table is scoured for locks that nobody holds: all of these are freed, and none that somebody
 * has, while threads lock and unlock all the time. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "concurrency/crew.h"
#include "limit/limit.h"
#include "model/seeds.h"
#include "table/layout.h"

enum { USERS_MAX = 300, HOT_USERS = 4, THREADS = 4, SELF = 1, NEIGHBOUR, GONE, PROCESSES = GONE };

static const uint64_t start = 5000000000, window = 3600000000000, limit = 1000000000;

static struct table *table;
static char         *memory;

static bool is_gone(void *context, uint32_t process);

enum { SCOURED_AT = 10, PATIENCE = 20 };

/* Scours as a store does, whoever waits for long. */
static void yield(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    CHECK_LT(turn, PATIENCE);
    if (turn == SCOURED_AT) table_scour(table, is_gone, NULL);
}

static void yield_only(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    (void)turn;
}

static void table_begin(void (*wait)(void *context, uint32_t process, unsigned turn)) {
    size_t bytes = table_bytes(USERS_MAX, PROCESSES);
    memory       = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK_NE(memory, MAP_FAILED);
    for (uint32_t p = PROCESSES; p >= SELF; p--) {
        struct table_options options = {
            .users_max = USERS_MAX, .processes = PROCESSES, .process = p, .wait = wait};
        free(table);
        table = table_attach(aligned_alloc(64, (table_handle_bytes() + 63) / 64 * 64), memory,
                             &options);
        CHECK_NE(table, NULL);
    }
}

static void table_end(void) {
    free(table);
    table = NULL;
    CHECK_EQ(munmap(memory, table_bytes(USERS_MAX, PROCESSES)), 0);
}

static struct table_question question_of(uint64_t user, uint64_t cost) {
    return (struct table_question){
        .hash = user * UINT64_C(0x9e3779b97f4a7c15),
        .rule = {.limit = limit, .window_ns = window, .algorithm = ALGORITHM_FIXED},
        .cost = cost};
}

static bool is_gone(void *context, uint32_t process) {
    (void)context;
    CHECK_NE(process, SELF);
    return process != NEIGHBOUR;
}

/* ---- threads that hold what they lock ---- */

struct scoured {
    uint64_t         rounds;
    _Atomic uint64_t taken[HOT_USERS];
    _Atomic size_t   busy;
};

static void take_or_scour(struct crew_member *m) {
    struct scoured *s = m->work;
    if (m->index == 0) {
        while (atomic_load(&s->busy) > 0) table_scour(table, is_gone, NULL);
        return;
    }
    for (uint64_t i = 0; i < s->rounds; i++) {
        struct line          *hint = NULL;
        uint64_t              user = random_below(&m->random, HOT_USERS);
        struct table_question q[2] = {question_of(user, 1), question_of((user + 1) % HOT_USERS, 1)};
        struct table_answer   a[2];
        if (random_below(&m->random, 4) == 0) {
            if (table_decide_joint(table, (unsigned)m->index, q, 2, start, a)) {
                atomic_fetch_add(&s->taken[user], 1);
                atomic_fetch_add(&s->taken[(user + 1) % HOT_USERS], 1);
            }
        } else if (table_allow(table, (unsigned)m->index, q, start, &hint)) {
            atomic_fetch_add(&s->taken[user], 1);
        }
    }
    atomic_fetch_sub(&s->busy, 1);
}

TEST(threads_lose_nothing_that_they_hold) {
    struct scoured s = {.rounds = seeds_share(check_effort(200000)) + 1000, .busy = THREADS - 1};
    table_begin(yield_only);
    crew_run(THREADS, take_or_scour, &s);
    for (uint64_t user = 0; user < HOT_USERS; user++) {
        struct line          *hint = NULL;
        struct table_question q    = question_of(user, 0);
        struct table_answer   a;
        table_decide(table, 1, &q, start, &hint, &a);
        CHECK_EQ(a.answer.remaining + atomic_load(&s.taken[user]), limit);
    }
    CHECK_EQ(table_counts(table).damaged, 0);
    table_end();
}

/* ---- locks without a holder ---- */

struct lock_case {
    uint32_t owner; /* what the lock says */
    bool     is_freed;
};

static const struct lock_case cases[] = {
    {SELF, true},          {SELF | LINE_SEARCHED, true},
    {NEIGHBOUR, false},    {NEIGHBOUR | LINE_SEARCHED, false}, /* it looks for itself */
    {GONE, true},          {GONE | LINE_SEARCHED, true},
    {PROCESSES + 1, true}, {LINE_SEARCHED - 1, true},
};

enum { CASES = sizeof cases / sizeof *cases };

TEST(all_locks_are_freed_that_nobody_holds_and_no_others) {
    table_begin(yield_only);
    for (unsigned i = 0; i < CASES; i++) {
        table->buckets[i].line[3].head = line_lock_word(cases[i].owner) | i;
        table->buckets[i].lock         = cases[i].owner;
    }
    table->buckets[CASES].lock         = UINT32_MAX;
    table->buckets[CASES].line[0].head = line_lock_word(0); /* nobody's */
    table->rings[3].lock               = GONE;
    table->rings[4].lock               = SELF; /* of a ring a thread has no note */
    table->rings[5].lock               = UINT32_MAX;
    table->head->grow_lock             = PROCESSES + 1;

    table_scour(table, is_gone, NULL);

    for (unsigned i = 0; i < CASES; i++) {
        CHECK_EQ(table->buckets[i].line[3].head,
                 cases[i].is_freed ? 0 : (line_lock_word(cases[i].owner) | i));
        CHECK_EQ(table->buckets[i].lock, cases[i].is_freed ? 0 : cases[i].owner);
    }
    CHECK_EQ(table->buckets[CASES].lock, 0);
    CHECK_EQ(table->buckets[CASES].line[0].head, 0);
    CHECK_EQ(table->rings[3].lock, 0);
    CHECK_EQ(table->rings[4].lock, SELF);
    CHECK_EQ(table->rings[5].lock, 0);
    CHECK_EQ(table->head->grow_lock, 0);
    table_end();
}

TEST(locks_that_a_thread_has_noted_stay_its_own) {
    table_begin(yield_only);
    struct holder *other = &table->holders[5];
    struct line   *line  = &table->buckets[2].line[7];
    CHECK(table_try_lock(table, other, line));
    CHECK(bucket_try_lock(table, other, 4));

    table_scour(table, is_gone, NULL);

    CHECK_EQ(line->head, line_lock_word(SELF));
    CHECK_EQ(table->buckets[4].lock, SELF);
    table_end();
}

/* Whoever waits for a lock has not noted it: it would seem to be theirs. */
TEST(a_thread_that_waits_for_a_lock_that_nobody_has_gets_it) {
    static const uint32_t owners[] = {SELF, GONE, PROCESSES + 1};
    for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
        table_begin(yield);
        const uint64_t        hash = question_of(1, 1).hash;
        const uint32_t        home = table_places(table, table_shape(table), hash).put[0];
        struct line          *hint = NULL, *line = NULL;
        struct table_question q = question_of(1, 1);
        struct counter        c;
        table->buckets[home].lock = owners[i];
        CHECK(!table_copy_counter(table, 1, hash, &c)); /* waits for the bucket */
        if (owners[i] != SELF) {
            CHECK(table_allow(table, 1, &q, start, &line));
            CHECK(table_allow(table, 1, &q, start, &line)); /* which is known from now on */
            line->head = line_lock_word(owners[i]);
            CHECK(table_allow(table, 1, &q, start, &hint)); /* and for the line, */
            table->rings[3].lock = owners[i];
            table_copy_ring(table, 3, &(struct ring){0}); /* and for the ring */
        }
        table_end();
    }
}

TEST(a_process_that_is_killed_while_it_searches_lets_go_of_what_it_marked) {
    table_begin(yield_only);
    struct holder *dead    = table_holders(table, GONE);
    struct line   *line    = &table->buckets[2].line[7];
    uint64_t       number  = table_line_number(table, line);
    line->head             = line_lock_word(GONE | LINE_SEARCHED);
    table->buckets[4].lock = GONE | LINE_SEARCHED;
    dead->line[0]          = number << LINE_VERSION_BITS | 3;
    dead->bucket[0]        = 4 + 1;

    table_recover(table, GONE);

    CHECK_EQ(line->head & LINE_LOCKED, 0);
    CHECK_EQ(table->buckets[4].lock, 0);
    table_end();
}
