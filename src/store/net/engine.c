/* SPDX-License-Identifier: MIT */
#include "store/net/engine.h"

#include "base/contract.h"
#include "os/clock.h"

#define POST_WAKE UINT64_C(0) /* all other words are the owner's */

static void    *engine_run(void *context);
static void     engine_turn(struct engine *e);
static void     engine_take_submitted(struct engine *e);
static void     engine_expire(struct engine *e);
static uint64_t engine_until_ns(const struct engine *e, uint64_t next_ns);
static void     engine_react(struct engine *e, uint64_t until_ns);

/* ---- its life ---- */

bool engine_init(struct engine *e, const struct engine_setting *setting) {
    *e = (struct engine){.setting = *setting, .now_ns = clock_now_ns()};
    if (!due_init(&e->due, setting->jobs_max)) return false;
    if (loop_open(&e->loop)) return true;
    due_clear(&e->due);
    return false;
}

void engine_clear(struct engine *e) {
    INVARIANT(atomic_load(&e->outstanding) == 0);
    loop_close(&e->loop);
    due_clear(&e->due);
}

static void engine_fork_in_child(void *context) {
    struct engine *e = context;
    atomic_store_explicit(&e->is_forked, true, memory_order_relaxed);
}

bool engine_start(struct engine *e, const char *name) {
    e->forks = (struct process_fork_watch){.in_child = engine_fork_in_child, .context = e};
    if (!process_watch_forks(&e->forks)) return false;
    if (thread_start_quiet(&e->thread, name, engine_run, e)) return true;
    process_unwatch_forks(&e->forks);
    return false;
}

bool engine_stop(struct engine *e) {
    process_unwatch_forks(&e->forks);
    if (engine_is_forked(e)) return false;
    REQUIRE(!thread_is_this(&e->thread));
    atomic_store_explicit(&e->is_closing, true, memory_order_release);
    (void)loop_post(&e->loop, POST_WAKE);
    thread_join(&e->thread);
    return true;
}

/* ---- any thread ---- */

bool engine_is_forked(const struct engine *e) {
    return atomic_load_explicit(&e->is_forked, memory_order_relaxed);
}

bool engine_reserve(struct engine *e) {
    uint32_t before = atomic_fetch_add_explicit(&e->outstanding, 1, memory_order_relaxed);
    if (before < e->setting.jobs_max) return true;
    engine_release(e);
    return false;
}

void engine_release(struct engine *e) {
    atomic_fetch_sub_explicit(&e->outstanding, 1, memory_order_relaxed);
}

void engine_submit(struct engine *e, struct job *job) {
    uint64_t now_ns = clock_now_ns();
    if (job->deadline_ns == 0) job->deadline_ns = now_ns + e->setting.deadline_ns;
    job->deadline_ns = due_earlier(job->deadline_ns, now_ns + e->setting.deadline_ns_max);
    if (arrivals_add(&e->submitted, &job->arrival)) engine_wake(e);
}

void engine_wake(struct engine *e) {
    if (thread_is_this(&e->thread)) {
        e->is_woken = true; /* without a call of the system */
    } else {
        (void)loop_post(&e->loop, POST_WAKE);
    }
}

void engine_wait(const struct engine *e, struct latch *latch) {
    REQUIRE(!thread_is_this(&e->thread));
    latch_wait(latch);
}

/* ---- the thread ---- */

static void *engine_run(void *context) {
    struct engine *e = context;
    for (;;) {
        bool is_closing = atomic_load_explicit(&e->is_closing, memory_order_acquire);
        engine_turn(e);
        bool is_idle = arrivals_are_none(&e->submitted) && due_first(&e->due) == NULL;
        if (is_closing && is_idle) return NULL;
    }
}

static void engine_turn(struct engine *e) {
    const struct engine_setting *s = &e->setting;

    e->now_ns        = clock_now_ns();
    e->is_woken      = false;
    uint64_t turn_ns = s->turn != NULL ? s->turn(s->turn_context) : UINT64_MAX;
    engine_take_submitted(e);
    engine_expire(e);
    uint64_t next_ns = due_earlier(turn_ns, s->work(s->owner));
    engine_react(e, engine_until_ns(e, next_ns));
}

static void engine_take_submitted(struct engine *e) {
    struct arrival *submitted = arrivals_take(&e->submitted), *arrival;
    while ((arrival = arrivals_next(&submitted)) != NULL) {
        struct job *job = (struct job *)arrival;
        due_add(&e->due, &job->due, job->deadline_ns);
        e->setting.arrived(e->setting.owner, job);
    }
}

static struct job *job_of(struct due_item *due) {
    return (struct job *)((char *)due - offsetof(struct job, due));
}

static void engine_expire(struct engine *e) {
    struct due_item *first;
    while ((first = due_first(&e->due)) != NULL && first->at_ns <= e->now_ns)
        e->setting.expired(e->setting.owner, job_of(first));
}

/* Until when the thread may sleep, if all others want it by `next_ns`. */
static uint64_t engine_until_ns(const struct engine *e, uint64_t next_ns) {
    const struct due_item *first = due_first(&e->due);
    if (e->is_woken) return 0;
    if (first != NULL) return due_earlier(next_ns, first->at_ns);
    return atomic_load_explicit(&e->is_closing, memory_order_acquire) ? 0 : next_ns;
}

/* Sleeps until then at the latest, and reacts to what has happened. */
static void engine_react(struct engine *e, uint64_t until_ns) {
    struct loop_event events[LOOP_EVENTS_MAX];
    e->now_ns    = clock_now_ns();
    size_t count = loop_wait(&e->loop, events, until_ns > e->now_ns ? until_ns - e->now_ns : 0);
    e->now_ns    = clock_now_ns();
    for (size_t i = 0; i < count; i++) {
        bool is_wake = events[i].owner == NULL && events[i].word == POST_WAKE;
        if (!is_wake) e->setting.react(e->setting.owner, &events[i]);
    }
}

void engine_set_due(struct engine *e, struct job *job, uint64_t at_ns) {
    due_move(&e->due, &job->due, at_ns);
}

void engine_end(struct engine *e, struct job *job) { due_remove(&e->due, &job->due); }
