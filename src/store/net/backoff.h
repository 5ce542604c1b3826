/* SPDX-License-Identifier: MIT
 *
 * backoff: how long until the next attempt?
 *
 * Full jitter (Brooker, "Exponential backoff and jitter", 2015): evenly between a millisecond and a bound
 * that doubles with each failure. So a thousand clients that lost a server at one instant do not come
 * back at one instant, and the first attempt of a lone one is soon. */
#ifndef WEIR_STORE_NET_BACKOFF_H
#define WEIR_STORE_NET_BACKOFF_H

#include <stdint.h>

#include "base/random.h"

#define BACKOFF_NS_MIN   UINT64_C(1000000)
#define BACKOFF_NS_FIRST UINT64_C(10000000)
#define BACKOFF_NS_MAX   UINT64_C(2000000000)

/* `failures` in a row, at least 1. */
static inline uint64_t backoff_ns(struct random *random, unsigned failures) {
    unsigned doublings = failures < 9 ? failures - 1 : 8;
    uint64_t bound     = BACKOFF_NS_FIRST << doublings;
    if (bound > BACKOFF_NS_MAX) bound = BACKOFF_NS_MAX;
    return random_between(random, BACKOFF_NS_MIN, bound);
}

#endif
