/* SPDX-License-Identifier: MIT */
#include "store/cassandra/peer.h"

#include <stdlib.h>

struct peer *peer_new(const struct channel_setting *setting, const struct peer_facts *facts,
                      uint32_t number, unsigned channels) {
    struct peer *peer = malloc(sizeof *peer + channels * sizeof peer->channels[0]);
    if (peer == NULL) return NULL;
    *peer = (struct peer){.facts = *facts, .channel_count = channels};
    for (unsigned i = 0; i < channels; i++) {
        channel_init(&peer->channels[i], setting, &facts->host);
        peer->channels[i].peer_number = number;
    }
    return peer;
}

void peer_clear(struct peer *peer) {
    for (unsigned i = 0; i < peer->channel_count; i++) channel_clear(&peer->channels[i]);
}

void peer_free(struct peer *peer) { free(peer); }

bool peer_is_up(const struct peer *peer) {
    for (unsigned i = 0; i < peer->channel_count; i++)
        if (peer->channels[i].state == CHANNEL_UP) return true;
    return false;
}

void peer_want(struct peer *peer) {
    for (unsigned i = 0; i < peer->channel_count; i++) channel_want(&peer->channels[i]);
}

void peer_hurry(struct peer *peer, uint64_t now_ns) {
    for (unsigned i = 0; i < peer->channel_count; i++) channel_hurry(&peer->channels[i], now_ns);
}

uint64_t peer_turn(struct peer *peer, uint64_t now_ns) {
    uint64_t next_ns = UINT64_MAX;
    for (unsigned i = 0; i < peer->channel_count; i++)
        next_ns = due_earlier(next_ns, channel_turn(&peer->channels[i], now_ns));
    return next_ns;
}
