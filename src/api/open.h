/* SPDX-License-Identifier: MIT
 *
 * open: what did weir_open() open? For the programs of this repository, which ask the limiter itself:
 * weir serve brings its own batches and its own reading of the clock. */
#ifndef WEIR_API_OPEN_H
#define WEIR_API_OPEN_H

#include <weir.h>

struct limiter;

/* Lives as long as `w`. NULL: a store that many hosts share, which only the functions of weir.h know. */
struct limiter *open_limiter(weir *w);
bool            open_is_remote(const weir *w);

#endif
