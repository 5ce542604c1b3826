/* SPDX-License-Identifier: MIT
 *
 * gcra: is the bucket empty enough?
 *
 * The generic cell rate algorithm (ITU-T I.371) in its virtual scheduling form: one time, TAT, when
 * the bucket will have drained. A request adds cost * interval to it and passes if TAT is then at
 * most burst * interval ahead of now. Not strict: in the worst window pass the burst and
 * then one permit each interval, burst + ceil(rate * window) - 1.
 *
 *     body[0], body[1]  TAT: whole nanoseconds, and a fraction in 1/2^64
 *     fresh_at_ns       TAT rounded up
 *
 * Times are 128-bit fixed point with 64 bits of fraction, because limits reach 2^40 a microsecond,
 * where a permit is worth a billionth of a nanosecond; rounding the interval up by 2^-64 ns keeps
 * the rate below what was asked. With limit 1 the interval is the window itself, exactly. */
#include "limit/gcra.h"

#include "base/contract.h"
#include "base/wide.h"

typedef uint128 fixed_ns; /* nanoseconds with 64 bits of fraction */

enum { FRACTION_BITS = 64 };

#define TOLERANCE_MAX ((fixed_ns)1 << (62 + FRACTION_BITS))

static inline fixed_ns fixed_of(uint64_t ns) { return (fixed_ns)ns << FRACTION_BITS; }

static inline uint64_t fixed_round_up(fixed_ns t) {
    return (uint64_t)(t >> FRACTION_BITS) + ((uint64_t)t != 0);
}

static inline fixed_ns gcra_interval(uint64_t limit, uint64_t window_ns) {
    if (window_ns % limit == 0) return fixed_of(window_ns / limit);
    return (fixed_of(window_ns) + limit - 1) / limit;
}

static inline fixed_ns gcra_tat(const struct counter *c, uint64_t now_ns) {
    fixed_ns now = fixed_of(now_ns);
    fixed_ns tat = fixed_of(c->body[0]) | c->body[1];
    return now_ns < c->fresh_at_ns && tat > now ? tat : now;
}

bool gcra_rule_fits(uint64_t limit, uint64_t window_ns, uint64_t burst) {
    if (limit == 0) return true;
    return gcra_interval(limit, window_ns) <= (TOLERANCE_MAX - 1) / (burst == 0 ? 1 : burst);
}

uint64_t gcra_interval_ns(uint64_t limit, uint64_t window_ns) {
    REQUIRE(limit > 0);
    return fixed_round_up(gcra_interval(limit, window_ns));
}

static void gcra_set(struct counter *c, fixed_ns tat) {
    c->body[0]     = (uint64_t)(tat >> FRACTION_BITS);
    c->body[1]     = (uint64_t)tat;
    c->fresh_at_ns = fixed_round_up(tat);
}

void gcra_spend(struct counter *c, const struct rule *rule, uint64_t spent, uint64_t now_ns) {
    if (rule->limit == 0 || spent == 0) return;
    fixed_ns interval = gcra_interval(rule->limit, rule->window_ns);
    fixed_ns ahead = interval > (TOLERANCE_MAX - 1) / spent ? TOLERANCE_MAX - 1 : interval * spent;
    gcra_set(c, fixed_of(now_ns) + ahead);
}

bool gcra_admit(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns) {
    if (rule->limit == 0 || cost > rule->burst) return false;

    fixed_ns interval = gcra_interval(rule->limit, rule->window_ns);
    fixed_ns tat      = gcra_tat(c, now_ns) + interval * cost;
    if (tat - fixed_of(now_ns) > interval * rule->burst) return false;

    gcra_set(c, tat);
    return true;
}

/* How many whole intervals fit; 128-bit division is slow, and intervals are mostly whole. */
static inline uint64_t gcra_permits_in(fixed_ns time, fixed_ns interval) {
    if ((uint64_t)interval == 0)
        return (uint64_t)(time >> FRACTION_BITS) / (uint64_t)(interval >> FRACTION_BITS);
    return (uint64_t)(time / interval);
}

struct answer gcra_look(const struct counter *c, const struct rule *rule, uint64_t cost,
                        uint64_t now_ns) {
    struct answer answer  = {.retry_after_ns = LIMIT_NEVER};
    fixed_ns      ahead   = gcra_tat(c, now_ns) - fixed_of(now_ns);
    answer.reset_after_ns = fixed_round_up(ahead);
    if (rule->limit == 0) return answer;

    fixed_ns interval  = gcra_interval(rule->limit, rule->window_ns);
    fixed_ns tolerance = interval * rule->burst;
    if (ahead < tolerance) answer.remaining = gcra_permits_in(tolerance - ahead, interval);
    if (cost > rule->burst) return answer;

    fixed_ns needed       = ahead + interval * cost;
    answer.allowed        = needed <= tolerance;
    answer.retry_after_ns = answer.allowed ? 0 : fixed_round_up(needed - tolerance);
    return answer;
}
