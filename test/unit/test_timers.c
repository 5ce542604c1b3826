/* SPDX-License-Identifier: MIT */
#include "limiter/timers.h"

#include <stdlib.h>

#include "base/random.h"
#include "support/check.h"

enum { NUMBERS = 200 };

static struct timers timers_new(void) {
    struct timers t;
    void         *memory = calloc(1, timers_bytes(NUMBERS));
    CHECK_NE(memory, NULL);
    timers_init(&t, memory, NUMBERS);
    return t;
}

TEST(the_first_comes_first_whatever_was_set) {
    struct timers t            = timers_new();
    struct random r            = {.state = check_seed()};
    uint64_t      due[NUMBERS] = {0};
    for (uint64_t i = 0; i < check_effort(20000); i++) {
        uint32_t number = (uint32_t)random_below(&r, NUMBERS);
        if (random_below(&r, 3) > 0) {
            uint64_t at_ns = 1 + random_below(&r, 1000);
            (void)timers_hasten(&t, number, at_ns);
            if (due[number] == 0 || at_ns < due[number]) due[number] = at_ns;
        } else {
            uint64_t now_ns = random_below(&r, 1000), first_ns = UINT64_MAX;
            for (uint32_t k = 0; k < NUMBERS; k++)
                if (due[k] != 0 && due[k] < first_ns) first_ns = due[k];
            CHECK_EQ(timers_next_ns(&t), first_ns);
            bool is_taken = timers_take(&t, now_ns, &number);
            CHECK_EQ(is_taken, first_ns <= now_ns);
            if (!is_taken) continue;
            CHECK_EQ(due[number], first_ns);
            due[number] = 0;
        }
    }
    free(t.heap);
}

TEST(a_time_is_never_made_later) {
    struct timers t = timers_new();
    CHECK(timers_hasten(&t, 7, 100));
    CHECK(!timers_hasten(&t, 7, 200));
    CHECK(!timers_hasten(&t, 8, 150));
    CHECK(timers_hasten(&t, 8, 50));
    uint32_t number;
    CHECK(!timers_take(&t, 49, &number));
    CHECK(timers_take(&t, 50, &number));
    CHECK_EQ(number, 8);
    CHECK_EQ(timers_next_ns(&t), 100);
    CHECK(timers_take(&t, 100, &number));
    CHECK_EQ(timers_next_ns(&t), UINT64_MAX);
    free(t.heap);
}
