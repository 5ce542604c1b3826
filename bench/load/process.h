/* SPDX-License-Identifier: MIT
 *
 * process: what has another process cost so far? */
#ifndef WEIR_BENCH_PROCESS_H
#define WEIR_BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* CPU nanoseconds of all threads that live now, from the scheduler's own account; where the kernel
 * keeps none, in steps of 10 ms. False: there is no such process. */
bool process_cpu_ns(pid_t pid, uint64_t *cpu_ns);

/* Bytes of its memory that are resident. */
bool process_resident_bytes(pid_t pid, uint64_t *bytes);

#endif
