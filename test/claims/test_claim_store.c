/* SPDX-License-Identifier: MIT
 *
 * The store of a fleet on Cassandra, answered by the test: late, with an error, in another order, by a server
 * that has done what it does not say, and under another name than it was asked by. What claims and members
 * decide is asked in test_claim and test_members; here, that the store drives them rightly. */
#include "store/cassandra/claim_store.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "claims/fake_client.h"
#include "support/check.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)
#define DAY    (86400 * SECOND)

enum {
    SELF     = 101, /* who begins anew is called 102, and so on */
    LIMIT    = 100,
    HOLD_MS  = 4000,
    TERM_MS  = 500,
    KEEP_S   = 7200,  /* of rows */
    MEMBER_S = 10800, /* of members' records */
    IDLE_MS  = 18000, /* what was not used for so long is let go, unless little is claimed of all */
};

#define YEAR_2038_S 2145916800

static struct claim_store *claims;
static struct store       *store;

/* ---- the client's turns ---- */

static unsigned kept_out; /* a bit for each kind that run() does not answer */

static void keep_out(enum fake_kind kind) { kept_out |= 1U << kind; }

static void keep_none_out(void) { kept_out = 0; }

/* False: there is nothing to be answered. */
static bool answer_some(void) {
    for (unsigned kind = 0; kind < FAKE_KINDS; kind++) {
        if ((kept_out >> kind & 1) != 0 || fake_count(kind) == 0) continue;
        fake_answer(fake_find(kind));
        return true;
    }
    return false;
}

/* Who is out for too long ends. */
static bool end_late(uint64_t *next_ns) {
    for (unsigned i = 0; i < fake.out_count; i++) {
        struct fake_errand *errand = &fake.out[i];
        if (errand->deadline_ns < *next_ns) *next_ns = errand->deadline_ns;
        if (errand->deadline_ns > fake.now_ns) continue;
        fake_fail(errand, CASSANDRA_LATE, FATE_UNKNOWN, -1);
        return true;
    }
    return false;
}

/* A turn, and those that follow from it at once. Returns when the next is due. */
static uint64_t settle(void) {
    uint64_t next_ns;
    unsigned turns = 0;
    do {
        CHECK_LT(turns++, 10000);
        next_ns = fake_turn();
        CHECK_GT(next_ns, fake.now_ns);
    } while (end_late(&next_ns) || answer_some());
    return next_ns;
}

/* So long goes by. */
static void run(uint64_t ms) {
    uint64_t until_ns = fake.now_ns + ms * MS;
    for (;;) {
        uint64_t next_ns = settle();
        if (next_ns > until_ns) break;
        fake_pass(next_ns - fake.now_ns);
    }
    fake_pass(until_ns - fake.now_ns);
    (void)settle();
}

static void answer(enum fake_kind kind) {
    fake_answer(fake_find(kind));
    (void)fake_turn();
}

static void fail(enum fake_kind kind, enum cassandra_status status, enum fate fate) {
    fake_fail(fake_find(kind), status, fate, -1);
    (void)fake_turn();
}

static void refuse(enum fake_kind kind, int32_t error) {
    fake_fail(fake_find(kind), CASSANDRA_REFUSED, FATE_NOT_EXECUTED, error);
    (void)fake_turn();
}

/* ---- opening and closing ---- */

static void open_with(const struct claim_store_options *options) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    fake_begin();
    keep_none_out();
    claims = claim_store_open(view_of("cassandra://there/weir"), options, problem);
    CHECK(claims != NULL);
    store = claim_store_interface(claims);
}

static void open_store(void) { open_with(&(struct claim_store_options){0}); }

/* One that has joined, and has looked at the others. */
static void open_joined(void) {
    open_store();
    (void)settle();
    CHECK_EQ(fake_member(SELF)->beat, 1);
    CHECK_EQ(fake_member(SELF)->keep_s, MEMBER_S);
}

/* A close waits for the farewell, by a clock that does not move by itself. */
static void settle_and_hurry(void) {
    (void)settle();
    fake.tick_ns = 2 * SECOND;
}

static void close_store(void) {
    keep_none_out();
    fake.is_full = false;
    fake.on_wake = settle_and_hurry;
    store->close(store->context);
}

/* ---- who asks ---- */

struct ask {
    struct store_trip trip;
    unsigned          ends;
};

static uint64_t sequences;

static void ask_ends(struct store_trip *trip) { ((struct ask *)trip->context)->ends++; }

static struct store_name name_of(unsigned user) {
    struct store_name name = {.bytes = {(uint8_t)(user & 0xff), (uint8_t)(user >> 8), 1}};
    return name;
}

static uint64_t short_name_of(unsigned user) {
    struct store_name name = name_of(user);
    uint64_t          word;
    memcpy(&word, name.bytes, sizeof word);
    return word;
}

static void ask_begin(struct ask *a, unsigned user, uint64_t need, uint64_t hold_ms) {
    *a                  = (struct ask){.ends = 0};
    a->trip.name        = name_of(user);
    a->trip.deadline_ns = fake.now_ns + 1000 * MS;
    a->trip.done        = ask_ends;
    a->trip.context     = a;
    a->trip.request     = (struct lease_request){.id      = {7, ++sequences},
                                                 .need    = need,
                                                 .want    = need,
                                                 .limit   = LIMIT,
                                                 .term_us = TERM_MS * 1000,
                                                 .hold_us = hold_ms * 1000};
}

static void ask(struct ask *a) {
    store->serve(store->context, &a->trip);
    (void)fake_turn();
}

static void ask_for(struct ask *a, unsigned user, uint64_t need) {
    ask_begin(a, user, need, HOLD_MS);
    ask(a);
}

static void ask_beat(struct ask *a) {
    ask_begin(a, 0, 0, 0);
    a->trip.is_beat = true;
    ask(a);
}

static void must_wait(const struct ask *a) { CHECK_EQ(a->ends, 0); }

static void must_end(const struct ask *a, enum store_status status, bool is_alone) {
    CHECK_EQ(a->ends, 1);
    CHECK_EQ(a->trip.status, status);
    CHECK_EQ(a->trip.is_alone, is_alone);
}

static void must_grant(const struct ask *a, uint64_t permits) {
    must_end(a, STORE_DONE, false);
    CHECK_EQ(a->trip.reply.granted, permits);
}

/* Ten permits, of which none is used any more; of which the row goes on saying that they are claimed. */
static void claim_and_rest(unsigned user) {
    struct ask a;
    ask_for(&a, user, 10);
    run(HOLD_MS + 2000);
    must_grant(&a, 10);
}

/* Somebody else has given this process up. */
static void give_up(uint64_t id) { fake_member(id)->is_fenced = true; }

/* The process learns by its next beat that it was given up. No answer of any other kind is waited for. */
static void learn_of_the_fence(uint64_t id) {
    give_up(id);
    keep_out(FAKE_BEAT);
    for (unsigned i = 0; fake_count(FAKE_BEAT) == 0; i++) {
        CHECK_LT(i, 20);
        run(100);
    }
    answer(FAKE_BEAT);
    kept_out &= ~(1U << FAKE_BEAT);
}

static const char *health(bool *is_up) {
    static struct store_health h;
    store->health(store->context, &h);
    *is_up = h.is_up;
    return h.text;
}

/* ---- a write and a read ---- */

TEST(what_is_granted_was_written_and_then_read) {
    struct ask a;
    open_joined();
    ask_for(&a, 1, 10);
    const struct fake_errand *write = fake_find(FAKE_WRITE);
    CHECK_EQ(write->id, SELF);
    CHECK_EQ(write->permits, 10);
    CHECK_EQ(write->ttl_s, KEEP_S);
    CHECK(write->has_timestamp);
    CHECK_EQ(write->timestamp_us, write->number);
    CHECK_EQ(write->deadline_ns, fake.now_ns + 500 * MS);
    CHECK_EQ(fake_count(FAKE_READ), 0);
    answer(FAKE_WRITE);
    CHECK_EQ(fake_count(FAKE_READ), 1);
    must_wait(&a);
    fake_pass(7 * MS);
    answer(FAKE_READ);
    must_grant(&a, 10);
    CHECK_EQ(a.trip.reply.sent_ns, fake.now_ns);
    CHECK_EQ(fake.out_count, 0);
    close_store();
}

TEST(a_number_is_at_least_the_wall_clock_and_greater_than_all_before) {
    struct ask a;
    open_joined();
    ask_for(&a, 1, 10);
    uint64_t first = fake_find(FAKE_WRITE)->number;
    CHECK_GE(first, fake.wall_ns / 1000);
    run(100);

    fake.wall_ns -= DAY;
    ask_for(&a, 2, 10);
    uint64_t second = fake_find(FAKE_WRITE)->number;
    CHECK_GT(second, first);
    run(100);

    fake.wall_ns += 2 * DAY;
    ask_for(&a, 3, 10);
    CHECK_GE(fake_find(FAKE_WRITE)->number, fake.wall_ns / 1000);
    run(100);
    close_store();
}

/* How a statement may end that is not done; fates of rows' writes. */
static const struct {
    enum cassandra_status status;
    enum fate             fate;
} ends[] = {{CASSANDRA_LATE, FATE_UNKNOWN},         {CASSANDRA_LOST, FATE_UNKNOWN},
            {CASSANDRA_FAILED, FATE_UNKNOWN},       {CASSANDRA_LATE, FATE_NOT_EXECUTED},
            {CASSANDRA_UNREADY, FATE_NOT_EXECUTED}, {CASSANDRA_UNREACHABLE, FATE_NOT_EXECUTED},
            {CASSANDRA_REFUSED, FATE_NOT_EXECUTED}};

enum { ENDS = sizeof ends / sizeof *ends };

TEST(a_raise_is_taken_back_unless_it_was_surely_not_made) {
    for (unsigned i = 0; i < ENDS; i++) {
        struct ask a;
        open_joined();
        ask_for(&a, 1, 10);
        keep_out(FAKE_WRITE);
        fail(FAKE_WRITE, ends[i].status, ends[i].fate);
        must_wait(&a);
        run(100);
        const struct fake_errand *next = fake_find(FAKE_WRITE);
        CHECK_EQ(next->permits, ends[i].fate == FATE_UNKNOWN ? 0 : 10);
        keep_none_out();
        run(100);
        must_grant(&a, 10);
        close_store();
    }
}

/* A write of which nobody knows may have been done, and others have counted it. */
TEST(what_was_read_beside_a_raise_that_is_not_known_is_not_granted) {
    struct ask a;
    open_joined();
    ask_for(&a, 1, 10);
    keep_out(FAKE_WRITE);
    fake_do(fake_find(FAKE_WRITE));
    fail(FAKE_WRITE, CASSANDRA_LOST, FATE_UNKNOWN);
    run(1000);
    must_end(&a, STORE_UNKNOWN, true);
    CHECK_EQ(fake.rows[0].permits, 10);
    keep_none_out();
    run(1000);
    CHECK_EQ(fake.rows[0].permits, 0);
    close_store();
}

TEST(a_read_that_fails_is_followed_by_another_write) {
    for (unsigned i = 0; i < ENDS; i++) {
        struct ask a;
        open_joined();
        ask_for(&a, 1, 10);
        answer(FAKE_WRITE);
        fail(FAKE_READ, ends[i].status, ends[i].fate);
        must_wait(&a);
        CHECK_EQ(fake_count(FAKE_READ), 0);
        keep_out(FAKE_READ);
        run(100);
        must_wait(&a);
        CHECK_EQ(fake.rows[0].permits, 10);
        CHECK_EQ(fake_count(FAKE_READ), 1);
        keep_none_out();
        run(100);
        must_grant(&a, 10);
        close_store();
    }
}

TEST(what_the_client_does_not_take_was_not_done) {
    struct ask a;
    open_joined();
    fake.is_full = true;
    for (unsigned i = 0; i < 100; i++) { /* more than may be out at a time */
        ask_for(&a, 1, 10);
        CHECK_EQ(fake.out_count, 0);
        run(100);
        must_wait(&a);
        a.trip.deadline_ns = fake.now_ns;
        run(50);
        CHECK_EQ(a.ends, 1);
        if (i % 8 != 0) continue;
        fake.is_full = false;
        run(1000);
        fake.is_full = true;
    }
    fake.is_full = false;
    run(1000);
    ask_for(&a, 2, 10);
    CHECK_EQ(fake_find(FAKE_WRITE)->permits, 10);
    run(10);
    must_grant(&a, 10);
    close_store();
}

/* ---- trips that are not served ---- */

TEST(a_trip_that_waits_in_vain_says_why) {
    static const struct {
        int32_t     error;
        const char *says;
    } cases[] = {{CQL_ERROR_UNAUTHORIZED, "may not"}, {CQL_ERROR_CONFIG, "configuration"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ask a;
        open_joined();
        ask_for(&a, 1, 10);
        keep_out(FAKE_WRITE);
        for (unsigned tries = 0; tries < 100; tries++) {
            must_wait(&a);
            if (fake_count(FAKE_WRITE) > 0) refuse(FAKE_WRITE, cases[i].error);
            run(10);
        }
        must_end(&a, STORE_REFUSED, false);
        CHECK_CONTAINS(a.trip.reason, cases[i].says);
        bool is_up;
        CHECK_CONTAINS(health(&is_up), cases[i].says);
        CHECK(!is_up);

        /* A row that is done ends it. */
        keep_none_out();
        run(12000);
        ask_for(&a, 2, 10);
        run(10);
        must_grant(&a, 10);
        CHECK_CONTAINS(health(&is_up), "answers");
        CHECK(is_up);
        ask_for(&a, 3, 10);
        keep_out(FAKE_WRITE);
        run(1001);
        must_end(&a, STORE_UNKNOWN, true);
        close_store();
    }
}

TEST(beats_that_are_done_do_not_hide_that_rows_are_refused) {
    struct ask a;
    open_joined();
    run(900);
    uint64_t beat = fake_member(SELF)->beat;
    keep_out(FAKE_WRITE);
    ask_for(&a, 1, 10);
    a.trip.deadline_ns = fake.now_ns + 300 * MS;
    refuse(FAKE_WRITE, CQL_ERROR_UNAUTHORIZED);
    run(300);
    CHECK_GT(fake_member(SELF)->beat, beat);
    must_end(&a, STORE_REFUSED, false);
    close_store();
}

TEST(a_store_that_answers_nothing_is_down_and_one_that_answers_others_is_not) {
    struct ask a;
    open_joined();
    keep_out(FAKE_WRITE);
    ask_for(&a, 1, 10);
    run(1001);
    must_end(&a, STORE_UNKNOWN, true);

    keep_out(FAKE_BEAT);
    keep_out(FAKE_LOOK);
    run(700);
    ask_for(&a, 1, 10);
    run(1001);
    must_end(&a, STORE_IS_DOWN, false);
    close_store();
}

TEST(who_has_not_joined_is_waited_for_and_who_missed_its_beats_is_not) {
    struct ask a, beat;
    open_store();
    keep_out(FAKE_JOIN);
    ask_for(&a, 1, 10);
    ask_beat(&beat);
    run(900);
    must_wait(&a);
    must_wait(&beat);
    CHECK_EQ(fake_count(FAKE_WRITE), 0);
    bool is_up;
    CHECK_STR_EQ(health(&is_up), "it has not answered yet");
    CHECK(!is_up);
    keep_none_out();
    run(50);
    must_grant(&a, 10);
    must_end(&beat, STORE_DONE, false);
    CHECK_EQ(beat.trip.reply.store_us, fake.now_ns / 1000 - 50000);

    keep_out(FAKE_BEAT);
    run(3500);
    ask_beat(&beat);
    must_end(&beat, STORE_DONE, false);
    run(2000);
    ask_beat(&beat);
    must_end(&beat, STORE_IS_DOWN, false);
    ask_for(&a, 1, 10);
    must_end(&a, STORE_IS_DOWN, false);
    (void)health(&is_up);
    CHECK(!is_up);

    keep_none_out();
    run(2000);
    ask_beat(&beat);
    must_end(&beat, STORE_DONE, false);
    close_store();
}

TEST(who_is_refused_a_join_waits_for_nothing) {
    struct ask a;
    open_store();
    (void)fake_turn();
    keep_out(FAKE_JOIN);
    refuse(FAKE_JOIN, CQL_ERROR_UNAUTHORIZED);
    ask_for(&a, 1, 10);
    must_end(&a, STORE_REFUSED, false);
    CHECK_CONTAINS(a.trip.reason, "may not");
    close_store();
}

TEST(one_user_too_many_is_refused_alone) {
    struct ask a;
    open_with(&(struct claim_store_options){.users_max = 2});
    (void)settle();
    for (unsigned user = 1; user <= 2; user++) {
        ask_for(&a, user, 10);
        run(10);
        must_grant(&a, 10);
    }
    ask_for(&a, 3, 10);
    must_end(&a, STORE_REFUSED, true);
    CHECK_CONTAINS(a.trip.reason, "too many users");
    close_store();
}

/* ---- how a crowd is slowed ---- */

enum { CROWD = 100, WINDOW = 64 };

static struct ask crowd[CROWD];

static void open_crowd(void) {
    open_joined();
    for (unsigned i = 0; i < CROWD; i++) ask_for(&crowd[i], i, 10);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW);
}

TEST(no_more_is_out_than_the_pace_allows) {
    open_crowd();
    answer(FAKE_WRITE);
    CHECK_EQ(fake_count(FAKE_WRITE) + fake_count(FAKE_READ), WINDOW);
    run(10);
    for (unsigned i = 0; i < CROWD; i++) must_grant(&crowd[i], 10);
    close_store();
}

TEST(what_is_late_halves_the_pace_and_what_is_refused_does_not) {
    open_crowd();
    keep_out(FAKE_WRITE);
    refuse(FAKE_WRITE, CQL_ERROR_INVALID);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW);
    fake_pass(MS);
    fail(FAKE_WRITE, CASSANDRA_LATE, FATE_UNKNOWN);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW - 1);
    fail(FAKE_WRITE, CASSANDRA_LATE, FATE_UNKNOWN); /* of those that were out together */
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW - 2);
    while (fake_count(FAKE_WRITE) > WINDOW / 2) refuse(FAKE_WRITE, CQL_ERROR_INVALID);
    refuse(FAKE_WRITE, CQL_ERROR_INVALID);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW / 2);
    close_store();
}

/* ---- what is idle ---- */

static uint64_t permits_of(unsigned user, uint64_t id) {
    struct store_name name    = name_of(user);
    uint64_t          permits = 0;
    for (unsigned i = 0; i < fake.row_count; i++)
        if (fake.rows[i].id == id && memcmp(&fake.rows[i].name, &name, sizeof name) == 0)
            permits = fake.rows[i].permits;
    return permits;
}

TEST(what_is_idle_stays_unless_users_crowd) {
    open_with(&(struct claim_store_options){.users_max = 4});
    (void)settle();
    claim_and_rest(1);
    run(1);
    claim_and_rest(2);
    run(IDLE_MS);
    CHECK_EQ(permits_of(1, SELF), 10);
    CHECK_EQ(permits_of(2, SELF), 10);
    claim_and_rest(3); /* of four, and so one is let go */
    CHECK_EQ(permits_of(1, SELF) + permits_of(2, SELF) + permits_of(3, SELF), 20);
    close_store();
}

static unsigned reads_after_a_look(uint64_t id, bool is_fenced, unsigned user) {
    open_joined();
    claim_and_rest(1);
    run(2000);
    struct fake_member *member = id == SELF ? fake_member(SELF) : fake_member_add(id);
    keep_out(FAKE_READ);
    keep_out(FAKE_BEAT); /* it would write the shortages of our own anew */
    keep_out(FAKE_FENCE);
    keep_out(FAKE_DATE);
    member->is_fenced          = is_fenced;
    member->shortages.count    = 2;
    member->shortages.users[0] = short_name_of(77);
    member->shortages.users[1] = short_name_of(user);
    run(1100);
    unsigned reads = fake_count(FAKE_READ);
    close_store();
    return reads;
}

TEST(who_keeps_a_claim_hears_of_others_that_miss_it) {
    CHECK_EQ(reads_after_a_look(500, false, 1), 1);
    CHECK_EQ(reads_after_a_look(500, false, 2), 0);
}

TEST(what_it_misses_itself_or_the_dead_did_is_not_heard) {
    CHECK_EQ(reads_after_a_look(SELF, false, 1), 0);
    CHECK_EQ(reads_after_a_look(500, true, 1), 0);
}

/* Others have claimed all that there is for this user. */
static void miss_some_of(unsigned user) {
    struct ask a;
    fake.rows[fake.row_count++] = (struct fake_row){
        .name = name_of(user), .id = 500, .number = 1, .permits = LIMIT, .demand = LIMIT};
    for (unsigned i = 0; i < 2; i++) { /* the row says so before a beat does */
        ask_for(&a, user, 50);
        run(200);
        must_grant(&a, 0);
    }
}

TEST(what_is_missed_is_said_by_some_beats) {
    open_joined();
    miss_some_of(2);
    run(1000);
    CHECK_EQ(fake_member(SELF)->shortages.count, 1);
    CHECK_EQ(fake_member(SELF)->shortages.users[0], short_name_of(2));
    run(1000 * (SHORTAGE_BEATS + 1));
    CHECK_EQ(fake_member(SELF)->shortages.count, 0);
    close_store();
}

/* ---- resets ---- */

static void others_claim(unsigned user, uint64_t permits) {
    (void)fake_member_add(500);
    fake.rows[fake.row_count++] = (struct fake_row){
        .name = name_of(user), .id = 500, .number = 1, .permits = permits, .demand = permits};
}

static struct fake_row *row_of(uint64_t id) {
    unsigned i = 0;
    while (i < fake.row_count && fake.rows[i].id != id) i++;
    CHECK_LT(i, fake.row_count);
    return &fake.rows[i];
}

/* As the API asks: with no limit. */
static void ask_reset(struct ask *a, unsigned user) {
    ask_begin(a, user, 0, HOLD_MS);
    a->trip.request.id       = (struct lease_id){0};
    a->trip.request.limit    = 0;
    a->trip.request.is_reset = true;
}

static void reset_user(unsigned user) {
    struct ask a;
    ask_reset(&a, user);
    ask(&a);
    run(20);
    must_end(&a, STORE_DONE, false);
}

/* Tells that the last lease was used, just now. */
static void use_all(unsigned user, uint64_t count) {
    struct ask a;
    ask_begin(&a, user, 0, HOLD_MS);
    a.trip.request.id           = (struct lease_id){0};
    a.trip.request.report_count = 1;
    a.trip.request.reports[0]   = (struct lease_report){
          .id = {7, sequences - 1}, .is_final = true, .use_count = 1, .uses = {{0, count}}};
    ask(&a);
    must_end(&a, STORE_DONE, false);
    CHECK(a.trip.reply.receipts[0].is_over);
}

static void look_at(unsigned user) {
    struct ask a;
    ask_begin(&a, user, LIMIT, HOLD_MS);
    a.trip.request.id = (struct lease_id){0};
    ask(&a);
    run(50);
    must_end(&a, STORE_DONE, false);
}

TEST(a_user_who_comes_back_still_has_the_reset_in_its_row) {
    struct ask a;
    open_joined();
    others_claim(1, 50);
    reset_user(1);
    uint64_t resets = row_of(SELF)->resets;
    CHECK_GT(resets, 0);
    for (unsigned i = 0; i < 30; i++, fake_member(500)->beat++) run(1000); /* it is forgotten */
    ask_for(&a, 1, 50);
    run(50);
    must_grant(&a, 50);
    CHECK_EQ(row_of(SELF)->resets, resets);
    use_all(1, 50);
    run(300);
    look_at(1);
    ask_for(&a, 1, 50);
    run(50);
    must_grant(&a, 0); /* nothing that was used after the reset is forgotten */
    close_store();
}

TEST(many_resets_at_once_are_one) {
    open_joined();
    others_claim(1, 50);
    for (unsigned i = 0; i < CROWD; i++) {
        ask_reset(&crowd[i], 1);
        store->serve(store->context, &crowd[i].trip);
    }
    (void)fake_turn();
    fake_pass(2 * MS);
    answer(FAKE_READ);
    answer(FAKE_WRITE);
    for (unsigned i = 0; i < CROWD; i++) must_end(&crowd[i], STORE_DONE, false);
    CHECK_EQ(fake_count(FAKE_READ) + fake_count(FAKE_WRITE), 0);
    close_store();
}

/* Each that arrives is served once, and not each time that another one does: in a turn of seconds beats would
 * be late. The time that it takes says so, since nothing else does. */
TEST(a_crowd_that_looks_at_one_user_is_served_in_little_time) {
    enum { LOOKS = 100000 };
    static struct ask looks[LOOKS];
    open_joined();
    keep_out(FAKE_READ);
    struct timespec begin, end;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
    for (unsigned i = 0; i < LOOKS; i++) {
        ask_begin(&looks[i], 1, 1, HOLD_MS);
        looks[i].trip.request.id = (struct lease_id){0};
        store->serve(store->context, &looks[i].trip);
    }
    (void)fake_turn();
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    CHECK_LT(end.tv_sec - begin.tv_sec, 5);
    keep_none_out();
    run(10);
    for (unsigned i = 0; i < LOOKS; i++) must_end(&looks[i], STORE_DONE, false);
    close_store();
}

/* ---- beats ---- */

TEST(a_join_or_beat_of_unknown_outcome_is_followed_by_another) {
    open_store();
    (void)fake_turn();
    keep_out(FAKE_JOIN);
    keep_out(FAKE_BEAT);
    fake_do(fake_find(FAKE_JOIN));
    fail(FAKE_JOIN, CASSANDRA_LOST, FATE_UNKNOWN);
    CHECK_EQ(fake_count(FAKE_JOIN), 0);
    run(250);
    answer(FAKE_JOIN); /* finds the first, and so it beats at once */
    CHECK_EQ(fake_count(FAKE_BEAT), 1);
    answer(FAKE_BEAT);
    CHECK_EQ(fake_member(SELF)->beat, 3);
    run(1000);
    fail(FAKE_BEAT, CASSANDRA_UNREADY, FATE_NOT_EXECUTED); /* no answer to its condition */
    CHECK_EQ(fake_count(FAKE_JOIN), 0);
    run(250);
    CHECK_EQ(fake_find(FAKE_BEAT)->id, SELF);
    CHECK_EQ(fake_find(FAKE_BEAT)->number, 5);
    CHECK_EQ(fake_find(FAKE_BEAT)->deadline_ns, fake.now_ns + 2 * SECOND);
    close_store();
}

/* It began while nothing could be reached, for a minute: no name was wasted, and nothing is waited for. */
TEST(who_began_without_a_store_joins_as_soon_as_it_is_there) {
    for (unsigned is_full = 0; is_full < 2; is_full++) {
        struct ask a;
        open_store();
        keep_out(FAKE_JOIN);
        fake.is_full = is_full;
        for (unsigned i = 0; i < 240; i++) {
            run(250);
            if (is_full) continue;
            CHECK_EQ(fake_find(FAKE_JOIN)->id, SELF);
            fail(FAKE_JOIN, CASSANDRA_UNREACHABLE, FATE_NOT_EXECUTED);
        }
        keep_none_out();
        fake.is_full = false;
        ask_for(&a, 1, 10);
        run(260);
        must_grant(&a, 10);
        CHECK_EQ(fake.member_count, 1);
        CHECK_EQ(fake_member(SELF)->beat, 1);
        close_store();
    }
}

TEST(a_look_without_an_answer_is_followed_by_another) {
    for (unsigned i = 0; i < ENDS; i++) {
        open_joined();
        keep_out(FAKE_LOOK);
        run(1000);
        fail(FAKE_LOOK, ends[i].status, ends[i].fate);
        CHECK_EQ(fake_count(FAKE_LOOK), 0);
        run(250);
        CHECK_EQ(fake_count(FAKE_LOOK), 1);
        close_store();
    }
}

/* Whose claims count until it is fenced for sure, and a hold longer. */
TEST(a_fence_or_date_that_is_not_known_to_be_done_is_tried_again) {
    for (unsigned i = 0; i < ENDS; i++) {
        struct ask a;
        open_store();
        (void)fake_member_add(500);
        fake.rows[fake.row_count++] = (struct fake_row){
            .name = name_of(1), .id = 500, .number = 1, .permits = LIMIT, .demand = LIMIT};
        keep_out(FAKE_FENCE);
        keep_out(FAKE_DATE);
        run(5100);
        fail(FAKE_FENCE, ends[i].status, ends[i].fate);
        CHECK_EQ(fake_count(FAKE_FENCE), 0);
        run(4900);
        ask_for(&a, 1, 10);
        run(50);
        must_grant(&a, 0);
        run(100);
        answer(FAKE_FENCE);
        run(HOLD_MS - 100);
        ask_for(&a, 1, 10);
        run(50);
        must_grant(&a, 0);
        run(100);
        ask_for(&a, 1, 10);
        run(50);
        must_grant(&a, 10);

        run(1000);
        fail(FAKE_DATE, ends[i].status, ends[i].fate);
        CHECK_EQ(fake_count(FAKE_DATE), 0);
        run(1900);
        CHECK_EQ(fake_count(FAKE_DATE), 1);
        close_store();
    }
}

TEST(members_errands_that_the_client_does_not_take_are_sent_again) {
    open_store();
    fake.is_full = true;
    run(240);
    CHECK_EQ(fake.out_count, 0);
    fake.is_full = false;
    run(20);
    CHECK_EQ(fake_member(SELF)->beat, 1);
    fake.is_full = true;
    run(1100);
    fake.is_full = false;
    run(250);
    CHECK_EQ(fake_member(SELF)->is_fenced, false);
    CHECK_GT(fake_member(SELF)->beat, 2);
    struct ask a;
    ask_for(&a, 1, 10);
    run(10);
    must_grant(&a, 10);
    close_store();
}

TEST(a_beat_that_finds_itself_was_done) {
    struct ask a;
    open_joined();
    claim_and_rest(1);
    keep_out(FAKE_BEAT);
    run(1000);
    fake_do(
        fake_find(FAKE_BEAT)); /* and the client has tried again what a server said it had not */
    answer(FAKE_BEAT);
    CHECK_EQ(fake_count(FAKE_JOIN), 0);
    keep_none_out();
    run(900);
    ask_for(&a, 1, 10);
    must_grant(&a, 10); /* of what it claimed before */
    CHECK_EQ(fake.member_count, 1);
    close_store();
}

TEST(a_beat_that_finds_a_fence_or_another_beat_begins_anew) {
    for (unsigned is_fenced = 0; is_fenced < 2; is_fenced++) {
        open_joined();
        keep_out(FAKE_BEAT);
        run(1000);
        uint64_t number              = fake_find(FAKE_BEAT)->number;
        fake_member(SELF)->is_fenced = is_fenced;
        fake_member(SELF)->beat      = is_fenced ? number : number + 1;
        answer(FAKE_BEAT);
        CHECK_EQ(fake_find(FAKE_JOIN)->id, SELF + 1);
        close_store();
    }
}

/* ---- under another name ---- */

TEST(who_was_fenced_begins_with_nothing) {
    struct ask a;
    open_joined();
    claim_and_rest(1);
    ask_for(&a, 1, 10);
    must_grant(&a, 10); /* at once: it was there */
    run(HOLD_MS + 2000);

    learn_of_the_fence(SELF);
    answer(FAKE_JOIN);
    CHECK_EQ(fake.out_count, fake_count(FAKE_LOOK));
    ask_for(&a, 1, 10);
    must_wait(&a);
    CHECK_EQ(fake_find(FAKE_WRITE)->id, SELF + 1);
    CHECK_EQ(fake_find(FAKE_WRITE)->permits, 10);
    answer(FAKE_WRITE);
    must_wait(&a);
    answer(FAKE_READ);
    must_grant(&a, 10);
    CHECK_EQ(permits_of(1, SELF + 1), 10);
    close_store();
}

TEST(a_write_of_the_old_name_says_nothing_of_the_new_claim) {
    struct ask a;
    open_joined();
    run(800);
    keep_out(FAKE_WRITE);
    ask_for(&a, 1, 10);
    learn_of_the_fence(SELF);
    answer(FAKE_JOIN);
    must_wait(&a);
    CHECK_EQ(fake_count(FAKE_WRITE), 2);
    CHECK_EQ(fake_find(FAKE_WRITE)->id, SELF);
    answer(FAKE_WRITE);
    must_wait(&a);
    CHECK_EQ(fake_count(FAKE_READ), 0);
    CHECK_EQ(fake_find(FAKE_WRITE)->id, SELF + 1);
    answer(FAKE_WRITE);
    answer(FAKE_READ);
    must_grant(&a, 10);
    close_store();
}

TEST(a_read_of_the_old_name_says_nothing_of_the_new_claim) {
    struct ask a;
    open_joined();
    run(800);
    keep_out(FAKE_WRITE);
    keep_out(FAKE_READ);
    ask_for(&a, 1, 10);
    answer(FAKE_WRITE);
    CHECK_EQ(fake_count(FAKE_READ), 1);
    learn_of_the_fence(SELF);
    answer(FAKE_JOIN);
    CHECK_EQ(fake_find(FAKE_WRITE)->id, SELF + 1);
    answer(FAKE_READ);
    must_wait(&a);
    answer(FAKE_WRITE);
    must_wait(&a);
    answer(FAKE_READ);
    must_grant(&a, 10);
    close_store();
}

TEST(an_errand_of_the_old_name_may_outlast_what_it_was_for) {
    struct ask a;
    open_joined();
    run(800);
    keep_out(FAKE_WRITE);
    ask_for(&a, 1, 10);
    a.trip.deadline_ns = fake.now_ns + 300 * MS;
    learn_of_the_fence(SELF);
    keep_out(FAKE_JOIN);
    run(150);
    CHECK_EQ(a.ends, 1); /* and nothing is kept of its user */
    CHECK_EQ(fake_count(FAKE_WRITE), 1);
    answer(FAKE_WRITE);
    CHECK_EQ(fake_count(FAKE_READ), 0);
    keep_none_out();
    run(100);
    ask_for(&a, 1, 10);
    run(10);
    must_grant(&a, 10);
    close_store();
}

/* The room of what was out comes back. */
TEST(errands_of_the_old_name_count_as_out_until_they_end) {
    open_joined();
    run(800);
    keep_out(FAKE_WRITE);
    for (unsigned i = 0; i < CROWD; i++) ask_for(&crowd[i], i, 10);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW);
    learn_of_the_fence(SELF);
    answer(FAKE_JOIN);
    CHECK_EQ(fake_count(FAKE_WRITE), WINDOW);
    keep_none_out();
    run(100);
    for (unsigned i = 0; i < CROWD; i++) {
        must_grant(&crowd[i], 10);
        CHECK_EQ(permits_of(i, SELF + 1), 10);
    }
    close_store();
}

TEST(trips_go_on_waiting_under_the_new_name) {
    struct ask first, second, beat;
    open_joined();
    run(800);
    keep_out(FAKE_WRITE);
    keep_out(FAKE_JOIN);
    ask_for(&first, 1, 10);
    ask_for(&second, 1, 5);
    learn_of_the_fence(SELF);
    ask_beat(&beat);
    must_wait(&first);
    must_wait(&second);
    must_wait(&beat);
    keep_none_out();
    run(100);
    must_grant(&first, 10);
    must_grant(&second, 5);
    must_end(&beat, STORE_DONE, false);
    CHECK_EQ(permits_of(1, SELF + 1), 15);
    close_store();
}

/* Two are dead, and this process fences the first of them. It is fenced itself, and goes on under a name by
 * which it fences the other first; which lives, and has claimed nearly all. */
TEST(a_fence_by_the_old_name_does_not_fence_who_lives) {
    enum { DEAD = 200, SLOW = 50 };
    struct ask a;
    open_store();
    (void)fake_member_add(DEAD);
    (void)fake_member_add(SLOW);
    fake.rows[fake.row_count++] =
        (struct fake_row){.name = name_of(1), .id = SLOW, .number = 1, .permits = 90, .demand = 90};
    keep_out(FAKE_FENCE);
    run(4950);
    CHECK_EQ(fake_count(FAKE_FENCE), 0);
    keep_out(FAKE_BEAT);
    run(1000);
    CHECK_EQ(fake_find(FAKE_FENCE)->id, DEAD);
    fake.next_id = 20;
    give_up(SELF);
    keep_out(FAKE_JOIN);
    answer(FAKE_BEAT);
    CHECK_EQ(fake_count(FAKE_FENCE), 2);
    CHECK_EQ(fake.out[fake.out_count - 1].kind, FAKE_FENCE);
    CHECK_EQ(fake.out[fake.out_count - 1].id, SLOW);
    fake_member(SLOW)->beat++; /* and so that fence will not be done */
    answer(FAKE_FENCE);
    CHECK(fake_member(DEAD)->is_fenced);
    answer(FAKE_FENCE);
    CHECK(!fake_member(SLOW)->is_fenced);
    keep_none_out();
    run(HOLD_MS + 100);
    fake_member(SLOW)->beat++;
    run(1000);
    ask_for(&a, 1, 50);
    run(10);
    must_grant(&a, 0);
    close_store();
}

TEST(a_look_by_the_old_name_is_not_taken_for_one_by_the_new) {
    open_joined();
    keep_out(FAKE_LOOK);
    run(1100);
    CHECK_EQ(fake_count(FAKE_LOOK), 1);
    give_up(SELF);
    keep_out(FAKE_BEAT);
    run(900);
    answer(FAKE_BEAT);
    CHECK_EQ(fake_count(FAKE_LOOK), 2);
    fail(FAKE_LOOK, CASSANDRA_LATE, FATE_UNKNOWN);
    run(300);
    CHECK_EQ(fake_count(FAKE_LOOK), 1);
    close_store();
}

TEST(who_is_fenced_and_has_no_entropy_tries_again_by_itself) {
    open_joined();
    fake.has_entropy = false;
    learn_of_the_fence(SELF);
    CHECK_EQ(fake.member_count, 1);
    CHECK_LE(fake_turn(), fake.now_ns + SECOND);
    run(3000);
    CHECK_EQ(fake.member_count, 1);
    fake.has_entropy = true;
    run(1000);
    CHECK_EQ(fake_member(SELF + 1)->is_fenced, false);
    close_store();
}

/* ---- other processes ---- */

static bool says_crowd(unsigned others) {
    open_store();
    for (unsigned i = 0; i < others; i++) fake_member_add(1000 + i)->is_fenced = true;
    keep_out(FAKE_DATE);
    (void)settle();
    bool        is_up;
    const char *text = health(&is_up);
    bool        says = strstr(text, "more processes began") != NULL;
    CHECK_EQ(is_up, !says);
    close_store();
    return says;
}

TEST(more_processes_than_can_be_known_are_complained_of) {
    /* It may find its own record, or not yet. */
    CHECK(!says_crowd(MEMBERS_MAX));
    CHECK(says_crowd(MEMBERS_MAX + 2));
}

/* ---- 2038 ---- */

/* All that is asked for long windows was asked when there was more time. */
static void open_before_2038(uint64_t left_s) {
    struct ask a;
    open_joined();
    fake.wall_ns = (YEAR_2038_S - UINT64_C(400000)) * SECOND;
    ask_begin(&a, 1, 10, 86400 * 1000);
    ask(&a);
    run(10);
    must_grant(&a, 10);
    run(2000);
    CHECK_EQ(fake_member(SELF)->keep_s, 4 * 86400);
    fake.wall_ns = (YEAR_2038_S - left_s) * SECOND;
}

TEST(records_of_members_expire_before_2038) {
    open_before_2038(100000);
    uint64_t wall_s = fake.wall_ns / SECOND;
    keep_out(FAKE_BEAT);
    run(1000);
    const struct fake_errand *beat = fake_find(FAKE_BEAT);
    CHECK_LE(wall_s + (uint64_t)beat->ttl_s, YEAR_2038_S);
    CHECK_GE(wall_s + (uint64_t)beat->ttl_s + 2, YEAR_2038_S);
    CHECK_EQ(beat->keep_s, beat->ttl_s);
    close_store();
    CHECK_LE(wall_s + (uint64_t)fake_member(SELF)->keep_s, YEAR_2038_S); /* the farewell */
}

/* It is kept for so much less as it was fenced before. */
TEST(a_date_near_2038_is_kept_as_long_as_it_can_be) {
    open_before_2038(100000);
    struct fake_member *dead = fake_member_add(500);
    dead->is_fenced          = true;
    dead->keep_s             = 4 * 86400;
    dead->fenced_for_s       = 1000;
    keep_out(FAKE_DATE);
    run(1100);
    uint64_t wall_s = fake.wall_ns / SECOND;
    for (unsigned i = 0; fake_count(FAKE_DATE) == 0; i++) {
        CHECK_LT(i, 2000);
        run(1000);
    }
    const struct fake_errand *date = fake_find(FAKE_DATE);
    wall_s                         = fake.wall_ns / SECOND;
    CHECK_GE(date->fenced_for_s, 2000);
    CHECK_LE(wall_s + (uint64_t)date->ttl_s, YEAR_2038_S + 1);
    CHECK_GE(wall_s + (uint64_t)date->ttl_s + 2, YEAR_2038_S);
    close_store();
}

/* A short window's rows are kept for two hours, and used for one. */
TEST(nothing_is_granted_that_is_kept_for_less_than_it_is_used) {
    struct ask a;
    open_joined();
    fake.wall_ns = (YEAR_2038_S - UINT64_C(10700)) * SECOND;
    ask_for(&a, 1, 10);
    must_end(&a, STORE_REFUSED, true);
    fake.wall_ns = (YEAR_2038_S - UINT64_C(10900)) * SECOND;
    ask_for(&a, 1, 10);
    run(10);
    must_grant(&a, 10);
    fake.wall_ns = (YEAR_2038_S + UINT64_C(10)) * SECOND;
    ask_for(&a, 2, 10);
    run(10);
    must_grant(&a, 10);
    close_store();
}

TEST(a_window_that_would_end_after_2037_is_refused_until_then) {
    struct ask a;
    open_joined();
    fake.wall_ns = (YEAR_2038_S - UINT64_C(400000)) * SECOND;
    ask_begin(&a, 1, 10, 100001 * UINT64_C(1000));
    ask(&a);
    must_end(&a, STORE_REFUSED, true);
    CHECK_CONTAINS(a.trip.reason, "2037");
    ask_begin(&a, 1, 10, 99999 * UINT64_C(1000));
    ask(&a);
    must_wait(&a);
    run(10);
    must_grant(&a, 10);
    fake.wall_ns = (YEAR_2038_S + UINT64_C(10)) * SECOND; /* later servers have other formats */
    ask_begin(&a, 2, 10, 100001 * UINT64_C(1000));
    ask(&a);
    must_wait(&a);
    run(10);
    must_grant(&a, 10);
    close_store();
}

/* ---- the end ---- */

TEST(who_ends_lets_go_and_fences_itself) {
    open_joined();
    claim_and_rest(1);
    CHECK_EQ(permits_of(1, SELF), 10);
    uint64_t beat = fake_member(SELF)->beat;
    close_store();
    CHECK_EQ(permits_of(1, SELF), 0);
    CHECK(fake_member(SELF)->is_fenced);
    CHECK_EQ(fake_member(SELF)->beat, beat);
}

static unsigned farewells_beside_a_beat;

static void wake_with_a_beat_out(void) {
    (void)fake_turn();
    (void)fake_turn();
    farewells_beside_a_beat = fake_count(FAKE_FENCE);
    kept_out                = 0;
    settle_and_hurry();
}

TEST(a_farewell_waits_for_the_beat_that_is_out) {
    open_joined();
    keep_out(FAKE_BEAT);
    run(1000);
    uint64_t beat = fake_find(FAKE_BEAT)->number;
    fake.on_wake  = wake_with_a_beat_out;
    store->close(store->context);
    CHECK_EQ(farewells_beside_a_beat, 0);
    CHECK(fake_member(SELF)->is_fenced);
    CHECK_EQ(fake_member(SELF)->beat, beat);
}

TEST(a_close_does_not_wait_for_a_store_that_is_not_there) {
    struct ask a;
    open_joined();
    ask_for(&a, 1, 10);
    keep_out(FAKE_WRITE);
    keep_out(FAKE_FENCE);
    keep_out(FAKE_BEAT);
    fake.on_wake = settle_and_hurry;
    store->close(store->context);
    CHECK(!fake_member(SELF)->is_fenced);
    CHECK_EQ(fake.out_count, 0);
}

TEST(who_never_joined_has_no_farewell) {
    open_store();
    keep_out(FAKE_JOIN);
    (void)settle();
    fake.on_wake = settle_and_hurry;
    store->close(store->context);
    CHECK_EQ(fake.member_count, 0);
}

TEST(a_store_without_a_client_is_not_opened) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    fake_begin();
    CHECK(claim_store_open(view_of(""), &(struct claim_store_options){0}, problem) == NULL);
    CHECK_STR_EQ(problem, "there is no URL");
    fake.has_entropy = false;
    CHECK(claim_store_open(view_of("x"), &(struct claim_store_options){0}, problem) == NULL);
}

/* ---- a child of fork() ---- */

/* What a child finds wrong; 0: nothing. It has the parent's memory as it was, and no thread. */
static int child_looks(const struct ask *a, const struct ask *arriving) {
    struct ask mine;
    fake.is_forked = true;
    if (!store->reopen(store->context)) return 1;
    if (fake.opens != 2 || fake.out_count != 0) return 2;
    keep_none_out();
    (void)settle();
    if (a->ends != 0 || arriving->ends != 0) return 3; /* the parent's */
    if (fake_member(SELF + 1)->is_fenced) return 4;
    ask_for(&mine, 1, 10);
    if (mine.ends != 0 || fake_count(FAKE_WRITE) != 1) return 5;
    if (fake_find(FAKE_WRITE)->id != SELF + 1) return 6;
    run(1000);
    if (mine.ends != 1 || mine.trip.reply.granted != 10) return 7;
    if (fake_member(SELF + 1)->beat < 2) return 8;
    if (fake_member(SELF + 1)->shortages.count != 0) return 9;
    close_store();
    if (arriving->ends != 0) return 10;
    return fake_member(SELF + 1)->is_fenced ? 0 : 11;
}

static void child_ends(int pid) {
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(a_child_begins_with_nothing_of_its_parents) {
    struct ask a, arriving;
    open_joined();
    claim_and_rest(1);
    miss_some_of(2);
    keep_out(FAKE_WRITE);
    keep_out(FAKE_BEAT);
    run(1000);
    CHECK_EQ(fake_find(FAKE_BEAT)->shortages.count, 1);
    CHECK_EQ(fake_find(FAKE_BEAT)->shortages.users[0], short_name_of(2));
    ask_for(&a, 3, 10);
    CHECK_GE(fake_count(FAKE_WRITE), 1);
    ask_begin(&arriving, 4, 10, HOLD_MS);
    store->serve(store->context, &arriving.trip); /* and the client has not taken a turn since */
    int pid = fork();
    if (pid == 0) _exit(child_looks(&a, &arriving));
    child_ends(pid);
    keep_none_out();
    run(10);
    must_grant(&a, 10);
    must_grant(&arriving, 10);
    close_store();
}

/* It would fence its parent. */
TEST(a_child_that_asks_nothing_closes_without_a_farewell) {
    open_joined();
    claim_and_rest(1);
    int pid = fork();
    if (pid == 0) {
        fake.is_forked = true;
        fake.on_wake   = settle_and_hurry;
        store->close(store->context);
        if (permits_of(1, SELF) != 10) _exit(1);
        _exit(fake_member(SELF)->is_fenced ? 2 : 0);
    }
    child_ends(pid);
    close_store();
}

/* ---- whether the tables are there ---- */

TEST(a_check_says_what_the_client_says) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    open_joined();
    CHECK(!claim_store_check(claims, "weir", fake.now_ns + SECOND, problem));
    CHECK_CONTAINS(problem, "nobody is there");
    close_store();
}

/* ---- whatever happens ---- */

enum { USERS = 3, ASKS = 400, OTHER = 500, OTHERS_PERMITS = 40, LATER_MAX = 64, NAMES_MAX = 64 };

static struct {
    struct random      random;
    struct ask         asks[ASKS];
    uint64_t           granted_ns[ASKS]; /* 0: it was not */
    uint64_t           ids[ASKS];        /* of the process, then */
    size_t             reports_of[ASKS]; /* which lease it tells of */
    bool               is_reported[ASKS];
    uint64_t           resets[USERS]; /* that its row was seen to tell of */
    unsigned           ask_count;
    struct fake_errand later[LATER_MAX]; /* ended, and may be done yet */
    unsigned           later_count;
    uint64_t           fenced_ns[NAMES_MAX]; /* of SELF and those after it; 0: it is not */
} chance;

static uint64_t chance_grants; /* of all programs */

static bool is_likely(unsigned percent) { return random_below(&chance.random, 100) < percent; }

static uint64_t own_id(void) { return fake.next_id - 1; }

/* What was used of a user before counts no more. */
static void chance_forget(const struct store_name *name) {
    for (unsigned i = 0; i < chance.ask_count; i++)
        if (memcmp(&chance.asks[i].trip.name, name, sizeof *name) == 0) chance.granted_ns[i] = 0;
}

static void chance_ask_ends(struct store_trip *trip) {
    struct ask *a = trip->context;
    size_t      i = (size_t)(a - chance.asks);
    a->ends++;
    if (trip->status != STORE_DONE) return;
    if (trip->request.is_reset) chance_forget(&trip->name);
    if (trip->request.report_count > 0 && trip->reply.receipts[0].settled > 0) {
        size_t of = chance.reports_of[i]; /* used just now, unless it is forgotten */
        if (chance.granted_ns[of] != 0) chance.granted_ns[of] = fake.now_ns;
    }
    if (trip->reply.granted == 0) return;
    chance.granted_ns[i] = fake.now_ns;
    chance.ids[i]        = own_id();
    chance_grants++;
}

static void chance_ask(void) {
    if (chance.ask_count == ASKS) return;
    struct ask *a    = &chance.asks[chance.ask_count++];
    uint64_t    need = random_between(&chance.random, 1, 20);
    ask_begin(a, (unsigned)random_below(&chance.random, USERS), need, HOLD_MS);
    a->trip.done = chance_ask_ends;
    ask(a);
}

/* A look, a reset, or a report of a lease that this name was granted: all of it is used. */
static void chance_ask_else(void) {
    if (chance.ask_count == ASKS) return;
    size_t      i    = chance.ask_count++;
    size_t      of   = random_below(&chance.random, i + 1);
    unsigned    user = (unsigned)random_below(&chance.random, USERS);
    struct ask *a    = &chance.asks[i];
    if (is_likely(20)) {
        ask_reset(a, user);
    } else {
        ask_begin(a, user, random_between(&chance.random, 1, LIMIT), HOLD_MS);
        a->trip.request.id = (struct lease_id){0};
    }
    bool is_there = of < i && chance.granted_ns[of] != 0 && chance.ids[of] == own_id();
    bool has_term = is_there && fake.now_ns < chance.granted_ns[of] + TERM_MS * MS;
    if (has_term && !chance.is_reported[of]) {
        const struct ask *granted = &chance.asks[of];
        ask_begin(a, user, 0, HOLD_MS);
        a->trip.name                 = granted->trip.name;
        a->trip.request.id           = (struct lease_id){0};
        a->trip.request.report_count = 1;
        a->trip.request.reports[0] =
            (struct lease_report){.id        = granted->trip.request.id,
                                  .is_final  = true,
                                  .use_count = 1,
                                  .uses      = {{0, granted->trip.reply.granted}}};
        chance.reports_of[i]   = of;
        chance.is_reported[of] = true;
    }
    a->trip.done = chance_ask_ends;
    ask(a);
}

/* One of those that are out ends in some way, and may have been done whatever is said. */
static void chance_end(void) {
    if (fake.out_count == 0) return;
    struct fake_errand *errand    = &fake.out[random_below(&chance.random, fake.out_count)];
    bool                is_change = errand->kind != FAKE_READ && errand->kind != FAKE_LOOK;
    if (is_likely(70)) {
        fake_answer(errand);
    } else if (is_likely(30)) {
        fake_fail(errand, CASSANDRA_REFUSED, FATE_NOT_EXECUTED, CQL_ERROR_INVALID);
    } else {
        if (is_change && is_likely(50))
            fake_do(errand);
        else if (is_change && chance.later_count < LATER_MAX)
            chance.later[chance.later_count++] = *errand;
        fake_fail(errand, CASSANDRA_LOST, FATE_UNKNOWN, -1);
    }
    (void)fake_turn();
}

static void chance_do_later(void) {
    if (chance.later_count == 0) return;
    uint64_t i = random_below(&chance.random, chance.later_count);
    fake_do(&chance.later[i]);
    chance.later[i] = chance.later[--chance.later_count];
}

/* Permits of a user that were granted less than a hold ago; by one process, or 0: by all. */
static uint64_t chance_granted(unsigned user, uint64_t id) {
    struct store_name name = name_of(user);
    uint64_t          sum  = 0;
    for (unsigned i = 0; i < chance.ask_count; i++) {
        const struct ask *a = &chance.asks[i];
        if (chance.granted_ns[i] == 0 || chance.granted_ns[i] + HOLD_MS * MS <= fake.now_ns)
            continue;
        if (id != 0 && chance.ids[i] != id) continue;
        if (memcmp(&a->trip.name, &name, sizeof name) == 0) sum += a->trip.reply.granted;
    }
    return sum;
}

/* What all but another process have claimed, as that one counts it. Who is fenced uses what it claimed for as
 * long as its last beat is good, and then what it used counts for a hold. */
static uint64_t chance_taken(unsigned user) {
    struct store_name name = name_of(user);
    uint64_t          sum  = 0;
    for (unsigned i = 0; i < fake.row_count; i++) {
        const struct fake_row *row = &fake.rows[i];
        if (row->id == OTHER || memcmp(&row->name, &name, sizeof name) != 0) continue;
        uint64_t fenced_ns = chance.fenced_ns[row->id - SELF];
        bool     counts    = fenced_ns == 0 || fake.now_ns < fenced_ns + 5 * SECOND + HOLD_MS * MS;
        if (counts) sum += row->permits;
    }
    return sum;
}

/* The other process writes and reads in one step, and takes all that it may. */
static void chance_other(void) {
    unsigned         user  = (unsigned)random_below(&chance.random, USERS);
    struct fake_row *row   = &fake.rows[user];
    uint64_t         taken = chance_taken(user);
    if (is_likely(50))
        row->permits = random_below(&chance.random, row->permits + 1);
    else if (taken + row->permits < LIMIT)
        row->permits = random_between(&chance.random, row->permits, LIMIT - taken);
    row->number++;
    fake_member(OTHER)->beat++;
}

/* It resets a user: above all numbers. */
static void chance_other_resets(void) {
    unsigned         user   = (unsigned)random_below(&chance.random, USERS);
    struct fake_row *row    = &fake.rows[user];
    uint64_t         number = row->number;
    for (unsigned i = 0; i < fake.row_count; i++) {
        if (memcmp(&fake.rows[i].name, &row->name, sizeof row->name) != 0) continue;
        if (fake.rows[i].number > number) number = fake.rows[i].number;
        if (fake.rows[i].resets > number) number = fake.rows[i].resets;
    }
    row->resets = number + 1;
    row->number = number + 2;
    chance_forget(&row->name);
}

static void chance_fence(void) {
    for (unsigned i = 0; i < fake.member_count; i++) {
        if (fake.members[i].id != own_id() || fake.members[i].is_fenced) continue;
        fake.members[i].is_fenced         = true;
        chance.fenced_ns[own_id() - SELF] = fake.now_ns;
    }
}

/* Also of those that nobody waits for any more. */
static void chance_see_resets(void) {
    for (unsigned i = 0; i < fake.row_count; i++) {
        const struct fake_row *row  = &fake.rows[i];
        unsigned               user = row->name.bytes[0];
        if (row->id == OTHER || row->resets <= chance.resets[user]) continue;
        chance.resets[user] = row->resets;
        chance_forget(&row->name);
    }
}

/* A row that others may read says as much as is used at least, and all together are within the limit. */
static void chance_judge(void) {
    CHECK_LT(own_id(), SELF + NAMES_MAX);
    for (unsigned user = 0; user < USERS; user++) {
        CHECK_LE(chance_granted(user, own_id()), permits_of(user, own_id()));
        CHECK_LE(chance_granted(user, 0) + fake.rows[user].permits, LIMIT);
    }
    for (unsigned i = 0; i < chance.ask_count; i++) {
        const struct ask *a = &chance.asks[i];
        CHECK_LE(a->ends, 1);
        CHECK(a->ends == 1 || fake.now_ns <= a->trip.deadline_ns);
    }
}

static void chance_play(uint64_t seed) {
    memset(&chance, 0, sizeof chance);
    chance.random.state = seed;
    open_store();
    (void)fake_member_add(OTHER);
    for (unsigned user = 0; user < USERS; user++)
        fake.rows[fake.row_count++] = (struct fake_row){.name    = name_of(user),
                                                        .id      = OTHER,
                                                        .number  = 1,
                                                        .permits = OTHERS_PERMITS,
                                                        .demand  = OTHERS_PERMITS};
    for (unsigned kind = 0; kind < FAKE_KINDS; kind++) keep_out(kind);
    for (unsigned step = 0; step < 1500; step++) {
        if (is_likely(10)) chance_ask();
        if (is_likely(10)) chance_ask_else();
        if (is_likely(1)) chance_other_resets();
        if (is_likely(90)) chance_end();
        if (is_likely(10)) chance_do_later();
        if (is_likely(50)) run(random_below(&chance.random, 100));
        if (step % 300 == 299) chance_fence();
        chance_other();
        chance_see_resets();
        chance_judge();
    }
    CHECK(!fake_member(OTHER)->is_fenced);

    /* When all is well again everybody is served. */
    keep_none_out();
    for (unsigned user = 0; user < USERS; user++) fake.rows[user].permits = 0;
    for (unsigned i = 0; i < 3; i++, fake_member(OTHER)->beat++) run(HOLD_MS);
    struct ask a;
    ask_for(&a, 1, 10);
    run(100);
    must_grant(&a, 10);
    close_store();
}

TEST(whatever_happens_to_statements_no_more_is_granted_than_others_know_of) {
    struct random seeds  = {.state = check_seed()};
    uint64_t      rounds = check_effort(100);
    chance_grants        = 0;
    for (uint64_t round = 0; round < rounds; round++) chance_play(random_next(&seeds));
    CHECK_GT(chance_grants, rounds);
}
