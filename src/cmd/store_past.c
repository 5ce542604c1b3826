/* SPDX-License-Identifier: MIT */
#include "cmd/store_past.h"

#include <stdio.h>

#include "base/range.h"
#include "base/text.h"

#define DAY_US  UINT64_C(86400000000)
#define BACK_US UINT64_C(500000) /* nodes may turn a shard's clock back by half as much */

enum { SHORT_DAYS_MAX = 8 }; /* what any window below a week needs, with its term and its margins */

bool store_past_write(const struct lease_past *past, char out[STORE_PAST_BYTES_MAX]) {
    uint64_t short_us = past->us < SHORT_DAYS_MAX * DAY_US ? past->us : UINT64_MAX;
    uint64_t least_us = smaller(short_us, past->long_us);
    char     known[TEXT_DURATION_BYTES_MAX], more[STORE_PAST_BYTES_MAX / 2] = "";
    if (least_us == UINT64_MAX) return false;
    if (past->long_us == UINT64_MAX) {
        (void)snprintf(more, sizeof more,
                       ", but for those of a week and more, of which it knows all");
    } else if (past->long_us > least_us) {
        text_duration_write_short((int64_t)past->long_us * 1000, known);
        (void)snprintf(more, sizeof more,
                       ", but for those of a week and more, of which it knows the last %s", known);
    }
    text_duration_write_short((int64_t)least_us * 1000, known);
    (void)snprintf(out, STORE_PAST_BYTES_MAX,
                   "does not know what was granted before %s%s: limits whose windows reach further "
                   "back are denied%s",
                   least_us == 0 ? "now" : "the last ", least_us == 0 ? "" : known, more);
    return true;
}

bool store_past_is_fair(const struct lease_past *past) {
    return smaller(past->us, past->long_us) >= DAY_US;
}

static bool is_shorter(uint64_t us, uint64_t before_us) {
    return us != UINT64_MAX && (before_us == UINT64_MAX || us + BACK_US < before_us);
}

bool store_past_is_shorter(const struct lease_past *past, const struct lease_past *before) {
    if (is_shorter(past->us, before->us) || is_shorter(past->long_us, before->long_us)) return true;
    /* Who knew little may have lost it, and know more by now. Not so where a shard knew nothing: its record
     * may have been made since. */
    return before->us > 0 && past->us != UINT64_MAX && past->born_us > before->born_us;
}
