/* SPDX-License-Identifier: MIT
 *
 * timers: a binary heap that knows where each number is.
 *
 * Times are only ever made earlier, and who comes too early looks again: a caller who finds permits
 * in hand thus never touches this, although each one moves the time when the holder is idle. */
#include "limiter/timers.h"

#include "base/contract.h"

size_t timers_bytes(uint32_t numbers) {
    return (size_t)numbers * (sizeof(struct timer) + sizeof(uint32_t));
}

void timers_init(struct timers *t, void *memory, uint32_t numbers) {
    struct timer *heap = memory;
    *t = (struct timers){.heap = heap, .place = (void *)(heap + numbers), .numbers = numbers};
}

static void put(struct timers *t, uint32_t at, struct timer timer) {
    t->heap[at]            = timer;
    t->place[timer.number] = at + 1;
}

static void rise(struct timers *t, uint32_t at, struct timer timer) {
    while (at > 0 && t->heap[(at - 1) / 2].due_ns > timer.due_ns) {
        put(t, at, t->heap[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    put(t, at, timer);
}

static void sink(struct timers *t, uint32_t at, struct timer timer) {
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= t->count) break;
        if (child + 1 < t->count && t->heap[child + 1].due_ns < t->heap[child].due_ns) child++;
        if (t->heap[child].due_ns >= timer.due_ns) break;
        put(t, at, t->heap[child]);
        at = child;
    }
    put(t, at, timer);
}

bool timers_hasten(struct timers *t, uint32_t number, uint64_t due_ns) {
    REQUIRE(number < t->numbers);
    uint32_t at = t->place[number];
    if (at == 0) {
        at = ++t->count;
    } else if (t->heap[at - 1].due_ns <= due_ns) {
        return false;
    }
    rise(t, at - 1, (struct timer){.due_ns = due_ns, .number = number});
    return t->heap[0].number == number;
}

uint64_t timers_next_ns(const struct timers *t) {
    return t->count == 0 ? UINT64_MAX : t->heap[0].due_ns;
}

bool timers_take(struct timers *t, uint64_t now_ns, uint32_t *number) {
    if (t->count == 0 || t->heap[0].due_ns > now_ns) return false;
    *number           = t->heap[0].number;
    t->place[*number] = 0;
    struct timer last = t->heap[--t->count];
    if (t->count > 0) sink(t, 0, last);
    return true;
}
