/* SPDX-License-Identifier: MIT
 *
 * window: how much of the limit is live, now, in a window that slides?
 *
 * The lattice path. What was admitted is drawn as a staircase in a 320-bit string, newest end at
 * bit 0: a one is a quantum of permits, a zero a step of one time cell back. So 40 bytes hold any
 * limit and any window, and one cache line a whole user. Steps to the right cost nothing that is
 * not needed: 320 bits are within 1.4 % of the least that such a staircase can be stored in.
 *
 *     head bits  0..32  remainder: permits that do not fill a quantum; stamped like the newest cell
 *               33..41  ones in the path
 *               42..52  grid code: how limit and window were cut when the path was drawn
 *     body              the path; zeros beyond the last one mean nothing
 *     fresh_at_ns       right end (inclusive) of the newest cell, plus the window
 *
 * Strict. The stamp of a permit is the right end of its cell and never before its decision; what
 * does not fill a quantum is carried to a later stamp, never to an earlier one; nothing is dropped
 * before stamp + window. So at an admission at x every permit decided in (x - window, x] is still
 * counted, and together they are within the limit. Any other window ending at y holds a part of
 * what the window of the last admission before y holds.
 *
 * Useful. Stamps are first in, first out: only the oldest live quantum can hold permits that are older
 * than its cell, at most quantum - 1 of them, and every other live permit was decided after now - window
 * - cell. So a denial means that an exact log with window + cell and limit - (quantum - 1) would be full
 * too. Both are within 0.7 % (see grid_code_for).
 *
 * A denial changes nothing, so a flood of denials only reads. The first event after silence is the
 * right end of its cell, so that "burst, wait exactly one window, burst" is served in full.
 *
 * Our own construction; the nearest relatives are the succinct window sums of Ben Basat, Einziger,
 * Friedman and Kassner (SWAT 2016, Algorithmica 2019). */
#include "limit/window.h"

#include "base/contract.h"

/* The part of a path that is still live. */
struct path_live {
    uint32_t ones;
    uint32_t bits; /* the path below this bit */
};

static inline uint64_t quotient_up(uint64_t a, uint64_t b) { return a / b + (a % b != 0); }

/* --- the grid ------------------------------------------------------------------------------- */

static inline uint32_t grid_cells(uint32_t code) { return PATH_BITS - grid_quanta(code); }

/* Dividing by a constant is a multiplication, and there are only five. */
static inline uint64_t grid_cell_ns(uint32_t code, uint64_t window_ns) {
    switch (grid_cells(code)) {
    case 288: return (window_ns + 287) / 288;
    case 256: return (window_ns + 255) / 256;
    case 224: return (window_ns + 223) / 224;
    case 192: return (window_ns + 191) / 192;
    default: return (window_ns + 159) / 160;
    }
}

struct window_grid window_grid_for(uint64_t limit, uint64_t window_ns) {
    uint32_t code = grid_code_for(limit);
    return (struct window_grid){
        .cell_ns = grid_cell_ns(code, window_ns),
        .quantum = grid_quantum(code),
        .cells   = grid_cells(code),
        .quanta  = grid_quanta(code),
    };
}

/* --- the path ------------------------------------------------------------------------------- */

/* Position of the set bit of `word` that has `rank` set bits below it; there is one. */
static inline uint32_t word_select(uint64_t word, uint32_t rank) {
    uint32_t base = 0;
    for (uint32_t half = 32; half >= 8; half /= 2) {
        uint32_t count = (uint32_t)__builtin_popcountll(word & ((UINT64_C(1) << half) - 1));
        if (rank >= count) {
            rank -= count;
            word >>= half;
            base += half;
        }
    }
    while (rank-- > 0) word &= word - 1;
    return base + (uint32_t)__builtin_ctzll(word);
}

/* The part of the path that cells of age 0 to ages - 1 cover: all below the zero that ends it. */
static inline struct path_live path_keep(const uint64_t *path, uint32_t ones, uint64_t ages) {
    uint32_t zeros = 0;
    for (uint32_t i = 0; i < PATH_WORDS; i++) {
        uint32_t count = 64 - (uint32_t)__builtin_popcountll(path[i]);
        if (zeros + count >= ages) {
            uint32_t last = (uint32_t)ages - 1;
            uint32_t bit  = 64 * i + word_select(~path[i], last - zeros);
            return (struct path_live){.ones = bit - last, .bits = bit};
        }
        zeros += count;
    }
    return (struct path_live){.ones = ones, .bits = PATH_BITS};
}

/* The age of the oldest cell that holds a quantum. Mostly it is live, and nothing need be searched. */
static inline uint32_t path_oldest_age(const uint64_t *path, uint32_t ones) {
    for (uint32_t i = PATH_WORDS; i-- > 0;) {
        if (path[i] != 0) return 64 * i + 64 - (uint32_t)__builtin_clzll(path[i]) - ones;
    }
    return 0;
}

/* How many zeros are below the one that has `rank` ones below it: the age of its cell. */
static uint32_t path_age_of_one(const uint64_t *path, uint32_t rank) {
    uint32_t ones = 0;
    for (uint32_t i = 0; i < PATH_WORDS; i++) {
        uint32_t count = (uint32_t)__builtin_popcountll(path[i]);
        if (ones + count > rank) return 64 * i + word_select(path[i], rank - ones) - rank;
        ones += count;
    }
    INVARIANT(false);
    return 0;
}

static inline void path_cut(uint64_t *path, uint32_t bits) {
    for (uint32_t i = 0; i < PATH_WORDS; i++) {
        if (bits >= 64 * (i + 1)) continue;
        path[i] = bits > 64 * i ? path[i] & ((UINT64_C(1) << (bits - 64 * i)) - 1) : 0;
    }
}

/* Moves the path `count` bits up, to older, and fills the room with copies of `fill` (0 or ~0). */
static inline void path_push(uint64_t *path, uint32_t count, uint64_t fill) {
    while (count >= 64) {
        for (uint32_t i = PATH_WORDS - 1; i > 0; i--) path[i] = path[i - 1];
        path[0] = fill;
        count -= 64;
    }
    if (count == 0) return;
    for (uint32_t i = PATH_WORDS - 1; i > 0; i--) {
        path[i] = path[i] << count | path[i - 1] >> (64 - count);
    }
    path[0] = path[0] << count | fill >> (64 - count);
}

/* Adds permits to the newest cell. */
static inline void path_add(struct counter *c, struct path_head *h, uint64_t quantum,
                            uint64_t permits) {
    uint64_t sum = h->remainder + permits;
    if (sum < quantum) {
        h->remainder = sum;
        return;
    }
    /* Dividing costs more than all the rest of an admission, and small costs fill one at most. */
    uint64_t quanta = quantum == 1 ? sum : sum < 2 * quantum ? 1 : sum / quantum;
    h->remainder    = sum - quanta * quantum;
    h->ones += (uint32_t)quanta;
    path_push(c->body, (uint32_t)quanta, ~UINT64_C(0));
}

/* What of a counter that is not fresh is live at `now_ns`. A late `now_ns` could ask for more ages
 * than a path ever holds: cells + 1, by the choice of the grid. */
static inline struct path_live path_live_at(const struct counter *c, struct path_head h,
                                            uint64_t cell_ns, uint64_t now_ns) {
    uint64_t oldest = path_oldest_age(c->body, h.ones);
    if (now_ns + oldest * cell_ns < c->fresh_at_ns)
        return (struct path_live){.ones = h.ones, .bits = PATH_BITS};

    uint64_t ages     = quotient_up(c->fresh_at_ns - now_ns, cell_ns);
    uint64_t ages_max = grid_cells(h.code) + 1;
    return path_keep(c->body, h.ones, ages < ages_max ? ages : ages_max);
}

/* Draws the path anew on the grid `code`. What moves, moves to later cells: a cell to the cell of
 * the new grid in which its right end lies, permits that fill no new quantum to the next one. */
static void path_redraw(struct counter *c, struct path_head *h, uint32_t code, uint64_t window_ns) {
    uint64_t cell_ns     = grid_cell_ns(h->code, window_ns);
    uint64_t new_cell_ns = grid_cell_ns(code, window_ns);
    uint64_t quantum     = grid_quantum(h->code);
    uint64_t new_quantum = grid_quantum(code);

    struct counter   drawn    = {.body = {0}};
    struct path_head new_head = {.code = code};
    uint64_t         new_age  = grid_cells(code);
    uint32_t         age      = PATH_BITS - h->ones; /* all zeros lie below the oldest bit */
    for (uint32_t bit = PATH_BITS; bit-- > 0;) {
        if ((c->body[bit / 64] >> (bit % 64) & 1) == 0) {
            age--;
            continue;
        }
        uint64_t at = age * cell_ns / new_cell_ns;
        if (at < new_age) {
            path_push(drawn.body, (uint32_t)(new_age - at), 0);
            new_age = at;
        }
        path_add(&drawn, &new_head, new_quantum, quantum);
    }
    path_push(drawn.body, (uint32_t)new_age, 0);
    path_add(&drawn, &new_head, new_quantum, h->remainder);

    for (uint32_t i = 0; i < PATH_WORDS; i++) c->body[i] = drawn.body[i];
    *h = new_head;
}

/* --- the decision --------------------------------------------------------------------------- */

/* As window_admit(); *live_after is then what is live. */
static inline bool window_take(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                               uint64_t now_ns, uint64_t *live_after) {
    if (cost > limit) return false;

    uint32_t code = grid_code_for(limit);
    if (now_ns >= c->fresh_at_ns) {
        window_spend(c, limit, window_ns, cost, now_ns);
        *live_after = cost;
        return true;
    }

    struct path_head h         = path_head_read(c->head);
    uint64_t         quantum   = grid_quantum(h.code);
    uint64_t         cell_ns   = grid_cell_ns(h.code, window_ns);
    uint64_t         newest_ns = c->fresh_at_ns - window_ns;
    struct path_live live      = path_live_at(c, h, cell_ns, now_ns);
    uint64_t         used      = live.ones * quantum + h.remainder;
    if (used + cost > limit) return false;

    if (live.bits < PATH_BITS) path_cut(c->body, live.bits);
    h.ones = live.ones;

    /* A finer grid than the limit's own is kept while it has room, so that callers with different
     * limits do not make each other redraw at every turn. */
    if (h.code > code || used + cost > grid_quanta(h.code) * quantum) {
        path_redraw(c, &h, code, window_ns);
        cell_ns = grid_cell_ns(code, window_ns);
        quantum = grid_quantum(code);
    }
    if (now_ns > newest_ns) {
        uint64_t steps =
            now_ns - newest_ns <= cell_ns ? 1 : quotient_up(now_ns - newest_ns, cell_ns);
        newest_ns += steps * cell_ns;
        path_push(c->body, (uint32_t)steps, 0);
    }
    path_add(c, &h, quantum, cost);
    INVARIANT(h.ones <= grid_quanta(h.code));

    c->fresh_at_ns = newest_ns + window_ns;
    c->head        = path_head_write(c->head, h);
    *live_after    = used + cost;
    return true;
}

bool window_admit(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                  uint64_t now_ns) {
    uint64_t live_after;
    return window_take(c, limit, window_ns, cost, now_ns, &live_after);
}

void window_decide(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                   uint64_t now_ns, struct answer *answer) {
    uint64_t live_after;
    if (!window_take(c, limit, window_ns, cost, now_ns, &live_after)) {
        *answer = window_look(c, limit, window_ns, cost, now_ns);
        return;
    }
    answer->allowed        = true;
    answer->remaining      = limit - live_after;
    answer->retry_after_ns = 0;
    answer->reset_after_ns = c->fresh_at_ns - now_ns;
}

struct answer window_look(const struct counter *c, uint64_t limit, uint64_t window_ns,
                          uint64_t cost, uint64_t now_ns) {
    struct answer answer = {.allowed = cost <= limit, .remaining = limit};
    if (!answer.allowed) answer.retry_after_ns = LIMIT_NEVER;
    if (now_ns >= c->fresh_at_ns) return answer;

    struct path_head h       = path_head_read(c->head);
    uint64_t         quantum = grid_quantum(h.code);
    uint64_t         cell_ns = grid_cell_ns(h.code, window_ns);
    struct path_live live    = path_live_at(c, h, cell_ns, now_ns);
    uint64_t         used    = live.ones * quantum + h.remainder;

    answer.reset_after_ns = c->fresh_at_ns - now_ns;
    answer.remaining      = used < limit ? limit - used : 0;
    if (!answer.allowed || used + cost <= limit) return answer;

    /* It passes when so few quanta are live that the rest has room: when the oldest that is too
     * many has left. The remainder leaves with the newest cell, last of all. */
    answer.allowed        = false;
    answer.retry_after_ns = answer.reset_after_ns;
    if (h.remainder + cost <= limit) {
        uint32_t quanta = (uint32_t)((limit - cost - h.remainder) / quantum);
        answer.retry_after_ns -= path_age_of_one(c->body, quanta) * cell_ns;
    }
    return answer;
}

void window_spend(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t spent,
                  uint64_t now_ns) {
    REQUIRE(spent <= limit);

    struct path_head h = {.code = grid_code_for(limit)};
    for (uint32_t i = 0; i < PATH_WORDS; i++) c->body[i] = 0;
    path_add(c, &h, grid_quantum(h.code), spent);
    c->fresh_at_ns = now_ns + window_ns;
    c->head        = path_head_write(c->head, h);
}
