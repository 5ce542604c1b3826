/* SPDX-License-Identifier: MIT
 *
 * members: which processes of a fleet are alive, and from when on does a claim of one that is not count no
 * more? See members.c.
 *
 * A machine without hands, as the holder is: the driver has the clock and the way to a store that can do
 * one thing atomically, to change a member's record if a condition holds (Cassandra: a conditional update,
 * "LWT"):
 *
 *     member     id         of the process: 63 random bits, drawn when its memory begins (start, fork)
 *                beat       how often it has said that it lives
 *                is_fenced  it may not say so any more
 *                shortages  users of whom it misses permits (shortage.h)
 *                fenced_for how long ago it was fenced at least, when that was written; 0: it was not
 *                keep       how long the store keeps the record after it was written last: as long as the
 *                           claims of this member at least, since claims of who is not known count
 *
 *     errand     MEMBERS_JOIN    makes the record of `id` if there is none
 *                MEMBERS_BEAT    sets `beat` of `id` if it is not fenced and its beat is smaller
 *                MEMBERS_LOOK    reads all records, no older than they were when it began
 *                MEMBERS_FENCE   fences `id` if it is not fenced and its beat is still `beat`
 *                MEMBERS_DATE    sets `fenced_for` of `id` if it is fenced, at this beat. The record is
 *                                written anew, and expires when it would have
 *
 * No two clocks are compared: whoever beats may use what it has claimed until `valid` after the start of its
 * last beat that was done, by its own clock; who has seen the same beat for so long, by its own clock, fences
 * it; and who sees a member fenced waits a window more. For those who begin later, and would wait as long,
 * one of the living writes down for how long it has known of the fence. One thread at a time. Times are as in
 * holder.h. */
#ifndef WEIR_LEASE_MEMBERS_H
#define WEIR_LEASE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "lease/shortage.h"

enum { MEMBERS_MAX = 2048 }; /* that are known at a time, with those that are dead: see keep_ns */

struct members_options {
    uint64_t clock_error_ppm; /* as in struct lease_terms */
    uint64_t beat_ns;         /* from one beat to the next */
    uint64_t valid_ns;        /* how long a beat is good for; several beats */
};

struct member {
    uint64_t id;
    uint64_t beat;
    uint64_t keep_ns;
    uint64_t changed_ns; /* when another beat was seen than before */
    bool     is_fenced;
    bool     is_there;  /* among the records that were read last */
    int64_t  fenced_ns; /* it was by then, which may be from before this clock began */
    uint64_t dated_ns;  /* fenced_for of its record */
};

struct members {
    struct members_options options;
    uint64_t               id;
    uint64_t               beat; /* 0: no JOIN of this id may have been executed */
    uint64_t      keep_ns;       /* the driver may raise it: as long as claims are kept at least */
    bool          is_joined;
    bool          is_seen;        /* its record was there when it looked */
    uint64_t      rename_wait_ns; /* before it joins under the next name */
    bool          is_fenced;      /* others believe that this one is dead: begin a new memory */
    uint64_t      valid_until_ns; /* what is claimed may be used before this */
    bool          is_beating, is_looking, is_fencing, is_dating; /* errands that are out */
    uint64_t      fencing_id;
    uint64_t      beats_at_ns, looks_at_ns, beat_sent_ns;
    uint64_t      join_ns; /* when the first one of this id was sent that may have been executed */
    uint64_t      fences_at_ns, dates_at_ns; /* when the first of the others is due */
    uint64_t      dates_from_ns;             /* none before, after one that was not done */
    uint32_t      count;
    struct member others[MEMBERS_MAX]; /* by id */
};

enum members_act { MEMBERS_JOIN, MEMBERS_BEAT, MEMBERS_LOOK, MEMBERS_FENCE, MEMBERS_DATE };

struct members_errand {
    enum members_act     act;
    uint64_t             id, beat;
    uint64_t             keep_ns;       /* all but LOOK: with this the record is written */
    uint64_t             fenced_for_ns; /* DATE: the record is kept for so much less than keep_ns */
    struct shortage_list shortages;     /* BEAT: the driver's to fill in */
};

enum members_fate {
    MEMBERS_DONE,
    MEMBERS_NOT_DONE, /* and will not be: the condition does not hold */
    MEMBERS_NOT_SENT, /* and will not be: surely no server executed it. Nothing is known of the condition */
    MEMBERS_UNKNOWN, /* it may have been done, or may be yet */
};

struct members_record {
    uint64_t             id, beat;
    uint64_t             keep_ns;
    uint64_t             fenced_for_ns;
    bool                 is_fenced;
    struct shortage_list shortages; /* the driver's to look through */
};

void members_begin(struct members *m, const struct members_options *options, uint64_t id,
                   uint64_t now_ns);

/* To be asked before members_poll(). True: others gave it up, or may have given it up and forgotten that; it
 * does nothing any more until members_rejoin(). */
bool members_is_over(const struct members *m, uint64_t now_ns);

/* It goes on under another name. What it knows of the others it still knows. */
void members_rejoin(struct members *m, uint64_t id, uint64_t now_ns);

/* True: *errand is to be done; ask once more. The driver tells how it ended by one of the four below, within
 * its own deadline. */
bool members_poll(struct members *m, uint64_t now_ns, struct members_errand *errand);
/* When members_poll() may have something next if nothing else happens. */
uint64_t members_next_ns(const struct members *m);

/* A JOIN or BEAT has ended. */
void members_beaten(struct members *m, enum members_fate fate, uint64_t now_ns);
/* A LOOK has ended; `records` NULL: without an answer. */
void members_looked(struct members *m, const struct members_record *records, uint32_t count,
                    uint64_t now_ns);
/* A FENCE has ended. */
void members_fenced(struct members *m, enum members_fate fate, uint64_t now_ns);
/* A DATE has ended. What the record says now the next look tells. */
void members_dated(struct members *m, enum members_fate fate, uint64_t now_ns);

/* Whether `id` is known to have ended, or to have been fenced: it wants nothing any more. */
bool members_has_left(const struct members *m, uint64_t id);

/* Whether what `id` has claimed may still be in use, or was less than a hold ago (hold_us of struct
 * lease_terms). True of whoever is not known. */
bool members_count(const struct members *m, uint64_t id, uint64_t hold_us, uint64_t now_ns);

#endif
