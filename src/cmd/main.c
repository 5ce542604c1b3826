/* SPDX-License-Identifier: MIT
 *
 * main: which verb? */
#include <stdio.h>
#include <string.h>

#include <weir.h>

#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/terminal.h"

struct command {
    const char *name;
    const char *summary;
    int (*main)(int count, char **words);
};

static const struct command commands[] = {
#define COMMAND_ENTRY(verb, summary) {#verb, summary, verb##_main},
    COMMAND_TABLE(COMMAND_ENTRY)
#undef COMMAND_ENTRY
};

enum { COMMAND_COUNT = sizeof commands / sizeof commands[0] };

static int  help(int count, char **words);
static int  unknown(const char *word);
static void print_help(void);

int main(int count, char **words) {
    terminal_begin();
    if (count < 2) {
        terminal_complain("", "say what to do, such as: weir allow ann 100/1m; see weir --help");
        return COMMAND_USAGE;
    }

    const char *word = words[1];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(word, commands[i].name) == 0) return commands[i].main(count - 1, words + 1);
    if (strcmp(word, "help") == 0) return help(count - 1, words + 1);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_help();
        return terminal_finish("", COMMAND_DONE);
    }
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
        printf("weir %s\n", weir_version());
        return terminal_finish("", COMMAND_DONE);
    }
    return unknown(word);
}

/* weir help [VERB]: the same as weir VERB --help. */
static int help(int count, char **words) {
    if (count == 1 || strcmp(words[1], "help") == 0 || words[1][0] == '-') {
        print_help();
        return terminal_finish("help", COMMAND_DONE);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(words[1], commands[i].name) != 0) continue;
        char  option[] = "--help";
        char *asked[]  = {words[1], option, NULL};
        return commands[i].main(2, asked);
    }
    return unknown(words[1]);
}

static int unknown(const char *word) {
    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    const char *names[COMMAND_COUNT + 2];
    for (size_t i = 0; i < COMMAND_COUNT; i++) names[i] = commands[i].name;
    names[COMMAND_COUNT]     = "help";
    names[COMMAND_COUNT + 1] = NULL;

    terminal_quote(view_of(word), quoted);
    if (word[0] == '-') {
        terminal_complain("",
                          "unknown option '%s'; the verb comes first: weir VERB [options]; "
                          "see weir --help",
                          quoted);
        return COMMAND_USAGE;
    }
    const char *nearest = args_nearest(word, names);
    if (nearest != NULL) {
        terminal_complain("", "unknown verb '%s'; did you mean weir %s?", quoted, nearest);
    } else {
        terminal_complain("", "unknown verb '%s'; see weir --help", quoted);
    }
    return COMMAND_USAGE;
}

static void print_help(void) {
    printf("weir %s, a rate limiter: at most so many acts for each user in any window of time.\n"
           "\n"
           "usage: weir VERB [options]\n"
           "\n"
           "verbs:\n",
           weir_version());
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-9s %s\n", commands[i].name, commands[i].summary);
    printf("  %-9s %s\n", "help", "this text, or that of a verb: weir help allow");
    printf("\n"
           "A limit is written LIMIT/WINDOW: 100/1m is at most 100 in any minute, wherever the\n"
           "minute begins. Durations: 250us 10ms 1s 5m 2h 1d 1w.\n"
           "\n"
           "examples:\n"
           "  weir allow ann 3/10s --times 5       five questions; three are answered with yes\n"
           "  weir explain 100/1m                  what that limit promises, and what it costs\n"
           "  weir judge decisions.jsonl           did any user get more than their limit?\n"
           "\n"
           "exit codes: 0 allowed, holds, done; 1 denied, broken; 2 wrong usage; 3 trouble.\n"
           "Each verb explains itself: weir VERB --help. With --json, answers are JSON.\n");
}
