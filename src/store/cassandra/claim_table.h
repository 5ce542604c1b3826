/* SPDX-License-Identifier: MIT
 *
 * claim_table: what one process claims of each user, in as little memory as it takes.
 *
 * A claim's account has room for the busiest user (5 KB), and most have one or two leases. So accounts are
 * kept packed, and one at a time is unpacked for who works on it:
 *
 *     claim_table_lend(t, record);        -- now record->claim.account is there
 *     ... claim_serve(&record->claim, ...
 *     claim_table_take_back(t, record);   -- if anything may have changed
 *
 * One thread at a time. */
#ifndef WEIR_STORE_CASSANDRA_CLAIM_TABLE_H
#define WEIR_STORE_CASSANDRA_CLAIM_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lease/claim.h"
#include "store/net/due.h"
#include "store/store.h"

struct claim_errand_out;

struct claim_record {
    struct due_item          due;  /* first: struct due */
    struct claim_record     *next; /* of its bucket */
    struct store_name        name;
    struct claim             claim;
    struct store_trip       *waiting; /* trips that the claim cannot serve yet, in their order */
    struct store_trip       *waits_last;
    struct claim_record     *next_waiting, **link_waiting; /* who has some; NULL: it has none */
    struct claim_errand_out *out;                          /* NULL: none is out */
    struct claim_record     *next_ready;
    bool                     is_ready; /* it waits until a statement may go out */
    uint32_t                 packed_room;
    char                    *packed; /* the account; NULL: a new one */
};

struct claim_table {
    struct claim_record **buckets;
    uint32_t              mask, count, count_max;
    struct due            due;     /* all records, by when they are to be looked at next */
    struct claim_record  *waiting; /* those with trips that wait */
    struct claim_record  *ready, **ready_end;
    struct account        lent;
};

/* The first eight bytes of a name: enough to tell users apart where nothing depends on it. */
static inline uint64_t claim_name_short(const struct store_name *name) {
    uint64_t word;
    memcpy(&word, name->bytes, sizeof word);
    return word;
}

/* False: no memory. */
bool claim_table_init(struct claim_table *t, uint32_t count_max);
/* Whatever is in it is gone; trips that wait have been taken out. */
void claim_table_clear(struct claim_table *t);

/* A new one claims nothing. NULL: there are count_max, or no memory. */
struct claim_record *claim_table_find(const struct claim_table *t, const struct store_name *name);
/* One whose name begins with these eight bytes. */
struct claim_record *claim_table_find_short(const struct claim_table *t, uint64_t name);
struct claim_record *claim_table_add(struct claim_table *t, const struct store_name *name);
void                 claim_table_remove(struct claim_table *t, struct claim_record *record);
/* It claims nothing any more; trips that wait go on waiting. */
void claim_table_forget(struct claim_table *t, struct claim_record *record);

void claim_table_lend(struct claim_table *t, struct claim_record *record);
void claim_table_take_back(struct claim_table *t, struct claim_record *record);
/* Before a request is served: that what it may add can be taken back. False: no memory. */
bool claim_table_make_room(struct claim_table *t, struct claim_record *record);

/* The first to wait for a statement is the first to have one. Who is ready is not to be removed. */
void                 claim_table_queue(struct claim_table *t, struct claim_record *record);
struct claim_record *claim_table_next_ready(struct claim_table *t);

void claim_record_wait(struct claim_table *t, struct claim_record *record, struct store_trip *trip);
/* Takes all trips that wait out of it. */
struct store_trip *claim_record_stop_waiting(struct claim_record *record);

#endif
