/* SPDX-License-Identifier: MIT
 *
 * place: which file does a file: URL name? */
#ifndef WEIR_API_PLACE_H
#define WEIR_API_PLACE_H

#include <stdbool.h>

#include <weir.h>

#include "os/file.h"

/* `path` is what follows "file:": a path; "//" and an absolute path; or nothing, for the default place,
 * whose folders are made if they are not there. False: `error` says why. */
bool place_of_file(const char *path, char found[FILE_PATH_BYTES_MAX], weir_error *error);

/* The same for those who only look: nothing is made. */
bool place_find_file(const char *path, char found[FILE_PATH_BYTES_MAX], weir_error *error);

#endif
