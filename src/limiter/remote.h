/* SPDX-License-Identifier: MIT
 *
 * remote: the public questions, asked of a fleet.
 *
 * Checks requests, names users, maps answers; what limiter.h is for a table. Times are of clock_now_ns(). */
#ifndef WEIR_LIMITER_REMOTE_H
#define WEIR_LIMITER_REMOTE_H

#include <weir.h>

#include "base/hash.h"
#include "limiter/fleet.h"

struct remote;

/* Borrows the store until remote_close(). NULL: no memory, no thread, no entropy. */
struct remote *remote_open(struct store *store, const struct fleet_options *options,
                           struct hash_secret secret);

/* Gives back what is in hand, which takes wait_ns at most. Then the store may be closed. */
void remote_close(struct remote *r, uint64_t wait_ns);

/* As the weir_* functions of the same name. */
bool        remote_allow(struct remote *r, const char *user, size_t user_bytes, uint64_t limit,
                         int64_t window_ns);
weir_status remote_decide(struct remote *r, const weir_request *request, weir_decision *decision);
bool        remote_decide_async(struct remote *r, const weir_request *request, weir_ticket *ticket);
weir_status remote_decide_many(struct remote *r, const weir_request *requests, size_t count,
                               weir_decision *decisions);
weir_status remote_decide_all(struct remote *r, const weir_request *requests, size_t count,
                              weir_decision *decisions);
weir_status remote_reset(struct remote *r, const weir_request *request);

/* Which of the store's shards decides this; 0 where none does. */
uint32_t remote_shard_of(struct remote *r, const weir_request *request);

void remote_stats(struct remote *r, weir_statistics *statistics);

#endif
