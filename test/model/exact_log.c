/* SPDX-License-Identifier: MIT */
#include "model/exact_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

static uint64_t exact_log_until(const struct exact_log *log, uint64_t until_ns);

void exact_log_clear(struct exact_log *log) {
    free(log->at_ns);
    free(log->total);
    memset(log, 0, sizeof *log);
}

void exact_log_add(struct exact_log *log, uint64_t now_ns, uint64_t cost) {
    if (log->count == log->count_max) {
        log->count_max = log->count_max == 0 ? 256 : 2 * log->count_max;
        log->at_ns     = realloc(log->at_ns, log->count_max * sizeof *log->at_ns);
        log->total     = realloc(log->total, log->count_max * sizeof *log->total);
        REQUIRE(log->at_ns != NULL && log->total != NULL);
    }
    uint64_t newest_ns     = exact_log_newest_ns(log);
    uint64_t before        = log->count == 0 ? 0 : log->total[log->count - 1];
    log->at_ns[log->count] = now_ns > newest_ns ? now_ns : newest_ns;
    log->total[log->count] = before + cost;
    log->count++;
}

uint64_t exact_log_newest_ns(const struct exact_log *log) {
    return log->count == 0 ? 0 : log->at_ns[log->count - 1];
}

uint64_t exact_log_within(const struct exact_log *log, uint64_t until_ns, uint64_t length_ns) {
    uint64_t before = length_ns > until_ns ? 0 : exact_log_until(log, until_ns - length_ns);
    return exact_log_until(log, until_ns) - before;
}

/* Permits admitted at until_ns or earlier: the entries are in order, so halve. */
static uint64_t exact_log_until(const struct exact_log *log, uint64_t until_ns) {
    size_t low = 0, high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->at_ns[middle] <= until_ns) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == 0 ? 0 : log->total[low - 1];
}
