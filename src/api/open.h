/* SPDX-License-Identifier: MIT
 *
 * open: what did weir_open() open? For the programs of this repository, which ask the limiter itself:
 * weir serve brings its own batches and its own reading of the clock. */
#ifndef WEIR_API_OPEN_H
#define WEIR_API_OPEN_H

#include <stdbool.h>
#include <stddef.h>

#include <weir.h>

struct lease_past;
struct limiter;

/* Lives as long as `w`. NULL: the store is remote. */
struct limiter *open_limiter(weir *w);

/* Whether decisions may need a trip to another machine: weir_decide() may wait then, and weir_decide_async()
 * may answer later. */
bool open_is_remote(const weir *w);

/* Whether it is a remote store that can forget what was granted: open_ask() says how far back it knows. */
bool open_has_past(const weir *w);

/* Asks a remote store whether it answers, and is as this version makes it, and how far back it knows what
 * was granted (lease_store_past(); UINT64_MAX where nobody can lose that). Waits until deadline_ns at most,
 * or for four of the URL's round trips if that is longer. False: `problem` says what is wrong and where,
 * without a password. */
enum { OPEN_PROBLEM_BYTES_MAX = 640 };
bool open_ask(weir *w, uint64_t deadline_ns, struct lease_past *past,
              char problem[OPEN_PROBLEM_BYTES_MAX]);

/* The same, but for the past: of a Cluster's parts that of the one that decides the request. */
bool open_ask_about(weir *w, const weir_request *request, uint64_t deadline_ns,
                    struct lease_past *past, char problem[OPEN_PROBLEM_BYTES_MAX]);

/* Whether it is for want of a past that a remote store has denied this just now: it would have denied
 * everybody. `past` was asked about this request, after
 * the decision. */
bool open_wants_past(const weir *w, const weir_request *request, const weir_decision *decision,
                     const struct lease_past *past);

/* What has gone wrong with a remote store of late, as store/store.h tells it; "": nothing. */
void open_trouble(weir *w, char *out, size_t room);

#endif
