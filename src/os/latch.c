/* SPDX-License-Identifier: MIT */
#include "os/latch.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "os/clock.h"

enum { NS_PER_S = 1000000000, WAIT_S_MAX = 60 };

void latch_init(struct latch *latch) {
    atomic_store_explicit(&latch->is_open, 0, memory_order_relaxed);
}

/* Waking touches the address only, so that a latch on a stack that is gone by then costs at most a
 * stranger one wake-up too many, which every futex has to bear. */
void latch_open(struct latch *latch) {
    atomic_store_explicit(&latch->is_open, 1, memory_order_release);
    (void)syscall(SYS_futex, &latch->is_open, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

void latch_wait(struct latch *latch) {
    while (atomic_load_explicit(&latch->is_open, memory_order_acquire) == 0)
        (void)syscall(SYS_futex, &latch->is_open, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

/* A futex waits on a clock that stands still while the machine sleeps; so it is looked at anew at times. */
bool latch_wait_until(struct latch *latch, uint64_t deadline_ns) {
    while (atomic_load_explicit(&latch->is_open, memory_order_acquire) == 0) {
        uint64_t now_ns = clock_now_ns();
        if (now_ns >= deadline_ns) return false;
        uint64_t        left_ns = deadline_ns - now_ns;
        struct timespec left    = {.tv_sec = WAIT_S_MAX};
        if (left_ns < (uint64_t)WAIT_S_MAX * NS_PER_S) {
            left.tv_sec  = (time_t)(left_ns / NS_PER_S);
            left.tv_nsec = (long)(left_ns % NS_PER_S);
        }
        (void)syscall(SYS_futex, &latch->is_open, FUTEX_WAIT_PRIVATE, 0, &left, NULL, 0);
    }
    return true;
}
