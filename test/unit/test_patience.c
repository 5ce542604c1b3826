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

TEST(as_long_as_the_process_overslept_is_given_once_more) {
    struct patience patience = {0};
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 4050), false);
    CHECK_EQ(patience_end_ns(&patience, 50, SPAN), 7050);
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 9000), true);
}

TEST(each_silence_has_its_own_looks) {
    struct patience patience = {0};
    CHECK_EQ(patience_is_over(&patience, 50, SPAN, 4050), false);
    CHECK_EQ(patience_end_ns(&patience, 60, SPAN), 1060);
    CHECK_EQ(patience_is_over(&patience, 60, SPAN, 1061), false);
    CHECK_EQ(patience_end_ns(&patience, 60, SPAN), 1062);
    CHECK_EQ(patience_is_over(&patience, 60, SPAN, 1062), true);
}
