/* SPDX-License-Identifier: MIT
 *
 * demo: four processes decide for a hundred users on one file, one of them is killed ten times a second, and
 * weir judge reads what all of them were told. Built and started by tools/demo_crash.sh.
 *
 * usage: demo_crash WEIR FOLDER [SECONDS] */
#include <weir.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/workers.h"

enum {
    WORKERS   = 4,
    THREADS   = 2,
    USERS     = 100,
    LIMIT     = 50,
    KILL_MS   = 100,
    SECONDS   = 20,
    MENDED_AT = 20480 + 136
};

static void sleep_ns(int64_t length_ns) {
    struct timespec length = {.tv_sec  = length_ns / WEIR_SECOND,
                              .tv_nsec = length_ns % WEIR_SECOND};
    while (nanosleep(&length, &length) != 0 && errno == EINTR) {}
}

static int fail(const char *what, const char *why) {
    fprintf(stderr, "demo-crash: %s: %s\n", what, why);
    return 3;
}

/* Lines that were being changed when their process was killed, as the table's head has it
 * (table/layout.h; test_kill.c sees to it that it is there). */
static uint64_t mended_in(const char *path) {
    uint64_t mended = 0;
    int      fd     = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    if (pread(fd, &mended, sizeof mended, MENDED_AT) != sizeof mended) mended = 0;
    close(fd);
    return mended;
}

static void show_progress(struct workers *w, const char *path, uint64_t kills, int64_t left_ns) {
    struct workers_sums sums = workers_sums(w);
    if (!isatty(STDOUT_FILENO)) return;
    printf("\r\033[K  %3.0f s to go   %" PRIu64 " decisions   %" PRIu64 " killed   %" PRIu64
           " lines mended",
           (double)left_ns / 1e9, sums.decisions, kills, mended_in(path));
    fflush(stdout);
}

/* Kills until the time is over; the number of the killed, or -1. */
static int64_t kill_for(struct workers *w, const char *path, uint64_t seed, int64_t length_ns) {
    struct random random = {.state = seed};
    int64_t       kills = 0, ends_ns = workers_now_ns() + length_ns;
    for (int64_t now_ns; (now_ns = workers_now_ns()) < ends_ns; kills++) {
        sleep_ns(KILL_MS * WEIR_MILLISECOND);
        const char *trouble = workers_trouble(w);
        if (trouble != NULL) return fail("a worker", trouble), -1;
        if (!workers_kill(w, (uint32_t)random_below(&random, WORKERS)))
            return fail("kill", strerror(errno)), -1;
        show_progress(w, path, (uint64_t)kills + 1, ends_ns - now_ns);
    }
    return kills;
}

/* Lets weir judge speak for itself; its exit code. */
static int judge(const char *binary, const char *folder, size_t files) {
    static char path[WORKERS * THREADS][PATH_MAX];
    char *words[WORKERS * THREADS + 3] = {(char *)(uintptr_t)binary, (char *)(uintptr_t) "judge"};
    for (size_t i = 0; i < files; i++) {
        snprintf(path[i], sizeof path[i], "%s/%zu.jsonl", folder, i);
        words[2 + i] = path[i];
    }
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        execv(binary, words);
        _exit(127);
    }
    int status;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : 3;
}

static int report(struct workers *w, const char *binary, const char *folder, const char *path,
                  uint64_t kills) {
    struct workers_sums    sums = workers_sums(w);
    struct workers_use     use  = workers_use(w);
    struct workers_counted counted;
    if (!workers_count(w, &counted)) return fail("the file", counted.why);
    double percent = 100.0 * (double)use.allowed / (double)(use.exact > 0 ? use.exact : 1);

    printf("%" PRIu64 " decisions. %" PRIu64 " processes were killed, in the middle of %" PRIu64
           " decisions; %" PRIu64 " counters were half changed and are as before.\n",
           sums.decisions, kills, sums.interrupted, mended_in(path));
    printf("%" PRIu64 " permits of an hour were given: %" PRIu64
           " are missing in the file, and %" PRIu64 " are there that nobody asked for.\n",
           counted.taken, counted.missing, counted.invented);
    printf("The longest that anybody waited for an answer: %.1f ms.\n",
           (double)sums.longest_ns / 1e6);
    printf("Utilisation: %.2f %% of what an exact log of the same %" PRIu64 " questions admits.\n",
           percent, sums.lines);
    printf("\n$ weir judge %s/*.jsonl\n", folder);

    size_t files   = workers_write_lines(w, folder);
    int    verdict = judge(binary, folder, files);
    bool   holds   = verdict == 0 && counted.missing == 0 && counted.invented == 0;
    printf("\n%s\n", holds && percent > 97.0 ? "The promise holds, and nothing was forgotten."
                     : holds                 ? "The promise holds, but too much was denied."
                                             : "THE PROMISE IS BROKEN.");
    return holds && percent > 97.0 ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc < 3 || argc > 4) {
        fprintf(stderr, "usage: demo_crash WEIR FOLDER [SECONDS]\n");
        return 2;
    }
    char     path[PATH_MAX];
    uint64_t seed;
    int64_t  seconds = argc == 4 ? strtol(argv[3], NULL, 10) : SECONDS;
    snprintf(path, sizeof path, "%s/limits.weir", argv[2]);
    if (getrandom(&seed, sizeof seed, 0) != sizeof seed) return fail("getrandom", strerror(errno));
    struct workers_plan plan = {.path             = path,
                                .seed             = seed,
                                .users_max        = 1000,
                                .workers          = WORKERS,
                                .threads          = THREADS,
                                .counted_users    = USERS,
                                .judged_users     = USERS,
                                .judged_limit     = LIMIT,
                                .judged_window_ns = WEIR_SECOND,
                                .judged_pace_ns   = 800 * WEIR_MICROSECOND,
                                .joint_percent    = 20,
                                .is_slow          = true,
                                .lines_max        = 4000 * (size_t)(seconds + 1)};
    struct workers     *w    = workers_new(&plan);
    if (w == NULL || !workers_start(w)) return fail("cannot start", strerror(errno));

    printf(
        "%d processes decide for %d users (%d a second each) on %s; one is killed every %d ms, for "
        "%" PRId64 " s.\n",
        WORKERS, USERS, LIMIT, path, KILL_MS, seconds);
    fflush(stdout);
    int64_t kills = kill_for(w, path, seed, seconds * WEIR_SECOND);
    workers_end(w);
    if (isatty(STDOUT_FILENO)) printf("\r\033[K");
    printf("\n");
    int code = kills < 0 ? 3 : report(w, argv[1], argv[2], path, (uint64_t)kills);
    workers_free(w);
    return code;
}
