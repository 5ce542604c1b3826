/* SPDX-License-Identifier: MIT
 *
 * ring: a model of a store that writes and reads by quorum, with one user's claims. See ring.c. */
#ifndef WEIR_SIM_RING_H
#define WEIR_SIM_RING_H

#include "lease/claim.h"
#include "lease/members.h"
#include "sim/scenario.h"
#include "sim/world.h"

enum { RING_ROWS_MAX = 512, RING_CALLS_MAX = 256 };

struct ring_request {
    uint32_t              node;
    uint64_t              machine, memory; /* of the node when it sent this */
    uint64_t              number;          /* of its errands of this kind */
    bool                  is_member;       /* `member` is meant, else `claim` */
    uint64_t              id;              /* whose row or record */
    struct claim_errand   claim;
    struct members_errand member;
};

/* `fate` is of enum claim_fate, or of enum members_fate, which say the same. What was read follows if it is
 * CLAIM_DONE. Sent with as many rows as there are. */
struct ring_reply {
    struct ring_request request;
    enum claim_fate     fate;
    uint32_t            count;
    union {
        struct claim_row      rows[RING_ROWS_MAX];
        struct members_record records[RING_ROWS_MAX];
    };
};

struct ring_rows {
    uint32_t         count;
    struct claim_row rows[RING_ROWS_MAX];
};

struct ring_replica {
    struct ring_rows rows;
    uint64_t         expires_ns[RING_ROWS_MAX]; /* of each row */
};

/* What a coordinator does for a node. */
struct ring_call {
    bool                is_used;
    uint64_t            serial; /* so that answers find the right one */
    struct ring_request request;
    uint32_t            answers;
    struct ring_rows    read;
};

struct ring {
    struct world          *world;
    const struct scenario *scenario;
    struct random          random_fault, random_link;
    uint32_t               replica_count, quorum;
    bool                   is_down[SIM_SERVERS_MAX];
    bool                   is_out; /* all of them are down */
    struct ring_replica    replicas[SIM_SERVERS_MAX];
    uint32_t               record_count;
    struct members_record  records[RING_ROWS_MAX];    /* as Paxos has them: one truth */
    uint64_t               expires_ns[RING_ROWS_MAX]; /* of each record */
    uint64_t               call_count;
    struct ring_call       calls[RING_CALLS_MAX];

    /* Sends a reply back over the network; bytes as long as it is. */
    void (*reply)(void *context, const struct ring_reply *reply, size_t bytes);
    void             *context;
    struct ring_reply scratch;
};

void ring_begin(struct ring *r, struct world *w, const struct scenario *s);

/* A request has come over the network to a replica, which coordinates it. */
void ring_serve(struct ring *r, const struct ring_request *request);

#endif
