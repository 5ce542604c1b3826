/* SPDX-License-Identifier: MIT */
#include "limiter/lane.h"

#include <inttypes.h>
#include <string.h>

#include "base/range.h"
#include "support/check.h"

#define MS UINT64_C(1000000)

enum { USERS = 256 };

static struct entry  entries[USERS];
static struct roster roster = {.entries = entries, .entries_max = USERS};

static void entries_begin(void) {
    for (uint32_t i = 0; i < USERS; i++) entries[i] = (struct entry){.number = i};
}

static void fill(struct lane *l, uint64_t now_ns) {
    while (!lane_is_full(l, now_ns)) lane_send(l);
}

TEST(who_is_held_goes_in_order_and_one_for_each_that_comes_back) {
    struct lane l;
    entries_begin();
    lane_begin(&l, MS, 1);
    l.pace.is_eager = false; /* it does not grow here */
    fill(&l, MS);
    for (uint32_t i = 0; i < 3; i++) lane_hold(&l, &roster, &entries[i]);
    CHECK(lane_take(&l, &roster, MS) == NULL);
    for (uint32_t i = 0; i < 3; i++) {
        CHECK(entries[i].is_held);
        lane_end(&l, LANE_IN_TIME, MS, 2 * MS);
        CHECK(lane_is_full(&l, 2 * MS)); /* whoever comes now is behind those */
        CHECK(lane_take(&l, &roster, 2 * MS) == &entries[i]);
        lane_send(&l);
        CHECK(lane_take(&l, &roster, 2 * MS) == NULL);
    }
    lane_end(&l, LANE_IN_TIME, MS, 2 * MS);
    CHECK(!lane_is_full(&l, 2 * MS));
}

TEST(who_was_taken_can_be_held_again) {
    struct lane l;
    entries_begin();
    lane_begin(&l, MS, 1);
    lane_hold(&l, &roster, &entries[0]);
    CHECK(lane_take(&l, &roster, MS) == &entries[0]);
    CHECK(lane_take(&l, &roster, MS) == NULL);
    lane_hold(&l, &roster, &entries[1]);
    lane_hold(&l, &roster, &entries[0]);
    CHECK(lane_take(&l, &roster, MS) == &entries[1]);
    CHECK(lane_take(&l, &roster, MS) == &entries[0]);
    CHECK(lane_take(&l, &roster, MS) == NULL);
}

/* Rounds of one trip each, all of which end so. */
static uint64_t rounds(struct lane *l, enum lane_end end, unsigned count, uint64_t now_ns) {
    for (unsigned i = 0; i < count; i++) {
        now_ns = larger(now_ns, l->wakes_ns);
        lane_send(l);
        now_ns += 4 * MS;
        lane_end(l, end, now_ns - 4 * MS, now_ns);
    }
    return now_ns;
}

static bool is_resting(const struct lane *l, uint64_t now_ns) { return now_ns < l->wakes_ns; }

TEST(a_lane_rests_when_its_least_window_is_too_much) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 7, MS); /* 64, 64, 32, 16, 8, 4, 2 */
    CHECK_EQ(l.pace.window, 1);
    now_ns = rounds(&l, LANE_LATE, LANE_REST_AFTER - 1, now_ns);
    CHECK(!is_resting(&l, now_ns));
    now_ns = rounds(&l, LANE_LATE, 1, now_ns);
    CHECK(is_resting(&l, now_ns));
    CHECK(lane_is_full(&l, now_ns));
    CHECK_LE(l.wakes_ns, now_ns + 4 * MS + 1);
    uint64_t until_ns = l.wakes_ns;
    CHECK(!lane_wake(&l, until_ns - 1));
    CHECK(!lane_is_full(&l, until_ns));
    CHECK(lane_wake(&l, until_ns));
    CHECK(!lane_wake(&l, until_ns));
}

TEST(rests_grow_and_have_an_end) {
    struct lane l;
    uint64_t    longest_ns = 0;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 100, MS);
    for (unsigned i = 0; i < 100; i++) {
        now_ns     = rounds(&l, LANE_LATE, 1, now_ns);
        longest_ns = larger(longest_ns, l.wakes_ns - now_ns);
        CHECK_LE(l.wakes_ns, now_ns + LANE_REST_NS_MAX + 1);
    }
    CHECK_GT(longest_ns, LANE_REST_NS_MAX / 2);
}

TEST(one_round_that_is_late_may_be_by_chance) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = MS;
    for (unsigned i = 0; i < 10; i++) {
        now_ns = rounds(&l, LANE_LATE, 1, now_ns);
        now_ns = rounds(&l, LANE_IN_TIME, 1, now_ns);
    }
    CHECK_EQ(l.pace.window, PACE_FIRST);
    (void)rounds(&l, LANE_LATE, 2, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST / 2);
}

/* What was sent before it was late says nothing of the time after it. */
TEST(one_that_was_out_with_a_late_one_does_not_excuse_it) {
    struct lane l;
    lane_begin(&l, MS, 1);
    for (unsigned i = 0; i < 3; i++) lane_send(&l);
    lane_end(&l, LANE_LATE, MS, 5 * MS);
    lane_end(&l, LANE_IN_TIME, 4 * MS, 6 * MS);
    (void)rounds(&l, LANE_LATE, 1, 6 * MS);
    CHECK_EQ(l.pace.window, PACE_FIRST / 2);
}

TEST(one_that_is_in_time_takes_back_one_that_was_not) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 7, MS);
    for (unsigned i = 0; i < 50; i++) {
        now_ns = rounds(&l, LANE_LATE, LANE_LATE_ROUNDS, now_ns);
        CHECK(!is_resting(&l, now_ns));
        now_ns = rounds(&l, LANE_IN_TIME, 1, now_ns);
    }
}

TEST(those_that_were_out_together_rest_once) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 7, MS);
    for (unsigned i = 0; i < 3; i++) lane_send(&l); /* when its window was greater */
    for (unsigned i = 0; i < 3; i++) lane_end(&l, LANE_LATE, now_ns, now_ns + (4 + i) * MS);
    CHECK_EQ(l.rests, 1);
}

TEST(what_was_not_in_vain_says_nothing) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 1, MS);
    now_ns          = rounds(&l, LANE_SAYS_NOTHING, 50, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST);
    CHECK_EQ(l.pace.out, 0);
    (void)rounds(&l, LANE_LATE, 1, now_ns); /* the second in a row all the same */
    CHECK_EQ(l.pace.window, PACE_FIRST / 2);
}

TEST(what_is_slow_since_the_store_is_far_makes_a_window_no_smaller_than_at_first) {
    struct lane l;
    lane_begin(&l, 4 * MS, 1);
    for (unsigned i = 0; i < 4 * PACE_FIRST; i++) {
        fill(&l, MS);
        lane_end(&l, LANE_IN_TIME, MS, 5 * MS);
    }
    while (l.pace.out > 0) lane_end(&l, LANE_SAYS_NOTHING, MS, 5 * MS);
    uint32_t grown = l.pace.window;
    CHECK_GT(grown, 2 * PACE_FIRST);
    uint64_t now_ns = rounds(&l, LANE_SLOW, 1, 6 * MS);
    CHECK_EQ(l.pace.window, grown / 2);
    now_ns = rounds(&l, LANE_SLOW, 50, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST);
    CHECK(!is_resting(&l, now_ns));
    CHECK_EQ(l.pace.out, 0);
    l.pace.window = PACE_FIRST + 1;
    (void)rounds(&l, LANE_SLOW, 1, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST);
}

TEST(what_is_slow_heals_up_to_what_it_begins_with) {
    struct lane l;
    lane_begin(&l, 4 * MS, 1);
    uint64_t now_ns = rounds(&l, LANE_MISSED, 7, MS);
    CHECK_EQ(l.pace.window, 1);
    now_ns = rounds(&l, LANE_SLOW, 20 * 1000 / 4, now_ns); /* 20 s */
    CHECK_EQ(l.pace.window, PACE_FIRST);
    (void)rounds(&l, LANE_SLOW, 20 * 1000 / 4, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST);
}

TEST(what_is_slow_is_in_time_for_the_clock) {
    struct lane l;
    lane_begin(&l, 4 * MS, 1);
    uint64_t now_ns = MS;
    for (unsigned i = 0; i < 10; i++) {
        now_ns = rounds(&l, LANE_LATE, 1, now_ns);
        now_ns = rounds(&l, LANE_SLOW, 1, now_ns);
    }
    CHECK_EQ(l.pace.window, PACE_FIRST);
    now_ns = rounds(&l, LANE_LATE, 1000, now_ns);
    (void)rounds(&l, LANE_SLOW, LANE_REST_AFTER + LANE_REST_DOUBLINGS, now_ns);
    CHECK_EQ(l.rests, 0);
}

TEST(a_word_that_is_late_for_all_excuses_nothing_and_shrinks_the_window_of_a_full_store) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = MS;
    for (unsigned i = 0; i < 7 + LANE_REST_AFTER; i++) {
        now_ns = rounds(&l, LANE_LATE, 1, now_ns);
        now_ns = rounds(&l, LANE_SLOW_WORD, 1, now_ns);
    }
    CHECK_GE(l.rests, LANE_REST_AFTER);
    lane_begin(&l, MS, 1);
    now_ns = rounds(&l, LANE_SLOW_WORD, 50, now_ns);
    CHECK_EQ(l.pace.window, 1);
    CHECK_EQ(l.least_ns, MS);
    lane_begin(&l, 4 * MS, 1);
    (void)rounds(&l, LANE_SLOW_WORD, 50, now_ns);
    CHECK_EQ(l.pace.window, PACE_FIRST);
}

/* A store that takes more than twice what trips took is full, or has moved away. */
TEST(a_store_that_has_moved_away_is_learned_and_one_that_is_full_is_not) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = MS;
    for (unsigned i = 0; i < 20 && l.pace.window > 1; i++)
        now_ns = rounds(&l, LANE_SLOW, 1, now_ns);
    CHECK_EQ(l.pace.window, 1);
    for (unsigned i = 0; i < 20; i++) { /* with a window of one it is in time now and then */
        now_ns = rounds(&l, LANE_IN_TIME, 1, now_ns);
        now_ns = rounds(&l, LANE_SLOW, LANE_FAR_AFTER - 1, now_ns);
    }
    CHECK_EQ(l.least_ns, MS);
    CHECK_EQ(l.pace.window, 1);
    now_ns = rounds(&l, LANE_SLOW, LANE_FAR_AFTER, now_ns);
    CHECK_GT(l.least_ns, 3 * MS);
    for (uint32_t i = 0; i < 2 * PACE_FIRST; i++) { /* full each time, it is soon where it began */
        fill(&l, now_ns);
        now_ns += 4 * MS;
        lane_end(&l, LANE_SLOW, now_ns - 4 * MS, now_ns);
    }
    CHECK_EQ(l.pace.window, PACE_FIRST);
}

TEST(a_margin_is_twice_what_trips_take_lately_but_for_those_that_are_missed) {
    struct lane l;
    lane_begin(&l, MS, 1);
    CHECK_EQ(lane_margin_ns(l.took_ns, MS, 100 * MS), 2 * MS);
    uint64_t now_ns = rounds(&l, LANE_IN_TIME, 200, MS); /* 4 ms each */
    CHECK_GE(lane_margin_ns(l.took_ns, MS, 100 * MS), 8 * MS - 1000);
    CHECK_LE(lane_margin_ns(l.took_ns, MS, 100 * MS), 8 * MS);
    CHECK_EQ(lane_margin_ns(l.took_ns, MS, 10 * MS), 5 * MS);
    CHECK_EQ(lane_margin_ns(l.took_ns, 20 * MS, 10 * MS), 20 * MS);
    CHECK_GT(lane_margin_ns(l.took_ns, MS, 6 * MS), 4 * MS); /* callers wait for 6 */
    CHECK_LT(lane_margin_ns(l.took_ns, MS, 6 * MS), 5 * MS);
    CHECK_GT(lane_margin_ns(l.took_ns, MS, l.took_ns + MS / 5), l.took_ns);
    CHECK_LT(lane_margin_ns(l.took_ns, MS, l.took_ns + MS / 5), l.took_ns + MS / 5);
    CHECK_EQ(lane_margin_ns(l.took_ns, MS, l.took_ns), l.took_ns / 2); /* it will be too late */
    lane_send(&l);
    lane_end(&l, LANE_MISSED, now_ns, now_ns + 1000 * MS);
    CHECK_LE(lane_margin_ns(l.took_ns, MS, 100 * MS), 8 * MS);
}

TEST(who_goes_on_later_wakes_then) {
    struct lane l;
    entries_begin();
    lane_begin(&l, MS, 1);
    lane_go_on_later(&l, 5 * MS); /* nobody is held */
    CHECK(!is_resting(&l, MS));
    lane_hold(&l, &roster, &entries[0]);
    lane_go_on_later(&l, 5 * MS);
    CHECK(lane_take(&l, &roster, MS) == NULL);
    CHECK(!lane_wake(&l, MS));
    CHECK(lane_wake(&l, 5 * MS));
    CHECK(lane_take(&l, &roster, 5 * MS) == &entries[0]);
}

TEST(rests_are_soon_forgotten_however_many_there_were) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_LATE, 1000, MS);
    now_ns          = rounds(&l, LANE_IN_TIME, LANE_REST_AFTER + LANE_REST_DOUBLINGS, now_ns);
    CHECK_EQ(l.rests, 0);
}

TEST(what_is_missed_makes_nobody_rest) {
    struct lane l;
    lane_begin(&l, MS, 1);
    uint64_t now_ns = rounds(&l, LANE_MISSED, 50, MS);
    CHECK_EQ(l.pace.window, 1);
    CHECK(!is_resting(&l, now_ns));
}

/* --- a crowd --------------------------------------------------------------------------------- */

/* Processes whose callers each want one trip after the other of a server that does one at a time; an answer
 * that comes too late is asked for again. */
enum {
    PROCESSES_MAX   = 64,
    TRIPS_MAX       = 65536,
    SERVICE_US      = 50,
    NETWORK_US      = 100,  /* to and fro, of a store that is near */
    TOLERANCE_US    = 2000, /* forty trips in a row */
    WAIT_US         = 20000,
    MARGIN_LEAST_US = 1000,
    CAPACITY_MS     = 1000 / SERVICE_US,
};

struct crowd_trip {
    uint32_t process, user;
    uint64_t sent_us, done_us;
};

struct crowd {
    struct lane       lanes[PROCESSES_MAX];
    struct roster     rosters[PROCESSES_MAX];
    struct entry     *users[PROCESSES_MAX];
    uint64_t         *gone_us[PROCESSES_MAX]; /* when who waits for each goes */
    uint64_t          tolerance_us, network_us;
    uint64_t          now_us, free_us; /* when the server has done all that was sent */
    uint32_t          head, tail;      /* in the order in which they come back */
    struct crowd_trip trips[TRIPS_MAX];
    uint64_t          in_time, late, in_vain; /* a grant was; a caller had gone */
    bool has_lanes, is_open; /* they ask anew when they are answered; or all the time */
};

static struct crowd crowd;
static struct entry crowd_entries[PROCESSES_MAX * USERS];
static uint64_t     crowd_gone_us[PROCESSES_MAX * USERS];

static void crowd_begin(struct crowd *c, uint32_t processes, uint64_t seed) {
    uint32_t users = PROCESSES_MAX * USERS / processes;
    memset(c, 0, sizeof *c);
    c->tolerance_us = TOLERANCE_US;
    c->network_us   = NETWORK_US;
    for (uint32_t i = 0; i < processes; i++) {
        c->users[i]   = crowd_entries + i * users;
        c->gone_us[i] = crowd_gone_us + i * users;
        c->rosters[i] = (struct roster){.entries = c->users[i], .entries_max = users};
        lane_begin(&c->lanes[i], 1000 * MARGIN_LEAST_US, seed + i);
        for (uint32_t k = 0; k < users; k++) {
            c->users[i][k]   = (struct entry){.number = k};
            c->gone_us[i][k] = UINT64_MAX / 1000;
        }
    }
}

static void crowd_send(struct crowd *c, uint32_t process, uint32_t user) {
    lane_send(&c->lanes[process]);
    c->free_us = larger(c->free_us, c->now_us) + SERVICE_US;
    CHECK_LT(c->tail - c->head, TRIPS_MAX);
    c->trips[c->tail++ % TRIPS_MAX] =
        (struct crowd_trip){process, user, c->now_us, c->free_us + c->network_us};
}

static void crowd_ask(struct crowd *c, uint32_t process, uint32_t user) {
    struct lane *l = &c->lanes[process];
    if (c->has_lanes && lane_is_full(l, c->now_us * 1000))
        lane_hold(l, &c->rosters[process], &c->users[process][user]);
    else
        crowd_send(c, process, user);
}

static void crowd_release(struct crowd *c, uint32_t process) {
    struct entry *e;
    while ((e = lane_take(&c->lanes[process], &c->rosters[process], c->now_us * 1000)) != NULL) {
        uint64_t margin_ns =
            lane_margin_ns(c->lanes[process].took_ns, 1000 * MARGIN_LEAST_US, 1000 * WAIT_US);
        e->is_held = false;
        if (c->gone_us[process][e->number] >= c->now_us + margin_ns / 1000)
            crowd_send(c, process, e->number);
    }
}

static void crowd_come_back(struct crowd *c) {
    struct crowd_trip t        = c->trips[c->head++ % TRIPS_MAX];
    bool              is_late  = t.done_us > t.sent_us + c->tolerance_us;
    bool              is_slow  = t.done_us > t.sent_us + WAIT_US / 2;
    bool              has_gone = t.done_us > c->gone_us[t.process][t.user];
    c->late += is_late;
    c->in_vain += !is_late && has_gone;
    c->in_time += !is_late && !has_gone;
    enum lane_end end = is_late ? LANE_LATE : is_slow ? LANE_SLOW : LANE_IN_TIME;
    lane_end(&c->lanes[t.process], end, t.sent_us * 1000, c->now_us * 1000);
    if (!c->is_open || (is_late && !has_gone)) crowd_ask(c, t.process, t.user);
    crowd_release(c, t.process);
}

/* The next that comes back, or the next rest that ends. */
static uint64_t crowd_next_us(const struct crowd *c, uint32_t processes) {
    uint64_t next_us = c->head < c->tail ? c->trips[c->head % TRIPS_MAX].done_us : UINT64_MAX;
    for (uint32_t i = 0; i < processes; i++) {
        uint64_t until_us = c->lanes[i].wakes_ns / 1000 + 1;
        if (until_us > c->now_us) next_us = smaller(next_us, until_us);
    }
    return next_us;
}

/* Runs for so long, in milliseconds; returns how many came in time in the second half. */
static uint64_t crowd_run(bool has_lanes, uint32_t processes, uint32_t users, uint64_t ms,
                          uint64_t seed) {
    struct crowd *c = &crowd;
    crowd_begin(c, processes, seed);
    c->has_lanes = has_lanes;
    for (uint32_t k = 0; k < users; k++)
        for (uint32_t i = 0; i < processes; i++) crowd_ask(c, i, k);
    uint64_t half = 0;
    for (;;) {
        uint64_t next_us = crowd_next_us(c, processes);
        if (c->now_us < ms * 500 && next_us >= ms * 500) half = c->in_time;
        if (next_us >= ms * 1000) return c->in_time - half;
        c->now_us = next_us;
        while (c->head < c->tail && c->trips[c->head % TRIPS_MAX].done_us <= c->now_us)
            crowd_come_back(c);
        for (uint32_t i = 0; i < processes; i++) crowd_release(c, i);
    }
}

TEST(without_lanes_nothing_that_a_crowd_asks_for_is_in_time) {
    CHECK_EQ(crowd_run(false, 4, 64, 2000, 1), 0);
}

TEST(a_crowd_is_served_about_as_quickly_as_the_store_can) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK_GT(crowd_run(true, 4, 64, 2000, seed), 1000 * CAPACITY_MS * 9 / 10);
        CHECK_LT(crowd.late, crowd.in_time / 10);
    }
}

TEST(so_is_one_of_so_many_processes_that_they_must_rest) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        CHECK_GT(crowd_run(true, 64, 64, 8000, seed), 4000 * CAPACITY_MS * 4 / 10);
        CHECK_LT(crowd.late, 2 * crowd.in_time);
    }
}

TEST(one_process_alone_has_all_that_the_store_can_do) {
    CHECK_GT(crowd_run(true, 1, 16, 2000, 1), 1000 * CAPACITY_MS * 95 / 100);
    CHECK_EQ(crowd.late, 0);
}

/* Processes whose callers come at a rate, `percent` of what the server can do, one user after the other,
 * and wait for so long. Returns how many were answered while they waited in the second half, in
 * percent of what the server can do. */
static uint64_t crowd_run_open(uint32_t processes, uint64_t tolerance_us, uint64_t network_us,
                               uint64_t percent, uint64_t seed) {
    enum { RUN_US = 4000000 };
    struct crowd *c      = &crowd;
    struct random random = {.state = seed};
    uint64_t      half = 0, next_us = 0, count = 0;
    crowd_begin(c, processes, seed);
    c->tolerance_us = tolerance_us;
    c->network_us   = network_us;
    c->has_lanes = c->is_open = true;
    while (c->now_us < RUN_US) {
        if (c->now_us < RUN_US / 2) half = c->in_time;
        c->now_us = smaller(next_us, crowd_next_us(c, processes));
        while (c->head < c->tail && c->trips[c->head % TRIPS_MAX].done_us <= c->now_us)
            crowd_come_back(c);
        if (c->now_us == next_us) {
            uint32_t process = (uint32_t)random_below(&random, processes),
                     user    = (uint32_t)(count++ / processes) % c->rosters[0].entries_max;
            next_us += random_between(&random, 1, 2 * SERVICE_US * 100 / percent - 1);
            c->gone_us[process][user] = c->now_us + WAIT_US;
            if (!c->users[process][user].is_held) crowd_ask(c, process, user);
        }
        for (uint32_t i = 0; i < processes; i++) {
            (void)lane_wake(&c->lanes[i], c->now_us * 1000);
            crowd_release(c, i);
        }
    }
    return (c->in_time - half) * SERVICE_US * 100 / (RUN_US / 2);
}

/* Who is asked for more than it can do does what it can for callers who are still there. */
TEST(callers_of_a_crowd_are_answered_while_they_wait) {
    static const uint64_t percents[] = {90, 110, 150, 300};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
            uint64_t share = crowd_run_open(4, TOLERANCE_US, NETWORK_US, percents[i], seed);
            CHECK_SAYS(share >= 88,
                       "%" PRIu64 " %% of what the server can do, asked for %" PRIu64 " %%", share,
                       percents[i]);
        }
    }
}

/* Where rules tolerate long exchanges nothing is too late for the clock, and all may be for who waits. */
TEST(so_are_those_of_many_tolerant_processes) {
    static const uint64_t percents[] = {90, 110, 150, 300};
    static const uint32_t counts[]   = {1, 4, 8, 16, 64};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (size_t k = 0; k < 5; k++) {
            for (size_t i = 0; i < 4; i++) {
                uint64_t share = crowd_run_open(counts[k], 100000, NETWORK_US, percents[i], seed);
                CHECK_SAYS(share >= 85,
                           "%" PRIu32 " processes, %" PRIu64
                           " %% of what the server can do, asked for %" PRIu64 " %%",
                           counts[k], share, percents[i]);
            }
        }
    }
}

/* Where a trip takes more than half of what callers wait, who has half of it left would go in vain. What one
 * process has out at most comes to a quarter of what the server can do. */
TEST(so_are_those_of_a_store_that_is_far) {
    enum { TOLERANT_US = 80000 };
    static const struct {
        uint64_t far_us;
        uint32_t processes;
        uint64_t percent, least;
    } cases[] = {{12000, 1, 60, 24},  {12000, 1, 400, 24},  {12000, 4, 60, 55},
                 {12000, 4, 400, 85}, {12000, 16, 120, 75}, {12000, 16, 400, 75},
                 {18000, 1, 400, 12}, {18000, 4, 400, 50},  {18000, 16, 400, 60},
                 {19500, 1, 400, 10}, {19500, 4, 400, 45}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t share =
            crowd_run_open(cases[i].processes, TOLERANT_US, cases[i].far_us, cases[i].percent, 1);
        CHECK_SAYS(share >= cases[i].least,
                   "%" PRIu64 " us away, %" PRIu32 " processes, %" PRIu64
                   " %% of what the server can do, asked for %" PRIu64 " %%",
                   cases[i].far_us, cases[i].processes, share, cases[i].percent);
    }
}
