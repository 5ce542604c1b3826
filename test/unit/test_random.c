/* SPDX-License-Identifier: MIT */
#include "base/random.h"
#include "support/check.h"

/* The first numbers of SplitMix64 with seed 1234567, as other implementations publish them: seeds in
 * bug reports must mean the same for ever. */
TEST(a_seed_gives_the_same_numbers_everywhere) {
    struct random r = {.state = 1234567};
    CHECK_EQ(random_next(&r), UINT64_C(6457827717110365317));
    CHECK_EQ(random_next(&r), UINT64_C(3203168211198807973));
    CHECK_EQ(random_next(&r), UINT64_C(9817491932198370423));
    CHECK_EQ(random_next(&r), UINT64_C(4593380528125082431));
    CHECK_EQ(random_next(&r), UINT64_C(16408922859458223821));
}

TEST(bounds_are_kept_and_reached) {
    struct random r       = {.state = check_seed()};
    unsigned      seen[5] = {0};
    for (unsigned i = 0; i < 1000; i++) {
        CHECK_EQ(random_below(&r, 1), 0);
        CHECK_LT(random_below(&r, UINT64_MAX), UINT64_MAX);
        uint64_t five = random_between(&r, 10, 14);
        CHECK(five >= 10 && five <= 14);
        seen[five - 10]++;
        double unit = random_unit(&r);
        CHECK(unit >= 0.0 && unit < 1.0);
    }
    for (unsigned i = 0; i < 5; i++) CHECK_GT(seen[i], 100);
}

TEST(a_split_generator_goes_its_own_way) {
    struct random r = {.state = check_seed()}, child = random_split(&r);
    unsigned      equal = 0;
    for (unsigned i = 0; i < 1000; i++) equal += random_next(&r) == random_next(&child);
    CHECK_EQ(equal, 0);
}
