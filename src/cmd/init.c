/* SPDX-License-Identifier: MIT
 *
 * init: is this Redis store new? */
#include <stdio.h>
#include <time.h>

#include "api/shared.h"
#include "base/range.h"
#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "os/clock.h"

static const char about[] =
    "Says once, before first use, that no permit has ever been given out on the Redis servers of\n"
    "a URL. A store that knows nothing may be new, or may have lost everything: so weir gives no\n"
    "permits there until what might have been given before has aged out, a window and a lease's\n"
    "term for each limit. After weir init it gives them at once. A store that has given a permit\n"
    "is left as it is, and so is one that was asked by a process that knew it before it lost its\n"
    "past. Without URL: $WEIR_STORE.\n"
    "\n"
    "Do not put this into a start script: on a store that was wiped while limits were in use, it\n"
    "lets each user begin anew.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir init redis://127.0.0.1\n"
    "  weir init redis+cluster://r1,r2,r3\n"
    "\n"
    "exit codes: 0 done, done before, or left as it is; 2 wrong usage; 3 trouble, such as a\n"
    "server that is away.\n";

#define DEADLINE_NS UINT64_C(5000000000)
#define DAY_US      UINT64_C(86400000000)
#define CONFIRM_NS  UINT64_C(1000000000)

static void say(uint32_t begun, uint32_t shards, uint64_t past_us);

/* Says it again for a while if replicas do not confirm: they may be late this once. What was new then is
 * counted. */
static bool init_begin(struct lease_store *store, uint32_t *begun, struct redis_result *result) {
    const struct timespec pause    = {.tv_nsec = 10000000};
    uint64_t              until_ns = clock_now_ns() + CONFIRM_NS;
    uint32_t              again;
    bool is_said = lease_store_begin(store, clock_now_ns() + DEADLINE_NS, begun, result);
    while (is_said && !result->is_confirmed && clock_now_ns() < until_ns) {
        (void)nanosleep(&pause, NULL);
        is_said = lease_store_begin(store, clock_now_ns() + DEADLINE_NS, &again, result);
        *begun += is_said ? again : 0;
    }
    return is_said;
}

int init_main(int count, char **words) {
    struct args args = {.verb         = words[0],
                        .usage        = "[URL]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    struct shared shared;
    uint64_t      past_us = UINT64_MAX;
    weir_error    error   = {.status = WEIR_OK};
    const char   *url     = args.operand_count > 0 ? args.operands[0] : store_default();
    if (!shared_is_url(url)) {
        terminal_complain("init", "only Redis stores need it; name one, such as redis://127.0.0.1");
        return COMMAND_USAGE;
    }
    if (!shared_open_redis(&shared, url, &error)) return store_complain("init", &error);

    struct redis_result result;
    uint32_t            begun, shards = shared.store->shard_count;
    bool                is_begun     = init_begin(shared.redis, &begun, &result);
    bool                is_confirmed = is_begun && result.is_confirmed;
    if (is_begun && begun == 0)
        is_begun = lease_store_past(shared.redis, clock_now_ns() + DEADLINE_NS, &past_us, &result);
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
    say(begun, shards, past_us);
    return terminal_finish("init", COMMAND_DONE);
}

/* A day is long enough for most windows, as in weir serve. */
static void say(uint32_t begun, uint32_t shards, uint64_t past_us) {
    char known[TEXT_DURATION_BYTES_MAX];
    text_duration_write_short((int64_t)smaller(past_us, DAY_US) * 1000, known);
    if (begun == shards)
        printf("this store is new: it gives permits at once\n");
    else if (begun > 0)
        printf("%u of %u parts of this store are new: they give permits at once\n", begun, shards);
    else if (past_us >= DAY_US)
        printf("nothing to do: this store is in use\n");
    else
        printf(
            "left as it is: this store is in use, and does not know what was granted before %s%s: "
            "limits whose windows reach further back are denied\n",
            past_us == 0 ? "now" : "the last ", past_us == 0 ? "" : known);
}
