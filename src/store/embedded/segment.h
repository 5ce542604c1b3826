/* SPDX-License-Identifier: MIT
 *
 * segment: what do the journal's files look like? See segment.c for every byte. */
#ifndef WEIR_STORE_EMBEDDED_SEGMENT_H
#define WEIR_STORE_EMBEDDED_SEGMENT_H

#include <stdbool.h>

#include "limit/counter.h"
#include "limit/ring.h"
#include "os/disk.h"

enum {
    SEGMENT_HEADER_BYTES   = 64,
    FRAME_HEADER_BYTES     = 64,
    FRAME_ALIGNMENT        = 64,
    FRAME_COUNTER_BYTES    = 64,
    FRAME_RING_BYTES       = 280,
    FRAME_BYTES_MAX        = 65536,
    FRAME_COUNTERS_MAX     = (FRAME_BYTES_MAX - FRAME_HEADER_BYTES) / FRAME_COUNTER_BYTES,
    FRAME_RINGS_MAX        = (FRAME_BYTES_MAX - FRAME_HEADER_BYTES) / FRAME_RING_BYTES,
    SEGMENT_BUFFER_BYTES   = 4 * FRAME_BYTES_MAX,
    SEGMENT_NAME_BYTES_MAX = 64, /* of the store's name, without what the journal puts after it */
};

#define SEGMENT_NUMBER_MAX 99999999u

enum frame_kind { FRAME_COUNTERS = 1, FRAME_RINGS = 2 };

struct segment {
    uint64_t generation;
    uint64_t after; /* the newest frame that was acknowledged when this segment began */
    uint64_t now_ns;
    uint64_t wall_ns;
    uint32_t number;
};

struct frame {
    uint64_t        generation;
    uint64_t        sequence;
    uint64_t        dropped; /* no frame up to this sequence is needed */
    uint64_t        now_ns;
    uint64_t        wall_ns; /* 0: not told */
    uint32_t        step;    /* frames of the same commit before this one */
    enum frame_kind kind;
    uint32_t        count; /* records */
};

/* NAME.journal.00000001, in DISK_NAME_BYTES_MAX bytes. */
void segment_name(const char *store, uint32_t number, char *out);
/* The number in such a name; 0: it is another's. */
uint32_t segment_number(const char *store, const char *name);

/* Removes every segment of the store, of whatever generation. */
enum disk_status segment_remove_all(const struct disk *disk, const char *store);

void segment_write(const struct segment *s, unsigned char out[SEGMENT_HEADER_BYTES]);
bool segment_read(const unsigned char in[SEGMENT_HEADER_BYTES], struct segment *s);

/* Where a record of a frame is; `index` below the kind's maximum. */
size_t frame_record_at(enum frame_kind kind, uint32_t index);

void     record_put_counter(unsigned char *record, uint64_t tag, const struct counter *c);
uint64_t record_counter(const unsigned char *record, struct counter *c); /* returns the tag */
void     record_put_ring(unsigned char *record, uint64_t index, const struct ring *r);
uint64_t record_ring(const unsigned char *record, struct ring *r); /* returns the index */

/* Completes a frame whose records are in place; returns its bytes, a multiple of FRAME_ALIGNMENT. */
size_t frame_seal(unsigned char *frame, const struct frame *f);

/* Reads and checks a frame of which `bytes` are there, if it is one of this generation; returns its
 * bytes, or 0. */
size_t frame_open(const unsigned char *frame, size_t bytes, uint64_t generation, struct frame *f);

/* Numbers as the files hold them: eight bytes, lowest first. */
void     word_write(unsigned char *out, uint64_t word);
uint64_t word_read(const unsigned char *in);

/* Walks the frames of a file. */
struct segment_reader {
    const struct disk *disk;
    int                file;
    uint64_t           generation;
    uint64_t           offset;  /* of the next frame */
    uint64_t           held_at; /* of the first byte in the buffer */
    size_t             held_bytes;
    bool               has_end; /* the buffer holds the file's last byte */
    unsigned char     *buffer;  /* SEGMENT_BUFFER_BYTES */
};

struct segment_reader segment_reader(const struct disk *disk, int file, uint64_t generation,
                                     uint64_t offset, unsigned char *buffer);

/* *frame: the next frame, in the buffer until the next call, or NULL: what is there is none, or the
 * file's end; the offset stays. */
enum disk_status segment_next(struct segment_reader *r, struct frame *f,
                              const unsigned char **frame);

/* The same, going on to the next place where there is a frame. */
enum disk_status segment_seek(struct segment_reader *r, struct frame *f,
                              const unsigned char **frame);

#endif
