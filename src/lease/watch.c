/* SPDX-License-Identifier: MIT
 *
 * watch: compares each contact with all contacts of the last span, H + 2 T and a contact.
 *
 * A store's clock that ran ahead frees permits too early. Between two contacts at least
 *
 *     C - C' - (now - sent') (1 + rho) / (1 - rho)
 *
 * of its advance was not real time, where C' was read after sent' and C before now on our own clock.
 * If that is above 0, the grant is refused and the store asked to step back by it, which is always
 * safe: permits are kept longer. With offsets sent = C - sent (1 + rho) / (1 - rho), and the same for
 * now, that is
 *
 *     offset(C, now) - least offset(C', sent') of the last span
 *
 * so only the least offset need be kept: of each of 16 parts of the span, so that old ones can be
 * forgotten. A contact thus counts for a span and up to a part more.
 *
 * What this cannot see. Take a grant at a1 and one at c2 on node B, whose last contact before a1 was
 * r. Between r and c2 the clock can have run ahead by as much as two exchanges hide and clocks
 * differ: 2 tolerances and 4 rho of the span. Between a1 and c2 it ran ahead by that and by what it
 * was behind at a1: stood still since r (absorbed jumps), less than the time between two contacts; or
 * was rewound by another node, which sees as sharply as B: 2 tolerances and 4 rho again. The margin
 * in H is the sum. Slow exchanges are therefore neither believed nor kept. A node does not see what
 * happened before its first contact: for one span after its start it trusts the store. And if it had
 * no fine contact for longer, it does not see whether the clock stood still and then made up for it.
 *
 * Rewinds leave the offsets as they are, since the store is then where they say that it should be. A
 * clock that began anew (another era) is another clock. */
#include "lease/watch.h"

#include "base/contract.h"
#include "lease/terms.h"

enum { ROUNDING_US = 2 };

static inline uint64_t watch_part(const struct watch *w, uint64_t now_ns) {
    return now_ns / (w->span_ns / WATCH_PARTS + 1);
}

static void watch_advance(struct watch *w, uint64_t part) {
    if (part <= w->newest_part) return;
    uint64_t steps = part - w->newest_part;
    if (steps > WATCH_PARTS + 1) steps = WATCH_PARTS + 1;
    while (steps-- > 0) w->is_seen[(part - steps) % (WATCH_PARTS + 1)] = false;
    w->newest_part = part;
}

void watch_begin(struct watch *w, uint64_t clock_error_ppm, uint64_t span_ns,
                 uint64_t tolerance_ns) {
    REQUIRE(clock_error_ppm <= LEASE_CLOCK_ERROR_PPM_MAX);
    *w = (struct watch){
        .span_ns = span_ns, .tolerance_ns = tolerance_ns, .clock_error_ppm = clock_error_ppm};
}

/* How far the store was ahead of us, by a clock of ours that began at 0. */
static int64_t watch_offset(const struct watch *w, uint64_t store_us, uint64_t own_ns,
                            bool round_up) {
    return (int64_t)store_us -
           (int64_t)lease_terms_store_us_max(w->clock_error_ppm, own_ns, round_up);
}

enum watch_verdict watch_take(struct watch *w, const struct lease_reply *reply, uint64_t now_ns,
                              uint64_t *ahead_us) {
    REQUIRE(reply->sent_ns <= now_ns);
    REQUIRE(now_ns < LIMIT_NOW_MAX);
    *ahead_us = 0;
    if (reply->era_us != w->era_us) {
        watch_begin(w, w->clock_error_ppm, w->span_ns, w->tolerance_ns);
        w->era_us = reply->era_us;
    }
    watch_advance(w, watch_part(w, now_ns));

    int64_t here_us = watch_offset(w, reply->store_us, now_ns, true) - ROUNDING_US;
    for (uint32_t i = 0; i <= WATCH_PARTS; i++) {
        if (!w->is_seen[i] || here_us <= w->least_us[i]) continue;
        uint64_t by_us = (uint64_t)(here_us - w->least_us[i]);
        if (by_us > *ahead_us) *ahead_us = by_us;
    }
    if (*ahead_us > 0) return WATCH_AHEAD;
    if (now_ns - reply->sent_ns > w->tolerance_ns) return WATCH_SLOW;

    uint32_t part     = (uint32_t)(w->newest_part % (WATCH_PARTS + 1));
    int64_t  there_us = watch_offset(w, reply->store_us, reply->sent_ns, false);
    if (!w->is_seen[part] || there_us < w->least_us[part]) w->least_us[part] = there_us;
    w->is_seen[part] = true;
    return WATCH_FINE;
}
