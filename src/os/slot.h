/* SPDX-License-Identifier: MIT
 *
 * slot: a small number that no other living thread has.
 *
 * For things that a thread keeps for itself in an array: the number is taken at the first call and given
 * back when the thread ends, so that the next thread finds what the last one left. Threads beyond
 * SLOT_COUNT - 1 share number 0. */
#ifndef WEIR_OS_SLOT_H
#define WEIR_OS_SLOT_H

enum {
    SLOT_COUNT   = 64,
    SLOT_SHARED  = 0,
    SLOT_UNKNOWN = SLOT_COUNT,
};

extern _Thread_local unsigned slot_of_thread __attribute__((tls_model("initial-exec")));
unsigned                      slot_take(void);

static inline unsigned slot_mine(void) {
    unsigned slot = slot_of_thread;
    return slot != SLOT_UNKNOWN ? slot : slot_take();
}

#endif
