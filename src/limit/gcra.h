/* SPDX-License-Identifier: MIT
 *
 * gcra: a leaky bucket that remembers one time. See gcra.c. */
#ifndef WEIR_LIMIT_GCRA_H
#define WEIR_LIMIT_GCRA_H

#include "limit/counter.h"
#include "limit/request.h"

/* As window_admit() and window_look(), for `burst` permits at once and limit/window_ns after. All
 * rules may share one counter: its state is a time. */
bool gcra_admit(struct counter *c, const struct rule *rule, uint64_t cost, uint64_t now_ns);
struct answer gcra_look(const struct counter *c, const struct rule *rule, uint64_t cost,
                        uint64_t now_ns);

/* Makes the counter one that took `spent` permits just now, which may be more than the burst; as much
 * of them as the counter can express. */
void gcra_spend(struct counter *c, const struct rule *rule, uint64_t spent, uint64_t now_ns);

/* Whether burst * window / limit stays below 2^62 ns: the precondition of the two above. */
bool gcra_rule_fits(uint64_t limit, uint64_t window_ns, uint64_t burst);

/* Time between two permits at the even rate, rounded up. limit > 0. */
uint64_t gcra_interval_ns(uint64_t limit, uint64_t window_ns);

#endif
