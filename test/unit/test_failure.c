/* SPDX-License-Identifier: MIT */
#include "store/cassandra/failure.h"

#include "support/check.h"

TEST(every_error_of_the_protocol_has_a_meaning) {
#define MUST_BE_KNOWN(name, code, word, text)                                                      \
    CHECK(failure_of(code).status == CASSANDRA_FAILED ||                                           \
          failure_of(code).fate == FATE_NOT_EXECUTED);                                             \
    CHECK(failure_of(code).cure == FAILURE_GIVE_UP || failure_of(code).fate == FATE_NOT_EXECUTED);
    CQL_ERROR_TABLE(MUST_BE_KNOWN)
#undef MUST_BE_KNOWN
}

TEST(what_may_have_been_done_is_never_called_undone) {
    static const int32_t codes[] = {CQL_ERROR_SERVER,       CQL_ERROR_WRITE_TIMEOUT,
                                    CQL_ERROR_READ_TIMEOUT, CQL_ERROR_WRITE_FAILURE,
                                    CQL_ERROR_READ_FAILURE, CQL_ERROR_CAS_UNKNOWN,
                                    CQL_ERROR_CDC_WRITE,    0x7777};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        CHECK_EQ(failure_of(codes[i]).fate, FATE_UNKNOWN);
}

TEST(what_another_node_may_do_is_tried_there) {
    CHECK_EQ(failure_of(CQL_ERROR_UNAVAILABLE).cure, FAILURE_ELSEWHERE);
    CHECK_EQ(failure_of(CQL_ERROR_OVERLOADED).cure, FAILURE_ELSEWHERE);
    CHECK_EQ(failure_of(CQL_ERROR_BOOTSTRAPPING).cure, FAILURE_ELSEWHERE);
    CHECK_EQ(failure_of(CQL_ERROR_INVALID).cure, FAILURE_GIVE_UP);
}

TEST(an_operator_reads_the_word_its_meaning_and_what_the_server_said) {
    char problem[CASSANDRA_PROBLEM_BYTES_MAX];
    failure_write(CQL_ERROR_INVALID, view_of("table t does not exist"), problem, sizeof problem);
    CHECK_STR_EQ(problem,
                 "INVALID: the server cannot run a statement as it is (table t does not exist)");
}

TEST(a_table_that_is_not_there_is_told_from_what_else_is_invalid) {
    CHECK(failure_is_of_schema(CQL_ERROR_INVALID, "INVALID: ... (table t does not exist)"));
    CHECK(failure_is_of_schema(CQL_ERROR_INVALID, "INVALID: ... (unconfigured table t)"));
    CHECK(failure_is_of_schema(CQL_ERROR_INVALID, "INVALID: ... (Undefined column name c in t)"));
    CHECK(!failure_is_of_schema(CQL_ERROR_INVALID, "INVALID: ... (ttl is too large)"));
    CHECK(!failure_is_of_schema(CQL_ERROR_UNAUTHORIZED, "role r does not exist"));
}
