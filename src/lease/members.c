/* SPDX-License-Identifier: MIT
 *
 * members: fencing the dead, so that their claims are free again.
 *
 *     Let X's last beat that was done be b, begun at the real time s. Whoever fences X saw b, at some
 *     time after s, and nothing else for V after that by its own clock: for V / (1 + rho) of real time
 *     at least. X uses what it has claimed until V (1 - rho) / (1 + rho) after s by its own clock: for V
 *     / (1 + rho) of real time at most. So when a fence is done X has stopped; and no beat is done after
 *     it. Who sees the fence, and waits a hold from then, ignores X's claims a window after X's last
 *     use.
 *
 * It would not do to watch the beat and not fence: one that nobody has seen yet may be done, and X go
 * on. Nor to fence whatever the beat: X may have gone on since it was seen. Beats that come late, when a
 * later one is done, change nothing. That the beat is read as it is when the look begins, or later, is
 * needed only so that the living are not fenced: a fence of an old beat fails.
 *
 * Who begins later sees a fence and not how old it is. But if the record says that somebody had known it
 * for T by its clock, it was done T / (1 + rho) before that was written at least: also if that one had a
 * part of T from a record in its turn. So T counts as waited: what is added from then on is by one's own
 * clock, and the sum as good as if one clock had shown it. A date that comes late, or replaces a later one,
 * says less than is true. One of the living writes it, at V and at each doubling: so to whoever begins a
 * fence is half as old as it is at least, if somebody lives who has seen it begin.
 *
 * A name is joined once. What makes its record is sent within V of when that was first sent, and while the
 * record is there, which is for hours, it is not made again. (What was surely not executed makes none, then
 * or later, and does not count as sent: so who cannot reach the store at all keeps its name.) So no fence is
 * followed by a record of the same name that is not fenced. Without that bound, who could not reach the store
 * for longer than records are kept might find neither its record nor its fence, and join once more; and would
 * not count for those who know the fence. They would take that back, too, when they see it live: but not
 * before.
 *
 * The version that stands still, and the wait on the observer's own clock, are those of the lock client of
 * DynamoDB (Amazon, 2017); fencing is Gray and Cheriton's expiry turned round (SOSP, 1989). */
#include "lease/members.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

#define PPM UINT64_C(1000000)

enum {
    RETRIES_A_BEAT = 4,
    RENAME_BEATS   = 32, /* the longest wait between two names */
    DATED_PART =
        4, /* of the time that a record is kept: no claim counts for longer (CLAIM_KEEP_HOLDS) */
};

static void members_plan(struct members *m);

void members_begin(struct members *m, const struct members_options *options, uint64_t id,
                   uint64_t now_ns) {
    REQUIRE(options->beat_ns > 0);
    REQUIRE(options->valid_ns >= 2 * options->beat_ns);
    *m = (struct members){
        .options = *options, .id = id, .beats_at_ns = now_ns, .looks_at_ns = now_ns};
    members_plan(m);
}

void members_rejoin(struct members *m, uint64_t id, uint64_t now_ns) {
    m->id             = id;
    m->beat           = 0;
    m->is_joined      = false;
    m->is_seen        = false;
    m->is_fenced      = false;
    m->valid_until_ns = 0;
    m->is_beating = m->is_looking = m->is_fencing = m->is_dating = false;
    m->beats_at_ns                                               = now_ns + m->rename_wait_ns;
    m->looks_at_ns                                               = now_ns;
    /* Each may leave a record for hours, where joins are done and the answers come too late. */
    uint64_t longest_ns = RENAME_BEATS * m->options.beat_ns;
    m->rename_wait_ns   = between(m->options.beat_ns, 2 * m->rename_wait_ns, longest_ns);
    members_plan(m);
}

/* ---- what is to be done ---- */

static uint64_t member_fences_at_ns(const struct members *m, const struct member *other) {
    return other->is_fenced ? UINT64_MAX : other->changed_ns + m->options.valid_ns;
}

static uint64_t member_fenced_for_ns(const struct member *other, uint64_t now_ns) {
    return (uint64_t)((int64_t)now_ns - other->fenced_ns);
}

/* Until it is too old to matter. */
static uint64_t member_dates_at_ns(const struct members *m, const struct member *other) {
    if (!other->is_fenced || other->dated_ns >= other->keep_ns / DATED_PART) return UINT64_MAX;
    uint64_t age_ns = larger(m->options.valid_ns, 2 * other->dated_ns);
    int64_t  at_ns  = other->fenced_ns + (int64_t)age_ns;
    return at_ns > 0 ? (uint64_t)at_ns : 0;
}

/* How long somebody has lived, in powers of two: so coarse that those who began together agree, although each
 * has seen the others' beats a little late. */
static unsigned beats_age(uint64_t beats) {
    unsigned age = 0;
    while (beats >>= 1) age++;
    return age;
}

/* Of the living, for one date is enough: of those who have lived longest, and know most, the one with the
 * least id. Two may believe that they are it, or nobody for a while; that harms nobody. */
static bool members_is_first(const struct members *m) {
    unsigned own_age = beats_age(m->beat);
    for (uint32_t i = 0; i < m->count; i++) {
        const struct member *other = &m->others[i];
        unsigned             age   = beats_age(other->beat);
        if (other->is_fenced || age < own_age) continue;
        if (age > own_age || other->id < m->id) return false;
    }
    return true;
}

/* After whatever changes what is known of the others: so that not all are looked at in each turn. */
static void members_plan(struct members *m) {
    bool is_first   = members_is_first(m);
    m->fences_at_ns = m->dates_at_ns = UINT64_MAX;
    for (uint32_t i = 0; i < m->count; i++) {
        const struct member *other = &m->others[i];
        m->fences_at_ns            = smaller(m->fences_at_ns, member_fences_at_ns(m, other));
        if (is_first) m->dates_at_ns = smaller(m->dates_at_ns, member_dates_at_ns(m, other));
    }
    m->dates_at_ns = larger(m->dates_at_ns, m->dates_from_ns);
}

/* Where it is, or belongs. */
static uint32_t members_place(const struct members *m, uint64_t id) {
    uint32_t from = 0, until = m->count;
    while (from < until) {
        uint32_t middle = from + (until - from) / 2;
        if (m->others[middle].id < id)
            from = middle + 1;
        else
            until = middle;
    }
    return from;
}

/* Each begins with those that come after it: of many who see many dead not all fence the same one. */
static struct member *members_to_fence(struct members *m, uint64_t now_ns) {
    if (m->is_fencing || now_ns < m->fences_at_ns) return NULL;
    uint32_t first = members_place(m, m->id);
    for (uint32_t i = 0; i < m->count; i++) {
        struct member *other = &m->others[(first + i) % m->count];
        if (now_ns >= member_fences_at_ns(m, other)) return other;
    }
    return NULL;
}

static struct member *members_to_date(struct members *m, uint64_t now_ns) {
    if (m->is_dating || now_ns < m->dates_at_ns) return NULL;
    for (uint32_t i = 0; i < m->count; i++)
        if (now_ns >= member_dates_at_ns(m, &m->others[i])) return &m->others[i];
    return NULL;
}

bool members_is_over(const struct members *m, uint64_t now_ns) {
    bool may_have_joined = m->beat > 0 && !m->is_joined && !m->is_beating;
    return m->is_fenced || (may_have_joined && now_ns >= m->join_ns + m->options.valid_ns);
}

bool members_poll(struct members *m, uint64_t now_ns, struct members_errand *errand) {
    if (members_is_over(m, now_ns)) return false;
    if (!m->is_beating && now_ns >= m->beats_at_ns) {
        if (m->beat == 0) m->join_ns = now_ns;
        m->is_beating   = true;
        m->beat_sent_ns = now_ns;
        m->beat++;
        *errand = (struct members_errand){.act     = m->is_joined ? MEMBERS_BEAT : MEMBERS_JOIN,
                                          .id      = m->id,
                                          .beat    = m->beat,
                                          .keep_ns = m->keep_ns};
        return true;
    }
    if (!m->is_looking && now_ns >= m->looks_at_ns) {
        m->is_looking = true;
        *errand       = (struct members_errand){.act = MEMBERS_LOOK};
        return true;
    }
    struct member *dead = members_to_fence(m, now_ns);
    if (dead != NULL) {
        m->is_fencing = true;
        m->fencing_id = dead->id;
        dead->keep_ns = larger(dead->keep_ns, m->keep_ns); /* it may have claimed since its beat */
        *errand       = (struct members_errand){
                  .act = MEMBERS_FENCE, .id = dead->id, .beat = dead->beat, .keep_ns = dead->keep_ns};
        return true;
    }
    dead = members_to_date(m, now_ns);
    if (dead == NULL) return false;
    m->is_dating   = true;
    dead->dated_ns = member_fenced_for_ns(dead, now_ns); /* or the next look tells that it is not */
    *errand        = (struct members_errand){.act           = MEMBERS_DATE,
                                             .id            = dead->id,
                                             .beat          = dead->beat,
                                             .keep_ns       = dead->keep_ns,
                                             .fenced_for_ns = dead->dated_ns};
    return true;
}

uint64_t members_next_ns(const struct members *m) {
    if (m->is_fenced) return UINT64_MAX;
    uint64_t next_ns = UINT64_MAX;
    if (!m->is_beating) next_ns = smaller(next_ns, m->beats_at_ns);
    if (!m->is_looking) next_ns = smaller(next_ns, m->looks_at_ns);
    if (!m->is_fencing) next_ns = smaller(next_ns, m->fences_at_ns);
    if (!m->is_dating) next_ns = smaller(next_ns, m->dates_at_ns);
    return next_ns;
}

/* ---- beats ---- */

void members_beaten(struct members *m, enum members_fate fate, uint64_t now_ns) {
    m->is_beating = false;
    switch (fate) {
    case MEMBERS_DONE: {
        uint64_t rho      = m->options.clock_error_ppm;
        uint64_t valid_ns = m->options.valid_ns / (PPM + rho) * (PPM - rho);
        m->is_joined      = true;
        m->rename_wait_ns = 0;
        m->valid_until_ns = larger(m->valid_until_ns, m->beat_sent_ns + valid_ns);
        m->beats_at_ns    = m->beat_sent_ns + m->options.beat_ns;
        break;
    }
    case MEMBERS_NOT_DONE:
        if (m->is_joined)
            m->is_fenced = true;
        else /* a join of before has been done, or will the next beat tell */
            m->beats_at_ns = now_ns;
        m->is_joined = true;
        break;
    case MEMBERS_NOT_SENT:
    case MEMBERS_UNKNOWN:
        if (fate == MEMBERS_NOT_SENT && !m->is_joined)
            m->beat--;              /* as if none had been asked for */
        m->is_joined |= m->is_seen; /* one was done, then: so it goes on, and beats */
        m->beats_at_ns = now_ns + m->options.beat_ns / RETRIES_A_BEAT;
        break;
    }
}

/* ---- the others ---- */

static const struct member *members_know(const struct members *m, uint64_t id) {
    uint32_t place = members_place(m, id);
    return place < m->count && m->others[place].id == id ? &m->others[place] : NULL;
}

/* The same, to be changed. */
static struct member *members_find(struct members *m, uint64_t id) {
    const struct member *known = members_know(m, id);
    return known != NULL ? &m->others[known - m->others] : NULL;
}

/* NULL: there is no room. Its claims count: members_count(). */
static struct member *members_add(struct members *m, uint64_t id) {
    if (m->count == MEMBERS_MAX) return NULL;
    uint32_t place = members_place(m, id);
    memmove(&m->others[place + 1], &m->others[place], (m->count - place) * sizeof m->others[0]);
    m->count++;
    m->others[place] = (struct member){.id = id};
    return &m->others[place];
}

/* Its fence was done by then; or by when it is known to have been already. */
static void member_is_gone(struct member *other, int64_t by_ns) {
    if (!other->is_fenced || by_ns < other->fenced_ns) other->fenced_ns = by_ns;
    other->is_fenced = true;
}

static void members_see(struct members *m, const struct members_record *record, uint64_t now_ns) {
    struct member *other  = members_find(m, record->id);
    bool           is_new = other == NULL;
    if (is_new) other = members_add(m, record->id);
    if (other == NULL) return;
    other->keep_ns = larger(other->keep_ns, record->keep_ns);
    if (is_new || record->beat != other->beat) {
        other->beat       = record->beat;
        other->changed_ns = now_ns;
    }
    /* Whatever was known before: who is said to live counts. */
    if (!record->is_fenced) {
        other->is_fenced = false;
        return;
    }
    member_is_gone(other, (int64_t)now_ns - (int64_t)record->fenced_for_ns);
    other->dated_ns = record->fenced_for_ns;
}

/* Whoever is not among the records any more was dead for so long that they have expired; its claims
 * expired before. */
static void members_forget(struct members *m, const struct members_record *records,
                           uint32_t count) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < m->count; i++) m->others[i].is_there = false;
    for (uint32_t i = 0; i < count; i++) {
        struct member *other = members_find(m, records[i].id);
        if (other != NULL) other->is_there = true;
    }
    for (uint32_t i = 0; i < m->count; i++)
        if (m->others[i].is_there) m->others[kept++] = m->others[i];
    m->count = kept;
}

void members_looked(struct members *m, const struct members_record *records, uint32_t count,
                    uint64_t now_ns) {
    m->is_looking  = false;
    m->looks_at_ns = now_ns + m->options.beat_ns / (records == NULL ? RETRIES_A_BEAT : 1);
    if (records == NULL) return;
    members_forget(m, records, count);
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].id == m->id)
            m->is_seen = true;
        else
            members_see(m, &records[i], now_ns);
    }
    members_plan(m);
}

void members_fenced(struct members *m, enum members_fate fate, uint64_t now_ns) {
    struct member *other = members_find(m, m->fencing_id);
    m->is_fencing        = false;
    if (other == NULL) return;
    if (fate == MEMBERS_DONE) {
        member_is_gone(other, (int64_t)now_ns);
    } else {
        other->changed_ns =
            now_ns; /* somebody else has fenced it, or it lives: the next look tells */
    }
    members_plan(m);
}

/* Dates are in no hurry: where none is done, others are not likely to be. */
void members_dated(struct members *m, enum members_fate fate, uint64_t now_ns) {
    m->is_dating = false;
    if (fate != MEMBERS_DONE) m->dates_from_ns = now_ns + m->options.beat_ns;
    members_plan(m);
}

bool members_has_left(const struct members *m, uint64_t id) {
    const struct member *other = members_know(m, id);
    return other != NULL && other->is_fenced;
}

bool members_count(const struct members *m, uint64_t id, uint64_t hold_us, uint64_t now_ns) {
    const struct member *other = members_know(m, id);
    if (other == NULL || !other->is_fenced) return true;
    return (int64_t)now_ns < other->fenced_ns + (int64_t)(hold_us * 1000);
}
