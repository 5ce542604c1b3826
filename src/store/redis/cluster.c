/* SPDX-License-Identifier: MIT */
#include "store/redis/cluster.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "base/contract.h"
#include "store/net/backoff.h"
#include "store/redis/client.h"

#define ASK_NS_MIN    UINT64_C(100000000)   /* from one question to the next */
#define ASK_NS_JITTER UINT64_C(20000000)    /* clients that saw the same MOVED do not ask in step */
#define ASK_NS        UINT64_C(30000000000) /* without any doubt */
#define NODE_IDLE_NS                                                                               \
    UINT64_C(10000000000) /* a node without slots is kept so long: one may be moving there */

bool cluster_init(struct cluster *cluster, struct redis *client) {
    memset(cluster, 0, sizeof *cluster);
    cluster->client = client;
    for (unsigned i = 0; i < client->url.host_count; i++) {
        struct node *node = client_node(client, &client->url.hosts[i]);
        if (node == NULL) return false;
        node->is_seed = true;
    }
    return true;
}

bool cluster_has_map(const struct cluster *cluster) {
    const struct redis *client = cluster->client;
    for (unsigned i = 0; i < client->node_count; i++)
        if (client->nodes[i]->is_in_map) return true;
    return false;
}

void cluster_doubt(struct cluster *cluster) {
    struct redis *client  = cluster->client;
    uint64_t      soon_ns = client->engine.now_ns + random_below(&client->random, ASK_NS_JITTER);
    if (soon_ns < cluster->asked_ns + ASK_NS_MIN) soon_ns = cluster->asked_ns + ASK_NS_MIN;
    if (cluster->failures == 0 && soon_ns < cluster->ask_ns) cluster->ask_ns = soon_ns;
}

void cluster_move(struct cluster *cluster, uint16_t slot, struct node *node) {
    cluster->node_of[slot] = node;
    node->is_in_map        = true;
}

/* ---- asking ---- */

/* Of those that are connected one by chance; else of those that may be tried; else any. */
static struct node *cluster_choose(const struct cluster *cluster) {
    struct redis *client = cluster->client;
    unsigned      start  = (unsigned)random_below(&client->random, client->node_count);
    for (int wish = 0; wish < 2; wish++) {
        for (unsigned i = 0; i < client->node_count; i++) {
            struct node       *node = client->nodes[(start + i) % client->node_count];
            const struct link *link = &node->links[0];
            if (wish == 0 ? link->state == LINK_UP : !link_is_hopeless(link)) return node;
        }
    }
    return client->nodes[start];
}

static void cluster_fail(struct cluster *cluster, const char *problem) {
    struct redis *client = cluster->client;
    (void)snprintf(cluster->problem, sizeof cluster->problem, "%s", problem);
    cluster->failures++;
    cluster->ask_ns = client->engine.now_ns + backoff_ns(&client->random, cluster->failures);
}

uint64_t cluster_turn(struct cluster *cluster, uint64_t now_ns) {
    if (cluster->is_asking) return UINT64_MAX;
    if (now_ns < cluster->ask_ns) return cluster->ask_ns;

    struct view     words[] = {view_of("CLUSTER"), view_of("SLOTS")};
    struct request *request = client_ask(words, 2);
    if (request == NULL) return now_ns + ASK_NS_MIN;
    cluster->is_asking = true;
    cluster->asked_ns  = now_ns;
    cluster->ask_ns    = now_ns + ASK_NS;
    client_count(cluster->client, CLIENT_REFRESHES);
    link_send(&cluster_choose(cluster)->links[0], request);
    return UINT64_MAX;
}

/* ---- the answer ---- */

/* [host, port, ...]; an empty host means the one that was asked, as does one that it does not know. */
static bool host_of(const redisReply *reply, const struct link *asked, struct url_host *host) {
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements < 2) return false;
    const redisReply *name = reply->element[0], *port = reply->element[1];
    if (port->type != REDIS_REPLY_INTEGER || port->integer <= 0 || port->integer > UINT16_MAX)
        return false;
    *host      = (struct url_host){.port = (uint16_t)port->integer};
    bool is_in = name->type == REDIS_REPLY_STRING && name->len > 0 && strcmp(name->str, "?") != 0;
    if (!is_in) {
        memcpy(host->name, asked->dial.host.name, sizeof host->name);
        return true;
    }
    if (name->len >= sizeof host->name || strlen(name->str) != name->len) return false;
    memcpy(host->name, name->str, name->len);
    return true;
}

/* [first, last, primary, replicas...] */
static bool cluster_apply_range(struct cluster *cluster, const redisReply *range,
                                const struct link *asked) {
    struct url_host host;
    if (range->type != REDIS_REPLY_ARRAY || range->elements < 3) return false;
    const redisReply *first = range->element[0], *last = range->element[1];
    if (first->type != REDIS_REPLY_INTEGER || last->type != REDIS_REPLY_INTEGER) return false;
    if (first->integer < 0 || last->integer < first->integer || last->integer >= SLOT_COUNT)
        return false;
    if (!host_of(range->element[2], asked, &host)) return false;

    struct node *node = client_node(cluster->client, &host);
    if (node == NULL) return false;
    for (long long slot = first->integer; slot <= last->integer; slot++)
        cluster_move(cluster, (uint16_t)slot, node);
    return true;
}

/* Who has no slot lets go of what waits there, and goes when nothing was asked of it for a while. */
static void cluster_sweep(struct cluster *cluster) {
    struct redis *client = cluster->client;
    for (unsigned i = client->node_count; i-- > 0;) {
        struct node *node = client->nodes[i];
        if (node->is_in_map) continue;
        for (unsigned k = 0; k < node->link_count; k++) link_release(&node->links[k]);
        bool is_used = !node_is_idle(node) || client->engine.now_ns - node->used_ns < NODE_IDLE_NS;
        if (!node->is_seed && !is_used) client_forget(client, node);
    }
}

/* Slots that are in no range have no server now. */
static bool cluster_apply(struct cluster *cluster, const redisReply *reply,
                          const struct link *asked) {
    bool is_any = false;
    for (unsigned i = 0; i < cluster->client->node_count; i++)
        cluster->client->nodes[i]->is_in_map = false;
    memset(cluster->node_of, 0, sizeof cluster->node_of);
    for (size_t i = 0; i < reply->elements; i++)
        is_any |= cluster_apply_range(cluster, reply->element[i], asked);
    cluster_sweep(cluster);
    return is_any;
}

void cluster_answered(struct cluster *cluster, const struct link *link,
                      const struct redisReply *reply) {
    cluster->is_asking = false;
    char problem[REDIS_PROBLEM_BYTES_MAX];
    if (reply == NULL) {
        cluster_fail(cluster,
                     link->problem[0] != '\0' ? link->problem : "no server of the Cluster answers");
    } else if (reply->type == REDIS_REPLY_ERROR) {
        enum trouble trouble = trouble_of((struct view){reply->str, reply->len});
        (void)snprintf(problem, sizeof problem, "%s:%u: CLUSTER SLOTS: %s (%.120s)",
                       link->dial.host.name, link->dial.host.port, trouble_text(trouble),
                       reply->str);
        cluster_fail(cluster, problem);
    } else if (reply->type != REDIS_REPLY_ARRAY || !cluster_apply(cluster, reply, link)) {
        (void)snprintf(problem, sizeof problem,
                       "%s:%u: the Cluster has no slots assigned to servers", link->dial.host.name,
                       link->dial.host.port);
        cluster_fail(cluster, problem);
    } else {
        struct redis *client = cluster->client;
        cluster->failures    = 0;
        cluster->problem[0]  = '\0';
        cluster->ask_ns =
            client->engine.now_ns + ASK_NS / 2 + random_below(&client->random, ASK_NS);
        client_unpark(client);
    }
}
