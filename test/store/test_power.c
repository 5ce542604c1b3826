/* SPDX-License-Identifier: MIT
 *
 * durability power through the public functions: a child decides on a file and is killed; then the
 * machine "starts again" (another boot id, seen in a mount namespace), and what the page cache would
 * have lost is spoiled by hand. What was answered must still count, but for the charge that everybody
 * pays. What disks may lose of the journal is tested in test/power. */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <weir.h>

#include "store/embedded/compact.h"
#include "store/embedded/format.h"
#include "support/check.h"

static char folder[64], path[96], url[112];

static void folder_make(void) {
    (void)snprintf(folder, sizeof folder, "/tmp/weir-power-XXXXXX");
    CHECK_NE(mkdtemp(folder), NULL);
    (void)snprintf(path, sizeof path, "%s/limits.weir", folder);
    (void)snprintf(url, sizeof url, "file:%s", path);
}

static void folder_remove(void) {
    DIR           *d = opendir(folder);
    struct dirent *entry;
    while ((entry = readdir(d)) != NULL) {
        char name[400];
        (void)snprintf(name, sizeof name, "%s/%s", folder, entry->d_name);
        (void)unlink(name);
    }
    (void)closedir(d);
    CHECK_EQ(rmdir(folder), 0);
}

static weir *open_power(uint64_t unrecorded_max) {
    weir_error   error   = {0};
    weir_options options = {.size           = sizeof options,
                            .users_max      = 5000,
                            .durability     = WEIR_DURABILITY_POWER,
                            .unrecorded_max = unrecorded_max};
    weir        *w       = weir_open(url, &options, &error);
    CHECK_SAYS(w != NULL, "%s", error.text);
    return w;
}

static uint64_t taken(weir *w, const char *user, uint64_t times, uint64_t limit) {
    uint64_t allowed = 0;
    for (uint64_t i = 0; i < times; i++) allowed += weir_allow(w, user, limit, WEIR_DAY);
    return allowed;
}

static uint64_t left(weir *w, const char *user) {
    weir_request  request = weir_request_for(user, strlen(user), 100, WEIR_DAY);
    weir_decision decision;
    request.cost = 0;
    CHECK_EQ(weir_decide(w, &request, &decision), WEIR_OK);
    return decision.remaining;
}

/* Another start of the machine, for this process and its children. */
static void start_again(void) {
    char name[96];
    (void)snprintf(name, sizeof name, "%s/boot_id", folder);
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK_EQ(write(fd, "01234567-89ab-cdef-0123-456789abcdef\n", 37), 37);
    (void)close(fd);
    CHECK_EQ(unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWUSER | CLONE_NEWNS), 0);
    CHECK_EQ(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    CHECK_EQ(mount(name, "/proc/sys/kernel/random/boot_id", NULL, MS_BIND, NULL), 0);
}

/* The power was gone before the system wrote the pages of the table. */
static void spoil_table(void) {
    struct format_rules rules;
    uint8_t             bytes[FORMAT_RULES_BYTES];
    struct stat         s;
    int                 fd = open(path, O_RDWR);
    CHECK_EQ(pread(fd, bytes, sizeof bytes, 0), (ssize_t)sizeof bytes);
    CHECK_EQ(format_read_rules(bytes, &rules), FORMAT_OK);
    CHECK_EQ(fstat(fd, &s), 0);
    uint64_t at = format_table_at(&rules);
    CHECK_EQ(
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)at, s.st_size - (off_t)at),
        0);
    (void)close(fd);
}

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
}

/* Decides, says how many were admitted, and is killed. */
static void decide_and_be_killed(void (*decide)(weir *w), uint64_t unrecorded_max) {
    pid_t child = fork();
    if (child == 0) {
        decide(open_power(unrecorded_max));
        (void)kill(getpid(), SIGKILL);
    }
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_SAYS(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "it ended with %d", status);
}

/* ---- */

static void open_after_clean_close(void) {
    start_again();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 100, 100), 70);
    CHECK_EQ(taken(w, "bob", 100, 100), 100); /* nobody is charged */
    weir_close(w);
}

TEST(a_clean_start_charges_nobody) {
    folder_make();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 30, 100), 30);
    weir_close(w);
    in_child(open_after_clean_close);
    folder_remove();
}

static void take_thirty(weir *w) {
    if (taken(w, "ann", 30, 100) != 30 || taken(w, "cid", 5, 100) != 5) _exit(9);
}

static void open_after_power_loss(void) {
    start_again();
    spoil_table();
    weir    *w        = open_power(8);
    uint64_t ann_seen = left(w, "ann"), bob_seen = left(w, "bob");
    uint64_t ann = taken(w, "ann", 200, 100), cid = taken(w, "cid", 200, 100);
    uint64_t bob = taken(w, "bob", 200, 100);
    printf("after a power loss ann, who had 30 of 100, got %d, cid, who had 5, %d, and bob %d\n",
           (int)ann, (int)cid, (int)bob);
    CHECK_LE(ann, 70);     /* never above the limit */
    CHECK_GE(ann, 70 - 8); /* nor far below it: what she had is known but for 8 */
    CHECK_LE(cid, 95);
    CHECK_GE(cid, 95 - 8);
    CHECK_EQ(bob, 100 - 8); /* who may have taken 8 that nobody knows of */
    CHECK_EQ(ann_seen, ann);
    CHECK_EQ(bob_seen, bob);
    weir_close(w);
}

TEST(what_was_answered_counts_after_a_power_loss_and_everybody_is_charged_u) {
    folder_make();
    decide_and_be_killed(take_thirty, 8);
    in_child(open_after_power_loss);
    folder_remove();
}

static void take_twenty(weir *w) {
    if (taken(w, "ann", 20, 100) != 20) _exit(9);
}

static void lose_power_again_and_again(void) {
    start_again();
    for (int i = 0; i < 2; i++) {
        spoil_table();
        decide_and_be_killed(take_twenty, 8);
        char name[96];
        (void)snprintf(name, sizeof name, "%s/boot_id", folder);
        int fd = open(name, O_WRONLY); /* through the bind mount, too */
        CHECK_EQ(pwrite(fd, i == 0 ? "1" : "2", 1, 0), 1);
        (void)close(fd);
    }
    spoil_table();
    weir    *w   = open_power(8);
    uint64_t ann = taken(w, "ann", 200, 100), bob = taken(w, "bob", 200, 100);
    printf("after three power losses ann, who had 60 of 100, got %d, and bob %d\n", (int)ann,
           (int)bob);
    CHECK_LE(ann, 40); /* with each, she is charged anew for those before: strict, and seldom */
    CHECK_EQ(bob, 100 - 3 * 8);
    weir_close(w);
}

static void take_one(weir *w) {
    if (taken(w, "ann", 1, 100) != 1) _exit(9);
}

static void open_without_a_commit(void) {
    start_again();
    spoil_table();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 200, 100), 92);
    CHECK_EQ(taken(w, "bob", 200, 100), 92);
    weir_close(w);
}

TEST(a_file_whose_journal_has_nothing_yet_comes_through_too) {
    folder_make();
    decide_and_be_killed(take_one, 8);
    in_child(open_without_a_commit);
    folder_remove();
}

static void open_after_power_loss_and_look_at_the_mode(void) {
    start_again();
    spoil_table();
    struct stat s;
    weir       *w = open_power(8);
    CHECK_EQ(stat(path, &s), 0);
    CHECK_EQ(s.st_mode & 07777, 0640);
    weir_close(w);
}

TEST(the_file_that_is_made_after_a_power_loss_may_be_used_by_whom_the_old_one_was) {
    folder_make();
    weir_close(open_power(8));
    CHECK_EQ(chmod(path, 0640), 0);
    decide_and_be_killed(take_one, 8);
    in_child(open_after_power_loss_and_look_at_the_mode);
    folder_remove();
}

TEST(power_losses_add_up) {
    folder_make();
    decide_and_be_killed(take_twenty, 8);
    in_child(lose_power_again_and_again);
    folder_remove();
}

static void take_of_many(weir *w) {
    char user[16];
    for (int i = 0; i < 4000; i++) {
        (void)snprintf(user, sizeof user, "u%d", i);
        if (taken(w, user, 1 + (uint64_t)i % 3, 3) != 1 + (uint64_t)i % 3) _exit(9);
    }
}

static void open_with_many(void) {
    start_again();
    spoil_table();
    weir *w = open_power(1);
    char  user[16];
    for (int i = 0; i < 4000; i++) {
        (void)snprintf(user, sizeof user, "u%d", i);
        uint64_t had = 1 + (uint64_t)i % 3;
        CHECK_LE(taken(w, user, 5, 3), 3 - had);
    }
    weir_close(w);
}

TEST(nobody_of_many_gets_above_the_limit_by_a_power_loss) {
    folder_make();
    decide_and_be_killed(take_of_many, 1);
    in_child(open_with_many);
    folder_remove();
}

TEST(killed_processes_lose_nothing_without_a_power_loss) {
    folder_make();
    decide_and_be_killed(take_thirty, 8);
    weir           *w = open_power(8);
    weir_statistics s = {.size = sizeof s};
    CHECK_EQ(taken(w, "ann", 200, 100), 70);
    CHECK_EQ(taken(w, "bob", 200, 100), 100);
    CHECK_EQ(weir_stats(w, &s), WEIR_OK);
    CHECK_GT(s.journal_bytes, 0);
    weir_close(w);
    folder_remove();
}

TEST(joint_decisions_and_costs_are_recorded_too) {
    folder_make();
    weir         *w          = open_power(4);
    weir_request  request[2] = {weir_request_for("ann", 3, 100, WEIR_DAY),
                                weir_request_for("team", 4, 50, WEIR_DAY)};
    weir_decision decision[2];
    request[0].cost = 40; /* more than may be unrecorded: it waits for the disk */
    request[1].cost = 30;
    CHECK_EQ(weir_decide_all(w, request, 2, decision), WEIR_OK);
    CHECK(decision[0].allowed && decision[1].allowed);
    CHECK_EQ(weir_decide_many(w, request, 2, decision), WEIR_OK);
    CHECK(decision[0].allowed && !decision[1].allowed);
    CHECK_EQ(weir_reset(w, &request[0]), WEIR_OK);
    CHECK_EQ(taken(w, "ann", 200, 100), 100);
    weir_close(w);
    folder_remove();
}

/* The program closes all descriptors that it does not know, and gets their numbers for another file. */
static void steal_descriptors(int other) {
    for (int fd = 3; fd < 1024; fd++) {
        char name[64], target[128] = "";
        (void)snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof target - 1) < 0) continue;
        if (strncmp(target, folder, strlen(folder)) == 0) CHECK_EQ(dup2(other, fd), fd);
    }
}

static void take_with_stolen_descriptors(weir *w) {
    int other = memfd_create("other", 0);
    if (taken(w, "ann", 30, 100) != 30) _exit(9);
    steal_descriptors(other);
    uint64_t allowed = taken(w, "ann", 10, 100);
    for (int i = 0; i < 300 && taken(w, "ann", 1, 100) == 0; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    if (left(w, "ann") > 100 - 30 - allowed - 1) _exit(8);
    if (lseek(other, 0, SEEK_END) != 0) _exit(7); /* nobody wrote into it */
}

TEST(a_journal_whose_descriptors_are_another_files_is_opened_again) {
    folder_make();
    decide_and_be_killed(take_with_stolen_descriptors, 8);
    folder_remove();
}

static void child_takes(weir *w) {
    pid_t child = fork();
    if (child == 0) _exit((int)taken(w, "ann", 50, 100));
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(WEXITSTATUS(status), 50);
}

TEST(a_child_records_for_itself) {
    folder_make();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 20, 100), 20);
    child_takes(w);
    CHECK_EQ(taken(w, "ann", 100, 100), 30);
    weir_close(w);
    folder_remove();
}

TEST(a_file_keeps_its_durability) {
    folder_make();
    weir_error   error;
    weir_options options = {.size = sizeof options, .unrecorded_max = 9};
    weir_close(open_power(8));
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "unrecorded_max = 8, not 9");
    weir *w = weir_open(url, NULL, &error); /* as it is */
    CHECK_NE(w, NULL);
    weir_close(w);
    options.durability = 2;
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_CONTAINS(error.text, "durability is 2");
    folder_remove();

    folder_make();
    w = weir_open(url, NULL, &error);
    CHECK_NE(w, NULL);
    weir_close(w);
    options = (weir_options){.size = sizeof options, .durability = WEIR_DURABILITY_POWER};
    CHECK_EQ(weir_open(url, &options, &error), NULL);
    CHECK_EQ(error.status, WEIR_BAD_OPTIONS);
    CHECK_CONTAINS(error.text, "durability process, not power");
    folder_remove();
}

/* ---- weir compact ---- */

static void take_ten(weir *w) {
    if (taken(w, "ann", 10, 100) != 10) _exit(9);
}

static void open_after_compact_and_power_loss(void) {
    start_again();
    spoil_table();
    weir *w = open_power(8);
    CHECK_LE(taken(w, "ann", 200, 100), 70);
    CHECK_EQ(taken(w, "bob", 200, 100), 92);
    weir_close(w);
}

static void compact(void) {
    const struct compact_options options = {.users_max       = COMPACT_AS_IT_IS,
                                            .clock_error_ppm = COMPACT_AS_IT_IS};
    struct compact_outcome       outcome;
    weir_error                   error = {0};
    CHECK_SAYS(compact_file(path, &options, &outcome, &error), "%s", error.text);
}

TEST(a_compacted_file_is_clean) {
    folder_make();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 30, 100), 30);
    weir_close(w);
    compact();
    in_child(open_after_clean_close);
    folder_remove();
}

TEST(a_compacted_file_goes_on_with_its_journal) {
    folder_make();
    weir *w = open_power(8);
    CHECK_EQ(taken(w, "ann", 20, 100), 20);
    weir_close(w);
    compact();
    decide_and_be_killed(take_ten, 8);
    in_child(open_after_compact_and_power_loss);
    folder_remove();
}
