/* SPDX-License-Identifier: MIT */
#include "lease/store_clock.h"

#include "base/contract.h"
#include "lease/message.h"

void store_clock_begin(struct store_clock *c, uint64_t server_us, bool is_virgin) {
    *c = (struct store_clock){
        .is_known  = true,
        .is_virgin = is_virgin,
        .now_us    = server_us,
        .server_us = server_us,
        .era_us    = server_us,
        .born_us   = server_us,
    };
}

uint64_t store_clock_step(struct store_clock *c, uint64_t server_us, uint64_t clamp_us) {
    REQUIRE(clamp_us > 0);
    REQUIRE(server_us <= LEASE_NUMBER_MAX / 2);
    if (!c->is_known) store_clock_begin(c, server_us, false);

    if (server_us >= c->server_us && server_us - c->server_us <= clamp_us)
        c->now_us += server_us - c->server_us;
    c->server_us = server_us;
    return c->now_us;
}

void store_clock_rewind(struct store_clock *c, uint64_t generation, uint64_t by_us) {
    if (by_us == 0 || generation != c->generation) return;
    c->now_us -= by_us < c->now_us ? by_us : c->now_us;
    c->generation++;
}

void store_clock_compare(struct store_clock *c, uint64_t era_us, uint64_t grants) {
    if (era_us < c->era_us && (era_us == 0 || !c->is_virgin)) return;
    if (era_us == c->era_us && grants <= c->grants) return;
    if (era_us == c->era_us) c->grants = grants;
    c->born_us   = c->now_us;
    c->is_virgin = false;
}

uint64_t store_clock_wait_us(const struct store_clock *c, uint64_t term_us, uint64_t hold_us) {
    if (c->is_virgin) return 0;
    uint64_t until_us = c->born_us + term_us + hold_us;
    return until_us > c->now_us ? until_us - c->now_us : 0;
}
