/* SPDX-License-Identifier: MIT */
#include "crash/steps.h"

#include <signal.h>
#include <stdbool.h>
#include <ucontext.h>

#if STEPS_ARE_THERE

enum { TRAP_FLAG = 0x100 };

static void (*steps_seen)(void *context, size_t n);
static void                 *steps_context;
static size_t                steps_count;
static volatile sig_atomic_t steps_are_over;

static void steps_trap(int number, siginfo_t *info, void *state) {
    (void)number;
    (void)info;
    ucontext_t *interrupted = state;
    if (steps_are_over) {
        interrupted->uc_mcontext.gregs[REG_EFL] &= ~(greg_t)TRAP_FLAG;
        return;
    }
    steps_seen(steps_context, ++steps_count);
}

/* Below the red zone, which is the compiler's. */
static inline void steps_begin(void) {
    __asm__ volatile("lea -128(%%rsp), %%rsp; pushfq; orq %0, (%%rsp); popfq; lea 128(%%rsp), %%rsp"
                     :
                     : "i"(TRAP_FLAG)
                     : "memory", "cc");
}

/* The handler stays blocked for nobody: `seen` may not return. */
static void steps_handle(void) {
    struct sigaction action = {.sa_sigaction = steps_trap, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTRAP, &action, NULL);
}

__attribute__((no_sanitize("address", "undefined"))) size_t steps_run(
    void (*act)(void *context), void (*seen)(void *context, size_t n), void *context) {
    steps_seen     = seen;
    steps_context  = context;
    steps_count    = 0;
    steps_are_over = false;
    steps_handle();
    steps_begin();
    act(context);
    steps_are_over = true;
    return steps_count;
}

void steps_stop(void) { steps_are_over = true; }

#else

size_t steps_run(void (*act)(void *context), void (*seen)(void *context, size_t n), void *context) {
    (void)seen;
    act(context);
    return 0;
}

void steps_stop(void) {}

#endif
