/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <time.h>

#include "base/contract.h"

#define SECOND_NS UINT64_C(1000000000)

static uint64_t clock_read(clockid_t id) {
    struct timespec t;
    INVARIANT(clock_gettime(id, &t) == 0);
    return (uint64_t)t.tv_sec * SECOND_NS + (uint64_t)t.tv_nsec;
}

uint64_t clock_now_ns(void) { return clock_read(CLOCK_BOOTTIME); }

uint64_t clock_wall_ns(void) { return clock_read(CLOCK_REALTIME); }

void clock_sleep_until(uint64_t until_ns) {
    for (uint64_t now_ns = clock_now_ns(); now_ns < until_ns; now_ns = clock_now_ns()) {
        const struct timespec rest = {.tv_sec  = (time_t)((until_ns - now_ns) / SECOND_NS),
                                      .tv_nsec = (long)((until_ns - now_ns) % SECOND_NS)};
        (void)clock_nanosleep(CLOCK_BOOTTIME, 0, &rest, NULL);
    }
}
