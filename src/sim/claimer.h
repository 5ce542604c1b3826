/* SPDX-License-Identifier: MIT
 *
 * claimer: drives a node's claim and its membership against a ring. See claimer.c. */
#ifndef WEIR_SIM_CLAIMER_H
#define WEIR_SIM_CLAIMER_H

#include "lease/claim.h"
#include "lease/members.h"
#include "sim/ring.h"

struct node;

struct claimer {
    struct ring         *ring; /* NULL: the node's store is a cluster */
    struct claim         claim;
    struct account       account;
    struct claim_process process;

    bool                 is_pending; /* a request of the holder waits */
    struct lease_request pending;
    uint64_t             errands;      /* sent */
    uint64_t             claim_errand; /* the number of the one that is out; 0: none is */
    uint64_t             beat_errand, look_errand, fence_errand, date_errand;
    bool                 is_resetting; /* somebody waits for that */
    uint64_t             reset_ns;     /* since then, by its own clock */
    size_t               reset;        /* its evidence */
    uint64_t             timer;        /* the last that was set: older ones are void */
};

/* A memory begins. */
void claimer_begin(struct node *n);
/* Somebody asks that the user be forgotten. */
void claimer_reset(struct node *n);
/* What the holder sends. */
void claimer_send(struct node *n, const struct lease_request *request);
/* A reply leaves the ring for this node. */
void claimer_reply(struct node *n, const struct ring_reply *reply, size_t bytes);

#endif
