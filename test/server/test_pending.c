/* SPDX-License-Identifier: MIT
 *
 * The server on a remote store that answers later and in any order: real workers on real sockets in this
 * process, and a store that the test holds by the hand (fake_store.h). */
#include <arpa/inet.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/random.h"
#include "concurrency/crew.h"
#include "os/clock.h"
#include "server/errand.h"
#include "server/fake_store.h"
#include "server/server.h"
#include "support/check.h"

#define MS         UINT64_C(1000000)
#define PATIENCE_S 30

/* ---- a server ---- */

struct world {
    weir          *store;
    struct server *server;
    unsigned       port;
};

enum { CONNECTIONS_MAX = 1000 };

static void tell_trouble(weir *store, char *out, size_t room) {
    (void)snprintf(out, room, store != NULL ? "it is away" : "whose?");
}

static struct world world_open(unsigned thread_count, uint64_t delay_ns_max, uint64_t idle_ns_max) {
    char           problem[SOCKET_PROBLEM_BYTES_MAX];
    struct address address;
    struct world   world = {.store = fake_store_open(delay_ns_max, check_seed())};
    CHECK(address_parse("127.0.0.1:0", &address, problem));
    struct server_options options = {.store           = world.store,
                                     .trouble         = tell_trouble,
                                     .addresses       = &address,
                                     .address_count   = 1,
                                     .thread_count    = thread_count,
                                     .connections_max = CONNECTIONS_MAX,
                                     .idle_ns_max     = idle_ns_max};
    /* What is freed looks different then, also where no sanitizer watches. */
    (void)mallopt(M_PERTURB, 0x5a);
    world.server = server_open(&options, problem);
    CHECK(world.server != NULL);
    world.port = address_port(server_address(world.server, 0));
    return world;
}

static void world_close(struct world *world) {
    server_close(world->server);
    CHECK_EQ(fake_store_out(world->store), 0);
    CHECK_EQ(fake_store_changed(world->store), 0);
    fake_store_close(world->store);
}

static void pause_ms(long ms) {
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void await(weir *store, uint64_t (*count)(weir *), uint64_t expected) {
    uint64_t until_ns = clock_now_ns() + PATIENCE_S * 1000 * MS;
    while (count(store) != expected && clock_now_ns() < until_ns) pause_ms(1);
    CHECK_EQ(count(store), expected);
}

/* ---- a peer ---- */

static int join(const struct world *world) {
    int                socket_  = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval     patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address  = {.sin_family      = AF_INET,
                                   .sin_port        = htons((uint16_t)world->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK_GE(socket_, 0);
    CHECK_EQ(setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
    CHECK_EQ(connect(socket_, (struct sockaddr *)&address, sizeof address), 0);
    return socket_;
}

/* A reset and no end: what the server writes then fails. */
static void leave_suddenly(int peer) {
    struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    CHECK_EQ(setsockopt(peer, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    CHECK_EQ(close(peer), 0);
}

static void say(int peer, const char *text) {
    size_t bytes = strlen(text), said = 0;
    while (said < bytes) {
        ssize_t count = send(peer, text + said, bytes - said, MSG_NOSIGNAL);
        CHECK_GT(count, 0);
        said += (size_t)count;
    }
}

/* In one piece, so that the server reads it at once if it is short. */
static void say_times(int peer, size_t times, const char *text) {
    size_t bytes = strlen(text);
    char  *all   = malloc(times * bytes + 1);
    CHECK(all != NULL);
    for (size_t i = 0; i < times; i++) memcpy(all + i * bytes, text, bytes + 1);
    say(peer, all);
    free(all);
}

static void hear(int peer, const char *expected) {
    char   heard[8192];
    size_t bytes = strlen(expected), got = 0;
    CHECK_LT(bytes, sizeof heard);
    while (got < bytes) {
        ssize_t count = recv(peer, heard + got, bytes - got, 0);
        if (count <= 0) break;
        got += (size_t)count;
    }
    heard[got] = '\0';
    CHECK_STR_EQ(heard, expected);
}

static void hear_times(int peer, size_t times, const char *expected) {
    for (size_t i = 0; i < times; i++) hear(peer, expected);
}

static void hear_end(int peer) {
    char more[16];
    CHECK_EQ(recv(peer, more, sizeof more, 0), 0);
    CHECK_EQ(close(peer), 0);
}

static bool hears_nothing_for(int peer, int ms) {
    struct pollfd eye = {.fd = peer, .events = POLLIN};
    return poll(&eye, 1, ms) == 0;
}

/* ---- long talks ---- */

struct script {
    char  *asks, *expects;
    size_t asks_bytes, expects_bytes;
};

__attribute__((format(printf, 3, 4))) static void script_add(char **text, size_t *used,
                                                             const char *format, ...) {
    char    line[1024];
    va_list arguments;
    va_start(arguments, format);
    int bytes = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    *text = realloc(*text, *used + (size_t)bytes);
    CHECK(*text != NULL);
    memcpy(*text + *used, line, (size_t)bytes);
    *used += (size_t)bytes;
}

#define ASKS(...)    script_add(&script.asks, &script.asks_bytes, __VA_ARGS__)
#define EXPECTS(...) script_add(&script.expects, &script.expects_bytes, __VA_ARGS__)

/* Requests of all kinds, and exactly what must be answered to them. */
static struct script script_of(struct random *random, size_t request_count) {
    struct script script = {0};
    for (size_t i = 0; i < request_count; i++) {
        unsigned limit = (unsigned)random_below(random, 100000);
        unsigned kind  = (unsigned)random_below(random, 64);
        if (kind == 0) {
            ASKS("WEIR.RESET u%u 1m\r\n", limit);
            EXPECTS("+OK\r\n");
        } else if (kind == 1) {
            ASKS("DBSIZE\r\n");
            EXPECTS(":17\r\n");
        } else if (kind == 2) {
            ASKS("WEIR.ALLOW u x%u 1m\r\n", limit);
            EXPECTS("-ERR the limit must be a number from 0 to 1099511627776, and not x%u\r\n",
                    limit);
        } else if (kind == 3) {
            ASKS("FOO %u\r\n", limit);
            EXPECTS("-ERR unknown command 'FOO', with args beginning with: '%u' \r\n", limit);
        } else if (kind == 4) {
            ASKS("CLIENT REPLY SKIP\r\nWEIR.ALLOW u %u 1m\r\n", limit);
        } else if (kind == 5) {
            ASKS("CLIENT REPLY OFF\r\nWEIR.RESET u 1m\r\nCLIENT REPLY ON\r\n");
            EXPECTS("+OK\r\n");
        } else if (kind == 6) {
            ASKS("PING %u\r\n", limit);
            EXPECTS("$%d\r\n%u\r\n", snprintf(NULL, 0, "%u", limit), limit);
        } else if (kind < 16) {
            ASKS("WEIR.ALLOW now%u %u 1m\r\n", limit, limit);
            EXPECTS(":%u\r\n", limit & 1);
        } else if (kind < 32) {
            ASKS("WEIR.DECIDE u%u %u 1m\r\n", limit, limit);
            EXPECTS("*14\r\n$7\r\nallowed\r\n:%u\r\n$9\r\nremaining\r\n:%u\r\n"
                    "$14\r\nretry_after_ms\r\n:0\r\n$14\r\nreset_after_ms\r\n:0\r\n"
                    "$14\r\nretry_after_ns\r\n:0\r\n$14\r\nreset_after_ns\r\n:0\r\n"
                    "$3\r\nhow\r\n$5\r\nstore\r\n",
                    limit & 1, limit);
        } else {
            ASKS("WEIR.ALLOW u%u %u 1m\r\n", limit, limit);
            EXPECTS(":%u\r\n", limit & 1);
        }
    }
    return script;
}

static void script_clear(struct script *script) {
    free(script->asks);
    free(script->expects);
}

/* Says up to `asks_bytes` of it in pieces, and compares what comes meanwhile. */
static void script_play(const struct script *script, int peer, size_t asks_bytes,
                        struct random *random) {
    char   heard[16384];
    size_t said = 0, got = 0;
    bool   is_whole = asks_bytes == script->asks_bytes;
    while (said < asks_bytes || (is_whole && got < script->expects_bytes)) {
        struct pollfd eye = {.fd     = peer,
                             .events = (short)(POLLIN | (said < asks_bytes ? POLLOUT : 0))};
        CHECK_GT(poll(&eye, 1, PATIENCE_S * 1000), 0);
        if (eye.revents & POLLOUT) {
            size_t piece = 1 + random_below(random, 20000);
            if (piece > asks_bytes - said) piece = asks_bytes - said;
            ssize_t count = send(peer, script->asks + said, piece, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (count > 0) said += (size_t)count;
        }
        if (eye.revents & POLLIN) {
            ssize_t count = recv(peer, heard, sizeof heard, MSG_DONTWAIT);
            CHECK_GT(count, 0);
            CHECK_LE(got + (size_t)count, script->expects_bytes);
            CHECK_MEM_EQ(heard, script->expects + got, (size_t)count);
            got += (size_t)count;
        }
    }
}

TEST(replies_come_in_the_order_of_the_requests) {
    struct world  world  = world_open(1, 1 * MS, 0);
    struct random random = {.state = check_seed()};
    for (uint64_t i = 0; i < check_effort(20); i++) {
        struct script script = script_of(&random, 1 + random_below(&random, 2000));
        int           peer   = join(&world);
        script_play(&script, peer, script.asks_bytes, &random);
        CHECK_EQ(close(peer), 0);
        script_clear(&script);
    }
    world_close(&world);
}

static void talk_and_leave(struct crew_member *me) {
    const struct world *world = me->work;
    for (uint64_t i = 0; i < check_effort(40); i++) {
        struct script script   = script_of(&me->random, 1 + random_below(&me->random, 400));
        int           peer     = join(world);
        bool          is_brief = random_below(&me->random, 3) == 0;
        size_t bytes = is_brief ? random_below(&me->random, script.asks_bytes) : script.asks_bytes;
        script_play(&script, peer, bytes, &me->random);
        if (is_brief && random_below(&me->random, 2) == 0)
            leave_suddenly(peer);
        else
            CHECK_EQ(close(peer), 0);
        script_clear(&script);
    }
}

TEST(many_talk_at_once_and_some_leave_in_the_middle) {
    struct world world = world_open(2, 2 * MS, 0);
    crew_run(16, talk_and_leave, &world);
    int peer = join(&world);
    say(peer, "WEIR.ALLOW u 1 1m\r\n");
    hear(peer, ":1\r\n");
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

/* ---- while it waits ---- */

TEST(all_that_a_turn_has_read_is_asked_for_at_once) {
    struct world world = world_open(1, 0, 0);
    int          one = join(&world), other = join(&world);
    say_times(one, 100, "WEIR.ALLOW held 1 1m\r\n");
    say_times(other, 100, "WEIR.ALLOW held 0 1m\r\n");
    await(world.store, fake_store_out, 200);
    fake_store_release(world.store);
    hear_times(one, 100, ":1\r\n");
    hear_times(other, 100, ":0\r\n");
    CHECK_EQ(close(one), 0);
    CHECK_EQ(close(other), 0);
    world_close(&world);
}

TEST(who_waits_is_not_read_and_others_are) {
    struct world world = world_open(1, 0, 0);
    int          one = join(&world), other = join(&world);
    say(one, "WEIR.ALLOW held 1 1m\r\n");
    await(world.store, fake_store_out, 1);
    say_times(one, 300, "WEIR.ALLOW now 0 1m\r\n");
    say(other, "WEIR.ALLOW now 1 1m\r\nWEIR.ALLOW later 1 1m\r\n");
    hear(other, ":1\r\n:1\r\n");
    CHECK(hears_nothing_for(one, 50));
    CHECK_EQ(fake_store_asked(world.store), 3);
    fake_store_release(world.store);
    hear(one, ":1\r\n");
    hear_times(one, 300, ":0\r\n");
    CHECK_EQ(close(one), 0);
    CHECK_EQ(close(other), 0);
    world_close(&world);
}

TEST(a_pipeline_that_waits_is_taken_piece_by_piece) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say_times(peer, 1000, "WEIR.ALLOW held 1 1m\r\n");
    await(world.store, fake_store_out, 256);
    CHECK(hears_nothing_for(peer, 20));
    CHECK_EQ(fake_store_out(world.store), 256);
    fake_store_release(world.store);
    hear_times(peer, 1000, ":1\r\n");
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

TEST(hundreds_may_wait_at_the_same_time) {
    enum { PEERS = 400 };
    struct world world = world_open(2, 1 * MS, 0);
    int          peers[PEERS];
    for (size_t i = 0; i < PEERS; i++) {
        peers[i] = join(&world);
        say(peers[i], i % 2 == 0 ? "WEIR.ALLOW held 1 1m\r\n" : "WEIR.ALLOW held 0 1m\r\nPING\r\n");
    }
    await(world.store, fake_store_out, PEERS);
    fake_store_release(world.store);
    for (size_t i = 0; i < PEERS; i++) {
        hear(peers[i], i % 2 == 0 ? ":1\r\n" : ":0\r\n+PONG\r\n");
        CHECK_EQ(close(peers[i]), 0);
    }
    world_close(&world);
}

/* Until the server has dropped all but this one, who asks. */
static void await_alone_as(int peer) {
    uint64_t until_ns = clock_now_ns() + PATIENCE_S * 1000 * MS;
    char     told[256];
    do {
        CHECK_LT(clock_now_ns(), until_ns);
        say(peer, "INFO clients\r\n");
        ssize_t bytes = recv(peer, told, sizeof told - 1, 0);
        CHECK_GT(bytes, 0);
        told[bytes] = '\0';
    } while (strstr(told, "connected_clients:1\r\n") == NULL);
}

static void await_alone(const struct world *world) {
    int peer = join(world);
    await_alone_as(peer);
    CHECK_EQ(close(peer), 0);
}

TEST(what_is_asked_for_outlives_a_peer_that_left) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say_times(peer, 200, "WEIR.ALLOW held 1 1m\r\n");
    await(world.store, fake_store_out, 200);
    leave_suddenly(peer);
    await_alone(&world);
    CHECK_EQ(fake_store_out(world.store), 200);
    fake_store_release(world.store);
    await(world.store, fake_store_out, 0);
    CHECK_EQ(fake_store_changed(world.store), 0);
    world_close(&world);
}

TEST(what_is_asked_for_by_who_leaves_at_once_is_bounded) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    int          others[CONNECTIONS_MAX - 1];
    for (size_t i = 0; i < CONNECTIONS_MAX - 1; i++) {
        others[i] = join(&world);
        say(others[i], "WEIR.ALLOW held 1 1m\r\n");
    }
    await(world.store, fake_store_out, CONNECTIONS_MAX - 1);
    for (size_t i = 0; i < CONNECTIONS_MAX - 1; i++) leave_suddenly(others[i]);
    await_alone_as(peer);

    /* Who is there is served; who comes finds no place. */
    say(peer, "WEIR.ALLOW now 1 1m\r\n");
    hear(peer, ":1\r\n");
    int late = join(&world);
    hear(late, "-ERR max number of clients reached\r\n");
    hear_end(late);

    fake_store_release(world.store);
    await(world.store, fake_store_out, 0);
    uint64_t until_ns = clock_now_ns() + PATIENCE_S * 1000 * MS;
    char     told[1];
    do {
        CHECK_LT(clock_now_ns(), until_ns);
        late = join(&world);
        say(late, "PING\r\n");
        CHECK_GT(recv(late, told, 1, 0), 0);
        CHECK_EQ(close(late), 0);
    } while (told[0] != '+');
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

TEST(a_peer_that_has_said_all_is_answered_before_its_end_is_seen) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say(peer, "WEIR.ALLOW held 1 1m\r\nECHO x\r\n");
    CHECK_EQ(shutdown(peer, SHUT_WR), 0);
    await(world.store, fake_store_out, 1);
    CHECK(hears_nothing_for(peer, 20));
    fake_store_release(world.store);
    hear(peer, ":1\r\n$1\r\nx\r\n");
    hear_end(peer);
    world_close(&world);
}

TEST(who_is_kept_waiting_is_not_idle) {
    struct world world = world_open(1, 0, 500 * MS);
    int          peer  = join(&world);
    say(peer, "WEIR.ALLOW held 1 1m\r\n");
    CHECK(hears_nothing_for(peer, 1500));
    CHECK_EQ(fake_store_out(world.store), 1);
    fake_store_release(world.store);
    hear(peer, ":1\r\n");
    hear_end(peer);
    world_close(&world);
}

/* ---- what comes after ---- */

TEST(a_reset_waits_for_what_was_asked_before_it) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say(peer, "WEIR.ALLOW held 1 1m\r\nWEIR.RESET u 1m\r\nWEIR.ALLOW now 0 1m\r\n");
    await(world.store, fake_store_out, 1);
    CHECK(hears_nothing_for(peer, 20));
    CHECK_EQ(fake_store_resets(world.store), 0);
    fake_store_release(world.store);
    hear(peer, ":1\r\n+OK\r\n:0\r\n");
    CHECK_EQ(fake_store_resets(world.store), 1);
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

TEST(a_slow_reset_holds_up_nobody_else) {
    struct world world = world_open(1, 0, 0);
    int          one = join(&world), other = join(&world);
    fake_store_hold_acts(world.store);
    say(one, "WEIR.RESET u 1m\r\nPING\r\n");
    await(world.store, fake_store_begun, 1);
    say(other, "WEIR.ALLOW later 1 1m\r\n");
    hear(other, ":1\r\n");
    say(other, "PING\r\n");
    hear(other, "+PONG\r\n");
    CHECK_EQ(fake_store_resets(world.store), 0);
    fake_store_release(world.store);
    hear(one, "+OK\r\n+PONG\r\n");
    CHECK_EQ(fake_store_resets(world.store), 1);
    CHECK_EQ(close(one), 0);
    CHECK_EQ(close(other), 0);
    world_close(&world);
}

TEST(a_peer_may_leave_while_its_reset_is_made) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    fake_store_hold_acts(world.store);
    say(peer, "WEIR.RESET u 1m\r\n");
    await(world.store, fake_store_begun, 1);
    leave_suddenly(peer);
    CHECK_EQ(fake_store_resets(world.store), 0);
    fake_store_release(world.store);
    await(world.store, fake_store_resets, 1);
    await_alone(&world);
    world_close(&world);
}

TEST(quit_and_broken_words_end_a_talk_after_all_answers) {
    struct world world = world_open(1, 5 * MS, 0);
    int          one = join(&world), other = join(&world), another = join(&world);
    say(one, "WEIR.ALLOW u 1 1m\r\nWEIR.ALLOW u 0 1m\r\nQUIT\r\nPING\r\n");
    hear(one, ":1\r\n:0\r\n+OK\r\n");
    hear_end(one);
    /* More than a batch, and what waits is in its end. */
    char   talk[300 * 6 + 64];
    size_t used = 0;
    for (size_t i = 0; i < 300; i++)
        used += (size_t)snprintf(talk + used, sizeof talk - used, "PING\r\n");
    (void)snprintf(talk + used, sizeof talk - used, "WEIR.ALLOW u 1 1m\r\nQUIT\r\n");
    say(another, talk);
    hear_times(another, 300, "+PONG\r\n");
    hear(another, ":1\r\n+OK\r\n");
    hear_end(another);
    say(other, "WEIR.ALLOW u 1 1m\r\n*1\r\n!\r\n");
    hear(other, ":1\r\n-ERR Protocol error: ");
    CHECK_EQ(close(other), 0);
    world_close(&world);
}

/* ---- what is told ---- */

TEST(a_degraded_decision_tells_why) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say(peer, "HELLO 3\r\n");
    char greeting[1024];
    CHECK_GT(recv(peer, greeting, sizeof greeting, 0), 0);
    say(peer, "WEIR.DECIDE cut 7 1m\r\n");
    hear(
        peer,
        "%8\r\n$7\r\nallowed\r\n:1\r\n$9\r\nremaining\r\n:7\r\n$14\r\nretry_after_ms\r\n:0\r\n"
        "$14\r\nreset_after_ms\r\n:0\r\n$14\r\nretry_after_ns\r\n:0\r\n$14\r\nreset_after_ns\r\n:0\r\n"
        "$3\r\nhow\r\n$4\r\nopen\r\n$3\r\nwhy\r\n$20\r\nthe store is cut off\r\n");
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

TEST(info_tells_how_the_store_is) {
    struct world world = world_open(1, 0, 0);
    int          peer  = join(&world);
    say(peer, "INFO store\r\nDBSIZE\r\n");
    hear(peer,
         "$135\r\n# Store\r\nstore_degraded:1\r\nstore_trips:2\r\nstore_misses:3\r\n"
         "store_permits:4\r\nstore_shards_cut:5\r\nstore_held:6\r\nstore_trouble:it is away\r\n\r\n"
         ":17\r\n");
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

TEST(what_the_store_cannot_count_is_told_with_what_it_can) {
    static const char hint[] = "-ERR this store counts strict windows only; use WEIR.ALLOW\r\n";
    struct world      world  = world_open(1, 0, 0);
    int               peer   = join(&world);
    say(peer, "CL.THROTTLE u 15 30 60\r\nWEIR.DECIDE u 1 1m ALGORITHM fixed\r\nDEL u\r\n"
              "WEIR.RESET u 1m ALGORITHM gcra\r\n");
    hear_times(peer, 4, hint);
    CHECK_EQ(close(peer), 0);
    world_close(&world);
}

/* ---- stopping ---- */

static void *wait_for_server(void *server) {
    server_wait(server);
    return NULL;
}

TEST(a_stop_waits_for_all_that_was_asked) {
    struct world world = world_open(2, 20 * MS, 0);
    int          peers[8];
    pthread_t    waiter;
    CHECK_EQ(pthread_create(&waiter, NULL, wait_for_server, world.server), 0);
    for (size_t i = 0; i < 8; i++) {
        peers[i] = join(&world);
        say(peers[i], "PING\r\n");
        hear(peers[i], "+PONG\r\n");
        say_times(peers[i], 600, "WEIR.ALLOW u 1 1m\r\n");
        say(peers[i], "WEIR.RESET u 1m\r\n");
    }
    CHECK_EQ(kill(getpid(), SIGTERM), 0);
    for (size_t i = 0; i < 8; i++) {
        hear_times(peers[i], 600, ":1\r\n");
        hear(peers[i], "+OK\r\n");
        hear_end(peers[i]);
    }
    CHECK_EQ(pthread_join(waiter, NULL), 0);
    world_close(&world);
}

static void *release_later(void *store) {
    pause_ms(100);
    fake_store_release(store);
    return NULL;
}

TEST(an_end_at_once_leaves_no_ticket_behind) {
    struct world world = world_open(2, 0, 0);
    pthread_t    releaser;
    int          peers[4];
    for (size_t i = 0; i < 4; i++) {
        peers[i] = join(&world);
        say_times(peers[i], 50, "WEIR.ALLOW held 1 1m\r\n");
    }
    await(world.store, fake_store_out, 200);
    CHECK_EQ(pthread_create(&releaser, NULL, release_later, world.store), 0);
    server_close(world.server);
    CHECK_EQ(fake_store_out(world.store), 0); /* nothing writes to what is freed now */
    CHECK_EQ(pthread_join(releaser, NULL), 0);
    for (size_t i = 0; i < 4; i++) CHECK_EQ(close(peers[i]), 0);
    CHECK_EQ(fake_store_changed(world.store), 0);
    fake_store_close(world.store);
}
