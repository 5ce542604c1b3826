/* SPDX-License-Identifier: MIT */
#include "os/entropy.h"

#include <sys/random.h>

bool entropy_fill(void *out, size_t bytes) { return getrandom(out, bytes, 0) == (ssize_t)bytes; }
