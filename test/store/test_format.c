/* SPDX-License-Identifier: MIT
 *
 * What stands in a weir file before its table: byte by byte, and what is refused. */
#include <string.h>

#include "base/random.h"

#include "store/embedded/format.h"
#include "support/check.h"
#include "table/layout.h"

static const struct format_rules rules = {
    .users_max       = 0x1122334455,
    .clock_error_ppm = 200,
    .unrecorded_max  = 7,
    .processes       = FORMAT_PROCESSES,
    .durability      = 1,
    .secret          = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
    .identity = {0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe,
                 0xff, 0xf0},
    .created_ns = 0x0102030405060708,
    .generation = 3,
};

/* The table of offsets in format.h, and this, must not part. */
TEST(the_rules_are_written_byte_by_byte_as_the_format_says) {
    static const uint8_t golden[] = {
        0x89, 'w',  'e',  'i',  'r',  '\r', '\n', 0x1a, /*  0 magic */
        1,    0,    0,    0,    4,    3,    2,    1,    /*  8 version, byte order */
        0x55, 0x44, 0x33, 0x22, 0x11, 0,    0,    0,    /* 16 users_max */
        200,  0,    0,    0,    0,    0,    0,    0,    /* 24 clock_error_ppm */
        7,    0,    0,    0,    0,    0,    0,    0,    /* 32 unrecorded_max */
        255,  0,    0,    0,    1,    0,    0,    0,    /* 40 processes, durability */
        1,    2,    3,    4,    5,    6,    7,    8,    /* 48 secret */
        9,    10,   11,   12,   13,   14,   15,   16,   /* */
        0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, /* 64 identity */
        0xf9, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff, 0xf0, /* */
        8,    7,    6,    5,    4,    3,    2,    1,    /* 80 created */
        0,    4,    0,    0,    0,    3,    0,    0,    /* 88 bytes of a bucket, of a holder */
        0x40, 1,    0,    0,    0,    0x70, 0x20, 0,    /* 96 of a ring; where the table begins */
        3,    0,    0,    0,    0,    0,    0,    0,    /* 104 generation */
    };
    static const uint8_t check[8] = {0xf6, 0x84, 0x2f, 0x8a, 0xc4, 0xd3, 0x7e, 0x5f};
    uint8_t              bytes[FORMAT_RULES_BYTES];
    format_write_rules(&rules, bytes);
    for (size_t i = 0; i < sizeof golden; i++) CHECK_EQ(bytes[i], golden[i]);
    for (size_t i = sizeof golden; i < 504; i++) CHECK_EQ(bytes[i], 0);
    for (size_t i = 0; i < sizeof check; i++) CHECK_EQ(bytes[504 + i], check[i]);
}

TEST(the_rules_are_read_as_they_were_written) {
    uint8_t             bytes[FORMAT_RULES_BYTES];
    struct format_rules read, few = rules;
    few.users_max = 1;
    format_write_rules(&few, bytes);
    CHECK_EQ(format_read_rules(bytes, &read), FORMAT_OK);
    CHECK_EQ(memcmp(&read, &few, sizeof read), 0);
}

TEST(a_bit_that_differs_anywhere_in_the_rules_is_seen) {
    uint8_t             bytes[FORMAT_RULES_BYTES];
    struct format_rules read;
    format_write_rules(&rules, bytes);
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        CHECK_NE(format_read_rules(bytes, &read), FORMAT_OK);
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}

TEST(what_is_wrong_with_the_rules_is_told_apart) {
    uint8_t             bytes[FORMAT_RULES_BYTES];
    struct format_rules read;

    memset(bytes, 0, sizeof bytes);
    CHECK_EQ(format_read_rules(bytes, &read), FORMAT_FOREIGN);

    format_write_rules(&rules, bytes);
    bytes[8] = 2;
    CHECK_EQ(format_read_rules(bytes, &read), FORMAT_NEWER);
    CHECK_EQ(format_version_of(bytes), 2);

    format_write_rules(&rules, bytes);
    for (int i = 0; i < 4; i++) bytes[12 + i] = (uint8_t)(i + 1);
    CHECK_EQ(format_read_rules(bytes, &read), FORMAT_OTHER);

    format_write_rules(&rules, bytes);
    bytes[16]++;
    CHECK_EQ(format_read_rules(bytes, &read), FORMAT_DAMAGED);
}

/* Whoever can make the check can also write numbers that no table has. */
TEST(rules_that_make_no_sense_are_refused_though_their_check_is_right) {
    struct format_rules bad[4] = {rules, rules, rules, rules}, read;
    bad[0].users_max           = 0;
    bad[1].users_max           = UINT64_MAX;
    bad[2].processes           = 3;
    bad[3].clock_error_ppm     = 100001;
    for (size_t i = 0; i < 4; i++) {
        uint8_t bytes[FORMAT_RULES_BYTES];
        format_write_rules(&bad[i], bytes);
        CHECK_EQ(format_read_rules(bytes, &read), FORMAT_DAMAGED);
    }
}

/* ---- eras ---- */

TEST(of_two_eras_the_newer_whole_one_holds) {
    struct format_era copy[2] = {{0}, {0}}, era = {0};
    CHECK(!format_read_era(&copy[0], &copy[1], &era));
    for (uint64_t i = 1; i <= 10; i++) {
        struct format_era before[2] = {copy[0], copy[1]};
        format_write_era(&copy[0], &copy[1], (struct format_era){.table_ns = 100 * i});
        CHECK(format_read_era(&copy[0], &copy[1], &era));
        CHECK_EQ(era.table_ns, 100 * i);
        CHECK_EQ(era.sequence, i);

        /* Whoever is stopped while writing leaves the other copy as it was. */
        CHECK_EQ((memcmp(&copy[0], &before[0], sizeof era) != 0) +
                     (memcmp(&copy[1], &before[1], sizeof era) != 0),
                 1);
        struct format_era *newer = copy[0].sequence == i ? &copy[0] : &copy[1];
        struct format_era  whole = *newer;
        newer->table_ns ^= 1;
        CHECK_EQ(format_read_era(&copy[0], &copy[1], &era), i > 1);
        if (i > 1) CHECK_EQ(era.table_ns, 100 * (i - 1));
        *newer = whole;
    }
}

static const uint64_t second = 1000000000;

TEST(without_trust_in_the_wall_clock_time_stands_still_while_the_machine_is_off) {
    struct format_era last = {.table_ns = 100 * second, .wall_ns = 5000 * second};
    struct format_era next = format_next_era(&last, 130 * second, 3 * second, 99999 * second, 0);
    CHECK_EQ(3 * second + next.ahead_ns, 130 * second);

    /* Nobody was seen since: then the moment that was written down. */
    next = format_next_era(&last, 20 * second, 3 * second, 99999 * second, 0);
    CHECK_EQ(3 * second + next.ahead_ns, 100 * second);

    /* The machine's clock may be ahead of the table's. */
    next = format_next_era(&last, 130 * second, 1000 * second, 99999 * second, 0);
    CHECK_EQ(1000 * second + next.ahead_ns, 130 * second);
}

TEST(a_trusted_wall_clock_counts_for_what_it_proves) {
    struct format_era last = {.table_ns = 100 * second, .wall_ns = 5000 * second};
    struct format_era next = format_next_era(&last, 130 * second, 0, 6000 * second, 2 * second);
    CHECK_EQ(next.ahead_ns, (100 + 1000 - 4) * second);

    /* It was set back, or proves less than what was seen. */
    next = format_next_era(&last, 130 * second, 0, 4000 * second, 2 * second);
    CHECK_EQ(next.ahead_ns, 130 * second);
    next = format_next_era(&last, 130 * second, 0, 5010 * second, 2 * second);
    CHECK_EQ(next.ahead_ns, 130 * second);
    next = format_next_era(&last, 130 * second, 0, 5001 * second, 2 * second);
    CHECK_EQ(next.ahead_ns, 130 * second);
    next = format_next_era(&last, 130 * second, 0, 6000 * second, UINT64_MAX);
    CHECK_EQ(next.ahead_ns, 130 * second);
}

/* Whatever the machine's clocks do, as long as the wall clock is as good as was said: the table's time
 * never passes faster than time. */
TEST(the_tables_time_never_passes_faster_than_time) {
    struct random r = {.state = check_seed()};
    for (int round = 0; round < 1000; round++) {
        uint64_t error    = random_below(&r, 3) == 0 ? 0 : random_below(&r, 100 * second);
        uint64_t truth    = 1000000 * second; /* the true time, and what the table takes it for */
        uint64_t table_ns = random_below(&r, 1000 * second);
        struct format_era era = {.table_ns = table_ns};
        era.wall_ns           = truth + random_below(&r, 2 * error + 1) - error;
        for (int boot = 0; boot < 10; boot++) {
            uint64_t up       = random_below(&r, 100000 * second),
                     off      = random_below(&r, 100000 * second);
            uint64_t seen     = table_ns + random_below(&r, up + 1);
            uint64_t wall     = truth + up + off + random_below(&r, 2 * error + 1) - error;
            uint64_t boottime = random_below(&r, 1000 * second);
            era               = format_next_era(&era, seen, boottime, wall, error);
            uint64_t next_ns  = boottime + era.ahead_ns;
            CHECK_LE(next_ns - table_ns, up + off);
            CHECK_GE(next_ns, seen);
            table_ns = next_ns;
            truth += up + off;
        }
    }
}
