/* SPDX-License-Identifier: MIT
 *
 * session: what a peer has said about itself and how it wants to be answered. */
#ifndef WEIR_SERVER_SESSION_H
#define WEIR_SERVER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SESSION_NAME_BYTES_MAX = 63,
};

enum session_silence {
    SESSION_ANSWERS,   /* as ever */
    SESSION_SKIPS_ONE, /* CLIENT REPLY SKIP was just said: the next command is not answered */
    SESSION_SKIPPING,  /* this command is that one */
    SESSION_IS_SILENT, /* CLIENT REPLY OFF */
};

struct errand;

struct session {
    uint64_t             id;         /* unique in this server, from 1 */
    uint64_t             started_ns; /* on the server's clock */
    uint8_t              protocol;   /* 2 or 3 */
    enum session_silence silence;
    bool                 is_leaving; /* it is told what is due, then closed; no more is read */
    struct errand       *errand;     /* what it waits for at the store; NULL: nothing */
    char                 name[SESSION_NAME_BYTES_MAX + 1]; /* CLIENT SETNAME; empty: none */
};

#endif
