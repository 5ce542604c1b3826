/* SPDX-License-Identifier: MIT
 *
 * lease_words: a request of a lease as lease.lua reads it, and its reply. Pure. */
#ifndef WEIR_STORE_REDIS_LEASE_WORDS_H
#define WEIR_STORE_REDIS_LEASE_WORDS_H

#include <stdbool.h>
#include <stddef.h>

#include "lease/message.h"

struct redisReply; /* <hiredis/hiredis.h> */

enum {
    LEASE_WORDS_FIXED = 12, /* of a request; see ARGV in lease.lua */
    LEASE_WORDS_MAX   = LEASE_WORDS_FIXED + LEASE_REPORTS_MAX * (5 + 2 * LEASE_USES_MAX),

    /* A word takes 9 bytes at most, and the array a head of 3. */
    LEASE_WORDS_BYTES_MAX = 3 + 9 * LEASE_WORDS_MAX,
};

/* Writes the request, which must be sound, as an array of MessagePack; returns its bytes. */
size_t lease_words_write(const struct lease_request *q, char out[LEASE_WORDS_BYTES_MAX]);

/* Reads what the script answered to `q`; all but sent_ns and is_replicated. False: no script of ours says
 * that. */
bool lease_words_read(const struct lease_request *q, const struct redisReply *said,
                      struct lease_reply *reply);

#endif
