/* SPDX-License-Identifier: MIT
 *
 * worker: one thread that asks a server and notes how long each answer took.
 *
 * Closed loop: each connection has a batch of `pipeline` requests under way and sends the next when all
 * are answered. It tells what the server can do and what a request costs it, but not how long users
 * wait, for a slow server is asked less ("coordinated omission").
 *
 * Open loop: requests fall due at moments drawn beforehand, whatever the server does, and each answer's
 * time counts from the moment its request was due. A request whose connection has no room waits, and
 * its waiting counts. Requests never answered count with the time until the end of the run. */
#ifndef WEIR_BENCH_WORKER_H
#define WEIR_BENCH_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/random.h"
#include "cmd/zipf.h"
#include "command.h"
#include "histogram.h"

enum users_order { USERS_UNIFORM, USERS_HOT, USERS_ZIPF, USERS_SEQUENCE };

/* What all workers share; set before they start. */
struct load_plan {
    struct sockaddr_storage address;
    socklen_t               address_bytes;
    struct command          command;
    enum users_order        order;
    uint64_t                user_count;
    double                  zipf_exponent;
    unsigned                thread_count;
    unsigned                connection_count; /* of each worker */
    unsigned                pipeline;
    double                  rate_per_s;    /* of each worker; 0: closed loop */
    bool                    is_even;       /* open loop: equal gaps instead of a Poisson process */
    uint64_t                request_count; /* of each worker; 0: until the time is over */
    uint64_t                start_ns;      /* what falls due before is warm-up and not counted */
    uint64_t                end_ns;
    uint64_t                drain_ns; /* how long to wait for the last answers */
    uint64_t                seed;
    int                     cpu; /* of the first worker; -1: anywhere */
};

struct load_counts {
    uint64_t sent, answered, allowed, denied, errors, malformed, wrong_shape, unanswered, unsent;
    uint64_t cpu_ns, run_ns; /* of the worker itself, warm-up included */
    uint64_t finished_ns;    /* when the last answer came */
};

struct worker {
    const struct load_plan *plan;
    unsigned                index;
    pthread_t               thread;
    struct load_counts      counts; /* of what was due within start_ns and end_ns */
    struct histogram        latency;
    char                    trouble[160]; /* empty: none */
    char                    first_error[120];
};

/* A thread's main function; takes a struct worker. */
void *worker_run(void *argument);

uint64_t worker_now_ns(void);

#endif
