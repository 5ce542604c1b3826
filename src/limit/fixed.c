/* SPDX-License-Identifier: MIT
 *
 * fixed: how many in this window of the calendar?
 *
 * Windows begin at multiples of their length on the limiter's clock. Not strict: a full window's
 * worth at the end of one and another at the start of the next are twice the limit within one
 * length. Kept because many people know it and some contracts are written so.
 *
 *     body[0]      permits taken in the window
 *     fresh_at_ns  end of the window */
#include "limit/fixed.h"

bool fixed_admit(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                 uint64_t now_ns) {
    if (cost > limit) return false;

    if (now_ns >= c->fresh_at_ns) {
        fixed_spend(c, window_ns, cost, now_ns);
        return true;
    }
    if (c->body[0] > limit - cost) return false;
    c->body[0] += cost;
    return true;
}

void fixed_spend(struct counter *c, uint64_t window_ns, uint64_t spent, uint64_t now_ns) {
    c->body[0]     = spent;
    c->fresh_at_ns = (now_ns / window_ns + 1) * window_ns;
}

struct answer fixed_look(const struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                         uint64_t now_ns) {
    (void)window_ns;
    bool     is_fresh = now_ns >= c->fresh_at_ns;
    uint64_t used     = is_fresh ? 0 : c->body[0];

    struct answer answer  = {.remaining = used < limit ? limit - used : 0};
    answer.reset_after_ns = is_fresh ? 0 : c->fresh_at_ns - now_ns;
    answer.allowed        = cost <= answer.remaining;
    if (!answer.allowed) answer.retry_after_ns = cost > limit ? LIMIT_NEVER : answer.reset_after_ns;
    return answer;
}
