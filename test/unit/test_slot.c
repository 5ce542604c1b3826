/* SPDX-License-Identifier: MIT */
#include "store/redis/slot.h"

#include "support/check.h"

/* The check value of CRC-16/XMODEM, and what a Redis 7.0 server answers to CLUSTER KEYSLOT. */
TEST(slots_are_those_of_the_servers) {
    CHECK_EQ(slot_crc(view_of("123456789")), 0x31c3);
    CHECK_EQ(slot_of(view_of("")), 0);
    CHECK_EQ(slot_of(view_of("foo")), 12182);
    CHECK_EQ(slot_of(view_of("bar")), 5061);
    CHECK_EQ(slot_of(view_of("somekey")), 11058);
}

TEST(only_what_is_in_the_first_braces_counts) {
    CHECK_EQ(slot_of(view_of("foo{bar}")), slot_of(view_of("bar")));
    CHECK_EQ(slot_of(view_of("{user1000}.following")), slot_of(view_of("{user1000}.followers")));
    CHECK_EQ(slot_of(view_of("foo{bar}{zap}")), slot_of(view_of("bar")));
    CHECK_EQ(slot_of(view_of("foo{{bar}}zap")), slot_of(view_of("{bar")));
    CHECK_NE(slot_of(view_of("foo{}{bar}")), slot_of(view_of("bar")));
    CHECK_EQ(slot_of(view_of("foo{bar")), slot_crc(view_of("foo{bar")) % SLOT_COUNT);
    CHECK_EQ(slot_of(view_of("foo}bar{")), slot_crc(view_of("foo}bar{")) % SLOT_COUNT);
}
