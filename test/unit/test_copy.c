/* SPDX-License-Identifier: MIT
 *
 * A table and its copy give the same answers, in virtual time: what users have left and when to come
 * back, whatever the algorithm, while the table was growing, and when newcomers had to share. */
#include "support/check.h"
#include "table/table.h"

#include <stdlib.h>
#include <string.h>

#include "base/random.h"

static const uint64_t second_ns = 1000000000;

enum { USERS = 3000, LOOKS = 5 };

/* A table in memory of its own. */
struct place {
    struct table *table;
    void         *memory;
    void         *handle;
};

static void wait_a_little(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    (void)turn;
}

static struct place place_new(uint64_t users_max, uint32_t processes) {
    uint64_t     bytes = (table_bytes(users_max, processes) + 4095) / 4096 * 4096;
    struct place p     = {.memory = aligned_alloc(4096, bytes),
                          .handle = aligned_alloc(64, (table_handle_bytes() + 63) / 64 * 64)};
    CHECK_NE(p.memory, NULL);
    CHECK_NE(p.handle, NULL);
    memset(p.memory, 0, bytes);
    p.table = table_attach(
        p.handle, p.memory,
        &(struct table_options){
            .users_max = users_max, .processes = processes, .process = 1, .wait = wait_a_little});
    CHECK_NE(p.table, NULL);
    return p;
}

static void place_free(struct place *p) {
    free(p->memory);
    free(p->handle);
}

static struct table_answer ask(struct table *t, const struct table_question *q, uint64_t now_ns) {
    struct line        *hint = NULL;
    struct table_answer a;
    table_decide(t, 0, q, now_ns, &hint, &a);
    return a;
}

/* A user's question: each has an algorithm, a limit and a window for life. */
static struct table_question question_of(uint64_t user, uint64_t cost) {
    struct random r    = {.state = user * 977};
    struct rule   rule = {.limit     = 1 + random_below(&r, 1000),
                          .window_ns = second_ns * (1 + random_below(&r, 600)),
                          .algorithm = (enum algorithm)random_below(&r, ALGORITHM_COUNT)};
    if (rule.algorithm == ALGORITHM_GCRA) rule.burst = 1 + random_below(&r, rule.limit);
    return (struct table_question){.hash = random_next(&r), .rule = rule, .cost = cost};
}

/* Lives of all users up to some time; returns it. */
static uint64_t live_on(struct table *t, struct random *r, uint64_t users, uint64_t from_ns) {
    uint64_t now_ns = from_ns;
    for (uint64_t i = 0; i < 6 * users; i++) {
        now_ns += random_below(r, second_ns / 20);
        struct table_question q = question_of(random_below(r, users), 1 + random_below(r, 20));
        ask(t, &q, now_ns);
        if (random_below(r, 500) == 0) table_reset(t, 0, q.hash, now_ns);
    }
    return now_ns;
}

static void check_same(struct table *one, struct table *other, uint64_t user, uint64_t now_ns) {
    struct table_question q = question_of(user, 0);
    struct table_answer   a = ask(one, &q, now_ns), b = ask(other, &q, now_ns);
    CHECK_EQ(a.answer.allowed, b.answer.allowed);
    CHECK_EQ(a.answer.remaining, b.answer.remaining);
    CHECK_EQ(a.answer.retry_after_ns, b.answer.retry_after_ns);
    CHECK_EQ(a.answer.reset_after_ns, b.answer.reset_after_ns);
    CHECK_EQ(a.overflowed, b.overflowed);
}

static struct place copy_of(struct place *from, uint64_t users_max, uint64_t now_ns,
                            uint64_t *users) {
    struct place      to   = place_new(users_max, 3);
    struct table_live live = table_live(from->table, now_ns);
    CHECK(table_make_room(to.table, live.users));
    CHECK(table_copy(to.table, from->table, now_ns, NULL, NULL, users));
    CHECK_EQ(*users, live.users);
    CHECK_EQ(table_counts(to.table).users, live.users);
    return to;
}

TEST(a_copy_answers_as_the_table_does) {
    for (uint64_t round = 0; round < check_effort(6); round++) {
        struct random r    = {.state = check_seed() + round};
        struct place  from = place_new(USERS, 2);
        uint64_t now_ns = live_on(from.table, &r, 100 + random_below(&r, USERS - 100), second_ns);
        uint64_t kept;
        struct place to = copy_of(&from, USERS * 2, now_ns, &kept);
        CHECK_GT(kept, 0);
        CHECK_LE(table_counts(to.table).memory_bytes, table_bytes_for(USERS * 2, 3, kept));
        for (uint64_t user = 0; user < USERS; user++) {
            uint64_t at_ns = now_ns;
            for (int i = 0; i < LOOKS; i++, at_ns += random_below(&r, 100 * second_ns))
                check_same(from.table, to.table, user, at_ns);
        }
        /* And goes on as it: the same decisions in the same order. */
        for (uint64_t i = 0; i < 2000; i++) {
            now_ns += random_below(&r, second_ns / 10);
            struct table_question q =
                question_of(random_below(&r, USERS / 2), 1 + random_below(&r, 9));
            struct table_answer a = ask(from.table, &q, now_ns), b = ask(to.table, &q, now_ns);
            CHECK_EQ(a.answer.allowed, b.answer.allowed);
            CHECK_EQ(a.answer.remaining, b.answer.remaining);
        }
        place_free(&from);
        place_free(&to);
    }
}

TEST(a_copy_counts_what_was_counted) {
    struct random r      = {.state = check_seed()};
    struct place  from   = place_new(USERS, 1);
    uint64_t      now_ns = live_on(from.table, &r, USERS, second_ns), kept;
    atomic_store(&table_tally(from.table, 3)[1], 41);
    atomic_store(&table_tally(from.table, 0)[1], 1);
    now_ns += 300 * second_ns;

    uint64_t            there  = table_counts(from.table).users;
    struct place        to     = copy_of(&from, USERS, now_ns, &kept);
    struct table_counts before = table_counts(from.table), after = table_counts(to.table);
    CHECK_EQ(table_tally_sum(to.table, 1), 42);
    CHECK_LT(kept, there);
    CHECK_EQ(after.users_forgotten, before.users_forgotten + there - kept);
    CHECK_EQ(after.overflowed, before.overflowed);
    CHECK_EQ(table_live(to.table, now_ns).there, kept);
    CHECK_GE(table_seen_ns(to.table), table_seen_ns(from.table));
    place_free(&from);
    place_free(&to);
}

TEST(who_was_forgotten_gets_nothing_back_by_a_late_call) {
    struct place          from = place_new(8, 1);
    struct table_question q    = {
           .hash = 77, .rule = {.limit = 2, .window_ns = 10 * second_ns}, .cost = 2};
    uint64_t start_ns = 100 * second_ns, kept;
    CHECK(ask(from.table, &q, start_ns).answer.allowed);

    struct place to = copy_of(&from, 8, start_ns + 11 * second_ns, &kept);
    CHECK_EQ(kept, 0);
    CHECK(ask(to.table, &q, start_ns + 1).answer.allowed); /* counted when it was forgotten */
    CHECK(!ask(to.table, &q, start_ns + 9 * second_ns).answer.allowed);
    CHECK(!ask(to.table, &q, start_ns + 15 * second_ns).answer.allowed);
    place_free(&from);
    place_free(&to);
}

TEST(what_newcomers_took_on_shared_counters_goes_along) {
    enum { CROWD = 400 };
    struct place  from   = place_new(5, 1);
    uint64_t      now_ns = second_ns, kept, overflowed = 0;
    struct rule   rule = {.limit = 50, .window_ns = 100 * second_ns};
    struct random r    = {.state = check_seed()};
    uint64_t      hash[CROWD];
    for (int i = 0; i < CROWD; i++) {
        hash[i]                 = random_next(&r);
        struct table_question q = {.hash = hash[i], .rule = rule, .cost = 1 + random_below(&r, 3)};
        overflowed += ask(from.table, &q, now_ns += second_ns / 100).overflowed;
    }
    CHECK_GT(overflowed, CROWD - 6);

    struct place same  = copy_of(&from, 5, now_ns, &kept);
    struct place wider = copy_of(&from, 1000, now_ns, &kept);
    CHECK_EQ(table_live(same.table, now_ns).rings, table_live(from.table, now_ns).rings);
    CHECK_EQ(table_seen_ns(same.table), now_ns);
    for (int i = 0; i < CROWD; i++) {
        struct table_question q  = {.hash = hash[i], .rule = rule};
        struct table_answer   a  = ask(from.table, &q, now_ns);
        struct table_answer   in = ask(same.table, &q, now_ns);
        CHECK_EQ(a.answer.remaining, in.answer.remaining);
        CHECK_EQ(a.overflowed, in.overflowed);
        /* Now they get a seat of their own, with all that may have been theirs. */
        q.cost                   = 1;
        struct table_answer wide = ask(wider.table, &q, now_ns);
        CHECK(!wide.overflowed || !wide.answer.allowed);
        CHECK_LE(wide.answer.remaining + wide.answer.allowed, a.answer.remaining);
    }
    place_free(&from);
    place_free(&same);
    place_free(&wider);
}

TEST(a_copy_does_not_fit_where_fewer_are_allowed) {
    struct random r      = {.state = check_seed()};
    struct place  from   = place_new(USERS, 1);
    uint64_t      now_ns = live_on(from.table, &r, USERS, second_ns), kept;
    struct place  to     = place_new(10, 1);
    CHECK(table_make_room(to.table, 10));
    CHECK(!table_copy(to.table, from.table, now_ns, NULL, NULL, &kept));
    CHECK_EQ(table_counts(to.table).users, 10);
    place_free(&from);
    place_free(&to);
}

TEST(a_table_gets_the_size_that_its_users_need) {
    CHECK_EQ(table_bytes_for(10000000, 255, 0), table_bytes_at_first(10000000, 255));
    CHECK_EQ(table_bytes_for(10000000, 255, 10000000), table_bytes(10000000, 255));
    CHECK_LT(table_bytes_for(10000000, 255, 5000000), table_bytes(10000000, 255) * 6 / 10);
    CHECK_EQ(table_bytes_for(1, 255, 1), table_bytes(1, 255));
    CHECK_EQ(table_bytes_for(UINT64_MAX, 255, 1), 0);
    struct place p = place_new(USERS, 1);
    CHECK(table_make_room(p.table, USERS));
    CHECK_EQ(table_counts(p.table).memory_bytes, table_bytes(USERS, 1));
    place_free(&p);
}

TEST(nothing_lives_when_all_windows_are_over) {
    struct random     r      = {.state = check_seed()};
    struct place      from   = place_new(20, 1);
    uint64_t          now_ns = live_on(from.table, &r, 100, second_ns);
    struct table_live live   = table_live(from.table, now_ns);
    CHECK_GT(live.users, 0);
    CHECK_GT(live.rings, 0);
    CHECK_GT(live.until_ns, now_ns);
    CHECK_GT(table_live(from.table, live.until_ns - 1).users +
                 table_live(from.table, live.until_ns - 1).rings,
             0);
    CHECK_EQ(table_live(from.table, live.until_ns).users, 0);
    CHECK_EQ(table_live(from.table, live.until_ns).rings, 0);
    place_free(&from);
}
