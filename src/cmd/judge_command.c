/* SPDX-License-Identifier: MIT
 *
 * judge_command: weir judge FILE...: reads decision lines from files in step by time, gives them to
 * the judge, and tells the verdict. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/contract.h"
#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/judge.h"
#include "cmd/log_input.h"
#include "cmd/terminal.h"
#include "wire/json.h"

enum {
    FILES_MAX      = 1024,
    LINE_BYTES_MAX = 2 * 65536 + 4096, /* a user in hexadecimal, and the rest */
    BAD_SHOWN_MAX  = 5,
    PROGRESS_LINES = 1 << 16,
    BATCH_LINES    = 64,        /* so many lines are fetched ahead of being judged */
    BATCH_BYTES    = 4 * 65536, /* and so much of their names */
};

static const char about[] =
    "Reads decisions, one JSON object a line, from any number of files and machines, and says\n"
    "whether any window of any user admitted more than its limit. Files are read side by side\n"
    "by time; - or no FILE is standard input; gzip is recognised. A line:\n"
    "\n"
    "  {\"user\":\"ann\",\"limit\":100,\"window_ns\":60000000000,\"cost\":1,\"allowed\":true,\n"
    "   \"sent_ns\":1700000000000000000,\"received_ns\":1700000000000200000,\"host\":\"a\"}\n"
    "\n"
    "The decision was made at some instant from sent_ns to received_ns. Only what is certain is\n"
    "called broken: decisions that lie in one window wherever in these intervals they were made.\n"
    "Windows that are over the limit only if they were made unluckily are counted as possible.\n"
    "cost (1) and host may be left out; user_hex stands for a user that is not UTF-8. Clocks of\n"
    "different hosts are not compared, each host is judged by itself, unless --clock-error says\n"
    "how far they may differ.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir replay access.log --limit 100/1m --decisions d.jsonl && weir judge d.jsonl\n"
    "  weir judge a.jsonl b.jsonl.gz --clock-error 5ms --json\n"
    "\n"
    "exit codes: 0 no window is certainly broken; 1 at least one is; 2 wrong usage; 3 trouble:\n"
    "a file or memory failed, or lines could not be judged (0 or 1 with --lenient).\n"
    "docs/judge.md tells what exactly is decided, and why it is sound.\n";

struct file {
    const char       *name;
    struct log_input *input;
    int64_t           newest_ns; /* the latest that was sent, so far */
    uint64_t          line_count;
};

struct session {
    struct judge        *judge;
    struct file          files[FILES_MAX];
    size_t               file_count;
    size_t               open_count;
    struct judge_options options;
    bool                 is_lenient;
    bool                 as_json;
    uint64_t             line_count;
    uint64_t             empty;
    uint64_t             bad;
    uint64_t             late;
    uint64_t             shown; /* lines complained about */
    bool                 is_broken_off;
    int64_t              watermark_ns;
    char                 scratch[JUDGE_LINE_SCRATCH_BYTES];

    /* Lines that were read and not yet judged, all of one file. */
    struct judge_line lines[BATCH_LINES];
    size_t            batch_count;
    size_t            names_bytes;
    char              names[BATCH_BYTES];
};

static bool open_files(struct session *s, const struct args *args);
static void close_files(struct session *s);
static void read_files(struct session *s);
static void read_until(struct session *s, struct file *file, int64_t until_ns);
static void close_file(struct session *s, struct file *file);
static void keep_names(struct session *s, struct judge_line *line);
static void judge_batch(struct session *s, const struct file *file, int64_t until_ns);
static void advance(struct session *s, int64_t everywhere_ns);
static void complain_memory(struct session *s);
static void complain_line(struct session *s, const struct file *file, uint64_t number,
                          const char *why);
static int  verdict(const struct session *s, const struct judge_result *result);
static void print_text(const struct session *s, const struct judge_result *r, int code);
static void print_json(const struct session *s, const struct judge_result *r, int code);

int judge_main(int count, char **words) {
    int64_t  clock_error_ns = -1, horizon_ns = INT64_C(30) * 1000000000;
    uint64_t memory_bytes = UINT64_C(1) << 30, shown_max = 10;
    bool     as_json = false, is_lenient = false;

    const struct args_option options[] = {
        {.name   = "clock-error",
         .letter = 'e',
         .kind   = ARGS_DURATION,
         .value  = "DURATION",
         .into   = &clock_error_ns,
         .max    = UINT64_C(1) << 60,
         .text   = "clocks of any two hosts differ by at most this; then\n"
                   "all hosts are judged together"},
        {.name  = "horizon",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &horizon_ns,
         .max   = UINT64_C(1) << 60,
         .text  = "how far out of order the lines of a file may be,\n"
                  "by sent_ns (default 30s); more takes more memory"},
        {.name   = "memory",
         .letter = 'm',
         .kind   = ARGS_BYTES,
         .value  = "SIZE",
         .into   = &memory_bytes,
         .min    = UINT64_C(1) << 20,
         .max    = UINT64_C(1) << 46,
         .text   = "the most to hold for users and their admissions\n"
                   "(default 1G); reaching it ends with exit code 3"},
        {.name   = "show",
         .letter = 'n',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &shown_max,
         .max    = 1000000,
         .text   = "broken windows to tell in detail (default 10)"},
        {.name = "lenient",
         .kind = ARGS_FLAG,
         .into = &is_lenient,
         .text = "lines that cannot be judged are counted, but do not\n"
                 "change the exit code"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &as_json,
         .text   = "print one JSON document"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "[FILE...]",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0],
                        .operands_max = FILES_MAX};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;

    struct session *s = calloc(1, sizeof *s);
    if (s == NULL) {
        terminal_complain("judge", "not enough memory to begin");
        return COMMAND_TROUBLE;
    }
    s->as_json      = as_json;
    s->is_lenient   = is_lenient;
    s->watermark_ns = INT64_MIN;
    s->options      = (struct judge_options){.memory_bytes    = memory_bytes,
                                             .horizon_ns      = horizon_ns,
                                             .has_clock_error = clock_error_ns >= 0,
                                             .clock_error_ns  = clock_error_ns > 0 ? clock_error_ns : 0,
                                             .shown_max       = (uint32_t)shown_max};
    code            = COMMAND_TROUBLE;
    if (getrandom(&s->options.secret, sizeof s->options.secret, 0) !=
        (ssize_t)sizeof s->options.secret) {
        terminal_complain("judge", "the system gives no random bytes");
        goto free_session;
    }
    if (!open_files(s, &args)) goto free_session;
    s->judge = judge_new(&s->options);
    if (s->judge == NULL) {
        terminal_complain("judge", "not enough memory to begin");
        goto free_session;
    }

    read_files(s);
    if (!s->is_broken_off) {
        judge_end(s->judge);
        struct judge_result result = judge_result(s->judge);
        terminal_progress_end();
        code = verdict(s, &result);
        if (as_json) {
            print_json(s, &result, code);
        } else {
            print_text(s, &result, code);
        }
    }

free_session:
    judge_free(s->judge);
    close_files(s);
    free(s);
    return terminal_finish("judge", code);
}

/* ---- reading ---- */

static bool open_files(struct session *s, const struct args *args) {
    char  *stdin_name[] = {(char[]){"-"}};
    char **names        = args->operand_count > 0 ? args->operands : stdin_name;
    s->file_count       = args->operand_count > 0 ? args->operand_count : 1;
    for (size_t i = 0; i < s->file_count; i++) {
        char error[512];
        s->files[i].name      = strcmp(names[i], "-") == 0 ? "stdin" : names[i];
        s->files[i].newest_ns = INT64_MIN;
        s->files[i].input     = log_input_open(names[i], LINE_BYTES_MAX, error, sizeof error);
        if (s->files[i].input == NULL) {
            char quoted[TERMINAL_QUOTE_BYTES_MAX];
            terminal_complain("judge", "%s", terminal_quote(view_of(error), quoted));
            return false;
        }
        s->open_count++;
    }
    return true;
}

static void close_files(struct session *s) {
    for (size_t i = 0; i < s->file_count; i++) log_input_close(s->files[i].input);
}

/* Always from the file that is furthest behind, until it is not any longer. */
static void read_files(struct session *s) {
    while (s->open_count > 0 && !s->is_broken_off) {
        struct file *behind  = NULL;
        int64_t      next_ns = INT64_MAX;
        for (size_t i = 0; i < s->file_count; i++) {
            struct file *file = &s->files[i];
            if (file->input == NULL) continue;
            if (behind == NULL || file->newest_ns < behind->newest_ns) {
                if (behind != NULL) next_ns = behind->newest_ns;
                behind = file;
            } else if (file->newest_ns < next_ns) {
                next_ns = file->newest_ns;
            }
        }
        INVARIANT(behind != NULL);
        read_until(s, behind, next_ns);
    }
}

static void read_until(struct session *s, struct file *file, int64_t until_ns) {
    while (file->newest_ns <= until_ns && !s->is_broken_off) {
        struct view         text;
        enum log_input_step step = log_input_next(file->input, &text);
        if (step == LOG_INPUT_END) {
            close_file(s, file);
            break;
        }
        file->line_count++;
        if (++s->line_count % PROGRESS_LINES == 0)
            terminal_progress("%llu lines", (unsigned long long)s->line_count);

        struct judge_line *line  = &s->lines[s->batch_count];
        const char        *wrong = "it is longer than 135168 bytes";
        if (step == LOG_INPUT_LINE) {
            if (text.bytes > 0 && text.data[text.bytes - 1] == '\r') text.bytes--;
            if (text.bytes == 0) {
                s->empty++;
                continue;
            }
            wrong = judge_line_read(text, s->scratch, line);
        }
        if (wrong != NULL) {
            s->bad++;
            complain_line(s, file, file->line_count, wrong);
            continue;
        }
        line->file   = (uint32_t)(file - s->files);
        line->number = file->line_count;
        keep_names(s, line);
        if (line->sent_ns > file->newest_ns) file->newest_ns = line->sent_ns;
        s->batch_count++;
        if (s->batch_count == BATCH_LINES ||
            BATCH_BYTES - s->names_bytes < JUDGE_LINE_SCRATCH_BYTES)
            judge_batch(s, file, until_ns);
    }
    judge_batch(s, file, until_ns);
}

static void close_file(struct session *s, struct file *file) {
    const char *trouble = log_input_trouble(file->input);
    if (trouble != NULL) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX];
        terminal_complain("judge", "%s: %s after %llu lines; nothing is judged",
                          terminal_quote(view_of(file->name), quoted), trouble,
                          (unsigned long long)file->line_count);
        s->is_broken_off = true;
    }
    log_input_close(file->input);
    file->input = NULL;
    s->open_count--;
}

/* The input's next line overwrites this one. Runs of lines are of one host, whose name is kept once. */
static void keep_names(struct session *s, struct judge_line *line) {
    memcpy(s->names + s->names_bytes, line->user.data, line->user.bytes);
    line->user.data = s->names + s->names_bytes;
    s->names_bytes += line->user.bytes;
    if (s->batch_count > 0 && view_equals(line[-1].host, line->host)) {
        line->host = line[-1].host;
        return;
    }
    memcpy(s->names + s->names_bytes, line->host.data, line->host.bytes);
    line->host.data = s->names + s->names_bytes;
    s->names_bytes += line->host.bytes;
}

static void judge_batch(struct session *s, const struct file *file, int64_t until_ns) {
    for (int step = 0; step < JUDGE_HINT_STEPS; step++)
        for (size_t i = 0; i < s->batch_count; i++) judge_hint(s->judge, &s->lines[i], step);

    for (size_t i = 0; i < s->batch_count && !s->is_broken_off; i++) {
        const struct judge_line *line = &s->lines[i];
        switch (judge_take(s->judge, line)) {
        case JUDGE_TAKEN: advance(s, line->sent_ns < until_ns ? line->sent_ns : until_ns); break;
        case JUDGE_LATE:
            s->late++;
            complain_line(s, file, line->number,
                          "it was sent before the horizon; give a longer --horizon");
            break;
        case JUDGE_TOO_MANY_HOSTS:
            s->bad++;
            complain_line(s, file, line->number,
                          "it names one host more than the 4096 that can be told apart");
            break;
        case JUDGE_NO_MEMORY: complain_memory(s); break;
        }
    }
    s->batch_count = 0;
    s->names_bytes = 0;
}

/* No file has anything before `everywhere_ns` any more, but for what the horizon allows. */
static void advance(struct session *s, int64_t everywhere_ns) {
    if (everywhere_ns < INT64_MIN / 2) return;
    if (everywhere_ns - s->options.horizon_ns <= s->watermark_ns) return;
    s->watermark_ns = everywhere_ns - s->options.horizon_ns;
    judge_advance(s->judge, s->watermark_ns);
}

static void complain_memory(struct session *s) {
    char counters[TERMINAL_COUNT_BYTES_MAX], admissions[TERMINAL_COUNT_BYTES_MAX];
    terminal_complain("judge",
                      "%s users with %s admissions are live at once, which is more than "
                      "--memory %lluM holds; give more, or a shorter --horizon, or judge "
                      "some users at a time",
                      terminal_count(judge_live_counters(s->judge), counters),
                      terminal_count(judge_live_admissions(s->judge), admissions),
                      (unsigned long long)(s->options.memory_bytes >> 20));
    s->is_broken_off = true;
}

static void complain_line(struct session *s, const struct file *file, uint64_t number,
                          const char *why) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    if (s->shown++ >= BAD_SHOWN_MAX) return;
    terminal_complain("judge", "%s line %llu: %s", terminal_quote(view_of(file->name), quoted),
                      (unsigned long long)number, why);
    if (s->shown == BAD_SHOWN_MAX)
        terminal_complain("judge", "further lines that cannot be judged are only counted");
}

/* ---- the verdict ---- */

static int verdict(const struct session *s, const struct judge_result *result) {
    bool is_all_judged = s->bad == 0 && s->late == 0;
    if (!is_all_judged && !s->is_lenient) return COMMAND_TROUBLE;
    return result->certain > 0 ? COMMAND_DENIED : COMMAND_DONE;
}

static void print_time(int64_t time_ns) {
    /* Times since 1970 are long; the seconds' part is what a person looks for in a log. */
    bool is_negative = time_ns < 0; /* a widened interval may begin before 0 */
    printf("%s%lld.%09llds", is_negative ? "-" : "",
           (long long)(is_negative ? -time_ns : time_ns) / 1000000000,
           (long long)(is_negative ? -time_ns : time_ns) % 1000000000);
}

static void print_violation(const struct session *s, const struct judge_violation *v) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX], window[TEXT_DURATION_BYTES_MAX];
    char admitted[TERMINAL_COUNT_BYTES_MAX], limit[TERMINAL_COUNT_BYTES_MAX];
    text_duration_write(v->window_ns, window);
    printf("  user '%s'", terminal_quote(v->user, quoted));
    if (v->host.data != NULL && v->host.bytes > 0)
        printf(" on host '%s'", terminal_quote(v->host, quoted));
    printf(": %s admitted in %s, the limit was %s\n", terminal_count(v->admitted, admitted), window,
           terminal_count(v->limit, limit));
    printf("    window from ");
    print_time(v->begin_ns);
    printf(" to ");
    print_time(v->end_ns);
    printf(", %s admissions, ", terminal_count(v->admissions, admitted));
    printf("%s line %llu", terminal_quote(view_of(s->files[v->first_file].name), quoted),
           (unsigned long long)v->first_line);
    if (v->admissions > 1) {
        printf(" to ");
        if (v->first_file != v->last_file)
            printf("%s ", terminal_quote(view_of(s->files[v->last_file].name), quoted));
        printf("line %llu", (unsigned long long)v->last_line);
    }
    printf("\n");
}

static void print_text(const struct session *s, const struct judge_result *r, int code) {
    char a[TERMINAL_COUNT_BYTES_MAX], b[TERMINAL_COUNT_BYTES_MAX], c[TERMINAL_COUNT_BYTES_MAX];
    bool is_broken = r->certain > 0;
    printf("%s%s%s", terminal_colour(is_broken ? TERMINAL_RED : TERMINAL_GREEN),
           is_broken          ? "The promise is broken"
           : r->windows == 0  ? "Nothing was admitted, so nothing is broken"
           : r->possible == 0 ? "The promise holds"
                              : "No window is certainly broken",
           terminal_colour(TERMINAL_PLAIN));
    if (is_broken) {
        printf(": %s of %s windows certainly admitted more than their limit, of %s users",
               terminal_count(r->certain, a), terminal_count(r->windows, b),
               terminal_count(r->certain_users, c));
    }
    printf(".\n");
    if (code == COMMAND_TROUBLE)
        printf(
            "That is only what could be judged: some lines could not (exit code 3; see --lenient).\n");

    printf("\n%s lines: %s allowed, ", terminal_count(s->line_count, a),
           terminal_count(r->allowed, b));
    printf("%s denied", terminal_count(r->denied, a));
    if (r->looked > 0) printf(", %s of cost 0", terminal_count(r->looked, a));
    if (s->empty > 0) printf(", %s empty", terminal_count(s->empty, a));
    if (s->bad > 0) printf(", %s that are no decisions", terminal_count(s->bad, a));
    if (s->late > 0) printf(", %s sent before the horizon", terminal_count(s->late, a));
    printf("\n%s windows checked, of %s users and windows", terminal_count(r->windows, a),
           terminal_count(r->counters, b));
    printf("\n%s certainly broken, ", terminal_count(r->certain, a));
    printf("%s possibly broken, if the decisions fell unluckily in their intervals\n",
           terminal_count(r->possible, a));
    if (r->hosts > 1 && !s->options.has_clock_error) {
        printf("%u hosts, each judged by its own clock only: what they admitted together was not\n"
               "judged; --clock-error DURATION says how far their clocks may differ\n",
               r->hosts);
    } else if (r->hosts > 1) {
        char error[TEXT_DURATION_BYTES_MAX];
        text_duration_write(s->options.clock_error_ns, error);
        printf("%u hosts, judged together with clocks that differ by up to %s\n", r->hosts, error);
    }
    if (r->windows > 0) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX], window[TEXT_DURATION_BYTES_MAX];
        text_duration_write(r->fullest_window_ns, window);
        printf("fullest window: %s of %s in %s, user '%s'\n",
               terminal_count(r->fullest_admitted, a), terminal_count(r->fullest_limit, b), window,
               terminal_quote(r->fullest_user, quoted));
    }
    if (r->shown_count == 0) return;
    printf("\n");
    for (uint32_t i = 0; i < r->shown_count; i++) print_violation(s, &r->shown[i]);
    if (r->certain > r->shown_count)
        printf("  and %s more; --show N shows them\n",
               terminal_count(r->certain - r->shown_count, a));
}

static void put_number(struct json_writer *out, const char *name, uint64_t number) {
    json_write_name(out, name);
    json_write_u64(out, number);
}

static void put_time(struct json_writer *out, const char *name, int64_t time_ns) {
    json_write_name(out, name);
    json_write_i64(out, time_ns);
}

static void print_json(const struct session *s, const struct judge_result *r, int code) {
    char               buffer[8192];
    struct json_writer out;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_write_name(&out, "holds");
    json_write_bool(&out, r->certain == 0);
    json_write_name(&out, "all_lines_judged");
    json_write_bool(&out, s->bad == 0 && s->late == 0);
    put_number(&out, "exit_code", (uint64_t)code);
    put_number(&out, "lines", s->line_count);
    put_number(&out, "allowed", r->allowed);
    put_number(&out, "denied", r->denied);
    put_number(&out, "looked", r->looked);
    put_number(&out, "empty", s->empty);
    put_number(&out, "bad", s->bad);
    put_number(&out, "late", s->late);
    put_number(&out, "counters", r->counters);
    put_number(&out, "windows", r->windows);
    put_number(&out, "certain", r->certain);
    put_number(&out, "certain_users", r->certain_users);
    put_number(&out, "possible", r->possible);
    put_number(&out, "hosts", r->hosts);
    json_write_name(&out, "hosts_together");
    json_write_bool(&out, r->hosts < 2 || s->options.has_clock_error);
    put_number(&out, "memory_bytes", r->memory_bytes);
    json_write_name(&out, "fullest");
    if (r->windows == 0) {
        json_write_null(&out);
    } else {
        json_write_object(&out);
        json_write_bytes(&out, "user", r->fullest_user);
        put_number(&out, "admitted", r->fullest_admitted);
        put_number(&out, "limit", r->fullest_limit);
        put_time(&out, "window_ns", r->fullest_window_ns);
        json_write_object_end(&out);
    }
    json_write_name(&out, "violations");
    json_write_array(&out);
    for (uint32_t i = 0; i < r->shown_count; i++) {
        const struct judge_violation *v = &r->shown[i];
        json_write_object(&out);
        json_write_bytes(&out, "user", v->user);
        if (v->host.data != NULL) json_write_bytes(&out, "host", v->host);
        put_time(&out, "window_ns", v->window_ns);
        put_number(&out, "limit", v->limit);
        put_number(&out, "admitted", v->admitted);
        put_number(&out, "admissions", v->admissions);
        put_time(&out, "begin_ns", v->begin_ns);
        put_time(&out, "end_ns", v->end_ns);
        json_write_bytes(&out, "first_file", view_of(s->files[v->first_file].name));
        put_number(&out, "first_line", v->first_line);
        json_write_bytes(&out, "last_file", view_of(s->files[v->last_file].name));
        put_number(&out, "last_line", v->last_line);
        json_write_object_end(&out);
    }
    json_write_array_end(&out);
    json_write_object_end(&out);
    json_write_line_end(&out);
    json_write_end(&out);
}
