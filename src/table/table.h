/* SPDX-License-Identifier: MIT
 *
 * table: where is a user's counter, who may touch it, who leaves? See table.c. */
#ifndef WEIR_TABLE_TABLE_H
#define WEIR_TABLE_TABLE_H

#include <stdatomic.h>
#include <stddef.h>

#include "limit/counter.h"
#include "limit/request.h"
#include "limit/ring.h"

struct table;
struct line;

#define TABLE_NO_PROCESS UINT32_MAX /* waited for: a thread of this process, or nobody */

enum {
    TABLE_FETCH_MAX     = 16,  /* questions that table_fetch() takes */
    TABLE_JOINT_MAX     = 64,  /* questions that table_decide_joint() takes */
    TABLE_PROCESSES_MAX = 512, /* and one less */
    TABLE_THREADS       = 64,  /* numbers of threads; those that have none share number 0 */
    TABLE_USER_BYTES = 79, /* the most that a user takes in a table that has grown: 1024 bytes for
                              fifteen lines that are 92 % full, and a sixteenth more */
};

/* What to do with a change that was told to a recorder. */
enum table_record {
    TABLE_RECORDED,      /* make it, and answer */
    TABLE_SETTLE_AFTER,  /* make it, settle, and then answer */
    TABLE_SETTLE_BEFORE, /* do not make it, settle, and decide again */
};

/* Is told of permits before they are taken, with the lock of their counter or ring held; store/embedded has
 * the one there is. Rings are known by their index: class and stripe. */
struct table_recorder {
    void *context;
    enum table_record (*counter)(void *context, uint64_t hash, uint64_t cost);
    enum table_record (*ring)(void *context, uint32_t index, uint64_t cost);
    /* How much of what was taken on a ring may not be written down yet. */
    uint64_t (*ring_open)(void *context, uint32_t index);
    /* Writes down all that it was told. Called without any lock; asks table_copy_counter() and the like.
     * False: it cannot be done now. */
    bool (*settle)(void *context, uint64_t now_ns);
    /* What a newcomer had in a table before this one; false: nothing is known of them. */
    bool (*past)(void *context, uint64_t hash, struct counter *c);
    void (*forget_past)(void *context, uint64_t hash);
};

struct table_options {
    uint64_t users_max; /* > 0; never more counters than this */
    uint32_t processes; /* that may share the table at once: 1 to 511 */
    uint32_t
        process; /* the number of this one: 1 to processes. 0: it only reads table_counts() and the
                           like, and writes nothing */

    /* Lets others run while one of them, of this process or another, holds a lock; if that process was
     * killed, table_recover() must have been called in the end. 0: a process that is not known any more.
     * turn counts from 0 in each wait. */
    void (*wait)(void *context, uint32_t process, unsigned turn);

    /* Sees to it that so many bytes of the table's memory can be written; false: there is no room. The
     * table is told no more than once in 100 ms, and does not grow until then. NULL: all can be
     * written. */
    bool (*reserve)(void *context, uint64_t bytes);
    void *context;

    /* Where permits are written down that must survive more than this memory; NULL: nowhere. */
    const struct table_recorder *recorder;
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
    bool          failed;     /* the recorder cannot write down what was taken: no answer */
    uint8_t       record;     /* enum table_record; while it is decided */
};

struct table_counts {
    uint64_t users;
    uint64_t users_forgotten;
    uint64_t overflowed;
    uint64_t mended;  /* lines that killed processes were changing, and that are as before */
    uint64_t damaged; /* lines that a disk or a stranger spoiled, and that are full for a window */
    uint32_t processes;    /* that are there */
    bool     is_stuck;     /* there was no room to grow a moment ago */
    uint64_t memory_bytes; /* that the table may touch at its present size */
};

/* Bytes of address space that a table needs; what it touches grows with its users. 0: too many. */
uint64_t table_bytes(uint64_t users_max, uint32_t processes);

/* The most users, up to users_max, of a table that stays within so many bytes; 0: not one. */
uint64_t table_users_within(uint64_t users_max, uint32_t processes, uint64_t bytes);

/* As many of these must be writable from the start; the holders among them only when their process
 * comes. */
uint64_t table_bytes_at_first(uint64_t users_max, uint32_t processes);

/* Which part belongs to a process: to be writable when it comes. */
struct table_part {
    uint64_t offset;
    uint64_t bytes;
};
struct table_part table_part_of_process(uint32_t process);

/* Bytes of a struct table, aligned to 64. */
size_t table_handle_bytes(void);

/* Makes `handle` this process's view of the table in `memory`: table_bytes() of zeros, aligned to 4096,
 * or what others have made of them. Nothing else is allocated, and there is nothing to clear. NULL: the
 * memory does not hold such a table. */
struct table *table_attach(void *handle, void *memory, const struct table_options *options);

/* Lets go of all that `process` holds, which was killed: finishes or takes back what it was doing. The
 * caller sees to it that nobody else is told the same at the same time, and that the number is given to
 * nobody before; if the caller is killed meanwhile, it is done again. Also for a process that ends. */
void table_recover(struct table *t, uint32_t process);

/* Frees all locks whose owner is gone, and those of this process that no thread of it has: the file was
 * spoiled. Looks at the whole table. `is_gone` is asked of each owner that is found and is not this process,
 * with whatever number stands there; true: nobody holds a lock under it, nor will until this returns. One
 * thread of a process at a time; the others, and other processes, may decide meanwhile. */
void table_scour(struct table *t, bool (*is_gone)(void *context, uint32_t process), void *context);

/* Four counts that `thread` may use as it likes, adding to them with plain loads and stores (number 0
 * with atomic ones); and what all threads of all processes, past ones too, have counted. */
_Atomic uint64_t *table_tally(struct table *t, unsigned thread);
uint64_t          table_tally_sum(const struct table *t, unsigned which);

/* `thread` is a number below TABLE_THREADS that no other thread of the process uses meanwhile; number 0
 * is for all who have none. Not to be called from a signal handler that interrupted one of these.
 *
 * True: the question's cost was taken. For questions of cost > 0.
 *
 * `hint` remembers where this hash was found last, and may be kept as long as the table lives: a line
 * that belongs to somebody else by now is noticed. It points to NULL at first. */
bool table_allow(struct table *t, unsigned thread, const struct table_question *q, uint64_t now_ns,
                 struct line **hint);

/* Decides and says all about it. */
void table_decide(struct table *t, unsigned thread, const struct table_question *q, uint64_t now_ns,
                  struct line **hint, struct table_answer *a);

/* Two steps ahead of table_decide(), so that its memory is there by then: first for the hash alone, and
 * some work later for up to TABLE_FETCH_MAX questions, which finds their hints. */
void table_prefetch(struct table *t, uint64_t hash);
void table_fetch(struct table *t, const struct table_question *q, size_t count, struct line **hint);

/* All or nothing, up to TABLE_JOINT_MAX at one instant; true: all were taken. */
bool table_decide_joint(struct table *t, unsigned thread, const struct table_question *q,
                        size_t count, uint64_t now_ns, struct table_answer *a);

/* Makes the counter a new one. */
void table_reset(struct table *t, unsigned thread, uint64_t hash, uint64_t now_ns);

struct table_counts table_counts(const struct table *t);

/* Copies the counter of `hash`; false: it had none at some moment of the call, so that it equals new. */
bool table_copy_counter(struct table *t, unsigned thread, uint64_t hash, struct counter *c);

/* Copies a ring under its lock; puts all of them, when nobody else is there. */
enum { TABLE_STRIPES = 8, TABLE_RINGS = RING_CLASSES * TABLE_STRIPES };
void table_copy_ring(struct table *t, uint32_t index, struct ring *ring);
void table_put_rings(struct table *t, const struct ring rings[TABLE_RINGS]);

/* The newest time that anybody has told the table, as far as it is remembered: a lower bound of the
 * time, also after the machine was off. */
uint64_t table_seen_ns(const struct table *t);

/* Whether `process` is there: it came, and was not let go of since. */
bool table_has_process(const struct table *t, uint32_t process);

/* --- copying: nobody decides meanwhile (copy.c) ---------------------------------------------- */

/* Who does not equal new, and how many rings hold something; from `until_ns` on there is neither. */
struct table_live {
    uint64_t there; /* with those who equal new */
    uint64_t users;
    uint64_t rings;
    uint64_t until_ns;
};
struct table_live table_live(const struct table *t, uint64_t now_ns);

/* Bytes of the smallest table for at most users_max that so many users find room in. */
uint64_t table_bytes_for(uint64_t users_max, uint32_t processes, uint64_t users);

/* Gives an empty table that size; false: its memory cannot be reserved. */
bool table_make_room(struct table *t, uint64_t users);

/* Adds all that `from` holds to the empty table `to`: counters, rings, statistics and times. Users who
 * equal new at now_ns are forgotten; `users` is how many were not. False: one found no room. `progress`
 * may be NULL. */
typedef void (*table_progress_fn)(void *context, uint64_t done, uint64_t total);
bool table_copy(struct table *to, const struct table *from, uint64_t now_ns,
                table_progress_fn progress, void *context, uint64_t *users);

#endif
