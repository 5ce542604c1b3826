/* SPDX-License-Identifier: MIT
 *
 * Plays random programs against the fixed window. There is nothing to bound here: the model keeps the
 * number of the newest window and what was taken in it, and every answer must be the same. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limit/fixed.h"
#include "model/draw.h"
#include "model/program.h"
#include "model/seeds.h"

enum {
    RULES      = 4000,
    STEPS_FULL = 4000,
    STEPS_MIN  = 100,
};

struct trial {
    struct counter counter;
    uint64_t       window_index, taken; /* the model */
    bool           has_taken;
    struct answer  look;
    uint64_t       allowed_count, denied_count;
};

static bool trial_step(struct trial *t, uint64_t window_ns, struct program_step step,
                       char *failure) {
    const struct counter before  = t->counter;
    uint64_t             index   = step.now_ns / window_ns;
    bool                 is_new  = !t->has_taken || index > t->window_index;
    uint64_t             taken   = is_new ? 0 : t->taken;
    uint64_t             left    = taken < step.limit ? step.limit - taken : 0;
    uint64_t             ends_ns = ((is_new ? index : t->window_index) + 1) * window_ns;

    struct answer expected = {
        .allowed        = step.cost <= left,
        .remaining      = left,
        .reset_after_ns = is_new ? 0 : ends_ns - step.now_ns,
    };
    if (step.cost > step.limit) {
        expected.retry_after_ns = LIMIT_NEVER;
    } else if (!expected.allowed) {
        expected.retry_after_ns = ends_ns - step.now_ns;
    }

    t->look             = fixed_look(&t->counter, step.limit, window_ns, step.cost, step.now_ns);
    bool        allowed = fixed_admit(&t->counter, step.limit, window_ns, step.cost, step.now_ns);
    const char *wrong   = NULL;
    if (allowed != expected.allowed) wrong = "fixed_admit is wrong";
    if (t->look.allowed != expected.allowed) wrong = "fixed_look.allowed is wrong";
    if (t->look.remaining != expected.remaining) wrong = "remaining is wrong";
    if (t->look.retry_after_ns != expected.retry_after_ns) wrong = "retry_after is wrong";
    if (t->look.reset_after_ns != expected.reset_after_ns) wrong = "reset_after is wrong";
    if (!allowed && memcmp(&before, &t->counter, sizeof before) != 0)
        wrong = "the denial changed the counter";
    if ((before.head ^ t->counter.head) & ~COUNTER_HEAD_MASK) wrong = "the storer's bits changed";
    if (t->counter.fresh_at_ns < before.fresh_at_ns) wrong = "fresh_at_ns decreased";

    if (expected.allowed) {
        t->window_index = is_new ? index : t->window_index;
        t->taken        = taken + step.cost;
        t->has_taken    = true;
        t->allowed_count++;
        if (t->counter.fresh_at_ns != ends_ns) wrong = "fresh_at_ns is not the end of the window";
    } else {
        t->denied_count++;
    }
    if (wrong != NULL) snprintf(failure, PROGRAM_FAILURE_BYTES, "%s", wrong);
    return wrong == NULL;
}

static bool fixed_program_fails(const struct program *program, char *failure) {
    struct trial t     = {.counter.head = program->head_top};
    bool         holds = true;
    for (size_t i = 0; holds && i < program->count; i++) {
        holds = trial_step(&t, program->window_ns, program->steps[i], failure);
    }
    return !holds;
}

static void play(uint64_t seed, size_t steps, struct program_tally *tally) {
    struct random  r = {.state = seed};
    struct program program;
    char           failure[PROGRAM_FAILURE_BYTES] = "";
    program_begin(&program, seed, steps);
    program.window_ns  = draw_window_ns(&r);
    program.head_top   = random_next(&r) & ~COUNTER_HEAD_MASK;
    uint64_t limits[3] = {draw_limit(&r), draw_limit(&r), random_below(&r, 3)};
    uint64_t limit = limits[0], now_ns = draw_start_ns(&r, program.window_ns);
    uint64_t change_in = random_below(&r, 2) == 0 ? 0 : 1 + draw_log_uniform(&r, 100);

    struct trial t     = {.counter.head = program.head_top};
    bool         holds = true;
    while (holds && program.count < steps) {
        if (change_in != 0 && random_below(&r, change_in) == 0) limit = limits[random_below(&r, 3)];
        uint64_t asked_ns = 0;
        switch (random_below(&r, 6)) {
        case 0: now_ns += draw_log_uniform(&r, program.window_ns); break;
        case 1:
            now_ns = (now_ns / program.window_ns + 1) * program.window_ns - random_below(&r, 2);
            break;
        case 2: now_ns += draw_log_uniform(&r, program.window_ns / 100 + 1); break;
        default: break;
        }
        if (now_ns > LIMIT_NOW_MAX) now_ns = LIMIT_NOW_MAX;
        asked_ns = now_ns;
        if (random_below(&r, 50) == 0) {
            uint64_t late_ns = draw_log_uniform(&r, 2 * program.window_ns);
            asked_ns         = late_ns > now_ns ? 0 : now_ns - late_ns;
        }
        uint64_t cost = 1;
        switch (random_below(&r, 6)) {
        case 0: cost = draw_log_uniform(&r, limit + 1); break;
        case 1: cost = t.look.remaining + random_below(&r, 2); break;
        case 2:
            if (random_below(&r, 20) == 0) cost = UINT64_MAX - random_below(&r, 2);
            break;
        default: break;
        }
        if (cost == 0) cost = 1;
        program.steps[program.count] =
            (struct program_step){.now_ns = asked_ns, .limit = limit, .cost = cost};
        holds = trial_step(&t, program.window_ns, program.steps[program.count++], failure);
    }
    tally->programs++;
    tally->steps += program.count;
    tally->admissions += t.allowed_count;
    tally->denials += t.denied_count;
    if (!holds) program_report(&program, fixed_program_fails, " fixed", failure);
    program_clear(&program);
}

TEST(seeds_that_once_failed_hold) {
    static uint64_t      seeds[SEEDS_MAX];
    size_t               count = seeds_read("model_fixed", seeds);
    struct program_tally tally = {0};
    for (size_t i = 0; i < count; i++) play(seeds[i], STEPS_FULL, &tally);
}

TEST(fixed_windows_count_exactly) {
    uint64_t             steps = seeds_share(check_effort(STEPS_FULL));
    struct program_tally tally = {0};
    struct random        r     = {.state = check_seed()};
    uint64_t             seed  = check_seed();
    if (steps < STEPS_MIN) steps = STEPS_MIN;
    for (size_t rule = 0; rule < RULES; rule++) {
        play(seed, steps, &tally);
        seed = random_next(&r);
    }
    printf("%" PRIu64 " rules, %" PRIu64 " decisions: %" PRIu64 " admitted, %" PRIu64 " denied\n",
           tally.programs, tally.steps, tally.admissions, tally.denials);
    CHECK_GE(tally.denials, tally.steps / 20);
    CHECK_GE(tally.admissions, tally.steps / 20);
}
