/* SPDX-License-Identifier: MIT
 *
 * A past of any bytes: searches end and stay inside it, whatever the order of its tags; one that passes its
 * checks is read as the base of the next. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/embedded/past.h"
#include "support/memory_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RINGS = 4, INPUT_MAX = 1 << 16 };

static void must(bool is_true) {
    if (!is_true) abort();
}

static void search_everywhere(unsigned char *file, size_t bytes) {
    struct past    past;
    struct counter c;
    if (!past_open(&past, file, bytes)) return;
    (void)past_find(&past, 0, &c);
    (void)past_find(&past, UINT64_MAX, &c);
    for (uint64_t i = 0; i < past.count; i++) {
        uint64_t tag = past.record[i].tag;
        (void)past_find(&past, tag - 1, &c);
        (void)past_find(&past, tag + 1, &c);
        past_forget(&past, tag);
        must(!past_find(&past, tag, &c));
    }
}

static enum disk_status read_as_base(const uint8_t *data, size_t size) {
    static _Alignas(64) unsigned char room[PAST_MEMORY_MIN];
    static struct ring                ring[RINGS];
    struct memory_disk                memory = {0};
    struct disk                       disk   = memory_disk_face(&memory);
    int                               file   = DISK_NO_FILE;
    must(disk.file_open(&memory, "t.past", DISK_CREATE, &file) == DISK_OK);
    must(disk.file_write(&memory, file, 0, data, size) == DISK_OK);

    struct past_replay p = {
        .disk = &disk, .store = "t", .generation = 1, .memory = room, .memory_bytes = sizeof room};
    struct past_rings rings  = {.ring = ring, .count = RINGS, .stripes = 1};
    enum disk_status  status = past_scan(&p);
    if (status == DISK_OK) (void)past_write(&p, &rings, p.now_ns);
    memory_disk_free(&memory);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > INPUT_MAX) return 0;
    unsigned char *file = aligned_alloc(64, (size + 64) / 64 * 64);
    must(file != NULL);
    memcpy(file, data, size);
    bool             is_whole = past_verify(file, size);
    enum disk_status status   = read_as_base(data, size);
    must(status == (is_whole ? DISK_OK : DISK_DAMAGED));
    search_everywhere(file, size);
    must(past_verify(file, size) == is_whole);
    free(file);
    return 0;
}
