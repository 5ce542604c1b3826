/* SPDX-License-Identifier: MIT
 *
 * args: a command line by a table. Each option is described once, and both what is accepted and
 * what --help prints come from that line.
 *
 *     uint64_t cost = 1;
 *     const struct args_option options[] = {
 *         {.name = "cost", .value = "N", .kind = ARGS_NUMBER, .into = &cost, .max = UINT64_MAX,
 *          .text = "permits to take (default 1)"},
 *     };
 *     struct args args = {.verb = "allow", .usage = "USER LIMIT/WINDOW", .about = "...",
 *                         .options = options, .option_count = 1,
 *                         .operands_min = 2, .operands_max = 2};
 *     int code;
 *     if (!args_parse(&args, count, words, &code)) return code;
 *     ... args.operands[0] ...
 *
 * Accepted: --name value, --name=value, -n value, -nvalue, flags of one letter joined (-qj), a lone
 * - as an operand, -- to end the options; options and operands in any order. Names are not
 * shortened: a script written today must mean the same when an option is added. --help and -h are
 * in every table by themselves. */
#ifndef WEIR_CMD_ARGS_H
#define WEIR_CMD_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir.h>

enum {
    ARGS_LIST_MAX = 64, /* times that an ARGS_LIST option may be given */
};

/* What an option takes, and what `into` points to. */
enum args_kind {
    ARGS_FLAG,     /* nothing; bool */
    ARGS_TEXT,     /* any text; const char * */
    ARGS_NUMBER,   /* min to max; uint64_t */
    ARGS_BYTES,    /* min to max, with K M G T for powers of 1024; uint64_t */
    ARGS_DURATION, /* 250us 10ms 1s 5m 2h 1d, min to max ns; int64_t */
    ARGS_RATE,     /* 100/1m; struct args_rate */
    ARGS_CHOICE,   /* one of `choices`; uint32_t, its index */
    ARGS_LIST,     /* any text, may be repeated; struct args_list */
};

struct args_rate {
    uint64_t limit;
    int64_t  window_ns;
};

struct args_list {
    const char *items[ARGS_LIST_MAX];
    size_t      count;
};

struct args_option {
    const char        *name;   /* without its dashes */
    char               letter; /* 'n' for -n; 0: none */
    enum args_kind     kind;
    const char        *value;   /* what help calls the value; NULL for ARGS_FLAG and ARGS_CHOICE */
    const char        *text;    /* for help; a line feed begins a new line */
    const char *const *choices; /* ARGS_CHOICE; ends with NULL */
    void              *into;    /* written only if the option is given: set the default before */
    uint64_t           min;     /* ARGS_NUMBER, ARGS_BYTES, ARGS_DURATION */
    uint64_t           max;     /* the same; 0: no bound but the type's */
};

struct args {
    const char               *verb;
    const char               *usage;    /* the operands, as help shows them: "USER LIMIT/WINDOW" */
    const char               *about;    /* help: what the verb does; whole lines */
    const char               *epilogue; /* help: below the options; whole lines, may be NULL */
    const struct args_option *options;
    size_t                    option_count;
    size_t                    operands_min;
    size_t                    operands_max; /* SIZE_MAX: any number */

    /* Set by args_parse(): the operands, in order. `operands` points into `words`, whose order is
     * changed. */
    char **operands;
    size_t operand_count;
};

/* Reads the words after words[0]. False: the program is to end with *code, because help was printed
 * or what is wrong was said. */
bool args_parse(struct args *args, int count, char **words, int *code);

/* Operands that are values. False: what is wrong was said as `weir VERB: ...`; exit with
 * COMMAND_USAGE. `what` names the value in the message ("LIMIT/WINDOW", "--limit"). */
bool args_rate_parse(const char *verb, const char *what, const char *text, struct args_rate *rate);
bool args_number_parse(const char *verb, const char *what, const char *text, uint64_t min,
                       uint64_t max, uint64_t *number);
bool args_duration_parse(const char *verb, const char *what, const char *text, int64_t min_ns,
                         int64_t max_ns, int64_t *duration_ns);

/* Says what is wrong with a request that the library did not take, with the values as they were typed.
 * `what` and `rate` as for args_rate_parse(). Returns the exit code that follows. */
int args_status_complain(const char *verb, const char *what, const char *rate,
                         const weir_request *request, weir_status status);

/* For ARGS_CHOICE into a uint32_t that is then a weir_algorithm: strict, gcra, fixed. */
extern const char *const args_algorithms[];

/* The nearest of `names` (ends with NULL) to a mistyped one; NULL if none is near. */
const char *args_nearest(const char *typed, const char *const *names);

#endif
