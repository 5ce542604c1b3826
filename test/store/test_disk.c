/* SPDX-License-Identifier: MIT
 *
 * A real disk that is full, and one that may not be written to: small file systems of our own, in a
 * mount namespace of a child. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

#include "support/check.h"

static char folder[64], url[96], filler[96];

static void disk_make(const char *options) {
    (void)snprintf(folder, sizeof folder, "/tmp/weir-disk-XXXXXX");
    CHECK_NE(mkdtemp(folder), NULL);
    (void)snprintf(url, sizeof url, "file:%s/limits.weir", folder);
    (void)snprintf(filler, sizeof filler, "%s/filler", folder);
    CHECK_EQ(unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS), 0);
    CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    CHECK_EQ(mount("weir", folder, "tmpfs", 0, options), 0);
}

static void disk_fill(void) {
    static char zeros[65536];
    int         fd = open(filler, O_WRONLY | O_CREAT, 0600);
    CHECK_GE(fd, 0);
    while (write(fd, zeros, sizeof zeros) > 0) {}
    while (write(fd, zeros, 512) > 0) {}
    CHECK_EQ(errno, ENOSPC);
    (void)close(fd);
}

/* The mounts end with the child; what it says, and whether it was content, goes to the parent. */
static void in_child(void (*story)(void)) {
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        story();
        (void)fflush(NULL);
        _exit(0);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_SAYS(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with %d", status);
    (void)rmdir(folder);
}

static void wait_ms(long ms) {
    (void)nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

static weir_statistics statistics_of(weir *w) {
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    return s;
}

static uint64_t admit_users(weir *w, const char *prefix, unsigned count, uint64_t limit) {
    uint64_t allowed = 0;
    char     user[32];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(user, sizeof user, "%s%u", prefix, i);
        allowed += weir_allow(w, user, limit, WEIR_DAY);
    }
    return allowed;
}

/* ---- */

static void fill_grow_free_grow(void) {
    disk_make("size=8m");
    weir_error error = {0};
    weir      *w     = weir_open(url, NULL, &error);
    CHECK_SAYS(w != NULL, "%s", error.text);
    CHECK_EQ(admit_users(w, "early", 500, 2), 500);
    disk_fill();

    /* Newcomers beyond what was reserved share counters: nobody gets more than 2, most get nothing. */
    uint64_t late = admit_users(w, "late", 20000, 2);
    CHECK(statistics_of(w).is_stuck);
    CHECK_GT(statistics_of(w).overflowed, 10000);
    CHECK_LT(late, 2000);
    CHECK_EQ(admit_users(w, "early", 500, 2), 500); /* whoever was there is served as ever */
    CHECK_EQ(admit_users(w, "early", 500, 2), 0);

    /* The disk heals, and the table grows again within 100 ms. */
    CHECK_EQ(unlink(filler), 0);
    wait_ms(150);
    uint64_t seats = statistics_of(w).users;
    (void)admit_users(w, "then", 20000, 1000000);
    CHECK(!statistics_of(w).is_stuck);
    CHECK_GT(statistics_of(w).users, seats + 15000);
    CHECK_EQ(admit_users(w, "early", 500, 2), 0);
    weir_close(w);
    w = weir_open(url, NULL, &error);
    CHECK_EQ(admit_users(w, "early", 500, 2), 0);
    weir_close(w);
}

TEST(a_full_disk_stops_growth_and_nothing_else_until_it_has_room) { in_child(fill_grow_free_grow); }

static void create_on_full_disk(void) {
    disk_make("size=1m");
    disk_fill();
    weir_error error;
    CHECK_EQ(weir_open(url, NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "No space left on device; free some space");
    CHECK_NE(access(url + strlen("file:"), F_OK), 0); /* nothing half made */
    CHECK_EQ(unlink(filler), 0);
    weir *w = weir_open(url, NULL, &error);
    CHECK_NE(w, NULL);
    weir_close(w);
}

TEST(a_file_is_created_whole_or_not_at_all) { in_child(create_on_full_disk); }

static void one_process_too_many_for_the_disk(void) {
    disk_make("size=1m");
    weir_error error;
    weir      *w = weir_open(url, NULL, &error);
    CHECK_NE(w, NULL);
    disk_fill();
    CHECK_EQ(weir_open(url, NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "room for one more process");
    CHECK(weir_allow(w, "ann", 1, WEIR_DAY));
    CHECK(!weir_allow(w, "ann", 1, WEIR_DAY));
    weir_close(w);
    w = weir_open(url, NULL, &error); /* the place of the first is there to be used again */
    CHECK_NE(w, NULL);
    CHECK(!weir_allow(w, "ann", 1, WEIR_DAY));
    weir_close(w);
}

TEST(a_process_that_finds_no_room_on_the_disk_is_told_so) {
    in_child(one_process_too_many_for_the_disk);
}

static void read_only(void) {
    disk_make("size=1m");
    weir_error error;
    weir      *w = weir_open(url, NULL, &error);
    CHECK(weir_allow(w, "ann", 1, WEIR_DAY));
    weir_close(w);
    CHECK_EQ(mount(NULL, folder, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    CHECK_EQ(weir_open(url, NULL, &error), NULL);
    CHECK_EQ(error.status, WEIR_STORE_FAILED);
    CHECK_CONTAINS(error.text, "Read-only file system");
    CHECK_EQ(mount(NULL, folder, NULL, MS_REMOUNT, NULL), 0);
    w = weir_open(url, NULL, &error);
    CHECK_NE(w, NULL);
    CHECK(!weir_allow(w, "ann", 1, WEIR_DAY));
    weir_close(w);
}

TEST(a_read_only_disk_is_told_and_forgets_nothing) { in_child(read_only); }
