/* SPDX-License-Identifier: MIT */
#include "sim/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/wide.h"

enum { PPM = 1000000 };

void world_begin(struct world *w, uint64_t seed, FILE *trace) {
    *w = (struct world){.random = {.state = seed}, .hash = seed, .trace = trace};
}

void world_end(struct world *w) {
    for (size_t i = 0; i < w->heap_count; i++) free(w->heap[i].cargo);
    free(w->heap);
    *w = (struct world){0};
}

/* --- the queue: a binary heap ---------------------------------------------------------------- */

static inline bool is_before(const struct event *a, const struct event *b) {
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void world_at(struct world *w, uint64_t at_ns, event_fn *run, void *subject, const void *cargo,
              size_t bytes) {
    if (w->heap_count == w->heap_room) {
        w->heap_room = w->heap_room == 0 ? 1024 : 2 * w->heap_room;
        w->heap      = realloc(w->heap, w->heap_room * sizeof *w->heap);
        REQUIRE(w->heap != NULL);
    }
    struct event e = {.at_ns   = at_ns > w->now_ns ? at_ns : w->now_ns,
                      .order   = w->event_count++,
                      .run     = run,
                      .subject = subject};
    if (bytes > 0) {
        e.cargo = malloc(bytes);
        REQUIRE(e.cargo != NULL);
        memcpy(e.cargo, cargo, bytes);
    }
    size_t at = w->heap_count++;
    while (at > 0 && is_before(&e, &w->heap[(at - 1) / 2])) {
        w->heap[at] = w->heap[(at - 1) / 2];
        at          = (at - 1) / 2;
    }
    w->heap[at] = e;
}

static struct event world_next(struct world *w) {
    struct event first = w->heap[0];
    struct event last  = w->heap[--w->heap_count];
    size_t       at    = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= w->heap_count) break;
        if (child + 1 < w->heap_count && is_before(&w->heap[child + 1], &w->heap[child])) child++;
        if (!is_before(&w->heap[child], &last)) break;
        w->heap[at] = w->heap[child];
        at          = child;
    }
    w->heap[at] = last;
    return first;
}

void world_run(struct world *w, uint64_t until_ns) {
    while (w->heap_count > 0 && w->heap[0].at_ns <= until_ns) {
        struct event e = world_next(w);
        w->now_ns      = e.at_ns;
        e.run(w, e.subject, e.cargo);
        free(e.cargo);
    }
    w->now_ns = until_ns;
}

/* --- the trace ------------------------------------------------------------------------------- */

static inline uint64_t mix(uint64_t hash, uint64_t word) {
    struct random r = {.state = hash ^ word};
    return random_next(&r);
}

void world_note(struct world *w, const char *what, uint64_t who, uint64_t a, uint64_t b) {
    uint64_t hash = mix(w->hash, w->now_ns);
    for (const char *p = what; *p != '\0'; p++) hash = hash * 31 + (unsigned char)*p;
    w->hash = mix(mix(mix(hash, who), a), b);
    if (w->trace == NULL) return;
    fprintf(w->trace, "%4" PRIu64 ".%09" PRIu64 " %-12s %2" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
            w->now_ns / SIM_S, w->now_ns % SIM_S, what, who, a, b);
}

/* --- chance ---------------------------------------------------------------------------------- */

/* Powers of two by coin, and even between them: mean 3/2 halvings, so 2/3 of the mean each. */
uint64_t world_exponential(struct random *r, uint64_t mean_ns) {
    uint64_t coins    = random_next(r);
    uint64_t halvings = coins == 0 ? 63 : (uint64_t)__builtin_ctzll(coins);
    uint64_t half_ns  = mean_ns * 2 / 3;
    return halvings * half_ns + random_below(r, half_ns + 1);
}

/* --- clocks ---------------------------------------------------------------------------------- */

uint64_t own_clock_at(const struct own_clock *c, uint64_t real_ns) {
    uint128 passed = (uint128)(real_ns - c->real_ns) * (uint64_t)(PPM + c->rate_ppm) / PPM;
    return c->own_ns + (uint64_t)passed;
}

uint64_t own_clock_when(const struct own_clock *c, uint64_t own_ns) {
    if (own_ns <= c->own_ns) return c->real_ns;
    uint64_t rate = (uint64_t)(PPM + c->rate_ppm);
    REQUIRE(rate > 0);
    uint128 passed = ((uint128)(own_ns - c->own_ns) * PPM + rate - 1) / rate;
    return c->real_ns + (uint64_t)passed;
}

void own_clock_change(struct own_clock *c, uint64_t real_ns, int64_t rate_ppm) {
    c->own_ns   = own_clock_at(c, real_ns);
    c->real_ns  = real_ns;
    c->rate_ppm = rate_ppm;
}
