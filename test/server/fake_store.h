/* SPDX-License-Identifier: MIT
 *
 * fake_store: a remote store for a server under test. It stands in for the library: whatever the server calls
 * of weir.h is here, so that the program links this and not src/api.
 *
 * A request whose user begins with "now" is answered at once; with "held", when the test says so; any other
 * after a random time up to delay_ns_max, on another thread, in whatever order that makes. The answer to
 * each depends on the request alone: an odd limit is allowed, and `remaining` is the limit; a user that has
 * "cut" in it is degraded. Only strict rules are known.
 *
 * While a ticket is out, nobody may change it: that is looked at when it is done. */
#ifndef WEIR_TEST_FAKE_STORE_H
#define WEIR_TEST_FAKE_STORE_H

#include <stdint.h>

#include <weir.h>

weir *fake_store_open(uint64_t delay_ns_max, uint64_t seed);
void  fake_store_close(weir *w); /* when no ticket is out */

/* Tickets that were asked for, resets and weir_stats() that were begun, resets that were made, and tickets
 * that are out now. */
uint64_t fake_store_asked(weir *w);
uint64_t fake_store_begun(weir *w);
uint64_t fake_store_resets(weir *w);
uint64_t fake_store_out(weir *w);
/* Tickets that were changed while they were out. */
uint64_t fake_store_changed(weir *w);

/* Resets and weir_stats() do not come to their end before the release. */
void fake_store_hold_acts(weir *w);
/* Answers those that are held, and all that come from now on. */
void fake_store_release(weir *w);

#endif
