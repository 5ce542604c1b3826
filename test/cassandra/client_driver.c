/* SPDX-License-Identifier: MIT
 *
 * A driver that uses the client as the limiter would. It is told:
 *
 *     ready MS
 *     query MS CONSISTENCY TEXT [KEY VALUE...]       as it is
 *     prepared MS CONSISTENCY TEXT [KEY VALUE...]    prepared where it is not
 *     conditional MS CONSISTENCY TEXT                a conditional update, as it is
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
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "store/cassandra/cassandra.h"
#include "support/load.h"
#include "wire/cql_value.h"

enum {
    VALUES_MAX  = 16,
    COLUMNS_MAX = 16,
    SERVERS_MAX = 8,
    TEXTS_MAX   = CASSANDRA_STATEMENTS_MAX + 8,
};

static struct cassandra *c;

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
    driver_answer_begin(&w);
    driver_write_text(&w, "status", cassandra_status_name(result->status));
    driver_write_text(&w, "fate", fate_name(result->fate));
    driver_write_text(&w, "error", result->error < 0 ? "" : cql_error_word(result->error));
    driver_write_text(&w, "problem", result->problem);
    driver_write_text(&w, "server", result->server != NULL ? result->server : "");
    driver_write_bool(&w, "agreed", result->is_agreed);
    if (result->status == CASSANDRA_DONE && result->result.kind == CQL_ROWS)
        write_rows(&w, result->result.rows);
    driver_write_ms(&w, "took_ms", took_ns);
    driver_answer_end(&w);
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
    if (i == TEXTS_MAX) driver_stop("too many statements");
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
    struct cassandra_request request = {.deadline_ns = clock_now_ns() + driver_ms(words[0]),
                                        .consistency =
                                            (enum cql_consistency)driver_number(words[1])};
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

static void run_conditional(char **words) {
    struct cassandra_request request = {
        .deadline_ns    = clock_now_ns() + driver_ms(words[0]),
        .consistency    = (enum cql_consistency)driver_number(words[1]),
        .text           = view_of(words[2]),
        .is_conditional = true,
    };
    call(&request);
}

static void run_ready(char **words) {
    struct cassandra_result result;
    uint64_t                from_ns = clock_now_ns();
    cassandra_ready(c, from_ns + driver_ms(words[0]), &result);
    show(&result, clock_now_ns() - from_ns);
    cassandra_result_clear(&result);
}

/* ---- many ---- */

static enum { LOAD_COUNTER, LOAD_ONCE, LOAD_PLAIN } kind; /* of the load that runs */

static const struct cassandra_statement counter = {"UPDATE counts SET n = n + 1 WHERE k = ?"};
static const struct cassandra_statement once    = {
       "INSERT INTO made (k, n) VALUES (?, ?) IF NOT EXISTS"};
static const struct cassandra_statement writer = {"INSERT INTO plain (k, n) VALUES (?, ?)"};
static const struct cassandra_statement reader = {"SELECT n FROM plain WHERE k = ?"};

/* What a load has come to besides; the client's thread's. */
static struct {
    uint64_t not_applied; /* of LOAD_ONCE: somebody has made this row already */
    char     servers[SERVERS_MAX][CASSANDRA_SERVER_BYTES_MAX];
    uint64_t served[SERVERS_MAX];
} sums;

static void sums_add_server(const char *server) {
    unsigned i = 0;
    while (i < SERVERS_MAX && sums.servers[i][0] != '\0' && strcmp(sums.servers[i], server) != 0)
        i++;
    if (i == SERVERS_MAX) return;
    (void)snprintf(sums.servers[i], sizeof sums.servers[i], "%s", server);
    sums.served[i]++;
}

static bool is_applied(const struct cassandra_result *result) {
    struct cql_rows  rows = result->result.rows;
    struct cql_value value;
    bool             applied = false;
    return cql_rows_next(&rows, &value, 1) && cql_value_boolean(value, &applied) && applied;
}

static void load_done(void *context, struct cassandra_result *result) {
    if (result->status == CASSANDRA_DONE) {
        sums_add_server(result->server);
        if (kind == LOAD_ONCE) sums.not_applied += !is_applied(result);
    }
    load_end(context, result->status, result->fate);
}

static unsigned load_submit(struct load_job *job) {
    static _Atomic int64_t   made;
    bool                     writes = job->number % 2 == 0;
    char                     key[CQL_INT_BYTES], count[CQL_BIGINT_BYTES];
    struct cql_value         values[2] = {cql_value_of_int((int32_t)job->key, key),
                                          cql_value_of_bigint(atomic_fetch_add(&made, 1), count)};
    struct cassandra_request request   = {.statement   = &counter,
                                          .values      = values,
                                          .value_count = 1,
                                          .key         = values[0].bytes,
                                          .consistency = CQL_QUORUM,
                                          .deadline_ns = job->deadline_ns,
                                          .done        = load_done,
                                          .context     = job};
    if (kind == LOAD_PLAIN) request.statement = writes ? &writer : &reader;
    if (kind == LOAD_PLAIN) request.value_count = writes ? 2 : 1;
    if (kind == LOAD_ONCE) {
        request.statement          = &once;
        request.value_count        = 2;
        request.serial_consistency = CQL_SERIAL;
        request.is_conditional     = true;
    }
    return cassandra_submit(c, &request);
}

static const char *status_name(unsigned status) {
    return cassandra_status_name((enum cassandra_status)status);
}

static void sums_tell(struct json_writer *w) {
    json_write_name(w, "servers");
    json_write_object(w);
    for (int i = 0; i < SERVERS_MAX && sums.servers[i][0] != '\0'; i++)
        driver_write_number(w, sums.servers[i], sums.served[i]);
    json_write_object_end(w);
    driver_write_number(w, "not_applied", sums.not_applied);
}

static void run_load(char **words) {
    const struct load load = {.threads     = (unsigned)driver_number(words[1]),
                              .keys        = (unsigned)driver_number(words[2]),
                              .window      = (unsigned)driver_number(words[5]),
                              .jobs_max    = UINT64_MAX,
                              .span_ns     = driver_ms(words[3]),
                              .deadline_ns = driver_ms(words[4]),
                              .submit      = load_submit,
                              .statuses    = CASSANDRA_NO_MEMORY + 1,
                              .status_name = status_name,
                              .tell        = sums_tell};
    kind                   = LOAD_COUNTER;
    if (strcmp(words[0], "once") == 0) kind = LOAD_ONCE;
    if (strcmp(words[0], "plain") == 0) kind = LOAD_PLAIN;
    memset(&sums, 0, sizeof sums);
    load_run(&load);
}

/* ---- the rest ---- */

static void run_counts(void) {
    struct cassandra_counts counts;
    struct json_writer      w;
    cassandra_counts(c, &counts);
    driver_answer_begin(&w);
    driver_write_number(&w, "connects", counts.connects);
    driver_write_number(&w, "losses", counts.losses);
    driver_write_number(&w, "misses", counts.misses);
    driver_write_number(&w, "prepares", counts.prepares);
    driver_write_number(&w, "unprepared", counts.unprepared);
    driver_write_number(&w, "retries", counts.retries);
    driver_write_number(&w, "refreshes", counts.refreshes);
    driver_write_number(&w, "events", counts.events);
    driver_write_number(&w, "writes", counts.writes);
    driver_answer_end(&w);
}

static void tell_child(void) {
    struct cassandra_result result;
    cassandra_ready(c, clock_now_ns(), &result);
    show(&result, 0);
    cassandra_close(c);
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
    for (uint64_t i = driver_number(words[0]); i > 0; i--) {
        struct cassandra_request request = {.statement   = &counter,
                                            .values      = &value,
                                            .value_count = 1,
                                            .key         = value.bytes,
                                            .consistency = CQL_QUORUM,
                                            .deadline_ns = clock_now_ns() + driver_ms(words[1]),
                                            .done        = left_done};
        if (cassandra_submit(c, &request) == CASSANDRA_DONE) left_behind++;
    }
    struct json_writer w;
    driver_answer_begin(&w);
    driver_write_number(&w, "left", left_behind);
    driver_answer_end(&w);
}

static void run_line(char **words, unsigned count) {
    char **rest = words + 1;
    if (strcmp(words[0], "ready") == 0 && count == 2) {
        run_ready(rest);
    } else if (strcmp(words[0], "query") == 0 && count >= 4) {
        run_statement(rest, count - 1, false);
    } else if (strcmp(words[0], "prepared") == 0 && count >= 4) {
        run_statement(rest, count - 1, true);
    } else if (strcmp(words[0], "conditional") == 0 && count == 4) {
        run_conditional(rest);
    } else if (strcmp(words[0], "load") == 0 && count == 7) {
        run_load(rest);
    } else if (strcmp(words[0], "leave") == 0 && count == 3) {
        run_leave(rest);
    } else if (strcmp(words[0], "counts") == 0) {
        run_counts();
    } else if (strcmp(words[0], "fork") == 0) {
        driver_in_child(tell_child);
    } else {
        driver_stop("what is this line?");
    }
}

int main(int count, char **words) {
    struct cassandra_options   options = {0};
    char                       problem[CASSANDRA_PROBLEM_BYTES_MAX];
    const struct driver_option known[] = {
        {"--ca", .text = &options.ca_file},
        {"--cert", .text = &options.cert_file},
        {"--key", .text = &options.key_file},
        {"--connections", .number = &options.connections},
        {"--requests-max", .number = &options.requests_max},
        {"--connect-ms", .ns = &options.connect_ns},
        {.name = NULL},
    };
    if (count < 2) driver_stop("usage: driver URL [--NAME VALUE]...");
    driver_read_options(known, words + 2, count - 2);
    c = cassandra_open(view_of(words[1]), &options, problem);
    if (c == NULL) driver_stop(problem);
    driver_read_lines(run_line);
    cassandra_close(c);
    if (atomic_load(&left_called) != left_behind)
        driver_stop("cassandra_close() has forgotten a callback");
    printf("{\"closed\":true}\n");
    return 0;
}
