/* SPDX-License-Identifier: MIT
 *
 * guard: what if a mapped file cannot be read?
 *
 * The system then sends SIGBUS to the thread that touched it, which ends a process that is not prepared. A
 * guarded mapping instead tells its owner, and gives the thread a page of zeros so that it can come to its
 * end; what it finds out is worth nothing. The handler is installed with each guard, if it is not there, and
 * hands on what is not about guarded memory to the handler that was. */
#ifndef WEIR_OS_GUARD_H
#define WEIR_OS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

struct guard {
    char  *memory;
    size_t bytes;
    void (*failed)(void *context); /* may be called by any thread, from a signal handler */
    void *context;
};

/* The caller owns the guard until guard_end(). False: there are too many. */
bool guard_begin(struct guard *guard);
void guard_end(struct guard *guard);

#endif
