/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include <sched.h>
#include <signal.h>
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

bool thread_start_quiet(struct thread *thread, const char *name, void *(*run)(void *),
                        void *context) {
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
    bool is_started = thread_start(thread, name, run, context);
    INVARIANT(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    return is_started;
}

void thread_join(struct thread *thread) { INVARIANT(pthread_join(thread->id, NULL) == 0); }

unsigned thread_processor_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}

uint64_t thread_process_id(void) { return (uint64_t)getpid(); }

bool thread_is_this(const struct thread *thread) {
    return pthread_equal(thread->id, pthread_self()) != 0;
}
