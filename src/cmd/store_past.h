/* SPDX-License-Identifier: MIT
 *
 * store_past: what is said of a store that does not know all that was granted? */
#ifndef WEIR_CMD_STORE_PAST_H
#define WEIR_CMD_STORE_PAST_H

#include <stdbool.h>

#include "store/redis/lease_store.h"

enum { STORE_PAST_BYTES_MAX = 256 };

/* The rest of a sentence about the store: "does not know what was granted before the last 2h: limits ...".
 * False: it knows all. */
bool store_past_write(const struct lease_past *past, char out[STORE_PAST_BYTES_MAX]);

/* Whether it knows enough for most limits: a day. */
bool store_past_is_fair(const struct lease_past *past);

/* Whether a store has lost something of what it knew before; while it does not, it knows ever more, though by
 * how much is not certain: its clock stands still while nobody asks. */
bool store_past_is_shorter(const struct lease_past *past, const struct lease_past *before);

#endif
