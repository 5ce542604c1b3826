/* SPDX-License-Identifier: MIT
 *
 * dial: a stream to a host, by its name.
 *
 * The name is looked up each time, since it may have moved to another machine, and its addresses are tried
 * one after the other. Nothing here waits: each step returns what it came to. */
#ifndef WEIR_STORE_NET_DIAL_H
#define WEIR_STORE_NET_DIAL_H

#include "os/lookup.h"
#include "store/net/stream.h"
#include "store/net/url_part.h"

enum dial_outcome {
    DIAL_LOOKING_UP, /* then the loop gets the owner's address as a word: dial_looked_up() */
    DIAL_CONNECTING, /* then the loop gets an event: dial_react() */
    DIAL_DONE,       /* the stream is the owner's, and in the loop with an interest in writing */
    DIAL_FAILED,     /* `problem` says why */
};

struct dial {
    struct loop    *loop;
    void           *owner; /* of the loop's events */
    SSL_CTX        *tls;   /* NULL: without */
    struct url_host host;
    struct lookup  *lookup; /* DIAL_LOOKING_UP */
    struct stream   stream; /* DIAL_CONNECTING */
    bool            is_connecting;
    unsigned        address_count;
    unsigned        address_index;
    struct address  addresses[LOOKUP_ADDRESSES_MAX];
    char            problem[SOCKET_PROBLEM_BYTES_MAX];
};

enum dial_outcome dial_begin(struct dial *dial);
enum dial_outcome dial_looked_up(struct dial *dial);
/* The socket has something to say. */
enum dial_outcome dial_react(struct dial *dial);
/* The address that is tried does not answer in time. */
enum dial_outcome dial_give_up(struct dial *dial);
/* Ends whatever it is doing. */
void dial_cancel(struct dial *dial);

/* What the host does as long as nothing comes of it; and once it has been reached, and is silent. */
const char *dial_text(const struct dial *dial);
const char *dial_silence_text(const struct dial *dial);

#endif
