/* SPDX-License-Identifier: MIT */
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/contract.h"
#include "base/range.h"
#include "os/clock.h"
#include "os/signal.h"
#include "os/thread.h"
#include "server/worker.h"

struct server {
    struct crew crew;
    struct loop loop; /* the boss's: signals, and workers that have ended */
    int         signals;
    uint64_t    started_ns;
    void (*tick)(void *context);
    void *tick_context;
};

#define TICK_NS UINT64_C(1000000000)

static void describe(const struct service *service, struct service_facts *facts);

/* ---- opening ---- */

static bool server_listen(struct server *s, const struct server_options *options, char *problem) {
    for (size_t i = 0; i < options->address_count; i++) {
        struct listener *listener = &s->crew.listeners[i];
        listener->address         = options->addresses[i];
        listener->socket          = socket_listen(&listener->address, options->unix_mode, problem);
        if (listener->socket < 0) return false;
        s->crew.listener_count++;
    }
    return true;
}

static void server_unlisten(struct server *s) {
    while (s->crew.listener_count > 0) {
        struct listener *listener = &s->crew.listeners[--s->crew.listener_count];
        socket_unlisten(listener->socket, &listener->address);
    }
}

static void server_stop(struct server *s, uint64_t how) {
    for (size_t i = 0; i < s->crew.worker_count; i++) (void)worker_post(s->crew.workers[i], how);
}

static void server_dismiss(struct server *s) {
    while (s->crew.worker_count > 0) worker_free(s->crew.workers[--s->crew.worker_count]);
}

/* All workers are there before the first starts, since each may hand a connection to any other. */
static bool server_hire(struct server *s, unsigned thread_count) {
    while (s->crew.worker_count < thread_count) {
        struct worker *w = worker_new(&s->crew);
        if (w == NULL) return false;
        s->crew.workers[s->crew.worker_count++] = w;
    }
    for (size_t i = 0; i < s->crew.worker_count; i++)
        if (!worker_start(s->crew.workers[i])) {
            server_stop(s, WORKER_STOP_NOW);
            return false;
        }
    return true;
}

struct server *server_open(const struct server_options *options, char *problem) {
    REQUIRE(options->address_count > 0 && options->address_count <= WORKER_LISTENERS_MAX);
    REQUIRE(options->thread_count > 0 && options->thread_count <= WORKERS_MAX);

    struct server *s = calloc(1, sizeof *s);
    snprintf(problem, SOCKET_PROBLEM_BYTES_MAX,
             "the system has no memory or descriptors left for %u threads", options->thread_count);
    if (s == NULL) return NULL;
    s->started_ns           = clock_now_ns();
    s->tick                 = options->tick;
    s->tick_context         = options->tick_context;
    s->crew.service         = (struct service){.limiter         = options->limiter,
                                               .store           = options->store,
                                               .trouble         = options->trouble,
                                               .clock_error_ppm = options->clock_error_ppm,
                                               .describe        = describe,
                                               .wall_ns         = clock_wall_ns};
    s->crew.connections_max = options->connections_max;
    s->crew.idle_ns_max     = options->idle_ns_max;
    s->crew.boss            = &s->loop;

    if (!loop_open(&s->loop)) goto free_server;
    s->signals = signal_open();
    if (s->signals < 0) goto close_loop;
    if (!loop_add(&s->loop, s->signals, LOOP_READ, s)) goto close_signals;
    if (!server_listen(s, options, problem)) goto unlisten;
    if (!server_hire(s, options->thread_count)) goto dismiss;
    return s;

dismiss:
    server_dismiss(s);
unlisten:
    server_unlisten(s);
close_signals:
    signal_close(s->signals);
close_loop:
    loop_close(&s->loop);
free_server:
    free(s);
    return NULL;
}

/* ---- while it is open ---- */

size_t server_address_count(const struct server *s) { return s->crew.listener_count; }

const struct address *server_address(const struct server *s, size_t index) {
    return &s->crew.listeners[index].address;
}

static uint64_t server_port(const struct server *s) {
    for (size_t i = 0; i < s->crew.listener_count; i++)
        if (!address_is_unix(&s->crew.listeners[i].address))
            return address_port(&s->crew.listeners[i].address);
    return 0;
}

static void describe(const struct service *service, struct service_facts *facts) {
    const struct server *s    = (const struct server *)(const void *)service;
    const struct crew   *crew = &s->crew;
    for (size_t i = 0; i < crew->worker_count; i++)
        worker_counts_add(crew->workers[i], &facts->counts);
    facts->connections     = atomic_load_explicit(&crew->connection_count, memory_order_relaxed);
    facts->connections_max = crew->connections_max;
    facts->idle_ns_max     = crew->idle_ns_max;
    facts->uptime_ns       = clock_now_ns() - s->started_ns;
    facts->process_id      = thread_process_id();
    facts->thread_count    = crew->worker_count;
    facts->port            = server_port(s);
}

_Static_assert(offsetof(struct server, crew) == 0 && offsetof(struct crew, service) == 0,
               "describe() finds the server where its service begins");

/* ---- ending ---- */

/* Workers answer what they have, while peers that come now are refused and can turn to another server,
 * or to this one's successor, which can take the port already. */
static void server_begin_stop(struct server *s) {
    server_stop(s, WORKER_STOP);
    for (size_t i = 0; i < s->crew.listener_count; i++) socket_deafen(s->crew.listeners[i].socket);
}

static uint64_t left_until_ns(uint64_t at_ns) {
    if (at_ns == UINT64_MAX) return UINT64_MAX;
    return above(at_ns, clock_now_ns());
}

void server_wait(struct server *s) {
    struct loop_event events[LOOP_EVENTS_MAX];
    size_t            ended   = 0;
    bool              stops   = false;
    uint64_t          tick_ns = s->tick != NULL ? clock_now_ns() + TICK_NS : UINT64_MAX;
    while (ended < s->crew.worker_count) {
        if (stops) tick_ns = UINT64_MAX;
        size_t count = loop_wait(&s->loop, events, left_until_ns(tick_ns));
        for (size_t i = 0; i < count; i++) {
            if (events[i].owner == NULL) {
                ended++;
                continue;
            }
            while (signal_take(s->signals)) {
                if (stops)
                    server_stop(s, WORKER_STOP_NOW);
                else
                    server_begin_stop(s);
                stops = true;
            }
        }
        if (stops || left_until_ns(tick_ns) > 0) continue;
        s->tick(s->tick_context);
        tick_ns = clock_now_ns() + TICK_NS;
    }
}

void server_close(struct server *s) {
    server_stop(s, WORKER_STOP_NOW);
    server_dismiss(s);
    server_unlisten(s);
    signal_close(s->signals);
    loop_close(&s->loop);
    free(s);
}
