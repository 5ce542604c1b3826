/* SPDX-License-Identifier: MIT
 *
 * A process that shares a table is killed at every instruction of everything it can do.
 *
 * An operation is run one instruction at a time. What the shared memory holds after an instruction is what a
 * process leaves that is killed there; this is made sure of by processes that really are, at instructions
 * drawn at random. Wherever the memory has changed, another process lets go of the dead one, and a judge
 * who knows only the memory's lay-out looks at all that is left:
 *
 *   - no lock is held, each line is where a search finds it, nobody has two;
 *   - each counter is what it was before the operation or what it is after it, bit by bit;
 *   - as many users are counted as there are lines, or one more for each who died;
 *   - letting go of the dead a second time changes nothing;
 *   - the same question, asked by somebody alive, is answered as these counters say.
 *
 * Whoever lets go of the dead is killed at every instruction too, and so are two processes, or two threads of
 * one, in the middle of different things. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/random.h"
#include "crash/steps.h"
#include "limit/limit.h"
#include "model/seeds.h"
#include "support/check.h"
#include "table/layout.h"

enum { LIVE = 1, DOOMED, THIRD, PROCESSES = THIRD };

enum {
    THREAD              = 1,
    OTHER_THREAD        = 2,
    HASHES_MAX          = 1400,
    OP_MAX              = 4,
    CHANGES_MAX         = 40000,
    WRECKS_MAX          = 64,
    WRECK_KINDS         = 1 << 12,
    STATES_MAX          = 4, /* that a counter may have come from */
    KILLED_INSTRUCTIONS = 30000,
    KILLED_LEAST        = 1000, /* as much as it takes to make a process */
    RESCUED_PER_1000    = 150,
    GROWTH_STAGES       = 3,
    PAIRS               = 8,
    PAIRS_JUDGED_IN     = 6,
    TURNS_MAX           = 32,   /* then whoever waits, waits for the one that has stopped */
    SMALL               = 300,  /* users_max of a table that never grows: 22 buckets */
    LARGE               = 1200, /* of one that grows once: from 64 buckets to 87 */
};

static const uint64_t start = 5000000000, window = 1000000000;

/* ---- a table in memory that processes share ---- */

enum kind { KIND_ALLOW, KIND_DECIDE, KIND_JOINT, KIND_RESET };

struct op {
    enum kind             kind;
    struct table_question q[OP_MAX];
    size_t                count;
    uint64_t              now_ns;
};

struct part {
    size_t offset, bytes;
};

struct world {
    uint64_t      users_max;
    size_t        bytes;
    char         *memory, *before; /* shared; what it was when the operation began */
    struct table *table[PROCESSES + 1];
    struct part   watched[4]; /* all that may change */
    struct op     op;
};

static struct random draw;

/* Less of it in the builds that are slow. */
static uint64_t share(uint64_t count) { return seeds_share(check_effort(count)); }

/* Whoever waits for the dead lets go of it; nobody waits for anybody else, but a thread for another of its
 * process, which is dead as well: then it stops where it is. */
static jmp_buf is_stuck;
static bool    may_be_stuck;

static void world_wait(void *context, uint32_t process, unsigned turn) {
    struct table **self      = context;
    bool           is_nobody = process == TABLE_NO_PROCESS || process == 0;
    if (is_nobody && (!may_be_stuck || turn < TURNS_MAX)) return;
    if (is_nobody || process == (*self)->process) {
        CHECK(may_be_stuck);
        steps_stop();
        longjmp(is_stuck, 1);
    }
    CHECK_SAYS(process == DOOMED && (*self)->process == THIRD,
               "process %" PRIu32 " waits for process %" PRIu32, (*self)->process, process);
    table_recover(*self, DOOMED);
}

static size_t offset_of(const struct world *w, const void *at) {
    return (size_t)((const char *)at - w->memory);
}

static struct world *world_new(uint64_t users_max) {
    struct world *w = calloc(1, sizeof *w);
    w->users_max    = users_max;
    w->bytes        = table_bytes(users_max, PROCESSES);
    w->memory = mmap(NULL, w->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    w->before = malloc(w->bytes);
    CHECK_NE(w->memory, MAP_FAILED);
    for (uint32_t p = 1; p <= PROCESSES; p++) {
        struct table_options options = {.users_max = users_max,
                                        .processes = PROCESSES,
                                        .process   = p,
                                        .wait      = world_wait,
                                        .context   = &w->table[p]};
        w->table[p] = table_attach(aligned_alloc(64, (table_handle_bytes() + 63) / 64 * 64),
                                   w->memory, &options);
        CHECK_NE(w->table[p], NULL);
    }
    const struct table *t          = w->table[DOOMED];
    unsigned            ring_class = ring_class_for(window) - RING_CLASS_MIN;
    w->watched[0]                  = (struct part){0, TABLE_PAGE_BYTES};
    w->watched[1] = (struct part){offset_of(w, t->rings + ring_class * (unsigned)TABLE_STRIPES),
                                  TABLE_STRIPES * sizeof *t->rings};
    w->watched[2] = (struct part){offset_of(w, t->holders), 3 * sizeof *t->holders};
    w->watched[3] = (struct part){offset_of(w, t->buckets),
                                  (size_t)t->sizes[t->passes - 1] * sizeof(struct bucket)};
    return w;
}

static void world_free(struct world *w) {
    for (uint32_t p = 1; p <= PROCESSES; p++) free(w->table[p]);
    munmap(w->memory, w->bytes);
    free(w->before);
    free(w);
}

static void world_keep(struct world *w) { memcpy(w->before, w->memory, w->bytes); }
static void world_restore(struct world *w) { memcpy(w->memory, w->before, w->bytes); }

static bool op_run(struct table *t, unsigned thread, const struct op *op) {
    struct line        *hint = NULL;
    struct table_answer a[OP_MAX];
    switch (op->kind) {
    case KIND_ALLOW: return table_allow(t, thread, op->q, op->now_ns, &hint);
    case KIND_JOINT: return table_decide_joint(t, thread, op->q, op->count, op->now_ns, a);
    case KIND_RESET: table_reset(t, thread, op->q[0].hash, op->now_ns); return true;
    default: table_decide(t, thread, op->q, op->now_ns, &hint, a); return a[0].answer.allowed;
    }
}

static struct table_question question(uint64_t hash, uint64_t limit, uint64_t cost) {
    return (struct table_question){
        .hash = hash, .rule = {.limit = limit, .window_ns = window, .burst = limit}, .cost = cost};
}

static struct op op_for(enum kind kind, struct table_question q, uint64_t now_ns) {
    return (struct op){.kind = kind, .q = {q}, .count = 1, .now_ns = now_ns};
}

/* Somebody alive takes so much. */
static void take(struct world *w, struct table_question q, uint64_t now_ns) {
    struct op op = op_for(KIND_DECIDE, q, now_ns);
    CHECK(op_run(w->table[LIVE], THREAD, &op));
}

/* A hash of these places in a table of so many buckets. */
static uint64_t hash_at(uint32_t buckets, uint32_t first, uint32_t second) {
    for (;;) {
        uint64_t hash = random_next(&draw);
        if (shape_scale(hash, buckets) == first &&
            shape_scale(shape_second_hash(hash), buckets) == second)
            return hash;
    }
}

/* ---- who is there ---- */

struct user {
    uint64_t       hash;
    struct counter c;
};

struct census {
    size_t      count;
    uint64_t    users; /* as the head says */
    struct ring rings[TABLE_STRIPES];
    struct user user[HASHES_MAX];
};

static const char *sentence;    /* what is being judged */
static size_t      instruction; /* after which the doomed process is dead */
static unsigned    deaths;      /* each may leave one user counted too many */

static int user_compare(const void *a, const void *b) {
    const struct user *x = a, *y = b;
    return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static bool is_looked_at(const struct table *t, uint64_t hash, uint32_t bucket) {
    struct shape_places places = table_places(t, table_shape(t), hash);
    for (uint32_t i = 0; i < places.look_count; i++) {
        if (places.look[i] == bucket) return true;
    }
    return false;
}

static void census_of_line(const struct table *t, uint32_t bucket, uint32_t index,
                           struct census *all) {
    const struct bucket *b     = &t->buckets[bucket];
    uint32_t             print = atomic_load(&b->print[index]);
    uint64_t             hash = atomic_load(&b->line[index].tag), head = b->line[index].head;
    CHECK_SAYS((head & LINE_LOCKED) == 0,
               "%s, killed after %zu instructions: bucket %u, line %u is locked by process %u",
               sentence, instruction, bucket, index, line_owner(head));
    if (print == 0) return;
    CHECK_SAYS(print == bucket_print_of(hash) && is_looked_at(t, hash, bucket),
               "%s, killed after %zu instructions: bucket %u, line %u has print %08x and tag "
               "%016" PRIx64 ", which nobody finds there",
               sentence, instruction, bucket, index, print, hash);
    CHECK_LT(all->count, HASHES_MAX);
    struct user *user = &all->user[all->count++];
    user->hash        = hash;
    line_take(&b->line[index], &user->c);
}

static void check_no_owner(uint32_t owner, const char *what, unsigned index) {
    CHECK_SAYS(owner == 0, "%s, killed after %zu instructions: %s %u is locked by process %u",
               sentence, instruction, what, index, owner);
}

static void census_take(const struct world *w, struct census *all) {
    const struct table *t          = w->table[LIVE];
    unsigned            ring_class = ring_class_for(window) - RING_CLASS_MIN;
    *all                           = (struct census){.users = line_load(&t->head->users)};
    for (uint32_t bucket = 0; bucket < t->sizes[t->passes - 1]; bucket++) {
        check_no_owner(t->buckets[bucket].lock, "bucket", bucket);
        for (uint32_t i = 0; i < BUCKET_LINES; i++) census_of_line(t, bucket, i, all);
    }
    for (unsigned i = 0; i < RING_CLASSES * TABLE_STRIPES; i++)
        check_no_owner(t->rings[i].lock, "ring", i);
    check_no_owner(t->head->grow_lock, "growing", 0);
    for (unsigned i = 0; i < TABLE_STRIPES; i++)
        all->rings[i] = t->rings[ring_class * TABLE_STRIPES + i].ring;

    qsort(all->user, all->count, sizeof all->user[0], user_compare);
    for (size_t i = 1; i < all->count; i++)
        CHECK_SAYS(all->user[i - 1].hash != all->user[i].hash,
                   "%s, killed after %zu instructions: user %016" PRIx64 " has two lines", sentence,
                   instruction, all->user[i].hash);
    CHECK_SAYS(all->users >= all->count && all->users <= all->count + deaths,
               "%s, killed after %zu instructions: %" PRIu64 " users are counted, %zu are there",
               sentence, instruction, all->users, all->count);
}

/* The user's counter; a new one if they are not there. */
static struct counter counter_of(const struct census *all, uint64_t hash) {
    struct user        wanted = {.hash = hash};
    const struct user *found =
        bsearch(&wanted, all->user, all->count, sizeof all->user[0], user_compare);
    return found != NULL ? found->c : (struct counter){0};
}

static bool counters_equal(const struct counter *a, const struct counter *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* ---- the judge ---- */

/* Censuses that a counter may have come from, and what newcomers bring along from the ring. */
struct bounds {
    size_t        count;
    struct census state[STATES_MAX];
    bool          may_carry;
};

static struct bounds bounds;

static struct { size_t instructions, changes, kills, rescues, pairs, too_many; } tally;

static uint64_t live_on_ring(const struct census *all, uint64_t hash, uint64_t now_ns) {
    return ring_live(&all->rings[hash % TABLE_STRIPES], ring_class_for(window), now_ns);
}

static bool is_carried(const struct op *op, uint64_t hash, const struct counter *c) {
    if (!bounds.may_carry || hash != op->q[0].hash) return false;
    struct counter carried = {0};
    limit_spend(&carried, &op->q[0].rule, live_on_ring(&bounds.state[0], hash, op->now_ns),
                op->now_ns);
    return counters_equal(c, &carried);
}

static void judge_user(const struct op *op, const struct census *left, uint64_t hash) {
    struct counter c = counter_of(left, hash);
    for (size_t i = 0; i < bounds.count; i++) {
        struct counter may_be = counter_of(&bounds.state[i], hash);
        if (counters_equal(&c, &may_be)) return;
    }
    CHECK_SAYS(is_carried(op, hash, &c),
               "%s, killed after %zu instructions: the counter of user %016" PRIx64
               " is neither as before nor as after",
               sentence, instruction, hash);
}

static void judge_users(const struct op *op, const struct census *left) {
    for (size_t i = 0; i < left->count; i++) judge_user(op, left, left->user[i].hash);
    for (size_t k = 0; k < bounds.count; k++) {
        for (size_t i = 0; i < bounds.state[k].count; i++)
            judge_user(op, left, bounds.state[k].user[i].hash);
    }
    tally.too_many += left->users > left->count;
}

/* Nothing is lost from a ring, for anybody who read the clock up to a window ago: they count in the newest
 * cell that the ring has seen, and so may miss only what is no longer live there. */
static void judge_rings(const struct op *op, const struct census *left) {
    unsigned ring_class = ring_class_for(window);
    for (uint64_t i = 0; i < TABLE_STRIPES; i++) {
        uint64_t newest_ns = left->rings[i].newest_cell << (ring_class - 5);
        for (uint64_t ago = 0; ago <= window; ago += window / 64) {
            uint64_t late_ns  = op->now_ns - ago,
                     as_of_ns = late_ns > newest_ns ? late_ns : newest_ns;
            CHECK_SAYS(live_on_ring(left, i, late_ns) >=
                           live_on_ring(&bounds.state[0], i, as_of_ns),
                       "%s, killed after %zu instructions: a shared ring has lost permits",
                       sentence, instruction);
        }
    }
}

/* What the operation should be told, by the counters alone. */
static bool expected_of(const struct op *op, const struct census *left) {
    struct counter c[OP_MAX];
    if (op->kind == KIND_RESET) return true;
    for (size_t i = 0; i < op->count; i++) {
        const struct table_question *q    = &op->q[i];
        size_t                       same = 0;
        while (op->q[same].hash != q->hash) same++;
        if (same == i) c[i] = counter_of(left, q->hash);
        struct answer said = limit_look(&c[same], &q->rule, q->cost > 0 ? q->cost : 1, op->now_ns);
        if (!said.allowed) return false;
        if (q->cost > 0) limit_admit(&c[same], &q->rule, q->cost, op->now_ns);
    }
    return true;
}

static bool has_line(const struct census *all, uint64_t hash) {
    struct user wanted = {.hash = hash};
    return bsearch(&wanted, all->user, all->count, sizeof all->user[0], user_compare) != NULL;
}

/* Whether the counters alone tell: not for one without a line, when others' permits may be theirs. */
static bool is_foreseen(const struct op *op, const struct census *left) {
    for (size_t i = 0; i < op->count; i++) {
        if (!has_line(left, op->q[i].hash) && live_on_ring(left, op->q[i].hash, op->now_ns) > 0)
            return false;
    }
    return true;
}

static void judge_answer(struct world *w, const struct op *op, const struct census *left) {
    static struct census after;
    bool                 expected = expected_of(op, left), foreseen = is_foreseen(op, left);
    bool                 allowed = op_run(w->table[LIVE], THREAD, op);
    if (foreseen)
        CHECK_SAYS(allowed == expected, "%s, killed after %zu instructions: asked again, it is %s",
                   sentence, instruction, allowed ? "allowed" : "denied");
    census_take(w, &after);
}

static void judge_holders(const struct world *w, uint32_t process) {
    const struct holder *dead = table_holders(w->table[LIVE], process);
    CHECK(!table_has_process(w->table[LIVE], process));
    for (unsigned i = 0; i < TABLE_THREADS; i++) {
        CHECK_EQ(dead[i].undo_line, 0);
        CHECK_EQ(dead[i].move_from, 0);
        CHECK_EQ(dead[i].counted, 0);
        CHECK_EQ(dead[i].line_count, 0);
        CHECK_EQ(dead[i].bucket_count, 0);
    }
}

/* What is in the memory now was left by a process that is dead, and was let go of. */
static void judge(struct world *w, const struct op *op) {
    static struct census left;
    census_take(w, &left);
    judge_users(op, &left);
    judge_rings(op, &left);
    judge_holders(w, DOOMED);

    char *once = malloc(w->bytes);
    memcpy(once, w->memory, w->bytes);
    table_recover(w->table[THIRD], DOOMED);
    bool is_same = memcmp(once, w->memory, w->bytes) == 0;
    free(once);
    CHECK_SAYS(is_same, "%s, killed after %zu instructions: recovered twice is not as once",
               sentence, instruction);
    judge_answer(w, op, &left);
}

/* ---- at every instruction ---- */

struct death {
    struct world *w;
    char         *last; /* what was watched, when it changed last */
    size_t        changes;
    size_t        changed_at[CHANGES_MAX];
    uint64_t      sum_at[CHANGES_MAX]; /* of the memory from there on */
    size_t        kill_at;
    size_t        wrecks; /* kept for the rescuers who are killed as well */
    char         *wreck[WRECKS_MAX];
    size_t        wrecked_at[WRECKS_MAX];
};

static struct death death;

/* What can be half done. */
static uint32_t kind_of_wreck(const struct world *w) {
    const struct table  *t     = w->table[LIVE];
    const struct holder *dead  = table_holders(t, DOOMED) + THREAD;
    uint32_t             lines = 0, buckets = 0, names = 0, rings = 0;
    for (uint32_t b = 0; b < t->sizes[t->passes - 1]; b++) {
        const struct bucket *bucket = &t->buckets[b];
        buckets += bucket->lock != 0;
        for (uint32_t i = 0; i < BUCKET_LINES; i++) {
            if ((bucket->line[i].head & LINE_LOCKED) == 0) continue;
            lines++;
            names +=
                bucket->print[i] != 0 && bucket->print[i] != bucket_print_of(bucket->line[i].tag);
        }
    }
    for (unsigned i = 0; i < RING_CLASSES * TABLE_STRIPES; i++) rings += t->rings[i].lock != 0;
    return (lines | buckets << 3 | names << 6 | rings << 7 | (uint32_t)(dead->undo_line != 0) << 8 |
            (uint32_t)(dead->move_from != 0) << 9 | dead->counted << 10 |
            (uint32_t)(t->head->grow_lock != 0) << 11) %
           WRECK_KINDS;
}

static bool wreck_is_known[WRECK_KINDS];

/* One of each kind, by and by: each takes a while. */
static void death_keep_wreck(struct death *d) {
    uint32_t kind = kind_of_wreck(d->w);
    if (wreck_is_known[kind] || d->wrecks == WRECKS_MAX) return;
    if (random_below(&draw, 1000) >= share(RESCUED_PER_1000)) return;
    wreck_is_known[kind]     = true;
    d->wrecked_at[d->wrecks] = instruction;
    d->wreck[d->wrecks]      = malloc(d->w->bytes);
    memcpy(d->wreck[d->wrecks++], d->w->memory, d->w->bytes);
}

static uint64_t sum_of(const struct world *w) {
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof w->watched / sizeof *w->watched; i++) {
        const uint64_t *words = (const void *)(w->memory + w->watched[i].offset);
        for (size_t k = 0; k < w->watched[i].bytes / 8; k++)
            sum = (sum ^ words[k]) * UINT64_C(0x9e3779b97f4a7c15) + (sum >> 31);
    }
    return sum;
}

static bool death_notices(struct death *d) {
    bool changed = false;
    for (size_t i = 0; i < sizeof d->w->watched / sizeof *d->w->watched; i++) {
        struct part p = d->w->watched[i];
        if (memcmp(d->last + p.offset, d->w->memory + p.offset, p.bytes) == 0) continue;
        memcpy(d->last + p.offset, d->w->memory + p.offset, p.bytes);
        changed = true;
    }
    return changed;
}

/* Lets go of the dead and judges, on the very memory, which is then as it was. */
static void death_judge(struct death *d) {
    char *now = malloc(d->w->bytes);
    memcpy(now, d->w->memory, d->w->bytes);
    table_recover(d->w->table[LIVE], DOOMED);
    judge(d->w, &d->w->op);
    memcpy(d->w->memory, now, d->w->bytes);
    free(now);
}

static void death_seen(void *context, size_t n) {
    struct death *d = context;
    if (!death_notices(d)) return;
    CHECK_LT(d->changes, CHANGES_MAX);
    instruction               = n;
    d->changed_at[d->changes] = n;
    d->sum_at[d->changes++]   = sum_of(d->w);
    death_keep_wreck(d);
    death_judge(d);
}

static void death_act(void *context) {
    struct death *d = context;
    op_run(d->w->table[DOOMED], THREAD, &d->w->op);
}

static void kill_seen(void *context, size_t n) {
    if (n == ((struct death *)context)->kill_at) kill(getpid(), SIGKILL);
}

/* A process is killed after its nth instruction: what it leaves is what was judged. */
static void kill_at(struct death *d, size_t n) {
    int status;
    world_restore(d->w);
    d->kill_at  = n;
    pid_t child = fork();
    if (child == 0) {
        steps_run(death_act, kill_seen, d);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);

    size_t last = d->changes;
    while (last > 0 && d->changed_at[last - 1] > n) last--;
    if (last > 0)
        CHECK_SAYS(sum_of(d->w) == d->sum_at[last - 1],
                   "%s: a process killed after %zu instructions leaves something else", sentence,
                   n);
    tally.kills++;
}

/* ---- whoever lets go of the dead is killed as well ---- */

static void rescue_act(void *context) {
    const struct death *d = context;
    table_recover(d->w->table[THIRD], DOOMED);
}

static void rescue_seen(void *context, size_t n) {
    struct death *d = context;
    (void)n;
    if (death_notices(d)) death_judge(d);
}

static void rescue_at_every_instruction(struct world *w, const char *wreck) {
    struct death *rescue = calloc(1, sizeof *rescue);
    rescue->w            = w;
    rescue->last         = malloc(w->bytes);
    memcpy(w->memory, wreck, w->bytes);
    memcpy(rescue->last, wreck, w->bytes);
    deaths = 2;
    tally.instructions += steps_run(rescue_act, rescue_seen, rescue);
    tally.rescues++;
    deaths = 1;
    free(rescue->last);
    free(rescue);
}

/* ---- an operation, from its first instruction to its last ---- */

static void bounds_begin(struct world *w) {
    world_keep(w);
    instruction  = 0;
    deaths       = 0;
    bounds.count = 1;
    census_take(w, &bounds.state[0]);
}

/* One more way in which it may have gone on; the world is then as before. */
static void bounds_add(struct world *w) {
    CHECK_LT(bounds.count, STATES_MAX);
    census_take(w, &bounds.state[bounds.count++]);
    world_restore(w);
}

static void die_at_every_instruction(struct world *w, const char *what) {
    sentence = what;
    bounds_begin(w);
    op_run(w->table[DOOMED], THREAD, &w->op); /* and the linker has linked what is called */
    bounds_add(w);

    death      = (struct death){.w = w};
    death.last = malloc(w->bytes);
    memcpy(death.last, w->memory, w->bytes);
    deaths   = 1;
    size_t n = steps_run(death_act, death_seen, &death);
    free(death.last);
    tally.instructions += n;
    tally.changes += death.changes;

    for (size_t i = 0; i < death.wrecks; i++) {
        instruction = death.wrecked_at[i];
        rescue_at_every_instruction(w, death.wreck[i]);
        free(death.wreck[i]);
    }
    for (uint64_t i = 0; n > 0 && i < share(KILLED_INSTRUCTIONS / (n + KILLED_LEAST)); i++)
        kill_at(&death, 1 + random_below(&draw, n));
    world_restore(w);
}

/* What a test has seen. */
static void tell(void) {
    printf("    %zu instructions, %zu states of the memory, %zu killed processes, %zu rescues, %zu "
           "pairs; one user counted too many in %zu\n",
           tally.instructions, tally.changes, tally.kills, tally.rescues, tally.pairs,
           tally.too_many);
}

static struct world *world_begin(uint64_t users_max) {
    draw             = (struct random){.state = check_seed()};
    bounds.may_carry = false;
    memset(&tally, 0, sizeof tally);
    return world_new(users_max);
}

static void world_end(struct world *w) {
    tell();
    world_free(w);
}

static struct world *world_of_some(void) {
    struct world *w = world_begin(SMALL);
    for (int i = 0; i < 40; i++) take(w, question(random_next(&draw), 10, 3), start);
    return w;
}

static struct table_question question_as(enum algorithm algorithm, uint64_t hash, uint64_t limit,
                                         uint64_t cost) {
    struct table_question q = question(hash, limit, cost);
    q.rule.algorithm        = algorithm;
    return q;
}

/* ---- one user ---- */

static const char *const algorithm_name[] = {"strict", "gcra", "fixed"};

TEST(a_newcomer_who_is_killed_is_there_or_not) {
    struct world *w = world_of_some();
    for (int a = 0; a < ALGORITHM_COUNT; a++) {
        struct table_question q = question_as((enum algorithm)a, random_next(&draw), 10, 1);
        w->op                   = op_for(KIND_DECIDE, q, start + 5);
        die_at_every_instruction(w, algorithm_name[a]);
        w->op = op_for(KIND_ALLOW, q, start + 5);
        die_at_every_instruction(w, algorithm_name[a]);
    }
    world_end(w);
}

TEST(an_admission_that_is_killed_was_made_or_not) {
    struct world *w = world_of_some();
    for (int a = 0; a < ALGORITHM_COUNT; a++) {
        struct table_question q = question_as((enum algorithm)a, random_next(&draw), 10, 3);
        take(w, q, start);

        /* By the doomed one as well, so that their notes are of an earlier state of the same line. */
        const struct op earlier = op_for(KIND_ALLOW, q, start);
        CHECK(op_run(w->table[DOOMED], THREAD, &earlier));
        w->op = op_for(KIND_DECIDE, q, start + window / 10);
        die_at_every_instruction(w, algorithm_name[a]);
        w->op = op_for(KIND_ALLOW, q, start + window / 10);
        die_at_every_instruction(w, algorithm_name[a]);
    }
    world_end(w);
}

TEST(an_admission_that_changes_one_word_is_killed_before_or_after_it) {
    struct world         *w = world_of_some();
    struct table_question q = question(random_next(&draw), 100000, 1);
    take(w, q, start);
    w->op = op_for(KIND_ALLOW, q, start);
    die_at_every_instruction(w, "an admission in the head");
    world_end(w);
}

TEST(denials_and_looks_that_are_killed_leave_nothing) {
    struct world         *w = world_of_some();
    struct table_question q = question(random_next(&draw), 3, 3);
    take(w, q, start);
    w->op = op_for(KIND_DECIDE, q, start + 1);
    die_at_every_instruction(w, "a denial");
    w->op = op_for(KIND_ALLOW, q, start + 1);
    die_at_every_instruction(w, "a denial");
    q.cost = 0;
    w->op  = op_for(KIND_DECIDE, q, start + 1);
    die_at_every_instruction(w, "a look");
    w->op.q[0].hash = random_next(&draw);
    die_at_every_instruction(w, "a look at nobody");
    world_end(w);
}

TEST(a_reset_that_is_killed_was_made_or_not) {
    struct world         *w = world_of_some();
    struct table_question q = question(random_next(&draw), 3, 3);
    take(w, q, start);
    w->op = op_for(KIND_RESET, q, start + 1);
    die_at_every_instruction(w, "a reset");
    world_end(w);
}

/* ---- others are in the way ---- */

/* Users whose places are these; each takes a little. */
static void fill(struct world *w, uint32_t count, uint32_t first, uint32_t second,
                 uint64_t now_ns) {
    uint32_t buckets = w->table[LIVE]->sizes[0];
    for (uint32_t i = 0; i < count; i++)
        take(w, question(hash_at(buckets, first, second), 10, 1 + i % 10), now_ns);
}

TEST(whoever_moves_somebody_and_is_killed_leaves_them_in_one_place) {
    struct world *w = world_begin(SMALL);
    fill(w, BUCKET_LINES, 5, 7, start);
    fill(w, BUCKET_LINES, 11, 7, start);
    w->op =
        op_for(KIND_DECIDE, question(hash_at(w->table[LIVE]->sizes[0], 5, 11), 10, 1), start + 1);
    die_at_every_instruction(w, "one moves");
    fill(w, BUCKET_LINES, 7, 8, start);
    die_at_every_instruction(w, "two move");
    world_end(w);
}

TEST(whoever_forgets_somebody_and_is_killed_forgets_nobody_else) {
    struct world *w = world_begin(SMALL);
    fill(w, BUCKET_LINES, 5, 11, start);
    fill(w, BUCKET_LINES, 11, 5, start);
    w->op = op_for(KIND_DECIDE, question(hash_at(w->table[LIVE]->sizes[0], 5, 11), 10, 1),
                   start + 2 * window);
    die_at_every_instruction(w, "one is forgotten where another wants to sit");
    while (line_load(&w->table[LIVE]->head->users) < SMALL)
        take(w, question(random_next(&draw), 10, 1), start);
    die_at_every_instruction(w, "as many as there may be, all of them forgettable");
    world_end(w);
}

/* ---- the table grows ---- */

TEST(whoever_lets_the_table_grow_and_is_killed_loses_nobody) {
    struct world       *w = world_begin(LARGE);
    const struct table *t = w->table[LIVE];
    while (line_load(&t->head->users) < t->sizes[0] * BUCKET_LINES * 70 / 100)
        take(w, question(random_next(&draw), 10, 1 + random_below(&draw, 10)), start);
    size_t stages = 0, first = random_below(&draw, GROWTH_STAGES);
    while (table_shape(t).pass == 0) {
        w->op = op_for(KIND_DECIDE, question(random_next(&draw), 10, 1), start + 1);
        if (stages++ % GROWTH_STAGES == first) die_at_every_instruction(w, "a step of growth");
        CHECK(op_run(w->table[LIVE], THREAD, &w->op));
    }
    CHECK_GT(stages, 10);
    world_end(w);
}

/* ---- several counters ---- */

static struct op joint_of(const struct table_question *q, size_t count, uint64_t now_ns) {
    struct op op = {.kind = KIND_JOINT, .count = count, .now_ns = now_ns};
    memcpy(op.q, q, count * sizeof *q);
    return op;
}

TEST(a_joint_decision_that_is_killed_leaves_each_counter_whole) {
    struct world *w   = world_of_some();
    uint64_t      ann = random_next(&draw), bob = random_next(&draw), cid = random_next(&draw);
    take(w, question(ann, 10, 2), start);
    take(w, question(cid, 10, 2), start);
    struct table_question q[] = {question(ann, 10, 1), question(bob, 10, 2), question(cid, 10, 0),
                                 question(ann, 10, 2)};
    w->op                     = joint_of(q, 4, start + window / 10);
    die_at_every_instruction(w, "a joint decision");
    q[2].cost = 9;
    w->op     = joint_of(q, 4, start + window / 10);
    die_at_every_instruction(w, "a joint decision that is denied");
    world_end(w);
}

/* ---- a full table ---- */

enum { FULL = 16 };

static struct world *world_that_is_full(uint64_t now_ns) {
    struct world *w = world_begin(FULL);
    for (int i = 0; i < FULL; i++) take(w, question(random_next(&draw), 10, 1), now_ns);
    return w;
}

TEST(a_shared_ring_whose_user_is_killed_loses_nothing) {
    struct world *w    = world_that_is_full(start);
    uint64_t      hash = random_next(&draw);
    w->op              = op_for(KIND_DECIDE, question(hash, 10, 2), start + 1);
    die_at_every_instruction(w, "the first on the ring");
    take(w, question(hash, 10, 2), start + 1);
    for (uint64_t cells = 0; cells < 30; cells += 7) {
        w->op.now_ns = start + 1 + cells * (window / 32);
        die_at_every_instruction(w, "a ring that goes on by some cells");
    }
    world_end(w);
}

/* So that nobody may be forgotten for another window. */
static void residents_ask(struct world *w, uint64_t now_ns) {
    const struct table *t = w->table[LIVE];
    for (uint64_t i = 0; i < t->sizes[0]; i++) {
        const struct bucket *b = &t->buckets[i];
        for (unsigned k = 0; k < BUCKET_LINES; k++) {
            if (b->print[k] != 0) take(w, question(b->line[k].tag, 10, 1), now_ns);
        }
    }
}

TEST(a_ring_that_was_idle_for_long_loses_nothing) {
    struct world *w    = world_that_is_full(start);
    uint64_t      hash = random_next(&draw);
    take(w, question(hash, 10, 2), start + 1);
    residents_ask(w, start + window - 1);
    w->op = op_for(KIND_DECIDE, question(hash, 10, 2), start + 2 * window - 2);
    die_at_every_instruction(w, "a ring of long ago");
    world_end(w);
}

TEST(a_ring_with_something_in_each_cell_loses_nothing) {
    struct world *w       = world_that_is_full(start);
    uint64_t      hash    = random_next(&draw);
    uint64_t      cell_ns = (UINT64_C(1) << ring_class_for(window)) / RING_CELLS;
    for (uint64_t cell = 0; cell < RING_CELLS; cell++) {
        if (cell == RING_CELLS / 2) residents_ask(w, start + cell * cell_ns);
        take(w, question(hash, 1000, 1 + cell), start + cell * cell_ns);
    }
    for (uint64_t cells = 1; cells < RING_CELLS / 2; cells += 4) {
        w->op = op_for(KIND_DECIDE, question(hash, 1000, 1),
                       start + (RING_CELLS - 1 + cells) * cell_ns);
        die_at_every_instruction(w, "a ring that is full of cells");
    }
    world_end(w);
}

TEST(whoever_takes_a_seat_and_is_killed_brings_along_what_was_theirs) {
    struct world *w    = world_that_is_full(start);
    uint64_t      hash = random_next(&draw);
    take(w, question(hash, 10, 2), start + window / 2);
    bounds.may_carry = true;
    w->op            = op_for(KIND_DECIDE, question(hash, 10, 1), start + window + window / 10);
    die_at_every_instruction(w, "one who comes from the ring");
    world_end(w);
}

/* ---- what is not so ---- */

/* Its lines and buckets are somebody else's by now, or were never any: a file may be damaged, too. */
TEST(what_a_holder_says_is_believed_only_of_what_its_process_holds) {
    struct world  *w     = world_of_some();
    struct holder *dead  = table_holders(w->table[LIVE], DOOMED);
    uint64_t       lines = (uint64_t)w->table[LIVE]->sizes[0] * (BUCKET_LINES + 1);
    sentence             = "a holder full of rubbish";
    bounds_begin(w);
    bounds.state[bounds.count++] = bounds.state[0];
    w->op = op_for(KIND_DECIDE, question(random_next(&draw), 10, 1), start + 5);
    for (uint64_t i = 0; i < share(300); i++) {
        world_restore(w);
        for (unsigned k = 0; k < TABLE_THREADS; k++) {
            struct holder *h = &dead[k];
            h->undo_line = random_below(&draw, 2) ? random_next(&draw) : random_below(&draw, lines);
            h->move_from = random_below(&draw, 2) ? random_next(&draw) : random_below(&draw, lines);
            h->move_to   = random_below(&draw, lines);
            h->line_count   = (uint32_t)random_next(&draw);
            h->bucket_count = (uint32_t)random_next(&draw);
            h->line[0]      = random_below(&draw, lines) << LINE_VERSION_BITS;
            h->line[1]      = random_next(&draw);
            h->bucket[0]    = (uint32_t)random_below(&draw, lines);
            h->bucket[1]    = (uint32_t)random_next(&draw);
        }
        table_recover(w->table[LIVE], DOOMED);
        judge(w, &w->op);
    }
    CHECK_EQ(line_load(&w->table[LIVE]->head->mended), 0);
    world_end(w);
}

/* ---- two at once ---- */

/* Before one of two operations is at its end the other begins: of another thread, which dies with it, or of
 * another process, which finds that the first is dead, lets go of it, and is killed as well. */
struct pair {
    struct death  death;
    struct op     second;
    struct table *table;
    unsigned      thread;
    size_t        first_at; /* the instruction after which the first stops */
    char         *stopped;  /* the memory at that moment */
};

static void pair_seen_first(void *context, size_t n) {
    struct pair *p = context;
    if (n == p->first_at) memcpy(p->stopped, p->death.w->memory, p->death.w->bytes);
}

static void pair_act_first(void *context) {
    struct pair *p = context;
    op_run(p->death.w->table[DOOMED], THREAD, &p->death.w->op);
}

static void pair_act_second(void *context) {
    struct pair *p = context;
    may_be_stuck   = true;
    if (setjmp(is_stuck) == 0) op_run(p->table, p->thread, &p->second);
    may_be_stuck = false;
}

static void pair_judge(struct world *w) {
    char *now = malloc(w->bytes);
    memcpy(now, w->memory, w->bytes);
    uint32_t order = random_below(&draw, 2) == 0 ? DOOMED : THIRD;
    table_recover(w->table[LIVE], order);
    table_recover(w->table[LIVE], DOOMED + THIRD - order);
    judge(w, &w->op);
    memcpy(w->memory, now, w->bytes);
    free(now);
}

static void pair_seen_second(void *context, size_t n) {
    struct pair *p = context;
    if (!death_notices(&p->death)) return;
    p->death.changes++;
    if (random_below(&draw, PAIRS_JUDGED_IN) != 0) return;
    instruction = p->first_at * 1000000 + n;
    pair_judge(p->death.w);
}

static void pair_play(struct pair *p, size_t first_count) {
    struct world *w = p->death.w;
    p->first_at     = 1 + random_below(&draw, first_count);
    world_restore(w);
    steps_run(pair_act_first, pair_seen_first, p);
    memcpy(w->memory, p->stopped, w->bytes);
    memcpy(p->death.last, p->stopped, w->bytes);
    tally.instructions += steps_run(pair_act_second, pair_seen_second, p);
    pair_judge(w);
    tally.pairs++;
}

static void nothing_seen(void *context, size_t n) {
    (void)context;
    (void)n;
}

/* All ways in which the two may have gone on, one after the other. */
static void pair_bounds(struct world *w, const struct op *second) {
    bounds_begin(w);
    op_run(w->table[LIVE], THREAD, &w->op);
    bounds_add(w);
    op_run(w->table[LIVE], THREAD, second);
    bounds_add(w);
    op_run(w->table[LIVE], THREAD, &w->op);
    op_run(w->table[LIVE], THREAD, second);
    bounds_add(w);
}

static void die_in_pairs(struct world *w, struct op second, const char *what) {
    struct pair *p = calloc(1, sizeof *p);
    p->death.w     = w;
    p->second      = second;
    p->death.last  = malloc(w->bytes);
    p->stopped     = malloc(w->bytes);
    sentence       = what;
    pair_bounds(w, &second);
    deaths       = 3;
    size_t first = steps_run(pair_act_first, nothing_seen, p);
    for (uint64_t i = 0; first > 0 && i < share(PAIRS); i++) {
        bool is_thread = random_below(&draw, 2) == 0;
        p->table       = w->table[is_thread ? DOOMED : THIRD];
        p->thread      = is_thread ? OTHER_THREAD : THREAD;
        pair_play(p, first);
    }
    deaths = 0;
    world_restore(w);
    free(p->death.last);
    free(p->stopped);
    free(p);
}

TEST(two_who_are_killed_leave_all_counters_whole) {
    struct world *w       = world_begin(SMALL);
    uint32_t      buckets = w->table[LIVE]->sizes[0];
    fill(w, BUCKET_LINES, 5, 7, start);
    fill(w, BUCKET_LINES, 11, 7, start);
    fill(w, 10, 7, 8, start);
    struct op mover = op_for(KIND_DECIDE, question(hash_at(buckets, 5, 11), 10, 1), start + 1);
    struct op other = op_for(KIND_DECIDE, question(hash_at(buckets, 11, 5), 10, 1), start + 1);
    w->op           = mover;
    die_in_pairs(w, other, "two newcomers who move others");
    die_in_pairs(w, mover, "one newcomer twice");

    struct table_question seated = question(w->table[LIVE]->buckets[5].line[3].tag, 10, 1);
    die_in_pairs(w, op_for(KIND_DECIDE, seated, start + 1), "somebody who may have to move");
    die_in_pairs(w, op_for(KIND_RESET, seated, start + 1), "somebody who is reset");
    struct table_question q[] = {seated, mover.q[0], other.q[0]};
    die_in_pairs(w, joint_of(q, 3, start + 1), "a joint decision");
    world_end(w);
}

TEST(two_who_are_killed_while_the_table_grows_lose_nobody) {
    struct world       *w = world_begin(LARGE);
    const struct table *t = w->table[LIVE];
    while (table_shape(t).cursor == SHAPE_AT_REST || table_shape(t).cursor > t->sizes[0] / 2)
        take(w, question(random_next(&draw), 10, 1 + random_below(&draw, 10)), start);
    w->op = op_for(KIND_DECIDE, question(random_next(&draw), 10, 1), start + 1);
    die_in_pairs(w, op_for(KIND_DECIDE, question(random_next(&draw), 10, 1), start + 1),
                 "two newcomers while the table grows");
    world_end(w);
}
