/* SPDX-License-Identifier: MIT
 *
 * pace: a window on what is out.
 *
 * A store that is asked for more than it can do answers everything too late, and what was in vain is asked
 * for again: without a bound a fleet that asks too much decides nothing at all, and goes on so when the crowd
 * has gone. So there is a window as TCP has one (Jacobson, "Congestion avoidance and control", SIGCOMM 1988):
 * it grows by one for each window that was full and answered, and is halved for answers that did not come in
 * time, once for all that were out together. Near to where it was halved last it grows more slowly, so that
 * it stays there for longer (as CUBIC does: Ha, Rhee and Xu, 2008). What made it small may be over before it
 * is full again: below what it begins with it is doubled after each second in which it was not halved. */
#include "base/pace.h"

#include "base/range.h"

void pace_begin(struct pace *p, bool is_eager) {
    *p = (struct pace){.window = PACE_FIRST, .is_eager = is_eager};
}

/* Within a quarter of it. */
static bool pace_is_near(const struct pace *p) {
    uint32_t quarter = p->halved / 4;
    return p->window >= 3 * quarter && p->window <= p->halved + quarter;
}

static void pace_halve(struct pace *p, uint64_t now_ns) {
    p->halved    = p->window;
    p->window    = (uint32_t)larger(1, p->window / 2);
    p->halved_ns = now_ns;
    p->answered  = 0;
}

static void pace_heal(struct pace *p, uint64_t now_ns) {
    if (p->window >= PACE_FIRST || now_ns < p->halved_ns + PACE_HEAL_NS) return;
    p->window    = (uint32_t)smaller(PACE_FIRST, 2 * p->window);
    p->halved_ns = now_ns;
    p->answered  = 0;
}

/* So many must be answered while it is full before it grows. */
static uint32_t pace_step(const struct pace *p) {
    if (p->is_eager && p->halved == 0) return 1;
    return p->window * (pace_is_near(p) ? PACE_NEAR_WINDOWS : 1);
}

void pace_end(struct pace *p, bool is_in_time, uint64_t sent_ns, uint64_t now_ns) {
    bool was_full = p->out >= p->window;
    p->out--;
    if (!is_in_time) {
        if (sent_ns >= p->halved_ns) pace_halve(p, now_ns);
        return;
    }
    pace_heal(p, now_ns);
    if (!was_full || ++p->answered < pace_step(p)) return;
    p->window   = (uint32_t)smaller(PACE_MOST, p->window + 1);
    p->answered = 0;
}
