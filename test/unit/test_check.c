/* SPDX-License-Identifier: MIT
 *
 * Checks the checker: a test framework that never fails would let everything else pass. The
 * checks that must fail run in a child, whose CHECK ends it through the "wrong thread" road. */
#include "support/check.h"

#include "base/contract.h"

#include <pthread.h>

static uint64_t check_seed_seen;

static void *fail_here(void *nothing) {
    (void)nothing;
    CHECK_EQ(1 + 1, 3);
    return NULL;
}

static void fail_in_a_thread(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, fail_here, NULL) == 0) pthread_join(thread, NULL);
}

TEST(integers_compare_by_value_whatever_their_type) {
    CHECK_LT(-1, UINT64_MAX);
    CHECK_GT(UINT64_MAX, -1);
    CHECK_NE(-1, UINT64_MAX);
    CHECK_EQ((uint8_t)200, 200);
    CHECK_EQ(INT64_MIN, INT64_MIN);
    CHECK_LE(INT64_MIN, INT64_MAX);
    CHECK_GE(true, 1);
}

TEST(reals_strings_pointers_and_memory_compare) {
    CHECK_EQ(0.5, 0.5);
    CHECK_LT(1, 1.5);
    CHECK_NE(&check_seed_seen, NULL);
    CHECK_STR_EQ("weir", "weir");
    CHECK_CONTAINS("a weir in a river", "weir");
    CHECK_MEM_EQ("a\0b", "a\0b", 3);
}

TEST(a_false_check_in_a_thread_ends_the_program) { CHECK_TRAPS(fail_in_a_thread()); }

TEST(a_broken_contract_is_seen) { CHECK_TRAPS(REQUIRE(1 > 2)); }

TEST(effort_is_never_zero) { CHECK_GE(check_effort(0), 1); }
