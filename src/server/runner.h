/* SPDX-License-Identifier: MIT
 *
 * runner: a thread that makes the calls of a worker's connections that may wait for the store, one after the
 * other, so that the worker does not wait.
 *
 * Only where the store is remote. Such calls are rare (a reset, INFO), and each connection has one at a
 * time; so one thread for each worker does, and what is waiting for it waits in the pipe of its loop. */
#ifndef WEIR_SERVER_RUNNER_H
#define WEIR_SERVER_RUNNER_H

#include "os/loop.h"
#include "os/thread.h"
#include "server/errand.h"

struct runner {
    const struct service *service;
    struct loop           loop;
    struct thread         thread;
};

/* False: no descriptors or threads are left. */
bool runner_start(struct runner *r, const struct service *service);
/* When all its errands are over. */
void runner_stop(struct runner *r);

/* Sends an errand of one call. False: thousands are waiting there already. */
bool runner_send(struct runner *r, struct errand *e);

#endif
