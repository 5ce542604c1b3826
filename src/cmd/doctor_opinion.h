/* SPDX-License-Identifier: MIT
 *
 * doctor_opinion: what can weir promise on such a store, why, and what would make it more?
 *
 * Pure: facts in, findings out. */
#ifndef WEIR_CMD_DOCTOR_OPINION_H
#define WEIR_CMD_DOCTOR_OPINION_H

#include "cmd/doctor_facts.h"

enum doctor_level {
    DOCTOR_FINE,
    DOCTOR_IDLE,   /* strict, but limits deny too much, or everything */
    DOCTOR_CAVEAT, /* strict until something happens: a failover, a restart */
    DOCTOR_BROKEN, /* not strict */
};

enum { DOCTOR_FINDINGS_MAX = 16 * DOCTOR_SERVERS_MAX, DOCTOR_WORDS_BYTES_MAX = 256 };

struct doctor_finding {
    enum doctor_level level;
    const char       *name;   /* "eviction" */
    const char       *server; /* its address; "" for all of the store */
    char              value[DOCTOR_WORDS_BYTES_MAX];
    const char       *remedy; /* "" if it is fine */
};

struct doctor_opinion {
    enum doctor_level     level;   /* the worst */
    bool                  is_idle; /* something is DOCTOR_IDLE, whatever is worse */
    unsigned              finding_count;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

void doctor_judge(const struct doctor_facts *facts, struct doctor_opinion *opinion);

/* What weir can promise, in a sentence. */
const char *doctor_promise(enum doctor_level level);

/* What is to be said beside the promise; "": nothing. */
const char *doctor_promise_more(const struct doctor_opinion *opinion);

#endif
