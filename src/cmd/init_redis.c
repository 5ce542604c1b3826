/* SPDX-License-Identifier: MIT
 *
 * init_redis: is this Redis store new? */
#include <stdio.h>

#include "api/shared.h"
#include "base/range.h"
#include "cmd/command.h"
#include "cmd/init.h"
#include "cmd/store.h"
#include "cmd/store_past.h"
#include "cmd/terminal.h"
#include "os/clock.h"

#define DEADLINE_NS UINT64_C(5000000000)
#define CONFIRM_NS  UINT64_C(1000000000)
#define PAUSE_NS    UINT64_C(10000000)

static void say(uint32_t begun, uint32_t shards, const struct lease_past *past);

/* Says it again for a while if replicas do not confirm: they may be late this once. What was new then is
 * counted. */
static bool init_begin(struct lease_store *store, uint32_t shards, uint32_t *begun,
                       struct redis_result *result) {
    uint64_t until_ns = clock_now_ns() + CONFIRM_NS;
    uint32_t again;
    bool     is_said = lease_store_begin(store, clock_now_ns() + DEADLINE_NS, begun, result);
    while (is_said && !result->is_confirmed && clock_now_ns() < until_ns) {
        clock_sleep_until(clock_now_ns() + PAUSE_NS);
        is_said = lease_store_begin(store, clock_now_ns() + DEADLINE_NS, &again, result);
        /* A replica that was promoted in between may call parts new that were counted already. */
        if (is_said) *begun = (uint32_t)smaller(*begun + again, shards);
    }
    return is_said;
}

int init_redis(const char *url) {
    struct shared shared;
    weir_error    error = {.status = WEIR_OK};
    if (!shared_open_redis(&shared, url, &error)) return store_complain("init", &error);

    struct redis_result result;
    struct lease_past   past = {.us = UINT64_MAX, .long_us = UINT64_MAX};
    uint32_t            begun, shards = shared.store->shard_count;
    bool                is_begun     = init_begin(shared.redis, shards, &begun, &result);
    bool                is_confirmed = is_begun && result.is_confirmed;
    if (is_begun && begun == 0)
        is_begun = lease_store_past(shared.redis, clock_now_ns() + DEADLINE_NS, &past, &result);
    shared_close(&shared);
    if (!is_begun) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX];
        terminal_complain("init", "%s", terminal_quote(view_of(result.problem), quoted));
        redis_result_clear(&result);
        return COMMAND_TROUBLE;
    }
    if (!is_confirmed) {
        terminal_complain(
            "init", "the replicas that the URL waits for did not confirm it, so no permit is given "
                    "there; weir doctor says why");
        return COMMAND_TROUBLE;
    }
    say(begun, shards, &past);
    return terminal_finish("init", COMMAND_DONE);
}

static void say(uint32_t begun, uint32_t shards, const struct lease_past *past) {
    char text[STORE_PAST_BYTES_MAX];
    bool is_whole = !store_past_write(past, text);
    if (begun == shards)
        printf("this store is new: it gives permits at once\n");
    else if (begun > 0)
        printf("%u of %u parts of this store are new: they give permits at once\n", begun, shards);
    else if (is_whole)
        printf("nothing to do: this store gives permits already\n");
    else if (store_past_is_fair(past))
        printf("nothing to do: this store gives permits already; it %s\n", text);
    else
        printf("left as it is: this store is in use, and %s\n", text);
}
