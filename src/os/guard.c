/* SPDX-License-Identifier: MIT */
#include "os/guard.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { GUARDS_MAX = 1024 };

static _Atomic(struct guard *) guards[GUARDS_MAX];
static pthread_mutex_t         guard_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction        handler_before;
static uintptr_t               page_bytes;

static struct guard *guard_of(const char *address) {
    for (unsigned i = 0; i < GUARDS_MAX; i++) {
        struct guard *g = atomic_load(&guards[i]);
        if (g != NULL && address >= g->memory && address < g->memory + g->bytes) return g;
    }
    return NULL;
}

/* As if there had been no handler of ours. The one before may itself hand on to ours, if it was installed
 * after it: then nobody wants the signal. */
static void hand_on(int signal_number, siginfo_t *info, void *context) {
    static _Thread_local volatile sig_atomic_t is_handing_on;
    if (is_handing_on) {
        (void)sigaction(signal_number, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        return;
    }
    is_handing_on = 1;
    if (handler_before.sa_flags & SA_SIGINFO) {
        handler_before.sa_sigaction(signal_number, info, context);
    } else if (handler_before.sa_handler != SIG_DFL && handler_before.sa_handler != SIG_IGN) {
        handler_before.sa_handler(signal_number);
    } else {
        /* The instruction is tried again, and ends the process. */
        (void)sigaction(signal_number, &handler_before, NULL);
    }
    is_handing_on = 0;
}

static void on_bus(int signal_number, siginfo_t *info, void *context) {
    struct guard *g = guard_of(info->si_addr);
    if (g == NULL) {
        hand_on(signal_number, info, context);
        return;
    }
    /* Told before the zeros are there, so that nobody reads them and does not know. */
    g->failed(g->context);
    char *page = (char *)info->si_addr - (uintptr_t)info->si_addr % page_bytes;
    if (mmap(page, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
             0) == MAP_FAILED) {
        hand_on(signal_number, info, context);
    }
}

/* Whenever somebody else has put a handler in the place of ours since. */
static void guard_install(void) {
    struct sigaction now;
    page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
    if (sigaction(SIGBUS, NULL, &now) != 0) return;
    if ((now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_bus) return;
    struct sigaction action = {.sa_sigaction = on_bus,
                               .sa_flags     = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, &handler_before);
}

bool guard_begin(struct guard *guard) {
    (void)pthread_mutex_lock(&guard_mutex);
    guard_install();
    (void)pthread_mutex_unlock(&guard_mutex);
    for (unsigned i = 0; i < GUARDS_MAX; i++) {
        struct guard *nobody = NULL;
        if (atomic_compare_exchange_strong(&guards[i], &nobody, guard)) return true;
    }
    return false;
}

void guard_end(struct guard *guard) {
    for (unsigned i = 0; i < GUARDS_MAX; i++) {
        if (atomic_load(&guards[i]) == guard) atomic_store(&guards[i], NULL);
    }
}
