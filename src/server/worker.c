/* SPDX-License-Identifier: MIT */
#include "server/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/clock.h"
#include "server/errand.h"
#include "server/runner.h"

enum {
    ACCEPTS_MAX = 64, /* in one turn */
    READ_BYTES  = 32 * 1024,

    /* What a turn reads, side by side. When it runs low, what was read is settled first. */
    ARENA_BYTES     = 512 * 1024,
    ARENA_LEFT_MIN  = RESP_REQUEST_BYTES_MAX + 2 * READ_BYTES,
    ARENA_ALIGNMENT = 16,

    /* Replies of one connection that are written before more of its requests are looked at. */
    REPLY_BYTES_MAX = 64 * 1024,

    DISCARDED_BYTES_MAX = 1 << 20, /* from a lingering peer, in one turn */
};

#define LINGER_NS       (UINT64_C(1000000000)) /* for a peer that was told to go */
#define STOP_LINGER_NS  (UINT64_C(100000000))  /* the same, when the server ends */
#define STOP_NS_MAX     (UINT64_C(2000000000)) /* for peers that take their last replies slowly */
#define ACCEPT_PAUSE_NS (UINT64_C(100000000))

/* Connections by when they were heard last. */
struct roster {
    struct connection *oldest;
    struct connection *newest;
};

enum worker_state { WORKER_RUNS, WORKER_STOPS, WORKER_ENDED };

enum { COUNTS = sizeof(struct service_counts) / sizeof(uint64_t) };

struct worker {
    struct crew          *crew;
    struct thread         thread;
    bool                  is_started;
    bool                  has_runner;
    enum worker_state     state;
    struct loop           loop;
    struct inbox          inbox; /* with a remote store, as the runner */
    struct runner         runner;
    struct roster         talking;
    struct roster         lingering;
    struct connection    *gone;
    uint64_t              now_ns; /* as last read */
    uint64_t              linger_ns;
    uint64_t              stop_by_ns;
    uint64_t              accept_from_ns; /* 0: it accepts; else it does again from then on */
    int                   spare;          /* a descriptor for the day when there is none */
    size_t                arena_used;
    struct service_counts counts;
    _Atomic uint64_t      counts_shown[COUNTS];
    _Atomic uint64_t      connection_count;
    struct batch          batch;
    char                  arena[ARENA_BYTES];
};

static void *worker_run(void *context);
static void  worker_turn(struct worker *w);
static void  worker_react(struct worker *w, const struct loop_event *event);
static void  worker_deliver(void *context, void *peer, const struct reply *reply);

/* ---- coming and going ---- */

struct worker *worker_new(struct crew *crew) {
    /* A page for itself, so that no two workers write to one cache line. */
    size_t         bytes = (sizeof(struct worker) + 4095) / 4096 * 4096;
    struct worker *w     = aligned_alloc(4096, bytes);
    if (w == NULL) return NULL;
    memset(w, 0, offsetof(struct worker, batch));
    w->crew      = crew;
    w->linger_ns = LINGER_NS;
    batch_init(&w->batch, &crew->service);

    w->spare = socket_spare_open();
    if (w->spare < 0) goto free_worker;
    if (!loop_open(&w->loop)) goto close_spare;
    inbox_init(&w->inbox, &w->loop);
    for (size_t i = 0; i < crew->listener_count; i++)
        if (!loop_add(&w->loop, crew->listeners[i].socket, LOOP_READ | LOOP_SHARED,
                      &crew->listeners[i]))
            goto close_loop;
    return w;

close_loop:
    loop_close(&w->loop);
close_spare:
    socket_close(w->spare);
free_worker:
    batch_clear(&w->batch);
    free(w);
    return NULL;
}

bool worker_start(struct worker *w) {
    const struct service *service = &w->crew->service;
    if (service_is_remote(service)) {
        w->has_runner = runner_start(&w->runner, service);
        if (!w->has_runner) return false;
        w->batch.inbox  = &w->inbox;
        w->batch.runner = &w->runner;
    }
    w->is_started = thread_start(&w->thread, "weir-worker", worker_run, w);
    return w->is_started;
}

bool worker_post(struct worker *w, uint64_t word) { return loop_post(&w->loop, word); }

void worker_free(struct worker *w) {
    if (w->is_started) thread_join(&w->thread);
    if (w->has_runner) runner_stop(&w->runner);
    loop_close(&w->loop);
    if (w->spare >= 0) socket_close(w->spare);
    batch_clear(&w->batch);
    free(w);
}

void worker_counts_add(const struct worker *w, struct service_counts *counts) {
    uint64_t *sums = (uint64_t *)(void *)counts;
    for (size_t i = 0; i < COUNTS; i++)
        sums[i] += atomic_load_explicit(&w->counts_shown[i], memory_order_relaxed);
}

uint64_t worker_connection_count(const struct worker *w) {
    return atomic_load_explicit(&w->connection_count, memory_order_relaxed);
}

/* ---- rosters ---- */

static void roster_add(struct roster *roster, struct connection *c, uint64_t now_ns) {
    c->heard_ns = now_ns;
    c->newer    = NULL;
    c->older    = roster->newest;
    if (roster->newest != NULL)
        roster->newest->newer = c;
    else
        roster->oldest = c;
    roster->newest = c;
}

static void roster_remove(struct roster *roster, struct connection *c) {
    if (c->older != NULL)
        c->older->newer = c->newer;
    else
        roster->oldest = c->newer;
    if (c->newer != NULL)
        c->newer->older = c->older;
    else
        roster->newest = c->older;
    c->older = c->newer = NULL;
}

/* ---- connections ---- */

static void worker_forget(struct worker *w) {
    atomic_fetch_sub_explicit(&w->connection_count, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&w->crew->connection_count, 1, memory_order_relaxed);
}

static void worker_drop(struct worker *w, struct connection *c) {
    REQUIRE(c->phase != CONNECTION_GONE);
    roster_remove(c->phase == CONNECTION_TALKS ? &w->talking : &w->lingering, c);
    loop_remove(&w->loop, c->socket);
    socket_close(c->socket);
    c->phase = CONNECTION_GONE;
    /* Calls of this turn may still point to it. */
    c->newer = w->gone;
    w->gone  = c;
    worker_forget(w);
}

static void worker_bury(struct worker *w) {
    while (w->gone != NULL) {
        struct connection *c = w->gone;
        w->gone              = c->newer;
        if (connection_waits(c)) errand_leave(c->session.errand);
        connection_free(c);
    }
}

static void worker_watch(struct worker *w, struct connection *c, unsigned interest) {
    if (c->interest == interest) return;
    loop_change(&w->loop, c->socket, interest, c);
    c->interest = (uint8_t)interest;
}

static void worker_linger(struct worker *w, struct connection *c) {
    socket_finish(c->socket);
    connection_forget_kept(c);
    roster_remove(&w->talking, c);
    roster_add(&w->lingering, c, w->now_ns);
    c->phase = CONNECTION_LINGERS;
    worker_watch(w, c, LOOP_READ);
}

/* Takes over a connection that has been counted already. */
static void worker_adopt(struct worker *w, int socket) {
    struct connection *c = NULL;
    w->now_ns            = clock_now_ns();
    if (w->state == WORKER_RUNS) {
        uint64_t id =
            1 + atomic_fetch_add_explicit(&w->crew->connection_id_last, 1, memory_order_relaxed);
        c = connection_new(socket, id, w->now_ns);
    }
    if (c == NULL || !loop_add(&w->loop, socket, LOOP_READ, c)) {
        if (c != NULL) connection_free(c);
        socket_close(socket);
        worker_forget(w);
        return;
    }
    c->interest = LOOP_READ;
    roster_add(&w->talking, c, w->now_ns);
    w->counts.connections_accepted++;
}

/* ---- the thread ---- */

static void worker_land_all(struct worker *w);

/* Nobody waits for them any more, but their tickets are still written to, and wake us. */
static void worker_await_errands(struct worker *w) {
    struct loop_event events[LOOP_EVENTS_MAX];
    while (w->inbox.out_count > 0) {
        (void)loop_wait(&w->loop, events, UINT64_MAX);
        worker_land_all(w);
    }
    inbox_close(&w->inbox);
}

static void *worker_run(void *context) {
    struct worker *w = context;
    w->now_ns        = clock_now_ns();
    while (w->state != WORKER_ENDED) worker_turn(w);

    while (w->talking.oldest != NULL) worker_drop(w, w->talking.oldest);
    while (w->lingering.oldest != NULL) worker_drop(w, w->lingering.oldest);
    worker_bury(w);
    worker_await_errands(w);
    (void)loop_post(w->crew->boss, 0);
    return NULL;
}

static uint64_t worker_timeout_ns(const struct worker *w);
static void     worker_settle_all(struct worker *w);
static void     worker_expire(struct worker *w);
static void     worker_show_counts(struct worker *w);

/* One turn: read all sockets that have something and understand it, decide everything that was asked
 * on all of them together, tell each connection its answers in one write, and sleep until there is
 * more. The clock is read once, between the reading and the deciding: an instant at which every
 * request had been sent and none had been answered.
 *
 * What a remote store has decided since is told after the reading, so that a connection that goes on then is
 * not read twice in a turn. */
static void worker_turn(struct worker *w) {
    struct loop_event events[LOOP_EVENTS_MAX];
    size_t            count = loop_wait(&w->loop, events, worker_timeout_ns(w));
    if (w->crew->idle_ns_max > 0) w->now_ns = clock_now_ns();

    for (size_t i = 0; i < count; i++) worker_react(w, &events[i]);
    worker_land_all(w);
    worker_settle_all(w);

    worker_expire(w);
    worker_bury(w);
    worker_show_counts(w);
}

static void worker_settle(struct worker *w) {
    w->counts.turns += w->batch.call_count > 0;
    w->now_ns = clock_now_ns();
    batch_settle(&w->batch, w->now_ns, worker_deliver, w);
    if (w->batch.reply.used >= REPLY_BYTES_MAX) batch_hand_on(&w->batch, worker_deliver, w);
}

/* After this nothing points into the arena. */
static void worker_settle_all(struct worker *w) {
    worker_settle(w);
    batch_hand_on(&w->batch, worker_deliver, w);
    w->arena_used = 0;
}

static void worker_deliver(void *context, void *peer, const struct reply *reply) {
    struct worker     *w = context;
    struct connection *c = peer;
    if (c->phase == CONNECTION_GONE) return;

    w->counts.bytes_written += reply->used;
    if (reply->is_cut || (reply->used > 0 && !connection_write(c, reply->data, reply->used))) {
        worker_drop(w, c);
    } else if (connection_owes(c)) {
        worker_watch(w, c, LOOP_WRITE);
    } else if (c->session.is_leaving && !connection_waits(c)) {
        worker_linger(w, c);
    }
}

static void worker_show_counts(struct worker *w) {
    const uint64_t *counts       = (const uint64_t *)(const void *)&w->counts;
    w->counts.commands           = w->batch.commands;
    w->counts.errors_of_protocol = w->batch.errors_of_protocol;
    for (size_t i = 0; i < COUNTS; i++)
        atomic_store_explicit(&w->counts_shown[i], counts[i], memory_order_relaxed);
}

/* ---- reading ---- */

static bool arena_is_low(const struct worker *w) {
    return ARENA_BYTES - w->arena_used < ARENA_LEFT_MIN;
}

/* Understands what a connection has said. `data` is at the arena's end. */
static void worker_serve(struct worker *w, struct connection *c, char *data, size_t bytes) {
    struct intake intake;
    size_t        taken = 0;
    w->arena_used += (bytes + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT;
    if (c->protocol == NULL) c->protocol = protocol_of((struct view){.data = data, .bytes = bytes});

    while (true) {
        intake = c->protocol->consume(&w->batch, &c->session, c, data + taken, bytes - taken);
        taken += intake.bytes;
        if (!intake.must_settle) break;
        worker_settle(w);
        if (c->phase == CONNECTION_GONE) return;
        if (connection_owes(c) || connection_waits(c)) break;
    }

    if (taken == bytes || c->session.is_leaving) {
        connection_forget_kept(c);
        return;
    }
    c->is_choked = intake.must_settle;
    if (!connection_keep(c, data + taken, bytes - taken, intake.bytes_wanted)) worker_drop(w, c);
}

static void worker_serve_kept(struct worker *w, struct connection *c) {
    if (arena_is_low(w)) worker_settle_all(w);
    char  *data  = w->arena + w->arena_used;
    size_t bytes = c->kept_bytes;
    INVARIANT(bytes <= ARENA_BYTES - w->arena_used);
    memcpy(data, c->kept, bytes);
    worker_serve(w, c, data, bytes);
}

/* Behind what is kept; served when what was wanted is there. */
static enum socket_outcome worker_read_more(struct worker *w, struct connection *c) {
    size_t room  = 0;
    size_t bytes = 0;
    char  *tail  = connection_kept_room(c, &room);
    if (tail == NULL) return SOCKET_LOST;
    enum socket_outcome outcome = socket_read(c->socket, tail, room, &bytes);
    c->kept_bytes += (uint32_t)bytes;
    w->counts.bytes_read += bytes;
    if (outcome == SOCKET_DONE && c->kept_bytes >= c->kept_wanted) worker_serve_kept(w, c);
    return outcome;
}

static enum socket_outcome worker_read_fresh(struct worker *w, struct connection *c) {
    if (arena_is_low(w)) worker_settle_all(w);
    char               *data    = w->arena + w->arena_used;
    size_t              bytes   = 0;
    enum socket_outcome outcome = socket_read(c->socket, data, READ_BYTES, &bytes);
    w->counts.bytes_read += bytes;
    if (outcome == SOCKET_DONE) worker_serve(w, c, data, bytes);
    return outcome;
}

/* Reads once. A connection is read when nothing is owed to it, it waits for nothing, and at most once in a
 * turn, so nothing is due to one that turns out to have ended. */
static void worker_read(struct worker *w, struct connection *c) {
    if (w->crew->idle_ns_max > 0) {
        roster_remove(&w->talking, c);
        roster_add(&w->talking, c, w->now_ns);
    }
    enum socket_outcome outcome =
        c->kept_bytes > 0 ? worker_read_more(w, c) : worker_read_fresh(w, c);
    if (outcome == SOCKET_ENDED || outcome == SOCKET_LOST) worker_drop(w, c);
}

static void worker_discard(struct worker *w, struct connection *c) {
    char                discarded[4096];
    size_t              bytes = 0, sum = 0;
    enum socket_outcome outcome;
    do {
        outcome = socket_read(c->socket, discarded, sizeof discarded, &bytes);
        sum += bytes;
    } while (outcome == SOCKET_DONE && sum < DISCARDED_BYTES_MAX);
    if (outcome != SOCKET_WAIT) worker_drop(w, c);
}

static void worker_bid_farewell(struct worker *w, struct connection *c);

/* After it has taken all, and waits for nothing any more. When the server stops, this is its last chance to
 * be heard. */
static void worker_hear_again(struct worker *w, struct connection *c) {
    worker_watch(w, c, LOOP_READ);
    if (c->is_choked) {
        c->is_choked = false;
        worker_serve_kept(w, c);
    } else if (w->state == WORKER_STOPS) {
        worker_read(w, c);
    }
    if (w->state != WORKER_STOPS) return;
    worker_settle_all(w);
    worker_bid_farewell(w, c);
}

/* ---- errands ---- */

static void worker_land(struct worker *w, struct errand *errand) {
    struct connection *c = errand->peer;
    w->inbox.out_count--;
    if (c == NULL) {
        atomic_fetch_sub_explicit(&w->inbox.left_count, 1, memory_order_relaxed);
        errand_free(errand);
        return;
    }
    if (w->batch.call_count > 0) worker_settle(w);
    batch_resume(&w->batch, errand, w->now_ns, worker_deliver, w);
    batch_hand_on(&w->batch, worker_deliver, w);
    if (c->phase == CONNECTION_TALKS && !connection_owes(c) && !connection_waits(c))
        worker_hear_again(w, c);
}

static void worker_land_all(struct worker *w) {
    struct arrival *over = arrivals_take(&w->inbox.over), *arrival;
    if (over != NULL) w->now_ns = clock_now_ns();
    while ((arrival = arrivals_next(&over)) != NULL) worker_land(w, (struct errand *)arrival);
}

/* ---- writing ---- */

static void worker_flush(struct worker *w, struct connection *c) {
    if (!connection_flush(c)) {
        worker_drop(w, c);
        return;
    }
    if (connection_owes(c)) return;
    if (connection_waits(c))
        worker_watch(w, c, LOOP_READ);
    else if (c->session.is_leaving)
        worker_linger(w, c);
    else
        worker_hear_again(w, c);
}

/* ---- accepting ---- */

static void worker_refuse(struct worker *w, int socket) {
    static const char text[] = "-ERR max number of clients reached\r\n";
    size_t            taken  = 0;
    char              unread[1024];
    (void)socket_write(socket, text, sizeof text - 1, &taken);
    socket_finish(socket);
    (void)socket_read(socket, unread, sizeof unread, &taken);
    socket_close(socket);
    w->counts.connections_refused++;
}

/* The worker with the fewest connections; this one if it is among them. With SO_REUSEPORT the system
 * would choose by a hash, and a handful of long connections, which is what a sidecar has, would often
 * all meet on one core. */
static struct worker *worker_least(struct worker *w) {
    struct worker *least = w;
    uint64_t       count = worker_connection_count(w);
    for (size_t i = 0; i < w->crew->worker_count; i++) {
        struct worker *other       = w->crew->workers[i];
        uint64_t       other_count = worker_connection_count(other);
        if (other_count < count) {
            least = other;
            count = other_count;
        }
    }
    return least;
}

/* What is out for peers that have left. */
static uint64_t crew_left_count(const struct crew *crew) {
    uint64_t count = 0;
    for (size_t i = 0; i < crew->worker_count; i++)
        count += atomic_load_explicit(&crew->workers[i]->inbox.left_count, memory_order_relaxed);
    return count;
}

static void worker_place(struct worker *w, int socket) {
    struct crew *crew = w->crew;
    uint64_t count    = atomic_fetch_add_explicit(&crew->connection_count, 1, memory_order_relaxed);
    if (count + crew_left_count(crew) >= crew->connections_max) {
        atomic_fetch_sub_explicit(&crew->connection_count, 1, memory_order_relaxed);
        worker_refuse(w, socket);
        return;
    }
    struct worker *to = worker_least(w);
    atomic_fetch_add_explicit(&to->connection_count, 1, memory_order_relaxed);
    if (to == w) {
        worker_adopt(w, socket);
    } else if (!worker_post(to, (uint64_t)socket)) {
        worker_forget(to);
        worker_refuse(w, socket);
    }
}

static void worker_stop_accepting(struct worker *w) {
    for (size_t i = 0; i < w->crew->listener_count; i++)
        loop_remove(&w->loop, w->crew->listeners[i].socket);
}

/* Descriptors have run out: without a word to them, peers would wait in the queue and the loop would
 * wake for them again and again. One is let in through the spare descriptor and shown out; if even that
 * fails, we look away for a while. */
static void worker_accept_full(struct worker *w, struct listener *listener) {
    int socket = -1;
    if (w->spare >= 0) socket_close(w->spare);
    if (socket_accept(listener->socket, &socket) == SOCKET_DONE) worker_refuse(w, socket);
    w->spare = socket_spare_open();
    if (w->spare >= 0) return;
    worker_stop_accepting(w);
    w->accept_from_ns = clock_now_ns() + ACCEPT_PAUSE_NS;
}

static void worker_accept(struct worker *w, struct listener *listener) {
    for (int i = 0; i < ACCEPTS_MAX && w->accept_from_ns == 0; i++) {
        int socket = -1;
        switch (socket_accept(listener->socket, &socket)) {
        case SOCKET_DONE: worker_place(w, socket); break;
        case SOCKET_FULL: worker_accept_full(w, listener); break;
        case SOCKET_WAIT: return;
        default: break;
        }
    }
}

static void worker_accept_again(struct worker *w) {
    w->accept_from_ns = 0;
    for (size_t i = 0; i < w->crew->listener_count; i++) {
        struct listener *listener = &w->crew->listeners[i];
        INVARIANT(loop_add(&w->loop, listener->socket, LOOP_READ | LOOP_SHARED, listener));
    }
}

/* ---- stopping ---- */

/* One that waits is told so when it does not any more. */
static void worker_bid_farewell(struct worker *w, struct connection *c) {
    if (c->phase != CONNECTION_TALKS || connection_waits(c)) return;
    c->session.is_leaving = true;
    if (!connection_owes(c)) worker_linger(w, c);
}

/* Answers what peers had sent by now, then says goodbye to all. */
static void worker_stop(struct worker *w) {
    if (w->state != WORKER_RUNS) return;
    if (w->accept_from_ns == 0) worker_stop_accepting(w);
    worker_settle_all(w);
    w->state          = WORKER_STOPS;
    w->accept_from_ns = 0;
    w->linger_ns      = STOP_LINGER_NS;
    w->stop_by_ns     = w->now_ns + STOP_NS_MAX;

    /* A connection that is heard may move behind the one that is last now. */
    const struct connection *last = w->talking.newest;
    for (struct connection *c = w->talking.oldest, *next; c != NULL; c = next) {
        next = c == last ? NULL : c->newer;
        if (!connection_owes(c) && !connection_waits(c)) worker_read(w, c);
    }
    worker_settle_all(w);

    for (struct connection *c = w->talking.oldest, *next; c != NULL; c = next) {
        next = c->newer;
        worker_bid_farewell(w, c);
    }
}

static void worker_stop_now(struct worker *w) {
    if (w->state == WORKER_RUNS && w->accept_from_ns == 0) worker_stop_accepting(w);
    w->state = WORKER_ENDED;
}

/* ---- what wakes a worker ---- */

static void worker_hear(struct worker *w, uint64_t word) {
    if (word == WORKER_STOP)
        worker_stop(w);
    else if (word == WORKER_STOP_NOW)
        worker_stop_now(w);
    else if (word != INBOX_WORD)
        worker_adopt(w, (int)word);
}

static void worker_react(struct worker *w, const struct loop_event *event) {
    struct listener *listeners = w->crew->listeners;
    if (event->owner == NULL) {
        worker_hear(w, event->word);
        return;
    }
    if (event->owner >= (void *)listeners &&
        event->owner < (void *)(listeners + WORKER_LISTENERS_MAX)) {
        if (w->state == WORKER_RUNS) worker_accept(w, event->owner);
        return;
    }

    struct connection *c = event->owner;
    if (c->phase == CONNECTION_GONE) return;
    if (c->phase == CONNECTION_LINGERS)
        worker_discard(w, c);
    else if (event->is_writable && connection_owes(c))
        worker_flush(w, c);
    else if (event->is_readable && !connection_owes(c) && !connection_waits(c))
        worker_read(w, c);
    else if (event->is_broken)
        worker_drop(w, c);
    else if (event->is_readable && connection_waits(c))
        worker_watch(w, c, LOOP_NOTHING); /* only now: most say nothing while they wait */
}

/* ---- time ---- */

static uint64_t sooner(uint64_t a, uint64_t b) { return a < b ? a : b; }

static uint64_t worker_timeout_ns(const struct worker *w) {
    uint64_t due_ns = UINT64_MAX;
    if (w->lingering.oldest != NULL)
        due_ns = sooner(due_ns, w->lingering.oldest->heard_ns + w->linger_ns);
    if (w->crew->idle_ns_max > 0 && w->talking.oldest != NULL)
        due_ns = sooner(due_ns, w->talking.oldest->heard_ns + w->crew->idle_ns_max);
    if (w->accept_from_ns != 0) due_ns = sooner(due_ns, w->accept_from_ns);
    if (w->state == WORKER_STOPS) due_ns = sooner(due_ns, w->stop_by_ns);
    if (due_ns == UINT64_MAX) return UINT64_MAX;
    return due_ns > w->now_ns ? due_ns - w->now_ns : 0;
}

/* Whom we keep waiting is not idle. */
static void worker_drop_idle(struct worker *w, struct connection *c) {
    if (!connection_waits(c)) {
        worker_drop(w, c);
        return;
    }
    roster_remove(&w->talking, c);
    roster_add(&w->talking, c, w->now_ns);
}

static void worker_expire(struct worker *w) {
    while (w->lingering.oldest != NULL && w->now_ns >= w->lingering.oldest->heard_ns + w->linger_ns)
        worker_drop(w, w->lingering.oldest);
    while (w->crew->idle_ns_max > 0 && w->talking.oldest != NULL &&
           w->now_ns >= w->talking.oldest->heard_ns + w->crew->idle_ns_max)
        worker_drop_idle(w, w->talking.oldest);

    if (w->accept_from_ns != 0 && w->now_ns >= w->accept_from_ns) worker_accept_again(w);
    bool is_empty = w->talking.oldest == NULL && w->lingering.oldest == NULL;
    if (w->state == WORKER_STOPS && (is_empty || w->now_ns >= w->stop_by_ns))
        w->state = WORKER_ENDED;
}
