/* SPDX-License-Identifier: MIT
 *
 * A program that uses the Cassandra client as the limiter would, told by lines what to do; each answer is a
 * line of JSON. The tests beside it (Python) start the nodes, break them, and read what happened here. In
 * words, the byte 0x1f stands for a blank.
 *
 *     ready MS
 *     query MS CONSISTENCY TEXT [KEY VALUE...]       as it is
 *     prepared MS CONSISTENCY TEXT [KEY VALUE...]    prepared where it is not
 *     load counter|once|plain THREADS KEYS MS DEADLINE_MS WINDOW
 *                                                    for MS, at most WINDOW of a thread on their way
 *     leave COUNT MS                                 so many counters, which nobody waits for until close
 *     counts
 *     fork                                           what a child is told
 *     close                                          also at the end of the input
 *
 * A value is i:INT, b:BIGINT, t:TEXT, null or unset; a KEY is a value, or - for none. load counts in the
 * table counts (counter: n = n + 1), makes rows that nobody else makes (once: IF NOT EXISTS), or writes and
 * reads a row (plain), and needs the tables that client.py makes. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "os/clock.h"
#include "store/cassandra/cassandra.h"
#include "wire/cql_value.h"
#include "wire/json.h"

enum {
    WORDS_MAX      = 64,
    VALUES_MAX     = 16,
    COLUMNS_MAX    = 16,
    LINE_BYTES_MAX = 80 * 1024,
    THREADS_MAX    = 16,
    SERVERS_MAX    = 8,
    TEXTS_MAX      = CASSANDRA_STATEMENTS_MAX + 8,
    STATUSES       = 16
};

#define NS_PER_MS UINT64_C(1000000)

static struct cassandra *c;
static char              json_buffer[64 * 1024];

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

/* ---- one request ---- */

static void write_value(struct json_writer *w, const struct cql_column *column,
                        struct cql_value value) {
    int32_t number      = 0;
    int64_t long_number = 0;
    bool    flag        = false;
    if (value.presence != CQL_PRESENT) {
        json_write_null(w);
    } else if (column->type.id == CQL_TYPE_INT && cql_value_int(value, &number)) {
        json_write_i64(w, number);
    } else if (column->type.id == CQL_TYPE_BOOLEAN && cql_value_boolean(value, &flag)) {
        json_write_bool(w, flag);
    } else if (column->type.id != CQL_TYPE_VARCHAR && cql_value_bigint(value, &long_number)) {
        json_write_i64(w, long_number);
    } else {
        json_write_text(w, value.bytes);
    }
}

static void write_rows(struct json_writer *w, struct cql_rows rows) {
    struct cql_column  columns[COLUMNS_MAX];
    struct cql_value   values[COLUMNS_MAX];
    struct cql_columns walk  = rows.columns;
    unsigned           count = 0;
    memset(columns, 0, sizeof columns);
    while (count < COLUMNS_MAX && cql_columns_next(&walk, &columns[count])) count++;
    json_write_name(w, "columns");
    json_write_array(w);
    for (unsigned i = 0; i < count; i++) json_write_text(w, columns[i].name);
    json_write_array_end(w);
    json_write_name(w, "rows");
    json_write_array(w);
    while (cql_rows_next(&rows, values, COLUMNS_MAX)) {
        json_write_array(w);
        for (unsigned i = 0; i < rows.column_count && i < COLUMNS_MAX; i++)
            write_value(w, &columns[i], values[i]);
        json_write_array_end(w);
    }
    json_write_array_end(w);
}

static void show(const struct cassandra_result *result, uint64_t took_ns) {
    struct json_writer w;
    begin(&w);
    write_text(&w, "status", cassandra_status_name(result->status));
    write_text(&w, "fate", cassandra_fate_name(result->fate));
    write_text(&w, "error", result->error < 0 ? "" : cql_error_word(result->error));
    write_text(&w, "problem", result->problem);
    write_text(&w, "server", result->server != NULL ? result->server : "");
    json_write_name(&w, "agreed");
    json_write_bool(&w, result->is_agreed);
    if (result->status == CASSANDRA_DONE && result->result.kind == CQL_ROWS)
        write_rows(&w, result->result.rows);
    json_write_name(&w, "took_ms");
    json_write_real(&w, (double)took_ns / 1e6, 3);
    end(&w);
}

static void call(const struct cassandra_request *request) {
    struct cassandra_result result;
    uint64_t                from_ns = clock_now_ns();
    cassandra_call(c, request, &result);
    show(&result, clock_now_ns() - from_ns);
    cassandra_result_clear(&result);
}

/* Statements are known by their address, so that each text is kept once. */
static const struct cassandra_statement *statement_of(const char *text) {
    static struct cassandra_statement statements[TEXTS_MAX];
    unsigned                          i = 0;
    while (i < TEXTS_MAX && statements[i].text != NULL && strcmp(statements[i].text, text) != 0)
        i++;
    if (i == TEXTS_MAX) stop("too many statements");
    if (statements[i].text == NULL) statements[i].text = strdup(text);
    return &statements[i];
}

static struct cql_value value_of(char *word, char out[CQL_BIGINT_BYTES]) {
    struct cql_value value = {.presence = CQL_NULL};
    if (strcmp(word, "null") == 0) return value;
    value.presence = CQL_UNSET;
    if (strcmp(word, "unset") == 0) return value;
    int64_t number = strtoll(word + 2, NULL, 10);
    if (word[0] == 'i') return cql_value_of_int((int32_t)number, out);
    if (word[0] == 'b') return cql_value_of_bigint(number, out);
    return (struct cql_value){.presence = CQL_PRESENT, .bytes = view_of(word + 2)};
}

static void run_statement(char **words, unsigned count, bool is_prepared) {
    static char              numbers[VALUES_MAX + 1][CQL_BIGINT_BYTES];
    struct cql_value         values[VALUES_MAX];
    struct cassandra_request request = {.deadline_ns =
                                            clock_now_ns() + number_of(words[0]) * NS_PER_MS,
                                        .consistency = (enum cql_consistency)number_of(words[1])};
    if (is_prepared)
        request.statement = statement_of(words[2]);
    else
        request.text = view_of(words[2]);
    if (count > 3 && strcmp(words[3], "-") != 0)
        request.key = value_of(words[3], numbers[VALUES_MAX]).bytes;
    for (unsigned i = 4; i < count && i - 4 < VALUES_MAX; i++)
        values[request.value_count++] = value_of(words[i], numbers[i - 4]);
    request.values = values;
    call(&request);
}

static void run_ready(char **words) {
    struct cassandra_result result;
    uint64_t                from_ns = clock_now_ns();
    cassandra_ready(c, from_ns + number_of(words[0]) * NS_PER_MS, &result);
    show(&result, clock_now_ns() - from_ns);
    cassandra_result_clear(&result);
}

/* ---- many ---- */

enum load { LOAD_COUNTER, LOAD_ONCE, LOAD_PLAIN };

static const struct cassandra_statement counter = {"UPDATE counts SET n = n + 1 WHERE k = ?"};
static const struct cassandra_statement once    = {
       "INSERT INTO made (k, n) VALUES (?, ?) IF NOT EXISTS"};
static const struct cassandra_statement writer = {"INSERT INTO plain (k, n) VALUES (?, ?)"};
static const struct cassandra_statement reader = {"SELECT n FROM plain WHERE k = ?"};

struct tally {
    uint64_t statuses[STATUSES]; /* by callback; all here is the client's thread's */
    uint64_t refused[STATUSES];  /* not taken by cassandra_submit() */
    uint64_t fates[3];
    uint64_t not_applied; /* of LOAD_ONCE: somebody has made this row already */
    uint64_t twice;
    uint64_t late_ns_max;  /* of a callback after its deadline */
    uint64_t pause_ns_max; /* with nothing done */
    uint64_t done_ns;
    char     servers[SERVERS_MAX][CASSANDRA_SERVER_BYTES_MAX];
    uint64_t served[SERVERS_MAX];
};

struct worker;

struct job {
    struct worker   *worker;
    uint64_t         deadline_ns;
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
    enum load       load;
    unsigned        window;
    unsigned        first_key;
    unsigned        keys;
    uint64_t        until_ns;
    uint64_t        deadline_span_ns;
    uint64_t        submitted;
    uint64_t        refused[STATUSES];
};

static void tally_server(struct tally *tally, const char *server) {
    unsigned i = 0;
    while (i < SERVERS_MAX && tally->servers[i][0] != '\0' &&
           strcmp(tally->servers[i], server) != 0)
        i++;
    if (i == SERVERS_MAX) return;
    (void)snprintf(tally->servers[i], sizeof tally->servers[i], "%s", server);
    tally->served[i]++;
}

static bool is_applied(const struct cassandra_result *result) {
    struct cql_rows  rows = result->result.rows;
    struct cql_value value;
    bool             applied = false;
    return cql_rows_next(&rows, &value, 1) && cql_value_boolean(value, &applied) && applied;
}

static void job_done(void *context, struct cassandra_result *result) {
    struct job   *job    = context;
    struct tally *tally  = job->worker->tally;
    uint64_t      now_ns = clock_now_ns();
    if (atomic_fetch_add(&job->called, 1) != 0) tally->twice++;
    tally->statuses[result->status]++;
    tally->fates[result->fate]++;
    if (now_ns > job->deadline_ns && now_ns - job->deadline_ns > tally->late_ns_max)
        tally->late_ns_max = now_ns - job->deadline_ns;
    if (result->status == CASSANDRA_DONE) {
        if (now_ns - tally->done_ns > tally->pause_ns_max)
            tally->pause_ns_max = now_ns - tally->done_ns;
        tally->done_ns = now_ns;
        tally_server(tally, result->server);
        if (job->worker->load == LOAD_ONCE) tally->not_applied += !is_applied(result);
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

static enum cassandra_status job_submit(struct job *job, uint64_t number) {
    const struct worker     *worker = job->worker;
    char                     key[CQL_INT_BYTES], count[CQL_BIGINT_BYTES];
    static _Atomic int64_t   made;
    struct cql_value         values[2];
    struct cassandra_request request = {.statement   = &counter,
                                        .values      = values,
                                        .value_count = 1,
                                        .consistency = CQL_QUORUM,
                                        .deadline_ns = job->deadline_ns,
                                        .done        = job_done,
                                        .context     = job};
    values[0]   = cql_value_of_int((int32_t)(worker->first_key + number % worker->keys), key);
    values[1]   = cql_value_of_bigint(atomic_fetch_add(&made, 1), count);
    request.key = values[0].bytes;
    if (worker->load == LOAD_PLAIN) request.statement = number % 2 == 0 ? &writer : &reader;
    if (worker->load == LOAD_PLAIN) request.value_count = number % 2 == 0 ? 2 : 1;
    if (worker->load == LOAD_ONCE) {
        request.statement          = &once;
        request.value_count        = 2;
        request.serial_consistency = CQL_SERIAL;
        request.is_conditional     = true;
    }
    return cassandra_submit(c, &request);
}

static void *work(void *context) {
    struct worker *worker = context;
    for (uint64_t i = 0;; i++) {
        struct job *job    = job_take(worker);
        uint64_t    now_ns = clock_now_ns();
        if (now_ns >= worker->until_ns) {
            job_give(worker, job);
            break;
        }
        job->deadline_ns = now_ns + worker->deadline_span_ns;
        atomic_store(&job->called, 0);
        enum cassandra_status status = job_submit(job, i);
        if (status == CASSANDRA_DONE) {
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
    for (int i = 0; i <= CASSANDRA_NO_MEMORY; i++)
        if (tally->statuses[i] > 0)
            write_number(&w, cassandra_status_name((enum cassandra_status)i), tally->statuses[i]);
    json_write_name(&w, "refused");
    json_write_object(&w);
    for (int i = 0; i <= CASSANDRA_NO_MEMORY; i++)
        if (tally->refused[i] > 0)
            write_number(&w, cassandra_status_name((enum cassandra_status)i), tally->refused[i]);
    json_write_object_end(&w);
    for (int i = 0; i < 3; i++)
        write_number(&w, cassandra_fate_name((enum cassandra_fate)i), tally->fates[i]);
    json_write_name(&w, "servers");
    json_write_object(&w);
    for (int i = 0; i < SERVERS_MAX && tally->servers[i][0] != '\0'; i++)
        write_number(&w, tally->servers[i], tally->served[i]);
    json_write_object_end(&w);
    write_number(&w, "not_applied", tally->not_applied);
    write_number(&w, "twice", tally->twice);
    write_number(&w, "late_ms", tally->late_ns_max / NS_PER_MS);
    write_number(&w, "pause_ms", tally->pause_ns_max / NS_PER_MS);
    write_number(&w, "took_us", took_ns / 1000);
    end(&w);
}

static void run_load(char **words) {
    static struct worker workers[THREADS_MAX];
    unsigned             threads = (unsigned)number_of(words[1]);
    uint64_t             from_ns = clock_now_ns(), submitted = 0;
    struct tally         tally = {.done_ns = from_ns};
    if (threads == 0 || threads > THREADS_MAX) stop("too many");
    for (unsigned t = 0; t < threads; t++) {
        struct worker *worker = &workers[t];
        *worker               = (struct worker){.tally            = &tally,
                                                .load             = LOAD_COUNTER,
                                                .keys             = (unsigned)number_of(words[2]),
                                                .until_ns         = from_ns + number_of(words[3]) * NS_PER_MS,
                                                .deadline_span_ns = number_of(words[4]) * NS_PER_MS,
                                                .window           = (unsigned)number_of(words[5])};
        if (strcmp(words[0], "once") == 0) worker->load = LOAD_ONCE;
        if (strcmp(words[0], "plain") == 0) worker->load = LOAD_PLAIN;
        worker->first_key = t * worker->keys;
        worker->jobs      = calloc(worker->window, sizeof worker->jobs[0]);
        if (worker->jobs == NULL || worker->keys == 0) stop("no memory, or no keys");
        pthread_mutex_init(&worker->lock, NULL);
        pthread_cond_init(&worker->freed, NULL);
        for (unsigned i = 0; i < worker->window; i++) {
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
    struct cassandra_counts counts;
    struct json_writer      w;
    cassandra_counts(c, &counts);
    begin(&w);
    write_number(&w, "connects", counts.connects);
    write_number(&w, "losses", counts.losses);
    write_number(&w, "misses", counts.misses);
    write_number(&w, "prepares", counts.prepares);
    write_number(&w, "unprepared", counts.unprepared);
    write_number(&w, "retries", counts.retries);
    write_number(&w, "refreshes", counts.refreshes);
    write_number(&w, "events", counts.events);
    write_number(&w, "writes", counts.writes);
    end(&w);
}

static void run_fork(void) {
    pid_t child = fork();
    if (child == 0) {
        struct cassandra_result result;
        cassandra_ready(c, clock_now_ns(), &result);
        show(&result, 0);
        cassandra_close(c);
        _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) stop("the child failed");
}

static uint64_t         left_behind;
static _Atomic uint64_t left_called;

static void left_done(void *context, struct cassandra_result *result) {
    (void)context;
    (void)result;
    atomic_fetch_add(&left_called, 1);
}

static void run_leave(char **words) {
    char             key[CQL_INT_BYTES];
    struct cql_value value = cql_value_of_int(-1, key);
    for (uint64_t i = number_of(words[0]); i > 0; i--) {
        struct cassandra_request request = {.statement   = &counter,
                                            .values      = &value,
                                            .value_count = 1,
                                            .key         = value.bytes,
                                            .consistency = CQL_QUORUM,
                                            .deadline_ns =
                                                clock_now_ns() + number_of(words[1]) * NS_PER_MS,
                                            .done = left_done};
        if (cassandra_submit(c, &request) == CASSANDRA_DONE) left_behind++;
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
         word       = strtok_r(NULL, " \n", &save)) {
        for (char *at = word; *at != '\0'; at++)
            if (*at == 0x1f) *at = ' ';
        words[count++] = word;
    }
    if (count == 0) return;
    char **rest = words + 1;
    if (strcmp(words[0], "ready") == 0 && count == 2) {
        run_ready(rest);
    } else if (strcmp(words[0], "query") == 0 && count >= 4) {
        run_statement(rest, count - 1, false);
    } else if (strcmp(words[0], "prepared") == 0 && count >= 4) {
        run_statement(rest, count - 1, true);
    } else if (strcmp(words[0], "load") == 0 && count == 7) {
        run_load(rest);
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
    struct cassandra_options options = {0};
    char                     problem[CASSANDRA_PROBLEM_BYTES_MAX];
    static char              line[LINE_BYTES_MAX];
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
        else if (strcmp(name, "--requests-max") == 0)
            options.requests_max = (unsigned)number_of(value);
        else if (strcmp(name, "--connect-ms") == 0)
            options.connect_ns = number_of(value) * NS_PER_MS;
        else
            stop("unknown option");
    }
    c = cassandra_open(view_of(words[1]), &options, problem);
    if (c == NULL) stop(problem);
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "close\n") != 0) run_line(line);
    cassandra_close(c);
    if (atomic_load(&left_called) != left_behind)
        stop("cassandra_close() has forgotten a callback");
    printf("{\"closed\":true}\n");
    return 0;
}
