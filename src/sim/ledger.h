/* SPDX-License-Identifier: MIT
 *
 * ledger: one user's permits in a record that processes change one after the other, each on the condition
 * that it is as they read it. See ledger.c.
 *
 * For stores whose only atomic act is a conditional update (Cassandra: "LWT"). The record has a version, and
 * a page for each process: its account (lease/account.h), by its own clock.
 *
 * It is here to be measured beside claims (lease/claim.h), which stores use: docs/decisions/0015 says why.
 * Written as if it were shipped, so that it may be.
 *
 *     errand     LEDGER_READ     reads the record as it is when that begins, or as it was not long before
 *                LEDGER_UPDATE   if the record's version is still the one that is told, writes a page,
 *                                takes others away, and makes the version greater by one. If it is not,
 *                                the answer is the record
 *                LEDGER_ANSWER   the holder's request has been served: l->reply is for it
 *
 * A machine without hands, as claim.h is: the driver has the clock and the way to the store.
 *
 *     ledger_ask(l, &request)                            -- a holder of this process asks
 *     while (ledger_poll(l, now, &act)) do it            -- after each event, and at ledger_next_ns()
 *
 * One errand is out at a time; the driver ends each. Times are as in lease/holder.h. One thread at a time. */
#ifndef WEIR_SIM_LEDGER_H
#define WEIR_SIM_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "lease/account.h"
#include "lease/message.h"
#include "lease/store_clock.h"
#include "lease/terms.h"

enum { LEDGER_PAGES_MAX = 64, LEDGER_PEERS_MAX = 2 * LEDGER_PAGES_MAX };

/* What one process has taken. Nobody else writes it; who knows that nothing of it counts takes it away. */
struct ledger_page {
    uint64_t id; /* of the process's memory: 64 random bits, drawn at start and after a fork */
    uint64_t written_us;    /* what the process's clock showed just before it wrote this */
    struct account account; /* stamps are times of that clock */
};

struct ledger_record {
    uint64_t           version; /* 0: nothing was ever written; it never goes back */
    uint32_t           page_count;
    struct ledger_page pages[LEDGER_PAGES_MAX];
};

struct ledger_update {
    uint64_t           version; /* on which it is built */
    uint32_t           dropped_count;
    uint64_t           dropped[LEDGER_PAGES_MAX]; /* pages that are taken away */
    struct ledger_page page;
};

/* The latest that is known of another process's clock: when this one's showed own_ns, it showed theirs_us
 * or more. */
struct ledger_peer {
    uint64_t id;
    uint64_t theirs_us, own_ns;
};

enum ledger_act { LEDGER_NOTHING, LEDGER_READ, LEDGER_UPDATE, LEDGER_ANSWER };

enum ledger_fate {
    LEDGER_DONE,
    LEDGER_NOT_DONE, /* and will not be: the record had another version */
    LEDGER_UNKNOWN,  /* it may be done, or be done yet */
};

struct ledger {
    const struct lease_terms *terms; /* borrowed for as long as the ledger is used */
    uint64_t                  id;
    struct store_clock        clock; /* this process's own */
    struct random             random;

    bool                 has_record, must_read;
    uint64_t             read_ns; /* when the errand that told it began */
    struct ledger_record record;  /* as it was then */
    uint32_t             peer_count;
    struct ledger_peer   peers[LEDGER_PEERS_MAX];

    bool                 is_asked;
    struct lease_request request;
    struct lease_request served; /* the one that `reply` answers */
    struct lease_reply   reply;
    bool                 has_answer;

    enum ledger_act      out; /* the errand that is out */
    struct ledger_update update;
    uint64_t             sent_ns;
    uint32_t             failures; /* in a row */
    uint64_t             retry_at_ns;
};

void ledger_begin(struct ledger *l, const struct lease_terms *terms, uint64_t id, uint64_t now_ns);

/* A request of a holder of this process; in place of one that waits. */
void ledger_ask(struct ledger *l, const struct lease_request *q);

/* False: nothing is to be done now. LEDGER_UPDATE is that of l->update, LEDGER_ANSWER that of l->reply. */
bool ledger_poll(struct ledger *l, uint64_t now_ns, enum ledger_act *act);
/* When ledger_poll() may have something next if nothing else happens. */
uint64_t ledger_next_ns(const struct ledger *l);

/* A process has told everybody what its clock showed just before it did. The driver does that for this one,
 * and reads what others tell, a few times a second for all users together: else their clocks are known from
 * the pages that are read here, and those may be old when they are. */
void ledger_hear(struct ledger *l, uint64_t id, uint64_t theirs_us, uint64_t now_ns);

/* `record` NULL: without an answer. */
void ledger_has_read(struct ledger *l, const struct ledger_record *record, uint64_t now_ns);
/* `record` is as the store has it if that is LEDGER_NOT_DONE. */
void ledger_updated(struct ledger *l, enum ledger_fate fate, const struct ledger_record *record,
                    uint64_t now_ns);

/* ---- of records, for stores too ---- */

/* Changes the record if it has the version that the update is built on. */
bool ledger_record_change(struct ledger_record *r, const struct ledger_update *u);
void ledger_record_copy(struct ledger_record *to, const struct ledger_record *from);
/* NULL: it has no page of this process. */
struct ledger_page *ledger_record_find(struct ledger_record *r, uint64_t id);
/* Copies what is in use. */
void ledger_page_copy(struct ledger_page *to, const struct ledger_page *from);

#endif
