/* SPDX-License-Identifier: MIT
 *
 * sketch_trial: how often did a sketch deny a user who was within the limit? Tried, on the real one.
 *
 * What share is denied depends on the bytes and the permits of a user, not on how many users there
 * are: a trial with a few ten thousand tells about a thousand million. */
#include "cmd/sketch_trial.h"

#include "base/contract.h"
#include "base/random.h"
#include "cmd/zipf.h"
#include "os/memory.h"
#include "os/processor.h"
#include "table/sketch.h"

enum { WINDOWS_BEFORE = 2 };

static const uint64_t cell_ns = 1000000000;

/* One user's requests or permits by cell; the same cells as the sketch's. */
struct tally {
    uint8_t newest;
    uint8_t counts[SKETCH_SLOTS];
};

struct user {
    struct tally asked, allowed, allowed_exactly;
};

/* All that a trial works with. */
struct world {
    const struct sketch_trial *trial;
    struct sketch             *sketch;
    struct user               *users;
    struct random              random;
    struct zipf                zipf;
    uint64_t                   hash_key;
};

static void     world_ask(struct world *w, uint64_t now_ns, struct sketch_tried *tried);
static uint64_t tally_at(struct tally *t, uint8_t cell);
static void     tally_add(struct tally *t);

bool sketch_trial_run(const struct sketch_trial *trial, struct sketch_tried *tried) {
    REQUIRE(trial->users > 0);
    REQUIRE(trial->windows > 0);
    REQUIRE(trial->windows <= SKETCH_TRIAL_WINDOWS_MAX);
    *tried                = (struct sketch_tried){0};
    size_t       bytes    = sketch_bytes(trial->bytes);
    void        *memory   = bytes > 0 ? memory_reserve(bytes) : NULL;
    struct user *users    = memory_reserve(trial->users * sizeof *users);
    bool         has_room = memory != NULL && users != NULL;
    if (has_room) {
        struct sketch_options options = {.window_ns = SKETCH_CELLS * cell_ns,
                                         .limit_max = trial->limit,
                                         .yield     = processor_yield};
        struct world          w       = {.trial  = trial,
                                         .sketch = sketch_init(memory, bytes, &options),
                                         .users  = users,
                                         .random = {.state = trial->seed}};
        w.hash_key                    = random_next(&w.random);
        if (trial->zipf > 0) w.zipf = zipf_of(trial->users, trial->zipf);

        double   window   = (double)trial->users * trial->mean;
        uint64_t requests = (uint64_t)(window * (WINDOWS_BEFORE + trial->windows));
        double   apart_ns = (double)options.window_ns / window;
        for (uint64_t i = 0; i < requests; i++)
            world_ask(&w, (uint64_t)((double)i * apart_ns), tried);
    }
    if (memory != NULL) memory_release(memory, bytes);
    if (users != NULL) memory_release(users, trial->users * sizeof *users);
    return has_room;
}

static void world_ask(struct world *w, uint64_t now_ns, struct sketch_tried *tried) {
    uint64_t      limit = w->trial->limit;
    uint64_t      who   = w->trial->zipf > 0 ? zipf_next(&w->zipf, &w->random)
                                             : random_below(&w->random, w->trial->users);
    struct random named = {.state = who ^ w->hash_key};
    struct user  *user  = &w->users[who];
    uint8_t       cell  = (uint8_t)(now_ns / cell_ns + SKETCH_SLOTS);

    bool is_within  = tally_at(&user->asked, cell) < limit;
    bool has_room   = tally_at(&user->allowed, cell) < limit;
    bool is_exactly = tally_at(&user->allowed_exactly, cell) < limit;
    bool allowed    = sketch_admit(w->sketch, random_next(&named), limit, 1, now_ns);
    INVARIANT(has_room || !allowed);
    tally_add(&user->asked);
    if (allowed) tally_add(&user->allowed);
    if (is_exactly) tally_add(&user->allowed_exactly);

    if (now_ns < WINDOWS_BEFORE * SKETCH_CELLS * cell_ns) return;
    tried->asked++;
    tried->allowed += allowed;
    tried->allowed_exactly += is_exactly;
    tried->denied_falsely += has_room && !allowed;
    tried->asked_within += is_within;
    tried->denied_within += is_within && !allowed;
}

/* What is held in `cell`, which becomes the newest. */
static uint64_t tally_at(struct tally *t, uint8_t cell) {
    for (unsigned i = 0; t->newest != cell && i < SKETCH_SLOTS; i++) {
        /* A user who was away for longer has nothing left: that many steps clear all. */
        if (cell - t->newest > SKETCH_SLOTS) t->newest = (uint8_t)(cell - SKETCH_SLOTS);
        t->newest++;
        t->counts[t->newest % SKETCH_SLOTS] = 0;
    }
    uint64_t held = 0;
    for (unsigned i = 0; i < SKETCH_SLOTS; i++) held += t->counts[i];
    return held;
}

/* Counts one in the newest cell; as many as fit, which is not less than any limit. */
static void tally_add(struct tally *t) {
    uint8_t *count = &t->counts[t->newest % SKETCH_SLOTS];
    if (*count < UINT8_MAX) ++*count;
}
