/* SPDX-License-Identifier: MIT */
#include "server/runner.h"

#include "base/contract.h"
#include "os/clock.h"
#include "server/command.h"

/* A word is an errand, or asks the thread to end. */
enum { RUNNER_END = 0 };

static void *runner_run(void *context) {
    struct runner    *r = context;
    struct loop_event events[LOOP_EVENTS_MAX];
    while (true) {
        size_t count = loop_wait(&r->loop, events, UINT64_MAX);
        for (size_t i = 0; i < count; i++) {
            if (events[i].word == RUNNER_END) return NULL;
            struct errand     *e    = (struct errand *)(uintptr_t)events[i].word;
            const struct call *call = e->calls;
            call->command->act(r->service, call, clock_now_ns(), &e->reply);
            errand_part_done(e);
        }
    }
}

bool runner_start(struct runner *r, const struct service *service) {
    r->service = service;
    if (!loop_open(&r->loop)) return false;
    if (thread_start(&r->thread, "weir-runner", runner_run, r)) return true;
    loop_close(&r->loop);
    return false;
}

void runner_stop(struct runner *r) {
    INVARIANT(loop_post(&r->loop, RUNNER_END));
    thread_join(&r->thread);
    loop_close(&r->loop);
}

bool runner_send(struct runner *r, struct errand *e) {
    return loop_post(&r->loop, (uint64_t)(uintptr_t)e);
}
