/* SPDX-License-Identifier: MIT */
#include "model/draw.h"

static uint64_t draw_any_limit(struct random *r);

uint64_t draw_limit(struct random *r) {
    uint64_t limit = draw_any_limit(r);
    if (limit < 1) return 1;
    return limit > LIMIT_MAX ? LIMIT_MAX : limit;
}

static uint64_t draw_any_limit(struct random *r) {
    switch (random_below(r, 8)) {
    case 0: return random_between(r, 1, 4);
    case 1: return random_between(r, 1, 400);
    case 2: return draw_beside(r, 160 * random_between(r, 1, 4), 2);
    case 3: { /* 2^k and what is beside it */
        uint64_t power = UINT64_C(1) << random_between(r, 0, LIMIT_BITS_MAX);
        return draw_beside(r, power, 1);
    }
    case 4: { /* a multiple of 160 and what is beside it, where the quantum steps */
        return draw_beside(r, 160 * draw_log_uniform(r, LIMIT_MAX / 160), 1);
    }
    case 5: return LIMIT_MAX - random_below(r, 3);
    default: return draw_log_uniform(r, LIMIT_MAX);
    }
}

uint64_t draw_window_ns(struct random *r) {
    uint64_t window_ns = 0;
    switch (random_below(r, 8)) {
    case 0:
        window_ns = random_between(r, 1, 2000);
        break; /* below a microsecond: replays of ticks */
    case 1: window_ns = UINT64_C(1000) * draw_log_uniform(r, 1000); break;
    case 2: window_ns = LIMIT_WINDOW_MAX - random_below(r, 3); break;
    case 3: window_ns = draw_beside(r, UINT64_C(1) << random_between(r, 10, 58), 1); break;
    case 4: window_ns = UINT64_C(1000000000) * draw_log_uniform(r, UINT64_C(3650) * 86400); break;
    default: window_ns = 1000 + draw_log_uniform(r, LIMIT_WINDOW_MAX - 1000); break;
    }
    return window_ns > LIMIT_WINDOW_MAX ? LIMIT_WINDOW_MAX : window_ns;
}

uint64_t draw_start_ns(struct random *r, uint64_t window_ns) {
    switch (random_below(r, 6)) {
    case 0: return 0;
    case 1: return random_below(r, 4);
    case 2: return draw_beside(r, window_ns, 2);
    case 3: return LIMIT_NOW_MAX - draw_log_uniform(r, 12 * window_ns);
    default: return random_below(r, LIMIT_NOW_MAX);
    }
}
