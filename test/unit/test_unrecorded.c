/* SPDX-License-Identifier: MIT */
#include "store/embedded/unrecorded.h"
#include "support/check.h"

#include <stdlib.h>
#include <string.h>

static void never_wait(void *context, uint32_t holder, unsigned turn) {
    (void)context;
    (void)holder;
    (void)turn;
    CHECK_SAYS(false, "nobody holds a lock");
}

static const struct lock_owner me = {.process = 1, .wait = never_wait};

static struct unrecorded *area_new(void) {
    struct unrecorded *area = aligned_alloc(UNRECORDED_LINE_BYTES, sizeof *area);
    CHECK_NE(area, NULL);
    memset(area, 0, sizeof *area);
    return area;
}

static struct unrecorded_id user(uint64_t tag) {
    return (struct unrecorded_id){.name = tag, .kind = UNRECORDED_COUNTER};
}

static struct unrecorded_id ring(uint64_t index) {
    return (struct unrecorded_id){.name = index, .kind = UNRECORDED_RING};
}

static uint32_t count_closing(struct unrecorded *area) {
    struct unrecorded_id id;
    uint32_t             cursor = 0;
    uint32_t             count  = 0;
    while (unrecorded_next(area, &cursor, &id)) count++;
    return count;
}

TEST(up_to_u_permits_need_no_settle) {
    struct unrecorded *area = area_new();
    CHECK_EQ(unrecorded_add(area, &me, user(7), 2, 3), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, user(7), 1, 3), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, user(7), 0, 3), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, user(7), 1, 3), UNRECORDED_SETTLE);
    CHECK_EQ(unrecorded_of(area, &me, user(7)), 4);
    CHECK_EQ(unrecorded_add(area, &me, user(8), 4, 3), UNRECORDED_SETTLE);
    CHECK_EQ(unrecorded_add(area, &me, user(9), 3, 3), UNRECORDED_ADDED);
    free(area);
}

TEST(a_spoiled_area_is_cleared_by_the_next_commits) {
    struct unrecorded *area = area_new();
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) {
        for (uint32_t half = 0; half < 2; half++) {
            for (uint32_t s = 0; s < UNRECORDED_SLOTS; s++) {
                area->shard[i].slot[half][s].name  = 1000 + s;
                area->shard[i].slot[half][s].taken = UINT64_MAX;
            }
        }
        area->shard[i].open = 0xfffffffe;
    }
    unsigned commits = 0;
    for (; unrecorded_add(area, &me, user(7), 1, 3) != UNRECORDED_ADDED; commits++) {
        CHECK_LT(commits, 4);
        (void)unrecorded_close(area, &me);
        unrecorded_clear(area, &me);
    }
    CHECK_GT(commits, 0);
    free(area);
}

TEST(a_user_and_a_ring_of_one_name_are_two) {
    struct unrecorded *area = area_new();
    CHECK_EQ(unrecorded_add(area, &me, user(0), 1, 1), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, ring(0), 1, 1), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_of(area, &me, ring(0)), 1);
    CHECK(unrecorded_close(area, &me));
    CHECK_EQ(count_closing(area), 2);
    free(area);
}

TEST(what_is_being_recorded_counts_until_it_is) {
    struct unrecorded *area = area_new();
    CHECK_EQ(unrecorded_add(area, &me, user(7), 2, 3), UNRECORDED_ADDED);
    CHECK(unrecorded_close(area, &me));
    CHECK_EQ(unrecorded_add(area, &me, user(7), 1, 3), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, user(7), 1, 3), UNRECORDED_SETTLE);
    CHECK_EQ(unrecorded_of(area, &me, user(7)), 4);
    unrecorded_clear(area, &me);
    CHECK_EQ(unrecorded_of(area, &me, user(7)), 2);
    CHECK_EQ(unrecorded_add(area, &me, user(7), 1, 3), UNRECORDED_ADDED);
    free(area);
}

TEST(a_closing_half_that_was_left_is_not_mixed_with_the_next) {
    struct unrecorded   *area   = area_new();
    struct unrecorded_id id     = {0};
    uint32_t             cursor = 0;
    uint64_t             second = 2;
    CHECK_EQ(unrecorded_add(area, &me, user(1), 1, 3), UNRECORDED_ADDED);
    CHECK(unrecorded_close(area, &me));
    /* Somebody of the same shard comes in between. */
    for (bool is_same = false; !is_same; second += !is_same) {
        struct unrecorded *other = area_new();
        CHECK_EQ(unrecorded_add(other, &me, user(1), 1, 3), UNRECORDED_ADDED);
        CHECK_EQ(unrecorded_add(other, &me, user(second), 1, 3), UNRECORDED_ADDED);
        for (int i = 0; i < UNRECORDED_SHARDS; i++) is_same |= other->shard[i].used[0] == 2;
        free(other);
    }
    CHECK_EQ(unrecorded_add(area, &me, user(second), 1, 3), UNRECORDED_ADDED);
    CHECK_EQ(unrecorded_add(area, &me, user(1), 1, 3), UNRECORDED_ADDED);
    CHECK(!unrecorded_close(area, &me));
    CHECK(unrecorded_next(area, &cursor, &id));
    CHECK_EQ(id.name, 1);
    CHECK(!unrecorded_next(area, &cursor, &id));
    CHECK_EQ(unrecorded_of(area, &me, user(1)), 2);
    unrecorded_clear(area, &me);
    CHECK_EQ(unrecorded_of(area, &me, user(1)), 1);
    CHECK(unrecorded_close(area, &me));
    CHECK_EQ(count_closing(area), 2);
    free(area);
}

TEST(a_full_half_takes_whom_it_has_and_nobody_else) {
    struct unrecorded *area  = area_new();
    uint64_t           added = 0;
    while (unrecorded_add(area, &me, user(added * UINT64_C(0xff51afd7ed558ccd)), 1, 9) !=
           UNRECORDED_SETTLE_FIRST) {
        added++;
    }
    CHECK_GT(added, UNRECORDED_SHARDS * UNRECORDED_USED_MAX / 2);
    CHECK_EQ(unrecorded_of(area, &me, user(added * UINT64_C(0xff51afd7ed558ccd))), 0);
    CHECK_EQ(unrecorded_add(area, &me, user(0), 1, 9), UNRECORDED_ADDED);
    CHECK(unrecorded_close(area, &me));
    CHECK_EQ(count_closing(area), added);
    CHECK_EQ(unrecorded_add(area, &me, user(added * UINT64_C(0xff51afd7ed558ccd)), 1, 9),
             UNRECORDED_ADDED);
    free(area);
}

TEST(sums_do_not_wrap_round) {
    struct unrecorded *area = area_new();
    CHECK_EQ(unrecorded_add(area, &me, user(1), UINT64_MAX, 9), UNRECORDED_SETTLE);
    CHECK_EQ(unrecorded_add(area, &me, user(1), UINT64_MAX, 9), UNRECORDED_SETTLE);
    CHECK_EQ(unrecorded_add(area, &me, user(1), 1, 9), UNRECORDED_SETTLE);
    CHECK(unrecorded_close(area, &me));
    CHECK_EQ(unrecorded_add(area, &me, user(1), 1, 9), UNRECORDED_SETTLE);
    CHECK_EQ(count_closing(area), 1);
    free(area);
}

struct holder {
    struct unrecorded *area;
    uint32_t           waits;
};

/* Somebody else holds every shard, and lets go when they are waited for. */
static void wait_for_holder(void *context, uint32_t holder, unsigned turn) {
    struct holder *h = context;
    CHECK_EQ(holder, 17);
    CHECK_EQ(turn, 0);
    atomic_store(&h->area->shard[h->waits++].lock, 0);
}

TEST(halves_are_turned_and_cleared_under_the_lock) {
    struct holder     h      = {.area = area_new()};
    struct lock_owner waiter = {.process = 1, .context = &h, .wait = wait_for_holder};
    for (uint64_t tag = 0; tag < 10000; tag++) {
        CHECK_NE(unrecorded_add(h.area, &me, user(tag), 1, 1), UNRECORDED_SETTLE_FIRST);
    }
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) atomic_store(&h.area->shard[i].lock, 17);
    CHECK(unrecorded_close(h.area, &waiter));
    CHECK_EQ(h.waits, UNRECORDED_SHARDS);
    h.waits = 0;
    for (uint32_t i = 0; i < UNRECORDED_SHARDS; i++) atomic_store(&h.area->shard[i].lock, 17);
    unrecorded_clear(h.area, &waiter);
    CHECK_EQ(h.waits, UNRECORDED_SHARDS);
    free(h.area);
}

TEST(a_dead_process_holds_nothing) {
    struct unrecorded *area = area_new();
    atomic_store(&area->shard[3].lock, 17);
    atomic_store(&area->shard[4].lock, 18);
    unrecorded_release_dead(area, 17);
    CHECK_EQ(atomic_load(&area->shard[3].lock), 0);
    CHECK_EQ(atomic_load(&area->shard[4].lock), 18);
    free(area);
}
