/* SPDX-License-Identifier: MIT */
#include "support/check.h"

#include <stdlib.h>

#include "../../bench/load/histogram.h"
#include "base/random.h"

static struct histogram *histogram_new(void) {
    struct histogram *h = calloc(1, sizeof *h);
    CHECK(h != NULL);
    return h;
}

TEST(histogram_of_nothing_says_nothing) {
    struct histogram *h = histogram_new();
    CHECK_EQ(histogram_at(h, 0.5), 0);
    CHECK_EQ(histogram_mean(h), 0.0);
    free(h);
}

TEST(histogram_keeps_small_values_exactly) {
    struct histogram *h = histogram_new();
    for (uint64_t value = 0; value < 100; value++) histogram_add(h, value);
    CHECK_EQ(histogram_at(h, 0), 0);
    CHECK_EQ(histogram_at(h, 0.5), 50);
    CHECK_EQ(histogram_at(h, 0.99), 99);
    CHECK_EQ(histogram_at(h, 1), 99);
    free(h);
}

TEST(histogram_reads_back_never_too_low_and_at_most_0_8_percent_too_high) {
    struct random r = {.state = check_seed()};
    for (unsigned i = 0; i < 100000; i++) {
        uint64_t          value = random_next(&r) >> random_below(&r, 64);
        struct histogram *h     = i % 1000 == 0 ? histogram_new() : NULL;
        if (!h) continue;
        histogram_add(h, value);
        h->max       = UINT64_MAX; /* or it would bound what is read back */
        uint64_t top = histogram_at(h, 0);
        CHECK_GE(top, value);
        CHECK_LE(top - value, value / 128);
        free(h);
    }
}

TEST(histogram_finds_the_share_that_a_sorted_list_finds) {
    enum { COUNT = 10000 };
    struct histogram *h = histogram_new();
    for (uint64_t i = 1; i <= COUNT; i++) histogram_add(h, i * 1000);
    for (uint64_t percent = 1; percent < 100; percent++) {
        uint64_t exact = (COUNT * percent / 100 + 1) * 1000;
        uint64_t found = histogram_at(h, (double)percent / 100);
        CHECK_GE(found, exact - 1000); /* the share itself is rounded by one value at most */
        CHECK_LE(found, exact + exact / 128 + 1000);
    }
    CHECK_EQ(h->max, COUNT * 1000);
    free(h);
}

TEST(histogram_joined_holds_both) {
    struct histogram *a = histogram_new(), *b = histogram_new();
    histogram_add(a, 10);
    histogram_add(b, 20);
    histogram_add(b, 30);
    histogram_join(a, b);
    CHECK_EQ(a->count, 3);
    CHECK_EQ(a->sum, 60);
    CHECK_EQ(a->max, 30);
    CHECK_EQ(histogram_at(a, 0.5), 20);
    free(a);
    free(b);
}
