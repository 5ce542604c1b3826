/* SPDX-License-Identifier: MIT
 *
 * weir-bench-sketch: how often does the sketch deny without need, and how fast is it?
 *
 * False denials are counted beside exact counts of each user (src/cmd/sketch_trial.c) and told beside the
 * bound that `weir explain` states. Times are CPU times of the thread, beside a bare loop that reads and
 * writes two cache lines at random places of as much memory, with the same prefetching; all rows take
 * turns, round by round. Each line of output is a JSON object with median, least and most of the rounds.
 *
 * usage: weir-bench-sketch [--quick]       exit 0 measured; 2 wrong usage; 3 no memory */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "cmd/sketch_plan.h"
#include "cmd/sketch_trial.h"
#include "os/memory.h"
#include "os/processor.h"
#include "table/sketch.h"

enum {
    LIMIT      = 10,
    ROUNDS_MAX = 9,
    CHUNK      = 1024, /* calls between two looks at the clock */
    AHEAD      = 16,   /* decisions between a prefetch and its use */
    EXIT_USAGE = 2,
    EXIT_ROOM  = 3,
};

struct spread {
    double   values[ROUNDS_MAX];
    unsigned count;
};

static void stop_for_lack_of_memory(void) {
    fprintf(stderr, "weir-bench-sketch: not enough memory\n");
    exit(EXIT_ROOM);
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void spread_add(struct spread *s, double value) { s->values[s->count++] = value; }

static void spread_print(const char *name, struct spread *s) {
    qsort(s->values, s->count, sizeof *s->values, compare);
    printf(",\"%s\":{\"median\":%.4g,\"least\":%.4g,\"most\":%.4g}", name, s->values[s->count / 2],
           s->values[0], s->values[s->count - 1]);
}

/* ---- false denials ---- */

static double share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : (double)part / (double)whole;
}

static void measure_denials(uint64_t users, double user_bytes, double mean, double zipf,
                            unsigned rounds) {
    struct sketch_trial trial = {.bytes   = (size_t)(user_bytes * (double)users),
                                 .users   = users,
                                 .mean    = mean,
                                 .limit   = LIMIT,
                                 .zipf    = zipf,
                                 .windows = 2};
    struct sketch_plan  plan = {.bytes = trial.bytes, .users = users, .mean = mean, .limit = LIMIT};
    struct spread       falsely = {.count = 0}, within = {.count = 0}, allowed = {.count = 0};
    uint64_t            asked = 0;
    for (unsigned round = 0; round < rounds; round++) {
        struct sketch_tried t;
        trial.seed = round + 1;
        if (!sketch_trial_run(&trial, &t)) stop_for_lack_of_memory();
        asked += t.asked;
        spread_add(&falsely, share(t.denied_falsely, t.asked));
        spread_add(&within, share(t.denied_within, t.asked_within));
        spread_add(&allowed, share(t.allowed, t.allowed_exactly));
    }
    printf("{\"kind\":\"denials\",\"users\":%llu,\"user_bytes\":%g,\"mean\":%g,\"zipf\":%g,"
           "\"limit\":%d,\"rounds\":%u,\"asked\":%llu",
           (unsigned long long)users, user_bytes, mean, zipf, LIMIT, rounds,
           (unsigned long long)asked);
    spread_print("denied_falsely", &falsely);
    spread_print("denied_within", &within);
    spread_print("allowed_of_exact", &allowed);
    if (zipf == 0) printf(",\"bound\":%.4g", sketch_plan_false_denial(&plan));
    printf("}\n");
    fflush(stdout);
}

static void measure_all_denials(bool is_quick) {
    static const double user_bytes[] = {0.5, 1, 2, 4, 8, 16};
    static const double zipfs[]      = {0, 0.9, 0.99};
    static const double means[]      = {2.5, 1, 5};
    uint64_t            users        = is_quick ? 100000 : 1000000;
    for (unsigned m = 0; m < (is_quick ? 1 : 3); m++)
        for (unsigned z = 0; z < 3; z++)
            for (unsigned b = 0; b < sizeof user_bytes / sizeof *user_bytes; b++)
                measure_denials(users, user_bytes[b], means[m], zipfs[z], m == 0 ? 3 : 1);
    /* The same share, however many there are. */
    if (!is_quick) measure_denials(20000000, 4, 2.5, 0, 1);
}

/* ---- times ---- */

struct world {
    struct sketch *sketch;
    uint64_t      *bare; /* as many bytes */
    uint64_t       lines, users, window_ns;
    struct random  random;
    double         now_ns;
    uint64_t       allowed, sum;
};

enum order { UNIFORM, HOT };
enum act { TOUCH, CHAIN, ADMIT, DECIDE };

struct row {
    const char   *name;
    enum act      act;
    enum order    order;
    bool          is_ahead;
    struct spread ns;
    double        allowed;
};

static uint64_t cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* The bare loop's two lines, chosen as the sketch chooses, without its counts. */
static uint64_t *bare_line(struct world *w, uint64_t hash, unsigned half) {
    struct random mixer = {.state = hash};
    uint64_t      bits  = half == 0 ? hash : random_next(&mixer);
    return w->bare + 8 * ((bits >> 32) * (w->lines / 2) >> 32) + 8 * half * (w->lines / 2);
}

static void prefetch(struct world *w, enum act act, uint64_t hash) {
    if (act == ADMIT || act == DECIDE) {
        sketch_prefetch(w->sketch, hash);
        return;
    }
    __builtin_prefetch(bare_line(w, hash, 0), 1);
    __builtin_prefetch(bare_line(w, hash, 1), 1);
}

static void act_on(struct world *w, enum act act, uint64_t hash) {
    struct answer answer;
    switch (act) {
    /* Nothing is counted to 2^63, but the processor has to read it to know which user is next. */
    case CHAIN: hash += w->sum >> 63; /* fall through */
    case TOUCH: w->sum = ++*bare_line(w, hash, 0) + ++*bare_line(w, hash, 1); break;
    case ADMIT: w->allowed += sketch_admit(w->sketch, hash, LIMIT, 1, (uint64_t)w->now_ns); break;
    case DECIDE:
        sketch_decide(w->sketch, hash, LIMIT, 1, (uint64_t)w->now_ns, &answer);
        w->allowed += answer.allowed;
    }
}

/* Time goes on as if each user asked 2.5 times in a window. */
static void run_row(struct world *w, struct row *row, uint64_t calls) {
    uint64_t hash[CHUNK + AHEAD] = {0};
    uint64_t spent               = 0;
    double   apart_ns            = (double)w->window_ns / ((double)w->users * 2.5);
    w->allowed                   = 0;
    calls                        = (calls + CHUNK - 1) / CHUNK * CHUNK;
    for (uint64_t done = 0; done < calls; done += CHUNK) {
        for (unsigned i = 0; i < CHUNK; i++) {
            struct random named = {.state = random_below(&w->random, w->users)};
            hash[i]             = row->order == HOT ? 1 : random_next(&named);
        }
        w->now_ns += apart_ns * CHUNK;
        uint64_t began = cpu_ns();
        for (unsigned i = 0; row->is_ahead && i < AHEAD; i++) prefetch(w, row->act, hash[i]);
        for (unsigned i = 0; i < CHUNK; i++) {
            if (row->is_ahead) prefetch(w, row->act, hash[(i + AHEAD) % CHUNK]);
            act_on(w, row->act, hash[i]);
        }
        spent += cpu_ns() - began;
    }
    spread_add(&row->ns, (double)spent / (double)calls);
    row->allowed = (double)w->allowed / (double)calls;
}

static void measure_times(bool is_quick) {
    struct row rows[] = {
        {.name = "touch", .act = TOUCH},
        {.name = "touch, each after the last", .act = CHAIN},
        {.name = "touch, prefetched", .act = TOUCH, .is_ahead = true},
        {.name = "admit", .act = ADMIT},
        {.name = "admit, prefetched", .act = ADMIT, .is_ahead = true},
        {.name = "decide", .act = DECIDE},
        {.name = "decide, prefetched", .act = DECIDE, .is_ahead = true},
        {.name = "decide, one hot user", .act = DECIDE, .order = HOT},
        {.name = "touch, one hot user", .act = TOUCH, .order = HOT},
    };
    unsigned rounds = is_quick ? 3 : ROUNDS_MAX;
    uint64_t calls  = is_quick ? 200000 : 2000000;
    size_t   bytes  = sketch_bytes((size_t)(is_quick ? 64 : 2048) << 20);

    struct world          w       = {.window_ns = 60000000000,
                                     .random    = {.state = 1},
                                     .lines     = sketch_shape_of(bytes, LIMIT).lines,
                                     .users     = bytes / 8};
    struct sketch_options options = {
        .window_ns = w.window_ns, .limit_max = LIMIT, .yield = processor_yield};
    void *memory = memory_reserve(bytes);
    w.bare       = memory_reserve(bytes);
    if (memory == NULL || w.bare == NULL) stop_for_lack_of_memory();
    w.sketch = sketch_init(memory, bytes, &options);

    /* Every page is there before anything is timed. */
    memset(w.bare, 1, bytes);
    struct row fill = {.act = ADMIT, .is_ahead = true};
    run_row(&w, &fill, w.users);

    /* There and back again, so that whoever comes late in a round comes early in the next. */
    size_t count = sizeof rows / sizeof *rows;
    for (unsigned round = 0; round < rounds; round++)
        for (size_t i = 0; i < count; i++) run_row(&w, &rows[round % 2 ? count - 1 - i : i], calls);
    for (size_t i = 0; i < count; i++) {
        printf("{\"kind\":\"time\",\"name\":\"%s\",\"bytes\":%zu,\"users\":%llu,\"rounds\":%u,"
               "\"allowed\":%.3f",
               rows[i].name, bytes, (unsigned long long)w.users, rounds, rows[i].allowed);
        spread_print("ns", &rows[i].ns);
        printf("}\n");
    }
    fprintf(stderr, "(sum %llu)\n", (unsigned long long)w.sum);
    memory_release(w.bare, bytes);
    memory_release(memory, bytes);
}

int main(int count, char **words) {
    bool is_quick = count == 2 && strcmp(words[1], "--quick") == 0;
    if (count > 1 && !is_quick) {
        fprintf(stderr, "usage: weir-bench-sketch [--quick]\n");
        return EXIT_USAGE;
    }
    measure_times(is_quick);
    measure_all_denials(is_quick);
    return 0;
}
