/* SPDX-License-Identifier: MIT */
#include "store/cassandra/ddl.h"

#include <stdio.h>
#include <string.h>

#include "support/check.h"

static struct ddl_found found;
static char             problem[CASSANDRA_PROBLEM_BYTES_MAX];
static char             text[DDL_TEXT_BYTES_MAX];

/* A cluster that has all; each test takes something away. */
static struct ddl_table *all_there(void) {
    memset(&found, 0, sizeof found);
    found.has_keyspace = true;
    for (unsigned i = 0; i < DDL_TABLES; i++) {
        found.has_table[i] = true;
        found.tables[i]    = ddl_tables[i];
    }
    return found.tables;
}

static enum ddl_state judged(void) { return ddl_judge(&found, "weir", problem); }

TEST(a_keyspace_has_its_replicas_by_data_centre) {
    const struct ddl_factor factors[] = {{"here", 3}, {"o'there", 2}};
    CHECK(ddl_write_keyspace("Weir_2", factors, 2, text, sizeof text));
    CHECK_STR_EQ(text, "CREATE KEYSPACE IF NOT EXISTS \"Weir_2\"\n"
                       "    WITH replication = {'class': 'NetworkTopologyStrategy', 'here': 3, "
                       "'o''there': 2}\n"
                       "    AND durable_writes = true;");
    CHECK(!ddl_write_keyspace("Weir_2", factors, 2, text, 100));
}

TEST(a_table_has_its_key_its_version_and_its_grace) {
    CHECK(ddl_write_table("weir", &ddl_tables[0], text, sizeof text));
    CHECK_CONTAINS(text,
                   "CREATE TABLE IF NOT EXISTS \"weir\".weir_claims (\n    name       blob,\n");
    CHECK_CONTAINS(text, "    PRIMARY KEY (name, id)\n) WITH comment = 'weir schema 1: ");
    CHECK_CONTAINS(text, "AND gc_grace_seconds = 10800\n");
    CHECK_CONTAINS(text, "AND speculative_retry = 'MIN(99p,50ms)';");
    CHECK(ddl_write_table("weir", &ddl_tables[1], text, sizeof text));
    CHECK_CONTAINS(text, "\"weir\".weir_members (\n    bucket     int,\n");
    CHECK_CONTAINS(text, "PRIMARY KEY (bucket, id)");
    CHECK(!ddl_write_table("weir", &ddl_tables[1], text, 50));
}

TEST(what_is_there_as_it_should_be_is_ready) {
    (void)all_there();
    CHECK_EQ(judged(), DDL_READY);
    CHECK_STR_EQ(problem, "");
}

TEST(what_is_missing_is_said) {
    (void)all_there();
    found.has_keyspace = false;
    CHECK_EQ(judged(), DDL_NO_KEYSPACE);
    CHECK_CONTAINS(problem, "there is no keyspace weir; run weir init");
    (void)all_there();
    found.has_table[1] = false;
    CHECK_EQ(judged(), DDL_NO_TABLE);
    CHECK_CONTAINS(problem, "there is no table weir.weir_members; run weir init");
}

TEST(another_table_is_never_taken_for_ours) {
    static const struct {
        const char *comment;
        const char *problem;
    } cases[] = {{"", "weir.weir_claims was not made by weir"},
                 {"claims of our own", "was not made by weir"},
                 {"weir schema :", "was not made by weir"},
                 {"weir schema 1", "was not made by weir"},
                 {"weir schema x: a", "was not made by weir"},
                 {"weir schema 2: a", "has version 2 of the schema, and this weir knows version 1"},
                 {"weir schema 10: a", "has version 10 of the schema"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ddl_table *tables = all_there();
        (void)snprintf(tables[0].comment, sizeof tables[0].comment, "%s", cases[i].comment);
        found.has_table[1] = false; /* what is wrong matters more than what is missing */
        CHECK_EQ(judged(), DDL_OTHER);
        CHECK_CONTAINS(problem, cases[i].problem);
    }
    struct ddl_table *tables = all_there();
    (void)snprintf(tables[0].comment, sizeof tables[0].comment, "weir schema 1: anything");
    CHECK_EQ(judged(), DDL_READY);
}

TEST(other_columns_are_refused) {
    struct ddl_table *tables = all_there();
    (void)snprintf(tables[0].columns[3].type, DDL_TYPE_BYTES_MAX, "int");
    CHECK_EQ(judged(), DDL_OTHER);
    CHECK_CONTAINS(problem,
                   "weir.weir_claims the column permits is int, outside the key, and should "
                   "be bigint, outside the key");
    tables                    = all_there();
    tables[0].columns[1].kind = DDL_REGULAR;
    CHECK_EQ(judged(), DDL_OTHER);
    CHECK_CONTAINS(problem,
                   "the column id is bigint, outside the key, and should be bigint, in the "
                   "clustering key");
    tables = all_there();
    tables[1].column_count--;
    CHECK_EQ(judged(), DDL_OTHER);
    CHECK_CONTAINS(problem, "weir.weir_members lacks the column fenced_for int");
    tables                                      = all_there();
    tables[1].columns[tables[1].column_count++] = (struct ddl_column){"more", "text", DDL_REGULAR};
    CHECK_EQ(judged(), DDL_OTHER);
    CHECK_CONTAINS(problem, "a column that weir does not know, more");
}
