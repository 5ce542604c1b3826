/* SPDX-License-Identifier: MIT
 *
 * replay_print: a replay's report for people and for programs. See replay_print.c, replay_json.c. */
#ifndef WEIR_CMD_REPLAY_PRINT_H
#define WEIR_CMD_REPLAY_PRINT_H

#include "cmd/replay_reading.h"
#include "cmd/replay_report.h"
#include "cmd/replay_requests.h"
#include "cmd/replay_suggest.h"

/* All that a replay found. `report` or `suggestions` may be NULL: not asked for. */
struct replay_outcome {
    const struct replay_reading     *reading;
    const struct replay_requests    *requests;
    const struct replay_report      *report;
    const struct replay_suggestions *suggestions;
    const char                      *key; /* as the caller wrote it */
    bool                             is_spread;
    bool                             is_verbose;
};

/* To stdout, as wide as the terminal is. */
void replay_print(const struct replay_outcome *outcome);

/* To stdout, one JSON document; docs/replay.md names its fields. */
void replay_print_json(const struct replay_outcome *outcome);

/* "2015-05-17 10:05:03", with a fraction if there is one; room for 40 bytes. UTC. */
enum { REPLAY_TIME_BYTES_MAX = 40 };
const char *replay_time_text(uint64_t time_ns, char out[REPLAY_TIME_BYTES_MAX]);

/* Decision lines for judge, in order of time. False: `file_path` could not be written; errno tells. */
bool replay_write_decisions(const char *file_path, const struct replay_requests *requests,
                            const weir_request *rule, enum replay_verdict whose, uint64_t *written);

#endif
