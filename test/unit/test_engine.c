/* SPDX-License-Identifier: MIT */
#include "store/net/engine.h"

#include <sched.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "concurrency/crew.h"
#include "os/clock.h"
#include "support/check.h"

#define MS_NS     UINT64_C(1000000)
#define SECOND_NS UINT64_C(1000000000)

enum { JOBS_MAX = 16, THREADS = 4, SUBMITTED_MAX = 100000, WORD = 7 };

/* Ends what it is given at once, or when it is due. */
struct task {
    struct job job; /* first */
    size_t     sender;
    uint64_t   number;
    bool       is_slow;
    unsigned   ended; /* times; its engine's thread's */
    uint64_t   ended_ns;
};

struct shop {
    struct engine engine;

    /* The thread's, and the test's when that has ended. */
    uint64_t arrived[THREADS]; /* of each sender */
    uint64_t word;             /* that was posted */

    _Atomic unsigned turns;
    uint64_t         next_turn_ns;  /* asked for by the first */
    uint64_t         next_work_ns;  /* asked for by its work, before that */
    bool             wakes_itself;  /* in its first two turns */
    struct task     *hurried;       /* due in the third turn, whatever it said; NULL: none */
    struct task     *heir;          /* submitted by the next task that ends; NULL: nobody */
    unsigned         turns_awaited; /* then `has_turned` is opened */
    struct latch     has_turned;
};

static void shop_submit(struct shop *shop, struct task *task) {
    CHECK(engine_reserve(&shop->engine));
    engine_submit(&shop->engine, &task->job);
}

static void shop_end(struct shop *shop, struct task *task) {
    struct task *heir = shop->heir;
    shop->heir        = NULL;
    if (heir != NULL) shop_submit(shop, heir);
    task->ended++;
    task->ended_ns = clock_now_ns();
    engine_end(&shop->engine, &task->job);
    engine_release(&shop->engine);
}

static void shop_arrived(void *owner, struct job *job) {
    struct shop *shop = owner;
    struct task *task = (struct task *)job;
    CHECK_EQ(task->number, shop->arrived[task->sender]);
    shop->arrived[task->sender]++;
    if (!task->is_slow) shop_end(shop, task);
}

static void shop_expired(void *owner, struct job *job) { shop_end(owner, (struct task *)job); }

static uint64_t shop_turn(void *context) {
    struct shop *shop  = context;
    unsigned     turns = atomic_fetch_add(&shop->turns, 1) + 1;
    if (turns == 3 && shop->hurried != NULL)
        engine_set_due(&shop->engine, &shop->hurried->job, clock_now_ns());
    if (turns == shop->turns_awaited) latch_open(&shop->has_turned);
    return turns == 1 ? shop->next_turn_ns : UINT64_MAX;
}

static uint64_t shop_work(void *owner) {
    struct shop *shop = owner;
    if (shop->wakes_itself && atomic_load(&shop->turns) <= 2) engine_wake(&shop->engine);
    return clock_now_ns() < shop->next_work_ns ? shop->next_work_ns : UINT64_MAX;
}

static void shop_react(void *owner, const struct loop_event *event) {
    struct shop *shop = owner;
    CHECK_EQ(event->owner, NULL);
    shop->word = event->word;
}

/* What is submitted now is there in the first turn. */
static void shop_prepare(struct shop *shop) {
    const struct engine_setting setting = {.jobs_max        = JOBS_MAX,
                                           .deadline_ns     = SECOND_NS,
                                           .deadline_ns_max = 60 * SECOND_NS,
                                           .turn            = shop_turn,
                                           .turn_context    = shop,
                                           .owner           = shop,
                                           .arrived         = shop_arrived,
                                           .expired         = shop_expired,
                                           .work            = shop_work,
                                           .react           = shop_react};
    if (shop->next_turn_ns == 0) shop->next_turn_ns = UINT64_MAX;
    latch_init(&shop->has_turned);
    CHECK(engine_init(&shop->engine, &setting));
}

static void shop_open(struct shop *shop) {
    shop_prepare(shop);
    CHECK(engine_start(&shop->engine, "test-engine"));
}

static void shop_close(struct shop *shop) {
    CHECK(engine_stop(&shop->engine));
    engine_clear(&shop->engine);
}

/* ---- jobs ---- */

TEST(a_job_that_names_no_deadline_has_the_usual_one_and_none_is_too_far) {
    struct shop shop  = {.word = 0};
    struct task usual = {0}, far = {.number = 1, .job = {.deadline_ns = UINT64_MAX}};
    shop_open(&shop);
    uint64_t from_ns = clock_now_ns();
    shop_submit(&shop, &usual);
    shop_submit(&shop, &far);
    shop_close(&shop);
    uint64_t until_ns = clock_now_ns();
    CHECK_GE(usual.job.deadline_ns, from_ns + SECOND_NS);
    CHECK_LE(usual.job.deadline_ns, until_ns + SECOND_NS);
    CHECK_GE(far.job.deadline_ns, from_ns + 60 * SECOND_NS);
    CHECK_LE(far.job.deadline_ns, until_ns + 60 * SECOND_NS);
}

TEST(there_are_no_more_jobs_than_there_is_room_for) {
    struct shop shop = {.word = 0};
    shop_open(&shop);
    for (int i = 0; i < JOBS_MAX; i++) CHECK(engine_reserve(&shop.engine));
    CHECK_EQ(engine_reserve(&shop.engine), false);
    engine_release(&shop.engine);
    CHECK_EQ(engine_reserve(&shop.engine), true);
    for (int i = 0; i < JOBS_MAX; i++) engine_release(&shop.engine);
    shop_close(&shop);
}

TEST(what_is_left_at_the_end_is_due_first_and_not_too_soon) {
    struct shop shop            = {.word = 0};
    struct task tasks[JOBS_MAX] = {0};
    uint64_t    due_ns          = clock_now_ns() + 20 * MS_NS;
    shop_open(&shop);
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        tasks[i] = (struct task){
            .job = {.deadline_ns = due_ns + i % 3 * MS_NS}, .number = i, .is_slow = true};
        shop_submit(&shop, &tasks[i]);
    }
    shop_close(&shop);
    for (unsigned i = 0; i < JOBS_MAX; i++) {
        CHECK_EQ(tasks[i].ended, 1);
        CHECK_GE(tasks[i].ended_ns, tasks[i].job.deadline_ns);
    }
}

TEST(what_the_last_job_submits_is_done_before_the_end) {
    struct task last = {.job = {.deadline_ns = clock_now_ns() + 20 * MS_NS}, .is_slow = true};
    struct task heir = {.number = 1, .is_slow = true};
    struct shop shop = {.heir = &heir};
    shop_open(&shop);
    shop_submit(&shop, &last);
    shop_close(&shop);
    CHECK_EQ(last.ended, 1);
    CHECK_EQ(heir.ended, 1);
}

/* ---- many threads ---- */

struct race {
    struct shop  shop;
    uint64_t     each; /* what each submits */
    struct task *tasks;
};

static void submit_tasks(struct crew_member *m) {
    struct race *race = m->work;
    struct task *mine = &race->tasks[m->index * race->each];
    for (uint64_t i = 0; i < race->each; i++) {
        mine[i] = (struct task){.job     = {.deadline_ns = clock_now_ns() + MS_NS / 10},
                                .sender  = m->index,
                                .number  = i,
                                .is_slow = random_below(&m->random, 4) == 0};
        while (!engine_reserve(&race->shop.engine)) sched_yield();
        engine_submit(&race->shop.engine, &mine[i].job);
    }
}

TEST(jobs_of_many_threads_come_in_the_order_of_each_and_each_ends_once) {
    static struct task tasks[SUBMITTED_MAX];
    static struct race race = {.tasks = tasks};
    uint64_t           each = check_effort(SUBMITTED_MAX / THREADS / 10);
    race.each               = each < SUBMITTED_MAX / THREADS ? each : SUBMITTED_MAX / THREADS;
    shop_open(&race.shop);
    crew_run(THREADS, submit_tasks, &race);
    shop_close(&race.shop);
    for (size_t i = 0; i < THREADS; i++) CHECK_EQ(race.shop.arrived[i], race.each);
    for (size_t i = 0; i < THREADS * race.each; i++) CHECK_EQ(tasks[i].ended, 1);
}

/* ---- turns ---- */

TEST(whoever_wakes_it_gets_a_turn) {
    struct shop shop = {.turns_awaited = 2};
    shop_open(&shop);
    while (atomic_load(&shop.turns) == 0) sched_yield();
    engine_wake(&shop.engine);
    engine_wait(&shop.engine, &shop.has_turned);
    shop_close(&shop);
}

/* One that is due in a minute, but for the third turn, which must come before. The second comes by itself:
 * who submits wakes. */
static struct task far_task(void) {
    return (struct task){.job = {.deadline_ns = clock_now_ns() + 60 * SECOND_NS}, .is_slow = true};
}

static void must_turn_before(struct shop *shop, struct task *far) {
    shop->turns_awaited = 3;
    shop->hurried       = far;
    shop_prepare(shop);
    shop_submit(shop, far);
    CHECK(engine_start(&shop->engine, "test-engine"));
    engine_wait(&shop->engine, &shop->has_turned);
    shop_close(shop);
    CHECK_LT(far->ended_ns, far->job.deadline_ns);
}

TEST(it_wakes_itself_whatever_is_due) {
    struct task far  = far_task();
    struct shop shop = {.wakes_itself = true};
    must_turn_before(&shop, &far);
}

TEST(its_work_is_done_again_when_it_wants_whatever_is_due) {
    struct task far  = far_task();
    struct shop shop = {.next_work_ns = clock_now_ns() + 20 * MS_NS};
    must_turn_before(&shop, &far);
    CHECK_GE(far.ended_ns, shop.next_work_ns);
}

TEST(it_sleeps_when_there_is_nothing_to_do) {
    struct shop shop = {.turns_awaited = 2, .wakes_itself = true};
    shop_open(&shop);
    engine_wait(&shop.engine, &shop.has_turned);
    (void)nanosleep(&(struct timespec){.tv_nsec = 50 * MS_NS}, NULL);
    CHECK_LT(atomic_load(&shop.turns), 10);
    shop_close(&shop);
}

TEST(the_callers_hook_is_called_again_when_it_wants) {
    uint64_t    next_ns = clock_now_ns() + 20 * MS_NS;
    struct shop shop    = {.turns_awaited = 2, .next_turn_ns = next_ns};
    shop_open(&shop);
    engine_wait(&shop.engine, &shop.has_turned);
    CHECK_GE(clock_now_ns(), next_ns);
    shop_close(&shop);
}

/* What was posted before a wake comes before its turn. */
TEST(words_are_for_the_owner_and_wakes_are_not) {
    struct shop shop = {.turns_awaited = 2};
    shop_open(&shop);
    CHECK(loop_post(&shop.engine.loop, WORD));
    engine_wake(&shop.engine);
    engine_wait(&shop.engine, &shop.has_turned);
    shop_close(&shop);
    CHECK_EQ(shop.word, WORD);
}

/* ---- fork() ---- */

TEST(a_child_is_told_that_it_has_no_thread) {
    static struct shop shop;
    shop_open(&shop);
    pid_t child = fork();
    CHECK_GE(child, 0);
    if (child == 0) _exit(engine_is_forked(&shop.engine) && !engine_stop(&shop.engine) ? 0 : 1);
    int status = 0;
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_EQ(engine_is_forked(&shop.engine), false);
    shop_close(&shop);
}
