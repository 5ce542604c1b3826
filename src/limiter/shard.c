/* SPDX-License-Identifier: MIT
 *
 * shard: what a node keeps of one shard of a store.
 *
 * Watches. A rule's margin covers four times the tolerance of the exchanges that verify the store's
 * clock (lease/watch.h). Rules with long windows can afford long exchanges, rules with short ones
 * cannot; with one tolerance for all, either the short ones would not be strict or the long ones would
 * refuse good grants. So there are four tolerances, each twice the one before, with a watch each; a
 * rule takes the largest that is not above its own. All watches see all exchanges. They look back as far
 * as the longest window that there may be: contacts that are older than a rule needs can only find
 * more, and a watch need not begin anew when a longer window comes along.
 *
 * Beats. While a rule is in use here, and for as long after as this node looks back for it, the shard is
 * contacted every contact_ns and every half of its clamp, at three quarters of that so that a late
 * thread does no harm. Any trip is a contact, but for one that the store may hold up (store.h). After
 * that the clock is kept going for the permits of all nodes that still count there: every half of the
 * clamp is enough for it, however quick a rule was that was in use here once. A node that has begun
 * knows nothing of these, so it asks each shard until it is answered: if all processes start anew, what
 * they gave before must age all the same.
 *
 * Lost eras. A clock that began anew on a server whose own is behind has an earlier era than the one that
 * accounts remember, and the store takes whoever tells of a later one for a witness of a past that it lost:
 * it grants nothing for a while. It is to be told once and not by one account after the other, whenever
 * each is asked for next, or it would never grant anything again. So what it was told of and has answered
 * is told no more, as long as its clock is the same.
 *
 * Cut off. After SHARD_MISSES_MAX misses in a row, each of a trip that was sent after the one before was
 * noted, no account makes a trip: of many that are out when a process is not run for a while all are
 * missed at the same instant, which says nothing of the store. Nor does what is so of one account alone
 * (store.h): it is no miss. Then one beat at a time probes, at first after some milliseconds, then at
 * times drawn from a range that doubles up to two seconds (full jitter: Brooker, "Exponential backoff and
 * jitter", 2015), so that a thousand nodes do not come back at one instant. A probe that is answered ends
 * it; but the range shrinks only when a trip of an account is answered, so that a store that answers beats
 * alone is not flooded. */
#include "limiter/shard.h"

#include "base/contract.h"
#include "base/range.h"

enum { CONTACT_NUM = 3, CONTACT_DEN = 4, PROBE_DOUBLINGS = 8 };

#define MILLISECOND    UINT64_C(1000000)
#define TOLERANCE_MAX  (100 * MILLISECOND)
#define CONTACT_NS_MIN MILLISECOND
#define PROBE_NS_MIN   MILLISECOND
#define PROBE_NS_FIRST (10 * MILLISECOND)
#define PROBE_NS_MAX   (2000 * MILLISECOND)

void shard_watches_choose(struct shard_watches *watches, const struct lease_options *options) {
    struct lease_terms terms;
    lease_terms_make(1, 1, options, &terms); /* the shortest window: the least tolerance */
    watches->clock_error_ppm = terms.clock_error_ppm;
    for (uint32_t i = 0; i < SHARD_WATCHES; i++)
        watches->tolerance_ns[i] =
            options->tolerance_ns != 0
                ? terms.tolerance_ns
                : larger(terms.tolerance_ns, smaller(terms.tolerance_ns << i, TOLERANCE_MAX));
}

uint32_t shard_terms_make(const struct shard_watches *watches, uint64_t limit, uint64_t window_ns,
                          const struct lease_options *options, struct lease_terms *terms) {
    lease_terms_make(limit, window_ns, options, terms);
    uint32_t which = SHARD_WATCHES - 1;
    while (which > 0 && watches->tolerance_ns[which] > terms->tolerance_ns) which--;

    struct lease_options own = *options;
    own.tolerance_ns         = watches->tolerance_ns[which];
    lease_terms_make(limit, window_ns, &own, terms);
    return which;
}

/* How often its clock must be stepped. */
static uint64_t shard_step_ns(const struct shard *s) {
    return larger(CONTACT_NS_MIN, s->clamp_ns / 2);
}

void shard_begin(struct shard *s, const struct shard_watches *watches, uint64_t clamp_ns,
                 uint64_t seed) {
    REQUIRE(clamp_ns > 0);
    *s = (struct shard){
        .clamp_ns = clamp_ns, .owed_until_ns = UINT64_MAX, .random = {.state = seed}};
    s->contact_ns = shard_step_ns(s);
    for (uint32_t i = 0; i < SHARD_WATCHES; i++)
        watch_begin(&s->watches[i], watches->clock_error_ppm, 2 * LIMIT_WINDOW_MAX,
                    watches->tolerance_ns[i]);
}

void shard_use(struct shard *s, const struct lease_terms *terms, bool is_contact, uint64_t now_ns) {
    uint64_t contact_ns = smaller(larger(CONTACT_NS_MIN, terms->contact_ns), shard_step_ns(s));
    s->contact_ns       = s->contact_ns == 0 ? contact_ns : smaller(s->contact_ns, contact_ns);
    s->used_until_ns    = larger(s->used_until_ns, now_ns + terms->span_ns);
    if (is_contact) s->contacted_ns = larger(s->contacted_ns, now_ns);
}

/* --- answers --------------------------------------------------------------------------------- */

static void shard_put_off_probe(struct shard *s, uint64_t now_ns) {
    uint64_t range_ns =
        smaller(PROBE_NS_FIRST << smaller(s->probes, PROBE_DOUBLINGS), PROBE_NS_MAX);
    s->probe_ns = now_ns + random_between(&s->random, PROBE_NS_MIN, range_ns);
}

void shard_note(struct shard *s, bool is_beat, bool is_answered, uint64_t sent_ns,
                uint64_t now_ns) {
    if (is_beat) s->is_probed = false;
    if (is_answered) {
        s->misses = 0;
        if (!is_beat) s->probes = 0;
        return;
    }
    bool was_cut = shard_is_cut(s);
    if (!was_cut && sent_ns >= s->missed_ns) {
        s->misses++;
        s->missed_ns = now_ns;
    }
    if (was_cut ? is_beat : shard_is_cut(s)) shard_put_off_probe(s, now_ns);
}

void shard_unsend(struct shard *s, uint64_t now_ns) {
    s->is_probed = false;
    s->probe_ns  = now_ns + PROBE_NS_FIRST;
}

void shard_see(struct shard *s, uint64_t told_us, const struct lease_reply *reply, uint32_t except,
               uint64_t now_ns) {
    if (reply->era_us != s->era_seen_us) {
        s->era_seen_us = reply->era_us;
        s->grants_seen = 0;
        s->era_lost_us = 0;
    }
    if (told_us > reply->era_us && reply->is_replicated)
        s->era_lost_us = larger(s->era_lost_us, told_us);
    if (reply->granted > 0 && reply->is_replicated)
        s->grants_seen = larger(s->grants_seen, reply->grants);
    for (uint32_t i = 0; i < SHARD_WATCHES; i++) {
        uint64_t ahead_us;
        if (i == except) continue;
        if (watch_take(&s->watches[i], reply, now_ns, &ahead_us) != WATCH_AHEAD) continue;
        s->rewind_us  = larger(s->rewind_us, ahead_us);
        s->generation = reply->generation;
    }
}

void shard_owe(struct shard *s, uint64_t owed_us, uint64_t now_ns) {
    if (s->owed_until_ns == UINT64_MAX) s->owed_until_ns = 0;
    if (owed_us == 0) return;
    uint64_t owed_ns = smaller(owed_us, LIMIT_NOW_MAX / 1000) * 1000;
    s->owed_until_ns = larger(s->owed_until_ns, now_ns + owed_ns + s->clamp_ns);
    if (s->contact_ns == 0) s->contact_ns = shard_step_ns(s);
}

void shard_tell_seen(const struct shard *s, struct lease_request *request) {
    bool is_later = request->era_seen_us > s->era_seen_us;
    if (is_later && request->era_seen_us > s->era_lost_us) return;
    bool is_same         = request->era_seen_us == s->era_seen_us;
    request->grants_seen = is_same ? larger(s->grants_seen, request->grants_seen) : s->grants_seen;
    request->era_seen_us = s->era_seen_us;
}

/* --- beats ----------------------------------------------------------------------------------- */

uint64_t shard_next_ns(const struct shard *s) {
    if (shard_is_cut(s)) return s->is_probed ? UINT64_MAX : s->probe_ns;
    if (s->contact_ns == 0) return UINT64_MAX;
    return s->rewind_us > 0 ? 0 : s->contacted_ns + s->contact_ns / CONTACT_DEN * CONTACT_NUM;
}

bool shard_poll(struct shard *s, uint64_t now_ns, struct lease_request *beat) {
    if (now_ns < shard_next_ns(s)) return false;
    if (shard_is_cut(s)) {
        s->is_probed = true;
        s->probes++;
    } else if (now_ns >= s->used_until_ns) {
        s->contact_ns = now_ns < s->owed_until_ns ? shard_step_ns(s) : 0;
        if (now_ns < shard_next_ns(s)) return false;
    }
    *beat           = (struct lease_request){.era_seen_us       = s->era_seen_us,
                                             .grants_seen       = s->grants_seen,
                                             .rewind_us         = s->rewind_us,
                                             .rewind_generation = s->generation};
    s->rewind_us    = 0;
    s->contacted_ns = now_ns;
    return true;
}
