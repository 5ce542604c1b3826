/* SPDX-License-Identifier: MIT */
#include "base/arrivals.h"

#include "concurrency/crew.h"
#include "support/check.h"

enum { ADDERS = 4, PARCELS_MAX = 200000 };

struct parcel {
    struct arrival arrival; /* first */
    size_t         sender;
    uint64_t       number;
};

static struct parcel *parcel_next(struct arrival **list) {
    return (struct parcel *)arrivals_next(list);
}

TEST(they_are_taken_in_the_order_in_which_they_came) {
    struct arrivals arrivals;
    struct parcel   parcels[3] = {0};
    arrivals_init(&arrivals);
    for (int i = 0; i < 3; i++) (void)arrivals_add(&arrivals, &parcels[i].arrival);
    struct arrival *list = arrivals_take(&arrivals);
    CHECK(arrivals_are_none(&arrivals));
    for (int i = 0; i < 3; i++) {
        const struct parcel *next = parcel_next(&list);
        CHECK_EQ(next, &parcels[i]);
    }
    CHECK_EQ(list, NULL);
}

TEST(only_the_first_since_they_were_taken_wakes_anybody) {
    struct arrivals arrivals;
    struct parcel   parcels[3] = {0};
    arrivals_init(&arrivals);
    CHECK_EQ(arrivals_take(&arrivals), NULL);
    CHECK_EQ(arrivals_add(&arrivals, &parcels[0].arrival), true);
    CHECK_EQ(arrivals_add(&arrivals, &parcels[1].arrival), false);
    (void)arrivals_take(&arrivals);
    CHECK_EQ(arrivals_add(&arrivals, &parcels[2].arrival), true);
}

/* ---- many threads ---- */

struct race {
    struct arrivals arrivals;
    uint64_t        each; /* what each adds */
    struct parcel  *parcels;
    _Atomic size_t  adding;
};

static void add_parcels(struct race *race, size_t sender) {
    struct parcel *mine = &race->parcels[sender * race->each];
    for (uint64_t i = 0; i < race->each; i++) {
        mine[i] = (struct parcel){.sender = sender, .number = i};
        (void)arrivals_add(&race->arrivals, &mine[i].arrival);
    }
    atomic_fetch_sub(&race->adding, 1);
}

static void take_parcels(struct race *race) {
    uint64_t seen[ADDERS] = {0};
    bool     is_last      = false;
    while (!is_last) {
        is_last              = atomic_load(&race->adding) == 0;
        struct arrival *list = arrivals_take(&race->arrivals);
        struct parcel  *parcel;
        while ((parcel = parcel_next(&list)) != NULL) {
            CHECK_EQ(parcel->number, seen[parcel->sender]);
            seen[parcel->sender]++;
        }
    }
    for (size_t i = 0; i < ADDERS; i++) CHECK_EQ(seen[i], race->each);
}

static void run(struct crew_member *m) {
    if (m->index < ADDERS)
        add_parcels(m->work, m->index);
    else
        take_parcels(m->work);
}

TEST(of_many_threads_each_finds_its_own_order_and_nothing_is_lost_or_comes_twice) {
    static struct parcel parcels[PARCELS_MAX];
    uint64_t             each = check_effort(PARCELS_MAX / ADDERS / 10);
    struct race          race = {.parcels = parcels, .adding = ADDERS};
    race.each                 = each < PARCELS_MAX / ADDERS ? each : PARCELS_MAX / ADDERS;
    crew_run(ADDERS + 1, run, &race);
}
