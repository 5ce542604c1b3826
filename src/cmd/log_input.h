/* SPDX-License-Identifier: MIT
 *
 * log_input: the lines of a log, wherever it comes from: a file, stdin, plain or gzip. See
 * log_input.c. */
#ifndef WEIR_CMD_LOG_INPUT_H
#define WEIR_CMD_LOG_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/view.h"

struct log_input;

enum log_input_step {
    LOG_INPUT_LINE, /* a line, without its line feed */
    LOG_INPUT_TOO_LONG, /* the beginning of a line that is longer than the bound; its rest was skipped */
    LOG_INPUT_END,      /* no more; log_input_trouble() tells if it came too early */
};

/* Opens `path`; "-" is stdin. `line_bytes_max` bounds a line. NULL: `error` says why, in words. */
struct log_input *log_input_open(const char *path, size_t line_bytes_max, char *error,
                                 size_t error_bytes);
void              log_input_close(struct log_input *input);

/* The next line; valid until the next call. */
enum log_input_step log_input_next(struct log_input *input, struct view *line);

/* What ended the input before its end (a read error, damaged gzip), or NULL. */
const char *log_input_trouble(const struct log_input *input);

bool log_input_is_gzip(const struct log_input *input);

/* Bytes taken from the file so far and the file's size (0: unknown), for showing progress. */
uint64_t log_input_bytes_read(const struct log_input *input);
uint64_t log_input_bytes_total(const struct log_input *input);

#endif
