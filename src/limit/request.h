/* SPDX-License-Identifier: MIT
 *
 * request: the nouns of a decision, as the pure rooms use them.
 *
 * The public weir_request and weir_decision are what callers see; these are the same after the
 * door: checked, in range, without pointers. */
#ifndef WEIR_LIMIT_REQUEST_H
#define WEIR_LIMIT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LIMIT_BITS_MAX = 40, /* limits and bursts go to 2^40 */
};

#define LIMIT_MAX (UINT64_C(1) << LIMIT_BITS_MAX)
#define LIMIT_WINDOW_MAX                                                                           \
    (UINT64_C(3650) * 86400 * 1000000000 * 11 / 10) /* 10 years and 10 % for clock error */
#define LIMIT_NOW_MAX (UINT64_C(1) << 62) /* 146 years; keeps every sum of times in 63 bits */
#define LIMIT_NEVER   UINT64_MAX

enum algorithm { ALGORITHM_STRICT = 0, ALGORITHM_GCRA = 1, ALGORITHM_FIXED = 2, ALGORITHM_COUNT };

/* What the caller wants kept. */
struct rule {
    uint64_t       limit;     /* 0 to LIMIT_MAX */
    uint64_t       window_ns; /* 1 to LIMIT_WINDOW_MAX */
    uint64_t       burst;     /* ALGORITHM_GCRA: 1 to LIMIT_MAX, and burst * window / limit below
                                 2^62 ns; else unused */
    enum algorithm algorithm;
};

/* What an algorithm says. */
struct answer {
    bool     allowed;
    uint64_t remaining;      /* permits that could be taken now, after this answer */
    uint64_t retry_after_ns; /* 0 if allowed; LIMIT_NEVER if no wait helps */
    uint64_t reset_after_ns; /* after so long the counter equals a new one */
};

#endif
