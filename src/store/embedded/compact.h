/* SPDX-License-Identifier: MIT
 *
 * compact: a file as small as its live users need. See compact.c. */
#ifndef WEIR_STORE_EMBEDDED_COMPACT_H
#define WEIR_STORE_EMBEDDED_COMPACT_H

#include <weir.h>

#include "table/table.h"

#define COMPACT_AS_IT_IS UINT64_MAX

struct compact_options {
    uint64_t          users_max;       /* of the new file; COMPACT_AS_IT_IS */
    uint64_t          clock_error_ppm; /* the same */
    uint64_t          wall_error_ns;   /* as embedded_open() takes it */
    bool              is_dry_run;      /* only tells; others may have the file open */
    table_progress_fn progress;        /* may be NULL */
    void             *context;
};

struct compact_sizes {
    uint64_t file_bytes;
    uint64_t disk_bytes; /* of a dry run's new file: not known, 0 */
    uint64_t users;
    uint64_t users_max;
    uint64_t clock_error_ppm;
};

struct compact_outcome {
    struct compact_sizes before;
    struct compact_sizes after;
    uint64_t             users_miscounted; /* that were counted and were not there */
    uint64_t             process_count;    /* that have the file open, as of a dry run */
};

/* Puts a new file in the place of `path`, or nothing is changed but that the dead are let go of. False:
 * `error` says why. */
bool compact_file(const char *path, const struct compact_options *options,
                  struct compact_outcome *outcome, weir_error *error);

#endif
