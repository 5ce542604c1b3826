/* SPDX-License-Identifier: MIT
 *
 * compact: how small can a file of limits be? */
#include "store/embedded/compact.h"

#include <stdio.h>

#include <weir.h>

#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static const char about[] =
    "Makes a file of limits as small as the users need who are remembered in it, or changes how\n"
    "many it may hold. FILE is a path or a file: URL. Nobody may have it open meanwhile (weir top\n"
    "tells who has); who opens it waits and finds the new file.\n"
    "\n"
    "Everything that decisions rest on stays: what users have taken and when, the secret that\n"
    "names them, the clock, the statistics. The new file is written beside the old one and put in\n"
    "its place when it is on the disk: killed at any moment, the old or the new one is there.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir compact /run/limits.weir --dry-run           what would be gained?\n"
    "  weir compact /run/limits.weir\n"
    "  weir compact /run/limits.weir --users-max 1000000\n"
    "\n"
    "exit codes: 0 done; 2 wrong usage, such as fewer users than are there; 3 trouble, such as a\n"
    "file that is open or a full disk: it is as it was.\n";

static void show_progress(void *context, uint64_t done, uint64_t total);
static void print_outcome(const char *path, const struct compact_outcome *o, bool is_dry_run);
static void print_json(const char *path, const struct compact_outcome *o, bool is_dry_run);

int compact_main(int count, char **words) {
    struct compact_options wanted        = {.users_max       = COMPACT_AS_IT_IS,
                                            .clock_error_ppm = COMPACT_AS_IT_IS,
                                            .progress        = show_progress};
    bool                   as_json       = false;
    int64_t                wall_error_ns = 0;

    const struct args_option options[] = {
        {.name   = "users-max",
         .letter = 'u',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &wanted.users_max,
         .min    = 1,
         .text   = "counters that the new file may hold at once (default: as\nthe old)"},
        {.name  = "clock-error-ppm",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &wanted.clock_error_ppm,
         .max   = 100000,
         .text  = "how wrong this machine's clock may be, from now on; only\nwhile nobody is "
                  "remembered (default: as the old file)"},
        {.name  = "wall-error",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &wall_error_ns,
         .max   = (uint64_t)WEIR_YEAR,
         .text  = "as of weir serve, if the machine was started since the\nfile was last open"},
        {.name   = "dry-run",
         .letter = 'n',
         .kind   = ARGS_FLAG,
         .into   = &wanted.is_dry_run,
         .text   = "only tell what would be gained; others may have it open"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &as_json,
         .text   = "print one JSON document"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "FILE",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_min = 1,
                        .operands_max = 1};
    char        path[FILE_PATH_BYTES_MAX];
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;
    if (!store_file("compact", args.operands[0], path, &code)) return code;

    struct compact_outcome outcome;
    weir_error             error;
    wanted.wall_error_ns = (uint64_t)wall_error_ns;
    if (!compact_file(path, &wanted, &outcome, &error)) return store_complain("compact", &error);
    terminal_progress_end();
    if (as_json) {
        print_json(path, &outcome, wanted.is_dry_run);
    } else {
        print_outcome(path, &outcome, wanted.is_dry_run);
    }
    return terminal_finish("compact", COMMAND_DONE);
}

static void show_progress(void *context, uint64_t done, uint64_t total) {
    (void)context;
    terminal_progress("copying users: %llu %%", (unsigned long long)(done * 100 / total));
}

/* --- text ------------------------------------------------------------------------------------ */

static void print_change(const char *what, uint64_t before, uint64_t after) {
    char from[TERMINAL_COUNT_BYTES_MAX], to[TERMINAL_COUNT_BYTES_MAX];
    printf("%-10s %15s -> %s\n", what, terminal_count(before, from), terminal_count(after, to));
}

static void print_outcome(const char *path, const struct compact_outcome *o, bool is_dry_run) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX], count[TERMINAL_COUNT_BYTES_MAX];
    printf("%s%s\n", terminal_quote(view_of(path), quoted), is_dry_run ? " (nothing changed)" : "");
    print_change("file bytes", o->before.file_bytes, o->after.file_bytes);
    if (!is_dry_run) print_change("on disk", o->before.disk_bytes, o->after.disk_bytes);
    print_change("users", o->before.users, o->after.users);
    print_change("users max", o->before.users_max, o->after.users_max);
    if (o->before.clock_error_ppm != o->after.clock_error_ppm)
        print_change("clock ppm", o->before.clock_error_ppm, o->after.clock_error_ppm);
    if (o->users_miscounted > 0)
        printf("%s users were counted and not there, after kills%s\n",
               terminal_count(o->users_miscounted, count), is_dry_run ? "" : ": put right");
    if (is_dry_run && o->process_count > 0)
        printf("%s %s it open and must end first\n", terminal_count(o->process_count, count),
               o->process_count == 1 ? "process has" : "processes have");
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void json_number(struct json_writer *out, const char *name, uint64_t number) {
    json_write_name(out, name);
    json_write_u64(out, number);
}

static void json_sizes(struct json_writer *out, const char *name, const struct compact_sizes *s,
                       bool has_disk_bytes) {
    json_write_name(out, name);
    json_write_object(out);
    json_number(out, "file_bytes", s->file_bytes);
    if (has_disk_bytes) json_number(out, "disk_bytes", s->disk_bytes);
    json_number(out, "users", s->users);
    json_number(out, "users_max", s->users_max);
    json_number(out, "clock_error_ppm", s->clock_error_ppm);
    json_write_object_end(out);
}

static void print_json(const char *path, const struct compact_outcome *o, bool is_dry_run) {
    char               buffer[1024];
    struct json_writer out;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_write_bytes(&out, "file", view_of(path));
    json_write_name(&out, "is_dry_run");
    json_write_bool(&out, is_dry_run);
    json_sizes(&out, "before", &o->before, true);
    json_sizes(&out, "after", &o->after, !is_dry_run);
    json_number(&out, "users_miscounted", o->users_miscounted);
    if (is_dry_run) json_number(&out, "process_count", o->process_count);
    json_write_object_end(&out);
    json_write_line_end(&out);
    json_write_end(&out);
}
