/* SPDX-License-Identifier: MIT
 *
 * replay_report: what a limit would have done to a log, in numbers. See replay_report.c. */
#ifndef WEIR_CMD_REPLAY_REPORT_H
#define WEIR_CMD_REPLAY_REPORT_H

#include <weir.h>

#include "cmd/replay_algorithms.h"
#include "cmd/replay_requests.h"

enum {
    REPLAY_SPANS_MAX = 24,           /* rows of the picture over time */
    REPLAY_TOP_MAX   = 1000,         /* users that a report may name */
    REPLAY_COMPARED  = REPLAY_TRIAL, /* verdicts that have a row: all before the trial's */
};

/* What one algorithm did. */
struct replay_row {
    bool                is_present;
    uint64_t            admitted, denied; /* requests */
    uint64_t            permits;          /* the admitted requests' costs */
    uint64_t            differs;          /* requests on which the exact log decided otherwise */
    struct replay_worst worst;            /* the fullest window of any user */
    uint32_t            worst_user;
    uint64_t            users_over; /* users with some window above the limit */
};

/* A user whom the limit would have denied something. */
struct replay_user {
    uint32_t user;
    uint64_t requests, denied;
    uint64_t worst_minute_ns; /* when the minute with most denials began (UTC) */
    uint64_t worst_minute_denied;
};

struct replay_span {
    uint64_t admitted, denied;
};

struct replay_report {
    weir_request      rule; /* limit, window, algorithm, burst */
    uint64_t          requests, users, users_denied;
    uint64_t          begin_ns, end_ns;
    struct replay_row row[REPLAY_COMPARED]; /* REPLAY_CHOSEN is what the report is about */

    struct replay_user *top; /* most denied first */
    size_t              top_count;

    uint64_t           span_begin_ns; /* of span[0]: a multiple of span_ns */
    uint64_t           span_ns;
    size_t             span_count;
    struct replay_span span[REPLAY_SPANS_MAX];
};

enum replay_made { REPLAY_MADE, REPLAY_MADE_NO_MEMORY, REPLAY_MADE_REFUSED };

/* Decides all requests by the rule and by what it is compared with, and counts. `progress`, if not
 * NULL, is told now and then how many steps of how many are done. REFUSED: `status` tells what
 * is wrong with the rule. */
typedef void (*replay_progress_fn)(void *context, uint64_t done, uint64_t total);
enum replay_made replay_report_make(struct replay_report *report, struct replay_requests *r,
                                    const weir_request *rule, size_t top_max,
                                    replay_progress_fn progress, void *context,
                                    weir_status *status);
void             replay_report_clear(struct replay_report *report);

/* "strict", "exact", "fixed", "gcra", "two-counter"; of REPLAY_CHOSEN the rule's own algorithm. */
const char *replay_verdict_name(enum replay_verdict whose, uint32_t algorithm);

/* One of the names that judge can be given decisions of. */
bool replay_verdict_parse(struct view name, enum replay_verdict *whose);

#endif
