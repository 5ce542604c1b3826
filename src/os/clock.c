/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <time.h>

#include "base/contract.h"

static uint64_t clock_read(clockid_t id) {
    struct timespec t;
    INVARIANT(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ns(void) { return clock_read(CLOCK_BOOTTIME); }

uint64_t clock_wall_ns(void) { return clock_read(CLOCK_REALTIME); }
