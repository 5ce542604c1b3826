/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/contract.h"

bool thread_start(struct thread *thread, const char *name, void *(*run)(void *), void *context) {
    if (pthread_create(&thread->id, NULL, run, context) != 0) return false;
    char shown[16];
    snprintf(shown, sizeof shown, "%s", name);
    (void)pthread_setname_np(thread->id, shown);
    return true;
}

void thread_join(struct thread *thread) { INVARIANT(pthread_join(thread->id, NULL) == 0); }

unsigned thread_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

uint64_t thread_process_id(void) { return (uint64_t)getpid(); }
