/* SPDX-License-Identifier: MIT
 *
 * world: a small table of users that is journalled as the real one is, and what must be true of it.
 *
 * A user's counter counts all permits since it was new (body[0]) and says whose it is (body[1]), so that the
 * judge needs no limiter: after a power loss the image of a user must hold all that was settled, and with
 * the charge all that was answered. One thread; others are played from the callbacks, which ask for
 * permits between any two steps of a commit. */
#ifndef WEIR_TEST_WORLD_H
#define WEIR_TEST_WORLD_H

#include <setjmp.h>

#include "power/sim_disk.h"
#include "store/embedded/journal.h"
#include "store/embedded/past.h"

enum { WORLD_USERS_MAX = 4000, WORLD_RINGS = RING_CLASSES, WORLD_MEMORY_BYTES = 4 << 20 };

struct world_user {
    uint64_t tag, window_ns;
    bool     has_line;
    uint64_t taken, fresh_at_ns;           /* its line; after a power loss what the truth was */
    uint64_t answered;                     /* `taken` at the last answer */
    uint64_t settled, settled_fresh_at_ns; /* both when a settle last succeeded */
};

struct world {
    struct random          random;
    struct sim_disk       *sim;
    struct disk            disk;
    struct journal_shared *shared;
    struct unrecorded     *unrecorded;
    struct journal        *journal;
    struct journal_options options;
    struct lock_owner      me;

    struct world_user user[WORLD_USERS_MAX];
    uint32_t          user_count, asking_count; /* the first ones ask */
    struct ring       ring[WORLD_RINGS];
    uint64_t          ring_answered, ring_settled;
    bool              is_ring_quiet; /* nobody asks the ring any more */
    uint64_t          now_ns, u, generation;
    uint64_t          asks, settles, settle_failures, kills;
    bool              is_settling;

    unsigned char *past_file; /* of the last power loss */
    size_t         past_bytes;
    struct past    past;
    bool           has_past;
    void          *memory;

    /* At each act of the disk: one in so many kills the process; 0: nobody is killed. */
    uint32_t kill_one_in;
    /* So often the power might fail around each sync, and around one in so many of other acts. */
    uint32_t judge_syncs, judge_one_in;
    jmp_buf  killed;
};

struct world_options {
    uint32_t users;
    uint64_t u;
    uint64_t segment_bytes_max;
    uint64_t window_ns_max;
};

struct world *world_new(uint64_t seed, const struct world_options *options);
void          world_free(struct world *w);

/* Somebody asks for permits, most often one; settles when they must. */
void             world_ask(struct world *w);
enum disk_status world_settle(struct world *w);

/* So many asks, some of which kill the process that is at them. */
void world_run(struct world *w, uint64_t asks);

/* What if the power failed now? On copies of the disk, `tries` times; the judge speaks through CHECK. */
void world_judge(struct world *w, uint32_t tries);

/* The power fails: the table is lost and read back. */
void world_power_loss(struct world *w);

/* Replays a disk into its past and checks it against the truth. */
void world_judge_disk(struct world *w, struct sim_disk *sim, bool is_adopted);

#endif
