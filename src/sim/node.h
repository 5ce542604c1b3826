/* SPDX-License-Identifier: MIT
 *
 * node: a machine that runs the holder of src/lease, has callers, and fails. See node.c. */
#ifndef WEIR_SIM_NODE_H
#define WEIR_SIM_NODE_H

#include "lease/holder.h"
#include "lease/watch.h"
#include "sim/claimer.h"
#include "sim/clerk.h"
#include "sim/cluster.h"
#include "sim/evidence.h"
#include "sim/scenario.h"
#include "sim/world.h"

enum { NODE_PARKED_MAX = 512 };

/* A caller who waits for the store. */
struct node_caller {
    size_t   request;
    uint64_t cost;
    uint64_t until_ns; /* own time; then it is told no */
};

struct node {
    struct world             *world;
    const struct scenario    *scenario;
    const struct lease_terms *terms;
    struct cluster           *cluster;
    struct evidence          *evidence;
    struct node              *nodes; /* all, for forks */
    uint32_t                  number;
    struct random             random_fault, random_link, random_greed;

    struct own_clock clock;
    bool             is_up;
    uint64_t         machine; /* changes when the node begins as the child of another */
    uint64_t         memory;  /* counts its memories: what was scheduled for an older one is void */
    uint64_t         paused_until_ns; /* real time */
    uint64_t cut_out_ns, cut_in_ns;   /* real time: so long nothing leaves, nothing comes in */
    uint64_t clogged_until_ns;

    struct holder      holder;
    struct watch       watch;
    uint64_t           timer; /* the last timer that was set: older ones are void */
    struct node_caller parked[NODE_PARKED_MAX];
    uint32_t           parked_count;

    struct claimer claimer; /* on a ring */
    struct clerk   clerk;   /* with a record that is changed on conditions */

    uint64_t free_seen; /* greedy: what the last reply said */
    uint64_t spends_at; /* greedy: has a plan until this own time */
};

/* Starts the node and its faults; with TRAFFIC_GREEDY also its only caller. */
void node_begin(struct node *n);

/* A caller has come. */
void node_come(struct node *n, uint64_t cost);

/* A reply leaves the cluster for this node. */
void node_reply(struct node *n, const struct parcel *parcel);

/* ---- for claimer.c and clerk.c ---- */

uint64_t node_own_now(const struct node *n);
/* Whether an event must wait, because the process is paused: it is then scheduled again. */
bool node_is_paused(struct node *n, event_fn *run, const void *cargo, size_t bytes);
/* Over the network, to the store or back. */
void node_carry_out(struct node *n, event_fn *run, const void *cargo, size_t bytes);
void node_carry_in(struct node *n, event_fn *run, const void *cargo, size_t bytes);
/* The store in this process answers the holder, soon. */
void node_deliver(struct node *n, const struct parcel *parcel);

#endif
