/* SPDX-License-Identifier: MIT
 *
 * worker: one thread of the server, with its own loop, its own connections and its own batch. Threads
 * share the limiter and the listeners, and nothing else. With a remote store it has a second thread beside
 * it, for calls that would hold up its connections (runner.h). */
#ifndef WEIR_SERVER_WORKER_H
#define WEIR_SERVER_WORKER_H

#include <stdatomic.h>

#include "os/loop.h"
#include "os/socket.h"
#include "os/thread.h"
#include "server/connection.h"

enum {
    WORKER_LISTENERS_MAX = 16,
    WORKERS_MAX          = 256,
};

/* Words that a worker is sent, besides INBOX_WORD (errand.h); any other is the descriptor of a connection
 * that is now its own. */
#define WORKER_STOP     UINT64_MAX       /* answer what was asked, then end */
#define WORKER_STOP_NOW (UINT64_MAX - 1) /* end, as soon as the store has no ticket of ours */

struct listener {
    int            socket;
    struct address address;
};

/* What the threads of a server share. Written before they start, but for the atomics. */
struct crew {
    struct service   service;
    struct listener  listeners[WORKER_LISTENERS_MAX];
    size_t           listener_count;
    struct worker   *workers[WORKERS_MAX];
    size_t           worker_count;
    uint64_t         connections_max;
    uint64_t         idle_ns_max; /* 0: no connection is idle too long */
    struct loop     *boss;        /* is posted a word by each worker that has ended */
    _Atomic uint64_t connection_count;
    _Atomic uint64_t connection_id_last;
};

struct worker;

/* Makes a worker of the crew; its thread starts with worker_start(). NULL: no memory or descriptors. */
struct worker *worker_new(struct crew *crew);
bool           worker_start(struct worker *w);
/* Sends it a word; any thread. */
bool worker_post(struct worker *w, uint64_t word);
/* Waits for its thread, if it was started, and frees it. */
void worker_free(struct worker *w);

/* Adds what it has counted; any thread. */
void     worker_counts_add(const struct worker *w, struct service_counts *counts);
uint64_t worker_connection_count(const struct worker *w);

#endif
