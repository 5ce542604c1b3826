/* SPDX-License-Identifier: MIT
 *
 * One process of a fleet, on the public API alone: asks about a few users that others ask about too, and
 * writes a line for `weir judge` for each admission.
 *
 * usage: fleet_worker URL SECONDS THREADS LINES_FILE
 * prints at its end: decisions, admissions, degraded ones, and admissions in the last second. */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

static const struct {
    const char *user;
    uint64_t    limit;
    int64_t     window_ns;
} rules[] = {
    {"each", 1, 100 * WEIR_MILLISECOND}, {"some", 20, WEIR_SECOND},
    {"many", 1000, WEIR_SECOND},         {"brief", 50, 200 * WEIR_MILLISECOND},
    {"long", 300, 3 * WEIR_SECOND},      {"other", 40, WEIR_SECOND},
};

enum { RULES = sizeof rules / sizeof *rules, THREADS_MAX = 16 };

static weir            *limiter;
static FILE            *lines;
static int64_t          end_ns;
static _Atomic uint64_t decisions, admissions, degraded, late_admissions;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

static void *work(void *context) {
    unsigned seed = (unsigned)(uintptr_t)context;
    for (;;) {
        unsigned      which = (unsigned)rand_r(&seed) % RULES;
        weir_request  q     = weir_request_for(rules[which].user, strlen(rules[which].user),
                                               rules[which].limit, rules[which].window_ns);
        weir_decision d;
        q.cost               = rules[which].limit > 1 ? 1 + (uint64_t)rand_r(&seed) % 2 : 1;
        int64_t     sent     = now_ns();
        weir_status status   = weir_decide(limiter, &q, &d);
        int64_t     received = now_ns();
        if (sent >= end_ns) return NULL;
        if (status != WEIR_OK) {
            fprintf(stderr, "fleet_worker: %s\n", weir_status_text(status));
            exit(3);
        }
        decisions++;
        degraded += d.why != WEIR_WHY_NONE;
        if (d.allowed) {
            admissions++;
            late_admissions += sent >= end_ns - WEIR_SECOND;
            fprintf(lines,
                    "{\"user\":\"%s\",\"limit\":%" PRIu64 ",\"window_ns\":%" PRId64
                    ",\"cost\":%" PRIu64 ",\"allowed\":true,\"sent_ns\":%" PRId64
                    ",\"received_ns\":%" PRId64 "}\n",
                    rules[which].user, q.limit, q.window_ns, q.cost, sent, received);
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 200000 + rand_r(&seed) % 400000}, NULL);
    }
}

/* 0: not a number from 1 to `most`. */
static long number(const char *word, long most) {
    char *end;
    long  value = strtol(word, &end, 10);
    return *end == '\0' && value >= 1 && value <= most ? value : 0;
}

int main(int count, char **words) {
    pthread_t  threads[THREADS_MAX];
    weir_error error;
    if (count != 5) return 2;
    long seconds = number(words[2], 3600), thread_count = number(words[3], THREADS_MAX);
    if (seconds == 0 || thread_count == 0) return 2;
    limiter = weir_open(words[1], NULL, &error);
    lines   = fopen(words[4], "a");
    if (limiter == NULL || lines == NULL) {
        fprintf(stderr, "fleet_worker: %s\n",
                limiter == NULL ? error.text : "cannot write the lines");
        return 3;
    }
    setvbuf(lines, NULL, _IOLBF,
            4096); /* a line is there before the next decision, even after kill -9 */
    end_ns = now_ns() + seconds * WEIR_SECOND;
    for (long i = 0; i < thread_count; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)(uintptr_t)(getpid() * 100L + i)) != 0)
            return 3;
    for (long i = 0; i < thread_count; i++) pthread_join(threads[i], NULL);
    weir_close(limiter);
    printf("{\"decisions\":%" PRIu64 ",\"admissions\":%" PRIu64 ",\"degraded\":%" PRIu64
           ",\"late_admissions\":%" PRIu64 "}\n",
           decisions, admissions, degraded, late_admissions);
    return 0;
}
