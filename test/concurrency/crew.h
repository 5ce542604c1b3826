/* SPDX-License-Identifier: MIT
 *
 * crew: runs the same work on several threads at once. */
#ifndef WEIR_TEST_CREW_H
#define WEIR_TEST_CREW_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "base/random.h"
#include "support/check.h"

enum { CREW_MAX = 16 };

struct crew_member {
    pthread_t       thread;
    size_t          index;
    struct random   random; /* of its own, from the run's seed */
    void           *work;
    _Atomic size_t *waiting;
    void (*run)(struct crew_member *);
};

static void *crew_begin(void *member) {
    struct crew_member *m = member;
    atomic_fetch_sub(m->waiting, 1);
    while (atomic_load(m->waiting) > 0) {} /* All start together. */
    m->run(m);
    return NULL;
}

/* Returns when all members are done. */
static inline void crew_run(size_t count, void (*run)(struct crew_member *), void *work) {
    struct crew_member member[CREW_MAX];
    struct random      random  = {.state = check_seed()};
    _Atomic size_t     waiting = count;
    CHECK_LE(count, CREW_MAX);
    for (size_t i = 0; i < count; i++) {
        member[i] = (struct crew_member){.index   = i,
                                         .random  = random_split(&random),
                                         .work    = work,
                                         .waiting = &waiting,
                                         .run     = run};
        CHECK_EQ(pthread_create(&member[i].thread, NULL, crew_begin, &member[i]), 0);
    }
    for (size_t i = 0; i < count; i++) CHECK_EQ(pthread_join(member[i].thread, NULL), 0);
}

#endif
