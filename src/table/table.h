/* SPDX-License-Identifier: MIT
 *
 * table: where is a user's counter, who may touch it, who leaves? See table.c. */
#ifndef WEIR_TABLE_TABLE_H
#define WEIR_TABLE_TABLE_H

#include <stddef.h>

#include "limit/request.h"

struct table;
struct line;

enum {
    TABLE_FETCH_MAX  = 16, /* questions that table_fetch() takes */
    TABLE_JOINT_MAX  = 64, /* questions that table_decide_joint() takes */
    TABLE_USER_BYTES = 79, /* the most that a user takes in a table that has grown: 1024 bytes for
                              fifteen lines that are 92 % full, and a sixteenth more */
};

struct table_options {
    uint64_t users_max;           /* > 0; never more counters than this */
    void (*yield)(unsigned turn); /* lets others run while one of them holds a lock; turn counts
                                     from 0 in each wait */
};

/* One question: may this counter take so much? `hash` names the counter; two users with equal
 * hashes share one. */
struct table_question {
    uint64_t    hash;
    struct rule rule;
    uint64_t    cost; /* 0: look as if for 1 */
};

struct table_answer {
    struct answer answer;
    bool          overflowed; /* decided on a counter shared with others, for lack of room */
};

struct table_counts {
    uint64_t users;
    uint64_t users_forgotten;
    uint64_t overflowed;
    uint64_t memory_bytes; /* that the table may touch at its present size */
};

/* Bytes of address space that a table needs; what it touches grows with its users. 0: too many. */
size_t table_bytes(uint64_t users_max);

/* Makes a table in `memory`: table_bytes() of zeros, aligned to 4096. Nothing else is allocated, and
 * there is nothing to clear: the memory is the table. */
struct table *table_init(void *memory, const struct table_options *options);

/* True: the question's cost was taken. For questions of cost > 0.
 *
 * `hint` remembers where this hash was found last, and may be kept as long as the table lives: a line
 * that belongs to somebody else by now is noticed. It points to NULL at first. */
bool table_allow(struct table *t, const struct table_question *q, uint64_t now_ns,
                 struct line **hint);

/* Decides and says all about it. */
void table_decide(struct table *t, const struct table_question *q, uint64_t now_ns,
                  struct line **hint, struct table_answer *a);

/* Two steps ahead of table_decide(), so that its memory is there by then: first for the hash alone, and
 * some work later for up to TABLE_FETCH_MAX questions, which finds their hints. */
void table_prefetch(struct table *t, uint64_t hash);
void table_fetch(struct table *t, const struct table_question *q, size_t count, struct line **hint);

/* All or nothing, up to TABLE_JOINT_MAX at one instant; true: all were taken. */
bool table_decide_joint(struct table *t, const struct table_question *q, size_t count,
                        uint64_t now_ns, struct table_answer *a);

/* Makes the counter a new one. */
void table_reset(struct table *t, uint64_t hash);

struct table_counts table_counts(const struct table *t);

#endif
