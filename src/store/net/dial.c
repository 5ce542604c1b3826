/* SPDX-License-Identifier: MIT */
#include "store/net/dial.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/contract.h"

static enum dial_outcome dial_fail(struct dial *dial, const char *problem) {
    (void)snprintf(dial->problem, sizeof dial->problem, "%s", problem);
    return DIAL_FAILED;
}

/* Tries the addresses from address_index on. */
static enum dial_outcome dial_connect(struct dial *dial) {
    for (; dial->address_index < dial->address_count; dial->address_index++) {
        int socket = socket_connect(&dial->addresses[dial->address_index], dial->problem);
        if (socket < 0) continue;
        if (!stream_open(&dial->stream, socket, dial->tls, dial->host.name)) {
            socket_close(socket);
            (void)dial_fail(dial, "out of memory");
            continue;
        }
        if (!loop_add(dial->loop, socket, LOOP_WRITE, dial->owner)) {
            stream_close(&dial->stream);
            (void)dial_fail(dial, "the system has no room to watch one more socket");
            continue;
        }
        dial->is_connecting = true;
        return DIAL_CONNECTING;
    }
    return DIAL_FAILED;
}

enum dial_outcome dial_begin(struct dial *dial) {
    REQUIRE(dial->lookup == NULL);
    REQUIRE(!dial->is_connecting);
    dial->address_index = 0;
    dial->address_count = 1;
    (void)dial_fail(dial, "it has no address");
    if (address_of_ip(dial->host.name, dial->host.port, &dial->addresses[0]))
        return dial_connect(dial);
    dial->lookup = malloc(sizeof *dial->lookup);
    if (dial->lookup != NULL &&
        lookup_start(dial->lookup, dial->loop, (uint64_t)(uintptr_t)dial->owner, dial->host.name,
                     dial->host.port))
        return DIAL_LOOKING_UP;
    free(dial->lookup);
    dial->lookup = NULL;
    return dial_fail(dial, "there is no memory or thread to look its name up");
}

enum dial_outcome dial_looked_up(struct dial *dial) {
    REQUIRE(dial->lookup != NULL);
    lookup_end(dial->lookup);
    memcpy(dial->problem, dial->lookup->problem, sizeof dial->problem);
    dial->address_count = dial->lookup->address_count;
    memcpy(dial->addresses, dial->lookup->addresses, sizeof dial->addresses);
    free(dial->lookup);
    dial->lookup = NULL;
    return dial_connect(dial);
}

/* The address that was tried is none. */
static enum dial_outcome dial_next(struct dial *dial) {
    dial_cancel(dial);
    dial->address_index++;
    return dial_connect(dial);
}

enum dial_outcome dial_react(struct dial *dial) {
    REQUIRE(dial->is_connecting);
    if (!socket_connected(dial->stream.socket, dial->problem)) return dial_next(dial);
    dial->is_connecting = false;
    return DIAL_DONE;
}

enum dial_outcome dial_give_up(struct dial *dial) {
    (void)dial_fail(dial, "nobody answers there in time");
    return dial_next(dial);
}

void dial_cancel(struct dial *dial) {
    if (dial->lookup != NULL) {
        lookup_end(dial->lookup);
        free(dial->lookup);
        dial->lookup = NULL;
    }
    if (dial->is_connecting) {
        loop_remove(dial->loop, dial->stream.socket);
        stream_close(&dial->stream);
        dial->is_connecting = false;
    }
}

const char *dial_text(const struct dial *dial) {
    return dial->lookup != NULL ? "its name is still being looked up"
                                : "it does not take the connection";
}

const char *dial_silence_text(const struct dial *dial) {
    return dial->tls != NULL ? "it takes the connection, but does not answer; is TLS spoken there?"
                             : "it takes the connection, but does not answer";
}
