/* SPDX-License-Identifier: MIT
 *
 * init: is this Redis store new? */
#include <stdio.h>

#include "api/shared.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "os/clock.h"

static const char about[] =
    "Says once, before first use, that no permit has ever been given out on the Redis servers of\n"
    "a URL. A store that knows nothing may be new, or may have lost everything: so weir gives no\n"
    "permits there until what might have been given before has aged out, a window and a lease's\n"
    "term for each limit. After weir init it gives them at once. What is there already is left as\n"
    "it is. Without URL: $WEIR_STORE.\n"
    "\n"
    "Do not put this into a start script: on a store that was wiped while limits were in use, it\n"
    "lets each user begin anew.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir init redis://127.0.0.1\n"
    "  weir init redis+cluster://r1,r2,r3\n"
    "\n"
    "exit codes: 0 done, or done before; 2 wrong usage; 3 trouble, such as a server that is away.\n";

#define DEADLINE_NS UINT64_C(5000000000)

int init_main(int count, char **words) {
    struct args args = {.verb         = words[0],
                        .usage        = "[URL]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    struct shared shared;
    weir_error    error = {.status = WEIR_OK};
    const char   *url   = args.operand_count > 0 ? args.operands[0] : store_default();
    if (!shared_is_url(url)) {
        terminal_complain("init", "only Redis stores need it; name one, such as redis://127.0.0.1");
        return COMMAND_USAGE;
    }
    if (!shared_open_store(&shared, url, &error)) return store_complain("init", &error);

    struct redis_result result;
    uint32_t            begun, shards = lease_store_interface(shared.store)->shard_count;
    bool is_begun = lease_store_begin(shared.store, clock_now_ns() + DEADLINE_NS, &begun, &result);
    shared_close(&shared);
    if (!is_begun) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX];
        terminal_complain("init", "%s", terminal_quote(view_of(result.problem), quoted));
        return COMMAND_TROUBLE;
    }
    if (begun == 0)
        printf("nothing to do: this store is in use\n");
    else if (begun < shards)
        printf("%u of %u parts of this store are new: they give permits at once\n", begun, shards);
    else
        printf("this store is new: it gives permits at once\n");
    return terminal_finish("init", COMMAND_DONE);
}
