/* SPDX-License-Identifier: MIT
 *
 * clerk: drives a node's ledger against a record that is changed on conditions. See clerk.c. */
#ifndef WEIR_SIM_CLERK_H
#define WEIR_SIM_CLERK_H

#include "sim/ledger.h"
#include "sim/paxos.h"

struct node;

struct clerk {
    struct paxos *paxos; /* NULL: the node has another store */
    struct ledger ledger;

    uint64_t errands; /* sent */
    uint64_t errand;  /* the number of the one that is out; 0: none is */
    uint64_t timer;   /* the last that was set: older ones are void */

    struct ledger_record scratch;
    struct paxos_request request;
};

/* A memory begins. */
void clerk_begin(struct node *n);
/* What the holder sends. */
void clerk_send(struct node *n, const struct lease_request *request);
/* A reply leaves the store for this node. */
void clerk_reply(struct node *n, const struct paxos_reply *reply, size_t bytes);

#endif
