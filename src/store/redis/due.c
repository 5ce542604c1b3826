/* SPDX-License-Identifier: MIT */
#include "store/redis/due.h"

#include <stdlib.h>

#include "base/contract.h"

bool due_init(struct due *due, uint32_t room) {
    *due      = (struct due){.room = room};
    due->heap = malloc(room * sizeof(struct request *));
    return due->heap != NULL;
}

void due_clear(struct due *due) {
    INVARIANT(due->count == 0);
    free(due->heap);
}

uint64_t due_ns(const struct request *request) {
    if (request->place != REQUEST_PAUSED || request->retry_ns > request->deadline_ns)
        return request->deadline_ns;
    return request->retry_ns;
}

static void due_put(struct due *due, uint32_t index, struct request *request) {
    due->heap[index]   = request;
    request->due_index = index;
}

static void due_rise(struct due *due, uint32_t index, struct request *request) {
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (due_ns(due->heap[parent]) <= due_ns(request)) break;
        due_put(due, index, due->heap[parent]);
        index = parent;
    }
    due_put(due, index, request);
}

static void due_sink(struct due *due, uint32_t index, struct request *request) {
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= due->count) break;
        if (child + 1 < due->count && due_ns(due->heap[child + 1]) < due_ns(due->heap[child]))
            child++;
        if (due_ns(request) <= due_ns(due->heap[child])) break;
        due_put(due, index, due->heap[child]);
        index = child;
    }
    due_put(due, index, request);
}

void due_add(struct due *due, struct request *request) {
    REQUIRE(due->count < due->room);
    due_rise(due, due->count++, request);
}

void due_move(struct due *due, struct request *request) {
    due_rise(due, request->due_index, request);
    due_sink(due, request->due_index, request);
}

void due_remove(struct due *due, struct request *request) {
    uint32_t index = request->due_index;
    REQUIRE(index < due->count);
    REQUIRE(due->heap[index] == request);
    struct request *last = due->heap[--due->count];
    if (last == request) return;
    due_put(due, index, last);
    due_move(due, last);
}

struct request *due_first(const struct due *due) {
    return due->count > 0 ? due->heap[0] : NULL;
}
