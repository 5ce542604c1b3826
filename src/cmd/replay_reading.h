/* SPDX-License-Identifier: MIT
 *
 * replay_reading: logs become requests, and what could not be used is told. See replay_reading.c. */
#ifndef WEIR_CMD_REPLAY_READING_H
#define WEIR_CMD_REPLAY_READING_H

#include "cmd/replay_requests.h"
#include "wire/access_log.h"

enum {
    REPLAY_SAMPLES       = 10,  /* unusable lines that are kept to be shown */
    REPLAY_EXCERPT_BYTES = 160, /* of such a line */
    REPLAY_INPUTS_MAX    = 4096,
    REPLAY_TROUBLE_BYTES = 512,
    REPLAY_FIELDS_SHOWN  = 40, /* names of a JSON line that a complaint lists */
};

/* Why a line was not used. Beyond the reader's outcomes: */
enum { REPLAY_TOO_LONG = ACCESS_LOG_OUTCOMES, REPLAY_OUTCOMES };

struct replay_input {
    const char            *path;
    enum access_log_format format;
    bool                   is_gzip;
    uint64_t               lines;
    uint64_t               requests;
    char                   trouble[160]; /* why it ended before its end; "" if it did not */
};

struct replay_sample {
    const char *path;
    uint64_t    line_number;
    int         outcome;
    size_t      bytes; /* of the whole line */
    size_t      excerpt_bytes;
    char        excerpt[REPLAY_EXCERPT_BYTES];
};

struct replay_reading {
    struct replay_input *input;
    size_t               input_count;
    uint64_t             lines;
    uint64_t             outcome[REPLAY_OUTCOMES]; /* how many lines */
    struct replay_sample sample[REPLAY_SAMPLES];
    size_t               sample_count;
    char                 fields[REPLAY_TROUBLE_BYTES]; /* of the first line without a key or time */
};

enum replay_read {
    REPLAY_READ_DONE,
    REPLAY_READ_USAGE,   /* a name that the log's format does not have */
    REPLAY_READ_TROUBLE, /* a file cannot be opened, memory, too many requests */
};

/* Reads `count` logs into `requests`, each with its own copy of `reader`. When it is not done,
 * `trouble` says why, for people. `reading` is cleared by replay_reading_clear() in any case. */
enum replay_read replay_read_logs(struct replay_reading *reading, struct replay_requests *requests,
                                  const struct access_log_reader *reader, char **paths,
                                  size_t count, char trouble[REPLAY_TROUBLE_BYTES]);
void             replay_reading_clear(struct replay_reading *reading);

/* "torn", "without a time", ... */
const char *replay_outcome_text(int outcome);

const char *replay_format_name(enum access_log_format format);

#endif
