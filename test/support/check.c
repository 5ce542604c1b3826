/* SPDX-License-Identifier: MIT
 *
 * check: runs the tests that registered themselves, through cmocka. The main() of each test
 * program that is written with check.h. */
#include "support/check.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHECK_TESTS_MAX = 1024, CHECK_BYTES_SHOWN_MAX = 64 };

static struct CMUnitTest check_tests[CHECK_TESTS_MAX];
static size_t            check_test_count;
static void (*check_bodies[CHECK_TESTS_MAX])(void);
static const char *check_running = "";
static const char *check_program = "";
static uint64_t    check_seed_value;
static pid_t       check_thread;

/* How __builtin_trap() and abort() end a process, by machine. */
static const int check_trap_signals[] = {SIGILL, SIGTRAP, SIGABRT};

static void check_run_one(void **state);
static void check_usage(void) __attribute__((noreturn));
static bool check_holds(struct check_value a, enum check_relation relation, struct check_value b);
static void check_value_write(char *out, size_t out_bytes, struct check_value value);
static void check_bytes_write(char *out, size_t out_bytes, const void *bytes, size_t count);

int main(int argc, char **argv) {
    check_program = argv[0];
    check_thread  = gettid();

    const char *seed_text = getenv("WEIR_SEED");
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (size_t t = 0; t < check_test_count; t++) puts(check_tests[t].name);
            return 0;
        }
        if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
            seed_text = argv[++i];
        } else if (argv[i][0] == '-') {
            check_usage();
        } else {
            cmocka_set_test_filter(argv[i]);
        }
    }

    if (seed_text != NULL && seed_text[0] != '\0') {
        char *end        = NULL;
        check_seed_value = strtoull(seed_text, &end, 0);
        if (*end != '\0') check_usage();
    } else if (getrandom(&check_seed_value, sizeof check_seed_value, 0) !=
               (ssize_t)sizeof check_seed_value) {
        fprintf(stderr, "%s: no randomness to be had; give --seed\n", check_program);
        return 2;
    }
    if (check_test_count == 0) {
        fprintf(stderr, "%s: holds no test\n", check_program);
        return 2;
    }
    return _cmocka_run_group_tests(check_program, check_tests, check_test_count, NULL, NULL) != 0;
}

void check_register(const char *sentence, const char *file, void (*run)(void)) {
    if (check_test_count == CHECK_TESTS_MAX) {
        fprintf(stderr, "%s: more than %d tests in one program\n", file, CHECK_TESTS_MAX);
        abort();
    }
    check_bodies[check_test_count] = run;
    check_tests[check_test_count]  = (struct CMUnitTest){
         .name          = sentence,
         .test_func     = check_run_one,
         .initial_state = &check_bodies[check_test_count],
    };
    check_test_count++;
}

static void check_run_one(void **state) {
    void (**body)(void) = *state;
    check_running       = check_tests[body - check_bodies].name;
    (*body)();
}

uint64_t check_seed(void) { return check_seed_value; }

uint64_t check_effort(uint64_t count) {
    const char *text   = getenv("WEIR_TEST_EFFORT");
    double      effort = text == NULL || text[0] == '\0' ? 1.0 : strtod(text, NULL);
    double      rounds = (double)count * effort;
    return rounds < 1.0 ? 1 : (uint64_t)rounds;
}

void check_failed(const char *file, int line, const char *format, ...) {
    char    what[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);

    print_error("%s:%d: %s\n    repeat: %s --seed %" PRIu64 " %s\n", file, line, what,
                check_program, check_seed_value, check_running);
    if (gettid() != check_thread) {
        fprintf(stderr, "The check was made by a thread that the test started: stopping here.\n");
        abort();
    }
    _fail(file, line);
    abort(); /* _fail() does not return; cmocka does not say so to the compiler. */
}

void check_compare(const char *file, int line, const char *actual_text, const char *expected_text,
                   struct check_value actual, enum check_relation relation,
                   struct check_value expected) {
    if (check_holds(actual, relation, expected)) return;

    static const char *const signs[] = {"==", "!=", "<", "<=", ">", ">="};
    char                     actual_value[64], expected_value[64];
    check_value_write(actual_value, sizeof actual_value, actual);
    check_value_write(expected_value, sizeof expected_value, expected);
    check_failed(file, line, "%s %s %s, but the left is %s and the right is %s", actual_text,
                 signs[relation], expected_text, actual_value, expected_value);
}

void check_strings(const char *file, int line, const char *actual_text, const char *expected_text,
                   const char *actual, const char *expected) {
    if (actual == expected) return;
    if (actual != NULL && expected != NULL && strcmp(actual, expected) == 0) return;
    check_failed(file, line, "%s is not %s:\n    actual:   \"%s\"\n    expected: \"%s\"",
                 actual_text, expected_text, actual == NULL ? "(NULL)" : actual,
                 expected == NULL ? "(NULL)" : expected);
}

void check_contains(const char *file, int line, const char *text_text, const char *part_text,
                    const char *text, const char *part) {
    if (text != NULL && part != NULL && strstr(text, part) != NULL) return;
    check_failed(file, line, "%s does not contain %s:\n    text: \"%s\"\n    part: \"%s\"",
                 text_text, part_text, text == NULL ? "(NULL)" : text,
                 part == NULL ? "(NULL)" : part);
}

void check_memory(const char *file, int line, const char *actual_text, const char *expected_text,
                  const void *actual, const void *expected, size_t bytes) {
    if (bytes == 0 || memcmp(actual, expected, bytes) == 0) return;

    const unsigned char *a = actual, *b = expected;
    size_t               first = 0;
    while (a[first] == b[first]) first++;
    size_t shown = bytes - first;
    char   actual_bytes[4 * CHECK_BYTES_SHOWN_MAX], expected_bytes[4 * CHECK_BYTES_SHOWN_MAX];
    check_bytes_write(actual_bytes, sizeof actual_bytes, a + first, shown);
    check_bytes_write(expected_bytes, sizeof expected_bytes, b + first, shown);
    check_failed(file, line,
                 "%s is not %s, from byte %zu of %zu:\n    actual:  %s\n    expected:%s",
                 actual_text, expected_text, first, bytes, actual_bytes, expected_bytes);
}

bool check_fork_child(void) {
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) check_failed(__FILE__, __LINE__, "fork() failed");
    if (child > 0) return false;

    /* What the child says on its way down is expected, and a core file is of no use; cmocka's own
     * signal handlers would turn the trap into a failed test inside the child. */
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    if (freopen("/dev/null", "w", stderr) == NULL) _exit(3);
    for (size_t i = 0; i < sizeof check_trap_signals / sizeof *check_trap_signals; i++) {
        signal(check_trap_signals[i], SIG_DFL);
    }
    return true;
}

void check_child_survived(void) { _exit(0); }

void check_child_trapped(const char *file, int line, const char *statement) {
    int status = 0;
    if (wait(&status) < 0) check_failed(file, line, "no child to wait for");
    for (size_t i = 0; i < sizeof check_trap_signals / sizeof *check_trap_signals; i++) {
        if (WIFSIGNALED(status) && WTERMSIG(status) == check_trap_signals[i]) return;
    }
    check_failed(file, line, "%s should break a contract, but it %s %d", statement,
                 WIFSIGNALED(status) ? "ended by signal" : "ended with status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void check_usage(void) {
    fprintf(stderr, "usage: %s [--seed N] [--list] [name or pattern with * and ?]\n",
            check_program);
    exit(2);
}

/* Integers compare by value: -1 is less than any unsigned number, which C's own rules deny. */
static bool check_holds(struct check_value a, enum check_relation relation, struct check_value b) {
    int order = 0;
    if (a.kind == CHECK_POINTER || b.kind == CHECK_POINTER) {
        /* NULL and 0 compare with a pointer. */
        uintptr_t left = (uintptr_t)a.as_pointer, right = (uintptr_t)b.as_pointer;
        order = (left > right) - (left < right);
    } else if (a.kind == CHECK_REAL || b.kind == CHECK_REAL) {
        double left  = a.kind == CHECK_REAL     ? a.as_real
                       : a.kind == CHECK_SIGNED ? (double)a.as_signed
                                                : (double)a.as_unsigned;
        double right = b.kind == CHECK_REAL     ? b.as_real
                       : b.kind == CHECK_SIGNED ? (double)b.as_signed
                                                : (double)b.as_unsigned;
        if (left != left || right != right) return relation == CHECK_IS_NE;
        order = (left > right) - (left < right);
    } else {
        bool a_is_negative = a.kind == CHECK_SIGNED && a.as_signed < 0;
        bool b_is_negative = b.kind == CHECK_SIGNED && b.as_signed < 0;
        if (a_is_negative != b_is_negative) {
            order = a_is_negative ? -1 : 1;
        } else { /* Same sign: two's complement keeps the order. */
            order = (a.as_unsigned > b.as_unsigned) - (a.as_unsigned < b.as_unsigned);
        }
    }
    switch (relation) {
    case CHECK_IS_EQ: return order == 0;
    case CHECK_IS_NE: return order != 0;
    case CHECK_IS_LT: return order < 0;
    case CHECK_IS_LE: return order <= 0;
    case CHECK_IS_GT: return order > 0;
    case CHECK_IS_GE: return order >= 0;
    }
    return false;
}

static void check_value_write(char *out, size_t out_bytes, struct check_value value) {
    switch (value.kind) {
    case CHECK_SIGNED: snprintf(out, out_bytes, "%jd", value.as_signed); break;
    case CHECK_UNSIGNED:
        snprintf(out, out_bytes, "%ju (0x%jx)", value.as_unsigned, value.as_unsigned);
        break;
    case CHECK_REAL: snprintf(out, out_bytes, "%.17g", value.as_real); break;
    case CHECK_POINTER: snprintf(out, out_bytes, "%p", value.as_pointer); break;
    }
}

static void check_bytes_write(char *out, size_t out_bytes, const void *bytes, size_t count) {
    const unsigned char *from = bytes;
    size_t               used = 0;
    for (size_t i = 0; i < count && i < CHECK_BYTES_SHOWN_MAX && used + 4 < out_bytes; i++) {
        used += (size_t)snprintf(out + used, out_bytes - used, " %02x", from[i]);
    }
}
