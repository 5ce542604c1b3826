/* SPDX-License-Identifier: MIT
 *
 * model_store: a store of many nodes in this process, that fails as it is told.
 *
 * lease/account.c behind a network: one thread has all accounts and clocks; each trip arrives after a
 * random time, twice, late, or never; its answer may be lost; the store may be out of reach, and it may
 * start again from nothing. What a test reads of it is read while nothing is out, or is atomic. */
#ifndef WEIR_TEST_MODEL_STORE_H
#define WEIR_TEST_MODEL_STORE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "store/store.h"

struct model_store;

struct model_options {
    uint32_t shards;       /* 0: 1 */
    uint32_t accounts_max; /* 0: 1024 */
    uint64_t delay_ns;     /* a way takes half of this to three halves; 0: 100 us */
    uint32_t lost_permille, repeated_permille, late_permille;
    bool     is_past_lost;  /* begins as a store that lost its data, and not as a new one */
    uint64_t round_trip_ns; /* what it says of itself; 0: 2 ms */
    uint64_t clamp_us;      /* 0: a second */
    bool     grants_wait;   /* as well */
    uint64_t seed;
};

struct model_store *model_open(const struct model_options *options);
void                model_close(struct model_store *m);

/* The store as nodes see it; one for all. */
struct store *model_store(struct model_store *m);

/* From now on trips of account and beats are swallowed, and told as not answered at their deadline. */
void model_cut(struct model_store *m, bool is_cut);

/* From now on what arrives waits, until it is let go. */
void model_hold(struct model_store *m, bool is_held);

/* From now on accounts are refused and beats are answered. */
void model_refuse(struct model_store *m, bool is_refused);

/* From now on this account alone is refused, or no more. NULL: none. */
void model_refuse_alone(struct model_store *m, const struct store_name *name);

/* From now on trips of this account take so much longer to arrive. */
void model_slow(struct model_store *m, const struct store_name *name, uint64_t by_ns);

/* All data is gone: accounts and clocks. */
void model_lose_all(struct model_store *m);

/* The server's clock steps by so much; less than a second forward gets through the clamp. */
void model_jump(struct model_store *m, int64_t by_us);

struct model_counts {
    uint64_t served, beats, executed, cut; /* trips of accounts; beats; executions; swallowed */
    uint64_t accounts;
    uint64_t account_served_max; /* of the account that was asked most often */
};
struct model_counts model_counts(struct model_store *m);

/* Permits that count now, of one account. */
uint64_t model_live(struct model_store *m, const struct store_name *name);

#endif
