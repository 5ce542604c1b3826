/* SPDX-License-Identifier: MIT
 *
 * doctor_finding: what is said of a store, whatever kind it is: one line for each thing looked at. */
#ifndef WEIR_CMD_DOCTOR_FINDING_H
#define WEIR_CMD_DOCTOR_FINDING_H

#include <stdbool.h>
#include <stdint.h>

enum doctor_level {
    DOCTOR_FINE,
    DOCTOR_IDLE,   /* strict, but limits deny too much, or everything */
    DOCTOR_CAVEAT, /* strict until something happens: a failover, a restart */
    DOCTOR_BROKEN, /* not strict */
};

enum { DOCTOR_FINDINGS_MAX = 1024, DOCTOR_WORDS_BYTES_MAX = 256 };

struct doctor_finding {
    enum doctor_level level;
    const char       *name;   /* "eviction" */
    const char       *server; /* its address; "" for all of the store */
    char              value[DOCTOR_WORDS_BYTES_MAX];
    char              remedy[DOCTOR_WORDS_BYTES_MAX]; /* "" if it is fine */
};

struct doctor_opinion {
    enum doctor_level     level;   /* the worst */
    bool                  is_idle; /* something is DOCTOR_IDLE, whatever is worse */
    unsigned              finding_count;
    struct doctor_finding findings[DOCTOR_FINDINGS_MAX];
};

/* One more. `server` and `name` are kept as they are, the other texts are copied. */
void doctor_find(struct doctor_opinion *opinion, enum doctor_level level, const char *server,
                 const char *name, const char *remedy, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The shortest window in which permits of such trips are used, where the URL says that trips take
 * `round_trip_ns`; 0: in any. UINT64_MAX: there is none. */
uint64_t doctor_window_ns_min(uint64_t trip_ns, uint64_t round_trip_ns);

#endif
