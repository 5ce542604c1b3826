/* SPDX-License-Identifier: MIT
 *
 * What the journal costs: bench_journal FOLDER, on the disk that is to be measured.
 *
 *     add       ns for an unrecorded_add(), by one thread: of one user, of many, and while a commit is under
 *               way, when both halves are searched
 *     settle    threads whose every permit must be durable before it is answered (u = 0): permits and
 *               commits a second
 *     replay    10 million users written, read back and made a past; and the lookup of one */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/random.h"
#include "os/clock.h"
#include "os/memory.h"
#include "os/processor.h"
#include "store/embedded/journal.h"
#include "store/embedded/past.h"

enum { ADDS = 20000000, USERS_A_COMMIT = 20000, SETTLE_MS = 3000, REPLAYED = 10000000 };

static const char store[] = "bench-journal";

static void must(bool is_true, const char *what) {
    if (is_true) return;
    fprintf(stderr, "bench_journal: %s failed\n", what);
    exit(1);
}

static void let_others_run(void *context, uint32_t holder, unsigned turn) {
    (void)context;
    (void)holder;
    processor_yield(turn);
}

static const struct lock_owner me = {.process = 1, .wait = let_others_run};

static struct unrecorded_id user(uint64_t tag) {
    return (struct unrecorded_id){.name = tag, .kind = UNRECORDED_COUNTER};
}

static bool any_counter(void *context, uint64_t tag, struct counter *c) {
    (void)context;
    *c = (struct counter){.fresh_at_ns = UINT64_MAX, .body = {tag}};
    return true;
}

static bool no_ring(void *context, uint64_t index, struct ring *r) {
    (void)context;
    (void)index;
    (void)r;
    return false;
}

static uint64_t no_users(void *context) {
    (void)context;
    return 0;
}

/* --- add ------------------------------------------------------------------------------------- */

/* As many users as a commit of a few milliseconds has; the halves are cleared as commits would. */
static double add_ns(struct unrecorded *area, uint64_t users, bool is_closing_full) {
    struct random random = {.state = 1};
    uint64_t      spent  = 0;
    for (uint64_t done = 0; done < ADDS;) {
        memset(area, 0, sizeof *area);
        if (is_closing_full) {
            for (uint64_t i = 0; i < users; i++) {
                (void)unrecorded_add(area, &me, user(i * UINT64_C(0xff51afd7ed558ccd)), 1, 1);
            }
            (void)unrecorded_close(area, &me);
        }
        uint64_t from = clock_now_ns();
        for (uint64_t i = 0; i < 100000; i++) {
            uint64_t tag = random_below(&random, users) * UINT64_C(0xff51afd7ed558ccd);
            (void)unrecorded_add(area, &me, user(tag), 1, UINT64_MAX);
        }
        spent += clock_now_ns() - from;
        done += 100000;
    }
    return (double)spent / ADDS;
}

/* --- settle ---------------------------------------------------------------------------------- */

struct settler {
    pthread_t       thread;
    struct journal *journal;
    uint64_t        until_ns, permits, seed;
};

static void *settler_run(void *context) {
    struct settler *s      = context;
    struct random   random = {.state = s->seed};
    for (uint64_t now = clock_now_ns(); now < s->until_ns; now = clock_now_ns()) {
        (void)unrecorded_add(s->journal->options.unrecorded, &me, user(random_next(&random)), 1, 0);
        must(journal_settle(s->journal, now, 0) == DISK_OK, "a settle");
        s->permits++;
    }
    return NULL;
}

static void settle(struct journal *j, unsigned threads) {
    struct settler        *s      = calloc(threads, sizeof *s);
    struct journal_shared *shared = j->options.shared;
    uint64_t               before = atomic_load(&shared->done);
    uint64_t               total  = 0;
    for (unsigned i = 0; i < threads; i++) {
        s[i] = (struct settler){
            .journal = j, .seed = i, .until_ns = clock_now_ns() + SETTLE_MS * UINT64_C(1000000)};
        must(pthread_create(&s[i].thread, NULL, settler_run, &s[i]) == 0, "a thread");
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(s[i].thread, NULL);
        total += s[i].permits;
    }
    printf("settle  %3u threads            %9.0f permits/s %9.0f commits/s\n", threads,
           (double)total * 1000 / SETTLE_MS,
           (double)(atomic_load(&shared->done) - before) * 1000 / SETTLE_MS);
    free(s);
}

/* --- replay ---------------------------------------------------------------------------------- */

static void replay(struct journal *j, struct disk *disk) {
    struct random random = {.state = 3};
    uint64_t      from   = clock_now_ns();
    for (uint64_t written = 0; written < REPLAYED; written += USERS_A_COMMIT) {
        for (unsigned i = 0; i < USERS_A_COMMIT; i++) {
            (void)unrecorded_add(j->options.unrecorded, &me, user(random_next(&random)), 1, 0);
        }
        must(journal_settle(j, 1, 0) == DISK_OK, "a settle");
    }
    double s = (double)(clock_now_ns() - from) / 1e9;
    printf("replay  %d users written       %6.2f s  %9.0f permits/s\n", REPLAYED, s, REPLAYED / s);

    size_t             bytes = (size_t)REPLAYED * PAST_ITEM_BYTES + (16 << 20);
    struct ring        ring[8];
    struct past_rings  rings = {.ring = ring, .count = 8, .stripes = 8, .u = 1};
    struct past_replay p     = {.disk         = disk,
                                .store        = store,
                                .generation   = 1,
                                .memory       = memory_reserve(bytes),
                                .memory_bytes = bytes};
    must(p.memory != NULL, "memory");
    from = clock_now_ns();
    must(past_scan(&p) == DISK_OK, "past_scan");
    double scan_s = (double)(clock_now_ns() - from) / 1e9;
    from          = clock_now_ns();
    must(past_write(&p, &rings, 1) == DISK_OK, "past_write");
    double        write_s = (double)(clock_now_ns() - from) / 1e9;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("replay  scan %.2f s, write %.2f s, %" PRIu64 " users, %ld MB at most\n", scan_s,
           write_s, p.counters, usage.ru_maxrss / 1024);
    memory_release(p.memory, bytes);

    char        name[DISK_NAME_BYTES_MAX];
    int         file       = DISK_NO_FILE;
    uint64_t    file_bytes = 0;
    size_t      got        = 0;
    struct past past;
    past_name(store, name);
    must(disk->file_open(disk->context, name, DISK_READ, &file) == DISK_OK, "the past");
    must(disk->file_size(disk->context, file, &file_bytes) == DISK_OK, "the past's size");
    unsigned char *mapped = memory_reserve((size_t)file_bytes);
    must(disk->file_read(disk->context, file, 0, mapped, (size_t)file_bytes, &got) == DISK_OK,
         "read");
    disk->file_close(disk->context, file);
    must(past_open(&past, mapped, got), "past_open");
    from          = clock_now_ns();
    bool is_whole = past_verify(mapped, got);
    printf("past    verify %.2f s\n", (double)(clock_now_ns() - from) / 1e9);
    must(is_whole, "past_verify");
    uint64_t found = 0;
    random         = (struct random){.state = 3};
    from           = clock_now_ns();
    for (unsigned i = 0; i < 1000000; i++) {
        struct counter c;
        found += past_find(&past, random_next(&random), &c);
    }
    printf("past    find %.0f ns\n", (double)(clock_now_ns() - from) / 1e6);
    must(found == 1000000, "past_find");
    memory_release(mapped, (size_t)file_bytes);
    (void)disk->file_remove(disk->context, name);
    (void)segment_remove_all(disk, store);
}

int main(int argc, char **argv) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    struct disk            disk;
    struct journal        *j          = calloc(1, sizeof *j);
    struct unrecorded     *unrecorded = memory_reserve(sizeof *unrecorded);
    struct journal_shared *shared     = memory_reserve(sizeof *shared);
    must(disk_open(argv[1], &disk) == DISK_OK, "the folder");
    must(j != NULL && unrecorded != NULL && shared != NULL, "memory");

    printf("add     one user               %9.1f ns\n", add_ns(unrecorded, 1, false));
    printf("add     20,000 users           %9.1f ns\n", add_ns(unrecorded, 20000, false));
    printf("add     20,000 and a commit    %9.1f ns\n", add_ns(unrecorded, 20000, true));

    memset(unrecorded, 0, sizeof *unrecorded);
    journal_init(j, &(struct journal_options){
                        .disk              = &disk,
                        .store             = store,
                        .generation        = 1,
                        .segment_bytes_max = JOURNAL_SEGMENT_BYTES,
                        .source     = {.counter = any_counter, .ring = no_ring, .users = no_users},
                        .shared     = shared,
                        .unrecorded = unrecorded,
                        .me         = &me});
    for (unsigned threads = 1; threads <= 64; threads *= 8) settle(j, threads);
    journal_close(j);
    must(segment_remove_all(&disk, store) == DISK_OK, "removing");
    memset(shared, 0, sizeof *shared);
    /* 10 million stay: nothing of it is cleaned. */
    j->options.segment_bytes_max = UINT64_C(1) << 30;
    replay(j, &disk);
    journal_close(j);
    disk_close(&disk);
    free(j);
    return 0;
}
