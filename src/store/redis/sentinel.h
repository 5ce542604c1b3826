/* SPDX-License-Identifier: MIT
 *
 * sentinel: which server is the primary now?
 *
 * One Sentinel at a time is asked, each second, and ten times a second while the primary is not there; on
 * a second connection it tells by itself (+switch-master). One that is silent or does not know the name
 * is left for the next. What it says is believed only when the server itself says so too (ROLE). */
#ifndef WEIR_STORE_REDIS_SENTINEL_H
#define WEIR_STORE_REDIS_SENTINEL_H

#include "store/redis/node.h"

struct redis;
struct redis_options;

struct sentinel {
    struct redis       *client;
    struct link_setting setting;
    struct node        *node; /* the Sentinel that is asked: links[0] asks, links[1] listens */
    unsigned            host_index; /* of the URL */
    bool                is_asking;
    bool                is_leaving; /* for the next one, at the next turn */
    unsigned            failures;   /* in a row */
    uint64_t            ask_ns;
    char               *user;
    char               *password;
    char                problem[REDIS_PROBLEM_BYTES_MAX];
};

bool sentinel_init(struct sentinel *sentinel, struct redis *client,
                   const struct redis_options *options);
void sentinel_clear(struct sentinel *sentinel);

/* The primary does not do what a primary does. */
void sentinel_doubt(struct sentinel *sentinel);

/* Once a turn; returns when it wants to be called again. */
uint64_t sentinel_turn(struct sentinel *sentinel, uint64_t now_ns);

#endif
