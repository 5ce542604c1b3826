/* SPDX-License-Identifier: MIT
 *
 * url: which servers does a URL mean, and who are we there?
 *
 *     redis://[user:password@]host[:port][/db]                        one server
 *     redis+sentinel://[user:password@]h1[:port],h2,...../name[/db]   the primary that Sentinels call `name`
 *     redis+cluster://[user:password@]h1[:port],h2,...                a Cluster, found from any of these
 *
 * With rediss instead of redis: TLS. The user may be left out (redis://:password@host), which means the
 * server's default user. In user, password and name %XX stands for a byte, since @ : / may be
 * in them. IPv6 addresses stand in brackets. Ports: 6379, and 26379 for Sentinels.
 *
 * Pure, and never quotes what may hold a password. */
#ifndef WEIR_STORE_REDIS_URL_H
#define WEIR_STORE_REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "store/net/url_part.h"

enum { URL_DATABASE_MAX = 1000000 };

enum url_kind { URL_STANDALONE, URL_SENTINEL, URL_CLUSTER };

struct url {
    enum url_kind   kind;
    bool            is_tls;
    struct url_host hosts[URL_HOSTS_MAX];
    unsigned        host_count;
    char            user[URL_USER_BYTES_MAX];       /* empty: the server's default user */
    char            password[URL_SECRET_BYTES_MAX]; /* empty: none is sent */
    char            name[URL_NAME_BYTES_MAX];       /* URL_SENTINEL: of the primary */
    uint32_t        database;
};

/* False: `problem` says what is wrong and how it should look. */
bool url_parse(struct view text, struct url *url, char problem[URL_PROBLEM_BYTES_MAX]);

#endif
