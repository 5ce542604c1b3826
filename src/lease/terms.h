/* SPDX-License-Identifier: MIT
 *
 * terms: how long do the leases of a rule last, and how long is a permit kept after its use?
 *
 * Everything that depends on clock rates is calculated here, once a rule, rounded to the safe side:
 * what a store keeps is rounded up, what a holder may do is rounded down. See terms.c. */
#ifndef WEIR_LEASE_TERMS_H
#define WEIR_LEASE_TERMS_H

#include <stdbool.h>
#include <stdint.h>

#include "limit/request.h"

enum {
    LEASE_CLOCK_ERROR_PPM_MAX = 50000, /* a twentieth; above an eighth nothing could be verified */
};

/* What is known of machines and network. 0 means: chosen from the rule and the rest. */
struct lease_options {
    uint64_t
        clock_error_ppm; /* rho: no clock is faster or slower than real time by more; a true 0 is not
                                 to be had: 0 is 1000, which covers clocks that are slewed */
    uint64_t round_trip_ns; /* a usual one to the store; 0: 5 ms */
    uint64_t nodes;         /* that ask about one user at a time; 0: 8 */
    uint64_t term_ns;       /* T */
    uint64_t margin_ns;     /* what the store's clock may run ahead in a window and a term */
    uint64_t tolerance_ns;  /* exchanges that take longer verify nothing */
    uint64_t
        contact_ns; /* every node is in contact with every shard so often; 0: a tenth of a second, less
                            for windows below 30 s */
    uint64_t idle_ns; /* who was not asked for so long gives back; 0: 0.2 s */
};

enum lease_mode {
    LEASE_MODE_BAD,   /* limit or window out of range: see `window_ns` and `limit` of struct rule */
    LEASE_MODE_NEVER, /* a limit of 0: denied, and no store is asked */
    LEASE_MODE_EACH, /* a trip a decision (callers who wait share one), and what is left goes back at once */
    LEASE_MODE_SHARE, /* permits are kept for a term and spent without asking */
};

struct lease_terms {
    enum lease_mode mode;
    uint64_t        limit;
    uint64_t        clock_error_ppm;
    uint64_t        term_us; /* T, of the store's clock */
    uint64_t        hold_us; /* H, of the store's clock */
    uint64_t        term_ns; /* of the holder's clock, from before the first send of the acquire */
    uint64_t        tolerance_ns; /* the longest exchange that verifies the store's clock */
    uint64_t        contact_ns;   /* the driver sends a shard at least an empty request so often */
    uint64_t        span_ns;      /* so long a contact with the store serves to verify later ones */
    uint64_t poll_ns; /* a denial is asked about again after so long: others may have given back */
    uint64_t
        report_ns; /* uses that no other trip told of are reported so long after they happened */
    uint64_t idle_ns;
    uint64_t retry_ns; /* resend when nothing came for so long; then twice as long, to 16 times */
    uint64_t
        loss_ppm; /* of the limit, at most, under full load, by `hold_us` exceeding the window */
};

/* Any numbers are answered: the mode says what can be promised. Writes all of *terms. */
void lease_terms_make(uint64_t limit, uint64_t window_ns, const struct lease_options *options,
                      struct lease_terms *terms);

/* The least time that has passed on the store's clock, in microseconds, when the holder's shows
 * `elapsed_ns`: elapsed * (1 - rho) / (1 + rho), rounded down. At most LEASE_NUMBER_MAX. */
uint64_t lease_terms_store_us(const struct lease_terms *terms, uint64_t elapsed_ns);

/* The most of the same: elapsed * (1 + rho) / (1 - rho). `round_up` chooses the side. */
uint64_t lease_terms_store_us_max(uint64_t clock_error_ppm, uint64_t elapsed_ns, bool round_up);

#endif
