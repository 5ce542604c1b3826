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
 * The version that stands still, and the wait on the observer's own clock, are those of the lock client of
 * DynamoDB (Amazon, 2017); fencing is Gray and Cheriton's expiry turned round (SOSP, 1989). */
#include "lease/members.h"

#include <stddef.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

#define PPM UINT64_C(1000000)

enum { RETRIES_A_BEAT = 4 };

void members_begin(struct members *m, const struct members_options *options, uint64_t id,
                   uint64_t now_ns) {
    REQUIRE(options->beat_ns > 0);
    REQUIRE(options->valid_ns >= 2 * options->beat_ns);
    *m = (struct members){
        .options = *options, .id = id, .beats_at_ns = now_ns, .looks_at_ns = now_ns};
}

void members_rejoin(struct members *m, uint64_t id, uint64_t now_ns) {
    m->id             = id;
    m->beat           = 0;
    m->is_joined      = false;
    m->is_fenced      = false;
    m->valid_until_ns = 0;
    m->is_beating = m->is_looking = m->is_fencing = false;
    m->beats_at_ns = m->looks_at_ns = now_ns;
}

/* ---- what is to be done ---- */

static struct member *members_to_fence(struct members *m, uint64_t now_ns) {
    if (m->is_fencing) return NULL;
    for (uint32_t i = 0; i < m->count; i++) {
        struct member *other = &m->others[i];
        if (!other->is_fenced && now_ns >= other->changed_ns + m->options.valid_ns) return other;
    }
    return NULL;
}

bool members_poll(struct members *m, uint64_t now_ns, struct members_errand *errand) {
    if (m->is_fenced) return false;
    if (!m->is_beating && now_ns >= m->beats_at_ns) {
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
    if (dead == NULL) return false;
    m->is_fencing = true;
    m->fencing_id = dead->id;
    *errand       = (struct members_errand){
              .act     = MEMBERS_FENCE,
              .id      = dead->id,
              .beat    = dead->beat,
              .keep_ns = larger(dead->keep_ns, m->keep_ns)}; /* it may have claimed since its beat */
    return true;
}

uint64_t members_next_ns(const struct members *m) {
    if (m->is_fenced) return UINT64_MAX;
    uint64_t next_ns = UINT64_MAX;
    if (!m->is_beating) next_ns = smaller(next_ns, m->beats_at_ns);
    if (!m->is_looking) next_ns = smaller(next_ns, m->looks_at_ns);
    for (uint32_t i = 0; i < m->count && !m->is_fencing; i++) {
        const struct member *other = &m->others[i];
        if (!other->is_fenced) next_ns = smaller(next_ns, other->changed_ns + m->options.valid_ns);
    }
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
    case MEMBERS_UNKNOWN: m->beats_at_ns = now_ns + m->options.beat_ns / RETRIES_A_BEAT; break;
    }
}

/* ---- the others ---- */

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

static struct member *members_find(const struct members *m, uint64_t id) {
    uint32_t place = members_place(m, id);
    if (place == m->count || m->others[place].id != id) return NULL;
    return (struct member *)&m->others[place];
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
    if (record->is_fenced && !other->is_fenced) {
        other->is_fenced = true;
        other->fenced_ns = now_ns;
    }
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
    for (uint32_t i = 0; i < count; i++)
        if (records[i].id != m->id) members_see(m, &records[i], now_ns);
}

void members_fenced(struct members *m, enum members_fate fate, uint64_t now_ns) {
    struct member *other = members_find(m, m->fencing_id);
    m->is_fencing        = false;
    if (other == NULL) return;
    if (fate == MEMBERS_DONE) {
        other->is_fenced = true;
        other->fenced_ns = now_ns;
    } else {
        other->changed_ns =
            now_ns; /* somebody else has fenced it, or it lives: the next look tells */
    }
}

bool members_has_left(const struct members *m, uint64_t id) {
    const struct member *other = members_find(m, id);
    return other != NULL && other->is_fenced;
}

bool members_count(const struct members *m, uint64_t id, uint64_t hold_us, uint64_t now_ns) {
    const struct member *other = members_find(m, id);
    if (other == NULL || !other->is_fenced) return true;
    return now_ns < other->fenced_ns + hold_us * 1000;
}
