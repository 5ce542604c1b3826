/* SPDX-License-Identifier: MIT
 *
 * Who is dead, and who only seems to be?
 *
 * A process is killed, stopped, or closes its files, at the very moment at which it holds a line or a bucket:
 * it goes on one instruction at a time until a look at the file shows the lock. Others wait for those who
 * live, and do not for those who do not; the children of fork() are processes like any other. */
#include <weir.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crash/folder.h"
#include "crash/steps.h"
#include "store/embedded/embedded.h"
#include "support/check.h"
#include "table/layout.h"

enum { LIMIT = 1000, PATIENCE_MS = 2000, LIVING_MS = 150, BOTH_ASK = 400, REST_S = 30 };

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * WEIR_SECOND + t.tv_nsec;
}

static void sleep_ms(long ms) {
    struct timespec length = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (nanosleep(&length, &length) != 0 && errno == EINTR) {}
}

/* ---- a file ---- */

struct place {
    struct folder folder;
    char          path[PATH_MAX], url[PATH_MAX + 8];
};

static struct place place_new(void) {
    struct place p = {.folder = folder_new()};
    snprintf(p.path, sizeof p.path, "%s/limits.weir", p.folder.path);
    snprintf(p.url, sizeof p.url, "file:%s", p.path);
    return p;
}

static weir *place_open(const struct place *p) {
    weir_options options = WEIR_OPTIONS_DEFAULT;
    weir_error   error;
    options.users_max = 300;
    weir *w           = weir_open(p->url, &options, &error);
    CHECK_SAYS(w != NULL, "%s", error.text);
    return w;
}

static uint64_t left_of(weir *w, const char *user) {
    weir_request  r = weir_request_for(user, strlen(user), LIMIT, WEIR_HOUR);
    weir_decision d;
    r.cost = 0;
    CHECK_EQ(weir_decide(w, &r, &d), WEIR_OK);
    return d.remaining;
}

static bool ask(weir *w, const char *user) { return weir_allow(w, user, LIMIT, WEIR_HOUR); }

/* ---- somebody who looks ---- */

static struct embedded *looker_open(const struct place *p) {
    struct embedded_options options = {.is_reader = true, .must_exist = true};
    weir_error              error;
    struct embedded        *e = embedded_open(p->path, &options, &error);
    CHECK_SAYS(e != NULL, "%s", error.text);
    return e;
}

static bool is_line_held(const struct table *t) {
    for (uint32_t b = 0; b < t->sizes[0]; b++) {
        for (uint32_t i = 0; i < BUCKET_LINES; i++) {
            if (line_load(&t->buckets[b].line[i].head) & LINE_LOCKED) return true;
        }
    }
    return false;
}

static bool is_bucket_held(const struct table *t) {
    for (uint32_t b = 0; b < t->sizes[0]; b++) {
        if (atomic_load(&t->buckets[b].lock) != 0) return true;
    }
    return false;
}

static uint64_t mended(const struct place *p) {
    struct embedded *e     = looker_open(p);
    uint64_t         lines = table_counts(embedded_table(e)).mended;
    embedded_close(e);
    return lines;
}

/* ---- somebody who stops half way ---- */

/* How a process goes on that is in the middle of a decision. */
enum fate {
    FATE_KILLED,
    FATE_STOPPED,    /* until somebody sends SIGCONT */
    FATE_CLOSES,     /* all its files, and rests for a while */
    FATE_IS_ANOTHER, /* executes another program */
};

struct half {
    weir         *w;
    const char   *user;
    struct table *table; /* a reader's */
    bool (*is_held)(const struct table *t);
    enum fate fate;
    bool      is_met;
};

static void half_act(void *context) {
    struct half *h = context;
    (void)ask(h->w, h->user);
}

static void half_seen(void *context, size_t n) {
    struct half *h = context;
    (void)n;
    if (h->is_met || !h->is_held(h->table)) return;
    h->is_met = true;
    switch (h->fate) {
    case FATE_KILLED: kill(getpid(), SIGKILL); break;
    case FATE_STOPPED: kill(getpid(), SIGSTOP); break;
    case FATE_CLOSES:
        (void)close_range(3, ~0U, 0);
        kill(getpid(), SIGSTOP);
        break;
    case FATE_IS_ANOTHER: execlp("sleep", "sleep", "30", (char *)NULL); break;
    }
}

/* Decides, and meets its fate when it holds what is looked for. */
static void go_half_way(const struct place *p, weir *w, const char *user,
                        bool (*is_held)(const struct table *t), enum fate fate) {
    struct embedded *looker = looker_open(p);
    struct half      half   = {w, user, embedded_table(looker), is_held, fate, false};
    steps_run(half_act, half_seen, &half);
    if (!half.is_met) _exit(3); /* and so says that it never held it */
}

/* A child that does not outlive the test. */
static pid_t fork_child(void) {
    pid_t child = fork();
    if (child == 0) (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    return child;
}

static pid_t half_way(const struct place *p, const char                *user,
                      bool (*is_held)(const struct table *t), enum fate fate) {
    pid_t child = fork_child();
    if (child != 0) return child;
    go_half_way(p, place_open(p), user, is_held, fate);
    _exit(0);
}

/* ---- somebody who waits ---- */

struct waiter {
    weir        *w;
    const char  *user;
    pthread_t    thread;
    int64_t      took_ns;
    _Atomic bool is_through, allowed;
};

static void *waiter_run(void *context) {
    struct waiter *waiter   = context;
    int64_t        began_ns = now_ns();
    waiter->allowed         = ask(waiter->w, waiter->user);
    waiter->took_ns         = now_ns() - began_ns;
    waiter->is_through      = true;
    return NULL;
}

static void waiter_begin(struct waiter *waiter) {
    CHECK_EQ(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
}

/* Ends the test if it takes too long; says how long it took. */
static void waiter_end(struct waiter *waiter, const char *what) {
    int64_t began_ns = now_ns();
    while (!waiter->is_through && now_ns() - began_ns < PATIENCE_MS * WEIR_MILLISECOND) sleep_ms(1);
    CHECK_SAYS(waiter->is_through, "%s: still waiting after %d ms", what, PATIENCE_MS);
    pthread_join(waiter->thread, NULL);
    printf("    %s: %.3f ms\n", what, (double)waiter->took_ns / 1e6);
}

static void reap(pid_t child, int with_signal) {
    int status;
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (with_signal == 0)
        CHECK_SAYS(WIFEXITED(status) && WEXITSTATUS(status) == 0, "it ended with %d", status);
    else
        CHECK_SAYS(WIFSIGNALED(status) && WTERMSIG(status) == with_signal, "it ended with %d",
                   status);
}

/* Until the process executes another program. */
static void await_program(pid_t child, const char *name) {
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "/proc/%d/comm", child);
    for (int ms = 0; ms < PATIENCE_MS && strncmp(text, name, strlen(name)) != 0; ms++) {
        int fd = open(path, O_RDONLY);
        sleep_ms(1);
        if (fd >= 0) (void)!read(fd, text, sizeof text);
        if (fd >= 0) close(fd);
    }
    CHECK_CONTAINS(text, name);
}

static void await_stop(pid_t child) {
    int status;
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK_SAYS(WIFSTOPPED(status), "it ended with %d", status);
}

#if STEPS_ARE_THERE

TEST(nobody_waits_for_a_process_that_was_killed_with_a_line) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    reap(half_way(&p, "ann", is_line_held, FATE_KILLED), SIGKILL);
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a line of a dead process");
    CHECK(waiter.allowed);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(nobody_waits_for_a_process_that_was_killed_with_a_bucket) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    reap(half_way(&p, "ann", is_bucket_held, FATE_KILLED), SIGKILL);
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a bucket of a dead process");
    CHECK(waiter.allowed);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 1);
    weir_close(w);
    folder_free(&p.folder);
}

/* Waits as long as the process lives, whatever that is for. */
static void check_waited_for(enum fate fate, const char *what) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    pid_t child = half_way(&p, "ann", is_line_held, fate);
    await_stop(child);
    waiter_begin(&waiter);
    sleep_ms(LIVING_MS);
    CHECK(!waiter.is_through);
    CHECK_EQ(mended(&p), 0);
    kill(child, SIGCONT);
    waiter_end(&waiter, what);
    reap(child, 0);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 3);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(a_stopped_process_is_waited_for) {
    check_waited_for(FATE_STOPPED, "for a stopped process, until it was let go on");
}

TEST(a_process_that_has_closed_its_files_is_waited_for) {
    check_waited_for(FATE_CLOSES, "for one without files, until it went on");
}

TEST(a_process_that_has_closed_its_files_can_be_found_dead) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    pid_t child = half_way(&p, "ann", is_line_held, FATE_CLOSES);
    await_stop(child);
    waiter_begin(&waiter);
    sleep_ms(LIVING_MS);
    CHECK(!waiter.is_through);
    kill(child, SIGKILL); /* and is not even waited for by its parent yet */
    waiter_end(&waiter, "for one without files, until it was killed");
    reap(child, SIGKILL);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(nobody_waits_for_a_process_that_became_another_program) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    pid_t child = half_way(&p, "ann", is_line_held, FATE_IS_ANOTHER);
    await_program(child, "sleep");
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a process that executes another program");
    kill(child, SIGKILL);
    reap(child, SIGKILL);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    weir_close(w);
    folder_free(&p.folder);
}

/* The program closes a descriptor that it did not know, and gets its number for another file. */
static int steal_descriptor(const struct place *p, int other) {
    for (int fd = 3; fd < 1024; fd++) {
        char name[64], target[PATH_MAX] = "";
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        if (readlink(name, target, sizeof target - 1) < 0 || strcmp(target, p->path) != 0) continue;
        CHECK_EQ(dup2(other, fd), fd);
        return fd;
    }
    CHECK_SAYS(false, "%s is not open", p->path);
    return -1;
}

static weir_status status_of(weir *w, const char *user) {
    weir_request  r = weir_request_for(user, strlen(user), LIMIT, WEIR_HOUR);
    weir_decision d;
    r.cost = 0;
    return weir_decide(w, &r, &d);
}

/* All of them, those of libraries as well. */
static void close_all(void) { (void)close_range(3, ~0U, 0); }

static void await_healing(weir *w) {
    for (int ms = 0; ms < PATIENCE_MS && status_of(w, "ann") != WEIR_OK; ms++) sleep_ms(1);
    CHECK_EQ(status_of(w, "ann"), WEIR_OK);
}

TEST(nobody_waits_for_the_dead_whose_descriptors_are_closed) {
    struct place p = place_new();
    weir        *w = place_open(&p);
    CHECK(ask(w, "ann"));
    reap(half_way(&p, "ann", is_line_held, FATE_KILLED), SIGKILL);
    struct waiter waiter = {.w = w, .user = "ann"};
    close_all();
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a dead process, with all descriptors closed");
    CHECK(!waiter.allowed);
    await_healing(w);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 1);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(a_daemon_that_closes_all_descriptors_opens_the_file_again) {
    struct place p = place_new();
    weir        *w = place_open(&p);
    CHECK(ask(w, "ann"));
    pid_t child = fork_child();
    if (child == 0) {
        close_all();
        CHECK_NE(status_of(w, "ann"), WEIR_OK);
        await_healing(w);
        bool is_same = ask(w, "ann") && left_of(w, "ann") == LIMIT - 2;
        weir_close(w);
        _exit(is_same ? 0 : 1);
    }
    reap(child, 0);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(nobody_waits_for_the_dead_whose_descriptor_is_another_files) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    int           other  = memfd_create("other", 0);
    CHECK(ask(w, "ann"));
    reap(half_way(&p, "ann", is_line_held, FATE_KILLED), SIGKILL);
    int stolen = steal_descriptor(&p, other);
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a dead process that cannot be asked for");
    CHECK(!waiter.allowed);
    await_healing(w);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 1);
    weir_close(w);
    CHECK_EQ(lseek(stolen, 0, SEEK_END), 0); /* still there, and nobody wrote into it */
    close(stolen);
    close(other);
    folder_free(&p.folder);
}

/* ---- children ---- */

TEST(a_child_that_is_killed_is_found_dead_while_its_parent_lives) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    pid_t child = fork_child();
    if (child == 0) go_half_way(&p, w, "ann", is_line_held, FATE_KILLED);
    reap(child, SIGKILL);
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a dead child of this process");
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    weir_close(w);
    folder_free(&p.folder);
}

/* The parent's child lives on, and has asked something through the handle or has not. */
static void check_parent_is_found_dead(bool child_asks, const char *what) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    int           ready[2];
    char          byte = 0;
    CHECK_EQ(pipe(ready), 0);
    CHECK(ask(w, "ann"));
    pid_t parent = fork_child();
    if (parent == 0) {
        weir *own   = place_open(&p);
        pid_t child = fork();
        if (child == 0) {
            if (child_asks && !ask(own, "bob")) _exit(1);
            alarm(REST_S);
            (void)!write(ready[1], &child, sizeof byte);
            for (;;) pause();
        }
        (void)!read(ready[0], &byte, 1);
        (void)!write(ready[1], &child, sizeof child);
        go_half_way(&p, own, "ann", is_line_held, FATE_KILLED);
    }
    reap(parent, SIGKILL);
    pid_t child;
    CHECK_EQ(read(ready[0], &child, sizeof child), sizeof child);
    waiter_begin(&waiter);
    waiter_end(&waiter, what);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 2);
    CHECK_EQ(kill(child, SIGKILL), 0);
    close(ready[0]);
    close(ready[1]);
    weir_close(w);
    folder_free(&p.folder);
}

TEST(a_parent_that_is_killed_is_found_dead_while_its_child_lives) {
    check_parent_is_found_dead(true, "for a dead parent of a child that asks");
    check_parent_is_found_dead(false, "for a dead parent of a child that never asked");
}

#endif

/* Decides so often, and says in `shared` how often it was allowed. */
static void ask_often(weir *w, int times, _Atomic uint64_t *allowed) {
    for (int i = 0; i < times; i++) atomic_fetch_add(allowed, ask(w, "ann"));
}

TEST(parent_child_and_grandchild_share_one_count) {
    struct place      p = place_new();
    weir             *w = place_open(&p);
    _Atomic uint64_t *allowed =
        mmap(NULL, sizeof *allowed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ask(w, "ann"));
    pid_t child = fork_child();
    if (child == 0) {
        pid_t grandchild = fork_child(); /* of a child that has not asked yet */
        ask_often(w, BOTH_ASK, allowed);
        if (grandchild == 0) _exit(0);
        int status;
        waitpid(grandchild, &status, 0);
        weir_close(w);
        _exit(status != 0);
    }
    ask_often(w, BOTH_ASK, allowed);
    reap(child, 0);
    CHECK_EQ(*allowed, LIMIT - 1);
    CHECK_EQ(left_of(w, "ann"), 0);
    munmap(allowed, sizeof *allowed);
    weir_close(w);
    folder_free(&p.folder);
}

#if STEPS_ARE_THERE

TEST(a_new_process_that_gets_a_dead_ones_number_holds_nothing_of_its) {
    struct place  p      = place_new();
    weir         *w      = place_open(&p);
    struct waiter waiter = {.w = w, .user = "ann"};
    CHECK(ask(w, "ann"));
    reap(half_way(&p, "ann", is_line_held, FATE_KILLED), SIGKILL);
    for (int i = 2; i < FORMAT_PROCESSES; i++) {
        pid_t child = fork_child();
        if (child == 0) {
            (void)place_open(&p);
            kill(getpid(), SIGKILL);
        }
        reap(child, SIGKILL);
    }
    weir *last = place_open(&p); /* all numbers are taken, but for those of the dead */
    waiter_begin(&waiter);
    waiter_end(&waiter, "for a line of a number that is another's now");
    CHECK_EQ(left_of(last, "ann"), LIMIT - 2);
    weir_close(last);
    weir_close(w);
    folder_free(&p.folder);
}

#endif

/* There are 255 numbers for processes. */
TEST(a_thousand_processes_one_after_the_other_find_room) {
    struct place p     = place_new();
    weir        *w     = place_open(&p);
    uint64_t     count = check_effort(1000);
    for (uint64_t i = 0; i < count; i++) {
        pid_t child = fork_child();
        if (child == 0) {
            weir *own = i % 2 == 0 ? w : place_open(&p);
            if (!ask(own, i % 3 == 0 ? "ann" : "bob")) _exit(1);
            if (i % 5 != 0) kill(getpid(), SIGKILL);
            weir_close(own);
            _exit(0);
        }
        reap(child, i % 5 != 0 ? SIGKILL : 0);
    }
    CHECK_EQ(left_of(w, "ann"), LIMIT - (count + 2) / 3);
    weir_close(w);
    folder_free(&p.folder);
}

enum { OPENED_MIN = 20, CHILDREN_MAX = 300 };

static _Atomic bool   may_end;
static _Atomic size_t opened;

static void *open_and_close(void *place) {
    weir_options options = WEIR_OPTIONS_DEFAULT;
    options.users_max    = 300;
    options.durability   = WEIR_DURABILITY_POWER;
    while (!may_end) {
        weir *w = weir_open(((struct place *)place)->url, &options, NULL);
        CHECK_NE(w, NULL);
        weir_close(w);
        opened++;
    }
    return NULL;
}

/* Whoever closes a file holds locks of it meanwhile, which such a child would keep as long as it lives. */
TEST(a_child_that_is_made_while_a_file_is_closed_holds_nothing_of_it) {
    struct place p = place_new();
    pid_t        child[CHILDREN_MAX];
    size_t       children = 0;
    pthread_t    thread;
    may_end = false;
    opened  = 0;
    CHECK_EQ(pthread_create(&thread, NULL, open_and_close, &p), 0);
    while (opened < OPENED_MIN && children < CHILDREN_MAX) {
        child[children] = fork_child();
        if (child[children] == 0) {
            pause();
            _exit(0);
        }
        children++;
        sleep_ms(3);
    }
    size_t before = opened;
    for (int ms = 0; ms < PATIENCE_MS && opened < before + 2; ms++) sleep_ms(1);
    bool can_be_opened = opened >= before + 2;
    may_end            = true;
    for (size_t i = 0; i < children; i++) {
        kill(child[i], SIGKILL);
        reap(child[i], SIGKILL);
    }
    pthread_join(thread, NULL);
    CHECK_SAYS(can_be_opened, "it cannot be opened any more while the children live");
    folder_free(&p.folder);
}

TEST(a_child_of_a_limiter_in_memory_is_told_so) {
    weir *w = weir_open("memory:", NULL, NULL);
    CHECK(ask(w, "ann"));
    pid_t child = fork_child();
    if (child == 0) {
        weir_request  r = weir_request_for("ann", 3, LIMIT, WEIR_HOUR);
        weir_decision d;
        bool is_told = weir_decide(w, &r, &d) == WEIR_FORKED && !d.allowed && !ask(w, "bob");
        weir_close(w);
        _exit(is_told ? 0 : 1);
    }
    reap(child, 0);
    CHECK_EQ(left_of(w, "ann"), LIMIT - 1);
    weir_close(w);
}
