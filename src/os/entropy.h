/* SPDX-License-Identifier: MIT
 *
 * entropy: bytes that nobody can guess. */
#ifndef WEIR_OS_ENTROPY_H
#define WEIR_OS_ENTROPY_H

#include <stdbool.h>
#include <stddef.h>

/* Fills up to 256 bytes from the system's generator; false if it has none. */
bool entropy_fill(void *out, size_t bytes);

#endif
