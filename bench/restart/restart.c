/* SPDX-License-Identifier: MIT
 *
 * restart: how long until a program that starts anew has its first decision, when the file holds millions?
 *
 * Fills a file, closes it, and then runs `weir allow` on it several times: from fork() to its end, which is
 * exec, opening, one decision, printing and closing. Beside it `weir --version`, which is all that but
 * the file. The file is in the memory of the system, as after a restart of a program and not of the machine.
 *
 * usage: weir-restart WEIR FILE [USERS [RUNS]]      (10000000 21)
 * prints one JSON document; exit 0 measured, 3 trouble. FILE is removed at the end. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

enum { BATCH = 256, NAME_BYTES = 24, URL_BYTES = 4200, RUNS_MAX = 999 };

static void fail(const char *what) {
    (void)fprintf(stderr, "weir-restart: %s\n", what);
    exit(3);
}

static void fill(const char *url, uint64_t users) {
    static char   names[BATCH][NAME_BYTES];
    weir_request  requests[BATCH];
    weir_decision decisions[BATCH];
    weir_error    error;
    weir_options  options = WEIR_OPTIONS_DEFAULT;
    options.users_max     = users;
    weir *w               = weir_open(url, &options, &error);
    if (w == NULL) fail(error.text);
    for (uint64_t done = 0; done < users;) {
        size_t count = 0;
        for (; count < BATCH && done < users; count++, done++) {
            int bytes       = snprintf(names[count], NAME_BYTES, "user:%" PRIu64, done);
            requests[count] = weir_request_for(names[count], (size_t)bytes, 10, 30 * WEIR_DAY);
        }
        if (weir_decide_many(w, requests, count, decisions) != WEIR_OK) fail("not decided");
    }
    weir_close(w);
}

static double run_ms(char *const words[]) {
    struct timespec began, ended;
    int             status;
    (void)clock_gettime(CLOCK_MONOTONIC, &began);
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, STDOUT_FILENO);
        (void)execv(words[0], words);
        _exit(127);
    }
    if (waitpid(child, &status, 0) != child || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail("the command failed");
    (void)clock_gettime(CLOCK_MONOTONIC, &ended);
    return (double)(ended.tv_sec - began.tv_sec) * 1e3 +
           (double)(ended.tv_nsec - began.tv_nsec) / 1e6;
}

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void measure(const char *name, char *const words[], unsigned runs) {
    static double ms[RUNS_MAX];
    for (unsigned i = 0; i < runs; i++) ms[i] = run_ms(words);
    qsort(ms, runs, sizeof *ms, compare);
    printf("  \"%s\": {\"median_ms\": %.2f, \"least_ms\": %.2f, \"most_ms\": %.2f},\n", name,
           ms[runs / 2], ms[0], ms[runs - 1]);
}

int main(int count, char **words) {
    if (count < 3) fail("usage: weir-restart WEIR FILE [USERS [RUNS]]");
    uint64_t users = count > 3 ? strtoull(words[3], NULL, 10) : 10000000;
    uint64_t runs  = count > 4 ? strtoull(words[4], NULL, 10) : 21;
    if (runs < 1 || runs > RUNS_MAX) fail("RUNS is 1 to 999");
    char url[URL_BYTES], user[NAME_BYTES], rate[] = "10/30d", allow[] = "allow",
                                           option[] = "--store", version[] = "--version";
    struct stat s;
    (void)snprintf(url, sizeof url, "file:%.4000s", words[2]);
    (void)snprintf(user, sizeof user, "newcomer");
    fill(url, users);
    if (stat(words[2], &s) != 0) fail("the file is not there");

    printf("{\"users\": %" PRIu64 ", \"file_bytes\": %lld, \"runs\": %" PRIu64 ",\n", users,
           (long long)s.st_size, runs);
    char cost[] = "--cost=0";
    measure("allow", (char *[]){words[1], allow, user, rate, cost, option, url, NULL},
            (unsigned)runs);
    measure("version", (char *[]){words[1], version, NULL}, (unsigned)runs);
    printf("  \"bytes_per_user\": %.1f}\n", (double)s.st_size / (double)users);
    (void)unlink(words[2]);
    return 0;
}
