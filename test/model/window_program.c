/* SPDX-License-Identifier: MIT */
#include "model/window_program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

/* How a program is played: drawn once, so that some programs are all bursts and others all edges. */
struct player {
    struct random random;
    uint64_t      limits[WINDOW_PROGRAM_LIMITS_MAX];
    size_t        limit_count;
    uint64_t      limit; /* in force */
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

static struct player      player_make(struct random *random, struct window_program *program);
static uint64_t           player_limit_draw(struct random *r);
static uint64_t           player_window_draw(struct random *r);
static uint64_t           player_start_draw(struct random *r, uint64_t window_ns);
static struct window_step player_step(struct player *player, const struct window_trial *trial);
static uint64_t           player_time(struct player *player, const struct window_trial *trial);
static uint64_t           player_cost(struct player *player, const struct window_trial *trial, uint64_t now_ns);
static bool               window_program_fails(const struct window_program *program, char *failure);
static uint64_t           random_log_uniform(struct random *r, uint64_t high);
static uint64_t           random_beside(struct random *r, uint64_t value, uint64_t distance);
static double             random_exponential(struct random *r);

bool window_program_run(struct window_program *program, uint64_t seed, size_t steps,
                        struct window_tally *tally, char *failure) {
    struct random       random = {.state = seed};
    struct window_trial trial;

    memset(program, 0, sizeof *program);
    program->seed  = seed;
    program->steps = calloc(steps, sizeof *program->steps);
    REQUIRE(program->steps != NULL);
    struct player player = player_make(&random, program);

    window_trial_begin(&trial, program->window_ns, program->head_top);
    bool holds = true;
    while (holds && program->count < steps) {
        struct window_step step            = player_step(&player, &trial);
        program->steps[program->count++] = step;
        holds                              = window_trial_step(&trial, step);
    }
    snprintf(failure, WINDOW_TRIAL_FAILURE_BYTES, "%s", trial.failure);
    tally->programs++;
    tally->steps += trial.steps;
    tally->admissions += trial.admissions;
    tally->denials += trial.denials;
    tally->retries += trial.retries;
    window_trial_end(&trial);
    return holds;
}

void window_program_clear(struct window_program *program) {
    free(program->steps);
    memset(program, 0, sizeof *program);
}

/* Halves, quarters, eighths, ... and single steps, until no single one can go. */
void window_program_shorten(struct window_program *program, char *failure) {
    struct window_program shorter = *program;
    shorter.steps = calloc(program->count, sizeof *shorter.steps);
    REQUIRE(shorter.steps != NULL);

    size_t chunk = program->count / 2;
    while (chunk > 0) {
        bool dropped = false;
        for (size_t from = 0; from + chunk <= program->count;) {
            size_t after = program->count - from - chunk;
            memcpy(shorter.steps, program->steps, from * sizeof *shorter.steps);
            memcpy(shorter.steps + from, program->steps + from + chunk, after * sizeof *shorter.steps);
            shorter.count = from + after;
            if (window_program_fails(&shorter, failure)) {
                memcpy(program->steps, shorter.steps, shorter.count * sizeof *shorter.steps);
                program->count = shorter.count;
                dropped        = true;
            } else {
                from += chunk;
            }
        }
        if (!dropped || chunk > 1) chunk /= 2;
    }
    INVARIANT(window_program_fails(program, failure));
    free(shorter.steps);
}

void window_program_print(const struct window_program *program, const char *failure) {
    fprintf(stderr, "# %s\n# head begins as 0x%" PRIx64 "\n", failure, program->head_top);
    uint64_t limit = UINT64_MAX;
    for (size_t i = 0; i < program->count; i++) {
        struct window_step s = program->steps[i];
        if (s.limit != limit) {
            fprintf(stderr, "rule %" PRIu64 " per %" PRIu64 "ns\n", s.limit, program->window_ns);
            limit = s.limit;
        }
        fprintf(stderr, "at %" PRIu64 "ns ask ann cost %" PRIu64 " -> ?%s\n", s.now_ns, s.cost,
                i + 1 == program->count ? "   # this one is wrong" : "");
    }
}

static bool window_program_fails(const struct window_program *program, char *failure) {
    struct window_trial trial;
    window_trial_begin(&trial, program->window_ns, program->head_top);
    bool holds = true;
    for (size_t i = 0; holds && i < program->count; i++) {
        holds = window_trial_step(&trial, program->steps[i]);
    }
    if (!holds) snprintf(failure, WINDOW_TRIAL_FAILURE_BYTES, "%s", trial.failure);
    window_trial_end(&trial);
    return !holds;
}

static struct player player_make(struct random *random, struct window_program *program) {
    struct player player = {.random = random_split(random)};
    struct random *r     = &player.random;

    program->window_ns = player_window_draw(r);
    program->head_top  = random_below(r, 4) == 0 ? 0 : random_next(r) & ~COUNTER_HEAD_MASK;
    player.now_ns      = player_start_draw(r, program->window_ns);

    player.limits[0]   = player_limit_draw(r);
    player.limit_count = 1;
    if (random_below(r, 5) < 2) {
        player.limit_change_in = 1 + random_log_uniform(r, 300);
        while (player.limit_count < 2 + random_below(r, WINDOW_PROGRAM_LIMITS_MAX - 1)) {
            uint64_t first = player.limits[0], other = 0;
            switch (random_below(r, 7)) {
            case 0: other = player_limit_draw(r); break;
            case 1: other = random_beside(r, first, 2); break;
            case 2: other = first / 2 + random_below(r, 2); break;
            case 3: other = first * 2 + random_below(r, 2); break;
            case 4: other = random_below(r, first + 1); break;
            case 5: other = first + random_log_uniform(r, first); break;
            case 6: other = random_below(r, 2); break;
            }
            player.limits[player.limit_count++] = other > LIMIT_MAX ? LIMIT_MAX : other;
        }
    }
    player.limit = player.limits[0];
    if (random_below(r, 4) == 0) player.late_in = 2 + random_log_uniform(r, 200);
    player.cost_max = random_below(r, 3) == 0 ? 1 : random_log_uniform(r, player.limits[0] + 1);
    player.load     = 0.3 * (double)(1 + random_log_uniform(r, 100));

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

static uint64_t player_limit_draw(struct random *r) {
    switch (random_below(r, 8)) {
    case 0: return random_between(r, 1, 4);
    case 1: return random_between(r, 1, 400);
    case 2: return random_beside(r, 160 * random_between(r, 1, 4), 2);
    case 3: { /* 2^k and what is beside it */
        uint64_t power = UINT64_C(1) << random_between(r, 0, LIMIT_BITS_MAX);
        uint64_t value = random_beside(r, power, 1);
        return value > LIMIT_MAX ? LIMIT_MAX : value;
    }
    case 4: { /* a multiple of 160 and what is beside it, where the quantum steps */
        uint64_t value = random_beside(r, 160 * random_log_uniform(r, LIMIT_MAX / 160), 1);
        return value > LIMIT_MAX ? LIMIT_MAX : value;
    }
    case 5: return LIMIT_MAX - random_below(r, 3);
    default: return random_log_uniform(r, LIMIT_MAX);
    }
}

static uint64_t player_window_draw(struct random *r) {
    uint64_t window_ns = 0;
    switch (random_below(r, 8)) {
    case 0: window_ns = random_between(r, 1, 2000); break; /* below a microsecond: replays of ticks */
    case 1: window_ns = UINT64_C(1000) * random_log_uniform(r, 1000); break;
    case 2: window_ns = LIMIT_WINDOW_MAX - random_below(r, 3); break;
    case 3: window_ns = random_beside(r, UINT64_C(1) << random_between(r, 10, 58), 1); break;
    case 4: window_ns = UINT64_C(1000000000) * random_log_uniform(r, UINT64_C(3650) * 86400); break;
    default: window_ns = 1000 + random_log_uniform(r, LIMIT_WINDOW_MAX - 1000); break;
    }
    return window_ns > LIMIT_WINDOW_MAX ? LIMIT_WINDOW_MAX : window_ns;
}

static uint64_t player_start_draw(struct random *r, uint64_t window_ns) {
    switch (random_below(r, 6)) {
    case 0: return 0;
    case 1: return random_below(r, 4);
    case 2: return random_beside(r, window_ns, 2);
    case 3: return LIMIT_NOW_MAX - random_log_uniform(r, 12 * window_ns);
    default: return random_below(r, LIMIT_NOW_MAX);
    }
}

static struct window_step player_step(struct player *player, const struct window_trial *trial) {
    struct random *r = &player->random;
    if (player->limit_change_in != 0 && random_below(r, player->limit_change_in) == 0) {
        player->limit = player->limits[random_below(r, player->limit_count)];
    }
    uint64_t now_ns = player_time(player, trial);
    if (now_ns > LIMIT_NOW_MAX) now_ns = LIMIT_NOW_MAX;
    if (now_ns > player->now_ns) player->now_ns = now_ns;

    if (player->late_in != 0 && random_below(r, player->late_in) == 0) {
        uint64_t late_ns = random_log_uniform(r, 3 * trial->window_ns);
        now_ns           = late_ns > now_ns ? 0 : now_ns - late_ns;
    }
    return (struct window_step){
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
        double mean_ns   = (double)window_ns * mean_cost / ((double)player->limit + 1.0) / player->load;
        double gap_ns    = random_exponential(r) * mean_ns;
        if (gap_ns > 4.0 * (double)window_ns) gap_ns = 4.0 * (double)window_ns;
        next_ns = now_ns + (uint64_t)gap_ns;
        break;
    }
    case MANNER_CELLS: {
        struct window_grid grid = window_grid_for(player->limit, window_ns);
        next_ns = random_beside(r, now_ns + grid.cell_ns * random_below(r, 4), 1);
        break;
    }
    case MANNER_WINDOW_LATER: {
        if (trial->log.count == 0) break;
        uint64_t back = random_log_uniform(r, trial->log.count);
        next_ns       = trial->log.at_ns[trial->log.count - back] + window_ns;
        if (random_below(r, 3) == 0) {
            struct window_grid grid = window_grid_for(player->limit, window_ns);
            next_ns = random_below(r, 2) == 0 ? next_ns + grid.cell_ns : next_ns - grid.cell_ns;
        }
        if (random_below(r, 2) == 0) next_ns = random_beside(r, next_ns, 1);
        break;
    }
    case MANNER_RETRY:
        if (trial->allowed || trial->look.retry_after_ns > LIMIT_NOW_MAX) break;
        next_ns = now_ns + trial->look.retry_after_ns - random_below(r, 2);
        break;
    case MANNER_RESET:
        if (trial->counter.fresh_at_ns > now_ns) {
            next_ns = random_beside(r, trial->counter.fresh_at_ns, 1);
        }
        break;
    case MANNER_IDLE:
        next_ns = now_ns + (random_below(r, 2) == 0 ? random_log_uniform(r, 3 * window_ns)
                                                    : random_beside(r, window_ns, window_ns / 20 + 1));
        break;
    case MANNER_WINDOW_MULTIPLE:
        next_ns = random_beside(r, (now_ns / window_ns + 1) * window_ns, 2);
        break;
    case MANNER_COUNT: break;
    }
    return next_ns > now_ns ? next_ns : now_ns;
}

static uint64_t player_cost(struct player *player, const struct window_trial *trial,
                            uint64_t now_ns) {
    struct random *r = &player->random;
    switch (random_below(r, 12)) {
    case 0: case 1: case 2: case 3: return 1;
    case 4: case 5: case 6: return random_between(r, 1, player->cost_max);
    case 7: return random_log_uniform(r, player->limit + 1);
    case 8: { /* whole quanta and what is beside them */
        struct window_grid grid = window_grid_for(player->limit, trial->window_ns);
        uint64_t           cost = random_beside(r, grid.quantum * random_between(r, 1, 3), 1);
        return cost == 0 ? 1 : cost;
    }
    case 9: case 10: { /* all that is left, or one too many */
        struct answer look = window_look(&trial->counter, player->limit, trial->window_ns, 1, now_ns);
        uint64_t      cost = look.remaining + random_below(r, 2);
        return cost == 0 ? 1 : cost;
    }
    default: {
        static const uint64_t extremes[] = {1, 2, LIMIT_MAX, LIMIT_MAX + 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};
        if (random_below(r, 4) != 0) return player->limit + random_below(r, 2) + (player->limit == 0);
        return extremes[random_below(r, sizeof extremes / sizeof *extremes)];
    }
    }
}

/* A number in [1, high], each power of two as likely as the next; high > 0. */
static uint64_t random_log_uniform(struct random *r, uint64_t high) {
    uint64_t bits = 64 - (uint64_t)__builtin_clzll(high);
    uint64_t top  = random_below(r, bits);
    uint64_t value = (UINT64_C(1) << top) + random_below(r, UINT64_C(1) << top);
    return value > high ? high : value;
}

static uint64_t random_beside(struct random *r, uint64_t value, uint64_t distance) {
    uint64_t moved = value + random_below(r, 2 * distance + 1);
    return moved < distance ? 0 : moved - distance;
}

/* Mean 1. */
static double random_exponential(struct random *r) { return -__builtin_log(1.0 - random_unit(r)); }
