/* SPDX-License-Identifier: MIT
 *
 * view: bytes that somebody else owns.
 *
 * A pointer and a length, passed by value, borrowed until the call returns. Any bytes: there is no
 * NUL at the end and there may be some inside. */
#ifndef WEIR_BASE_VIEW_H
#define WEIR_BASE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct view {
    const char *data;
    size_t      bytes;
};

static inline struct view view_of(const char *text) {
    return (struct view){.data = text, .bytes = strlen(text)};
}

static inline bool view_equals(struct view a, struct view b) {
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.data, b.data, a.bytes) == 0);
}

static inline struct view view_from(struct view v, size_t skip) {
    return (struct view){.data = v.data + skip, .bytes = v.bytes - skip};
}

#endif
