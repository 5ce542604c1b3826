/* SPDX-License-Identifier: MIT
 *
 * wall_clock: gives a program another wall clock, and nothing else; to be loaded before its libraries
 * (LD_PRELOAD). libfaketime does the same, but never returns in a program with jemalloc, as redis-server is.
 *
 * The file that WEIR_WALL_CLOCK names holds three numbers of 64 bits, which others may change at any time:
 * how many nanoseconds the clock is ahead; how many parts in a million it is too fast; and since when, on the
 * true clock. */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)

static const volatile struct { int64_t ahead_ns, fast_ppm, since_ns; } * told;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("WEIR_WALL_CLOCK");
    int         file = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) abort();
    void *bytes = mmap(NULL, sizeof *told, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED) abort();
    told = bytes;
    close(file);
}

static int64_t wall_ns(void) {
    struct timespec true_time;
    syscall(SYS_clock_gettime, CLOCK_REALTIME, &true_time);
    int64_t now_ns = true_time.tv_sec * SECOND + true_time.tv_nsec;
    if (told == NULL) return now_ns; /* asked before begin() */
    return now_ns + told->ahead_ns + (now_ns - told->since_ns) / 1000 * told->fast_ppm / 1000;
}

/* The C library calls its parameters by names that are not for us.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
int clock_gettime(clockid_t clock, struct timespec *time) {
    if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
        return (int)syscall(SYS_clock_gettime, clock, time);
    int64_t now_ns = wall_ns();
    *time          = (struct timespec){.tv_sec = now_ns / SECOND, .tv_nsec = now_ns % SECOND};
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    (void)zone;
    int64_t now_ns = wall_ns();
    *time          = (struct timeval){.tv_sec = now_ns / SECOND, .tv_usec = now_ns % SECOND / 1000};
    return 0;
}

time_t time(time_t *to) {
    time_t now = wall_ns() / SECOND;
    if (to != NULL) *to = now;
    return now;
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
