/* SPDX-License-Identifier: MIT
 *
 * shape: in which buckets may a user be, while the table grows?
 *
 * Every user has two places: a hash h in a table of n buckets belongs in bucket h * n / 2^64, and a
 * second hash gives a second choice. The map keeps the order of hashes, so that when n grows
 * every user moves up, or stays. Growing thus needs no second table: from the last bucket down to
 * the first, each bucket's users move to their new places, which lie above or have been left.
 *
 * One word says how far that is: the pass (which sizes) and the cursor.
 *
 *     old place >= cursor       the user is at the new place
 *     old place == cursor - 1   in transit: look at the old and the new, put at the new
 *     below                     the user is at the old place
 *     cursor == SHAPE_AT_REST   nothing moves; all are at the places of this pass's size
 *
 * In the word the cursor's bits are turned over, so that a word of zeros is the first pass at rest. */
#ifndef WEIR_TABLE_SHAPE_H
#define WEIR_TABLE_SHAPE_H

#include <stdint.h>

#include "base/wide.h"

enum {
    SHAPE_PASSES_MAX = 256,
    SHAPE_PLACES_MAX = 4,
};

#define SHAPE_AT_REST UINT32_MAX

struct shape {
    uint32_t pass;
    uint32_t cursor;
};

/* Where to look for a user, and where to put one: `put[0]` is its home, `put[1]` the other choice. */
struct shape_places {
    uint64_t hash;
    uint32_t put[2];
    uint32_t look[SHAPE_PLACES_MAX];
    uint32_t look_count;
};

static inline struct shape shape_read(uint64_t word) {
    return (struct shape){.pass = (uint32_t)(word >> 32), .cursor = ~(uint32_t)word};
}

static inline uint64_t shape_write(struct shape s) {
    return (uint64_t)s.pass << 32 | (uint32_t)~s.cursor;
}

static inline uint32_t shape_scale(uint64_t hash, uint32_t buckets) {
    return (uint32_t)((uint128)hash * buckets >> 64);
}

/* The hash of the second choice: all bits of the first, mixed (the multiplier is 2^64 / phi). */
static inline uint64_t shape_second_hash(uint64_t hash) {
    return (hash << 32 | hash >> 32) * UINT64_C(0x9e3779b97f4a7c15);
}

/* Where a user with this hash is put. */
static inline uint32_t shape_place(struct shape s, const uint32_t *sizes, uint64_t hash) {
    uint32_t place = shape_scale(hash, sizes[s.pass]);
    return place + 1 < s.cursor ? place : shape_scale(hash, sizes[s.pass + 1]);
}

static inline struct shape_places shape_places(struct shape s, const uint32_t *sizes,
                                               uint64_t hash) {
    struct shape_places p = {.hash = hash};
    for (uint32_t choice = 0; choice < 2; choice++) {
        uint64_t h    = choice == 0 ? hash : shape_second_hash(hash);
        uint32_t old  = shape_scale(h, sizes[s.pass]);
        p.put[choice] = shape_place(s, sizes, h);
        if (old + 1 == s.cursor && old != p.put[choice]) p.look[p.look_count++] = old;
        p.look[p.look_count++] = p.put[choice];
    }
    return p;
}

#endif
