/* SPDX-License-Identifier: MIT
 *
 * How many scripts a second does one connection of the store client carry?
 *
 * One thread keeps WINDOW commands on their way for SECONDS: each answer makes room for the next. Prints one
 * line of JSON. bench/redis/run puts redis-benchmark beside it.
 *
 * usage: weir-bench-redis URL SECONDS WINDOW */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "store/redis/redis.h"

static pthread_mutex_t lock  = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t  freed = PTHREAD_COND_INITIALIZER;
static uint64_t        room;
static uint64_t        done_count;
static uint64_t        failed_count;

static void on_answer(void *context, struct redis_result *result) {
    (void)context;
    pthread_mutex_lock(&lock);
    done_count += result->status == REDIS_DONE;
    failed_count += result->status != REDIS_DONE;
    if (room++ == 0) pthread_cond_signal(&freed);
    pthread_mutex_unlock(&lock);
}

/* All the room that there is, at least one. */
static uint64_t take_room(void) {
    pthread_mutex_lock(&lock);
    while (room == 0) pthread_cond_wait(&freed, &lock);
    uint64_t taken = room;
    room           = 0;
    pthread_mutex_unlock(&lock);
    return taken;
}

int main(int count, char **words) {
    char                problem[REDIS_PROBLEM_BYTES_MAX];
    struct redis_script script;
    if (count != 4) {
        fprintf(stderr, "usage: weir-bench-redis URL SECONDS WINDOW\n");
        return 2;
    }
    uint64_t      seconds = strtoull(words[2], NULL, 10), window = strtoull(words[3], NULL, 10);
    struct redis *r = redis_open(view_of(words[1]), NULL, problem);
    if (r == NULL || window == 0) {
        fprintf(stderr, "weir-bench-redis: %s\n", problem);
        return 3;
    }
    redis_script_init(&script, "return redis.call('INCRBY', KEYS[1], ARGV[1])");

    struct view key = view_of("bench"), one = view_of("1");
    uint64_t    from_ns = clock_now_ns(), until_ns = from_ns + seconds * UINT64_C(1000000000);
    room = window;
    while (clock_now_ns() < until_ns) {
        for (uint64_t free = take_room(); free > 0; free--) {
            struct redis_command command = {.script      = &script,
                                            .keys        = &key,
                                            .key_count   = 1,
                                            .words       = &one,
                                            .word_count  = 1,
                                            .deadline_ns = clock_now_ns() + UINT64_C(5000000000),
                                            .done        = on_answer};
            if (redis_submit(r, &command) != REDIS_DONE) return 3;
        }
    }
    redis_close(r); /* waits for what is on its way */
    double took_s = (double)(clock_now_ns() - from_ns) / 1e9;
    printf("{\"who\":\"weir\",\"window\":%llu,\"per_second\":%.0f,\"failed\":%llu}\n",
           (unsigned long long)window, (double)done_count / took_s,
           (unsigned long long)failed_count);
    return failed_count == 0 ? 0 : 3;
}
