/* SPDX-License-Identifier: MIT
 *
 * What one node answers: with a store that is well, cut off, refusing, lost, and without one. */
#include "limiter/fleet.h"

#include <stdio.h>
#include <string.h>

#include "base/pace.h"
#include "fleet/node.h"
#include "limiter/shard.h"

/* Cuts the store and asks until nobody is kept waiting any more. */
static void cut(struct fleet *f, struct model_store *m) {
    model_cut(m, true);
    struct fleet_question q = question("probe", 1000, HOUR);
    q.wait_ns               = 50 * MS;
    for (unsigned i = 0; decide(f, q).why != FLEET_CUT; i++) CHECK_LT(i, 200);
}

/* ---- a store that is well ---- */

TEST(a_limit_is_used_up_and_no_more) {
    struct model_store *m       = open_model();
    struct fleet       *f       = open_fleet(m, (struct fleet_options){0});
    unsigned            allowed = 0;
    for (unsigned i = 0; i < 300; i++) allowed += ask(f, "ann", 200, HOUR).allowed;
    CHECK_EQ(allowed, 200);
    struct fleet_answer a = ask(f, "ann", 200, HOUR);
    CHECK(!a.allowed);
    CHECK_GT(a.retry_after_ns, HOUR / 2);
    CHECK_NE(a.how, FLEET_DEGRADED);
    close_both(f, m);
}

TEST(most_decisions_find_a_permit_in_hand) {
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){0});
    for (unsigned i = 0; i < 20000; i++) CHECK(ask(f, "ann", 1000000, HOUR).allowed);
    struct fleet_statistics s = statistics(f);
    CHECK_EQ(s.allowed, 20000);
    CHECK_GT(s.decisions[FLEET_IN_HAND], 19000);
    CHECK_EQ(s.decisions[FLEET_DEGRADED], 0);
    CHECK_EQ(s.entries, 1);
    CHECK_LT(s.trips, 1000);
    close_both(f, m);
}

TEST(two_nodes_share_a_limit) {
    struct model_store *m = model_open(&(struct model_options){.seed = check_seed(), .shards = 5});
    struct fleet       *f = open_fleet(m, (struct fleet_options){0}),
                 *g       = open_fleet(m, (struct fleet_options){0});
    unsigned allowed      = 0;
    for (unsigned i = 0; i < 300; i++)
        allowed += ask(f, "ann", 100, HOUR).allowed + ask(g, "ann", 100, HOUR).allowed;
    CHECK_LE(allowed, 100);
    CHECK_GE(allowed, 50); /* what one node has in hand the other cannot use */
    (void)fleet_close(g, 0);
    close_both(f, m);
}

TEST(what_is_left_goes_back_before_close_returns) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){0});
    struct fleet_question q = question("ann", 1000, HOUR);
    for (unsigned i = 0; i < 10; i++) CHECK(decide(f, q).allowed);
    CHECK(fleet_close(f, LONG));
    CHECK_EQ(model_live(m, &q.name), 10);
    model_close(m);
}

TEST(a_node_that_starts_anew_does_not_use_what_it_had_again) {
    struct model_store *m       = open_model();
    unsigned            allowed = 0;
    for (unsigned start = 0; start < 6; start++) {
        struct fleet *f = open_fleet(m, (struct fleet_options){0});
        for (unsigned i = 0; i < 30; i++) allowed += ask(f, "ann", 100, HOUR).allowed;
        (void)fleet_close(f, 0); /* as if it had been killed, but that trips come back first */
    }
    CHECK_LE(allowed, 100);
    CHECK_GE(allowed, 30);
    model_close(m);
}

TEST(a_lower_limit_holds_at_once) {
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){0});
    for (unsigned i = 0; i < 50; i++) CHECK(ask(f, "ann", 1000, HOUR).allowed);
    for (unsigned i = 0; i < 10; i++) CHECK(!ask(f, "ann", 50, HOUR).allowed);
    CHECK(ask(f, "ann", 1000, HOUR).allowed);
    CHECK_EQ(model_counts(m).accounts, 1);
    close_both(f, m);
}

TEST(what_the_rule_forbids_makes_no_trip) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){0});
    struct fleet_answer   a = ask(f, "ann", 0, SECOND);
    struct fleet_question q = question("ann", 10, SECOND);
    CHECK(!a.allowed);
    CHECK_EQ(a.how, FLEET_BY_RULE);
    CHECK_EQ(a.retry_after_ns, LIMIT_NEVER);
    q.cost = 11;
    CHECK_EQ(decide(f, q).how, FLEET_BY_RULE);
    CHECK_EQ(model_counts(m).served, 0);
    q.cost = 10;
    CHECK(decide(f, q).allowed);
    close_both(f, m);
}

TEST(windows_from_a_microsecond_to_ten_years_are_answered) {
    static const uint64_t windows[] = {1000,        MS,        50 * MS,     SECOND,
                                       60 * SECOND, 24 * HOUR, 87600 * HOUR};
    struct model_store   *m         = open_model();
    struct fleet         *f         = open_fleet(m, (struct fleet_options){0});
    for (unsigned i = 0; i < sizeof windows / sizeof *windows; i++) {
        CHECK(ask(f, "ann", LIMIT_MAX, windows[i]).allowed);
        struct fleet_answer a = ask(f, "bob", 5, windows[i]);
        CHECK(a.allowed);
        CHECK_EQ(a.how, FLEET_BY_TRIP);
    }
    close_both(f, m);
}

TEST(names_differ_by_user_window_and_algorithm) {
    struct store_name a = fleet_name_of(secret, "ann", 3, SECOND, ALGORITHM_STRICT);
    struct store_name b = fleet_name_of(secret, "anna", 4, SECOND, ALGORITHM_STRICT);
    struct store_name c = fleet_name_of(secret, "ann", 3, MS, ALGORITHM_STRICT);
    struct store_name d = fleet_name_of(secret, "ann", 3, SECOND, ALGORITHM_FIXED);
    CHECK_NE(memcmp(&a, &b, sizeof a), 0);
    CHECK_NE(memcmp(&a, &c, sizeof a), 0);
    CHECK_NE(memcmp(&a, &d, sizeof a), 0);
    CHECK_NE(memcmp(a.bytes, a.bytes + 8, 8), 0);
    struct store_name again = fleet_name_of(secret, "ann", 3, SECOND, ALGORITHM_STRICT);
    CHECK_MEM_EQ(&a, &again, sizeof a);
}

/* ---- tickets ---- */

/* They read the clock, slept, and took what was granted since. Told under their own time, these uses would be
 * gone at the store before they happened. What is gathered lies in hand: nobody has used any of it. */
TEST(who_slept_before_the_call_is_told_of_as_of_now) {
    struct model_store *m = open_model();
    struct fleet       *f =
        open_fleet(m, (struct fleet_options){.lease = {.term_ns = LONG, .idle_ns = LONG}});
    struct fleet_question q = question("ann", 32, clock_now_ns() / 2);
    struct seen           s = {.ticket = {.done = see, .context = &s}};
    q.cost                  = 20;
    struct fleet_answer a   = {0};
    while (!a.allowed || a.how == FLEET_DEGRADED) {
        atomic_store(&s.times, 0);
        if (!fleet_gather_async(f, &q, clock_now_ns(), &s.ticket)) wait_for(&s);
        if (!s.ticket.answer.allowed) continue;
        fleet_decide(f, &q, 1, &a); /* as soon as the machine was up */
    }
    CHECK_EQ(a.how, FLEET_IN_HAND);
    CHECK(fleet_close(f, LONG));
    CHECK_EQ(model_live(m, &q.name), 20);
    model_close(m);
}

TEST(a_ticket_is_answered_once_and_never_inside_the_call) {
    struct model_store   *m    = open_model();
    struct fleet         *f    = open_fleet(m, (struct fleet_options){0});
    struct fleet_question q    = question("ann", 100, HOUR);
    struct seen           s[8] = {0};
    for (unsigned i = 0; i < 8; i++) {
        s[i].ticket = (struct fleet_ticket){.done = see, .context = &s[i]};
        if (fleet_decide_async(f, &q, clock_now_ns(), &s[i].ticket)) {
            CHECK_EQ(s[i].times, 0);
            s[i].times = 1;
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        wait_for(&s[i]);
        CHECK(s[i].ticket.answer.allowed);
    }
    (void)fleet_close(f, 0);
    for (unsigned i = 0; i < 8; i++) CHECK_EQ(s[i].times, 1);
    model_close(m);
}

TEST(a_ticket_whose_time_is_up_gets_the_policys_answer) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){0});
    struct fleet_question q = question("ann", 100, HOUR);
    struct seen           s = {.ticket = {.done = see, .context = &s}};
    model_cut(m, true);
    q.wait_ns = MS;
    q.policy  = FLEET_OPEN;
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    wait_for(&s);
    CHECK(s.ticket.answer.allowed);
    CHECK_EQ(s.ticket.answer.how, FLEET_DEGRADED);
    CHECK_EQ(s.ticket.answer.why, FLEET_LATE);
    close_both(f, m);
}

TEST(closing_answers_who_waits) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){0});
    struct fleet_question q = question("ann", 100, HOUR);
    struct seen           s = {.ticket = {.done = see, .context = &s}};
    model_cut(m, true);
    q.policy = FLEET_CLOSED;
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    CHECK(!fleet_close(f, 50 * MS));
    CHECK_EQ(s.times, 1);
    CHECK_EQ(s.ticket.answer.why, FLEET_ENDING);
    CHECK(!s.ticket.answer.allowed);
    model_close(m);
}

/* ---- more than the store can answer in time ---- */

enum { CROWD_MAX = 300 };

struct crowd {
    struct seen members[CROWD_MAX];
};

/* Each of so many users asks once; nobody waits here. */
/* By users who have asked nothing yet. */
static void crowd_ask_of(struct crowd *c, struct fleet *f, uint32_t shard, unsigned count,
                         uint64_t limit) {
    static unsigned number;
    memset(c, 0, sizeof *c);
    for (unsigned i = 0; i < count;) {
        char name[12];
        (void)snprintf(name, sizeof name, "%u", number++);
        struct fleet_question q = question(name, limit, HOUR);
        if (fleet_shard_of(f, &q.name) != shard) continue;
        struct seen *s = &c->members[i++];
        s->ticket      = (struct fleet_ticket){.done = see, .context = s};
        CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s->ticket));
    }
}

/* Of a store with one shard. */
static void crowd_ask(struct crowd *c, struct fleet *f, unsigned count, uint64_t limit) {
    crowd_ask_of(c, f, 0, count, limit);
}

/* A trip is given up after eight of these; and until one has come back, who has less time left than two is
 * passed over. */
static const struct fleet_options patient = {
    .policy = FLEET_CLOSED,
    .lease  = {.round_trip_ns = LONG / 4, .term_ns = 100 * SECOND, .idle_ns = HOUR}};

TEST(no_more_trips_are_out_than_the_window_and_all_are_made_at_last) {
    static struct crowd crowd;
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, patient);
    model_hold(m, true);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    CHECK_EQ(model_counts(m).served, PACE_FIRST);
    CHECK_EQ(statistics(f).held, CROWD_MAX - PACE_FIRST);
    model_hold(m, false);
    for (unsigned i = 0; i < CROWD_MAX; i++) {
        wait_for(&crowd.members[i]);
        CHECK(crowd.members[i].ticket.answer.allowed);
    }
    CHECK_EQ(statistics(f).held, 0);
    close_both(f, m);
}

/* A permit that is acquired for nobody is of use only if it stays. */
TEST(no_trip_is_made_for_those_who_have_gone_while_they_were_held) {
    enum { EACH = 1, SHARED = 100 }; /* limits: a trip a decision, or permits that are kept */
    static struct crowd   crowd;
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, patient);
    struct fleet_question q = question("ann", EACH, HOUR), r = question("bob", SHARED, HOUR);
    q.wait_ns = r.wait_ns = MS;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    CHECK_EQ(decide(f, q).why, FLEET_LATE);
    CHECK_EQ(decide(f, r).why, FLEET_LATE);
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    r.wait_ns = LONG;
    CHECK(decide(f, r).allowed);
    CHECK_EQ(model_counts(m).accounts, PACE_FIRST + 1);
    close_both(f, m);
}

/* What comes when they have gone serves those who come next. */
TEST(a_trip_is_made_for_who_is_asked_for_often_by_those_who_do_not_wait) {
    static struct crowd   crowd;
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, patient);
    struct fleet_question q = question("ann", 100, HOUR);
    q.wait_ns               = 0;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    for (unsigned i = 0; i < 4; i++) CHECK_EQ(decide(f, q).why, FLEET_LATE);
    CHECK_EQ(statistics(f).held, 1);
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    for (unsigned i = 0; i < 5000 && model_counts(m).accounts == PACE_FIRST; i++) sleep_ns(MS);
    CHECK_EQ(model_counts(m).accounts, PACE_FIRST + 1);
    close_both(f, m);
}

TEST(one_who_has_no_time_left_keeps_no_trip_from_who_has) {
    static struct crowd   crowd;
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, patient);
    struct seen           s = {.ticket = {.done = see, .context = &s}};
    struct fleet_question q = question("ann", 1, HOUR);
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    q.wait_ns =
        SECOND; /* parked behind the other when its turn comes, and with less than a round trip left */
    struct seen hasty = {.ticket = {.done = see, .context = &hasty}};
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &hasty.ticket));
    model_hold(m, false);
    wait_for(&s);
    wait_for(&hasty);
    CHECK(s.ticket.answer.allowed);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    close_both(f, m);
}

/* The same of one alone, whose time is less than a round trip when its turn comes. */
TEST(no_trip_is_made_for_who_has_no_time_left) {
    static struct crowd   crowd;
    struct model_store   *m     = open_model();
    struct fleet         *f     = open_fleet(m, patient);
    struct fleet_question q     = question("ann", 1, HOUR);
    struct seen           hasty = {.ticket = {.done = see, .context = &hasty}};
    q.wait_ns                   = SECOND;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &hasty.ticket));
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    wait_for(&hasty);
    CHECK_EQ(hasty.ticket.answer.why, FLEET_LATE);
    CHECK_EQ(model_counts(m).accounts, PACE_FIRST);
    close_both(f, m);
}

/* Whether a trip is made for one who has so long left when their turn comes, a moment after they asked. */
static bool is_served_who_waits(uint64_t round_trip_ns, uint64_t usual_wait_ns, uint64_t wait_ns) {
    static struct crowd  crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.lease.round_trip_ns  = round_trip_ns;
    options.lease.term_ns        = 10 * round_trip_ns;
    options.wait_ns              = usual_wait_ns;
    struct fleet         *f      = open_fleet(m, options);
    struct fleet_question q      = question("ann", 1, HOUR);
    struct seen           s      = {.ticket = {.done = see, .context = &s}};
    q.wait_ns                    = wait_ns;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    (void)fleet_close(f, LONG); /* when all that was acquired has come */
    bool is_served = model_counts(m).accounts > PACE_FIRST;
    model_close(m);
    return is_served;
}

TEST(who_has_less_time_than_two_trips_may_take_is_not_served_but_for_half_of_the_usual_wait) {
    CHECK(!is_served_who_waits(10 * SECOND, 80 * SECOND, 15 * SECOND));
    CHECK(is_served_who_waits(20 * SECOND, 40 * SECOND, 35 * SECOND));
}

/* However far the store is, and callers in a hurry. */
TEST(grants_in_vain_shrink_a_window_also_if_they_are_slow) {
    static struct crowd crowd;
    struct model_store *m =
        model_open(&(struct model_options){.seed = check_seed(), .delay_ns = 20 * MS});
    struct fleet_options options = patient;
    options.lease.tolerance_ns   = MS;
    options.wait_ns              = MS;
    struct fleet *f              = open_fleet(m, options);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    for (unsigned i = 0; i < 10000 && statistics(f).held < CROWD_MAX - 8; i++) sleep_ns(MS);
    CHECK_GE(statistics(f).held, CROWD_MAX - 16);
    (void)fleet_close(f, 0);
    for (unsigned i = 0; i < CROWD_MAX; i++) wait_for(&crowd.members[i]);
    model_close(m);
}

/* More than the trips that come back pass over. */
TEST(however_many_have_gone_who_is_behind_them_goes_on) {
    enum { GONE = 80 * PACE_FIRST };
    static struct crowd   crowd;
    static struct seen    gone[GONE];
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, patient);
    struct seen           s = {.ticket = {.done = see, .context = &s}};
    struct fleet_question q;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    for (unsigned i = 0; i < GONE; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "gone %u", i);
        q         = question(name, 100, HOUR);
        q.wait_ns = MS;
        gone[i]   = (struct seen){.ticket = {.done = see, .context = &gone[i]}};
        CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &gone[i].ticket));
    }
    q = question("ann", 100, HOUR);
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    for (unsigned i = 0; i < GONE; i++) wait_for(&gone[i]);
    model_hold(m, false);
    wait_for(&s);
    CHECK(s.ticket.answer.allowed);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    CHECK_EQ(model_counts(m).accounts, PACE_FIRST + 1);
    close_both(f, m);
}

/* A lease that nobody asks for goes back after a while: it is tried anew with a longer one if that was before
 * the crowd came. */
TEST(what_is_given_back_waits_its_turn) {
    static struct crowd crowd;
    bool                is_told = false;
    for (uint64_t idle_ns = 200 * MS; !is_told; idle_ns *= 4) {
        struct model_store  *m       = open_model();
        struct fleet_options options = patient;
        options.lease.idle_ns        = idle_ns;
        struct fleet *f              = open_fleet(m, options);
        for (unsigned i = 0; i < 4; i++) CHECK(ask(f, "ann", 1000, HOUR).allowed);
        uint64_t before = model_counts(m).served;
        model_hold(m, true);
        crowd_ask(&crowd, f, PACE_FIRST, 100);
        is_told = model_counts(m).served == before + PACE_FIRST;
        for (unsigned i = 0; is_told && statistics(f).held == 0; i++) {
            CHECK_LT(i, LONG / MS);
            CHECK_EQ(model_counts(m).served, before + PACE_FIRST);
            sleep_ns(MS);
        }
        model_hold(m, false);
        for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
        close_both(f, m);
    }
}

/* Most of a lease is spent while the window is full: nobody waits, and more is acquired all the same. */
TEST(what_is_renewed_ahead_is_renewed_when_its_turn_comes) {
    static struct crowd   crowd;
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, patient);
    struct fleet_question q = question("ann", 100000, HOUR);
    for (unsigned i = 0; i < 200; i++) CHECK(decide(f, q).allowed);
    while (model_counts(m).account_served_max == 0) sleep_ns(MS);
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    uint64_t before = model_counts(m).account_served_max;
    while (statistics(f).held == 0) {
        CHECK_GT(statistics(f).permits_in_hand, 0);
        CHECK_EQ(decide(f, q).how, FLEET_IN_HAND);
    }
    model_hold(m, false);
    for (unsigned i = 0; model_counts(m).account_served_max == before; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    close_both(f, m);
}

static void let_go(struct fleet_ticket *t) { model_hold(t->context, false); }

TEST(closing_acquires_nothing_for_those_whom_it_has_answered) {
    static struct crowd  crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.lease.idle_ns        = MS;
    struct fleet *f              = open_fleet(m, options);
    model_hold(m, true);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    crowd.members[0].ticket.done    = let_go; /* all are unlinked before one is told */
    crowd.members[0].ticket.context = m;
    CHECK(fleet_close(f, LONG));
    for (unsigned i = 1; i < CROWD_MAX; i++) {
        wait_for(&crowd.members[i]);
        CHECK_EQ(crowd.members[i].ticket.answer.why, FLEET_ENDING);
    }
    CHECK_EQ(model_counts(m).accounts, PACE_FIRST);
    model_close(m);
}

TEST(who_finds_no_trip_free_goes_when_there_is_one) {
    enum { TRIPS = 4, ASKING = 40 };
    static struct crowd  crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.trips_max            = TRIPS;
    struct fleet *f              = open_fleet(m, options);
    model_hold(m, true);
    crowd_ask(&crowd, f, ASKING, 100);
    CHECK_LE(model_counts(m).served, TRIPS);
    model_hold(m, false);
    for (unsigned i = 0; i < ASKING; i++) {
        wait_for(&crowd.members[i]);
        CHECK(crowd.members[i].ticket.answer.allowed);
    }
    close_both(f, m);
}

/* And is not looked at meanwhile, also where the store paces itself. */
TEST(who_finds_no_trip_free_is_held_until_one_comes_back) {
    enum { TRIPS = 4 };
    static struct crowd  crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.trips_max            = TRIPS;
    model_store(m)->paces_itself = true;
    struct fleet *f              = open_fleet(m, options);
    model_hold(m, true);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    CHECK_GE(statistics(f).held, CROWD_MAX - TRIPS);
    model_hold(m, false);
    for (unsigned i = 0; i < CROWD_MAX; i++) {
        wait_for(&crowd.members[i]);
        CHECK(crowd.members[i].ticket.answer.allowed);
    }
    CHECK_EQ(statistics(f).held, 0);
    close_both(f, m);
}

/* A trip that is no account's. */
static void look_at(struct fleet *f, uint32_t shard) {
    struct fleet_question q;
    struct fleet_answer   answer;
    char                  name[] = "look 0";
    do {
        name[5]++;
        q = question(name, 100, HOUR);
    } while (fleet_shard_of(f, &q.name) != shard);
    fleet_look(f, &q, clock_now_ns(), &answer);
    CHECK(answer.allowed);
}

/* Those of another that has all would else take them again as they come back. */
TEST(a_shard_that_has_no_trip_out_finds_one) {
    enum { SHARDS = 2, TRIPS = 8 * SHARDS, KEPT = 2 * SHARDS };
    static struct crowd crowd, other;
    struct model_store *m =
        model_open(&(struct model_options){.seed = check_seed(), .shards = SHARDS});
    struct fleet_options options = patient;
    options.trips_max            = TRIPS;
    struct fleet *f              = open_fleet(m, options);
    while (model_counts(m).beats < SHARDS) sleep_ns(MS);
    for (uint32_t shard = 0; shard < 2; shard++) { /* what comes after the first beats */
        crowd_ask_of(&crowd, f, shard, 1, 100);
        wait_for(&crowd.members[0]);
        look_at(f, shard);
    }
    for (uint32_t shard = 0; shard < 2; shard++) {
        model_hold(m, true);
        uint64_t before = model_counts(m).served;
        crowd_ask_of(&crowd, f, shard, CROWD_MAX, 100);
        uint64_t crowded = model_counts(m).served;
        CHECK_LE(crowded, before + TRIPS - KEPT);
        CHECK_GE(crowded, before + TRIPS - KEPT - SHARDS); /* a beat of each may be out */
        crowd_ask_of(&other, f, 1 - shard, 2, 100);
        CHECK_EQ(model_counts(m).served, crowded + 1);
        model_hold(m, false);
        for (unsigned i = 0; i < CROWD_MAX; i++) wait_for(&crowd.members[i]);
        for (unsigned i = 0; i < 2; i++) wait_for(&other.members[i]);
    }
    CHECK_EQ(statistics(f).held, 0);
    close_both(f, m);
}

static void see_how_many(struct fleet_ticket *t) {
    struct seen *s = t->context;
    atomic_store(&s->times, (unsigned)model_counts(s->model).served);
}

/* How many of the crowd's trips come before the answer to one more. */
static uint64_t trips_before(struct model_store *m, struct fleet *f, const char *user) {
    enum { CROWDS = 10 };
    static struct crowd   crowds[CROWDS];
    struct fleet_question q = question(user, 100, SECOND);
    struct seen           s = {.model = m, .ticket = {.done = see_how_many, .context = &s}};
    for (unsigned i = 0; i < CROWDS; i++) crowd_ask(&crowds[i], f, CROWD_MAX, 100);
    CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s.ticket));
    uint64_t before = model_counts(m).served;
    wait_for(&s);
    for (unsigned i = 0; i < CROWDS * CROWD_MAX; i++)
        wait_for(&crowds[i / CROWD_MAX].members[i % CROWD_MAX]);
    uint64_t at = atomic_load(&s.times);
    return at > before ? at - before : 0;
}

/* Of the same shard, whose rules tolerate longer exchanges; also if the crowd waits for trips alone. */
TEST(a_crowd_leaves_trips_to_rules_of_another_kind) {
    struct model_store *m = model_open(
        &(struct model_options){.seed = check_seed(), .accounts_max = 32768, .delay_ns = MS});
    struct fleet_options options = {.policy    = FLEET_CLOSED,
                                    .trips_max = 8,
                                    .wait_ns   = LONG,
                                    .lease     = {.round_trip_ns = 20 * MS}};
    model_store(m)->paces_itself = true;
    struct fleet *f = fleet_open(model_store(m), &options); /* with its own tolerances */
    CHECK_NE(f, NULL);
    for (unsigned i = 0; i < 4; i++) { /* one may be lucky */
        char user[8];
        (void)snprintf(user, sizeof user, "ann %u", i);
        CHECK_LT(trips_before(m, f, user), CROWD_MAX);
    }
    close_both(f, m);
}

/* Or permits would be of no use, for want of a clock that is known to go on. */
TEST(a_crowd_leaves_a_trip_to_the_beats_of_its_shard) {
    enum { TRIPS = 4, ROUNDS = 3 };
    static struct crowd crowd;
    struct model_store *m =
        model_open(&(struct model_options){.seed = check_seed(), .grants_wait = true});
    struct fleet_options options = patient;
    options.trips_max            = TRIPS;
    struct fleet *f              = open_fleet(m, options);
    bool          has_gone       = false;
    crowd_ask(&crowd, f, 1, 100);
    wait_for(&crowd.members[0]);
    for (unsigned round = 0; !has_gone && round < ROUNDS; round++) {
        uint64_t before = model_counts(m).beats; /* one that is out already is held as well */
        model_hold(m, true);
        crowd_ask(&crowd, f, CROWD_MAX, 100);
        for (unsigned i = 0; i < LONG / MS / ROUNDS && !has_gone; i++) {
            sleep_ns(MS);
            has_gone = model_counts(m).beats > before;
        }
        model_hold(m, false);
        for (unsigned i = 0; i < CROWD_MAX; i++) wait_for(&crowd.members[i]);
    }
    CHECK(has_gone);
    close_both(f, m);
}

TEST(one_that_is_refused_makes_no_window_smaller) {
    static struct crowd   crowd;
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    struct fleet_question q = question("ann", 100, HOUR);
    model_refuse_alone(m, &q.name);
    for (unsigned i = 0; i < 10; i++) CHECK_EQ(decide(f, q).how, FLEET_DEGRADED);
    uint64_t before = model_counts(m).served;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    CHECK_EQ(model_counts(m).served, before + PACE_FIRST);
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    close_both(f, m);
}

/* Answers that are of use to the account, and come when half of what callers wait has passed. */
TEST(a_window_does_not_grow_for_answers_that_callers_do_not_wait_for) {
    static struct crowd  first, crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.wait_ns              = 400 * MS;
    struct fleet *f              = open_fleet(m, options);
    model_hold(m, true);
    crowd_ask(&first, f, PACE_FIRST, 100);
    sleep_ns(220 * MS);
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&first.members[i]);
    model_hold(m, true);
    uint64_t before = model_counts(m).served;
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    CHECK_EQ(model_counts(m).served, before + PACE_FIRST);
    model_hold(m, false);
    for (unsigned i = 0; i < CROWD_MAX; i++) wait_for(&crowd.members[i]);
    close_both(f, m);
}

TEST(who_is_held_when_the_store_is_cut_off_is_told_so) {
    static struct crowd crowd;
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    model_cut(m, true);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    for (unsigned i = 0; i < CROWD_MAX; i++) {
        wait_for(&crowd.members[i]);
        CHECK_EQ(crowd.members[i].ticket.answer.why, FLEET_CUT);
    }
    close_both(f, m);
}

TEST(who_is_held_does_not_leave_for_newcomers) {
    enum { HELD = 8 };
    static const char   *names[HELD] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    static struct crowd  crowd;
    struct model_store  *m       = open_model();
    struct fleet_options options = patient;
    options.users_max            = PACE_FIRST + HELD;
    struct fleet         *f      = open_fleet(m, options);
    struct fleet_question q;
    model_hold(m, true);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    for (unsigned i = 0; i < HELD; i++) {
        q         = question(names[i], 100, HOUR);
        q.wait_ns = MS;
        CHECK_EQ(decide(f, q).why, FLEET_LATE);
    }
    q         = question("newcomer", 100, HOUR);
    q.wait_ns = MS;
    CHECK_EQ(decide(f, q).why, FLEET_FULL);
    model_hold(m, false);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    for (unsigned i = 0; i < HELD; i++) CHECK(ask(f, names[i], 100, HOUR).allowed);
    close_both(f, m);
}

TEST(one_that_is_held_is_held_once_however_often_it_is_asked_for) {
    static struct crowd   crowd;
    struct model_store   *m    = open_model();
    struct fleet         *f    = open_fleet(m, patient);
    struct seen           s[4] = {0};
    struct fleet_question q    = question("ann", 100, HOUR);
    model_hold(m, true);
    crowd_ask(&crowd, f, CROWD_MAX, 100);
    for (unsigned i = 0; i < 4; i++) {
        s[i].ticket = (struct fleet_ticket){.done = see, .context = &s[i]};
        CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &s[i].ticket));
    }
    model_hold(m, false);
    for (unsigned i = 0; i < CROWD_MAX; i++) wait_for(&crowd.members[i]);
    for (unsigned i = 0; i < 4; i++) wait_for(&s[i]);
    CHECK_EQ(model_counts(m).account_served_max, 1);
    CHECK_EQ(statistics(f).held, 0);
    close_both(f, m);
}

/* To who trusts no answer all grants are too late, and are asked for again. Nobody beats, whose answer might
 * wake who rests. */
TEST(who_rests_goes_on) {
    static struct crowd crowd;
    struct model_store *m =
        model_open(&(struct model_options){.clamp_us = 24 * HOUR / 1000, .seed = check_seed()});
    struct fleet_options hasty = patient;
    hasty.lease.tolerance_ns   = 1;
    hasty.lease.contact_ns     = HOUR;
    struct fleet *f            = open_fleet(m, hasty);
    crowd_ask(&crowd, f, PACE_FIRST, 100);
    /* 64 and 64 and 32 and ... and 1, and some that give back: then it rests before each. */
    for (unsigned i = 0; model_counts(m).served < 240; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    (void)fleet_close(f, 0);
    for (unsigned i = 0; i < PACE_FIRST; i++) wait_for(&crowd.members[i]);
    model_close(m);
}

/* ---- a store that does not answer ---- */

TEST(each_policy_answers_as_it_promises) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){.lease = {.nodes = 4}});
    struct fleet_question q = question("ann", 100, HOUR);
    cut(f, m);
    q.policy              = FLEET_CLOSED;
    struct fleet_answer a = decide(f, q);
    CHECK(!a.allowed);
    CHECK_EQ(a.how, FLEET_DEGRADED);
    CHECK_EQ(a.why, FLEET_CUT);
    CHECK_GT(a.retry_after_ns, 0);

    q.policy = FLEET_OPEN;
    for (unsigned i = 0; i < 200; i++) CHECK(decide(f, q).allowed);

    q.policy         = FLEET_LOCAL;
    unsigned allowed = 0;
    for (unsigned i = 0; i < 200; i++) allowed += decide(f, q).allowed;
    CHECK_EQ(allowed, 25);

    struct fleet_question dear = question("cat", 100, HOUR);
    dear.policy                = FLEET_LOCAL;
    dear.cost                  = 26; /* more than the share, less than the limit */
    CHECK(!decide(f, dear).allowed);
    dear.cost = 25;
    CHECK(decide(f, dear).allowed);

    struct fleet_question small = question("bob", 1, HOUR);
    small.policy                = FLEET_LOCAL;
    CHECK(decide(f, small).allowed);
    CHECK(!decide(f, small).allowed);

    struct fleet_statistics s = statistics(f);
    CHECK_GE(s.degraded[FLEET_CUT], 405);
    CHECK_EQ(s.degraded[FLEET_CUT] + s.degraded[FLEET_LATE], s.decisions[FLEET_DEGRADED]);
    CHECK_GE(s.shards_cut, 1);
    close_both(f, m);
}

TEST(who_does_not_wait_is_answered_at_once_and_finds_a_permit_later) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){0});
    struct fleet_question q = question("ann", 1000, HOUR);
    q.wait_ns               = 0;
    q.policy                = FLEET_CLOSED;
    CHECK_EQ(decide(f, q).why, FLEET_LATE);
    unsigned turns = 0;
    while (!decide(f, q).allowed) {
        CHECK_LT(turns++, LONG / MS);
        sleep_ns(MS);
    }
    close_both(f, m);
}

TEST(permits_in_hand_serve_while_the_store_is_cut_off) {
    struct model_store *m = open_model();
    struct fleet       *f =
        open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED,
                                             .lease  = {.term_ns = HOUR, .idle_ns = HOUR}});
    for (unsigned i = 0; i < 500; i++) CHECK(ask(f, "ann", 1000000, HOUR).allowed);
    CHECK_GT(statistics(f).permits_in_hand, 0);
    cut(f, m);
    uint64_t left = statistics(f).permits_in_hand;
    CHECK_GT(left, 0);
    for (uint64_t i = 0; i < left; i++) CHECK_EQ(ask(f, "ann", 1000000, HOUR).how, FLEET_IN_HAND);
    CHECK_EQ(ask(f, "ann", 1000000, HOUR).why, FLEET_CUT);
    close_both(f, m);
}

TEST(a_store_that_comes_back_is_found_by_probes_alone) {
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    cut(f, m);
    uint64_t              served = model_counts(m).served;
    struct fleet_question q      = question("probe", 1000, HOUR);
    q.wait_ns                    = 50 * MS;
    for (unsigned i = 0; i < 1000; i++) CHECK_EQ(decide(f, q).why, FLEET_CUT);
    CHECK_EQ(model_counts(m).served, served);
    model_cut(m, false);
    for (unsigned i = 0; statistics(f).shards_cut > 0; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    CHECK(ask(f, "probe", 1000, HOUR).allowed);
    close_both(f, m);
}

TEST(a_store_is_asked_what_it_owes_although_nobody_asks_here) {
    struct model_store *m = model_open(&(struct model_options){.shards = 5, .seed = check_seed()});
    struct fleet       *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    for (unsigned i = 0; model_counts(m).beats < 5; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    close_both(f, m);
}

/* Each permit is a trip here, and there is always one on its way. */
TEST(beats_go_beside_trips_that_the_store_may_hold_up) {
    enum { USERS = 500, LIMIT = 31 };
    struct model_store *m =
        model_open(&(struct model_options){.grants_wait = true, .seed = check_seed()});
    struct fleet *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    for (unsigned i = 0; model_counts(m).beats < 5; i++) {
        char name[8];
        CHECK_LT(i, USERS * LIMIT);
        (void)snprintf(name, sizeof name, "%u", i % USERS);
        CHECK_EQ(ask(f, name, LIMIT, HOUR).how, FLEET_BY_TRIP);
    }
    close_both(f, m);
}

TEST(a_store_that_refuses_is_as_good_as_none) {
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    model_refuse(m, true);
    struct fleet_question q = question("ann", 1000, HOUR);
    q.wait_ns               = 50 * MS;
    unsigned cuts           = 0;
    for (unsigned i = 0; i < 10000 && cuts == 0; i++) {
        struct fleet_answer a = decide(f, q);
        CHECK(!a.allowed);
        CHECK_EQ(a.how, FLEET_DEGRADED);
        cuts += a.why == FLEET_CUT;
    }
    CHECK_GT(cuts, 0);
    model_refuse(m, false);
    for (unsigned i = 0; !decide(f, q).allowed; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    close_both(f, m);
}

TEST(who_alone_is_refused_is_told_so_and_keeps_nobody_from_the_store) {
    struct model_store   *m = open_model();
    struct fleet         *f = open_fleet(m, (struct fleet_options){.policy = FLEET_CLOSED});
    struct fleet_question q = question("ann", 1000, HOUR);
    q.wait_ns               = HOUR; /* nobody waits for that */
    model_refuse_alone(m, &q.name);
    for (unsigned i = 0; i < 3 * SHARD_MISSES_MAX; i++) {
        struct fleet_answer a = decide(f, q);
        CHECK(!a.allowed);
        CHECK_EQ(a.how, FLEET_DEGRADED);
        CHECK_EQ(a.why, FLEET_LATE);
    }
    CHECK_GE(statistics(f).misses, 2 * SHARD_MISSES_MAX);
    CHECK_EQ(statistics(f).shards_cut, 0);
    CHECK_EQ(ask(f, "bob", 1000, HOUR).how, FLEET_BY_TRIP);
    model_refuse_alone(m, NULL);
    CHECK(decide(f, q).allowed);
    close_both(f, m);
}

TEST(a_store_that_lost_its_past_grants_nothing_for_a_while_and_then_again) {
    struct model_store *m = open_model();
    struct fleet *f = open_fleet(m, (struct fleet_options){.lease = {.tolerance_ns = 5 * MS}});
    CHECK(ask(f, "ann", 100, 200 * MS).allowed);
    model_lose_all(m);
    sleep_ns(50 * MS); /* what was in hand goes back or ends */
    struct fleet_answer bob = ask(f, "bob", 100, HOUR);
    CHECK(!bob.allowed);
    CHECK_EQ(bob.remaining, 0);
    CHECK_GT(bob.retry_after_ns, HOUR / 2);
    for (unsigned i = 0; !ask(f, "ann", 100, 200 * MS).allowed; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    close_both(f, m);
}

TEST(a_store_that_lost_its_past_is_told_so_once_and_not_by_each_user) {
    struct model_store *m = open_model();
    struct fleet *f = open_fleet(m, (struct fleet_options){.lease = {.tolerance_ns = 5 * MS}});
    CHECK(ask(f, "ann", 100, 200 * MS).allowed);
    CHECK(ask(f, "bob", 100, 200 * MS).allowed);
    sleep_ns(100 * MS); /* what was in hand has gone back */
    model_lose_all(m);
    model_jump(m, -5 * (int64_t)SECOND / 1000); /* its new clock begins before the old one did */
    for (unsigned i = 0; !ask(f, "ann", 100, 200 * MS).allowed; i++) {
        CHECK_LT(i, LONG / MS);
        sleep_ns(MS);
    }
    CHECK(ask(f, "bob", 100, 200 * MS)
              .allowed); /* who remembers the old clock, too, and has not said so */
    close_both(f, m);
}

/* ---- bounds ---- */

static struct fleet_answer ask_number(struct fleet *f, unsigned number, uint64_t limit) {
    char name[2] = {(char)(number / 100 + 1), (char)(number % 100 + 1)};
    return decide(
        f, (struct fleet_question){.name  = fleet_name_of(secret, name, 2, HOUR, ALGORITHM_STRICT),
                                   .limit = limit,
                                   .window_ns = HOUR,
                                   .cost      = 1,
                                   .wait_ns   = LONG,
                                   .policy    = FLEET_OPEN});
}

TEST(who_finds_no_room_is_denied_under_every_policy) {
    enum { ROOM = 64, USERS = 300 };
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(
              m, (struct fleet_options){.users_max = ROOM, .lease = {.idle_ns = HOUR, .term_ns = HOUR}});
    unsigned full = 0;
    for (unsigned i = 0; i < 2 * USERS; i++) {
        struct fleet_answer a = ask_number(f, i / 2, 1000); /* who asks again gets some ahead */
        if (a.why != FLEET_FULL) continue;
        CHECK(!a.allowed);
        full++;
    }
    struct fleet_statistics s = statistics(f);
    CHECK_LE(s.entries, ROOM);
    CHECK_GE(full, 2 * (USERS - ROOM));
    CHECK_EQ(s.degraded[FLEET_FULL], full);
    CHECK_EQ(s.evicted, 0);
    close_both(f, m);
}

TEST(who_has_nothing_leaves_for_newcomers) {
    enum { ROOM = 64, USERS = 1000 };
    struct model_store *m       = open_model();
    struct fleet       *f       = open_fleet(m, (struct fleet_options){.users_max = ROOM});
    unsigned            allowed = 0, asked = 0;
    for (unsigned i = 0; i < USERS; i++) {
        struct fleet_answer a = ask_number(f, i, 2); /* small limits keep nothing in hand */
        for (unsigned k = 0; a.why == FLEET_FULL && k < LONG / MS; k++) {
            sleep_ns(MS);
            a = ask_number(f, i, 2);
        }
        allowed += a.allowed;
        asked++;
    }
    CHECK_EQ(allowed, asked);
    struct fleet_statistics s = statistics(f);
    CHECK_LE(s.entries, ROOM);
    CHECK_GE(s.evicted, USERS - ROOM);
    close_both(f, m);
}

TEST(who_leaves_and_comes_back_finds_what_was_used) {
    enum { ROOM = 16, USERS = 200 };
    struct model_store *m              = open_model();
    struct fleet       *f              = open_fleet(m, (struct fleet_options){.users_max = ROOM});
    unsigned            allowed[USERS] = {0};
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < USERS; i++) allowed[i] += ask_number(f, i, 1).allowed;
    for (unsigned i = 0; i < USERS; i++) CHECK_LE(allowed[i], 1);
    CHECK_GT(statistics(f).evicted, USERS);
    close_both(f, m);
}

TEST(a_local_share_is_not_forgotten_for_newcomers) {
    enum { ROOM = 8 };
    struct model_store *m = open_model();
    struct fleet       *f = open_fleet(m, (struct fleet_options){.users_max = ROOM});
    cut(f, m);
    unsigned allowed = 0;
    for (unsigned i = 0; i < 2000; i++) {
        struct fleet_question q = question("ann", 8, HOUR);
        q.policy                = FLEET_LOCAL;
        if (i % 100 == 0) allowed += decide(f, q).allowed;
        (void)ask_number(f, i, 8);
    }
    CHECK_EQ(allowed, 1);
    close_both(f, m);
}
