/* SPDX-License-Identifier: MIT
 *
 * memo: where were the users that this thread asked about a moment ago?
 *
 * A hot user is asked about again and again, and hashing the name and finding the line then cost more
 * than deciding. 63 threads at a time keep 64 users each by their names: a cache line each, in a
 * place chosen by a quick mix of the name that needs no secret, since a clash only costs a miss.
 * Nothing is decided here: what a memo says is checked against the line's tag. */
#ifndef WEIR_LIMITER_MEMO_H
#define WEIR_LIMITER_MEMO_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "os/slot.h"

enum {
    MEMO_USERS      = 64,
    MEMO_USER_BYTES = 36, /* longer names are not kept */
};

struct memo {
    uint64_t     word; /* window and algorithm */
    uint64_t     hash;
    struct line *line; /* NULL: an empty memo, or nobody found yet */
    uint32_t     user_bytes;
    char         user[MEMO_USER_BYTES];
};

_Static_assert(sizeof(struct memo) == 64, "a memo is a cache line");

struct memos {
    _Alignas(64) struct memo memo[SLOT_COUNT][MEMO_USERS];
};

static inline uint64_t memo_load(const char *p) {
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline bool memo_same_bytes(const char *a, const char *b, size_t bytes) {
    if (bytes < 8) return memcmp(a, b, bytes) == 0;
    uint64_t difference = memo_load(a + bytes - 8) ^ memo_load(b + bytes - 8);
    for (size_t i = 0; i + 8 < bytes; i += 8) difference |= memo_load(a + i) ^ memo_load(b + i);
    return difference == 0;
}

/* The place of a user's memo; NULL: this user or this thread has none. */
static inline struct memo *memo_place(struct memos *memos, uint64_t word, const char *user,
                                      size_t user_bytes) {
    unsigned slot = slot_mine();
    if (slot == SLOT_SHARED || user_bytes > MEMO_USER_BYTES || user_bytes < 8) return NULL;
    uint64_t mix = (memo_load(user) ^ memo_load(user + user_bytes - 8) * 3 ^ word) *
                   UINT64_C(0x9e3779b97f4a7c15);
    return &memos->memo[slot][mix >> 58];
}

static inline bool memo_is_of(const struct memo *m, uint64_t word, const char *user,
                              size_t user_bytes) {
    return m->line != NULL && m->word == word && m->user_bytes == user_bytes &&
           memo_same_bytes(m->user, user, user_bytes);
}

static inline void memo_keep(struct memo *m, uint64_t word, uint64_t hash, struct line *line,
                             const char *user, size_t user_bytes) {
    m->word       = word;
    m->hash       = hash;
    m->line       = line;
    m->user_bytes = (uint32_t)user_bytes;
    memcpy(m->user, user, user_bytes);
}

#endif
