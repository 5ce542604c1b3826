/* SPDX-License-Identifier: MIT
 *
 * Processes on one file are killed with kill -9, a thousand times, at any moment.
 *
 * What each thread was told is in memory that survives it (workers.h). Afterwards `weir judge` reads what was
 * decided of users with a short window, and the file must know of every permit of users with a long one: of
 * as many as were answered, and of no more than were asked for when somebody was killed.
 *
 * WEIR_TEST_EFFORT says how many are killed. The moments are not in the seed's hand alone: the system's
 * scheduler has a say. */
#include <weir.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/folder.h"
#include "crash/workers.h"
#include "store/embedded/embedded.h"
#include "support/check.h"
#include "table/layout.h"

_Static_assert(FORMAT_POWER_AT + offsetof(struct table_head, mended) == 20480 + 136,
               "demo.c reads it there");

enum { KILLS = 250, KILL_MS_MEAN = 40, PAUSES_PER_100 = 5, TEXT_BYTES = 4096 };

static void sleep_ns(int64_t length_ns) {
    struct timespec length = {.tv_sec  = length_ns / WEIR_SECOND,
                              .tv_nsec = length_ns % WEIR_SECOND};
    while (nanosleep(&length, &length) != 0 && errno == EINTR) {}
}

/* ---- the judge ---- */

struct verdict {
    int      exit_code;
    uint64_t certain, possible;
    char     text[TEXT_BYTES];
};

static uint64_t number_after(const char *text, const char *name) {
    const char *found = strstr(text, name);
    CHECK_SAYS(found != NULL, "weir judge says no %s: %s", name, text);
    return strtoull(found + strlen(name), NULL, 10);
}

static struct verdict judge_lines(const char *folder, size_t count) {
    struct verdict v = {0};
    char           out[PATH_MAX], path[WORKERS_MAX * WORKER_THREADS_MAX][PATH_MAX];
    char *words[WORKERS_MAX * WORKER_THREADS_MAX + 4] = {getenv("WEIR_BIN"), "judge", "--json"};
    for (size_t i = 0; i < count; i++) {
        snprintf(path[i], sizeof path[i], "%s/%zu.jsonl", folder, i);
        words[3 + i] = path[i];
    }
    snprintf(out, sizeof out, "%s/verdict.json", folder);

    extern char              **environ;
    posix_spawn_file_actions_t actions;
    pid_t                      judge;
    int                        status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, out, O_WRONLY | O_CREAT | O_TRUNC,
                                     0600);
    CHECK_SAYS(words[0] != NULL, "WEIR_BIN names no binary");
    CHECK_EQ(posix_spawn(&judge, words[0], &actions, NULL, words, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    CHECK_EQ(waitpid(judge, &status, 0), judge);
    v.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    FILE *file = fopen(out, "r");
    CHECK_NE(file, NULL);
    v.text[fread(v.text, 1, sizeof v.text - 1, file)] = '\0';
    fclose(file);
    v.certain  = number_after(v.text, "\"certain\":");
    v.possible = number_after(v.text, "\"possible\":");
    return v;
}

/* ---- a run ---- */

/* Lines that were being changed by somebody who was killed. */
static uint64_t mended_in(const char *path) {
    struct embedded_options options = {.is_reader = true, .must_exist = true};
    weir_error              error;
    struct embedded        *e = embedded_open(path, &options, &error);
    CHECK_SAYS(e != NULL, "%s", error.text);
    uint64_t mended = table_counts(embedded_table(e)).mended;
    embedded_close(e);
    return mended;
}

static void kill_some(struct workers *w, struct random *random, uint32_t workers, uint64_t kills) {
    for (uint64_t i = 0; i < kills; i++) {
        uint32_t which = (uint32_t)random_below(random, workers);
        sleep_ns((int64_t)random_below(random, 2 * KILL_MS_MEAN * (uint64_t)WEIR_MILLISECOND));
        if (random_below(random, 100) < PAUSES_PER_100)
            workers_pause(w, which, (int64_t)random_below(random, 20 * (uint64_t)WEIR_MILLISECOND));
        const char *trouble = workers_trouble(w);
        CHECK_SAYS(trouble == NULL, "%s", trouble);
        CHECK(workers_kill(w, which));
    }
}

struct end {
    struct workers_sums    sums;
    struct workers_use     use;
    struct workers_counted counted;
    struct verdict         verdict;
    uint64_t               mended;
};

static struct end run(struct workers_plan plan) {
    struct folder folder = folder_new();
    struct random random = {.state = check_seed()};
    char          path[PATH_MAX];
    uint64_t      kills = check_effort(KILLS);
    struct end    end   = {0};
    snprintf(path, sizeof path, "%s/limits.weir", folder.path);
    plan.path         = path;
    plan.seed         = check_seed();
    struct workers *w = workers_new(&plan);
    CHECK_NE(w, NULL);
    CHECK(workers_start(w));
    kill_some(w, &random, plan.workers, kills);
    workers_end(w);

    end.sums = workers_sums(w);
    end.use  = workers_use(w);
    CHECK_SAYS(workers_count(w, &end.counted), "%s", end.counted.why);
    end.mended   = mended_in(path);
    size_t files = workers_write_lines(w, folder.path);
    CHECK_EQ(files, plan.workers * plan.threads);
    end.verdict = judge_lines(folder.path, files);
    workers_free(w);
    folder_free(&folder);

    printf("    %" PRIu64 " killed, in the middle of %" PRIu64 " calls; %" PRIu64 " lines mended\n",
           kills, end.sums.interrupted, end.mended);
    printf("    %" PRIu64 " decisions, longest %.1f ms; %" PRIu64 " judged: %" PRIu64
           " certain, %" PRIu64 " possible; %.2f %% of an exact log; %" PRIu64 " on rings\n",
           end.sums.decisions, (double)end.sums.longest_ns / 1e6, end.sums.lines,
           end.verdict.certain, end.verdict.possible,
           100.0 * (double)end.use.allowed / (double)(end.use.exact > 0 ? end.use.exact : 1),
           end.use.overflowed);
    printf("    %" PRIu64 " permits counted: %" PRIu64 " missing, %" PRIu64 " invented\n",
           end.counted.taken, end.counted.missing, end.counted.invented);
    return end;
}

static void check_promise(const struct end *end) {
    CHECK_SAYS(end->verdict.exit_code == 0 && end->verdict.certain == 0,
               "weir judge ends with %d: %s", end->verdict.exit_code, end->verdict.text);
    CHECK_GT(end->sums.lines, 0);
    CHECK_SAYS(end->counted.missing == 0,
               "the file does not know of %" PRIu64 " of %" PRIu64 " permits that were answered",
               end->counted.missing, end->counted.taken);
}

static struct workers_plan plan_of(uint64_t users_max, uint32_t counted, uint32_t judged,
                                   uint64_t limit, int64_t window_ns) {
    return (struct workers_plan){.users_max        = users_max,
                                 .workers          = 4,
                                 .threads          = 2,
                                 .counted_users    = counted,
                                 .judged_users     = judged,
                                 .judged_limit     = limit,
                                 .judged_window_ns = window_ns,
                                 .judged_pace_ns   = 400000,
                                 .joint_percent    = 20,
                                 .is_slow          = true,
                                 .lines_max        = 400000};
}

TEST(one_hot_user_of_many_killed_processes_stays_within_the_limit) {
    struct end end = run(plan_of(1000, 2, 1, 50, 5 * WEIR_MILLISECOND));
    check_promise(&end);
    CHECK_EQ(end.counted.invented, 0);
}

TEST(a_hundred_users_are_neither_admitted_too_often_nor_forgotten) {
    struct end end = run(plan_of(1000, 100, 100, 20, 200 * WEIR_MILLISECOND));
    check_promise(&end);
    CHECK_EQ(end.counted.invented, 0);
    CHECK_GT(end.use.allowed * 100, end.use.exact * 97);
}

TEST(a_table_that_grows_while_its_processes_are_killed_loses_no_permit) {
    struct workers_plan plan = plan_of(60000, 40000, 50, 100, 2 * WEIR_SECOND);
    plan.judged_pace_ns      = 1600000;
    struct end end           = run(plan);
    check_promise(&end);
    CHECK_EQ(end.counted.invented, 0);
}

TEST(a_full_table_is_strict_while_its_processes_are_killed) {
    struct end end = run(plan_of(60, 30, 200, 5, 50 * WEIR_MILLISECOND));
    check_promise(&end);
    CHECK_GT(end.use.overflowed, 0);
}
