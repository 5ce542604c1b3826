/* SPDX-License-Identifier: MIT
 *
 * Plays random programs against sketches of a few lines, so that users share counts all the time: strict
 * for each user by a log of their own; no denial unless all users together, or the one user that there
 * is, filled the window and one cell; exact times to try again. Time jumps by powers of two, so that a
 * cell number that is cut short anywhere would show. */
#include "support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/draw.h"
#include "model/exact_log.h"
#include "model/seeds.h"
#include "table/sketch.h"

enum {
    RULES      = 2000,
    STEPS_FULL = 2000,
    STEPS_MIN  = 100,
    USERS_MAX  = 12,
    LINES_MAX  = 9,
    BYTES_MAX  = LINES_MAX * SKETCH_LINE_BYTES,
};

/* One sketch, and what is true about it. */
struct trial {
    _Alignas(SKETCH_LINE_BYTES) char memory[BYTES_MAX];
    _Alignas(SKETCH_LINE_BYTES) char before[BYTES_MAX];
    _Alignas(SKETCH_LINE_BYTES) char copy[BYTES_MAX];
    struct sketch   *sketch;
    uint64_t         window_ns, cell_ns;
    uint64_t         hash[USERS_MAX];
    struct exact_log log[USERS_MAX];
    struct exact_log all;
    uint64_t         seen_ns; /* the newest time of any call */
    struct answer    answer;
    uint64_t         admissions, denials;
};

struct step {
    uint64_t user, limit, cost, now_ns;
};

static void no_yield(unsigned turn) { (void)turn; }

/* What would happen in a sketch that holds `state`? */
static bool would_pass(struct trial *t, const char *state, struct step q, uint64_t cost,
                       uint64_t now_ns) {
    memcpy(t->copy, state, BYTES_MAX);
    struct sketch *s = (struct sketch *)(void *)t->copy;
    return sketch_admit(s, t->hash[q.user], q.limit, cost, now_ns);
}

static uint64_t remaining_at(struct trial *t, struct step q, uint64_t now_ns) {
    return sketch_look(t->sketch, t->hash[q.user], q.limit, 1, now_ns).remaining;
}

/* When the admission counts: its own time, or the start of a newer cell that its lines have seen. It
 * is the newest cell of the user, and so the one that leaves last. */
static uint64_t counted_at_ns(const struct trial *t, struct step q) {
    uint64_t leaves_ns = q.now_ns + t->answer.reset_after_ns;
    CHECK_EQ(leaves_ns % t->cell_ns, 0);
    uint64_t cell    = leaves_ns / t->cell_ns;
    uint64_t cell_ns = cell < SKETCH_SLOTS ? 0 : (cell - SKETCH_SLOTS) * t->cell_ns;
    return cell_ns > q.now_ns ? cell_ns : q.now_ns;
}

static const char *judge_admission(struct trial *t, struct step q) {
    uint64_t at_ns = counted_at_ns(t, q);
    if (at_ns > t->seen_ns) return "counts at a time that nobody has seen";
    exact_log_add(&t->log[q.user], at_ns, q.cost);
    exact_log_add(&t->all, at_ns, q.cost);

    uint64_t newest_ns = exact_log_newest_ns(&t->log[q.user]);
    if (exact_log_within(&t->log[q.user], newest_ns, t->window_ns) > q.limit)
        return "PROMISE BROKEN: above the limit";
    if (t->answer.retry_after_ns != 0) return "allowed with a retry_after";
    return NULL;
}

static const char *judge_denial(struct trial *t, struct step q) {
    if (memcmp(t->before, t->memory, BYTES_MAX) != 0) return "the denial wrote something";
    uint64_t retry_ns = t->answer.retry_after_ns;
    if (q.cost > q.limit)
        return retry_ns == LIMIT_NEVER ? NULL : "can never pass, and retry_after is not never";

    uint64_t newest_ns = exact_log_newest_ns(&t->all);
    uint64_t until_ns  = newest_ns > q.now_ns ? newest_ns : q.now_ns;
    uint64_t reach_ns  = until_ns - q.now_ns + SKETCH_SLOTS * t->cell_ns;
    if (exact_log_within(&t->all, until_ns, reach_ns) + q.cost <= q.limit)
        return "DENIED WITHOUT NEED";
    if (q.now_ns + retry_ns > LIMIT_NOW_MAX) return NULL;
    if (!would_pass(t, t->before, q, q.cost, q.now_ns + retry_ns))
        return "denied after retry_after";
    if (would_pass(t, t->before, q, q.cost, q.now_ns + retry_ns - 1))
        return "passes before retry_after";
    return NULL;
}

static const char *judge_answer(struct trial *t, struct step q, struct answer look) {
    if (look.allowed != t->answer.allowed) return "sketch_look and sketch_decide differ";
    if (look.remaining > 0 && !would_pass(t, t->before, q, look.remaining, q.now_ns))
        return "`remaining` does not pass";
    if (would_pass(t, t->before, q, look.remaining + 1, q.now_ns))
        return "one more than `remaining` passes";
    if (remaining_at(t, q, q.now_ns) != t->answer.remaining) return "`remaining` is not what is";

    uint64_t back_ns = q.now_ns + t->answer.reset_after_ns;
    if (back_ns > LIMIT_NOW_MAX || q.limit == 0) return NULL;
    if (remaining_at(t, q, back_ns) != q.limit) return "after reset_after something is live";
    if (t->answer.reset_after_ns > 0 && remaining_at(t, q, back_ns - 1) == q.limit)
        return "reset_after is too late";
    return NULL;
}

static const char *trial_step(struct trial *t, struct step q) {
    if (q.now_ns > t->seen_ns) t->seen_ns = q.now_ns;
    memcpy(t->before, t->memory, BYTES_MAX);
    struct answer look = sketch_look(t->sketch, t->hash[q.user], q.limit, q.cost, q.now_ns);
    if (memcmp(t->before, t->memory, BYTES_MAX) != 0) return "looking wrote something";

    sketch_decide(t->sketch, t->hash[q.user], q.limit, q.cost, q.now_ns, &t->answer);
    t->answer.allowed ? t->admissions++ : t->denials++;
    const char *wrong = t->answer.allowed ? judge_admission(t, q) : judge_denial(t, q);
    return wrong != NULL ? wrong : judge_answer(t, q, look);
}

/* The next time: on, to an edge, to where something leaves, far ahead by a power of two, or late. */
static uint64_t draw_now_ns(struct random *r, const struct trial *t, uint64_t now_ns) {
    uint64_t cell_ns = t->cell_ns;
    switch (random_below(r, 12)) {
    case 0:
    case 1: now_ns += draw_log_uniform(r, 2 * t->window_ns); break;
    case 2:
    case 3: now_ns = (now_ns / cell_ns + 1) * cell_ns - random_below(r, 2); break;
    case 4:
        if (!t->answer.allowed && t->answer.retry_after_ns < 2 * t->window_ns)
            now_ns += t->answer.retry_after_ns;
        break;
    case 5: now_ns += t->window_ns - random_below(r, 2); break;
    case 6: {
        uint64_t cells = (UINT64_C(1) << random_below(r, 40)) + random_below(r, 3);
        if (random_below(r, 8) == 0 && cells <= (LIMIT_NOW_MAX - now_ns) / cell_ns)
            now_ns += cells * cell_ns;
        break;
    }
    default: break;
    }
    return now_ns > LIMIT_NOW_MAX ? LIMIT_NOW_MAX : now_ns;
}

static struct step draw_step(struct random *r, const struct trial *t, uint64_t users,
                             const uint64_t *limits, uint64_t now_ns) {
    struct step q = {.user   = random_below(r, users),
                     .limit  = limits[random_below(r, 3)],
                     .cost   = 1,
                     .now_ns = now_ns};
    if (random_below(r, 15) == 0) {
        uint64_t late_ns = draw_log_uniform(r, 2 * t->window_ns);
        q.now_ns         = late_ns > now_ns ? 0 : now_ns - late_ns;
    }
    switch (random_below(r, 6)) {
    case 0: q.cost = 1 + random_below(r, q.limit + 1); break;
    case 1: q.cost = t->answer.remaining + random_below(r, 2); break;
    case 2: q.cost = random_below(r, 20) == 0 ? UINT64_MAX : 1; break;
    default: break;
    }
    if (q.cost == 0) q.cost = 1;
    return q;
}

static void trial_begin(struct trial *t, struct random *r, uint64_t limit_max) {
    memset(t, 0, sizeof *t);
    size_t bytes = random_between(r, 3, LINES_MAX) * SKETCH_LINE_BYTES;
    t->window_ns = draw_window_ns(r);
    t->cell_ns   = (t->window_ns + SKETCH_CELLS - 1) / SKETCH_CELLS;
    t->sketch =
        sketch_init(t->memory, bytes,
                    &(struct sketch_options){
                        .window_ns = t->window_ns, .limit_max = limit_max, .yield = no_yield});
    for (unsigned i = 0; i < USERS_MAX; i++) t->hash[i] = random_next(r);
}

static void play(uint64_t seed, uint64_t steps, struct trial *t) {
    struct random r = {.state = seed};
    uint64_t      limit_max =
        random_below(&r, 2) ? random_between(&r, 1, 16) : random_between(&r, 1, SKETCH_LIMIT_MAX);
    uint64_t admissions = t->admissions, denials = t->denials;
    trial_begin(t, &r, limit_max);
    t->admissions     = admissions;
    t->denials        = denials;
    uint64_t users    = random_below(&r, 3) == 0 ? 1 : random_between(&r, 1, USERS_MAX);
    uint64_t limits[] = {limit_max, random_between(&r, 0, limit_max), limit_max};
    uint64_t now_ns   = draw_start_ns(&r, t->window_ns);
    for (uint64_t i = 0; i < steps; i++) {
        now_ns            = draw_now_ns(&r, t, now_ns);
        struct step q     = draw_step(&r, t, users, limits, now_ns);
        const char *wrong = trial_step(t, q);
        CHECK_SAYS(wrong == NULL,
                   "%s: seed %" PRIu64 ", step %" PRIu64 ": user %" PRIu64 " of %" PRIu64
                   ", limit %" PRIu64 ", cost %" PRIu64 ", at %" PRIu64 " ns, window %" PRIu64
                   " ns: remaining %" PRIu64 ", retry %" PRIu64 ", reset %" PRIu64,
                   wrong, seed, i, q.user, users, q.limit, q.cost, q.now_ns, t->window_ns,
                   t->answer.remaining, t->answer.retry_after_ns, t->answer.reset_after_ns);
    }
    for (unsigned i = 0; i < USERS_MAX; i++) exact_log_clear(&t->log[i]);
    exact_log_clear(&t->all);
}

TEST(seeds_that_once_failed_hold) {
    static uint64_t     seeds[SEEDS_MAX];
    static struct trial t;
    size_t              count = seeds_read("model_sketch", seeds);
    for (size_t i = 0; i < count; i++) play(seeds[i], STEPS_FULL, &t);
}

TEST(a_sketch_is_strict_for_each_user_and_denies_only_if_all_together_are_many) {
    static struct trial t;
    uint64_t            steps = seeds_share(check_effort(STEPS_FULL));
    struct random       r     = {.state = check_seed()};
    uint64_t            seed  = check_seed();
    if (steps < STEPS_MIN) steps = STEPS_MIN;
    for (size_t rule = 0; rule < RULES; rule++) {
        play(seed, steps, &t);
        seed = random_next(&r);
    }
    printf("%" PRIu64 " decisions: %" PRIu64 " admitted, %" PRIu64 " denied\n", RULES * steps,
           t.admissions, t.denials);
    CHECK_GE(t.denials, RULES * steps / 20);
    CHECK_GE(t.admissions, RULES * steps / 20);
}
