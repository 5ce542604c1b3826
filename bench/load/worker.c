/* SPDX-License-Identifier: MIT */
#include "worker.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum {
    OUTPUT_BYTES  = 1 << 18,
    INPUT_BYTES   = 1 << 18,
    UNDER_WAY_MAX = 1 << 16, /* requests of one connection; a power of two */
    EVENTS_MAX    = 64,
};

struct connection {
    int       fd;
    bool      wants_write;
    uint64_t *due_ns; /* ring: when each request under way was due */
    uint32_t  first, under_way;
    char     *output;
    size_t    output_from, output_to;
    char     *input;
    size_t    input_bytes;
};

struct crew {
    struct worker          *worker;
    const struct load_plan *plan;
    struct connection      *connections;
    int                     epoll_fd;
    struct random           random;
    struct zipf             zipf;
    uint64_t                next_user;
    uint64_t                next_due_ns; /* open loop */
    unsigned                next_connection;
    uint64_t                sent_count; /* warm-up included */
};

uint64_t worker_now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static bool trouble(struct crew *c, const char *what) {
    snprintf(c->worker->trouble, sizeof c->worker->trouble, "%s: %s", what, strerror(errno));
    return false;
}

/* ---- what to ask, and when ---- */

static uint64_t user_next(struct crew *c) {
    switch (c->plan->order) {
    case USERS_HOT: return 0;
    case USERS_UNIFORM: return random_below(&c->random, c->plan->user_count);
    case USERS_ZIPF: return zipf_next(&c->zipf, &c->random);
    case USERS_SEQUENCE: {
        uint64_t user = c->next_user;
        c->next_user  = (c->next_user + c->plan->thread_count) % c->plan->user_count;
        return user;
    }
    }
    return 0;
}

static uint64_t gap_next_ns(struct crew *c) {
    double mean_ns = 1e9 / c->plan->rate_per_s;
    if (c->plan->is_even) return (uint64_t)mean_ns;
    return (uint64_t)(-log(1 - random_unit(&c->random)) * mean_ns);
}

static bool is_counted(const struct load_plan *plan, uint64_t due_ns) {
    return due_ns >= plan->start_ns && due_ns < plan->end_ns;
}

static bool may_send(const struct crew *c) {
    return c->plan->request_count == 0 || c->sent_count < c->plan->request_count;
}

static bool has_room(const struct crew *c, const struct connection *k) {
    return k->under_way < UNDER_WAY_MAX &&
           OUTPUT_BYTES - k->output_to >= c->plan->command.byte_count;
}

static void request_put(struct crew *c, struct connection *k, uint64_t due_ns) {
    command_write(&c->plan->command, user_next(c), k->output + k->output_to);
    k->output_to += c->plan->command.byte_count;
    k->due_ns[(k->first + k->under_way++) % UNDER_WAY_MAX] = due_ns;
    c->sent_count++;
    if (is_counted(c->plan, due_ns)) c->worker->counts.sent++;
}

/* ---- sockets ---- */

static bool watch(struct crew *c, struct connection *k, bool wants_write) {
    struct epoll_event event = {.events   = EPOLLIN | (wants_write ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = k};
    k->wants_write           = wants_write;
    return epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, k->fd, &event) == 0 || trouble(c, "epoll_ctl");
}

static bool flush(struct crew *c, struct connection *k) {
    while (k->output_from < k->output_to) {
        ssize_t n = send(k->fd, k->output + k->output_from, k->output_to - k->output_from,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return k->wants_write || watch(c, k, true);
        if (n < 0) return trouble(c, "send");
        k->output_from += (size_t)n;
    }
    k->output_from = k->output_to = 0;
    return !k->wants_write || watch(c, k, false);
}

static void answer_count(struct crew *c, struct connection *k, const struct reply *reply,
                         const char *text, uint64_t now_ns) {
    struct worker *w      = c->worker;
    uint64_t       due_ns = k->due_ns[k->first];
    k->first              = (k->first + 1) % UNDER_WAY_MAX;
    k->under_way--;
    w->counts.finished_ns = now_ns;
    if (!is_counted(c->plan, due_ns)) return;

    w->counts.answered++;
    histogram_add(&w->latency, now_ns - due_ns);
    if (reply->is_error) {
        if (w->counts.errors++ == 0) {
            snprintf(w->first_error, sizeof w->first_error, "%.*s", (int)reply->bytes - 2, text);
        }
    } else if (!reply->has_shape) {
        w->counts.wrong_shape++;
    } else if (c->plan->command.counts_answers) {
        if (reply->first == c->plan->command.allowed_value) {
            w->counts.allowed++;
        } else {
            w->counts.denied++;
        }
    }
}

static bool answers_read(struct crew *c, struct connection *k) {
    ssize_t n = recv(k->fd, k->input + k->input_bytes, INPUT_BYTES - k->input_bytes, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
    if (n < 0) return trouble(c, "recv");
    if (n == 0) {
        errno = ECONNRESET;
        return trouble(c, "the server closed a connection");
    }
    k->input_bytes += (size_t)n;

    uint64_t     now_ns = worker_now_ns();
    size_t       at     = 0;
    struct reply reply;
    while (at < k->input_bytes &&
           reply_read(&c->plan->command, k->input + at, k->input_bytes - at, &reply)) {
        if (reply.is_malformed || k->under_way == 0) {
            c->worker->counts.malformed++;
            errno = EPROTO;
            return trouble(c, "the server sent what is no answer");
        }
        answer_count(c, k, &reply, k->input + at, now_ns);
        at += reply.bytes;
    }
    k->input_bytes -= at;
    memmove(k->input, k->input + at, k->input_bytes);
    return true;
}

/* Closed loop: the next batch, once the last is answered. */
static bool batch_send(struct crew *c, struct connection *k, uint64_t now_ns) {
    if (k->under_way > 0) return true;
    if (now_ns >= c->plan->end_ns) return true;
    for (unsigned i = 0; i < c->plan->pipeline && may_send(c) && has_room(c, k); i++) {
        request_put(c, k, now_ns);
    }
    return flush(c, k);
}

/* Open loop: all that has fallen due, on the connections in turn. */
static bool due_send(struct crew *c, uint64_t now_ns) {
    unsigned first = c->next_connection, touched = 0;
    while (c->next_due_ns <= now_ns && c->next_due_ns < c->plan->end_ns && may_send(c)) {
        unsigned tried = 0;
        while (tried < c->plan->connection_count &&
               !has_room(c, &c->connections[c->next_connection])) {
            c->next_connection = (c->next_connection + 1) % c->plan->connection_count;
            tried++;
        }
        if (tried == c->plan->connection_count) break;
        request_put(c, &c->connections[c->next_connection], c->next_due_ns);
        c->next_connection = (c->next_connection + 1) % c->plan->connection_count;
        c->next_due_ns += gap_next_ns(c);
        touched++;
    }
    if (touched > c->plan->connection_count) touched = c->plan->connection_count;
    for (unsigned i = 0; i < c->plan->connection_count && touched > 0; i++) {
        struct connection *k = &c->connections[(first + i) % c->plan->connection_count];
        if (k->output_from < k->output_to && !k->wants_write && !flush(c, k)) return false;
    }
    return true;
}

/* ---- the run ---- */

static bool connection_open(struct crew *c, struct connection *k) {
    k->fd     = socket(c->plan->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    k->due_ns = calloc(UNDER_WAY_MAX, sizeof *k->due_ns);
    k->output = malloc(OUTPUT_BYTES);
    k->input  = malloc(INPUT_BYTES);
    if (k->fd < 0 || !k->due_ns || !k->output || !k->input)
        return trouble(c, "opening a connection");
    if (connect(k->fd, (const struct sockaddr *)&c->plan->address, c->plan->address_bytes) != 0) {
        return trouble(c, "connect");
    }
    int one = 1;
    if (c->plan->address.ss_family != AF_UNIX) {
        setsockopt(k->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = k};
    if (epoll_ctl(c->epoll_fd, EPOLL_CTL_ADD, k->fd, &event) != 0) return trouble(c, "epoll_ctl");
    return true;
}

static void connections_close(struct crew *c) {
    for (unsigned i = 0; c->connections && i < c->plan->connection_count; i++) {
        struct connection *k = &c->connections[i];
        if (k->fd >= 0) close(k->fd);
        free(k->due_ns);
        free(k->output);
        free(k->input);
    }
    free(c->connections);
    if (c->epoll_fd >= 0) close(c->epoll_fd);
}

static uint64_t under_way_count(const struct crew *c) {
    uint64_t count = 0;
    for (unsigned i = 0; i < c->plan->connection_count; i++) count += c->connections[i].under_way;
    return count;
}

static bool is_over(const struct crew *c, uint64_t now_ns) {
    if (now_ns >= c->plan->end_ns + c->plan->drain_ns) return true;
    bool is_open    = c->plan->rate_per_s > 0;
    bool sends_more = may_send(c) && (is_open ? c->next_due_ns : now_ns) < c->plan->end_ns;
    return !sends_more && under_way_count(c) == 0;
}

/* How long to sleep when nothing comes in. */
static struct timespec patience(const struct crew *c, uint64_t now_ns) {
    uint64_t sleep_ns = 50000000;
    if (c->plan->rate_per_s > 0 && c->next_due_ns < c->plan->end_ns) {
        uint64_t until_due_ns = c->next_due_ns > now_ns ? c->next_due_ns - now_ns : 0;
        if (until_due_ns < sleep_ns) sleep_ns = until_due_ns;
        /* Waking up takes longer than this: stay awake and look again. */
        if (sleep_ns < 10000) sleep_ns = 0;
    }
    return (struct timespec){.tv_nsec = (long)sleep_ns};
}

static bool run_loop(struct crew *c) {
    bool is_open = c->plan->rate_per_s > 0;
    for (;;) {
        uint64_t now_ns = worker_now_ns();
        if (is_over(c, now_ns)) return true;
        if (is_open && !due_send(c, now_ns)) return false;

        struct epoll_event events[EVENTS_MAX];
        struct timespec    sleep = patience(c, worker_now_ns());
        int                count = epoll_pwait2(c->epoll_fd, events, EVENTS_MAX, &sleep, NULL);
        if (count < 0 && errno != EINTR) return trouble(c, "epoll_pwait2");
        for (int i = 0; i < count; i++) {
            struct connection *k = events[i].data.ptr;
            if ((events[i].events & EPOLLOUT) && !flush(c, k)) return false;
            if ((events[i].events & ~(uint32_t)EPOLLOUT) && !answers_read(c, k)) return false;
            if (!is_open && !batch_send(c, k, worker_now_ns())) return false;
        }
    }
}

/* What was due and has no answer counts with the time it has waited so far. */
static void unanswered_count(struct crew *c) {
    struct load_counts *counts = &c->worker->counts;
    uint64_t            now_ns = worker_now_ns();
    for (unsigned i = 0; i < c->plan->connection_count; i++) {
        struct connection *k = &c->connections[i];
        for (; k->under_way > 0; k->under_way--, k->first = (k->first + 1) % UNDER_WAY_MAX) {
            uint64_t due_ns = k->due_ns[k->first];
            if (!is_counted(c->plan, due_ns)) continue;
            counts->unanswered++;
            histogram_add(&c->worker->latency, now_ns - due_ns);
        }
    }
    if (c->plan->rate_per_s == 0) return;
    for (; c->next_due_ns < c->plan->end_ns && may_send(c); c->next_due_ns += gap_next_ns(c) + 1) {
        counts->unsent++;
        histogram_add(&c->worker->latency, now_ns - c->next_due_ns);
    }
}

static void pin(const struct crew *c) {
    if (c->plan->cpu < 0) return;
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET((unsigned)c->plan->cpu + c->worker->index, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

void *worker_run(void *argument) {
    struct worker *w = argument;
    struct crew    c = {.worker = w, .plan = w->plan, .epoll_fd = epoll_create1(EPOLL_CLOEXEC)};
    c.random    = (struct random){.state = w->plan->seed + w->index * UINT64_C(0x9e3779b97f4a7c15)};
    c.zipf      = zipf_of(w->plan->user_count, w->plan->zipf_exponent);
    c.next_user = w->index;
    c.next_due_ns       = worker_now_ns();
    c.connections       = calloc(w->plan->connection_count, sizeof *c.connections);
    uint64_t started_ns = c.next_due_ns;
    pin(&c);
    prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);

    bool ready = c.epoll_fd >= 0 && c.connections;
    if (!ready) trouble(&c, "starting a worker");
    for (unsigned i = 0; ready && i < w->plan->connection_count; i++) c.connections[i].fd = -1;
    for (unsigned i = 0; ready && i < w->plan->connection_count; i++) {
        ready = connection_open(&c, &c.connections[i]);
    }
    /* Connected in patience, used in haste. */
    for (unsigned i = 0; ready && w->plan->rate_per_s == 0 && i < w->plan->connection_count; i++) {
        ready = batch_send(&c, &c.connections[i], worker_now_ns());
    }
    if (ready && run_loop(&c)) unanswered_count(&c);

    struct timespec cpu;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    w->counts.cpu_ns = (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec;
    w->counts.run_ns = worker_now_ns() - started_ns;
    connections_close(&c);
    return NULL;
}
