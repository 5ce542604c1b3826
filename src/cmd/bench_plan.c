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
static void plan_population(struct bench_plan *plan, uint64_t users, unsigned threads,
                            bool is_first);
static bool plan_choose(struct bench_plan *plan, const char *only);

bool bench_plan_make(struct bench_plan *plan, const uint64_t users[BENCH_POPULATIONS_MAX],
                     unsigned threads, const char *only) {
    plan->row_count   = 0;
    plan->place_count = 0;
    plan_hot(plan, threads);
    for (unsigned i = 0; i < BENCH_POPULATIONS_MAX; i++) {
        if (users[i] != 0) plan_population(plan, users[i], threads, i == 0);
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

/* Rows of one population that others stand beside. */
struct anchors {
    int bare, chain;       /* one by one */
    int usual_bare;        /* in the usual batch */
    int allow, usual_many; /* on one thread */
};

#define UNIFORM(what, ...) LOAD(.call = what, .order = BENCH_UNIFORM, __VA_ARGS__)

static void plan_batches(struct bench_plan *plan, const char *n, const struct bench_world *roomy,
                         struct anchors *anchors) {
    char name[BENCH_NAME_BYTES_MAX];
    for (unsigned i = 0; i < BATCH_COUNT; i++) {
        unsigned b = batches[i];
        int bare   = ROW(plan, BENCH_NO_REFERENCE, UNIFORM(BENCH_TOUCH, .world = roomy, .batch = b),
                         "%s/bare/batch%u", n, b);
        int many   = ROW(plan, bare, UNIFORM(BENCH_MANY, .world = roomy, .batch = b),
                         "%s/uniform/many%u", n, b);
        if (b != BATCH_USUAL) continue;
        anchors->usual_bare = bare;
        anchors->usual_many = many;
    }
}

/* Denials, both in turn, and the other algorithms: each in a limiter of its own. */
static void plan_kinds(struct bench_plan *plan, const char *n, uint64_t users, uint64_t limit,
                       int64_t window_ns, bool is_first, const struct anchors *anchors) {
    const struct {
        const char    *what;
        uint64_t       limit, limit_of_even;
        int64_t        window_ns;
        weir_algorithm algorithm;
        bool           is_for_all; /* populations; others have the first only, to save time */
    } kinds[] = {
        {"deny", 1, 1, WEIR_DAY, WEIR_STRICT, true},
        {"mixed", limit, 1, WEIR_DAY, WEIR_STRICT, true},
        {"gcra", limit, limit, window_ns, WEIR_GCRA, false},
        {"fixed", limit, limit, WEIR_DAY, WEIR_FIXED, false},
    };
    char name[BENCH_NAME_BYTES_MAX];
    for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (!is_first && !kinds[i].is_for_all) continue;
        const struct bench_world *world =
            place_add(plan, kinds[i].what, users, kinds[i].algorithm, kinds[i].limit,
                      kinds[i].limit_of_even, kinds[i].window_ns);
        if (kinds[i].algorithm == WEIR_STRICT) {
            ROW(plan, anchors->chain, UNIFORM(BENCH_ALLOW, .world = world), "%s/uniform/allow/%s",
                n, kinds[i].what);
        } else {
            ROW(plan, anchors->chain, UNIFORM(BENCH_DECIDE, .world = world), "%s/uniform/decide/%s",
                n, kinds[i].what);
        }
        ROW(plan, anchors->usual_bare, UNIFORM(BENCH_MANY, .world = world, .batch = BATCH_USUAL),
            "%s/uniform/many%d/%s", n, BATCH_USUAL, kinds[i].what);
    }
}

static void plan_zipf(struct bench_plan *plan, const char *n, const struct bench_world *roomy) {
    char name[BENCH_NAME_BYTES_MAX];
    int  chain = ROW(plan, BENCH_NO_REFERENCE,
                     LOAD(.call = BENCH_CHAIN, .world = roomy, .order = BENCH_ZIPF),
                     "%s/zipf/bare/chain", n);
    ROW(plan, chain, LOAD(.call = BENCH_ALLOW, .world = roomy, .order = BENCH_ZIPF),
        "%s/zipf/allow", n);
    int bare =
        ROW(plan, BENCH_NO_REFERENCE,
            LOAD(.call = BENCH_TOUCH, .world = roomy, .order = BENCH_ZIPF, .batch = BATCH_USUAL),
            "%s/zipf/bare/batch%d", n, BATCH_USUAL);
    ROW(plan, bare,
        LOAD(.call = BENCH_MANY, .world = roomy, .order = BENCH_ZIPF, .batch = BATCH_USUAL),
        "%s/zipf/many%d", n, BATCH_USUAL);
}

static void plan_population_threads(struct bench_plan *plan, const char *n,
                                    const struct bench_world *roomy, unsigned threads,
                                    const struct anchors *anchors) {
    char name[BENCH_NAME_BYTES_MAX];
    ROW(plan, anchors->usual_bare,
        UNIFORM(BENCH_TOUCH, .world = roomy, .batch = BATCH_USUAL, .threads = threads),
        "%s/bare/batch%d/%u threads", n, BATCH_USUAL, threads);
    ROW(plan, anchors->allow, UNIFORM(BENCH_ALLOW, .world = roomy, .threads = threads),
        "%s/uniform/allow/%u threads", n, threads);
    ROW(plan, anchors->usual_many,
        UNIFORM(BENCH_MANY, .world = roomy, .batch = BATCH_USUAL, .threads = threads),
        "%s/uniform/many%d/%u threads", n, BATCH_USUAL, threads);
}

static void plan_population(struct bench_plan *plan, uint64_t users, unsigned threads,
                            bool is_first) {
    char name[BENCH_NAME_BYTES_MAX], n[24];
    bench_plan_count_write(users, n, sizeof n);

    /* A limit that a user who is one of many at random does not reach during the run, and a window
     * that outlasts it: nobody is forgotten meanwhile. Its cells (seconds) are mostly shorter than
     * the time between two visits, so that most decisions open a new one: the dear case. */
    const uint64_t            limit     = users >= 500000 ? 1000 : 1000000;
    const int64_t             window_ns = 10 * WEIR_MINUTE;
    const struct bench_world *roomy =
        place_add(plan, "roomy", users, WEIR_STRICT, limit, limit, window_ns);
    plan->places[plan->place_count - 1].is_population = true;

    struct anchors anchors = {0};
    anchors.bare =
        ROW(plan, BENCH_NO_REFERENCE, UNIFORM(BENCH_TOUCH, .world = roomy), "%s/bare", n);
    anchors.chain =
        ROW(plan, BENCH_NO_REFERENCE, UNIFORM(BENCH_CHAIN, .world = roomy), "%s/bare/chain", n);
    anchors.allow =
        ROW(plan, anchors.chain, UNIFORM(BENCH_ALLOW, .world = roomy), "%s/uniform/allow", n);
    ROW(plan, anchors.chain, UNIFORM(BENCH_DECIDE, .world = roomy), "%s/uniform/decide", n);
    plan_batches(plan, n, roomy, &anchors);
    plan_kinds(plan, n, users, limit, window_ns, is_first, &anchors);
    plan_zipf(plan, n, roomy);
    if (threads > 1) plan_population_threads(plan, n, roomy, threads, &anchors);
}

/* ---- choosing ---- */

static struct bench_place *place_of(struct bench_plan *plan, const struct bench_world *world) {
    for (unsigned i = 0; i < plan->place_count; i++) {
        if (&plan->places[i].world == world) return &plan->places[i];
    }
    return NULL;
}

/* Whether the name holds one of the words that commas part. */
static bool is_named(const char *name, const char *only) {
    char word[BENCH_NAME_BYTES_MAX];
    for (;;) {
        size_t bytes = strcspn(only, ",");
        if (bytes > 0 && bytes < sizeof word) {
            memcpy(word, only, bytes);
            word[bytes] = 0;
            if (strstr(name, word)) return true;
        }
        if (only[bytes] == 0) return false;
        only += bytes + 1;
    }
}

static bool plan_choose(struct bench_plan *plan, const char *only) {
    bool is_any = false;
    for (unsigned i = 0; i < plan->row_count; i++) {
        plan->rows[i].is_wanted = !only || is_named(plan->rows[i].name, only);
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
