/* SPDX-License-Identifier: MIT */
#include "cmd/top_look.h"

#include <stdio.h>
#include <string.h>

#include "limiter/limiter.h"
#include "os/clock.h"

static bool watch_open(struct top_watch *watch, weir_error *error) {
    const struct embedded_options options = {.is_reader = true, .must_exist = true};
    watch->embedded                       = embedded_open(watch->path, &options, error);
    if (watch->embedded == NULL) return false;
    watch->limiter = limiter_new(&(struct limiter_options){
        .users_max = embedded_rules(watch->embedded)->users_max,
        .table     = embedded_table(watch->embedded),
    });
    if (watch->limiter != NULL) return true;
    error->status = WEIR_NO_MEMORY;
    (void)snprintf(error->text, sizeof error->text, "out of memory");
    return false;
}

void top_leave(struct top_watch *watch) {
    limiter_free(watch->limiter);
    embedded_close(watch->embedded);
    watch->limiter  = NULL;
    watch->embedded = NULL;
}

/* To touch the table where the file has been cut off would end this process. */
static bool watch_is_whole(const struct top_watch *watch, weir_error *error) {
    uint64_t bytes = embedded_file_bytes(watch->embedded);
    uint64_t needs =
        format_table_at(embedded_rules(watch->embedded)) +
        table_bytes_at_first(embedded_rules(watch->embedded)->users_max, FORMAT_PROCESSES);
    if (bytes >= needs) return true;
    error->status = WEIR_DAMAGED;
    (void)snprintf(error->text, sizeof error->text,
                   "%.120s: it was cut off: it has %llu of %llu bytes; move it away to begin anew",
                   watch->path, (unsigned long long)bytes, (unsigned long long)needs);
    return false;
}

bool top_look(struct top_watch *watch, struct top_look *look, weir_error *error) {
    if (watch->embedded != NULL && !embedded_is_in_place(watch->embedded)) top_leave(watch);
    if (watch->embedded == NULL && !watch_open(watch, error)) return false;
    if (!watch_is_whole(watch, error)) return false;

    struct embedded *e   = watch->embedded;
    *look                = (struct top_look){.at_ns = clock_now_ns(), .wall_ns = clock_wall_ns()};
    look->rules          = *embedded_rules(e);
    look->counts         = table_counts(embedded_table(e));
    look->file_bytes     = embedded_file_bytes(e);
    look->file_bytes_max = embedded_file_bytes_max(e);
    look->disk_bytes     = embedded_disk_bytes(e);
    look->statistics     = (weir_statistics){.size = sizeof look->statistics};
    limiter_stats(watch->limiter, &look->statistics);
    look->era_is_of_this_boot = embedded_clock(e, &look->era, &look->table_now_ns);
    look->process_count       = embedded_processes(e, look->processes, FORMAT_PROCESSES);
    return true;
}
