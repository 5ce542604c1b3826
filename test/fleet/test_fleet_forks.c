/* SPDX-License-Identifier: MIT
 *
 * What a child of fork() has of its parent's fleet: nothing. Apart from the others, since the thread
 * sanitizer allows no threads in children. */
#include <sys/wait.h>
#include <unistd.h>

#include "fleet/node.h"

static void child_ends(int pid) {
    int status;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), 0);
}

TEST(a_child_begins_with_nothing_in_hand) {
    struct model_store *m = open_model();
    struct fleet       *f =
        open_fleet(m, (struct fleet_options){.lease = {.idle_ns = HOUR, .term_ns = HOUR}});
    for (unsigned i = 0; i < 500; i++) CHECK(ask(f, "ann", 1000000, HOUR).allowed);
    CHECK_GT(statistics(f).permits_in_hand, 0);
    int pid = fork();
    if (pid == 0) {
        struct fleet_statistics s = statistics(f);
        if (s.permits_in_hand != 0 || s.allowed != 0 || s.trips != 0) _exit(1);
        struct fleet_answer a = ask(f, "ann", 1000000, HOUR);
        if (!a.allowed || a.how != FLEET_BY_TRIP) _exit(2);
        (void)fleet_close(f, 0);
        _exit(0);
    }
    child_ends(pid);
    CHECK(ask(f, "ann", 1000000, HOUR).allowed);
    close_both(f, m);
}

TEST(a_child_without_a_store_is_answered_by_the_policy) {
    static const char   *names[]    = {"ann", "bob"};
    struct seen          waiting[2] = {0};
    struct model_store  *m          = open_model();
    struct fleet_options options    = {.policy = FLEET_CLOSED, .trips_max = 1, .wait_ns = LONG};
    struct fleet        *f          = open_fleet(m, options);
    model_hold(m, true);
    for (unsigned i = 0; i < 2; i++) {
        struct fleet_question q = question(names[i], 100, HOUR);
        waiting[i].ticket       = (struct fleet_ticket){.done = see, .context = &waiting[i]};
        CHECK(!fleet_decide_async(f, &q, clock_now_ns(), &waiting[i].ticket));
    }
    CHECK_GE(statistics(f).held, 1);
    int pid = fork();
    if (pid == 0) {
        model_store(m)->reopen = NULL;
        struct fleet_answer a  = ask(f, "ann", 100, HOUR);
        bool is_told           = !a.allowed && a.how == FLEET_DEGRADED && a.why == FLEET_FORKED;
        _exit(is_told && statistics(f).held == 0 ? 0 : 1);
    }
    child_ends(pid);
    model_hold(m, false);
    for (unsigned i = 0; i < 2; i++) wait_for(&waiting[i]);
    close_both(f, m);
}

TEST(a_child_that_asks_nothing_may_close) {
    struct model_store *m   = open_model();
    struct fleet       *f   = open_fleet(m, (struct fleet_options){0});
    int                 pid = fork();
    if (pid == 0) {
        (void)fleet_close(f, LONG);
        _exit(0);
    }
    child_ends(pid);
    close_both(f, m);
}
