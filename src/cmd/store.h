/* SPDX-License-Identifier: MIT
 *
 * store: which store does a verb mean, and what is said if it cannot be had? */
#ifndef WEIR_CMD_STORE_H
#define WEIR_CMD_STORE_H

#include <stdbool.h>

#include <weir.h>

#include "os/file.h"

enum { STORE_NAME_BYTES_MAX = FILE_PATH_BYTES_MAX + 8 };

/* The environment variable WEIR_STORE, or file:, the default place. Not to be changed. */
const char *store_default(void);

/* As weir_open(). NULL: what is wrong was said, and the program is to end with *code. */
weir *store_open(const char *verb, const char *url, const weir_options *options, int *code);

/* The URL for people: with the whole path, so that file: alone becomes file:/var/lib/weir/limits.weir, and
 * without a login. */
const char *store_name(const char *url, char name[STORE_NAME_BYTES_MAX]);

/* The file that an operand names: a path, or a file: URL. NULL: that of store_default(). False: what is
 * wrong was said, and the program is to end with *code. */
bool store_file(const char *verb, const char *word, char found[FILE_PATH_BYTES_MAX], int *code);

/* What is said after a text about a store: `more`, or "" where the text names weir doctor itself. */
const char *store_doctor(const char *text, const char *more);

/* Says what went wrong, with bytes of a path made safe to show; returns the exit code. */
int store_complain(const char *verb, const weir_error *error);

#endif
