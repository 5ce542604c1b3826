/* SPDX-License-Identifier: MIT
 *
 * replay: what would this limit have done to yesterday's traffic?
 *
 * Read all, put it in order of time, let every algorithm decide, count, tell. The log's time is
 * the only time there is, so that the answer is the same on any day and machine. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <weir.h>

#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/replay_print.h"
#include "cmd/terminal.h"
#include "limiter/limiter.h"

static const char about[] =
    "Replays access logs against a limit: how many requests it would have admitted and denied, whose,\n"
    "and when; and what the same limit does with other algorithms. Reads Common and Combined Log\n"
    "Format and JSON lines, plain or gzip; without LOG, or for -, stdin. Lines that cannot be used\n"
    "are counted and skipped. Nothing but the log is read, and no server is asked.\n";

static const char epilogue[] =
    "fields of Common and Combined Log Format, for --key and --cost:\n"
    "  ip ident user time request method target path query protocol status bytes referer agent vhost,\n"
    "  and the number of a column (10 is the first that a server adds after the agent)\n"
    "fields of JSON lines: any name; dots lead into objects, as in user.id\n"
    "\n"
    "examples:\n"
    "  weir replay access.log --limit 100/1m\n"
    "      what 100 a minute for each address would have done\n"
    "  zcat -f access.log* | weir replay --suggest --window 1m\n"
    "      which limits deny 0.1 %, 1 % or 5 % of requests, or of users\n"
    "  weir replay app.jsonl --key user.id+route --limit 20/10s --json\n"
    "      JSON lines, by two fields joined, as one JSON document\n"
    "  weir replay access.log --limit 10000000000/1d --cost bytes\n"
    "      ten gigabytes a day for each address instead of so many requests\n"
    "  weir replay access.log --limit 10/1m --decisions-of gcra --decisions - | weir judge -\n"
    "      do the decisions of a token bucket keep the limit in every minute?\n"
    "\n"
    "exit codes: 0 done; 2 wrong usage; 3 trouble, such as a file that cannot be opened or a log\n"
    "without a single usable line.\n";

static const char *const format_names[] = {"auto", "clf", "json", NULL};
static const char *const unit_names[]   = {"auto", "s", "ms", "us", "ns", NULL};

/* In the order of enum replay_verdict. */
static const char *const verdict_names[] = {"chosen", "strict",      "exact", "fixed",
                                            "gcra",   "two-counter", NULL};

struct replay_options {
    struct args_rate limit; /* window_ns 0: not given */
    uint32_t         algorithm;
    uint64_t         burst;
    const char      *key;
    const char      *cost;
    const char      *time;
    uint32_t         format;
    uint32_t         time_unit;
    bool             spread;
    bool             suggest;
    int64_t          window_ns;
    const char      *decisions;
    uint32_t         decisions_of;
    uint64_t         top;
    uint64_t         requests_max;
    bool             as_json;
    bool             is_verbose;
};

static bool check_options(const struct replay_options *options, weir_request *rule);
static bool make_reader(const struct replay_options *options, struct access_log_reader *reader);
static bool check_logs(const struct replay_options *options, char **paths, size_t count);
static int  replay_logs(const struct replay_options *options, const weir_request *rule,
                        const struct access_log_reader *reader, char **paths, size_t count);
static int  decide_and_tell(const struct replay_options *options, const weir_request *rule,
                            const struct replay_reading *reading, struct replay_requests *requests);
static void complain_nothing(const struct replay_reading *reading, const char *key);

int replay_main(int count, char **words) {
    struct replay_options options = {
        .algorithm = WEIR_STRICT, .top = 10, .requests_max = 100000000, .key = NULL};

    const struct args_option table[] = {
        {.name   = "limit",
         .letter = 'l',
         .kind   = ARGS_RATE,
         .value  = "LIMIT/WINDOW",
         .into   = &options.limit,
         .text   = "the limit to try, such as 100/1m"},
        {.name   = "key",
         .letter = 'k',
         .kind   = ARGS_TEXT,
         .value  = "FIELD",
         .into   = &options.key,
         .text   = "what tells users apart: a field, or several joined, as\n"
                   "ip+path (default ip; JSON: the first there is of ip\n"
                   "client_ip remote_addr remote_ip clientip remote_host host)"},
        {.name    = "algorithm",
         .letter  = 'a',
         .kind    = ARGS_CHOICE,
         .choices = args_algorithms,
         .into    = &options.algorithm,
         .text    = "how to count (default strict)"},
        {.name   = "burst",
         .letter = 'b',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &options.burst,
         .min    = 1,
         .max    = WEIR_LIMIT_MAX,
         .text   = "gcra: permits that may pass at once (default: the limit)"},
        {.name   = "cost",
         .letter = 'c',
         .kind   = ARGS_TEXT,
         .value  = "FIELD",
         .into   = &options.cost,
         .text   = "how many permits a request takes: a field that holds a\n"
                   "whole number, as bytes (default: 1 each; 0 always passes)"},
        {.name   = "suggest",
         .letter = 's',
         .kind   = ARGS_FLAG,
         .into   = &options.suggest,
         .text   = "tell the limits with which at most 0.1 %, 1 % and 5 % of\n"
                   "requests and of users are denied"},
        {.name   = "window",
         .letter = 'w',
         .kind   = ARGS_DURATION,
         .value  = "DURATION",
         .into   = &options.window_ns,
         .min    = WEIR_WINDOW_MIN,
         .max    = WEIR_WINDOW_MAX,
         .text   = "the window for --suggest (default: that of --limit)"},
        {.name  = "decisions",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &options.decisions,
         .text  = "write a JSON line for each decision, for weir judge; -\n"
                  "writes them to stdout, in place of the report"},
        {.name    = "decisions-of",
         .kind    = ARGS_CHOICE,
         .choices = verdict_names,
         .into    = &options.decisions_of,
         .text    = "whose decisions (default chosen: what --algorithm says)"},
        {.name    = "format",
         .letter  = 'f',
         .kind    = ARGS_CHOICE,
         .choices = format_names,
         .into    = &options.format,
         .text    = "the logs' format (default: each file's first good line\n"
                    "tells)"},
        {.name   = "time",
         .letter = 't',
         .kind   = ARGS_TEXT,
         .value  = "FIELD",
         .into   = &options.time,
         .text   = "JSON: the time, or several fields to look for, as ts,when\n"
                   "(default time,timestamp,@timestamp,ts)"},
        {.name    = "time-unit",
         .kind    = ARGS_CHOICE,
         .choices = unit_names,
         .into    = &options.time_unit,
         .text    = "JSON: the unit of times that are numbers (default: told by\n"
                    "their size)"},
        {.name = "spread",
         .kind = ARGS_FLAG,
         .into = &options.spread,
         .text = "spread the requests of a second evenly over it, where the\n"
                 "log tells whole seconds; else they are of one instant"},
        {.name   = "top",
         .letter = 'n',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &options.top,
         .max    = REPLAY_TOP_MAX,
         .text   = "how many of the most limited users to name (default 10)"},
        {.name  = "requests-max",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &options.requests_max,
         .min   = 1,
         .max   = REPLAY_REQUESTS_MAX,
         .text  = "stop with an error above so many, at 32 bytes of memory\n"
                  "each (default 100000000)"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &options.as_json,
         .text   = "the report as one JSON document"},
        {.name   = "verbose",
         .letter = 'v',
         .kind   = ARGS_FLAG,
         .into   = &options.is_verbose,
         .text   = "show the first lines that could not be used"},
    };
    struct args args = {.verb         = "replay",
                        .usage        = "[LOG...] --limit LIMIT/WINDOW",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = table,
                        .option_count = sizeof table / sizeof table[0],
                        .operands_max = REPLAY_INPUTS_MAX};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    weir_request             rule = {0};
    struct access_log_reader reader;
    char                     standard_input[] = "-";
    char                    *no_paths[]       = {standard_input};
    char                   **paths            = args.operands;
    size_t                   path_count       = args.operand_count;
    if (!check_options(&options, &rule)) return COMMAND_USAGE;
    if (!make_reader(&options, &reader)) return COMMAND_USAGE;
    if (path_count == 0) {
        if (isatty(STDIN_FILENO)) {
            terminal_complain("replay",
                              "say which log, such as: weir replay access.log --limit 100/1m");
            return COMMAND_USAGE;
        }
        paths      = no_paths;
        path_count = 1;
    }
    if (!check_logs(&options, paths, path_count)) return COMMAND_USAGE;
    return terminal_finish("replay", replay_logs(&options, &rule, &reader, paths, path_count));
}

/* ---- what was asked ---- */

static bool check_options(const struct replay_options *options, weir_request *rule) {
    bool has_limit = options->limit.window_ns != 0;
    if (!has_limit && !options->suggest) {
        terminal_complain("replay",
                          "say which limit to try, such as --limit 100/1m; or ask for one "
                          "with --suggest --window 1m");
        return false;
    }
    if (!has_limit && options->window_ns == 0) {
        terminal_complain("replay", "--suggest needs a window: add --window 1m, or --limit 100/1m");
        return false;
    }
    if (options->window_ns != 0 && !options->suggest) {
        terminal_complain("replay", "--window is for --suggest; the window of a limit is written "
                                    "with it, as in --limit 100/1m");
        return false;
    }
    if (!has_limit && options->decisions != NULL) {
        terminal_complain("replay", "--decisions needs a limit to decide by: add --limit 100/1m");
        return false;
    }
    if (!has_limit) return true;

    *rule           = weir_request_for(NULL, 0, options->limit.limit, options->limit.window_ns);
    rule->algorithm = options->algorithm;
    rule->burst     = options->burst;
    struct rule ignored;
    weir_status status = limiter_rule_of(rule, 0, &ignored);
    if (status == WEIR_OK) return true;
    char window[TEXT_DURATION_BYTES_MAX];
    text_duration_write(options->limit.window_ns, window);
    terminal_complain("replay", "--limit %llu/%s with --algorithm %s and burst %llu: %s",
                      (unsigned long long)options->limit.limit, window,
                      args_algorithms[options->algorithm], (unsigned long long)options->burst,
                      weir_status_text(status));
    return false;
}

static bool parse_names(const char *option, const char *text, char separator,
                        struct access_log_names *names) {
    if (text == NULL) return true;
    if (access_log_names_parse(view_of(text), separator, names)) return true;
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain("replay", "%s '%s' is not a list of 1 to %d names with '%c' between them",
                      option, terminal_quote(view_of(text), quoted), ACCESS_LOG_NAMES_MAX,
                      separator);
    return false;
}

static bool make_reader(const struct replay_options *options, struct access_log_reader *reader) {
    *reader           = access_log_reader_default();
    reader->format    = (enum access_log_format)options->format;
    reader->time_unit = (enum log_time_unit)options->time_unit;
    if (options->key != NULL) reader->key_is_default = false;
    if (!parse_names("--key", options->key, '+', &reader->key)) return false;
    if (!parse_names("--time", options->time, ',', &reader->time)) return false;
    if (!parse_names("--cost", options->cost, '+', &reader->cost)) return false;
    if (reader->cost.count <= 1) return true;
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain("replay", "--cost '%s' names several fields; it can be only one",
                      terminal_quote(view_of(options->cost), quoted));
    return false;
}

/* Mistakes with names of files that would cost data or time to find out later. */
static bool check_logs(const struct replay_options *options, char **paths, size_t count) {
    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    struct stat out;
    bool        has_out =
        options->decisions != NULL && stat(options->decisions, &out) == 0 && S_ISREG(out.st_mode);
    size_t stdin_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct stat in;
        int64_t     duration_ns;
        terminal_quote(view_of(paths[i]), quoted);
        if (strcmp(paths[i], "-") == 0 && ++stdin_count > 1) {
            terminal_complain("replay", "'-' is named twice, and stdin can be read only once");
            return false;
        }
        if (stat(paths[i], &in) == 0) {
            if (!has_out || in.st_dev != out.st_dev || in.st_ino != out.st_ino) continue;
            terminal_complain("replay", "--decisions '%s' would overwrite the log that is read",
                              quoted);
            return false;
        }
        if (options->suggest && text_duration_parse(view_of(paths[i]), &duration_ns)) {
            terminal_complain("replay", "'%s' is no file; did you mean --suggest --window %s?",
                              quoted, quoted);
            return false;
        }
    }
    return true;
}

/* ---- the work ---- */

static int replay_logs(const struct replay_options *options, const weir_request *rule,
                       const struct access_log_reader *reader, char **paths, size_t count) {
    int                    code = COMMAND_TROUBLE;
    struct replay_requests requests;
    struct replay_reading  reading;
    char                   trouble[REPLAY_TROUBLE_BYTES];
    replay_requests_init(&requests, options->requests_max);

    switch (replay_read_logs(&reading, &requests, reader, paths, count, trouble)) {
    case REPLAY_READ_DONE: break;
    case REPLAY_READ_USAGE: code = COMMAND_USAGE; /* fall through */
    case REPLAY_READ_TROUBLE: terminal_complain("replay", "%s", trouble); goto clear;
    }
    if (requests.count == 0) {
        complain_nothing(&reading, options->key);
        goto clear;
    }
    if (!replay_requests_seal(&requests, options->spread)) {
        terminal_complain("replay",
                          "not enough memory to sort %zu requests; replay fewer files at once",
                          requests.count);
        goto clear;
    }
    code = decide_and_tell(options, rule, &reading, &requests);

clear:
    replay_reading_clear(&reading);
    replay_requests_clear(&requests);
    return code;
}

static void show_progress(void *context, uint64_t done, uint64_t total) {
    (void)context;
    terminal_progress("deciding: %u %%", (unsigned)(done * 100 / total));
}

static int decide_and_tell(const struct replay_options *options, const weir_request *rule,
                           const struct replay_reading *reading, struct replay_requests *requests) {
    int                       code        = COMMAND_TROUBLE;
    bool                      has_limit   = options->limit.window_ns != 0;
    struct replay_report      report      = {0};
    struct replay_suggestions suggestions = {0};

    if (has_limit) {
        weir_status      status;
        enum replay_made made =
            replay_report_make(&report, requests, rule, options->top, show_progress, NULL, &status);
        terminal_progress_end();
        if (made == REPLAY_MADE_NO_MEMORY) {
            terminal_complain("replay", "not enough memory to decide %zu requests of %u users",
                              requests->count, requests->users.count);
            return COMMAND_TROUBLE;
        }
        if (made == REPLAY_MADE_REFUSED) {
            terminal_complain("replay", "the limiter refused a request: %s",
                              weir_status_text(status));
            goto clear;
        }
    }
    if (options->decisions != NULL) {
        uint64_t written;
        if (!replay_write_decisions(options->decisions, requests, rule,
                                    (enum replay_verdict)options->decisions_of, &written)) {
            bool is_closed_pipe = strcmp(options->decisions, "-") == 0 && errno == EPIPE;
            char quoted[TERMINAL_QUOTE_BYTES_MAX];
            if (is_closed_pipe) {
                code = COMMAND_DONE;
                goto clear;
            }
            terminal_complain("replay", "cannot write decisions to '%s': %s",
                              terminal_quote(view_of(options->decisions), quoted),
                              terminal_error_text(errno));
            goto clear;
        }
        if (strcmp(options->decisions, "-") == 0) {
            code = COMMAND_DONE;
            goto clear;
        }
    }
    if (options->suggest) {
        int64_t window_ns = options->window_ns != 0 ? options->window_ns : options->limit.window_ns;
        terminal_progress("looking for limits");
        bool is_suggested = replay_suggest(requests, (uint64_t)window_ns, &suggestions);
        terminal_progress_end();
        if (!is_suggested) {
            terminal_complain("replay", "not enough memory to compare %u users",
                              requests->users.count);
            goto clear;
        }
    }

    const struct replay_outcome outcome = {.reading     = reading,
                                           .requests    = requests,
                                           .report      = has_limit ? &report : NULL,
                                           .suggestions = options->suggest ? &suggestions : NULL,
                                           .key        = options->key != NULL ? options->key : "ip",
                                           .is_spread  = options->spread,
                                           .is_verbose = options->is_verbose};
    if (options->as_json) {
        replay_print_json(&outcome);
    } else {
        replay_print(&outcome);
    }
    code = COMMAND_DONE;

clear:
    replay_report_clear(&report);
    return code;
}

/* No line could be used: why, and what to do about it. */
static void complain_nothing(const struct replay_reading *reading, const char *key) {
    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    const char *where = reading->input_count == 1 ? reading->input[0].path : "the logs";
    terminal_quote(view_of(where), quoted);
    if (reading->input_count == 1 && strcmp(where, "-") == 0)
        snprintf(quoted, sizeof quoted, "stdin");
    if (reading->lines == reading->outcome[ACCESS_LOG_EMPTY]) {
        const char *trouble = reading->input[0].trouble;
        terminal_complain("replay", "%s: there is no request to replay%s%s", quoted,
                          trouble[0] != '\0' ? "; " : "", trouble);
        return;
    }
    int most = ACCESS_LOG_TORN;
    for (int i = ACCESS_LOG_TORN; i < REPLAY_OUTCOMES; i++) {
        if (reading->outcome[i] > reading->outcome[most]) most = i;
    }
    const char *advice = "";
    if (most == ACCESS_LOG_TORN) {
        advice = "; logs are read in Common or Combined Log Format or as JSON lines (--format)";
    } else if (most == ACCESS_LOG_WITHOUT_TIME) {
        advice = "; say with --time which field holds it";
    } else if (most == ACCESS_LOG_WITHOUT_KEY) {
        advice = "; say with --key which field tells users apart";
    } else if (most == ACCESS_LOG_WITHOUT_COST) {
        advice = "; say with --cost which field holds a whole number";
    }
    terminal_complain("replay", "%s: of %llu lines none can be used; %llu are %s%s%s%s%s%s", quoted,
                      (unsigned long long)reading->lines,
                      (unsigned long long)reading->outcome[most], replay_outcome_text(most),
                      most == ACCESS_LOG_WITHOUT_KEY && key != NULL ? " " : "",
                      most == ACCESS_LOG_WITHOUT_KEY && key != NULL ? key : "", advice,
                      reading->fields[0] != '\0' ? "; the first has " : "", reading->fields);
    for (size_t i = 0; i < reading->sample_count && i < 3; i++) {
        enum { SHOWN_BYTES = 60 };
        const struct replay_sample *sample = &reading->sample[i];
        struct view                 text   = {sample->excerpt, sample->excerpt_bytes};
        char                        path[TERMINAL_QUOTE_BYTES_MAX];
        bool                        is_cut = sample->bytes > SHOWN_BYTES;
        if (text.bytes > SHOWN_BYTES) text.bytes = SHOWN_BYTES;
        terminal_complain("replay", "%s:%llu: %s%s", terminal_quote(view_of(sample->path), path),
                          (unsigned long long)sample->line_number, terminal_quote(text, quoted),
                          is_cut ? "..." : "");
    }
}
