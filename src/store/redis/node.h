/* SPDX-License-Identifier: MIT
 *
 * node: one server, and our links to it. */
#ifndef WEIR_STORE_REDIS_NODE_H
#define WEIR_STORE_REDIS_NODE_H

#include "store/redis/link.h"

struct node {
    struct url_host host;
    struct node    *next_gone;
    uint64_t        used_ns;   /* when something was sent there last */
    bool            is_seed;   /* it is in the URL */
    bool            is_in_map; /* a slot of the Cluster is there */
    unsigned        link_count;
    struct link     links[];
};

/* NULL: no memory. */
struct node *node_new(const struct link_setting *setting, const struct url_host *host,
                      unsigned links);
/* After all its links were cleared, and no event of the loop names them any longer. */
void node_free(struct node *node);
void node_clear(struct node *node);

bool node_is(const struct node *node, const struct url_host *host);
bool node_is_idle(const struct node *node);

#endif
