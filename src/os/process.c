/* SPDX-License-Identifier: MIT */
#include "os/process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXT_BYTES_MAX = 1024, NS_PER_S = 1000000000 };

/* Reads a small file of the kernel's; false: it is not there. Ends with NUL. */
static bool read_text(const char *path, char text[TEXT_BYTES_MAX]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t n = read(fd, text, TEXT_BYTES_MAX - 1);
    (void)close(fd);
    if (n <= 0) return false;
    text[n] = '\0';
    return true;
}

struct process_facts {
    char     state;
    uint64_t started;
    uint64_t program; /* 0 also if this process may not know */
};

/* What is before the facts in the line is the name, which may hold anything but is followed by the last
 * ')'. */
static bool read_stat(uint64_t id, struct process_facts *facts) {
    enum { FIELD_STATE = 3, FIELD_STARTED = 22, FIELD_STACK = 28 };
    char path[64], text[TEXT_BYTES_MAX];
    (void)snprintf(path, sizeof path, "/proc/%" PRIu64 "/stat", id);
    if (!read_text(path, text)) return false;
    const char *field = strrchr(text, ')');
    if (field == NULL || field[1] != ' ') return false;
    facts->state = field[2];
    for (int i = FIELD_STATE - 1; i < FIELD_STACK && field != NULL; i++) {
        field = strchr(field + 1, ' ');
        if (field != NULL && i + 1 == FIELD_STARTED) facts->started = strtoull(field + 1, NULL, 10);
    }
    if (field == NULL) return false;
    facts->program = strtoull(field + 1, NULL, 10);
    return true;
}

struct process_identity process_self(void) {
    struct process_identity self = {.id = (uint64_t)getpid()};
    struct process_facts    facts;
    struct stat             s;
    if (read_stat(self.id, &facts)) {
        self.started = facts.started;
        self.program = facts.program;
    }
    if (stat("/proc/self/ns/pid", &s) == 0) self.name_space = s.st_ino;
    return self;
}

bool process_is_root(void) { return geteuid() == 0; }

void process_name(char name[PROCESS_NAME_BYTES]) {
    memset(name, 0, PROCESS_NAME_BYTES);
    (void)prctl(PR_GET_NAME, name);
}

bool process_lives(struct process_identity p) {
    struct process_facts facts;
    struct stat          s;
    if (p.started == 0 || p.name_space == 0) return false;
    if (stat("/proc/self/ns/pid", &s) != 0 || s.st_ino != p.name_space) return false;
    if (!read_stat(p.id, &facts)) return false;
    if (p.program != 0 && facts.program != 0 && facts.program != p.program) return false;
    return facts.started == p.started && facts.state != 'Z' && facts.state != 'X';
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

bool process_boot(uint8_t boot[PROCESS_BOOT_BYTES]) {
    char   text[TEXT_BYTES_MAX];
    size_t digits = 0;
    if (!read_text("/proc/sys/kernel/random/boot_id", text)) return false;
    for (const char *c = text; *c != '\0' && digits < 2 * PROCESS_BOOT_BYTES; c++) {
        int value = hex_value(*c);
        if (value < 0) continue;
        uint8_t *byte = &boot[digits++ / 2];
        *byte         = (uint8_t)(*byte << 4 | value);
    }
    return digits == 2 * PROCESS_BOOT_BYTES;
}

int64_t process_clock_ahead_ns(void) {
    char text[TEXT_BYTES_MAX];
    if (!read_text("/proc/self/timens_offsets", text)) return 0;
    const char *line = strstr(text, "boottime");
    if (line == NULL) return 0;
    char   *rest;
    int64_t seconds = strtoll(line + strlen("boottime"), &rest, 10);
    return seconds * NS_PER_S + strtoll(rest, NULL, 10);
}

/* --- forks ----------------------------------------------------------------------------------- */

static pthread_mutex_t            watch_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct process_fork_watch *watches;
static bool                       watches_forks;
static _Thread_local bool         holds_forks;

static void before_fork(void) { (void)pthread_mutex_lock(&watch_mutex); }
static void after_fork(void) { (void)pthread_mutex_unlock(&watch_mutex); }

static void after_fork_in_child(void) {
    for (struct process_fork_watch *w = watches; w != NULL; w = w->next) w->in_child(w->context);
    (void)pthread_mutex_unlock(&watch_mutex);
}

static bool begin_to_hold(void) {
    holds_forks = true;
    if (!watches_forks)
        watches_forks = pthread_atfork(before_fork, after_fork, after_fork_in_child) == 0;
    if (!watches_forks) process_release_forks();
    return holds_forks;
}

bool process_hold_forks(void) {
    (void)pthread_mutex_lock(&watch_mutex);
    return begin_to_hold();
}

bool process_try_hold_forks(void) {
    return pthread_mutex_trylock(&watch_mutex) == 0 && begin_to_hold();
}

void process_release_forks(void) {
    holds_forks = false;
    (void)pthread_mutex_unlock(&watch_mutex);
}

bool process_watch_forks(struct process_fork_watch *watch) {
    bool was_held = holds_forks;
    if (!was_held && !process_hold_forks()) return false;
    watch->next = watches;
    watches     = watch;
    if (!was_held) process_release_forks();
    return true;
}

void process_unwatch_forks(struct process_fork_watch *watch) {
    bool was_held = holds_forks;
    if (!was_held) (void)pthread_mutex_lock(&watch_mutex);
    for (struct process_fork_watch **link = &watches; *link != NULL; link = &(*link)->next) {
        if (*link != watch) continue;
        *link = watch->next;
        break;
    }
    if (!was_held) (void)pthread_mutex_unlock(&watch_mutex);
}
