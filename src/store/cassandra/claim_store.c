/* SPDX-License-Identifier: MIT */
#include "store/cassandra/claim_store.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/contract.h"
#include "base/pace.h"
#include "base/range.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/latch.h"
#include "store/cassandra/claim_table.h"
#include "store/cassandra/claim_words.h"
#include "store/cassandra/ddl.h"
#include "store/cassandra/failure.h"
#include "store/complaint.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      UINT64_C(1000000000)

#define BEAT_NS       SECOND
#define VALID_NS      (5 * SECOND)
#define ERRAND_NS     (500 * MILLISECOND) /* then its outcome is not known */
#define MEMBER_NS     (2 * SECOND) /* a conditional update is four rounds, and may wait for others */
#define ANSWER_NS     (2 * ERRAND_NS)       /* a write and a read */
#define SILENT_NS     (BEAT_NS + ERRAND_NS) /* a store that is there has answered a beat */
#define LET_GO_NS     SECOND
#define ROUND_TRIP_NS MILLISECOND     /* of a trip here: most need no server */
#define CLAMP_NS      (3600 * SECOND) /* the clock is this process's own: nobody need step it */

enum {
    CLOCK_ERROR_PPM   = 1000,
    NODES_DEFAULT     = 8,
    USERS_MAX_DEFAULT = 1 << 18,
    TRIPS_MAX         = 65536, /* they cost nothing but what the fleet keeps of each */
};

/* What an errand is about: who is alive, or what is claimed of a user. */
enum kind { OF_MEMBERS, OF_ROWS, KINDS };

/* What is out for a record; or, without one, for the membership. */
struct claim_errand_out {
    struct claim_store  *store;
    struct claim_record *record; /* NULL: the claim that it was for is void */
    enum claim_act       act;
    enum members_act     member_act;
    bool                 is_farewell;
    uint64_t             memory; /* the store's, when it went out for the membership; else 0 */
    uint64_t             sent_ns;
};

struct claim_store {
    struct store               interface;
    struct cassandra          *client;
    struct view                url;
    struct claim_store_options options;

    struct arrivals  arrived;  /* trips */
    struct complaint trouble;  /* of errands */
    _Atomic bool     is_open;  /* the client is there */
    _Atomic bool     is_valid; /* as store_is_valid() */
    _Atomic bool     is_ending;
    struct latch     has_left;

    /* The client's thread's. */
    struct claim_process process;
    uint64_t             memory;      /* counts the identities of this process, from 1 */
    bool                 is_nameless; /* it is to have another one, and there was no entropy */
    bool                 has_beaten;  /* so claims may be used for longer */
    uint64_t             done_ns;     /* when an errand of whatever kind was last done */
    enum { STAYING, LETTING_GO, LEAVING, LEFT } stage;
    uint64_t               leaves_ns;
    const char            *refusals[KINDS]; /* since one of them was done; NULL: none was */
    struct claim_table     table;
    struct pace            pace;  /* of errands for records */
    struct store_trip     *beats; /* that wait until the membership is known */
    struct claim_row      *rows;
    struct members_record *records;
    uint32_t               row_room, record_room;
};

static void errand_done(void *context, struct cassandra_result *result);
static void record_go_on(struct claim_store *s, struct claim_record *record, uint64_t now_ns);

/* ---- who we are ---- */

static bool store_is_valid(const struct claim_store *s, uint64_t now_ns) {
    const struct members *m = &s->process.members;
    return m->is_joined && !m->is_fenced && now_ns < m->valid_until_ns;
}

/* ---- the end of a trip ---- */

static void trip_end(struct store_trip *trip, enum store_status status, const char *reason) {
    trip->status = status;
    trip->reason = reason;
    trip->done(trip);
}

/* For a reason of its user alone. */
static void trip_end_alone(struct store_trip *trip, enum store_status status, const char *reason) {
    trip->is_alone = true;
    trip_end(trip, status, reason);
}

/* Of one that nothing has served, and nothing will. A store that goes on doing other things is not down: it
 * may have too few replicas of this user's row, or be too slow for this trip. */
static void trip_end_unserved(const struct claim_store *s, struct store_trip *trip,
                              uint64_t now_ns) {
    bool        is_valid  = store_is_valid(s, now_ns);
    bool        is_silent = now_ns >= s->done_ns + SILENT_NS;
    const char *refusal   = s->refusals[is_valid ? OF_ROWS : OF_MEMBERS];
    if (refusal != NULL)
        trip_end(trip, STORE_REFUSED, refusal);
    else if (is_valid && !is_silent)
        trip_end_alone(trip, STORE_UNKNOWN, NULL);
    else
        trip_end(trip, STORE_IS_DOWN, NULL);
}

static void trip_end_served(struct store_trip *trip, uint64_t now_ns) {
    trip->reply.sent_ns = now_ns;
    trip_end(trip, STORE_DONE, NULL);
}

/* ---- a place among others ---- */

/* No trip can be served now, and it is not worth waiting for: beats have been missed for long, or a server
 * said why it takes none. Who has not beaten yet waits for the first beat that is done: by it one finds out,
 * too, how a join has ended whose outcome was not known. */
static bool store_is_hopeless(const struct claim_store *s, uint64_t now_ns) {
    bool was_valid = s->process.members.valid_until_ns > 0;
    return !store_is_valid(s, now_ns) && (was_valid || s->refusals[OF_MEMBERS] != NULL);
}

/* A bigint that is not negative. */
static bool process_name(uint64_t *id) {
    if (!entropy_fill(id, sizeof *id)) return false;
    *id >>= 1;
    return true;
}

static bool process_begin(struct claim_store *s, uint64_t now_ns) {
    uint64_t id;
    if (!process_name(&id)) return false;
    struct members_options options = {
        .clock_error_ppm = s->options.clock_error_ppm, .beat_ns = BEAT_NS, .valid_ns = VALID_NS};
    claim_process_begin(&s->process, &options, s->options.nodes, id, now_ns);
    /* A child of fork() has its parent's, perhaps half written. */
    s->process.shortages = (struct shortages){0};
    s->memory++;
    return true;
}

/* Others gave this process up: it goes on under another name, with nothing claimed. What holders have leased
 * they may spend to its end, since others wait for that before they use what the old name claimed. Trips
 * that wait go on waiting, for the new claims. */
static void store_begin_anew(struct claim_store *s, uint64_t now_ns) {
    uint64_t id;
    s->is_nameless = !process_name(&id);
    if (s->is_nameless) return; /* it stays fenced, and tries again with the next beat */
    claim_process_rejoin(&s->process, id, now_ns);
    s->memory++;
    for (uint32_t i = 0; i < s->table.due.count; i++) {
        struct claim_record *record = (struct claim_record *)s->table.due.heap[i];
        if (record->out != NULL) record->out->record = NULL;
        record->out       = NULL;
        record->due.at_ns = now_ns; /* all alike, so that they stay in order */
        claim_table_forget(&s->table, record);
    }
}

/* ---- errands ---- */

static bool errand_send(struct claim_store *s, struct claim_words *words,
                        const struct claim_errand_out *what, uint64_t deadline_ns) {
    struct claim_errand_out *out = malloc(sizeof *out);
    if (out == NULL) return false;
    *out                       = *what;
    words->request.deadline_ns = deadline_ns;
    words->request.done        = errand_done;
    words->request.context     = out;
    if (cassandra_submit(s->client, &words->request) != CASSANDRA_DONE) {
        free(out);
        return false;
    }
    if (out->record != NULL) out->record->out = out;
    if (out->record != NULL) pace_send(&s->pace);
    return true;
}

static void record_end_errand(struct claim_store *s, struct claim_record *record,
                              enum claim_act act, enum claim_fate fate,
                              const struct claim_row *rows, uint32_t count, uint64_t now_ns) {
    if (act == CLAIM_WRITE)
        claim_written(&record->claim, fate, now_ns);
    else
        (void)claim_has_read(&record->claim, &s->process, rows, count, now_ns); /* or it is lost */
}

/* The record's account is lent. */
static void record_send(struct claim_store *s, struct claim_record *record,
                        const struct claim_errand *errand, uint64_t now_ns) {
    struct claim_errand_out what = {
        .store = s, .record = record, .act = errand->act, .sent_ns = now_ns};
    struct claim_words words;
    claim_words_write(&words, errand, &record->name, s->process.members.id, clock_wall_ns());
    if (!errand_send(s, &words, &what, now_ns + ERRAND_NS))
        record_end_errand(s, record, errand->act, CLAIM_NOT_DONE, NULL, 0, now_ns);
}

/* A LOOK without an answer has no records. */
static void member_end(struct claim_store *s, enum members_act act, enum members_fate fate,
                       const struct members_record *records, uint32_t count, uint64_t now_ns) {
    switch (act) {
    case MEMBERS_JOIN:
    case MEMBERS_BEAT:
        members_beaten(&s->process.members, fate, now_ns);
        s->has_beaten |= fate == MEMBERS_DONE;
        if (fate == MEMBERS_DONE) shortage_told(&s->process.shortages);
        break;
    case MEMBERS_LOOK: members_looked(&s->process.members, records, count, now_ns); break;
    case MEMBERS_FENCE: members_fenced(&s->process.members, fate, now_ns); break;
    case MEMBERS_DATE: members_dated(&s->process.members, fate, now_ns); break;
    }
}

static void member_send(struct claim_store *s, struct members_errand *errand, uint64_t now_ns) {
    struct claim_errand_out what = {.store = s, .memory = s->memory, .member_act = errand->act};
    struct claim_words      words;
    if (errand->act == MEMBERS_BEAT) errand->shortages = s->process.shortages.list;
    claim_words_write_member(&words, errand, clock_wall_ns());
    if (!errand_send(s, &words, &what, now_ns + MEMBER_NS))
        member_end(s, errand->act, MEMBERS_NOT_SENT, NULL, 0, now_ns);
}

/* ---- what has come back ---- */

static const char *trouble_of(const struct cassandra_result *result) {
    static const char table[] = "a server finds no such table, or another one: see weir doctor";
    if (result->error < 0) return cassandra_status_text(result->status);
    return failure_is_of_schema(result->error, result->problem) ? table
                                                                : cql_error_text(result->error);
}

static void store_note(struct claim_store *s, enum kind kind, const struct cassandra_result *result,
                       uint64_t now_ns) {
    if (result->status == CASSANDRA_DONE) {
        s->done_ns        = now_ns;
        s->refusals[kind] = NULL;
        return;
    }
    const char *trouble = trouble_of(result);
    if (result->status == CASSANDRA_REFUSED) s->refusals[kind] = trouble;
    complaint_note(&s->trouble, trouble, now_ns);
}

static enum claim_fate fate_of(const struct cassandra_result *result) {
    if (result->status == CASSANDRA_DONE) return CLAIM_DONE;
    return result->fate == FATE_NOT_EXECUTED ? CLAIM_NOT_DONE : CLAIM_UNKNOWN;
}

static void record_take(struct claim_store *s, struct claim_record *record, enum claim_act act,
                        const struct cassandra_result *result, uint64_t now_ns) {
    enum claim_fate fate     = fate_of(result);
    uint32_t        count    = 0;
    bool            has_rows = act == CLAIM_READ && fate == CLAIM_DONE &&
                    claim_words_rows(result, &s->rows, &s->row_room, &count);
    claim_table_lend(&s->table, record);
    record_end_errand(s, record, act, fate, has_rows ? s->rows : NULL, count, now_ns);
    claim_table_take_back(&s->table, record);
    record_go_on(s, record, now_ns);
}

static void store_hear(struct claim_store *s, const struct shortage_list *list, uint64_t now_ns) {
    for (uint32_t i = 0; i < list->count; i++) {
        struct claim_record *record = claim_table_find_short(&s->table, list->users[i]);
        if (record == NULL) continue;
        claim_hear_shortage(&record->claim, &s->process);
        record_go_on(s, record, now_ns);
    }
}

/* That a conditional update was not sent is no answer to its condition. */
static void member_take(struct claim_store *s, enum members_act act,
                        const struct cassandra_result *result, uint64_t now_ns) {
    static const char crowd[] =
        "more processes began in three hours than one can know: let them live "
        "longer, or part them by keyspaces";
    bool              is_sent     = result->fate != FATE_NOT_EXECUTED;
    enum members_fate fate        = is_sent ? MEMBERS_UNKNOWN : MEMBERS_NOT_SENT;
    uint32_t          count       = 0;
    bool              is_done     = result->status == CASSANDRA_DONE;
    bool              is_applied  = false;
    bool              has_records = is_done && act == MEMBERS_LOOK &&
                       claim_words_records(result, &s->records, &s->record_room, &count);
    if (is_done && act != MEMBERS_LOOK && claim_words_applied(result, &is_applied)) {
        uint64_t beat  = s->process.members.beat;
        bool     found = act == MEMBERS_BEAT && claim_words_has_beaten(result, beat);
        fate           = is_applied || found ? MEMBERS_DONE : MEMBERS_NOT_DONE;
    }
    if (has_records && count > MEMBERS_MAX + 1)
        complaint_note(&s->trouble, crowd, now_ns); /* with our own */
    member_end(s, act, fate, has_records ? s->records : NULL, count, now_ns);
    for (uint32_t i = 0; has_records && i < count; i++)
        if (s->records[i].id != s->process.members.id && !s->records[i].is_fenced)
            store_hear(s, &s->records[i].shortages, now_ns);
}

static void store_leave(struct claim_store *s) {
    s->stage = LEFT;
    latch_open(&s->has_left);
}

static void errand_done(void *context, struct cassandra_result *result) {
    struct claim_errand_out out    = *(struct claim_errand_out *)context;
    struct claim_store     *s      = out.store;
    uint64_t                now_ns = clock_now_ns();
    free(context);
    store_note(s, out.memory != 0 ? OF_MEMBERS : OF_ROWS, result, now_ns);
    if (out.memory != 0) {
        if (out.is_farewell)
            store_leave(s);
        else if (out.memory == s->memory && s->stage < LEAVING)
            member_take(s, out.member_act, result, now_ns);
        return;
    }
    /* A server that says why it takes none is not slow. */
    bool is_answered = result->status == CASSANDRA_DONE || result->status == CASSANDRA_REFUSED;
    pace_end(&s->pace, is_answered, out.sent_ns, now_ns);
    if (out.record == NULL) return;
    out.record->out = NULL;
    record_take(s, out.record, out.act, result, now_ns);
}

/* ---- one user ---- */

/* The record's account is lent. False: it waits. */
static bool record_serve(struct claim_store *s, struct claim_record *record,
                         struct store_trip *trip, uint64_t now_ns) {
    if (!claim_table_make_room(&s->table, record)) {
        trip_end_alone(trip, STORE_NOT_SENT, NULL);
        return true;
    }
    bool is_reset = trip->request.is_reset;
    if (is_reset && !claim_reset(&record->claim, &s->process, trip->came_ns)) return false;
    if (!claim_serve(&record->claim, &s->process, &trip->request, now_ns, &trip->reply))
        return false;
    trip_end_served(trip, now_ns);
    return true;
}

/* Or ends it, if its time is up. Returns when that is, if it waits. */
static uint64_t record_serve_or_wait(struct claim_store *s, struct claim_record *record,
                                     struct store_trip *trip, uint64_t now_ns) {
    if (record_serve(s, record, trip, now_ns)) return UINT64_MAX;
    if (now_ns >= trip->deadline_ns || store_is_hopeless(s, now_ns)) {
        trip_end_unserved(s, trip, now_ns);
        return UINT64_MAX;
    }
    claim_record_wait(&s->table, record, trip);
    return trip->deadline_ns;
}

/* Serves those that wait, in their order, and ends those whose time is up. Returns when the next one's is. */
static uint64_t record_serve_waiting(struct claim_store *s, struct claim_record *record,
                                     uint64_t now_ns) {
    struct store_trip *trips   = claim_record_stop_waiting(record);
    uint64_t           next_ns = UINT64_MAX;
    while (trips != NULL) {
        struct store_trip *trip = trips;
        trips                   = trip->next;
        next_ns                 = smaller(next_ns, record_serve_or_wait(s, record, trip, now_ns));
    }
    return next_ns;
}

/* What is to be done besides. The record's account is lent, and is not any more; nor may the record be there.
 * At next_ns it is looked at again at the latest. */
static void record_work(struct claim_store *s, struct claim_record *record, uint64_t next_ns,
                        uint64_t now_ns) {
    struct claim_errand errand;
    if (s->stage == LETTING_GO) claim_let_go(&record->claim, now_ns);
    if (record->waiting == NULL) claim_give_up(&record->claim);
    while (pace_has_room(&s->pace) && claim_poll(&record->claim, &s->process, now_ns, &errand))
        record_send(s, record, &errand, now_ns);
    if (claim_tells_shortage(&record->claim, now_ns))
        shortage_add(&s->process.shortages, claim_name_short(&record->name));
    /* Who has trips that wait has something to do, though it claims nothing yet. */
    bool is_idle = record->waiting == NULL && claim_is_idle(&record->claim, &s->process, now_ns);
    claim_table_take_back(&s->table, record);
    if (!is_idle && record->out == NULL && !pace_has_room(&s->pace))
        claim_table_queue(&s->table, record);
    if (is_idle && !record->is_ready) {
        claim_table_remove(&s->table, record);
        return;
    }
    if (!record->is_ready) next_ns = smaller(next_ns, claim_next_ns(&record->claim, now_ns));
    due_move(&s->table.due, &record->due, larger(next_ns, now_ns + 1));
}

static void record_go_on(struct claim_store *s, struct claim_record *record, uint64_t now_ns) {
    claim_table_lend(&s->table, record);
    record_work(s, record, record_serve_waiting(s, record, now_ns), now_ns);
}

/* Those that wait already are not served again for one more: of a user whom thousands ask for at once each
 * would be served thousands of times. */
static void record_take_trip(struct claim_store *s, struct claim_record *record,
                             struct store_trip *trip, uint64_t now_ns) {
    uint64_t next_ns = record->waiting != NULL ? record->due.at_ns : UINT64_MAX;
    claim_table_lend(&s->table, record);
    next_ns = smaller(next_ns, record_serve_or_wait(s, record, trip, now_ns));
    record_work(s, record, next_ns, now_ns);
}

/* ---- trips that arrive ---- */

/* Longer than a server keeps a row, or this process's record: which would be cut, and used all the same. */
static bool trip_is_kept_long(const struct store_trip *trip) {
    uint64_t keep_ns = trip->request.hold_us * 1000 * CLAIM_KEEP_HOLDS;
    return larger(keep_ns, MEMBER_KEEP_NS_MIN) > claim_words_keep_ns_max(clock_wall_ns());
}

static void store_take(struct claim_store *s, struct store_trip *trip, uint64_t now_ns) {
    static const char full[] = "too many users hold permits of this process";
    static const char late[] =
        "the window is too long: Cassandra keeps no row that expires after 2037";
    if (trip->is_beat) {
        trip->next = s->beats;
        s->beats   = trip;
        return;
    }
    if (trip_is_kept_long(trip)) {
        trip_end_alone(trip, STORE_REFUSED, late);
        return;
    }
    struct claim_record *record = claim_table_find(&s->table, &trip->name);
    if (record == NULL) record = claim_table_add(&s->table, &trip->name);
    if (record == NULL) {
        trip_end_alone(trip, STORE_REFUSED, full);
        return;
    }
    trip->came_ns = now_ns;
    record_take_trip(s, record, trip, now_ns);
}

static void store_take_arrived(struct claim_store *s, uint64_t now_ns) {
    struct arrival *arrived = arrivals_take(&s->arrived), *arrival;
    while ((arrival = arrivals_next(&arrived)) != NULL)
        store_take(s, (struct store_trip *)arrival, now_ns);
}

/* ---- membership ---- */

/* Answers beats, which ask whether the store is there. Returns when the first that waits is to be ended. */
static uint64_t store_answer_beats(struct claim_store *s, uint64_t now_ns) {
    struct store_trip *trips   = s->beats;
    uint64_t           next_ns = UINT64_MAX;
    s->beats                   = NULL;
    while (trips != NULL) {
        struct store_trip *trip = trips;
        trips                   = trip->next;
        if (store_is_valid(s, now_ns)) {
            claim_process_serve(&s->process, now_ns, &trip->reply);
            trip_end_served(trip, now_ns);
        } else if (now_ns >= trip->deadline_ns || store_is_hopeless(s, now_ns)) {
            trip_end_unserved(s, trip, now_ns);
        } else {
            trip->next = s->beats;
            s->beats   = trip;
            next_ns    = smaller(next_ns, trip->deadline_ns);
        }
    }
    return next_ns;
}

static void store_serve_all_waiting(struct claim_store *s, uint64_t now_ns) {
    struct claim_record *record = s->table.waiting, *next;
    for (; record != NULL; record = next) {
        next = record->next_waiting;
        record_go_on(s, record, now_ns);
    }
}

static void store_work_as_member(struct claim_store *s, uint64_t now_ns) {
    struct members_errand errand;
    if (members_is_over(&s->process.members, now_ns)) store_begin_anew(s, now_ns);
    while (members_poll(&s->process.members, now_ns, &errand)) member_send(s, &errand, now_ns);
    atomic_store_explicit(&s->is_valid, store_is_valid(s, now_ns), memory_order_relaxed);
    if (s->has_beaten) store_serve_all_waiting(s, now_ns);
    s->has_beaten = false;
}

/* ---- the end of the process ---- */

static void store_let_go(struct claim_store *s, uint64_t now_ns) {
    s->stage = LETTING_GO;
    s->leaves_ns =
        now_ns + LET_GO_NS / 2; /* who has not been let go by then is so with the fence */
    for (uint32_t i = 0; i <= s->table.mask; i++) {
        struct claim_record *record = s->table.buckets[i], *next;
        for (; record != NULL; record = next) {
            next = record->next;
            record_go_on(s, record, now_ns);
        }
    }
}

/* What is claimed is as little as it can be. It fences itself, so that the others need not find out; they
 * count what is left for a hold more. */
static void store_say_farewell(struct claim_store *s, uint64_t now_ns) {
    const struct members       *m      = &s->process.members;
    const struct members_errand errand = {
        .act = MEMBERS_FENCE, .id = m->id, .beat = m->beat, .keep_ns = m->keep_ns};
    struct claim_errand_out what = {
        .store = s, .memory = s->memory, .member_act = errand.act, .is_farewell = true};
    struct claim_words words;
    s->stage = LEAVING;
    claim_words_write_member(&words, &errand, clock_wall_ns());
    if (!m->is_joined || !errand_send(s, &words, &what, now_ns + MEMBER_NS)) store_leave(s);
}

/* ---- turns of the client's thread ---- */

/* False: there is none, or no room. Who asks now goes before those who have waited, and may have gone
 * meanwhile; but in each turn one of these is first. */
static bool store_send_ready(struct claim_store *s, uint64_t now_ns) {
    struct claim_record *ready = pace_has_room(&s->pace) ? claim_table_next_ready(&s->table) : NULL;
    if (ready != NULL) record_go_on(s, ready, now_ns);
    return ready != NULL;
}

static uint64_t store_turn(void *context) {
    struct claim_store *s = context;
    if (!atomic_load_explicit(&s->is_open, memory_order_acquire)) return UINT64_MAX;
    if (s->stage >= LEAVING) return UINT64_MAX;
    uint64_t now_ns = clock_now_ns();
    /* Numbers are timestamps of writes, too: above those of whoever deletes by hand, if clocks are right; and
     * greater ones win in any case. */
    s->process.number     = larger(s->process.number, clock_wall_ns() / 1000);
    s->process.is_crowded = s->table.count > s->table.count_max / 2;

    (void)store_send_ready(s, now_ns);
    store_take_arrived(s, now_ns);
    store_work_as_member(s, now_ns);
    struct due_item *first;
    while ((first = due_first(&s->table.due)) != NULL && first->at_ns <= now_ns)
        record_go_on(s, (struct claim_record *)first, now_ns);
    while (store_send_ready(s, now_ns)) continue;
    uint64_t next_ns = store_answer_beats(s, now_ns);

    if (atomic_load_explicit(&s->is_ending, memory_order_acquire)) {
        if (s->stage == STAYING) store_let_go(s, now_ns);
        bool is_done = (s->pace.out == 0 && s->table.ready == NULL) || now_ns >= s->leaves_ns;
        if (is_done && !s->process.members.is_beating) store_say_farewell(s, now_ns);
    }
    if (s->stage == LETTING_GO) next_ns = smaller(next_ns, larger(s->leaves_ns, now_ns + 1));
    next_ns =
        smaller(next_ns, s->is_nameless ? now_ns + BEAT_NS : members_next_ns(&s->process.members));
    first = due_first(&s->table.due);
    return first != NULL ? smaller(next_ns, first->at_ns) : next_ns;
}

/* ---- what a fleet calls ---- */

static void store_serve(void *context, struct store_trip *trip) {
    struct claim_store *s = context;
    if (arrivals_add(&s->arrived, &trip->arrival)) cassandra_wake(s->client);
}

static void store_health(void *context, struct store_health *health) {
    struct claim_store *s        = context;
    const char         *text     = complaint_text(&s->trouble, clock_now_ns());
    bool                is_valid = atomic_load_explicit(&s->is_valid, memory_order_relaxed);
    health->is_up                = is_valid && text == NULL;
    if (text == NULL) text = is_valid ? "it answers" : "it has not answered yet";
    (void)snprintf(health->text, sizeof health->text, "%s", text);
}

/* ---- opening and closing ---- */

/* A memory begins: in this process, or in a child of fork(). */
static bool store_begin(struct claim_store *s, char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    (void)snprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, "%s",
                   cassandra_status_text(CASSANDRA_NO_MEMORY));
    pace_begin(&s->pace, false);
    latch_init(&s->has_left);
    s->stage       = STAYING;
    s->has_beaten  = false;
    s->is_nameless = false;
    s->done_ns     = 0;
    for (unsigned i = 0; i < KINDS; i++) s->refusals[i] = NULL;
    atomic_store_explicit(&s->is_ending, false, memory_order_relaxed);
    atomic_store_explicit(&s->is_valid, false, memory_order_relaxed);
    complaint_init(&s->trouble);
    if (!claim_table_init(&s->table, s->options.users_max)) return false;
    if (process_begin(s, clock_now_ns()))
        s->client = cassandra_open(s->url, &s->options.client, problem);
    if (s->client == NULL) {
        claim_table_clear(&s->table);
        return false;
    }
    atomic_store_explicit(&s->is_open, true, memory_order_release);
    cassandra_wake(s->client);
    return true;
}

/* The client goes first: its thread works on all this. In a child of fork() there is none. */
static void store_end(struct claim_store *s) {
    atomic_store_explicit(&s->is_open, false, memory_order_relaxed);
    if (s->client == NULL) return;
    bool is_forked = cassandra_is_forked(s->client);
    cassandra_close(s->client);
    s->client = NULL;
    s->beats  = NULL;
    if (is_forked) { /* in whatever state the parent's thread had it when it forked */
        s->rows     = NULL;
        s->records  = NULL;
        s->row_room = s->record_room = 0;
        return;
    }
    while (s->table.waiting != NULL) (void)claim_record_stop_waiting(s->table.waiting);
    claim_table_clear(&s->table);
}

/* Trips that wait, and errands that are out, are the parent's. */
static bool store_reopen(void *context) {
    struct claim_store *s = context;
    char                problem[CASSANDRA_PROBLEM_BYTES_MAX];
    store_end(s);
    arrivals_init(&s->arrived);
    return store_begin(s, problem);
}

static void store_close(void *context) {
    struct claim_store *s = context;
    if (s->client != NULL && !cassandra_is_forked(s->client)) {
        atomic_store_explicit(&s->is_ending, true, memory_order_release);
        cassandra_wake(s->client);
        (void)latch_wait_until(&s->has_left, clock_now_ns() + LET_GO_NS);
    }
    store_end(s);
    free(s->rows);
    free(s->records);
    free(s);
}

struct claim_store *claim_store_open(struct view url, const struct claim_store_options *options,
                                     char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    struct claim_store *s = calloc(1, sizeof *s);
    if (s == NULL) {
        (void)snprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, "%s",
                       cassandra_status_text(CASSANDRA_NO_MEMORY));
        return NULL;
    }
    s->url                         = url;
    s->options                     = *options;
    s->options.client.turn         = store_turn;
    s->options.client.turn_context = s;
    if (s->options.clock_error_ppm == 0) s->options.clock_error_ppm = CLOCK_ERROR_PPM;
    if (s->options.nodes == 0) s->options.nodes = NODES_DEFAULT;
    if (s->options.users_max == 0) s->options.users_max = USERS_MAX_DEFAULT;
    s->interface = (struct store){.context       = s,
                                  .shard_count   = 1,
                                  .trips_max     = TRIPS_MAX,
                                  .round_trip_ns = ROUND_TRIP_NS,
                                  .clamp_ns      = CLAMP_NS,
                                  .answer_ns     = ANSWER_NS,
                                  .paces_itself  = true,
                                  .serve         = store_serve,
                                  .health        = store_health,
                                  .reopen        = store_reopen,
                                  .close         = store_close};
    if (store_begin(s, problem)) return s;
    free(s);
    return NULL;
}

struct store *claim_store_interface(struct claim_store *s) {
    return &s->interface;
}

bool claim_store_check(struct claim_store *s, const char *keyspace, uint64_t deadline_ns,
                       char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    return ddl_check(s->client, view_of(keyspace), deadline_ns, problem);
}
