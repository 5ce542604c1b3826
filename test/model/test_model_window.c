/* SPDX-License-Identifier: MIT
 *
 * Plays random and exhaustive programs against the strict window and judges every single decision
 * by the exact log (window_trial.h says what is judged). A program that fails is shortened and
 * printed as a scenario, with the command that repeats it. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>

#include "model/draw.h"
#include "model/seeds.h"
#include "model/window_program.h"
#include "model/window_trial.h"

enum {
    RULES          = 10000,
    STEPS_FULL     = 10000, /* of each rule, at effort 1: 100 million decisions */
    STEPS_MIN      = 100,
    STEPS_OF_SEEDS = 20000,
};

static void play(uint64_t seed, size_t steps, struct program_tally *tally) {
    struct program program;
    char           failure[PROGRAM_FAILURE_BYTES];
    if (!window_program_run(&program, seed, steps, tally, failure)) {
        program_report(&program, window_program_fails, "", failure);
    }
    program_clear(&program);
}

TEST(seeds_that_once_failed_hold) {
    static uint64_t      seeds[SEEDS_MAX];
    size_t               count = seeds_read("model_window", seeds);
    struct program_tally tally = {0};
    for (size_t i = 0; i < count; i++) play(seeds[i], STEPS_OF_SEEDS, &tally);
}

/* The first program is that of the run's own seed, so that --seed repeats the one that failed. */
TEST(no_window_is_above_its_limit_and_no_denial_is_without_need) {
    uint64_t             steps = seeds_share(check_effort(STEPS_FULL));
    struct program_tally tally = {0};
    struct random        r     = {.state = check_seed()};
    uint64_t             seed  = check_seed();
    if (steps < STEPS_MIN) steps = STEPS_MIN;
    for (size_t rule = 0; rule < RULES; rule++) {
        play(seed, steps, &tally);
        seed = random_next(&r);
    }
    printf("%" PRIu64 " rules, %" PRIu64 " decisions: %" PRIu64 " admitted, %" PRIu64
           " denied, %" PRIu64 " retry times checked\n",
           tally.programs, tally.steps, tally.admissions, tally.denials, tally.retries);
    CHECK_GE(tally.denials, tally.steps / 20);
    CHECK_GE(tally.admissions, tally.steps / 20);
}

/* ---- small worlds, whole ---- */

struct world {
    uint64_t limits[2]; /* the second is asked for too if it is not 0 */
    uint64_t window_ns;
    uint64_t gaps_ns[8];
    size_t   gap_count;
    uint64_t costs[6];
    size_t   cost_count;
    bool     is_exact; /* a cell is a nanosecond and a quantum a permit: decides as the log does */
};

static uint64_t world_decisions;

static void world_visit(const struct world *world, struct window_trial *trial, uint64_t now_ns,
                        unsigned depth, struct program_step *steps, unsigned taken) {
    if (depth == 0) return;
    struct window_trial saved = *trial;
    for (size_t l = 0; l < 2 && world->limits[l] > 0; l++) {
        for (size_t g = 0; g < world->gap_count; g++) {
            for (size_t k = 0; k < world->cost_count; k++) {
                struct program_step step = {
                    .now_ns = now_ns + world->gaps_ns[g],
                    .limit  = world->limits[l],
                    .cost   = world->costs[k],
                };
                uint64_t used = exact_log_within(&trial->log, step.now_ns, world->window_ns);
                steps[taken]  = step;
                world_decisions++;
                bool holds = window_trial_step(trial, step);
                if (holds && world->is_exact &&
                    trial->allowed != (used + step.cost <= step.limit)) {
                    snprintf(trial->failure, sizeof trial->failure, "differs from an exact log");
                    holds = false;
                }
                if (!holds) {
                    struct program program = {
                        .window_ns = world->window_ns, .steps = steps, .count = taken + 1};
                    program_print(&program, "", trial->failure);
                    CHECK_SAYS(false, "%s", trial->failure);
                }
                world_visit(world, trial, step.now_ns, depth - 1, steps, taken + 1);

                struct exact_log log = trial->log;
                log.count            = saved.log.count;
                *trial               = saved;
                trial->log           = log;
            }
        }
    }
}

static void world_run(const struct world *world, unsigned depth) {
    struct window_trial trial;
    struct program_step steps[16];
    window_trial_begin(&trial, world->window_ns, UINT64_MAX);
    world_visit(world, &trial, world->window_ns / 2, depth, steps, 0);
    window_trial_end(&trial);
}

/* How deep to go: each level multiplies the work by the ways that a step can be. */
static unsigned world_depth(const struct world *world, uint64_t decisions) {
    uint64_t ways  = world->gap_count * world->cost_count * (world->limits[1] > 0 ? 2 : 1);
    uint64_t power = ways;
    unsigned depth = 1;
    while (power * ways <= decisions && depth < 15) {
        power *= ways;
        depth++;
    }
    return depth;
}

TEST(tiny_worlds_decide_exactly_as_the_log_does) {
    uint64_t decisions = seeds_share(check_effort(1000000));
    for (uint64_t limit = 1; limit <= 4; limit++) {
        for (uint64_t window_ns = 1; window_ns <= 5; window_ns++) {
            struct world world = {
                .limits = {limit}, .window_ns = window_ns, .gap_count = 0, .is_exact = true};
            for (uint64_t gap = 0; gap <= window_ns + 1; gap++)
                world.gaps_ns[world.gap_count++] = gap;
            for (uint64_t cost = 1; cost <= limit; cost++) world.costs[world.cost_count++] = cost;
            world_run(&world, world_depth(&world, decisions));
        }
    }
    CHECK_GT(world_decisions, 0);
}

/* The largest window whose cell is one nanosecond, for each way of cutting. */
TEST(a_window_of_single_nanoseconds_is_exact) {
    uint64_t decisions = seeds_share(check_effort(1000000));
    for (uint64_t limit = 1; limit <= 160; limit += 53) {
        uint64_t     window_ns = window_grid_for(limit, 1).cells;
        struct world world     = {
                .limits     = {limit},
                .window_ns  = window_ns,
                .gaps_ns    = {0, 1, window_ns / 2, window_ns - 1, window_ns},
                .gap_count  = 5,
                .costs      = {1, limit / 2 + 1, limit},
                .cost_count = 3,
                .is_exact   = true,
        };
        CHECK_EQ(window_grid_for(limit, window_ns).cell_ns, 1);
        world_run(&world, world_depth(&world, decisions));
    }
}

TEST(small_worlds_with_coarse_cells_hold) {
    uint64_t decisions = seeds_share(check_effort(1000000));
    for (uint64_t limit = 1; limit <= 4; limit++) {
        uint64_t           window_ns = 4000;
        struct window_grid grid      = window_grid_for(limit, window_ns);
        struct world       world     = {
                      .limits    = {limit, limit == 1 ? 3 : 1},
                      .window_ns = window_ns,
                      .gaps_ns   = {0, 1, grid.cell_ns, 2000, window_ns - 1, window_ns},
                      .gap_count = 6,
        };
        for (uint64_t cost = 1; cost <= limit; cost++) world.costs[world.cost_count++] = cost;
        world_run(&world, world_depth(&world, decisions));
    }
}

TEST(small_worlds_with_coarse_quanta_and_changing_limits_hold) {
    static const uint64_t pairs[][2] = {{161, 0}, {161, 160},   {1000, 31},
                                        {33, 32}, {10241, 320}, {320, 10241}};
    uint64_t              decisions  = seeds_share(check_effort(1000000));
    for (size_t p = 0; p < sizeof pairs / sizeof *pairs; p++) {
        uint64_t           limit     = pairs[p][0];
        uint64_t           window_ns = 16000;
        struct window_grid grid      = window_grid_for(limit, window_ns);
        struct world       world     = {
                      .limits     = {limit, pairs[p][1]},
                      .window_ns  = window_ns,
                      .gaps_ns    = {0, grid.cell_ns + 1, window_ns - 1, window_ns},
                      .gap_count  = 4,
                      .costs      = {1, grid.quantum + 1, limit / 2, limit - 1},
                      .cost_count = 4,
        };
        world_run(&world, world_depth(&world, decisions));
    }
}

/* ---- how much of the limit is used ---- */

enum workload { WORKLOAD_POISSON, WORKLOAD_BURSTS, WORKLOAD_COUNT };

/* What the strict window admits, per mille of what an exact log admits of the same arrivals. */
static uint64_t utilisation(struct random *r, uint64_t limit, double load, enum workload workload) {
    const uint64_t   window_ns = 1000000007;
    uint64_t         cost      = limit < 2000 ? 1 : limit / 1000;
    double           gap_ns    = (double)window_ns * (double)cost / (double)limit / load;
    struct counter   counter   = {0};
    struct exact_log log       = {0};
    uint64_t         now_ns = window_ns, strict = 0, exact = 0;
    uint64_t         windows  = 150 + seeds_share(check_effort(250));
    double           burst_ns = 0;
    while (now_ns < windows * window_ns) {
        double step_ns = draw_exponential(r) * gap_ns;
        if (workload == WORKLOAD_BURSTS) {
            step_ns /= 20.0;
            burst_ns += step_ns;
            if (burst_ns > 0.02 * (double)window_ns) {
                step_ns += draw_exponential(r) * 0.4 * (double)window_ns;
                burst_ns = 0;
            }
        }
        now_ns += (uint64_t)step_ns + 1;
        if (window_admit(&counter, limit, window_ns, cost, now_ns)) strict += cost;
        if (exact_log_within(&log, now_ns, window_ns) + cost <= limit) {
            exact_log_add(&log, now_ns, cost);
            exact += cost;
        }
    }
    exact_log_clear(&log);
    CHECK_GT(exact, 0);
    return (uint64_t)(1000.0 * (double)strict / (double)exact);
}

/* The short runs of the slow builds vary by a hundredth. */
TEST(at_least_97_of_100_are_admitted_of_what_an_exact_log_admits) {
    static const uint64_t limits[] = {
        1,   2,   3,   10,  31,   33,   65,     100,     150,           160,      161,
        200, 319, 321, 500, 1000, 9999, 100000, 1000001, LIMIT_MAX / 3, LIMIT_MAX};
    static const double loads[] = {0.5, 0.9, 1.0, 1.1, 2.0, 10.0};
    struct random       r       = {.state = check_seed()};
    uint64_t            worst   = 1000;
    for (size_t l = 0; l < sizeof limits / sizeof *limits; l++) {
        for (size_t d = 0; d < sizeof loads / sizeof *loads; d++) {
            for (unsigned w = 0; w < WORKLOAD_COUNT; w++) {
                uint64_t share = utilisation(&r, limits[l], loads[d], (enum workload)w);
                CHECK_SAYS(share >= 970,
                           "limit %" PRIu64 ", load %.1f, workload %u: %" PRIu64 " of 1000",
                           limits[l], loads[d], w, share);
                if (share < worst) worst = share;
            }
        }
    }
    printf("the worst workload admits %" PRIu64 " of 1000\n", worst);
}
