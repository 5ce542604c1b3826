/* SPDX-License-Identifier: MIT
 *
 * fixed: windows at multiples of their length. See fixed.c. */
#ifndef WEIR_LIMIT_FIXED_H
#define WEIR_LIMIT_FIXED_H

#include "limit/counter.h"
#include "limit/request.h"

/* As window_admit(), window_spend() and window_look(), counting in windows that begin at multiples of
 * window_ns. */
bool          fixed_admit(struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                          uint64_t now_ns);
void          fixed_spend(struct counter *c, uint64_t window_ns, uint64_t spent, uint64_t now_ns);
struct answer fixed_look(const struct counter *c, uint64_t limit, uint64_t window_ns, uint64_t cost,
                         uint64_t now_ns);

#endif
