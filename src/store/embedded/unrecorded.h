/* SPDX-License-Identifier: MIT
 *
 * unrecorded: who has taken permits that are not on disk yet, and how many? See unrecorded.c. */
#ifndef WEIR_STORE_EMBEDDED_UNRECORDED_H
#define WEIR_STORE_EMBEDDED_UNRECORDED_H

#include <stddef.h>

#include "store/embedded/owned_lock.h"

enum {
    UNRECORDED_SHARDS     = 64,
    UNRECORDED_SLOTS      = 1024, /* of half a shard */
    UNRECORDED_USED_MAX   = 768,  /* then the half counts as full: searches stay short */
    UNRECORDED_LINE_BYTES = 64,
};

/* A user's counter by its tag, or a ring that users share by its index. The two never clash. */
enum unrecorded_kind { UNRECORDED_NOBODY, UNRECORDED_COUNTER, UNRECORDED_RING };

struct unrecorded_id {
    uint64_t             name; /* the counter's tag or the ring's index */
    enum unrecorded_kind kind;
};

struct unrecorded_slot {
    _Atomic uint64_t name;
    _Atomic uint64_t taken; /* bits 62..63 kind, 0..61 permits; 0: nobody */
};

struct unrecorded_shard {
    _Alignas(UNRECORDED_LINE_BYTES) _Atomic uint32_t lock; /* an owned lock */
    _Atomic uint32_t open;                                 /* which half is added to: 0 or 1 */
    _Atomic uint32_t used[2];                              /* slots of each half, or more */
    _Alignas(UNRECORDED_LINE_BYTES) struct unrecorded_slot slot[2][UNRECORDED_SLOTS];
};

/* In memory that the processes share. Zeros: nobody. */
struct unrecorded {
    struct unrecorded_shard shard[UNRECORDED_SHARDS];
};

enum unrecorded_answer {
    UNRECORDED_ADDED,       /* with what was unrecorded before it is at most u */
    UNRECORDED_SETTLE,      /* added, but above u: settle after the change and before the answer */
    UNRECORDED_SETTLE_FIRST /* no room, nothing was added: change nothing, settle, decide again */
};

/* Says that `id` is about to take `cost` permits, of which at most `u` may be unrecorded and answered.
 * Called with the lock of the counter or ring held and before it is changed. A cost of 0 asks for the
 * image to be recorded, in whatever way it changes. Contract and proof: docs/journal.md, "What the table
 * calls". */
enum unrecorded_answer unrecorded_add(struct unrecorded *area, const struct lock_owner *me,
                                      struct unrecorded_id id, uint64_t cost, uint64_t u);

/* How much of `id` is unrecorded. For who brings a user from a ring to a counter of their own: asked under
 * the ring's lock, and added to the cost. */
uint64_t unrecorded_of(struct unrecorded *area, const struct lock_owner *me,
                       struct unrecorded_id id);

/* Frees what a dead process holds. Whatever it was at, nothing else needs repair. */
void unrecorded_release_dead(struct unrecorded *area, uint32_t process);

/* Frees what anybody holds who is gone: the area was spoiled. See table_scour(). */
void unrecorded_scour(struct unrecorded *area, bool (*is_gone)(void *context, uint32_t process),
                      void              *context);

/* --- for who records, one at a time (journal.c) ---------------------------------------------- */

/* Opens new halves: what was added before the call is in the closing ones. False: some shard's closing
 * half was not empty, since a recorder died, and stays as it is; its open half is still open. */
bool unrecorded_close(struct unrecorded *area, const struct lock_owner *me);

/* Walks the closing halves from *cursor = 0; false: that was the last. */
bool unrecorded_next(struct unrecorded *area, uint32_t *cursor, struct unrecorded_id *id);

/* All in the closing halves is on disk. */
void unrecorded_clear(struct unrecorded *area, const struct lock_owner *me);

#endif
