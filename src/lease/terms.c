/* SPDX-License-Identifier: MIT
 *
 * terms: see terms.h. With rho the error of a clock's rate, W the window, T the term:
 *
 *     holder's term   T (1 - rho) / (1 + rho), counted on its own clock from before the first send.
 *                     Its clock runs at 1 - rho or faster, so in real time it ends at most
 *                     T / (1 + rho) after the grant; the store's clock runs at 1 + rho or slower and
 *                     shows at most T.
 *     hold  H         W (1 + rho) / (1 - rho) + margin. A permit that is stamped s is free again when
 *                     the store's clock shows s + H: at least H / (1 + rho) >= W of real time after
 *                     its use.
 *     span            H + 2 T + a contact: how far back holders look
 *     margin          how far the store's clock may be ahead without being found out: 4 tolerances,
 *                     8 rho of the span, and the time between two contacts. See watch.c. The span
 *                     holds the margin: margin = (4 tolerances + contact + 8 rho rest) / (1 - 8 rho)
 *
 * Rounding: a microsecond for the term, one for each of the two clock readings that make up an
 * interval, so H has 4 more.
 *
 * Leases pay if a window is many round trips and if each node can have some permits: else every
 * decision is a trip (docs/leases.md). Nothing is refused for being small: a window of a microsecond
 * is strict, and useless, and loss_ppm says so. */
#include "lease/terms.h"

#include "base/range.h"
#include "base/wide.h"
#include "lease/message.h"

#define MILLISECOND UINT64_C(1000000)
#define SECOND      UINT64_C(1000000000)

enum {
    PPM             = 1000000,
    ROUNDING_US     = 4,
    PERMITS_A_NODE  = 4,  /* fewer, and there are no leases */
    TRIPS_A_WINDOW  = 20, /* fewer, and there are no leases */
    PARTS_OF_WINDOW = 10, /* the term is one of so many */
};

/* ns to us; a * (1e6 + plus) / (1e6 - minus), or the other way round. */
static uint64_t scale_us(uint64_t ns, uint64_t times, uint64_t by, bool round_up) {
    uint128 divisor = (uint128)by * 1000;
    uint128 product = (uint128)ns * times + (round_up ? divisor - 1 : 0);
    uint128 us      = product / divisor;
    return us > LEASE_NUMBER_MAX ? LEASE_NUMBER_MAX : (uint64_t)us;
}

/* See the top. */
static uint64_t margin_for(const struct lease_options *o, uint64_t kept_ns) {
    uint64_t eight = 8 * o->clock_error_ppm;
    uint128  rest  = (uint128)kept_ns + 2 * o->term_ns + o->contact_ns;
    uint128  sum   = (uint128)(4 * o->tolerance_ns + o->contact_ns) * PPM + rest * eight;
    return (uint64_t)(sum / (PPM - eight)) + 1;
}

static struct lease_options options_complete(const struct lease_options *given,
                                             uint64_t                    window_ns) {
    struct lease_options o = *given;
    if (o.clock_error_ppm == 0) o.clock_error_ppm = 1000;
    o.clock_error_ppm = smaller(o.clock_error_ppm, LEASE_CLOCK_ERROR_PPM_MAX);
    if (o.round_trip_ns == 0) o.round_trip_ns = 5 * MILLISECOND;
    o.round_trip_ns = smaller(o.round_trip_ns, 10 * SECOND);
    if (o.nodes == 0) o.nodes = 8;
    if (o.idle_ns == 0) o.idle_ns = SECOND / 5;
    o.idle_ns = smaller(o.idle_ns, LIMIT_NOW_MAX / 4);

    if (o.term_ns == 0)
        o.term_ns = between(4 * o.round_trip_ns, window_ns / PARTS_OF_WINDOW, 2 * SECOND);
    o.term_ns = between(1000, o.term_ns, 3600 * SECOND);
    if (o.tolerance_ns == 0)
        o.tolerance_ns = larger(2 * o.round_trip_ns, smaller(window_ns / 800, SECOND / 10));
    o.tolerance_ns = smaller(o.tolerance_ns, 3600 * SECOND);
    if (o.contact_ns == 0) o.contact_ns = between(SECOND / 100, window_ns / 300, SECOND / 10);
    o.contact_ns = smaller(o.contact_ns, 3600 * SECOND);
    if (o.margin_ns == 0) {
        uint64_t kept_us =
            scale_us(window_ns, PPM + o.clock_error_ppm, PPM - o.clock_error_ppm, true);
        o.margin_ns = margin_for(&o, kept_us * 1000);
    }
    o.margin_ns = smaller(o.margin_ns, LIMIT_WINDOW_MAX);
    return o;
}

static enum lease_mode mode_for(uint64_t limit, uint64_t window_ns, const struct lease_options *o) {
    if (limit == 0) return LEASE_MODE_NEVER;
    if (limit / PERMITS_A_NODE < o->nodes) return LEASE_MODE_EACH;
    if (window_ns / TRIPS_A_WINDOW < o->round_trip_ns) return LEASE_MODE_EACH;
    return LEASE_MODE_SHARE;
}

void lease_terms_make(uint64_t limit, uint64_t window_ns, const struct lease_options *options,
                      struct lease_terms *terms) {
    *terms = (struct lease_terms){.mode = LEASE_MODE_BAD, .limit = limit};
    if (limit > LIMIT_MAX || window_ns == 0 || window_ns > LIMIT_WINDOW_MAX) return;

    struct lease_options o    = options_complete(options, window_ns);
    uint64_t             fast = PPM + o.clock_error_ppm;
    uint64_t             slow = PPM - o.clock_error_ppm;

    terms->mode            = mode_for(limit, window_ns, &o);
    terms->clock_error_ppm = o.clock_error_ppm;
    terms->term_us         = scale_us(o.term_ns, 1, 1, true);
    terms->term_ns         = (uint64_t)((uint128)o.term_ns * slow / fast);
    uint64_t kept_us       = scale_us(window_ns, fast, slow, true);
    terms->hold_us         = kept_us + scale_us(o.margin_ns, 1, 1, true) + ROUNDING_US;
    terms->tolerance_ns    = o.tolerance_ns;
    terms->contact_ns      = o.contact_ns;
    terms->span_ns         = (terms->hold_us + 2 * terms->term_us) * 1000 + o.contact_ns;
    terms->poll_ns         = between(20 * MILLISECOND, window_ns / 256, SECOND);
    terms->report_ns       = window_ns - window_ns / 8;
    terms->idle_ns         = o.idle_ns;
    terms->retry_ns        = larger(4 * o.round_trip_ns, 10 * MILLISECOND);

    uint128 window_us = scale_us(window_ns, 1, 1, false);
    terms->loss_ppm   = (uint64_t)((terms->hold_us - window_us) * PPM / terms->hold_us);
}

uint64_t lease_terms_store_us(const struct lease_terms *terms, uint64_t elapsed_ns) {
    return scale_us(elapsed_ns, PPM - terms->clock_error_ppm, PPM + terms->clock_error_ppm, false);
}

uint64_t lease_terms_store_us_max(uint64_t clock_error_ppm, uint64_t elapsed_ns, bool round_up) {
    return scale_us(elapsed_ns, PPM + clock_error_ppm, PPM - clock_error_ppm, round_up);
}
