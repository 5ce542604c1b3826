/* SPDX-License-Identifier: MIT
 *
 * account: a store's side of one user under one rule. See account.c.
 *
 * This is the reference: the script of a Redis store and the statements of a Cassandra store must
 * answer as it does, and are tested beside it. Plain data, to be copied as bytes; all zeros is a new
 * one. */
#ifndef WEIR_LEASE_ACCOUNT_H
#define WEIR_LEASE_ACCOUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lease/message.h"
#include "lease/store_clock.h"

enum {
    ACCOUNT_CHARGES_MAX  = 64,  /* leases at once; what happens then: account_make_room() */
    ACCOUNT_CELLS_A_HOLD = 128, /* a hold is cut into so many cells of time */
    ACCOUNT_KEEP_PARTS = 16, /* what has aged out is kept for one of so many parts of a hold more */
    ACCOUNT_CELLS_MAX  = ACCOUNT_CELLS_A_HOLD + 16,
    ACCOUNT_FULL_RETRY_MAX = 1000000, /* us; what a holder is told who finds no room for a charge */
};

/* Permits that a lease was granted; what of them is not settled counts as used at ends_us. */
struct account_charge {
    struct lease_id id;
    uint64_t        ends_us; /* C at the grant + T: no use is later */
    uint64_t        granted;
    uint64_t        settled; /* of these, reported; at most granted */
    bool
        is_over; /* final, or all settled; stays until ends_us so that a repeated acquire finds it */
};

/* Settled permits whose stamps lie in one cell of time. */
struct account_cell {
    uint64_t latest_us; /* of their stamps */
    uint64_t count;
};

struct account {
    uint64_t era_us;  /* of the clock by which all stamps are told */
    uint64_t hold_us; /* the longest that anybody has asked with */
    uint64_t
        forgot_us; /* the latest C until which a permit would count that is not kept any more */
    uint32_t              charge_count;
    uint32_t              cell_count;
    struct account_charge charges[ACCOUNT_CHARGES_MAX]; /* ascending by ends_us */
    struct account_cell   cells[ACCOUNT_CELLS_MAX];     /* ascending by latest_us */
};

/* One atomic step of a store: does what the request asks, writes all of *reply but what the carrier
 * knows. The clock has just been stepped. The request is sound (lease_request_is_sound()). */
void account_serve(struct account *a, struct store_clock *clock, const struct lease_request *q,
                   struct lease_reply *reply);

/* Whether an acquire of this lease has been granted, and nothing of it is settled yet: so that a repeated
 * one needs no more permits. */
bool account_has_granted(const struct account *a, struct lease_id id);

/* Forgets what was used before, of what is settled; leases stay. */
void account_forget_before(struct account *a, uint64_t before_us);

/* Permits that count at C = now_us: held by somebody, or used less than the hold ago. */
uint64_t account_live(const struct account *a, uint64_t now_us);

/* What there is of an account, for whoever keeps many: its bytes; written to `out`; and read back, which
 * leaves the room behind what there is alone. */
size_t account_bytes(const struct account *a);
void   account_pack(const struct account *a, void *out);
void   account_unpack(struct account *a, const void *packed);

/* From this C on the account answers as a new one does, even if C is then rewound by a hold. Not to be
 * deleted then: if C is rewound by more, what is forgotten still counts, and account_serve() makes one of it
 * that knows until when. So it may go only when C cannot come back so far. 0 for a new one. */
uint64_t account_fresh_at_us(const struct account *a);

#endif
