/* SPDX-License-Identifier: MIT
 *
 * explain: what does a limit mean in numbers? */
#include <stdio.h>

#include <weir.h>

#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/explain_sketch.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static const char about[] =
    "Explains a limit in numbers: the most that any window can hold in the worst case, beside\n"
    "what the usual other algorithms would let through; how finely weir counts; what a denial\n"
    "means; and the memory that a user takes. With --sketch: how often a sketch of so many bytes\n"
    "would deny without need.\n";

static const char epilogue[] = "examples:\n"
                               "  weir explain 100/1m\n"
                               "  weir explain 100/1m --algorithm gcra --burst 20\n"
                               "  weir explain 1000/1d --json\n"
                               "  weir explain 10/1m --sketch 8G --users 1000000000 --mean 2.5\n"
                               "\n"
                               "exit codes: 0 explained; 2 wrong usage; 3 trouble.\n";

/* The most that some window can hold under each algorithm. */
struct worst_cases {
    uint64_t strict;
    uint64_t fixed;
    uint64_t gcra;
    uint64_t two_counters;
};

static struct worst_cases worst_cases_of(const weir_request *request);
static uint64_t           worst_window_of(const weir_request *request, weir_algorithm algorithm);
static void               print_text(const weir_request *request, const weir_explanation *e);
static void print_worst(const char *name, uint64_t worst, uint64_t limit, bool is_asked);
static void print_json(const weir_request *request, const weir_explanation *e,
                       const struct explain_sketch *sketch);

int explain_main(int count, char **words) {
    uint64_t burst     = 0;
    uint32_t algorithm = WEIR_STRICT;
    bool     as_json   = false;

    struct explain_sketch sketch = {0};

    const struct args_option options[] = {
        {.name    = "algorithm",
         .letter  = 'a',
         .kind    = ARGS_CHOICE,
         .choices = args_algorithms,
         .into    = &algorithm,
         .text    = "how to count (default strict)"},
        {.name   = "burst",
         .letter = 'b',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &burst,
         .text   = "gcra: permits that may pass at once (default: as many as\n"
                   "the limit)"},
        {.name  = "sketch",
         .kind  = ARGS_BYTES,
         .value = "BYTES",
         .into  = &sketch.bytes,
         .min   = 1,
         .text  = "strict in fixed memory, for limits to 255: explain a\n"
                  "sketch of so many bytes (K M G T)"},
        {.name  = "users",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &sketch.users,
         .min   = 1,
         .text  = "for --sketch: users who come in a window"},
        {.name  = "mean",
         .kind  = ARGS_TEXT,
         .value = "PERMITS",
         .into  = &sketch.mean_text,
         .text  = "for --sketch: what each takes in a window, on average\n"
                  "(default: a quarter of the limit)"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &as_json,
         .text   = "print one JSON document"},
    };
    struct args      args = {.verb         = words[0],
                             .usage        = "LIMIT/WINDOW",
                             .about        = about,
                             .epilogue     = epilogue,
                             .options      = options,
                             .option_count = sizeof options / sizeof options[0],
                             .operands_min = 1,
                             .operands_max = 1};
    struct args_rate rate;
    int              code;
    if (!args_parse(&args, count, words, &code)) return code;
    if (!args_rate_parse("explain", "LIMIT/WINDOW", args.operands[0], &rate)) return COMMAND_USAGE;

    weir_request request = weir_request_for(NULL, 0, rate.limit, rate.window_ns);
    request.algorithm    = algorithm;
    request.burst        = burst;

    weir_explanation explanation = {.size = sizeof explanation};
    weir_status      status      = weir_explain(&request, &explanation);
    if (status != WEIR_OK) {
        return args_status_complain("explain", "LIMIT/WINDOW", args.operands[0], &request, status);
    }
    if (!explain_sketch_check(&sketch, &request)) return COMMAND_USAGE;
    if (as_json) {
        print_json(&request, &explanation, &sketch);
    } else {
        print_text(&request, &explanation);
        if (sketch.bytes > 0) explain_sketch_print(&sketch, &request);
    }
    return terminal_finish("explain", COMMAND_DONE);
}

static struct worst_cases worst_cases_of(const weir_request *request) {
    if (request->limit == 0) return (struct worst_cases){0};
    return (struct worst_cases){
        .strict = worst_window_of(request, WEIR_STRICT),
        .gcra   = worst_window_of(request, WEIR_GCRA),
        .fixed  = worst_window_of(request, WEIR_FIXED),
        /* An estimate weighs the last fixed window by its overlap, as if it had been used evenly.
         * `limit` at its very end fades over the next one, in which so nearly another `limit`
         * passes: all but one within one window. Limits end at 2^40, so nothing overflows. */
        .two_counters = 2 * request->limit - 1,
    };
}

/* What the library itself says, for an algorithm that may not be the one asked about. */
static uint64_t worst_window_of(const weir_request *request, weir_algorithm algorithm) {
    weir_request     other       = *request;
    weir_explanation explanation = {.size = sizeof explanation};
    other.algorithm              = algorithm;
    if (algorithm != WEIR_GCRA) other.burst = 0;
    return weir_explain(&other, &explanation) == WEIR_OK ? explanation.worst_window : 0;
}

static void print_text(const weir_request *request, const weir_explanation *e) {
    char window[TEXT_DURATION_BYTES_MAX], cell[TEXT_DURATION_BYTES_MAX];
    char count[TERMINAL_COUNT_BYTES_MAX], other[TERMINAL_COUNT_BYTES_MAX];
    text_duration_write(request->window_ns, window);
    text_duration_write_short(e->cell_ns, cell);
    printf("%s%llu/%s, %s%s: ", terminal_colour(TERMINAL_BOLD), (unsigned long long)request->limit,
           window, args_algorithms[request->algorithm], terminal_colour(TERMINAL_PLAIN));
    printf("at most %s in any %s, wherever it begins%s.\n\n",
           terminal_count(e->worst_window, count), window,
           e->is_strict ? "" : ", which is more than the limit");
    if (request->limit == 0) {
        printf("A limit of 0 denies everything.\n");
        return;
    }

    struct worst_cases worst = worst_cases_of(request);
    printf("The most that some window of %s holds in the worst case:\n", window);
    print_worst("strict", worst.strict, request->limit, request->algorithm == WEIR_STRICT);
    print_worst("gcra", worst.gcra, request->limit, request->algorithm == WEIR_GCRA);
    print_worst("fixed", worst.fixed, request->limit, request->algorithm == WEIR_FIXED);
    print_worst("two counters", worst.two_counters, request->limit, false);
    printf("(Two counters: an estimate from this fixed window and the last, as many proxies use;\n"
           "weir does not.)\n\n");

    printf("At one instant, up to %s may pass.\n", terminal_count(e->burst, count));
    switch (request->algorithm) {
    case WEIR_STRICT: {
        double late = 100.0 * (double)e->cell_ns / (double)request->window_ns;
        printf(
            "Time is counted in cells of %s: a permit comes back at most %s (%.2f %%) later than\n"
            "one %s after it was taken.\n",
            cell, cell, late, window);
        if (e->quantum == 1) {
            printf("Permits are counted one by one: none of the %s is lost.\n",
                   terminal_count(request->limit, count));
        } else {
            printf(
                "Permits are counted in quanta of %s: up to %s (%.2f %%) of the %s may be missing.\n",
                terminal_count(e->quantum, other), terminal_count(e->quantum - 1, window),
                100.0 * (double)(e->quantum - 1) / (double)request->limit,
                terminal_count(request->limit, count));
        }
        text_duration_write(request->window_ns, window);
        printf(
            "A denial means: in the last %s and one cell, so much was admitted that this request\n"
            "would have passed the limit%s. The time to try again is exact.\n",
            window, e->quantum == 1 ? "" : " less one quantum");
        break;
    }
    case WEIR_GCRA: {
        char interval[TEXT_DURATION_BYTES_MAX];
        text_duration_write(e->interval_ns, interval);
        printf("Permits come back one each %s.\n"
               "A denial means: the burst is used up and not enough of it has come back yet.\n",
               interval);
        break;
    }
    default:
        printf("Windows begin at multiples of %s; all permits come back at once when one begins.\n"
               "A denial means: the limit of this window is used up.\n",
               window);
    }
    printf("A user takes %llu bytes of memory: %s users in a GiB.\n",
           (unsigned long long)e->user_bytes,
           terminal_count((UINT64_C(1) << 30) / e->user_bytes, count));
}

static void print_worst(const char *name, uint64_t worst, uint64_t limit, bool is_asked) {
    if (worst == 0) return; /* the rule makes no sense for that algorithm */
    char count[TERMINAL_COUNT_BYTES_MAX];
    bool is_over = worst > limit;
    printf("  %s %-13s %s%s%s", is_asked ? ">" : " ", name,
           terminal_colour(is_over ? TERMINAL_YELLOW : TERMINAL_GREEN),
           terminal_count(worst, count), terminal_colour(TERMINAL_PLAIN));
    if (is_over) printf("  (%.2f times the limit)", (double)worst / (double)limit);
    printf("\n");
}

static void print_json(const weir_request *request, const weir_explanation *e,
                       const struct explain_sketch *sketch) {
    char               buffer[2048];
    struct json_writer out;
    struct worst_cases worst = worst_cases_of(request);
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_write_name(&out, "limit");
    json_write_u64(&out, request->limit);
    json_write_name(&out, "window_ns");
    json_write_i64(&out, request->window_ns);
    json_write_name(&out, "algorithm");
    json_write_text(&out, view_of(args_algorithms[request->algorithm]));
    json_write_name(&out, "is_strict");
    json_write_bool(&out, e->is_strict);
    json_write_name(&out, "worst_window");
    json_write_u64(&out, e->worst_window);
    json_write_name(&out, "burst");
    json_write_u64(&out, e->burst);
    json_write_name(&out, "cell_ns");
    json_write_i64(&out, e->cell_ns);
    json_write_name(&out, "quantum");
    json_write_u64(&out, e->quantum);
    json_write_name(&out, "interval_ns");
    json_write_i64(&out, e->interval_ns);
    json_write_name(&out, "user_bytes");
    json_write_u64(&out, e->user_bytes);
    json_write_name(&out, "users_per_gib");
    json_write_u64(&out, e->user_bytes > 0 ? (UINT64_C(1) << 30) / e->user_bytes : 0);
    json_write_name(&out, "worst_window_by_algorithm");
    json_write_object(&out);
    json_write_name(&out, "strict");
    json_write_u64(&out, worst.strict);
    json_write_name(&out, "gcra");
    json_write_u64(&out, worst.gcra);
    json_write_name(&out, "fixed");
    json_write_u64(&out, worst.fixed);
    json_write_name(&out, "two_counters");
    json_write_u64(&out, worst.two_counters);
    json_write_object_end(&out);
    if (sketch->bytes > 0) explain_sketch_json(sketch, request, &out);
    json_write_object_end(&out);
    json_write_line_end(&out);
    json_write_end(&out);
}
