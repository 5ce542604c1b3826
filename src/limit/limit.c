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

struct answer limit_look(const struct counter *c, const struct rule *rule, uint64_t cost,
                         uint64_t now_ns) {
    switch (rule->algorithm) {
    case ALGORITHM_GCRA: return gcra_look(c, rule, cost, now_ns);
    case ALGORITHM_FIXED: return fixed_look(c, rule->limit, rule->window_ns, cost, now_ns);
    default: return window_look(c, rule->limit, rule->window_ns, cost, now_ns);
    }
}
