/* SPDX-License-Identifier: MIT
 *
 * url_part: what do the URLs of all stores have in common? Logins, hosts, and %XX for a byte.
 *
 * Pure, and never quotes what may hold a password. What is refused is said in `problem`, of
 * URL_PROBLEM_BYTES_MAX bytes, with how it should look. */
#ifndef WEIR_STORE_NET_URL_PART_H
#define WEIR_STORE_NET_URL_PART_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

enum {
    URL_BYTES_MAX         = 2048,
    URL_HOSTS_MAX         = 16,
    URL_HOST_BYTES_MAX    = 254, /* NUL included, as all below */
    URL_USER_BYTES_MAX    = 128,
    URL_SECRET_BYTES_MAX  = 512,
    URL_NAME_BYTES_MAX    = 128,
    URL_PROBLEM_BYTES_MAX = 256,
};

struct url_host {
    char     name[URL_HOST_BYTES_MAX]; /* without brackets */
    uint16_t port;
};

/* Always false, so that a failing check is one line. */
bool url_part_problem(char *problem, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool url_part_starts_with(struct view text, struct view start);

/* The part before the first (or last) `mark`, which is taken off `rest` together with the mark. False: there
 * is none, and nothing is changed. */
bool url_part_split(struct view *rest, char mark, bool is_last, struct view *before);

/* Puts what `text` stands for into `out` with a NUL; `what` is the name of that part. */
bool url_part_decode(struct view text, const char *what, char *out, size_t room, char *problem);

/* user:password, as stands before the @. */
bool url_part_login(struct view text, char user[URL_USER_BYTES_MAX],
                    char password[URL_SECRET_BYTES_MAX], char *problem);

/* Hosts between commas, each with a port or with the usual one; they are added to `hosts`. */
bool url_part_hosts(struct view text, uint16_t usual_port, struct url_host hosts[URL_HOSTS_MAX],
                    unsigned *host_count, char *problem);

/* "host:port", with brackets around an IPv6 address. */
void url_host_write(const struct url_host *host, char *out, size_t room);
bool url_host_equals(const struct url_host *a, const struct url_host *b);

#endif
