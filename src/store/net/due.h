/* SPDX-License-Identifier: MIT
 *
 * due: which request is to be looked at next, and when?
 *
 * A binary heap with room for all requests that there may be, so that nothing here can fail. Deadlines
 * mostly come in order, and then adding one is one compare. What is in it begins with a struct due_item. */
#ifndef WEIR_STORE_NET_DUE_H
#define WEIR_STORE_NET_DUE_H

#include <stdbool.h>
#include <stdint.h>

struct due_item {
    uint64_t at_ns; /* while it is in the heap, changed by due_move() only */
    uint32_t index;
};

struct due {
    struct due_item **heap;
    uint32_t          count;
    uint32_t          room;
};

static inline uint64_t due_earlier(uint64_t a, uint64_t b) { return a < b ? a : b; }

bool due_init(struct due *due, uint32_t room);
void due_clear(struct due *due);

void due_add(struct due *due, struct due_item *item, uint64_t at_ns);
void due_remove(struct due *due, struct due_item *item);
void due_move(struct due *due, struct due_item *item, uint64_t at_ns);

/* The first; NULL: there is none. */
struct due_item *due_first(const struct due *due);

#endif
