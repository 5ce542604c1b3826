/* SPDX-License-Identifier: MIT
 *
 * A file before and after weir compact: the same answers at the same moment, the same clock, and a
 * clock that goes on when the machine was started in between. */
#include "store/embedded/compact.h"
#include "support/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/random.h"
#include "limiter/limiter.h"
#include "os/clock.h"
#include "store/embedded/embedded.h"

enum { USERS = 2000, PATH_BYTES = 128 };

static void path_new(char path[PATH_BYTES]) {
    const char *folder = getenv("TMPDIR");
    (void)snprintf(path, PATH_BYTES - 16, "%.80s/weir-compact-XXXXXX", folder ? folder : "/tmp");
    CHECK_NE(mkdtemp(path), NULL);
    memcpy(path + strlen(path), "/limits.weir", sizeof "/limits.weir");
}

static void path_remove(char path[PATH_BYTES]) {
    CHECK_EQ(unlink(path), 0);
    *strrchr(path, '/') = '\0';
    CHECK_EQ(rmdir(path), 0);
}

/* A file that is open, and a limiter on it. */
struct opened {
    struct embedded *embedded;
    struct limiter  *limiter;
};

static struct opened open_at(const char *path) {
    const struct embedded_options options = {.users_max = 0};
    weir_error                    error   = {.status = WEIR_OK};
    struct opened                 o       = {.embedded = embedded_open(path, &options, &error)};
    CHECK_SAYS(o.embedded != NULL, "%s", error.text);
    const struct format_rules *rules   = embedded_rules(o.embedded);
    struct limiter_options     limiter = {.users_max       = rules->users_max,
                                          .clock_error_ppm = rules->clock_error_ppm,
                                          .table           = embedded_table(o.embedded),
                                          .clock_ahead_ns  = embedded_clock_ahead_ns(o.embedded)};
    memcpy(limiter.secret, rules->secret, sizeof limiter.secret);
    o.limiter = limiter_new(&limiter);
    CHECK_NE(o.limiter, NULL);
    return o;
}

static void close_all(struct opened o) {
    limiter_free(o.limiter);
    embedded_close(o.embedded);
}

static weir_decision ask(struct opened o, uint64_t user, uint64_t cost, uint64_t now_ns) {
    struct random r       = {.state = user * 31};
    weir_request  request = weir_request_for(&user, sizeof user, 1 + random_below(&r, 10000),
                                             WEIR_HOUR + (int64_t)random_below(&r, 1000000000));
    weir_decision decision;
    request.algorithm = (uint32_t)random_below(&r, 3);
    request.cost      = cost;
    if (request.algorithm == WEIR_GCRA) request.burst = 1 + random_below(&r, request.limit);
    CHECK_EQ(limiter_decide(o.limiter, &request, now_ns, &decision), WEIR_OK);
    return decision;
}

static struct compact_outcome compact(const char *path, uint64_t users_max) {
    const struct compact_options options = {.users_max       = users_max,
                                            .clock_error_ppm = COMPACT_AS_IT_IS};
    struct compact_outcome       outcome;
    weir_error                   error   = {.status = WEIR_OK};
    bool                         is_done = compact_file(path, &options, &outcome, &error);
    CHECK_SAYS(is_done, "%s", error.text);
    return outcome;
}

TEST(every_user_is_told_the_same_before_and_after) {
    char                 path[PATH_BYTES];
    static weir_decision before[USERS];
    struct random        r      = {.state = check_seed()};
    uint64_t             now_ns = clock_now_ns();
    path_new(path);
    struct opened o = open_at(path);
    for (uint64_t i = 0; i < 10 * USERS; i++)
        ask(o, random_below(&r, USERS), 1 + random_below(&r, 50), now_ns);
    uint64_t ahead_ns = embedded_clock_ahead_ns(o.embedded);
    uint64_t later_ns = now_ns + random_below(&r, 3000000000000);
    for (uint64_t user = 0; user < USERS; user++) before[user] = ask(o, user, 0, later_ns);
    close_all(o);

    compact(path, 100000);
    o = open_at(path);
    CHECK_EQ(embedded_clock_ahead_ns(o.embedded), ahead_ns);
    CHECK_EQ(embedded_rules(o.embedded)->users_max, 100000);
    for (uint64_t user = 0; user < USERS; user++) {
        weir_decision after = ask(o, user, 0, later_ns);
        CHECK_EQ(after.allowed, before[user].allowed);
        CHECK_EQ(after.remaining, before[user].remaining);
        CHECK_EQ(after.retry_after_ns, before[user].retry_after_ns);
        CHECK_EQ(after.reset_after_ns, before[user].reset_after_ns);
        CHECK_EQ(after.how, before[user].how);
    }
    close_all(o);
    path_remove(path);
}

/* As if the machine had been started since: the file's era is of another boot, long before. */
static void start_machine(const char *path) {
    int   fd    = open(path, O_RDWR | O_CLOEXEC);
    char *bytes = mmap(NULL, FORMAT_POWER_AT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);
    struct format_era *first  = (void *)(bytes + FORMAT_ERA_AT);
    struct format_era *second = (void *)(bytes + FORMAT_ERA_AT + FORMAT_ERA_STEP), era;
    CHECK(format_read_era(first, second, &era));
    memset(era.boot, 7, sizeof era.boot);
    format_write_era(first, second, era);
    CHECK_EQ(munmap(bytes, FORMAT_POWER_AT), 0);
    CHECK_EQ(close(fd), 0);
}

TEST(the_clock_goes_on_when_the_machine_was_started_since) {
    char              path[PATH_BYTES];
    struct format_era era;
    uint64_t          future_ns = clock_now_ns() + 1000 * (uint64_t)WEIR_SECOND, now_ns;
    path_new(path);
    struct opened o = open_at(path);
    CHECK(ask(o, 1, 1, future_ns).allowed); /* as if the last machine had run for longer */
    close_all(o);

    start_machine(path);
    compact(path, COMPACT_AS_IT_IS);
    o = open_at(path);
    CHECK(embedded_clock(o.embedded, &era, &now_ns));
    CHECK_GE(now_ns, future_ns);
    CHECK_LT(now_ns, future_ns + 600 * (uint64_t)WEIR_SECOND);
    CHECK_EQ(table_counts(embedded_table(o.embedded)).users, 1);
    close_all(o);

    compact(path, COMPACT_AS_IT_IS);
    start_machine(path);
    o = open_at(path);
    CHECK(embedded_clock(o.embedded, &era, &now_ns));
    CHECK_GE(now_ns, future_ns);
    close_all(o);
    path_remove(path);
}

TEST(a_reader_does_not_let_the_clock_go_on) {
    char              path[PATH_BYTES];
    struct format_era era;
    uint64_t          now_ns, again_ns;
    path_new(path);
    struct opened o = open_at(path);
    ask(o, 1, 1, clock_now_ns());
    close_all(o);
    start_machine(path);

    const struct embedded_options options = {.is_reader = true, .must_exist = true};
    weir_error                    error;
    struct embedded              *reader = embedded_open(path, &options, &error);
    CHECK_NE(reader, NULL);
    CHECK(!embedded_clock(reader, &era, &now_ns));
    CHECK(!embedded_clock(reader, &era, &again_ns));
    CHECK_EQ(now_ns, again_ns);
    CHECK_EQ(era.boot[3], 7);
    CHECK(embedded_is_in_place(reader));
    compact(path, COMPACT_AS_IT_IS);
    CHECK(!embedded_is_in_place(reader));
    embedded_close(reader);
    path_remove(path);
}
