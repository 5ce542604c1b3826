/* SPDX-License-Identifier: MIT */
#include "model/window_trial.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What Theorem 2 lets a denial count: everything admitted in the last reach_ns, and as if `lost`
 * permits more had been. */
struct bound {
    uint64_t admitted;
    uint64_t reach_ns;
    uint64_t lost;
};

static bool window_trial_fail(struct window_trial *trial, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static bool window_trial_harmless(struct window_trial *trial, const struct counter *before);
static bool window_trial_strict(struct window_trial *trial, struct program_step step);
static bool window_trial_useful(struct window_trial *trial, struct program_step step);
static bool window_trial_retry(struct window_trial *trial, const struct counter *before,
                               struct program_step step);
static bool window_trial_remaining(struct window_trial *trial, const struct counter *before,
                                   struct program_step step);
static bool window_trial_reset(struct window_trial *trial, struct program_step step);
static void window_trial_remember(struct window_trial *trial, const struct counter *before,
                                  struct program_step step);
static void window_trial_recode(struct window_trial *trial, struct window_grid grid,
                                uint64_t at_ns);
static bool grid_is_finer(struct window_grid a, struct window_grid b);
static bool window_trial_has_room(const struct window_trial *trial, struct program_step step);
static struct bound window_trial_bound(const struct window_trial *trial, struct program_step step);
static bool window_trial_would_pass(const struct window_trial *trial, const struct counter *c,
                                    uint64_t limit, uint64_t cost, uint64_t now_ns);
static bool window_answers_equal(struct answer a, struct answer b);

void window_trial_begin(struct window_trial *trial, uint64_t window_ns, uint64_t head_top) {
    memset(trial, 0, sizeof *trial);
    trial->window_ns    = window_ns;
    trial->counter.head = head_top & ~COUNTER_HEAD_MASK;

    const char *judge           = getenv("WEIR_MODEL_JUDGE");
    trial->judges_only_promises = judge != NULL && strcmp(judge, "promise") == 0;
}

void window_trial_end(struct window_trial *trial) { exact_log_clear(&trial->log); }

bool window_trial_step(struct window_trial *trial, struct program_step step) {
    const struct counter before = trial->counter;
    struct counter      *c      = &trial->counter;

    trial->steps++;
    trial->look = window_look(c, step.limit, trial->window_ns, step.cost, step.now_ns);
    if (memcmp(c, &before, sizeof before) != 0)
        return window_trial_fail(trial, "looking changed the counter");

    uint64_t quick_head = before.head;
    bool     is_quick   = step.cost <= step.limit &&
                    window_admit_in_remainder(&quick_head, before.fresh_at_ns, step.limit,
                                              trial->window_ns, step.cost, step.now_ns);
    trial->allowed       = window_admit(c, step.limit, trial->window_ns, step.cost, step.now_ns);
    struct counter quick = before;
    quick.head           = quick_head;
    if (is_quick && (!trial->allowed ||
                     window_look(&quick, step.limit, trial->window_ns, 1, step.now_ns).remaining !=
                         window_look(c, step.limit, trial->window_ns, 1, step.now_ns).remaining)) {
        return window_trial_fail(trial, "the quick admission is not what window_admit does");
    }
    if (!trial->judges_only_promises && !window_trial_harmless(trial, &before)) return false;

    if (trial->allowed) {
        trial->admissions++;
        window_trial_remember(trial, &before, step);
        if (!window_trial_strict(trial, step)) return false;
    } else {
        trial->denials++;
        if (!window_trial_useful(trial, step)) return false;
    }
    if (trial->judges_only_promises) return true;
    return window_trial_retry(trial, &before, step) &&
           window_trial_remaining(trial, &before, step) && window_trial_reset(trial, step);
}

static bool window_trial_harmless(struct window_trial *trial, const struct counter *before) {
    const struct counter *c = &trial->counter;
    if (trial->allowed != trial->look.allowed) {
        return window_trial_fail(trial, "window_look said %s and window_admit did not",
                                 trial->look.allowed ? "allowed" : "denied");
    }
    if ((c->head & ~COUNTER_HEAD_MASK) != (before->head & ~COUNTER_HEAD_MASK)) {
        return window_trial_fail(trial, "the storer's bits of head were changed");
    }
    if (c->fresh_at_ns < before->fresh_at_ns)
        return window_trial_fail(trial, "fresh_at_ns decreased");
    if (!trial->allowed && memcmp(c, before, sizeof *before) != 0) {
        return window_trial_fail(trial, "the denial changed the counter");
    }
    return true;
}

uint64_t window_trial_instant_ns(const struct window_trial *trial, uint64_t now_ns) {
    uint64_t newest_ns = exact_log_newest_ns(&trial->log);
    return now_ns > newest_ns ? now_ns : newest_ns;
}

static bool window_trial_fail(struct window_trial *trial, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(trial->failure, sizeof trial->failure, format, arguments);
    va_end(arguments);
    return false;
}

/* Writes the admission down, and on which grid the counter is drawn after it. */
static void window_trial_remember(struct window_trial *trial, const struct counter *before,
                                  struct program_step step) {
    struct window_grid own        = window_grid_for(step.limit, trial->window_ns);
    uint64_t           instant_ns = window_trial_instant_ns(trial, step.now_ns);
    if (step.now_ns >= before->fresh_at_ns) {
        trial->grid         = own;
        trial->recode_count = 0;
        trial->is_doubtful  = false;
        trial->forgotten    = exact_log_within(&trial->log, instant_ns, UINT64_MAX);
    } else if (grid_is_finer(own, trial->grid)) {
        window_trial_recode(trial, own, instant_ns);
    } else if (grid_is_finer(trial->grid, own) && !window_trial_has_room(trial, step)) {
        uint64_t room = trial->grid.quanta * trial->grid.quantum;
        if (!trial->is_doubtful) {
            trial->is_doubtful   = true;
            trial->doubtful_from = trial->recode_count;
            trial->doubtful_room = trial->doubtful_least_room = room;
        }
        if (room > trial->doubtful_room) trial->doubtful_room = room;
        if (room < trial->doubtful_least_room) trial->doubtful_least_room = room;
        window_trial_recode(trial, own, instant_ns);
    }
    if (trial->is_doubtful) {
        /* Recodes that may come later than thought, until they must have been. */
        for (uint64_t i = trial->doubtful_from; i < trial->recode_count; i++) {
            trial->recodes[i % WINDOW_TRIAL_RECODES_MAX].at_ns = instant_ns;
        }
        uint64_t live = exact_log_within(&trial->log, instant_ns, trial->window_ns);
        if (live + step.cost > trial->doubtful_room) trial->is_doubtful = false;
    }
    exact_log_add(&trial->log, step.now_ns, step.cost);
}

static void window_trial_recode(struct window_trial *trial, struct window_grid grid,
                                uint64_t at_ns) {
    trial->recodes[trial->recode_count++ % WINDOW_TRIAL_RECODES_MAX] = (struct window_recode){
        .at_ns   = at_ns,
        .cell_ns = trial->grid.cell_ns,
        .quantum = trial->grid.quantum,
    };
    trial->grid = grid;
}

static bool grid_is_finer(struct window_grid a, struct window_grid b) {
    return a.quantum < b.quantum || (a.quantum == b.quantum && a.cells > b.cells);
}

/* Whether the admission certainly fits the grid that the counter is drawn on. */
static bool window_trial_has_room(const struct window_trial *trial, struct program_step step) {
    struct bound bound = window_trial_bound(trial, step);
    uint64_t     room  = trial->grid.quanta * trial->grid.quantum;
    if (trial->is_doubtful && trial->doubtful_least_room < room) room = trial->doubtful_least_room;
    return bound.admitted + bound.lost + step.cost <= room;
}

static bool window_trial_strict(struct window_trial *trial, struct program_step step) {
    uint64_t instant_ns = exact_log_newest_ns(&trial->log);
    uint64_t admitted   = exact_log_within(&trial->log, instant_ns, trial->window_ns);
    if (admitted <= step.limit) return true;
    return window_trial_fail(trial,
                             "PROMISE BROKEN: %" PRIu64
                             " admitted in the window that ends at %" PRIu64 "ns, limit %" PRIu64,
                             admitted, instant_ns, step.limit);
}

static bool window_trial_useful(struct window_trial *trial, struct program_step step) {
    if (step.cost > step.limit) return true;

    struct bound bound = window_trial_bound(trial, step);
    if (bound.admitted + step.cost + bound.lost > step.limit) return true;
    return window_trial_fail(
        trial,
        "DENIED WITHOUT NEED: %" PRIu64 " admitted in the last %" PRIu64 "ns (window %" PRIu64
        "ns), up to %" PRIu64 " may be missing of limit %" PRIu64,
        bound.admitted, bound.reach_ns, trial->window_ns, bound.lost, step.limit);
}

/* How much may be counted against this step. Theorem 2: one cell and one quantum for the grid that
 * the counter is drawn on, and as much again for each grid that something still countable went
 * through. */
static struct bound window_trial_bound(const struct window_trial *trial, struct program_step step) {
    if (trial->log.count == 0) return (struct bound){.reach_ns = trial->window_ns};

    uint64_t now_ns   = window_trial_instant_ns(trial, step.now_ns);
    uint64_t late_ns  = now_ns - step.now_ns;
    uint64_t reach_ns = trial->window_ns + trial->grid.cell_ns;
    uint64_t lost     = trial->grid.quantum - 1;
    reach_ns += late_ns < trial->grid.cell_ns ? late_ns : trial->grid.cell_ns;

    for (uint64_t i = 0; i < trial->recode_count; i++) {
        if (i == WINDOW_TRIAL_RECODES_MAX) { /* Those before are not remembered: anything goes. */
            reach_ns = UINT64_MAX;
            lost     = LIMIT_MAX;
            break;
        }
        struct window_recode r =
            trial->recodes[(trial->recode_count - 1 - i) % WINDOW_TRIAL_RECODES_MAX];
        if (now_ns >= reach_ns + r.cell_ns && r.at_ns <= now_ns - reach_ns - r.cell_ns) break;
        reach_ns += r.cell_ns;
        lost += r.quantum - 1;
    }
    uint64_t admitted = exact_log_within(&trial->log, now_ns, reach_ns);
    uint64_t kept     = exact_log_within(&trial->log, now_ns, UINT64_MAX) - trial->forgotten;
    return (struct bound){
        .admitted = admitted < kept ? admitted : kept,
        .reach_ns = reach_ns,
        .lost     = lost,
    };
}

static bool window_trial_retry(struct window_trial *trial, const struct counter *before,
                               struct program_step step) {
    uint64_t retry_ns = trial->look.retry_after_ns;
    if (trial->allowed) {
        return retry_ns == 0 ||
               window_trial_fail(trial, "allowed, and yet retry_after is %" PRIu64 "ns", retry_ns);
    }
    if (step.cost > step.limit) {
        return retry_ns == LIMIT_NEVER ||
               window_trial_fail(trial, "can never pass, and yet retry_after is %" PRIu64 "ns",
                                 retry_ns);
    }
    if (retry_ns == LIMIT_NEVER)
        return window_trial_fail(trial, "retry_after is never, and cost <= limit");
    if (retry_ns == 0) return window_trial_fail(trial, "denied with retry_after 0");

    trial->retries++;
    uint64_t at_ns = step.now_ns + retry_ns;
    if (at_ns > LIMIT_NOW_MAX) return true; /* Nobody can ask then. */
    if (!window_trial_would_pass(trial, before, step.limit, step.cost, at_ns)) {
        return window_trial_fail(trial, "still denied after retry_after of %" PRIu64 "ns",
                                 retry_ns);
    }
    if (window_trial_would_pass(trial, before, step.limit, step.cost, at_ns - 1)) {
        return window_trial_fail(trial, "passes 1ns before retry_after of %" PRIu64 "ns", retry_ns);
    }
    /* And nowhere in between: a point that differs from step to step without a generator. */
    uint64_t between_ns = step.now_ns + (retry_ns - 1) / (2 + trial->steps % 7);
    if (window_trial_would_pass(trial, before, step.limit, step.cost, between_ns)) {
        return window_trial_fail(trial, "passes %" PRIu64 "ns before retry_after of %" PRIu64 "ns",
                                 at_ns - between_ns, retry_ns);
    }
    return true;
}

static bool window_trial_remaining(struct window_trial *trial, const struct counter *before,
                                   struct program_step step) {
    uint64_t remaining = trial->look.remaining;
    if (remaining > step.limit)
        return window_trial_fail(trial, "remaining %" PRIu64 " is above the limit", remaining);
    if (remaining > 0 &&
        !window_trial_would_pass(trial, before, step.limit, remaining, step.now_ns)) {
        return window_trial_fail(trial, "remaining is %" PRIu64 ", and so much does not pass",
                                 remaining);
    }
    if (window_trial_would_pass(trial, before, step.limit, remaining + 1, step.now_ns)) {
        return window_trial_fail(trial, "remaining is %" PRIu64 ", and one more passes", remaining);
    }
    if (!trial->allowed) return true;

    struct answer after =
        window_look(&trial->counter, step.limit, trial->window_ns, 1, step.now_ns);
    if (after.remaining == remaining - step.cost) return true;
    return window_trial_fail(trial,
                             "%" PRIu64 " remained, %" PRIu64 " were taken, and %" PRIu64 " remain",
                             remaining, step.cost, after.remaining);
}

static bool window_trial_reset(struct window_trial *trial, struct program_step step) {
    const struct counter *c    = &trial->counter;
    struct answer         look = window_look(c, step.limit, trial->window_ns, 1, step.now_ns);
    uint64_t expected_ns       = c->fresh_at_ns > step.now_ns ? c->fresh_at_ns - step.now_ns : 0;
    if (look.reset_after_ns != expected_ns) {
        return window_trial_fail(
            trial, "reset_after is %" PRIu64 "ns where fresh_at_ns says %" PRIu64 "ns",
            look.reset_after_ns, expected_ns);
    }
    if (trial->allowed) {
        /* Nothing is forgotten before it must be, nor kept for more than a cell longer. */
        uint64_t newest_ns = exact_log_newest_ns(&trial->log);
        uint64_t kept_ns   = c->fresh_at_ns - newest_ns;
        if (kept_ns < trial->window_ns)
            return window_trial_fail(trial, "fresh %" PRIu64 "ns after an admission", kept_ns);
        uint64_t cells_ns = trial->window_ns + trial->grid.cell_ns;
        for (uint64_t i = 0; i < trial->recode_count && i < WINDOW_TRIAL_RECODES_MAX; i++) {
            cells_ns += trial->recodes[i].cell_ns;
        }
        if (kept_ns >= cells_ns)
            return window_trial_fail(trial, "not fresh for %" PRIu64 "ns after the last admission",
                                     kept_ns);
    }

    uint64_t at_ns = step.now_ns + look.reset_after_ns;
    if (at_ns > LIMIT_NOW_MAX) return true;
    const struct counter fresh = {0};
    struct answer        then  = window_look(c, step.limit, trial->window_ns, step.cost, at_ns);
    struct answer        anew = window_look(&fresh, step.limit, trial->window_ns, step.cost, at_ns);
    if (window_answers_equal(then, anew)) return true;
    return window_trial_fail(
        trial, "after reset_after of %" PRIu64 "ns the counter does not answer as a new one",
        look.reset_after_ns);
}

static bool window_trial_would_pass(const struct window_trial *trial, const struct counter *c,
                                    uint64_t limit, uint64_t cost, uint64_t now_ns) {
    struct counter copy = *c;
    return window_admit(&copy, limit, trial->window_ns, cost, now_ns);
}

static bool window_answers_equal(struct answer a, struct answer b) {
    return a.allowed == b.allowed && a.remaining == b.remaining &&
           a.retry_after_ns == b.retry_after_ns && a.reset_after_ns == b.reset_after_ns;
}
