/* SPDX-License-Identifier: MIT */
#include "model/seeds.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "support/check.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SEEDS_SANITIZED 1
#endif
#endif
#ifndef SEEDS_SANITIZED
#define SEEDS_SANITIZED 0
#endif

enum { SEEDS_SANITIZED_SHARE = 8, SEEDS_LINE_BYTES = 512 };

size_t seeds_read(const char *program, uint64_t *seeds) {
    char  path[SEEDS_LINE_BYTES] = __FILE__;
    char *name                   = strrchr(path, '/');
    name                         = name == NULL ? path : name + 1;
    snprintf(name, sizeof path - (size_t)(name - path), "seeds.txt");

    FILE *file = fopen(path, "r");
    CHECK_SAYS(file != NULL, "%s cannot be read", path);
    char   line[SEEDS_LINE_BYTES], word[SEEDS_LINE_BYTES];
    size_t count = 0;
    for (int number = 1; fgets(line, sizeof line, file) != NULL; number++) {
        uint64_t seed = 0;
        if (line[0] == '#' || line[0] == '\n') continue;
        int fields = sscanf(line, "%511s %" SCNu64, word, &seed);
        CHECK_SAYS(fields == 2, "%s:%d: not '<program> <seed>': %s", path, number, line);
        if (strcmp(word, program) != 0) continue;
        CHECK_SAYS(count < SEEDS_MAX, "%s holds more than %d seeds of %s", path, SEEDS_MAX,
                   program);
        seeds[count++] = seed;
    }
    fclose(file);
    return count;
}

uint64_t seeds_share(uint64_t work) {
    uint64_t share = SEEDS_SANITIZED ? work / SEEDS_SANITIZED_SHARE : work;
    return share == 0 ? 1 : share;
}
