/* SPDX-License-Identifier: MIT */
#include "os/processor.h"

#include <sched.h>
#include <time.h>

enum { TURNS_ON_RUNQUEUE = 32, SLEEP_NS = 50000 };

void processor_yield(unsigned turn) {
    if (turn < TURNS_ON_RUNQUEUE) {
        (void)sched_yield();
    } else {
        (void)nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    }
}
