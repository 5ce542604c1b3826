/* SPDX-License-Identifier: MIT
 *
 * due: which request is to be looked at next, and when?
 *
 * A binary heap with room for all requests that there may be, so that nothing here can fail. Deadlines
 * mostly come in order, and then adding one is one compare. */
#ifndef WEIR_STORE_REDIS_DUE_H
#define WEIR_STORE_REDIS_DUE_H

#include <stdbool.h>
#include <stdint.h>

#include "store/redis/request.h"

struct due {
    struct request **heap;
    uint32_t         count;
    uint32_t         room;
};

bool due_init(struct due *due, uint32_t room);
void due_clear(struct due *due);

void due_add(struct due *due, struct request *request);
void due_remove(struct due *due, struct request *request);
/* Its time has changed. */
void due_move(struct due *due, struct request *request);

/* The first; NULL: there is none. */
struct request *due_first(const struct due *due);
/* When a request is due: at its deadline, or before that to be tried again. */
uint64_t due_ns(const struct request *request);

#endif
