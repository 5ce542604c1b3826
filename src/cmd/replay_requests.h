/* SPDX-License-Identifier: MIT
 *
 * replay_requests: all requests of a log, in memory, in order of time. See replay_requests.c. */
#ifndef WEIR_CMD_REPLAY_REQUESTS_H
#define WEIR_CMD_REPLAY_REQUESTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

/* Whose decisions are kept beside a request, a bit each. */
enum replay_verdict {
    REPLAY_CHOSEN, /* weir, with the algorithm that the caller chose */
    REPLAY_STRICT, /* weir's strict window */
    REPLAY_EXACT,  /* an exact sliding log */
    REPLAY_FIXED,
    REPLAY_GCRA,
    REPLAY_TWO_COUNTER,
    REPLAY_TRIAL, /* for whoever is trying something */
    REPLAY_VERDICTS
};

enum {
    REPLAY_COST_BITS    = 32 - REPLAY_VERDICTS,
    REPLAY_COST_INLINE  = 1 << (REPLAY_COST_BITS - 1), /* costs from here on stand in a table */
    REPLAY_BYTES_AT_ONE = 32, /* memory for one request while they are sorted, the most there is */
};

#define REPLAY_REQUESTS_MAX ((size_t)UINT32_MAX - 1)

struct replay_request {
    uint64_t time_ns;
    uint32_t user;
    uint32_t cost : REPLAY_COST_BITS;    /* read it by replay_cost() */
    uint32_t verdicts : REPLAY_VERDICTS; /* bit set: admitted */
};

struct replay_users {
    uint32_t  count;
    uint32_t  room;
    uint32_t *slot; /* an open-addressed table of user + 1; 0: free */
    uint64_t  slot_mask;
    uint64_t *hash;
    size_t   *name_end; /* of user i: bytes [name_end[i - 1], name_end[i]) of names */
    char     *names;
    size_t    names_room;
};

struct replay_requests {
    size_t                 count;
    size_t                 count_max;
    size_t                 room;
    struct replay_request *request; /* after replay_requests_seal(): in order of time */
    struct replay_users    users;
    uint64_t              *big_cost;
    size_t                 big_cost_count, big_cost_room;

    uint64_t newest_ns; /* of this file so far */
    uint64_t late_count, late_ns_max;
    bool     has_fractions; /* some time is not a whole second */
    bool     has_costs;     /* some cost is not 1 */

    /* After replay_requests_seal(): the requests of user u are request[place[i]] for i in
     * [first[u], first[u + 1]), in order of time. */
    uint32_t *place;
    uint32_t *first;
};

enum replay_added {
    REPLAY_ADDED,
    REPLAY_FULL,       /* count_max */
    REPLAY_COSTS_FULL, /* too many costs of REPLAY_COST_INLINE and above */
    REPLAY_NO_MEMORY,
};

void replay_requests_init(struct replay_requests *r, size_t count_max);
void replay_requests_clear(struct replay_requests *r);

/* The times that come next belong to another file: they are late only among themselves. */
void replay_requests_begin_file(struct replay_requests *r);

enum replay_added replay_requests_add(struct replay_requests *r, uint64_t time_ns, struct view user,
                                      uint64_t cost);

/* Sorts by time, those of one instant in the order they came in, and groups by user. With `spread`,
 * the k requests of one second are placed k-ths of a second apart; it does nothing to a log that
 * tells fractions of seconds. False: not enough memory. */
bool replay_requests_seal(struct replay_requests *r, bool spread);

struct view replay_user_name(const struct replay_requests *r, uint32_t user);

static inline uint64_t replay_cost(const struct replay_requests *r,
                                   const struct replay_request  *request) {
    uint32_t cost = request->cost;
    return cost < REPLAY_COST_INLINE ? cost : r->big_cost[cost - REPLAY_COST_INLINE];
}

static inline bool replay_is_admitted(const struct replay_request *request,
                                      enum replay_verdict          whose) {
    return request->verdicts >> whose & 1;
}

static inline void replay_set_verdict(struct replay_request *request, enum replay_verdict whose,
                                      bool is_admitted) {
    uint32_t others   = request->verdicts & ~(1u << whose);
    request->verdicts = (others | (uint32_t)is_admitted << whose) & ((1u << REPLAY_VERDICTS) - 1);
}

#endif
