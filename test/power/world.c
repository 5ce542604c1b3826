/* SPDX-License-Identifier: MIT */
#include "power/world.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "support/check.h"

enum { RING_OF_USERS = WORLD_RINGS - 1, RING_SHARED = WORLD_RINGS - 2 };

static struct unrecorded_id counter_id(uint64_t tag) {
    return (struct unrecorded_id){.name = tag, .kind = UNRECORDED_COUNTER};
}

static struct unrecorded_id ring_id(uint64_t index) {
    return (struct unrecorded_id){.name = index, .kind = UNRECORDED_RING};
}

static unsigned ring_class(uint32_t index) { return RING_CLASS_MIN + index; }

/* --- users ----------------------------------------------------------------------------------- */

static bool user_is_fresh(const struct world *w, const struct world_user *user) {
    return user->fresh_at_ns <= w->now_ns;
}

static void user_forget(struct world_user *user) {
    user->has_line            = false;
    user->taken               = 0;
    user->fresh_at_ns         = 0;
    user->answered            = 0;
    user->settled             = 0;
    user->settled_fresh_at_ns = 0;
}

/* A newcomer brings along what the past knows and what is live on their ring. */
static uint64_t user_come(struct world *w, struct world_user *user) {
    struct counter c;
    uint64_t       taken = 0;
    if (w->has_past && past_find(&w->past, user->tag, &c) && c.fresh_at_ns > w->now_ns) {
        CHECK_EQ(c.body[1], user->tag);
        taken = c.body[0];
    } else if (user->settled > 0) {
        /* All that was settled has expired; one count cannot say what came after it. */
        user_forget(user);
    }
    return taken + ring_live(&w->ring[RING_OF_USERS], ring_class(RING_OF_USERS), w->now_ns);
}

static void world_settled(struct world *w) {
    w->ring_settled = ring_live(&w->ring[RING_SHARED], ring_class(RING_SHARED), w->now_ns);
    for (uint32_t i = 0; i < w->user_count; i++) {
        struct world_user *user = &w->user[i];
        if (!user->has_line) continue;
        user->settled             = user->taken;
        user->settled_fresh_at_ns = user->fresh_at_ns;
    }
}

/* What was taken when the settle began is durable after it; others take meanwhile. */
enum disk_status world_settle(struct world *w) {
    struct world before = *w;
    w->is_settling      = true;
    w->settles++;
    enum disk_status status = journal_settle(w->journal, w->now_ns, 0);
    w->is_settling          = false;
    if (status != DISK_OK) {
        w->settle_failures++;
        return status;
    }
    world_settled(&before);
    w->ring_settled = before.ring_settled;
    for (uint32_t i = 0; i < w->user_count; i++) {
        if (!before.user[i].has_line || !w->user[i].has_line) continue;
        if (w->user[i].taken < before.user[i].taken) continue; /* They were new in between. */
        w->user[i].settled             = before.user[i].settled;
        w->user[i].settled_fresh_at_ns = before.user[i].settled_fresh_at_ns;
    }
    return DISK_OK;
}

/* True: the caller may answer. A settle that is needed within another one is left undone, and
 * nothing is answered. */
static bool world_add(struct world *w, struct unrecorded_id id, uint64_t cost, bool *must_settle) {
    enum unrecorded_answer answer = unrecorded_add(w->unrecorded, &w->me, id, cost, w->u);
    *must_settle                  = answer == UNRECORDED_SETTLE;
    if (answer != UNRECORDED_SETTLE_FIRST) return true;
    if (!w->is_settling) (void)world_settle(w);
    return false;
}

static void world_ask_user(struct world *w, struct world_user *user, uint64_t cost) {
    if (user_is_fresh(w, user)) user_forget(user);
    bool     must_settle;
    uint64_t taken = user->has_line ? user->taken : user_come(w, user);
    if (!world_add(w, counter_id(user->tag), cost, &must_settle)) return;
    if (user->fresh_at_ns == 0) user->began_ns = w->now_ns;
    user->has_line    = true;
    user->taken       = taken + cost;
    user->fresh_at_ns = w->now_ns + user->window_ns;
    uint64_t shown    = user->taken;
    if (must_settle && (w->is_settling || world_settle(w) != DISK_OK)) return;
    if (shown > user->answered && shown <= user->taken) user->answered = shown;
}

static void world_ask_ring(struct world *w, uint64_t cost) {
    bool must_settle;
    if (!world_add(w, ring_id(RING_SHARED), cost, &must_settle)) return;
    CHECK(ring_admit(&w->ring[RING_SHARED], ring_class(RING_SHARED), UINT64_MAX, cost, w->now_ns));
    uint64_t shown = ring_live(&w->ring[RING_SHARED], ring_class(RING_SHARED), w->now_ns);
    if (must_settle && (w->is_settling || world_settle(w) != DISK_OK)) return;
    if (shown > w->ring_answered) w->ring_answered = shown;
}

void world_ask(struct world *w) {
    w->asks++;
    w->now_ns += random_below(&w->random, 3);
    uint64_t cost = random_below(&w->random, 16) == 0 ? random_below(&w->random, 5) : 1;
    if (random_below(&w->random, 32) == 0 && !w->is_ring_quiet) {
        world_ask_ring(w, cost);
        return;
    }
    /* Some users ask much more than others. */
    uint32_t among = random_below(&w->random, 2) == 0 ? 1 + w->asking_count / 16 : w->asking_count;
    world_ask_user(w, &w->user[random_below(&w->random, among)], cost);
}

/* --- what the journal asks ------------------------------------------------------------------- */

static bool world_counter(void *context, uint64_t tag, struct counter *c) {
    struct world *w = context;
    if (random_below(&w->random, 8) == 0) world_ask(w);
    struct world_user *user = NULL;
    for (uint32_t i = 0; i < w->user_count && user == NULL; i++) {
        if (w->user[i].tag == tag) user = &w->user[i];
    }
    CHECK_SAYS(user != NULL, "the journal asks for a counter that nobody has");
    if (!user->has_line || user_is_fresh(w, user)) return false;
    *c = (struct counter){.fresh_at_ns = user->fresh_at_ns,
                          .head        = UINT64_MAX,
                          .body        = {user->taken, user->tag, 3, 4, 5}};
    return true;
}

static bool world_ring(void *context, uint64_t index, struct ring *r) {
    struct world *w = context;
    CHECK_LT(index, WORLD_RINGS);
    *r = w->ring[index];
    return true;
}

static uint64_t world_users(void *context) {
    struct world *w     = context;
    uint64_t      users = 0;
    for (uint32_t i = 0; i < w->user_count; i++) users += w->user[i].has_line;
    return users;
}

static void world_wait(void *context, uint32_t holder, unsigned turn) {
    (void)context;
    CHECK_SAYS(turn < 3, "one thread waits for a lock that %u holds", (unsigned)holder);
}

/* --- the world ------------------------------------------------------------------------------- */

static void *memory_for(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
    CHECK_NE(memory, NULL);
    memset(memory, 0, bytes);
    return memory;
}

static void world_begin_process(struct world *w) {
    w->me.process++;
    w->options.disk       = &w->disk;
    w->options.generation = w->generation;
    w->options.me         = &w->me;
    journal_init(w->journal, &w->options);
}

static void world_hook(void *context, enum sim_act act, bool is_before) {
    struct world *w = context;
    (void)is_before;
    if (random_below(&w->random, 8) == 0 && w->is_settling) world_ask(w);
    if (act == SIM_SYNC) {
        world_judge(w, w->judge_syncs);
    } else if (w->judge_one_in != 0 && random_below(&w->random, w->judge_one_in) == 0) {
        world_judge(w, 1);
    }
    if (w->kill_one_in != 0 && random_below(&w->random, w->kill_one_in) == 0) longjmp(w->killed, 1);
}

static void world_begin_disk(struct world *w, struct sim_disk *sim) {
    w->sim               = sim;
    w->disk              = sim_disk_face(sim);
    w->sim->hook         = world_hook;
    w->sim->hook_context = w;
}

struct world *world_new(uint64_t seed, const struct world_options *options) {
    struct world *w = calloc(1, sizeof *w);
    CHECK_NE(w, NULL);
    CHECK_LE(options->users, WORLD_USERS_MAX);
    w->random     = (struct random){.state = seed};
    w->now_ns     = 5000000000;
    w->u          = options->u;
    w->generation = 1;
    w->user_count = w->asking_count = options->users;
    w->shared                       = memory_for(sizeof *w->shared);
    w->unrecorded                   = memory_for(sizeof *w->unrecorded);
    w->journal                      = memory_for(sizeof *w->journal);
    w->memory                       = memory_for(WORLD_MEMORY_BYTES);
    for (uint32_t i = 0; i < w->user_count; i++) {
        w->user[i].tag       = random_next(&w->random);
        w->user[i].window_ns = 1 + random_below(&w->random, options->window_ns_max);
        if (random_below(&w->random, 2) == 0) w->user[i].window_ns = UINT64_C(1) << 50;
    }
    w->user[0].tag       = RING_SHARED; /* A tag may look like a ring. */
    w->user[0].window_ns = UINT64_C(1) << 50;
    w->options           = (struct journal_options){
                  .store             = "table",
                  .segment_bytes_max = options->segment_bytes_max,
                  .shared            = w->shared,
                  .unrecorded        = w->unrecorded,
                  .source            = {.context = w,
                                        .counter = world_counter,
                                        .ring    = world_ring,
                                        .users   = world_users},
    };
    w->me = (struct lock_owner){.wait = world_wait, .context = w};
    world_begin_disk(w, sim_disk_new(random_next(&w->random)));
    world_begin_process(w);
    return w;
}

void world_free(struct world *w) {
    journal_close(w->journal);
    sim_disk_free(w->sim);
    free(w->shared);
    free(w->unrecorded);
    free(w->journal);
    free(w->memory);
    free(w->past_file);
    free(w);
}

void world_run(struct world *w, uint64_t asks) {
    uint64_t until = w->asks + asks;
    if (setjmp(w->killed) != 0) {
        /* All that a process had is gone but for the memory that it shared. */
        w->kills++;
        w->is_settling = false;
        journal_release_dead(w->shared, w->unrecorded, w->me.process);
        pthread_mutex_destroy(&w->sim->mutex);
        pthread_mutex_init(&w->sim->mutex, NULL);
        world_begin_process(w);
    }
    while (w->asks < until) world_ask(w);
}

/* --- the judge ------------------------------------------------------------------------------- */

static void judge_user(const struct world *w, const struct world_user *user,
                       const struct past *past, const struct ring *ring) {
    if (user_is_fresh(w, user)) return;
    struct counter c     = {0};
    uint64_t       taken = 0;
    if (past_find(past, user->tag, &c)) {
        taken = c.body[0];
        CHECK_EQ(c.body[1], user->tag);
        CHECK_EQ(c.body[4], 5);
        CHECK_EQ(c.head, COUNTER_HEAD_MASK);
    }
    /* An image may have expired that was recorded by a leader who was killed before it could say so; one
     * count cannot say what came after it. */
    bool is_all_live = user->began_ns + user->window_ns > w->now_ns;
    if (taken == 0 && user->settled == 0 && !is_all_live) return;
    uint64_t charge = ring_live(&ring[RING_OF_USERS], ring_class(RING_OF_USERS), w->now_ns);
    if (user->settled > 0 && user->settled_fresh_at_ns <= w->now_ns) return;
    CHECK_SAYS(taken >= user->settled,
               "a user had settled %" PRIu64 " permits, and the past knows of %" PRIu64,
               user->settled, taken);
    CHECK_SAYS(taken + charge >= user->answered,
               "a user was answered %" PRIu64 " permits, and is charged %" PRIu64 " + %" PRIu64,
               user->answered, taken, charge);
}

void world_judge_disk(struct world *w, struct sim_disk *sim, bool is_adopted) {
    struct disk        disk = sim_disk_face(sim);
    struct past_replay p    = {.disk         = &disk,
                               .store        = "table",
                               .generation   = w->generation,
                               .memory       = w->memory,
                               .memory_bytes = WORLD_MEMORY_BYTES};
    struct ring        ring[WORLD_RINGS];
    struct past_rings  rings = {.ring = ring, .count = WORLD_RINGS, .stripes = 1, .u = w->u};
    CHECK_EQ(past_scan(&p), DISK_OK);
    CHECK_LE(p.now_ns, w->now_ns);
    CHECK_EQ(past_write(&p, &rings, p.now_ns), DISK_OK);

    struct sim_bytes *bytes = sim_disk_bytes(sim, "table.past");
    struct past       past;
    CHECK_NE(bytes, NULL);
    unsigned char *file = memory_for(bytes->bytes);
    memcpy(file, bytes->data, bytes->bytes);
    CHECK(past_verify(file, bytes->bytes));
    CHECK(past_open(&past, file, bytes->bytes));
    CHECK_EQ(past.count, p.counters);

    for (uint32_t i = 0; i < w->user_count; i++) judge_user(w, &w->user[i], &past, ring);
    uint64_t shared = ring_live(&ring[RING_SHARED], ring_class(RING_SHARED), w->now_ns);
    CHECK_GE(shared, w->ring_settled + w->u);
    CHECK_GE(shared, w->ring_answered);

    if (!is_adopted) {
        free(file);
        return;
    }
    free(w->past_file);
    w->past_file  = file;
    w->past_bytes = bytes->bytes;
    w->has_past   = past_open(&w->past, w->past_file, w->past_bytes);
    memcpy(w->ring, ring, sizeof ring);
}

/* The power fails again while the past is written, or the process is killed there. */
struct second {
    uint64_t acts_left;
    jmp_buf  stopped;
};

static void second_hook(void *context, enum sim_act act, bool is_before) {
    struct second *second = context;
    (void)act;
    (void)is_before;
    if (second->acts_left-- == 0) longjmp(second->stopped, 1);
}

static void judge_second_loss(struct world *w, struct sim_disk *sim) {
    struct second second = {.acts_left = random_below(&w->random, 12)};
    sim->hook            = second_hook;
    sim->hook_context    = &second;
    if (setjmp(second.stopped) == 0) world_judge_disk(w, sim, false);
    sim->hook = NULL;
    pthread_mutex_destroy(&sim->mutex);
    pthread_mutex_init(&sim->mutex, NULL);
    if (random_below(&w->random, 4) != 0) sim_disk_crash(sim);
}

void world_judge(struct world *w, uint32_t tries) {
    for (uint32_t i = 0; i < tries; i++) {
        struct sim_disk *copy = sim_disk_copy(w->sim, random_next(&w->random));
        sim_disk_crash(copy);
        world_judge_disk(w, copy, false);
        if (random_below(&w->random, 8) == 0) {
            judge_second_loss(w, copy);
            world_judge_disk(w, copy, false);
        }
        sim_disk_free(copy);
    }
}

void world_power_loss(struct world *w) {
    struct sim_disk *sim = sim_disk_copy(w->sim, random_next(&w->random));
    journal_close(w->journal);
    sim_disk_free(w->sim);
    sim_disk_crash(sim);
    world_begin_disk(w, sim);
    world_judge_disk(w, sim, true);

    /* The new table begins empty, as do the areas beside it. */
    w->generation++;
    CHECK_EQ(segment_remove_all(&w->disk, "table"), DISK_OK);
    memset(w->shared, 0, sizeof *w->shared);
    memset(w->unrecorded, 0, sizeof *w->unrecorded);
    w->ring_answered = ring_live(&w->ring[RING_SHARED], ring_class(RING_SHARED), w->now_ns);
    w->ring_settled  = w->ring_answered - w->u;
    for (uint32_t i = 0; i < w->user_count; i++) w->user[i].has_line = false;
    world_begin_process(w);
}
