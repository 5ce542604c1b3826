/* SPDX-License-Identifier: MIT
 *
 * seeds: which programs have found something before? */
#ifndef WEIR_TEST_SEEDS_H
#define WEIR_TEST_SEEDS_H

#include <stddef.h>
#include <stdint.h>

enum { SEEDS_MAX = 1000 };

/* Reads the lines of seeds.txt that begin with `program` into `seeds`, which has room for SEEDS_MAX;
 * returns how many. A file that is missing or has a line that is not understood fails the test. */
size_t seeds_read(const char *program, uint64_t *seeds);

/* How much work a build may do: 1, or a share of it under a sanitizer. */
uint64_t seeds_share(uint64_t work);

#endif
