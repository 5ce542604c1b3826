/* SPDX-License-Identifier: MIT */
#include "store/net/due.h"

#include "base/random.h"
#include "support/check.h"

enum { ITEMS = 200 };

static struct due_item items[ITEMS];

static struct due_item *earliest(const bool *is_in) {
    struct due_item *first = NULL;
    for (int i = 0; i < ITEMS; i++)
        if (is_in[i] && (first == NULL || items[i].at_ns < first->at_ns)) first = &items[i];
    return first;
}

TEST(the_first_is_always_the_earliest_whatever_comes_and_goes) {
    struct random random       = {.state = check_seed()};
    bool          is_in[ITEMS] = {false};
    struct due    due;
    CHECK(due_init(&due, ITEMS));
    for (uint64_t round = check_effort(20000); round > 0; round--) {
        unsigned         at   = (unsigned)random_below(&random, ITEMS);
        struct due_item *item = &items[at];
        if (!is_in[at]) {
            due_add(&due, item, random_below(&random, 1000));
            is_in[at] = true;
        } else if (random_below(&random, 2) == 0) {
            due_remove(&due, item);
            is_in[at] = false;
        } else {
            due_move(&due, item, random_below(&random, 1000));
        }
        struct due_item *first = earliest(is_in);
        CHECK_EQ(due_first(&due) == NULL, first == NULL);
        if (first != NULL) CHECK_EQ(due_first(&due)->at_ns, first->at_ns);
    }
    for (int i = 0; i < ITEMS; i++)
        if (is_in[i]) due_remove(&due, &items[i]);
    due_clear(&due);
}
