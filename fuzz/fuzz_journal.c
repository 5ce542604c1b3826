/* SPDX-License-Identifier: MIT
 *
 * A journal of any bytes: it is read or refused; what is read becomes a past that passes its own checks,
 * in order, of nobody who equals new, in which everybody is found. The first byte says where a second
 * file begins, and whether frames get checksums that fit, so that more than checksums is tried. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/embedded/past.h"
#include "support/memory_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { GENERATION = 3, RINGS = 16, INPUT_MAX = 1 << 16 };

static void must(bool is_true) {
    if (!is_true) abort();
}

/* Gives the header and what looks like frames checksums that fit. */
static void seal(unsigned char *file, size_t bytes, uint32_t number) {
    static unsigned char room[FRAME_BYTES_MAX + FRAME_ALIGNMENT];
    if (bytes < SEGMENT_HEADER_BYTES) return;
    segment_write(&(struct segment){.generation = GENERATION,
                                    .after      = word_read(file + 24),
                                    .now_ns     = word_read(file + 32),
                                    .number     = number},
                  file);
    for (size_t at = SEGMENT_HEADER_BYTES; at + FRAME_HEADER_BYTES <= bytes;) {
        uint64_t     last = word_read(file + at + 56);
        struct frame f    = {.generation = GENERATION,
                             .sequence   = word_read(file + at + 24),
                             .dropped    = word_read(file + at + 32),
                             .now_ns     = word_read(file + at + 40),
                             .step       = (uint32_t)last,
                             .kind       = 1 + (last >> 32 & 1),
                             .count      = last >> 48 & 15};
        size_t       left = bytes - at;
        size_t       most = frame_record_at(f.kind, f.count) + FRAME_ALIGNMENT;
        if (most > left) return;
        memcpy(room, file + at, most);
        size_t frame_bytes = frame_seal(room, &f);
        memcpy(file + at, room, frame_bytes);
        at += frame_bytes;
    }
}

static void put(struct disk *disk, uint32_t number, const uint8_t *data, size_t bytes,
                bool is_sealed) {
    char           name[DISK_NAME_BYTES_MAX];
    int            file = DISK_NO_FILE;
    unsigned char *copy = malloc(bytes + 1);
    must(copy != NULL);
    memcpy(copy, data, bytes);
    if (is_sealed) seal(copy, bytes, number);
    segment_name("t", number, name);
    must(disk->file_open(disk->context, name, DISK_CREATE, &file) == DISK_OK);
    must(disk->file_write(disk->context, file, 0, copy, bytes) == DISK_OK);
    free(copy);
}

static void check_past(struct memory_disk *memory, uint64_t counters, uint64_t now_ns) {
    int         file = memory_find(memory, "t.past");
    struct past past;
    must(file != DISK_NO_FILE);
    size_t         bytes  = memory->file[file].bytes;
    unsigned char *mapped = aligned_alloc(64, (bytes + 63) / 64 * 64);
    memcpy(mapped, memory->file[file].data, bytes);
    must(past_verify(mapped, bytes));
    must(past_open(&past, mapped, bytes));
    must(past.count == counters);
    for (uint64_t i = 0; i < past.count; i++) {
        struct counter c;
        must(i == 0 || past.record[i - 1].tag < past.record[i].tag);
        must(past_find(&past, past.record[i].tag, &c));
        must(c.fresh_at_ns > now_ns && c.fresh_at_ns <= past_last_fresh_ns(&past));
    }
    free(mapped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static _Alignas(64) unsigned char room[PAST_MEMORY_MIN];
    static struct ring                ring[RINGS];
    if (size < 1 || size > INPUT_MAX) return 0;
    struct memory_disk memory = {0};
    struct disk        disk   = memory_disk_face(&memory);
    bool               seals  = data[0] & 1;
    size_t             cut    = (size_t)(data[0] >> 1) * 64;
    data++;
    size--;
    if (cut > size) cut = size;
    put(&disk, 1, data, cut, seals);
    put(&disk, 2, data + cut, size - cut, seals);

    struct past_replay p      = {.disk         = &disk,
                                 .store        = "t",
                                 .generation   = GENERATION,
                                 .memory       = room,
                                 .memory_bytes = sizeof room};
    struct past_rings  rings  = {.ring = ring, .count = RINGS, .stripes = 1, .u = 1};
    enum disk_status   status = past_scan(&p);
    must(status == DISK_OK || status == DISK_DAMAGED);
    if (status == DISK_OK) {
        status = past_write(&p, &rings, p.now_ns);
        must(status == DISK_OK || status == DISK_DAMAGED);
        if (status == DISK_OK) check_past(&memory, p.counters, p.now_ns);
    }
    memory_disk_free(&memory);
    return 0;
}
