/* SPDX-License-Identifier: MIT
 *
 * A program that uses a limiter on Redis by include/weir.h alone, told by lines what to do; each answer is a
 * line of JSON. The tests beside it (Python) start the servers and break them.
 *
 *     api_driver URL
 *
 *     ask COUNT USER LIMIT WINDOW_MS COST      so often, one after the other
 *     users COUNT LIMIT WINDOW_MS COST         so many users, each once
 *     together COUNT USER OTHER LIMIT WINDOW_MS OTHERS_LIMIT   two rules at once, for USER 1 and for OTHER 2
 *     child COUNT USER LIMIT WINDOW_MS COST    as ask, in a child of fork(), which then closes and ends
 *     reset USER WINDOW_MS
 *     close */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "weir.h"

enum { USER_BYTES = 64, WORD_BYTES = 16 };

struct tally {
    uint64_t      allowed, denied, degraded, refused;
    uint64_t      slowest_ns;
    weir_decision last;
};

static weir *limiter;

static void stop(const char *why) {
    fprintf(stderr, "api_driver: %s\n", why);
    exit(3);
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void ask(struct tally *t, const char *user, uint64_t limit, int64_t window_ms,
                uint64_t cost) {
    weir_request request =
        weir_request_for(user, strlen(user), limit, window_ms * WEIR_MILLISECOND);
    request.cost         = cost;
    uint64_t    sent_ns  = now_ns();
    weir_status status   = weir_decide(limiter, &request, &t->last);
    uint64_t    taken_ns = now_ns() - sent_ns;
    if (taken_ns > t->slowest_ns) t->slowest_ns = taken_ns;
    t->refused += status != WEIR_OK;
    t->allowed += status == WEIR_OK && t->last.allowed;
    t->denied += status == WEIR_OK && !t->last.allowed;
    t->degraded += t->last.why != WEIR_WHY_NONE;
}

static void print(const struct tally *t) {
    printf("{\"allowed\":%" PRIu64 ",\"denied\":%" PRIu64 ",\"degraded\":%" PRIu64
           ",\"refused\":%" PRIu64 ",\"slowest_ns\":%" PRIu64
           ",\"how\":%u,\"why\":%u,\"remaining\":%" PRIu64 ",\"retry_after_ns\":%" PRId64 "}\n",
           t->allowed, t->denied, t->degraded, t->refused, t->slowest_ns, t->last.how, t->last.why,
           t->last.remaining, t->last.retry_after_ns);
    fflush(stdout);
}

static void read_and_ask(void) {
    char         user[USER_BYTES];
    unsigned     count;
    uint64_t     limit, cost;
    int64_t      window_ms;
    struct tally tally = {0};
    if (scanf("%u %63s %" SCNu64 " %" SCNd64 " %" SCNu64, &count, user, &limit, &window_ms,
              &cost) != 5)
        stop("COUNT USER LIMIT WINDOW_MS COST are wanted");
    while (count-- > 0) ask(&tally, user, limit, window_ms, cost);
    print(&tally);
}

static void read_and_ask_users(void) {
    unsigned     count;
    uint64_t     limit, cost;
    int64_t      window_ms;
    struct tally tally = {0};
    if (scanf("%u %" SCNu64 " %" SCNd64 " %" SCNu64, &count, &limit, &window_ms, &cost) != 4)
        stop("COUNT LIMIT WINDOW_MS COST are wanted");
    while (count-- > 0) {
        char user[USER_BYTES];
        (void)snprintf(user, sizeof user, "user %u", count);
        ask(&tally, user, limit, window_ms, cost);
    }
    print(&tally);
}

static void read_and_ask_together(void) {
    char          user[USER_BYTES], other[USER_BYTES];
    unsigned      count;
    uint64_t      limit, others_limit;
    int64_t       window_ms;
    struct tally  tally = {0};
    weir_decision decisions[2];
    if (scanf("%u %63s %63s %" SCNu64 " %" SCNd64 " %" SCNu64, &count, user, other, &limit,
              &window_ms, &others_limit) != 6)
        stop("COUNT USER OTHER LIMIT WINDOW_MS OTHERS_LIMIT are wanted");
    weir_request rules[2] = {
        weir_request_for(user, strlen(user), limit, window_ms * WEIR_MILLISECOND),
        weir_request_for(other, strlen(other), others_limit, window_ms * WEIR_MILLISECOND),
    };
    rules[1].cost = 2;
    while (count-- > 0) {
        if (weir_decide_all(limiter, rules, 2, decisions) != WEIR_OK) stop("a request is refused");
        bool allowed = decisions[0].allowed && decisions[1].allowed;
        tally.allowed += allowed;
        tally.denied += !allowed;
        tally.degraded += decisions[0].why != WEIR_WHY_NONE || decisions[1].why != WEIR_WHY_NONE;
        tally.last = decisions[0];
    }
    print(&tally);
}

/* The rest of the line is the child's to read: the parent has it in its buffer as well, and skips it. */
static void let_child_ask(void) {
    pid_t child = fork();
    int   state;
    if (child < 0) stop("no child");
    if (child == 0) {
        read_and_ask();
        weir_close(limiter);
        _exit(0);
    }
    if (waitpid(child, &state, 0) != child || state != 0) stop("the child did not end well");
    (void)scanf("%*[^\n]");
}

static void read_and_reset(void) {
    char    user[USER_BYTES];
    int64_t window_ms;
    if (scanf("%63s %" SCNd64, user, &window_ms) != 2) stop("USER WINDOW_MS are wanted");
    weir_request request = weir_request_for(user, strlen(user), 1, window_ms * WEIR_MILLISECOND);
    printf("{\"status\":%d}\n", (int)weir_reset(limiter, &request));
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 2) stop("a URL is wanted");
    weir_error error;
    limiter = weir_open(argv[1], NULL, &error);
    if (limiter == NULL) stop(error.text);

    char word[WORD_BYTES];
    while (scanf("%15s", word) == 1 && strcmp(word, "close") != 0) {
        if (strcmp(word, "ask") == 0) {
            read_and_ask();
        } else if (strcmp(word, "users") == 0) {
            read_and_ask_users();
        } else if (strcmp(word, "together") == 0) {
            read_and_ask_together();
        } else if (strcmp(word, "child") == 0) {
            let_child_ask();
        } else if (strcmp(word, "reset") == 0) {
            read_and_reset();
        } else {
            stop("what is that?");
        }
    }
    weir_close(limiter);
    puts("{\"closed\": true}");
    return 0;
}
