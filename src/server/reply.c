/* SPDX-License-Identifier: MIT */
#include "server/reply.h"

#include <stdlib.h>
#include <string.h>

enum { REPLY_ROOM_FIRST = 16384 };

void reply_init(struct reply *r) { *r = (struct reply){.protocol = 2}; }

void reply_clear(struct reply *r) {
    free(r->data);
    reply_init(r);
}

char *reply_grow(struct reply *r, size_t bytes) {
    size_t room = r->room == 0 ? REPLY_ROOM_FIRST : r->room;
    while (room - r->used < bytes) room *= 2;
    char *data = realloc(r->data, room);
    if (data == NULL) {
        r->is_cut = true;
        return NULL;
    }
    r->data = data;
    r->room = room;
    return data + r->used;
}

static void reply_end(struct reply *r, const char *end) { r->used = (size_t)(end - r->data); }

void reply_map(struct reply *r, size_t count) {
    if (r->protocol >= 3)
        reply_head(r, '%', (int64_t)count);
    else
        reply_array(r, 2 * count);
}

void reply_set(struct reply *r, size_t count) {
    reply_head(r, r->protocol >= 3 ? '~' : '*', (int64_t)count);
}

static void reply_raw(struct reply *r, struct view bytes) {
    char *at = reply_room(r, bytes.bytes);
    if (at == NULL) return;
    memcpy(at, bytes.data, bytes.bytes);
    r->used += bytes.bytes;
}

void reply_copy(struct reply *r, const struct reply *from) {
    if (from->used > 0) reply_raw(r, (struct view){.data = from->data, .bytes = from->used});
    r->is_cut |= from->is_cut;
}

void reply_null(struct reply *r) { reply_raw(r, view_of(r->protocol >= 3 ? "_\r\n" : "$-1\r\n")); }

void reply_bulk(struct reply *r, struct view bytes) {
    char *at = reply_room(r, bytes.bytes + RESP_HEAD_BYTES_MAX + 2);
    if (at != NULL) reply_end(r, resp_write_bulk(at, bytes));
}

void reply_text(struct reply *r, const char *text) { reply_bulk(r, view_of(text)); }

static void reply_line(struct reply *r, char mark, struct view text) {
    char *at = reply_room(r, text.bytes + 3);
    if (at != NULL) reply_end(r, resp_write_line(at, mark, text));
}

void reply_simple(struct reply *r, const char *text) { reply_line(r, '+', view_of(text)); }

void reply_verbatim(struct reply *r, struct view text) {
    if (r->protocol < 3) {
        reply_bulk(r, text);
        return;
    }
    reply_head(r, '=', (int64_t)text.bytes + 4);
    reply_raw(r, view_of("txt:"));
    reply_raw(r, text);
    reply_raw(r, view_of("\r\n"));
}

void reply_error_bytes(struct reply *r, struct view text) { reply_line(r, '-', text); }

void reply_error(struct reply *r, const char *text) { reply_error_bytes(r, view_of(text)); }

void reply_error_about(struct reply *r, const char *text, struct view word) {
    char   line[512];
    size_t bytes = strlen(text);
    size_t shown = word.bytes < REPLY_WORD_SHOWN_MAX ? word.bytes : REPLY_WORD_SHOWN_MAX;
    if (bytes > sizeof line - REPLY_WORD_SHOWN_MAX) bytes = sizeof line - REPLY_WORD_SHOWN_MAX;
    memcpy(line, text, bytes);
    if (shown > 0) memcpy(line + bytes, word.data, shown);
    reply_line(r, '-', (struct view){.data = line, .bytes = bytes + shown});
}
