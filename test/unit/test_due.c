/* SPDX-License-Identifier: MIT */
#include "store/redis/due.h"

#include <stdlib.h>

#include "base/random.h"
#include "support/check.h"

enum { REQUESTS = 200 };

static struct request *requests[REQUESTS];

static struct request *earliest(const bool *is_in) {
    struct request *first = NULL;
    for (int i = 0; i < REQUESTS; i++)
        if (is_in[i] && (first == NULL || due_ns(requests[i]) < due_ns(first))) first = requests[i];
    return first;
}

TEST(the_first_is_always_the_earliest_whatever_comes_and_goes) {
    struct random random          = {.state = check_seed()};
    bool          is_in[REQUESTS] = {false};
    struct due    due;
    CHECK(due_init(&due, REQUESTS));
    for (int i = 0; i < REQUESTS; i++) requests[i] = calloc(1, sizeof *requests[i]);
    for (uint64_t round = check_effort(20000); round > 0; round--) {
        unsigned        at      = (unsigned)random_below(&random, REQUESTS);
        struct request *request = requests[at];
        if (!is_in[at]) {
            *request = (struct request){.deadline_ns = random_below(&random, 1000)};
            due_add(&due, request);
            is_in[at] = true;
        } else if (random_below(&random, 2) == 0) {
            due_remove(&due, request);
            is_in[at] = false;
        } else {
            request->place    = random_below(&random, 2) == 0 ? REQUEST_PAUSED : REQUEST_NEW;
            request->retry_ns = random_below(&random, 1000);
            due_move(&due, request);
        }
        struct request *first = earliest(is_in);
        CHECK_EQ(due_first(&due) == NULL, first == NULL);
        if (first != NULL) CHECK_EQ(due_ns(due_first(&due)), due_ns(first));
    }
    for (int i = 0; i < REQUESTS; i++)
        if (is_in[i]) due_remove(&due, requests[i]);
    due_clear(&due);
    for (int i = 0; i < REQUESTS; i++) free(requests[i]);
}

TEST(who_is_paused_is_due_when_the_pause_ends_but_no_later_than_at_the_deadline) {
    struct request request = {.deadline_ns = 10, .retry_ns = 5};
    CHECK_EQ(due_ns(&request), 10);
    request.place = REQUEST_PAUSED;
    CHECK_EQ(due_ns(&request), 5);
    request.retry_ns = 20;
    CHECK_EQ(due_ns(&request), 10);
}
