/* SPDX-License-Identifier: MIT
 *
 * init: what must be done once before a store of many hosts is used? */
#include "cmd/init.h"

#include "api/shared.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/terminal.h"

static const char about[] =
    "Makes a store ready, once, before first use. Without URL: $WEIR_STORE.\n"
    "\n"
    "Redis: says that no permit has ever been given out on the servers of the URL. A store that\n"
    "knows nothing may be new, or may have lost everything: so weir gives no permits there until\n"
    "what might have been given before has aged out, a window and a lease's term for each limit.\n"
    "After weir init it gives them at once. A store that has given a permit is left as it is, and\n"
    "so is one that was asked by a process that knew it before it lost its past. Do not put this\n"
    "into a start script: on a store that was wiped while limits were in use, it lets each user\n"
    "begin anew.\n"
    "\n"
    "Cassandra: makes the keyspace of the URL (weir if it names none) and the tables in it, where\n"
    "they are missing, and waits until all nodes have them. May be run again: what is there is\n"
    "left as it is, and looked at.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir init redis://127.0.0.1\n"
    "  weir init redis+cluster://r1,r2,r3\n"
    "  weir init cassandra://h1,h2,h3/limits\n"
    "\n"
    "exit codes: 0 done, done before, or left as it is; 2 wrong usage; 3 trouble, such as a\n"
    "server that is away, a user who may not make tables, or a table that is another one.\n";

enum { REPLICAS_MAX = 100 };

int init_main(int count, char **words) {
    uint64_t                 replicas  = 0;
    const struct args_option options[] = {
        {.name   = "replication",
         .letter = 'r',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &replicas,
         .min    = 1,
         .max    = REPLICAS_MAX,
         .text   = "Cassandra: replicas of a keyspace that is to be made, in the\n"
                   "local data centre (default 3, or as many as it has nodes)"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "[URL]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    weir_error        error = {.status = WEIR_OK};
    struct shared_url said;
    const char       *url = args.operand_count > 0 ? args.operands[0] : store_default();
    if (!shared_is_url(url)) {
        terminal_complain("init", "only stores on Redis and Cassandra need it; name one, such as "
                                  "redis://127.0.0.1 or cassandra://127.0.0.1");
        return COMMAND_USAGE;
    }
    if (!shared_url_read(url, &said, &error)) return store_complain("init", &error);
    if (said.is_cassandra) {
        code = init_cassandra(&said, replicas);
    } else if (replicas != 0) {
        terminal_complain("init", "--replication is for Cassandra");
        code = COMMAND_USAGE;
    } else {
        code = init_redis(url);
    }
    shared_url_clear(&said);
    return code;
}
