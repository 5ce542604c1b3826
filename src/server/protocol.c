/* SPDX-License-Identifier: MIT */
#include "server/protocol.h"

#include "base/contract.h"
#include "server/resp_protocol.h"

/* RESP is the last, since it takes whatever comes: every line of text is a request in it. */
static const struct protocol *const protocols[] = {&resp_protocol};

enum { PROTOCOL_COUNT = sizeof protocols / sizeof protocols[0] };

const struct protocol *protocol_of(struct view first) {
    size_t i = 0;
    while (i < PROTOCOL_COUNT && !protocols[i]->recognises(first)) i++;
    INVARIANT(i < PROTOCOL_COUNT);
    return protocols[i];
}
