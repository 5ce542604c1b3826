/* SPDX-License-Identifier: MIT
 *
 * service: what commands may know of the server around them.
 *
 * The server fills it in; a test or a fuzzer gives its own. */
#ifndef WEIR_SERVER_SERVICE_H
#define WEIR_SERVER_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "limiter/limiter.h"

/* Counted by each thread for itself, added up to be shown. */
struct service_counts {
    uint64_t commands;
    uint64_t errors_of_protocol;
    uint64_t connections_accepted;
    uint64_t connections_refused;
    uint64_t bytes_read;
    uint64_t bytes_written;
    uint64_t turns; /* in which something was decided */
};

/* What INFO and CONFIG GET show. */
struct service_facts {
    struct service_counts counts;
    uint64_t              connections; /* open now */
    uint64_t              connections_max;
    uint64_t              idle_ns_max; /* 0: never too long */
    uint64_t              uptime_ns;
    uint64_t              process_id;
    uint64_t              thread_count;
    uint64_t              port; /* 0: no TCP listener */
};

struct service {
    struct limiter *limiter; /* NULL: the store is remote */
    weir           *store;   /* what is asked where the store is remote; else it may be NULL */
    void (*trouble)(weir *store, char *out, size_t room); /* what is wrong with it; NULL: unknown */
    uint64_t clock_error_ppm;                             /* as the limiter was given it */
    void (*describe)(const struct service *service, struct service_facts *facts);
    uint64_t (*wall_ns)(void); /* for TIME: nanoseconds since 1970 */
};

/* Whether a decision may need a trip to another machine. Then a thread that others wait for has its decisions
 * by tickets (errand.h), and calls nothing below. */
static inline bool service_is_remote(const struct service *s) { return s->limiter == NULL; }

/* Of the limiter as of `now_ns`; where the store is remote they may wait for it. */
weir_status service_decide(const struct service *s, const weir_request *request, uint64_t now_ns,
                           weir_decision *decision);
weir_status service_reset(const struct service *s, const weir_request *request, uint64_t now_ns);
weir_statistics service_statistics(const struct service *s);

/* Of a remote store; "": nothing is known to be wrong. */
void service_trouble(const struct service *s, char *out, size_t room);

#endif
