/* SPDX-License-Identifier: MIT
 *
 * Threads of two processes, as far as the journal can tell, that take permits and settle at once; and around
 * each sync of theirs the power might fail. */
#include "store/embedded/journal.h"
#include "support/check.h"

#include <inttypes.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "concurrency/crew.h"
#include "power/sim_disk.h"
#include "store/embedded/past.h"

enum { USERS = 24, THREADS = 4, PROCESSES = 2, U = 2, MEMORY_BYTES = 1 << 20 };

struct line {
    _Atomic uint32_t lock;
    _Atomic uint64_t taken, answered;
};

struct host {
    struct sim_disk      *sim;
    struct disk           disk;
    struct journal_shared shared;
    struct unrecorded    *unrecorded;
    struct journal       *journal[PROCESSES];
    struct lock_owner     me[PROCESSES];
    struct line           line[USERS];
    uint64_t              rounds;
    _Atomic uint64_t      judged, settled;
    struct random         random; /* the leader's */
    void                 *memory;
};

static void host_wait(void *context, uint32_t holder, unsigned turn) {
    (void)context;
    (void)holder;
    (void)turn;
    sched_yield();
}

static uint64_t tag_of(uint32_t user) { return (user + 1) * UINT64_C(0xff51afd7ed558ccd); }

static uint64_t host_read(struct host *h, uint32_t user) {
    struct line *line = &h->line[user];
    owned_lock_take(&line->lock, &h->me[0]);
    uint64_t taken = atomic_load_explicit(&line->taken, memory_order_relaxed);
    owned_lock_give(&line->lock);
    return taken;
}

static bool host_counter(void *context, uint64_t tag, struct counter *c) {
    struct host *h = context;
    for (uint32_t i = 0; i < USERS; i++) {
        if (tag_of(i) != tag) continue;
        *c = (struct counter){.fresh_at_ns = UINT64_MAX, .body = {host_read(h, i), i}};
        return true;
    }
    CHECK_SAYS(false, "nobody has the tag %" PRIx64, tag);
    return false;
}

static bool host_ring(void *context, uint64_t index, struct ring *r) {
    (void)context;
    (void)index;
    memset(r, 0, sizeof *r);
    return true;
}

static uint64_t host_users(void *context) {
    (void)context;
    return USERS;
}

static void host_judge(struct host *h) {
    uint64_t answered[USERS];
    for (uint32_t i = 0; i < USERS; i++) answered[i] = atomic_load(&h->line[i].answered);
    struct sim_disk   *copy = sim_disk_copy(h->sim, random_next(&h->random));
    struct disk        disk = sim_disk_face(copy);
    struct past_replay p    = {.disk         = &disk,
                               .store        = "t",
                               .generation   = 1,
                               .memory       = h->memory,
                               .memory_bytes = MEMORY_BYTES};
    struct past_rings  none = {.stripes = 1};
    struct past        past = {0};
    sim_disk_crash(copy);
    CHECK_EQ(past_scan(&p), DISK_OK);
    CHECK_EQ(past_write(&p, &none, 1), DISK_OK);
    struct sim_bytes *bytes = sim_disk_bytes(copy, "t.past");
    CHECK(past_open(&past, bytes->data, bytes->bytes));
    for (uint32_t i = 0; i < USERS; i++) {
        struct counter c = {0};
        if (past_find(&past, tag_of(i), &c)) CHECK_EQ(c.body[1], i);
        CHECK_SAYS(c.body[0] + U >= answered[i],
                   "user %u was answered %" PRIu64 ", and %" PRIu64 " are recorded", (unsigned)i,
                   answered[i], c.body[0]);
    }
    atomic_fetch_add(&h->judged, 1);
    sim_disk_free(copy);
}

static void host_hook(void *context, enum sim_act act, bool is_before) {
    (void)is_before;
    struct host *h = context;
    if (act == SIM_SYNC && random_below(&h->random, 8) == 0) host_judge(h);
}

static struct host *host_new(void) {
    struct host *h = aligned_alloc(_Alignof(struct host), sizeof *h);
    CHECK_NE(h, NULL);
    memset(h, 0, sizeof *h);
    h->random            = (struct random){.state = check_seed()};
    h->sim               = sim_disk_new(check_seed());
    h->sim->hook         = host_hook;
    h->sim->hook_context = h;
    h->disk              = sim_disk_face(h->sim);
    h->unrecorded        = aligned_alloc(64, sizeof *h->unrecorded);
    h->memory            = aligned_alloc(64, MEMORY_BYTES);
    memset(h->unrecorded, 0, sizeof *h->unrecorded);
    for (uint32_t i = 0; i < PROCESSES; i++) {
        h->me[i]      = (struct lock_owner){.process = i + 1, .wait = host_wait, .context = h};
        h->journal[i] = calloc(1, sizeof *h->journal[i]);
        journal_init(h->journal[i],
                     &(struct journal_options){.disk              = &h->disk,
                                               .store             = "t",
                                               .generation        = 1,
                                               .segment_bytes_max = JOURNAL_SEGMENT_BYTES_MIN,
                                               .source            = {.context = h,
                                                                     .counter = host_counter,
                                                                     .ring    = host_ring,
                                                                     .users   = host_users},
                                               .shared            = &h->shared,
                                               .unrecorded        = h->unrecorded,
                                               .me                = &h->me[i]});
    }
    return h;
}

static void host_free(struct host *h) {
    for (uint32_t i = 0; i < PROCESSES; i++) {
        journal_close(h->journal[i]);
        free(h->journal[i]);
    }
    sim_disk_free(h->sim);
    free(h->unrecorded);
    free(h->memory);
    free(h);
}

static void host_answer(struct line *line, uint64_t shown) {
    uint64_t answered = atomic_load(&line->answered);
    while (answered < shown && !atomic_compare_exchange_weak(&line->answered, &answered, shown)) {}
}

static void host_run(struct crew_member *m) {
    struct host    *h       = m->work;
    uint32_t        process = (uint32_t)m->index % PROCESSES;
    struct journal *j       = h->journal[process];
    for (uint64_t i = 0; i < h->rounds; i++) {
        uint32_t     user = (uint32_t)random_below(&m->random, USERS);
        struct line *line = &h->line[user];
        owned_lock_take(&line->lock, &h->me[process]);
        struct unrecorded_id   id     = {.name = tag_of(user), .kind = UNRECORDED_COUNTER};
        enum unrecorded_answer answer = unrecorded_add(h->unrecorded, &h->me[process], id, 1, U);
        uint64_t               shown = atomic_load_explicit(&line->taken, memory_order_relaxed) + 1;
        if (answer != UNRECORDED_SETTLE_FIRST) {
            atomic_store_explicit(&line->taken, shown, memory_order_relaxed);
        }
        owned_lock_give(&line->lock);
        if (answer != UNRECORDED_ADDED) {
            CHECK_EQ(journal_settle(j, 1, 0), DISK_OK);
            atomic_fetch_add(&h->settled, 1);
        }
        if (answer != UNRECORDED_SETTLE_FIRST) host_answer(line, shown);
    }
}

TEST(threads_that_settle_at_once_lose_nothing) {
    struct host *h = host_new();
    h->rounds      = check_effort(3000);
    crew_run(THREADS, host_run, h);
    CHECK_EQ(journal_settle(h->journal[0], 1, 0), DISK_OK);
    uint64_t taken = 0;
    for (uint32_t i = 0; i < USERS; i++) taken += h->line[i].taken;
    CHECK_EQ(taken, THREADS * h->rounds);
    CHECK_GT(atomic_load(&h->judged), 0);
    host_judge(h);
    host_free(h);
}

/* All ask for the same: one commit serves many. */
TEST(settles_that_meet_share_a_commit) {
    struct host *h = host_new();
    h->sim->hook   = NULL;
    h->rounds      = check_effort(3000);
    crew_run(THREADS, host_run, h);
    CHECK_LE(h->sim->acts[SIM_SYNC], atomic_load(&h->settled));
    CHECK_EQ(atomic_load(&h->shared.done), atomic_load(&h->shared.begun));
    host_free(h);
}
