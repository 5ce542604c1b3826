/* SPDX-License-Identifier: MIT
 *
 * decide: how many decisions a second does one process of a fleet get, and how long does each take?
 *
 * Threads ask from --begin-ns to --until-ns; what is answered from --from-ns on is counted. The times are on
 * CLOCK_BOOTTIME, so that all processes of a run and who watches the server agree on them. Who is asked is
 * linked (asked.h). Prints one line of JSON; bench/redis/fleet and bench/cassandra/fleet start several and
 * add them up (rows.py), and bench/peers/redis_rate is the same program around a peer.
 *
 * Without --outstanding a thread waits for each answer. With it, a thread keeps so many on their way. With
 * --rate questions fall due evenly, and latency counts from when one was due, so that a stall counts for all
 * that it delays. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "base/range.h"
#include "cmd/zipf.h"
#include "decide/asked.h"
#include "load/histogram.h"
#include "load/option.h"

enum {
    THREADS_MAX     = 64,
    OUTSTANDING_MAX = 1024,
    USERS_MAX       = 10000000,
    USER_DIGITS     = 8,
    USER_BYTES_MAX  = 128,
    DRAWS           = 1 << 18, /* of a thread, which users come; then the same again */
    ADMISSIONS_MAX  = 1 << 18, /* of a thread, if they are written down */
};

/* How long connections stay after --until-ns: who watches the server may look at them a little late. */
#define LINGER_NS UINT64_C(500000000)

enum order { ORDER_HOT, ORDER_UNIFORM, ORDER_ZIPF, ORDER_COLD };

struct plan {
    const char *url, *name, *admissions;
    enum order  order;
    uint64_t    limit, window_ns, users;
    unsigned    threads, outstanding, process, processes;
    double      rate_per_s; /* of all processes; 0: as fast as they can */
    double      exponent;   /* of the Zipf distribution */
    uint64_t    begin_ns, from_ns, until_ns;
};

struct admission {
    uint64_t sent_ns, received_ns;
};

struct slot {
    struct ask   ask;
    uint64_t     received_ns;
    struct slot *next;
};

/* A thread that asks. */
struct lane {
    const struct plan *plan;
    struct asked      *asked;
    pthread_t          thread;
    unsigned           number; /* among those of all processes */
    uint64_t           asked_count;
    uint64_t           now_ns;
    char               user[USER_BYTES_MAX];
    size_t             user_bytes;
    uint32_t          *draws;

    uint64_t          allowed, denied, failed, weighed_ns;
    struct histogram  latency;
    struct admission *admissions;
    size_t            admission_count;

    struct slot    *spare; /* this thread's */
    unsigned        out_count;
    pthread_mutex_t lock;
    pthread_cond_t  freed;
    struct slot    *answered; /* under the lock */
};

static const char usage[] =
    "usage: weir-bench-decide --url URL --begin-ns T --from-ns T --until-ns T [options]\n"
    "\n"
    "  --name TEXT        users' names begin so [user]    --order hot|uniform|zipf|cold [hot]\n"
    "  --users N          [1]                             --exponent S of zipf [1]\n"
    "  --limit L          [1000]                          --window-ms W [1000]\n"
    "  --threads K        [1]                             --outstanding N a thread; 0: it waits [0]\n"
    "  --process I        of [0]                          --processes N [1]\n"
    "  --rate R           of all processes                --deadline-ms D [2000]\n"
    "  --admissions FILE  each, for weir judge; with --order hot\n";

/* A decision that comes late should be told as late, not as failed. */
uint64_t asked_deadline_ns = UINT64_C(2000000000);

const char *option_program; /* with the name of who is asked */

/* ---- time ---- */

static uint64_t read_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t now_ns(void) { return read_ns(CLOCK_BOOTTIME); }

static void sleep_until(uint64_t at_ns) {
    struct timespec t = {.tv_sec  = (time_t)(at_ns / 1000000000u),
                         .tv_nsec = (long)(at_ns % 1000000000u)};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

/* ---- the next question ---- */

static uint32_t *draw(const struct plan *p, uint64_t seed) {
    struct random random = {.state = seed};
    struct zipf   zipf   = zipf_of(p->users, p->exponent);
    uint32_t     *draws  = malloc(DRAWS * sizeof *draws);
    if (draws == NULL) die(3, "out of memory");
    for (unsigned i = 0; i < DRAWS; i++)
        draws[i] = (uint32_t)(p->order == ORDER_ZIPF ? zipf_next(&zipf, &random)
                                                     : random_below(&random, p->users));
    return draws;
}

/* Cold users come in a scattered order, and none comes again before all others have: a prime above
 * USERS_MAX steps through all numbers below `users`. */
static uint64_t user_of(const struct lane *l) {
    const uint64_t prime = UINT64_C(2654435761);
    switch (l->plan->order) {
    case ORDER_HOT: return 0;
    case ORDER_UNIFORM:
    case ORDER_ZIPF: return l->draws[l->asked_count % DRAWS];
    case ORDER_COLD: break;
    }
    uint64_t lanes = (uint64_t)l->plan->threads * l->plan->processes;
    return (l->asked_count * lanes + l->number) % l->plan->users * prime % l->plan->users;
}

static void name_user(struct lane *l) {
    uint64_t user = user_of(l);
    for (unsigned i = 1; i <= USER_DIGITS; i++) {
        l->user[l->user_bytes - i] = (char)('0' + user % 10);
        user /= 10;
    }
}

/* When the next question is due: now, or when the rate says so, and then it waits until then. */
static uint64_t next_due(struct lane *l) {
    const struct plan *p = l->plan;
    if (p->rate_per_s <= 0) return l->now_ns;
    double   lanes  = (double)p->threads * p->processes;
    double   number = (double)l->asked_count * lanes + l->number;
    uint64_t due_ns = p->begin_ns + (uint64_t)(number * 1e9 / p->rate_per_s);
    if (due_ns > l->now_ns && due_ns < p->until_ns) sleep_until(due_ns);
    return due_ns;
}

/* ---- asking ---- */

/* A limiter may admit all of a window's limit at once, so that it depends on where the edges of the measured
 * time fall how much was admitted in it. Admissions in its first window therefore weigh the more the later
 * they are, and those in its last the less: the mean over all places of the edges. */
static uint64_t weight_ns(const struct plan *p, uint64_t at_ns) {
    uint64_t nearest_ns = smaller(at_ns - p->from_ns, p->until_ns - at_ns);
    return smaller(nearest_ns, p->window_ns);
}

static void tally(struct lane *l, const struct ask *ask, uint64_t received_ns) {
    const struct plan *p = l->plan;
    if (l->admissions != NULL && ask->is_allowed) {
        if (l->admission_count == ADMISSIONS_MAX) die(3, "too many admissions to write down");
        l->admissions[l->admission_count++] =
            (struct admission){.sent_ns = ask->sent_ns, .received_ns = received_ns};
    }
    if (received_ns < p->from_ns || received_ns >= p->until_ns) return;
    l->failed += ask->has_failed;
    if (ask->has_failed) return;
    l->denied += !ask->is_allowed;
    if (ask->is_allowed) {
        l->allowed++;
        l->weighed_ns += weight_ns(p, received_ns);
    }
    histogram_add(&l->latency, received_ns - ask->sent_ns);
}

static void run_waiting(struct lane *l) {
    struct ask ask = {0};
    l->now_ns      = now_ns();
    while ((ask.sent_ns = next_due(l)) < l->plan->until_ns) {
        name_user(l);
        asked_wait(l->asked, l->user, l->user_bytes, &ask);
        l->asked_count++;
        l->now_ns = now_ns();
        tally(l, &ask, l->now_ns);
    }
}

/* On a thread of who is asked. */
static void on_answer(struct ask *ask) {
    struct lane *l    = ask->context;
    struct slot *slot = (struct slot *)ask; /* its first member */
    slot->received_ns = now_ns();
    pthread_mutex_lock(&l->lock);
    slot->next  = l->answered;
    l->answered = slot;
    if (slot->next == NULL) pthread_cond_signal(&l->freed);
    pthread_mutex_unlock(&l->lock);
}

/* Takes all that was answered, at least one. */
static void collect(struct lane *l) {
    pthread_mutex_lock(&l->lock);
    while (l->answered == NULL) pthread_cond_wait(&l->freed, &l->lock);
    struct slot *slot = l->answered;
    l->answered       = NULL;
    pthread_mutex_unlock(&l->lock);
    for (struct slot *next; slot != NULL; slot = next) {
        next = slot->next;
        tally(l, &slot->ask, slot->received_ns);
        slot->next = l->spare;
        l->spare   = slot;
        l->out_count--;
    }
    l->now_ns = now_ns();
}

static void run_on_their_way(struct lane *l) {
    struct slot *slots = calloc(l->plan->outstanding, sizeof *slots);
    if (slots == NULL) die(3, "out of memory");
    for (unsigned i = 0; i < l->plan->outstanding; i++) {
        slots[i].ask  = (struct ask){.done = on_answer, .context = l};
        slots[i].next = l->spare;
        l->spare      = &slots[i];
    }
    l->now_ns = now_ns();
    for (;;) {
        if (l->spare == NULL) collect(l);
        struct slot *slot = l->spare;
        if ((slot->ask.sent_ns = next_due(l)) >= l->plan->until_ns) break;
        l->spare = slot->next;
        l->out_count++;
        name_user(l);
        bool is_answered = asked_begin(l->asked, l->user, l->user_bytes, &slot->ask);
        l->asked_count++;
        l->now_ns = now_ns();
        if (!is_answered) continue;
        tally(l, &slot->ask, l->now_ns);
        slot->next = l->spare;
        l->spare   = slot;
        l->out_count--;
    }
    while (l->out_count > 0) collect(l);
    free(slots);
}

static void *run(void *context) {
    struct lane *l = context;
    sleep_until(l->plan->begin_ns);
    if (l->plan->outstanding == 0) {
        run_waiting(l);
    } else {
        run_on_their_way(l);
    }
    return NULL;
}

static struct lane *lane_start(const struct plan *p, struct asked *asked, unsigned thread) {
    struct lane *l = calloc(1, sizeof *l);
    if (l == NULL) die(3, "out of memory");
    l->plan       = p;
    l->asked      = asked;
    l->number     = p->process * p->threads + thread;
    l->user_bytes = (size_t)snprintf(l->user, sizeof l->user, "%s:%0*d", p->name, USER_DIGITS, 0);
    if (l->user_bytes >= sizeof l->user) die(2, "--name is too long");
    if (p->order == ORDER_UNIFORM || p->order == ORDER_ZIPF) l->draws = draw(p, l->number);
    if (p->admissions != NULL) l->admissions = calloc(ADMISSIONS_MAX, sizeof *l->admissions);
    if (p->admissions != NULL && l->admissions == NULL) die(3, "out of memory");
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->freed, NULL);
    if (pthread_create(&l->thread, NULL, run, l) != 0) die(3, "no thread");
    return l;
}

/* Adds up what a lane has counted, and frees it. */
static void lane_end(struct lane *l, struct lane *sum, FILE *admissions) {
    const struct plan *p = l->plan;
    for (size_t i = 0; i < l->admission_count; i++) {
        fprintf(admissions,
                "{\"user\":\"%s\",\"limit\":%" PRIu64 ",\"window_ns\":%" PRIu64
                ",\"allowed\":true,\"sent_ns\":%" PRIu64 ",\"received_ns\":%" PRIu64 "}\n",
                l->user, p->limit, p->window_ns, l->admissions[i].sent_ns,
                l->admissions[i].received_ns);
    }
    sum->allowed += l->allowed;
    sum->denied += l->denied;
    sum->failed += l->failed;
    sum->weighed_ns += l->weighed_ns;
    histogram_join(&sum->latency, &l->latency);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->freed);
    free(l->draws);
    free(l->admissions);
    free(l);
}

static void print_counts(const struct lane *sum, uint64_t cpu_ns) {
    printf("{\"who\":\"%s\",\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64 ",\"failed\":%" PRIu64
           ",\"weighed_ns\":%" PRIu64 ",\"cpu_ns\":%" PRIu64 ",\"max_ns\":%" PRIu64 ",\"slots\":[",
           asked_name, sum->allowed, sum->denied, sum->failed, sum->weighed_ns, cpu_ns,
           sum->latency.max);
    const char *comma = "";
    for (unsigned i = 0; i < HISTOGRAM_SLOTS; i++) {
        if (sum->latency.slots[i] == 0) continue;
        printf("%s[%u,%" PRIu64 "]", comma, i, sum->latency.slots[i]);
        comma = ",";
    }
    printf("]");
}

/* ---- the command line ---- */

static enum order order_of(const char *name) {
    static const char *const names[] = {"hot", "uniform", "zipf", "cold"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) return (enum order)i;
    }
    die(2, "--order is '%s'; it may be hot, uniform, zipf or cold", name);
}

static struct plan plan_of(int argc, char **argv) {
    struct plan                p       = {.name      = "user",
                                          .limit     = 1000,
                                          .window_ns = 1000000000,
                                          .users     = 1,
                                          .exponent  = 1,
                                          .threads   = 1,
                                          .processes = 1};
    static const struct option known[] = {
        {"url", 1, 0, 'U'},
        {"name", 1, 0, 'N'},
        {"admissions", 1, 0, 'a'},
        {"order", 1, 0, 'o'},
        {"users", 1, 0, 'u'},
        {"exponent", 1, 0, 'e'},
        {"limit", 1, 0, 'l'},
        {"window-ms", 1, 0, 'W'},
        {"threads", 1, 0, 'T'},
        {"outstanding", 1, 0, 'O'},
        {"process", 1, 0, 'i'},
        {"processes", 1, 0, 'n'},
        {"rate", 1, 0, 'r'},
        {"begin-ns", 1, 0, 'b'},
        {"from-ns", 1, 0, 'f'},
        {"until-ns", 1, 0, 't'},
        {"deadline-ms", 1, 0, 'd'},
        {"help", 0, 0, 'h'},
        {0},
    };
    int index = 0;
    for (int c; (c = getopt_long(argc, argv, "", known, &index)) != -1;) {
        const char *option = c == '?' ? "" : known[index].name;
        switch (c) {
        case 'U': p.url = optarg; break;
        case 'N': p.name = optarg; break;
        case 'a': p.admissions = optarg; break;
        case 'o': p.order = order_of(optarg); break;
        case 'u': p.users = (uint64_t)number_of(option, optarg, 1, USERS_MAX); break;
        case 'e': p.exponent = number_of(option, optarg, 0.01, 10); break;
        case 'l': p.limit = (uint64_t)number_of(option, optarg, 1, 0x1p40); break;
        case 'W': p.window_ns = (uint64_t)number_of(option, optarg, 1, 1e9) * 1000000u; break;
        case 'T': p.threads = (unsigned)number_of(option, optarg, 1, THREADS_MAX); break;
        case 'O': p.outstanding = (unsigned)number_of(option, optarg, 0, OUTSTANDING_MAX); break;
        case 'i': p.process = (unsigned)number_of(option, optarg, 0, 1000); break;
        case 'n': p.processes = (unsigned)number_of(option, optarg, 1, 1000); break;
        case 'r': p.rate_per_s = number_of(option, optarg, 1, 1e9); break;
        case 'd': asked_deadline_ns = (uint64_t)number_of(option, optarg, 1, 1e6) * 1000000u; break;
        case 'b': p.begin_ns = strtoull(optarg, NULL, 10); break;
        case 'f': p.from_ns = strtoull(optarg, NULL, 10); break;
        case 't': p.until_ns = strtoull(optarg, NULL, 10); break;
        case 'h': fputs(usage, stdout); exit(0);
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (optind < argc) die(2, "what is '%s'?", argv[optind]);
    if (p.url == NULL || p.begin_ns > p.from_ns || p.from_ns >= p.until_ns) {
        fputs(usage, stderr);
        exit(2);
    }
    if (p.admissions != NULL && p.order != ORDER_HOT) die(2, "--admissions is for --order hot");
    return p;
}

int main(int argc, char **argv) {
    char program[64];
    (void)snprintf(program, sizeof program, "weir-bench (%s)", asked_name);
    option_program      = program;
    struct plan   p     = plan_of(argc, argv);
    struct asked *asked = asked_open(p.url, p.limit, p.window_ns);
    struct lane  *lanes[THREADS_MAX];
    for (unsigned i = 0; i < p.threads; i++) lanes[i] = lane_start(&p, asked, i);

    sleep_until(p.from_ns);
    uint64_t cpu_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID);
    sleep_until(p.until_ns);
    cpu_ns = read_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns;

    struct lane *sum        = calloc(1, sizeof *sum);
    FILE        *admissions = p.admissions == NULL ? NULL : fopen(p.admissions, "we");
    if (sum == NULL) die(3, "out of memory");
    if (p.admissions != NULL && admissions == NULL) die(3, "%s: %s", p.admissions, strerror(errno));
    for (unsigned i = 0; i < p.threads; i++) {
        pthread_join(lanes[i]->thread, NULL);
        lane_end(lanes[i], sum, admissions);
    }
    print_counts(sum, cpu_ns);
    asked_tell(asked);
    puts("}");
    free(sum);
    sleep_until(p.until_ns + LINGER_NS);
    asked_close(asked);
    if (admissions != NULL && fclose(admissions) != 0)
        die(3, "%s: %s", p.admissions, strerror(errno));
    return 0;
}
