/* SPDX-License-Identifier: MIT
 *
 * command: the verbs of the binary, and what their exit codes mean.
 *
 * A verb is one line of the table below and one function <verb>_main in a file of src/cmd named after
 * it. To add one, write its file first and then its line, in the order in which `weir --help` shows
 * them. The function gets its own name as words[0], prints its own --help (args_parse() does), and
 * returns an exit code by way of terminal_finish(). */
#ifndef WEIR_CMD_COMMAND_H
#define WEIR_CMD_COMMAND_H

/* X(verb, what it does, in a line of help) */
#define COMMAND_TABLE(X)                                                                           \
    X(allow, "ask for one decision: may this user act now?")                                       \
    X(serve, "answer the questions of other programs: a sidecar that speaks RESP")                 \
    X(top, "what a file of limits holds, how fast it is asked, who has it open")                   \
    X(compact, "make a file of limits as small as its users need")                                 \
    X(init, "make a store ready: Redis that is new, Cassandra's keyspace and tables")              \
    X(doctor, "what a store on Redis or Cassandra is set up for, and what it can promise")         \
    X(cassandra, "print the tables that weir keeps in Cassandra, for cqlsh")                       \
    X(explain, "what a limit means in numbers: worst case, resolution, memory")                    \
    X(replay, "what would a limit have done to yesterday's traffic?")                              \
    X(judge, "read decisions, and say whether any window broke its limit")                         \
    X(bench, "how fast is weir here, beside a clock read and bare memory?")                        \
    X(sim, "do leases keep the limit on failing machines? Simulated, from a seed")

/* A contract: scripts depend on it. */
enum command_exit {
    COMMAND_DONE    = 0, /* allowed; the promise holds; done */
    COMMAND_DENIED  = 1, /* denied; the promise is broken */
    COMMAND_USAGE   = 2, /* the command line makes no sense */
    COMMAND_TROUBLE = 3, /* a file, a store, a socket or memory failed */
};

#define COMMAND_DECLARE(verb, summary) int verb##_main(int count, char **words);
COMMAND_TABLE(COMMAND_DECLARE)
#undef COMMAND_DECLARE

#endif
