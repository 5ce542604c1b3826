/* SPDX-License-Identifier: MIT
 *
 * fleet_worker: one process of a fleet on Redis: asks by include/weir.h, and writes down what was admitted.
 *
 *     fleet_worker URL SECONDS SEED FILE LIMIT/WINDOW_MS/USERS...
 *
 * Each rule has a thread, which asks for its users at random, with random costs and pauses, for DEMAND
 * times the rule's rate. FILE gets a line for weir judge of each admission, in one write before the next
 * question, so that a killed process has told all but its last. Users of one window and several limits are
 * several users: else the limits would be one counter's.
 *
 * At the end, which SIGTERM brings as well, the limiter is closed, and a line of JSON counts what was
 * decided, by how and why. */
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "weir.h"

enum {
    RULES_MAX    = 16,
    COST_MAX     = 3,
    HOWS         = WEIR_HOW_LOCAL + 1,
    WHYS         = WEIR_WHY_ENDING + 1,
    LINE_BYTES   = 256,
    PAUSE_MAX_NS = 20000000,
};

#define DEMAND 0.75 /* of four processes together three times what the limit allows */

struct asker {
    weir         *limiter;
    pthread_t     thread;
    struct random random;
    uint64_t      limit, users, until_ns;
    int64_t       window_ns;
    int           file;

    uint64_t asked; /* permits */
    uint64_t allowed, denied, refused, slowest_ns;
    uint64_t hows[HOWS], whys[WHYS];
};

static volatile sig_atomic_t is_ended;

static void end(int signal) {
    (void)signal;
    is_ended = 1;
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *text) {
    fprintf(stderr, "fleet_worker: %s\n", text);
    exit(3);
}

static void write_down(const struct asker *a, const char *user, uint64_t cost, uint64_t sent_ns,
                       uint64_t received_ns) {
    char line[LINE_BYTES];
    int  bytes = snprintf(line, sizeof line,
                          "{\"user\":\"%s\",\"limit\":%" PRIu64 ",\"window_ns\":%" PRId64
                          ",\"cost\":%" PRIu64 ",\"allowed\":true,\"sent_ns\":%" PRIu64
                          ",\"received_ns\":%" PRIu64 "}\n",
                          user, a->limit, a->window_ns, cost, sent_ns, received_ns);
    if (write(a->file, line, (size_t)bytes) != bytes) fail("the file cannot be written");
}

static void ask(struct asker *a) {
    char user[32];
    (void)snprintf(user, sizeof user, "%" PRIu64 ":%" PRIu64, a->limit,
                   random_below(&a->random, a->users));
    weir_request request = weir_request_for(user, strlen(user), a->limit, a->window_ns);
    request.cost         = random_between(&a->random, 1, a->limit < COST_MAX ? a->limit : COST_MAX);
    a->asked += request.cost;

    weir_decision decision;
    uint64_t      sent_ns     = now_ns();
    weir_status   status      = weir_decide(a->limiter, &request, &decision);
    uint64_t      received_ns = now_ns();

    if (received_ns - sent_ns > a->slowest_ns) a->slowest_ns = received_ns - sent_ns;
    if (status != WEIR_OK) {
        a->refused++;
        return;
    }
    a->allowed += decision.allowed;
    a->denied += !decision.allowed;
    a->hows[decision.how]++;
    a->whys[decision.why]++;
    if (decision.allowed) write_down(a, user, request.cost, sent_ns, received_ns);
}

static void *run(void *context) {
    struct asker *a    = context;
    double        cost = a->limit < COST_MAX ? (double)(a->limit + 1) / 2 : (COST_MAX + 1) / 2.0;
    double rate_per_ns = DEMAND * (double)(a->limit * a->users) / (double)a->window_ns / cost;
    double pause_ns    = 1 / rate_per_ns < PAUSE_MAX_NS ? 1 / rate_per_ns : PAUSE_MAX_NS;
    while (is_ended == 0 && now_ns() < a->until_ns) {
        ask(a);
        struct timespec pause = {
            .tv_nsec = (long)(2 * pause_ns * random_unit(&a->random)),
        };
        nanosleep(&pause, NULL);
    }
    return NULL;
}

static void print_counts(const char *name, const uint64_t *counts, unsigned count) {
    printf(",\"%s\":[", name);
    for (unsigned i = 0; i < count; i++) printf("%s%" PRIu64, i == 0 ? "" : ",", counts[i]);
    printf("]");
}

static void print_sum(const struct asker *askers, unsigned count) {
    struct asker sum = {0};
    uint64_t     asked[RULES_MAX];
    for (const struct asker *a = askers; a < askers + count; a++) {
        asked[a - askers] = a->asked;
        sum.allowed += a->allowed;
        sum.denied += a->denied;
        sum.refused += a->refused;
        if (a->slowest_ns > sum.slowest_ns) sum.slowest_ns = a->slowest_ns;
        for (unsigned i = 0; i < HOWS; i++) sum.hows[i] += a->hows[i];
        for (unsigned i = 0; i < WHYS; i++) sum.whys[i] += a->whys[i];
    }
    printf("{\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64 ",\"refused\":%" PRIu64
           ",\"slowest_ns\":%" PRIu64,
           sum.allowed, sum.denied, sum.refused, sum.slowest_ns);
    print_counts("hows", sum.hows, HOWS);
    print_counts("whys", sum.whys, WHYS);
    print_counts("asked", asked, count);
    puts("}");
}

int main(int argc, char **argv) {
    if (argc < 6 || argc - 5 > RULES_MAX)
        fail("URL SECONDS SEED FILE LIMIT/WINDOW_MS/USERS... are wanted");
    (void)signal(SIGTERM, end);
    weir_error    error;
    weir         *limiter  = weir_open(argv[1], NULL, &error);
    uint64_t      until_ns = now_ns() + (uint64_t)(strtod(argv[2], NULL) * 1e9);
    struct random random   = {.state = strtoull(argv[3], NULL, 10)};
    int           file     = open(argv[4], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (limiter == NULL) fail(error.text);
    if (file < 0) fail("the file cannot be opened");

    struct asker askers[RULES_MAX] = {0};
    unsigned     count             = (unsigned)argc - 5;
    for (unsigned i = 0; i < count; i++) {
        struct asker *a = &askers[i];
        uint64_t      window_ms;
        a->limiter  = limiter;
        a->random   = random_split(&random);
        a->until_ns = until_ns;
        a->file     = file;
        if (sscanf(argv[5 + i], "%" SCNu64 "/%" SCNu64 "/%" SCNu64, &a->limit, &window_ms,
                   &a->users) != 3)
            fail("a rule is LIMIT/WINDOW_MS/USERS");
        a->window_ns = (int64_t)window_ms * WEIR_MILLISECOND;
        if (pthread_create(&a->thread, NULL, run, a) != 0) fail("no thread");
    }
    for (unsigned i = 0; i < count; i++) pthread_join(askers[i].thread, NULL);
    weir_close(limiter);
    close(file);
    print_sum(askers, count);
    return 0;
}
