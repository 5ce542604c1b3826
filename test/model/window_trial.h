/* SPDX-License-Identifier: MIT
 *
 * window_trial: does limit/window.c keep its word at each single decision?
 *
 * One counter, and beside it the exact log of what it admitted. Every step asks both and compares
 * all that was promised:
 *
 *     strict      everything admitted in (t - W, t], this admission included, is at most its limit
 *     useful      a denial of n means that more than L - (q-1) - n was admitted in (t - W - g, t],
 *                 where g and q add up over the grids that the counter went through meanwhile: it
 *                 is cut anew when a limit comes that is finer than its grid, or too large for it
 *     exact       retry_after passes and one nanosecond earlier does not; `remaining` passes and one
 *                 more does not; after reset_after the counter answers as a new one does
 *     harmless    looking and being denied change no byte; the storer's 11 bits stay as they are;
 *                 fresh_at_ns never decreases
 *
 * A step that comes in late (its time is before that of an admission) is judged as if it came at the
 * newest admission: no earlier instant is possible for it. How late it is may cost it up to one cell
 * more. */
#ifndef WEIR_TEST_WINDOW_TRIAL_H
#define WEIR_TEST_WINDOW_TRIAL_H

#include <stdbool.h>

#include "limit/window.h"
#include "model/exact_log.h"
#include "model/program.h"

enum { WINDOW_TRIAL_RECODES_MAX = 64 };

/* The counter left a grid for another, or may have. */
struct window_recode {
    uint64_t at_ns;
    uint64_t cell_ns; /* of the grid that was left */
    uint64_t quantum;
};

struct window_trial {
    uint64_t             window_ns;
    struct counter       counter;
    struct exact_log     log;
    struct window_grid   grid; /* that the counter is drawn on, or the coarsest that it may be */
    struct window_recode recodes[WINDOW_TRIAL_RECODES_MAX]; /* a ring, newest last */
    uint64_t             recode_count;                      /* since the counter was fresh */
    uint64_t doubtful_from;       /* from this recode on: whether and when is not certain ... */
    uint64_t doubtful_room;       /* ... as long as so much and no more may be live */
    uint64_t doubtful_least_room; /* the same of the finest grid that the counter may still have */
    bool     is_doubtful;
    bool     judges_only_promises; /* by WEIR_MODEL_JUDGE=promise: to judge the judges */
    uint64_t forgotten;            /* permits admitted before the counter was last fresh */

    uint64_t      steps, admissions, denials, retries;
    bool          allowed;                        /* the last step */
    struct answer look;                           /* the last step, before it */
    char          failure[PROGRAM_FAILURE_BYTES]; /* "" while all is well */
};

/* `head_top` gives the 11 bits that belong to the counter's storer. */
void window_trial_begin(struct window_trial *trial, uint64_t window_ns, uint64_t head_top);
void window_trial_end(struct window_trial *trial);

/* Takes one step. False: something was broken, see failure. */
bool window_trial_step(struct window_trial *trial, struct program_step step);

/* The time at which a step at now_ns counts: never before an admission. */
uint64_t window_trial_instant_ns(const struct window_trial *trial, uint64_t now_ns);

#endif
