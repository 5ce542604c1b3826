/* SPDX-License-Identifier: MIT
 *
 * latch: has it happened yet? One thread opens it, once; another waits for that. */
#ifndef WEIR_OS_LATCH_H
#define WEIR_OS_LATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct latch {
    _Atomic uint32_t is_open;
};

void latch_init(struct latch *latch);

/* What was written before is seen by who has waited. The latch may be gone as soon as they know: nothing
 * of it is read afterwards. */
void latch_open(struct latch *latch);
void latch_wait(struct latch *latch);

/* The same until `deadline_ns` on clock_now_ns() at the latest; UINT64_MAX: for ever. False: it has not
 * happened. */
bool latch_wait_until(struct latch *latch, uint64_t deadline_ns);

#endif
