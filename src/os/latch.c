/* SPDX-License-Identifier: MIT */
#include "os/latch.h"

#include <linux/futex.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

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
