/* SPDX-License-Identifier: MIT
 *
 * scenario: machines, network, store, callers, what goes wrong, and what is expected. See scenario.c. */
#ifndef WEIR_SIM_SCENARIO_H
#define WEIR_SIM_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease/members.h"
#include "lease/terms.h"

enum { SIM_NODES_MAX = 8, SIM_SERVERS_MAX = 3 };

enum traffic {
    TRAFFIC_STEADY, /* callers come independently, at load_percent of the limit; nodes have uneven shares */
    TRAFFIC_BURSTS, /* at 15 times that, with pauses between */
    TRAFFIC_LULLS, /* few callers anywhere for some windows, then all that the limit bears at one node */
    TRAFFIC_HALVES, /* one caller takes half of the limit, twice in a little more than a window */
    TRAFFIC_GREEDY, /* nodes take all that they can, and spend it at the worst moment */
};

/* Intervals named *_every_ns are means between faults of that kind; 0: never. */
struct scenario {
    const char *name;
    const char *about;
    const char *broken_assumption; /* why the limit may be exceeded here; NULL: it may not */

    uint64_t             limit, window_ns;
    struct lease_options options; /* what the nodes believe of clocks and network */
    uint32_t             nodes;
    enum traffic         traffic;
    uint64_t             load_percent;
    uint64_t             cost_max;
    uint64_t             duration_ns;
    uint64_t             calm_ns; /* no more faults from here on; 0: until the end */

    bool has_watch;
    bool has_fast_nodes;  /* all nodes' clocks are fast; else they differ */
    bool has_freezes;     /* a pause stops the node's clock, too */
    bool crashes_after;   /* a greedy node dies, half of the time, when it has spent all */
    bool has_split_brain; /* half of the deposed primaries go on for a while */
    bool promotes_any;    /* replica, and not the one that has most */
    bool has_record;      /* the store is a record that is changed on conditions (paxos.h) */

    int64_t  rate_error_ppm;  /* true clock errors are up to this */
    int64_t  server_rate_ppm; /* if not 0, servers' clocks are so fast */
    uint64_t delay_ns;        /* mean of one way */
    uint64_t tail_permille;   /* messages that take up to 1.5 terms */
    uint64_t loss_permille, repeat_permille;
    uint64_t
        cut_every_ns; /* a node is cut off, in one direction or both, for up to a window, in a ring
                               for longer than others believe it to be alive */
    uint64_t clog_every_ns; /* a node's messages are held up for up to two terms, then all arrive */
    uint64_t rate_every_ns; /* a node's clock goes on at another rate */
    uint64_t crash_every_ns, pause_every_ns, fork_every_ns;
    uint64_t reset_every_ns; /* in a ring: somebody asks a node to forget the user */

    /* A store that writes and reads by quorum (ring.h) if beat_ns is not 0; else one with a primary. */
    struct members_options members;
    uint64_t unsent_permille; /* of joins and beats: no server can be reached for them */
    uint64_t quorum;          /* 0: more than half */

    uint64_t replicas, wait; /* a grant is used when so many replicas have it */
    uint64_t replica_delay_ns;
    uint64_t failover_every_ns; /* in a ring: a replica is down for some seconds */
    uint64_t skew_ns;           /* between the clocks of servers */
    uint64_t step_every_ns, step_ns;
    uint64_t creep_ns, creep_every_ns; /* steps of the primary's clock, too small for the clamp */
    uint64_t wipe_every_ns, rollback_every_ns; /* in a ring: a replica loses everything */
    uint64_t outage_ns; /* in a ring: before calm_ns no replica can be reached for so long */
    uint64_t clamp_us;

    uint64_t use_min_permille;    /* of what an ideal log admits, over the whole run */
    uint64_t repair_min_permille; /* the same, from 2 (H + T) after calm_ns */
    uint64_t trips_max_permille;  /* trips a request */
    uint64_t callers_enough;      /* of a node that must have got something */
};

extern const struct scenario sim_scenarios[];
extern const size_t          sim_scenario_count;

/* NULL: there is none of this name. */
const struct scenario *scenario_find(const char *name);

#endif
