/* SPDX-License-Identifier: MIT
 *
 * exact_log: what is the truth about one counter?
 *
 * The model that everything strict is judged by: a plain list of (time, cost), one entry for each
 * admission and never one forgotten. It is slow, large and evidently right. Admissions that come
 * in late are kept at the newest time that the list has seen, since no call can have counted
 * before one that had returned when it was decided. */
#ifndef WEIR_TEST_EXACT_LOG_H
#define WEIR_TEST_EXACT_LOG_H

#include <stddef.h>
#include <stdint.h>

struct exact_log {
    uint64_t *at_ns; /* never decreasing */
    uint64_t *total; /* all permits up to and with this entry */
    size_t    count;
    size_t    count_max;
};

/* exact_log_clear() frees what exact_log_add() allocated and leaves an empty list. */
void exact_log_clear(struct exact_log *log);

void exact_log_add(struct exact_log *log, uint64_t now_ns, uint64_t cost);

/* The newest admission, 0 if there was none. */
uint64_t exact_log_newest_ns(const struct exact_log *log);

/* Permits admitted in (until_ns - length_ns, until_ns]. */
uint64_t exact_log_within(const struct exact_log *log, uint64_t until_ns, uint64_t length_ns);

#endif
