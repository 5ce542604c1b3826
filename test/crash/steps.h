/* SPDX-License-Identifier: MIT
 *
 * steps: runs something one instruction at a time.
 *
 * The processor's trap flag has it stop after each instruction, in a signal handler of the same thread. So
 * neither a debugger nor a right to trace is needed, and a step takes microseconds. Only where there is
 * such a flag, and not under the thread sanitizer, which has too many instructions of its own: there
 * STEPS_ARE_THERE is 0, and all runs at full speed. */
#ifndef WEIR_TEST_STEPS_H
#define WEIR_TEST_STEPS_H

#include <stddef.h>

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__)
#define STEPS_ARE_THERE 1
#else
#define STEPS_ARE_THERE 0
#endif

/* Calls act(context), and after each of its instructions seen(context, n), n = 1, 2, ...; returns how many
 * there were. `seen` runs at full speed, and may leave by a longjmp. Not for two threads at once. */
size_t steps_run(void (*act)(void *context), void (*seen)(void *context, size_t n), void *context);

/* Within act(): goes on at full speed; for one that leaves by a longjmp. */
void steps_stop(void);

#endif
