/* SPDX-License-Identifier: MIT */
#include "store/net/due.h"

#include <stdlib.h>

#include "base/contract.h"

bool due_init(struct due *due, uint32_t room) {
    *due      = (struct due){.room = room};
    due->heap = malloc(room * sizeof(struct due_item *));
    return due->heap != NULL;
}

void due_clear(struct due *due) {
    INVARIANT(due->count == 0);
    free(due->heap);
}

static void due_put(struct due *due, uint32_t index, struct due_item *item) {
    due->heap[index] = item;
    item->index      = index;
}

static void due_rise(struct due *due, uint32_t index, struct due_item *item) {
    while (index > 0) {
        uint32_t parent = (index - 1) / 2;
        if (due->heap[parent]->at_ns <= item->at_ns) break;
        due_put(due, index, due->heap[parent]);
        index = parent;
    }
    due_put(due, index, item);
}

static void due_sink(struct due *due, uint32_t index, struct due_item *item) {
    for (;;) {
        uint32_t child = 2 * index + 1;
        if (child >= due->count) break;
        if (child + 1 < due->count && due->heap[child + 1]->at_ns < due->heap[child]->at_ns)
            child++;
        if (item->at_ns <= due->heap[child]->at_ns) break;
        due_put(due, index, due->heap[child]);
        index = child;
    }
    due_put(due, index, item);
}

void due_add(struct due *due, struct due_item *item, uint64_t at_ns) {
    REQUIRE(due->count < due->room);
    item->at_ns = at_ns;
    due_rise(due, due->count++, item);
}

void due_move(struct due *due, struct due_item *item, uint64_t at_ns) {
    item->at_ns = at_ns;
    due_rise(due, item->index, item);
    due_sink(due, item->index, item);
}

void due_remove(struct due *due, struct due_item *item) {
    uint32_t index = item->index;
    REQUIRE(index < due->count);
    REQUIRE(due->heap[index] == item);
    struct due_item *last = due->heap[--due->count];
    if (last == item) return;
    due_put(due, index, last);
    due_move(due, last, last->at_ns);
}

struct due_item *due_first(const struct due *due) {
    return due->count > 0 ? due->heap[0] : NULL;
}
