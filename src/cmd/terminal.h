/* SPDX-License-Identifier: MIT
 *
 * terminal: how the program speaks to whoever called it, a person or a script.
 *
 * Answers go to stdout; complaints, and progress if it is a terminal, go to stderr. Bytes that came
 * from outside (users, file names) are shown by terminal_quote(), so that a log line cannot move the
 * cursor or change colours. */
#ifndef WEIR_CMD_TERMINAL_H
#define WEIR_CMD_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum {
    TERMINAL_QUOTE_BYTES_MAX = 256, /* room for terminal_quote(), NUL included */
    TERMINAL_COUNT_BYTES_MAX = 27,  /* room for terminal_count(), NUL included */
};

enum terminal_colour {
    TERMINAL_PLAIN, /* back to normal */
    TERMINAL_BOLD,
    TERMINAL_DIM,
    TERMINAL_RED,
    TERMINAL_GREEN,
    TERMINAL_YELLOW,
    TERMINAL_BLUE,
};

/* First of all in main(): a closed pipe is then an error of a write and no signal, and descriptors
 * 0, 1 and 2 are open, so that no file that is opened later gets their numbers. */
void terminal_begin(void);

/* The escape sequence, or "" if stdout is no terminal or NO_COLOR is set and not empty. */
const char *terminal_colour(enum terminal_colour colour);

bool terminal_is_terminal(void); /* stdout */
int  terminal_columns(void);     /* of stdout; COLUMNS or 80 where it is not told */
int  terminal_rows(void);        /* of stdout; 24 where it is not told */

/* "weir VERB: " and the message and a line feed, on stderr. Say what is wrong, with the value, and
 * what to do. An empty verb: "weir: ". */
void terminal_complain(const char *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What the last failed call said, for messages: "No such file or directory". Static, per thread. */
const char *terminal_error_text(int error);

/* A line on stderr that the next one overwrites; nothing if stderr is no terminal. Call it as often
 * as you like: it shows at most ten lines a second. terminal_progress_end() wipes it. */
void terminal_progress(const char *format, ...) __attribute__((format(printf, 1, 2)));
void terminal_progress_end(void);

/* Whether writing to stdout has failed, so that a long verb may stop early. */
bool terminal_is_gone(void);

/* Last of all in a verb: writes out what stdout still buffers. Returns `code`, also if the reader
 * has closed the pipe (it has what it wanted); COMMAND_TROUBLE, with a complaint, if stdout could
 * not be written otherwise (disk full). */
int terminal_finish(const char *verb, int code);

/* Bytes as text that is safe to show: printable UTF-8 as it is, everything else as \xNN, a backslash
 * as \\. Cut with "..." where `out` would be too small. Returns `out`. */
const char *terminal_quote(struct view bytes, char out[TERMINAL_QUOTE_BYTES_MAX]);

/* "1,234,567". Returns `out`. */
const char *terminal_count(uint64_t number, char out[TERMINAL_COUNT_BYTES_MAX]);

/* A json_sink_fn that writes to stdout. `context` is not looked at. */
bool terminal_json_sink(void *context, struct view bytes);

#endif
