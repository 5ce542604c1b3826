/* SPDX-License-Identifier: MIT
 *
 * load: many requests of a store's client at once; is each answered once, and in time?
 *
 * Threads submit as fast as they may. What a store alone has to ask or to tell is the caller's. */
#ifndef WEIR_TEST_LOAD_H
#define WEIR_TEST_LOAD_H

#include <stdatomic.h>

#include "store/net/fate.h"
#include "support/driver.h"

enum { LOAD_THREADS_MAX = 16, LOAD_STATUSES_MAX = 16 };

struct load_job {
    struct load_worker *worker;
    uint64_t            number; /* of those of its thread, from 0 on */
    unsigned            key;    /* each thread has its own */
    uint64_t            deadline_ns;
    _Atomic unsigned    called;
    struct load_job    *next_free;
};

struct load {
    unsigned threads;
    unsigned keys;        /* of each thread */
    unsigned window;      /* jobs of each thread that are on their way at once */
    uint64_t jobs_max;    /* of each thread */
    uint64_t span_ns;     /* none is submitted later */
    uint64_t deadline_ns; /* of a job, from when it is submitted */

    /* Statuses are the client's; 0 says that it is done. Of submit() it says that the job is taken, and
     * load_end() will follow. */
    unsigned (*submit)(struct load_job *job);
    unsigned statuses;
    const char *(*status_name)(unsigned status);
    void (*tell)(struct json_writer *w); /* what else there is to tell of it */
};

/* Returns when all has been answered, and told. */
void load_run(const struct load *load);

/* On the client's thread, when a job is answered; last, for it may be submitted again at once. */
void load_end(struct load_job *job, unsigned status, enum fate fate);

#endif
