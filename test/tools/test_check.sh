# SPDX-License-Identifier: MIT
# A test framework that cannot fail would let everything else pass: each kind of check is shown a
# falsehood, and what is printed must name the place, both values and the command that repeats it.
. "$(dirname "$0")/planted.sh"

plant test_planted.c <<'END'
#include "support/check.h"
TEST(numbers_differ) { CHECK_EQ(1 + 1, 3); }
TEST(signs_differ) { CHECK_GT(-1, 0u); }
TEST(reals_differ) { CHECK_LT(2.5, 1); }
TEST(strings_differ) { CHECK_STR_EQ("dam", "weir"); }
TEST(a_part_is_missing) { CHECK_CONTAINS("dam", "weir"); }
TEST(bytes_differ) { CHECK_MEM_EQ("ab\1", "ab\2", 3); }
TEST(nothing_breaks) { CHECK_TRAPS((void)0); }
TEST(words_of_ones_own) { CHECK_SAYS(false, "rule %d is %s", 7, "wrong"); }
TEST(all_is_well) { CHECK(true); }
END
pkg-config --exists cmocka
"${WEIR_CC:-cc}" -std=gnu17 -D_GNU_SOURCE -Wall -I"$WEIR_SOURCE_DIR/test" -o "$scratch/planted" \
    "$scratch/test_planted.c" "$WEIR_SOURCE_DIR/test/support/check.c" $(pkg-config --cflags --libs cmocka)

expect 1 "8 FAILED TEST(S)" "$scratch/planted"
expect 1 "test_planted.c:2: 1 + 1 == 3, but the left is 2 and the right is 3" "$scratch/planted"
expect 1 "-1 > 0u, but the left is -1 and the right is 0" "$scratch/planted" signs_differ
expect 1 "2.5 < 1, but the left is 2.5" "$scratch/planted" reals_differ
expect 1 'expected: "weir"' "$scratch/planted" strings_differ
expect 1 'part: "weir"' "$scratch/planted" a_part_is_missing
expect 1 "from byte 2 of 3" "$scratch/planted" bytes_differ
expect 1 "should break a contract" "$scratch/planted" nothing_breaks
expect 1 "rule 7 is wrong" "$scratch/planted" words_of_ones_own
expect 0 "1 test(s)" "$scratch/planted" all_is_well
expect 1 "repeat: $scratch/planted --seed 77 numbers_differ" "$scratch/planted" --seed 77
expect 2 "usage:" "$scratch/planted" --seed seven
