/* SPDX-License-Identifier: MIT
 *
 * failure: what does a server's error mean for a request, and what is to be done?
 *
 * One table, for all of enum cql_error_code. An error that is not in it may mean anything, so the fate of its
 * request is not known. */
#ifndef WEIR_STORE_CASSANDRA_FAILURE_H
#define WEIR_STORE_CASSANDRA_FAILURE_H

#include "store/cassandra/cassandra.h"

enum failure_cure {
    FAILURE_GIVE_UP,   /* only who asked, or a person, can help */
    FAILURE_ELSEWHERE, /* another node may do it, or the same one soon */
    FAILURE_PREPARE,   /* the node has forgotten the statement: give it the text */
};

struct failure {
    enum cassandra_status status;
    enum fate             fate;
    enum failure_cure     cure;
};

struct failure failure_of(int32_t code);

/* Whether a server with this error says that a keyspace, a table or a column is not there; `said` holds its
 * words. It calls other things invalid, too. */
bool failure_is_of_schema(int32_t code, const char *said);

/* What an operator reads: what the code means, and what the server said. */
void failure_write(int32_t code, struct view said, char *problem, size_t room);

#endif
