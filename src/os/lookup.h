/* SPDX-License-Identifier: MIT
 *
 * lookup: which addresses has a name?
 *
 * The system's resolver can only be asked by waiting, for seconds if the network is bad. So each lookup
 * has a thread of its own, and its end shows as a posted word of the loop that asked. */
#ifndef WEIR_OS_LOOKUP_H
#define WEIR_OS_LOOKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "os/loop.h"
#include "os/socket.h"
#include "os/thread.h"

enum {
    LOOKUP_NAME_BYTES_MAX = 256, /* NUL included */
    LOOKUP_ADDRESSES_MAX  = 8,
};

struct lookup {
    struct thread  thread;
    struct loop   *loop;
    uint64_t       word;
    char           name[LOOKUP_NAME_BYTES_MAX];
    uint16_t       port;
    struct address addresses[LOOKUP_ADDRESSES_MAX]; /* in the order in which to try them */
    unsigned       address_count;                   /* 0: `problem` says why */
    char           problem[SOCKET_PROBLEM_BYTES_MAX];
};

/* Asks; `word` is posted to `loop` when the answer is there, and lookup_end() must follow. False: the
 * system has no room for a thread. The caller keeps `lookup` in place until lookup_end(). */
bool lookup_start(struct lookup *lookup, struct loop *loop, uint64_t word, const char *name,
                  uint16_t port);

/* Waits for the answer, if it is not there yet. */
void lookup_end(struct lookup *lookup);

#endif
