/* SPDX-License-Identifier: MIT */
#include "base/login.h"

#include <stdbool.h>

#include "base/contract.h"
#include "base/view.h"

static bool begins_with(struct view text, const char *with) {
    size_t bytes = strlen(with);
    return text.bytes >= bytes && memcmp(text.data, with, bytes) == 0;
}

/* Where a login begins that is the end of `text`. */
static size_t login_begin(struct view text) {
    const char *colon = memchr(text.data, ':', text.bytes);
    if (colon == NULL) return 0;
    size_t at = (size_t)(colon - text.data);
    return at + (begins_with(view_from(text, at), "://") ? 3 : 1);
}

/* name=value, joined by &. */
static bool is_hidden(struct view option) {
    return begins_with(option, "secret=") || begins_with(option, "sentinel-password=");
}

static bool is_joint(char c) { return c == '?' || c == '&'; }

/* Up to the & that comes next, or to the end. */
static size_t option_bytes(struct view text) {
    const char *joint = memchr(text.data, '&', text.bytes);
    return joint == NULL ? text.bytes : (size_t)(joint - text.data);
}

/* Where the last @ is, if a login may end there; else 0. It may as well be in the value of an option that is
 * hidden: then where that ends. */
static size_t login_end(struct view url) {
    if (begins_with(url, "file:")) return 0;
    size_t end = url.bytes;
    while (end > 0 && url.data[end - 1] != '@') end--;
    if (end == 0) return 0;
    end--;
    for (size_t at = end; at > 0; at--) {
        if (!is_joint(url.data[at - 1])) continue;
        struct view option = view_from(url, at);
        if (is_hidden(option)) return at + option_bytes(option);
        if (url.data[at - 1] == '&') break;
    }
    return end;
}

static size_t append(char *shown, size_t used, size_t room, struct view text) {
    size_t bytes = text.bytes < room - 1 - used ? text.bytes : room - 1 - used;
    memcpy(shown + used, text.data, bytes);
    return used + bytes;
}

/* `text` may have options behind a ?; the values of some are hidden. */
static size_t append_options(char *shown, size_t used, size_t room, struct view text) {
    size_t at = 0; /* up to here it was looked at */
    while (at < text.bytes) {
        struct view rest  = view_from(text, at);
        size_t      bytes = 0;
        if (at > 0 && is_hidden(rest)) {
            bytes        = option_bytes(rest);
            size_t equal = (size_t)((const char *)memchr(rest.data, '=', bytes) - rest.data);
            used = append(shown, used, room, (struct view){.data = rest.data, .bytes = equal + 1});
            used = append(shown, used, room, view_of("***"));
            at += bytes;
            rest  = view_from(text, at);
            bytes = 0;
        }
        while (bytes < rest.bytes && !is_joint(rest.data[bytes])) bytes++;
        if (bytes < rest.bytes) bytes++;
        used = append(shown, used, room, (struct view){.data = rest.data, .bytes = bytes});
        at += bytes;
    }
    return used;
}

const char *login_hide(const char *url, char *shown, size_t room) {
    REQUIRE(room > 0);
    struct view all  = view_of(url);
    size_t      end  = login_end(all);
    size_t      used = 0;
    if (end > 0) {
        size_t begin = login_begin((struct view){.data = url, .bytes = end});
        used         = append(shown, used, room, (struct view){.data = url, .bytes = begin});
        used         = append(shown, used, room, view_of("***"));
    }
    used        = append_options(shown, used, room, view_from(all, end));
    shown[used] = '\0';
    return shown;
}
