/* SPDX-License-Identifier: MIT
 *
 * store_clock: what time is it, for a store whose machine's clock may jump?
 *
 * C, the clock of a shard, is part of the shard's data and is replicated with it: it advances by what
 * the server's clock advanced since the last step, but only if that is plausible. A step back and a
 * step of more than `clamp` are absorbed: C stands still for this one step. So a failover to a server
 * with another time is such a step. A step forward that is smaller than the clamp gets through;
 * holders find it (watch.h) and ask for a rewind. Absorbing is better than cutting to the clamp: the
 * simulator convicts the latter.
 *
 * C loses time if nobody steps it for longer than the clamp: whoever has users on a shard sends it a
 * request every clamp / 2. A C that is late keeps permits too long and never too short.
 *
 * A shard that has no clock has lost its past: whatever was granted may be in use until T + H later,
 * so nothing is granted before. `born_us` says when that was. The same if a holder has seen a grant
 * that the shard does not know of: `grants` counts them.
 *
 * Times are microseconds below 2^53; generation and grants count up and stay below it, too. */
#ifndef WEIR_LEASE_STORE_CLOCK_H
#define WEIR_LEASE_STORE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct store_clock {
    bool     is_known;  /* false: all else means nothing, the shard's record is not there */
    bool     is_virgin; /* nothing was granted before born_us, so there is nothing to wait for */
    uint64_t now_us;    /* C */
    uint64_t server_us; /* the server's clock at the last step */
    uint64_t era_us;    /* the server's clock when this clock began: names it */
    uint64_t born_us;   /* C when the past was lost */
    uint64_t generation;
    uint64_t grants;
};

/* A new shard's clock. Only whoever sets up a shard for the first time may say that it is virgin. */
void store_clock_begin(struct store_clock *c, uint64_t server_us, bool is_virgin);

/* Steps the clock to the server's, and returns C. Begins one, with the past lost, if there is none.
 * clamp_us > 0; server_us to LEASE_NUMBER_MAX / 2. */
uint64_t store_clock_step(struct store_clock *c, uint64_t server_us, uint64_t clamp_us);

/* Steps C back by `by_us` (not below 0), if no other rewind came since `generation` was seen. */
void store_clock_rewind(struct store_clock *c, uint64_t generation, uint64_t by_us);

/* A holder was told of so many replicated grants in an era, 0: in none. If the shard knows of fewer, or of no
 * era so late (it went back to a copy from before that began), or has it that none was before its own, the
 * past is lost. */
void store_clock_compare(struct store_clock *c, uint64_t era_us, uint64_t grants);

/* How long nothing may be granted yet, with the term and the hold of a rule; 0: it may. */
uint64_t store_clock_wait_us(const struct store_clock *c, uint64_t term_us, uint64_t hold_us);

#endif
