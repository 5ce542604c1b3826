/* SPDX-License-Identifier: MIT
 *
 * A program that uses the store client as the limiter would, told by lines what to do; each answer is a
 * line of JSON. The tests beside it (Python) start the servers, break them, and read what happened here.
 *
 *     ready MS
 *     call KEY|- MS WORD...          a whole command
 *     add KEY MS BY                  the counter script, waiting for replicas
 *     burst COUNT MS                 so many of it at once, on one key
 *     load THREADS KEYS MS DEADLINE_MS WINDOW      of it for MS, at most WINDOW on their way a thread
 *     leave COUNT MS                 so many of it, which nobody waits for until close
 *     counts
 *     fork                           what a child is told
 *     close                          also at the end of the input */
#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "store/redis/redis.h"
#include "wire/json.h"

enum {
    WORDS_MAX      = 64,
    LINE_BYTES_MAX = 70 * 1024,
    THREADS_MAX    = 16,
    KEYS_MAX       = 256,
    STATUSES       = 16
};

#define NS_PER_MS UINT64_C(1000000)

static struct redis       *r;
static struct redis_script adder;
static bool                waits_for_replicas;
static char                json_buffer[64 * 1024];

static void stop(const char *why) {
    fprintf(stderr, "driver: %s\n", why);
    exit(3);
}

static bool to_stdout(void *context, struct view bytes) {
    (void)context;
    return fwrite(bytes.data, 1, bytes.bytes, stdout) == bytes.bytes && fflush(stdout) == 0;
}

static void begin(struct json_writer *w) {
    json_write_begin(w, json_buffer, sizeof json_buffer, to_stdout, NULL);
    json_write_object(w);
}

static void end(struct json_writer *w) {
    json_write_object_end(w);
    json_write_line_end(w);
    if (!json_write_end(w)) stop("cannot write");
}

static void write_number(struct json_writer *w, const char *name, uint64_t number) {
    json_write_name(w, name);
    json_write_u64(w, number);
}

static void write_text(struct json_writer *w, const char *name, const char *text) {
    json_write_name(w, name);
    json_write_text(w, view_of(text));
}

static uint64_t number_of(const char *text) { return strtoull(text, NULL, 10); }

/* ---- one command ---- */

static void write_reply(struct json_writer *w, const redisReply *reply) {
    if (reply == NULL || reply->type == REDIS_REPLY_NIL) {
        json_write_null(w);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        json_write_i64(w, reply->integer);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        json_write_array(w);
        for (size_t i = 0; i < reply->elements; i++) write_reply(w, reply->element[i]);
        json_write_array_end(w);
    } else {
        json_write_text(w, (struct view){reply->str, reply->len});
    }
}

static void show(const struct redis_result *result, uint64_t took_ns) {
    struct json_writer w;
    begin(&w);
    write_text(&w, "status", redis_status_name(result->status));
    write_text(&w, "fate", redis_fate_name(result->fate));
    write_text(&w, "problem", result->problem);
    json_write_name(&w, "confirmed");
    json_write_bool(&w, result->is_confirmed);
    json_write_name(&w, "reply");
    write_reply(&w, result->reply);
    json_write_name(&w, "took_ms");
    json_write_real(&w, (double)took_ns / 1e6, 3);
    end(&w);
}

static void call(const struct redis_command *command) {
    struct redis_result result;
    uint64_t            from_ns = clock_now_ns();
    redis_call(r, command, &result);
    show(&result, clock_now_ns() - from_ns);
    redis_result_clear(&result);
}

static void run_call(char **words, unsigned count) {
    struct view views[WORDS_MAX];
    struct view key = view_of(words[0]);
    for (unsigned i = 2; i < count; i++) views[i - 2] = view_of(words[i]);
    call(&(struct redis_command){.keys        = &key,
                                 .key_count   = strcmp(words[0], "-") != 0,
                                 .words       = views,
                                 .word_count  = count - 2,
                                 .deadline_ns = clock_now_ns() + number_of(words[1]) * NS_PER_MS});
}

static void run_add(char **words) {
    struct view key = view_of(words[0]), by = view_of(words[2]);
    call(&(struct redis_command){.script         = &adder,
                                 .keys           = &key,
                                 .key_count      = 1,
                                 .words          = &by,
                                 .word_count     = 1,
                                 .wants_replicas = waits_for_replicas,
                                 .deadline_ns = clock_now_ns() + number_of(words[1]) * NS_PER_MS});
}

static void run_ready(char **words) {
    struct redis_result result;
    uint64_t            from_ns = clock_now_ns();
    redis_ready(r, from_ns + number_of(words[0]) * NS_PER_MS, &result);
    show(&result, clock_now_ns() - from_ns);
}

/* ---- many ---- */

struct tally {
    uint64_t statuses[STATUSES]; /* by callback; all here is the client's thread's */
    uint64_t
        refused[STATUSES]; /* not taken by redis_submit(); any thread, under no load but its own */
    uint64_t  fates[3];
    uint64_t  confirmed;
    uint64_t  twice;
    uint64_t  out_of_order;
    uint64_t  late_ns_max;  /* of a callback after its deadline */
    uint64_t  pause_ns_max; /* with nothing done */
    uint64_t  done_ns;
    long long values[KEYS_MAX]; /* newest of each key */
};

struct worker;

struct job {
    struct worker   *worker;
    uint64_t         deadline_ns;
    unsigned         key;
    _Atomic unsigned called;
    struct job      *next_free;
};

struct worker {
    pthread_t       thread;
    struct tally   *tally;
    pthread_mutex_t lock;
    pthread_cond_t  freed;
    struct job     *free;
    struct job     *jobs;
    unsigned        window;
    unsigned        first_key;
    unsigned        keys;
    uint64_t        until_ns;
    uint64_t        count_max;
    uint64_t        deadline_span_ns;
    uint64_t        submitted;
    uint64_t        refused[STATUSES];
};

static void job_done(void *context, struct redis_result *result) {
    struct job   *job    = context;
    struct tally *tally  = job->worker->tally;
    uint64_t      now_ns = clock_now_ns();
    if (atomic_fetch_add(&job->called, 1) != 0) tally->twice++;
    tally->statuses[result->status]++;
    tally->fates[result->fate]++;
    tally->confirmed += result->is_confirmed;
    if (now_ns > job->deadline_ns && now_ns - job->deadline_ns > tally->late_ns_max)
        tally->late_ns_max = now_ns - job->deadline_ns;
    if (result->status == REDIS_DONE) {
        if (now_ns - tally->done_ns > tally->pause_ns_max)
            tally->pause_ns_max = now_ns - tally->done_ns;
        tally->done_ns = now_ns;
        if (result->reply->integer <= tally->values[job->key]) tally->out_of_order++;
        tally->values[job->key] = result->reply->integer;
    }
    struct worker *worker = job->worker;
    pthread_mutex_lock(&worker->lock);
    job->next_free = worker->free;
    worker->free   = job;
    pthread_cond_signal(&worker->freed);
    pthread_mutex_unlock(&worker->lock);
}

static struct job *job_take(struct worker *worker) {
    pthread_mutex_lock(&worker->lock);
    while (worker->free == NULL) pthread_cond_wait(&worker->freed, &worker->lock);
    struct job *job = worker->free;
    worker->free    = job->next_free;
    pthread_mutex_unlock(&worker->lock);
    return job;
}

static void job_give(struct worker *worker, struct job *job) {
    pthread_mutex_lock(&worker->lock);
    job->next_free = worker->free;
    worker->free   = job;
    pthread_mutex_unlock(&worker->lock);
}

static void *work(void *context) {
    struct worker *worker = context;
    struct view    one    = view_of("1");
    for (uint64_t i = 0; i < worker->count_max; i++) {
        struct job *job    = job_take(worker);
        uint64_t    now_ns = clock_now_ns();
        if (now_ns >= worker->until_ns) {
            job_give(worker, job);
            break;
        }
        char name[32];
        job->key         = worker->first_key + (unsigned)(i % worker->keys);
        job->deadline_ns = now_ns + worker->deadline_span_ns;
        atomic_store(&job->called, 0);
        (void)snprintf(name, sizeof name, "load:%u", job->key);
        struct view       key = view_of(name);
        enum redis_status status =
            redis_submit(r, &(struct redis_command){.script         = &adder,
                                                    .keys           = &key,
                                                    .key_count      = 1,
                                                    .words          = &one,
                                                    .word_count     = 1,
                                                    .wants_replicas = waits_for_replicas,
                                                    .deadline_ns    = job->deadline_ns,
                                                    .done           = job_done,
                                                    .context        = job});
        if (status == REDIS_DONE) {
            worker->submitted++;
            continue;
        }
        worker->refused[status]++;
        job_give(worker, job);
    }
    /* All that was taken comes back, or the test hangs and its time limit says so. */
    for (unsigned i = 0; i < worker->window; i++) (void)job_take(worker);
    return NULL;
}

static void tally_show(const struct tally *tally, uint64_t submitted, uint64_t took_ns) {
    struct json_writer w;
    begin(&w);
    write_number(&w, "submitted", submitted);
    for (int i = 0; i <= REDIS_NO_MEMORY; i++)
        if (tally->statuses[i] > 0)
            write_number(&w, redis_status_name((enum redis_status)i), tally->statuses[i]);
    json_write_name(&w, "refused");
    json_write_object(&w);
    for (int i = 0; i <= REDIS_NO_MEMORY; i++)
        if (tally->refused[i] > 0)
            write_number(&w, redis_status_name((enum redis_status)i), tally->refused[i]);
    json_write_object_end(&w);
    for (int i = 0; i < 3; i++)
        write_number(&w, redis_fate_name((enum redis_fate)i), tally->fates[i]);
    write_number(&w, "confirmed", tally->confirmed);
    write_number(&w, "twice", tally->twice);
    write_number(&w, "out_of_order", tally->out_of_order);
    write_number(&w, "late_ms", tally->late_ns_max / NS_PER_MS);
    write_number(&w, "pause_ms", tally->pause_ns_max / NS_PER_MS);
    write_number(&w, "took_us", took_ns / 1000);
    end(&w);
}

static void run_workers(unsigned threads, unsigned keys, uint64_t count_max, uint64_t span_ns,
                        uint64_t deadline_ns, unsigned window) {
    static struct worker workers[THREADS_MAX];
    if (threads == 0 || threads > THREADS_MAX || keys == 0 || threads * keys > KEYS_MAX)
        stop("too many");
    struct tally tally   = {0};
    uint64_t     from_ns = clock_now_ns(), submitted = 0;
    tally.done_ns = from_ns;
    for (unsigned t = 0; t < threads; t++) {
        struct worker *worker = &workers[t];
        *worker               = (struct worker){.tally            = &tally,
                                                .window           = window,
                                                .first_key        = t * keys,
                                                .keys             = keys,
                                                .until_ns         = from_ns + span_ns,
                                                .count_max        = count_max,
                                                .deadline_span_ns = deadline_ns};
        worker->jobs          = calloc(window, sizeof worker->jobs[0]);
        if (worker->jobs == NULL) stop("no memory");
        pthread_mutex_init(&worker->lock, NULL);
        pthread_cond_init(&worker->freed, NULL);
        for (unsigned i = 0; i < window; i++) {
            worker->jobs[i].worker = worker;
            job_give(worker, &worker->jobs[i]);
        }
    }
    for (unsigned t = 0; t < threads; t++)
        if (pthread_create(&workers[t].thread, NULL, work, &workers[t]) != 0) stop("no thread");
    for (unsigned t = 0; t < threads; t++) {
        pthread_join(workers[t].thread, NULL);
        submitted += workers[t].submitted;
        for (int i = 0; i < STATUSES; i++) tally.refused[i] += workers[t].refused[i];
        free(workers[t].jobs);
    }
    tally_show(&tally, submitted, clock_now_ns() - from_ns);
}

/* ---- the rest ---- */

static void run_counts(void) {
    struct redis_counts counts;
    struct json_writer  w;
    redis_counts(r, &counts);
    begin(&w);
    write_number(&w, "connects", counts.connects);
    write_number(&w, "losses", counts.losses);
    write_number(&w, "misses", counts.misses);
    write_number(&w, "redirects", counts.redirects);
    write_number(&w, "refreshes", counts.refreshes);
    write_number(&w, "loads", counts.loads);
    write_number(&w, "waits", counts.waits);
    write_number(&w, "writes", counts.writes);
    end(&w);
}

static void run_fork(void) {
    pid_t child = fork();
    if (child == 0) {
        struct view         ping = view_of("PING");
        struct redis_result result;
        redis_call(r, &(struct redis_command){.words = &ping, .word_count = 1}, &result);
        show(&result, 0);
        redis_close(r);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) stop("the child failed");
}

static uint64_t         left_behind;
static _Atomic uint64_t left_called;

static void left_done(void *context, struct redis_result *result) {
    (void)context;
    (void)result;
    atomic_fetch_add(&left_called, 1);
}

static void run_leave(char **words) {
    struct view key = view_of("left"), one = view_of("1");
    for (uint64_t i = number_of(words[0]); i > 0; i--) {
        struct redis_command command = {.script     = &adder,
                                        .keys       = &key,
                                        .key_count  = 1,
                                        .words      = &one,
                                        .word_count = 1,
                                        .deadline_ns =
                                            clock_now_ns() + number_of(words[1]) * NS_PER_MS,
                                        .done = left_done};
        if (redis_submit(r, &command) == REDIS_DONE) left_behind++;
    }
    struct json_writer w;
    begin(&w);
    write_number(&w, "left", left_behind);
    end(&w);
}

static void run_line(char *line) {
    char    *words[WORDS_MAX];
    unsigned count = 0;
    char    *save  = NULL;
    for (char *word = strtok_r(line, " \n", &save); word != NULL && count < WORDS_MAX;
         word       = strtok_r(NULL, " \n", &save))
        words[count++] = word;
    if (count == 0) return;
    char **rest = words + 1;
    if (strcmp(words[0], "ready") == 0 && count == 2) {
        run_ready(rest);
    } else if (strcmp(words[0], "call") == 0 && count >= 4) {
        run_call(rest, count - 1);
    } else if (strcmp(words[0], "add") == 0 && count == 4) {
        run_add(rest);
    } else if (strcmp(words[0], "burst") == 0 && count == 3) {
        unsigned many = (unsigned)number_of(rest[0]);
        run_workers(1, 1, many, UINT64_C(3600) * 1000 * NS_PER_MS, number_of(rest[1]) * NS_PER_MS,
                    many);
    } else if (strcmp(words[0], "load") == 0 && count == 6) {
        run_workers((unsigned)number_of(rest[0]), (unsigned)number_of(rest[1]), UINT64_MAX,
                    number_of(rest[2]) * NS_PER_MS, number_of(rest[3]) * NS_PER_MS,
                    (unsigned)number_of(rest[4]));
    } else if (strcmp(words[0], "leave") == 0 && count == 3) {
        run_leave(rest);
    } else if (strcmp(words[0], "counts") == 0) {
        run_counts();
    } else if (strcmp(words[0], "fork") == 0) {
        run_fork();
    } else {
        stop("what is this line?");
    }
}

int main(int count, char **words) {
    struct redis_options options = {0};
    char                 problem[REDIS_PROBLEM_BYTES_MAX];
    static char          line[LINE_BYTES_MAX];
    if (count < 2) stop("usage: driver URL [--NAME VALUE]...");
    for (int i = 2; i + 1 < count; i += 2) {
        const char *name = words[i], *value = words[i + 1];
        if (strcmp(name, "--ca") == 0)
            options.ca_file = value;
        else if (strcmp(name, "--cert") == 0)
            options.cert_file = value;
        else if (strcmp(name, "--key") == 0)
            options.key_file = value;
        else if (strcmp(name, "--connections") == 0)
            options.connections = (unsigned)number_of(value);
        else if (strcmp(name, "--commands-max") == 0)
            options.commands_max = (unsigned)number_of(value);
        else if (strcmp(name, "--replicas") == 0)
            options.replicas = (unsigned)number_of(value);
        else if (strcmp(name, "--replicas-ms") == 0)
            options.replicas_ns = number_of(value) * NS_PER_MS;
        else if (strcmp(name, "--connect-ms") == 0)
            options.connect_ns = number_of(value) * NS_PER_MS;
        else if (strcmp(name, "--sentinel-password") == 0)
            options.sentinel_password = value;
        else
            stop("unknown option");
    }
    waits_for_replicas = options.replicas > 0;
    redis_script_init(&adder, "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    r = redis_open(view_of(words[1]), &options, problem);
    if (r == NULL) stop(problem);
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "close\n") != 0) run_line(line);
    redis_close(r);
    if (atomic_load(&left_called) != left_behind) stop("redis_close() has forgotten a callback");
    printf("{\"closed\":true}\n");
    return 0;
}
