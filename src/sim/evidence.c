/* SPDX-License-Identifier: MIT */
#include "sim/evidence.h"

#include <stdlib.h>

#include "base/contract.h"

enum { ROOM_MIN = 1024 };

static void *grow(void *items, size_t *room, size_t item_bytes) {
    *room      = *room == 0 ? ROOM_MIN : 2 * *room;
    void *more = realloc(items, *room * item_bytes);
    REQUIRE(more != NULL);
    return more;
}

void evidence_clear(struct evidence *e) {
    free(e->requests);
    free(e->admissions);
    free(e->resets);
    *e = (struct evidence){0};
}

size_t evidence_come(struct evidence *e, uint64_t now_ns, uint32_t node, uint64_t cost) {
    if (e->request_count == e->request_room)
        e->requests = grow(e->requests, &e->request_room, sizeof *e->requests);
    e->requests[e->request_count] =
        (struct evidence_request){.at_ns = now_ns, .cost = cost, .node = node};
    return e->request_count++;
}

void evidence_admit(struct evidence *e, uint64_t now_ns, size_t request, uint64_t cost) {
    if (request != SIZE_MAX) {
        struct evidence_request *r = &e->requests[request];
        r->is_admitted             = true;
        r->waited_ns               = now_ns - r->at_ns;
    }
    if (e->admission_count == e->admission_room)
        e->admissions = grow(e->admissions, &e->admission_room, sizeof *e->admissions);
    e->admissions[e->admission_count++] =
        (struct evidence_admission){.at_ns = now_ns, .cost = cost};
}

size_t evidence_reset(struct evidence *e, uint64_t now_ns) {
    if (e->reset_count == e->reset_room)
        e->resets = grow(e->resets, &e->reset_room, sizeof *e->resets);
    e->resets[e->reset_count] = (struct evidence_reset){now_ns, UINT64_MAX};
    return e->reset_count++;
}

void evidence_reset_told(struct evidence *e, uint64_t now_ns, size_t reset) {
    e->resets[reset].told_ns = now_ns;
}
