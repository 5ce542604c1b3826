/* SPDX-License-Identifier: MIT
 *
 * scenario: the worlds that are simulated. All begin as QUIET: five nodes, a primary and two replicas
 * of which one must confirm a grant, 10 s windows, 1 s terms, 2 ms one way, clocks that are wrong by
 * up to 0.1 %. CHAOS adds everything that machines, networks and stores do and that the promise holds
 * through; it ends after 70 s, so that repair can be judged. GREEDY replaces callers by an adversary. RING
 * makes the store one of three replicas without a primary, where permits are claimed (lease/claim.h).
 * LWT makes it a record that is changed on conditions (ledger.h). A later line overrides an earlier one.
 *
 * The bounds (use, repair, trips) are set below the worst of a thousand seeds; docs/leases.md has the
 * figures and how to measure them. */
#include "sim/scenario.h"

#include <string.h>

#include "sim/world.h"

/* A later setting overriding an earlier one is how these are written. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* Lines are laid out by hand: what belongs together stands together. */
/* clang-format off */

#define QUIET(title, text) \
    .name = title, .about = text, \
    .limit = 200, .window_ns = 10 * SIM_S, \
    .options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = 1 * SIM_S}, \
    .has_watch = true, .nodes = 5, \
    .traffic = TRAFFIC_STEADY, .load_percent = 200, .cost_max = 1, .duration_ns = 120 * SIM_S, \
    .rate_error_ppm = 1000, .delay_ns = 2 * SIM_MS, \
    .replicas = 2, .wait = 1, .replica_delay_ns = 4 * SIM_MS, \
    .clamp_us = 250000, \
    .trips_max_permille = 1500, .callers_enough = 40

/* Clocks are all but exact and nothing allows for more: whatever else is wrong shows at once. */
#define TIGHT \
    .has_watch = false, .rate_error_ppm = 1, \
    .options = {.clock_error_ppm = 1, .margin_ns = 1, .nodes = 5, .term_ns = 1 * SIM_S, .idle_ns = 20 * SIM_S}

#define FLAKY(title, text) \
    QUIET(title, text), \
    .calm_ns = 70 * SIM_S, .duration_ns = 130 * SIM_S, \
    .tail_permille = 20, .loss_permille = 10, .repeat_permille = 10, \
    .crash_every_ns = 60 * SIM_S, .pause_every_ns = 40 * SIM_S

#define CHAOS(title, text) \
    FLAKY(title, text), \
    .rate_every_ns = 20 * SIM_S, .cut_every_ns = 60 * SIM_S, .clog_every_ns = 60 * SIM_S, \
    .fork_every_ns = 90 * SIM_S, \
    .failover_every_ns = 25 * SIM_S, .has_split_brain = true, \
    .skew_ns = 5 * SIM_S, .step_every_ns = 30 * SIM_S, .step_ns = 8 * SIM_S

#define GREEDY \
    .traffic = TRAFFIC_GREEDY, .limit = 40, .calm_ns = 0, .duration_ns = 90 * SIM_S, \
    .options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = 1 * SIM_S, .idle_ns = 20 * SIM_S}

/* Claims of permits in a store that reads and writes by quorum. */
#define RING(base, title, text) \
    base(title, text), \
    .members = {.clock_error_ppm = 1000, .beat_ns = 1 * SIM_S, .valid_ns = 5 * SIM_S}

/* A record that is changed on conditions. */
#define LWT(base, title, text) \
    base(title, "conditional updates; " text), .has_record = true, .has_watch = false

/* An adversary whose nodes are cut off for longer than others believe them to be alive; short windows, so
 * that it takes all there is several times meanwhile. */
#define CUTS \
    GREEDY, TIGHT, \
    .nodes = 3, .limit = 12, .window_ns = 2 * SIM_S, .duration_ns = 200 * SIM_S, \
    .options = {.clock_error_ppm = 1, .margin_ns = 1, .nodes = 3, .term_ns = SIM_S / 2, \
                .idle_ns = 20 * SIM_S}, \
    .members = {.clock_error_ppm = 1, .beat_ns = SIM_S / 4, .valid_ns = 2 * SIM_S}, \
    .cut_every_ns = 15 * SIM_S

/* Slow replication and a failover every 3 s. */
#define LAG(title, text) \
    QUIET(title, text), GREEDY, TIGHT, \
    .nodes = 3, .failover_every_ns = 1 * SIM_S, .replica_delay_ns = 30 * SIM_MS, .has_split_brain = true

const struct scenario sim_scenarios[] = {
    {QUIET("quiet-80", "no faults, 80 % of the limit"), .load_percent = 80, .use_min_permille = 970},
    {QUIET("quiet-100", "no faults, as much as the limit"), .load_percent = 100, .use_min_permille = 950},
    {QUIET("quiet-200", "no faults, twice the limit"), .use_min_permille = 940},
    {QUIET("quiet-bursts", "no faults, bursts and pauses"), .traffic = TRAFFIC_BURSTS,
     .use_min_permille = 700,
     .trips_max_permille = 800},
    {QUIET("quiet-halves", "no faults, half of the limit at a time, far apart"), .traffic = TRAFFIC_HALVES,
     .use_min_permille = 970, .trips_max_permille = 3500},
    {QUIET("quiet-large", "no faults, 3000 in 10 s"), .limit = 3000, .duration_ns = 80 * SIM_S,
     .use_min_permille = 945,
     .trips_max_permille = 300},
    {QUIET("quiet-minute", "no faults, 1200 in a minute"), .limit = 1200, .window_ns = 60 * SIM_S,
     .duration_ns = 480 * SIM_S, .use_min_permille = 955, .trips_max_permille = 800},
    {QUIET("quiet-second", "no faults, 200 in a second, terms of 0.1 s"), .window_ns = SIM_S,
     .options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = SIM_S / 10}, .rate_error_ppm = 1000,
     .duration_ns = 40 * SIM_S, .use_min_permille = 860},
    {QUIET("quiet-short", "no faults, 50 in 50 ms: a trip a decision"), .limit = 50, .window_ns = 50 * SIM_MS,
     .options = {.nodes = 5}, .duration_ns = 5 * SIM_S, .use_min_permille = 220, .trips_max_permille = 2500},
    {QUIET("quiet-small", "no faults, 10 in 10 s: a trip a decision"), .limit = 10,
     .use_min_permille = 900,
     .trips_max_permille = 2500},
    {QUIET("quiet-one", "no faults, 1 in 10 s"), .limit = 1, .duration_ns = 600 * SIM_S,
     .use_min_permille = 840,
     .trips_max_permille = 2500},
    {QUIET("quiet-costs", "no faults, costs of 1 to 10"), .limit = 500, .cost_max = 10,
     .use_min_permille = 930},
    {QUIET("tight", "exact clocks, no margin, twice the limit"), TIGHT, .use_min_permille = 965},
    {QUIET("tight-large", "the same, 3000 in 10 s"), TIGHT, .limit = 3000, .duration_ns = 80 * SIM_S,
     .use_min_permille = 970,
     .trips_max_permille = 300},

    {FLAKY("flaky", "crashes, pauses, loss, repeats, slow messages"), .use_min_permille = 880,
     .repair_min_permille = 840},
    {CHAOS("chaos", "all that the promise holds through"), .repair_min_permille = 840},
    {CHAOS("chaos-bursts", "the same with bursts"), .traffic = TRAFFIC_BURSTS,
     .repair_min_permille = 400},
    {CHAOS("chaos-small", "the same, 10 in 10 s"), .limit = 10, .repair_min_permille = 750,
     .trips_max_permille = 4000},
    {CHAOS("chaos-costs", "the same, costs of 1 to 10"), .limit = 500, .cost_max = 10,
     .repair_min_permille = 820,
     .trips_max_permille = 2000},
    {CHAOS("chaos-wipe", "and the store loses everything"), .wipe_every_ns = 40 * SIM_S,
     .repair_min_permille = 820},

    {CHAOS("greedy-chaos", "an adversary in chaos"), GREEDY},
    {CHAOS("greedy-small", "an adversary in chaos, 10 in 10 s"), GREEDY, .limit = 10},
    {CHAOS("greedy-wipe", "an adversary, and the store loses everything"), GREEDY,
     .wipe_every_ns = 20 * SIM_S},
    {QUIET("greedy-crash", "an adversary that spends in the last instant and dies"), GREEDY, TIGHT,
     .crashes_after = true},
    {QUIET("greedy-forks", "an adversary that forks"), GREEDY, TIGHT, .fork_every_ns = 5 * SIM_S},
    {QUIET("greedy-loss", "an adversary, 30 % of messages lost, 30 % repeated"), GREEDY, TIGHT,
     .loss_permille = 300, .repeat_permille = 300},
    {QUIET("greedy-slow", "an adversary, one of ten messages takes up to 1.5 terms"), GREEDY, TIGHT,
     .tail_permille = 100, .crashes_after = true},
    {QUIET("greedy-pauses", "an adversary that is paused, and dies"), GREEDY, TIGHT,
     .pause_every_ns = 5 * SIM_S,
     .crashes_after = true},
    {QUIET("greedy-rates", "an adversary, clocks wrong by 3 %, and no margin for anything else"), GREEDY,
     .has_watch = false, .rate_error_ppm = 30000, .rate_every_ns = 30 * SIM_S,
     .options = {.clock_error_ppm = 30000, .margin_ns = 1, .nodes = 5, .term_ns = 1 * SIM_S,
     .idle_ns = 20 * SIM_S}},
    {QUIET("greedy-jumps", "an adversary, failovers and clock steps every few seconds, not watched"),
     GREEDY,
     .has_watch = false, .server_rate_ppm = 1000,
     .failover_every_ns = 6 * SIM_S, .skew_ns = 5 * SIM_S, .step_every_ns = 4 * SIM_S,
     .step_ns = 8 * SIM_S},
    {LAG("greedy-lag", "an adversary, slow replicas, failovers to the one that has most")},
    {LAG("greedy-lag-all", "the same, all replicas confirm, any of them is promoted"), .wait = 2,
     .promotes_any = true},
    {QUIET("greedy-creep", "an adversary, the store's clock creeps ahead by steps of up to 0.2 s"),
     GREEDY,
     .creep_ns = 200 * SIM_MS, .creep_every_ns = 2 * SIM_S},
    {QUIET("greedy-leaps", "the same by steps of up to 0.9 s, within a clamp of 1 s; 20 % are lost"), GREEDY,
     .loss_permille = 200, .creep_ns = 900 * SIM_MS, .creep_every_ns = 2 * SIM_S, .clamp_us = 1000000},
    {QUIET("greedy-leaps-short", "an adversary, 20 in 50 ms, leaps of up to 0.24 s within the clamp"), GREEDY,
     .limit = 20, .window_ns = 50 * SIM_MS, .nodes = 3, .delay_ns = SIM_MS / 2,
     .options = {.round_trip_ns = 1 * SIM_MS, .nodes = 3}, .duration_ns = 40 * SIM_S,
     .replica_delay_ns = SIM_MS / 4, .creep_ns = 240 * SIM_MS, .creep_every_ns = SIM_S / 2},
    {QUIET("creep", "as greedy-creep, with ordinary callers"), .creep_ns = 200 * SIM_MS,
     .creep_every_ns = 2 * SIM_S,
     .use_min_permille = 940},
    {QUIET("leaps", "as greedy-leaps, with ordinary callers"), .creep_ns = 900 * SIM_MS,
     .creep_every_ns = 2 * SIM_S,
     .clamp_us = 1000000, .use_min_permille = 935},
    {QUIET("greedy-drift",
     "an adversary, the store's clock is 9 % fast, more than is promised and than nodes can see"), GREEDY,
     .rate_error_ppm = 30000, .has_fast_nodes = true, .server_rate_ppm = 90000,
     .options = {.clock_error_ppm = 30000, .nodes = 5, .term_ns = 1 * SIM_S, .idle_ns = 20 * SIM_S}},

    {RING(QUIET, "ring-20", "a ring; no faults, 20 % of the limit"), .load_percent = 20,
     .use_min_permille = 980, .trips_max_permille = 2500},
    {RING(QUIET, "ring-few", "a ring; no faults, 20 in 10 s for who asks once in two windows"), .limit = 20,
     .load_percent = 2, .duration_ns = 2000 * SIM_S, .use_min_permille = 970, .trips_max_permille = 2200},
    {RING(QUIET, "ring-mortal", "a ring; as ring-lulls, and processes that die"),
     .traffic = TRAFFIC_LULLS, .limit = 40, .load_percent = 100, .duration_ns = 700 * SIM_S,
     .crash_every_ns = 120 * SIM_S, .use_min_permille = 600, .trips_max_permille = 2250},
    {RING(QUIET, "ring-heirs", "a ring; as ring-mortal, 40 in a minute, for who lives but a window or two"),
     .traffic = TRAFFIC_LULLS, .limit = 40, .window_ns = 60 * SIM_S, .load_percent = 100,
     .duration_ns = 5040 * SIM_S, .crash_every_ns = 90 * SIM_S, .use_min_permille = 690,
     .trips_max_permille = 2500},
    {RING(QUIET, "ring-lulls", "a ring; no faults, few callers anywhere, then as many as the limit at one"),
     .traffic = TRAFFIC_LULLS, .limit = 40, .load_percent = 100, .duration_ns = 700 * SIM_S,
     .use_min_permille = 900, .trips_max_permille = 2500},
    {RING(QUIET, "ring-80", "a ring; no faults, 80 % of the limit"), .load_percent = 80,
     .use_min_permille = 920, .trips_max_permille = 2500},
    {RING(QUIET, "ring-100", "a ring; no faults, as much as the limit"), .load_percent = 100,
     .use_min_permille = 905, .trips_max_permille = 3000},
    {RING(QUIET, "ring-200", "a ring; no faults, twice the limit"), .use_min_permille = 930,
     .trips_max_permille = 1500},
    {RING(QUIET, "ring-bursts", "a ring; no faults, bursts and pauses"), .traffic = TRAFFIC_BURSTS,
     .use_min_permille = 700, .trips_max_permille = 1500},
    {RING(QUIET, "ring-halves", "a ring; no faults, half of the limit at a time, far apart"),
     .traffic = TRAFFIC_HALVES, .use_min_permille = 600, .trips_max_permille = 7000},
    {RING(QUIET, "ring-large", "a ring; no faults, 3000 in 10 s"), .limit = 3000, .duration_ns = 80 * SIM_S,
     .use_min_permille = 925, .trips_max_permille = 250},
    {RING(QUIET, "ring-minute", "a ring; no faults, 1200 in a minute"), .limit = 1200,
     .window_ns = 60 * SIM_S, .duration_ns = 480 * SIM_S, .use_min_permille = 935, .trips_max_permille = 700},
    {RING(QUIET, "ring-second", "a ring; no faults, 200 in a second, terms of 0.1 s"), .window_ns = SIM_S,
     .options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = SIM_S / 10}, .duration_ns = 40 * SIM_S,
     .use_min_permille = 870, .trips_max_permille = 900},
    {RING(QUIET, "ring-small", "a ring; no faults, 10 in 10 s"), .limit = 10, .use_min_permille = 860,
     .trips_max_permille = 4500},
    {RING(QUIET, "ring-one", "a ring; no faults, 1 in 10 s"), .limit = 1, .duration_ns = 600 * SIM_S,
     .use_min_permille = 850, .trips_max_permille = 4000},
    {RING(QUIET, "ring-costs", "a ring; no faults, costs of 1 to 10"), .limit = 500, .cost_max = 10,
     .use_min_permille = 895, .trips_max_permille = 3500},
    {RING(QUIET, "ring-near", "a ring; as ring-bursts, on a network that takes half a millisecond"),
     .traffic = TRAFFIC_BURSTS, .delay_ns = SIM_MS / 2, .replica_delay_ns = SIM_MS / 2,
     .use_min_permille = 700, .trips_max_permille = 1500},
    {RING(FLAKY, "ring-flaky", "a ring; crashes, pauses, loss, repeats, slow messages"),
     .repair_min_permille = 600, .trips_max_permille = 1800},
    {RING(CHAOS, "ring-chaos", "a ring; all that the promise holds through"), .repair_min_permille = 650,
     .trips_max_permille = 1800, .unsent_permille = 100},
    {RING(CHAOS, "ring-chaos-small", "a ring; the same, 10 in 10 s"), .limit = 10,
     .repair_min_permille = 550, .trips_max_permille = 5000},

    {RING(QUIET, "ring-forgotten", "a ring; an outage for longer than anything is kept there"), .limit = 5,
     .load_percent = 200, .calm_ns = 11500 * SIM_S, .outage_ns = 11400 * SIM_S, .duration_ns = 11800 * SIM_S,
     .crash_every_ns = 20000 * SIM_S, .repair_min_permille = 850, .trips_max_permille = 40000},

    {RING(QUIET, "ring-resets", "a ring; bursts and pauses, and resets now and then"),
     .traffic = TRAFFIC_BURSTS, .limit = 40, .duration_ns = 600 * SIM_S, .reset_every_ns = 200 * SIM_S,
     .failover_every_ns = 20 * SIM_S, .trips_max_permille = 3000},
    {RING(QUIET, "ring-greedy-resets", "a ring; an adversary, slow replicas that go down, and resets"),
     GREEDY, .failover_every_ns = 2 * SIM_S, .replica_delay_ns = 50 * SIM_MS, .loss_permille = 100,
     .duration_ns = 300 * SIM_S, .reset_every_ns = 100 * SIM_S},

    {RING(CHAOS, "ring-greedy", "a ring; an adversary in chaos"), GREEDY, .unsent_permille = 200},
    {RING(CHAOS, "ring-greedy-small", "a ring; an adversary in chaos, 10 in 10 s"), GREEDY, .limit = 10},
    {RING(QUIET, "ring-greedy-down", "a ring; an adversary, replicas that are slow and go down"), GREEDY,
     .failover_every_ns = 2 * SIM_S, .replica_delay_ns = 50 * SIM_MS, .loss_permille = 100},
    {RING(QUIET, "ring-greedy-crash", "a ring; an adversary that spends in the last instant and dies"),
     GREEDY, TIGHT, .crashes_after = true},
    {RING(QUIET, "ring-greedy-cuts", "a ring; an adversary that is cut off now and then, and given up"),
     CUTS, .tail_permille = 50, .unsent_permille = 100},
    {RING(QUIET, "ring-greedy-slow", "the same, and half of the messages take up to 1.5 terms"), CUTS,
     .tail_permille = 500},
    {RING(QUIET, "ring-greedy-heirs", "a ring; as ring-greedy-cuts, for who begins anew and goes by dates"),
     CUTS, .window_ns = 6 * SIM_S, .tail_permille = 50, .crash_every_ns = 10 * SIM_S,
     .members = {.clock_error_ppm = 1, .beat_ns = SIM_S / 4, .valid_ns = 1 * SIM_S}},
    {RING(QUIET, "ring-greedy-rates", "a ring; as ring-greedy-cuts, clocks wrong by 5 %, and no margin"),
     CUTS, .limit = 3, .window_ns = SIM_S / 4, .duration_ns = 300 * SIM_S, .rate_error_ppm = 50000,
     .options = {.clock_error_ppm = 50000, .margin_ns = 1, .nodes = 3, .term_ns = SIM_S / 50,
                 .idle_ns = 20 * SIM_S},
     .members = {.clock_error_ppm = 50000, .beat_ns = SIM_S / 10, .valid_ns = 3 * SIM_S}},

    {LWT(QUIET, "lwt-20", "no faults, 20 % of the limit"), .load_percent = 20,
     .use_min_permille = 970, .trips_max_permille = 2700},
    {LWT(QUIET, "lwt-80", "no faults, 80 % of the limit"), .load_percent = 80,
     .use_min_permille = 905, .trips_max_permille = 2700},
    {LWT(QUIET, "lwt-100", "no faults, as much as the limit"), .load_percent = 100,
     .use_min_permille = 905, .trips_max_permille = 2500},
    {LWT(QUIET, "lwt-200", "no faults, twice the limit"), .use_min_permille = 940,
     .trips_max_permille = 2000},
    {LWT(QUIET, "lwt-bursts", "no faults, bursts and pauses"), .traffic = TRAFFIC_BURSTS,
     .use_min_permille = 180, .trips_max_permille = 1200,
     .callers_enough = 500 /* updates of a small node lose against those of the others */},
    {LWT(QUIET, "lwt-halves", "no faults, half of the limit at a time, far apart"),
     .traffic = TRAFFIC_HALVES, .use_min_permille = 900, .trips_max_permille = 4500},
    {LWT(QUIET, "lwt-large", "no faults, 3000 in 10 s"), .limit = 3000, .duration_ns = 80 * SIM_S,
     .use_min_permille = 930, .trips_max_permille = 200},
    {LWT(QUIET, "lwt-minute", "no faults, 1200 in a minute"), .limit = 1200, .window_ns = 60 * SIM_S,
     .duration_ns = 480 * SIM_S, .use_min_permille = 955, .trips_max_permille = 1600},
    {LWT(QUIET, "lwt-second", "no faults, 200 in a second, terms of 0.1 s"), .window_ns = SIM_S,
     .options = {.clock_error_ppm = 1000, .nodes = 5, .term_ns = SIM_S / 10}, .duration_ns = 40 * SIM_S,
     .use_min_permille = 520, .trips_max_permille = 350},
    {LWT(QUIET, "lwt-small", "no faults, 10 in 10 s"), .limit = 10, .use_min_permille = 930,
     .trips_max_permille = 2200},
    {LWT(QUIET, "lwt-one", "no faults, 1 in 10 s"), .limit = 1, .duration_ns = 600 * SIM_S,
     .use_min_permille = 850, .trips_max_permille = 2200},
    {LWT(QUIET, "lwt-near", "as lwt-bursts, on a network that takes half a millisecond"),
     .traffic = TRAFFIC_BURSTS, .delay_ns = SIM_MS / 2, .replica_delay_ns = SIM_MS / 2,
     .use_min_permille = 680, .trips_max_permille = 1300},
    {LWT(FLAKY, "lwt-flaky", "crashes, pauses, loss, repeats, slow messages"),
     .repair_min_permille = 850, .trips_max_permille = 1500},
    {LWT(CHAOS, "lwt-chaos", "all that the promise holds through"), .repair_min_permille = 850,
     .trips_max_permille = 1500},

    {LWT(CHAOS, "lwt-greedy", "an adversary in chaos"), GREEDY},
    {LWT(QUIET, "lwt-greedy-rates", "an adversary, clocks wrong by 3 %, and no margin for anything else"),
     GREEDY, .rate_error_ppm = 30000, .rate_every_ns = 30 * SIM_S,
     .options = {.clock_error_ppm = 30000, .margin_ns = 1, .nodes = 5, .term_ns = 1 * SIM_S,
     .idle_ns = 20 * SIM_S}},
    {LWT(QUIET, "lwt-greedy-down", "an adversary, replicas that are slow and go down"), GREEDY, TIGHT,
     .failover_every_ns = 2 * SIM_S, .replica_delay_ns = 20 * SIM_MS, .loss_permille = 100},
    {LWT(QUIET, "lwt-greedy-crash", "an adversary that spends in the last instant and dies"), GREEDY,
     TIGHT, .crashes_after = true},
    {LWT(QUIET, "lwt-greedy-cuts", "an adversary that is cut off now and then"), CUTS,
     .tail_permille = 50},
    {LWT(QUIET, "lwt-greedy-slow", "the same, and half of the messages take up to 1.5 terms"), CUTS,
     .tail_permille = 500},

    {LWT(QUIET, "broken-lwt-rollback", "the store goes back to an old copy of itself"), GREEDY,
     .rollback_every_ns = 10 * SIM_S,
     .broken_assumption = "grants are forgotten"},
    {RING(QUIET, "broken-ring-one", "a ring; one replica is enough"), GREEDY, .quorum = 1,
     .replica_delay_ns = 50 * SIM_MS,
     .broken_assumption = "a claim is not seen by who reads another replica"},
    {RING(CHAOS, "broken-ring-wipe", "a ring; replicas lose everything"), GREEDY, .wipe_every_ns = 3 * SIM_S,
     .broken_assumption = "a claim is not seen when a replica has lost it"},
    {LAG("broken-wait", "one of two replicas confirms, any of them is promoted"), .promotes_any = true,
     .broken_assumption = "a confirmed grant is lost when a replica without it is promoted"},
    {LAG("broken-no-wait", "no replica confirms"), .wait = 0,
     .broken_assumption = "a grant is lost when no replica had it"},
    {QUIET("broken-freeze", "machines stop, and their clocks too, as when a VM is frozen; not watched"),
     GREEDY,
     .has_watch = false, .pause_every_ns = 8 * SIM_S, .has_freezes = true, .crashes_after = true,
     .broken_assumption = "a holder whose clock stood still uses its lease after its end"},
    {QUIET("broken-rollback", "the store goes back to an old copy of itself"), GREEDY,
     .rollback_every_ns = 10 * SIM_S,
     .broken_assumption = "grants are forgotten; it is found out and held, but only then"},
};
/* clang-format on */

const size_t sim_scenario_count = sizeof sim_scenarios / sizeof sim_scenarios[0];

const struct scenario *scenario_find(const char *name) {
    for (size_t i = 0; i < sim_scenario_count; i++)
        if (strcmp(sim_scenarios[i].name, name) == 0) return &sim_scenarios[i];
    return NULL;
}
