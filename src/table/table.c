/* SPDX-License-Identifier: MIT
 *
 * table: where is a user's counter, who may touch it, who leaves?
 *
 * Buckets of one line of prints and fifteen lines of users (bucket.h); two places a user (shape.h).
 * A user who is found costs two cache lines, or three.
 *
 * Who may do what:
 *   - to change a counter, hold its line;
 *   - to bring a user in or to move one, hold the lock of their home bucket, and look at the shape
 *     again after taking it: so a user is never there twice;
 *   - to put a line into a bucket, hold that bucket's lock;
 *   - to forget somebody who equals new, their line is enough;
 *   - to let go of what a process that was killed held, have found it dead (recover.c).
 * Buckets are locked before lines; of several buckets all but the first are only tried; several lines
 * are locked in the order of their tags. A search takes no lock: when it finds nothing, it is
 * repeated under the home's lock.
 *
 * A denial is first looked for without a lock, on a copy, so that a flood of denials of one user
 * only reads.
 *
 * Nobody is forgotten who does not equal new, and there are never more than users_max. Who finds no
 * seat is decided on a ring that they share with others (limit/ring.h), under the lock of their home:
 * so whoever gets a seat later brings along what may have been theirs on the ring. */
#include "table/table.h"

#include "base/contract.h"
#include "limit/limit.h"
#include "table/layout.h"

enum { CROWDS_MAX = 100000 }; /* tries at a seat while there are fewer than users_max */

_Static_assert(sizeof(struct table_ring) * RING_CLASSES * TABLE_STRIPES % TABLE_LINE_BYTES == 0,
               "lines");

/* --- its memory ------------------------------------------------------------------------------ */

static uint64_t table_pages(uint64_t bytes) {
    return (bytes + TABLE_PAGE_BYTES - 1) / TABLE_PAGE_BYTES * TABLE_PAGE_BYTES;
}

static uint64_t table_rings_bytes(void) {
    return table_pages(sizeof(struct table_ring) * RING_CLASSES * TABLE_STRIPES);
}

static uint64_t table_holders_at(void) { return TABLE_PAGE_BYTES + table_rings_bytes(); }

static uint64_t table_buckets_at(uint32_t processes) {
    return table_holders_at() + table_pages(sizeof(struct holder) * TABLE_THREADS * processes);
}

uint64_t table_bytes_with(uint32_t processes, uint32_t buckets) {
    return table_buckets_at(processes) + (uint64_t)buckets * sizeof(struct bucket);
}

uint64_t table_bytes(uint64_t users_max, uint32_t processes) {
    uint32_t sizes[SHAPE_PASSES_MAX + 1];
    uint32_t passes = grow_sizes(users_max, sizes);
    return passes == 0 ? 0 : table_bytes_with(processes, sizes[passes - 1]);
}

uint64_t table_users_within(uint64_t users_max, uint32_t processes, uint64_t bytes) {
    if (table_bytes(users_max, processes) <= bytes) return users_max;
    uint64_t low = 0, high = users_max; /* so many fit, so many do not */
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (table_bytes(middle, processes) <= bytes) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t table_bytes_at_first(uint64_t users_max, uint32_t processes) {
    uint32_t sizes[SHAPE_PASSES_MAX + 1];
    return grow_sizes(users_max, sizes) == 0 ? 0 : table_bytes_with(processes, sizes[0]);
}

struct table_part table_part_of_process(uint32_t process) {
    uint64_t bytes = sizeof(struct holder) * TABLE_THREADS;
    return (struct table_part){.offset = table_holders_at() + (process - 1) * bytes,
                               .bytes  = bytes};
}

size_t table_handle_bytes(void) { return sizeof(struct table); }

/* Whether the table's words agree with each other and with what it should hold. */
static bool table_is_sound(const struct table *t, const struct table_options *options) {
    const struct table_head *head  = t->head;
    struct shape             shape = table_shape(t);
    if (head->users_max != options->users_max || head->processes != options->processes)
        return false;
    if (shape.pass >= t->passes) return false;
    if (shape.cursor == SHAPE_AT_REST) return true;
    return shape.pass + 1 < t->passes && shape.cursor >= 1 && shape.cursor <= t->sizes[shape.pass];
}

struct table *table_attach(void *handle, void *memory, const struct table_options *options) {
    REQUIRE(options->users_max > 0);
    REQUIRE(options->process <= options->processes);
    REQUIRE(options->processes < TABLE_PROCESSES_MAX);
    REQUIRE((uintptr_t)memory % TABLE_PAGE_BYTES == 0);

    struct table *t     = handle;
    char         *bytes = memory;
    *t                  = (struct table){
                         .buckets   = (void *)(bytes + table_buckets_at(options->processes)),
                         .head      = memory,
                         .rings     = (void *)(bytes + TABLE_PAGE_BYTES),
                         .holders   = (void *)(bytes + table_holders_at()),
                         .process   = options->process,
                         .processes = options->processes,
                         .lock_word = line_lock_word(options->process),
                         .is_shared = options->processes > 1,
                         .wait      = options->wait,
                         .reserve   = options->reserve,
                         .context   = options->context,
                         .recorder  = options->recorder,
    };
    t->holders += ((ptrdiff_t)t->process - 1) * TABLE_THREADS;
    t->passes = grow_sizes(options->users_max, t->sizes);
    REQUIRE(t->passes > 0);
    if (t->head->processes == 0 && t->process != 0) {
        t->head->users_max = options->users_max;
        atomic_store(&t->head->shape, shape_write((struct shape){.cursor = SHAPE_AT_REST}));
        t->head->processes = options->processes;
    }
    if (!table_is_sound(t, options)) return NULL;
    if (t->process == 0) return t;
    for (unsigned i = 0; i < TABLE_THREADS; i++) holder_clear(&t->holders[i]);
    table_set_present(t, t->process, true);
    return t;
}

/* --- who asks -------------------------------------------------------------------------------- */

/* What the thread holds; those that have no number of their own come in one at a time. */
static inline struct holder *table_enter(struct table *t, unsigned thread, uint64_t now_ns) {
    REQUIRE(thread < TABLE_THREADS);
    for (unsigned spins = 0; thread == 0 && !owner_try_lock(t, &t->crowd_lock); spins++)
        table_wait(t, TABLE_NO_PROCESS, spins);
    struct holder *me = &t->holders[thread];
    atomic_store_explicit(&me->seen_ns, now_ns, memory_order_relaxed);
    return me;
}

static inline void table_leave(struct table *t, unsigned thread) {
    if (thread == 0) owner_unlock(&t->crowd_lock);
}

_Atomic uint64_t *table_tally(struct table *t, unsigned thread) { return t->holders[thread].count; }

uint64_t table_tally_sum(const struct table *t, unsigned which) {
    uint64_t sum = line_load(&t->head->count[which]);
    for (uint32_t process = 1; process <= t->processes; process++) {
        if (!table_is_present(t, process)) continue;
        const struct holder *holders = table_holders(t, process);
        for (unsigned i = 0; i < TABLE_THREADS; i++) sum += line_load(&holders[i].count[which]);
    }
    return sum;
}

uint64_t table_seen_ns(const struct table *t) {
    uint64_t seen_ns      = line_load(&t->head->seen_ns),
             forgot_at_ns = line_load(&t->head->forgot_at_ns);
    if (seen_ns < forgot_at_ns) seen_ns = forgot_at_ns;
    for (uint32_t process = 1; process <= t->processes; process++) {
        if (!table_is_present(t, process)) continue;
        const struct holder *holders = table_holders(t, process);
        for (unsigned i = 0; i < TABLE_THREADS; i++) {
            uint64_t told_ns = line_load(&holders[i].seen_ns);
            if (seen_ns < told_ns) seen_ns = told_ns;
        }
    }
    return seen_ns;
}

bool table_has_process(const struct table *t, uint32_t process) {
    return table_is_present(t, process);
}

static uint32_t table_process_count(const struct table *t) {
    uint32_t count = 0;
    for (size_t i = 0; i < sizeof t->head->present / sizeof t->head->present[0]; i++)
        count += (uint32_t)__builtin_popcountll(line_load(&t->head->present[i]));
    return count;
}

struct table_counts table_counts(const struct table *t) {
    const struct table_head *head = t->head;
    return (struct table_counts){
        .users           = line_load(&head->users),
        .users_forgotten = line_load(&head->users_forgotten),
        .overflowed      = line_load(&head->overflowed),
        .mended          = line_load(&head->mended),
        .damaged         = line_load(&head->damaged),
        .processes       = table_process_count(t),
        .is_stuck        = grow_is_stuck(t),
        .memory_bytes    = table_bytes_with(t->processes, table_size(t, table_shape(t))),
    };
}

/* --- finding a line ------------------------------------------------------------------------- */

static inline struct line *table_find(struct table *t, uint64_t hash) {
    struct shape shape = table_shape(t);
    struct line *line  = bucket_find(&t->buckets[shape_place(shape, t->sizes, hash)], hash);
    if (line != NULL) return line;

    struct shape_places places = table_places(t, shape, hash);
    for (uint32_t i = 0; i < places.look_count; i++) {
        line = bucket_find(&t->buckets[places.look[i]], hash);
        if (line != NULL) return line;
    }
    return NULL;
}

static inline bool table_lock_of(struct table *t, struct holder *me, struct line *line,
                                 uint64_t hash) {
    table_lock(t, me, line);
    if (atomic_load_explicit(&line->tag, memory_order_relaxed) == hash) return true;
    table_unlock(me, line);
    return false;
}

/* Locks the home of the user, whose places are then settled. */
static struct shape_places table_lock_home(struct table *t, struct holder *me, uint64_t hash) {
    for (;;) {
        struct shape        shape  = table_shape(t);
        struct shape_places places = table_places(t, shape, hash);
        bucket_lock(t, me, places.put[0]);
        if (shape_write(shape) == line_load(&t->head->shape)) return places;
        bucket_unlock(t, me, places.put[0]);
    }
}

/* The user's line; NULL: there was none at some moment of the call. */
static struct line *table_find_surely(struct table *t, struct holder *me, uint64_t hash) {
    struct line *line = table_find(t, hash);
    if (line != NULL) return line;

    struct shape_places places = table_lock_home(t, me, hash);
    line                       = table_find(t, hash);
    bucket_unlock(t, me, places.put[0]);
    return line;
}

/* The same, locked. */
static struct line *table_lock_line(struct table *t, struct holder *me, uint64_t hash) {
    for (;;) {
        struct line *line = table_find_surely(t, me, hash);
        if (line == NULL || table_lock_of(t, me, line, hash)) return line;
    }
}

/* --- writing down -------------------------------------------------------------------------- */

static inline enum table_record record_counter(const struct table *t, uint64_t hash,
                                               uint64_t cost) {
    const struct table_recorder *r = t->recorder;
    return r == NULL ? TABLE_RECORDED : r->counter(r->context, hash, cost);
}

static enum table_record record_ring(const struct table *t, uint32_t index, uint64_t cost) {
    const struct table_recorder *r = t->recorder;
    return r == NULL ? TABLE_RECORDED : r->ring(r->context, index, cost);
}

/* After a decision, without locks. True: it is to be made again. */
static bool record_settle(const struct table *t, uint64_t now_ns, struct table_answer *a) {
    const struct table_recorder *r = t->recorder;
    if (r->settle(r->context, now_ns)) return a->record == TABLE_SETTLE_BEFORE;
    *a = (struct table_answer){.failed = true};
    return false;
}

/* --- newcomers ------------------------------------------------------------------------------ */

static uint32_t table_ring_index(const struct table_question *q) {
    unsigned ring_class = ring_class_for(q->rule.window_ns) - RING_CLASS_MIN;
    return ring_class * TABLE_STRIPES + (uint32_t)(q->hash % TABLE_STRIPES);
}

static struct table_ring *table_ring_for(struct table *t, const struct table_question *q) {
    return &t->rings[table_ring_index(q)];
}

static void ring_lock(struct table *t, struct table_ring *r) {
    for (unsigned turn = 0; !owner_try_lock(t, &r->lock); turn++) {
        uint32_t owner = atomic_load_explicit(&r->lock, memory_order_relaxed);
        if (owner != 0) t->wait(t->context, owner, turn);
    }
}

static void ring_unlock(struct table_ring *r) { owner_unlock(&r->lock); }

static inline uint64_t table_cost_looked_at(const struct table_question *q) {
    return q->cost > 0 ? q->cost : 1;
}

/* The limit that is compared with a ring: strict for the algorithms that are not, too. */
static uint64_t table_ring_limit(const struct rule *rule) {
    bool is_gcra = rule->algorithm == ALGORITHM_GCRA;
    return is_gcra && rule->burst < rule->limit ? rule->burst : rule->limit;
}

/* Decides on the shared count. The home of the user is locked. */
static void table_overflow(struct table *t, const struct table_question *q, uint64_t now_ns,
                           struct table_answer *a) {
    struct table_ring *r          = table_ring_for(t, q);
    unsigned           ring_class = ring_class_for(q->rule.window_ns);
    uint64_t           limit      = table_ring_limit(&q->rule);

    ring_lock(t, r);
    a->answer     = ring_look(&r->ring, ring_class, limit, table_cost_looked_at(q), now_ns);
    bool admitted = q->cost > 0 && a->answer.allowed;
    if (admitted) a->record = (uint8_t)record_ring(t, table_ring_index(q), q->cost);
    if (admitted && a->record != TABLE_SETTLE_BEFORE) {
        admitted  = ring_admit(&r->ring, ring_class, limit, q->cost, now_ns);
        a->answer = ring_look(&r->ring, ring_class, limit, q->cost, now_ns);
    }
    ring_unlock(r);
    if (a->record == TABLE_SETTLE_BEFORE) return;
    atomic_fetch_add_explicit(&t->head->overflowed, 1, memory_order_relaxed);

    a->overflowed = true;
    if (admitted) {
        a->answer.allowed        = true;
        a->answer.retry_after_ns = 0;
    }
}

/* What a newcomer had before this table, and may have taken on the ring, as if that were just now. Of
 * the ring's permits some may not be written down: they are from now on the user's. */
static enum table_record table_carry_over(struct table *t, const struct table_question *q,
                                          uint64_t now_ns, struct counter *c) {
    const struct table_recorder *recorder = t->recorder;
    struct table_ring           *r        = table_ring_for(t, q);
    enum table_record            record   = TABLE_RECORDED;
    ring_lock(t, r);
    uint64_t live = ring_live(&r->ring, ring_class_for(q->rule.window_ns), now_ns);
    uint64_t open = live > 0 && recorder != NULL
                        ? recorder->ring_open(recorder->context, table_ring_index(q))
                        : 0;
    ring_unlock(r);
    if (open > 0) record = record_counter(t, q->hash, open);
    if (recorder != NULL && recorder->past(recorder->context, q->hash, c) &&
        limit_is_fresh(c, now_ns)) {
        *c = (struct counter){0};
    }
    if (live > 0) limit_charge(c, &q->rule, live, now_ns);
    return record;
}

/* The time for somebody of whom nothing is remembered: they may have been forgotten at a time after
 * a late caller's. */
static inline uint64_t table_time_for_new(const struct table *t, uint64_t now_ns) {
    uint64_t forgot_at_ns = line_load(&t->head->forgot_at_ns);
    return now_ns < forgot_at_ns ? forgot_at_ns : now_ns;
}

/* Brings the user in and returns their line locked, or finds that they are there by now. NULL: no
 * room, and `a` is then decided on the ring, if they may take from it; or there is something to settle
 * before. */
static struct line *table_bring_in(struct table *t, struct holder *me,
                                   const struct table_question *q, uint64_t now_ns, bool takes_ring,
                                   struct table_answer *a) {
    for (uint32_t crowds = 0;;) {
        struct shape_places places = table_lock_home(t, me, q->hash);
        struct line        *line   = table_find(t, q->hash);
        if (line != NULL) {
            bucket_unlock(t, me, places.put[0]);
            if (table_lock_of(t, me, line, q->hash)) return line;
            continue;
        }

        struct held     held = {.table = t, .me = me, .count = 1, .bucket = {places.put[0]}};
        struct seat     seat;
        enum seat_found found = seat_take_for_new(&held, &places, now_ns, &seat);

        /* The thread that moves users on may have lost its processor; it gets seconds. */
        if (found == SEAT_CROWD && crowds++ < CROWDS_MAX && !grow_is_stuck(t)) {
            held_release(&held, 0);
            grow_step(t, me, now_ns);
            table_wait_for(t, atomic_load(&t->head->grow_lock), crowds);
            continue;
        }

        if (found == SEAT_FOUND) {
            struct counter    c      = {0};
            enum table_record record = table_carry_over(t, q, table_time_for_new(t, now_ns), &c);
            line                     = seat_line(seat);
            if (record == TABLE_SETTLE_BEFORE) {
                seat_leave(t, me);
                table_unlock(me, line);
                line = NULL;
            } else {
                table_put(t, me, line, &c);
                seat_name(me, seat, q->hash);
            }
            a->record = (uint8_t)record;
        } else if (takes_ring) {
            table_overflow(t, q, table_time_for_new(t, now_ns), a);
        }
        held_release(&held, 0);
        if (line == NULL && grow_is_stuck(t))
            grow_step(t, me, now_ns); /* there may be room by now */
        return line;
    }
}

/* --- deciding ------------------------------------------------------------------------------- */

/* Whether any wait would help. */
static inline bool table_can_pass(const struct table_question *q) {
    uint64_t most = q->rule.algorithm == ALGORITHM_GCRA ? q->rule.burst : q->rule.limit;
    return q->cost <= most && q->rule.limit > 0;
}

/* Takes the cost from a locked line and unlocks it, if that changes its head alone. */
static inline bool line_admit_in_head(struct holder *me, struct line *line,
                                      const struct table_question *q, uint64_t now_ns) {
    uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
    if (!limit_admit_in_head(&head, atomic_load_explicit(&line->fresh_at_ns, memory_order_relaxed),
                             &q->rule, q->cost, now_ns)) {
        return false;
    }
    table_unlock_as(me, line, head, holder_version(me) + 1);
    return true;
}

/* The time at which a counter is asked. */
static inline uint64_t line_time(const struct table *t, const struct counter *c, uint64_t now_ns) {
    return c->fresh_at_ns == 0 ? table_time_for_new(t, now_ns) : now_ns;
}

/* Out of the way of decisions in memory. */
__attribute__((noinline)) static bool counter_is_sound(const struct counter        *c,
                                                       const struct table_question *q) {
    return limit_is_sound(c, q->rule.algorithm);
}

__attribute__((noinline)) static void table_mend(struct table *t, struct holder *me,
                                                 struct line *line, const struct table_question *q,
                                                 uint64_t now_ns, struct counter *c) {
    limit_fill(c, &q->rule, now_ns);
    table_put(t, me, line, c);
    atomic_fetch_add_explicit(&t->head->damaged, 1, memory_order_relaxed);
}

/* Copies the counter out of a locked line. One that no algorithm can have written becomes a full one: a
 * disk has spoiled it, or a stranger, and what its user took is not known. */
static inline void table_take(struct table *t, struct holder *me, struct line *line,
                              const struct table_question *q, uint64_t now_ns, struct counter *c) {
    line_take(line, c);
    if (t->is_shared && !counter_is_sound(c, q)) table_mend(t, me, line, q, now_ns, c);
}

/* Whether a line may be changed to what was decided. */
static inline bool line_record(const struct table *t, const struct table_question *q,
                               struct table_answer *a) {
    enum table_record record = record_counter(t, q->hash, q->cost);
    if (record != TABLE_RECORDED) a->record = (uint8_t)record;
    return record != TABLE_SETTLE_BEFORE;
}

/* Decides on a locked line, and unlocks it. */
static inline void line_decide(struct table *t, struct holder *me, struct line *line,
                               const struct table_question *q, uint64_t now_ns,
                               struct table_answer *a) {
    struct counter c;
    table_take(t, me, line, q, now_ns, &c);
    limit_decide(&c, &q->rule, q->cost, line_time(t, &c, now_ns), &a->answer);
    if (a->answer.allowed && line_record(t, q, a)) table_put(t, me, line, &c);
    table_unlock(me, line);
}

/* The same for those who only want to know whether it was taken. */
static inline bool line_allow(struct table *t, struct holder *me, struct line *line,
                              const struct table_question *q, uint64_t now_ns,
                              struct table_answer *a) {
    if (t->recorder == NULL && line_admit_in_head(me, line, q, now_ns)) return true;
    struct counter c;
    table_take(t, me, line, q, now_ns, &c);
    bool allowed = limit_admit(&c, &q->rule, q->cost, line_time(t, &c, now_ns));
    if (allowed && line_record(t, q, a)) table_put(t, me, line, &c);
    table_unlock(me, line);
    return allowed;
}

/* The same of a line that is not locked. False: it is being changed, or must be looked at with its
 * lock. */
static inline bool table_read(const struct table *t, const struct line *line,
                              const struct table_question *q, struct counter *c) {
    return line_read(line, q->hash, c) && (!t->is_shared || counter_is_sound(c, q));
}

/* A denial that needs no lock: true, and `answer` says why. */
static inline bool line_denies(const struct table *t, const struct line *line,
                               const struct table_question *q, uint64_t now_ns,
                               struct answer *answer) {
    struct counter c;
    if (limit_has_room(line_load(&line->head), &q->rule, q->cost)) return false;
    if (!table_read(t, line, q, &c)) return false;
    *answer = limit_look(&c, &q->rule, q->cost, now_ns);
    return !answer->allowed;
}

/* Finds the line that a question of cost > 0 that can pass is to be decided on, and locks it. NULL: `a`
 * is the answer; it was denied by looking, or decided on a ring. */
static inline struct line *table_lock_for(struct table *t, struct holder *me,
                                          const struct table_question *q, uint64_t now_ns,
                                          struct line **hint, bool *is_new,
                                          struct table_answer *a) {
    *is_new = false;
    for (;;) {
        struct line *line = *hint;
        if (line == NULL || line_load(&line->tag) != q->hash) line = *hint = table_find(t, q->hash);
        if (line == NULL) {
            *is_new = true;
            return table_bring_in(t, me, q, now_ns, true, a);
        }
        if (line_denies(t, line, q, now_ns, &a->answer)) return NULL;
        if (table_lock_of(t, me, line, q->hash)) return line;
    }
}

bool table_allow(struct table *t, unsigned thread, const struct table_question *q, uint64_t now_ns,
                 struct line **hint) {
    if (!table_can_pass(q)) return false;

    for (;;) {
        bool                is_new;
        struct table_answer a;
        a.record            = TABLE_RECORDED;
        a.failed            = false;
        a.answer.allowed    = false;
        struct holder *me   = table_enter(t, thread, now_ns);
        struct line   *line = table_lock_for(t, me, q, now_ns, hint, &is_new, &a);
        bool allowed = line != NULL ? line_allow(t, me, line, q, now_ns, &a) : a.answer.allowed;
        if (is_new && line != NULL) grow_step(t, me, now_ns);
        table_leave(t, thread);
        if (__builtin_expect(a.record == TABLE_RECORDED, 1)) return allowed;
        if (!record_settle(t, now_ns, &a)) return allowed && !a.failed;
    }
}

/* What somebody without a line is told: what they had before this table, and what may be theirs on the ring,
 * as if they came now (table_carry_over()). */
static void table_look_new(struct table *t, const struct table_question *q, uint64_t now_ns,
                           struct table_answer *a) {
    struct table_ring *r          = table_ring_for(t, q);
    unsigned           ring_class = ring_class_for(q->rule.window_ns);

    now_ns = table_time_for_new(t, now_ns);
    ring_lock(t, r);
    uint64_t live = ring_live(&r->ring, ring_class, now_ns);
    a->overflowed = live > 0;
    if (a->overflowed) {
        a->answer = ring_look(&r->ring, ring_class, table_ring_limit(&q->rule),
                              table_cost_looked_at(q), now_ns);
    }
    ring_unlock(r);
    if (a->overflowed && t->recorder == NULL) return;

    struct counter c = {0};
    if (t->recorder != NULL) (void)t->recorder->past(t->recorder->context, q->hash, &c);
    if (limit_is_fresh(&c, now_ns)) c = (struct counter){0};
    if (live > 0) limit_charge(&c, &q->rule, live, now_ns);
    a->answer = limit_look(&c, &q->rule, table_cost_looked_at(q), now_ns);
}

/* What the user's counter says, without a change. */
static void table_look(struct table *t, struct holder *me, const struct table_question *q,
                       uint64_t now_ns, struct table_answer *a) {
    struct counter c;
    struct line   *line = table_find_surely(t, me, q->hash);
    if (line != NULL && !table_read(t, line, q, &c)) {
        line = table_lock_line(t, me, q->hash);
        if (line != NULL) {
            table_take(t, me, line, q, now_ns, &c);
            table_unlock(me, line);
        }
    }
    if (line == NULL) {
        table_look_new(t, q, now_ns, a);
        return;
    }
    a->answer     = limit_look(&c, &q->rule, table_cost_looked_at(q), now_ns);
    a->overflowed = false;
}

static inline void table_decide_as(struct table *t, struct holder *me,
                                   const struct table_question *q, uint64_t now_ns,
                                   struct line **hint, struct table_answer *a) {
    a->overflowed = false;
    if (q->cost == 0 || !table_can_pass(q)) {
        table_look(t, me, q, now_ns, a);
        return;
    }
    bool         is_new;
    struct line *line = table_lock_for(t, me, q, now_ns, hint, &is_new, a);
    if (line == NULL) return;
    line_decide(t, me, line, q, now_ns, a);
    if (is_new) grow_step(t, me, now_ns);
}

void table_decide(struct table *t, unsigned thread, const struct table_question *q, uint64_t now_ns,
                  struct line **hint, struct table_answer *a) {
    do {
        a->record         = TABLE_RECORDED;
        a->failed         = false;
        struct holder *me = table_enter(t, thread, now_ns);
        table_decide_as(t, me, q, now_ns, hint, a);
        table_leave(t, thread);
    } while (__builtin_expect(a->record != TABLE_RECORDED, 0) && record_settle(t, now_ns, a));
}

/* --- many ----------------------------------------------------------------------------------- */

/* The line that a match points to, on its way to the cache. */
static inline struct line *bucket_fetch_line(struct bucket *b, uint32_t match) {
    struct line *line = &b->line[__builtin_ctz(match)];
    __builtin_prefetch(line, 1);
    return line;
}

void table_prefetch(struct table *t, uint64_t hash) {
    __builtin_prefetch(&t->buckets[shape_place(table_shape(t), t->sizes, hash)], 0);
}

void table_fetch(struct table *t, const struct table_question *q, size_t count,
                 struct line **hint) {
    REQUIRE(count <= TABLE_FETCH_MAX);

    struct shape   shape = table_shape(t);
    struct bucket *other[TABLE_FETCH_MAX];
    uint8_t        missed[TABLE_FETCH_MAX];
    size_t         missed_count = 0;

    for (size_t i = 0; i < count; i++) {
        struct bucket *home  = &t->buckets[shape_place(shape, t->sizes, q[i].hash)];
        uint32_t       match = bucket_match(home, bucket_print_of(q[i].hash));
        if (match != 0) {
            hint[i] = bucket_fetch_line(home, match);
            continue;
        }
        other[missed_count] =
            &t->buckets[shape_place(shape, t->sizes, shape_second_hash(q[i].hash))];
        __builtin_prefetch(other[missed_count], 0);
        missed[missed_count++] = (uint8_t)i;
    }
    for (size_t k = 0; k < missed_count; k++) {
        uint32_t match  = bucket_match(other[k], bucket_print_of(q[missed[k]].hash));
        hint[missed[k]] = match != 0 ? bucket_fetch_line(other[k], match) : NULL;
    }
}

/* --- jointly -------------------------------------------------------------------------------- */

/* A counter of a joint decision, with the questions that are put to it. */
struct joint {
    uint64_t       hash;
    struct line   *line; /* locked; NULL: nobody there, and only looked at */
    struct counter before;
    struct counter after;
};

struct joint_set {
    uint32_t     count;
    uint32_t     busy; /* the process that was in the way */
    struct joint joint[TABLE_JOINT_MAX];
};

static struct joint *joint_find(struct joint_set *set, uint64_t hash) {
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->joint[i].hash == hash) return &set->joint[i];
    }
    return NULL;
}

/* The counters that the questions name, each once, in the order of their hashes. */
static void joint_gather(struct joint_set *set, const struct table_question *q, size_t count) {
    set->count = 0;
    for (size_t i = 0; i < count; i++) {
        if (joint_find(set, q[i].hash) != NULL) continue;
        uint32_t at = set->count++;
        for (; at > 0 && set->joint[at - 1].hash > q[i].hash; at--)
            set->joint[at].hash = set->joint[at - 1].hash;
        set->joint[at].hash = q[i].hash;
    }
}

/* In the reverse order, as lines are unlocked. */
static void joint_unlock(struct holder *me, struct joint_set *set, uint32_t count) {
    while (count-- > 0) {
        if (set->joint[count].line != NULL) table_unlock(me, set->joint[count].line);
    }
}

static bool joint_takes_from(const struct table_question *q, size_t count, uint64_t hash) {
    for (size_t i = 0; i < count; i++) {
        if (q[i].hash == hash && q[i].cost > 0) return true;
    }
    return false;
}

/* Who was brought in and has taken nothing yet equals new, and may have to get up again: for the next of the
 * same set, if the table is that full, and then it is of no use to try for long; else because somebody who
 * lost their processor holds the buckets to which others could move, and that comes to an end. */
enum { ROUNDS_MAX = 16, ROUNDS_MAX_WITH_ROOM = 1000 };

static bool joint_has_room(const struct table *t) {
    return line_load(&t->head->users) + TABLE_JOINT_MAX < t->head->users_max && !grow_is_stuck(t);
}

static bool joint_gives_up(const struct table *t, uint32_t round) {
    return round >= (joint_has_room(t) ? ROUNDS_MAX_WITH_ROOM : ROUNDS_MAX);
}

enum joint_locked {
    JOINT_LOCKED,
    JOINT_GONE, /* one is not there from whom something is to be taken */
    JOINT_BUSY, /* somebody else is about to bring one in, or to move one: again */
};

/* As table_find_surely(), but it waits for nobody, since the caller holds lines: whoever moves users
 * holds the lock of a home and waits for a line. False: not to be told now. */
static bool joint_find_line(struct table *t, struct holder *me, uint64_t hash, struct line **line,
                            uint32_t *busy) {
    *line = table_find(t, hash);
    if (*line != NULL) return true;

    struct shape shape = table_shape(t);
    uint32_t     home  = shape_place(shape, t->sizes, hash);
    *busy              = atomic_load_explicit(&t->buckets[home].lock, memory_order_relaxed);
    if (!bucket_try_lock(t, me, home)) return false;
    bool is_settled = shape_write(shape) == line_load(&t->head->shape);
    if (is_settled) *line = table_find(t, hash);
    bucket_unlock(t, me, home);
    return is_settled;
}

/* The first question that is put to a counter. */
static const struct table_question *joint_question(const struct table_question *q, size_t count,
                                                   uint64_t hash) {
    for (size_t i = 0; i < count; i++) {
        if (q[i].hash == hash) return &q[i];
    }
    INVARIANT(false);
    return NULL;
}

/* Locks all that are there. */
static enum joint_locked joint_lock(struct table *t, struct holder *me, struct joint_set *set,
                                    const struct table_question *q, size_t count, uint64_t now_ns) {
    for (uint32_t i = 0; i < set->count; i++) {
        struct joint     *j       = &set->joint[i];
        enum joint_locked outcome = JOINT_LOCKED;
        do {
            if (!joint_find_line(t, me, j->hash, &j->line, &set->busy)) outcome = JOINT_BUSY;
        } while (j->line != NULL && !table_lock_of(t, me, j->line, j->hash));

        j->before = (struct counter){0};
        if (j->line != NULL)
            table_take(t, me, j->line, joint_question(q, count, j->hash), now_ns, &j->before);
        j->after = j->before;
        if (j->line != NULL) continue;
        if (outcome == JOINT_LOCKED && joint_takes_from(q, count, j->hash)) outcome = JOINT_GONE;
        if (outcome != JOINT_LOCKED) {
            joint_unlock(me, set, i);
            return outcome;
        }
    }
    return JOINT_LOCKED;
}

/* Brings in all from whom something is to be taken. False: one finds no room. */
static bool joint_bring_in(struct table *t, struct holder *me, const struct table_question *q,
                           size_t count, uint64_t now_ns, struct table_answer *a) {
    for (size_t i = 0; i < count; i++) {
        if (q[i].cost == 0 || table_find(t, q[i].hash) != NULL) continue;
        struct line *line = table_bring_in(t, me, &q[i], now_ns, false, &a[i]);
        if (line == NULL) return false;
        table_unlock(me, line);
        grow_step(t, me, now_ns);
    }
    return true;
}

/* Puts the questions in order to copies of the counters. */
static bool joint_ask(struct table *t, struct joint_set *set, const struct table_question *q,
                      size_t count, uint64_t now_ns, struct table_answer *a) {
    bool all = true;
    for (size_t i = 0; i < count; i++) {
        struct joint *j = joint_find(set, q[i].hash);
        if (j->before.fresh_at_ns == 0) now_ns = table_time_for_new(t, now_ns);
        if (j->line == NULL) {
            table_look_new(t, &q[i], now_ns, &a[i]);
        } else {
            a[i].answer = limit_look(&j->after, &q[i].rule, table_cost_looked_at(&q[i]), now_ns);
        }
        if (q[i].cost > 0 && a[i].answer.allowed) {
            bool admitted = limit_admit(&j->after, &q[i].rule, q[i].cost, now_ns);
            INVARIANT(admitted);
        }
        all = all && a[i].answer.allowed;
    }
    return all;
}

/* Nothing is taken: says what each rule alone would say. */
static bool joint_refuse(struct table *t, struct holder *me, const struct table_question *q,
                         size_t count, uint64_t now_ns, struct table_answer *a) {
    for (size_t i = 0; i < count; i++) table_look(t, me, &q[i], now_ns, &a[i]);
    return false;
}

/* The same for lack of room: one who takes and has no line is denied until a window has passed; if all
 * have one by now, the first who takes. */
static bool joint_refuse_for_room(struct table *t, struct holder *me,
                                  const struct table_question *q, size_t count, uint64_t now_ns,
                                  struct table_answer *a) {
    size_t denied = count;
    for (size_t i = count; i-- > 0;) {
        if (q[i].cost > 0 && (denied == count || table_find(t, q[i].hash) == NULL)) denied = i;
    }
    INVARIANT(denied < count);
    joint_refuse(t, me, q, count, now_ns, a);
    atomic_fetch_add_explicit(&t->head->overflowed, 1, memory_order_relaxed);
    a[denied].answer     = (struct answer){.retry_after_ns = q[denied].rule.window_ns};
    a[denied].overflowed = true;
    return false;
}

/* What is to be settled for all of them together. */
static enum table_record joint_record(const struct table_answer *a, size_t count) {
    enum table_record record = TABLE_RECORDED;
    for (size_t i = 0; i < count; i++) {
        if (a[i].record > record) record = a[i].record;
    }
    return record;
}

/* Tells the recorder what is about to be taken. False: there is something to settle before. */
static bool joint_tell(const struct table *t, const struct table_question *q, size_t count,
                       struct table_answer *a) {
    for (size_t i = 0; i < count; i++) {
        if (q[i].cost > 0 && !line_record(t, &q[i], &a[i])) return false;
    }
    return true;
}

static bool joint_decide(struct table *t, struct holder *me, const struct table_question *q,
                         size_t count, uint64_t now_ns, struct table_answer *a) {
    bool can_pass = true;
    for (size_t i = 0; i < count; i++) {
        a[i].overflowed = false;
        a[i].failed     = false;
        a[i].record     = TABLE_RECORDED;
        can_pass        = can_pass && table_can_pass(&q[i]);
    }
    if (!can_pass) return joint_refuse(t, me, q, count, now_ns, a);

    struct joint_set set;
    joint_gather(&set, q, count);
    enum joint_locked locked = JOINT_GONE;
    for (uint32_t round = 0, waits = 0; locked != JOINT_LOCKED;) {
        if (locked == JOINT_BUSY) {
            table_wait_for(t, set.busy, waits++);
        } else if (joint_gives_up(t, round) || !joint_bring_in(t, me, q, count, now_ns, a)) {
            if (joint_record(a, count) == TABLE_SETTLE_BEFORE) return false;
            return joint_refuse_for_room(t, me, q, count, now_ns, a);
        } else if (round++ >= ROUNDS_MAX) {
            table_wait_for(t, 0, round);
        }
        locked = joint_lock(t, me, &set, q, count, now_ns);
    }

    bool taken = joint_ask(t, &set, q, count, now_ns, a);
    if (taken && t->recorder != NULL && !joint_tell(t, q, count, a)) {
        joint_unlock(me, &set, set.count);
        return false;
    }
    for (uint32_t i = set.count; i-- > 0;) {
        struct joint *j = &set.joint[i];
        if (j->line == NULL) continue;
        if (taken) table_put(t, me, j->line, &j->after);
        table_unlock(me, j->line);
    }
    for (size_t i = 0; i < count; i++) {
        struct joint *j = joint_find(&set, q[i].hash);
        if (j->line == NULL) continue;
        struct answer said    = limit_look(taken ? &j->after : &j->before, &q[i].rule, 1, now_ns);
        a[i].answer.remaining = said.remaining;
        a[i].answer.reset_after_ns = said.reset_after_ns;
    }
    return taken;
}

bool table_decide_joint(struct table *t, unsigned thread, const struct table_question *q,
                        size_t count, uint64_t now_ns, struct table_answer *a) {
    REQUIRE(count <= TABLE_JOINT_MAX);
    for (;;) {
        struct holder *me    = table_enter(t, thread, now_ns);
        bool           taken = joint_decide(t, me, q, count, now_ns, a);
        table_leave(t, thread);
        struct table_answer all = {.record = (uint8_t)joint_record(a, count)};
        if (all.record == TABLE_RECORDED) return taken;
        if (record_settle(t, now_ns, &all)) continue;
        for (size_t i = 0; all.failed && i < count; i++) a[i] = all;
        return taken && !all.failed;
    }
}

void table_reset(struct table *t, unsigned thread, uint64_t hash, uint64_t now_ns) {
    struct holder *me   = table_enter(t, thread, now_ns);
    struct line   *line = table_lock_line(t, me, hash);
    if (t->recorder != NULL) t->recorder->forget_past(t->recorder->context, hash);
    if (line != NULL) {
        /* Without a word of it an older image comes back after a power loss, which is strict. */
        struct counter c = {0};
        (void)record_counter(t, hash, 0);
        table_put(t, me, line, &c);
        table_unlock(me, line);
    }
    table_leave(t, thread);
}

bool table_copy_counter(struct table *t, unsigned thread, uint64_t hash, struct counter *c) {
    struct holder *me   = table_enter(t, thread, line_load(&t->holders[thread].seen_ns));
    struct line   *line = table_lock_line(t, me, hash);
    if (line != NULL) {
        line_take(line, c);
        table_unlock(me, line);
    }
    table_leave(t, thread);
    return line != NULL;
}

void table_copy_ring(struct table *t, uint32_t index, struct ring *ring) {
    REQUIRE(index < TABLE_RINGS);
    struct table_ring *r = &t->rings[index];
    ring_lock(t, r);
    *ring = r->ring;
    ring_unlock(r);
}

void table_put_rings(struct table *t, const struct ring rings[TABLE_RINGS]) {
    for (uint32_t i = 0; i < TABLE_RINGS; i++) t->rings[i].ring = rings[i];
}
