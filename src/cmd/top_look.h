/* SPDX-License-Identifier: MIT
 *
 * top_look: one look at a file of limits that others use. */
#ifndef WEIR_CMD_TOP_LOOK_H
#define WEIR_CMD_TOP_LOOK_H

#include <stdbool.h>

#include <weir.h>

#include "store/embedded/embedded.h"

struct limiter;

/* The file that is watched. Begins with a path and zeros; top_leave() ends it. */
struct top_watch {
    const char      *path;
    struct embedded *embedded;
    struct limiter  *limiter; /* asked for its statistics only */
};

/* What stood there at one moment, or nearly: others go on meanwhile. */
struct top_look {
    uint64_t                at_ns; /* CLOCK_BOOTTIME */
    uint64_t                wall_ns;
    struct format_rules     rules;
    weir_statistics         statistics;
    struct table_counts     counts;
    uint64_t                file_bytes, file_bytes_max, disk_bytes;
    struct format_era       era;
    bool                    era_is_of_this_boot;
    uint64_t                table_now_ns;
    size_t                  process_count;
    struct embedded_process processes[FORMAT_PROCESSES];
};

/* Opens the file if it is not open, and again if another has taken its place. False: `error` says
 * why. */
bool top_look(struct top_watch *watch, struct top_look *look, weir_error *error);
void top_leave(struct top_watch *watch);

#endif
