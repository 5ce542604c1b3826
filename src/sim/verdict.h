/* SPDX-License-Identifier: MIT
 *
 * verdict: what the judges say of a run. See verdict.c. */
#ifndef WEIR_SIM_VERDICT_H
#define WEIR_SIM_VERDICT_H

#include "sim/evidence.h"
#include "sim/scenario.h"

enum { VERDICT_BYTES_MAX = 160 };

struct verdict {
    bool     is_convicted;
    char     reason[VERDICT_BYTES_MAX]; /* of the first judge that convicts; else empty */
    uint64_t fullest;                   /* most permits in any window */
    uint64_t use_permille;              /* of what an ideal log admits; 1000 if nothing came */
    uint64_t repair_permille;           /* the same after healing; 1000 if there is no such time */
    uint64_t trips_permille;            /* trips a request, in thousandths */
    uint64_t admitted;
};

/* `repaired_ns`: from then on the traces of faults must be gone; 0: there were none to repair. */
void verdict_of(const struct evidence *e, const struct scenario *s, uint64_t repaired_ns,
                struct verdict *v);

#endif
