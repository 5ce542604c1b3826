/* SPDX-License-Identifier: MIT
 *
 * Plays random programs against GCRA and judges every decision by the leaky bucket in whole numbers:
 * with one limit the bucket's level is a multiple of 1/limit ns, so that 128 bits hold it exactly.
 *
 *     never more   what is admitted the exact bucket admits too, so in every window of any length w at
 *                  most burst + floor(limit * (w - 1 ns) / window) pass: judged by the log as well
 *     useful       what is denied the exact bucket denies one nanosecond earlier; and at the same
 *                  instant if a permit is worth a whole number of nanoseconds
 *     exact        retry_after, remaining and reset_after, on copies
 *
 * A counter that several rules share is judged by what is true of each rule alone. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "limit/gcra.h"
#include "model/draw.h"
#include "model/exact_log.h"
#include "model/program.h"
#include "model/seeds.h"

__extension__ typedef unsigned __int128 wide;

enum {
    RULES      = 4000,
    STEPS_FULL = 5000,
    STEPS_MIN  = 100,
};

struct trial {
    struct counter   counter;
    struct exact_log log;
    wide             full_at; /* when the exact bucket will have drained, in 1/limit ns */
    uint64_t         allowed_count, denied_count;
    bool             allowed;
    struct answer    look;
};

static bool fail(char *failure, const char *what) {
    snprintf(failure, PROGRAM_FAILURE_BYTES, "%s", what);
    return false;
}

static bool would_pass(const struct counter *c, const struct rule *rule, uint64_t cost,
                       uint64_t now_ns) {
    struct counter copy = *c;
    return gcra_admit(&copy, rule, cost, now_ns);
}

static bool answers_hold(const struct trial *t, const struct counter *before,
                         const struct rule *rule, struct program_step step, char *failure) {
    struct answer look = t->look;
    if (look.remaining > rule->burst) return fail(failure, "remaining is above the burst");
    if (rule->limit > 0) {
        if (look.remaining > 0 && !would_pass(before, rule, look.remaining, step.now_ns)) {
            return fail(failure, "`remaining` does not pass");
        }
        if (would_pass(before, rule, look.remaining + 1, step.now_ns)) {
            return fail(failure, "one more than `remaining` passes");
        }
    } else if (look.remaining != 0) {
        return fail(failure, "limit 0, and something remains");
    }

    uint64_t retry_ns = look.retry_after_ns;
    if (t->allowed && retry_ns != 0) return fail(failure, "allowed with a retry_after");
    if (!t->allowed && (step.cost > rule->burst || rule->limit == 0)) {
        if (retry_ns != LIMIT_NEVER)
            return fail(failure, "can never pass, and retry_after is not never");
    } else if (!t->allowed) {
        if (retry_ns == LIMIT_NEVER || retry_ns == 0)
            return fail(failure, "retry_after is never or 0");
        uint64_t at_ns = step.now_ns + retry_ns;
        if (at_ns <= LIMIT_NOW_MAX) {
            if (!would_pass(before, rule, step.cost, at_ns))
                return fail(failure, "denied after retry_after");
            if (would_pass(before, rule, step.cost, at_ns - 1))
                return fail(failure, "passes before retry_after");
        }
    }

    struct answer after       = gcra_look(&t->counter, rule, 1, step.now_ns);
    uint64_t      fresh_at_ns = t->counter.fresh_at_ns;
    if (after.reset_after_ns != (fresh_at_ns > step.now_ns ? fresh_at_ns - step.now_ns : 0)) {
        return fail(failure, "reset_after is not the time to fresh_at_ns");
    }
    uint64_t at_ns = step.now_ns + after.reset_after_ns;
    if (at_ns <= LIMIT_NOW_MAX && rule->limit > 0 &&
        gcra_look(&t->counter, rule, 1, at_ns).remaining != rule->burst) {
        return fail(failure, "after reset_after not all is back");
    }
    return true;
}

/* The exact bucket, fed with what the real one admitted; `limit` is the same in every step. */
static bool bucket_holds(struct trial *t, const struct rule *rule, struct program_step step,
                         char *failure) {
    if (rule->limit == 0 || step.cost > rule->burst) {
        return !t->allowed || fail(failure, "allowed what can never pass");
    }
    wide now   = (wide)step.now_ns * rule->limit;
    wide top   = (wide)rule->burst * rule->window_ns;
    wide start = t->full_at > now ? t->full_at : now;
    wide after = start + (wide)step.cost * rule->window_ns;
    if (t->allowed) {
        /* A late call counts at the newest admission, no earlier. */
        uint64_t newest_ns = exact_log_newest_ns(&t->log);
        if (after > (wide)newest_ns * rule->limit + top)
            return fail(failure, "PROMISE BROKEN: the exact bucket is full");
        t->full_at = after;
        return true;
    }
    wide slack = rule->window_ns % rule->limit == 0 ? 0 : rule->limit;
    if (step.now_ns == 0 && slack > 0) return true;
    if (after + slack > now + top) return true;
    return fail(failure, "DENIED WITHOUT NEED: the exact bucket has room");
}

/* Any window that ends at an admission: the log of it, at a few lengths. */
static bool windows_hold(const struct trial *t, const struct rule *rule, struct random *r,
                         char *failure) {
    uint64_t until_ns = exact_log_newest_ns(&t->log);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t length_ns = draw_log_uniform(r, LIMIT_NOW_MAX);
        if (random_below(r, 2) == 0) { /* just so long that an older admission is in, or just not */
            uint64_t back = draw_log_uniform(r, t->log.count);
            length_ns     = until_ns - t->log.at_ns[t->log.count - back] + random_below(r, 2);
        }
        if (length_ns == 0) continue;
        wide most = rule->burst + (wide)rule->limit * (length_ns - 1) / rule->window_ns;
        if (exact_log_within(&t->log, until_ns, length_ns) > most) {
            return fail(
                failure,
                "PROMISE BROKEN: more than burst + floor(rate * (w - 1 ns)) in a window of length w");
        }
    }
    return true;
}

static bool trial_step(struct trial *t, const struct rule *rule, struct program_step step,
                       bool one_rule, struct random *r, char *failure) {
    const struct counter before = t->counter;
    t->look                     = gcra_look(&t->counter, rule, step.cost, step.now_ns);
    t->allowed                  = gcra_admit(&t->counter, rule, step.cost, step.now_ns);
    t->allowed ? t->allowed_count++ : t->denied_count++;

    if (t->look.allowed != t->allowed) return fail(failure, "gcra_look and gcra_admit differ");
    if (!t->allowed && memcmp(&before, &t->counter, sizeof before) != 0) {
        return fail(failure, "the denial changed the counter");
    }
    if ((before.head ^ t->counter.head) & ~COUNTER_HEAD_MASK)
        return fail(failure, "the storer's bits changed");
    if (t->counter.fresh_at_ns < before.fresh_at_ns) return fail(failure, "fresh_at_ns decreased");
    if (t->allowed) exact_log_add(&t->log, step.now_ns, step.cost);

    if (!answers_hold(t, &before, rule, step, failure)) return false;
    if (!one_rule) return true;
    if (!bucket_holds(t, rule, step, failure)) return false;
    return !t->allowed || windows_hold(t, rule, r, failure);
}

static struct rule rule_of(const struct program *program, uint64_t limit) {
    struct rule rule = {.limit     = limit,
                        .window_ns = program->window_ns,
                        .burst     = program->burst,
                        .algorithm = ALGORITHM_GCRA};
    return rule;
}

static bool one_limit(const struct program *program) {
    for (size_t i = 1; i < program->count; i++) {
        if (program->steps[i].limit != program->steps[0].limit) return false;
    }
    return true;
}

static bool gcra_program_fails(const struct program *program, char *failure) {
    struct trial  t      = {.counter.head = program->head_top};
    struct random r      = {.state = program->seed};
    bool          single = one_limit(program), holds = true;
    for (size_t i = 0; holds && i < program->count; i++) {
        struct rule rule = rule_of(program, program->steps[i].limit);
        holds            = trial_step(&t, &rule, program->steps[i], single, &r, failure);
    }
    exact_log_clear(&t.log);
    return !holds;
}

static uint64_t draw_burst(struct random *r, uint64_t limit, uint64_t window_ns) {
    for (;;) {
        uint64_t burst = random_below(r, 2) == 0 ? draw_limit(r) : draw_beside(r, limit, 1);
        if (burst < 1 || burst > LIMIT_MAX) burst = 1;
        if (limit == 0 || (wide)burst * window_ns < ((wide)limit << 62) - limit) return burst;
        if ((wide)window_ns >= ((wide)limit << 62) - limit) return 1;
    }
}

static void play(uint64_t seed, size_t steps, struct program_tally *tally) {
    struct random  r = {.state = seed};
    struct program program;
    char           failure[PROGRAM_FAILURE_BYTES] = "";
    program_begin(&program, seed, steps);
    program.window_ns  = draw_window_ns(&r);
    program.head_top   = random_next(&r) & ~COUNTER_HEAD_MASK;
    uint64_t limits[2] = {draw_limit(&r), 0};
    limits[1]          = random_below(&r, 4) == 0 ? draw_limit(&r) : limits[0];
    if (random_below(&r, 100) == 0) limits[1] = 0;
    uint64_t least = limits[1] != 0 && limits[1] < limits[0] ? limits[1] : limits[0];
    program.burst  = draw_burst(&r, least, program.window_ns);

    uint64_t now_ns   = draw_start_ns(&r, program.window_ns);
    uint64_t cost_max = random_below(&r, 2) == 0 ? 1 : draw_log_uniform(&r, program.burst + 1);
    double   load     = 0.3 * (double)(1 + draw_log_uniform(&r, 100));
    double   gap_ns =
        (double)program.window_ns * (double)(cost_max + 1) / 2.0 / (double)limits[0] / load;
    uint64_t late_in = random_below(&r, 4) == 0 ? 2 + draw_log_uniform(&r, 100) : 0;

    struct trial  t     = {.counter.head = program.head_top};
    struct random judge = {.state = program.seed};
    bool          holds = true, single = limits[0] == limits[1];
    while (holds && program.count < steps) {
        switch (random_below(&r, 8)) {
        case 0:
        case 1: break;
        case 2: now_ns += random_below(&r, 3); break;
        case 3:
            if (!t.allowed && t.look.retry_after_ns <= LIMIT_NOW_MAX && t.look.retry_after_ns > 0) {
                now_ns += t.look.retry_after_ns - random_below(&r, 2);
            }
            break;
        case 4:
            if (t.counter.fresh_at_ns > now_ns && random_below(&r, 4) == 0) {
                now_ns = t.counter.fresh_at_ns - random_below(&r, 2);
            }
            break;
        default: {
            double step_ns = draw_exponential(&r) * gap_ns;
            now_ns += step_ns > 0x1p60 ? UINT64_C(1) << 60 : (uint64_t)step_ns;
        }
        }
        if (now_ns > LIMIT_NOW_MAX) now_ns = LIMIT_NOW_MAX;
        uint64_t asked_ns = now_ns;
        if (late_in != 0 && random_below(&r, late_in) == 0) {
            uint64_t late_ns = draw_log_uniform(&r, 2 * program.window_ns);
            asked_ns         = late_ns > now_ns ? 0 : now_ns - late_ns;
        }
        struct program_step step = {
            .now_ns = asked_ns, .limit = limits[random_below(&r, 2)], .cost = 1};
        struct rule rule = rule_of(&program, step.limit);
        switch (random_below(&r, 8)) {
        case 0:
        case 1: step.cost = random_between(&r, 1, cost_max); break;
        case 2:
            step.cost = gcra_look(&t.counter, &rule, 1, asked_ns).remaining + random_below(&r, 2);
            break;
        case 3:
            if (random_below(&r, 8) == 0)
                step.cost = random_below(&r, 2) == 0 ? UINT64_MAX : program.burst + 1;
            break;
        default: break;
        }
        if (step.cost == 0) step.cost = 1;
        program.steps[program.count++] = step;
        holds                          = trial_step(&t, &rule, step, single, &judge, failure);
    }
    tally->programs++;
    tally->steps += program.count;
    tally->admissions += t.allowed_count;
    tally->denials += t.denied_count;
    exact_log_clear(&t.log);
    if (!holds) {
        char tail[64];
        snprintf(tail, sizeof tail, " gcra burst %" PRIu64, program.burst);
        program_report(&program, gcra_program_fails, tail, failure);
    }
    program_clear(&program);
}

TEST(seeds_that_once_failed_hold) {
    static uint64_t      seeds[SEEDS_MAX];
    size_t               count = seeds_read("model_gcra", seeds);
    struct program_tally tally = {0};
    for (size_t i = 0; i < count; i++) play(seeds[i], STEPS_FULL, &tally);
}

TEST(gcra_is_the_exact_bucket) {
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

TEST(a_rule_fits_if_and_only_if_its_bucket_drains_within_2_to_the_62_ns) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(200000); i++) {
        uint64_t limit = draw_limit(&r), window_ns = draw_window_ns(&r), burst = draw_limit(&r);
        if (random_below(&r, 2) == 0) { /* near the edge */
            wide edge = ((wide)limit << 62) / window_ns;
            if (edge == 0 || edge > LIMIT_MAX) continue;
            burst = draw_beside(&r, (uint64_t)edge, 2);
            if (burst == 0 || burst > LIMIT_MAX) continue;
        }
        bool below      = (wide)burst * window_ns < (wide)limit << 62;
        bool well_below = (wide)burst * window_ns < ((wide)limit << 62) - limit;
        if (gcra_rule_fits(limit, window_ns, burst)) {
            CHECK_SAYS(below, "%" PRIu64 " per %" PRIu64 "ns burst %" PRIu64 " does not fit", limit,
                       window_ns, burst);
        } else {
            CHECK_SAYS(!well_below, "%" PRIu64 " per %" PRIu64 "ns burst %" PRIu64 " fits", limit,
                       window_ns, burst);
        }
    }
}

TEST(the_interval_is_rounded_up) {
    struct random r = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(100000); i++) {
        uint64_t limit = draw_limit(&r), window_ns = draw_window_ns(&r);
        CHECK_EQ(gcra_interval_ns(limit, window_ns), window_ns / limit + (window_ns % limit != 0));
    }
}
