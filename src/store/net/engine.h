/* SPDX-License-Identifier: MIT
 *
 * engine: one thread that does what all others submit, each job before its deadline.
 *
 * The frame of a store's client. Here are: who submits, and how many jobs there may be; who wakes whom; what
 * is due; the turns of the thread, and their end; what a child of fork() is told. The owner's are: which
 * server a job is for, what that is told, and how the job ends.
 *
 * A turn: the caller's hook; what was submitted; what is due; the owner's work; then the thread waits for its
 * sockets, for other threads, and until something is due.
 *
 *     if (engine_init(&e, &setting) && engine_start(&e, "weir-store")) ...
 *     if (engine_reserve(&e)) engine_submit(&e, &request->job);      -- any thread
 *     engine_end(&e, &request->job); ... engine_release(&e);         -- its own thread
 *     if (engine_stop(&e)) engine_clear(&e); */
#ifndef WEIR_STORE_NET_ENGINE_H
#define WEIR_STORE_NET_ENGINE_H

#include "base/arrivals.h"
#include "os/latch.h"
#include "os/loop.h"
#include "os/process.h"
#include "os/thread.h"
#include "store/net/due.h"

/* What a request of the owner's begins with. */
struct job {
    struct arrival  arrival;
    struct due_item due;
    uint64_t        deadline_ns; /* on clock_now_ns(); when it is submitted, 0 is the usual one */
};

struct engine_setting {
    uint32_t jobs_max;        /* submitted and not yet released */
    uint64_t deadline_ns;     /* from now, of a job that names none */
    uint64_t deadline_ns_max; /* from now; a later one is this one */

    /* The caller's hook, first in each turn. Returns when it wants to be called again at the latest;
     * UINT64_MAX: when something happens. NULL: nobody wants to know. */
    uint64_t (*turn)(void *context);
    void *turn_context;

    /* The owner's, called on the thread. */
    void *owner;
    void (*arrived)(void *owner, struct job *job); /* it was submitted; it is due at its deadline */
    void (*expired)(void *owner, struct job *job); /* it is due: to be ended, or due later */
    /* All else of a turn. Returns when its next is to be. */
    uint64_t (*work)(void *owner);
    /* A socket has something to say, or somebody has posted a word, which is not 0. */
    void (*react)(void *owner, const struct loop_event *event);
};

struct engine {
    /* What any thread touches. */
    struct arrivals           submitted;
    _Atomic uint32_t          outstanding;
    _Atomic bool              is_closing;
    _Atomic bool              is_forked;
    struct engine_setting     setting;
    struct loop               loop;
    struct thread             thread;
    struct process_fork_watch forks;

    /* The thread's. */
    uint64_t   now_ns;   /* read once before it works, and once before it reacts */
    bool       is_woken; /* by itself: one more turn before it sleeps */
    struct due due;
};

/* The loop is there from now on, so that the owner may prepare. False: no memory, or no descriptors. */
bool engine_init(struct engine *e, const struct engine_setting *setting);
/* Of one that was not started, or is stopped, with all jobs released. */
void engine_clear(struct engine *e);

/* False: the system has no room for one more thread. */
bool engine_start(struct engine *e, const char *name);
/* Waits until all that was submitted has ended, and the thread with it; not on that thread. False: this is
 * a child of fork(), and nothing here was ever its own. */
bool engine_stop(struct engine *e);

/* ---- any thread ---- */

/* Whether this process is a child of the one that started it. */
bool engine_is_forked(const struct engine *e);

/* Room for one more job, which is to be submitted, or else released. False: there are jobs_max. */
bool engine_reserve(struct engine *e);
void engine_release(struct engine *e);
/* It is the engine's until it is ended. */
void engine_submit(struct engine *e, struct job *job);

/* Makes the thread take a turn, soon. */
void engine_wake(struct engine *e);

/* Waits for what only the engine's thread will open; so it is not called there. */
void engine_wait(const struct engine *e, struct latch *latch);

/* ---- its own thread ---- */

/* It is due then, and not when it was. */
void engine_set_due(struct engine *e, struct job *job, uint64_t at_ns);
/* It is not due any more; its memory is the owner's. */
void engine_end(struct engine *e, struct job *job);

#endif
