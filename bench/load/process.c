/* SPDX-License-Identifier: MIT */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The first line of a file of /proc. */
static bool first_line(const char *path, char *line, int line_bytes) {
    FILE *file = fopen(path, "re");
    if (!file) return false;
    bool got = fgets(line, line_bytes, file) != NULL;
    fclose(file);
    return got;
}

static bool cpu_from_ticks(pid_t pid, uint64_t *cpu_ns) {
    char path[64], line[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!first_line(path, line, sizeof line)) return false;

    /* The name stands in brackets and may hold anything; ten fields later are user and system. */
    const char *after = strrchr(line, ')');
    uint64_t    user, system;
    if (!after ||
        sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2) {
        return false;
    }
    *cpu_ns = (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
    return true;
}

bool process_cpu_ns(pid_t pid, uint64_t *cpu_ns) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *threads = opendir(path);
    if (!threads) return false;

    uint64_t sum      = 0;
    bool     is_known = false;
    for (struct dirent *entry; (entry = readdir(threads));) {
        char     file[96], line[128];
        uint64_t thread_ns;
        if (!isdigit((unsigned char)entry->d_name[0])) continue;
        snprintf(file, sizeof file, "/proc/%d/task/%.16s/schedstat", (int)pid, entry->d_name);
        if (!first_line(file, line, sizeof line) || sscanf(line, "%" SCNu64, &thread_ns) != 1)
            continue;
        sum += thread_ns;
        is_known = true;
    }
    closedir(threads);
    if (!is_known || sum == 0) return cpu_from_ticks(pid, cpu_ns);
    *cpu_ns = sum;
    return true;
}

bool process_resident_bytes(pid_t pid, uint64_t *bytes) {
    char     path[64], line[128];
    uint64_t pages;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!first_line(path, line, sizeof line) || sscanf(line, "%*u %" SCNu64, &pages) != 1)
        return false;
    *bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return true;
}
