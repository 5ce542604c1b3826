/* SPDX-License-Identifier: MIT
 *
 * asked_script: the questions of decide.c, each of them a script that Redis runs.
 *
 * The least that a limiter in Redis can do in one step: bench/peers/gcra.lua, by its SHA-1, through the
 * client of our own store, which writes all that waits with one call. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "decide/asked.h"
#include "os/clock.h"
#include "store/redis/redis.h"

enum { SCRIPT_BYTES_MAX = 4096, NUMBER_BYTES_MAX = 32, WORDS = 3 };

struct asked {
    struct redis       *redis;
    struct redis_script script;
    char                text[SCRIPT_BYTES_MAX];
    char                interval_us[NUMBER_BYTES_MAX], burst_us[NUMBER_BYTES_MAX];
    struct view         words[WORDS];
};

const char asked_name[] = "script";

/* The script is beside the sources, where the build has said that they are. */
static void read_script(char text[SCRIPT_BYTES_MAX]) {
    FILE  *file  = fopen(WEIR_BENCH_SCRIPT, "re");
    size_t bytes = file == NULL ? 0 : fread(text, 1, SCRIPT_BYTES_MAX - 1, file);
    if (bytes == 0 || bytes == SCRIPT_BYTES_MAX - 1) {
        fprintf(stderr, "weir-bench-script: %s cannot be read\n", WEIR_BENCH_SCRIPT);
        exit(3);
    }
    fclose(file);
    text[bytes] = 0;
}

struct asked *asked_open(const char *url, uint64_t limit, uint64_t window_ns) {
    char          problem[REDIS_PROBLEM_BYTES_MAX];
    struct asked *a = calloc(1, sizeof *a);
    if (a == NULL) exit(3);
    a->redis = redis_open(view_of(url), NULL, problem);
    if (a->redis == NULL) {
        fprintf(stderr, "weir-bench-script: %s\n", problem);
        exit(3);
    }
    read_script(a->text);
    redis_script_init(&a->script, a->text);

    double window_us = (double)window_ns / 1e3;
    snprintf(a->interval_us, sizeof a->interval_us, "%.17g", window_us / (double)limit);
    snprintf(a->burst_us, sizeof a->burst_us, "%.17g", window_us);
    a->words[0] = view_of(a->interval_us);
    a->words[1] = view_of(a->burst_us);
    a->words[2] = view_of("1");
    return a;
}

void asked_close(struct asked *a) {
    redis_close(a->redis);
    free(a);
}

static void note(struct ask *ask, const struct redis_result *result) {
    const struct redisReply *r = result->reply;
    bool is_answer             = result->status == REDIS_DONE && r->type == REDIS_REPLY_ARRAY &&
                     r->elements == 2 && r->element[0]->type == REDIS_REPLY_INTEGER;
    ask->has_failed = !is_answer;
    ask->is_allowed = is_answer && r->element[0]->integer == 1;
}

static struct redis_command command_of(const struct asked *a, const struct view *key) {
    return (struct redis_command){.script      = &a->script,
                                  .keys        = key,
                                  .key_count   = 1,
                                  .words       = a->words,
                                  .word_count  = WORDS,
                                  .deadline_ns = clock_now_ns() + asked_deadline_ns};
}

void asked_wait(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    struct view          key     = {.data = user, .bytes = user_bytes};
    struct redis_command command = command_of(a, &key);
    struct redis_result  result;
    redis_call(a->redis, &command, &result);
    note(ask, &result);
    redis_result_clear(&result);
}

static void on_answer(void *context, struct redis_result *result) {
    struct ask *ask = context;
    note(ask, result);
    ask->done(ask);
}

bool asked_begin(struct asked *a, const char *user, size_t user_bytes, struct ask *ask) {
    struct view          key     = {.data = user, .bytes = user_bytes};
    struct redis_command command = command_of(a, &key);
    command.done                 = on_answer;
    command.context              = ask;
    if (redis_submit(a->redis, &command) == REDIS_DONE) return false;
    ask->has_failed = true;
    ask->is_allowed = false;
    return true;
}

void asked_tell(struct asked *a) {
    struct redis_counts c;
    redis_counts(a->redis, &c);
    printf(",\"misses\":%" PRIu64 ",\"writes\":%" PRIu64, c.misses, c.writes);
}
