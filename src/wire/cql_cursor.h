/* SPDX-License-Identifier: MIT
 *
 * cql_cursor: the notations of Cassandra's protocol (section 3: [short], [string], [bytes] ...), read
 * one after the other.
 *
 * A cursor never passes its end. What does not fit, or has a length that cannot be, breaks it; from
 * then on it yields zeros and empty views. So a message is read straight down and checked once, at its
 * end. Only who goes round as often as an [int] says must look in between. */
#ifndef WEIR_WIRE_CQL_CURSOR_H
#define WEIR_WIRE_CQL_CURSOR_H

#include "wire/cql.h"

struct cql_cursor {
    const char *at;
    const char *end;
    bool        is_broken;
};

static inline struct cql_cursor cql_cursor_of(struct view bytes) {
    if (bytes.bytes == 0) return (struct cql_cursor){.at = "", .end = ""};
    return (struct cql_cursor){.at = bytes.data, .end = bytes.data + bytes.bytes};
}

static inline size_t cql_cursor_left(const struct cql_cursor *c) {
    return (size_t)(c->end - c->at);
}

static inline struct view cql_cursor_take(struct cql_cursor *c, size_t bytes) {
    if (bytes > cql_cursor_left(c)) c->is_broken = true;
    if (c->is_broken) return (struct view){.data = "", .bytes = 0};
    struct view taken = {.data = c->at, .bytes = bytes};
    c->at += bytes;
    return taken;
}

/* A big-endian number of up to eight bytes. */
static inline uint64_t cql_cursor_number(struct cql_cursor *c, size_t bytes) {
    struct view taken = cql_cursor_take(c, bytes);
    uint64_t    value = 0;
    for (size_t i = 0; i < taken.bytes; i++) value = value << 8 | (uint8_t)taken.data[i];
    return value;
}

static inline uint8_t cql_cursor_byte(struct cql_cursor *c) {
    return (uint8_t)cql_cursor_number(c, 1);
}
static inline uint16_t cql_cursor_short(struct cql_cursor *c) {
    return (uint16_t)cql_cursor_number(c, 2);
}
static inline int32_t cql_cursor_int(struct cql_cursor *c) {
    return (int32_t)cql_cursor_number(c, 4);
}

/* An [int] that counts something: a negative one breaks the cursor. */
static inline uint32_t cql_cursor_count(struct cql_cursor *c) {
    int32_t count = cql_cursor_int(c);
    if (count < 0) c->is_broken = true;
    return c->is_broken ? 0 : (uint32_t)count;
}

/* [string] and [short bytes], which differ in meaning only. */
static inline struct view cql_cursor_string(struct cql_cursor *c) {
    return cql_cursor_take(c, cql_cursor_short(c));
}

/* [bytes]: every negative length says NULL. */
static inline struct cql_value cql_cursor_value(struct cql_cursor *c) {
    int32_t bytes = cql_cursor_int(c);
    if (c->is_broken || bytes < 0)
        return (struct cql_value){.presence = CQL_NULL, .bytes = {"", 0}};
    struct view taken = cql_cursor_take(c, (size_t)bytes);
    return (struct cql_value){.presence = c->is_broken ? CQL_NULL : CQL_PRESENT, .bytes = taken};
}

/* [inet]: a length, so many bytes of an address, and a port. */
static inline struct cql_inet cql_cursor_inet(struct cql_cursor *c) {
    struct cql_inet inet  = {.address_bytes = cql_cursor_byte(c)};
    struct view     bytes = cql_cursor_take(c, inet.address_bytes);
    int32_t         port  = cql_cursor_int(c);
    if ((bytes.bytes != 4 && bytes.bytes != 16) || port < 0 || port > UINT16_MAX)
        c->is_broken = true;
    if (c->is_broken) return (struct cql_inet){0};
    memcpy(inet.address, bytes.data, bytes.bytes);
    inet.port = (uint16_t)port;
    return inet;
}

#endif
