/* SPDX-License-Identifier: MIT */
#include "store/cassandra/failure.h"

#include <stdio.h>
#include <string.h>

/* A server says UNAVAILABLE, OVERLOADED and IS_BOOTSTRAPPING before it asks any replica; of a conditional
 * update it may say the first two later, too (claim_words.h). A request that timed out or failed was asked of
 * replicas, and a conditional one may do its writing while it reads. */
static const struct {
    int32_t        code;
    struct failure failure;
} failures[] = {
    {CQL_ERROR_SERVER, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_PROTOCOL, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_CREDENTIALS, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_UNAVAILABLE, {CASSANDRA_UNREADY, FATE_NOT_EXECUTED, FAILURE_ELSEWHERE}},
    {CQL_ERROR_OVERLOADED, {CASSANDRA_UNREADY, FATE_NOT_EXECUTED, FAILURE_ELSEWHERE}},
    {CQL_ERROR_BOOTSTRAPPING, {CASSANDRA_UNREADY, FATE_NOT_EXECUTED, FAILURE_ELSEWHERE}},
    {CQL_ERROR_TRUNCATE, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_WRITE_TIMEOUT, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_READ_TIMEOUT, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_READ_FAILURE, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_FUNCTION_FAILURE, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_WRITE_FAILURE, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_CDC_WRITE, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_CAS_UNKNOWN, {CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP}},
    {CQL_ERROR_SYNTAX, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_UNAUTHORIZED, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_INVALID, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_CONFIG, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_ALREADY_EXISTS, {CASSANDRA_REFUSED, FATE_NOT_EXECUTED, FAILURE_GIVE_UP}},
    {CQL_ERROR_UNPREPARED, {CASSANDRA_UNREADY, FATE_NOT_EXECUTED, FAILURE_PREPARE}},
};

struct failure failure_of(int32_t code) {
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == code) return failures[i].failure;
    return (struct failure){CASSANDRA_FAILED, FATE_UNKNOWN, FAILURE_GIVE_UP};
}

/* As servers of 4.0 to 5.0 say it: "Keyspace 'k' does not exist", "table t does not exist", "unconfigured
 * table t", "Undefined column name c", "Unknown identifier c". */
bool failure_is_of_schema(int32_t code, const char *said) {
    static const char *const words[] = {"does not exist", "nconfigured table", "ndefined column",
                                        "nknown identifier"};
    if (code != CQL_ERROR_INVALID) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(said, words[i]) != NULL) return true;
    return false;
}

void failure_write(int32_t code, struct view said, char *problem, size_t room) {
    int bytes = said.bytes < 300 ? (int)said.bytes : 300;
    (void)snprintf(problem, room, "%s: %s (%.*s)", cql_error_word(code), cql_error_text(code),
                   bytes, said.data);
}
