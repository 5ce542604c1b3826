/* SPDX-License-Identifier: MIT
 *
 * world: time, chance and what happens next, of one simulated run.
 *
 * One thread, one queue ordered by (time, order of scheduling), all chance from one seed, split for
 * each consumer so that a new one does not shift the others; no wall clock, no floating point, no
 * order of pointers: the same seed does the same on every machine. What happens goes into a hash that
 * a second run must repeat. */
#ifndef WEIR_SIM_WORLD_H
#define WEIR_SIM_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/random.h"

#define SIM_US UINT64_C(1000)
#define SIM_MS UINT64_C(1000000)
#define SIM_S  UINT64_C(1000000000)

struct world;

/* `cargo` is the event's copy of what it was scheduled with, and is gone after the call. */
typedef void event_fn(struct world *w, void *subject, void *cargo);

struct event {
    uint64_t  at_ns;
    uint64_t  order;
    event_fn *run;
    void     *subject;
    void     *cargo;
};

struct world {
    uint64_t      now_ns; /* real time */
    uint64_t      event_count;
    struct random random; /* to split from */
    struct event *heap;
    size_t        heap_count, heap_room;
    uint64_t      hash;
    FILE         *trace; /* NULL: not printed */
};

/* `trace` is borrowed. world_end() frees what is still scheduled. */
void world_begin(struct world *w, uint64_t seed, FILE *trace);
void world_end(struct world *w);

/* Runs `run` at `at_ns` (now, if that is past) with a copy of `bytes` at `cargo`. */
void world_at(struct world *w, uint64_t at_ns, event_fn *run, void *subject, const void *cargo,
              size_t bytes);

/* Runs all that is scheduled up to `until_ns`. */
void world_run(struct world *w, uint64_t until_ns);

/* Something has happened: goes into the hash, and into the trace as "time what who a b". */
void world_note(struct world *w, const char *what, uint64_t who, uint64_t a, uint64_t b);

/* About exponential, with this mean; by whole numbers only. */
uint64_t world_exponential(struct random *r, uint64_t mean_ns);

/* --- clocks that are wrong ------------------------------------------------------------------- */

/* A clock that shows own_ns at real_ns and since then runs rate_ppm too fast. */
struct own_clock {
    uint64_t real_ns, own_ns;
    int64_t  rate_ppm; /* -1000000: it stands still */
};

uint64_t own_clock_at(const struct own_clock *c, uint64_t real_ns);

/* The first real time at which it shows at least `own_ns`; the clock runs. */
uint64_t own_clock_when(const struct own_clock *c, uint64_t own_ns);

void own_clock_change(struct own_clock *c, uint64_t real_ns, int64_t rate_ppm);

#endif
