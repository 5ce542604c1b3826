/* SPDX-License-Identifier: MIT
 *
 * process: who is this, does that one still live, and since when does the machine run? */
#ifndef WEIR_OS_PROCESS_H
#define WEIR_OS_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PROCESS_NAME_BYTES = 16, PROCESS_BOOT_BYTES = 16 };

/* Names one process among all that ever ran on this machine since it was started. */
struct process_identity {
    uint64_t id;         /* pid, as this process's own namespace numbers them */
    uint64_t started;    /* when, in the kernel's ticks; 0: not known */
    uint64_t name_space; /* of pids; 0: not known */
    uint64_t program; /* where its stack begins: elsewhere once it executes another; 0: not known */
};

struct process_identity process_self(void);
void                    process_name(char name[PROCESS_NAME_BYTES]); /* padded with NULs */

bool process_is_root(void);

/* Whether it surely lives: false for one of another namespace, for one that has ended and is not yet waited
 * for, and for one that executes another program by now. */
bool process_lives(struct process_identity p);

/* A number that no other start of this machine has; false: the system does not tell. */
bool process_boot(uint8_t boot[PROCESS_BOOT_BYTES]);

/* How far CLOCK_BOOTTIME of this process is ahead of the machine's own: not 0 in a time namespace. */
int64_t process_clock_ahead_ns(void);

/* Has `in_child` called in each child that fork() makes from now on, before fork() returns there. The
 * caller owns `watch` until it is removed; in_child may call only what a signal handler may. */
struct process_fork_watch {
    void (*in_child)(void *context);
    void                      *context;
    struct process_fork_watch *next;
};

bool process_watch_forks(struct process_fork_watch *watch);

/* Between these two no thread forks: it waits. For what a child would inherit and nobody would let go of
 * there, since it is not being watched yet, or any more. process_watch_forks() and process_unwatch_forks()
 * may be called in between, by the same thread. False: the system has no memory for it. */
bool process_hold_forks(void);
void process_release_forks(void);

/* The same where nobody may wait: within a fork() of this thread, say. False: not now. */
bool process_try_hold_forks(void);
void process_unwatch_forks(struct process_fork_watch *watch);

#endif
