/* SPDX-License-Identifier: MIT */
#include "cmd/bench_plan.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

static const unsigned batches[] = {16, 32, 64, 256};
enum { BATCH_COUNT = sizeof batches / sizeof batches[0], BATCH_USUAL = 64 };

static void plan_hot(struct bench_plan *plan, unsigned threads);
static void plan_population(struct bench_plan *plan, uint64_t users, unsigned threads);
static bool plan_choose(struct bench_plan *plan, const char *only);

bool bench_plan_make(struct bench_plan *plan, const uint64_t users[BENCH_POPULATIONS_MAX],
                     unsigned threads, const char *only) {
    plan->row_count   = 0;
    plan->place_count = 0;
    plan_hot(plan, threads);
    for (unsigned i = 0; i < BENCH_POPULATIONS_MAX; i++) {
        if (users[i] != 0) plan_population(plan, users[i], threads);
    }
    return plan_choose(plan, only);
}

/* ---- rows and places ---- */

static int row_add(struct bench_plan *plan, int reference, struct bench_load load,
                   const char *name) {
    REQUIRE(plan->row_count < BENCH_ROWS_MAX);
    struct bench_row *row = &plan->rows[plan->row_count];
    *row                  = (struct bench_row){.load = load, .reference = reference};
    if (row->load.threads == 0) row->load.threads = 1;
    snprintf(row->name, sizeof row->name, "%s", name);
    return (int)plan->row_count++;
}

/* The name is made of `group` and what snprintf says of the rest. */
#define ROW(plan, reference, load, ...)                                                            \
    (snprintf(name, sizeof name, __VA_ARGS__), row_add(plan, reference, load, name))

#define LOAD(...) ((struct bench_load){__VA_ARGS__})

static struct bench_world *place_add(struct bench_plan *plan, const char *name, uint64_t users,
                                     weir_algorithm algorithm, uint64_t limit,
                                     uint64_t limit_of_even, int64_t window_ns) {
    REQUIRE(plan->place_count < BENCH_WORLDS_MAX);
    struct bench_place *place = &plan->places[plan->place_count++];
    *place                    = (struct bench_place){
                           .world     = {.user_count    = users,
                                         .algorithm     = algorithm,
                                         .limit         = limit,
                                         .limit_of_even = limit_of_even,
                                         .window_ns     = window_ns},
                           .users_max = users,
    };
    snprintf(place->name, sizeof place->name, "%s", name);
    return &place->world;
}

/* ---- one user, or as many as threads ---- */

enum {
    HOT_USERS = 1000,
};
/* Never reached, nearly always reached, and reached at once. A user who comes more often than
 * the limit allows crosses into a new time cell all the time, and is allowed and denied in turn. */
#define ROOMY_LIMIT    UINT64_C(1000000000)
#define OVERLOAD_LIMIT UINT64_C(5000)

static void plan_hot(struct bench_plan *plan, unsigned threads) {
    char                     name[BENCH_NAME_BYTES_MAX];
    static const char *const algorithms[] = {
        [WEIR_STRICT] = "strict", [WEIR_GCRA] = "gcra", [WEIR_FIXED] = "fixed"};

    row_add(plan, BENCH_NO_REFERENCE, LOAD(.call = BENCH_NOTHING), "loop");
    int clock = row_add(plan, BENCH_NO_REFERENCE, LOAD(.call = BENCH_CLOCK), "clock");

    for (weir_algorithm a = WEIR_STRICT; a <= WEIR_FIXED; a++) {
        const struct bench_world *roomy =
            place_add(plan, "hot, roomy", HOT_USERS, a, ROOMY_LIMIT, ROOMY_LIMIT, WEIR_SECOND);
        const struct bench_world *full = place_add(plan, "hot, full", HOT_USERS, a, 1, 1, WEIR_DAY);
        const struct bench_world *overload =
            place_add(plan, "hot, overloaded", HOT_USERS, a, OVERLOAD_LIMIT, OVERLOAD_LIMIT,
                      WEIR_MILLISECOND);
        if (a == WEIR_STRICT) {
            int hot = row_add(plan, clock, LOAD(.call = BENCH_ALLOW, .world = roomy), "hot/allow");
            row_add(plan, clock, LOAD(.call = BENCH_ALLOW, .world = full), "hot/deny");
            row_add(plan, clock, LOAD(.call = BENCH_ALLOW, .world = overload), "hot/overload");
            if (threads > 1) {
                ROW(plan, hot, LOAD(.call = BENCH_ALLOW, .world = roomy, .threads = threads),
                    "hot/distinct/%u threads", threads);
                ROW(plan, hot,
                    LOAD(.call = BENCH_ALLOW, .world = roomy, .threads = threads,
                         .is_one_user = true),
                    "hot/same/%u threads", threads);
                ROW(plan, hot,
                    LOAD(.call = BENCH_ALLOW, .world = full, .threads = threads,
                         .is_one_user = true),
                    "hot/same/deny/%u threads", threads);
            }
        }
        ROW(plan, clock, LOAD(.call = BENCH_DECIDE, .world = roomy), "hot/decide/%s/allow",
            algorithms[a]);
        ROW(plan, clock, LOAD(.call = BENCH_DECIDE, .world = full), "hot/decide/%s/deny",
            algorithms[a]);
        ROW(plan, clock, LOAD(.call = BENCH_DECIDE, .world = overload), "hot/decide/%s/overload",
            algorithms[a]);
        ROW(plan, clock, LOAD(.call = BENCH_MANY, .world = roomy, .batch = BATCH_USUAL),
            "hot/many%d/%s/allow", BATCH_USUAL, algorithms[a]);
    }
}

/* ---- many users ---- */

static void plan_population(struct bench_plan *plan, uint64_t users, unsigned threads) {
    char name[BENCH_NAME_BYTES_MAX], n[24];
    bench_plan_count_write(users, n, sizeof n);

    /* A limit that a user who is one of many at random does not reach during the run. */
    uint64_t                  limit = users >= 500000 ? 1000 : 1000000;
    const struct bench_world *roomy =
        place_add(plan, "roomy", users, WEIR_STRICT, limit, limit, WEIR_MINUTE);
    plan->places[plan->place_count - 1].is_population = true;
    const struct bench_world *full = place_add(plan, "full", users, WEIR_STRICT, 1, 1, WEIR_DAY);
    const struct bench_world *half =
        place_add(plan, "half full", users, WEIR_STRICT, limit, 1, WEIR_DAY);
    const struct bench_world *gcra =
        place_add(plan, "gcra", users, WEIR_GCRA, limit, limit, WEIR_MINUTE);
    const struct bench_world *fixed =
        place_add(plan, "fixed", users, WEIR_FIXED, limit, limit, WEIR_MINUTE);

    int single =
        ROW(plan, BENCH_NO_REFERENCE,
            LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_UNIFORM), "%s/bare", n);
    ROW(plan, BENCH_NO_REFERENCE, LOAD(.call = BENCH_CHAIN, .world = roomy, .order = BENCH_UNIFORM),
        "%s/bare/chain", n);
    int allow = ROW(plan, single, LOAD(.call = BENCH_ALLOW, .world = roomy, .order = BENCH_UNIFORM),
                    "%s/uniform/allow", n);
    ROW(plan, single, LOAD(.call = BENCH_ALLOW, .world = full, .order = BENCH_UNIFORM),
        "%s/uniform/deny", n);
    ROW(plan, single, LOAD(.call = BENCH_ALLOW, .world = half, .order = BENCH_UNIFORM),
        "%s/uniform/mixed", n);
    ROW(plan, single, LOAD(.call = BENCH_DECIDE, .world = roomy, .order = BENCH_UNIFORM),
        "%s/uniform/decide", n);

    int usual = 0, many = 0;
    for (unsigned i = 0; i < BATCH_COUNT; i++) {
        unsigned b = batches[i];
        int      bare =
            ROW(plan, BENCH_NO_REFERENCE,
                LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_UNIFORM, .batch = b),
                "%s/bare/batch%u", n, b);
        int row = ROW(plan, bare,
                      LOAD(.call = BENCH_MANY, .world = roomy, .order = BENCH_UNIFORM, .batch = b),
                      "%s/uniform/many%u", n, b);
        if (b == BATCH_USUAL) usual = bare, many = row;
    }
    const struct {
        const struct bench_world *world;
        const char               *what;
    } others[] = {{full, "deny"}, {half, "mixed"}, {gcra, "gcra"}, {fixed, "fixed"}};
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        ROW(plan, usual,
            LOAD(.call = BENCH_MANY, .world = others[i].world, .order = BENCH_UNIFORM,
                 .batch = BATCH_USUAL),
            "%s/uniform/many%d/%s", n, BATCH_USUAL, others[i].what);
    }

    int zipf_single =
        ROW(plan, BENCH_NO_REFERENCE,
            LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_ZIPF), "%s/zipf/bare", n);
    ROW(plan, zipf_single, LOAD(.call = BENCH_ALLOW, .world = roomy, .order = BENCH_ZIPF),
        "%s/zipf/allow", n);
    int zipf_bare =
        ROW(plan, BENCH_NO_REFERENCE,
            LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_ZIPF, .batch = BATCH_USUAL),
            "%s/zipf/bare/batch%d", n, BATCH_USUAL);
    ROW(plan, zipf_bare,
        LOAD(.call = BENCH_MANY, .world = roomy, .order = BENCH_ZIPF, .batch = BATCH_USUAL),
        "%s/zipf/many%d", n, BATCH_USUAL);

    if (threads <= 1) return;
    ROW(plan, usual,
        LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_UNIFORM, .batch = BATCH_USUAL,
             .threads = threads),
        "%s/bare/batch%d/%u threads", n, BATCH_USUAL, threads);
    ROW(plan, allow,
        LOAD(.call = BENCH_ALLOW, .world = roomy, .order = BENCH_UNIFORM, .threads = threads),
        "%s/uniform/allow/%u threads", n, threads);
    ROW(plan, many,
        LOAD(.call = BENCH_MANY, .world = roomy, .order = BENCH_UNIFORM, .batch = BATCH_USUAL,
             .threads = threads),
        "%s/uniform/many%d/%u threads", n, BATCH_USUAL, threads);
}

/* ---- choosing ---- */

static struct bench_place *place_of(struct bench_plan *plan, const struct bench_world *world) {
    for (unsigned i = 0; i < plan->place_count; i++) {
        if (&plan->places[i].world == world) return &plan->places[i];
    }
    return NULL;
}

static bool plan_choose(struct bench_plan *plan, const char *only) {
    bool is_any = false;
    for (unsigned i = 0; i < plan->row_count; i++) {
        plan->rows[i].is_wanted = !only || strstr(plan->rows[i].name, only) != NULL;
        is_any |= plan->rows[i].is_wanted;
    }
    /* A row's reference, and that one's own. */
    for (unsigned again = 0; again < 2; again++) {
        for (unsigned i = 0; i < plan->row_count; i++) {
            int reference = plan->rows[i].reference;
            if (plan->rows[i].is_wanted && reference >= 0) plan->rows[reference].is_wanted = true;
        }
    }
    for (unsigned i = 0; i < plan->row_count; i++) {
        const struct bench_row *row   = &plan->rows[i];
        struct bench_place     *place = place_of(plan, row->load.world);
        if (!row->is_wanted || !place) continue;
        place->is_wanted = true;
        if (row->load.call == BENCH_TOUCH || row->load.call == BENCH_CHAIN)
            place->wants_memory = true;
    }
    return is_any;
}

/* ---- figures ---- */

void bench_plan_count_write(uint64_t count, char *out, unsigned room) {
    if (count % 1000000 == 0) {
        snprintf(out, room, "%" PRIu64 "m", count / 1000000);
    } else if (count % 1000 == 0) {
        snprintf(out, room, "%" PRIu64 "k", count / 1000);
    } else {
        snprintf(out, room, "%" PRIu64, count);
    }
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void bench_row_settle(struct bench_row *row, unsigned rounds) {
    qsort(row->ns, rounds, sizeof row->ns[0], compare);
    qsort(row->wall_ns, rounds, sizeof row->wall_ns[0], compare);
}

double bench_row_median(const double *values, unsigned rounds) {
    return (values[(rounds - 1) / 2] + values[rounds / 2]) / 2;
}
