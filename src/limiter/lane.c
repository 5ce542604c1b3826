/* SPDX-License-Identifier: MIT
 *
 * lane: no more is out than comes back in time.
 *
 * A grant whose exchange took longer than its rule's watch tolerates is not used (lease/watch.h), and is
 * asked for again. So a store that is asked for more than it can answer within that time is asked for still
 * more, and soon everything that it does is in vain; it would stay so when the crowd has gone. Therefore
 * what is out has a window (base/pace.h), which shrinks when answers come too late twice in a row, and who
 * finds it full is held, in order. Nothing of a request is fixed meanwhile: when its turn comes it is as
 * young as any other. What is given back waits its turn, too: each grant in vain is followed by such a
 * trip, so that a store that is late would be sent any number of these.
 *
 * Who is held in order has, when a crowd stays, as little time left as any who goes at all. So who has less
 * than a trip takes does not go, or all that the store does would come after its caller has gone (of a store
 * that is asked for 1.5 times what it can do a third did, with a usual round trip as the bound). And where
 * rules tolerate long exchanges, a window is halved for answers that callers do not wait for, too: if the
 * store is full and not far, which shows in what trips take against the least that they took. If it is far
 * a window shrinks to no less than it begins with, and heals up to that: callers may be in a hurry. A store
 * that has moved away looks full until a window of one makes no difference for some rounds. Others' trips do
 * not fill it for so long, since they have such windows by then, too: as long as one trip of each process is
 * done in half of what callers wait.
 *
 * Where even one trip of each process is too much together, a lane rests: for a time from a range that
 * doubles with each round that was in vain (full jitter, as the probes of shard.c). */
#include "limiter/lane.h"

#include <stddef.h>

#include "base/range.h"

void lane_begin(struct lane *l, uint64_t round_trip_ns, uint64_t seed) {
    *l = (struct lane){.random   = {.state = seed},
                       .first    = ROSTER_NOWHERE,
                       .took_ns  = round_trip_ns,
                       .least_ns = round_trip_ns};
    pace_begin(&l->pace, true);
}

static bool lane_is_open(const struct lane *l, uint64_t now_ns) {
    return pace_has_room(&l->pace) && now_ns >= l->wakes_ns;
}

bool lane_is_full(const struct lane *l, uint64_t now_ns) {
    return l->first != ROSTER_NOWHERE || !lane_is_open(l, now_ns);
}

void lane_hold(struct lane *l, struct roster *r, struct entry *e) {
    e->is_held   = true;
    e->next_held = ROSTER_NOWHERE;
    if (l->first == ROSTER_NOWHERE)
        l->first = e->number;
    else
        r->entries[l->last].next_held = e->number;
    l->last = e->number;
    l->held++;
}

struct entry *lane_take(struct lane *l, const struct roster *r, uint64_t now_ns) {
    if (l->first == ROSTER_NOWHERE || !lane_is_open(l, now_ns)) return NULL;
    struct entry *e = &r->entries[l->first];
    l->first        = e->next_held;
    l->held--;
    return e;
}

bool lane_wake(struct lane *l, uint64_t now_ns) {
    if (l->wakes_ns == 0 || now_ns < l->wakes_ns) return false;
    l->wakes_ns = 0;
    return true;
}

void lane_go_on_later(struct lane *l, uint64_t at_ns) {
    if (l->first != ROSTER_NOWHERE && l->wakes_ns == 0) l->wakes_ns = at_ns;
}

uint64_t lane_margin_ns(uint64_t took_ns, uint64_t least_ns, uint64_t wait_ns) {
    uint64_t most_ns  = wait_ns / 2;
    uint64_t spare_ns = smaller(took_ns / LANE_TOOK_PARTS, above(wait_ns, took_ns) / 2);
    if (took_ns < wait_ns) most_ns = larger(most_ns, took_ns + spare_ns);
    return between(least_ns, 2 * took_ns, larger(least_ns, most_ns));
}

static void lane_rest(struct lane *l, uint64_t took_ns, uint64_t now_ns) {
    if (l->rests < LANE_REST_AFTER + LANE_REST_DOUBLINGS) l->rests++;
    if (l->rests < LANE_REST_AFTER) return;
    uint64_t doublings = smaller(l->rests - LANE_REST_AFTER, LANE_REST_DOUBLINGS);
    uint64_t range_ns  = smaller(LANE_REST_NS_MAX, smaller(took_ns, LANE_REST_NS_MAX) << doublings);
    l->wakes_ns        = now_ns + 1 + random_below(&l->random, range_ns + 1);
}

static void lane_end_late(struct lane *l, uint64_t sent_ns, uint64_t now_ns) {
    bool is_round = sent_ns >= l->late_ns; /* and not out with the one before */
    l->far_rounds = 0;
    if (is_round) {
        l->late_rounds++;
        l->late_ns = now_ns;
    }
    if (l->late_rounds < LANE_LATE_ROUNDS) {
        pace_forget(&l->pace);
        return;
    }
    bool is_least = l->pace.window == 1;
    pace_end(&l->pace, false, sent_ns, now_ns);
    if (is_round && is_least) lane_rest(l, now_ns - sent_ns, now_ns);
}

/* A grant could be used. */
static void lane_excuse(struct lane *l, uint64_t sent_ns) {
    if (sent_ns >= l->late_ns) l->late_rounds = 0;
    if (l->rests > 0) l->rests--;
}

/* The store is full: trips take longer than they need to. */
static void lane_end_full(struct lane *l, uint64_t sent_ns, uint64_t now_ns) {
    bool is_round = sent_ns >= l->pace.halved_ns, is_least = l->pace.window == 1;
    pace_end(&l->pace, false, sent_ns, now_ns);
    if (!is_round || !is_least || ++l->far_rounds < LANE_FAR_AFTER) return;
    l->least_ns   = l->took_ns;
    l->far_rounds = 0;
    pace_excuse(&l->pace);
}

static void lane_end_far(struct lane *l, uint64_t sent_ns, uint64_t now_ns) {
    uint32_t window = l->pace.window;
    l->far_rounds   = 0;
    if (window == PACE_FIRST) {
        pace_forget(&l->pace);
        return;
    }
    pace_end(&l->pace, window < PACE_FIRST, sent_ns, now_ns);
    if (window > PACE_FIRST) l->pace.window = (uint32_t)larger(PACE_FIRST, l->pace.window);
}

static void lane_note_trip(struct lane *l, uint64_t took_ns) {
    l->took_ns  = l->took_ns - l->took_ns / LANE_TOOK_PARTS + took_ns / LANE_TOOK_PARTS;
    l->least_ns = smaller(l->least_ns, l->took_ns);
}

static bool lane_store_is_full(const struct lane *l) {
    return l->took_ns > LANE_FULL_TRIPS * l->least_ns;
}

void lane_end(struct lane *l, enum lane_end end, uint64_t sent_ns, uint64_t now_ns) {
    if (end != LANE_MISSED) lane_note_trip(l, now_ns - sent_ns);
    switch (end) {
    case LANE_IN_TIME:
        lane_excuse(l, sent_ns);
        l->far_rounds = 0;
        pace_end(&l->pace, true, sent_ns, now_ns);
        break;
    case LANE_LATE: lane_end_late(l, sent_ns, now_ns); break;
    case LANE_SLOW:
        lane_excuse(l, sent_ns);
        if (lane_store_is_full(l))
            lane_end_full(l, sent_ns, now_ns);
        else
            lane_end_far(l, sent_ns, now_ns);
        break;
    case LANE_SLOW_WORD:
        if (lane_store_is_full(l))
            pace_end(&l->pace, false, sent_ns, now_ns);
        else
            pace_forget(&l->pace);
        break;
    case LANE_MISSED: pace_end(&l->pace, false, sent_ns, now_ns); break;
    case LANE_SAYS_NOTHING: pace_forget(&l->pace); break;
    }
}
