/* SPDX-License-Identifier: MIT */
#include "store/cassandra/ddl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* How long a replica that was away may learn what it missed: as long as others keep hints for it (three
 * hours, max_hint_window), and as long as a conditional update is remembered at least. */
#define GC_GRACE "10800"

/* When a coordinator asks one more replica for a row. By itself it waits for as long as 99 of 100 reads took
 * lately, and where a replica is silent that is soon as long as it waits at all: users waited for 20 s, until
 * the nodes had given that one up. */
#define SPECULATIVE_RETRY "MIN(99p,50ms)"

static const char version_word[] = "weir schema ";

const struct ddl_table ddl_tables[DDL_TABLES] = {
    {.name = "weir_claims",
     .comment =
         "weir schema 1: how much of each limit each process claims (docs/cassandra.md of weir)",
     .column_count = 6,
     .columns      = {{"name", "blob", DDL_PARTITION_KEY},
                      {"id", "bigint", DDL_CLUSTERING_KEY},
                      {"number", "bigint", DDL_REGULAR},
                      {"permits", "bigint", DDL_REGULAR},
                      {"demand", "bigint", DDL_REGULAR},
                      {"resets", "bigint", DDL_REGULAR}}},
    {.name         = "weir_members",
     .comment      = "weir schema 1: which processes are alive (docs/cassandra.md of weir)",
     .column_count = 7,
     .columns      = {{"bucket", "int", DDL_PARTITION_KEY},
                      {"id", "bigint", DDL_CLUSTERING_KEY},
                      {"beat", "bigint", DDL_REGULAR},
                      {"is_fenced", "boolean", DDL_REGULAR},
                      {"keep", "int", DDL_REGULAR},
                      {"shortages", "blob", DDL_REGULAR},
                      {"fenced_for", "int", DDL_REGULAR}}},
};

/* ---- statements ---- */

struct writer {
    char  *text;
    size_t used;
    size_t room;
};

__attribute__((format(printf, 2, 3))) static void write_text(struct writer *w, const char *format,
                                                             ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t left   = w->used < w->room ? w->room - w->used : 0;
    int    length = vsnprintf(left > 0 ? w->text + w->used : NULL, left, format, arguments);
    va_end(arguments);
    w->used += length > 0 ? (size_t)length : 0;
}

/* A text in CQL: a quote in it is written twice. */
static void write_quoted(struct writer *w, const char *text) {
    write_text(w, "'");
    for (; *text != '\0'; text++) write_text(w, "%s%c", *text == '\'' ? "'" : "", *text);
    write_text(w, "'");
}

bool ddl_write_keyspace(const char *keyspace, const struct ddl_factor *factors, unsigned count,
                        char *text, size_t room) {
    struct writer w = {.text = text, .room = room};
    write_text(&w, "CREATE KEYSPACE IF NOT EXISTS \"%s\"\n", keyspace);
    write_text(&w, "    WITH replication = {'class': 'NetworkTopologyStrategy'");
    for (unsigned i = 0; i < count; i++) {
        write_text(&w, ", ");
        write_quoted(&w, factors[i].datacenter);
        write_text(&w, ": %u", factors[i].replicas);
    }
    write_text(&w, "}\n    AND durable_writes = true;");
    return w.used < room;
}

bool ddl_write_table(const char *keyspace, const struct ddl_table *table, char *text, size_t room) {
    struct writer            w       = {.text = text, .room = room};
    const struct ddl_column *columns = table->columns;
    write_text(&w, "CREATE TABLE IF NOT EXISTS \"%s\".%s (\n", keyspace, table->name);
    for (unsigned i = 0; i < table->column_count; i++)
        write_text(&w, "    %-10s %s,\n", columns[i].name, columns[i].type);
    write_text(&w, "    PRIMARY KEY (%s", columns[0].name);
    for (unsigned i = 1; i < table->column_count && columns[i].kind == DDL_CLUSTERING_KEY; i++)
        write_text(&w, ", %s", columns[i].name);
    write_text(&w, ")\n) WITH comment = ");
    write_quoted(&w, table->comment);
    write_text(&w, "\n    AND gc_grace_seconds = " GC_GRACE);
    write_text(&w, "\n    AND speculative_retry = '" SPECULATIVE_RETRY "';");
    return w.used < room;
}

/* ---- what a cluster has ---- */

__attribute__((format(printf, 2, 3))) static void say(char *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, format, arguments);
    va_end(arguments);
}

/* 0: there is none. */
static uint64_t version_of(const char *comment) {
    size_t bytes = strlen(version_word);
    if (strncmp(comment, version_word, bytes) != 0) return 0;
    struct view rest   = view_of(comment + bytes);
    const char *colon  = rest.bytes > 0 ? memchr(rest.data, ':', rest.bytes) : NULL;
    uint64_t    number = 0;
    if (colon == NULL) return 0;
    rest.bytes = (size_t)(colon - rest.data);
    return text_number_parse(rest, &number) ? number : 0;
}

static const struct ddl_column *find_column(const struct ddl_table *table, const char *name) {
    for (unsigned i = 0; i < table->column_count; i++)
        if (strcmp(table->columns[i].name, name) == 0) return &table->columns[i];
    return NULL;
}

/* Whether it is ours, of this version, with these columns. */
static bool judge_table(const struct ddl_table *found, const struct ddl_table *wanted,
                        const char *keyspace, char *problem) {
    static const char *const kinds[] = {"in the partition key", "in the clustering key",
                                        "outside the key", "of another kind"};
    static const char cure[]  = "name another keyspace in the URL, or drop the table while no "
                                "limit is in use, and run weir init";
    uint64_t          version = version_of(found->comment);
    if (version == 0) {
        say(problem,
            "the table %s.%s was not made by weir: its comment does not begin with \"%s%d:\"; %s",
            keyspace, wanted->name, version_word, DDL_VERSION, cure);
        return false;
    }
    if (version != DDL_VERSION) {
        say(problem,
            "the table %s.%s has version %llu of the schema, and this weir knows version %d only: "
            "run a weir that knows it; or %s",
            keyspace, wanted->name, (unsigned long long)version, DDL_VERSION, cure);
        return false;
    }
    for (unsigned i = 0; i < wanted->column_count; i++) {
        const struct ddl_column *should = &wanted->columns[i];
        const struct ddl_column *is     = find_column(found, should->name);
        if (is == NULL) {
            say(problem, "the table %s.%s lacks the column %s %s; %s", keyspace, wanted->name,
                should->name, should->type, cure);
            return false;
        }
        if (strcmp(is->type, should->type) != 0 || is->kind != should->kind) {
            say(problem, "in the table %s.%s the column %s is %s, %s, and should be %s, %s; %s",
                keyspace, wanted->name, should->name, is->type, kinds[is->kind], should->type,
                kinds[should->kind], cure);
            return false;
        }
    }
    for (unsigned i = 0; i < found->column_count; i++) {
        if (find_column(wanted, found->columns[i].name) != NULL) continue;
        say(problem, "the table %s.%s has a column that weir does not know, %s; %s", keyspace,
            wanted->name, found->columns[i].name, cure);
        return false;
    }
    return true;
}

enum ddl_state ddl_judge(const struct ddl_found *found, const char *keyspace,
                         char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    static const char cure[] = "run weir init with this URL, or what weir cassandra schema prints";
    problem[0]               = '\0';
    if (!found->has_keyspace) {
        say(problem, "there is no keyspace %s; %s", keyspace, cure);
        return DDL_NO_KEYSPACE;
    }
    for (unsigned i = 0; i < DDL_TABLES; i++)
        if (found->has_table[i] &&
            !judge_table(&found->tables[i], &ddl_tables[i], keyspace, problem))
            return DDL_OTHER;
    for (unsigned i = 0; i < DDL_TABLES; i++) {
        if (found->has_table[i]) continue;
        say(problem, "there is no table %s.%s; %s", keyspace, ddl_tables[i].name, cure);
        return DDL_NO_TABLE;
    }
    return DDL_READY;
}

/* ---- asking ---- */

enum { VALUES = 3, ANSWER_COLUMNS = 3 };

struct question {
    struct cassandra      *c;
    const struct cql_uuid *node;
    const char            *keyspace;
    uint64_t               deadline_ns;
};

/* `table` NULL: the statement has no marker for it. False: `result` says why there are no rows. */
static bool ask(const struct question *q, const char *text, const char *table,
                struct cassandra_result *result) {
    struct cql_value values[VALUES] = {{.presence = CQL_PRESENT, .bytes = view_of(q->keyspace)}};
    if (table != NULL)
        values[1] = (struct cql_value){.presence = CQL_PRESENT, .bytes = view_of(table)};
    cassandra_call(q->c,
                   &(struct cassandra_request){.text        = view_of(text),
                                               .values      = values,
                                               .value_count = table != NULL ? 2 : 1,
                                               .node        = q->node,
                                               .consistency = CQL_ONE,
                                               .deadline_ns = q->deadline_ns},
                   result);
    if (result->status == CASSANDRA_DONE && result->result.kind == CQL_ROWS) return true;
    if (result->status == CASSANDRA_DONE)
        say(result->problem, "the server answers a question without rows");
    return false;
}

/* Cut to what there is room for, and fit to be shown: what is longer, or has other bytes, is none of ours. */
static void keep(char *out, size_t room, struct cql_value value) {
    size_t bytes = value.bytes.bytes < room ? value.bytes.bytes : room - 1;
    for (size_t i = 0; i < bytes; i++) {
        char c = value.bytes.data[i];
        out[i] = (char)(c >= ' ' && c <= '~' ? c : '?');
    }
    out[bytes] = '\0';
}

static enum ddl_kind kind_of(struct cql_value value) {
    if (view_equals(value.bytes, view_of("partition_key"))) return DDL_PARTITION_KEY;
    if (view_equals(value.bytes, view_of("clustering"))) return DDL_CLUSTERING_KEY;
    return view_equals(value.bytes, view_of("regular")) ? DDL_REGULAR : DDL_OTHER_KIND;
}

static bool ask_table(const struct question *q, const char *name, struct ddl_table *table,
                      bool *is_there, struct cassandra_result *result) {
    struct cql_value values[ANSWER_COLUMNS];
    if (!ask(q,
             "SELECT comment FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?",
             name, result))
        return false;
    *is_there = cql_rows_next(&result->result.rows, values, 1);
    if (*is_there) keep(table->comment, sizeof table->comment, values[0]);
    cassandra_result_clear(result);
    if (!*is_there) return true;

    if (!ask(
            q,
            "SELECT column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ? AND "
            "table_name = ?",
            name, result))
        return false;
    keep(table->name, sizeof table->name,
         (struct cql_value){.presence = CQL_PRESENT, .bytes = view_of(name)});
    while (table->column_count < DDL_COLUMNS_MAX &&
           cql_rows_next(&result->result.rows, values, ANSWER_COLUMNS)) {
        struct ddl_column *column = &table->columns[table->column_count++];
        keep(column->name, sizeof column->name, values[0]);
        keep(column->type, sizeof column->type, values[1]);
        column->kind = kind_of(values[2]);
    }
    cassandra_result_clear(result);
    return true;
}

static bool ask_all(const struct question *q, struct ddl_found *found,
                    struct cassandra_result *result) {
    struct cql_value value;
    if (!ask(q, "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?", NULL,
             result))
        return false;
    found->has_keyspace = cql_rows_next(&result->result.rows, &value, 1);
    cassandra_result_clear(result);
    for (unsigned i = 0; i < DDL_TABLES && found->has_keyspace; i++)
        if (!ask_table(q, ddl_tables[i].name, &found->tables[i], &found->has_table[i], result))
            return false;
    return true;
}

enum ddl_state ddl_look(struct cassandra *c, const char *keyspace, const struct cql_uuid *node,
                        uint64_t deadline_ns, char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    struct ddl_found        found = {0};
    struct cassandra_result result;
    struct question         q = {c, node, keyspace, deadline_ns};
    if (ask_all(&q, &found, &result)) return ddl_judge(&found, keyspace, problem);
    keep(problem, CASSANDRA_PROBLEM_BYTES_MAX,
         (struct cql_value){.presence = CQL_PRESENT, .bytes = view_of(result.problem)});
    cassandra_result_clear(&result);
    return DDL_UNASKED;
}

bool ddl_check(struct cassandra *c, struct view keyspace, uint64_t deadline_ns,
               char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    char name[DDL_NAME_BYTES_MAX];
    keep(name, sizeof name, (struct cql_value){.presence = CQL_PRESENT, .bytes = keyspace});
    return ddl_look(c, name, NULL, deadline_ns, problem) == DDL_READY;
}
