/* SPDX-License-Identifier: MIT
 *
 * holder: a node's side of one user under one rule. May this caller act now? See holder.c.
 *
 * A machine without hands: events go in by function calls, what is to be done comes out as return
 * values. Whoever drives it (limiter, simulator) has the clock, the callers who wait and the way to
 * the store:
 *
 *     switch (holder_ask(h, cost, now).outcome) {
 *     case HOLDER_WAIT: park the caller             -- no more than its deadline
 *     ...
 *     while (holder_poll(h, now, &request)) send it -- after each event, and at holder_next_ns()
 *     ...
 *     if (holder_take(h, watch, &reply, now))       -- when a reply has come, whenever that is
 *         ask again for all who are parked, in their order, with holder_ask_again()
 *
 * All times are of one clock of the node: it counts every pause of process and machine
 * (CLOCK_BOOTTIME), it does not go back, and its rate is within the terms' clock_error_ppm. Times are
 * below LIMIT_NOW_MAX. One thread at a time. Nothing is allocated and nothing is kept but struct
 * holder, which may be forgotten at any time: what it held is then kept by the store as if used, for
 * a term and a hold. */
#ifndef WEIR_LEASE_HOLDER_H
#define WEIR_LEASE_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

#include "lease/message.h"
#include "lease/terms.h"
#include "lease/watch.h"

enum { HOLDER_LEASES = LEASE_REPORTS_MAX }; /* two to spend from; the others wait to be confirmed */

enum holder_state {
    LEASE_NONE,
    LEASE_ASKED, /* no reply yet; one at most */
    LEASE_OPEN,  /* may be spent until ends_ns; two at most */
    LEASE_OVER,  /* left is 0 and stays so; kept until the store has confirmed what was used */
};

/* Uses that are told under the latest of their times. */
struct holder_use {
    uint64_t first_ns, latest_ns;
    uint64_t count;
};

struct holder_lease {
    enum holder_state state;
    bool              is_told;  /* LEASE_OVER: a final report was sent */
    bool              is_loose; /* the limit was far away when it was granted */
    uint32_t          tells;    /* final reports sent */
    uint64_t          sequence;
    uint64_t          asked_ns; /* before the first send */
    uint64_t          ends_ns;  /* asked_ns + term_ns */
    uint64_t          told_ns;  /* the last report */
    uint64_t          granted, left;
    uint64_t          base; /* uses that the store has confirmed; `uses` come after them */
    uint32_t          use_count;
    struct holder_use uses[LEASE_USES_MAX]; /* oldest first */
};

struct holder {
    const struct lease_terms *terms; /* borrowed for as long as the holder is used */
    uint64_t                  incarnation;
    uint64_t                  sequence; /* of the newest lease */
    struct holder_lease       leases[HOLDER_LEASES];
    uint64_t                  wish_need, wish_want; /* of the lease that is asked for */
    uint64_t                  sent_ns;              /* the last send of its acquire */
    uint32_t                  sends;

    uint64_t waiting;   /* permits that parked callers want */
    uint64_t need;      /* the least of their costs */
    uint64_t called_ns; /* the last holder_ask() */
    uint64_t
        part_ns; /* demand is counted in parts of half a term; this is when the present one began */
    uint64_t part_asked;
    uint64_t
        demand; /* permits asked for in a part, with older parts counting half as much each time */

    uint64_t kept_until_ns; /* what is in hand is not given back for being idle before this */

    uint64_t denied_until_ns; /* before this, denials are given without asking ... */
    uint64_t denied_need;     /* ... to who needs so many and more */
    uint64_t retry_at_ns;     /* and told to come back then */

    uint64_t era_seen_us, grants_seen;
    uint64_t generation;
    uint64_t rewind_us;
};

enum holder_outcome { HOLDER_ALLOWED, HOLDER_DENIED, HOLDER_WAIT };

struct holder_answer {
    enum holder_outcome outcome;
    uint64_t
        retry_after_ns; /* denied: surely not before, if nobody gives back; LIMIT_NEVER: cost is
                                   above the limit */
};

/* Begins a memory: at start, and in the child of a fork, where all that the parent holds is wiped. The
 * incarnation must be another one each time, for all nodes and for ever: 64 random bits. Mode
 * LEASE_MODE_EACH or LEASE_MODE_SHARE, or NEVER, which denies. */
void holder_begin(struct holder *h, const struct lease_terms *terms, uint64_t incarnation);

/* May somebody take `cost` permits, 1 to LIMIT_MAX, now? HOLDER_ALLOWED: they are taken, as of
 * now_ns. HOLDER_WAIT: the store must be asked first; the driver parks the caller, or gives it up,
 * which needs no call. */
struct holder_answer holder_ask(struct holder *h, uint64_t cost, uint64_t now_ns);

/* The same for a caller who was parked. */
struct holder_answer holder_ask_again(struct holder *h, uint64_t cost, uint64_t now_ns);

/* Somebody is about to take what is in hand, together with others' permits: it is not given back as idle
 * before until_ns. */
void holder_keep(struct holder *h, uint64_t until_ns);

/* Whether holder_poll() would have something now: for a driver that is to wait with that. Until it polls
 * nothing is fixed, neither what is asked for nor when. */
bool holder_would_send(struct holder *h, uint64_t now_ns);

/* None of those who were parked waits any more: nothing is acquired for them. */
void holder_give_up(struct holder *h);

/* They have gone, and others will come as often as those did lately: for these is acquired, and any permit
 * will do. */
void holder_ask_ahead(struct holder *h);

/* Whether what is acquired is of use also if none of those who wait is there when it comes: so many asked
 * lately that others will. */
bool holder_is_in_demand(const struct holder *h, uint64_t now_ns);

/* True: *request is to be sent to the store; ask once more. The driver notes now_ns as the time of
 * sending, for `sent_ns` of the reply, and sends now or never. */
bool holder_poll(struct holder *h, uint64_t now_ns, struct lease_request *request);

/* When holder_poll() may have something next if nothing else happens; UINT64_MAX: never. */
uint64_t holder_next_ns(const struct holder *h);

/* A reply has come: any, late, repeated, of an earlier incarnation, but sound (lease_reply_is_sound()).
 * `watch` (that of the shard) judges the store's clock; NULL: it is trusted. True: nobody is parked any
 * more as far as the holder knows; ask again. */
bool holder_take(struct holder *h, struct watch *watch, const struct lease_reply *reply,
                 uint64_t now_ns);

/* Permits that could be taken now without a trip, and in *until_ns the first end of a lease that has
 * some. */
uint64_t holder_left(const struct holder *h, uint64_t now_ns, uint64_t *until_ns);

#endif
