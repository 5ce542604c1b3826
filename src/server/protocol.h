/* SPDX-License-Identifier: MIT
 *
 * protocol: who understands the bytes of a connection?
 *
 * One port for all: the first bytes of a connection tell which protocol its peer speaks. A connection
 * owns the buffers and knows its protocol only through this table, so that another one joins by a line
 * in protocol.c. */
#ifndef WEIR_SERVER_PROTOCOL_H
#define WEIR_SERVER_PROTOCOL_H

#include "server/batch.h"

/* What became of bytes that were offered. */
struct intake {
    size_t bytes;        /* taken off the front */
    size_t bytes_wanted; /* the request that begins behind them has at least so many */
    bool   must_settle;  /* what follows can be taken only when the batch has been settled */
};

struct protocol {
    const char *name;

    /* Whether these are the first bytes of its kind; at least one is there. */
    bool (*recognises)(struct view first);

    /* Takes whole requests off the front of `data` into the batch, in order. Their views point into
     * `data`, which must hold until the batch is settled and may be changed in place. */
    struct intake (*consume)(struct batch *batch, struct session *session, void *peer, char *data,
                             size_t bytes);
};

const struct protocol *protocol_of(struct view first);

#endif
