/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "limiter/shard.h"

enum { WINDOW_TOLERANCES = 800 }; /* lease/terms.c: a window in which so slow an exchange will do */

void doctor_find(struct doctor_opinion *opinion, enum doctor_level level, const char *server,
                 const char *name, const char *remedy, const char *format, ...) {
    if (opinion->finding_count == DOCTOR_FINDINGS_MAX) return;
    struct doctor_finding *finding = &opinion->findings[opinion->finding_count++];
    *finding = (struct doctor_finding){.level = level, .name = name, .server = server};
    if (level != DOCTOR_FINE) (void)snprintf(finding->remedy, sizeof finding->remedy, "%s", remedy);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(finding->value, sizeof finding->value, format, arguments);
    va_end(arguments);
    if (level > opinion->level) opinion->level = level;
    if (level == DOCTOR_IDLE) opinion->is_idle = true;
}

uint64_t doctor_window_ns_min(uint64_t trip_ns, uint64_t round_trip_ns) {
    struct shard_watches watches;
    shard_watches_choose(&watches, &(struct lease_options){.round_trip_ns = round_trip_ns});
    if (trip_ns <= watches.tolerance_ns[0]) return 0;
    for (unsigned i = 1; i < SHARD_WATCHES; i++)
        if (trip_ns <= watches.tolerance_ns[i]) return WINDOW_TOLERANCES * watches.tolerance_ns[i];
    return UINT64_MAX;
}
