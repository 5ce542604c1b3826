/* SPDX-License-Identifier: MIT
 *
 * Processes on a real disk that are killed at any instruction (kill -9), while others go on. */
#include "store/embedded/journal.h"
#include "support/check.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "store/embedded/past.h"

enum { USERS = 200, CHILDREN = 3, U = 2, MEMORY_BYTES = 4 << 20 };

struct line {
    _Atomic uint32_t lock;
    _Atomic uint64_t taken, answered;
};

/* What the processes share. */
struct host {
    struct unrecorded     unrecorded;
    struct journal_shared shared;
    struct line           line[USERS];
    _Atomic uint64_t      answers;
};

/* What each has for itself. */
struct process {
    struct host      *host;
    struct lock_owner me;
    struct disk       disk;
    struct journal    journal;
};

static void process_wait(void *context, uint32_t holder, unsigned turn) {
    (void)context;
    (void)holder;
    (void)turn;
    sched_yield();
}

static uint64_t tag_of(uint32_t user) { return (user + 1) * UINT64_C(0xff51afd7ed558ccd); }

static bool process_counter(void *context, uint64_t tag, struct counter *c) {
    struct process *p = context;
    for (uint32_t i = 0; i < USERS; i++) {
        if (tag_of(i) != tag) continue;
        owned_lock_take(&p->host->line[i].lock, &p->me);
        *c = (struct counter){.fresh_at_ns = UINT64_MAX, .body = {p->host->line[i].taken, i}};
        owned_lock_give(&p->host->line[i].lock);
        return true;
    }
    abort();
}

static bool process_ring(void *context, uint64_t index, struct ring *r) {
    (void)context;
    (void)index;
    memset(r, 0, sizeof *r);
    return true;
}

static uint64_t process_users(void *context) {
    (void)context;
    return USERS;
}

static void process_begin(struct process *p, uint32_t number, const char *folder) {
    p->me = (struct lock_owner){.process = number, .wait = process_wait, .context = p};
    if (disk_open(folder, &p->disk) != DISK_OK) abort();
    journal_init(&p->journal, &(struct journal_options){.disk              = &p->disk,
                                                        .store             = "t",
                                                        .generation        = 1,
                                                        .segment_bytes_max = 16384,
                                                        .source            = {.context = p,
                                                                              .counter = process_counter,
                                                                              .ring    = process_ring,
                                                                              .users   = process_users},
                                                        .shared            = &p->host->shared,
                                                        .unrecorded        = &p->host->unrecorded,
                                                        .me                = &p->me});
}

static void process_ask(struct process *p, uint32_t user) {
    struct line         *line = &p->host->line[user];
    struct unrecorded_id id   = {.name = tag_of(user), .kind = UNRECORDED_COUNTER};
    owned_lock_take(&line->lock, &p->me);
    enum unrecorded_answer answer = unrecorded_add(&p->host->unrecorded, &p->me, id, 1, U);
    uint64_t               shown  = line->taken + 1;
    if (answer != UNRECORDED_SETTLE_FIRST) line->taken = shown;
    owned_lock_give(&line->lock);
    if (answer != UNRECORDED_ADDED && journal_settle(&p->journal, 1, 0) != DISK_OK) abort();
    if (answer == UNRECORDED_SETTLE_FIRST) return;
    uint64_t before = line->answered;
    while (before < shown && !atomic_compare_exchange_weak(&line->answered, &before, shown)) {}
    p->host->answers++;
}

static pid_t child_begin(struct process *p, uint32_t number, const char *folder, uint64_t seed) {
    pid_t pid = fork();
    if (pid != 0) return pid;
    struct random random = {.state = seed};
    process_begin(p, number, folder);
    for (;;) process_ask(p, (uint32_t)random_below(&random, USERS));
}

static void child_kill(struct host *host, pid_t pid, uint32_t number) {
    CHECK_EQ(kill(pid, SIGKILL), 0);
    CHECK_EQ(waitpid(pid, NULL, 0), pid);
    journal_release_dead(&host->shared, &host->unrecorded, number);
    for (uint32_t i = 0; i < USERS; i++) owned_lock_release_dead(&host->line[i].lock, number);
}

static void judge(struct process *p, void *memory, uint64_t u, const uint64_t *answered) {
    struct past_replay replay = {.disk         = &p->disk,
                                 .store        = "t",
                                 .generation   = 1,
                                 .memory       = memory,
                                 .memory_bytes = MEMORY_BYTES};
    struct past_rings  none   = {.stripes = 1};
    CHECK_EQ(past_scan(&replay), DISK_OK);
    CHECK_EQ(past_write(&replay, &none, 1), DISK_OK);

    int         file  = DISK_NO_FILE;
    uint64_t    bytes = 0;
    size_t      got   = 0;
    struct past past;
    CHECK_EQ(p->disk.file_open(p->disk.context, "t.past", DISK_READ, &file), DISK_OK);
    CHECK_EQ(p->disk.file_size(p->disk.context, file, &bytes), DISK_OK);
    unsigned char *mapped = aligned_alloc(64, ((size_t)bytes + 63) / 64 * 64);
    CHECK_EQ(p->disk.file_read(p->disk.context, file, 0, mapped, (size_t)bytes, &got), DISK_OK);
    p->disk.file_close(p->disk.context, file);
    CHECK(past_verify(mapped, got));
    CHECK(past_open(&past, mapped, got));
    for (uint32_t i = 0; i < USERS; i++) {
        struct counter c = {0};
        if (past_find(&past, tag_of(i), &c)) CHECK_EQ(c.body[1], i);
        CHECK_GE(c.body[0] + u, answered[i]);
    }
    free(mapped);
}

static void remove_file(void *context, const char *name) {
    if (name[0] != '.') CHECK_EQ(unlinkat(*(int *)context, name, 0), 0);
}

TEST(whoever_is_killed_takes_nothing_along) {
    char folder[] = "/tmp/weir-kill-XXXXXX";
    CHECK_NE(mkdtemp(folder), NULL);
    struct host *host =
        mmap(NULL, sizeof *host, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_NE(host, MAP_FAILED);
    struct process *p = calloc(1, sizeof *p);
    p->host           = host;

    struct random random = {.state = check_seed()};
    uint32_t      number[CHILDREN];
    pid_t         child[CHILDREN];
    uint32_t      last = 1;
    for (int i = 0; i < CHILDREN; i++) {
        number[i] = ++last;
        child[i]  = child_begin(p, last, folder, random_next(&random));
    }
    for (uint64_t i = 0; i < check_effort(250); i++) {
        nanosleep(&(struct timespec){.tv_nsec = (long)random_below(&random, 12000000)}, NULL);
        int who = (int)random_below(&random, CHILDREN);
        child_kill(host, child[who], number[who]);
        number[who] = ++last;
        child[who]  = child_begin(p, last, folder, random_next(&random));
    }
    for (int i = 0; i < CHILDREN; i++) child_kill(host, child[i], number[i]);
    CHECK_GT(host->answers, 0);

    process_begin(p, 1, folder);
    void    *memory = aligned_alloc(64, MEMORY_BYTES);
    uint64_t amount[USERS];
    for (uint32_t i = 0; i < USERS; i++) amount[i] = host->line[i].answered;
    judge(p, memory, U, amount);
    CHECK_EQ(journal_settle(&p->journal, 1, 0), DISK_OK);
    for (uint32_t i = 0; i < USERS; i++) amount[i] = host->line[i].taken;
    judge(p, memory, 0, amount);

    int descriptor = (int)(intptr_t)p->disk.context;
    CHECK_EQ(segment_remove_all(&p->disk, "t"), DISK_OK);
    CHECK_EQ(p->disk.folder_list(p->disk.context, remove_file, &descriptor), DISK_OK);
    CHECK_EQ(rmdir(folder), 0);
    journal_close(&p->journal);
    disk_close(&p->disk);
    free(memory);
    free(p);
    munmap(host, sizeof *host);
}
