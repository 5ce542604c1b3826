/* SPDX-License-Identifier: MIT
 *
 * The past: from journals that are written here frame by frame, with memory large and small. */
#include "store/embedded/past.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "power/sim_disk.h"

enum { MEMORY_SMALL = PAST_MEMORY_MIN, MEMORY_LARGE = 32 << 20, RINGS = 8 };

static const uint64_t now = 1000;

struct store {
    struct sim_disk   *sim;
    struct disk        disk;
    struct past_replay replay;
    struct ring        ring[RINGS];
    struct past_rings  rings;
    /* The journal that is being written. */
    unsigned char  frame[FRAME_BYTES_MAX];
    uint32_t       count, number;
    uint64_t       sequence;
    int            file;
    uint64_t       offset;
    unsigned char *mapped;
    struct past    past;
};

static struct store *store_new(size_t memory_bytes) {
    struct store *s = calloc(1, sizeof *s);
    CHECK_NE(s, NULL);
    s->sim    = sim_disk_new(check_seed());
    s->disk   = sim_disk_face(s->sim);
    s->replay = (struct past_replay){.disk         = &s->disk,
                                     .store        = "t",
                                     .generation   = 9,
                                     .memory       = aligned_alloc(64, memory_bytes),
                                     .memory_bytes = memory_bytes};
    s->rings  = (struct past_rings){.ring = s->ring, .count = RINGS, .stripes = 1};
    s->file   = DISK_NO_FILE;
    return s;
}

static void store_free(struct store *s) {
    sim_disk_free(s->sim);
    free(s->replay.memory);
    free(s->mapped);
    free(s);
}

static void begin_segment(struct store *s) {
    char          name[DISK_NAME_BYTES_MAX];
    unsigned char header[SEGMENT_HEADER_BYTES];
    if (s->file != DISK_NO_FILE) s->disk.file_close(s->sim, s->file);
    segment_name("t", ++s->number, name);
    CHECK_EQ(s->disk.file_open(s->sim, name, DISK_CREATE, &s->file), DISK_OK);
    segment_write(&(struct segment){.generation = 9, .after = s->sequence, .number = s->number},
                  header);
    CHECK_EQ(s->disk.file_write(s->sim, s->file, 0, header, sizeof header), DISK_OK);
    s->offset = sizeof header;
}

static void end_frame(struct store *s, enum frame_kind kind, uint64_t dropped) {
    if (s->file == DISK_NO_FILE) begin_segment(s);
    struct frame f     = {.generation = 9,
                          .sequence   = ++s->sequence,
                          .dropped    = dropped,
                          .now_ns     = s->sequence < 50 ? 10 * s->sequence : 500,
                          .wall_ns    = 7 * s->sequence,
                          .kind       = kind,
                          .count      = s->count};
    size_t       bytes = frame_seal(s->frame, &f);
    CHECK_EQ(s->disk.file_write(s->sim, s->file, s->offset, s->frame, bytes), DISK_OK);
    s->offset += bytes;
    s->count = 0;
}

static void write_counter(struct store *s, uint64_t tag, uint64_t permits, uint64_t fresh_at_ns) {
    struct counter c = {.fresh_at_ns = fresh_at_ns, .body = {permits}};
    record_put_counter(s->frame + frame_record_at(FRAME_COUNTERS, s->count++), tag, &c);
    if (s->count == FRAME_COUNTERS_MAX) end_frame(s, FRAME_COUNTERS, 0);
}

static void write_ring(struct store *s, uint64_t index, uint64_t permits) {
    struct ring r = {.counts = {permits}};
    record_put_ring(s->frame + frame_record_at(FRAME_RINGS, s->count++), index, &r);
}

/* Replays what was written and opens the past that comes out. */
static void replay(struct store *s, uint64_t now_ns) {
    CHECK_EQ(past_scan(&s->replay), DISK_OK);
    CHECK_EQ(past_write(&s->replay, &s->rings, now_ns), DISK_OK);
    struct sim_bytes *bytes = sim_disk_bytes(s->sim, "t.past");
    CHECK_NE(bytes, NULL);
    free(s->mapped);
    s->mapped = aligned_alloc(64, (bytes->bytes + 63) / 64 * 64);
    memcpy(s->mapped, bytes->data, bytes->bytes);
    CHECK(past_verify(s->mapped, bytes->bytes));
    CHECK(past_open(&s->past, s->mapped, bytes->bytes));
}

static uint64_t permits_of(const struct store *s, uint64_t tag) {
    struct counter c;
    return past_find(&s->past, tag, &c) ? c.body[0] : 0;
}

/* ---- which image ---- */

TEST(the_last_image_of_a_tag_wins) {
    struct store *s = store_new(MEMORY_LARGE);
    write_counter(s, 5, 1, 2000);
    write_counter(s, 5, 2, 2000);
    end_frame(s, FRAME_COUNTERS, 0);
    write_counter(s, 6, 9, 2000);
    end_frame(s, FRAME_COUNTERS, 0);
    begin_segment(s);
    write_counter(s, 5, 3, 2000);
    write_counter(s, 0, 4, 2000);
    write_counter(s, UINT64_MAX, 5, 3000);
    end_frame(s, FRAME_COUNTERS, 0);
    replay(s, now);
    CHECK_EQ(s->past.count, 4);
    CHECK_EQ(permits_of(s, 5), 3);
    CHECK_EQ(permits_of(s, 6), 9);
    CHECK_EQ(permits_of(s, 0), 4);
    CHECK_EQ(permits_of(s, UINT64_MAX), 5);
    CHECK_EQ(permits_of(s, 7), 0);
    CHECK_EQ(past_last_fresh_ns(&s->past), 3000);
    CHECK_EQ(s->replay.now_ns, 30);
    CHECK_EQ(s->replay.wall_ns, 21);
    store_free(s);
}

TEST(who_equals_new_by_then_is_left_out) {
    struct store *s = store_new(MEMORY_LARGE);
    write_counter(s, 1, 1, now);
    write_counter(s, 2, 1, now + 1);
    /* The newest image decides, even if an older one does not equal new: it was reset. */
    write_counter(s, 3, 1, now + 9);
    write_counter(s, 3, 0, 0);
    end_frame(s, FRAME_COUNTERS, 0);
    replay(s, now);
    CHECK_EQ(s->past.count, 1);
    CHECK_EQ(permits_of(s, 2), 1);
    store_free(s);
}

TEST(a_later_past_holds_what_the_earlier_one_held) {
    struct store *s = store_new(MEMORY_LARGE);
    write_counter(s, 1, 1, 2000);
    write_counter(s, 2, 2, 2000);
    write_counter(s, 3, 3, 1100);
    end_frame(s, FRAME_COUNTERS, 0);
    write_ring(s, 3, 30);
    write_ring(s, 4, 40);
    end_frame(s, FRAME_RINGS, 0);
    replay(s, now);
    past_forget(&s->past, 1);
    struct sim_bytes *file = sim_disk_bytes(s->sim, "t.past");
    memcpy(file->data, s->mapped, file->bytes);

    CHECK_EQ(segment_remove_all(&s->disk, "t"), DISK_OK);
    begin_segment(s);
    write_counter(s, 2, 22, 2000);
    end_frame(s, FRAME_COUNTERS, 2);
    write_ring(s, 4, 44);
    end_frame(s, FRAME_RINGS, 2);
    replay(s, 1100);
    CHECK_EQ(permits_of(s, 1), 1);
    CHECK_EQ(permits_of(s, 2), 22);
    CHECK_EQ(permits_of(s, 3), 0);
    CHECK_EQ(s->ring[3].counts[0], 30);
    CHECK_EQ(s->ring[4].counts[0], 44);

    /* Nothing new: the same again. */
    CHECK_EQ(segment_remove_all(&s->disk, "t"), DISK_OK);
    replay(s, 1100);
    CHECK_EQ(permits_of(s, 2), 22);
    CHECK_EQ(s->ring[3].counts[0], 30);
    CHECK_EQ(s->replay.frames, 0);
    CHECK_EQ(s->replay.now_ns, 1100);
    store_free(s);
}

TEST(every_ring_is_charged_and_keeps_the_charge) {
    struct store *s = store_new(MEMORY_LARGE);
    s->rings.u      = 5;
    write_ring(s, 2, 10);
    end_frame(s, FRAME_RINGS, 0);
    replay(s, now);
    for (unsigned i = 0; i < RINGS; i++) {
        CHECK_EQ(ring_live(&s->ring[i], RING_CLASS_MIN + i, now), i == 2 ? 15 : 5);
    }
    CHECK_EQ(segment_remove_all(&s->disk, "t"), DISK_OK);
    replay(s, now);
    CHECK_EQ(ring_live(&s->ring[7], RING_CLASS_MIN + 7, now), 10);
    store_free(s);
}

TEST(a_ring_that_there_is_not_is_damage) {
    struct store *s = store_new(MEMORY_LARGE);
    write_ring(s, RINGS, 10);
    end_frame(s, FRAME_RINGS, 0);
    CHECK_EQ(past_scan(&s->replay), DISK_OK);
    CHECK_EQ(past_write(&s->replay, &s->rings, now), DISK_DAMAGED);
    CHECK_EQ(sim_disk_bytes(s->sim, "t.past"), NULL);
    store_free(s);
}

TEST(an_empty_store_has_an_empty_past) {
    struct store *s = store_new(MEMORY_LARGE);
    replay(s, now);
    CHECK_EQ(s->past.count, 0);
    CHECK_EQ(permits_of(s, 1), 0);
    past_forget(&s->past, 1);
    CHECK_EQ(past_last_fresh_ns(&s->past), 0);
    store_free(s);
}

/* ---- memory ---- */

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Many users, several images each, in memory for a few thousand: the tags of some crowd together. */
TEST(memory_bounds_the_work_and_not_the_result) {
    enum { USERS = 40000, IMAGES = 5 * USERS };
    struct random random = {.state = check_seed()};
    for (int crowd = 0; crowd < 4; crowd++) {
        struct store *s       = store_new(MEMORY_SMALL);
        uint64_t     *tag     = calloc(USERS, sizeof *tag);
        uint64_t     *permits = calloc(USERS, sizeof *permits);
        for (size_t i = 0; i < USERS; i++) {
            uint64_t r = random_next(&random);
            tag[i]     = crowd == 1 ? i : crowd == 2 ? r >> (r & 63) : r;
        }
        qsort(tag, USERS, sizeof *tag, by_number);
        for (size_t i = 0; i < (crowd == 3 ? USERS : IMAGES); i++) {
            size_t user = crowd == 3 ? i * 7919 % USERS : (size_t)random_below(&random, USERS);
            while (user > 0 && tag[user - 1] == tag[user]) user--;
            permits[user] = i + 1;
            write_counter(s, tag[user], i + 1, 2000);
            if (i % 30000 == 0) begin_segment(s);
        }
        end_frame(s, FRAME_COUNTERS, 0);
        replay(s, now);
        uint64_t found = 0;
        for (size_t i = 0; i < USERS; i++) {
            if (i > 0 && tag[i] == tag[i - 1]) continue;
            CHECK_EQ(permits_of(s, tag[i]), permits[i]);
            found += permits[i] > 0;
        }
        CHECK_EQ(s->past.count, found);
        free(tag);
        free(permits);
        store_free(s);
    }
}

/* ---- use ---- */

TEST(who_is_forgotten_is_not_found_and_the_file_is_still_whole) {
    struct store *s = store_new(MEMORY_LARGE);
    for (uint64_t tag = 0; tag < 3000; tag++) write_counter(s, tag * 977, tag + 1, 2000);
    end_frame(s, FRAME_COUNTERS, 0);
    replay(s, now);
    size_t bytes = PAST_HEADER_BYTES + 3000 * PAST_RECORD_BYTES + RINGS * FRAME_RING_BYTES;
    for (uint64_t tag = 0; tag < 3000; tag += 3) past_forget(&s->past, tag * 977);
    CHECK(past_verify(s->mapped, bytes));
    for (uint64_t tag = 0; tag < 3000; tag++) {
        CHECK_EQ(permits_of(s, tag * 977), tag % 3 == 0 ? 0 : tag + 1);
        CHECK_EQ(permits_of(s, tag * 977 + 1), 0);
    }
    store_free(s);
}

TEST(a_spoiled_past_is_never_overlooked) {
    struct store *s = store_new(MEMORY_LARGE);
    for (uint64_t tag = 0; tag < 3; tag++) write_counter(s, tag, 1, 2000);
    end_frame(s, FRAME_COUNTERS, 0);
    replay(s, now);
    struct sim_bytes *bytes  = sim_disk_bytes(s->sim, "t.past");
    unsigned char    *mapped = aligned_alloc(64, (bytes->bytes + 63) / 64 * 64);
    for (size_t at = 0; at < bytes->bytes; at++) {
        bytes->data[at] ^= 4;
        memcpy(mapped, bytes->data, bytes->bytes);
        CHECK(!past_verify(mapped, bytes->bytes));
        CHECK_EQ(past_scan(&s->replay), DISK_DAMAGED);
        bytes->data[at] ^= 4;
    }
    size_t whole = bytes->bytes;
    for (bytes->bytes = 0; bytes->bytes < whole; bytes->bytes++) {
        CHECK(!past_open(&s->past, bytes->data, bytes->bytes));
        CHECK_EQ(past_scan(&s->replay), DISK_DAMAGED);
    }
    free(mapped);
    store_free(s);
}

TEST(the_header_is_what_the_table_of_offsets_says) {
    static const unsigned char expected[] = {
        'w', 'e', 'i', 'r', 'P', 'S', 'T', '1', 0,    0, 0, 0, 0, 0, 0, 0, /* checksum: not here */
        9,   0,   0,   0,   0,   0,   0,   0,   1,    0, 0, 0, 0, 0, 0, 0, /* generation, count */
        0,   2,   0,   0,   0,   0,   0,   0,   0xe8, 3, 0, 0, 0, 0, 0, 0, /* last fresh, now */
    };
    struct store *s = store_new(MEMORY_LARGE);
    write_counter(s, 0x55, 7, 0x200);
    write_counter(s, 0x56, 7, 0x100200);
    write_counter(s, 0x55, 7, 0);
    end_frame(s, FRAME_COUNTERS, 0);
    replay(s, now);
    CHECK_EQ(memcmp(s->mapped, expected, 8), 0);
    CHECK_EQ(memcmp(s->mapped + 16, expected + 16, 16), 0);
    CHECK_EQ(s->mapped[32 + 2], 0x10);
    CHECK_EQ(memcmp(s->mapped + 40, expected + 40, 8), 0);
    CHECK_EQ(s->mapped[56], RINGS);
    CHECK_EQ(s->mapped[64], 0x56);
    CHECK_EQ(s->mapped[64 + 24], 7);
    CHECK_EQ(s->mapped[128], 0);
    CHECK_EQ(s->mapped[128 + FRAME_RING_BYTES], 1);
    store_free(s);
}

/* Seed: fuzz/corpus/journal/ring_beyond_all_time. A ring's walk over its cells did not end. */
TEST(a_ring_of_a_time_that_cannot_be_is_damage) {
    struct store *s = store_new(MEMORY_LARGE);
    struct ring   r = {.newest_cell = UINT64_MAX};
    record_put_ring(s->frame + frame_record_at(FRAME_RINGS, s->count++), 1, &r);
    end_frame(s, FRAME_RINGS, 0);
    CHECK_EQ(past_scan(&s->replay), DISK_OK);
    CHECK_EQ(past_write(&s->replay, &s->rings, now), DISK_DAMAGED);
    store_free(s);
}
