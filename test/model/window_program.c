/* SPDX-License-Identifier: MIT */
#include "model/window_program.h"

#include <stdio.h>

#include "model/draw.h"
#include "model/window_trial.h"

enum { PLAYER_LIMITS_MAX = 6 };

/* How a program is played: drawn once, so that some programs are all bursts and others all edges. */
struct player {
    struct random random;
    uint64_t      limits[PLAYER_LIMITS_MAX];
    size_t        limit_count;
    uint64_t      limit;           /* in force */
    uint64_t      limit_change_in; /* one step in so many; 0: never */
    uint64_t      late_in;         /* one step in so many is late; 0: none */
    uint64_t      cost_max;
    double        load; /* of the even rate */
    uint32_t      manner_weights[16];
    uint32_t      manner_weight_sum;
    uint64_t      now_ns; /* latest time asked at */
};

/* How the next time is chosen. */
enum manner {
    MANNER_SAME_INSTANT,
    MANNER_NEXT_NANOSECOND,
    MANNER_POISSON,
    MANNER_CELLS,
    MANNER_WINDOW_LATER, /* than an admission: exactly, or 1 ns or a cell beside it */
    MANNER_RETRY,        /* at retry_after of the last denial, or 1 ns earlier */
    MANNER_RESET,        /* when all is back, or 1 ns beside it */
    MANNER_IDLE,
    MANNER_WINDOW_MULTIPLE, /* around multiples of the window, where fixed windows break */
    MANNER_COUNT
};

static struct player       player_make(struct random *random, struct program *program);
static struct program_step player_step(struct player *player, const struct window_trial *trial);
static uint64_t            player_time(struct player *player, const struct window_trial *trial);
static uint64_t            player_cost(struct player *player, const struct window_trial *trial,
                                       uint64_t now_ns);

bool window_program_run(struct program *program, uint64_t seed, size_t steps,
                        struct program_tally *tally, char *failure) {
    struct random       random = {.state = seed};
    struct window_trial trial;

    program_begin(program, seed, steps);
    struct player player = player_make(&random, program);

    window_trial_begin(&trial, program->window_ns, program->head_top);
    bool holds = true;
    while (holds && program->count < steps) {
        struct program_step step         = player_step(&player, &trial);
        program->steps[program->count++] = step;
        holds                            = window_trial_step(&trial, step);
    }
    snprintf(failure, PROGRAM_FAILURE_BYTES, "%s", trial.failure);
    tally->programs++;
    tally->steps += trial.steps;
    tally->admissions += trial.admissions;
    tally->denials += trial.denials;
    tally->retries += trial.retries;
    window_trial_end(&trial);
    return holds;
}

bool window_program_fails(const struct program *program, char *failure) {
    struct window_trial trial;
    window_trial_begin(&trial, program->window_ns, program->head_top);
    bool holds = true;
    for (size_t i = 0; holds && i < program->count; i++) {
        holds = window_trial_step(&trial, program->steps[i]);
    }
    if (!holds) snprintf(failure, PROGRAM_FAILURE_BYTES, "%s", trial.failure);
    window_trial_end(&trial);
    return !holds;
}

static struct player player_make(struct random *random, struct program *program) {
    struct player  player = {.random = random_split(random)};
    struct random *r      = &player.random;

    program->window_ns = draw_window_ns(r);
    program->head_top  = random_below(r, 4) == 0 ? 0 : random_next(r) & ~COUNTER_HEAD_MASK;
    player.now_ns      = draw_start_ns(r, program->window_ns);

    player.limits[0]   = draw_limit(r);
    player.limit_count = 1;
    if (random_below(r, 5) < 2) {
        player.limit_change_in = 1 + draw_log_uniform(r, 300);
        while (player.limit_count < 2 + random_below(r, PLAYER_LIMITS_MAX - 1)) {
            uint64_t first = player.limits[0], other = 0;
            switch (random_below(r, 7)) {
            case 0: other = draw_limit(r); break;
            case 1: other = draw_beside(r, first, 2); break;
            case 2: other = first / 2 + random_below(r, 2); break;
            case 3: other = first * 2 + random_below(r, 2); break;
            case 4: other = random_below(r, first + 1); break;
            case 5: other = first + draw_log_uniform(r, first); break;
            case 6: other = random_below(r, 2); break;
            }
            player.limits[player.limit_count++] = other > LIMIT_MAX ? LIMIT_MAX : other;
        }
    }
    player.limit = player.limits[0];
    if (random_below(r, 4) == 0) player.late_in = 2 + draw_log_uniform(r, 200);
    player.cost_max = random_below(r, 3) == 0 ? 1 : draw_log_uniform(r, player.limits[0] + 1);
    player.load     = 0.3 * (double)(1 + draw_log_uniform(r, 100));

    /* Few manners at a time, and sometimes all of them. */
    bool all = random_below(r, 4) == 0;
    for (size_t m = 0; m < MANNER_COUNT; m++) {
        if (all || random_below(r, 3) == 0) {
            player.manner_weights[m] = (uint32_t)random_between(r, 1, 20);
        }
        player.manner_weight_sum += player.manner_weights[m];
    }
    if (player.manner_weight_sum == 0) {
        player.manner_weights[MANNER_POISSON] = player.manner_weight_sum = 1;
    }
    return player;
}

static struct program_step player_step(struct player *player, const struct window_trial *trial) {
    struct random *r = &player->random;
    if (player->limit_change_in != 0 && random_below(r, player->limit_change_in) == 0) {
        player->limit = player->limits[random_below(r, player->limit_count)];
    }
    uint64_t now_ns = player_time(player, trial);
    if (now_ns > LIMIT_NOW_MAX) now_ns = LIMIT_NOW_MAX;
    if (now_ns > player->now_ns) player->now_ns = now_ns;

    if (player->late_in != 0 && random_below(r, player->late_in) == 0) {
        uint64_t late_ns = draw_log_uniform(r, 3 * trial->window_ns);
        now_ns           = late_ns > now_ns ? 0 : now_ns - late_ns;
    }
    return (struct program_step){
        .now_ns = now_ns,
        .limit  = player->limit,
        .cost   = player_cost(player, trial, now_ns),
    };
}

static uint64_t player_time(struct player *player, const struct window_trial *trial) {
    struct random *r         = &player->random;
    uint64_t       now_ns    = player->now_ns;
    uint64_t       window_ns = trial->window_ns;
    uint64_t       draw      = random_below(r, player->manner_weight_sum);
    unsigned       manner    = 0;
    while (draw >= player->manner_weights[manner]) draw -= player->manner_weights[manner++];

    uint64_t next_ns = now_ns;
    switch ((enum manner)manner) {
    case MANNER_SAME_INSTANT: break;
    case MANNER_NEXT_NANOSECOND: next_ns = now_ns + random_between(r, 1, 3); break;
    case MANNER_POISSON: {
        double mean_cost = 0.5 * (double)(player->cost_max + 1);
        double mean_ns =
            (double)window_ns * mean_cost / ((double)player->limit + 1.0) / player->load;
        double gap_ns = draw_exponential(r) * mean_ns;
        if (gap_ns > 4.0 * (double)window_ns) gap_ns = 4.0 * (double)window_ns;
        next_ns = now_ns + (uint64_t)gap_ns;
        break;
    }
    case MANNER_CELLS: {
        struct window_grid grid = window_grid_for(player->limit, window_ns);
        next_ns                 = draw_beside(r, now_ns + grid.cell_ns * random_below(r, 4), 1);
        break;
    }
    case MANNER_WINDOW_LATER: {
        if (trial->log.count == 0) break;
        uint64_t back = draw_log_uniform(r, trial->log.count);
        next_ns       = trial->log.at_ns[trial->log.count - back] + window_ns;
        if (random_below(r, 3) == 0) {
            struct window_grid grid = window_grid_for(player->limit, window_ns);
            next_ns = random_below(r, 2) == 0 ? next_ns + grid.cell_ns : next_ns - grid.cell_ns;
        }
        if (random_below(r, 2) == 0) next_ns = draw_beside(r, next_ns, 1);
        break;
    }
    case MANNER_RETRY:
        if (trial->allowed || trial->look.retry_after_ns > LIMIT_NOW_MAX) break;
        next_ns = now_ns + trial->look.retry_after_ns - random_below(r, 2);
        break;
    case MANNER_RESET:
        if (trial->counter.fresh_at_ns > now_ns) {
            next_ns = draw_beside(r, trial->counter.fresh_at_ns, 1);
        }
        break;
    case MANNER_IDLE:
        next_ns =
            now_ns + (random_below(r, 2) == 0 ? draw_log_uniform(r, 3 * window_ns)
                                              : draw_beside(r, window_ns, window_ns / 20 + 1));
        break;
    case MANNER_WINDOW_MULTIPLE:
        next_ns = draw_beside(r, (now_ns / window_ns + 1) * window_ns, 2);
        break;
    case MANNER_COUNT: break;
    }
    return next_ns > now_ns ? next_ns : now_ns;
}

static uint64_t player_cost(struct player *player, const struct window_trial *trial,
                            uint64_t now_ns) {
    struct random *r = &player->random;
    switch (random_below(r, 12)) {
    case 0:
    case 1:
    case 2:
    case 3: return 1;
    case 4:
    case 5:
    case 6: return random_between(r, 1, player->cost_max);
    case 7: return draw_log_uniform(r, player->limit + 1);
    case 8: { /* whole quanta and what is beside them */
        struct window_grid grid = window_grid_for(player->limit, trial->window_ns);
        uint64_t           cost = draw_beside(r, grid.quantum * random_between(r, 1, 3), 1);
        return cost == 0 ? 1 : cost;
    }
    case 9:
    case 10: { /* all that is left, or one too many */
        struct answer look =
            window_look(&trial->counter, player->limit, trial->window_ns, 1, now_ns);
        uint64_t cost = look.remaining + random_below(r, 2);
        return cost == 0 ? 1 : cost;
    }
    default: {
        static const uint64_t extremes[] = {
            1, 2, LIMIT_MAX, LIMIT_MAX + 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
        if (random_below(r, 4) != 0)
            return player->limit + random_below(r, 2) + (player->limit == 0);
        return extremes[random_below(r, sizeof extremes / sizeof *extremes)];
    }
    }
}
