/* SPDX-License-Identifier: MIT */
#include "store/net/patience.h"

#include "support/check.h"

enum { SPAN = 1000 };

TEST(a_silence_is_looked_at_twice) {
    struct patience patience = {0};
    CHECK_EQ(patience_end_ns(&patience, 50, SPAN), 1050);
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 1050), false);
    CHECK_EQ(patience_end_ns(&patience, 50, SPAN), 1050);
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 1050), true);
}

TEST(who_slept_gives_the_peer_its_span_once_more) {
    for (uint64_t now = 1050 + SPAN / 16; now < 1000000; now *= 2) {
        struct patience patience = {0};
        CHECK_EQ(patience_is_over(&patience, 50, SPAN, now), false);
        CHECK_EQ(patience_end_ns(&patience, 50, SPAN), now + SPAN);
        CHECK_EQ(patience_is_over(&patience, 50, SPAN, now + SPAN), true);
    }
}

TEST(each_silence_has_its_own_looks) {
    struct patience patience = {0};
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 4050), false);
    CHECK_EQ(patience_end_ns(&patience, 60, SPAN), 1060);
    CHECK_EQ(patience_is_over(&patience, 60, SPAN, 1061), false);
    CHECK_EQ(patience_end_ns(&patience, 60, SPAN), 1061);
    CHECK_EQ(patience_is_over(&patience, 60, SPAN, 1061), true);
}
