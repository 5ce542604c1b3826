/* SPDX-License-Identifier: MIT
 *
 * check: how does a test say what must be true?
 *
 *     #include "support/check.h"
 *
 *     TEST(window_forgets_hits_that_left_it) {
 *         CHECK_EQ(window_left(&w), 3);
 *     }
 *
 * That is a whole test program: tests register themselves, main() is in check.c, and a file
 * test/unit/test_<noun>.c is built and run by being there. A failed check prints file:line, both
 * values and the command that repeats the failure with its seed, and ends that test only.
 *
 * A program takes  [--seed N] [--list] [name or pattern with * and ?].
 * Random tests draw from check_seed(), which is new in each run unless --seed or the environment
 * variable WEIR_SEED gives it. CHECK from a thread that a test started ends the whole program,
 * since there is no way back to the test from there.
 */
#ifndef WEIR_TEST_CHECK_H
#define WEIR_TEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two sentences in one: declares the test and puts it on the list. */
#define TEST(sentence)                                                                             \
    static void                              sentence(void);                                       \
    __attribute__((constructor)) static void check_register_##sentence(void) {                     \
        check_register(#sentence, __FILE__, sentence);                                             \
    }                                                                                              \
    static void sentence(void)

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) check_failed(__FILE__, __LINE__, "%s", #condition);                      \
    } while (0)

/* With words of your own: CHECK_SAYS(sum <= limit, "rule %zu admitted %lu", index, sum). */
#define CHECK_SAYS(condition, ...)                                                                 \
    do {                                                                                           \
        if (!(condition)) check_failed(__FILE__, __LINE__, __VA_ARGS__);                           \
    } while (0)

/* Compares any two integers by value, whatever their signs and widths; or two floating point
 * numbers; or two pointers. */
#define CHECK_EQ(actual, expected) CHECK_COMPARE(actual, CHECK_IS_EQ, expected)
#define CHECK_NE(actual, expected) CHECK_COMPARE(actual, CHECK_IS_NE, expected)
#define CHECK_LT(actual, bound)    CHECK_COMPARE(actual, CHECK_IS_LT, bound)
#define CHECK_LE(actual, bound)    CHECK_COMPARE(actual, CHECK_IS_LE, bound)
#define CHECK_GT(actual, bound)    CHECK_COMPARE(actual, CHECK_IS_GT, bound)
#define CHECK_GE(actual, bound)    CHECK_COMPARE(actual, CHECK_IS_GE, bound)

#define CHECK_STR_EQ(actual, expected)                                                             \
    check_strings(__FILE__, __LINE__, #actual, #expected, (actual), (expected))
#define CHECK_CONTAINS(text, part) check_contains(__FILE__, __LINE__, #text, #part, (text), (part))
#define CHECK_MEM_EQ(actual, expected, bytes)                                                      \
    check_memory(__FILE__, __LINE__, #actual, #expected, (actual), (expected), (bytes))

/* The statement must end the process as a broken REQUIRE does. It runs in a child. */
#define CHECK_TRAPS(statement)                                                                     \
    do {                                                                                           \
        if (check_fork_child()) {                                                                  \
            statement;                                                                             \
            check_child_survived();                                                                \
        }                                                                                          \
        check_child_trapped(__FILE__, __LINE__, #statement);                                       \
    } while (0)

/* The seed of this run. */
uint64_t check_seed(void);

/* How hard to try: `count`, times the environment variable WEIR_TEST_EFFORT (1 if unset, may be a
 * fraction), and at least 1. Long tests count their rounds by it. */
uint64_t check_effort(uint64_t count);

/* ---- what the macros stand on ---- */

enum check_relation {
    CHECK_IS_EQ,
    CHECK_IS_NE,
    CHECK_IS_LT,
    CHECK_IS_LE,
    CHECK_IS_GT,
    CHECK_IS_GE
};

enum check_kind { CHECK_SIGNED, CHECK_UNSIGNED, CHECK_REAL, CHECK_POINTER };

struct check_value {
    enum check_kind kind;
    union {
        intmax_t    as_signed;
        uintmax_t   as_unsigned;
        double      as_real;
        const void *as_pointer;
    };
};

#define CHECK_COMPARE(actual, relation, expected)                                                  \
    check_compare(__FILE__, __LINE__, #actual, #expected, CHECK_VALUE(actual), relation,           \
                  CHECK_VALUE(expected))

/* clang-format off: clang-format 14 does not know how to lay out _Generic. */
#define CHECK_VALUE(x)                                                                             \
    _Generic((x), _Bool                                                                            \
             : check_unsigned, unsigned char                                                       \
             : check_unsigned, unsigned short                                                      \
             : check_unsigned, unsigned int                                                        \
             : check_unsigned, unsigned long                                                       \
             : check_unsigned, unsigned long long                                                  \
             : check_unsigned, char                                                                \
             : check_signed, signed char                                                           \
             : check_signed, short                                                                 \
             : check_signed, int                                                                   \
             : check_signed, long                                                                  \
             : check_signed, long long                                                             \
             : check_signed, float                                                                 \
             : check_real, double                                                                  \
             : check_real, default                                                                 \
             : check_pointer)(x)
/* clang-format on */

static inline struct check_value check_signed(intmax_t value) {
    return (struct check_value){.kind = CHECK_SIGNED, .as_signed = value};
}
static inline struct check_value check_unsigned(uintmax_t value) {
    return (struct check_value){.kind = CHECK_UNSIGNED, .as_unsigned = value};
}
static inline struct check_value check_real(double value) {
    return (struct check_value){.kind = CHECK_REAL, .as_real = value};
}
static inline struct check_value check_pointer(const void *value) {
    return (struct check_value){.kind = CHECK_POINTER, .as_pointer = value};
}

void check_register(const char *sentence, const char *file, void (*run)(void));
void check_failed(const char *file, int line, const char *format, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void check_compare(const char *file, int line, const char *actual_text, const char *expected_text,
                   struct check_value actual, enum check_relation relation,
                   struct check_value expected);
void check_strings(const char *file, int line, const char *actual_text, const char *expected_text,
                   const char *actual, const char *expected);
void check_contains(const char *file, int line, const char *text_text, const char *part_text,
                    const char *text, const char *part);
void check_memory(const char *file, int line, const char *actual_text, const char *expected_text,
                  const void *actual, const void *expected, size_t bytes);
bool check_fork_child(void);
void check_child_survived(void) __attribute__((noreturn));
void check_child_trapped(const char *file, int line, const char *statement);

#endif
