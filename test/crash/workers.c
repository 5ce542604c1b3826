/* SPDX-License-Identifier: MIT */
#include "crash/workers.h"

#include <weir.h>

#include <inttypes.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/steps.h"

enum {
    NAME_BYTES      = 32,
    COST_MAX        = 3,
    COUNTED_AT_ONCE = 10,
    TROUBLE_BYTES   = 300,
    BEHIND_NS_MAX   = 20000000,
};

/* Far more than anybody takes in a run, so that every permit shows in what remains. */
#define COUNTED_LIMIT (UINT64_C(1) << 40)

struct answer_line {
    int64_t  sent_ns, received_ns;
    uint32_t user;
    bool     allowed, overflowed;
};

/* What one thread of one worker has seen, whichever process it is by now. */
struct diary {
    _Atomic uint64_t line_count, decisions, interrupted;
    _Atomic int64_t  longest_ns;
    _Atomic uint64_t
        asked; /* the counted user of whom something is asked now, plus one; 0: nobody */
    _Atomic uint64_t asked_cost;
    struct random    random;
};

struct workers {
    struct workers_plan plan;
    size_t              bytes; /* of the shared memory, from `diary` on */
    struct diary       *diary;
    _Atomic uint64_t   *taken;      /* by counted user, a row for each diary */
    _Atomic uint64_t   *unanswered; /* by counted user, a row for each diary */
    struct answer_line *lines;
    char               *trouble;
    pid_t               process[WORKERS_MAX];
};

int64_t workers_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

static uint32_t diaries_of(const struct workers *w) { return w->plan.workers * w->plan.threads; }

/* ---- a worker ---- */

struct worker_thread {
    struct workers *w;
    weir           *own;
    uint32_t        index; /* of its diary */
};

static void add_to(_Atomic uint64_t *word, uint64_t amount) {
    atomic_store(word, atomic_load(word) + amount);
}

static weir_request counted_request(uint32_t user, uint64_t cost, char name[NAME_BYTES]) {
    int          bytes = snprintf(name, NAME_BYTES, "counted %" PRIu32, user);
    weir_request r     = weir_request_for(name, (size_t)bytes, COUNTED_LIMIT, WEIR_HOUR);
    r.cost             = cost;
    return r;
}

static weir_request judged_request(const struct workers *w, uint32_t user, char name[NAME_BYTES]) {
    int bytes = snprintf(name, NAME_BYTES, "judged %" PRIu32, user);
    return weir_request_for(name, (size_t)bytes, w->plan.judged_limit, w->plan.judged_window_ns);
}

static void note_length(struct diary *d, int64_t length_ns) {
    if (length_ns > atomic_load(&d->longest_ns)) atomic_store(&d->longest_ns, length_ns);
}

/* From here to diary_end() it is not known whether the permits were taken. */
static void diary_begin(struct diary *d, uint32_t user, uint64_t cost) {
    atomic_store(&d->asked_cost, cost);
    atomic_store(&d->asked, user + 1);
}

static void diary_end(const struct worker_thread *t, struct diary *d, uint32_t user,
                      uint64_t taken) {
    add_to(&t->w->taken[(size_t)t->index * t->w->plan.counted_users + user], taken);
    atomic_store(&d->asked, 0);
}

struct call {
    weir          *own;
    weir_request   request;
    weir_decision *answer;
};

static void call_act(void *context) {
    const struct call *c = context;
    (void)!weir_decide(c->own, &c->request, c->answer);
}

static void call_seen(void *context, size_t n) {
    (void)context;
    (void)n;
}

static void ask_counted(const struct worker_thread *t, struct diary *d, struct random *random) {
    char          name[NAME_BYTES];
    uint32_t      user = (uint32_t)random_below(random, t->w->plan.counted_users);
    uint64_t      cost = 1 + random_below(random, COST_MAX);
    weir_decision answer;
    struct call   call = {t->own, counted_request(user, cost, name), &answer};
    diary_begin(d, user, cost);
    if (t->w->plan.is_slow && t->index % 2 == 1)
        steps_run(call_act, call_seen, &call);
    else
        call_act(&call);
    diary_end(t, d, user, answer.allowed && answer.how == WEIR_HOW_STRICT ? cost : 0);
    add_to(&d->decisions, 1);
}

static void write_down(const struct worker_thread *t, struct diary *d, struct answer_line line) {
    uint64_t at = atomic_load(&d->line_count);
    if (at == t->w->plan.lines_max) return;
    t->w->lines[(size_t)t->index * t->w->plan.lines_max + at] = line;
    atomic_store(&d->line_count, at + 1);
    note_length(d, line.received_ns - line.sent_ns);
    add_to(&d->decisions, 1);
}

static void ask_judged(const struct worker_thread *t, struct diary *d, struct random *random) {
    char               name[2][NAME_BYTES];
    struct answer_line line = {.user = (uint32_t)random_below(random, t->w->plan.judged_users)};
    weir_request       r[2] = {judged_request(t->w, line.user, name[0])};
    weir_decision      answer[2];
    if (random_below(random, 100) >= t->w->plan.joint_percent) {
        line.sent_ns = workers_now_ns();
        (void)!weir_decide(t->own, r, answer);
        line.received_ns = workers_now_ns();
        line.allowed     = answer[0].allowed;
        line.overflowed  = answer[0].how == WEIR_HOW_OVERFLOW;
        write_down(t, d, line);
        return;
    }
    uint32_t user = (uint32_t)random_below(random, t->w->plan.counted_users);
    r[1]          = counted_request(user, 1, name[1]);
    diary_begin(d, user, 1);
    line.sent_ns = workers_now_ns();
    (void)!weir_decide_all(t->own, r, 2, answer);
    line.received_ns = workers_now_ns();
    line.allowed     = answer[0].allowed && answer[1].allowed;
    diary_end(t, d, user, line.allowed ? 1 : 0);
    write_down(t, d, line);
}

/* Whoever was away for a while catches up at once, but not on all of it. */
static void *worker_thread_run(void *context) {
    const struct worker_thread *t       = context;
    struct diary               *d       = &t->w->diary[t->index];
    uint64_t                    pace_ns = 2 * (uint64_t)t->w->plan.judged_pace_ns;
    struct random               random  = random_split(&d->random);
    int64_t                     next_ns = 0;
    for (;;) {
        int64_t now_ns = workers_now_ns();
        if (next_ns < now_ns - BEHIND_NS_MAX) next_ns = now_ns - BEHIND_NS_MAX;
        for (; next_ns <= now_ns; next_ns += (int64_t)random_below(&random, pace_ns))
            ask_judged(t, d, &random);
        for (int i = 0; i < COUNTED_AT_ONCE; i++) ask_counted(t, d, &random);
    }
    return NULL;
}

/* What the process before was asking when it was killed. */
static void worker_inherit(struct workers *w, uint32_t index) {
    struct diary *d     = &w->diary[index];
    uint64_t      asked = atomic_load(&d->asked);
    if (asked == 0) return;
    add_to(&w->unanswered[(size_t)index * w->plan.counted_users + asked - 1],
           atomic_load(&d->asked_cost));
    add_to(&d->interrupted, 1);
    atomic_store(&d->asked, 0);
}

static void worker_run(struct workers *w, uint32_t which) {
    static struct worker_thread threads[WORKER_THREADS_MAX];
    weir_options                options = WEIR_OPTIONS_DEFAULT;
    weir_error                  error;
    char                        url[PATH_MAX];
    options.users_max = w->plan.users_max;
    snprintf(url, sizeof url, "file:%s", w->plan.path);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);

    weir *own = weir_open(url, &options, &error);
    if (own == NULL) {
        snprintf(w->trouble, TROUBLE_BYTES, "worker %" PRIu32 ": %s", which, error.text);
        _exit(1);
    }
    for (uint32_t i = 0; i < w->plan.threads; i++) {
        pthread_t thread;
        threads[i] = (struct worker_thread){w, own, which * w->plan.threads + i};
        if (pthread_create(&thread, NULL, worker_thread_run, &threads[i]) != 0) _exit(1);
    }
    for (;;) pause();
}

/* ---- the driver ---- */

static size_t rounded(size_t bytes) { return (bytes + 63) / 64 * 64; }

struct workers *workers_new(const struct workers_plan *plan) {
    struct workers *w = calloc(1, sizeof *w);
    if (w == NULL) return NULL;
    w->plan      = *plan;
    size_t count = diaries_of(w);
    size_t diary = rounded(count * sizeof *w->diary);
    size_t taken = rounded(count * plan->counted_users * sizeof *w->taken);
    size_t lines = rounded(count * plan->lines_max * sizeof *w->lines);
    w->bytes     = diary + 2 * taken + lines + TROUBLE_BYTES;
    char *memory = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        free(w);
        return NULL;
    }
    w->diary      = (void *)memory;
    w->taken      = (void *)(memory + diary);
    w->unanswered = (void *)(memory + diary + taken);
    w->lines      = (void *)(memory + diary + 2 * taken);
    w->trouble    = memory + diary + 2 * taken + lines;

    struct random random = {.state = plan->seed};
    for (size_t i = 0; i < count; i++) w->diary[i].random = random_split(&random);
    return w;
}

void workers_free(struct workers *w) {
    munmap(w->diary, w->bytes);
    free(w);
}

static bool worker_start(struct workers *w, uint32_t which) {
    for (uint32_t i = 0; i < w->plan.threads; i++) worker_inherit(w, which * w->plan.threads + i);
    w->process[which] = fork();
    if (w->process[which] == 0) worker_run(w, which);
    return w->process[which] > 0;
}

static bool worker_kill(struct workers *w, uint32_t which) {
    int  status;
    bool was_there = kill(w->process[which], SIGKILL) == 0;
    return was_there && waitpid(w->process[which], &status, 0) == w->process[which] &&
           WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

bool workers_start(struct workers *w) {
    for (uint32_t i = 0; i < w->plan.workers; i++) {
        if (!worker_start(w, i)) return false;
    }
    return true;
}

bool workers_kill(struct workers *w, uint32_t which) {
    return worker_kill(w, which) && worker_start(w, which);
}

void workers_pause(struct workers *w, uint32_t which, int64_t length_ns) {
    struct timespec length = {.tv_sec  = length_ns / WEIR_SECOND,
                              .tv_nsec = length_ns % WEIR_SECOND};
    kill(w->process[which], SIGSTOP);
    nanosleep(&length, NULL);
    kill(w->process[which], SIGCONT);
}

void workers_end(struct workers *w) {
    for (uint32_t i = 0; i < w->plan.workers; i++) {
        if (w->process[i] > 0) (void)worker_kill(w, i);
    }
    for (uint32_t i = 0; i < diaries_of(w); i++) worker_inherit(w, i);
}

const char *workers_trouble(struct workers *w) {
    for (uint32_t i = 0; i < w->plan.workers; i++) {
        int status;
        if (waitpid(w->process[i], &status, WNOHANG) != w->process[i]) continue;
        w->process[i] = 0;
        if (w->trouble[0] == '\0')
            snprintf(w->trouble, TROUBLE_BYTES, "worker %" PRIu32 " ended with status %d", i,
                     status);
    }
    return w->trouble[0] == '\0' ? NULL : w->trouble;
}

/* ---- what they have seen ---- */

static int line_compare(const void *a, const void *b) {
    const struct answer_line *x = a, *y = b;
    return x->sent_ns < y->sent_ns ? -1 : x->sent_ns > y->sent_ns;
}

/* What an exact log of the same arrivals would have allowed. It is told when each was sent. */
static uint64_t exact_allowed(const struct workers *w, struct answer_line *lines, size_t count) {
    uint64_t  limit = w->plan.judged_limit, allowed = 0;
    uint64_t *next = calloc(w->plan.judged_users, sizeof *next);
    int64_t  *log  = calloc(w->plan.judged_users * limit, sizeof *log);
    qsort(lines, count, sizeof *lines, line_compare);
    for (size_t i = 0; i < count; i++) {
        int64_t *oldest_ns = &log[lines[i].user * limit + next[lines[i].user] % limit];
        if (*oldest_ns != 0 && lines[i].sent_ns - *oldest_ns < w->plan.judged_window_ns) continue;
        *oldest_ns = lines[i].sent_ns;
        next[lines[i].user]++;
        allowed++;
    }
    free(next);
    free(log);
    return allowed;
}

struct workers_sums workers_sums(struct workers *w) {
    struct workers_sums sums = {0};
    for (uint32_t i = 0; i < diaries_of(w); i++) {
        struct diary *d = &w->diary[i];
        sums.decisions += atomic_load(&d->decisions);
        sums.lines += atomic_load(&d->line_count);
        sums.interrupted += atomic_load(&d->interrupted);
        if (atomic_load(&d->longest_ns) > sums.longest_ns) sums.longest_ns = d->longest_ns;
    }
    return sums;
}

struct workers_use workers_use(struct workers *w) {
    struct workers_use  use = {0};
    struct answer_line *all = malloc((workers_sums(w).lines + 1) * sizeof *all);
    size_t              at  = 0;
    for (uint32_t i = 0; i < diaries_of(w); i++) {
        for (uint64_t k = 0; k < w->diary[i].line_count; k++) {
            all[at] = w->lines[(size_t)i * w->plan.lines_max + k];
            use.allowed += all[at].allowed;
            use.overflowed += all[at++].overflowed;
        }
    }
    use.exact = exact_allowed(w, all, at);
    free(all);
    return use;
}

static void count_user(struct workers *w, weir *own, uint32_t user,
                       struct workers_counted *counted) {
    char          name[NAME_BYTES];
    weir_request  r = counted_request(user, 0, name);
    weir_decision d;
    uint64_t      taken = 0, unanswered = 0;
    for (uint32_t i = 0; i < diaries_of(w); i++) {
        taken += w->taken[(size_t)i * w->plan.counted_users + user];
        unanswered += w->unanswered[(size_t)i * w->plan.counted_users + user];
    }
    (void)!weir_decide(own, &r, &d);
    uint64_t known = COUNTED_LIMIT - d.remaining;
    if (known < taken) counted->missing += taken - known;
    if (known > taken + unanswered) counted->invented += known - taken - unanswered;
    counted->taken += taken;
    counted->unanswered += unanswered;
}

bool workers_count(struct workers *w, struct workers_counted *counted) {
    weir_error error;
    char       url[PATH_MAX];
    snprintf(url, sizeof url, "file:%s", w->plan.path);
    memset(counted, 0, sizeof *counted);
    weir *own = weir_open(url, NULL, &error);
    if (own == NULL) {
        snprintf(counted->why, sizeof counted->why, "%s", error.text);
        return false;
    }
    for (uint32_t user = 0; user < w->plan.counted_users; user++) count_user(w, own, user, counted);
    weir_close(own);
    return true;
}

size_t workers_write_lines(struct workers *w, const char *folder) {
    for (uint32_t i = 0; i < diaries_of(w); i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s/%" PRIu32 ".jsonl", folder, i);
        FILE *file = fopen(path, "w");
        if (file == NULL) return i;
        for (uint64_t k = 0; k < w->diary[i].line_count; k++) {
            const struct answer_line *l = &w->lines[(size_t)i * w->plan.lines_max + k];
            fprintf(file,
                    "{\"user\":\"%" PRIu32 "\",\"limit\":%" PRIu64 ",\"window_ns\":%" PRId64
                    ",\"cost\":1,\"allowed\":%s,\"sent_ns\":%" PRId64 ",\"received_ns\":%" PRId64
                    "}\n",
                    l->user, w->plan.judged_limit, w->plan.judged_window_ns,
                    l->allowed ? "true" : "false", l->sent_ns, l->received_ns);
        }
        if (fclose(file) != 0) return i;
    }
    return diaries_of(w);
}
