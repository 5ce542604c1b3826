/* SPDX-License-Identifier: MIT
 *
 * shortage: which users does a process miss permits of, since lately?
 *
 * Whoever keeps a claim that it does not use is to know when somebody else misses it (claim.h), and to ask
 * the store again and again whether somebody does would cost what keeping it saves. So each process tells
 * all others with the beats by which it says that it lives (members.h), which they read anyway: some names,
 * for some beats each. It is a hint: one that is lost costs time, and nothing else. Plain data. */
#ifndef WEIR_LEASE_SHORTAGE_H
#define WEIR_LEASE_SHORTAGE_H

#include <stdint.h>

enum {
    SHORTAGES_MAX  = 32, /* more at a time, and the oldest is not told any longer */
    SHORTAGE_BEATS = 3,  /* each is told by so many, or one less, since a look may miss one */
};

struct shortage_list {
    uint32_t count;
    uint64_t users[SHORTAGES_MAX]; /* as the driver numbers them; the oldest first */
};

struct shortages {
    struct shortage_list list;
    uint8_t              beats[SHORTAGES_MAX]; /* that are still to tell of each */
};

/* To be told by the next beats. Who is told of already is told anew. */
void shortage_add(struct shortages *s, uint64_t user);
/* A beat that told of them is done. */
void shortage_told(struct shortages *s);

#endif
