/* SPDX-License-Identifier: MIT
 *
 * past: what did everybody have when the power failed? See past.c. */
#ifndef WEIR_STORE_EMBEDDED_PAST_H
#define WEIR_STORE_EMBEDDED_PAST_H

#include <stdatomic.h>

#include "store/embedded/segment.h"

enum {
    PAST_HEADER_BYTES = 64,
    PAST_RECORD_BYTES = 64,
    PAST_ITEM_BYTES   = 72,    /* memory that a record takes while it is sorted */
    PAST_MEMORY_MIN = 1 << 20, /* for past_scan(); past_write() is as fast as its memory is large */
};

/* --- after a power loss: read the journal, write the past -------------------------------------- */

struct past_segment {
    uint64_t after;       /* its header's */
    uint64_t end;         /* newest frame that follows from the first; `after` if there is none */
    uint64_t count_until; /* newest frame that was acknowledged */
    uint64_t lost_first;  /* first frame of the commit of a good frame behind a bad one; 0: none */
    uint32_t number;
    bool     is_begun; /* its header is good */
};

struct past_replay {
    const struct disk *disk;
    const char        *store;
    uint64_t generation; /* of the table that was lost; frames of earlier ones do not count */
    void    *memory;     /* aligned to 64 */
    size_t   memory_bytes;

    /* Of past_scan(). */
    uint64_t now_ns;  /* the newest time of the journal, a lower bound of that of the power loss */
    uint64_t wall_ns; /* the wall clock then, or 0 */
    uint64_t frames;
    uint64_t dropped; /* frames up to this sequence are not needed */

    /* Of past_write(). */
    uint64_t counters;
    uint64_t last_fresh_ns;

    /* Inside. */
    struct past_segment *segment;
    uint32_t             segment_count;
    bool                 has_base;
};

/* Reads and checks the journal and the past before it, and changes nothing. DISK_DAMAGED: something that was
 * acknowledged is missing or spoiled. What was being written when the power failed may be missing. */
enum disk_status past_scan(struct past_replay *p);

struct past_rings {
    struct ring *ring;    /* gets what was recorded of each, and the charge */
    uint32_t     count;   /* classes x stripes, a class's stripes together */
    uint32_t     stripes; /* of each class, from RING_CLASS_MIN on */
    uint64_t     u;       /* permits that every ring is charged, at now_ns */
};

/* After past_scan(): writes NAME.past, in which is who does not equal new at `now_ns`, the restart's time
 * on the file's clock (at least p->now_ns), and the rings. It is there whole or not at all, and may be
 * repeated. Then the caller makes a new table, of a higher generation, and calls segment_remove_all(). */
enum disk_status past_write(struct past_replay *p, struct past_rings *rings, uint64_t now_ns);

/* NAME.past, in DISK_NAME_BYTES_MAX bytes. */
void past_name(const char *store, char *out);

/* --- afterwards: who comes back? --------------------------------------------------------------- */

struct past_record {
    uint64_t         tag;
    uint64_t         fresh_at_ns;
    _Atomic uint64_t head; /* bit 63: forgotten */
    uint64_t         body[COUNTER_BODY_WORDS];
};

struct past {
    struct past_record *record;
    uint64_t            count;
    uint64_t            last_fresh_ns;
};

/* Finds the past in the mapped file, which is borrowed; for past_forget() the mapping is shared and may be
 * written to. False: it is no past, or cut short. */
bool past_open(struct past *past, void *file, size_t bytes);

/* Checks every byte: a second for a gigabyte. */
bool past_verify(const void *file, size_t bytes);

/* False: nothing is known of `tag`, or it was forgotten. It may equal new by now. Any thread. */
bool past_find(const struct past *past, uint64_t tag, struct counter *c);

/* From now on nobody finds `tag`, in any process; until a power loss, after which it is there again, so
 * that this may be called before what replaces the image is durable. */
void past_forget(struct past *past, uint64_t tag);

/* From this instant on all in it equal new. The file may be removed then, if every ring has been recorded in
 * the new journal: unrecorded_add() of each with cost 0, and a settle. */
uint64_t past_last_fresh_ns(const struct past *past);

#endif
