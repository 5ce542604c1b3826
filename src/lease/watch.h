/* SPDX-License-Identifier: MIT
 *
 * watch: did the store's clock run ahead of mine? See watch.c. One for each shard that a node talks
 * to. */
#ifndef WEIR_LEASE_WATCH_H
#define WEIR_LEASE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "lease/message.h"

enum { WATCH_PARTS = 16 };

struct watch {
    uint64_t span_ns, tolerance_ns;
    uint64_t clock_error_ppm;
    uint64_t era_us;
    uint64_t newest_part; /* own time / (span / WATCH_PARTS), of the newest contact */
    bool     is_seen[WATCH_PARTS + 1];
    int64_t  least_us[WATCH_PARTS + 1]; /* of the contacts of a part: how far the store was ahead */
};

enum watch_verdict {
    WATCH_FINE,
    WATCH_SLOW,  /* the exchange took too long to tell */
    WATCH_AHEAD, /* *ahead_us: so far at least */
};

/* `span_ns` is the longest of all rules that the watch serves, `tolerance_ns` the shortest: it is in the
 * margin of each. */
void watch_begin(struct watch *w, uint64_t clock_error_ppm, uint64_t span_ns,
                 uint64_t tolerance_ns);

/* Judges by an exchange that was sent at `sent_ns`, answered at `now_ns` (own clock), with the
 * store's clock in the reply; and keeps it as a contact if it is fine. A permit of a reply that is
 * not fine must not be used. */
enum watch_verdict watch_take(struct watch *w, const struct lease_reply *reply, uint64_t now_ns,
                              uint64_t *ahead_us);

#endif
