/* SPDX-License-Identifier: MIT
 *
 * patience: is a peer's silence its own, or was it this process that slept?
 *
 * A process that is stopped, or a machine that is, finds its timers run out when it wakes, before it has
 * read what arrived meanwhile, or sent what the peer is to answer. So the first look at a silence that is
 * too long ends nothing: what is there is read first. And if that look comes late, which is how one knows
 * that one slept, the peer has its whole span once more. */
#ifndef WEIR_STORE_NET_PATIENCE_H
#define WEIR_STORE_NET_PATIENCE_H

#include <stdbool.h>
#include <stdint.h>

enum { PATIENCE_LATE_PART = 32 }; /* of the span: later than that is late */

struct patience {
    uint64_t since_ns;  /* of the silence that was looked at; another one has its own look */
    uint64_t excuse_ns; /* added to its span */
};

/* When a silence since `since_ns` that may last `span_ns` is to be looked at. */
static inline uint64_t patience_end_ns(const struct patience *patience, uint64_t since_ns,
                                       uint64_t span_ns) {
    return since_ns + span_ns + (patience->since_ns == since_ns ? patience->excuse_ns : 0);
}

/* That look, at `now_ns`, not before patience_end_ns(). True: the peer is given up. False: read what is
 * there, and look again at the new end. */
static inline bool patience_is_over(struct patience *patience, uint64_t since_ns, uint64_t span_ns,
                                    uint64_t now_ns) {
    if (patience->since_ns == since_ns) return true;
    uint64_t late_ns = now_ns - since_ns - span_ns;
    bool     is_late = late_ns > span_ns / PATIENCE_LATE_PART;
    *patience =
        (struct patience){.since_ns = since_ns, .excuse_ns = is_late ? late_ns + span_ns : late_ns};
    return false;
}

#endif
