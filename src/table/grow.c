/* SPDX-License-Identifier: MIT
 *
 * grow: how does the table get larger while everybody decides?
 *
 * By one sixteenth at a time (twice while it is small), so that memory stays near what its users
 * need: at 92 % full and at most a sixteenth too large, a user takes 74 to 79 bytes. Each user who
 * comes in moves a few others on, so that a pass is over before the next is due. Only one thread
 * moves users at a time; the others go on without waiting.
 *
 * A bucket that empties is in transit (see shape.h): its users are looked for at both places until all
 * have left. The cursor goes down when the bucket is empty, under the lock of the bucket that comes
 * next, so that nobody who holds that lock sees the places of its users change. */
#include "base/contract.h"
#include "table/layout.h"

enum {
    SIZE_FIRST       = 64,   /* buckets */
    SIZE_STEP_MIN    = 4096, /* buckets, that is 4 MiB, until a sixteenth is more */
    SIZE_FRACTION    = 16,
    GROW_PER_100     = 92, /* users per 100 lines when it is time to grow */
    GROW_SMALL       = 70, /* the same below SIZE_STEP_MIN, where a few newcomers are many */
    SWEEP_SHARE      = 93, /* percent of that when it is time to look for users to forget first */
    BEHIND_PER_100   = 96, /* when newcomers wait for those who move */
    BUCKETS_PER_STEP = 4,
    BUCKETS_BEHIND   = 64,
    RESERVE_AGAIN_NS = 100000000,
};

static uint64_t grow_lines(uint64_t buckets, uint64_t percent) {
    return buckets * BUCKET_LINES * percent / 100;
}

uint32_t grow_sizes(uint64_t users_max, uint32_t sizes[SHAPE_PASSES_MAX + 1]) {
    if (users_max > grow_lines(UINT32_MAX / 4, GROW_PER_100)) return 0;

    uint32_t passes = 0;
    uint64_t last =
        (users_max * 100 + BUCKET_LINES * GROW_PER_100 - 1) / (BUCKET_LINES * GROW_PER_100) + 1;
    uint64_t size = SIZE_FIRST < last ? SIZE_FIRST : last;
    for (;;) {
        INVARIANT(passes < SHAPE_PASSES_MAX);
        sizes[passes++] = (uint32_t)size;
        if (size == last) return passes;
        uint64_t step = size < SIZE_STEP_MIN ? size : SIZE_STEP_MIN;
        if (step < size / SIZE_FRACTION) step = size / SIZE_FRACTION;
        size = size + step < last ? size + step : last;
    }
}

/* Moves one user out of the bucket in transit, if they belong elsewhere now. False: no seat. */
static bool grow_move_user(struct table *t, struct holder *me, struct seat from, uint32_t bucket,
                           uint64_t now_ns) {
    struct line        *line   = seat_line(from);
    uint64_t            tag    = line_load(&line->tag);
    struct shape_places places = table_places(t, table_shape(t), tag);
    if (places.put[0] == bucket || places.put[1] == bucket) return true;

    /* Buckets before lines: whoever holds a line never waits for a bucket. */
    bucket_lock(t, me, places.put[0]);
    struct held held = {.table = t, .me = me, .count = 1, .bucket = {places.put[0]}};
    table_lock(t, me, line);

    bool        moved = true;
    struct seat to;
    if (line_load(&line->tag) != tag) {
        /* Forgotten, or moved by somebody who needed the line. */
    } else if (line_load(&line->fresh_at_ns) <= now_ns) {
        seat_forget(t, from);
    } else if (seat_take(&held, &places, now_ns, &to)) {
        seat_move(t, me, from, to);
        table_unlock(me, seat_line(to));
    } else {
        moved = false;
    }
    table_unlock(me, line);
    held_release(&held, 0);
    return moved;
}

/* Asks for the memory that the bucket's users will be put in, and for the bucket that comes next. */
static void grow_fetch(struct table *t, uint32_t bucket) {
    struct bucket *b     = &t->buckets[bucket];
    struct shape   shape = table_shape(t);
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        if (bucket > 0) __builtin_prefetch(&t->buckets[bucket - 1].line[i], 1);
        if (atomic_load_explicit(&b->print[i], memory_order_acquire) == 0) continue;
        struct shape_places places = table_places(t, shape, line_load(&b->line[i].tag));
        __builtin_prefetch(&t->buckets[places.put[0]], 1);
        __builtin_prefetch(&t->buckets[places.put[1]], 1);
    }
}

/* Moves all out of the bucket in transit. Nobody comes in: users are put at their new places. */
static bool grow_empty_bucket(struct table *t, struct holder *me, uint32_t bucket,
                              uint64_t now_ns) {
    struct bucket *b = &t->buckets[bucket];
    grow_fetch(t, bucket);
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        struct seat from = {.bucket = b, .index = i};
        if (atomic_load_explicit(&b->print[i], memory_order_acquire) == 0) continue;
        if (!grow_move_user(t, me, from, bucket, now_ns)) return false;
    }
    return true;
}

/* Makes the bucket below the cursor the one in transit. */
static void grow_set_cursor(struct table *t, struct holder *me, struct shape shape,
                            uint32_t cursor) {
    shape.cursor = cursor;
    bucket_lock(t, me, cursor - 1);
    atomic_store_explicit(&t->head->shape, shape_write(shape), memory_order_release);
    bucket_unlock(t, me, cursor - 1);
}

/* Users at which a table of so many buckets should grow. */
static uint64_t grow_mark_of(uint64_t size) {
    return grow_lines(size, size < SIZE_STEP_MIN ? GROW_SMALL : GROW_PER_100);
}

static uint64_t grow_mark(const struct table *t, struct shape shape) {
    return grow_mark_of(t->sizes[shape.pass]);
}

uint32_t grow_pass_for(const uint32_t *sizes, uint32_t passes, uint64_t users) {
    uint32_t pass = 0;
    while (pass + 1 < passes && users > grow_mark_of(sizes[pass])) pass++;
    return pass;
}

static bool grow_is_due(const struct table *t, struct shape shape) {
    return shape.pass + 1 < t->passes &&
           atomic_load_explicit(&t->head->users, memory_order_relaxed) > grow_mark(t, shape);
}

bool grow_is_behind(const struct table *t) {
    struct shape shape = table_shape(t);
    uint64_t     users = atomic_load_explicit(&t->head->users, memory_order_relaxed);
    return users > grow_lines(t->sizes[shape.pass], BEHIND_PER_100) && shape.pass + 1 < t->passes &&
           !grow_is_stuck(t);
}

bool grow_is_stuck(const struct table *t) { return line_load(&t->head->stuck_at_ns) != 0; }

/* Asks for the room that the next pass needs, at most so often when there was none. */
static bool grow_reserve(struct table *t, struct shape shape, uint64_t now_ns) {
    uint64_t stuck_at_ns = line_load(&t->head->stuck_at_ns);
    if (stuck_at_ns != 0 && now_ns < stuck_at_ns + RESERVE_AGAIN_NS) return false;

    uint64_t bytes = table_bytes_with(t->processes, t->sizes[shape.pass + 1]);
    bool     there = t->reserve == NULL || t->reserve(t->context, bytes);
    atomic_store_explicit(&t->head->stuck_at_ns, there ? 0 : now_ns + (now_ns == 0),
                          memory_order_release);
    return there;
}

static void grow_one_bucket(struct table *t, struct holder *me, uint64_t now_ns) {
    struct shape shape = table_shape(t);
    if (shape.cursor == SHAPE_AT_REST) {
        if (grow_is_due(t, shape) && grow_reserve(t, shape, now_ns))
            grow_set_cursor(t, me, shape, t->sizes[shape.pass]);
        return;
    }
    if (!grow_empty_bucket(t, me, shape.cursor - 1, now_ns)) return;
    if (shape.cursor > 1) {
        grow_set_cursor(t, me, shape, shape.cursor - 1);
        return;
    }
    shape = (struct shape){.pass = shape.pass + 1, .cursor = SHAPE_AT_REST};
    atomic_store_explicit(&t->head->shape, shape_write(shape), memory_order_release);
}

void grow_step(struct table *t, struct holder *me, uint64_t now_ns) {
    struct shape shape = table_shape(t);
    if (shape.cursor == SHAPE_AT_REST) {
        uint64_t users = atomic_load_explicit(&t->head->users, memory_order_relaxed);
        if (users <= grow_mark(t, shape) * SWEEP_SHARE / 100) return;
        seat_sweep(t, me, now_ns);
        if (!grow_is_due(t, shape)) return;
    }
    if (!owner_try_lock(t, &t->head->grow_lock)) return;
    uint32_t buckets = grow_is_behind(t) ? BUCKETS_BEHIND : BUCKETS_PER_STEP;
    for (uint32_t i = 0; i < buckets; i++) grow_one_bucket(t, me, now_ns);
    owner_unlock(&t->head->grow_lock);
}
