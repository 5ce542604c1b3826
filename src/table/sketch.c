/* SPDX-License-Identifier: MIT
 *
 * sketch: how much did a user take at most, when there is no room for a counter each?
 *
 * A count-min sketch (Cormode and Muthukrishnan, 2005) with conservative update (Estan and Varghese,
 * 2002) in a ring of cells of time. Memory is fixed and knows no users: each user has four counts, at
 * places that a hash gives, and shares each of them with others. A count is never less than what any
 * of its users took, so the least of the four is not either: comparing it with the limit is strict
 * for each user. Where all four are shared at once it denies too much; docs/sketch.md tells how
 * often, and `weir explain --sketch` computes a bound.
 *
 * The memory is cache lines. The first describes the sketch; each other is eight words:
 *
 *     offset  0  head       bit 63 lock, bits 0..62 the newest cell that the line has seen
 *             8  counts[7]  those of cell k in word k % 7: eight of 8 bits, sixteen of 4, thirty-two
 *                           of 2 or sixty-four of 1, as the largest limit needs
 *
 * Zeros are an empty line. Cells are a sixth of the window and numbered from 7 on, so that none is
 * ever before the first. A line ages when somebody is counted in it: words of cells that are more
 * than a window old are cleared then, and there is nothing to sweep and no pause. The newest cell is
 * kept whole, 63 bits: a line that was idle for years cannot look young, which the few bits that a
 * head for each count would have room for cannot promise.
 *
 * Two counts in each of two lines, because a decision is then two cache misses, where four rows of
 * their own are four; a user whose line is crowded still has the other. Measured, that denies no
 * more than four rows do; four counts in one line deny three times as much (docs/sketch.md).
 *
 * Why it is strict. A decision is made for one cell, `at`: that of its time, or the newest that one of
 * its lines has seen. Admitting holds the locks of both lines. Claim: for each cell k that has not
 * left a line, each count that a user has there in k is at least what they took in k. An admission
 * raises all four counts of `at` to the least of them + cost, at least what the user took in `at`
 * so far + cost; others only raise; and what is cleared is older than a line's newest cell by 7. So
 * the sum over the seven cells up to `at` of the least count is at least what the user took in them,
 * and 7 cells hold every window that ends in `at`. A line's newest cell never decreases, so the cells
 * in which a user is counted do not either, and each admission saw all that came before it.
 *
 * Conservative update must be done cell by cell. Raising a line only until its sum is the estimate is
 * not strict: what others took in an old cell would stand in for the user's new permit, and would
 * leave earlier.
 *
 * Denials are found without a lock and write nothing. Heads are read before and after the counts; as
 * long as a head is the same, counts only rise, so that what was seen was not more than there is. */
#include "table/sketch.h"

#include "base/contract.h"
#include "base/random.h"
#include "table/line.h"

enum {
    PLACE_BITS = 10, /* of randomness for the distance between two counts in a line */
    ROW_BITS   = 16, /* for both counts in a line */
};

#define SKETCH_HALF_MAX (UINT64_C(1) << 32) /* lines that 32 bits of a hash choose from: 512 GiB */

struct sketch_line {
    _Atomic uint64_t head;
    _Atomic uint64_t counts[SKETCH_SLOTS];
};

_Static_assert(sizeof(struct sketch_line) == SKETCH_LINE_BYTES, "a line is a cache line");

struct sketch {
    uint64_t half; /* a user has one line in each half, so that the two differ and have an order */
    uint64_t cell_ns;
    uint64_t count_max;
    unsigned count_bits;
    void (*yield)(unsigned turn);
};

_Static_assert(sizeof(struct sketch) <= SKETCH_LINE_BYTES, "the sketch's own line");

/* Where a user is counted. */
struct sketch_place {
    struct sketch_line *line[SKETCH_LINES];
    unsigned            shift[SKETCH_LINES][SKETCH_ROWS];
    uint64_t            count_max;
};

/* What is seen there from the cell `at`: for each cell, 0 being `at` itself, the least count. */
struct sketch_sight {
    uint64_t at;
    uint64_t counts[SKETCH_SLOTS];
    uint64_t live; /* their sum */
};

static bool          sketch_try(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost,
                                uint64_t now_ns, struct sketch_sight *sight);
static struct answer sketch_answer(const struct sketch *s, const struct sketch_sight *sight,
                                   uint64_t limit, uint64_t cost, uint64_t now_ns);

/* --- deciding ------------------------------------------------------------------------------- */

bool sketch_admit(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost, uint64_t now_ns) {
    struct sketch_sight sight;
    return sketch_try(s, hash, limit, cost, now_ns, &sight);
}

void sketch_decide(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost, uint64_t now_ns,
                   struct answer *answer) {
    struct sketch_sight sight;
    bool                allowed = sketch_try(s, hash, limit, cost, now_ns, &sight);
    *answer                     = sketch_answer(s, &sight, limit, cost, now_ns);
    answer->allowed             = allowed;
    if (allowed) answer->retry_after_ns = 0;
}

static inline bool sight_has_room(const struct sketch_sight *sight, uint64_t limit, uint64_t cost) {
    return cost <= limit && sight->live <= limit - cost;
}

/* When a cell leaves: a whole window after its end. Cells are numbered from 7 on, so that it is the
 * number itself. */
static inline uint64_t sketch_leaves_ns(const struct sketch *s, uint64_t cell) {
    return cell * s->cell_ns;
}

static struct answer sketch_answer(const struct sketch *s, const struct sketch_sight *sight,
                                   uint64_t limit, uint64_t cost, uint64_t now_ns) {
    struct answer answer = {.remaining = sight->live < limit ? limit - sight->live : 0};
    answer.allowed       = cost <= answer.remaining;
    for (unsigned age = SKETCH_SLOTS; age-- > 0;)
        if (sight->counts[age] > 0)
            answer.reset_after_ns = sketch_leaves_ns(s, sight->at - age) - now_ns;
    if (answer.allowed) return answer;
    if (cost > limit) {
        answer.retry_after_ns = LIMIT_NEVER;
        return answer;
    }
    unsigned age = SKETCH_SLOTS;
    for (uint64_t live = sight->live; live > limit - cost;) live -= sight->counts[--age];
    answer.retry_after_ns = sketch_leaves_ns(s, sight->at - age) - now_ns;
    return answer;
}

/* --- a user's counts ------------------------------------------------------------------------ */

static inline struct sketch_line *sketch_line_at(const struct sketch *s, uint64_t index) {
    return (struct sketch_line *)(uintptr_t)s + 1 + index;
}

static inline uint64_t sketch_share(uint64_t bits, uint64_t of) { return (bits >> 32) * of >> 32; }

/* The hash chooses the first line and what it is mixed to all else: those who share one line are
 * strangers in the other, and have counts of their own in both. */
static inline struct sketch_place sketch_place_of(const struct sketch *s, uint64_t hash) {
    struct random mixer = {.state = hash};
    uint64_t      mixed = random_next(&mixer);

    struct sketch_place p = {
        .line      = {sketch_line_at(s, sketch_share(hash, s->half)),
                      sketch_line_at(s, s->half + sketch_share(mixed, s->half))},
        .count_max = s->count_max,
    };
    unsigned counts = 64 / s->count_bits;
    for (unsigned i = 0; i < SKETCH_LINES; i++) {
        unsigned bits  = (unsigned)(mixed >> (i * ROW_BITS));
        unsigned first = bits >> PLACE_BITS & (counts - 1);
        unsigned apart = 1 + ((bits & ((1u << PLACE_BITS) - 1)) * (counts - 1) >> PLACE_BITS);
        p.shift[i][0]  = first * s->count_bits;
        p.shift[i][1]  = (first ^ apart) * s->count_bits;
    }
    return p;
}

static inline uint64_t line_newest(uint64_t head) { return head & ~LINE_LOCKED; }

/* The lesser of the two counts that the user has in this word of a line. */
static inline uint64_t place_least(const struct sketch_place *p, unsigned i, unsigned slot) {
    uint64_t word = line_load(&p->line[i]->counts[slot]);
    uint64_t a    = word >> p->shift[i][0] & p->count_max;
    uint64_t b    = word >> p->shift[i][1] & p->count_max;
    return a < b ? a : b;
}

/* Looks at the counts of lines with these heads, from `cell` or from the newest cell that they saw. Who
 * has not seen a cell has no counts in it: the word still holds those of an older one. */
static inline void place_look(const struct sketch_place *p, const uint64_t head[SKETCH_LINES],
                              uint64_t cell, struct sketch_sight *sight) {
    uint64_t newest = line_newest(head[0]), other = line_newest(head[1]);
    uint64_t at   = newest > other ? newest : other;
    uint64_t seen = newest < other ? newest : other;
    if (cell > at) at = cell;
    uint64_t unseen = at - seen; /* cells that one of the lines has not seen */

    uint64_t live = 0;
    unsigned slot = (unsigned)(at % SKETCH_SLOTS);
#pragma GCC unroll 7
    for (unsigned age = 0; age < SKETCH_SLOTS; age++) {
        uint64_t a         = place_least(p, 0, slot);
        uint64_t b         = place_least(p, 1, slot);
        uint64_t least     = a < b ? a : b;
        sight->counts[age] = age < unseen ? 0 : least;
        live += sight->counts[age];
        slot = slot == 0 ? SKETCH_SLOTS - 1 : slot - 1;
    }
    sight->at   = at;
    sight->live = live;
}

/* Without a lock. False: somebody was changing a line. */
static inline bool place_peek(const struct sketch_place *p, uint64_t cell,
                              struct sketch_sight *sight) {
    uint64_t head[SKETCH_LINES] = {line_load(&p->line[0]->head), line_load(&p->line[1]->head)};
    if ((head[0] | head[1]) & LINE_LOCKED) return false;
    place_look(p, head, cell, sight);
    return line_load(&p->line[0]->head) == head[0] && line_load(&p->line[1]->head) == head[1];
}

/* Counts `cost` in the cell `at`; the caller holds the lines, whose heads were these. */
static inline void place_raise(const struct sketch_place *p, uint64_t head[SKETCH_LINES],
                               struct sketch_sight *sight, uint64_t cost) {
    uint64_t at    = sight->at;
    uint64_t count = sight->counts[0] + cost;
    INVARIANT(count <= p->count_max);

    for (unsigned i = 0; i < SKETCH_LINES; i++) {
        _Atomic uint64_t *counts = p->line[i]->counts;
        uint64_t          from   = line_newest(head[i]) + 1;
        if (from + SKETCH_SLOTS <= at) from = at - SKETCH_SLOTS + 1;
        for (uint64_t k = from; k <= at; k++)
            atomic_store_explicit(&counts[k % SKETCH_SLOTS], 0, memory_order_release);

        _Atomic uint64_t *newest = &counts[at % SKETCH_SLOTS];
        uint64_t          word   = atomic_load_explicit(newest, memory_order_relaxed);
        for (unsigned row = 0; row < SKETCH_ROWS; row++) {
            unsigned shift = p->shift[i][row];
            if ((word >> shift & p->count_max) >= count) continue;
            word = (word & ~(p->count_max << shift)) | count << shift;
        }
        atomic_store_explicit(newest, word, memory_order_release);
        head[i] = at;
    }
    sight->counts[0] = count;
    sight->live += cost;
}

/* --- locks ---------------------------------------------------------------------------------- */

/* Returns the head as it was. */
static uint64_t sketch_line_lock(struct sketch_line *line, void (*yield)(unsigned)) {
    for (unsigned spins = 0;; spins++) {
        uint64_t head = atomic_load_explicit(&line->head, memory_order_relaxed);
        if ((head & LINE_LOCKED) == 0 &&
            atomic_compare_exchange_strong_explicit(&line->head, &head, head | LINE_LOCKED,
                                                    memory_order_acquire, memory_order_relaxed))
            return head;
        if (spins < LINE_SPINS_MAX) {
            line_pause();
        } else {
            yield(spins - LINE_SPINS_MAX);
        }
    }
}

/* Everybody locks the line in the lower half first, so that no two wait for each other. */
static void place_lock(const struct sketch *s, const struct sketch_place *p,
                       uint64_t head[SKETCH_LINES]) {
    for (unsigned i = 0; i < SKETCH_LINES; i++) head[i] = sketch_line_lock(p->line[i], s->yield);
}

static void place_unlock(const struct sketch_place *p, const uint64_t head[SKETCH_LINES]) {
    for (unsigned i = SKETCH_LINES; i-- > 0;)
        atomic_store_explicit(&p->line[i]->head, head[i], memory_order_release);
}

static inline uint64_t sketch_cell_of(const struct sketch *s, uint64_t now_ns) {
    return now_ns / s->cell_ns + SKETCH_SLOTS;
}

/* True: the cost was taken, and is in sight. */
static bool sketch_try(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost,
                       uint64_t now_ns, struct sketch_sight *sight) {
    REQUIRE(limit <= s->count_max);
    REQUIRE(cost > 0);
    REQUIRE(now_ns <= LIMIT_NOW_MAX);

    struct sketch_place p    = sketch_place_of(s, hash);
    uint64_t            cell = sketch_cell_of(s, now_ns);
    if (place_peek(&p, cell, sight) && !sight_has_room(sight, limit, cost)) return false;

    uint64_t head[SKETCH_LINES];
    place_lock(s, &p, head);
    place_look(&p, head, cell, sight);
    bool allowed = sight_has_room(sight, limit, cost);
    if (allowed) place_raise(&p, head, sight, cost);
    place_unlock(&p, head);
    return allowed;
}

struct answer sketch_look(struct sketch *s, uint64_t hash, uint64_t limit, uint64_t cost,
                          uint64_t now_ns) {
    REQUIRE(limit <= s->count_max);
    REQUIRE(cost > 0);
    REQUIRE(now_ns <= LIMIT_NOW_MAX);

    struct sketch_sight sight;
    struct sketch_place p    = sketch_place_of(s, hash);
    uint64_t            cell = sketch_cell_of(s, now_ns);
    if (!place_peek(&p, cell, &sight)) {
        uint64_t head[SKETCH_LINES];
        place_lock(s, &p, head);
        place_look(&p, head, cell, &sight);
        place_unlock(&p, head);
    }
    return sketch_answer(s, &sight, limit, cost, now_ns);
}

void sketch_prefetch(const struct sketch *s, uint64_t hash) {
    struct sketch_place p = sketch_place_of(s, hash);
    for (unsigned i = 0; i < SKETCH_LINES; i++) __builtin_prefetch(p.line[i], 1);
}

/* --- memory --------------------------------------------------------------------------------- */

struct sketch_shape sketch_shape_of(size_t bytes, uint64_t limit_max) {
    REQUIRE(limit_max > 0);
    REQUIRE(limit_max <= SKETCH_LIMIT_MAX);

    struct sketch_shape shape = {.count_bits = 1};
    while (limit_max >> shape.count_bits != 0) shape.count_bits *= 2;
    shape.line_counts = 64 / shape.count_bits;

    uint64_t half = bytes < SKETCH_LINE_BYTES ? 0 : (bytes / SKETCH_LINE_BYTES - 1) / SKETCH_LINES;
    if (half > SKETCH_HALF_MAX) half = SKETCH_HALF_MAX;
    shape.lines = half * SKETCH_LINES;
    if (half > 0) shape.bytes = (size_t)(shape.lines + 1) * SKETCH_LINE_BYTES;
    return shape;
}

size_t sketch_bytes(size_t bytes) { return sketch_shape_of(bytes, SKETCH_LIMIT_MAX).bytes; }

struct sketch *sketch_init(void *memory, size_t bytes, const struct sketch_options *options) {
    REQUIRE((uintptr_t)memory % SKETCH_LINE_BYTES == 0);
    REQUIRE(options->window_ns > 0);
    REQUIRE(options->window_ns <= LIMIT_WINDOW_MAX);
    struct sketch_shape shape = sketch_shape_of(bytes, options->limit_max);
    REQUIRE(shape.lines > 0);

    struct sketch *s = memory;
    s->half          = shape.lines / SKETCH_LINES;
    s->cell_ns       = (options->window_ns + SKETCH_CELLS - 1) / SKETCH_CELLS;
    s->count_bits    = shape.count_bits;
    s->count_max     = (UINT64_C(1) << shape.count_bits) - 1;
    s->yield         = options->yield;
    return s;
}

uint64_t sketch_limit_max(const struct sketch *s) { return s->count_max; }
