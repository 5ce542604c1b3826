/* SPDX-License-Identifier: MIT
 *
 * Plays random programs against the shared ring: many limits on one count. Strict for the ring's own
 * window, no denial beyond one cell more, exact retry times. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limit/ring.h"
#include "model/draw.h"
#include "model/exact_log.h"
#include "model/program.h"
#include "model/seeds.h"

enum {
    RULES      = 2000,
    STEPS_FULL = 4000,
    STEPS_MIN  = 100,
};

struct trial {
    struct ring      ring;
    struct exact_log log;
    struct answer    look;
    bool             allowed;
    uint64_t         allowed_count, denied_count;
};

static bool would_pass(const struct ring *r, unsigned ring_class, uint64_t limit, uint64_t cost,
                       uint64_t now_ns) {
    struct ring copy = *r;
    return ring_admit(&copy, ring_class, limit, cost, now_ns);
}

static bool trial_step(struct trial *t, uint64_t window_ns, struct program_step step,
                       char *failure) {
    const struct ring before     = t->ring;
    unsigned          ring_class = ring_class_for(window_ns);
    uint64_t          length_ns  = UINT64_C(1) << ring_class;
    const char       *wrong      = NULL;

    t->look    = ring_look(&t->ring, ring_class, step.limit, step.cost, step.now_ns);
    t->allowed = ring_admit(&t->ring, ring_class, step.limit, step.cost, step.now_ns);
    t->allowed ? t->allowed_count++ : t->denied_count++;
    if (t->look.allowed != t->allowed) wrong = "ring_look and ring_admit differ";

    uint64_t newest_ns = exact_log_newest_ns(&t->log);
    uint64_t at_ns     = step.now_ns > newest_ns ? step.now_ns : newest_ns;
    uint64_t remaining = t->look.remaining, retry_ns = t->look.retry_after_ns;
    if (t->allowed) {
        exact_log_add(&t->log, step.now_ns, step.cost);
        if (exact_log_within(&t->log, at_ns, length_ns) > step.limit)
            wrong = "PROMISE BROKEN: above the limit";
        if (retry_ns != 0) wrong = "allowed with a retry_after";
    } else if (step.cost > step.limit) {
        if (retry_ns != LIMIT_NEVER) wrong = "can never pass, and retry_after is not never";
    } else {
        uint64_t reach_ns = length_ns + (length_ns >> 5);
        if (exact_log_within(&t->log, at_ns, reach_ns) + step.cost <= step.limit)
            wrong = "DENIED WITHOUT NEED";
        if (memcmp(&before, &t->ring, sizeof before) != 0) wrong = "the denial changed the ring";
        if (!would_pass(&before, ring_class, step.limit, step.cost, step.now_ns + retry_ns))
            wrong = "denied after retry_after";
        if (would_pass(&before, ring_class, step.limit, step.cost, step.now_ns + retry_ns - 1))
            wrong = "passes before retry_after";
    }
    if (remaining > 0 && !would_pass(&before, ring_class, step.limit, remaining, step.now_ns))
        wrong = "`remaining` does not pass";
    if (would_pass(&before, ring_class, step.limit, remaining + 1, step.now_ns))
        wrong = "one more than `remaining` passes";

    struct answer after   = ring_look(&t->ring, ring_class, step.limit, 1, step.now_ns);
    uint64_t      back_ns = step.now_ns + after.reset_after_ns;
    if (ring_live(&t->ring, ring_class, back_ns) != 0)
        wrong = "after reset_after something is still live";
    if (after.reset_after_ns > 0 && ring_live(&t->ring, ring_class, back_ns - 1) == 0)
        wrong = "reset_after is too late";

    if (wrong != NULL) snprintf(failure, PROGRAM_FAILURE_BYTES, "%s", wrong);
    return wrong == NULL;
}

static bool ring_program_fails(const struct program *program, char *failure) {
    struct trial t     = {0};
    bool         holds = true;
    for (size_t i = 0; holds && i < program->count; i++) {
        holds = trial_step(&t, program->window_ns, program->steps[i], failure);
    }
    exact_log_clear(&t.log);
    return !holds;
}

static void play(uint64_t seed, size_t steps, struct program_tally *tally) {
    struct random  r = {.state = seed};
    struct program program;
    struct trial   t                              = {0};
    char           failure[PROGRAM_FAILURE_BYTES] = "";
    bool           holds                          = true;
    program_begin(&program, seed, steps);
    program.window_ns  = draw_window_ns(&r);
    uint64_t now_ns    = draw_start_ns(&r, program.window_ns);
    uint64_t length_ns = UINT64_C(1) << ring_class_for(program.window_ns);
    uint64_t limits[4];
    for (unsigned i = 0; i < 4; i++) limits[i] = draw_limit(&r);
    uint64_t limit_count = random_between(&r, 1, 4);

    while (holds && program.count < steps) {
        struct program_step step = {.limit = limits[random_below(&r, limit_count)], .cost = 1};
        switch (random_below(&r, 7)) {
        case 0: now_ns += draw_log_uniform(&r, 2 * length_ns); break;
        case 1:
            now_ns = (now_ns / (length_ns / 32) + 1) * (length_ns / 32) - random_below(&r, 2);
            break;
        case 2:
            if (!t.allowed && t.look.retry_after_ns < length_ns * 2)
                now_ns += t.look.retry_after_ns;
            break;
        case 3: now_ns += random_below(&r, length_ns / 64); break;
        default: break;
        }
        if (now_ns > LIMIT_NOW_MAX) now_ns = LIMIT_NOW_MAX;
        step.now_ns = now_ns;
        if (random_below(&r, 20) == 0) {
            uint64_t late_ns = draw_log_uniform(&r, 2 * length_ns);
            step.now_ns      = late_ns > now_ns ? 0 : now_ns - late_ns;
        }
        switch (random_below(&r, 5)) {
        case 0: step.cost = draw_log_uniform(&r, step.limit + 1); break;
        case 1: step.cost = draw_log_uniform(&r, step.limit / 10 + 1); break;
        case 2:
            step.cost =
                random_below(&r, 20) == 0 ? UINT64_MAX : t.look.remaining + random_below(&r, 2);
            break;
        default: break;
        }
        if (step.cost == 0) step.cost = 1;
        program.steps[program.count++] = step;
        holds                          = trial_step(&t, program.window_ns, step, failure);
    }
    tally->programs++;
    tally->steps += program.count;
    tally->admissions += t.allowed_count;
    tally->denials += t.denied_count;
    exact_log_clear(&t.log);
    if (!holds) program_report(&program, ring_program_fails, " ring", failure);
    program_clear(&program);
}

TEST(seeds_that_once_failed_hold) {
    static uint64_t      seeds[SEEDS_MAX];
    size_t               count = seeds_read("model_ring", seeds);
    struct program_tally tally = {0};
    for (size_t i = 0; i < count; i++) play(seeds[i], STEPS_FULL, &tally);
}

TEST(a_shared_ring_is_strict_for_each_limit) {
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

TEST(classes_are_the_next_power_of_two) {
    CHECK_EQ(ring_class_for(1), RING_CLASS_MIN);
    CHECK_EQ(ring_class_for(1024), 10);
    CHECK_EQ(ring_class_for(1025), 11);
    CHECK_EQ(ring_class_for(LIMIT_WINDOW_MAX), RING_CLASS_MAX);
    for (unsigned k = RING_CLASS_MIN; k < RING_CLASS_MAX; k++) {
        CHECK_EQ(ring_class_for(UINT64_C(1) << k), k);
        CHECK_EQ(ring_class_for((UINT64_C(1) << k) + 1), k + 1);
    }
}

/* A disk may have made anything of a ring: it is looked at, and used, and that comes to an end. */
TEST(a_ring_that_was_spoiled_is_no_trap) {
    static const uint64_t newest[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX - RING_SLOTS,
                                      UINT64_C(1) << 63};
    for (size_t i = 0; i < sizeof newest / sizeof *newest; i++) {
        struct ring r = {.newest_cell = newest[i]};
        memset(r.counts, 0xff, sizeof r.counts);
        (void)ring_look(&r, RING_CLASS_MIN, 10, 1, 5000000000);
        (void)ring_admit(&r, RING_CLASS_MIN, 10, 1, 5000000000);
        (void)ring_live(&r, RING_CLASS_MIN, 5000000000);
    }
}
