/* SPDX-License-Identifier: MIT */
#include "server/connection.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/socket.h"

enum {
    KEPT_ROOM_MORE  = 2048, /* beyond what is wanted, so that one read often takes the rest */
    BUFFER_ROOM_MAX = 1 << 30,
};

struct connection *connection_new(int socket, uint64_t id, uint64_t now_ns) {
    struct connection *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->socket   = socket;
    c->heard_ns = now_ns;
    c->session  = (struct session){.id = id, .started_ns = now_ns, .protocol = 2};
    return c;
}

void connection_free(struct connection *c) {
    free(c->kept);
    free(c->owed);
    free(c);
}

/* ---- kept ---- */

static bool kept_reserve(struct connection *c, size_t room) {
    if (room <= c->kept_room) return true;
    INVARIANT(room <= BUFFER_ROOM_MAX);
    char *kept = realloc(c->kept, room);
    if (kept == NULL) return false;
    c->kept      = kept;
    c->kept_room = (uint32_t)room;
    return true;
}

bool connection_keep(struct connection *c, const char *data, size_t bytes, size_t wanted) {
    if (!kept_reserve(c, bytes)) return false;
    memcpy(c->kept, data, bytes);
    c->kept_bytes  = (uint32_t)bytes;
    c->kept_wanted = (uint32_t)wanted;
    return true;
}

char *connection_kept_room(struct connection *c, size_t *room) {
    size_t wanted = c->kept_wanted > c->kept_bytes ? c->kept_wanted : c->kept_bytes;
    if (!kept_reserve(c, wanted + KEPT_ROOM_MORE)) return NULL;
    *room = c->kept_room - c->kept_bytes;
    return c->kept + c->kept_bytes;
}

void connection_forget_kept(struct connection *c) {
    free(c->kept);
    c->kept       = NULL;
    c->kept_bytes = c->kept_room = c->kept_wanted = 0;
}

/* ---- owed ---- */

static bool owe(struct connection *c, const char *data, size_t bytes) {
    size_t end = c->owed_bytes + bytes;
    INVARIANT(end <= BUFFER_ROOM_MAX);
    if (end > c->owed_room) {
        char *owed = realloc(c->owed, end);
        if (owed == NULL) return false;
        c->owed      = owed;
        c->owed_room = (uint32_t)end;
    }
    memcpy(c->owed + c->owed_bytes, data, bytes);
    c->owed_bytes = (uint32_t)end;
    return true;
}

bool connection_write(struct connection *c, const char *data, size_t bytes) {
    size_t taken = 0;
    if (!connection_owes(c)) {
        enum socket_outcome outcome = socket_write(c->socket, data, bytes, &taken);
        if (outcome == SOCKET_DONE) return true;
        if (outcome != SOCKET_WAIT) return false;
    }
    return owe(c, data + taken, bytes - taken);
}

bool connection_flush(struct connection *c) {
    size_t              taken = 0;
    enum socket_outcome outcome =
        socket_write(c->socket, c->owed + c->owed_from, c->owed_bytes - c->owed_from, &taken);
    c->owed_from += (uint32_t)taken;
    if (outcome == SOCKET_WAIT) return true;
    if (outcome != SOCKET_DONE) return false;
    free(c->owed);
    c->owed      = NULL;
    c->owed_from = c->owed_bytes = c->owed_room = 0;
    return true;
}
