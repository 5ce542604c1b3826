/* SPDX-License-Identifier: MIT
 *
 * seat: where can a new user sit, and who must get up?
 *
 * Only those get up who equal new users, and users who have a second place that is free. Two choices
 * of fifteen lines each and a move or two let tables be 96 % full. */
#include "base/contract.h"
#include "table/layout.h"

/* Users who move up for one newcomer. One is nearly always enough; with two, 450 places are tried,
 * which leaves no chance to a table that has empty lines. */
enum { MOVES_MAX = 2 };

/* --- bucket locks --------------------------------------------------------------------------- */

static bool held_has(const struct held *held, uint32_t bucket) {
    for (uint32_t i = 0; i < held->count; i++) {
        if (held->bucket[i] == bucket) return true;
    }
    return false;
}

bool held_try(struct held *held, uint32_t bucket) {
    if (held_has(held, bucket)) return true;
    if (held->count == HELD_MAX || !bucket_try_lock(held->table, held->me, bucket)) return false;
    held->bucket[held->count++] = bucket;
    return true;
}

void held_release(struct held *held, uint32_t count) {
    while (held->count > count) bucket_unlock(held->table, held->me, held->bucket[--held->count]);
}

/* Holds one of a user's places. It may have ceased to be one before it was locked: the table grows
 * meanwhile. While it is held, it stays one. */
static bool held_try_place(struct held *held, const struct shape_places *places, uint32_t choice) {
    struct table *t = held->table;
    if (!held_try(held, places->put[choice])) return false;
    return table_places(t, table_shape(t), places->hash).put[choice] == places->put[choice];
}

/* --- taking and leaving --------------------------------------------------------------------- */

static bool seat_is_empty(struct seat s) {
    return atomic_load_explicit(&s.bucket->print[s.index], memory_order_acquire) == 0;
}

void seat_forget(struct table *t, struct seat seat) {
    /* Before the user vanishes: a call that read the clock long ago and finds them gone must not
     * start anew at a time at which they were still remembered. */
    raise_to(&t->head->forgot_at_ns, line_load(&seat_line(seat)->fresh_at_ns));
    bucket_name(seat.bucket, seat.index, 0, false);

    /* Who is killed here leaves one user counted too many, and never one too few. */
    atomic_fetch_sub_explicit(&t->head->users, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&t->head->users_forgotten, 1, memory_order_relaxed);
}

void seat_move(struct table *t, struct holder *me, struct seat from, struct seat to) {
    struct counter c;
    line_take(seat_line(from), &c);
    table_put(t, me, seat_line(to), &c);

    /* Who is killed in between leaves the user in both lines: recover.c takes them out of the first. */
    holder_note(&me->move_to, table_line_number(t, seat_line(to)) + 1);
    holder_note(&me->move_from, table_line_number(t, seat_line(from)) + 1);
    bucket_name(to.bucket, to.index, line_load(&seat_line(from)->tag), true);
    bucket_name(from.bucket, from.index, 0, false);
    holder_note(&me->move_from, 0);
}

void seat_name(struct holder *me, struct seat seat, uint64_t hash) {
    atomic_store_explicit(&me->counted, 0, memory_order_release);
    bucket_name(seat.bucket, seat.index, hash, true);
}

/* Locks an empty line of a held bucket. */
static bool seat_claim_empty(struct table *t, struct holder *me, struct bucket *b,
                             struct seat *seat) {
    for (uint32_t m = bucket_match(b, 0); m != 0; m &= m - 1) {
        *seat = (struct seat){.bucket = b, .index = (uint32_t)__builtin_ctz(m)};
        if (!table_try_lock(t, me, seat_line(*seat))) continue;
        if (seat_is_empty(*seat)) return true;
        table_unlock(me, seat_line(*seat));
    }
    return false;
}

static bool seat_can_forget(struct seat s, uint64_t now_ns) {
    return !seat_is_empty(s) && line_load(&seat_line(s)->fresh_at_ns) <= now_ns;
}

/* Locks a line of a bucket whose user equals new, and takes them out. */
static bool seat_claim_forgettable(struct table *t, struct holder *me, struct bucket *b,
                                   uint64_t now_ns, struct seat *seat) {
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        *seat = (struct seat){.bucket = b, .index = i};
        if (!seat_can_forget(*seat, now_ns) || !table_try_lock(t, me, seat_line(*seat))) continue;
        if (seat_can_forget(*seat, now_ns)) {
            seat_forget(t, *seat);
            return true;
        }
        table_unlock(me, seat_line(*seat));
    }
    return false;
}

static bool seat_claim_by_moving(struct held *held, uint32_t bucket, uint32_t depth,
                                 struct seat *seat);

/* Moves the user of one line to their other place, if that has an empty line, or if `depth` more users
 * can move on from there; the first line is then the caller's. To move a user takes the lock of
 * their home, to put one down that of the bucket. */
static bool seat_claim_from_user(struct held *held, uint32_t bucket, uint32_t index, uint32_t depth,
                                 struct seat *seat) {
    struct table  *t    = held->table;
    struct holder *me   = held->me;
    struct seat    from = {.bucket = &t->buckets[bucket], .index = index};
    if (seat_is_empty(from)) return false;

    uint64_t            tag    = line_load(&seat_line(from)->tag);
    struct shape_places places = table_places(t, table_shape(t), tag);
    uint32_t            other  = places.put[0] == bucket ? places.put[1] : places.put[0];
    if (other == bucket || (depth == 0 && bucket_match(&t->buckets[other], 0) == 0)) return false;

    uint32_t    held_before = held->count;
    struct seat to;
    if (!held_try_place(held, &places, 0) || !held_try_place(held, &places, other == places.put[1]))
        goto release;
    if (!table_try_lock(t, me, seat_line(from))) goto release;
    if (seat_is_empty(from) || line_load(&seat_line(from)->tag) != tag) goto unlock_from;
    if (!seat_claim_empty(t, me, &t->buckets[other], &to) &&
        (depth == 0 || !seat_claim_by_moving(held, other, depth - 1, &to))) {
        goto unlock_from;
    }

    seat_move(t, me, from, to);
    table_unlock(me, seat_line(to));
    held_release(held, held_before);
    *seat = from;
    return true;

unlock_from:
    table_unlock(me, seat_line(from));
release:
    held_release(held, held_before);
    return false;
}

static bool seat_claim_by_moving(struct held *held, uint32_t bucket, uint32_t depth,
                                 struct seat *seat) {
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        if (seat_claim_from_user(held, bucket, i, depth, seat)) return true;
    }
    return false;
}

/* --- finding -------------------------------------------------------------------------------- */

static bool seat_forget_bucket(struct table *t, struct holder *me, uint32_t bucket,
                               uint64_t now_ns) {
    bool forgot = false;
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        struct seat seat = {.bucket = &t->buckets[bucket], .index = i};
        if (!seat_can_forget(seat, now_ns) || !table_try_lock(t, me, seat_line(seat))) continue;
        if (seat_can_forget(seat, now_ns)) {
            seat_forget(t, seat);
            forgot = true;
        }
        table_unlock(me, seat_line(seat));
    }
    return forgot;
}

bool seat_sweep(struct table *t, struct holder *me, uint64_t now_ns) {
    uint64_t hand = atomic_fetch_add_explicit(&t->head->hand, 1, memory_order_relaxed);
    return seat_forget_bucket(t, me, (uint32_t)(hand % table_size(t, table_shape(t))), now_ns);
}

bool seat_take(struct held *held, const struct shape_places *places, uint64_t now_ns,
               struct seat *seat) {
    struct table  *t  = held->table;
    struct holder *me = held->me;
    for (uint32_t choice = 0; choice < 2; choice++) {
        if (!held_try_place(held, places, choice)) continue;
        if (seat_claim_empty(t, me, &t->buckets[places->put[choice]], seat)) return true;
    }
    for (uint32_t choice = 0; choice < 2; choice++) {
        if (!held_try_place(held, places, choice)) continue;
        if (seat_claim_forgettable(t, me, &t->buckets[places->put[choice]], now_ns, seat))
            return true;
    }
    for (uint32_t depth = 0; depth < MOVES_MAX; depth++) {
        for (uint32_t choice = 0; choice < 2; choice++) {
            if (!held_try_place(held, places, choice)) continue;
            if (seat_claim_by_moving(held, places->put[choice], depth, seat)) return true;
        }
    }
    return false;
}

void seat_leave(struct table *t, struct holder *me) {
    atomic_store_explicit(&me->counted, 0, memory_order_release);
    atomic_fetch_sub_explicit(&t->head->users, 1, memory_order_release);
}

/* Counts one user more, if that is allowed. Who is killed before the user has a line leaves a note of
 * it, or, in the instants beside, one user counted too many. */
static bool seat_count_user(struct table *t, struct holder *me) {
    uint64_t before = atomic_fetch_add_explicit(&t->head->users, 1, memory_order_relaxed);
    atomic_store_explicit(&me->counted, 1, memory_order_release);
    if (before < t->head->users_max) return true;
    seat_leave(t, me);
    return false;
}

/* The same when all are counted: looks for users to forget where the newcomer wants to sit, and then
 * a little further on. */
static bool seat_count_user_when_full(struct table *t, struct holder *me,
                                      const struct shape_places *places, uint64_t now_ns) {
    enum { SWEEPS = 4 };
    for (uint32_t choice = 0; choice < 2; choice++) {
        if (seat_forget_bucket(t, me, places->put[choice], now_ns) && seat_count_user(t, me))
            return true;
    }
    for (uint32_t i = 0; i < SWEEPS; i++) {
        if (seat_sweep(t, me, now_ns) && seat_count_user(t, me)) return true;
    }
    return false;
}

enum seat_found seat_take_for_new(struct held *held, const struct shape_places *places,
                                  uint64_t now_ns, struct seat *seat) {
    struct table  *t  = held->table;
    struct holder *me = held->me;
    if (grow_is_behind(t)) return SEAT_CROWD;
    if (!seat_count_user(t, me) && !seat_count_user_when_full(t, me, places, now_ns))
        return SEAT_NONE;
    if (seat_take(held, places, now_ns, seat)) return SEAT_FOUND;
    seat_leave(t, me);
    return SEAT_CROWD;
}
