/* SPDX-License-Identifier: MIT
 *
 * limit: may this pass, given state, rule and time? Chooses among the algorithms. */
#ifndef WEIR_LIMIT_LIMIT_H
#define WEIR_LIMIT_LIMIT_H

#include "limit/counter.h"
#include "limit/request.h"
#include "limit/window.h"

/* Takes `cost` >= 1 permits from the counter if the rule allows it. False: nothing changed. */
bool limit_admit(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns);

/* Both: takes the cost if it may, and says what the rule says after. */
void limit_decide_other(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns,
                        struct answer *answer);

static inline void limit_decide(struct counter *c, const struct rule *rule, uint64_t cost,
                                uint64_t now_ns, struct answer *answer) {
    if (rule->algorithm == ALGORITHM_STRICT) {
        window_decide(c, rule->limit, rule->window_ns, cost, now_ns, answer);
    } else {
        limit_decide_other(c, rule, cost, now_ns, answer);
    }
}

/* Makes the counter one that took `spent` permits just now; may be more than the rule's limit. */
void limit_spend(struct counter *c, const struct rule *rule, uint64_t spent, uint64_t now_ns);

/* Adds permits to what the counter has, as taken now, whether the rule has room for them or not. */
void limit_charge(struct counter *c, const struct rule *rule, uint64_t permits, uint64_t now_ns);

/* What the rule says about the counter, without changing it. cost >= 1. */
struct answer limit_look(const struct counter *c, const struct rule *rule, uint64_t cost,
                         uint64_t now_ns);

/* Whether an algorithm may have written this counter, or nobody: see window_is_sound(). */
static inline bool limit_is_sound(const struct counter *c, enum algorithm algorithm) {
    if (c->fresh_at_ns == 0) return true;
    if (c->fresh_at_ns > 2 * LIMIT_NOW_MAX) return false;
    if (algorithm == ALGORITHM_STRICT) return window_is_sound(c);
    return algorithm != ALGORITHM_GCRA || c->body[0] + (c->body[1] != 0) == c->fresh_at_ns;
}

/* Makes the counter one of which all is taken: for a window, whatever the limit, if the rule is
 * strict. */
static inline void limit_fill(struct counter *c, const struct rule *rule, uint64_t now_ns) {
    *c = (struct counter){0};
    limit_spend(c, rule, rule->algorithm == ALGORITHM_GCRA ? rule->burst : LIMIT_MAX, now_ns);
}

/* Whether the cost surely fits, as far as the counter's head alone tells: if so, it is not worth to
 * look first. */
static inline bool limit_has_room(uint64_t head, const struct rule *rule, uint64_t cost) {
    return rule->algorithm == ALGORITHM_STRICT && window_has_room(head, rule->limit, cost);
}

/* Takes the cost if that changes the counter's head alone. False: nothing changed, and
 * limit_admit() knows. */
static inline bool limit_admit_in_head(uint64_t *head, uint64_t fresh_at_ns,
                                       const struct rule *rule, uint64_t cost, uint64_t now_ns) {
    return rule->algorithm == ALGORITHM_STRICT &&
           window_admit_in_remainder(head, fresh_at_ns, rule->limit, rule->window_ns, cost, now_ns);
}

/* A new counter equals one of which nothing is remembered. */
static inline bool limit_is_fresh(const struct counter *c, uint64_t now_ns) {
    return now_ns >= c->fresh_at_ns;
}

#endif
