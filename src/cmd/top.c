/* SPDX-License-Identifier: MIT
 *
 * top: what does a file of limits hold, how fast is it asked, and who has it open?
 *
 * Only looks: the file is opened and mapped for reading, no lock is taken, no number is used up. So it
 * may watch a file of somebody else, and whoever decides does not notice. */
#include <stdio.h>
#include <string.h>

#include <weir.h>

#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "cmd/top_look.h"
#include "cmd/top_print.h"
#include "os/clock.h"

static const char about[] =
    "Shows what a file of limits holds: decisions a second, users, the file's size, whether it\n"
    "could grow, and which processes have it open, the dead among them. FILE is a path or a file:\n"
    "URL; without it, the default place (or $WEIR_STORE). The file is opened for reading only:\n"
    "watching changes nothing in it and slows nobody down.\n"
    "\n"
    "On a terminal it shows the same again each second until it is interrupted; elsewhere, once.\n"
    "Rates are measured from one look to the next, so a single one takes an interval, too.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir top                                 the default place, until Ctrl-C\n"
    "  weir top /run/limits.weir --once\n"
    "  weir top --json --times 60 >minute.jsonl     a document each second, for a minute\n"
    "\n"
    "What is shown as \"dead\" was killed, and holds nothing up: whoever waits for what it had\n"
    "locked, or opens the file, lets go of it.\n"
    "\n"
    "exit codes: 0 shown; 2 wrong usage; 3 trouble, such as no file there.\n";

struct top {
    const char *path;
    int64_t     interval_ns;
    uint64_t    times; /* 0: until it is interrupted */
    bool        as_json;
    bool        is_drawn; /* over what was there before */
};

static int top_run(const struct top *top);

int top_main(int count, char **words) {
    char       path[FILE_PATH_BYTES_MAX];
    bool       is_once = false;
    struct top top     = {.path = path, .interval_ns = WEIR_SECOND};

    const struct args_option options[] = {
        {.name = "once",
         .kind = ARGS_FLAG,
         .into = &is_once,
         .text = "one snapshot (default where stdout is no terminal)"},
        {.name   = "times",
         .letter = 'n',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &top.times,
         .min    = 1,
         .text   = "N snapshots"},
        {.name   = "interval",
         .letter = 'i',
         .kind   = ARGS_DURATION,
         .value  = "DURATION",
         .into   = &top.interval_ns,
         .min    = (uint64_t)WEIR_MILLISECOND,
         .max    = (uint64_t)WEIR_DAY,
         .text   = "time from one to the next (default 1s)"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &top.as_json,
         .text   = "print one line of JSON for each snapshot"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "[FILE]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_max = 1};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;
    const char *word = args.operand_count > 0 ? args.operands[0] : NULL;
    if (!store_file("top", word, path, &code)) return code;

    top.is_drawn = !top.as_json && !is_once && top.times == 0 && terminal_is_terminal();
    if (!top.is_drawn && top.times == 0) top.times = 1;
    if (is_once) top.times = 1;
    return terminal_finish("top", top_run(&top));
}

/* Two looks at a time: what has come and gone between them are the rates. */
static int top_run(const struct top *top) {
    static struct top_look before, now;
    struct top_watch       watch = {.path = top->path};
    weir_error             error;
    if (!top_look(&watch, &before, &error)) goto fail;

    if (top->is_drawn) top_draw(&watch, NULL, &before);
    for (uint64_t shown = 0; top->times == 0 || shown < top->times; shown++) {
        clock_sleep_until(before.at_ns + (uint64_t)top->interval_ns);
        if (!top_look(&watch, &now, &error)) goto fail;
        if (top->is_drawn) {
            top_draw(&watch, &before, &now);
        } else if (top->as_json) {
            top_print_json(&watch, &before, &now);
        } else {
            top_print(&watch, &before, &now);
        }
        if (fflush(stdout) != 0 || terminal_is_gone()) break;
        before = now;
    }
    top_leave(&watch);
    return COMMAND_DONE;

fail:
    top_leave(&watch);
    return store_complain("top", &error);
}
