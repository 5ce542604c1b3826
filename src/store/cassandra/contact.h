/* SPDX-License-Identifier: MIT
 *
 * contact: which cluster does a URL mean, and who are we there?
 *
 *     cassandra://[user:password@]h1[:port],h2,...[/keyspace][?datacenter=NAME]
 *
 * With cassandras instead of cassandra: TLS. The hosts are where the others are asked for; one is enough,
 * more are for the day when that one is down. The keyspace is that of all statements that name none; it is
 * written as it is spelled, upper case being another than lower case. `datacenter` is the local one,
 * without it that of the host that answers first. In user, password and datacenter %XX stands for a byte.
 * IPv6 addresses stand in brackets. Port: 9042.
 *
 * Pure, and never quotes what may hold a password. */
#ifndef WEIR_STORE_CASSANDRA_CONTACT_H
#define WEIR_STORE_CASSANDRA_CONTACT_H

#include "store/net/url_part.h"

enum {
    CONTACT_KEYSPACE_BYTES_MAX   = 49, /* a server's 48, and NUL */
    CONTACT_DATACENTER_BYTES_MAX = URL_NAME_BYTES_MAX,
};

struct contact {
    bool            is_tls;
    struct url_host hosts[URL_HOSTS_MAX];
    unsigned        host_count;
    char            user[URL_USER_BYTES_MAX];
    char            password[URL_SECRET_BYTES_MAX];           /* empty: we do not log in */
    char            keyspace[CONTACT_KEYSPACE_BYTES_MAX];     /* empty: none */
    char            datacenter[CONTACT_DATACENTER_BYTES_MAX]; /* empty: that of who answers first */
};

/* False: `problem` says what is wrong and how it should look. */
bool contact_parse(struct view text, struct contact *contact, char problem[URL_PROBLEM_BYTES_MAX]);

#endif
