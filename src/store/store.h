/* SPDX-License-Identifier: MIT
 *
 * store: what every store that is not in this process offers, whatever it is made of.
 *
 * A store keeps an account for each user under each window (lease/account.h says how it answers) and a
 * clock for each shard (lease/store_clock.h). Above this there is one fleet (limiter/fleet.h), which
 * makes trips:
 *
 *     trip->... = who, what, until when
 *     store->serve(store->context, trip)      -- returns at once
 *     trip->done(trip)                        -- later, on the store's thread
 *
 * What a store promises:
 *
 *   1. done() is called exactly once for each trip, on a thread of the store's, never inside serve(),
 *      and no later than deadline_ns and a turn of its loop. The trip is the store's from serve() until
 *      then; done() may call serve().
 *   2. STORE_DONE comes with the whole reply, as account_serve() would have written it on this account,
 *      in one atomic step, with the shard's clock stepped just before. To be written by the store, too:
 *      reply.is_replicated; and reply.sent_ns, a time of clock_now_ns() that was not after this step, or
 *      0 if it knows none later than when serve() was called.
 *   3. A trip may reach the account twice or more, late, and in another order than was served: holders
 *      and accounts are made for that. So a store may send again what it does not know to have arrived.
 *      But it must not arrive after a trip whose done() has said STORE_NOT_SENT.
 *   4. Many trips are out at once, from many threads; the store batches what is there. Trips of one
 *      account need no order. No more than trips_max are out.
 *   5. serve() is quick: it neither waits for the network nor for a lock that is held while waiting. */
#ifndef WEIR_STORE_STORE_H
#define WEIR_STORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arrivals.h"
#include "lease/message.h"

enum { STORE_NAME_BYTES = 16, STORE_HEALTH_BYTES = 160 };

/* Names an account: a keyed hash of user, window and algorithm, with the same key on all nodes. The
 * limit is not in it: each request brings its own, and the account's permits count against that. */
struct store_name {
    uint8_t bytes[STORE_NAME_BYTES];
};

#define STORE_STATUS_TABLE(X)                                                                      \
    X(STORE_DONE, "done")                                                                          \
    X(STORE_UNKNOWN, "the store did not answer; it may have done it, or do it yet")                \
    X(STORE_NOT_SENT, "the store was not asked and will not be")                                   \
    X(STORE_REFUSED, "the store refuses it")                                                       \
    X(STORE_IS_DOWN, "the store cannot be reached")

enum store_status {
#define STORE_STATUS_VALUE(name, text) name,
    STORE_STATUS_TABLE(STORE_STATUS_VALUE)
#undef STORE_STATUS_VALUE
};

struct store_trip {
    struct arrival arrival; /* first: the store's, until its thread has seen the trip */

    /* The caller's. */
    struct store_name    name;
    uint32_t             shard;   /* below the store's shard_count; its clock serves this account */
    bool                 is_beat; /* no account is meant and none is made: see store_serve_fn */
    struct lease_request request;
    uint64_t             deadline_ns; /* on clock_now_ns() */
    void (*done)(struct store_trip *trip);
    void *context;

    /* The store's to fill in. */
    enum store_status status;
    const char       *reason; /* STORE_REFUSED: why, a text that stays; else NULL */
    bool
        is_alone; /* all but STORE_DONE: that is so of this account, and says nothing of the store */
    struct lease_reply reply; /* STORE_DONE */

    struct store_trip *next;    /* for whoever has the trip to put it on a list */
    uint64_t           came_ns; /* for the store: when its thread saw the trip */
};

/* Takes the trip over until done(). A beat steps the shard's clock, rewinds it if rewind_us asks for it,
 * compares era_seen_us and grants_seen (store_clock.h), and is answered with store_us, era_us, generation
 * and grants; and with retry_after_us, how much further the clock must go until all permits that it ever gave
 * have aged out: nodes keep it going so long, whether they have asked for any themselves or not. */
typedef void (*store_serve_fn)(void *context, struct store_trip *trip);

struct store_health {
    bool is_up;                    /* nothing has gone wrong of late */
    char text[STORE_HEALTH_BYTES]; /* what an operator reads: what was wrong last */
};

/* One of these is handed to fleet_open(), which borrows it: whoever opened the store closes it after the
 * fleet is closed. */
struct store {
    void    *context;
    uint32_t shard_count;   /* 1 to 4096: how many clocks. Each is contacted many times a second */
    uint32_t trips_max;     /* out at once, at least 1 */
    uint64_t round_trip_ns; /* a usual one, for the terms of leases; 0: not known */
    uint64_t clamp_ns;      /* of the shards' clocks: each must be stepped every half of it */
    uint64_t answer_ns; /* a trip that the store can answer is answered within this; 0: within a few
                           usual ones. What takes longer is missed (limiter/shard.h) */
    bool
        paces_itself; /* how much its servers are asked at a time it decides by itself; else the fleet
                        * keeps back what would come back too late */
    bool grants_wait; /* what acquires may be held up by what is being confirmed, longer than the
                             * clamp: it steps a clock at some time. All else does so when it comes */

    store_serve_fn serve;

    /* Any thread, any time. Steady: what goes wrong for some of the trips is told as long as it does, and
     * some seconds longer. NULL: nothing is known. */
    void (*health)(void *context, struct store_health *health);

    /* In a child of fork(), before the first serve() there: begins anew, with connections and a thread of
     * the child's own; what was out in the parent is not answered here. False, or NULL: it cannot, and
     * the child is answered by the fault policy. */
    bool (*reopen)(void *context);

    /* Answers what is out and takes everything back. Never called by the fleet. */
    void (*close)(void *context);
};

#endif
