/* SPDX-License-Identifier: MIT
 *
 * replace: how does a new file take the place of an old one, at once or not at all? */
#ifndef WEIR_STORE_EMBEDDED_REPLACE_H
#define WEIR_STORE_EMBEDDED_REPLACE_H

#include <weir.h>

/* Gives the nameless file `fd`, which is on the disk, the name `path`, which another has: first it gets
 * the name `path` + `suffix`, which is then renamed. Who is killed in between leaves the old file as it
 * was and at most that name, which the next call takes away. False: `error` says why, and `path` is as
 * it was. */
bool replace_file(const char *path, const char *suffix, int fd, weir_error *error);

#endif
