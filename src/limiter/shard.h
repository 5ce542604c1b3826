/* SPDX-License-Identifier: MIT
 *
 * shard: is a shard's clock to be believed, is it kept going, does the store answer at all? See
 * shard.c. Plain data; one thread at a time. */
#ifndef WEIR_LIMITER_SHARD_H
#define WEIR_LIMITER_SHARD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/random.h"
#include "lease/terms.h"
#include "lease/watch.h"

enum {
    SHARD_WATCHES    = 4, /* one for each tolerance */
    SHARD_MISSES_MAX = 3, /* in a row; then the shard is cut off */
};

struct shard_watches {
    uint64_t clock_error_ppm;
    uint64_t tolerance_ns[SHARD_WATCHES]; /* ascending */
};

struct shard {
    struct watch  watches[SHARD_WATCHES];
    struct random random;
    uint64_t      clamp_ns;

    uint64_t contact_ns;    /* how often it is contacted at least; 0: it need not be */
    uint64_t used_until_ns; /* by rules of ours, the quickest of which has set contact_ns */
    uint64_t owed_until_ns; /* by rules of anybody; UINT64_MAX: the store has not said yet */
    uint64_t contacted_ns;  /* when something was last sent */
    uint64_t era_seen_us, grants_seen; /* as those of a request, of all accounts together */
    uint64_t era_lost_us; /* eras up to here are lost, and the store has it down so; 0: none */
    uint64_t rewind_us, generation; /* for the next beat; 0: none */

    uint32_t misses;
    uint64_t missed_ns; /* when the last of them was noted */
    bool     is_probed; /* cut off, and a beat is out to see whether it is still so */
    uint32_t probes;    /* since a trip of an account was last answered */
    uint64_t probe_ns;  /* when the next one goes */
};

/* Chooses tolerances for a fleet whose rules are made with `options`. */
void shard_watches_choose(struct shard_watches *watches, const struct lease_options *options);

/* As lease_terms_make(), with a tolerance that there is a watch for; which, is returned. */
uint32_t shard_terms_make(const struct shard_watches *watches, uint64_t limit, uint64_t window_ns,
                          const struct lease_options *options, struct lease_terms *terms);

void shard_begin(struct shard *s, const struct shard_watches *watches, uint64_t clamp_ns,
                 uint64_t seed);

/* A trip of an account goes out. Is it a contact: does it step the clock as soon as it comes there? */
void shard_use(struct shard *s, const struct lease_terms *terms, bool is_contact, uint64_t now_ns);

/* A trip has come back: answered, or not. */
void shard_note(struct shard *s, bool is_beat, bool is_answered, uint64_t sent_ns, uint64_t now_ns);

/* Shows a reply to all watches but `except`, whose own it was: SHARD_WATCHES: to all. `told_us`: the era that
 * its request told of. */
void shard_see(struct shard *s, uint64_t told_us, const struct lease_reply *reply, uint32_t except,
               uint64_t now_ns);

/* A beat was answered: permits of the shard, whoever has them, still count for so long on the store's clock,
 * so beats go on. */
void shard_owe(struct shard *s, uint64_t owed_us, uint64_t now_ns);

/* Tells the store of the newest era and grants that any account has seen, but of no era that it knows to be
 * lost. */
void shard_tell_seen(const struct shard *s, struct lease_request *request);

/* So many trips in a row were not answered that nobody is to wait for the next. */
static inline bool shard_is_cut(const struct shard *s) { return s->misses >= SHARD_MISSES_MAX; }

/* True: *beat is to be sent now. */
bool shard_poll(struct shard *s, uint64_t now_ns, struct lease_request *beat);

/* There was no trip for that beat. It comes again after a contact's time; a probe sooner. */
void shard_unsend(struct shard *s, uint64_t now_ns);

/* When shard_poll() may have something next; UINT64_MAX: not before something else happens. */
uint64_t shard_next_ns(const struct shard *s);

#endif
