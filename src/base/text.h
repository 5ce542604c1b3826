/* SPDX-License-Identifier: MIT
 *
 * text: numbers, durations and rates as people write them.
 *
 *     number    0 42 18446744073709551615         decimal digits only
 *     duration  250us 10ms 1s 5m 2h 1d 1w 365d    a whole number and a unit: ns us ms s m h d w
 *     rate      100/1m 5/s 1000/24h               a limit, a slash, a duration (bare unit: one of it)
 *
 * Parsers take the whole view or nothing: no blanks, no sign, no leftover. Overflow is refused. */
#ifndef WEIR_BASE_TEXT_H
#define WEIR_BASE_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum {
    TEXT_DURATION_BYTES_MAX = 32, /* room for text_duration_write(), NUL included */
};

bool text_number_parse(struct view text, uint64_t *number);

/* The same with an optional leading minus. */
bool text_integer_parse(struct view text, int64_t *integer);

/* Nanoseconds, 0 to INT64_MAX. */
bool text_duration_parse(struct view text, int64_t *duration_ns);

bool text_rate_parse(struct view text, uint64_t *limit, int64_t *window_ns);

/* The shortest exact form: "1500ms" as "1500ms", "60s" as "1m", 0 as "0s". Writes at most
 * TEXT_DURATION_BYTES_MAX bytes with the NUL; returns the length without it. */
size_t text_duration_write(int64_t duration_ns, char *out);

/* Three significant digits for people: "1.23s", "45.6ms", "2h 5m", "3d 4h". Same room. */
size_t text_duration_write_short(int64_t duration_ns, char *out);

#endif
