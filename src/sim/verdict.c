/* SPDX-License-Identifier: MIT
 *
 * verdict: did the whole cluster keep its promises? Judged by real times of callers and admissions
 * alone, in code that shares nothing with src/lease.
 *
 *     strict    no half-open window of real time holds more than the limit. The fullest one ends with
 *               an admission, so one for each is looked at.
 *               What was admitted before a reset does not count after it. While one is under way, and
 *               until what was leased before has ended, nothing is judged: each process forgets at
 *               some time between question and answer.
 *     useful    admissions are compared with those of an ideal log that sees all callers at once: it
 *               admits whoever fits, and forgets after exactly a window. Where faults are on, only
 *               after they have stopped.
 *     nobody    is denied for ever: once faults have stopped, each node with callers gets something.
 *     bounded   traffic: trips to the store, for each caller. */
#include "sim/verdict.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "sim/world.h"

static void __attribute__((format(printf, 2, 3)))
convict(struct verdict *v, const char *format, ...) {
    if (v->is_convicted) return;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(v->reason, sizeof v->reason, format, arguments);
    va_end(arguments);
    v->is_convicted = true;
}

/* Nothing is judged before this, as of resets that had begun at `now_ns`: those up to *next. */
static uint64_t judged_from_ns(const struct evidence *e, const struct scenario *s, uint64_t now_ns,
                               uint64_t from_ns, size_t *next) {
    for (; *next < e->reset_count && e->resets[*next].begun_ns <= now_ns; ++*next) {
        uint64_t told_ns  = e->resets[*next].told_ns;
        uint64_t until_ns = told_ns == UINT64_MAX ? told_ns : told_ns + 2 * s->options.term_ns;
        if (until_ns > from_ns) from_ns = until_ns;
    }
    return from_ns;
}

static void judge_strict(const struct evidence *e, const struct scenario *s, struct verdict *v) {
    uint64_t sum = 0, at_ns = 0, from_ns = 0;
    size_t   first = 0, resets = 0;
    for (size_t i = 0; i < e->admission_count; i++) {
        const struct evidence_admission *last = &e->admissions[i];
        v->admitted += last->cost;
        from_ns = judged_from_ns(e, s, last->at_ns, from_ns, &resets);
        sum += last->cost;
        while (first <= i && (e->admissions[first].at_ns < from_ns ||
                              e->admissions[first].at_ns + s->window_ns <= last->at_ns))
            sum -= e->admissions[first++].cost;
        if (sum <= v->fullest) continue;
        v->fullest = sum;
        at_ns      = last->at_ns;
    }
    if (v->fullest > s->limit)
        convict(v,
                "not strict: %" PRIu64 " of %" PRIu64 " in the window that ends at %" PRIu64
                ".%09" PRIu64 " s",
                v->fullest, s->limit, at_ns / SIM_S, at_ns % SIM_S);
}

/* Admissions from `from_ns` on, in thousandths of those of an ideal log that begins then with what
 * the run had admitted in the window before. */
static uint64_t use_permille(const struct evidence *e, const struct scenario *s, uint64_t from_ns) {
    uint64_t real = 0, ideal = 0, live = 0;
    size_t   known = 0; /* admissions of the run, before from_ns, that the log has forgotten */
    size_t   known_end;
    for (known_end = 0; known_end < e->admission_count; known_end++) {
        if (e->admissions[known_end].at_ns >= from_ns) break;
        live += e->admissions[known_end].cost;
    }
    for (size_t i = known_end; i < e->admission_count; i++) real += e->admissions[i].cost;

    size_t oldest = 0; /* request that the log may forget next, if it admitted it */
    for (size_t i = 0; i < e->request_count; i++) {
        struct evidence_request *r = &e->requests[i];
        r->is_ideal                = false;
        if (r->at_ns < from_ns) continue;
        while (known < known_end && e->admissions[known].at_ns + s->window_ns <= r->at_ns)
            live -= e->admissions[known++].cost;
        while (oldest < i && e->requests[oldest].at_ns + s->window_ns <= r->at_ns) {
            if (e->requests[oldest].is_ideal) live -= e->requests[oldest].cost;
            oldest++;
        }
        if (live + r->cost > s->limit) continue;
        r->is_ideal = true;
        live += r->cost;
        ideal += r->cost;
    }
    return ideal == 0 ? 1000 : real * 1000 / ideal;
}

static void judge_nobody(const struct evidence *e, const struct scenario *s, uint64_t from_ns,
                         struct verdict *v) {
    uint64_t came[SIM_NODES_MAX] = {0}, got[SIM_NODES_MAX] = {0};
    for (size_t i = 0; i < e->request_count; i++) {
        const struct evidence_request *r = &e->requests[i];
        if (r->at_ns < from_ns) continue;
        came[r->node]++;
        got[r->node] += r->is_admitted;
    }
    for (uint32_t n = 0; n < s->nodes; n++)
        if (came[n] >= s->callers_enough && got[n] == 0)
            convict(v, "denied for ever: node %" PRIu32 ", %" PRIu64 " callers", n, came[n]);
}

void verdict_of(const struct evidence *e, const struct scenario *s, uint64_t repaired_ns,
                struct verdict *v) {
    *v = (struct verdict){.use_permille = 1000, .repair_permille = 1000};
    judge_strict(e, s, v);
    if (e->admission_count == 0) convict(v, "useless: nothing was admitted");
    if (e->request_count == 0) return; /* the greedy do not come, they take */

    v->use_permille = use_permille(e, s, 0);
    if (v->use_permille < s->use_min_permille)
        convict(v, "not useful: %" PRIu64 " of 1000 that could be admitted", v->use_permille);
    if (s->calm_ns == 0 || repaired_ns < s->duration_ns) {
        if (repaired_ns > 0) v->repair_permille = use_permille(e, s, repaired_ns);
        if (v->repair_permille < s->repair_min_permille)
            convict(v, "not repaired: %" PRIu64 " of 1000 that could be admitted",
                    v->repair_permille);
        judge_nobody(e, s, repaired_ns, v);
    }
    v->trips_permille = e->trips * 1000 / e->request_count;
    if (v->trips_permille > s->trips_max_permille)
        convict(v, "too much traffic: %" PRIu64 " trips for 1000 callers", v->trips_permille);
}
