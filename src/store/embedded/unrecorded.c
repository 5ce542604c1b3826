/* SPDX-License-Identifier: MIT
 *
 * unrecorded: who has taken permits that are not on disk yet, and how many?
 *
 * Shards by name, each with a lock and two halves. Everybody adds to the open half; a recorder turns
 * the halves round (unrecorded_close), records all in the closing one, and clears it. Both count
 * until then. A half is a table with open addressing that only grows until it is cleared whole, so
 * that a search may end at the first free slot.
 *
 * A process may be killed between any two stores, and leaves this:
 *   - a slot whose name is written and whose `taken` is 0: nobody's, and written over;
 *   - `used` one too high: the half is full one slot early until it is cleared;
 *   - some shards turned round and others not, or a closing half that is recorded and not cleared, or
 *     half cleared: the next recorder records what is left of it once more, and turns the rest;
 *   - permits that were added and never taken: too many count, until they are recorded.
 * So a dead holder's lock is simply freed. Stores release, so that the compiler keeps their order.
 *
 * Only the recorder writes to closing halves, and reads them without the lock: it asks for counters'
 * locks meanwhile, whose holders may be waiting for the shard's. */
#include "store/embedded/unrecorded.h"

#include "base/contract.h"

enum { TAKEN_BITS = 62, SHARD_BITS = 6 };

#define TAKEN_MAX ((UINT64_C(1) << TAKEN_BITS) - 1)

_Static_assert(UNRECORDED_SHARDS == 1 << SHARD_BITS, "a shard for each value of its bits");
_Static_assert((UNRECORDED_SLOTS & (UNRECORDED_SLOTS - 1)) == 0, "slots wrap round by a mask");
_Static_assert(UNRECORDED_USED_MAX < UNRECORDED_SLOTS, "a search ends at a free slot");

static inline uint64_t word_load(const _Atomic uint64_t *word) {
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void word_store(_Atomic uint64_t *word, uint64_t value) {
    atomic_store_explicit(word, value, memory_order_release);
}

static inline uint32_t shard_open(const struct unrecorded_shard *shard) {
    return atomic_load_explicit(&shard->open, memory_order_relaxed) & 1;
}

static inline uint32_t shard_used(const struct unrecorded_shard *shard, uint32_t half) {
    return atomic_load_explicit(&shard->used[half], memory_order_relaxed);
}

/* The slot of `id`, or the free one where it would be. NULL: the area was spoiled, and there is neither. */
static inline struct unrecorded_slot *half_find(struct unrecorded_slot *half, uint64_t hash,
                                                struct unrecorded_id id) {
    for (uint64_t i = 0; i < UNRECORDED_SLOTS; i++) {
        struct unrecorded_slot *slot  = &half[(hash + i) & (UNRECORDED_SLOTS - 1)];
        uint64_t                taken = word_load(&slot->taken);
        if (taken == 0) return slot;
        if (word_load(&slot->name) == id.name && taken >> TAKEN_BITS == id.kind) return slot;
    }
    return NULL;
}

static inline uint64_t slot_taken(const struct unrecorded_slot *slot) {
    return slot != NULL ? word_load(&slot->taken) & TAKEN_MAX : TAKEN_MAX;
}

static inline uint64_t sum_of(uint64_t a, uint64_t b) {
    return a < TAKEN_MAX - b ? a + b : TAKEN_MAX;
}

/* Where an id is counted, locked. */
struct place {
    struct unrecorded_shard *shard;
    struct unrecorded_slot
            *slot; /* of the open half: its own, or a free one; NULL: there is neither */
    uint32_t open;
    uint64_t in_open, in_closing;
};

static inline struct place place_lock(struct unrecorded *area, const struct lock_owner *me,
                                      struct unrecorded_id id) {
    /* Tags are hashes already, but indices must not all be in one shard. */
    uint64_t     hash = id.name * UINT64_C(0x9e3779b97f4a7c15);
    struct place p    = {.shard = &area->shard[hash >> (64 - SHARD_BITS)]};
    hash >>= 32;

    owned_lock_take(&p.shard->lock, me);
    p.open    = shard_open(p.shard);
    p.slot    = half_find(p.shard->slot[p.open], hash, id);
    p.in_open = slot_taken(p.slot);
    if (shard_used(p.shard, 1 - p.open) != 0) {
        p.in_closing = slot_taken(half_find(p.shard->slot[1 - p.open], hash, id));
    }
    return p;
}

enum unrecorded_answer unrecorded_add(struct unrecorded *area, const struct lock_owner *me,
                                      struct unrecorded_id id, uint64_t cost, uint64_t u) {
    REQUIRE(id.kind == UNRECORDED_COUNTER || id.kind == UNRECORDED_RING);
    if (cost > TAKEN_MAX) cost = TAKEN_MAX;

    struct place p    = place_lock(area, me, id);
    uint64_t     open = sum_of(p.in_open, cost);
    uint32_t     used = shard_used(p.shard, p.open);
    if (p.slot == NULL && used == 0)
        atomic_store_explicit(&p.shard->used[p.open], 1, memory_order_release); /* to be cleared */
    if (p.slot == NULL || (word_load(&p.slot->taken) == 0 && used >= UNRECORDED_USED_MAX)) {
        owned_lock_give(&p.shard->lock);
        return UNRECORDED_SETTLE_FIRST;
    }
    if (word_load(&p.slot->taken) == 0) {
        word_store(&p.slot->name, id.name);
        atomic_store_explicit(&p.shard->used[p.open], used + 1, memory_order_release);
    }
    word_store(&p.slot->taken, (uint64_t)id.kind << TAKEN_BITS | open);
    owned_lock_give(&p.shard->lock);
    return sum_of(open, p.in_closing) <= u ? UNRECORDED_ADDED : UNRECORDED_SETTLE;
}

uint64_t unrecorded_of(struct unrecorded *area, const struct lock_owner *me,
                       struct unrecorded_id id) {
    struct place p = place_lock(area, me, id);
    owned_lock_give(&p.shard->lock);
    return sum_of(p.in_open, p.in_closing);
}

void unrecorded_release_dead(struct unrecorded *area, uint32_t process) {
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) {
        owned_lock_release_dead(&area->shard[i].lock, process);
    }
}

void unrecorded_scour(struct unrecorded *area, bool (*is_gone)(void *context, uint32_t process),
                      void              *context) {
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) {
        owned_lock_release_gone(&area->shard[i].lock, is_gone, context);
    }
}

/* --- for who records ------------------------------------------------------------------------- */

bool unrecorded_close(struct unrecorded *area, const struct lock_owner *me) {
    bool is_whole = true;
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) {
        struct unrecorded_shard *shard = &area->shard[i];
        if (shard_used(shard, 1 - shard_open(shard)) != 0) {
            is_whole = false;
            continue;
        }
        owned_lock_take(&shard->lock, me);
        atomic_store_explicit(&shard->open, 1 - shard_open(shard), memory_order_release);
        owned_lock_give(&shard->lock);
    }
    return is_whole;
}

bool unrecorded_next(struct unrecorded *area, uint32_t *cursor, struct unrecorded_id *id) {
    while (*cursor < UNRECORDED_SHARDS * UNRECORDED_SLOTS) {
        struct unrecorded_shard *shard   = &area->shard[*cursor / UNRECORDED_SLOTS];
        uint32_t                 closing = 1 - shard_open(shard);
        if (shard_used(shard, closing) == 0) {
            *cursor += UNRECORDED_SLOTS;
            continue;
        }
        struct unrecorded_slot *slot  = &shard->slot[closing][(*cursor)++ % UNRECORDED_SLOTS];
        uint64_t                taken = word_load(&slot->taken);
        if (taken == 0) continue;
        *id = (struct unrecorded_id){.name = word_load(&slot->name),
                                     .kind = (enum unrecorded_kind)(taken >> TAKEN_BITS)};
        return true;
    }
    return false;
}

void unrecorded_clear(struct unrecorded *area, const struct lock_owner *me) {
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) {
        struct unrecorded_shard *shard   = &area->shard[i];
        uint32_t                 closing = 1 - shard_open(shard);
        if (shard_used(shard, closing) == 0) continue;
        owned_lock_take(&shard->lock, me);
        for (uint32_t s = 0; s < UNRECORDED_SLOTS; s++) {
            word_store(&shard->slot[closing][s].taken, 0);
        }
        atomic_store_explicit(&shard->used[closing], 0, memory_order_release);
        owned_lock_give(&shard->lock);
    }
}
