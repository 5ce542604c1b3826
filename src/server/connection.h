/* SPDX-License-Identifier: MIT
 *
 * connection: a peer's socket, what it has said and not finished, and what it was told and has not
 * taken.
 *
 * An idle connection holds no buffer. Bytes are read into memory that all connections of a thread
 * share; only the tail of an unfinished request is kept, and only what a slow peer does not take is
 * owed. Both are bounded: a request by RESP_REQUEST_BYTES_MAX, and a peer to whom something is owed is
 * not read until it has taken all of it, so that it owes its own memory and not ours. Nor is one that waits
 * for the store (errand.h). */
#ifndef WEIR_SERVER_CONNECTION_H
#define WEIR_SERVER_CONNECTION_H

#include "server/protocol.h"

enum connection_phase {
    CONNECTION_TALKS,
    CONNECTION_LINGERS, /* it was told all, and that we are done; until it is done too, what it says
                           is thrown away. Closing at once would reset it, and what it was told last
                           would be lost with that. */
    CONNECTION_GONE,    /* closed; the memory goes at the end of the turn */
};

struct connection {
    struct session         session;
    const struct protocol *protocol; /* NULL until the first bytes */
    struct connection     *older;    /* on its thread's list, by when it was last heard */
    struct connection     *newer;
    uint64_t               heard_ns;
    char                  *kept; /* read, and not yet a whole request */
    char                  *owed; /* to be written from owed_from on */
    uint32_t               kept_bytes, kept_room, kept_wanted;
    uint32_t               owed_from, owed_bytes, owed_room;
    int                    socket;
    uint8_t                phase; /* enum connection_phase */
    uint8_t                interest;
    bool is_choked; /* kept holds requests that wait until nothing is owed nor waited for */
};

struct connection *connection_new(int socket, uint64_t id, uint64_t now_ns);
/* Its socket must have been closed, and it must be on no list. */
void connection_free(struct connection *c);

/* Keeps the tail of what was read in place of what was kept before. False: there is no memory. */
bool connection_keep(struct connection *c, const char *data, size_t bytes, size_t wanted);
/* Room behind what is kept, for at least as much as is wanted; NULL: there is no memory. */
char *connection_kept_room(struct connection *c, size_t *room);
void  connection_forget_kept(struct connection *c);

/* Writes `data` behind what is owed. False: the connection is lost, or there is no memory for what
 * the peer does not take. */
bool connection_write(struct connection *c, const char *data, size_t bytes);
/* Writes what is owed, as far as the peer takes it. False: the connection is lost. */
bool connection_flush(struct connection *c);

/* Whether something that it asked is not decided yet. It is not read until it is. */
static inline bool connection_waits(const struct connection *c) {
    return c->session.errand != NULL;
}

static inline bool connection_owes(const struct connection *c) {
    return c->owed_bytes > c->owed_from;
}

#endif
