/* SPDX-License-Identifier: MIT */
#include "limit/limit.h"

#include "limit/fixed.h"
#include "limit/gcra.h"

bool limit_admit(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns) {
    switch (rule->algorithm) {
    case ALGORITHM_GCRA: return gcra_admit(c, rule, cost, now_ns);
    case ALGORITHM_FIXED: return fixed_admit(c, rule->limit, rule->window_ns, cost, now_ns);
    default: return window_admit(c, rule->limit, rule->window_ns, cost, now_ns);
    }
}

void limit_decide_other(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns,
                        struct answer *answer) {
    bool admitted = limit_admit(c, rule, cost, now_ns);
    *answer       = limit_look(c, rule, cost, now_ns);
    if (admitted) {
        answer->allowed        = true;
        answer->retry_after_ns = 0;
    }
}

void limit_spend(struct counter *c, const struct rule *rule, uint64_t spent, uint64_t now_ns) {
    uint64_t limit = spent > rule->limit ? spent : rule->limit;
    switch (rule->algorithm) {
    case ALGORITHM_GCRA: gcra_spend(c, rule, spent, now_ns); break;
    case ALGORITHM_FIXED: fixed_spend(c, rule->window_ns, spent, now_ns); break;
    default: window_spend(c, limit, rule->window_ns, spent, now_ns); break;
    }
}

/* With a limit that has room for all, a window takes them as ever. */
static void charge_window(struct counter *c, const struct rule *rule, uint64_t permits,
                          uint64_t now_ns) {
    struct answer a     = window_look(c, LIMIT_MAX, rule->window_ns, 1, now_ns);
    uint64_t      used  = LIMIT_MAX - a.remaining;
    uint64_t      limit = permits < a.remaining ? used + permits : LIMIT_MAX;
    if (limit == LIMIT_MAX) {
        window_spend(c, LIMIT_MAX, rule->window_ns, LIMIT_MAX, now_ns);
    } else {
        (void)window_admit(c, limit > rule->limit ? limit : rule->limit, rule->window_ns, permits,
                           now_ns);
    }
}

void limit_charge(struct counter *c, const struct rule *rule, uint64_t permits, uint64_t now_ns) {
    bool is_fresh = limit_is_fresh(c, now_ns);
    if (is_fresh) {
        limit_spend(c, rule, permits, now_ns);
    } else if (rule->algorithm == ALGORITHM_GCRA) {
        gcra_spend(c, rule, permits, c->fresh_at_ns);
    } else if (rule->algorithm == ALGORITHM_FIXED) {
        c->body[0] += permits < LIMIT_MAX ? permits : LIMIT_MAX;
    } else {
        charge_window(c, rule, permits, now_ns);
    }
}

struct answer limit_look(const struct counter *c, const struct rule *rule, uint64_t cost,
                         uint64_t now_ns) {
    switch (rule->algorithm) {
    case ALGORITHM_GCRA: return gcra_look(c, rule, cost, now_ns);
    case ALGORITHM_FIXED: return fixed_look(c, rule->limit, rule->window_ns, cost, now_ns);
    default: return window_look(c, rule->limit, rule->window_ns, cost, now_ns);
    }
}
