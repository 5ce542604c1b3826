/* SPDX-License-Identifier: MIT
 *
 * claim: announced first, then looked at what others have announced, then used.
 *
 *     raise    the greater claim is written; when that is done, the rows of all are read; used is what fits
 *              beside the others' claims, and what does not fit is written down again
 *     lower    a smaller claim is in force here from before its write begins, and never below what is live
 *
 * Strict. Let u_i be what process i may use at a real instant x. Of all raises in force at x let j's be
 * the one whose write was done last. j's read began after that, so of every other i it read the write
 * that i's raise in force came by, or a later one. A later one lowers: then i used no more from before
 * it was written. Or it raises: then it was done after j's, so it is not in force at x. So what j read
 * of i was u_i at least, and j uses no more than what is left beside all: the sum of all u_i is within
 * the limit. At x every permit used in (x - W, x] is live in its process's account, which keeps live
 * within u_i (account.c), or was used by a process that claims no longer count of (members.c). So at
 * most limit permits were used in (x - W, x].
 *
 * Nothing is said of how long writes and reads take, nor of clocks but for their rates. A write of unknown
 * outcome may be read by others, or not: it is believed to be there when it harms (told), and not used.
 *
 * Demarcation (Barbara and Garcia-Molina, VLDB Journal 1994) has the same two rules, lower before and raise
 * after; flags that are raised before the others' are looked at are Lamport's and Dijkstra's.
 *
 * What is claimed stays: permits that age out are granted again here, without a word to anybody. So a
 * fleet with a steady demand comes to rest. What was not used for a while is lowered: soon, if that may be
 * missed; and if most of the limit is free, only after several holds, so that who asks now and then finds
 * what it claimed for the last time. Who could use more than it claims writes its demand, and all others
 * hear that it does (shortage.h); who claims more than its part (1/nodes) also looks from time to time
 * whether others miss some. Both then let permits go as they age out, until shares are as demands are. */
#include "lease/claim.h"

#include <stddef.h>

#include "base/contract.h"
#include "base/range.h"
#include "base/wide.h"

#define MILLISECOND  UINT64_C(1000000)
#define SECOND       UINT64_C(1000000000)
#define FRESH_NS_MIN (20 * MILLISECOND)
#define MISSED_NS    SECOND       /* a denial is of now for so long */
#define SAID_NS      (4 * SECOND) /* who goes on missing some says so again after that */
#define ROOMY_NS_MIN (2 * SECOND) /* a shorter hold is over before anybody hears of it */

/* Parts of the hold. */
enum {
    PERIODS_A_HOLD       = 32,
    TIGHT_PERIODS_A_HOLD = 128,
    LOOKS_A_HOLD         = 64, /* by who was denied */
    WATCHES_A_HOLD       = 8,  /* by who has more than its part */
    RETRIES_A_HOLD       = 256,
    UNKNOWN_PART         = 4, /* a denial for others' claims says to come back then */
};

enum {
    IDLE_PART       = 4,  /* of what is usable: less is not worth a write */
    TIGHT_IDLE_PART = 32, /* the same where others may miss it */
    TIGHT_PART      = 8,  /* of the limit: so little is free there */
    ROOMY_PART      = 4,  /* of the limit: no more is claimed, so what is idle is not missed */
    ROOMY_HOLDS     = 8,  /* so long is a period then */
    UNFAIR_PART     = 32, /* of the limit: by so much a share may be unfair */
    RENEW_PART      = 4,  /* of the time that rows are kept: written anew */
    KEEP_PART       = 2,  /* of that: not used any more */
};

/* What others claim, and what they could use. */
struct claims {
    uint64_t permits, demand;
    uint64_t own_number;
    uint64_t resets, own_resets, numbers; /* the greatest of each */
    bool     misses;                      /* somebody could use more than it claims */
};

/* One of so many parts of the hold, from 20 ms to 1 s. */
static uint64_t part_ns(const struct claim *c, uint64_t parts) {
    return between(20 * MILLISECOND, c->hold_us * 1000 / parts, SECOND);
}

/* So long as what was used before KEEP_PART of it counts, and with half of the rest and an hour to spare for
 * a store whose own clocks step. */
static uint64_t keep_ns(const struct claim *c) {
    return larger(CLAIM_KEEP_S_MIN * SECOND, CLAIM_KEEP_HOLDS * c->hold_us * 1000);
}

void claim_process_begin(struct claim_process *p, const struct members_options *options,
                         uint64_t nodes, uint64_t id, uint64_t now_ns) {
    p->nodes = larger(nodes, 1);
    members_begin(&p->members, options, id, now_ns);
    store_clock_begin(&p->clock, now_ns / 1000, true);
}

void claim_process_rejoin(struct claim_process *p, uint64_t id, uint64_t now_ns) {
    members_rejoin(&p->members, id, now_ns);
    p->resets_until_ns = 0; /* rows of the old name stay as they are */
}

void claim_begin(struct claim *c, struct account *account) {
    *account = (struct account){0};
    *c       = (struct claim){.account = account};
}

bool claim_is_idle(const struct claim *c, const struct claim_process *p, uint64_t now_ns) {
    return c->usable == 0 && c->told == 0 && c->out == CLAIM_NOTHING && !c->must_read &&
           (!c->complains || p->is_crowded) && c->resets.begun_ns == 0 &&
           account_live(c->account, now_ns / 1000) == 0;
}

/* ---- what is in force here ---- */

static uint64_t claim_room(const struct claim *c) {
    return above(above(c->limit, c->others), c->usable);
}

static uint64_t claim_live(const struct claim *c, uint64_t now_ns) {
    return account_live(c->account, now_ns / 1000);
}

/* From now on, before anybody is told. */
static void claim_lower(struct claim *c, uint64_t permits) {
    c->usable  = smaller(c->usable, permits);
    c->ceiling = smaller(c->ceiling, c->usable);
}

/* Little was free when others' claims were read: what is idle here may be missed there. */
static bool claim_is_tight(const struct claim *c) {
    return c->has_read && claim_room(c) < c->limit / TIGHT_PART + 1;
}

/* Much was free: nobody is likely to miss soon what is idle here, and who does says so. */
static bool claim_is_roomy(const struct claim *c, const struct claim_process *p) {
    bool is_long = c->hold_us * 1000 >= ROOMY_NS_MIN;
    return is_long && c->has_read && !c->others_miss && !p->is_crowded &&
           c->others + c->usable <= c->limit / ROOMY_PART;
}

static uint64_t roomy_period_ns(const struct claim *c) {
    uint64_t usual_ns = part_ns(c, PERIODS_A_HOLD);
    /* It is let go after two periods in which it was not used, and so its row is renewed but once. */
    return larger(usual_ns, smaller(ROOMY_HOLDS * c->hold_us * 1000, keep_ns(c) / RENEW_PART / 4));
}

static uint64_t claim_period_ns(const struct claim *c, const struct claim_process *p) {
    if (claim_is_roomy(c, p)) return roomy_period_ns(c);
    return part_ns(c, claim_is_tight(c) ? TIGHT_PERIODS_A_HOLD : PERIODS_A_HOLD);
}

static void claim_end_period(struct claim *c, const struct claim_process *p, uint64_t now_ns,
                             uint64_t live) {
    bool     is_tight = claim_is_tight(c);
    uint64_t kept     = larger(c->peak, c->peak_before);
    if (above(c->usable, kept) > c->usable / (is_tight ? TIGHT_IDLE_PART : IDLE_PART))
        claim_lower(c, kept);
    c->peak_before    = c->peak;
    c->peak           = live;
    c->demand_before  = c->demand;
    c->demand         = 0;
    c->misses         = false;
    c->period_ends_ns = now_ns + claim_period_ns(c, p);
}

static void process_step(struct claim_process *p, uint64_t now_ns) {
    (void)store_clock_step(&p->clock, now_ns / 1000, LEASE_NUMBER_MAX / 2);
}

/* Lets go what has aged out and is not wanted here, or is missed elsewhere. */
static void claim_age(struct claim *c, const struct claim_process *p, uint64_t now_ns) {
    uint64_t live = claim_live(c, now_ns);
    c->peak       = larger(c->peak, live);
    /* A long one is over as soon as little is free. */
    c->period_ends_ns = smaller(c->period_ends_ns, now_ns + claim_period_ns(c, p));
    if (now_ns >= c->period_ends_ns) claim_end_period(c, p, now_ns, live);
    /* The row may have expired, and others have claimed what it said. Nothing of it is live: it was not used
     * for a hold. */
    if (now_ns >= c->wrote_ns + keep_ns(c) / KEEP_PART + c->hold_us * 1000) claim_lower(c, live);
    uint64_t kept = larger(c->ceiling, live);
    if (c->ceiling < c->usable && above(c->usable, kept) > c->limit / UNFAIR_PART)
        claim_lower(c, kept);
}

static void claim_forget_wish(struct claim *c) { c->need = c->want = 0; }

void claim_give_up(struct claim *c) {
    if (c->need > 0) claim_forget_wish(c);
}

bool claim_tells_shortage(struct claim *c, uint64_t now_ns) {
    bool row_says_so = c->out != CLAIM_WRITE && c->demand_told > c->target;
    bool is_missed   = c->missed_ns != 0 && now_ns < c->missed_ns + MISSED_NS;
    bool is_news     = c->said_ns == 0 || now_ns >= c->said_ns + SAID_NS;
    if (!is_missed || !row_says_so || !is_news) return false;
    c->said_ns = now_ns;
    return true;
}

void claim_hear_shortage(struct claim *c, const struct claim_process *p) {
    if (c->usable > 0 && claim_is_roomy(c, p)) c->must_look = true;
}

void claim_let_go(struct claim *c, uint64_t now_ns) {
    claim_forget_wish(c);
    claim_lower(c, claim_live(c, now_ns));
}

/* ---- requests ---- */

static uint64_t claim_demand(const struct claim *c) { return larger(c->demand, c->demand_before); }

/* Holders want what they need for half a term, or no more than what they need now. */
static void claim_note_demand(struct claim *c, const struct lease_request *q, uint64_t live) {
    uint64_t terms  = 2 * c->hold_us / larger(q->term_us, 1) + 1;
    uint128  many   = (uint128)q->want * terms;
    uint64_t ahead  = many < LIMIT_MAX ? (uint64_t)many : LIMIT_MAX;
    uint64_t demand = q->want > q->need ? ahead : live + q->want;
    c->demand       = larger(c->demand, smaller(demand, q->limit));
    c->is_asked     = true;
}

static void claim_set_limit(struct claim *c, const struct lease_request *q, uint64_t now_ns) {
    if (q->limit < c->limit)
        claim_lower(c, claim_live(c, now_ns)); /* the rest was claimed of a greater limit */
    c->limit = q->limit;
}

static bool claim_is_fresh(const struct claim *c, uint64_t now_ns) {
    return now_ns < c->fresh_until_ns;
}

/* Whether the store might help somebody who misses so many. */
static bool claim_is_worth_asking(const struct claim *c, uint64_t missing, uint64_t now_ns) {
    if (c->out != CLAIM_NOTHING || c->must_read || !claim_is_fresh(c, now_ns)) return true;
    return c->ceiling == c->usable && claim_room(c) >= missing;
}

/* Whether what is claimed may be used until a lease has ended that begins now. */
static bool claim_is_valid(const struct claim *c, const struct members *m, uint64_t term_us,
                           uint64_t now_ns) {
    uint64_t ends_ns = now_ns + term_us * 1000;
    if (m->is_fenced || ends_ns >= m->valid_until_ns || c->is_lost) return false;
    return c->usable == 0 || ends_ns < c->wrote_ns + keep_ns(c) / KEEP_PART;
}

/* Of what others are told to claim nothing can be had here. */
static void claim_look(const struct claim *c, const struct lease_request *q, uint64_t live,
                       struct lease_reply *reply) {
    uint64_t left = above(above(q->limit, c->others), live);
    if (q->need > 0 && q->need <= left) reply->retry_after_us = 0;
}

bool claim_serve(struct claim *c, struct claim_process *p, const struct lease_request *q,
                 uint64_t now_ns, struct lease_reply *reply) {
    bool is_acquire = q->id.sequence != 0, is_look = !is_acquire && q->need > 0;
    c->hold_us = larger(c->hold_us, q->hold_us);
    claim_age(c, p, now_ns);
    if (!q->is_reset) claim_set_limit(c, q, now_ns); /* a reset has none */

    uint64_t live = claim_live(c, now_ns), free = above(c->ceiling, live);
    if (is_look && q->need > free && !claim_is_fresh(c, now_ns)) {
        c->must_look = true;
        return false;
    }
    if (is_acquire && q->need <= q->limit) {
        /* Holders repeat what is not answered soon, and several repeats may have waited for one errand:
         * what the first was granted is what the others are about. */
        bool is_repeated = account_has_granted(c->account, q->id);
        bool fits        = is_repeated || q->need <= free;
        if (!is_repeated) claim_note_demand(c, q, live);
        if (fits && !claim_is_valid(c, &p->members, q->term_us, now_ns)) return false;
        if (!fits && claim_is_worth_asking(c, q->need - free, now_ns)) {
            c->need = q->need;
            c->want = q->want;
            return false;
        }
        c->misses |= !fits;
        if (!fits) c->missed_ns = now_ns;
    }

    /* Reports may make room in the account, so that what did not fit does: not for a claim that has ended. */
    struct lease_request own = *q;
    bool is_over             = is_acquire && !claim_is_valid(c, &p->members, q->term_us, now_ns);
    own.limit                = is_over ? 0 : smaller(q->limit, c->ceiling);
    own.rewind_us            = 0; /* no clock of ours runs ahead of the holder's: they are one */
    process_step(p, now_ns);
    account_serve(c->account, &p->clock, &own, reply);
    live    = claim_live(c, now_ns);
    c->peak = larger(c->peak, live);
    if (is_acquire && reply->granted > 0 && reply->granted < q->want) c->want = q->want;
    if (is_look) claim_look(c, q, live, reply);
    if (reply->retry_after_us == LEASE_NEVER && q->need <= q->limit)
        reply->retry_after_us = c->hold_us / UNKNOWN_PART + 1;
    reply->free          = above(above(q->limit, c->others), live);
    reply->is_replicated = true;
    return true;
}

void claim_process_serve(struct claim_process *p, uint64_t now_ns, struct lease_reply *reply) {
    process_step(p, now_ns);
    *reply = (struct lease_reply){.store_us      = p->clock.now_us,
                                  .era_us        = p->clock.era_us,
                                  .generation    = p->clock.generation,
                                  .grants        = p->clock.grants,
                                  .is_replicated = true};
}

/* ---- resets ----
 *
 * A reset has a number, and the row of whoever made it says so for as long as it is there. It is greater
 * than all that is in the rows of a read which began after it was asked for. Who reads of a greater one than
 * it knows of forgets what was used before its last read that did not show it.
 *
 * Nothing is forgotten that was used after the reset had been told (a quorum has the row): a read that begins
 * later than that shows it, or a greater one, as long as the row is there, since a row never says less than
 * it did. Who has a new memory of a user, under the same name, might write a row that says less: so it reads
 * its row before it writes (resets_until_ns). Nobody else tells of a reset: or it would be seen, go with the
 * row that says so, and come back with that of another who remembers it.
 *
 * A row goes when it has expired, and then there may be replicas for a while that still show it, so that a
 * reset comes back which some did not know any more. It is of hours ago then. Who was there remembers it; who
 * begins later takes for known whatever is not above the number of its first write, and that is as much as
 * the wall clock shows. (If clocks are wrong by more than rows are kept this may forget too much, in that
 * while.)
 *
 * And a reset is not missed, however wrong clocks are: who has anything to forget has a row, which is read
 * before the reset is numbered; and the number of that row is above all resets that its process knows of: it
 * is written anew when one is read of. (Only if another is made before that write is done, and the row which
 * told of the first has just expired, too little may be forgotten.) */

/* The number of a write, above all resets that are known. */
static void resets_note_write(struct claim *c, struct claim_process *p, uint64_t now_ns) {
    struct claim_resets *r        = &c->resets;
    bool                 is_first = c->number == 0;
    c->number = p->number = larger(p->number, r->known) + 1;
    if (is_first) r->known = c->number;
    r->sent = r->made;
    if (r->made != 0)
        p->resets_until_ns = larger(p->resets_until_ns, now_ns + keep_ns(c) + keep_ns(c) / 2);
}

/* A write. */
static void resets_note_done(struct claim *c) {
    struct claim_resets *r = &c->resets;
    if (r->begun_ns == 0 || r->sent < r->made) return;
    account_forget_before(c->account, r->begun_ns / 1000); /* also if nobody waits any more */
    r->done_ns  = r->begun_ns;
    r->begun_ns = 0;
}

static void resets_note_rows(struct claim *c, const struct claims *read) {
    struct claim_resets *r = &c->resets;
    r->made                = larger(r->made, read->own_resets);
    r->seen                = larger(read->numbers, read->resets);
    if (read->resets <= r->known) return;
    r->known = read->resets;
    account_forget_before(c->account, c->read_ns / 1000);
}

/* One at a time: who asks while one is under way that was begun before waits for another. */
bool claim_reset(struct claim *c, struct claim_process *p, uint64_t asked_ns) {
    struct claim_resets *r = &c->resets;
    if (r->done_ns != 0 && asked_ns <= r->done_ns) return true;
    if (r->begun_ns != 0) return false;
    if (!c->has_read || c->read_ns < asked_ns) {
        c->must_look = true;
        return false;
    }
    r->made = r->known = p->number = larger(larger(r->known, r->seen), p->number) + 1;
    r->begun_ns                    = c->read_ns;
    return false;
}

/* ---- errands ---- */

/* Who could use more than it claims, and was denied nothing for so long as others keep what is idle, misses
 * none: sooner, and who wants much but seldom would find it kept each time. */
static uint64_t claim_unsays_ns(const struct claim *c) {
    return c->missed_ns + larger(c->hold_us * 1000, 2 * roomy_period_ns(c));
}

static bool claim_misses(const struct claim *c, uint64_t now_ns) {
    return c->missed_ns != 0 && now_ns < claim_unsays_ns(c);
}

static bool claim_read(struct claim *c, uint64_t now_ns, struct claim_errand *errand) {
    c->out     = CLAIM_READ;
    c->sent_ns = now_ns;
    *errand    = (struct claim_errand){.act = CLAIM_READ, .number = c->number};
    return true;
}

/* Or reads first, if the row that it would replace may tell of a reset. */
static bool claim_write(struct claim *c, struct claim_process *p, uint64_t permits, uint64_t now_ns,
                        struct claim_errand *errand) {
    if (!c->has_read && now_ns < p->resets_until_ns) return claim_read(c, now_ns, errand);
    c->out         = CLAIM_WRITE;
    c->is_raise    = permits > c->usable;
    c->target      = permits;
    c->sent_ns     = now_ns;
    c->demand_told = claim_demand(c);
    if (!claim_misses(c, now_ns)) c->demand_told = smaller(c->demand_told, permits);
    c->complains |= c->demand_told > permits; /* whenever it is done, if it is */
    resets_note_write(c, p, now_ns);
    p->members.keep_ns = larger(p->members.keep_ns, keep_ns(c));
    *errand            = (struct claim_errand){.act     = CLAIM_WRITE,
                                               .number  = c->number,
                                               .permits = permits,
                                               .demand  = c->demand_told,
                                               .resets  = c->resets.made,
                                               .keep_ns = keep_ns(c)};
    return true;
}

/* Who is not may have been given up so long ago that its record has expired; and who is not known counts for
 * as long as its rows are there. So it does not claim more, nor write its row anew, until it knows. */
static bool process_is_alive(const struct claim_process *p, uint64_t now_ns) {
    return now_ns < p->members.valid_until_ns;
}

/* Tries to have what a request waits for, and half of what is free at most beyond that, so that others
 * find some. */
static bool claim_ask_more(struct claim *c, struct claim_process *p, uint64_t now_ns,
                           struct claim_errand *errand) {
    uint64_t free    = above(c->ceiling, claim_live(c, now_ns));
    uint64_t missing = above(c->need, free), wanted = above(c->want, free);
    uint64_t room     = claim_room(c);
    bool     is_fresh = claim_is_fresh(c, now_ns);
    if (wanted > 0 && c->ceiling == c->usable && room >= larger(missing, 1)) {
        if (!process_is_alive(p, now_ns)) return false; /* the wish stays */
        uint64_t grow = c->want > c->need ? larger(wanted, c->usable / 2) : wanted;
        grow          = smaller(grow, larger(missing, room / 2));
        if (grow > 0) return claim_write(c, p, c->usable + grow, now_ns, errand);
    } else if (wanted > 0 && !is_fresh) {
        return claim_read(c, now_ns, errand);
    }
    claim_forget_wish(c);
    return false;
}

/* Others learn that this one misses some, or less than it did. It was denied in this period, and no period is
 * longer than half of what it takes to unsay it. */
static bool claim_must_tell(const struct claim *c, uint64_t now_ns) {
    uint64_t demand = claim_demand(c);
    if (!c->misses || demand <= c->usable) return false;
    if (c->demand_told <= c->usable) return true;
    bool differs = demand > c->demand_told + c->demand_told / 4 || demand < c->demand_told / 2;
    return differs && now_ns >= c->wrote_ns + part_ns(c, WATCHES_A_HOLD);
}

/* Whether the row must be written though nobody misses or frees any. */
static bool claim_must_renew(const struct claim *c, uint64_t now_ns) {
    if (c->resets.begun_ns != 0) return true;
    if (c->usable == 0) return false;
    return c->is_lost || c->done_number < c->resets.known || /* see resets, above */
           now_ns >= c->wrote_ns + keep_ns(c) / RENEW_PART;
}

static bool claim_must_unsay(const struct claim *c, uint64_t now_ns) {
    return c->complains && !claim_misses(c, now_ns);
}

bool claim_poll(struct claim *c, struct claim_process *p, uint64_t now_ns,
                struct claim_errand *errand) {
    if (c->out != CLAIM_NOTHING || now_ns < c->retry_at_ns) return false;
    if (!p->members.is_joined || p->members.is_fenced) return false;
    claim_age(c, p, now_ns);
    if (c->must_read) return claim_read(c, now_ns, errand);
    if (c->told > c->usable) return claim_write(c, p, c->usable, now_ns, errand);
    if (c->must_look) return claim_read(c, now_ns, errand);
    if (c->want > 0 && claim_ask_more(c, p, now_ns, errand)) return true;
    bool is_alive = process_is_alive(p, now_ns);
    if (is_alive && claim_must_unsay(c, now_ns))
        return claim_write(c, p, c->usable, now_ns, errand);
    if (claim_must_renew(c, now_ns)) {
        if (is_alive) return claim_write(c, p, c->usable, now_ns, errand);
        c->retry_at_ns = now_ns + SECOND;
        return false;
    }
    if (is_alive && claim_must_tell(c, now_ns)) return claim_write(c, p, c->usable, now_ns, errand);
    bool is_large = c->usable > c->limit / p->nodes && !claim_is_roomy(c, p);
    if (is_large && c->is_asked && now_ns >= c->read_ns + part_ns(c, WATCHES_A_HOLD))
        return claim_read(c, now_ns, errand);
    return false;
}

uint64_t claim_next_ns(const struct claim *c, uint64_t now_ns) {
    if (c->out != CLAIM_NOTHING) return UINT64_MAX;
    if (now_ns < c->retry_at_ns) return c->retry_at_ns;
    uint64_t next_ns = UINT64_MAX;
    if (c->usable > 0) next_ns = larger(now_ns + 1, c->period_ends_ns);
    if (c->usable > 0) next_ns = smaller(next_ns, c->wrote_ns + keep_ns(c) / RENEW_PART);
    if (c->ceiling < c->usable) next_ns = smaller(next_ns, now_ns + part_ns(c, LOOKS_A_HOLD));
    /* Who has not done that yet waits until it is alive. */
    uint64_t unsays_ns = claim_unsays_ns(c);
    if (now_ns >= unsays_ns) unsays_ns = now_ns + SECOND;
    if (c->complains) next_ns = smaller(next_ns, unsays_ns);
    return next_ns;
}

static void claim_fail(struct claim *c, uint64_t now_ns) {
    c->must_read   = false;
    c->is_raise    = false;
    c->retry_at_ns = now_ns + part_ns(c, RETRIES_A_HOLD);
}

void claim_written(struct claim *c, enum claim_fate fate, uint64_t now_ns) {
    REQUIRE(c->out == CLAIM_WRITE);
    c->out = CLAIM_NOTHING;
    if (fate == CLAIM_DONE) {
        c->told      = c->target;
        c->complains = c->demand_told > c->target;
        if (!c->complains) c->said_ns = 0; /* the next shortage is another one */
        c->done_number = c->number;
        c->wrote_ns    = c->sent_ns;
        c->must_read   = c->is_raise || c->is_lost;
        resets_note_done(c);
        return;
    }
    if (fate == CLAIM_UNKNOWN) c->told = larger(c->told, c->target);
    c->demand_told = 0; /* nobody may have been told: it is told again */
    claim_fail(c, now_ns);
}

static struct claims claims_sum(const struct claim *c, const struct members *m,
                                const struct claim_row *rows, uint32_t count, uint64_t now_ns) {
    struct claims sum = {0};
    for (uint32_t i = 0; i < count; i++) {
        const struct claim_row *row = &rows[i];
        if (larger(row->number, row->resets) <= CLAIM_NUMBER_MAX) {
            sum.resets  = larger(sum.resets, row->resets); /* also of the dead */
            sum.numbers = larger(sum.numbers, row->number);
        }
        if (row->id == m->id) {
            sum.own_number = row->number;
            sum.own_resets = row->resets;
            continue;
        }
        if (!members_count(m, row->id, c->hold_us, now_ns)) continue;
        /* Who has left holds what it claimed for a while, and misses nothing. */
        bool     has_left = members_has_left(m, row->id);
        uint64_t demand   = has_left ? row->permits : larger(row->demand, row->permits);
        sum.permits       = smaller(sum.permits + row->permits, LIMIT_MAX);
        sum.demand        = smaller(sum.demand + demand, LIMIT_MAX);
        sum.misses |= demand > row->permits;
    }
    return sum;
}

bool claim_has_read(struct claim *c, struct claim_process *p, const struct claim_row *rows,
                    uint32_t count, uint64_t now_ns) {
    REQUIRE(c->out == CLAIM_READ);
    c->out = CLAIM_NOTHING;
    claim_age(c, p, now_ns);
    if (rows == NULL) {
        claim_fail(c, now_ns);
        return true;
    }
    struct claims sum    = claims_sum(c, &p->members, rows, count, now_ns);
    bool          lost   = sum.own_number < c->done_number;
    uint64_t      fits   = smaller(c->target, above(c->limit, sum.permits));
    bool          raised = c->must_read && !lost && fits > c->usable;
    if (raised) c->usable = fits;
    resets_note_rows(c, &sum);
    /* Meanwhile others may have claimed what this one's row did not say. */
    if (c->is_lost && !lost && c->must_read)
        claim_lower(c, larger(above(c->limit, sum.permits), claim_live(c, now_ns)));
    c->is_lost = lost || (c->is_lost && !c->must_read);
    /* A row that was written anew is not there either: whoever deleted it has a clock that is ahead. */
    if (lost && c->must_read) c->retry_at_ns = now_ns + part_ns(c, RETRIES_A_HOLD);
    c->must_read = false;
    c->must_look = false;
    c->is_raise  = false;
    c->is_asked  = false;
    c->has_read  = true;
    c->read_ns   = c->sent_ns;
    /* However long the read took: or a slow store would be asked for ever and nobody be denied. */
    c->fresh_until_ns = larger(c->sent_ns + part_ns(c, LOOKS_A_HOLD), now_ns + FRESH_NS_MIN);
    c->others         = sum.permits;
    c->others_miss    = sum.misses;
    claim_forget_wish(c);

    uint64_t mine      = larger(claim_demand(c), 1);
    uint64_t fair      = (uint64_t)((uint128)c->limit * mine / (mine + sum.demand));
    bool     is_unfair = sum.misses && above(c->usable, fair) > c->limit / UNFAIR_PART;
    c->ceiling         = is_unfair && !raised ? fair : c->usable; /* what was raised is used once */
    return !lost;
}
