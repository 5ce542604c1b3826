/* SPDX-License-Identifier: MIT
 *
 * log_time: which instant does a log mean? See log_time.c.
 *
 * Each parser takes the whole view or nothing, and gives nanoseconds since 1970 (UTC). Times before
 * 1970, or after 2^62 ns, in 2116, are refused: no limiter can be told them. */
#ifndef WEIR_WIRE_LOG_TIME_H
#define WEIR_WIRE_LOG_TIME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum log_time_unit {
    LOG_TIME_GUESS, /* by the size of the number */
    LOG_TIME_SECONDS,
    LOG_TIME_MILLISECONDS,
    LOG_TIME_MICROSECONDS,
    LOG_TIME_NANOSECONDS,
};

/* 17/May/2015:10:05:03 +0000 */
bool log_time_parse_clf(struct view text, uint64_t *time_ns);

/* 2015-05-17T10:05:03.25+02:00; a blank for the T, a comma for the point, +0200 for the zone and no
 * zone at all (UTC) are read too. */
bool log_time_parse_rfc3339(struct view text, uint64_t *time_ns);

/* 1431857103, 1431857103.25, 1.43185710325e9 */
bool log_time_parse_number(struct view text, enum log_time_unit unit, uint64_t *time_ns);

#endif
