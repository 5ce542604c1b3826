/* SPDX-License-Identifier: MIT
 *
 * churn: does anybody wait, and is anybody forgotten, while millions come and go?
 *
 * Draws users at random, each with a window of its own from 1 ms to 30 days, times each decision, and
 * keeps an exact log of one user in a thousand: whoever is forgotten early is admitted too often, and
 * whoever is remembered too long is denied without need. The table grows while it runs.
 *
 * A machine that others share pauses by itself. So a decision of more than a millisecond is told by what
 * the thread did meanwhile: was it taken off its processor though it wanted to run (the machine's pause), did
 * it sleep in the system (the disk's, or a lock's), or did it work? The last two are weir's.
 *
 * usage: weir-churn [URL [USERS [SECONDS [SEED]]]]      (memory: 10000000 60 1)
 * prints one JSON document; exit 0 fine; 1 somebody was forgotten or denied without need; 3 trouble */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <weir.h>

#include "base/random.h"
#include "load/histogram.h"

enum {
    LIMIT       = 10,
    WATCHED     = 1000, /* one user in so many */
    CHUNK       = 64,   /* decisions between two looks at the thread's own time */
    NAME_BYTES  = 24,
    PAUSE_NS    = 1000000,
    CELLS       = 288, /* of a window with a limit of 10: weir explain 10/1s */
    WORST_SHOWN = 8,
};

static const int64_t windows[] = {WEIR_MILLISECOND,
                                  10 * WEIR_MILLISECOND,
                                  100 * WEIR_MILLISECOND,
                                  WEIR_SECOND,
                                  10 * WEIR_SECOND,
                                  WEIR_MINUTE,
                                  WEIR_HOUR,
                                  WEIR_DAY,
                                  30 * WEIR_DAY};

/* The last LIMIT admissions of a watched user: between what instants each was. */
struct watch {
    int64_t  began_ns[LIMIT], ended_ns[LIMIT];
    uint64_t count;
};

struct effort {
    int64_t cpu_ns;
    long    slept, preempted;
};

struct churn {
    weir            *w;
    uint64_t         users;
    struct watch    *watches;
    struct random    random;
    struct histogram histogram;
    uint64_t         allowed, violations, needless;
    uint64_t         paused_machine, paused_sleeping, paused_working;
    int64_t          longest_weir_ns, longest_ns;
};

static int64_t clock_ns(clockid_t id) {
    struct timespec t;
    (void)clock_gettime(id, &t);
    return (int64_t)t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

static struct effort effort_now(void) {
    struct rusage usage;
    (void)getrusage(RUSAGE_THREAD, &usage);
    return (struct effort){.cpu_ns    = clock_ns(CLOCK_THREAD_CPUTIME_ID),
                           .slept     = usage.ru_nvcsw,
                           .preempted = usage.ru_nivcsw};
}

/* Holds a decision of a watched user against the log. */
static void watch_judge(struct churn *c, uint64_t user, int64_t window_ns, int64_t began_ns,
                        int64_t ended_ns, bool allowed) {
    struct watch *watch   = &c->watches[user / WATCHED];
    uint64_t      oldest  = watch->count % LIMIT;
    bool          is_full = watch->count >= LIMIT;
    if (allowed) {
        if (is_full && ended_ns - watch->began_ns[oldest] < window_ns) c->violations++;
        watch->began_ns[oldest] = began_ns;
        watch->ended_ns[oldest] = ended_ns;
        watch->count++;
    } else if (!is_full || began_ns - watch->ended_ns[oldest] > window_ns + window_ns / CELLS + 1) {
        c->needless++;
    }
}

/* A quarter asks about those who are watched, so that they reach their limits. */
static uint64_t user_draw(struct churn *c) {
    if (random_below(&c->random, 4) > 0) return random_below(&c->random, c->users);
    return random_below(&c->random, (c->users + WATCHED - 1) / WATCHED) * WATCHED;
}

static int64_t decide(struct churn *c) {
    char          name[NAME_BYTES];
    uint64_t      user      = user_draw(c);
    int64_t       window_ns = windows[user % (sizeof windows / sizeof windows[0])];
    int           bytes     = snprintf(name, sizeof name, "user:%" PRIu64, user);
    weir_request  request   = weir_request_for(name, (size_t)bytes, LIMIT, window_ns);
    weir_decision decision;

    int64_t began_ns = clock_ns(CLOCK_BOOTTIME);
    if (weir_decide(c->w, &request, &decision) != WEIR_OK) {
        (void)fprintf(stderr, "weir-churn: %s\n", weir_status_text(decision.status));
        exit(3);
    }
    int64_t ended_ns = clock_ns(CLOCK_BOOTTIME);
    histogram_add(&c->histogram, (uint64_t)(ended_ns - began_ns));
    c->allowed += decision.allowed;
    if (user % WATCHED == 0) watch_judge(c, user, window_ns, began_ns, ended_ns, decision.allowed);
    return ended_ns - began_ns;
}

static void pause_tell(struct churn *c, int64_t pause_ns, struct effort before,
                       struct effort after) {
    bool is_working  = after.cpu_ns - before.cpu_ns >= PAUSE_NS;
    bool is_sleeping = after.slept != before.slept;
    if (pause_ns > c->longest_ns) c->longest_ns = pause_ns;
    if (!is_working && !is_sleeping) {
        c->paused_machine++;
        return;
    }
    c->paused_working += is_working;
    c->paused_sleeping += !is_working;
    if (pause_ns > c->longest_weir_ns) c->longest_weir_ns = pause_ns;
}

static void churn_for(struct churn *c, int64_t length_ns) {
    int64_t end_ns = clock_ns(CLOCK_BOOTTIME) + length_ns;
    while (clock_ns(CLOCK_BOOTTIME) < end_ns) {
        struct effort before  = effort_now();
        int64_t       longest = 0;
        for (unsigned i = 0; i < CHUNK; i++) {
            int64_t took_ns = decide(c);
            if (took_ns > longest) longest = took_ns;
        }
        if (longest > PAUSE_NS) pause_tell(c, longest, before, effort_now());
    }
}

static uint64_t number(const char *text, uint64_t otherwise) {
    return text == NULL ? otherwise : strtoull(text, NULL, 10);
}

int main(int count, char **words) {
    const char  *url     = count > 1 ? words[1] : "memory:";
    uint64_t     seconds = number(count > 3 ? words[3] : NULL, 60);
    weir_options options = WEIR_OPTIONS_DEFAULT;
    weir_error   error;

    static struct churn c;
    c.users           = number(count > 2 ? words[2] : NULL, 10000000);
    c.random.state    = number(count > 4 ? words[4] : NULL, 1);
    options.users_max = c.users;
    c.watches         = calloc(c.users / WATCHED + 1, sizeof *c.watches);
    c.w               = weir_open(url, &options, &error);
    if (c.w == NULL || c.watches == NULL) {
        (void)fprintf(stderr, "weir-churn: %s\n", c.w == NULL ? error.text : "out of memory");
        return 3;
    }
    churn_for(&c, (int64_t)seconds * WEIR_SECOND);

    weir_statistics s = {.size = sizeof s};
    if (weir_stats(c.w, &s) != WEIR_OK) return 3;
    printf("{\"url\": \"%s\", \"users\": %" PRIu64 ", \"seconds\": %" PRIu64
           ", \"decisions\": %" PRIu64 ", \"allowed\": %" PRIu64 ",\n \"held\": %" PRIu64
           ", \"forgotten\": %" PRIu64 ", \"overflowed\": %" PRIu64 ", \"bytes\": %" PRIu64 ",\n"
           " \"p50_ns\": %" PRIu64 ", \"p99_ns\": %" PRIu64 ", \"p9999_ns\": %" PRIu64
           ", \"p999999_ns\": %" PRIu64 ", \"most_ns\": %" PRIu64 ",\n"
           " \"pauses_of_machine\": %" PRIu64 ", \"pauses_sleeping\": %" PRIu64
           ", \"pauses_working\": %" PRIu64 ", \"longest_of_weir_ns\": %" PRId64 ",\n"
           " \"watched\": %" PRIu64 ", \"forgotten_early\": %" PRIu64
           ", \"denied_without_need\": %" PRIu64 "}\n",
           url, c.users, seconds, c.histogram.count, c.allowed, s.users, s.users_forgotten,
           s.overflowed, s.memory_bytes, histogram_at(&c.histogram, 0.5),
           histogram_at(&c.histogram, 0.99), histogram_at(&c.histogram, 0.9999),
           histogram_at(&c.histogram, 0.999999), c.histogram.max, c.paused_machine,
           c.paused_sleeping, c.paused_working, c.longest_weir_ns, c.users / WATCHED, c.violations,
           c.needless);
    weir_close(c.w);
    free(c.watches);
    return c.violations > 0 || (c.needless > 0 && s.overflowed == 0) ? 1 : 0;
}
