// SPDX-License-Identifier: MIT

// Package crossing holds what a call through cgo is measured against: a crossing that does
// nothing, one that reads the clock which weir reads, and decisions made in a loop of C's own, where
// nothing is crossed. Tests cannot use cgo themselves, so it is a package.
package crossing

/*
#cgo pkg-config: weir
#include <time.h>
#include <weir.h>

static inline void crossing_nothing(void) {}

static inline long crossing_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return now.tv_nsec;
}

static void crossing_clocks(long count) {
    for (long i = 0; i < count; i++) {
        long now = crossing_clock();
        __asm__ volatile("" : : "r"(now));
    }
}

static long crossing_decisions(weir *w, long count, uint64_t limit, int64_t window_ns) {
    long         allowed = 0;
    weir_request request = weir_request_for("ann", 3, limit, window_ns);
    for (long i = 0; i < count; i++) {
        weir_decision decision;
        if (weir_decide(w, &request, &decision) == WEIR_OK) allowed += decision.allowed;
    }
    return allowed;
}

static weir *crossing_open(void) { return weir_open("memory:", NULL, NULL); }
*/
import "C"

import "time"

// Nothing crosses into C and back.
func Nothing() { C.crossing_nothing() }

// Clock crosses and reads the clock.
func Clock() int64 { return int64(C.crossing_clock()) }

// Clocks reads the clock count times in C.
func Clocks(count int) { C.crossing_clocks(C.long(count)) }

// Decisions asks count times for one user in C, on a limiter of its own, and tells how many were
// allowed; -1 if it could not open one.
func Decisions(count, limit int, window time.Duration) int {
	w := C.crossing_open()
	if w == nil {
		return -1
	}
	defer C.weir_close(w)
	return int(C.crossing_decisions(w, C.long(count), C.uint64_t(limit), C.int64_t(window)))
}
