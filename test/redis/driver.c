/* SPDX-License-Identifier: MIT
 *
 * A driver that uses the client as the limiter would. It is told:
 *
 *     ready MS
 *     call KEY|- MS WORD...          a whole command
 *     add KEY MS BY                  the counter script, waiting for replicas
 *     burst COUNT MS                 so many of it at once, on one key
 *     load THREADS KEYS MS DEADLINE_MS WINDOW      of it for MS, at most WINDOW on their way a thread
 *     leave COUNT MS                 the same, so many of it, which nobody waits for until close
 *     overdue TIMES                  a trip to a shard's clock, late before it is sent, until one is answered
 *     counts
 *     fork                           what a child is told
 *     close                          also at the end of the input */
#include <hiredis/hiredis.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "os/clock.h"
#include "os/latch.h"
#include "store/redis/lease_store.h"
#include "store/redis/redis.h"
#include "support/load.h"

#define LONG_NS UINT64_C(3600000000000)

enum { KEYS_MAX = 256 };

static struct view         url;
static struct redis       *r;
static struct redis_script adder;
static bool                waits_for_replicas;

/* ---- one command ---- */

static void write_reply(struct json_writer *w, const redisReply *reply) {
    if (reply == NULL || reply->type == REDIS_REPLY_NIL) {
        json_write_null(w);
    } else if (reply->type == REDIS_REPLY_INTEGER) {
        json_write_i64(w, reply->integer);
    } else if (reply->type == REDIS_REPLY_ARRAY) {
        json_write_array(w);
        for (size_t i = 0; i < reply->elements; i++) write_reply(w, reply->element[i]);
        json_write_array_end(w);
    } else {
        json_write_text(w, (struct view){reply->str, reply->len});
    }
}

static void show(const struct redis_result *result, uint64_t took_ns) {
    struct json_writer w;
    driver_answer_begin(&w);
    driver_write_text(&w, "status", redis_status_name(result->status));
    driver_write_text(&w, "fate", fate_name(result->fate));
    driver_write_text(&w, "problem", result->problem);
    driver_write_bool(&w, "confirmed", result->is_confirmed);
    driver_write_bool(&w, "behind", result->is_behind);
    json_write_name(&w, "reply");
    write_reply(&w, result->reply);
    driver_write_ms(&w, "took_ms", took_ns);
    driver_answer_end(&w);
}

static void call(const struct redis_command *command) {
    struct redis_result result;
    uint64_t            from_ns = clock_now_ns();
    redis_call(r, command, &result);
    show(&result, clock_now_ns() - from_ns);
    redis_result_clear(&result);
}

static void run_call(char **words, unsigned count) {
    struct view views[DRIVER_WORDS_MAX];
    struct view key = view_of(words[0]);
    for (unsigned i = 2; i < count; i++) views[i - 2] = view_of(words[i]);
    call(&(struct redis_command){.keys        = &key,
                                 .key_count   = strcmp(words[0], "-") != 0,
                                 .words       = views,
                                 .word_count  = count - 2,
                                 .deadline_ns = clock_now_ns() + driver_ms(words[1])});
}

static void run_add(char **words) {
    struct view key = view_of(words[0]), by = view_of(words[2]);
    call(&(struct redis_command){.script         = &adder,
                                 .keys           = &key,
                                 .key_count      = 1,
                                 .words          = &by,
                                 .word_count     = 1,
                                 .wants_replicas = waits_for_replicas,
                                 .deadline_ns    = clock_now_ns() + driver_ms(words[1])});
}

static void run_ready(char **words) {
    struct redis_result result;
    uint64_t            from_ns = clock_now_ns();
    redis_ready(r, from_ns + driver_ms(words[0]), &result);
    show(&result, clock_now_ns() - from_ns);
}

/* ---- many ---- */

/* What a load has come to besides; the client's thread's. */
static struct {
    uint64_t  confirmed;
    uint64_t  out_of_order;
    long long values[KEYS_MAX]; /* newest of each key */
} sums;

static void add_done(void *context, struct redis_result *result) {
    struct load_job *job = context;
    sums.confirmed += result->is_confirmed;
    if (result->status == REDIS_DONE) {
        if (result->reply->integer <= sums.values[job->key]) sums.out_of_order++;
        sums.values[job->key] = result->reply->integer;
    }
    load_end(job, result->status, result->fate);
}

static unsigned add_submit(struct load_job *job) {
    char name[32];
    (void)snprintf(name, sizeof name, "load:%u", job->key);
    struct view key = view_of(name), one = view_of("1");
    return redis_submit(r, &(struct redis_command){.script         = &adder,
                                                   .keys           = &key,
                                                   .key_count      = 1,
                                                   .words          = &one,
                                                   .word_count     = 1,
                                                   .wants_replicas = waits_for_replicas,
                                                   .deadline_ns    = job->deadline_ns,
                                                   .done           = add_done,
                                                   .context        = job});
}

static const char *status_name(unsigned status) {
    return redis_status_name((enum redis_status)status);
}

static void sums_tell(struct json_writer *w) {
    driver_write_number(w, "confirmed", sums.confirmed);
    driver_write_number(w, "out_of_order", sums.out_of_order);
}

static void run_adders(struct load load) {
    if (load.threads * load.keys > KEYS_MAX) driver_stop("too many keys");
    memset(&sums, 0, sizeof sums);
    load.submit      = add_submit;
    load.statuses    = REDIS_NO_MEMORY + 1;
    load.status_name = status_name;
    load.tell        = sums_tell;
    load_run(&load);
}

static void run_burst(char **words) {
    unsigned count = (unsigned)driver_number(words[0]);
    run_adders((struct load){.threads     = 1,
                             .keys        = 1,
                             .window      = count,
                             .jobs_max    = count,
                             .span_ns     = LONG_NS,
                             .deadline_ns = driver_ms(words[1])});
}

static void run_load(char **words) {
    run_adders((struct load){.threads     = (unsigned)driver_number(words[0]),
                             .keys        = (unsigned)driver_number(words[1]),
                             .window      = (unsigned)driver_number(words[4]),
                             .jobs_max    = UINT64_MAX,
                             .span_ns     = driver_ms(words[2]),
                             .deadline_ns = driver_ms(words[3])});
}

/* ---- the rest ---- */

static void run_counts(void) {
    struct redis_counts counts;
    struct json_writer  w;
    redis_counts(r, &counts);
    driver_answer_begin(&w);
    driver_write_number(&w, "connects", counts.connects);
    driver_write_number(&w, "losses", counts.losses);
    driver_write_number(&w, "misses", counts.misses);
    driver_write_number(&w, "redirects", counts.redirects);
    driver_write_number(&w, "refreshes", counts.refreshes);
    driver_write_number(&w, "loads", counts.loads);
    driver_write_number(&w, "waits", counts.waits);
    driver_write_number(&w, "writes", counts.writes);
    driver_answer_end(&w);
}

static void tell_child(void) {
    struct redis_result result;
    redis_ready(r, clock_now_ns(), &result);
    show(&result, 0);
    redis_close(r);
}

static uint64_t         left_behind;
static _Atomic uint64_t left_called;

static void left_done(void *context, struct redis_result *result) {
    (void)context;
    (void)result;
    atomic_fetch_add(&left_called, 1);
}

static void run_leave(char **words) {
    struct view key = view_of("left"), one = view_of("1");
    for (uint64_t i = driver_number(words[0]); i > 0; i--) {
        struct redis_command command = {.script         = &adder,
                                        .keys           = &key,
                                        .key_count      = 1,
                                        .words          = &one,
                                        .word_count     = 1,
                                        .wants_replicas = waits_for_replicas,
                                        .deadline_ns    = clock_now_ns() + driver_ms(words[1]),
                                        .done           = left_done};
        if (redis_submit(r, &command) == REDIS_DONE) left_behind++;
    }
    struct json_writer w;
    driver_answer_begin(&w);
    driver_write_number(&w, "left", left_behind);
    driver_answer_end(&w);
}

static void overdue_done(struct store_trip *trip) { latch_open(trip->context); }

/* More than once, since its thread may not be run for as long as a call has in any case. */
static void run_overdue(char **words) {
    char                problem[REDIS_PROBLEM_BYTES_MAX];
    struct lease_store *leases = lease_store_open(url, &(struct redis_options){0}, problem);
    if (leases == NULL) driver_stop(problem);
    struct store *store     = lease_store_interface(leases);
    bool          is_served = false;
    for (uint64_t left = driver_number(words[0]); left > 0 && !is_served; left--) {
        struct latch      latch;
        struct store_trip trip = {.is_beat     = true,
                                  .deadline_ns = clock_now_ns() - 1,
                                  .done        = overdue_done,
                                  .context     = &latch};
        latch_init(&latch);
        store->serve(store->context, &trip);
        latch_wait(&latch);
        is_served = trip.status == STORE_DONE;
    }
    store->close(store->context);
    struct json_writer w;
    driver_answer_begin(&w);
    driver_write_bool(&w, "served", is_served);
    driver_answer_end(&w);
}

static void run_line(char **words, unsigned count) {
    char **rest = words + 1;
    if (strcmp(words[0], "ready") == 0 && count == 2) {
        run_ready(rest);
    } else if (strcmp(words[0], "call") == 0 && count >= 4) {
        run_call(rest, count - 1);
    } else if (strcmp(words[0], "add") == 0 && count == 4) {
        run_add(rest);
    } else if (strcmp(words[0], "burst") == 0 && count == 3) {
        run_burst(rest);
    } else if (strcmp(words[0], "load") == 0 && count == 6) {
        run_load(rest);
    } else if (strcmp(words[0], "leave") == 0 && count == 3) {
        run_leave(rest);
    } else if (strcmp(words[0], "overdue") == 0 && count == 2) {
        run_overdue(rest);
    } else if (strcmp(words[0], "counts") == 0) {
        run_counts();
    } else if (strcmp(words[0], "fork") == 0) {
        driver_in_child(tell_child);
    } else {
        driver_stop("what is this line?");
    }
}

int main(int count, char **words) {
    struct redis_options       options = {0};
    char                       problem[REDIS_PROBLEM_BYTES_MAX];
    const struct driver_option known[] = {
        {"--ca", .text = &options.ca_file},
        {"--cert", .text = &options.cert_file},
        {"--key", .text = &options.key_file},
        {"--connections", .number = &options.connections},
        {"--commands-max", .number = &options.commands_max},
        {"--replicas", .number = &options.replicas},
        {"--replicas-ms", .ns = &options.replicas_ns},
        {"--connect-ms", .ns = &options.connect_ns},
        {"--sentinel-password", .text = &options.sentinel_password},
        {.name = NULL},
    };
    if (count < 2) driver_stop("usage: driver URL [--NAME VALUE]...");
    driver_read_options(known, words + 2, count - 2);
    waits_for_replicas = options.replicas > 0;
    redis_script_init(&adder, "return redis.call('INCRBY', KEYS[1], ARGV[1])");
    url = view_of(words[1]);
    r   = redis_open(url, &options, problem);
    if (r == NULL) driver_stop(problem);
    driver_read_lines(run_line);
    redis_close(r);
    if (atomic_load(&left_called) != left_behind)
        driver_stop("redis_close() has forgotten a callback");
    printf("{\"closed\":true}\n");
    return 0;
}
