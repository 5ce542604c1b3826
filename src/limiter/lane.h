/* SPDX-License-Identifier: MIT
 *
 * lane: how many trips may be out at a time, and who is held back until some have come back? See lane.c.
 *
 * There is one for each watch of a shard, since rules that tolerate less are late where others are not. Plain
 * data; one thread at a time. */
#ifndef WEIR_LIMITER_LANE_H
#define WEIR_LIMITER_LANE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pace.h"
#include "base/random.h"
#include "limiter/roster.h"

enum {
    LANE_REST_DOUBLINGS = 8,
    LANE_LATE_ROUNDS = 2, /* in a row; one may be by chance, since a thread waited for its turn */
    LANE_REST_AFTER  = 3, /* rounds in vain, with a window of one */
    LANE_TOOK_PARTS =
        8, /* one of so many of what trips are said to take is what the last one took */
    LANE_FULL_TRIPS = 2, /* of a full store trips take more than so many of the least */
    LANE_FAR_AFTER  = 8, /* rounds, with a window of one, that took as long as if it were full */
};

#define LANE_REST_NS_MAX UINT64_C(100000000)

struct lane {
    struct pace   pace;
    struct random random;
    uint32_t first, last; /* of those who are held, by entry; first ROSTER_NOWHERE: nobody is */
    uint32_t held;        /* so many are */
    uint32_t rests;       /* rounds that were in vain, less trips that were not */
    uint32_t late_rounds; /* in a row: of trips that were out together some came too late */
    uint64_t late_ns;     /* when the last of these was found out */
    bool     lacks_trip;  /* who is held waits for one that is free, and not for room */
    uint64_t wakes_ns;    /* nobody goes before that; 0: there is nothing to wait for */
    uint64_t took_ns;     /* what trips took lately that were not missed, there and back */
    uint64_t least_ns;    /* the least of that, until it is learned that it is more now */
    uint32_t far_rounds;  /* in a row, see LANE_FAR_AFTER */
};

enum lane_end {
    LANE_IN_TIME,
    LANE_LATE,         /* a grant that came too late to be used */
    LANE_SLOW,         /* in time for the clock, but too late for many of those who wait */
    LANE_SLOW_WORD,    /* no grant, in time for neither */
    LANE_MISSED,       /* shard.c says when to ask again */
    LANE_SAYS_NOTHING, /* anything else that took long, but was not in vain */
};

/* A trip takes so long, there and back, until it is known better. */
void lane_begin(struct lane *l, uint64_t round_trip_ns, uint64_t seed);

/* Whether who comes now is held. */
bool lane_is_full(const struct lane *l, uint64_t now_ns);

/* Of an entry that is not held. It must neither leave nor be held again before it is taken. */
void lane_hold(struct lane *l, struct roster *r, struct entry *e);

/* Who was held longest; NULL: nobody is, or there is no room. Its is_held is for the caller to clear, who
 * has its lock. */
struct entry *lane_take(struct lane *l, const struct roster *r, uint64_t now_ns);

/* True: those who are held may go. */
bool lane_wake(struct lane *l, uint64_t now_ns);

/* Not all who may go have gone: the others may at `at_ns`, as after a rest. */
void lane_go_on_later(struct lane *l, uint64_t at_ns);

/* Who has no more time than that left is not worth a trip: what one takes is not known before, so it is
 * twice what they took lately (took_ns of the lane), from `least_ns` to half of what the caller waits in all.
 * Where trips take longer than that half, but not as long as the caller waits, it is what they take and an
 * eighth more, or half of what is left then. */
uint64_t lane_margin_ns(uint64_t took_ns, uint64_t least_ns, uint64_t wait_ns);

static inline void lane_send(struct lane *l) { pace_send(&l->pace); }

/* One that went out at sent_ns has come back, or is missed. */
void lane_end(struct lane *l, enum lane_end end, uint64_t sent_ns, uint64_t now_ns);

#endif
