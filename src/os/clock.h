/* SPDX-License-Identifier: MIT
 *
 * clock: what time is it? */
#ifndef WEIR_OS_CLOCK_H
#define WEIR_OS_CLOCK_H

#include <stdint.h>

/* Nanoseconds on CLOCK_BOOTTIME: never steps, counts while the machine sleeps. For decisions. */
uint64_t clock_now_ns(void);

/* Nanoseconds since 1970 on the wall clock. For showing to people only. */
uint64_t clock_wall_ns(void);

/* Returns when clock_now_ns() shows that; signals do not end it. */
void clock_sleep_until(uint64_t until_ns);

#endif
