/* SPDX-License-Identifier: MIT
 *
 * A weir file that was changed anywhere, opened and used: it is refused, or decides something, and never
 * harms the process. Input: a byte of flags, then changes of a good file, each of three bytes (where), one
 * (how many, 1 to 8) and the new bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir.h>

#include "base/contract.h"
#include "store/embedded/format.h"
#include "table/layout.h"

enum {
    FLAG_CHECK_RULES =
        1, /* give the changed rules a check that is right, so that they are believed */
    FLAG_CHECK_ERAS = 2,
    USERS           = 40,
    CHANGE_BYTES    = 4, /* and the new ones */
};

static char     path[64], url[80];
static uint8_t *good;
static size_t   good_bytes;
static int      fd = -1;

/* The parts of the file that hold something: all but the holders of processes that never came. */
static struct part { size_t at, bytes; } parts[2];

static void file_remove(void) { (void)unlink(path); }

static void use(weir *w) {
    for (int i = 0; i < USERS; i++) {
        char         user[8];
        int          bytes = snprintf(user, sizeof user, "u%d", i);
        weir_request request =
            weir_request_for(user, (size_t)bytes, 1 + (uint64_t)(i * i * i), WEIR_MINUTE);
        weir_decision decisions[2];
        request.algorithm = (uint32_t)i % 3;
        (void)weir_decide(w, &request, decisions);
        weir_request both[2] = {request, weir_request_for("u1", 2, 5, WEIR_MINUTE)};
        (void)weir_decide_all(w, both, 2, decisions);
        if (i % 8 == 0) (void)weir_reset(w, &request);
    }
    weir_statistics s = {.size = sizeof s};
    (void)weir_stats(w, &s);
}

static void file_make(void) {
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    (void)snprintf(path, sizeof path, "%s/weir-fuzz-%ld.weir", folder, (long)getpid());
    (void)snprintf(url, sizeof url, "file:%s", path);
    (void)unlink(path);
    weir_options options = {.size = sizeof options, .users_max = 300};
    weir        *w       = weir_open(url, &options, NULL);
    REQUIRE(w != NULL);
    (void)atexit(file_remove);
    use(w);
    weir_close(w);

    struct stat s;
    fd = open(path, O_RDWR);
    REQUIRE(fd >= 0 && fstat(fd, &s) == 0);
    good_bytes = (size_t)s.st_size;
    good       = malloc(good_bytes);
    REQUIRE(good != NULL && pread(fd, good, good_bytes, 0) == (ssize_t)good_bytes);

    struct table_part second = table_part_of_process(2),
                      last   = table_part_of_process(FORMAT_PROCESSES);
    size_t buckets           = FORMAT_POWER_AT + last.offset + last.bytes;
    parts[0]                 = (struct part){0, FORMAT_POWER_AT + second.offset + second.bytes};
    parts[1]                 = (struct part){buckets, good_bytes - buckets};
}

static void file_restore(void) {
    REQUIRE(ftruncate(fd, (off_t)good_bytes) == 0);
    for (int i = 0; i < 2; i++)
        REQUIRE(pwrite(fd, good + parts[i].at, parts[i].bytes, (off_t)parts[i].at) ==
                (ssize_t)parts[i].bytes);
}

static void check_rules_again(void) {
    uint8_t             bytes[FORMAT_RULES_BYTES], checked[FORMAT_RULES_BYTES];
    struct format_rules rules;
    REQUIRE(pread(fd, bytes, sizeof bytes, 0) == sizeof bytes);
    memcpy(&rules.users_max, bytes + 16, 8);
    memcpy(&rules.clock_error_ppm, bytes + 24, 8);
    memcpy(&rules.unrecorded_max, bytes + 32, 8);
    memcpy(&rules.processes, bytes + 40, 4);
    memcpy(&rules.durability, bytes + 44, 4);
    memcpy(rules.secret, bytes + 48, 16);
    memcpy(rules.identity, bytes + 64, 16);
    memcpy(&rules.created_ns, bytes + 80, 8);
    format_write_rules(&rules, checked);
    REQUIRE(pwrite(fd, checked, sizeof checked, 0) == sizeof checked);
}

static void check_eras_again(void) {
    struct format_era era, first = {0}, second = {0};
    REQUIRE(pread(fd, &era, sizeof era, FORMAT_ERA_AT) == sizeof era);
    format_write_era(&first, &second, era);
    REQUIRE(pwrite(fd, &first, sizeof first, FORMAT_ERA_AT) == sizeof first);
}

/* A change's place is in the parts, which lie behind one another. */
static void file_change(const uint8_t *data, size_t bytes) {
    while (bytes > CHANGE_BYTES) {
        size_t at    = (size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16;
        size_t count = 1 + data[3] % 8;
        data += CHANGE_BYTES;
        bytes -= CHANGE_BYTES;
        if (count > bytes) count = bytes;
        at %= parts[0].bytes + parts[1].bytes;
        if (at >= parts[0].bytes) at += parts[1].at - parts[0].bytes;
        REQUIRE(pwrite(fd, data, count, (off_t)at) == (ssize_t)count);
        data += count;
        bytes -= count;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
    if (fd < 0) file_make();
    if (bytes == 0) return 0;
    file_restore();
    file_change(data + 1, bytes - 1);
    if (data[0] & FLAG_CHECK_RULES) check_rules_again();
    if (data[0] & FLAG_CHECK_ERAS) check_eras_again();

    weir_error error = {0};
    weir      *w     = weir_open(url, NULL, &error);
    if (w == NULL) {
        REQUIRE(error.status != WEIR_OK && error.text[0] != '\0');
        return 0;
    }
    use(w);
    weir_close(w);
    return 0;
}
