/* SPDX-License-Identifier: MIT
 *
 * The journal on a disk that loses what it may. What is judged, and by whom: power/world.h. */
#include "store/embedded/journal.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

#include "power/world.h"

static const struct world_options small = {
    .users = 40, .u = 3, .segment_bytes_max = 4096, .window_ns_max = 1000};

/* A world for each of some seeds. */
static struct world *small_world(struct random *seeds) {
    return world_new(random_next(seeds), &small);
}

/* ---- power ---- */

TEST(no_answer_is_lost_whenever_the_power_fails) {
    struct random seeds = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(12); round++) {
        struct world *w = small_world(&seeds);
        w->judge_syncs  = 1;
        w->judge_one_in = 4;
        world_run(w, 1500);
        CHECK_GT(w->settles, 20);
        CHECK_EQ(w->settle_failures, 0);
        world_judge(w, 4);
        world_free(w);
    }
}

TEST(a_table_lives_through_many_power_losses) {
    struct random seeds = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(12); round++) {
        struct world *w = small_world(&seeds);
        for (int loss = 0; loss < 8; loss++) {
            w->judge_one_in = 16;
            world_run(w, random_below(&seeds, 400));
            w->judge_one_in = 0;
            world_power_loss(w);
        }
        world_free(w);
    }
}

TEST(a_killed_leader_leaves_everything_to_the_next) {
    struct random seeds = {.state = check_seed()};
    uint64_t      kills = 0;
    for (uint64_t round = 0; round < check_effort(12); round++) {
        struct world *w = small_world(&seeds);
        w->judge_syncs  = 1;
        w->kill_one_in  = 12;
        world_run(w, 1000);
        kills += w->kills;
        w->kill_one_in = 0;
        CHECK_EQ(world_settle(w), DISK_OK);
        world_judge(w, 4);
        world_free(w);
    }
    CHECK_GT(kills, 0);
}

TEST(while_the_disk_fails_nobody_is_answered_and_then_it_goes_on) {
    static const enum disk_status faults[] = {DISK_NO_SPACE, DISK_FAILED, DISK_READ_ONLY};
    struct random                 seeds    = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(24); round++) {
        struct world *w   = small_world(&seeds);
        w->judge_syncs    = 1;
        uint64_t failures = 0;
        for (int i = 0; i < 6; i++) {
            world_run(w, 150);
            w->sim->fault      = faults[random_below(&seeds, 3)];
            w->sim->fault_mask = 1u << random_below(&seeds, SIM_ACTS);
            if (random_below(&seeds, 2) == 0) w->sim->fault_mask = UINT32_MAX;
            w->sim->fault_acts = 1 + random_below(&seeds, 20);
            w->kill_one_in     = random_below(&seeds, 2) == 0 ? 0 : 30;
            world_run(w, 100);
            w->sim->fault_acts = 0;
            w->kill_one_in     = 0;
            failures           = w->settle_failures;
            CHECK_EQ(world_settle(w), DISK_OK);
            CHECK_EQ(w->settle_failures, failures);
            world_judge(w, 2);
        }
        world_free(w);
    }
}

TEST(a_settle_says_why_it_failed) {
    struct world *w    = world_new(1, &small);
    w->u               = 0;
    w->sim->fault      = DISK_NO_SPACE;
    w->sim->fault_mask = 1u << SIM_WRITE;
    w->sim->fault_acts = 1000;
    world_run(w, 50);
    CHECK_EQ(world_settle(w), DISK_NO_SPACE);
    for (uint32_t i = 0; i < w->user_count; i++) CHECK_EQ(w->user[i].answered, 0);
    /* What was tried leaves no more than one file behind. */
    CHECK_LE(w->sim->now.count, 1);
    w->sim->fault_acts = 0;
    CHECK_EQ(world_settle(w), DISK_OK);
    world_judge(w, 8);
    world_free(w);
}

/* ---- size ---- */

TEST(the_journal_stays_within_its_bound) {
    struct random seeds = {.state = check_seed()};
    for (uint64_t round = 0; round < check_effort(3); round++) {
        struct world_options options = small;
        options.users                = 300;
        options.u                    = 1;
        struct world *w              = world_new(random_next(&seeds), &options);
        uint64_t      most           = 0;
        for (int i = 0; i < 200; i++) {
            w->judge_syncs = i % 50 == 49;
            world_run(w, 100);
            uint64_t total = sim_disk_total(w->sim);
            if (total > most) most = total;
        }
        CHECK_LE(most, 3 * 64 * 300 + 6 * (4096 + 3 * 1024));
        CHECK_GT(atomic_load(&w->shared->removed), 10);
        CHECK_EQ(atomic_load(&w->shared->is_clean_stopped), 0);
        world_judge(w, 8);
        world_free(w);
    }
}

TEST(who_does_not_come_again_stays_in_a_journal_that_is_cleaned) {
    struct random        seeds   = {.state = check_seed()};
    struct world_options options = small;
    options.users                = 100;
    struct world *w              = world_new(random_next(&seeds), &options);
    for (uint32_t i = 0; i < options.users; i++) w->user[i].window_ns = UINT64_C(1) << 50;
    world_run(w, 1000);
    CHECK_EQ(world_settle(w), DISK_OK);
    w->asking_count  = 6;
    w->is_ring_quiet = true;
    CHECK_GT(w->ring_settled, 0);
    for (int i = 0; i < 20; i++) {
        world_run(w, 300);
        world_judge(w, 1);
    }
    CHECK_GT(atomic_load(&w->shared->removed), 10);
    CHECK_GT(atomic_load(&w->shared->records_moved), 94);
    world_free(w);
}

/* ---- damage ---- */

/* A journal of three commits in one file. */
static struct world *three_commits(uint64_t last_commit_at[2]) {
    struct world_options options = small;
    options.segment_bytes_max    = 1 << 20;
    options.u                    = 1000; /* Nobody else commits. */
    struct world *w              = world_new(7, &options);
    for (int i = 0; i < 3; i++) {
        last_commit_at[0] = last_commit_at[1];
        last_commit_at[1] = atomic_load(&w->shared->segment_bytes);
        for (int a = 0; a < 20; a++) world_ask(w);
        CHECK_EQ(world_settle(w), DISK_OK);
    }
    return w;
}

static enum disk_status scan(struct world *w, uint64_t generation) {
    struct past_replay p = {.disk         = &w->disk,
                            .store        = "table",
                            .generation   = generation,
                            .memory       = w->memory,
                            .memory_bytes = WORLD_MEMORY_BYTES};
    return past_scan(&p);
}

TEST(a_spoiled_byte_before_the_last_commit_is_never_overlooked) {
    uint64_t          commit_at[2] = {0};
    struct world     *w            = three_commits(commit_at);
    struct sim_bytes *bytes        = sim_disk_bytes(w->sim, "table.journal.00000001");
    CHECK_NE(bytes, NULL);
    for (size_t at = 0; at < bytes->bytes; at++) {
        bytes->data[at] ^= 0x10;
        enum disk_status status = scan(w, 1);
        CHECK_SAYS(status == (at < commit_at[1] ? DISK_DAMAGED : DISK_OK),
                   "byte %zu of %zu is spoiled, the last commit is at %zu, status %d", at,
                   bytes->bytes, (size_t)commit_at[1], (int)status);
        bytes->data[at] ^= 0x10;
    }
    world_free(w);
}

TEST(a_journal_that_is_cut_short_in_its_last_commit_is_read) {
    uint64_t          commit_at[2] = {0};
    struct world     *w            = three_commits(commit_at);
    struct sim_bytes *bytes        = sim_disk_bytes(w->sim, "table.journal.00000001");
    size_t            whole        = bytes->bytes;
    for (bytes->bytes = (size_t)commit_at[1]; bytes->bytes < whole; bytes->bytes++) {
        CHECK_EQ(scan(w, 1), DISK_OK);
    }
    world_free(w);
}

TEST(a_missing_segment_is_noticed) {
    struct world *w = world_new(5, &small);
    world_run(w, 3000);
    CHECK_EQ(world_settle(w), DISK_OK);
    uint32_t removed = atomic_load(&w->shared->removed);
    uint32_t newest  = atomic_load(&w->shared->segment);
    CHECK_GT(newest, removed + 2);
    CHECK_EQ(scan(w, 1), DISK_OK);
    for (uint32_t number = removed; number < newest; number++) {
        char name[DISK_NAME_BYTES_MAX];
        char hidden[] = "table.hidden";
        segment_name("table", number, name);
        CHECK_EQ(w->disk.file_rename(w->disk.context, name, hidden), DISK_OK);
        CHECK_EQ(scan(w, 1), DISK_DAMAGED);
        CHECK_EQ(w->disk.file_rename(w->disk.context, hidden, name), DISK_OK);
    }
    world_free(w);
}

TEST(a_journal_of_another_generation_is_not_taken_for_ours) {
    uint64_t      commit_at[2] = {0};
    struct world *w            = three_commits(commit_at);
    struct ring   ring[WORLD_RINGS];
    CHECK_EQ(scan(w, 0), DISK_DAMAGED);

    struct past_replay p     = {.disk         = &w->disk,
                                .store        = "table",
                                .generation   = 2,
                                .memory       = w->memory,
                                .memory_bytes = WORLD_MEMORY_BYTES};
    struct past_rings  rings = {.ring = ring, .count = WORLD_RINGS, .stripes = 1};
    CHECK_EQ(past_scan(&p), DISK_OK);
    CHECK_EQ(p.frames, 0);
    CHECK_EQ(past_write(&p, &rings, 0), DISK_OK);
    CHECK_EQ(p.counters, 0);
    world_free(w);
}

TEST(another_stores_files_are_not_ours) {
    char name[DISK_NAME_BYTES_MAX];
    segment_name("table", 1, name);
    CHECK_STR_EQ(name, "table.journal.00000001");
    segment_name("t", SEGMENT_NUMBER_MAX, name);
    CHECK_STR_EQ(name, "t.journal.99999999");
    CHECK_EQ(segment_number("t", name), SEGMENT_NUMBER_MAX);
    CHECK_EQ(segment_number("t", "t.journal.00000000"), 0);
    CHECK_EQ(segment_number("t", "u.journal.00000001"), 0);
    CHECK_EQ(segment_number("t", "t.journal.0000001"), 0);
    CHECK_EQ(segment_number("t", "t.journal.000000001"), 0);
    CHECK_EQ(segment_number("t", "t.journal.0000000x"), 0);
    CHECK_EQ(segment_number("t", "t.past"), 0);
}

/* ---- the format, byte by byte ---- */

static bool golden_counter(void *context, uint64_t tag, struct counter *c) {
    (void)context;
    *c = (struct counter){
        .fresh_at_ns = 0x1112131415161718, .head = UINT64_MAX, .body = {1, 2, 3, 4, tag}};
    return true;
}

static bool golden_ring(void *context, uint64_t index, struct ring *r) {
    (void)context;
    *r                        = (struct ring){.newest_cell = index + 1, .counts = {7, 8}};
    r->counts[RING_SLOTS - 1] = 9;
    return true;
}

static uint64_t golden_users(void *context) {
    (void)context;
    return 1;
}

static const unsigned char golden_segment[] = {
    'w',  'e',  'i',  'r',  'S',  'E',  'G',  '1',  0,    0,    0,    0,    0,
    0,    0,    0, /* checksum below */
    5,    0,    0,    0,    0,    0,    0,    0x80, 0,    0,    0,    0,    0,
    0,    0,    0, /* generation, after */
    8,    7,    6,    5,    4,    3,    2,    1,    0x0a, 0,    0,    0,    0,
    0,    0,    0, /* now, wall */
    1,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,
    0,    0,    0, /* number */
    'w',  'e',  'i',  'r',  'F',  'R',  'M',  '1',  0,    0,    0,    0,    0,
    0,    0,    0, /* at 64: a frame */
    5,    0,    0,    0,    0,    0,    0,    0x80, 1,    0,    0,    0,    0,
    0,    0,    0, /* generation, sequence */
    0,    0,    0,    0,    0,    0,    0,    0,    8,    7,    6,    5,    4,
    3,    2,    1, /* dropped, now */
    0x0a, 0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    1,
    0,    1,    0, /* wall, step, kind, count */
    0xfe, 0xca, 0,    0,    0,    0,    0,    0xf0, 0x18, 0x17, 0x16, 0x15, 0x14,
    0x13, 0x12, 0x11, /* tag, fresh */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x1f, 0,    1,    0,    0,    0,    0,
    0,    0,    0, /* head, body */
    2,    0,    0,    0,    0,    0,    0,    0,    3,    0,    0,    0,    0,
    0,    0,    0,    4,    0,    0,    0,    0,    0,    0,    0,    0xfe, 0xca,
    0,    0,    0,    0,    0,    0xf0, 'w',  'e',  'i',  'r',  'F',  'R',  'M',
    '1',  0,    0,    0,    0,    0,    0,    0,    0, /* at 192: a frame of a ring */
    5,    0,    0,    0,    0,    0,    0,    0x80, 2,    0,    0,    0,    0,
    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    8,    7,
    6,    5,    4,    3,    2,    1,    0x0a, 0,    0,    0,    0,    0,    0,
    0,    1,    0,    0,    0,    2,    0,    1,    0,    3,    1,    0,    0,
    0,    0,    0,    0,    4,    1,    0,    0,    0,    0,    0,    0, /* index, newest cell */
    7,    0,    0,    0,    0,    0,    0,    0,    8,    0,    0,    0,    0,
    0,    0,    0, /* and zeros */
};

/* Made by another program that follows the same table (SipHash-1-3 in Python). */
static const struct {
    size_t        at;
    unsigned char byte[8];
} golden_checksums[] = {
    {8, {0xdc, 0x0a, 0x4f, 0x6f, 0x6b, 0xd9, 0xd5, 0xbf}},
    {72, {0x71, 0xa8, 0x8d, 0x27, 0x5f, 0x4a, 0x27, 0x49}},
    {200, {0xe6, 0x1f, 0xe6, 0x4b, 0xfc, 0xcd, 0x37, 0x44}},
};

TEST(a_segment_is_what_the_table_of_offsets_says) {
    struct sim_disk             *sim        = sim_disk_new(1);
    struct disk                  disk       = sim_disk_face(sim);
    struct lock_owner            me         = {.process = 1};
    struct journal              *j          = calloc(1, sizeof *j);
    struct unrecorded           *unrecorded = aligned_alloc(64, sizeof *unrecorded);
    static struct journal_shared shared; /* aligned, as on a stack it may not be */
    memset(&shared, 0, sizeof shared);
    memset(unrecorded, 0, sizeof *unrecorded);
    struct journal_options options = {
        .disk              = &disk,
        .store             = "golden",
        .generation        = UINT64_C(0x8000000000000005),
        .segment_bytes_max = JOURNAL_SEGMENT_BYTES,
        .source     = {.counter = golden_counter, .ring = golden_ring, .users = golden_users},
        .shared     = &shared,
        .unrecorded = unrecorded,
        .me         = &me};
    journal_init(j, &options);
    struct unrecorded_id user = {.name = UINT64_C(0xf00000000000cafe), .kind = UNRECORDED_COUNTER};
    struct unrecorded_id ring = {.name = 0x103, .kind = UNRECORDED_RING};
    CHECK_EQ(unrecorded_add(unrecorded, &me, user, 1, 9), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(unrecorded, &me, ring, 1, 9), UNRECORDED_ADDED);
    CHECK_EQ(journal_settle(j, 0x0102030405060708, 10), DISK_OK);

    unsigned char expected[192 + 384] = {0};
    memcpy(expected, golden_segment, sizeof golden_segment);
    for (size_t i = 0; i < sizeof golden_checksums / sizeof golden_checksums[0]; i++) {
        memcpy(expected + golden_checksums[i].at, golden_checksums[i].byte, 8);
    }
    expected[192 + 64 + 16 + 8 * (RING_SLOTS - 1)] = 9;
    struct sim_bytes *bytes                        = sim_disk_bytes(sim, "golden.journal.00000001");
    CHECK_NE(bytes, NULL);
    CHECK_EQ(bytes->bytes, sizeof expected);
    CHECK_MEM_EQ(bytes->data, expected, sizeof expected);
    journal_close(j);
    sim_disk_free(sim);
    free(unrecorded);
    free(j);
}
