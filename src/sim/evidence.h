/* SPDX-License-Identifier: MIT
 *
 * evidence: what happened, in real time, and nothing of how. All that judges see. */
#ifndef WEIR_SIM_EVIDENCE_H
#define WEIR_SIM_EVIDENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct evidence_request {
    uint64_t at_ns; /* when the caller came */
    uint64_t cost;
    uint32_t node;
    bool     is_admitted;
    uint64_t waited_ns; /* until then */
    bool     is_ideal;  /* the judges: an ideal log would have admitted it */
};

struct evidence_admission {
    uint64_t at_ns; /* when it was decided; ascends */
    uint64_t cost;
};

/* Somebody asked that all that was used be forgotten. */
struct evidence_reset {
    uint64_t begun_ns; /* ascends */
    uint64_t told_ns; /* when it was told to be done; UINT64_MAX: it was not, and may be done yet */
};

struct evidence {
    struct evidence_request   *requests; /* ascend by at_ns */
    size_t                     request_count, request_room;
    struct evidence_admission *admissions;
    size_t                     admission_count, admission_room;
    struct evidence_reset     *resets;
    size_t                     reset_count, reset_room;
    uint64_t                   trips;   /* requests that nodes sent to the store, but for beats */
    uint64_t                   updates; /* of these, conditional ones */
    uint64_t                   beats;
};

void evidence_clear(struct evidence *e);

/* A caller comes; returns the request's number. */
size_t evidence_come(struct evidence *e, uint64_t now_ns, uint32_t node, uint64_t cost);

/* Permits are taken: by the caller `request`, or by nobody in particular (SIZE_MAX). */
void evidence_admit(struct evidence *e, uint64_t now_ns, size_t request, uint64_t cost);

/* Returns the reset's number. */
size_t evidence_reset(struct evidence *e, uint64_t now_ns);
void   evidence_reset_told(struct evidence *e, uint64_t now_ns, size_t reset);

#endif
