/* SPDX-License-Identifier: MIT
 *
 * journal: how do many processes make what their users took survive a power loss? See journal.c. */
#ifndef WEIR_STORE_EMBEDDED_JOURNAL_H
#define WEIR_STORE_EMBEDDED_JOURNAL_H

#include "store/embedded/segment.h"
#include "store/embedded/unrecorded.h"

enum {
    JOURNAL_SEGMENT_BYTES     = 16 << 20, /* a good segment_bytes_max */
    JOURNAL_SEGMENT_BYTES_MIN = 4096,
};

/* In memory that the processes share, together with the struct unrecorded. Zeros: nothing is recorded. */
struct journal_shared {
    /* What those look at who wait. */
    _Alignas(UNRECORDED_LINE_BYTES) _Atomic uint32_t lock; /* an owned lock: who commits */
    _Atomic uint32_t failed_status;
    _Atomic uint64_t begun;  /* commits, by number */
    _Atomic uint64_t done;   /* the newest that is on disk */
    _Atomic uint64_t failed; /* the newest that failed, and why: failed_status */

    /* The leader's. */
    _Alignas(UNRECORDED_LINE_BYTES) _Atomic uint32_t is_broken; /* a commit began and did not end */
    _Atomic uint32_t segment; /* number of the newest; 0: none yet */
    _Atomic uint32_t oldest;  /* number of the oldest that is not cleaned */
    _Atomic uint32_t removed; /* files of numbers below this are gone */
    _Atomic uint32_t cleaned; /* above oldest: what will be oldest, two commits later */
    _Atomic uint32_t
        is_clean_stopped;           /* a segment that fails its checks is kept, and all after it */
    _Atomic uint64_t sequence;      /* of the newest frame on disk */
    _Atomic uint64_t segment_bytes; /* on disk of the newest segment; 0: nothing of it counts */
    _Atomic uint64_t commits;       /* that recorded all that was unrecorded */
    _Atomic uint64_t dropped;       /* what frames say of themselves */
    _Atomic uint64_t cleaned_dropped; /* that, when `cleaned` becomes oldest */
    _Atomic uint64_t cleaned_commits; /* `commits` when it was cleaned */
    _Atomic uint64_t clean_offset;    /* in the oldest segment, of what is cleaned next */
    _Atomic uint64_t clean_sequence;  /* of the newest frame that was cleaned */

    /* What was done, for statistics. */
    _Atomic uint64_t total_bytes; /* of all segments, about */
    _Atomic uint64_t records;
    _Atomic uint64_t records_moved; /* by cleaning */
    _Atomic uint64_t failures;
};

/* What the journal asks of those whose counters it records. Called by whoever settles, without locks but
 * the commit's. */
struct journal_source {
    void *context;
    /* Copies the counter of `tag` under its line's lock. False: it had no line at some moment of the
     * call, so that it equals new. */
    bool (*counter)(void *context, uint64_t tag, struct counter *c);
    /* Copies a ring under its lock. False: there is none with this index; who asks read it in memory that
     * was spoiled. */
    bool (*ring)(void *context, uint64_t index, struct ring *r);
    /* Lines in use: at least as many as there are counters that do not equal new. */
    uint64_t (*users)(void *context);
};

struct journal_options {
    const struct disk       *disk;
    const char              *store; /* SEGMENT_NAME_BYTES_MAX at most */
    uint64_t                 generation;
    uint64_t                 segment_bytes_max; /* then a new segment begins */
    struct journal_source    source;
    struct journal_shared   *shared;
    struct unrecorded       *unrecorded;
    const struct lock_owner *me; /* this process */
};

/* One process's end of the journal. All its threads use one. */
struct journal {
    struct journal_options options;
    /* Below: only under the commit lock. */
    int           file; /* of the segment `file_number` */
    uint32_t      file_number;
    unsigned char frame[FRAME_BYTES_MAX];
    unsigned char old[SEGMENT_BUFFER_BYTES];
};

/* Borrows the options and what they point to until journal_close(). Touches no file. */
void journal_init(struct journal *j, const struct journal_options *options);
void journal_close(struct journal *j);

/* Makes durable all that unrecorded_add() was told before the call. Called without any lock of the table.
 * `now_ns` is the file's clock, read before the call; `wall_ns` the wall clock or 0.
 * Any other status: some of it may be durable and some not; try again at will. Until a settle
 * succeeds, whoever must settle before they answer may not say that permits were given. */
enum disk_status journal_settle(struct journal *j, uint64_t now_ns, uint64_t wall_ns);

/* Frees what a dead process holds of journal and unrecorded. */
void journal_release_dead(struct journal_shared *shared, struct unrecorded *unrecorded,
                          uint32_t process);

/* Frees what anybody holds of them who is gone: they were spoiled. See table_scour(). */
void journal_scour(struct journal_shared *shared, struct unrecorded       *unrecorded,
                   bool (*is_gone)(void *context, uint32_t process), void *context);

#endif
