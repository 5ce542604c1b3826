/* SPDX-License-Identifier: MIT
 *
 * copy: how do the users of one table come into another?
 *
 * Nobody decides on either meanwhile. All that a promise rests on goes along: the counters of those
 * who do not equal new, what newcomers took on the shared rings (a user's ring follows from their
 * hash, so it is the same in both), and the newest time at which somebody was forgotten. Who equals
 * new is forgotten, as anywhere else.
 *
 * The other table is given its size before the first comes, so that nobody moves twice. */
#include "base/contract.h"
#include "table/layout.h"

enum {
    COPY_THREAD    = 0,
    PROGRESS_EVERY = 4096, /* buckets */
};

/* The print of a line that somebody has. */
static bool copy_is_taken(const struct bucket *b, uint32_t index) {
    uint32_t print = atomic_load_explicit(&b->print[index], memory_order_acquire);
    return print != 0 && print == bucket_print_of(line_load(&b->line[index].tag));
}

/* Copies the counter out. A line whose lock nobody let go of may hold half of something; its next user
 * finds that it is not sound (table_scour()). */
static void copy_take(const struct line *line, struct counter *c) {
    bool is_locked = (line_load(&line->head) & LINE_LOCKED) != 0;
    line_take(line, c);
    if (!is_locked) return;
    c->head = 0;
    if (c->fresh_at_ns == 0) c->fresh_at_ns = 1;
}

struct table_live table_live(const struct table *t, uint64_t now_ns) {
    struct table_live live    = {.users = 0};
    uint32_t          buckets = table_size(t, table_shape(t));
    for (uint32_t bucket = 0; bucket < buckets; bucket++) {
        const struct bucket *b = &t->buckets[bucket];
        for (uint32_t i = 0; i < BUCKET_LINES; i++) {
            if (!copy_is_taken(b, i)) continue;
            uint64_t fresh_at_ns = line_load(&b->line[i].fresh_at_ns);
            live.there++;
            if (fresh_at_ns <= now_ns) continue;
            live.users++;
            if (live.until_ns < fresh_at_ns) live.until_ns = fresh_at_ns;
        }
    }
    for (uint32_t i = 0; i < RING_CLASSES * TABLE_STRIPES; i++) {
        unsigned      ring_class = RING_CLASS_MIN + i / TABLE_STRIPES;
        struct answer a          = ring_look(&t->rings[i].ring, ring_class, 1, 1, now_ns);
        if (a.allowed || a.reset_after_ns == 0) continue;
        live.rings++;
        if (live.until_ns < now_ns + a.reset_after_ns) live.until_ns = now_ns + a.reset_after_ns;
    }
    return live;
}

uint64_t table_bytes_for(uint64_t users_max, uint32_t processes, uint64_t users) {
    uint32_t sizes[SHAPE_PASSES_MAX + 1];
    uint32_t passes = grow_sizes(users_max, sizes);
    return passes == 0 ? 0
                       : table_bytes_with(processes, sizes[grow_pass_for(sizes, passes, users)]);
}

bool table_make_room(struct table *t, uint64_t users) {
    REQUIRE(line_load(&t->head->users) == 0);
    struct shape shape = {.pass   = grow_pass_for(t->sizes, t->passes, users),
                          .cursor = SHAPE_AT_REST};
    uint64_t     bytes = table_bytes_with(t->processes, t->sizes[shape.pass]);
    if (t->reserve != NULL && !t->reserve(t->context, bytes)) return false;
    atomic_store_explicit(&t->head->shape, shape_write(shape), memory_order_release);
    return true;
}

/* Brings one in. Only the last size may be too crowded for somebody, and only by the worst of luck: any
 * other grows. */
static bool copy_user(struct table *t, uint64_t hash, const struct counter *c, uint64_t now_ns) {
    enum { CROWDS_MAX = 1000000 };
    struct holder *me = &t->holders[COPY_THREAD];
    for (uint32_t crowds = 0; crowds < CROWDS_MAX; crowds++) {
        struct shape        shape  = table_shape(t);
        struct shape_places places = table_places(t, shape, hash);
        bucket_lock(t, me, places.put[0]);
        struct held     held = {.table = t, .me = me, .count = 1, .bucket = {places.put[0]}};
        struct seat     seat;
        enum seat_found found = seat_take_for_new(&held, &places, now_ns, &seat);
        if (found == SEAT_FOUND) {
            table_put(t, me, seat_line(seat), c);
            seat_name(me, seat, hash);
            table_unlock(me, seat_line(seat));
        }
        held_release(&held, 0);
        if (found == SEAT_NONE) return false;
        grow_step(t, me, now_ns);
        if (found == SEAT_FOUND) return true;
        if (shape_write(shape) == shape_write(table_shape(t))) return false;
    }
    return false;
}

static void copy_counts(struct table_head *to, const struct table_head *from) {
    atomic_fetch_add(&to->users_forgotten, line_load(&from->users_forgotten));
    atomic_fetch_add(&to->overflowed, line_load(&from->overflowed));
    atomic_fetch_add(&to->mended, line_load(&from->mended));
    atomic_fetch_add(&to->damaged, line_load(&from->damaged));
}

static void copy_rings(struct table *to, const struct table *from) {
    for (uint32_t i = 0; i < RING_CLASSES * TABLE_STRIPES; i++)
        to->rings[i].ring = from->rings[i].ring;
}

bool table_copy(struct table *to, const struct table *from, uint64_t now_ns,
                table_progress_fn progress, void *context, uint64_t *users) {
    uint32_t buckets = table_size(from, table_shape(from));
    uint64_t dropped = 0, forgot_at_ns = line_load(&from->head->forgot_at_ns);
    *users = 0;
    for (uint32_t bucket = 0; bucket < buckets; bucket++) {
        const struct bucket *b = &from->buckets[bucket];
        if (progress != NULL && bucket % PROGRESS_EVERY == 0) progress(context, bucket, buckets);
        for (uint32_t i = 0; i < BUCKET_LINES; i++) {
            struct counter c;
            if (!copy_is_taken(b, i)) continue;
            copy_take(&b->line[i], &c);
            if (c.fresh_at_ns <= now_ns) {
                if (forgot_at_ns < c.fresh_at_ns) forgot_at_ns = c.fresh_at_ns;
                dropped++;
                continue;
            }
            if (!copy_user(to, line_load(&b->line[i].tag), &c, now_ns)) return false;
            (*users)++;
        }
    }
    copy_counts(to->head, from->head);
    copy_rings(to, from);
    atomic_fetch_add(&to->head->users_forgotten, dropped);
    raise_to(&to->head->forgot_at_ns, forgot_at_ns);
    raise_to(&to->head->seen_ns, table_seen_ns(from));
    for (unsigned i = 0; i < HOLDER_COUNTS; i++)
        atomic_fetch_add(&to->head->count[i], table_tally_sum(from, i));
    return true;
}
