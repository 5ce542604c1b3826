/* SPDX-License-Identifier: MIT */
#include "store/redis/node.h"

#include <stdlib.h>
#include <string.h>

struct node *node_new(const struct link_setting *setting, const struct url_host *host,
                      unsigned links) {
    struct node *node = malloc(sizeof *node + links * sizeof node->links[0]);
    if (node == NULL) return NULL;
    memset(node, 0, sizeof *node);
    node->host       = *host;
    node->link_count = links;
    for (unsigned i = 0; i < links; i++) link_init(&node->links[i], setting, host);
    return node;
}

void node_clear(struct node *node) {
    for (unsigned i = 0; i < node->link_count; i++) link_clear(&node->links[i]);
}

void node_free(struct node *node) { free(node); }

bool node_is(const struct node *node, const struct url_host *host) {
    return url_host_equals(&node->host, host);
}

bool node_is_idle(const struct node *node) {
    for (unsigned i = 0; i < node->link_count; i++) {
        const struct link *link = &node->links[i];
        if (link->flight_count > 0 || link->held.first != NULL) return false;
        if (link->again.first != NULL || link->waiting.first != NULL) return false;
    }
    return true;
}
