/* SPDX-License-Identifier: MIT
 *
 * judge: did any window admit more than its limit?
 *
 * For each user and window length (and host, where hosts have clocks of their own) there is a
 * counter: a ring of the admissions that still matter, in order of when they were sent. An
 * admission is judged once every line that could bear on it has come, that is when the watermark
 * has passed it; two questions are asked of it (docs/judge.md has the proofs):
 *
 *     certain   of the admissions received no later than this one and sent less than a window
 *               before it was received, all of which certainly lie in one window: is the sum
 *               above the limit of whichever may be the last?
 *     possible  of the admissions sent no later than this one, and received less than a window
 *               before it was sent, all of which may lie in one window: is the sum above the limit
 *               of one that may be the last?
 *
 * Where decisions are instants (sent = received) the two agree and decide exactly.
 *
 * Sums are differences of running totals in two orders, by sent and by received, so a window costs the
 * same whatever it holds and however long its intervals are. Only where a limit has just changed are the
 * intervals that overlap the end of the window looked at one by one. Memory: 48 bytes an admission, 96
 * where there are intervals, for as long as it lies in the last window (and the horizon); about 200 and
 * the name for a counter; all from one bounded judge_memory. Counters that have nothing left are
 * forgotten when memory has doubled since this was last done.
 *
 * Always true of a counter: while it has intervals, both rings hold the same admissions but for those
 * that one has dropped earlier. Times lie within 2^62 and window lengths within 2^61, so that no sum
 * of those that meet here leaves 63 bits and a sign. */
#include "cmd/judge.h"

#include <stdlib.h>

#include "base/contract.h"
#include "cmd/judge_memory.h"

enum {
    RING_ENTRIES_MIN = 2,
    SLOTS_MIN        = 1024,
    NEAR_STEPS       = 16, /* how far a cursor walks before it jumps */
};

#define HOST_NONE        UINT32_MAX
#define HOST_ALL         (UINT32_MAX - 1) /* the counter of all hosts together */
#define FORGET_BYTES_MIN (UINT64_C(32) << 20)

struct totals {
    uint64_t all;
    uint64_t brief; /* of the intervals that are shorter than the window */
};

struct entry {
    int64_t       sent_ns;
    int64_t       received_ns;
    uint64_t      limit;
    uint64_t      place;  /* file in the upper 16 bits, line in the lower 48 */
    struct totals totals; /* of all costs up to and with this one */
};

/* Entries in one order. */
struct ring {
    struct entry *entries;
    struct totals before; /* of those that have left the ring */
    uint32_t      first;  /* where it begins */
    uint32_t      count;
};

struct counter_of_user {
    int64_t     window_ns;
    struct ring sent;     /* ascends by (sent, received, limit) */
    struct ring received; /* the same by (received, sent, limit); unused while all are instants */
    uint32_t    room;     /* of each ring: a power of two; 0: none yet */
    uint32_t    judged;   /* so many of `sent` */
    bool        has_intervals;
    bool        is_accused;
    uint32_t    certain_cursor; /* where the last window began, by either question */
    uint32_t    possible_cursor;
    uint32_t    received_cursor; /* where the last that was judged stands in `received` */
    uint32_t    host;
    int64_t     longest_ns;     /* the longest interval since the rings were last empty */
    int64_t     sent_max_ns;    /* the latest, since then */
    int64_t     mixed_until_ns; /* entries sent up to here may have other limits than last_limit */
    uint64_t    last_limit;
    uint64_t    limit_min, limit_max; /* of all that may be mixed */
    uint32_t    user_bytes;
    char        user[];
};

struct slot {
    uint64_t                hash;
    struct counter_of_user *counter; /* NULL: empty */
};

struct judge {
    struct judge_options    options;
    struct judge_memory     memory;
    struct slot            *slots;
    struct counter_of_user *filled;     /* the one whose ring grows */
    uint64_t                slot_count; /* a power of two */
    uint64_t                counters;   /* live */
    uint64_t                admissions; /* live */
    uint64_t                forget_at_bytes;
    int64_t                 watermark_ns; /* of lines */
    int64_t                 edge_ns;      /* of admissions, after widening */
    struct judge_result     result;
    struct judge_violation *shown;
    uint64_t                hosts_hash[JUDGE_HOSTS_MAX];
    struct view             hosts[JUDGE_HOSTS_MAX];
    uint32_t                host_last;
    uint64_t                memory_peak;
    double                  fullest_share;
    size_t                  fullest_user_bytes;
    char                    fullest_user[JUDGE_USER_BYTES_MAX];
};

static enum judge_outcome      admit(struct judge *j, const struct judge_line *line, uint32_t host,
                                     int64_t widen_ns);
static struct counter_of_user *counter_find(struct judge *j, const struct judge_line *line,
                                            uint32_t host);
static bool                    counter_insert(struct judge *j, struct counter_of_user *c,
                                              const struct judge_line *line, int64_t widen_ns);
static void                    counter_settle(struct judge *j, struct counter_of_user *c);
static void                    counter_drop(struct judge *j, struct counter_of_user *c);
static bool     is_certain(struct judge *j, struct counter_of_user *c, uint32_t at, uint64_t *sum,
                           uint64_t *limit);
static void     counter_free(struct judge *j, struct counter_of_user *c);
static uint32_t ring_drop(const struct counter_of_user *c, struct ring *ring, int64_t time_ns,
                          uint32_t dropped_max);
static struct totals received_totals(struct counter_of_user *c, const struct entry *last);
static bool          is_possible(struct counter_of_user *c, uint32_t at);
static uint64_t limit_of_last_certain(const struct counter_of_user *c, uint32_t from, uint32_t at);
static void     accuse(struct judge *j, struct counter_of_user *c, uint32_t at, uint64_t sum,
                       uint64_t limit);
static void     note_fullest(struct judge *j, const struct counter_of_user *c, uint64_t sum,
                             uint64_t limit);
static void     forget_idle(struct judge *j);
static uint64_t hash_for(const struct judge *j, const struct judge_line *line, uint32_t host);
static bool     slots_make_room(struct judge *j);
static void     slot_fill(struct slot *slots, uint64_t slot_count, struct slot slot);
static void     slot_empty(struct judge *j, uint64_t hole);
static uint32_t host_find(struct judge *j, struct view name);
static void    *take(struct judge *j, size_t bytes);

struct judge *judge_new(const struct judge_options *options) {
    REQUIRE(options->horizon_ns >= 0);
    REQUIRE(options->clock_error_ns >= 0);
    struct judge *j = calloc(1, sizeof *j);
    if (j == NULL) return NULL;
    j->options          = *options;
    j->memory.bytes_max = options->memory_bytes;
    j->watermark_ns     = INT64_MIN;
    j->edge_ns          = INT64_MIN;
    j->forget_at_bytes  = FORGET_BYTES_MIN;
    j->host_last        = HOST_NONE;
    j->slot_count       = SLOTS_MIN;
    j->slots            = take(j, SLOTS_MIN * sizeof *j->slots);
    j->shown            = calloc(options->shown_max > 0 ? options->shown_max : 1, sizeof *j->shown);
    if (j->slots == NULL || j->shown == NULL) {
        judge_free(j);
        return NULL;
    }
    memset(j->slots, 0, SLOTS_MIN * sizeof *j->slots);
    return j;
}

void judge_free(struct judge *j) {
    if (j == NULL) return;
    for (uint64_t i = 0; j->slots != NULL && i < j->slot_count; i++) {
        struct counter_of_user *c = j->slots[i].counter;
        if (c == NULL) continue;
        counter_free(j, c);
    }
    judge_memory_give(&j->memory, j->slots, j->slot_count * sizeof *j->slots);
    for (uint32_t i = 0; i < j->result.shown_count; i++) {
        struct view user = j->shown[i].user;
        judge_memory_give(&j->memory, (void *)(uintptr_t)user.data, user.bytes);
    }
    for (uint32_t i = 0; i < j->result.hosts; i++)
        judge_memory_give(&j->memory, (void *)(uintptr_t)j->hosts[i].data, j->hosts[i].bytes);
    judge_memory_clear(&j->memory);
    free(j->shown);
    free(j);
}

static void counter_free(struct judge *j, struct counter_of_user *c) {
    judge_memory_give(&j->memory, c->sent.entries, c->room * sizeof *c->sent.entries);
    judge_memory_give(&j->memory, c->received.entries, c->room * sizeof *c->received.entries);
    judge_memory_give(&j->memory, c, sizeof *c + c->user_bytes);
}

/* ---- lines ---- */

enum judge_outcome judge_take(struct judge *j, const struct judge_line *line) {
    if (line->sent_ns < j->watermark_ns) return JUDGE_LATE;

    uint32_t host = host_find(j, line->host);
    if (host == HOST_NONE) {
        return j->result.hosts == JUDGE_HOSTS_MAX ? JUDGE_TOO_MANY_HOSTS : JUDGE_NO_MEMORY;
    }
    if (line->allowed && line->cost > 0) {
        enum judge_outcome outcome = JUDGE_TAKEN;
        if (!j->options.has_clock_error) {
            outcome = admit(j, line, host, 0);
        } else {
            /* The first host's clock is the one that all are told by. On it the others' intervals are
             * wider than on their own, so these hosts are judged once more by their own. */
            int64_t error_ns = host == 0 ? 0 : j->options.clock_error_ns;
            if (error_ns > 0) outcome = admit(j, line, host, 0);
            if (outcome == JUDGE_TAKEN) outcome = admit(j, line, HOST_ALL, error_ns);
        }
        if (outcome != JUDGE_TAKEN) return outcome;
    }
    j->result.lines++;
    if (line->cost == 0) {
        j->result.looked++;
    } else if (line->allowed) {
        j->result.allowed++;
    } else {
        j->result.denied++;
    }
    return JUDGE_TAKEN;
}

static enum judge_outcome admit(struct judge *j, const struct judge_line *line, uint32_t host,
                                int64_t widen_ns) {
    struct counter_of_user *c = counter_find(j, line, host);
    if (c == NULL) return JUDGE_NO_MEMORY;
    counter_settle(j, c);
    return counter_insert(j, c, line, widen_ns) ? JUDGE_TAKEN : JUDGE_NO_MEMORY;
}

void judge_advance(struct judge *j, int64_t watermark_ns) {
    REQUIRE(watermark_ns >= j->watermark_ns);
    j->watermark_ns = watermark_ns;
    j->edge_ns      = watermark_ns;
    if (j->options.has_clock_error && watermark_ns > INT64_MIN / 2)
        j->edge_ns -= j->options.clock_error_ns;
}

void judge_end(struct judge *j) {
    j->watermark_ns = INT64_MAX;
    j->edge_ns      = INT64_MAX;
    forget_idle(j);
}

struct judge_result judge_result(const struct judge *j) {
    struct judge_result result = j->result;
    result.shown               = j->shown;
    result.memory_bytes        = j->memory_peak;
    result.fullest_user = (struct view){.data = j->fullest_user, .bytes = j->fullest_user_bytes};
    return result;
}

uint64_t judge_live_counters(const struct judge *j) { return j->counters; }
uint64_t judge_live_admissions(const struct judge *j) { return j->admissions; }

/* ---- a counter's ring ---- */

static inline struct entry *entry_of(const struct counter_of_user *c, const struct ring *ring,
                                     uint32_t index) {
    return &ring->entries[(ring->first + index) & (c->room - 1)];
}

static inline struct entry *entry_at(const struct counter_of_user *c, uint32_t index) {
    return entry_of(c, &c->sent, index);
}

/* Of all costs before entry `index`. */
static inline struct totals totals_before(const struct counter_of_user *c, const struct ring *ring,
                                          uint32_t index) {
    return index == 0 ? ring->before : entry_of(c, ring, index - 1)->totals;
}

static inline int64_t time_in(const struct counter_of_user *c, const struct ring *ring,
                              uint32_t index) {
    const struct entry *e = entry_of(c, ring, index);
    return ring == &c->sent ? e->sent_ns : e->received_ns;
}

/* The first entry after `time_ns` in a ring's order. Windows move little: the last answer is near. */
static uint32_t first_after(const struct counter_of_user *c, const struct ring *ring,
                            int64_t time_ns, uint32_t cursor) {
    uint32_t low = 0, high = ring->count;
    if (cursor > ring->count) cursor = ring->count;
    for (int step = 0; step < NEAR_STEPS; step++) {
        if (cursor < ring->count && time_in(c, ring, cursor) <= time_ns) {
            low = ++cursor;
        } else if (cursor > 0 && time_in(c, ring, cursor - 1) > time_ns) {
            high = --cursor;
        } else {
            return cursor;
        }
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (time_in(c, ring, middle) <= time_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct entry *ring_copy(struct judge *j, struct counter_of_user *c, const struct ring *ring,
                               uint32_t room) {
    j->filled            = c; /* it may be empty, and is not to be forgotten now */
    struct entry *copied = take(j, room * sizeof *copied);
    j->filled            = NULL;
    if (copied == NULL) return NULL;
    /* Only now: making room may have dropped entries. */
    for (uint32_t i = 0; i < ring->count; i++) copied[i] = *entry_of(c, ring, i);
    return copied;
}

static void ring_replace(struct judge *j, struct counter_of_user *c, struct ring *ring,
                         struct entry *entries) {
    judge_memory_give(&j->memory, ring->entries, c->room * sizeof *entries);
    ring->entries = entries;
    ring->first   = 0;
}

static bool counter_grow(struct judge *j, struct counter_of_user *c) {
    uint32_t room = c->room == 0 ? RING_ENTRIES_MIN : 2 * c->room;
    if (room == 0) return false;
    /* What may drop entries comes first, so that both copies are of the same ones. */
    counter_settle(j, c);
    struct entry *received = NULL;
    if (c->received.entries != NULL) {
        received = ring_copy(j, c, &c->received, room);
        if (received == NULL) return false;
    }
    uint32_t      dropped_before = c->received.count;
    struct entry *sent           = ring_copy(j, c, &c->sent, room);
    INVARIANT(c->received.count == dropped_before);
    if (sent == NULL) {
        judge_memory_give(&j->memory, received, room * sizeof *received);
        return false;
    }
    if (received != NULL) ring_replace(j, c, &c->received, received);
    ring_replace(j, c, &c->sent, sent);
    c->room = room;
    return true;
}

/* From the first interval on there are two orders. What came before were instants, whose orders are
 * one and the same. */
static bool counter_begin_intervals(struct judge *j, struct counter_of_user *c) {
    if (c->received.entries == NULL) {
        c->received.entries = ring_copy(j, c, &c->sent, c->room);
        if (c->received.entries == NULL) return false;
    } else {
        for (uint32_t i = 0; i < c->sent.count; i++) c->received.entries[i] = *entry_at(c, i);
    }
    c->received.first  = 0;
    c->received.count  = c->sent.count;
    c->received.before = c->sent.before;
    c->has_intervals   = true;
    return true;
}

static bool is_in_order(const struct entry *a, const struct entry *b, bool by_received) {
    int64_t a_first = by_received ? a->received_ns : a->sent_ns;
    int64_t b_first = by_received ? b->received_ns : b->sent_ns;
    if (a_first != b_first) return a_first < b_first;
    int64_t a_second = by_received ? a->sent_ns : a->received_ns;
    int64_t b_second = by_received ? b->sent_ns : b->received_ns;
    if (a_second != b_second) return a_second < b_second;
    return a->limit <= b->limit;
}

/* Lines come nearly in order: from the end it is not far. Returns where it stands now. */
static uint32_t ring_insert(struct counter_of_user *c, struct ring *ring, struct entry entry,
                            uint64_t cost, uint64_t brief) {
    uint32_t at = ring->count;
    for (; at > 0; at--) {
        const struct entry *before = entry_of(c, ring, at - 1);
        if (is_in_order(before, &entry, ring == &c->received)) break;
        struct entry *moved = entry_of(c, ring, at);
        *moved              = *before;
        moved->totals.all += cost;
        moved->totals.brief += brief;
    }
    entry.totals = totals_before(c, ring, at);
    entry.totals.all += cost;
    entry.totals.brief += brief;
    ring->count++;
    *entry_of(c, ring, at) = entry;
    return at;
}

static bool counter_insert(struct judge *j, struct counter_of_user *c,
                           const struct judge_line *line, int64_t widen_ns) {
    if (c->sent.count == c->room && !counter_grow(j, c)) return false;

    struct entry entry     = {.sent_ns     = line->sent_ns - widen_ns,
                              .received_ns = line->received_ns + widen_ns,
                              .limit       = line->limit,
                              .place       = (uint64_t)line->file << 48 | line->number};
    int64_t      length_ns = entry.received_ns - entry.sent_ns;
    if (length_ns > 0 && !c->has_intervals && !counter_begin_intervals(j, c)) return false;

    if (c->sent.count == 0) {
        c->longest_ns     = 0;
        c->sent_max_ns    = INT64_MIN;
        c->mixed_until_ns = INT64_MIN;
        c->last_limit     = entry.limit;
        c->limit_min = c->limit_max = entry.limit;
    }
    if (length_ns > c->longest_ns) c->longest_ns = length_ns;
    if (entry.limit != c->last_limit) {
        c->mixed_until_ns = c->sent_max_ns > entry.sent_ns ? c->sent_max_ns : entry.sent_ns;
        c->last_limit     = entry.limit;
        if (entry.limit < c->limit_min) c->limit_min = entry.limit;
        if (entry.limit > c->limit_max) c->limit_max = entry.limit;
    }
    if (entry.sent_ns > c->sent_max_ns) c->sent_max_ns = entry.sent_ns;

    uint64_t brief = length_ns < c->window_ns ? line->cost : 0;
    uint32_t at    = ring_insert(c, &c->sent, entry, line->cost, brief);
    INVARIANT(at >= c->judged);
    if (c->has_intervals) ring_insert(c, &c->received, entry, line->cost, brief);
    j->admissions++;
    return true;
}

/* Judges what the edge has passed, and drops what no window can hold any more. */
static void counter_settle(struct judge *j, struct counter_of_user *c) {
    for (; c->judged < c->sent.count; c->judged++) {
        uint32_t at = c->judged;
        if (entry_at(c, at)->received_ns >= j->edge_ns) break;

        uint64_t sum, limit;
        j->result.windows++;
        if (is_certain(j, c, at, &sum, &limit)) {
            accuse(j, c, at, sum, limit);
        } else if ((c->host == HOST_ALL || !j->options.has_clock_error) && is_possible(c, at)) {
            j->result.possible++;
        }
    }
    counter_drop(j, c);
}

/* Later questions are asked from entries that were sent at `sent_ns` or after; of what was received a
 * window before that, none needs to know. */
static void counter_drop(struct judge *j, struct counter_of_user *c) {
    int64_t sent_ns = j->edge_ns;
    if (c->judged < c->sent.count && entry_at(c, c->judged)->sent_ns < sent_ns)
        sent_ns = entry_at(c, c->judged)->sent_ns;
    if (sent_ns < INT64_MIN / 4) return;

    uint32_t dropped = ring_drop(c, &c->sent, sent_ns - c->window_ns, c->judged);
    c->judged -= dropped;
    c->certain_cursor  = c->certain_cursor > dropped ? c->certain_cursor - dropped : 0;
    c->possible_cursor = c->possible_cursor > dropped ? c->possible_cursor - dropped : 0;
    j->admissions -= dropped;
    if (!c->has_intervals) return;

    dropped            = ring_drop(c, &c->received, sent_ns - c->window_ns, c->received.count);
    c->received_cursor = c->received_cursor > dropped ? c->received_cursor - dropped : 0;
    if (c->sent.count > 0) return;
    INVARIANT(c->received.count == 0);
    c->has_intervals = false;
}

/* Drops from the front what was received up to `time_ns`, at most so many. */
static uint32_t ring_drop(const struct counter_of_user *c, struct ring *ring, int64_t time_ns,
                          uint32_t dropped_max) {
    uint32_t dropped = 0;
    for (; dropped < dropped_max && entry_of(c, ring, 0)->received_ns <= time_ns; dropped++) {
        ring->before = entry_of(c, ring, 0)->totals;
        ring->first  = (ring->first + 1) & (c->room - 1);
        ring->count--;
    }
    return dropped;
}

/* ---- the two questions ---- */

/* S: the admissions e with (received, place in the ring) up to this one's and sent after
 * received - window. All of S lie in one window, wherever in their intervals they happened. */
static inline bool is_in_certain(const struct counter_of_user *c, uint32_t index, uint32_t at) {
    int64_t received_ns = entry_at(c, index)->received_ns;
    int64_t last_ns     = entry_at(c, at)->received_ns;
    return received_ns < last_ns || (received_ns == last_ns && index <= at);
}

static bool is_certain(struct judge *j, struct counter_of_user *c, uint32_t at, uint64_t *sum,
                       uint64_t *limit) {
    const struct entry last    = *entry_at(c, at);
    int64_t            from_ns = last.received_ns - c->window_ns;
    if (last.sent_ns <= from_ns) return false; /* as long as a window: nothing is certain by it */

    /* Of the intervals shorter than a window, all that were sent up to from_ns were received before this
     * one; so S is what was received up to this one, less those. Longer ones are never in S. */
    uint32_t from          = first_after(c, &c->sent, from_ns, c->certain_cursor);
    c->certain_cursor      = from;
    struct totals up_to_it = c->has_intervals ? received_totals(c, &last) : last.totals;
    uint64_t      admitted = up_to_it.brief - totals_before(c, &c->sent, from).brief;

    *sum   = admitted;
    *limit = last.limit;
    if (c->mixed_until_ns > from_ns && admitted > c->limit_min)
        *limit = limit_of_last_certain(c, from, at);
    note_fullest(j, c, admitted, *limit);
    return admitted > *limit;
}

/* Of all that were received up to `last`, those at the same time by their order in `sent`. */
static struct totals received_totals(struct counter_of_user *c, const struct entry *last) {
    uint32_t at = c->received_cursor + 1;
    if (at >= c->received.count || entry_of(c, &c->received, at)->place != last->place) {
        at = first_after(c, &c->received, last->received_ns - 1, c->received_cursor);
        for (; at < c->received.count; at++)
            if (entry_of(c, &c->received, at)->place == last->place) break;
        INVARIANT(at < c->received.count);
    }
    c->received_cursor = at;
    return entry_of(c, &c->received, at)->totals;
}

/* Of S, those that may be the last are those received no earlier than any of S was sent; the largest
 * of their limits is the one that certainly applied or was exceeded. */
static uint64_t limit_of_last_certain(const struct counter_of_user *c, uint32_t from, uint32_t at) {
    int64_t  last_ns = entry_at(c, at)->received_ns;
    int64_t  sent_ns = entry_at(c, at)->sent_ns;
    uint64_t limit   = entry_at(c, at)->limit;
    uint32_t end     = at + 1;
    for (; end < c->sent.count && entry_at(c, end)->sent_ns <= last_ns; end++)
        if (is_in_certain(c, end, at)) sent_ns = entry_at(c, end)->sent_ns;
    for (uint32_t i = end; i > from; i--) {
        const struct entry *e = entry_at(c, i - 1);
        if (sent_ns - e->sent_ns > c->longest_ns) break;
        if (e->received_ns >= sent_ns && e->limit > limit && is_in_certain(c, i - 1, at))
            limit = e->limit;
    }
    return limit;
}

/* P: the admissions sent up to this one and received after sent - window. All of P may lie in one
 * window; the last of them may be any that is not over yet when this one is sent. */
static bool is_possible(struct counter_of_user *c, uint32_t at) {
    const struct entry last    = *entry_at(c, at);
    int64_t            from_ns = last.sent_ns - c->window_ns;
    /* What was received up to from_ns was sent before, so P is what was sent up to this one, less those. */
    const struct ring *ring = c->has_intervals ? &c->received : &c->sent;
    uint32_t           from = first_after(c, ring, from_ns, c->possible_cursor);
    c->possible_cursor      = from;

    uint64_t admitted = last.totals.all - totals_before(c, ring, from).all;
    uint64_t limit    = last.limit;
    if (c->limit_min != c->limit_max && admitted > c->limit_min) {
        for (uint32_t i = at; i > 0; i--) {
            const struct entry *e = entry_at(c, i - 1);
            if (last.sent_ns - e->sent_ns > c->longest_ns) break;
            if (e->received_ns >= last.sent_ns && e->limit < limit) limit = e->limit;
        }
    }
    return admitted > limit;
}

static void accuse(struct judge *j, struct counter_of_user *c, uint32_t at, uint64_t sum,
                   uint64_t limit) {
    j->result.certain++;
    if (!c->is_accused) j->result.certain_users++;
    c->is_accused = true;
    if (j->result.shown_count == j->options.shown_max) return;

    char *user = judge_memory_take(&j->memory, c->user_bytes);
    if (user == NULL) return; /* it is counted, only its details are not kept */
    memcpy(user, c->user, c->user_bytes);

    const struct entry     last = *entry_at(c, at);
    struct judge_violation v    = {.user      = {.data = user, .bytes = c->user_bytes},
                                   .window_ns = c->window_ns,
                                   .limit     = limit,
                                   .admitted  = sum,
                                   .begin_ns  = last.sent_ns,
                                   .end_ns    = last.received_ns};
    if (c->host != HOST_ALL) v.host = j->hosts[c->host];
    uint64_t first_place = last.place;
    for (uint32_t i = c->certain_cursor; i < c->sent.count; i++) {
        const struct entry *e = entry_at(c, i);
        if (e->sent_ns > last.received_ns) break;
        if (!is_in_certain(c, i, at)) continue;
        if (v.admissions++ == 0) {
            v.begin_ns  = e->sent_ns;
            first_place = e->place;
        }
    }
    v.first_file                      = (uint32_t)(first_place >> 48);
    v.first_line                      = first_place & ((UINT64_C(1) << 48) - 1);
    v.last_file                       = (uint32_t)(last.place >> 48);
    v.last_line                       = last.place & ((UINT64_C(1) << 48) - 1);
    j->shown[j->result.shown_count++] = v;
}

static void note_fullest(struct judge *j, const struct counter_of_user *c, uint64_t sum,
                         uint64_t limit) {
    /* Compared by multiplying first: most windows are not the fullest, and a division costs more. */
    if ((double)sum <= j->fullest_share * (double)limit) return;
    j->fullest_share            = limit > 0 ? (double)sum / (double)limit : 1e300;
    j->result.fullest_admitted  = sum;
    j->result.fullest_limit     = limit;
    j->result.fullest_window_ns = c->window_ns;
    j->fullest_user_bytes       = c->user_bytes;
    memcpy(j->fullest_user, c->user, c->user_bytes);
}

/* ---- counters ---- */

static struct counter_of_user *counter_find(struct judge *j, const struct judge_line *line,
                                            uint32_t host) {
    if (4 * j->counters >= 3 * j->slot_count && !slots_make_room(j)) return NULL;

    uint64_t word = (uint64_t)line->window_ns ^ (uint64_t)host << 40;
    uint64_t hash = hash_of(j->options.secret, word, line->user.data, line->user.bytes);
    for (uint64_t i = hash & (j->slot_count - 1); j->slots[i].counter != NULL;
         i          = (i + 1) & (j->slot_count - 1)) {
        struct counter_of_user *c = j->slots[i].counter;
        if (j->slots[i].hash != hash || c->window_ns != line->window_ns || c->host != host)
            continue;
        if (c->user_bytes != line->user.bytes) continue;
        if (memcmp(c->user, line->user.data, c->user_bytes) == 0) return c;
    }

    struct counter_of_user *c = take(j, sizeof *c + line->user.bytes);
    if (c == NULL) return NULL;
    *c = (struct counter_of_user){
        .window_ns = line->window_ns, .host = host, .user_bytes = (uint32_t)line->user.bytes};
    memcpy(c->user, line->user.data, line->user.bytes);

    /* Only now: making room may have moved slots. */
    slot_fill(j->slots, j->slot_count, (struct slot){.hash = hash, .counter = c});
    j->counters++;
    j->result.counters++;
    return c;
}

static void slot_fill(struct slot *slots, uint64_t slot_count, struct slot slot) {
    uint64_t i = slot.hash & (slot_count - 1);
    while (slots[i].counter != NULL) i = (i + 1) & (slot_count - 1);
    slots[i] = slot;
}

/* Empties a slot and moves back those behind it that its being full had pushed on, so that a search
 * may stop at the first empty slot (Knuth, volume 3, algorithm 6.4R). */
static void slot_empty(struct judge *j, uint64_t hole) {
    uint64_t mask = j->slot_count - 1;
    for (uint64_t i = (hole + 1) & mask; j->slots[i].counter != NULL; i = (i + 1) & mask) {
        uint64_t home = j->slots[i].hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) continue; /* its home is behind the hole */
        j->slots[hole] = j->slots[i];
        hole           = i;
    }
    j->slots[hole].counter = NULL;
}

static uint64_t hash_for(const struct judge *j, const struct judge_line *line, uint32_t host) {
    uint64_t word = (uint64_t)line->window_ns ^ (uint64_t)host << 40;
    return hash_of(j->options.secret, word, line->user.data, line->user.bytes);
}

void judge_hint(const struct judge *j, struct judge_line *line, int step) {
    if (step == 0) {
        line->hint_hash = 0;
        if (!line->allowed) return;
        line->hint_host = HOST_ALL;
        if (!j->options.has_clock_error) {
            if (j->host_last == HOST_NONE) return;
            if (!view_equals(j->hosts[j->host_last], line->host)) return;
            line->hint_host = j->host_last;
        }
        line->hint_hash = hash_for(j, line, line->hint_host);
        __builtin_prefetch(&j->slots[line->hint_hash & (j->slot_count - 1)]);
        return;
    }

    if (line->hint_hash == 0) return;
    const struct slot *slot = &j->slots[line->hint_hash & (j->slot_count - 1)];
    for (int i = 0; i < NEAR_STEPS && slot->hash != line->hint_hash; i++) {
        if (slot->counter == NULL) return;
        if (++slot == j->slots + j->slot_count) slot = j->slots;
    }
    const struct counter_of_user *c = slot->counter;
    if (slot->hash != line->hint_hash || c == NULL) return;
    if (step == 1) {
        __builtin_prefetch(c);
        __builtin_prefetch((const char *)c + 64);
        __builtin_prefetch((const char *)c + 128);
        __builtin_prefetch((const char *)c + 192);
    } else if (c->room > 0) {
        __builtin_prefetch(entry_at(c, 0));
        __builtin_prefetch(entry_at(c, c->judged));
        __builtin_prefetch(entry_at(c, c->sent.count), 1);
        __builtin_prefetch(entry_at(c, c->certain_cursor));
        if (!c->has_intervals) return;
        __builtin_prefetch(entry_of(c, &c->received, 0));
        __builtin_prefetch(entry_of(c, &c->received, c->received.count), 1);
    }
}

/* Before the slots are too full: forgets who can be forgotten, else doubles them. */
static bool slots_make_room(struct judge *j) {
    forget_idle(j);
    if (2 * j->counters < j->slot_count) return true;

    uint64_t     count = 2 * j->slot_count;
    struct slot *slots = judge_memory_take(&j->memory, count * sizeof *slots);
    if (slots == NULL) return false;
    memset(slots, 0, count * sizeof *slots);
    for (uint64_t i = 0; i < j->slot_count; i++)
        if (j->slots[i].counter != NULL) slot_fill(slots, count, j->slots[i]);
    judge_memory_give(&j->memory, j->slots, j->slot_count * sizeof *slots);
    j->slots      = slots;
    j->slot_count = count;
    if (j->memory.bytes_held > j->memory_peak) j->memory_peak = j->memory.bytes_held;
    return true;
}

/* Judges what can be judged of every counter, and gives back those that have nothing left. */
static void forget_idle(struct judge *j) {
    for (uint64_t i = 0; i < j->slot_count;) {
        struct counter_of_user *c = j->slots[i].counter;
        if (c != NULL) counter_settle(j, c);
        if (c == NULL || c->sent.count > 0 || c == j->filled) {
            i++;
            continue;
        }
        counter_free(j, c);
        slot_empty(j, i); /* which may move another one here: look again */
        j->counters--;
    }
    uint64_t twice     = 2 * j->memory.bytes_used;
    j->forget_at_bytes = twice > FORGET_BYTES_MIN ? twice : FORGET_BYTES_MIN;
}

/* A host's number; HOST_NONE: no room. Runs of lines are of one host, so the last is tried first. */
static uint32_t host_find(struct judge *j, struct view name) {
    if (j->host_last != HOST_NONE && view_equals(j->hosts[j->host_last], name)) return j->host_last;

    uint64_t hash = hash_of(j->options.secret, 0, name.data, name.bytes);
    for (uint32_t i = 0; i < j->result.hosts; i++) {
        if (j->hosts_hash[i] != hash || !view_equals(j->hosts[i], name)) continue;
        j->host_last = i;
        return i;
    }
    if (j->result.hosts == JUDGE_HOSTS_MAX) return HOST_NONE;
    char *kept = take(j, name.bytes);
    if (kept == NULL) return HOST_NONE;
    memcpy(kept, name.data, name.bytes);
    j->host_last                = j->result.hosts;
    j->hosts_hash[j->host_last] = hash;
    j->hosts[j->host_last]      = (struct view){.data = kept, .bytes = name.bytes};
    j->result.hosts++;
    return j->host_last;
}

/* Memory; if need be, of those who were forgotten. */
static void *take(struct judge *j, size_t bytes) {
    if (j->slots != NULL && j->memory.bytes_used >= j->forget_at_bytes) forget_idle(j);
    void *block = judge_memory_take(&j->memory, bytes);
    if (block == NULL && j->slots != NULL) {
        forget_idle(j);
        block = judge_memory_take(&j->memory, bytes);
    }
    if (j->memory.bytes_held > j->memory_peak) j->memory_peak = j->memory.bytes_held;
    return block;
}
