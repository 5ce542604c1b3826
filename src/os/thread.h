/* SPDX-License-Identifier: MIT
 *
 * thread: a function that runs beside the others. */
#ifndef WEIR_OS_THREAD_H
#define WEIR_OS_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct thread {
    pthread_t id;
};

/* Starts run(context) on a thread that shows as `name` (15 bytes count). False: there is no room for
 * one more. thread_join() must follow. */
bool thread_start(struct thread *thread, const char *name, void *(*run)(void *), void *context);
/* The same for a thread inside a program that is not ours: no signal of its program is taken there. */
bool thread_start_quiet(struct thread *thread, const char *name, void *(*run)(void *),
                        void *context);
void thread_join(struct thread *thread);

/* Whether it is the one that asks. */
bool thread_is_this(const struct thread *thread);

/* Processors that this process may run on, at least 1. */
unsigned thread_processor_count(void);

/* The number of this process. */
uint64_t thread_process_id(void);

#endif
