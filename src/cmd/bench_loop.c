/* SPDX-License-Identifier: MIT */
#include "cmd/bench_loop.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/contract.h"
#include "base/random.h"
#include "cmd/zipf.h"

enum {
    USER_FIRST      = 10000000, /* user 0 is user:10000000, so that all have eight digits */
    NAME_ROOM       = 16,
    NAME_BYTES      = 13,
    DIGITS_AT       = 5,
    MANY_MAX        = 256,
    BUCKET_BYTES    = 1024,
    LINE_BYTES      = 64,
    LINES_OF_BUCKET = 15,
    CALIBRATIONS    = 2000,
    HOT_CHUNKS      = 32, /* between two looks at the clock; there is nothing to prepare */
};

/* All that one thread works with. */
struct hand {
    struct bench_crew       *crew;
    const struct bench_load *load;
    unsigned                 index;
    double                   seconds;
    struct random            random;
    struct zipf              zipf;
    pthread_barrier_t       *start;
    uint64_t                 next_user;
    uint64_t                 spent_ns, wall_ns, call_count, allowed_count;
    uint64_t                 users[BENCH_CHUNK];
    uint64_t                 places[BENCH_CHUNK]; /* offsets of lines in the world's memory */
    char                     names[BENCH_CHUNK][NAME_ROOM];
    uint64_t                 limits[BENCH_CHUNK];
    weir_request             requests[BENCH_CHUNK];
    weir_decision            decisions[MANY_MAX];
};

struct bench_crew {
    pthread_barrier_t begin, end; /* of a row: the threads and the one that asks for it */
    pthread_t         threads[BENCH_THREADS_MAX];
    struct hand      *hands;
    unsigned          count;
    bool              is_over;
};

struct stamp {
    uint64_t cpu_ns, wall_ns;
};

static struct stamp stamp_cost; /* what two stamps in a row differ by */

static uint64_t read_ns(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The two clocks are read in mirrored order, so that wall time includes both reads of CPU time. */
static struct stamp stamp_first(void) {
    struct stamp s = {.wall_ns = read_ns(CLOCK_MONOTONIC)};
    s.cpu_ns       = read_ns(CLOCK_THREAD_CPUTIME_ID);
    return s;
}
static struct stamp stamp_last(void) {
    struct stamp s = {.cpu_ns = read_ns(CLOCK_THREAD_CPUTIME_ID)};
    s.wall_ns      = read_ns(CLOCK_MONOTONIC);
    return s;
}

void bench_calibrate(void) {
    stamp_cost = (struct stamp){.cpu_ns = UINT64_MAX, .wall_ns = UINT64_MAX};
    for (int i = 0; i < CALIBRATIONS; i++) {
        struct stamp a = stamp_first(), b = stamp_last();
        if (b.cpu_ns - a.cpu_ns < stamp_cost.cpu_ns) stamp_cost.cpu_ns = b.cpu_ns - a.cpu_ns;
        if (b.wall_ns - a.wall_ns < stamp_cost.wall_ns) stamp_cost.wall_ns = b.wall_ns - a.wall_ns;
    }
}

static uint64_t less(uint64_t a, uint64_t b) { return a > b ? a - b : 0; }

/* ---- the users of a chunk ---- */

static void name_write(uint64_t user, char *name) {
    memcpy(name, "user:", DIGITS_AT);
    uint64_t rest = USER_FIRST + user;
    for (int i = NAME_BYTES - 1; i >= DIGITS_AT; i--) {
        name[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    name[NAME_BYTES] = 0;
}

/* Where a table would keep the user: a line of a bucket, by a hash of the user. */
static uint64_t place_of(const struct bench_world *world, uint64_t user) {
    struct random hash    = {.state = user};
    uint64_t      buckets = world->memory_bytes / BUCKET_BYTES;
    return random_below(&hash, buckets) * BUCKET_BYTES +
           (1 + random_below(&hash, LINES_OF_BUCKET)) * LINE_BYTES;
}

static uint64_t user_draw(struct hand *h) {
    const struct bench_load *load = h->load;
    switch (load->order) {
    case BENCH_HOT: return load->is_one_user ? 0 : h->index;
    case BENCH_UNIFORM: return random_below(&h->random, load->world->user_count);
    case BENCH_ZIPF: return zipf_next(&h->zipf, &h->random);
    }
    return 0;
}

static uint64_t limit_of(const struct bench_world *world, uint64_t user) {
    return user % 2 == 0 ? world->limit_of_even : world->limit;
}

static void chunk_prepare(struct hand *h, uint64_t (*draw)(struct hand *)) {
    const struct bench_world *world = h->load->world;
    if (!world) return;
    for (unsigned i = 0; i < BENCH_CHUNK; i++) {
        h->users[i] = draw(h);
        if (h->load->call == BENCH_TOUCH || h->load->call == BENCH_CHAIN) {
            h->places[i] = place_of(world, h->users[i]);
            continue;
        }
        name_write(h->users[i], h->names[i]);
        h->limits[i]   = limit_of(world, h->users[i]);
        h->requests[i] = weir_request_for(h->names[i], NAME_BYTES, h->limits[i], world->window_ns);
        h->requests[i].algorithm = (uint32_t)world->algorithm;
    }
}

/* ---- what is timed ---- */

/* Keeps a value alive without storing it, and lets nothing be moved across. */
#define KEEP(value) __asm__ volatile("" : : "r"(value) : "memory")

static void run_nothing(struct hand *h) {
    for (unsigned i = 0; i < BENCH_CHUNK; i++) KEEP(h->names[i]);
}

static void run_clock(struct hand *h) {
    (void)h;
    for (unsigned i = 0; i < BENCH_CHUNK; i++) {
        struct timespec t;
        clock_gettime(CLOCK_BOOTTIME, &t);
        KEEP(t.tv_nsec);
    }
}

/* What a decision cannot do without: read the bucket's line of tags, which tells where the counter is;
 * read and write the counter's line. The memory holds zeros in the bytes that are used as addresses,
 * which the compiler cannot know, so that the second read waits for the first. */
static inline uint64_t touch(uint8_t *memory, uint64_t place) {
    uint64_t tag = *(const volatile uint64_t *)(memory + (place & ~(uint64_t)(BUCKET_BYTES - 1)));
    volatile uint64_t *counter = (volatile uint64_t *)(memory + place + tag);
    *counter += UINT64_C(1) << 32;
    return *counter & 0xff;
}

static void run_touch(struct hand *h) {
    uint8_t *memory = h->load->world->memory;
    unsigned batch  = h->load->batch;
    for (unsigned at = 0; at < BENCH_CHUNK; at += batch ? batch : BENCH_CHUNK) {
        unsigned end = batch ? at + batch : BENCH_CHUNK;
        for (unsigned i = at; batch && i < end; i++) {
            __builtin_prefetch(memory + (h->places[i] & ~(uint64_t)(BUCKET_BYTES - 1)), 0);
            __builtin_prefetch(memory + h->places[i], 1);
        }
        for (unsigned i = at; i < end; i++) touch(memory, h->places[i]);
    }
}

static void run_chain(struct hand *h) {
    uint8_t *memory = h->load->world->memory;
    uint64_t last   = 0;
    for (unsigned i = 0; i < BENCH_CHUNK; i++) last = touch(memory, h->places[i] + last);
    KEEP(last);
}

static void run_allow(struct hand *h) {
    const struct bench_world *world   = h->load->world;
    uint64_t                  allowed = 0;
    for (unsigned i = 0; i < BENCH_CHUNK; i++) {
        allowed += weir_allow(world->limiter, h->names[i], h->limits[i], world->window_ns);
    }
    h->allowed_count += allowed;
}

static void run_decide(struct hand *h) {
    uint64_t allowed = 0;
    for (unsigned i = 0; i < BENCH_CHUNK; i++) {
        weir_status status =
            weir_decide(h->load->world->limiter, &h->requests[i], &h->decisions[0]);
        INVARIANT(status == WEIR_OK);
        allowed += h->decisions[0].allowed;
    }
    h->allowed_count += allowed;
}

static void run_many(struct hand *h) {
    uint64_t allowed = 0;
    unsigned batch   = h->load->batch;
    for (unsigned at = 0; at < BENCH_CHUNK; at += batch) {
        weir_status status =
            weir_decide_many(h->load->world->limiter, &h->requests[at], batch, h->decisions);
        INVARIANT(status == WEIR_OK);
        for (unsigned i = 0; i < batch; i++) allowed += h->decisions[i].allowed;
    }
    h->allowed_count += allowed;
}

static void (*const runs[])(struct hand *) = {
    [BENCH_NOTHING] = run_nothing, [BENCH_CLOCK] = run_clock, [BENCH_TOUCH] = run_touch,
    [BENCH_CHAIN] = run_chain,     [BENCH_ALLOW] = run_allow, [BENCH_DECIDE] = run_decide,
    [BENCH_MANY] = run_many,
};

/* ---- threads ---- */

/* To the index'th processor that this process may use. */
static void pin(unsigned index) {
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    int wanted = (int)index % CPU_COUNT(&allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || wanted-- > 0) continue;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

/* One row on this thread. */
static void hand_run(struct hand *h) {
    chunk_prepare(h, user_draw);
    runs[h->load->call](h); /* pages, caches and predictors learn */
    h->allowed_count = 0;
    pthread_barrier_wait(h->start);

    uint64_t end_ns       = read_ns(CLOCK_MONOTONIC) + (uint64_t)(h->seconds * 1e9);
    bool     is_hot       = h->load->order == BENCH_HOT;
    unsigned runs_a_stamp = is_hot ? HOT_CHUNKS : 1;
    do {
        if (!is_hot) chunk_prepare(h, user_draw);
        struct stamp first = stamp_first();
        for (unsigned i = 0; i < runs_a_stamp; i++) runs[h->load->call](h);
        struct stamp last = stamp_last();
        h->spent_ns += less(last.cpu_ns - first.cpu_ns, stamp_cost.cpu_ns);
        h->wall_ns += less(last.wall_ns - first.wall_ns, stamp_cost.wall_ns);
        h->call_count += BENCH_CHUNK * runs_a_stamp;
    } while (read_ns(CLOCK_MONOTONIC) < end_ns);
}

static void *hand_work(void *argument) {
    struct hand *h = argument;
    pin(h->index);
    for (;;) {
        pthread_barrier_wait(&h->crew->begin);
        if (h->crew->is_over) return NULL;
        if (h->load) hand_run(h);
        pthread_barrier_wait(&h->crew->end);
    }
}

struct bench_crew *bench_crew_new(unsigned threads) {
    REQUIRE(threads >= 1);
    REQUIRE(threads <= BENCH_THREADS_MAX);
    struct bench_crew *crew = calloc(1, sizeof *crew);
    if (!crew) return NULL;
    crew->hands = calloc(threads, sizeof *crew->hands);
    if (!crew->hands) {
        free(crew);
        return NULL;
    }
    crew->count = threads;
    pthread_barrier_init(&crew->begin, NULL, threads + 1);
    pthread_barrier_init(&crew->end, NULL, threads + 1);
    for (unsigned i = 0; i < threads; i++) {
        crew->hands[i].crew  = crew;
        crew->hands[i].index = i;
        /* The others would wait for it forever: there is nothing to save. */
        INVARIANT(pthread_create(&crew->threads[i], NULL, hand_work, &crew->hands[i]) == 0);
    }
    return crew;
}

void bench_crew_free(struct bench_crew *crew) {
    if (!crew) return;
    crew->is_over = true;
    pthread_barrier_wait(&crew->begin);
    for (unsigned i = 0; i < crew->count; i++) pthread_join(crew->threads[i], NULL);
    pthread_barrier_destroy(&crew->begin);
    pthread_barrier_destroy(&crew->end);
    free(crew->hands);
    free(crew);
}

/* Threads side by side: their rates add up. */
static struct bench_time time_of(const struct hand *hands, unsigned count) {
    double   rate = 0, wall_rate = 0;
    uint64_t calls = 0, allowed = 0;
    for (unsigned i = 0; i < count; i++) {
        rate += (double)hands[i].call_count / (double)(hands[i].spent_ns + 1);
        wall_rate += (double)hands[i].call_count / (double)(hands[i].wall_ns + 1);
        calls += hands[i].call_count;
        allowed += hands[i].allowed_count;
    }
    return (struct bench_time){
        .ns = 1 / rate, .wall_ns = 1 / wall_rate, .allowed = (double)allowed / (double)calls};
}

struct bench_time bench_run(struct bench_crew *crew, const struct bench_load *load, double seconds,
                            uint64_t seed) {
    REQUIRE(load->threads >= 1);
    REQUIRE(load->threads <= crew->count);
    REQUIRE(load->batch <= MANY_MAX);

    struct random     seeds = {.state = seed};
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, load->threads);
    for (unsigned i = 0; i < crew->count; i++) {
        struct hand *h = &crew->hands[i];
        h->load        = i < load->threads ? load : NULL;
        h->seconds     = seconds;
        h->random      = random_split(&seeds);
        h->start       = &start;
        h->spent_ns = h->wall_ns = h->call_count = h->allowed_count = 0;
        if (load->order == BENCH_ZIPF) h->zipf = zipf_of(load->world->user_count, 0.99);
    }
    pthread_barrier_wait(&crew->begin);
    pthread_barrier_wait(&crew->end);
    pthread_barrier_destroy(&start);
    return time_of(crew->hands, load->threads);
}

/* ---- filling ---- */

/* Users in order; a chunk that goes beyond the last begins again with the first. */
static uint64_t user_follow(struct hand *h) { return h->next_user++ % h->load->world->user_count; }

double bench_fill(const struct bench_world *world, uint64_t first, uint64_t count) {
    const struct bench_load load = {
        .call = BENCH_MANY, .world = world, .batch = MANY_MAX, .threads = 1};
    struct hand *h = calloc(1, sizeof *h);
    if (!h) return -1;
    h->load      = &load;
    h->next_user = first;
    while (h->call_count < count) {
        chunk_prepare(h, user_follow);
        struct stamp from = stamp_first();
        run_many(h);
        struct stamp to = stamp_last();
        h->spent_ns += less(to.cpu_ns - from.cpu_ns, stamp_cost.cpu_ns);
        h->call_count += BENCH_CHUNK;
    }
    double ns = (double)h->spent_ns / (double)h->call_count;
    free(h);
    return ns;
}
