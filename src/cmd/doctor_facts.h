/* SPDX-License-Identifier: MIT
 *
 * doctor_facts: what do the servers of a Redis store say of themselves? */
#ifndef WEIR_CMD_DOCTOR_FACTS_H
#define WEIR_CMD_DOCTOR_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "store/redis/lease_store.h"
#include "store/redis/redis.h"
#include "store/redis/url.h"

enum { DOCTOR_SERVERS_MAX = 64, DOCTOR_TEXT_BYTES_MAX = 64 };

/* One primary. Texts are empty, and numbers DOCTOR_UNKNOWN, where the server does not tell. */
#define DOCTOR_UNKNOWN UINT64_MAX

struct doctor_server {
    char     address[REDIS_SERVER_BYTES_MAX]; /* in a Cluster; else as the URL has it */
    uint16_t slot;                            /* one that it has */
    uint64_t slots;                           /* how many; in a Cluster */
    char     version[DOCTOR_TEXT_BYTES_MAX];
    char     role[DOCTOR_TEXT_BYTES_MAX];
    uint64_t replicas;      /* that are connected */
    uint64_t lag_bytes_max; /* of them */
    uint64_t min_replicas;  /* min-replicas-to-write */
    uint64_t max_lag_s;
    uint64_t maxmemory;
    char     policy[DOCTOR_TEXT_BYTES_MAX];
    char     appendonly[DOCTOR_TEXT_BYTES_MAX];
    char     appendfsync[DOCTOR_TEXT_BYTES_MAX];
    bool     has_clock;   /* that can be told: it was asked, and nobody set it meanwhile */
    int64_t  skew_ns;     /* has_clock: its wall clock, less ours */
    int64_t  rate_ppm;    /* has_clock: how much faster its clock goes than our monotonic one */
    uint64_t trip_p50_ns; /* of trips that end as they should; 0: none did, or no script runs */
    uint64_t trip_p95_ns;
    uint64_t trip_p99_ns;
    uint64_t trips;             /* that waited for replicas */
    uint64_t trips_late;        /* of these: confirmed, but after wait_ns */
    uint64_t trips_unconfirmed; /* of these: not at all, as long as the doctor waits */
    char script_problem[REDIS_PROBLEM_BYTES_MAX]; /* why a script that writes cannot be run; "" */
    enum trouble script_trouble;
    char wait_problem[REDIS_PROBLEM_BYTES_MAX]; /* why they are not even asked to confirm; "" */
};

struct doctor_facts {
    enum url_kind        kind;
    uint64_t             replicas_wanted; /* that weir is to wait for */
    uint64_t             round_trip_ns;   /* that the URL says; 0: none */
    uint64_t             wait_ns;         /* that the URL gives replicas to confirm */
    unsigned             server_count;
    struct doctor_server servers[DOCTOR_SERVERS_MAX];
    char                 cluster_state[DOCTOR_TEXT_BYTES_MAX];
    uint64_t             slots_served;
    bool                 is_past_told;
    struct lease_past    past; /* of the shard that knows least */
};

/* Asks all of them; takes a second or longer, since clocks are compared over one. `r` should wait for
 * replicas as long as a URL may say at most, and not as long as this one does: else what is measured here is
 * its patience. False: `result` says why no server
 * answers. Writes one key a server, which lives for a second. */
bool doctor_ask(struct redis *r, struct doctor_facts *facts, struct redis_result *result);

static inline bool doctor_runs_scripts(const struct doctor_facts *facts) {
    for (unsigned i = 0; i < facts->server_count; i++)
        if (facts->servers[i].script_problem[0] != '\0') return false;
    return true;
}

/* Asks the store of these servers how far back it knows what was granted; steps the clocks that are there, as
 * any question of a limit does. Nothing is told where no script runs. */
void doctor_ask_past(struct view servers, const struct redis_options *options,
                     struct doctor_facts *facts);

#endif
