/* SPDX-License-Identifier: MIT
 *
 * The public questions on a store that many nodes share: looks, resets, batches, several rules at once. */
#include "limiter/remote.h"

#include <stdio.h>
#include <string.h>

#include "fleet/node.h"
#include "os/latch.h"
#include "os/thread.h"

static struct remote *open_remote(struct model_store *m) {
    struct fleet_options options = {.wait_ns = LONG, .lease = {.nodes = 2, .tolerance_ns = SECOND}};
    struct remote       *r = remote_open(model_store(m), &options, (struct hash_secret){1, 2});
    CHECK_NE(r, NULL);
    return r;
}

static weir_request request(const char *user, uint64_t limit, uint64_t cost) {
    weir_request q = weir_request_for(user, strlen(user), limit, WEIR_HOUR);
    q.cost         = cost;
    return q;
}

static weir_decision decide_one(struct remote *r, weir_request q) {
    weir_decision d;
    CHECK_EQ(remote_decide(r, &q, &d), WEIR_OK);
    return d;
}

static bool both(struct remote *r, weir_request one, weir_request other, weir_decision d[2]) {
    const weir_request q[2] = {one, other};
    CHECK_EQ(remote_decide_all(r, q, 2, d), WEIR_OK);
    return d[0].allowed && d[1].allowed;
}

TEST(a_look_counts_nothing_and_says_what_a_permit_would_get) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m);
    for (unsigned i = 0; i < 5; i++) {
        weir_decision d = decide_one(r, request("ann", 2, 0));
        CHECK(d.allowed);
        CHECK_EQ(d.remaining, 2);
        CHECK_EQ(d.how, WEIR_HOW_STORE);
    }
    CHECK(decide_one(r, request("ann", 2, 2)).allowed);
    weir_decision d = decide_one(r, request("ann", 2, 0));
    CHECK(!d.allowed);
    CHECK_EQ(d.remaining, 0);
    CHECK_GT(d.retry_after_ns, WEIR_HOUR / 2);
    CHECK(!decide_one(r, request("ann", 0, 0)).allowed);
    remote_close(r, LONG);
    model_close(m);
}

TEST(what_remains_is_told_whoever_decides) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m);
    for (uint64_t taken = 1; taken <= 40; taken++) {
        CHECK_EQ(decide_one(r, request("ann", 40, 1)).remaining, 40 - taken);
        /* A look at the store does not see what is on its way from there to here. */
        weir_decision look = decide_one(r, request("ann", 40, 0));
        if (look.how == WEIR_HOW_LEASE) CHECK_EQ(look.remaining, 40 - taken);
    }
    CHECK_EQ(decide_one(r, request("ann", 40, 1)).remaining, 0);
    remote_close(r, LONG);
    model_close(m);
}

TEST(a_reset_gives_all_back_at_the_store_and_here) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m), *other = open_remote(m);
    weir_request        q = request("ann", 100, 1);
    for (unsigned turn = 0; turn < 3; turn++) {
        unsigned allowed = 0;
        for (unsigned i = 0; i < 300; i++) allowed += decide_one(r, q).allowed;
        CHECK_EQ(allowed, 100);
        CHECK_EQ(remote_reset(turn == 1 ? other : r, &q), WEIR_OK);
        /* Somebody else's reset is not known here: the denial serves until it is asked about again. */
        while (turn == 1 && !decide_one(other, request("ann", 100, 0)).allowed) continue;
        if (turn == 1) CHECK_EQ(remote_reset(r, &q), WEIR_OK);
    }
    model_cut(m, true);
    weir_request soon = q;
    soon.deadline_ns  = WEIR_MILLISECOND;
    CHECK_EQ(remote_reset(r, &soon), WEIR_STORE_DOWN);
    model_cut(m, false);
    remote_close(other, LONG);
    remote_close(r, LONG);
    model_close(m);
}

TEST(of_several_rules_all_pass_or_nothing_counts) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m);
    weir_decision       d[2];
    for (unsigned i = 0; i < 20; i++)
        CHECK(both(r, request("ann", 1000, 1), request("all", 40, 2), d));
    CHECK(!both(r, request("ann", 1000, 1), request("all", 40, 2), d));
    CHECK(d[0].allowed);
    CHECK(!d[1].allowed);
    CHECK(!both(r, request("bob", 3, 3), request("all", 40, 1), d));
    CHECK(decide_one(r, request("bob", 3, 3)).allowed); /* bob's own were not taken */
    CHECK(!both(r, request("cyd", 3, 4), request("dan", 3, 1), d));
    CHECK_EQ(d[0].retry_after_ns, WEIR_NEVER);
    CHECK(d[1].allowed);
    remote_close(r, LONG);
    model_close(m);
}

TEST(rules_of_one_counter_add_up) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m);
    weir_decision       d[2];
    CHECK(!both(r, request("ann", 3, 2), request("ann", 3, 2), d));
    CHECK(d[0].allowed);
    CHECK_EQ(d[1].retry_after_ns, WEIR_NEVER);
    CHECK(both(r, request("ann", 3, 1), request("ann", 3, 2), d));
    CHECK(!decide_one(r, request("ann", 3, 1)).allowed);
    CHECK(both(r, request("bob", 3, 1), request("bob", 5, 2), d)); /* two limits, one counter */
    CHECK(!decide_one(r, request("bob", 3, 1)).allowed);
    CHECK(decide_one(r, request("bob", 5, 2)).allowed);

    const weir_request none[2] = {request("ann", 3, 0), request("bob", 3, 1)};
    CHECK_EQ(remote_decide_all(r, none, 2, d), WEIR_UNSUPPORTED);
    CHECK_EQ(remote_decide_all(r, none, WEIR_RULES_MAX + 1, d), WEIR_BAD_REQUEST);
    remote_close(r, LONG);
    model_close(m);
}

struct joiner {
    struct thread  thread;
    struct remote *remote;
    bool           is_reversed;
    unsigned       allowed;
};

static void *join_many(void *context) {
    struct joiner *j = context;
    for (unsigned i = 0; i < 400; i++) {
        weir_decision d[2];
        weir_request  one = request("ann", 150, 1), other = request("all", 100, 1);
        j->allowed +=
            j->is_reversed ? both(j->remote, other, one, d) : both(j->remote, one, other, d);
    }
    return NULL;
}

/* In both orders, so that locks that are taken in the order of the questions would meet. */
TEST(many_threads_on_two_nodes_join_the_same_rules) {
    struct model_store *m       = open_model();
    struct remote      *r[2]    = {open_remote(m), open_remote(m)};
    struct joiner       j[4]    = {{.remote = NULL}};
    unsigned            allowed = 0;
    for (unsigned i = 0; i < 4; i++) {
        j[i].remote      = r[i / 2];
        j[i].is_reversed = i % 2 == 1;
        CHECK(thread_start(&j[i].thread, "joiner", join_many, &j[i]));
    }
    for (unsigned i = 0; i < 4; i++) {
        thread_join(&j[i].thread);
        allowed += j[i].allowed;
    }
    CHECK_LE(allowed, 100);
    CHECK_GE(allowed, 50);
    remote_close(r[0], LONG);
    remote_close(r[1], LONG);
    model_close(m);
}

struct hurried {
    struct thread  thread;
    struct remote *remote;
    weir_request   one, other;
    weir_decision  decisions[2];
};

static void *join_once(void *context) {
    struct hurried *h = context;
    (void)both(h->remote, h->one, h->other, h->decisions);
    return NULL;
}

/* Two rounds of a trip each, which a deadline for each would bear, and one for both does not: between them a
 * thief takes what the first has gathered. False: it came too late, on a machine that stood still. */
static bool round_is_too_late(void) {
    enum { TRIP_MS = 60, WAIT_MS = 100 };
    struct model_store *m =
        model_open(&(struct model_options){.seed = check_seed(), .round_trip_ns = TRIP_MS * MS});
    struct remote *r = open_remote(m);
    struct hurried h = {.remote = r, .one = request("ann", 10, 1), .other = request("all", 10, 1)};
    struct store_name ann = question("ann", 10, HOUR).name, all = question("all", 10, HOUR).name;
    weir_statistics   in_hand = {0};
    h.one.deadline_ns = h.other.deadline_ns = WAIT_MS * MS;
    model_slow(m, &all, TRIP_MS * MS);
    CHECK(thread_start(&h.thread, "joiner", join_once, &h));
    for (unsigned i = 0; in_hand.permits == 0 && i < LONG / MS; i++) {
        sleep_ns(MS);
        remote_stats(r, &in_hand);
    }
    model_slow(m, &ann, TRIP_MS * MS);
    weir_decision theft = decide_one(r, request("ann", 10, 1));
    thread_join(&h.thread);
    bool is_theft = theft.allowed && theft.how == WEIR_HOW_LEASE;
    if (is_theft) CHECK(h.decisions[0].why == WEIR_WHY_LATE || h.decisions[1].why == WEIR_WHY_LATE);
    remote_close(r, LONG);
    model_close(m);
    return is_theft;
}

TEST(all_rounds_of_several_rules_have_one_deadline) {
    for (unsigned tries = 0; !round_is_too_late(); tries++) CHECK_LT(tries, 100);
}

static struct latch answered;
static void         wake(weir_ticket *ticket) {
            (void)ticket;
            latch_open(&answered);
}

TEST(a_batch_and_a_ticket_are_answered_as_one_question_is) {
    struct model_store *m = open_model();
    struct remote      *r = open_remote(m);
    weir_request        q[200];
    weir_decision       d[200];
    char                names[200][8];
    for (unsigned i = 0; i < 200; i++) {
        (void)snprintf(names[i], sizeof names[i], "u%u", i % 100);
        q[i] = request(names[i], 1, 1);
    }
    q[150].limit = UINT64_MAX;
    CHECK_EQ(remote_decide_many(r, q, 200, d), WEIR_BAD_LIMIT);
    for (unsigned i = 0; i < 200; i++)
        if (i != 150) CHECK_EQ(d[i].allowed, i < 100);
    CHECK_EQ(d[150].status, WEIR_BAD_LIMIT);

    weir_ticket ticket = {.done = wake};
    latch_init(&answered);
    weir_request one = request("eve", 1, 1);
    if (!remote_decide_async(r, &one, &ticket)) latch_wait(&answered);
    CHECK(ticket.decision.allowed);
    CHECK_EQ(ticket.decision.how, WEIR_HOW_STORE);
    one.cost = 0;
    latch_init(&answered);
    if (!remote_decide_async(r, &one, &ticket)) latch_wait(&answered);
    CHECK(!ticket.decision.allowed);
    one.algorithm = WEIR_FIXED;
    CHECK(remote_decide_async(r, &one, &ticket));
    CHECK_EQ(ticket.decision.status, WEIR_UNSUPPORTED);
    remote_close(r, LONG);
    model_close(m);
}
