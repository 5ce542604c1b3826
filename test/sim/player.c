/* SPDX-License-Identifier: MIT
 *
 * player: plays seeds of one scenario until a judge convicts. For test/planted, which links it with
 * objects that hold a bug.
 *
 * usage: player SCENARIO        WEIR_SIM_SEEDS says how many (default 20); with
 *                               WEIR_MODEL_JUDGE=promise only windows above the limit count
 *        exit 0 none convicted, 1 one was, 2 wrong usage */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sim/run.h"

int main(int count, char **words) {
    const struct scenario *s               = count == 2 ? scenario_find(words[1]) : NULL;
    const char            *text            = getenv("WEIR_SIM_SEEDS");
    uint64_t               seeds           = text != NULL ? strtoull(text, NULL, 10) : 20;
    const char            *judge           = getenv("WEIR_MODEL_JUDGE");
    bool                   is_promise_only = judge != NULL && strcmp(judge, "promise") == 0;
    if (s == NULL) {
        fprintf(stderr, "usage: player SCENARIO\n");
        return 2;
    }
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct run_outcome o;
        if (!run_scenario(s, seed, NULL, &o)) return 2;
        if (!o.verdict.is_convicted) continue;
        if (is_promise_only && o.verdict.fullest <= s->limit) continue;
        printf("player.c:%d: seed %" PRIu64 " of %s is %s\n", __LINE__, seed, s->name,
               o.verdict.reason);
        return 1;
    }
    return 0;
}
