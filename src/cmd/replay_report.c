/* SPDX-License-Identifier: MIT
 *
 * replay_report: what a limit would have done to a log, in numbers.
 *
 * weir's own decisions come from the limiter itself, the one that the library and the server run,
 * told the log's time in place of the clock's, with room for every user and a fixed secret: two
 * runs over one log give the same answers. What it is compared with is in replay_algorithms.c. */
#include "cmd/replay_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "limiter/limiter.h"

static const char *const verdict_names[REPLAY_COMPARED] = {
    [REPLAY_CHOSEN] = "chosen", [REPLAY_STRICT] = "strict", [REPLAY_EXACT] = "exact",
    [REPLAY_FIXED] = "fixed",   [REPLAY_GCRA] = "gcra",     [REPLAY_TWO_COUNTER] = "two-counter",
};

struct maker {
    struct replay_report   *report;
    struct replay_requests *requests;
    struct replay_rule      rule;
    replay_progress_fn      progress;
    void                   *context;
    uint64_t                done, total;
    size_t                  top_room;
};

static enum replay_made decide(struct maker *m, const weir_request *rule, enum replay_verdict whose,
                               weir_status *status);
static bool             count_user(struct maker *m, uint32_t user);
static void             choose_spans(struct replay_report *report);
static void             step(struct maker *m, uint64_t done);
static int              compare_denied(const void *a, const void *b);

enum replay_made replay_report_make(struct replay_report *report, struct replay_requests *r,
                                    const weir_request *rule, size_t top_max,
                                    replay_progress_fn progress, void *context,
                                    weir_status *status) {
    REQUIRE(r->count > 0);
    REQUIRE(r->place != NULL);
    *report        = (struct replay_report){.rule     = *rule,
                                            .requests = r->count,
                                            .users    = r->users.count,
                                            .begin_ns = r->request[0].time_ns,
                                            .end_ns   = r->request[r->count - 1].time_ns};
    struct maker m = {.report   = report,
                      .requests = r,
                      .rule     = {rule->limit, (uint64_t)rule->window_ns},
                      .progress = progress,
                      .context  = context};
    *status        = WEIR_OK;
    choose_spans(report);

    weir_request strict           = weir_request_for(NULL, 0, rule->limit, rule->window_ns);
    bool         is_strict_chosen = rule->algorithm == WEIR_STRICT;
    m.total                       = r->count * (is_strict_chosen ? 2 : 3);

    enum replay_made made = decide(&m, rule, REPLAY_CHOSEN, status);
    if (made != REPLAY_MADE) return made;
    if (is_strict_chosen) {
        for (size_t i = 0; i < r->count; i++) {
            bool is_admitted = replay_is_admitted(&r->request[i], REPLAY_CHOSEN);
            replay_set_verdict(&r->request[i], REPLAY_STRICT, is_admitted);
        }
    } else {
        made = decide(&m, &strict, REPLAY_STRICT, status);
        if (made != REPLAY_MADE) return made;
    }

    for (uint32_t user = 0; user < r->users.count; user++) {
        if (!count_user(&m, user)) {
            replay_report_clear(report);
            return REPLAY_MADE_NO_MEMORY;
        }
    }
    if (report->top_count > 0) {
        qsort(report->top, report->top_count, sizeof *report->top, compare_denied);
    }
    report->users_denied = report->top_count;
    if (report->top_count > top_max) report->top_count = top_max;
    for (int whose = 0; whose < REPLAY_COMPARED; whose++) report->row[whose].is_present = true;
    return REPLAY_MADE;
}

void replay_report_clear(struct replay_report *report) {
    free(report->top);
    *report = (struct replay_report){0};
}

const char *replay_verdict_name(enum replay_verdict whose, uint32_t algorithm) {
    static const char *const algorithms[] = {"strict", "gcra", "fixed"};
    REQUIRE((int)whose < REPLAY_COMPARED);
    if (whose != REPLAY_CHOSEN) return verdict_names[whose];
    REQUIRE(algorithm < sizeof algorithms / sizeof *algorithms);
    return algorithms[algorithm];
}

bool replay_verdict_parse(struct view name, enum replay_verdict *whose) {
    for (int i = 0; i < REPLAY_COMPARED; i++) {
        if (!view_equals(name, view_of(verdict_names[i]))) continue;
        *whose = (enum replay_verdict)i;
        return true;
    }
    return false;
}

static void step(struct maker *m, uint64_t done) {
    enum { STEPS_BETWEEN = 1 << 16 };
    uint64_t before = m->done;
    m->done += done;
    if (m->progress == NULL) return;
    if (before / STEPS_BETWEEN != m->done / STEPS_BETWEEN) {
        m->progress(m->context, m->done, m->total);
    }
}

/* ---- weir's decisions ---- */

static enum replay_made decide(struct maker *m, const weir_request *rule, enum replay_verdict whose,
                               weir_status *status) {
    struct replay_requests *r = m->requests;
    /* A GCRA counter and one of each window are different counters, but here all have one rule. */
    struct limiter_options options = {.users_max = (uint64_t)r->users.count + 1024};
    memcpy(options.secret, "replayed exactly", sizeof options.secret);
    struct limiter *limiter = limiter_new(&options);
    if (limiter == NULL) return REPLAY_MADE_NO_MEMORY;

    weir_request request = *rule;
    for (size_t i = 0; i < r->count && *status == WEIR_OK; i++) {
        struct view name       = replay_user_name(r, r->request[i].user);
        request.user           = name.data;
        request.user_bytes     = name.bytes;
        request.cost           = replay_cost(r, &r->request[i]);
        weir_decision decision = {.allowed = true};
        /* A cost of 0 would only look; here it stands for a request that needs no permit. */
        if (request.cost > 0) {
            *status = limiter_decide(limiter, &request, r->request[i].time_ns, &decision);
        }
        replay_set_verdict(&r->request[i], whose, decision.allowed);
        step(m, 1);
    }
    limiter_free(limiter);
    return *status == WEIR_OK ? REPLAY_MADE : REPLAY_MADE_REFUSED;
}

/* ---- counting ---- */

static void count_row(struct maker *m, const struct replay_stream *s, enum replay_verdict whose,
                      uint32_t user) {
    struct replay_row *row = &m->report->row[whose];
    for (size_t i = 0; i < s->count; i++) {
        const struct replay_request *request     = replay_stream_at(s, i);
        bool                         is_admitted = replay_is_admitted(request, whose);
        row->admitted += is_admitted;
        row->denied += !is_admitted;
        row->differs += is_admitted != replay_is_admitted(request, REPLAY_EXACT);
        if (is_admitted) row->permits += replay_cost(s->requests, request);
    }
    struct replay_worst worst = replay_worst_admitted(s, m->rule.window_ns, whose);
    if (worst.permits > m->rule.limit) row->users_over++;
    if (worst.permits > row->worst.permits) {
        row->worst      = worst;
        row->worst_user = user;
    }
}

/* The user's denials and the minute with most of them. */
static struct replay_user user_of(const struct replay_stream *s, uint32_t user) {
    enum { NS_PER_SECOND = 1000000000 };
    const uint64_t     minute_ns = UINT64_C(60) * NS_PER_SECOND;
    struct replay_user u         = {.user = user, .requests = s->count};
    uint64_t           minute    = UINT64_MAX;
    uint64_t           in_minute = 0;
    for (size_t i = 0; i < s->count; i++) {
        const struct replay_request *request = replay_stream_at(s, i);
        if (replay_is_admitted(request, REPLAY_CHOSEN)) continue;
        u.denied++;
        uint64_t now = request->time_ns / minute_ns;
        in_minute    = now == minute ? in_minute + 1 : 1;
        minute       = now;
        if (in_minute > u.worst_minute_denied) {
            u.worst_minute_denied = in_minute;
            u.worst_minute_ns     = minute * minute_ns;
        }
    }
    return u;
}

static bool keep_denied(struct maker *m, struct replay_user u) {
    struct replay_report *report = m->report;
    if (report->top_count == m->top_room) {
        size_t              room  = m->top_room * 2 + 64;
        struct replay_user *grown = realloc(report->top, room * sizeof *grown);
        if (grown == NULL) return false;
        report->top = grown;
        m->top_room = room;
    }
    report->top[report->top_count++] = u;
    return true;
}

static bool count_user(struct maker *m, uint32_t user) {
    struct replay_stream s = replay_stream_of(m->requests, user);
    replay_exact(&s, m->rule, REPLAY_EXACT);
    replay_fixed(&s, m->rule, REPLAY_FIXED);
    replay_gcra(&s, m->rule, REPLAY_GCRA);
    replay_two_counter(&s, m->rule, REPLAY_TWO_COUNTER);
    for (int whose = 0; whose < REPLAY_COMPARED; whose++) {
        count_row(m, &s, (enum replay_verdict)whose, user);
    }
    for (size_t i = 0; i < s.count; i++) {
        const struct replay_request *request = replay_stream_at(&s, i);
        uint64_t                     age     = request->time_ns - m->report->span_begin_ns;
        struct replay_span          *span    = &m->report->span[age / m->report->span_ns];
        if (replay_is_admitted(request, REPLAY_CHOSEN)) {
            span->admitted++;
        } else {
            span->denied++;
        }
    }
    step(m, s.count);

    struct replay_user u = user_of(&s, user);
    return u.denied == 0 || keep_denied(m, u);
}

static int compare_denied(const void *a, const void *b) {
    const struct replay_user *x = a;
    const struct replay_user *y = b;
    if (x->denied != y->denied) return x->denied < y->denied ? 1 : -1;
    if (x->requests != y->requests) return x->requests < y->requests ? 1 : -1;
    return x->user < y->user ? -1 : x->user > y->user;
}

/* The shortest span of a length that people think in, with which the log fits on the picture. */
static void choose_spans(struct replay_report *report) {
    static const uint64_t lengths_us[]    = {1,         10,        100,       1000,      10000,
                                             100000,    1000000,   2000000,   5000000,   10000000,
                                             15000000,  30000000,  60000000,  120000000, 300000000,
                                             600000000, 900000000, 1800000000};
    static const uint64_t lengths_hours[] = {1, 2, 3, 4, 6, 12, 24, 48, 7 * 24, 14 * 24, 28 * 24};
    enum { US = sizeof lengths_us / sizeof *lengths_us };
    enum { HOURS = sizeof lengths_hours / sizeof *lengths_hours };
    const uint64_t hour_ns = UINT64_C(3600000000000);

    for (size_t i = 0;; i++) {
        uint64_t span_ns = 0;
        if (i < US) {
            span_ns = lengths_us[i] * 1000;
        } else if (i < US + HOURS) {
            span_ns = lengths_hours[i - US] * hour_ns;
        } else {
            span_ns = (i - US - HOURS + 2) * 28 * 24 * hour_ns;
        }
        uint64_t begin = report->begin_ns / span_ns;
        uint64_t count = report->end_ns / span_ns - begin + 1;
        if (count > REPLAY_SPANS_MAX) continue;
        report->span_ns       = span_ns;
        report->span_begin_ns = begin * span_ns;
        report->span_count    = (size_t)count;
        return;
    }
}
