/* SPDX-License-Identifier: MIT
 *
 * claim: the share of one user's limit that one process may use, in a store that cannot count. See claim.c.
 *
 * For stores that write and read by quorum, and do nothing else quickly (Cassandra). Each process has a row
 * of its own for each user and rule, which nobody else writes: how many permits it claims. What it may use
 * it counts itself, in an account (account.h) whose limit is the claim; so a process that has claimed enough
 * asks nobody.
 *
 *     row        id        of the process (members.h)
 *                number    counts its writes; the greater one wins, whenever it arrives
 *                permits   that it claims
 *                demand    permits that it could use in a window; above `permits` it misses them
 *                resets    the last reset of this user that the process made, by its number; 0: none. Who
 *                          reads a greater one than it knows of forgets what was used
 *
 *     errand     CLAIM_WRITE   writes the row so that a CLAIM_READ that begins later reads it, or a later one
 *                CLAIM_READ    reads the rows of all
 *
 * A machine without hands: the driver has the clock and the way to the store.
 *
 *     if (claim_serve(c, process, &request, now, &reply)) ...    -- there is the reply
 *     else ...                                                   -- serve it again after what ends an errand
 *     while (claim_poll(c, process, now, &errand)) do it         -- after each event, and at claim_next_ns()
 *
 * A reset is served when claim_reset() has told the others.
 *
 * One errand is out at a time; the driver ends each. Times are as in holder.h. One thread at a time. */
#ifndef WEIR_LEASE_CLAIM_H
#define WEIR_LEASE_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "lease/account.h"
#include "lease/members.h"
#include "lease/message.h"
#include "lease/store_clock.h"

/* How long a store keeps a row at least: the longer of the two. */
enum { CLAIM_KEEP_S_MIN = 7200, CLAIM_KEEP_HOLDS = 4 };

/* How long the record of a process is kept, at least. Longer than its rows: whose record is gone counts for
 * as long as these are there. Not much longer, since each start of a process leaves one (MEMBERS_MAX). */
#define MEMBER_KEEP_NS_MIN ((CLAIM_KEEP_S_MIN + UINT64_C(3600)) * 1000000000)

/* Of a row. Who reads of a reset writes a greater number than that, so a greater one than any clock will show
 * is not taken over: some hand put it there. A store can read twice as much. */
#define CLAIM_NUMBER_MAX (UINT64_C(1) << 61)

enum claim_act { CLAIM_NOTHING, CLAIM_WRITE, CLAIM_READ };

struct claim_errand {
    enum claim_act act;
    uint64_t       number;                  /* of the row's writes; of a read: the last one's */
    uint64_t       permits, demand, resets; /* CLAIM_WRITE */
    uint64_t       keep_ns; /* CLAIM_WRITE: the store keeps the row for so long at least */
};

enum claim_fate {
    CLAIM_DONE,
    CLAIM_NOT_DONE, /* and will not be */
    CLAIM_UNKNOWN,  /* it may be done, or be done yet */
};

struct claim_row {
    uint64_t id, number, permits, demand, resets;
};

/* What all claims of one process share. */
struct claim_process {
    struct members     members;
    struct store_clock clock; /* the process's own, for all its accounts */
    uint64_t nodes;  /* that ask for one user at a time: who has more than its part of a limit
                                 looks for others */
    uint64_t number; /* of the last write of any claim; the driver may raise it at any time */
    struct shortages shortages; /* the driver tells the others with each beat */
    bool is_crowded;            /* there is no room for users who do nothing: the driver's to say */
    uint64_t
        resets_until_ns; /* until then a row of this process may be there that tells of a reset */
};

/* What one claim knows of resets of its user, and what it does about one. Always: `made` is never less than
 * what the row says; `known` is never less than `made`, nor than the number of the first write, once there
 * was one; a reset is under way or none is, and what is under way is `made`. */
struct claim_resets {
    uint64_t known;    /* the greatest: who reads of a greater one forgets */
    uint64_t made;     /* by this process, so that its row says so; 0: none */
    uint64_t begun_ns; /* when the read began after which `made` was numbered; 0: all know of it */
    uint64_t
        done_ns; /* the same of the last that all know of: who asked before that has been served */
    uint64_t sent; /* what the write says that is out */
    uint64_t seen; /* the greatest number, of whatever, in the rows that were read last */
};

struct claim {
    struct account *account; /* the driver's, who may keep it elsewhere between two calls; all zeros
                                is a new one. claim_next_ns() does not look at it */

    uint64_t limit;   /* of the last request */
    uint64_t hold_us; /* the longest of all requests */
    uint64_t usable;  /* permits that may be live here */
    uint64_t ceiling; /* at most usable: no more are granted, since others miss some */
    uint64_t told;    /* permits that others may believe to be claimed */

    enum claim_act out;           /* the errand that is out */
    bool           is_raise;      /* it is, or the read that follows is, for more than was usable */
    bool           must_read;     /* a raise was written */
    uint64_t number, done_number; /* of the row's writes: the last; the last that was done; 0 */
    uint64_t target;              /* what was written last */
    uint64_t sent_ns, wrote_ns; /* when the errand began; when the last write that was done began */
    uint64_t retry_at_ns;       /* no errand before, after one that failed */

    bool is_lost; /* the row was not there; nothing is granted until it is */

    struct claim_resets resets;
    bool                must_look; /* before a reset, or for who looks */

    uint64_t need,
        want; /* permits that a request waits for, and that would be welcome; 0: none does */
    bool     is_asked; /* since the last read */
    bool     has_read;
    uint64_t read_ns;        /* when the last read began */
    uint64_t fresh_until_ns; /* what it said is as good as new until then */
    uint64_t others;         /* permits that others claimed then */
    bool     others_miss;    /* some, then */
    bool     complains;      /* the row may tell the others that it misses some */
    bool     misses;         /* was denied in this period */
    uint64_t missed_ns;      /* when it was last */
    uint64_t said_ns;        /* when the others were last told; 0: not of this shortage */
    uint64_t demand,
        demand_before; /* most that could be used in a window, in this period and the last */
    uint64_t demand_told;
    uint64_t peak, peak_before; /* most that were live in this period and the last */
    uint64_t period_ends_ns;
};

void claim_process_begin(struct claim_process *p, const struct members_options *options,
                         uint64_t nodes, uint64_t id, uint64_t now_ns);

/* Others gave it up, or may have (members_is_over()): it goes on under another name, with new claims. Its
 * clock is the same. */
void claim_process_rejoin(struct claim_process *p, uint64_t id, uint64_t now_ns);

/* A new process, or a user that it did not know; with a new account. */
void claim_begin(struct claim *c, struct account *account);

/* One request of a holder of this process; a reset only after claim_reset(). True: *reply says all that
 * account_serve() would. False: the store must be asked first; nothing has changed. */
bool claim_serve(struct claim *c, struct claim_process *p, const struct lease_request *q,
                 uint64_t now_ns, struct lease_reply *reply);

/* A request that asked at asked_ns for a reset. True: all processes forget what was used before that, as soon
 * as they read; claim_serve() does the rest. False: the store must be asked first, as above. */
bool claim_reset(struct claim *c, struct claim_process *p, uint64_t asked_ns);

/* A beat (message.h): a look at the process's clock. */
void claim_process_serve(struct claim_process *p, uint64_t now_ns, struct lease_reply *reply);

/* False: nothing is to be done now. */
bool claim_poll(struct claim *c, struct claim_process *p, uint64_t now_ns,
                struct claim_errand *errand);
/* When claim_poll() may have something next if nothing else happens. */
uint64_t claim_next_ns(const struct claim *c, uint64_t now_ns);

void claim_written(struct claim *c, enum claim_fate fate, uint64_t now_ns);
/* `rows` NULL: without an answer. False: a write of this process that was done is not there any more: the
 * store has lost something. */
bool claim_has_read(struct claim *c, struct claim_process *p, const struct claim_row *rows,
                    uint32_t count, uint64_t now_ns);

/* To be asked after each event. True: this process misses permits of this user, and its row says so: the
 * others are to hear of it (shortage.h); from time to time, since they may not have. */
bool claim_tells_shortage(struct claim *c, uint64_t now_ns);
/* Another process does. */
void claim_hear_shortage(struct claim *c, const struct claim_process *p);

/* Of the requests that were not served none is asked again: what they needed is not claimed for them. */
void claim_give_up(struct claim *c);

/* Claims no more than what is live: for a process that ends. */
void claim_let_go(struct claim *c, uint64_t now_ns);

/* Nothing is claimed, used or to be done, and the row says so: as good as a new one. Where users crowd the
 * row may go on saying that this process misses some. */
bool claim_is_idle(const struct claim *c, const struct claim_process *p, uint64_t now_ns);

#endif
