/* SPDX-License-Identifier: MIT
 *
 * asked: who decides about the questions of decide.c?
 *
 * There are three, and each is linked to a program of its own: asked_weir.c asks weir through its public
 * functions alone, redis/asked_script.c has Redis run a script for each question, and
 * cassandra/asked_update.c has Cassandra do a conditional update for each. */
#ifndef WEIR_BENCH_DECIDE_ASKED_H
#define WEIR_BENCH_DECIDE_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir.h"

struct asked;

/* One question that is on its way. */
struct ask {
    void (*done)(struct ask *ask); /* set by the caller; on a thread of who is asked */
    void       *context;           /* the caller's */
    uint64_t    sent_ns;           /* the caller's */
    bool        is_allowed;
    bool        has_failed; /* nobody decided, or the fault policy did */
    weir_ticket ticket;     /* weir's */
};

/* Of each question; decide.c sets it before anybody is asked. */
extern uint64_t asked_deadline_ns;

extern const char asked_name[];

/* Ends the program if it cannot. `url` is kept. */
struct asked *asked_open(const char *url, uint64_t limit, uint64_t window_ns);
void          asked_close(struct asked *a);

/* Waits for the answer. */
void asked_wait(struct asked *a, const char *user, size_t user_bytes, struct ask *ask);

/* True: the answer is there. False: done() will be called, or was already. */
bool asked_begin(struct asked *a, const char *user, size_t user_bytes, struct ask *ask);

/* Prints what else is to be told, as members of a JSON object that begin with a comma. */
void asked_tell(struct asked *a);

#endif
