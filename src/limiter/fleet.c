/* SPDX-License-Identifier: MIT
 *
 * fleet: drives the holders of a node: parks callers, makes trips, keeps time.
 *
 * Locks, in this order: an entry's bucket (roster.h), its shard's seat, then the pool of trips or the
 * timers. They are held for some dozens of instructions, never across serve(), done(), a wait or a
 * system call, but for one: whoever sets the first of all timers wakes the thread that waits for them.
 * Who is held back (lane.h) is so under both bucket and seat, taken under the seat, and may be held again as
 * of the bucket's lock after that.
 *
 * An answer counts at one instant between call and return. Callers read the clock before they get the
 * bucket's lock, so one may come with an earlier time than the entry has seen; it then counts as of
 * that (newest_ns). Without this a caller who was asleep in between would take a permit that was
 * granted after its own time, and report a use before the grant.
 *
 * Timers only come too early: see timers.c. One thread goes through them: reports, resends, what is
 * given back, tickets whose time is up, beats, the ends of rests. What a caller or a reply brings about is
 * sent by their own threads at once, or held back and sent by that of a later reply. */
#include "limiter/fleet.h"

#include <string.h>

#include "base/contract.h"
#include "base/range.h"
#include "base/wide.h"
#include "lease/holder.h"
#include "limit/limit.h"
#include "limiter/lane.h"
#include "limiter/roster.h"
#include "limiter/shard.h"
#include "limiter/timers.h"
#include "limiter/trips.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/latch.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/slot.h"
#include "os/thread.h"

#define MILLISECOND UINT64_C(1000000)

/* Whoever is due and could do nothing is not looked at again before so much has passed; nor are tickets. */
#define TURN_NS MILLISECOND

/* A store may send trips together, and gives up a connection that misses their deadlines: nobody's impatience
 * may cost the others theirs. */
#define VISIT_NS_MIN (10 * MILLISECOND)

/* What was gathered is kept for so long, until the rest is there too; or for as long as callers wait. */
#define GATHERED_NS_MIN (20 * MILLISECOND)

enum {
    USERS_DEFAULT    = 65536,
    TRIPS_DEFAULT    = 4096, /* as many as the first windows of a Cluster's shards, and more */
    KEPT_PART        = 4,    /* of them, at most, that are kept: two for each shard */
    NODES_DEFAULT    = 8,
    WAIT_DEFAULT_MS  = 20, /* or as many round trips, if that is longer: */
    WAIT_TRIPS       = 4,
    WAIT_PARTS       = 2, /* a trip may take one of so many parts of what callers wait */
    RETRIES_A_TRIP   = 2, /* a trip is given up after so many times the holder's retry_ns */
    SHARDS_MAX       = 4096,
    RELEASED_MAX     = 64,       /* of those who are held, at a time */
    SPREAD_NS        = 50000000, /* holders come back from an outage within this */
    BEAT_WAIT_TRIPS  = 8,        /* round trips */
    BEAT_WAIT_MS_MIN = 20,
};

enum fleet_state { FLEET_IS_OPEN, FLEET_IS_FORKED, FLEET_IS_ENDING };

enum tally {
    TALLY_HOW,
    TALLY_WHY     = TALLY_HOW + FLEET_HOW_COUNT,
    TALLY_ALLOWED = TALLY_WHY + FLEET_WHY_COUNT,
    TALLY_TRIPS,
    TALLY_BEATS,
    TALLY_MISSES,
    TALLY_COUNT,
};

struct tallies {
    _Alignas(64) _Atomic uint64_t count[TALLY_COUNT];
};

struct seat {
    _Alignas(64) struct spin lock;
    _Atomic bool     is_cut;                 /* what shard_is_cut() said last */
    _Atomic bool     is_full[SHARD_WATCHES]; /* the lanes: who comes now is held back */
    _Atomic uint32_t trips_out, beats_out;
    struct shard     shard;
    struct lane      lanes[SHARD_WATCHES];
};

struct fleet {
    _Atomic enum fleet_state  state;
    _Atomic bool              is_storeless; /* a child whose store could not be opened anew */
    _Atomic bool              is_stopping;  /* no more trips */
    bool                      has_thread;
    struct store             *store;
    struct lease_options      lease;
    uint64_t                  wait_ns;
    enum fleet_policy         policy;
    struct shard_watches      watches;
    struct hash_secret        secret; /* of incarnations */
    _Atomic uint64_t          incarnations;
    struct seat              *seats;
    struct trips              trips;
    struct roster             roster;
    struct spin               timer_lock;
    struct timers             timers; /* of entries, then of shards */
    struct latch              bell;   /* the first timer has changed */
    struct random             random; /* the thread's */
    struct thread             thread;
    struct spin               waking;
    struct process_fork_watch forks;
    size_t                    bytes;
    struct tallies            tallies[SLOT_COUNT];
};

struct sleeper {
    struct fleet_ticket ticket; /* first, so that done() finds the latch behind it */
    struct latch        latch;
};

static bool fleet_ask_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                            struct fleet_ticket *ticket);
/* True: answered. False: the ticket is parked. */
static bool          fleet_ask(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                               struct fleet_ticket *t, struct fleet_answer *a);
static bool          fleet_try(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                               struct fleet_ticket *t, struct fleet_answer *a);
static bool          fleet_wake(struct fleet *f);
static struct entry *fleet_enter(struct fleet *f, struct bucket *b, const struct fleet_question *q,
                                 uint64_t now_ns);
static bool          entry_decide(struct fleet *f, struct entry *e, const struct fleet_question *q,
                                  uint64_t now_ns, struct fleet_ticket *t, struct fleet_answer *a);
static void          entry_degrade(const struct fleet *f, struct entry *e, uint64_t cost,
                                   enum fleet_policy policy, enum fleet_why why, uint64_t now_ns,
                                   struct fleet_answer *a);
static struct store_trip *entry_poll(struct fleet *f, struct entry *e, uint64_t now_ns);
static void               lane_release(struct fleet *f, uint32_t shard, uint32_t watch);
static void  entry_go_on(struct fleet *f, struct entry *e, struct bucket *b, bool is_its_turn);
static void  shard_arm(struct fleet *f, uint32_t shard, uint64_t due_ns);
static void  fleet_send(struct fleet *f, struct store_trip *trips);
static void  trip_done(struct store_trip *trip);
static void  fleet_forget(struct fleet *f, const struct store_name *name, uint64_t now_ns);
static void *fleet_run(void *context);

/* Adds without a locked instruction for threads that have a line of counts to themselves. */
static inline void tally_add(struct fleet *f, unsigned which) {
    unsigned          slot = slot_mine();
    _Atomic uint64_t *word = &f->tallies[slot].count[which];
    if (slot != SLOT_SHARED) {
        uint64_t before = atomic_load_explicit(word, memory_order_relaxed);
        atomic_store_explicit(word, before + 1, memory_order_relaxed);
    } else {
        atomic_fetch_add_explicit(word, 1, memory_order_relaxed);
    }
}

static inline void tally_answer(struct fleet *f, const struct fleet_answer *a) {
    tally_add(f, TALLY_HOW + (unsigned)a->how);
    if (a->allowed) tally_add(f, TALLY_ALLOWED);
    if (a->how == FLEET_DEGRADED) tally_add(f, TALLY_WHY + (unsigned)a->why);
}

struct store_name fleet_name_of(struct hash_secret secret, const void *user, size_t user_bytes,
                                uint64_t window_ns, enum algorithm algorithm) {
    REQUIRE(window_ns <= LIMIT_WINDOW_MAX);
    uint64_t           word    = window_ns << 2 | (uint64_t)algorithm;
    struct hash_secret other   = {~secret.k0, secret.k1};
    uint64_t           half[2] = {hash_of(secret, word, user, user_bytes),
                                  hash_of(other, word, user, user_bytes)};
    struct store_name  name;
    for (unsigned i = 0; i < STORE_NAME_BYTES; i++)
        name.bytes[i] = (uint8_t)(half[i / 8] >> 8 * (i % 8));
    return name;
}

const char *fleet_why_text(enum fleet_why why) {
    static const char *const texts[FLEET_WHY_COUNT] = {
        [FLEET_FINE]   = "not degraded",
        [FLEET_LATE]   = "the store did not answer in time",
        [FLEET_CUT]    = "the store has not answered for a while",
        [FLEET_FULL]   = "more users than there is room for have permits in hand",
        [FLEET_FORKED] = "the store could not be opened anew after fork()",
        [FLEET_ENDING] = "the limiter is being closed",
    };
    return why < FLEET_WHY_COUNT ? texts[why] : "not known";
}

/* --- callers --------------------------------------------------------------------------------- */

static void sleeper_wake(struct fleet_ticket *t) {
    latch_open(&((struct sleeper *)(void *)t)->latch);
}

static inline void sleeper_begin(struct sleeper *s) {
    s->ticket.done    = sleeper_wake;
    s->ticket.gathers = false;
    latch_init(&s->latch);
}

static void ticket_unlink(struct fleet_ticket *t) {
    struct entry *e = t->entry;
    if (t->previous != NULL)
        t->previous->next = t->next;
    else
        e->first = t->next;
    if (t->next != NULL)
        t->next->previous = t->previous;
    else
        e->last = t->previous;
    t->is_parked = false;
}

static void ticket_park(struct entry *e, struct fleet_ticket *t, uint64_t now_ns,
                        uint64_t wait_ns) {
    t->entry       = e;
    t->wait_ns     = smaller(wait_ns, LIMIT_NOW_MAX);
    t->deadline_ns = now_ns + t->wait_ns;
    t->is_parked   = true;
    t->next        = NULL;
    t->previous    = e->last;
    if (e->last != NULL)
        e->last->next = t;
    else
        e->first = t;
    e->last = t;
}

void fleet_decide(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                  struct fleet_answer *answer) {
    struct sleeper s;
    sleeper_begin(&s);
    if (fleet_ask(f, q, now_ns, &s.ticket, answer)) return;

    if (!latch_wait_until(&s.latch, s.ticket.deadline_ns)) {
        uint64_t       late_ns = clock_now_ns();
        struct bucket *b       = roster_lock(&f->roster, &q->name);
        bool           is_late = s.ticket.is_parked;
        if (is_late) {
            ticket_unlink(&s.ticket);
            entry_degrade(f, s.ticket.entry, q->cost, s.ticket.policy, FLEET_LATE, late_ns,
                          &s.ticket.answer);
        }
        roster_unlock(b);
        if (is_late)
            tally_answer(f, &s.ticket.answer);
        else
            latch_wait(&s.latch); /* it is being answered this moment */
    }
    *answer = s.ticket.answer;
}

bool fleet_decide_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                        struct fleet_ticket *ticket) {
    REQUIRE(ticket->done != NULL);
    ticket->gathers = false;
    return fleet_ask_async(f, q, now_ns, ticket);
}

static bool fleet_ask_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                            struct fleet_ticket *ticket) {
    struct fleet_answer answer; /* the ticket may be answered and gone before this returns */
    if (!fleet_ask(f, q, now_ns, ticket, &answer)) return false;
    ticket->answer = answer;
    return true;
}

static inline bool fleet_is_open(struct fleet *f) {
    enum fleet_state state = atomic_load_explicit(&f->state, memory_order_acquire);
    return __builtin_expect(state == FLEET_IS_OPEN, 1) || fleet_wake(f);
}

static bool fleet_ask(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                      struct fleet_ticket *t, struct fleet_answer *a) {
    REQUIRE(q->limit <= LIMIT_MAX);
    REQUIRE(q->window_ns > 0);
    REQUIRE(q->window_ns <= LIMIT_WINDOW_MAX);
    REQUIRE(q->cost > 0);

    bool is_answered = fleet_try(f, q, now_ns, t, a);
    if (is_answered && !t->gathers) tally_answer(f, a);
    return is_answered;
}

static bool fleet_try(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                      struct fleet_ticket *t, struct fleet_answer *a) {
    if (q->cost > q->limit) {
        *a = (struct fleet_answer){.how = FLEET_BY_RULE, .retry_after_ns = LIMIT_NEVER};
        return true;
    }
    if (!fleet_is_open(f)) {
        entry_degrade(f, NULL, q->cost, q->policy, FLEET_ENDING, now_ns, a);
        return true;
    }
    struct bucket *b = roster_lock(&f->roster, &q->name);
    struct entry  *e = roster_find(&f->roster, b, &q->name, q->limit, q->window_ns);
    if (e == NULL) e = fleet_enter(f, b, q, now_ns);
    if (e == NULL) {
        roster_unlock(b);
        entry_degrade(f, NULL, q->cost, FLEET_CLOSED, FLEET_FULL, now_ns, a);
        return true;
    }
    e->newest_ns                   = larger(e->newest_ns, now_ns);
    bool               is_answered = entry_decide(f, e, q, e->newest_ns, t, a);
    struct store_trip *trips       = entry_poll(f, e, e->newest_ns);
    roster_unlock(b);
    fleet_send(f, trips);
    return is_answered;
}

/* --- an entry: its bucket is locked ---------------------------------------------------------- */

uint32_t fleet_shard_of(const struct fleet *f, const struct store_name *name) {
    return (uint32_t)((uint128)hash_load(name->bytes, 8) * f->store->shard_count >> 64);
}

static void entry_begin_holder(struct fleet *f, struct entry *e) {
    uint64_t incarnation = hash_of(f->secret, atomic_fetch_add(&f->incarnations, 1), NULL, 0);
    holder_begin(&e->holder, &e->terms, incarnation);
}

static struct entry *fleet_enter(struct fleet *f, struct bucket *b, const struct fleet_question *q,
                                 uint64_t now_ns) {
    struct entry *e = roster_claim(&f->roster, b, &q->name, q->limit, q->window_ns, now_ns);
    if (e == NULL) return NULL;

    e->shard = fleet_shard_of(f, &q->name);
    e->watch = shard_terms_make(&f->watches, q->limit, q->window_ns, &f->lease, &e->terms);
    entry_begin_holder(f, e);
    e->local     = (struct counter){0};
    e->newest_ns = 0;
    e->free      = 0;
    e->trips_out = 0;
    e->is_armed  = false;
    e->is_held   = false;
    e->first = e->last = NULL;
    return e;
}

/* Whether nobody is to wait for the store, and why. */
static inline enum fleet_why shard_cut(const struct fleet *f, uint32_t shard) {
    if (atomic_load_explicit(&f->is_storeless, memory_order_relaxed)) return FLEET_FORKED;
    bool is_cut = atomic_load_explicit(&f->seats[shard].is_cut, memory_order_relaxed);
    return is_cut ? FLEET_CUT : FLEET_FINE;
}

static inline enum fleet_why entry_cut(const struct fleet *f, const struct entry *e) {
    return shard_cut(f, e->shard);
}

/* Makes the timers come to the entry at due_ns. */
static void entry_arm(struct fleet *f, struct entry *e, uint64_t due_ns) {
    if (due_ns == UINT64_MAX) return;
    e->is_armed = true;
    spin_lock(&f->timer_lock);
    bool is_first = timers_hasten(&f->timers, e->number, due_ns);
    spin_unlock(&f->timer_lock);
    if (is_first) latch_open(&f->bell);
}

uint64_t fleet_wait_ns(const struct fleet *f, const struct fleet_question *q) {
    return q->wait_ns == FLEET_WAIT_DEFAULT ? f->wait_ns : q->wait_ns;
}

/* A permit that is taken now is free again by then. */
static inline uint64_t back_after_ns(uint64_t term_us, uint64_t hold_us) {
    return (term_us + hold_us) * 1000;
}

static inline uint64_t entry_back_ns(const struct entry *e) {
    return back_after_ns(e->terms.term_us, e->terms.hold_us);
}

/* With so many in hand. */
static inline struct fleet_answer entry_allows(const struct entry *e, enum fleet_how how,
                                               uint64_t left) {
    return (struct fleet_answer){.allowed       = true,
                                 .how           = how,
                                 .remaining     = smaller(e->limit, left + e->free),
                                 .back_after_ns = entry_back_ns(e)};
}

/* What was free at the store may be an older word than its no. */
static inline struct fleet_answer entry_denies(const struct entry *e, enum fleet_how how,
                                               uint64_t left, uint64_t cost,
                                               uint64_t retry_after_ns) {
    return (struct fleet_answer){.how            = how,
                                 .remaining      = smaller(cost - 1, left + e->free),
                                 .retry_after_ns = retry_after_ns,
                                 .back_after_ns  = entry_back_ns(e)};
}

/* True: what is gathered is in hand, and stays there for a while. */
static bool entry_gather(const struct fleet *f, struct entry *e, uint64_t cost, enum fleet_how how,
                         uint64_t now_ns, struct fleet_answer *a) {
    uint64_t until_ns, left = holder_left(&e->holder, now_ns, &until_ns);
    if (left < cost) return false;
    holder_keep(&e->holder, now_ns + larger(GATHERED_NS_MIN, f->wait_ns));
    *a = entry_allows(e, how, left - cost);
    return true;
}

/* True: answered; false: parked. */
static bool entry_decide(struct fleet *f, struct entry *e, const struct fleet_question *q,
                         uint64_t now_ns, struct fleet_ticket *t, struct fleet_answer *a) {
    uint64_t       until_ns;
    enum fleet_why why = entry_cut(f, e);
    if (why != FLEET_FINE && holder_left(&e->holder, now_ns, &until_ns) < q->cost) {
        entry_degrade(f, e, q->cost, q->policy, why, now_ns, a);
        return true;
    }
    if (t->gathers && entry_gather(f, e, q->cost, FLEET_IN_HAND, now_ns, a)) return true;
    struct holder_answer answer = holder_ask(&e->holder, q->cost, now_ns);
    if (answer.outcome != HOLDER_WAIT) {
        uint64_t left = holder_left(&e->holder, now_ns, &until_ns);
        if (answer.outcome == HOLDER_ALLOWED)
            *a = entry_allows(e, FLEET_IN_HAND, left);
        else
            *a = entry_denies(e, FLEET_CACHED, left, q->cost, answer.retry_after_ns);
        return true;
    }
    uint64_t wait_ns = fleet_wait_ns(f, q);
    if (wait_ns == 0) {
        entry_degrade(f, e, q->cost, q->policy, FLEET_LATE, now_ns, a);
        return true;
    }
    t->cost   = q->cost;
    t->policy = q->policy;
    ticket_park(e, t, now_ns, wait_ns);
    if (t->done != sleeper_wake) entry_arm(f, e, t->deadline_ns); /* a sleeper wakes by itself */
    return false;
}

/* Answers without the store. No entry: nothing can be counted, so FLEET_LOCAL has no share to give. */
static void entry_degrade(const struct fleet *f, struct entry *e, uint64_t cost,
                          enum fleet_policy policy, enum fleet_why why, uint64_t now_ns,
                          struct fleet_answer *a) {
    if (policy == FLEET_DEFAULT) policy = f->policy;
    *a = (struct fleet_answer){
        .allowed = policy == FLEET_OPEN, .how = FLEET_DEGRADED, .why = why, .policy = policy};
    if (e != NULL && policy == FLEET_LOCAL) {
        uint64_t share     = larger(1, e->limit / f->lease.nodes);
        uint64_t span_us   = lease_terms_store_us_max(e->terms.clock_error_ppm, e->window_ns, true);
        struct rule   rule = {.limit     = share,
                              .window_ns = smaller(span_us * 1000, LIMIT_WINDOW_MAX),
                              .algorithm = ALGORITHM_STRICT};
        struct answer answer;
        e->newest_ns = larger(e->newest_ns, now_ns);
        limit_decide(&e->local, &rule, cost, e->newest_ns, &answer);
        a->allowed = answer.allowed;
    }
    if (!a->allowed) a->retry_after_ns = e != NULL ? e->terms.retry_ns : f->wait_ns;
}

/* --- trips ----------------------------------------------------------------------------------- */

static bool has_none(const _Atomic uint32_t *out) {
    return atomic_load_explicit(out, memory_order_relaxed) == 0;
}

/* What is common to all; `out` are those of its kind and shard. NULL: none is left for these. */
static struct fleet_trip *trip_take(struct fleet *f, uint32_t shard, _Atomic uint32_t *out,
                                    uint64_t now_ns) {
    struct fleet_trip *t = trips_take(&f->trips, has_none(out));
    if (t == NULL) return NULL;
    atomic_fetch_add_explicit(out, 1, memory_order_relaxed);
    t->fleet         = f;
    t->entry         = NULL;
    t->visitor       = NULL;
    t->sent_ns       = now_ns;
    t->trip.name     = (struct store_name){{0}};
    t->trip.shard    = shard;
    t->trip.is_beat  = true;
    t->trip.done     = trip_done;
    t->trip.context  = t;
    t->trip.reason   = NULL;
    t->trip.is_alone = false;
    t->trip.next     = NULL;
    t->trip.deadline_ns =
        now_ns + larger(BEAT_WAIT_TRIPS * f->lease.round_trip_ns, BEAT_WAIT_MS_MIN * MILLISECOND);
    return t;
}

/* A beat, but for its request. */
static struct fleet_trip *beat_new(struct fleet *f, uint32_t shard, uint64_t now_ns) {
    return trip_take(f, shard, &f->seats[shard].beats_out, now_ns);
}

/* Of an account, or a visit. */
static struct fleet_trip *trip_new(struct fleet *f, uint32_t shard, uint64_t now_ns) {
    return trip_take(f, shard, &f->seats[shard].trips_out, now_ns);
}

/* Whether it steps the shard's clock as soon as it comes there. */
static bool trip_is_contact(const struct fleet *f, const struct lease_request *request) {
    return !f->store->grants_wait || request->id.sequence == 0;
}

/* The seat is locked. */
static void seat_note_lane(struct seat *seat, uint32_t watch, uint64_t now_ns) {
    bool is_full = lane_is_full(&seat->lanes[watch], now_ns);
    atomic_store_explicit(&seat->is_full[watch], is_full, memory_order_relaxed);
}

/* Whether a trip has a lane: one of an account, to a store that does not pace itself. */
static inline bool fleet_has_lanes(const struct fleet *f) { return !f->store->paces_itself; }

/* True: what the holder wants sent waits for others' trips to come back. The end of one that is out comes
 * here again, and so do those who are held, in their order. */
static bool entry_hold_back(struct fleet *f, struct entry *e, uint64_t now_ns) {
    struct seat *seat = &f->seats[e->shard];
    if (!atomic_load_explicit(&seat->is_full[e->watch], memory_order_relaxed)) return false;
    if (e->is_held || e->trips_out > 0) return true;
    if (!holder_would_send(&e->holder, now_ns)) return false;
    spin_lock(&seat->lock);
    struct lane *lane    = &seat->lanes[e->watch];
    bool         is_full = lane_is_full(lane, now_ns);
    if (is_full) lane_hold(lane, &f->roster, e);
    spin_unlock(&seat->lock);
    return is_full;
}

/* When its shard is to be contacted next, or a lane wakes. The seat is locked. */
static uint64_t seat_next_ns(const struct seat *seat) {
    uint64_t next_ns = shard_next_ns(&seat->shard);
    for (uint32_t i = 0; i < SHARD_WATCHES; i++) {
        uint64_t wakes_ns = seat->lanes[i].wakes_ns;
        if (wakes_ns != 0) next_ns = smaller(next_ns, wakes_ns);
    }
    return next_ns;
}

/* No trip is free: it waits for one behind those who do so already, and they are looked at when one has come
 * back, or a moment later. Each of thousands would else be looked at in each of these. */
static void entry_hold_for_trip(struct fleet *f, struct entry *e, uint64_t now_ns) {
    struct seat *seat = &f->seats[e->shard];
    if (e->is_held || e->trips_out > 0) return;
    spin_lock(&seat->lock);
    struct lane *lane = &seat->lanes[e->watch];
    lane_hold(lane, &f->roster, e);
    lane->lacks_trip = true;
    seat_note_lane(seat, e->watch, now_ns);
    spin_unlock(&seat->lock);
    shard_arm(f, e->shard, now_ns + TURN_NS);
}

/* What the holder wants sent, as a list; fleet_send() takes it when the bucket is unlocked. */
static struct store_trip *entry_poll_now(struct fleet *f, struct entry *e, uint64_t now_ns) {
    struct store_trip *list     = NULL;
    bool               is_short = false;
    bool               is_cut   = entry_cut(f, e) != FLEET_FINE || atomic_load(&f->is_stopping);
    while (!is_cut && holder_would_send(&e->holder, now_ns)) {
        struct fleet_trip *t = trip_new(f, e->shard, now_ns);
        is_short             = t == NULL;
        if (is_short) break;
        bool is_sent = holder_poll(&e->holder, now_ns, &t->trip.request);
        INVARIANT(is_sent);
        struct seat *seat = &f->seats[e->shard];
        spin_lock(&seat->lock);
        if (fleet_has_lanes(f)) {
            lane_send(&seat->lanes[e->watch]);
            seat_note_lane(seat, e->watch, now_ns);
        }
        shard_use(&seat->shard, &e->terms, trip_is_contact(f, &t->trip.request), now_ns);
        shard_tell_seen(&seat->shard, &t->trip.request);
        uint64_t beat_ns = shard_next_ns(&seat->shard);
        spin_unlock(&seat->lock);
        shard_arm(f, e->shard, beat_ns);

        t->entry        = e;
        t->trip.is_beat = false;
        t->trip.name    = e->name;
        t->trip.deadline_ns =
            now_ns + larger(RETRIES_A_TRIP * e->terms.retry_ns, f->store->answer_ns);
        t->trip.next = list;
        list         = &t->trip;
        e->trips_out++;
    }
    if (is_short) entry_hold_for_trip(f, e, now_ns);
    if (!e->is_held && (list != NULL || !e->is_armed))
        entry_arm(f, e, larger(holder_next_ns(&e->holder), now_ns + TURN_NS));
    return list;
}

static struct store_trip *entry_poll(struct fleet *f, struct entry *e, uint64_t now_ns) {
    return entry_hold_back(f, e, now_ns) ? NULL : entry_poll_now(f, e, now_ns);
}

static void trips_append(struct store_trip **list, struct store_trip *more) {
    while (*list != NULL) list = &(*list)->next;
    *list = more;
}

static void fleet_send(struct fleet *f, struct store_trip *trips) {
    while (trips != NULL) {
        struct store_trip *trip = trips;
        trips                   = trip->next;
        tally_add(f, trip->is_beat ? TALLY_BEATS : TALLY_TRIPS);
        f->store->serve(f->store->context, trip);
    }
}

/* Tells those who were unlinked, as a list. */
static void fleet_tell(struct fleet *f, struct fleet_ticket *tickets) {
    while (tickets != NULL) {
        struct fleet_ticket *t = tickets;
        tickets                = t->next; /* it is gone when it is told */
        if (!t->gathers) tally_answer(f, &t->answer);
        t->done(t);
    }
}

/* The store has answered: those who wait ask again, in their order. */
static struct fleet_ticket *entry_ask_again(const struct fleet *f, struct entry *e,
                                            uint64_t now_ns) {
    struct fleet_ticket *told = NULL, **end = &told;
    for (struct fleet_ticket *t = e->first, *next; t != NULL; t = next) {
        next = t->next;
        if (!t->gathers || !entry_gather(f, e, t->cost, FLEET_BY_TRIP, now_ns, &t->answer)) {
            struct holder_answer answer = holder_ask_again(&e->holder, t->cost, now_ns);
            if (answer.outcome == HOLDER_WAIT) continue;
            uint64_t until_ns, left = holder_left(&e->holder, now_ns, &until_ns);
            if (answer.outcome == HOLDER_ALLOWED)
                t->answer = entry_allows(e, FLEET_BY_TRIP, left);
            else
                t->answer = entry_denies(e, FLEET_BY_TRIP, left, t->cost, answer.retry_after_ns);
        }
        ticket_unlink(t);
        t->next = NULL;
        *end    = t;
        end     = &t->next;
    }
    return told;
}

/* Unlinks and answers those whose time is up, or all, if the store is cut off, or will not serve them.
 * *next_ns: when the next one's is. */
static struct fleet_ticket *entry_expire(const struct fleet *f, struct entry *e, bool is_refused,
                                         uint64_t now_ns, uint64_t *next_ns) {
    struct fleet_ticket *told = NULL, **end = &told;
    enum fleet_why       cut = entry_cut(f, e);
    *next_ns                 = UINT64_MAX;
    for (struct fleet_ticket *t = e->first, *next; t != NULL; t = next) {
        bool is_late = is_refused || now_ns >= t->deadline_ns;
        next         = t->next;
        if (cut == FLEET_FINE && !is_late) {
            *next_ns = smaller(*next_ns, t->deadline_ns);
            continue;
        }
        ticket_unlink(t);
        entry_degrade(f, e, t->cost, t->policy, is_late ? FLEET_LATE : cut, now_ns, &t->answer);
        t->next = NULL;
        *end    = t;
        end     = &t->next;
    }
    return told;
}

/* The visitor's answer, but for telling it. */
static void visit_end(struct fleet *f, const struct fleet_trip *t, uint64_t now_ns) {
    struct fleet_ticket        *visitor = t->visitor;
    const struct lease_request *q       = &t->trip.request;
    if (t->trip.status != STORE_DONE) {
        entry_degrade(f, NULL, 1, visitor->policy, FLEET_LATE, now_ns, &visitor->answer);
    } else {
        uint64_t retry_us = t->trip.reply.retry_after_us;
        visitor->answer   = (struct fleet_answer){
              .allowed        = retry_us == 0,
              .how            = FLEET_BY_TRIP,
              .remaining      = t->trip.reply.free,
              .retry_after_ns = retry_us == LEASE_NEVER ? LIMIT_NEVER : retry_us * 1000,
              .back_after_ns  = back_after_ns(q->term_us, q->hold_us)};
        if (q->is_reset) fleet_forget(f, &t->trip.name, now_ns);
    }
    if (!q->is_reset) tally_answer(f, &visitor->answer);
}

static enum lane_end trip_lane_end(const struct fleet *f, const struct fleet_trip *t,
                                   uint32_t watch, uint64_t now_ns) {
    const struct lease_reply *reply = &t->trip.reply;
    if (t->trip.status != STORE_DONE) return t->trip.is_alone ? LANE_SAYS_NOTHING : LANE_MISSED;
    bool is_late = now_ns > reply->sent_ns + f->watches.tolerance_ns[watch];
    if (is_late && reply->granted > 0) return LANE_LATE;
    bool is_slow = now_ns > t->sent_ns + f->wait_ns / WAIT_PARTS;
    if (is_slow) return is_late ? LANE_SLOW_WORD : LANE_SLOW;
    return is_late ? LANE_SAYS_NOTHING : LANE_IN_TIME;
}

/* On the store's thread. */
static void trip_done(struct store_trip *trip) {
    struct fleet_trip  *t           = trip->context;
    struct fleet       *f           = t->fleet;
    struct entry       *e           = t->entry;
    struct seat        *seat        = &f->seats[trip->shard];
    struct lease_reply *reply       = &trip->reply;
    uint64_t            now_ns      = larger(clock_now_ns(), t->sent_ns);
    bool                is_answered = trip->status == STORE_DONE;
    uint32_t            shard = trip->shard, watch = e != NULL ? e->watch : 0;
    if (!is_answered) tally_add(f, TALLY_MISSES);
    if (!is_answered || reply->sent_ns == 0) reply->sent_ns = t->sent_ns;

    spin_lock(&seat->lock);
    bool says_of_store = is_answered || !trip->is_alone;
    if (says_of_store) shard_note(&seat->shard, trip->is_beat, is_answered, t->sent_ns, now_ns);
    if (is_answered)
        shard_see(&seat->shard, trip->request.era_seen_us, reply,
                  e == NULL ? SHARD_WATCHES : e->watch, now_ns);
    if (is_answered && trip->is_beat) shard_owe(&seat->shard, reply->retry_after_us, now_ns);
    if (e != NULL && fleet_has_lanes(f)) {
        lane_end(&seat->lanes[watch], trip_lane_end(f, t, watch, now_ns), t->sent_ns, now_ns);
        seat_note_lane(seat, watch, now_ns);
    }
    /* Its own lane may have room again, and those that lack a trip another one. */
    bool wakes[SHARD_WATCHES];
    for (uint32_t i = 0; i < SHARD_WATCHES; i++) {
        bool is_own = e != NULL && i == watch;
        wakes[i]    = seat->lanes[i].held > 0 && (is_own || seat->lanes[i].lacks_trip);
    }
    uint64_t beat_ns = seat_next_ns(seat);
    atomic_store_explicit(&seat->is_cut, shard_is_cut(&seat->shard), memory_order_relaxed);
    spin_unlock(&seat->lock);
    shard_arm(f, trip->shard, beat_ns);

    struct store_trip   *trips = NULL;
    struct fleet_ticket *told  = NULL;
    if (e != NULL) {
        struct bucket *b = roster_lock_entry(&f->roster, e);
        INVARIANT(b != NULL); /* nobody leaves who has a trip out */
        e->trips_out--;
        e->newest_ns = larger(e->newest_ns, now_ns);
        if (is_answered) {
            spin_lock(&seat->lock);
            bool is_news =
                holder_take(&e->holder, &seat->shard.watches[e->watch], reply, e->newest_ns);
            spin_unlock(&seat->lock);
            e->free = reply->free;
            if (is_news) told = entry_ask_again(f, e, e->newest_ns);
        } else {
            uint64_t deadline_ns; /* a timer or a sleeper looks after it */
            bool     is_refused = trip->is_alone && trip->status == STORE_REFUSED;
            told                = entry_expire(f, e, is_refused, e->newest_ns, &deadline_ns);
        }
        trips = entry_poll(f, e, e->newest_ns);
        entry_arm(f, e, larger(holder_next_ns(&e->holder), e->newest_ns + TURN_NS));
        roster_unlock(b);
    }
    struct fleet_ticket *visitor = t->visitor;
    if (visitor != NULL) visit_end(f, t, now_ns);
    atomic_fetch_sub_explicit(trip->is_beat ? &seat->beats_out : &seat->trips_out, 1,
                              memory_order_relaxed);
    trips_put(&f->trips, t);
    fleet_send(f, trips);
    fleet_tell(f, told);
    if (visitor != NULL) visitor->done(visitor);
    /* Its own lane last: a crowd would else take each trip again as it comes back. */
    for (uint32_t i = watch + 1; i <= watch + SHARD_WATCHES; i++)
        if (wakes[i % SHARD_WATCHES]) lane_release(f, shard, i % SHARD_WATCHES);
    trips_end(&f->trips);
}

/* All who waited have gone, or will have before an answer comes. */
static bool entry_is_too_late(const struct fleet *f, const struct entry *e, uint64_t took_ns,
                              uint64_t now_ns) {
    uint64_t least_ns = f->lease.round_trip_ns;
    for (const struct fleet_ticket *t = e->first; t != NULL; t = t->next) {
        uint64_t wait_ns = larger(t->wait_ns, f->wait_ns); /* who is hasty is no measure */
        /* How long trips take, a store that paces itself knows alone. */
        uint64_t margin_ns = least_ns;
        if (fleet_has_lanes(f)) margin_ns = lane_margin_ns(took_ns, least_ns, wait_ns);
        if (t->deadline_ns >= now_ns + margin_ns) return false;
    }
    return true;
}

/* Others will come for it, as long as anybody may, or it is not worth a trip. */
static void entry_pass_over(struct fleet *f, struct entry *e) {
    bool is_open = atomic_load_explicit(&f->state, memory_order_relaxed) == FLEET_IS_OPEN;
    if (is_open && holder_is_in_demand(&e->holder, e->newest_ns))
        holder_ask_ahead(&e->holder);
    else
        holder_give_up(&e->holder);
}

/* The next of those who are held, if there is room; NULL: there is none, or nobody is. And what a trip took
 * there lately. */
static struct entry *seat_take_held(struct fleet *f, struct seat *seat, uint32_t watch,
                                    uint64_t now_ns, uint64_t *took_ns) {
    spin_lock(&seat->lock);
    struct entry *e = lane_take(&seat->lanes[watch], &f->roster, now_ns);
    *took_ns        = seat->lanes[watch].took_ns;
    seat_note_lane(seat, watch, now_ns);
    spin_unlock(&seat->lock);
    return e;
}

/* A trip has come back, or the lane wakes. Many may be passed over, or no trip may be free: what is left
 * is left to the timers. */
static void lane_release(struct fleet *f, uint32_t shard, uint32_t watch) {
    struct seat *seat     = &f->seats[shard];
    uint64_t     now_ns   = clock_now_ns(), took_ns;
    bool         is_short = false;
    for (unsigned i = 0; i < RELEASED_MAX; i++) {
        is_short = trips_are_short(&f->trips, has_none(&seat->trips_out));
        if (is_short) break; /* nobody loses their place */
        struct entry *e = seat_take_held(f, seat, watch, now_ns, &took_ns);
        if (e == NULL) return;
        struct bucket *b = roster_lock_entry(&f->roster, e);
        INVARIANT(b != NULL); /* nobody leaves who is held */
        e->is_held   = false;
        e->newest_ns = larger(e->newest_ns, now_ns);
        if (entry_is_too_late(f, e, took_ns, e->newest_ns)) entry_pass_over(f, e);
        entry_go_on(f, e, b, true);
    }
    spin_lock(&seat->lock);
    struct lane *lane = &seat->lanes[watch];
    lane->lacks_trip  = is_short && lane->held > 0;
    if (!is_short) lane_go_on_later(lane, now_ns);
    uint64_t next_ns = seat_next_ns(seat);
    if (lane->lacks_trip) next_ns = smaller(next_ns, now_ns + TURN_NS);
    spin_unlock(&seat->lock);
    shard_arm(f, shard, next_ns);
}

/* --- together -------------------------------------------------------------------------------- */

bool fleet_gather_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                        struct fleet_ticket *ticket) {
    struct fleet_question mine = *q;
    if (mine.policy == FLEET_DEFAULT) mine.policy = f->policy;
    if (mine.policy == FLEET_LOCAL) mine.policy = FLEET_CLOSED;
    ticket->gathers = true;
    return fleet_ask_async(f, &mine, now_ns, ticket);
}

void fleet_note(struct fleet *f, const struct fleet_answer *answer) { tally_answer(f, answer); }

/* The entry of each question, with the buckets of all locked, in the order of their addresses. */
struct joined {
    struct bucket *buckets[FLEET_JOINED_MAX];
    size_t         bucket_count;
    struct entry  *entries[FLEET_JOINED_MAX];
    uint64_t       cost[FLEET_JOINED_MAX]; /* of all questions for the same entry up to this one */
};

static void joined_lock(struct fleet *f, const struct fleet_question *const *q, size_t count,
                        struct joined *j) {
    j->bucket_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct bucket *b  = roster_bucket(&f->roster, &q[i]->name);
        size_t         at = j->bucket_count;
        while (at > 0 && j->buckets[at - 1] > b) at--;
        if (at > 0 && j->buckets[at - 1] == b) continue;
        for (size_t k = j->bucket_count++; k > at; k--) j->buckets[k] = j->buckets[k - 1];
        j->buckets[at] = b;
    }
    for (size_t i = 0; i < j->bucket_count; i++) spin_lock(&j->buckets[i]->lock);
}

/* Whether all is in hand at *now_ns, which becomes the newest time that any of them has seen. */
static bool joined_is_there(struct fleet *f, const struct fleet_question *const *q, size_t count,
                            struct joined *j, uint64_t *now_ns) {
    for (size_t i = 0; i < count; i++) {
        const struct bucket *b = roster_bucket(&f->roster, &q[i]->name);
        j->entries[i] = roster_find(&f->roster, b, &q[i]->name, q[i]->limit, q[i]->window_ns);
        if (j->entries[i] == NULL) return false;
        *now_ns    = larger(*now_ns, j->entries[i]->newest_ns);
        j->cost[i] = q[i]->cost;
        for (size_t k = i; k-- > 0;) {
            if (j->entries[k] != j->entries[i]) continue;
            j->cost[i] += j->cost[k];
            break;
        }
    }
    for (size_t i = 0; i < count; i++) {
        uint64_t until_ns;
        if (holder_left(&j->entries[i]->holder, *now_ns, &until_ns) < j->cost[i]) return false;
    }
    return true;
}

bool fleet_take_all(struct fleet *f, const struct fleet_question *const *q, size_t count,
                    uint64_t now_ns, struct fleet_answer *const *answers) {
    REQUIRE(count <= FLEET_JOINED_MAX);
    struct joined      j;
    struct store_trip *trips = NULL;
    if (!fleet_is_open(f)) return false;
    joined_lock(f, q, count, &j);
    bool is_there = joined_is_there(f, q, count, &j, &now_ns);
    for (size_t i = 0; is_there && i < count; i++) {
        struct entry        *e = j.entries[i];
        uint64_t             until_ns;
        struct holder_answer taken = holder_ask(&e->holder, q[i]->cost, now_ns);
        INVARIANT(taken.outcome == HOLDER_ALLOWED);
        e->newest_ns = now_ns;
        *answers[i]  = entry_allows(e, FLEET_IN_HAND, holder_left(&e->holder, now_ns, &until_ns));
        trips_append(&trips, entry_poll(f, e, now_ns));
    }
    for (size_t i = 0; i < j.bucket_count; i++) spin_unlock(&j.buckets[i]->lock);
    fleet_send(f, trips);
    return is_there;
}

/* --- visits: looks and resets ---------------------------------------------------------------- */

/* What this node has of an account is void: the store does not know it any more. Who waits asks anew. */
static void fleet_forget(struct fleet *f, const struct store_name *name, uint64_t now_ns) {
    struct store_trip *trips = NULL;
    struct bucket     *b     = roster_lock(&f->roster, name);
    for (uint32_t i = 0; i < b->count; i++) {
        struct entry *e = &f->roster.entries[b->entry[i]];
        if (memcmp(&e->name, name, sizeof *name) != 0) continue;
        e->newest_ns = larger(e->newest_ns, now_ns);
        entry_begin_holder(f, e);
        e->local = (struct counter){0};
        for (struct fleet_ticket *t = e->first; t != NULL; t = t->next)
            (void)holder_ask_again(&e->holder, t->cost,
                                   e->newest_ns); /* nothing is in hand: it waits */
        trips_append(&trips, entry_poll(f, e, e->newest_ns));
    }
    roster_unlock(b);
    fleet_send(f, trips);
}

/* Asks the store about an account without an entry for it. True: the ticket is answered, by the policy. */
static bool fleet_visit(struct fleet *f, const struct fleet_question *q, bool is_reset,
                        uint64_t now_ns, struct fleet_ticket *ticket) {
    uint32_t           shard = fleet_shard_of(f, &q->name);
    struct seat       *seat  = &f->seats[shard];
    struct lease_terms terms;
    (void)shard_terms_make(&f->watches, q->limit, q->window_ns, &f->lease, &terms);
    struct lease_request request = {.need     = is_reset ? 0 : 1,
                                    .want     = is_reset ? 0 : 1,
                                    .limit    = q->limit,
                                    .term_us  = terms.term_us,
                                    .hold_us  = terms.hold_us,
                                    .is_reset = is_reset};
    uint64_t             wait_ns = fleet_wait_ns(f, q);
    enum fleet_why       why     = shard_cut(f, shard);
    struct fleet_trip   *t = why == FLEET_FINE && wait_ns > 0 ? trip_new(f, shard, now_ns) : NULL;
    if (t == NULL) {
        entry_degrade(f, NULL, 1, q->policy, why != FLEET_FINE ? why : FLEET_LATE, now_ns,
                      &ticket->answer);
        if (!is_reset) tally_answer(f, &ticket->answer);
        return true;
    }
    t->trip.request = request;
    spin_lock(&seat->lock);
    shard_use(&seat->shard, &terms, trip_is_contact(f, &request), now_ns);
    shard_tell_seen(&seat->shard, &t->trip.request);
    spin_unlock(&seat->lock);
    ticket->policy      = q->policy;
    t->visitor          = ticket;
    t->trip.is_beat     = false;
    t->trip.name        = q->name;
    t->trip.deadline_ns = now_ns + larger(VISIT_NS_MIN, smaller(wait_ns, LIMIT_NOW_MAX));
    fleet_send(f, &t->trip);
    return false;
}

bool fleet_look_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                      struct fleet_ticket *ticket) {
    if (q->limit == 0 || !fleet_is_open(f)) {
        struct fleet_question one = *q;
        one.cost                  = 1;
        return fleet_decide_async(f, &one, now_ns, ticket);
    }
    struct bucket *b    = roster_lock(&f->roster, &q->name);
    struct entry  *e    = roster_find(&f->roster, b, &q->name, q->limit, q->window_ns);
    uint64_t       left = 0, until_ns;
    if (e != NULL) left = holder_left(&e->holder, larger(e->newest_ns, now_ns), &until_ns);
    if (left > 0) ticket->answer = entry_allows(e, FLEET_IN_HAND, left);
    roster_unlock(b);
    if (left == 0) return fleet_visit(f, q, false, now_ns, ticket);
    tally_answer(f, &ticket->answer);
    return true;
}

void fleet_look(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                struct fleet_answer *answer) {
    struct sleeper s;
    sleeper_begin(&s);
    if (!fleet_look_async(f, q, now_ns, &s.ticket)) latch_wait(&s.latch);
    *answer = s.ticket.answer;
}

bool fleet_reset(struct fleet *f, const struct fleet_question *q, uint64_t now_ns) {
    struct sleeper s;
    sleeper_begin(&s);
    if (!fleet_is_open(f)) return false;
    if (!fleet_visit(f, q, true, now_ns, &s.ticket)) latch_wait(&s.latch);
    return s.ticket.answer.how == FLEET_BY_TRIP;
}

/* --- timers ---------------------------------------------------------------------------------- */

/* A shard's number follows those of the entries. */
static void shard_arm(struct fleet *f, uint32_t shard, uint64_t due_ns) {
    if (due_ns == UINT64_MAX) return;
    spin_lock(&f->timer_lock);
    bool is_first = timers_hasten(&f->timers, f->roster.entries_max + shard, due_ns);
    spin_unlock(&f->timer_lock);
    if (is_first) latch_open(&f->bell);
}

/* What is to be sent of an entry that is cut off is looked at again after the next probe. */
static void entry_put_off(struct fleet *f, struct entry *e, uint64_t now_ns) {
    if (holder_next_ns(&e->holder) == UINT64_MAX) return;
    struct seat *seat = &f->seats[e->shard];
    spin_lock(&seat->lock);
    uint64_t probe_ns  = shard_next_ns(&seat->shard);
    uint64_t spread_ns = random_below(&seat->shard.random, SPREAD_NS);
    spin_unlock(&seat->lock);
    uint64_t at_ns = now_ns + SPREAD_NS;
    if (probe_ns != UINT64_MAX) at_ns = larger(at_ns, probe_ns);
    entry_arm(f, e, at_ns + spread_ns);
}

/* Ends tickets and sends what is due, and unlocks the bucket. */
static void entry_go_on(struct fleet *f, struct entry *e, struct bucket *b, bool is_its_turn) {
    uint64_t             deadline_ns;
    struct store_trip   *trips = NULL;
    struct fleet_ticket *told  = entry_expire(f, e, false, e->newest_ns, &deadline_ns);
    if (entry_cut(f, e) != FLEET_FINE)
        entry_put_off(f, e, e->newest_ns);
    else if (is_its_turn)
        trips = entry_poll_now(f, e, e->newest_ns);
    else
        trips = entry_poll(f, e, e->newest_ns);
    if (deadline_ns != UINT64_MAX) entry_arm(f, e, larger(deadline_ns, e->newest_ns + TURN_NS));
    roster_unlock(b);
    fleet_send(f, trips);
    fleet_tell(f, told);
}

static void entry_turn(struct fleet *f, uint32_t number, uint64_t now_ns) {
    struct entry  *e = &f->roster.entries[number];
    struct bucket *b = roster_lock_entry(&f->roster, e);
    if (b == NULL) return;
    e->is_armed  = false;
    e->newest_ns = larger(e->newest_ns, now_ns);
    entry_go_on(f, e, b, false);
}

static void shard_turn(struct fleet *f, uint32_t number, uint64_t now_ns) {
    struct seat         *seat = &f->seats[number];
    struct lease_request beat;
    spin_lock(&seat->lock);
    struct fleet_trip *t = NULL;
    if (shard_poll(&seat->shard, now_ns, &beat)) {
        t = beat_new(f, number, now_ns); /* whatever its shard's crowd has */
        if (t == NULL)
            shard_unsend(&seat->shard, now_ns);
        else
            t->trip.request = beat;
    }
    bool wakes[SHARD_WATCHES];
    for (uint32_t i = 0; i < SHARD_WATCHES; i++)
        wakes[i] = lane_wake(&seat->lanes[i], now_ns) || seat->lanes[i].lacks_trip;
    uint64_t next_ns = seat_next_ns(seat);
    spin_unlock(&seat->lock);
    shard_arm(f, number, next_ns);
    if (t != NULL) fleet_send(f, &t->trip);
    for (uint32_t i = 0; i < SHARD_WATCHES; i++)
        if (wakes[i]) lane_release(f, number, i);
}

static void *fleet_run(void *context) {
    struct fleet *f = context;
    for (;;) {
        uint64_t now_ns = clock_now_ns();
        uint32_t number;
        spin_lock(&f->timer_lock);
        /* Within the lock: whoever changes the first timer after this opens the latch after this, too. */
        latch_init(&f->bell);
        bool     is_over = atomic_load(&f->is_stopping);
        bool     is_due  = timers_take(&f->timers, now_ns, &number);
        uint64_t next_ns = timers_next_ns(&f->timers);
        spin_unlock(&f->timer_lock);
        if (is_over) return NULL;
        if (!is_due) {
            (void)latch_wait_until(&f->bell, next_ns);
        } else if (number < f->roster.entries_max) {
            entry_turn(f, number, now_ns);
        } else {
            shard_turn(f, number - f->roster.entries_max, now_ns);
        }
    }
}

static void fleet_stop(struct fleet *f) {
    spin_lock(&f->timer_lock);
    atomic_store(&f->is_stopping, true);
    spin_unlock(&f->timer_lock);
    latch_open(&f->bell);
    thread_join(&f->thread);
}

/* --- from open to close ---------------------------------------------------------------------- */

static size_t in_pages(size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

static void seats_begin(struct fleet *f) {
    for (uint32_t i = 0; i < f->store->shard_count; i++) {
        struct seat *seat = &f->seats[i];
        atomic_store(&seat->lock.is_held, 0);
        atomic_store(&seat->is_cut, false);
        atomic_store(&seat->trips_out, 0);
        atomic_store(&seat->beats_out, 0);
        for (uint32_t k = 0; k < SHARD_WATCHES; k++) {
            lane_begin(&seat->lanes[k], f->lease.round_trip_ns, random_next(&f->random));
            atomic_store(&seat->is_full[k], false);
        }
        shard_begin(&seat->shard, &f->watches, f->store->clamp_ns, random_next(&f->random));
    }
}

/* Draws what must differ in each process, and starts all that is not in the roster. */
static bool fleet_begin(struct fleet *f) {
    if (!entropy_fill(&f->secret, sizeof f->secret)) return false;
    f->random = (struct random){.state = hash_of(f->secret, UINT64_MAX, NULL, 0)};
    seats_begin(f);
    for (uint32_t i = 0; i < f->store->shard_count; i++)
        (void)timers_hasten(&f->timers, f->roster.entries_max + i, 0);
    latch_init(&f->bell);
    f->has_thread = thread_start_quiet(&f->thread, "weir fleet", fleet_run, f);
    return f->has_thread;
}

/* Only stores: this runs in the child before fork() returns there. */
static void fleet_in_child(void *context) {
    struct fleet *f = context;
    f->has_thread   = false;
    atomic_store(&f->waking.is_held, 0);
    if (atomic_load(&f->state) == FLEET_IS_OPEN) atomic_store(&f->state, FLEET_IS_FORKED);
}

/* Nothing that the parent holds may be used here: all begins anew. */
static void fleet_begin_in_child(struct fleet *f) {
    roster_wipe(&f->roster);
    trips_init(&f->trips, f->trips.all, f->trips.trips_max, f->trips.kept);
    atomic_store(&f->timer_lock.is_held, 0);
    memset(f->timers.place, 0, f->timers.numbers * sizeof *f->timers.place);
    f->timers.count = 0;
    memset(f->tallies, 0, sizeof f->tallies);
    bool is_reopened = f->store->reopen != NULL && f->store->reopen(f->store->context);
    bool has_begun   = is_reopened && fleet_begin(f);
    if (!has_begun) seats_begin(f); /* nothing of the parent's is shown or waited for */
    atomic_store(&f->is_storeless, !has_begun);
}

/* False: the fleet is being closed. */
static bool fleet_wake(struct fleet *f) {
    spin_lock(&f->waking);
    if (atomic_load(&f->state) == FLEET_IS_FORKED) {
        fleet_begin_in_child(f);
        atomic_store_explicit(&f->state, FLEET_IS_OPEN, memory_order_release);
    }
    spin_unlock(&f->waking);
    return atomic_load(&f->state) == FLEET_IS_OPEN;
}

struct fleet *fleet_open(struct store *store, const struct fleet_options *options) {
    REQUIRE(store->shard_count > 0);
    REQUIRE(store->shard_count <= SHARDS_MAX);
    REQUIRE(store->trips_max > 0);
    uint32_t users_max = options->users_max != 0 ? options->users_max : USERS_DEFAULT;
    uint32_t trips_max = options->trips_max != 0 ? options->trips_max : TRIPS_DEFAULT;
    if (trips_max > store->trips_max) trips_max = store->trips_max;

    uint32_t numbers = users_max + store->shard_count;
    size_t   head    = in_pages(sizeof(struct fleet)),
           seats     = in_pages(store->shard_count * sizeof(struct seat));
    size_t trips     = in_pages(trips_max * sizeof(struct fleet_trip)),
           timers    = in_pages(timers_bytes(numbers));
    size_t bytes     = head + seats + trips + timers + roster_bytes(users_max);
    char  *memory    = memory_reserve(bytes);
    if (memory == NULL) return NULL;

    struct fleet *f = (struct fleet *)(void *)memory;
    f->store        = store;
    f->bytes        = bytes;
    f->lease        = options->lease;
    if (f->lease.round_trip_ns == 0) f->lease.round_trip_ns = store->round_trip_ns;
    if (f->lease.nodes == 0) f->lease.nodes = NODES_DEFAULT;
    f->wait_ns = options->wait_ns;
    if (f->wait_ns == 0)
        f->wait_ns = larger(WAIT_DEFAULT_MS * MILLISECOND, WAIT_TRIPS * f->lease.round_trip_ns);
    f->policy = options->policy != FLEET_DEFAULT ? options->policy : FLEET_LOCAL;
    f->seats  = (struct seat *)(void *)(memory + head);
    shard_watches_choose(&f->watches, &f->lease);
    trips_init(&f->trips, (struct fleet_trip *)(void *)(memory + head + seats), trips_max,
               (uint32_t)smaller(2 * (uint64_t)store->shard_count, trips_max / KEPT_PART));
    timers_init(&f->timers, memory + head + seats + trips, numbers);
    roster_init(&f->roster, memory + head + seats + trips + timers, users_max);

    f->forks = (struct process_fork_watch){.in_child = fleet_in_child, .context = f};
    if (!process_watch_forks(&f->forks)) goto release;
    if (!fleet_begin(f)) goto unwatch;
    return f;

unwatch:
    process_unwatch_forks(&f->forks);
release:
    memory_release(memory, bytes);
    return NULL;
}

/* Calls with each entry in turn, its bucket locked. */
typedef void (*entry_fn)(struct fleet *f, struct entry *e, uint64_t now_ns, void *context);
static void fleet_each(struct fleet *f, uint64_t now_ns, entry_fn visit, void *context) {
    for (uint32_t i = 0; i < f->roster.bucket_count; i++) {
        struct bucket *b = &f->roster.buckets[i];
        spin_lock(&b->lock);
        for (uint32_t k = 0; k < b->count; k++)
            visit(f, &f->roster.entries[b->entry[k]], now_ns, context);
        spin_unlock(&b->lock);
    }
}

static void entry_end(struct fleet *f, struct entry *e, uint64_t now_ns, void *context) {
    struct fleet_ticket **told = context;
    for (struct fleet_ticket *t = e->first; t != NULL; t = e->first) {
        ticket_unlink(t);
        entry_degrade(f, e, t->cost, t->policy, FLEET_ENDING, now_ns, &t->answer);
        t->next = *told;
        *told   = t;
    }
}

static void entry_is_done(struct fleet *f, struct entry *e, uint64_t now_ns, void *context) {
    (void)f;
    (void)now_ns;
    if (!entry_has_nothing(e)) *(bool *)context = false;
}

static bool fleet_give_back(struct fleet *f, uint64_t until_ns) {
    struct fleet_ticket *told = NULL;
    fleet_each(f, clock_now_ns(), entry_end, &told);
    fleet_tell(f, told);
    for (unsigned turn = 0;; turn++) {
        bool     is_done = true;
        uint64_t now_ns  = clock_now_ns();
        fleet_each(f, now_ns, entry_is_done, &is_done);
        if (is_done || now_ns >= until_ns) return is_done;
        struct latch never;
        latch_init(&never);
        (void)latch_wait_until(&never, smaller(until_ns, now_ns + TURN_NS));
    }
}

bool fleet_close(struct fleet *f, uint64_t wait_ns) {
    bool is_given_back = true;
    atomic_store(&f->state, FLEET_IS_ENDING);
    if (f->has_thread) {
        is_given_back = fleet_give_back(f, clock_now_ns() + smaller(wait_ns, LIMIT_NOW_MAX));
        fleet_stop(f);
        for (unsigned turn = 0; trips_out(&f->trips) > 0; turn++) processor_yield(turn);
    }
    process_unwatch_forks(&f->forks);
    memory_release(f, f->bytes);
    return is_given_back;
}

/* --- statistics ------------------------------------------------------------------------------ */

static void entry_count(struct fleet *f, struct entry *e, uint64_t now_ns, void *context) {
    struct fleet_statistics *s = context;
    uint64_t                 until_ns;
    (void)f;
    s->permits_in_hand += holder_left(&e->holder, larger(e->newest_ns, now_ns), &until_ns);
}

static uint64_t tally_sum(const struct fleet *f, unsigned which) {
    uint64_t sum = 0;
    for (unsigned slot = 0; slot < SLOT_COUNT; slot++)
        sum += atomic_load_explicit(&f->tallies[slot].count[which], memory_order_relaxed);
    return sum;
}

static uint64_t seat_held(struct seat *seat) {
    uint64_t held = 0;
    spin_lock(&seat->lock);
    for (uint32_t i = 0; i < SHARD_WATCHES; i++) held += seat->lanes[i].held;
    spin_unlock(&seat->lock);
    return held;
}

void fleet_statistics(struct fleet *f, uint64_t now_ns, struct fleet_statistics *s) {
    bool is_open = fleet_is_open(f); /* a child begins with nothing of its parent's */
    *s           = (struct fleet_statistics){.allowed     = tally_sum(f, TALLY_ALLOWED),
                                             .entries_max = f->roster.entries_max,
                                             .bytes       = f->bytes,
                                             .trips       = tally_sum(f, TALLY_TRIPS),
                                             .beats       = tally_sum(f, TALLY_BEATS),
                                             .misses      = tally_sum(f, TALLY_MISSES)};
    for (unsigned i = 0; i < FLEET_HOW_COUNT; i++) s->decisions[i] = tally_sum(f, TALLY_HOW + i);
    for (unsigned i = 0; i < FLEET_WHY_COUNT; i++) s->degraded[i] = tally_sum(f, TALLY_WHY + i);
    for (uint32_t i = 0; i < f->store->shard_count; i++)
        s->shards_cut += atomic_load_explicit(&f->seats[i].is_cut, memory_order_relaxed);
    if (!is_open) return;
    for (uint32_t i = 0; i < f->store->shard_count; i++) s->held += seat_held(&f->seats[i]);
    s->entries = atomic_load_explicit(&f->roster.count, memory_order_relaxed);
    s->evicted = atomic_load_explicit(&f->roster.evicted, memory_order_relaxed);
    fleet_each(f, now_ns, entry_count, s);
}
