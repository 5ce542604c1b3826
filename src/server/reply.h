/* SPDX-License-Identifier: MIT
 *
 * reply: what a connection is to be told, as it grows.
 *
 * One buffer for each thread, used for one connection after the other. Commands write values; how
 * RESP2 and RESP3 differ is decided here. */
#ifndef WEIR_SERVER_REPLY_H
#define WEIR_SERVER_REPLY_H

#include <stdbool.h>
#include <stdint.h>

#include "wire/resp.h"

struct reply {
    char    *data;
    size_t   used;
    size_t   room;
    unsigned protocol; /* 2 or 3: that of the connection whose turn it is */
    bool     is_cut; /* memory ran out: what is missing cannot be told, so the connection must go */
};

void reply_init(struct reply *r);
void reply_clear(struct reply *r);

/* Room for `bytes` more at data + used; NULL if there is no memory for them. */
char *reply_grow(struct reply *r, size_t bytes);

static inline char *reply_room(struct reply *r, size_t bytes) {
    return r->room - r->used >= bytes ? r->data + r->used : reply_grow(r, bytes);
}

static inline void reply_head(struct reply *r, char mark, int64_t number) {
    char *at = reply_room(r, RESP_HEAD_BYTES_MAX);
    if (at != NULL) r->used = (size_t)(resp_write_head(at, mark, number) - r->data);
}

static inline void reply_integer(struct reply *r, int64_t number) { reply_head(r, ':', number); }
static inline void reply_array(struct reply *r, size_t count) {
    reply_head(r, '*', (int64_t)count);
}

/* `count` pairs of a name and a value follow. RESP2 has no maps: an array of twice as many. */
void reply_map(struct reply *r, size_t count);
/* `count` members of a set follow. RESP2: an array. */
void reply_set(struct reply *r, size_t count);
void reply_null(struct reply *r);
/* What another reply holds, for a peer of the same protocol. */
void reply_copy(struct reply *r, const struct reply *from);
void reply_bulk(struct reply *r, struct view bytes);
void reply_text(struct reply *r, const char *text); /* a bulk string */
void reply_simple(struct reply *r, const char *text);
/* A text for people: RESP3 says so, that clients show it as it is. */
void reply_verbatim(struct reply *r, struct view text);

/* An error: the code ("ERR"), a text and, if it is not empty, a word of the peer's at its end, of
 * which at most REPLY_WORD_SHOWN_MAX bytes are shown. */
enum { REPLY_WORD_SHOWN_MAX = 128 };
void reply_error(struct reply *r, const char *text);
void reply_error_bytes(struct reply *r, struct view text);
void reply_error_about(struct reply *r, const char *text, struct view word);

#endif
