/* SPDX-License-Identifier: MIT */
#include "store/cassandra/token_ring.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

void token_ring_clear(struct token_ring *ring) {
    free(ring->places);
    memset(ring, 0, sizeof *ring);
}

void token_ring_begin(struct token_ring *ring) {
    ring->node_count  = 0;
    ring->place_count = 0;
}

bool token_ring_add_node(struct token_ring *ring, struct token_ring_node node) {
    REQUIRE(node.datacenter < TOKEN_RING_DATACENTERS_MAX);
    if (ring->node_count == TOKEN_RING_NODES_MAX) return false;
    ring->nodes[ring->node_count++] = node;
    return true;
}

bool token_ring_add_place(struct token_ring *ring, int64_t token, uint16_t node) {
    REQUIRE(node < ring->node_count);
    if (ring->place_count == TOKEN_RING_PLACES_MAX) return false;
    if (ring->place_count == ring->place_room) {
        uint32_t                 room   = ring->place_room > 0 ? 2 * ring->place_room : 64;
        struct token_ring_place *larger = realloc(ring->places, room * sizeof larger[0]);
        if (larger == NULL) return false;
        ring->places     = larger;
        ring->place_room = room;
    }
    ring->places[ring->place_count++] = (struct token_ring_place){.token = token, .node = node};
    return true;
}

static int place_compare(const void *a, const void *b) {
    const struct token_ring_place *one = a, *other = b;
    return (one->token > other->token) - (one->token < other->token);
}

static bool is_first_of_rack(const struct token_ring *ring, uint16_t node) {
    for (uint16_t i = 0; i < node; i++)
        if (ring->nodes[i].datacenter == ring->nodes[node].datacenter &&
            ring->nodes[i].rack == ring->nodes[node].rack)
            return false;
    return true;
}

void token_ring_end(struct token_ring *ring) {
    if (ring->place_count > 1)
        qsort(ring->places, ring->place_count, sizeof ring->places[0], place_compare);
    memset(ring->datacenter_nodes, 0, sizeof ring->datacenter_nodes);
    memset(ring->datacenter_racks, 0, sizeof ring->datacenter_racks);
    for (uint16_t i = 0; i < ring->node_count; i++) {
        ring->datacenter_nodes[ring->nodes[i].datacenter]++;
        if (is_first_of_rack(ring, i)) ring->datacenter_racks[ring->nodes[i].datacenter]++;
    }
}

/* The first place whose token is not below this one; past the last one comes the first. */
static uint32_t token_ring_owner(const struct token_ring *ring, int64_t token) {
    uint32_t low = 0, high = ring->place_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ring->places[middle].token < token) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == ring->place_count ? 0 : low;
}

/* What is still wanted of a data centre. */
struct want {
    uint16_t nodes;
    int32_t  repeats; /* of racks that have a replica already */
};

struct walk {
    const struct token_ring *ring;
    uint16_t                *replicas;
    size_t                   count;
    struct want              wants[TOKEN_RING_DATACENTERS_MAX];
};

static bool walk_has(const struct walk *walk, uint16_t node, bool *has_rack) {
    const struct token_ring_node *nodes = walk->ring->nodes;
    for (size_t i = 0; i < walk->count; i++) {
        const struct token_ring_node *other = &nodes[walk->replicas[i]];
        if (walk->replicas[i] == node) return true;
        *has_rack |= other->datacenter == nodes[node].datacenter && other->rack == nodes[node].rack;
    }
    return false;
}

static void walk_pass(struct walk *walk, uint16_t node) {
    struct want *want     = &walk->wants[walk->ring->nodes[node].datacenter];
    bool         has_rack = false;
    if (want->nodes == 0 || walk_has(walk, node, &has_rack)) return;
    if (has_rack && want->repeats <= 0) return;
    if (has_rack) want->repeats--;
    want->nodes--;
    walk->replicas[walk->count++] = node;
}

/* Of each data centre as many as it has, at most; and so many of its racks may come twice. */
static uint32_t walk_want(struct walk *walk, const struct token_ring_strategy *strategy) {
    const struct token_ring *ring  = walk->ring;
    uint32_t                 total = 0;
    for (int d = 0; d < TOKEN_RING_DATACENTERS_MAX; d++) {
        uint16_t factor = strategy->factors[d], nodes = ring->datacenter_nodes[d];
        walk->wants[d] = (struct want){.nodes   = factor < nodes ? factor : nodes,
                                       .repeats = (int32_t)factor - ring->datacenter_racks[d]};
        total += walk->wants[d].nodes;
    }
    return total;
}

size_t token_ring_replicas(const struct token_ring          *ring,
                           const struct token_ring_strategy *strategy, int64_t token,
                           uint16_t replicas[TOKEN_RING_REPLICAS_MAX]) {
    if (ring->place_count == 0 || strategy->kind == TOKEN_RING_NONE) return 0;
    struct walk walk     = {.ring = ring, .replicas = replicas};
    uint32_t    wanted   = strategy->factor;
    bool        has_rack = false;
    if (strategy->kind == TOKEN_RING_NETWORK) wanted = walk_want(&walk, strategy);
    if (wanted > TOKEN_RING_REPLICAS_MAX) wanted = TOKEN_RING_REPLICAS_MAX;

    uint32_t first = token_ring_owner(ring, token);
    for (uint32_t i = 0; i < ring->place_count && walk.count < wanted; i++) {
        uint16_t node = ring->places[(first + i) % ring->place_count].node;
        if (strategy->kind == TOKEN_RING_NETWORK) {
            walk_pass(&walk, node);
        } else if (!walk_has(&walk, node, &has_rack)) {
            replicas[walk.count++] = node;
        }
    }
    return walk.count;
}
