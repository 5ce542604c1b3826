/* SPDX-License-Identifier: MIT
 *
 * asker: the clients of tools/demo_fleet.sh, who ask a fleet of weir servers and write down what they were
 * told.
 *
 *     weir-demo-asker FOLDER PORT,PORT... NAME=LIMIT/WINDOW_MS/USERS/PIPELINE...
 *
 * Each NAME is a crowd: users under one rule. For each crowd and each port a thread asks for all users in
 * turn, PIPELINE of them in one write. When its server breaks off it goes on to the next port. What was
 * admitted is written to FOLDER/NAME-N.jsonl for weir judge, with the time before the question was sent and
 * the time after its answer had come. An exact log, which sees all questions in the order of their times,
 * tells what could have been admitted.
 *
 * Commands are lines on standard input, and the end of it ends the program:
 *
 *     rate NAME N      so many questions a second from now on, of all threads together; at first 0
 *     mark             counts anew which users are served ("served")
 *     say              a line of JSON; the program says one at its end, too */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "load/histogram.h"

enum {
    PORTS_MAX     = 8,
    CROWDS_MAX    = 4,
    USERS_MAX     = 1000000,
    LIMIT_MAX     = 1000000,
    PIPELINE_MAX  = 64,
    QUESTION_MAX  = 160,
    REPLIES_BYTES = 64 * 1024,
    PATIENCE_S    = 30,
};

#define NS_PER_S       INT64_C(1000000000)
#define BEHIND_MAX_NS  (NS_PER_S / 10) /* who is further behind the rate does not catch up */
#define RETRY_AFTER_NS (NS_PER_S / 20) /* when no server takes connections */

struct user {
    uint64_t exact_count; /* admissions of an exact log */
    uint64_t mark;        /* the mark under which it was admitted last */
};

struct tally {
    uint64_t allowed, denied;
};

struct crowd {
    char         name[16];
    uint64_t     limit, window_ms;
    unsigned     user_count, pipeline;
    struct user *users;
    int64_t
        *exact_ns; /* a ring of each user, as long as the limit: what an exact log admitted last */
    double       rate_per_s; /* of one thread */
    struct tally at[PORTS_MAX];
    uint64_t     exact, unanswered, served;
    int64_t served_ns, gap_ns_max; /* when somebody was admitted last; the longest wait for it */
    struct histogram latency;
};

/* One lock for all that threads share: they take it twice a write, some thousand times a second. */
struct demo {
    pthread_mutex_t lock;
    pthread_cond_t  changed;
    const char     *folder;
    uint16_t        ports[PORTS_MAX];
    unsigned        port_count, crowd_count;
    struct crowd    crowds[CROWDS_MAX];
    uint64_t        mark;
    bool            is_over;
};

struct asker {
    struct demo  *demo;
    struct crowd *crowd;
    pthread_t     thread;
    FILE         *history;
    int64_t       due_ns;
    unsigned      port_index, user_next;
    int           plug; /* -1: not connected */

    /* One write. */
    unsigned answered;
    unsigned user[PIPELINE_MAX];
    bool     allowed[PIPELINE_MAX];
    int64_t  sent_ns, received_ns[PIPELINE_MAX];
    size_t   replies_bytes;
    char     replies[REPLIES_BYTES];
};

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static void sleep_until(int64_t at_ns) {
    struct timespec t = {.tv_sec = at_ns / NS_PER_S, .tv_nsec = at_ns % NS_PER_S};
    while (clock_nanosleep(CLOCK_BOOTTIME, TIMER_ABSTIME, &t, NULL) == EINTR) {}
}

__attribute__((noreturn)) static void fail(const char *what, const char *why) {
    fprintf(stderr, "weir-demo-asker: %s: %s\n", what, why);
    exit(3);
}

/* ---- one write, and its answers ---- */

static bool exact_admits(struct crowd *c, unsigned user, int64_t at_ns) {
    struct user *u         = &c->users[user];
    int64_t     *oldest_ns = &c->exact_ns[user * c->limit + u->exact_count % c->limit];
    if (*oldest_ns != 0 && at_ns - *oldest_ns < (int64_t)c->window_ms * 1000000) return false;
    *oldest_ns = at_ns;
    u->exact_count++;
    return true;
}

/* Waits until there is something to ask, and chooses it; false: the end. The time is taken under the lock,
 * so that the exact log sees questions in the order of their times. */
static bool choose(struct asker *a) {
    struct demo  *d = a->demo;
    struct crowd *c = a->crowd;
    pthread_mutex_lock(&d->lock);
    while (c->rate_per_s == 0 && !d->is_over) pthread_cond_wait(&d->changed, &d->lock);
    a->sent_ns  = now_ns();
    a->answered = 0;
    for (unsigned i = 0; i < c->pipeline && !d->is_over; i++) {
        a->user[i]   = a->user_next;
        a->user_next = (a->user_next + 1) % c->user_count;
        c->exact += exact_admits(c, a->user[i], a->sent_ns);
    }
    int64_t pause_ns = (int64_t)(c->pipeline / (c->rate_per_s > 0 ? c->rate_per_s : 1) * NS_PER_S);
    if (a->due_ns < a->sent_ns - BEHIND_MAX_NS) a->due_ns = a->sent_ns;
    a->due_ns += pause_ns;
    bool goes_on = !d->is_over;
    pthread_mutex_unlock(&d->lock);
    return goes_on;
}

static void count(struct asker *a) {
    struct demo  *d = a->demo;
    struct crowd *c = a->crowd;
    pthread_mutex_lock(&d->lock);
    for (unsigned i = 0; i < a->answered; i++) {
        struct user *u = &c->users[a->user[i]];
        histogram_add(&c->latency, (uint64_t)(a->received_ns[i] - a->sent_ns));
        c->at[a->port_index].allowed += a->allowed[i];
        c->at[a->port_index].denied += !a->allowed[i];
        if (!a->allowed[i]) continue;
        c->served += u->mark != d->mark;
        u->mark = d->mark;
        if (a->received_ns[i] - c->served_ns > c->gap_ns_max)
            c->gap_ns_max = a->received_ns[i] - c->served_ns;
        if (a->received_ns[i] > c->served_ns) c->served_ns = a->received_ns[i];
    }
    c->unanswered += c->pipeline - a->answered;
    pthread_mutex_unlock(&d->lock);
}

static void write_down(struct asker *a) {
    const struct crowd *c = a->crowd;
    for (unsigned i = 0; i < a->answered; i++) {
        if (!a->allowed[i]) continue;
        fprintf(a->history,
                "{\"user\":\"%s:%u\",\"limit\":%" PRIu64 ",\"window_ns\":%" PRIu64
                ",\"allowed\":true,\"sent_ns\":%" PRId64 ",\"received_ns\":%" PRId64 "}\n",
                c->name, a->user[i], c->limit, c->window_ms * 1000000, a->sent_ns,
                a->received_ns[i]);
    }
    if (ferror(a->history)) fail("a history", "it cannot be written");
}

static bool send_questions(struct asker *a) {
    const struct crowd *c = a->crowd;
    char                text[PIPELINE_MAX * QUESTION_MAX];
    size_t              bytes = 0;
    for (unsigned i = 0; i < c->pipeline; i++)
        bytes += (size_t)snprintf(text + bytes, sizeof text - bytes,
                                  "WEIR.ALLOW %s:%u %" PRIu64 " %" PRIu64 "\r\n", c->name,
                                  a->user[i], c->limit, c->window_ms);
    for (size_t sent = 0; sent < bytes;) {
        ssize_t n = send(a->plug, text + sent, bytes - sent, MSG_NOSIGNAL);
        if (n <= 0) return false;
        sent += (size_t)n;
    }
    return true;
}

/* Takes the whole answers that have come, each a line. */
static void take_answers(struct asker *a, int64_t at_ns) {
    size_t begin = 0;
    for (char *end; a->answered < a->crowd->pipeline &&
                    (end = memchr(a->replies + begin, '\n', a->replies_bytes - begin)) != NULL;) {
        char *line = a->replies + begin;
        *end       = '\0';
        if (line[0] != ':') fail("a server answered", line);
        a->allowed[a->answered]       = line[1] == '1';
        a->received_ns[a->answered++] = at_ns;
        begin                         = (size_t)(end - a->replies) + 1;
    }
    a->replies_bytes -= begin;
    memmove(a->replies, a->replies + begin, a->replies_bytes);
}

static bool receive_answers(struct asker *a) {
    a->replies_bytes = 0;
    while (a->answered < a->crowd->pipeline) {
        ssize_t n =
            recv(a->plug, a->replies + a->replies_bytes, sizeof a->replies - a->replies_bytes, 0);
        if (n <= 0) return false;
        a->replies_bytes += (size_t)n;
        take_answers(a, now_ns());
    }
    return true;
}

static int connect_to(uint16_t port) {
    int                plug    = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int                on      = 1;
    struct timeval     wait    = {.tv_sec = PATIENCE_S};
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port   = htons(port),
                                  .sin_addr   = {.s_addr = htonl(INADDR_LOOPBACK)}};
    if (plug < 0) fail("socket", strerror(errno));
    if (connect(plug, (struct sockaddr *)&address, sizeof address) != 0) {
        close(plug);
        return -1;
    }
    setsockopt(plug, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(plug, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    return plug;
}

/* To the server that it had, or the next one that takes connections. */
static void connect_anywhere(struct asker *a) {
    for (unsigned tried = 0; a->plug < 0; tried++) {
        if (tried == a->demo->port_count * PATIENCE_S) fail("connect", "no server answers");
        if (tried != 0) a->port_index = (a->port_index + 1) % a->demo->port_count;
        if (tried != 0 && tried % a->demo->port_count == 0) sleep_until(now_ns() + RETRY_AFTER_NS);
        a->plug = connect_to(a->demo->ports[a->port_index]);
    }
}

static void *run(void *context) {
    struct asker *a = context;
    connect_anywhere(a);
    while (choose(a)) {
        bool is_well = send_questions(a) && receive_answers(a);
        count(a);
        write_down(a);
        if (!is_well) {
            close(a->plug);
            a->plug = -1;
            connect_anywhere(a);
        }
        sleep_until(a->due_ns);
    }
    close(a->plug);
    return NULL;
}

/* ---- commands ---- */

static void say_crowd(const struct demo *d, const struct crowd *c) {
    printf("\"%s\":{\"exact\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\"served\":%" PRIu64
           ",\"gap_ns\":%" PRId64 ",\"p50_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"at\":[",
           c->name, c->exact, c->unanswered, c->served, c->gap_ns_max,
           histogram_at(&c->latency, 0.5), histogram_at(&c->latency, 0.99));
    for (unsigned i = 0; i < d->port_count; i++)
        printf("%s[%" PRIu64 ",%" PRIu64 "]", i == 0 ? "" : ",", c->at[i].allowed, c->at[i].denied);
    printf("]}");
}

static void say(const struct demo *d) {
    printf("{");
    for (unsigned i = 0; i < d->crowd_count; i++) {
        if (i != 0) printf(",");
        say_crowd(d, &d->crowds[i]);
    }
    puts("}");
    fflush(stdout);
}

static void set_rate(struct demo *d, const char *name, double rate_per_s) {
    for (unsigned i = 0; i < d->crowd_count; i++) {
        struct crowd *c = &d->crowds[i];
        if (strcmp(c->name, name) != 0) continue;
        if (c->rate_per_s == 0) c->served_ns = now_ns();
        c->rate_per_s = rate_per_s / d->port_count;
        pthread_cond_broadcast(&d->changed);
        return;
    }
    fail("rate", "no such crowd");
}

static void obey(struct demo *d, const char *line) {
    char   name[16];
    double rate_per_s;
    if (sscanf(line, "rate %15s %lf", name, &rate_per_s) == 2) {
        set_rate(d, name, rate_per_s);
    } else if (strcmp(line, "mark\n") == 0) {
        d->mark++;
        for (unsigned i = 0; i < d->crowd_count; i++) d->crowds[i].served = 0;
    } else if (strcmp(line, "say\n") == 0) {
        say(d);
    } else {
        fail("no such command", line);
    }
}

/* ---- the beginning ---- */

static void take_ports(struct demo *d, char *text) {
    for (char *end = text; *text != '\0' && d->port_count < PORTS_MAX; text = end) {
        unsigned long port = strtoul(text, &end, 10);
        if (end == text || port == 0 || port > UINT16_MAX) fail("not a port", text);
        d->ports[d->port_count++] = (uint16_t)port;
        if (*end == ',') end++;
    }
}

static void take_crowd(struct demo *d, const char *text) {
    struct crowd *c = &d->crowds[d->crowd_count++];
    if (sscanf(text, "%15[a-z]=%" SCNu64 "/%" SCNu64 "/%u/%u", c->name, &c->limit, &c->window_ms,
               &c->user_count, &c->pipeline) != 5 ||
        c->limit - 1 >= LIMIT_MAX || c->user_count - 1 >= USERS_MAX ||
        c->pipeline - 1 >= PIPELINE_MAX)
        fail("not NAME=LIMIT/WINDOW_MS/USERS/PIPELINE", text);
    c->users    = calloc(c->user_count, sizeof *c->users);
    c->exact_ns = calloc(c->user_count * c->limit, sizeof *c->exact_ns);
    if (c->users == NULL || c->exact_ns == NULL) fail("memory", strerror(errno));
}

static void start(struct asker *a, struct demo *d, struct crowd *c, unsigned port_index) {
    char path[PATH_MAX];
    (void)snprintf(path, sizeof path, "%s/%s-%u.jsonl", d->folder, c->name, port_index + 1);
    a->demo       = d;
    a->crowd      = c;
    a->port_index = port_index;
    a->user_next  = c->user_count / d->port_count * port_index;
    a->plug       = -1;
    a->history    = fopen(path, "we");
    if (a->history == NULL) fail(path, strerror(errno));
    if (pthread_create(&a->thread, NULL, run, a) != 0) fail("thread", strerror(errno));
}

int main(int argc, char **argv) {
    static struct demo d = {
        .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER, .mark = 1};
    static struct asker askers[CROWDS_MAX * PORTS_MAX];
    if (argc < 4 || argc - 3 > CROWDS_MAX) {
        fprintf(stderr, "usage: weir-demo-asker FOLDER PORT,PORT... "
                        "NAME=LIMIT/WINDOW_MS/USERS/PIPELINE...\n");
        return 2;
    }
    d.folder = argv[1];
    take_ports(&d, argv[2]);
    for (int i = 3; i < argc; i++) take_crowd(&d, argv[i]);
    unsigned asker_count = 0;
    for (unsigned i = 0; i < d.crowd_count; i++)
        for (unsigned k = 0; k < d.port_count; k++)
            start(&askers[asker_count++], &d, &d.crowds[i], k);

    char line[256];
    while (fgets(line, sizeof line, stdin) != NULL) {
        pthread_mutex_lock(&d.lock);
        obey(&d, line);
        pthread_mutex_unlock(&d.lock);
    }
    pthread_mutex_lock(&d.lock);
    d.is_over = true;
    pthread_cond_broadcast(&d.changed);
    pthread_mutex_unlock(&d.lock);
    for (unsigned i = 0; i < asker_count; i++) {
        pthread_join(askers[i].thread, NULL);
        if (fclose(askers[i].history) != 0) fail("a history", strerror(errno));
    }
    say(&d);
    return 0;
}
