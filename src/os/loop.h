/* SPDX-License-Identifier: MIT
 *
 * loop: who has something for this thread?
 *
 * One epoll for each thread, level-triggered: what was not read or written shows again in the next
 * turn, so nothing is lost when a turn is cut short. Other threads reach this one by loop_post().
 * A loop belongs to one thread; only loop_post() may be called by all. */
#ifndef WEIR_OS_LOOP_H
#define WEIR_OS_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    LOOP_EVENTS_MAX = 256, /* in one turn; the rest shows in the next */
};

enum loop_interest {
    LOOP_NOTHING = 0, /* only that it is broken */
    LOOP_READ    = 1,
    LOOP_WRITE   = 2,
    LOOP_SHARED  = 4, /* wake one of the loops that watch this descriptor and not all: a listener */
};

struct loop_event {
    void    *owner; /* as given to loop_add(); NULL: a posted word */
    uint64_t word;
    bool     is_readable;
    bool     is_writable;
    bool is_broken; /* the other side is gone for both directions; shown whatever the interest */
};

struct loop {
    int epoll;
    int post_in; /* the pipe that loop_post() writes to */
    int post_out;
};

/* False: the system has no descriptor or memory left. */
bool loop_open(struct loop *loop);
void loop_close(struct loop *loop);

/* `owner` is not NULL; it comes back with each event. False: the system has no room for it. */
bool loop_add(struct loop *loop, int descriptor, unsigned interest, void *owner);
void loop_change(struct loop *loop, int descriptor, unsigned interest, void *owner);
void loop_remove(struct loop *loop, int descriptor);

/* Waits until something happens or `timeout_ns` have passed (UINT64_MAX: for ever; rounded up to a
 * millisecond). Returns how many of `events` were filled in. */
size_t loop_wait(struct loop *loop, struct loop_event events[LOOP_EVENTS_MAX], uint64_t timeout_ns);

/* Makes `word` an event of the loop; any thread. False: thousands are waiting there already. */
bool loop_post(struct loop *loop, uint64_t word);

#endif
