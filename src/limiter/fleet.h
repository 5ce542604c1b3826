/* SPDX-License-Identifier: MIT
 *
 * fleet: decides for users whose permits are kept in a store that many nodes share.
 *
 * A node has a holder (lease/holder.h) for each user and rule that is in use. A permit in hand is a
 * decision without a system call. Else one trip to the store serves all who ask about this user
 * meanwhile, and they wait for it, each no longer than it said. If the store does not answer, the fault
 * policy does:
 *
 *     FLEET_CLOSED  denied
 *     FLEET_OPEN    allowed, whatever the limit
 *     FLEET_LOCAL   a share of the limit, counted strictly by this node alone: limit / nodes, and at
 *                   least 1. So in any window at most
 *
 *                       limit + (nodes that were cut off, or late) * larger(1, limit / nodes)
 *
 *                   permits are allowed: at most twice the limit if options.lease.nodes is true and
 *                   not above the limit. A process that starts anew, or forks, is one more node
 *
 * and the answer says that it is degraded, and why. Permits in hand serve first under every policy:
 * the store has counted them. What a policy allowed is not told to the store. After some misses in a row
 * a shard is cut off: nobody waits for it, one beat probes at times (shard.h), and nothing need be put
 * right when it is back, since what was asked meanwhile is asked again under the same number.
 *
 * What the caller (the library's functions) does:
 *
 *   - names accounts by fleet_name_of(), with one secret for all nodes;
 *   - reads the clock (os/clock.h) in the call and passes it: a lower bound of the time;
 *   - maps answers: FLEET_FULL and everything else that is degraded is a decision all the same;
 *   - opens the store before the fleet and closes it after;
 *   - calls fleet_close() when no other call is under way.
 *
 * What a store does is written in store/store.h. Only strict rules are served: the messages of leases know no
 * other algorithm.
 *
 * A limit that changes is another entry for the same account, so a lower one holds at once, and permits
 * that are in hand under the higher one count against it. */
#ifndef WEIR_LIMITER_FLEET_H
#define WEIR_LIMITER_FLEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/hash.h"
#include "lease/terms.h"
#include "limit/request.h"
#include "store/store.h"

struct fleet;
struct entry;

enum fleet_policy { FLEET_DEFAULT, FLEET_CLOSED, FLEET_OPEN, FLEET_LOCAL };

#define FLEET_WAIT_DEFAULT UINT64_MAX

/* Zero means the default. */
struct fleet_options {
    uint32_t          users_max; /* entries, 1.1 KiB each as they are used; 65536 */
    uint32_t          trips_max; /* out at once; 4096, and no more than the store's */
    uint64_t          wait_ns;   /* of callers who name no other; 20 ms, or four round trips */
    enum fleet_policy policy;    /* FLEET_LOCAL */
    /* nodes is the number that shares limits under FLEET_LOCAL, too. round_trip_ns 0: the store's. */
    struct lease_options lease;
};

struct fleet_question {
    struct store_name name;
    uint64_t          limit;     /* 0 to LIMIT_MAX */
    uint64_t          window_ns; /* 1 to LIMIT_WINDOW_MAX; the one that is in the name */
    uint64_t          cost;      /* 1 to LIMIT_MAX */
    uint64_t          wait_ns;   /* 0: not at all; FLEET_WAIT_DEFAULT */
    enum fleet_policy policy;
};

enum fleet_how {
    FLEET_BY_RULE,  /* the cost is above the limit: never, and nobody need be asked */
    FLEET_IN_HAND,  /* a permit was here */
    FLEET_BY_TRIP,  /* the store was asked */
    FLEET_CACHED,   /* the store has said so a moment ago */
    FLEET_DEGRADED, /* by the policy: see why */
    FLEET_HOW_COUNT,
};

enum fleet_why {
    FLEET_FINE,
    FLEET_LATE,   /* the store did not answer within wait_ns */
    FLEET_CUT,    /* the store has not answered for a while: nobody waits for it */
    FLEET_FULL,   /* more than users_max have permits in hand: denied under every policy, since
                     whoever can bring many users must not get past the limit by that */
    FLEET_FORKED, /* the child of a fork, where the store cannot be opened anew */
    FLEET_ENDING, /* fleet_close() */
    FLEET_WHY_COUNT,
};

struct fleet_answer {
    bool           allowed;
    enum fleet_how how;
    enum fleet_why why;
    uint64_t
        remaining; /* permits in hand after this, and those that were free when the store spoke last */
    uint64_t retry_after_ns;  /* denied: surely not before; degraded: worth a try then.
                                      LIMIT_NEVER: the cost is above the limit */
    uint64_t back_after_ns;   /* not degraded: all permits are back by then if nobody takes any */
    enum fleet_policy policy; /* degraded: which one decided */
};

/* A caller who does not want to wait in the call. It owns the ticket, which must stay until done(). */
struct fleet_ticket {
    /* On the store's thread or the fleet's. Quick; may ask again; must not close the fleet. */
    void (*done)(struct fleet_ticket *ticket);
    void               *context;
    struct fleet_answer answer;

    /* The fleet's. */
    struct fleet_ticket *next, *previous;
    struct entry        *entry;
    uint64_t             cost, deadline_ns;
    uint64_t             wait_ns; /* in all, until then */
    enum fleet_policy    policy;
    bool                 is_parked, gathers;
};

/* Two keyed hashes make a name. No two users ever share one: 128 bits. */
struct store_name fleet_name_of(struct hash_secret secret, const void *user, size_t user_bytes,
                                uint64_t window_ns, enum algorithm algorithm);

/* NULL: no memory, no thread, no entropy. Borrows the store. The fleet watches for forks: in the child all
 * begins anew with the first question there. */
struct fleet *fleet_open(struct store *store, const struct fleet_options *options);

/* Answers who waits with FLEET_ENDING, gives back what is in hand, and frees. What is in hand goes back when
 * nobody has asked for options.lease.idle_ns; for that and for the store's word it waits wait_ns at most.
 * False: something did not go back in this time; the store keeps it as used for a term and a window. */
bool fleet_close(struct fleet *f, uint64_t wait_ns);

/* Which of the store's shards has the account. */
uint32_t fleet_shard_of(const struct fleet *f, const struct store_name *name);

/* How long a question may wait: its own time, or the fleet's. */
uint64_t fleet_wait_ns(const struct fleet *f, const struct fleet_question *q);

/* Any thread. Waits wait_ns and a moment at most; holds nothing meanwhile. */
void fleet_decide(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                  struct fleet_answer *answer);

/* True: ticket->answer is there already, and done() will not be called. False: done() will be, never inside
 * this call, no later than wait_ns and some milliseconds. */
bool fleet_decide_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                        struct fleet_ticket *ticket);

/* Decides some questions together: all are allowed and counted at one instant, or nothing is counted. First
 * permits are gathered, for all at the same time; then all are taken under the locks of all, or, if others
 * have taken some meanwhile, gathered anew.
 *
 * fleet_gather_async() makes sure that q->cost is in hand and takes nothing: as fleet_decide_async(), with
 * FLEET_LOCAL as FLEET_CLOSED, since a share of one rule says nothing about the others. fleet_take_all()
 * takes all that is asked, up to FLEET_JOINED_MAX, or nothing; the answers are written if it does. Questions
 * for the same name and rule add up. Neither counts its answers: fleet_note() does, when the decision is
 * made. */
enum { FLEET_JOINED_MAX = 64 };
bool fleet_gather_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                        struct fleet_ticket *ticket);
bool fleet_take_all(struct fleet *f, const struct fleet_question *const *q, size_t count,
                    uint64_t now_ns, struct fleet_answer *const *answers);
void fleet_note(struct fleet *f, const struct fleet_answer *answer);

/* Would one permit be granted now? As fleet_decide_async(), but nothing is counted, and q->cost is not looked
 * at: the store is asked unless a permit is in hand. fleet_look() waits for the answer. */
bool fleet_look_async(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                      struct fleet_ticket *ticket);
void fleet_look(struct fleet *f, const struct fleet_question *q, uint64_t now_ns,
                struct fleet_answer *answer);

/* Forgets what was used under q->name, at the store and here; permits that other nodes have in hand stay
 * there. Limit and cost are not looked at. False: the store did not say that it has done so within wait_ns;
 * it may have, or do it yet. */
bool fleet_reset(struct fleet *f, const struct fleet_question *q, uint64_t now_ns);

struct fleet_statistics {
    uint64_t decisions[FLEET_HOW_COUNT];
    uint64_t degraded[FLEET_WHY_COUNT]; /* by reason; together they are decisions[FLEET_DEGRADED] */
    uint64_t allowed;
    uint64_t trips;  /* for accounts */
    uint64_t beats;  /* for shards' clocks, and probes */
    uint64_t misses; /* of either, that were not answered */
    uint64_t entries, entries_max, evicted;
    uint64_t bytes; /* that the fleet can touch */
    uint64_t permits_in_hand;
    uint64_t held; /* entries, now: see lane.h */
    uint32_t shards_cut;
};

/* Since fleet_open(), or since the fork. Looks at every entry. */
void fleet_statistics(struct fleet *f, uint64_t now_ns, struct fleet_statistics *statistics);

const char *fleet_why_text(enum fleet_why why);

#endif
