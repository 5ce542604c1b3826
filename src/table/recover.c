/* SPDX-License-Identifier: MIT
 *
 * recover: what did a killed process leave behind, and how is it put right?
 *
 * Its threads stopped between two instructions; their holders (holder.h) say where they were. Nobody
 * else touches what they had locked, so there is time, and all of it may be done twice: whoever does it
 * may be killed as well. In this order:
 *
 *   a line that was being changed   becomes what it was: nobody was told of the change
 *   a user who was being moved      is taken out of the old line if they are in the new one
 *   a name that was half written    is taken away: its user was being forgotten, or had not come yet
 *   then the locks                  lines, buckets, rings, growing */
#include "table/layout.h"

static struct line *recover_line(const struct table *t, uint64_t number) {
    return (struct line *)(void *)((char *)t->buckets + number * TABLE_LINE_BYTES);
}

/* The bucket and the place in it of a line, whose print belongs to it. */
static struct seat recover_seat(const struct table *t, uint64_t number) {
    enum { LINES = BUCKET_LINES + 1 };
    return (struct seat){.bucket = &t->buckets[number / LINES],
                         .index  = (uint32_t)(number % LINES) - 1};
}

/* Whether `number` is that of a line, and the process holds it. What a holder says is not believed: it
 * may be from long ago, and the file may be damaged. */
static bool recover_holds(const struct table *t, uint32_t process, uint64_t number) {
    uint64_t lines = (uint64_t)t->sizes[t->passes - 1] * (BUCKET_LINES + 1);
    if (number >= lines || number % (BUCKET_LINES + 1) == 0) return false;
    if (number >= (uint64_t)table_size(t, table_shape(t)) * (BUCKET_LINES + 1)) return false;
    uint64_t head = line_load(&recover_line(t, number)->head);
    return (head & LINE_LOCKED) != 0 && line_process(line_owner(head)) == process;
}

static void recover_change(struct table *t, struct holder *dead, uint32_t process) {
    uint64_t number = line_load(&dead->undo_line) - 1;
    if (recover_holds(t, process, number)) {
        struct counter c = {.fresh_at_ns = line_load(&dead->undo[0]),
                            .head        = line_load(&dead->undo[1])};
        for (unsigned i = 0; i < COUNTER_BODY_WORDS; i++) c.body[i] = line_load(&dead->undo[2 + i]);
        line_store(recover_line(t, number), &c);
        atomic_fetch_add_explicit(&t->head->mended, 1, memory_order_relaxed);
    }
    holder_keep(dead);
}

static bool seat_is_of(struct seat seat, uint64_t tag) {
    return line_load(&seat_line(seat)->tag) == tag &&
           atomic_load_explicit(&seat.bucket->print[seat.index], memory_order_acquire) ==
               bucket_print_of(tag);
}

static void recover_move(struct table *t, struct holder *dead, uint32_t process) {
    uint64_t from = line_load(&dead->move_from) - 1;
    uint64_t to   = line_load(&dead->move_to) - 1;
    if (recover_holds(t, process, from) && recover_holds(t, process, to)) {
        uint64_t    tag  = line_load(&recover_line(t, from)->tag);
        struct seat seat = recover_seat(t, from);
        if (seat_is_of(seat, tag) && seat_is_of(recover_seat(t, to), tag))
            bucket_name(seat.bucket, seat.index, 0, false);
    }
    holder_note(&dead->move_from, 0);
}

/* A print that does not go with its line's tag. */
static void recover_name(struct table *t, uint64_t number) {
    struct seat seat  = recover_seat(t, number);
    uint64_t    tag   = line_load(&seat_line(seat)->tag);
    uint32_t    print = atomic_load_explicit(&seat.bucket->print[seat.index], memory_order_acquire);
    if (print != 0 && print != bucket_print_of(tag))
        atomic_store_explicit(&seat.bucket->print[seat.index], 0, memory_order_release);
}

static void recover_lines(struct table *t, struct holder *dead, uint32_t process) {
    for (unsigned i = 0; i < HOLDER_LINES; i++) {
        uint64_t entry  = line_load(&dead->line[i]);
        uint64_t number = entry >> LINE_VERSION_BITS;
        if (entry == 0) return; /* it never held so many */
        if (!recover_holds(t, process, number)) continue;
        recover_name(t, number);
        struct line *line = recover_line(t, number);
        atomic_store_explicit(&line->head,
                              (line_load(&line->head) & COUNTER_HEAD_MASK) |
                                  line_version_word(entry + 1),
                              memory_order_release);
    }
}

static void recover_owned(_Atomic uint32_t *lock, uint32_t process) {
    uint32_t owner = atomic_load_explicit(lock, memory_order_acquire);
    if (line_process(owner) == process) owner_unlock(lock);
}

static void recover_buckets(struct table *t, struct holder *dead, uint32_t process) {
    for (unsigned i = 0; i < HOLDER_BUCKETS; i++) {
        uint32_t entry = atomic_load_explicit(&dead->bucket[i], memory_order_acquire);
        if (entry != 0 && entry - 1 < table_size(t, table_shape(t)))
            recover_owned(&t->buckets[entry - 1].lock, process);
    }
}

static void recover_counts(struct table *t, struct holder *dead) {
    raise_to(&t->head->seen_ns, line_load(&dead->seen_ns));
    if (atomic_exchange_explicit(&dead->counted, 0, memory_order_relaxed) == 1)
        atomic_fetch_sub_explicit(&t->head->users, 1, memory_order_relaxed);
    for (unsigned i = 0; i < HOLDER_COUNTS; i++) {
        uint64_t count = atomic_exchange_explicit(&dead->count[i], 0, memory_order_relaxed);
        atomic_fetch_add_explicit(&t->head->count[i], count, memory_order_relaxed);
    }
}

static void recover_others(struct table *t, uint32_t process) {
    for (unsigned i = 0; i < RING_CLASSES * TABLE_STRIPES; i++)
        recover_owned(&t->rings[i].lock, process);
    recover_owned(&t->head->grow_lock, process);
}

void table_recover(struct table *t, uint32_t process) {
    REQUIRE(process >= 1 && process <= t->processes);

    struct holder *dead = table_holders(t, process);
    for (unsigned i = 0; i < TABLE_THREADS; i++) {
        recover_change(t, &dead[i], process);
        recover_move(t, &dead[i], process);
    }
    for (unsigned i = 0; i < TABLE_THREADS; i++) {
        recover_lines(t, &dead[i], process);
        recover_buckets(t, &dead[i], process);
        recover_counts(t, &dead[i]);
        holder_clear(&dead[i]);
    }
    recover_others(t, process);
    table_set_present(t, process, false);
}

/* --- locks without a note -------------------------------------------------------------------- */

struct scour {
    struct table *t;
    bool (*is_gone)(void *context, uint32_t process);
    void *context;
};

static bool scour_is_gone(const struct scour *s, uint32_t owner) {
    return line_process(owner) != s->t->process && s->is_gone(s->context, line_process(owner));
}

static bool scour_line_is_noted(const struct table *t, uint64_t number) {
    for (unsigned i = 0; i < TABLE_THREADS; i++) {
        for (unsigned k = 0; k < HOLDER_LINES; k++) {
            if (line_load(&t->holders[i].line[k]) >> LINE_VERSION_BITS == number) return true;
        }
    }
    return false;
}

static bool scour_bucket_is_noted(const struct table *t, uint32_t bucket) {
    for (unsigned i = 0; i < TABLE_THREADS; i++) {
        for (unsigned k = 0; k < HOLDER_BUCKETS; k++) {
            if (atomic_load_explicit(&t->holders[i].bucket[k], memory_order_acquire) == bucket + 1)
                return true;
        }
    }
    return false;
}

static bool scour_swap(_Atomic uint64_t *head, uint64_t from, uint64_t to) {
    return atomic_compare_exchange_strong_explicit(head, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static bool scour_swap_lock(_Atomic uint32_t *lock, uint32_t from, uint32_t to) {
    return atomic_compare_exchange_strong_explicit(lock, &from, to, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

/* A thread of this process may hold the line, give it back and take it again while the notes are read, each
 * time where they have just been. So the lock is marked first: from then on nobody takes it anew, and who
 * has it noted it before. Who gives a marked lock back takes the mark away, and nothing is done. */
static void scour_own_line(const struct scour *s, struct line *line, uint64_t head) {
    uint64_t marked = head | line_lock_word(LINE_SEARCHED);
    if (!scour_swap(&line->head, head, marked)) return;
    bool is_held = scour_line_is_noted(s->t, table_line_number(s->t, line));
    (void)scour_swap(&line->head, marked, is_held ? head : 0);
}

static void scour_own_bucket(const struct scour *s, uint32_t bucket, uint32_t owner) {
    _Atomic uint32_t *lock   = &s->t->buckets[bucket].lock;
    uint32_t          marked = owner | LINE_SEARCHED;
    if (!scour_swap_lock(lock, owner, marked)) return;
    (void)scour_swap_lock(lock, marked, scour_bucket_is_noted(s->t, bucket) ? owner : 0);
}

/* What is in a line that nobody holds, but whose lock says otherwise, may be half of something. With no head
 * it is not sound, as its next user finds, or it is new. */
static void scour_line(const struct scour *s, struct line *line) {
    uint64_t head = line_load(&line->head);
    if ((head & LINE_LOCKED) == 0) return;
    if (line_process(line_owner(head)) == s->t->process) {
        scour_own_line(s, line, head);
    } else if (scour_is_gone(s, line_owner(head))) {
        (void)scour_swap(&line->head, head, 0);
    }
}

static void scour_bucket(const struct scour *s, uint32_t bucket) {
    struct bucket *b     = &s->t->buckets[bucket];
    uint32_t       owner = atomic_load_explicit(&b->lock, memory_order_acquire);
    for (uint32_t i = 0; i < BUCKET_LINES; i++) scour_line(s, &b->line[i]);
    if (owner == 0) return;
    if (line_process(owner) == s->t->process) {
        scour_own_bucket(s, bucket, owner);
    } else if (scour_is_gone(s, owner)) {
        (void)scour_swap_lock(&b->lock, owner, 0);
    }
}

/* Of a lock without notes this process has none but what its threads hold: it let go of all others when it
 * took its number. */
static void scour_lock(const struct scour *s, _Atomic uint32_t *lock) {
    uint32_t owner = atomic_load_explicit(lock, memory_order_acquire);
    if (owner != 0 && scour_is_gone(s, owner)) (void)scour_swap_lock(lock, owner, 0);
}

void table_scour(struct table *t, bool (*is_gone)(void *context, uint32_t process), void *context) {
    const struct scour s       = {.t = t, .is_gone = is_gone, .context = context};
    uint32_t           buckets = table_size(t, table_shape(t));
    for (uint32_t i = 0; i < buckets; i++) scour_bucket(&s, i);
    for (unsigned i = 0; i < RING_CLASSES * TABLE_STRIPES; i++) scour_lock(&s, &t->rings[i].lock);
    scour_lock(&s, &t->head->grow_lock);
}
