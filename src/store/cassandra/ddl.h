/* SPDX-License-Identifier: MIT
 *
 * ddl: which tables does weir keep in a keyspace of Cassandra, and are they there?
 *
 * One description of the tables serves both for the statements that make them and for the check of what a
 * cluster has. They carry their version in their comments: "weir schema 1: ...". docs/cassandra.md says why
 * they are as they are.
 *
 * All but ddl_look() and ddl_check() is pure. */
#ifndef WEIR_STORE_CASSANDRA_DDL_H
#define WEIR_STORE_CASSANDRA_DDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/cassandra/cassandra.h"
#include "store/cassandra/contact.h"

enum {
    DDL_VERSION        = 1,
    DDL_TABLES         = 2,
    DDL_COLUMNS_MAX    = 16, /* that are looked at of one table */
    DDL_FACTORS_MAX    = 16,
    DDL_NAME_BYTES_MAX = CONTACT_KEYSPACE_BYTES_MAX, /* of keyspaces, tables and columns */
    DDL_TYPE_BYTES_MAX = 64,
    DDL_TEXT_BYTES_MAX = 4096, /* of any statement */
};

enum ddl_kind { DDL_PARTITION_KEY, DDL_CLUSTERING_KEY, DDL_REGULAR, DDL_OTHER_KIND };

/* The keys first, in their order. */
struct ddl_column {
    char          name[DDL_NAME_BYTES_MAX];
    char          type[DDL_TYPE_BYTES_MAX];
    enum ddl_kind kind;
};

struct ddl_table {
    char              name[DDL_NAME_BYTES_MAX];
    char              comment[256];
    unsigned          column_count;
    struct ddl_column columns[DDL_COLUMNS_MAX];
};

/* As they should be. No comment holds a semicolon: there are tools that cut statements there. */
extern const struct ddl_table ddl_tables[DDL_TABLES];

/* ---- statements ---- */

/* How many replicas a data centre has; "replication_factor" instead of its name: each of them. */
struct ddl_factor {
    const char *datacenter;
    unsigned    replicas;
};

/* CREATE KEYSPACE IF NOT EXISTS, CREATE TABLE IF NOT EXISTS, with a semicolon. False: `text` is too short for
 * it, which DDL_TEXT_BYTES_MAX bytes are not for names that a server takes. */
bool ddl_write_keyspace(const char *keyspace, const struct ddl_factor *factors, unsigned count,
                        char *text, size_t room);
bool ddl_write_table(const char *keyspace, const struct ddl_table *table, char *text, size_t room);

/* ---- what a cluster has ---- */

enum ddl_state {
    DDL_READY,
    DDL_NO_KEYSPACE,
    DDL_NO_TABLE, /* one of ours at least; none is other than it should be */
    DDL_OTHER,    /* a table of our name is not ours, of another version, or has other columns */
    DDL_UNASKED,  /* no server has answered */
};

struct ddl_found {
    bool             has_keyspace;
    bool             has_table[DDL_TABLES];
    struct ddl_table tables[DDL_TABLES]; /* has_table */
};

/* All but DDL_READY: `problem` says what is wrong and what to do. It has printable ASCII only. */
enum ddl_state ddl_judge(const struct ddl_found *found, const char *keyspace,
                         char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

/* The same of what a server has. `node`: who is asked; NULL: any. */
enum ddl_state ddl_look(struct cassandra *c, const char *keyspace, const struct cql_uuid *node,
                        uint64_t deadline_ns, char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

/* For who wants to use the tables. False: `problem`. */
bool ddl_check(struct cassandra *c, struct view keyspace, uint64_t deadline_ns,
               char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

#endif
