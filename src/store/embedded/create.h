/* SPDX-License-Identifier: MIT
 *
 * create: how does a file come to be, whole or not at all? */
#ifndef WEIR_STORE_EMBEDDED_CREATE_H
#define WEIR_STORE_EMBEDDED_CREATE_H

#include "store/embedded/embedded.h"

/* The most bytes that a file of these rules can get. */
uint64_t create_file_bytes(const struct format_rules *rules);

/* Creates the file that the options ask for. True also if somebody else did meanwhile. */
bool create_file(const char *path, const struct embedded_options *o, weir_error *error);

/* Makes a file of these rules that goes on from this era, with nobody in it and without a name, in the
 * folder of `path`. */
bool create_nameless(const char *path, const struct format_rules *rules,
                     const struct format_era *era, int *fd, weir_error *error);

#endif
