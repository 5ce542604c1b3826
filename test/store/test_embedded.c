/* SPDX-License-Identifier: MIT
 *
 * The file store through the public functions: what stays, what is shared, what is refused. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

#include "store/embedded/format.h"
#include "support/check.h"

/* ---- a folder and a file for each test ---- */

static char folder[64], path[80], url[96];

static void folder_make(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/weir-embedded-XXXXXX");
    CHECK_NE(mkdtemp(folder), NULL);
    (void)snprintf(path, sizeof path, "%s/limits.weir", folder);
    (void)snprintf(url, sizeof url, "file:%s", path);
}

/* Removes a folder and the files in it. */
static void folder_empty(const char *name) {
    DIR           *d = opendir(name);
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) (void)unlinkat(dirfd(d), entry->d_name, 0);
    (void)closedir(d);
    CHECK_EQ(rmdir(name), 0);
}

static void folder_remove(void) {
    (void)unlink(path);
    CHECK_EQ(rmdir(folder), 0); /* nothing else was left there */
}

static weir *open_with(const weir_options *options) {
    weir_error error = {0};
    weir      *w     = weir_open(url, options, &error);
    CHECK_SAYS(w != NULL, "%s", error.text);
    return w;
}

static weir *open_file(void) {
    return open_with(&(weir_options){.size = sizeof(weir_options), .users_max = 1000});
}

static uint64_t taken(weir *w, const char *user, uint64_t times, uint64_t limit) {
    uint64_t allowed = 0;
    for (uint64_t i = 0; i < times; i++) allowed += weir_allow(w, user, limit, WEIR_DAY);
    return allowed;
}

static void wait_ms(long ms) {
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static weir_statistics statistics_of(weir *w) {
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    return s;
}

/* ---- what stays ---- */

TEST(what_was_taken_is_there_when_the_file_is_opened_again) {
    folder_make();
    weir *w = open_file();
    CHECK_EQ(taken(w, "ann", 7, 10), 7);
    weir_close(w);
    w = open_file();
    CHECK_EQ(taken(w, "ann", 7, 10), 3);
    CHECK_EQ(taken(w, "bob", 7, 10), 7);
    CHECK_EQ(statistics_of(w).allowed, 17);
    CHECK_EQ(statistics_of(w).denied, 4);
    weir_close(w);
    folder_remove();
}

TEST(a_file_that_has_grown_is_opened_at_its_size) {
    folder_make();
    weir_options options = {.size = sizeof options, .users_max = 100000};
    weir        *w       = open_with(&options);
    char         user[16];
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(user, sizeof user, "%d", i);
        CHECK_EQ(taken(w, user, 1, 2), 1);
    }
    weir_close(w);
    w = open_with(NULL); /* as the file has it */
    CHECK_EQ(statistics_of(w).users_max, 100000);
    CHECK_EQ(statistics_of(w).users, 50000);
    for (int i = 0; i < 50000; i++) {
        (void)snprintf(user, sizeof user, "%d", i);
        CHECK_EQ(taken(w, user, 2, 2), 1);
    }
    weir_close(w);
    folder_remove();
}

TEST(all_handles_of_all_processes_share_one_count) {
    folder_make();
    weir *one = open_file(), *two = open_file();
    CHECK_EQ(taken(one, "ann", 3, 10), 3);
    CHECK_EQ(taken(two, "ann", 4, 10), 4);
    pid_t child = fork();
    if (child == 0) {
        weir *mine = weir_open(url, NULL, NULL);
        _exit(mine == NULL ? 99 : (int)taken(mine, "ann", 2, 10));
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 2);
    CHECK_EQ(taken(one, "ann", 9, 10), 1);
    weir_close(one);
    weir_close(two);
    folder_remove();
}

TEST(nobody_else_may_read_the_file_and_no_user_is_named_in_it) {
    folder_make();
    weir *w = open_file();
    CHECK_EQ(taken(w, "somebody-to-look-for", 1, 10), 1);
    weir_close(w);
    struct stat s;
    CHECK_EQ(stat(path, &s), 0);
    CHECK_EQ(s.st_mode & 0777, 0600);

    int   fd    = open(path, O_RDONLY);
    char *bytes = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK_NE(bytes, MAP_FAILED);
    CHECK_EQ(memmem(bytes, (size_t)s.st_size, "somebody", 8), NULL);
    CHECK_EQ(munmap(bytes, (size_t)s.st_size), 0);
    (void)close(fd);
    folder_remove();
}

/* ---- bounds ---- */

TEST(a_file_never_gets_longer_than_bytes_max) {
    folder_make();
    weir_options options = {.size = sizeof options, .bytes_max = 16 << 20};
    weir        *w       = open_with(&options);
    char         user[16];
    uint64_t     users_max = statistics_of(w).users_max;
    CHECK_GT(users_max, 20000);
    for (uint64_t i = 0; i < users_max + 1000; i++) {
        (void)snprintf(user, sizeof user, "%d", (int)i);
        CHECK_LE(taken(w, user, 2, 1), 1);
    }
    struct stat s;
    CHECK_EQ(stat(path, &s), 0);
    CHECK_LE(s.st_size, 16 << 20);
    CHECK_LE(s.st_blocks * 512, 16 << 20);
    CHECK_GT(statistics_of(w).overflowed, 0);
    CHECK_LE(statistics_of(w).users, users_max);
    weir_close(w);
    folder_remove();
}

TEST(memory_never_gets_more_than_bytes_max) {
    weir_options options = {.size = sizeof options, .bytes_max = 16 << 20};
    weir        *w       = weir_open("memory:", &options, NULL);
    CHECK_NE(w, NULL);
    CHECK_GT(statistics_of(w).users_max, 20000);
    CHECK_LT(statistics_of(w).users_max * 64, 16 << 20);
    weir_close(w);

    weir_error error;
    options.bytes_max = 1;
    CHECK_EQ(weir_open("memory:", &options, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "bytes_max");
}

TEST(two_hundred_and_fifty_five_may_have_a_file_open_and_no_more) {
    folder_make();
    static weir *all[255];
    for (size_t i = 0; i < 255; i++) all[i] = open_file();
    weir_error error;
    CHECK_EQ(weir_open(url, NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "255 processes");
    weir_close(all[100]);
    all[100] = open_file();
    CHECK_EQ(taken(all[100], "ann", 1, 1), 1);
    CHECK_EQ(taken(all[7], "ann", 1, 1), 0);
    for (size_t i = 0; i < 255; i++) weir_close(all[i]);
    folder_remove();
}

/* ---- what is refused, and left as it was ---- */

static void file_write(const void *bytes, size_t count) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(fd, bytes, count), (ssize_t)count);
    (void)close(fd);
}

static void check_refused(weir_status status, const char *because) {
    struct stat before, after;
    weir_error  error = {0};
    CHECK_EQ(stat(path, &before), 0);
    CHECK_EQ(weir_open(url, NULL, &error), NULL);
    CHECK_EQ(error.status, status);
    CHECK_CONTAINS(error.text, because);
    CHECK_CONTAINS(error.text, path);
    CHECK_EQ(stat(path, &after), 0);
    CHECK_EQ(after.st_size, before.st_size);
    CHECK_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

TEST(a_foreign_file_is_refused_and_not_touched) {
    folder_make();
    file_write("", 0);
    check_refused(WEIR_DAMAGED, "not a weir file");
    file_write("hello", 5);
    check_refused(WEIR_DAMAGED, "not a weir file");
    static char zeros[20000];
    file_write(zeros, sizeof zeros);
    check_refused(WEIR_DAMAGED, "not a weir file");
    folder_remove();
}

static void byte_add(off_t at, uint8_t amount) {
    uint8_t byte;
    int     fd = open(path, O_RDWR);
    CHECK_EQ(pread(fd, &byte, 1, at), 1);
    byte = (uint8_t)(byte + amount);
    CHECK_EQ(pwrite(fd, &byte, 1, at), 1);
    (void)close(fd);
}

TEST(a_newer_a_damaged_and_a_cut_file_are_told_apart) {
    folder_make();
    weir_close(open_file());
    byte_add(8, 1);
    check_refused(WEIR_UNSUPPORTED, "version 2");
    byte_add(8, 255);
    byte_add(16, 1);
    check_refused(WEIR_DAMAGED, "header is damaged");
    byte_add(16, 255);
    byte_add(FORMAT_ERA_AT + 30, 1);
    weir_close(open_file()); /* the other copy holds */
    byte_add(FORMAT_ERA_AT + 30, 1);
    byte_add(FORMAT_ERA_AT + FORMAT_ERA_STEP + 30, 1);
    check_refused(WEIR_DAMAGED, "clock");
    folder_remove();

    folder_make();
    weir_close(open_file());
    struct stat s;
    CHECK_EQ(stat(path, &s), 0);
    CHECK_EQ(truncate(path, s.st_size - 1), 0);
    check_refused(WEIR_DAMAGED, "cut off");
    CHECK_EQ(truncate(path, 1000), 0);
    check_refused(WEIR_DAMAGED, "cut off");
    folder_remove();

    folder_make();
    weir_close(open_file());
    byte_add(FORMAT_POWER_AT + 8, 1); /* users_max in the table's head */
    check_refused(WEIR_DAMAGED, "table is damaged");
    folder_remove();
}

TEST(options_that_differ_from_the_files_are_refused_with_both_values) {
    folder_make();
    weir_options options = {.size = sizeof options, .users_max = 1000, .clock_error_ppm = 50};
    weir_close(open_with(&options));
    weir_error error;
    options.users_max = 2000;
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "users_max = 1000, not 2000");
    options.users_max       = 0;
    options.clock_error_ppm = 60;
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_CONTAINS(error.text, "clock_error_ppm = 50, not 60");
    options.clock_error_ppm = 0;
    options.bytes_max       = 1000000;
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_CONTAINS(error.text, "bytes_max is 1000000");
    weir_close(open_with(NULL));
    folder_remove();
}

TEST(a_folder_a_missing_folder_and_a_host_are_refused_by_name) {
    weir_error error;
    CHECK_EQ(weir_open("file:/tmp", NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "/tmp");
    CHECK_EQ(weir_open("file:/tmp/no-such-folder-of-weir/x", NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "folder is not there");
    CHECK_EQ(weir_open("file://host/x", NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_URL);
    CHECK_EQ(weir_open("file:/dev/null", NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_DAMAGED);
    CHECK_CONTAINS(error.text, "not a file");
}

TEST(file_with_two_slashes_and_an_absolute_path_is_the_same_file) {
    folder_make();
    weir *one = open_file();
    CHECK_EQ(taken(one, "ann", 1, 1), 1);
    (void)snprintf(url, sizeof url, "file://%s", path);
    weir *two = open_with(NULL);
    CHECK_EQ(taken(two, "ann", 1, 1), 0);
    weir_close(one);
    weir_close(two);
    folder_remove();
}

TEST(a_link_to_a_file_that_is_not_there_yet_leads_to_where_it_is_made) {
    static const uint32_t durability[] = {WEIR_DURABILITY_PROCESS, WEIR_DURABILITY_POWER};
    for (int i = 0; i < 2; i++) {
        char target[100], link_url[120];
        folder_make();
        (void)snprintf(target, sizeof target, "%s/target", folder);
        CHECK_EQ(mkdir(target, 0700), 0);
        CHECK_EQ(symlink("target/file", path), 0);
        (void)snprintf(target, sizeof target, "%s/target/file", folder);
        (void)snprintf(link_url, sizeof link_url, "file:%s", target);
        weir_options options = {
            .size = sizeof options, .users_max = 1000, .durability = durability[i]};
        weir *one = open_with(&options);
        CHECK_EQ(taken(one, "ann", 1, 1), 1);
        memcpy(url, link_url, sizeof url);
        weir *two = open_with(NULL);
        CHECK_EQ(taken(two, "ann", 1, 1), 0);
        weir_close(one);
        weir_close(two);
        (void)snprintf(target, sizeof target, "%s/target", folder);
        folder_empty(target);
        folder_remove();
    }
}

/* A counter that a disk has spoiled is a full one for a window, and no more than that. */
TEST(a_spoiled_counter_denies_for_a_window) {
    folder_make();
    weir *w = open_file();
    CHECK(weir_allow(w, "ann", 10, 20 * WEIR_MILLISECOND));
    weir_close(w);

    struct stat s;
    CHECK_EQ(stat(path, &s), 0);
    int       fd    = open(path, O_RDWR);
    uint64_t *words = mmap(NULL, (size_t)s.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_NE(words, MAP_FAILED);
    size_t found = 0;
    for (size_t i = ((size_t)s.st_size - 64 * 1024) / 8; i < (size_t)s.st_size / 8; i += 8) {
        if (i % 128 == 0 || words[i + 1] == 0) continue; /* prints, or an empty line */
        words[i + 2] ^= UINT64_C(5) << 33;               /* more ones than there are in the path */
        found++;
    }
    CHECK_EQ(found, 1);
    w = open_file();
    CHECK(!weir_allow(w, "ann", 10, 20 * WEIR_MILLISECOND));
    CHECK_EQ(statistics_of(w).users_damaged, 1);
    CHECK(!weir_allow(w, "ann", 1000, 20 * WEIR_MILLISECOND));
    wait_ms(40);
    CHECK(weir_allow(w, "ann", 10, 20 * WEIR_MILLISECOND));
    weir_close(w);
    CHECK_EQ(munmap(words, (size_t)s.st_size), 0);
    (void)close(fd);
    folder_remove();
}

/* ---- a file that fails while it is open ---- */

/* Whoever cuts the file off while it is open, or a disk that cannot read it, ends no process: decisions
 * fail until the same file is back. */
TEST(a_file_that_cannot_be_read_fails_decisions_until_it_heals) {
    folder_make();
    weir *w = open_file();
    CHECK_EQ(taken(w, "ann", 3, 10), 3);

    struct stat s;
    int         fd = open(path, O_RDWR);
    CHECK_EQ(fstat(fd, &s), 0);
    char *copy = malloc((size_t)s.st_size);
    CHECK_EQ(pread(fd, copy, (size_t)s.st_size, 0), s.st_size);
    CHECK_EQ(ftruncate(fd, 0), 0);

    weir_request  request = weir_request_for("ann", 3, 10, WEIR_DAY);
    weir_decision decision;
    CHECK_EQ(weir_decide(w, &request, &decision), WEIR_STORE_FAILED);
    CHECK_EQ(decision.status, WEIR_STORE_FAILED);
    CHECK(!decision.allowed);
    CHECK(!weir_allow(w, "bob", 10, WEIR_DAY));
    CHECK_EQ(weir_reset(w, &request), WEIR_STORE_FAILED);
    CHECK_EQ(weir_decide_many(w, &request, 1, &decision), WEIR_STORE_FAILED);
    CHECK_EQ(weir_decide_all(w, &request, 1, &decision), WEIR_STORE_FAILED);

    CHECK_EQ(pwrite(fd, copy, (size_t)s.st_size, 0), s.st_size);
    uint64_t allowed = 0;
    for (int i = 0; i < 300 && allowed == 0; i++) {
        wait_ms(10);
        allowed = taken(w, "ann", 1, 10);
    }
    CHECK_EQ(allowed, 1);
    CHECK_EQ(taken(w, "ann", 10, 10), 6);
    CHECK_EQ(statistics_of(w).processes, 1); /* the one that failed was put to rest */

    /* And again, so that the second mapping is guarded as well. */
    CHECK_EQ(pread(fd, copy, (size_t)s.st_size, 0), s.st_size);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK_EQ(weir_decide(w, &request, &decision), WEIR_STORE_FAILED);
    weir_close(w);
    free(copy);
    (void)close(fd);
    folder_remove();
}

static int healed_within_seconds(weir *w) {
    for (int i = 0; i < 300; i++) {
        if (weir_allow(w, "ann", 10, WEIR_DAY)) return 0;
        wait_ms(10);
    }
    return 1;
}

TEST(a_child_of_a_process_whose_file_has_failed_heals_by_itself) {
    folder_make();
    weir       *w  = open_file();
    int         fd = open(path, O_RDWR);
    struct stat s;
    CHECK_EQ(taken(w, "ann", 3, 10), 3);
    CHECK_EQ(fstat(fd, &s), 0);
    char *copy = malloc((size_t)s.st_size);
    CHECK_EQ(pread(fd, copy, (size_t)s.st_size, 0), s.st_size);
    CHECK_EQ(ftruncate(fd, 0), 0);
    CHECK(!weir_allow(w, "ann", 10, WEIR_DAY));
    pid_t child = fork();
    if (child == 0) _exit(weir_allow(w, "ann", 10, WEIR_DAY) ? 2 : healed_within_seconds(w));
    wait_ms(50);
    CHECK_EQ(pwrite(fd, copy, (size_t)s.st_size, 0), s.st_size);
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 0);
    CHECK_EQ(healed_within_seconds(w), 0);
    CHECK_EQ(taken(w, "ann", 10, 10), 5);
    weir_close(w);
    free(copy);
    (void)close(fd);
    folder_remove();
}

/* Another file in its place is another count: that takes somebody who says so, by starting anew. */
TEST(a_file_that_failed_is_not_replaced_by_another) {
    folder_make();
    weir *w = open_file();
    CHECK_EQ(truncate(path, 0), 0);
    CHECK(!weir_allow(w, "ann", 10, WEIR_DAY));
    CHECK_EQ(unlink(path), 0);
    wait_ms(1100);
    CHECK(!weir_allow(w, "ann", 10, WEIR_DAY));
    CHECK_NE(access(path, F_OK), 0);
    weir_close(open_file());
    wait_ms(1100);
    CHECK(!weir_allow(w, "ann", 10, WEIR_DAY));
    weir_close(w);
    folder_remove();
}

/* ---- children of fork() ---- */

static int child_result(pid_t child) {
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    return WEXITSTATUS(status);
}

TEST(a_child_goes_on_with_its_parents_handle_on_the_same_counts) {
    folder_make();
    weir *w = open_file();
    CHECK_EQ(taken(w, "ann", 3, 10), 3);
    pid_t child = fork();
    if (child == 0) {
        int mine = (int)taken(w, "ann", 2, 10);
        weir_close(w);
        _exit(mine);
    }
    CHECK_EQ(child_result(child), 2);
    CHECK_EQ(taken(w, "ann", 9, 10), 5);
    weir_close(w);
    folder_remove();
}

TEST(grandchildren_that_all_decide_at_once_share_the_count) {
    folder_make();
    weir *w = open_file();
    pid_t children[8];
    for (size_t i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i] != 0) continue;
        pid_t grandchild = fork();
        int   mine       = (int)taken(w, "ann", 1000, 100);
        if (grandchild == 0) _exit(mine);
        int status;
        if (waitpid(grandchild, &status, 0) != grandchild) _exit(255);
        _exit(mine + WEXITSTATUS(status));
    }
    int sum = 0;
    for (size_t i = 0; i < 8; i++) sum += child_result(children[i]);
    CHECK_EQ(sum, 100);
    weir_close(w);
    folder_remove();
}

TEST(a_child_may_close_what_it_never_used) {
    folder_make();
    weir *w     = open_file();
    pid_t child = fork();
    if (child == 0) {
        weir_close(w);
        _exit(0);
    }
    CHECK_EQ(child_result(child), 0);
    CHECK_EQ(taken(w, "ann", 2, 1), 1);
    CHECK_EQ(statistics_of(w).processes, 1);
    weir_close(w);
    folder_remove();
}

TEST(a_child_is_told_that_memory_is_not_shared) {
    weir *w     = weir_open("memory:", NULL, NULL);
    pid_t child = fork();
    if (child == 0) {
        weir_request  request = weir_request_for("ann", 3, 10, WEIR_DAY);
        weir_decision decision[2];
        bool          is_told = weir_decide(w, &request, &decision[0]) == WEIR_FORKED &&
                       decision[0].status == WEIR_FORKED && !decision[0].allowed &&
                       !weir_allow(w, "ann", 10, WEIR_DAY) &&
                       weir_decide_many(w, &request, 1, decision) == WEIR_FORKED &&
                       weir_decide_all(w, &request, 1, decision) == WEIR_FORKED &&
                       weir_reset(w, &request) == WEIR_FORKED;
        weir_close(w);
        weir *mine = weir_open("memory:", NULL, NULL);
        _exit(is_told && weir_allow(mine, "ann", 10, WEIR_DAY) ? 0 : 1);
    }
    CHECK_EQ(child_result(child), 0);
    CHECK(weir_allow(w, "ann", 10, WEIR_DAY));
    weir_close(w);
}

/* ---- threads of several handles ---- */

static void *take_all(void *w) { return (void *)(uintptr_t)taken(w, "hot", 20000, 10000); }

TEST(threads_of_several_handles_take_no_more_than_the_limit_together) {
    folder_make();
    weir     *w[2] = {open_file(), open_file()};
    pthread_t threads[4];
    uintptr_t sum = 0;
    for (size_t i = 0; i < 4; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, take_all, w[i % 2]), 0);
    for (size_t i = 0; i < 4; i++) {
        void *mine;
        CHECK_EQ(pthread_join(threads[i], &mine), 0);
        sum += (uintptr_t)mine;
    }
    CHECK_EQ(sum, 10000);
    weir_close(w[0]);
    weir_close(w[1]);
    folder_remove();
}
