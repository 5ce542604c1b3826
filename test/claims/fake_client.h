/* SPDX-License-Identifier: MIT
 *
 * fake_client: Cassandra's client, the clock and the entropy, as a test wants them.
 *
 * Stands in for cassandra.c, os/clock.c and os/entropy.c. There is no thread and no server: the test takes
 * the client's turns. What is submitted stays out until the test ends it: done, on two tables that are kept
 * here, or failed. It may be done and fail, as on a server whose answer is lost. Time passes when the test
 * says so. */
#ifndef WEIR_TEST_FAKE_CLIENT_H
#define WEIR_TEST_FAKE_CLIENT_H

#include "lease/members.h"
#include "store/cassandra/cassandra.h"
#include "store/store.h"

enum {
    FAKE_OUT_MAX     = 512,
    FAKE_ROWS_MAX    = 256,
    FAKE_MEMBERS_MAX = 2100,
};

enum fake_kind {
    FAKE_WRITE,
    FAKE_READ,
    FAKE_JOIN,
    FAKE_BEAT,
    FAKE_LOOK,
    FAKE_FENCE,
    FAKE_DATE,
    FAKE_KINDS
};

/* A statement that is out, and what it says; 0 what it does not. */
struct fake_errand {
    enum fake_kind       kind;
    struct store_name    name;
    uint64_t             id, number; /* of a row's writes; of a member's beats */
    uint64_t             permits, demand, resets;
    int32_t              ttl_s, keep_s, fenced_for_s;
    struct shortage_list shortages;
    bool                 has_timestamp, skips_columns;
    int64_t              timestamp_us;
    uint64_t             deadline_ns;
    cassandra_done_fn    done;
    void                *context;
};

struct fake_row {
    struct store_name name;
    uint64_t          id, number, permits, demand, resets;
};

struct fake_member {
    uint64_t             id, beat;
    bool                 is_fenced;
    int32_t              keep_s, fenced_for_s;
    struct shortage_list shortages;
};

struct fake_client {
    uint64_t now_ns, wall_ns;
    uint64_t tick_ns;      /* by so much each look at the clock moves it */
    uint64_t next_id;      /* what the entropy names a process next */
    bool     has_entropy;  /* or it fails */
    bool     is_full;      /* nothing that is submitted is taken */
    bool     is_forked;    /* this process is a child of the one that opened the client */
    void (*on_wake)(void); /* NULL: nothing happens before the next turn */

    unsigned           opens;
    unsigned           out_count;
    struct fake_errand out[FAKE_OUT_MAX]; /* the oldest first */
    unsigned           row_count, member_count;
    struct fake_row    rows[FAKE_ROWS_MAX];
    struct fake_member members[FAKE_MEMBERS_MAX];
};

extern struct fake_client fake;

void fake_begin(void);

/* A turn of the client. Returns when it wants the next. */
uint64_t fake_turn(void);
void     fake_pass(uint64_t ns);

/* The oldest that is out; one must be. It is gone when the next one ends. */
struct fake_errand *fake_find(enum fake_kind kind);
unsigned            fake_count(enum fake_kind kind);

/* On the tables; nobody is told. */
void fake_do(const struct fake_errand *errand);
/* The same, and the answer comes; which is not later than its deadline. */
void fake_answer(struct fake_errand *errand);
/* It ends and is not done here. `error` of enum cql_error_code, or -1. */
void fake_fail(struct fake_errand *errand, enum cassandra_status status, enum fate fate,
               int32_t error);

struct fake_member *fake_member(uint64_t id); /* which is there */
/* Which did nothing but begin. */
struct fake_member *fake_member_add(uint64_t id);

#endif
