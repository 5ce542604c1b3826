/* SPDX-License-Identifier: MIT
 *
 * allow: may this user act now? One question to a store, or several in a row. */
#include <stdio.h>

#include <weir.h>

#include "api/open.h"
#include "api/shared.h"
#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/store.h"
#include "cmd/store_past.h"
#include "cmd/terminal.h"
#include "os/clock.h"
#include "store/store.h"
#include "wire/json.h"

static const char about[] =
    "Asks whether USER may act now under a limit, counts the act if so, and says what is left.\n"
    "A limit is written 100/1m: at most 100 in any window of one minute.\n"
    "\n"
    "Counts are kept in a file that any number of programs share, weir serve and programs with\n"
    "the library among them, and that survives them all: see --store. With --store memory: the\n"
    "call begins with nothing and forgets it at the end; --times then shows the limit.\n"
    "\n"
    "Why a store that many hosts share does not decide, or grants nothing yet, is told on stderr.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir allow ann 100/1m                    allowed, 99 left of 100; then 98, and so on\n"
    "  weir allow ann 3/10s --times 5           the last two are denied\n"
    "  weir allow ann 5/1h --store file:/tmp/mail.weir    in a file of its own\n"
    "  weir allow ann 10/1s --algorithm gcra --burst 20 --cost 5\n"
    "\n"
    "exit codes: 0 all were allowed; 1 at least one was denied; 2 wrong usage; 3 trouble.\n"
    "Where a shared store does not decide, the policy of its URL does, and 0 or 1 is its answer.\n"
    "With --json, one line for each question: allowed, remaining, limit, window_ns, cost,\n"
    "retry_after_ns (null: never), reset_after_ns, and user (user_hex if it is not UTF-8).\n";

static int ask(weir *w, const weir_request *request, uint64_t times, const char *rate, bool as_json,
               bool is_quiet);
static void    print_decision(const weir_request *request, const weir_decision *decision);
static void    print_json(struct json_writer *out, const weir_request *request,
                          const weir_decision *decision);
static int64_t rounded_up(int64_t duration_ns);

/* What was said already of a store that many hosts share. */
struct said {
    bool trouble, past;
};

static void explain(weir *w, const weir_request *request, const weir_decision *decision,
                    struct said *said);

int allow_main(int count, char **words) {
    uint64_t    cost = 1, burst = 0, times = 1;
    uint32_t    algorithm = WEIR_STRICT;
    const char *store     = store_default();
    bool        as_json = false, is_quiet = false;

    const struct args_option options[] = {
        {.name   = "cost",
         .letter = 'c',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &cost,
         .text   = "permits to take, all or none (default 1); 0 only looks"},
        {.name    = "algorithm",
         .letter  = 'a',
         .kind    = ARGS_CHOICE,
         .choices = args_algorithms,
         .into    = &algorithm,
         .text    = "how to count (default strict); see weir explain"},
        {.name   = "burst",
         .letter = 'b',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &burst,
         .text   = "gcra: permits that may pass at once (default: as many as\n"
                   "the limit)"},
        {.name   = "times",
         .letter = 'n',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &times,
         .min    = 1,
         .text   = "ask N times in a row (default 1)"},
        {.name   = "store",
         .letter = 's',
         .kind   = ARGS_TEXT,
         .value  = "URL",
         .into   = &store,
         .text   = "where to count: file:PATH, memory:, redis://HOST, or\n"
                   "file: for the default place (default $WEIR_STORE, or\n"
                   "else file:)"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &as_json,
         .text   = "print one line of JSON for each question"},
        {.name   = "quiet",
         .letter = 'q',
         .kind   = ARGS_FLAG,
         .into   = &is_quiet,
         .text   = "print nothing: the exit code is the answer"},
    };
    struct args      args = {.verb         = words[0],
                             .usage        = "USER LIMIT/WINDOW",
                             .about        = about,
                             .epilogue     = epilogue,
                             .options      = options,
                             .option_count = sizeof options / sizeof options[0],
                             .operands_min = 2,
                             .operands_max = 2};
    struct args_rate rate;
    int              code;
    if (!args_parse(&args, count, words, &code)) return code;
    if (!args_rate_parse("allow", "LIMIT/WINDOW", args.operands[1], &rate)) return COMMAND_USAGE;

    struct view  user    = view_of(args.operands[0]);
    weir_request request = weir_request_for(user.data, user.bytes, rate.limit, rate.window_ns);
    request.cost         = cost;
    request.algorithm    = algorithm;
    request.burst        = burst;

    if (shared_is_cassandra(store)) {
        terminal_complain("allow",
                          "on Cassandra each process counts what it claims, and what one that has "
                          "ended used counts for two hours: ask a weir serve --store "
                          "cassandra://... instead, which goes on");
        return COMMAND_USAGE;
    }
    if (shared_is_url(store) && algorithm != WEIR_STRICT) {
        terminal_complain(
            "allow", "--algorithm %s: a store that many hosts share decides strict windows only",
            args_algorithms[algorithm]);
        return COMMAND_USAGE;
    }
    weir *w = store_open("allow", store, NULL, &code);
    if (w == NULL) return code;
    code = ask(w, &request, times, args.operands[1], as_json, is_quiet);
    weir_close(w);
    return terminal_finish("allow", code);
}

static int ask(weir *w, const weir_request *request, uint64_t times, const char *rate, bool as_json,
               bool is_quiet) {
    int                code = COMMAND_DONE;
    struct said        said = {false, false};
    char               buffer[4096];
    struct json_writer out;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);

    for (uint64_t i = 0; i < times && !terminal_is_gone(); i++) {
        weir_decision decision;
        weir_status   status = weir_decide(w, request, &decision);
        if (status != WEIR_OK) {
            json_write_end(&out);
            return args_status_complain("allow", "LIMIT/WINDOW", rate, request, status);
        }
        if (!decision.allowed) code = COMMAND_DENIED;
        if (is_quiet) continue;
        if (as_json) {
            print_json(&out, request, &decision);
        } else {
            print_decision(request, &decision);
        }
        if (open_is_remote(w)) explain(w, request, &decision, &said);
    }
    json_write_end(&out);
    return code;
}

/* ---- a store that many hosts share ---- */

#define ASK_WAIT_NS       UINT64_C(1000000000)
#define COMPLAINT_WAIT_NS UINT64_C(500000000)
#define COMPLAINT_LOOK_NS UINT64_C(5000000)

/* Replicas that do not confirm are complained of when they have been waited for, which may be after the
 * decision. */
static void wait_for_complaint(weir *w, char complaint[STORE_HEALTH_BYTES]) {
    uint64_t until_ns = clock_now_ns() + COMPLAINT_WAIT_NS;
    for (open_trouble(w, complaint, STORE_HEALTH_BYTES);
         complaint[0] == '\0' && clock_now_ns() < until_ns;
         open_trouble(w, complaint, STORE_HEALTH_BYTES))
        clock_sleep_until(clock_now_ns() + COMPLAINT_LOOK_NS);
}

/* The store has not decided. It is asked itself, since it knows the cause. */
static void explain_trouble(weir *w) {
    static const char more[] = "; weir doctor URL looks closer";
    struct lease_past past;
    char              complaint[STORE_HEALTH_BYTES], problem[OPEN_PROBLEM_BYTES_MAX];
    char              quoted[TERMINAL_QUOTE_BYTES_MAX];
    wait_for_complaint(w, complaint);
    if (!open_ask(w, clock_now_ns() + ASK_WAIT_NS, &past, problem))
        terminal_complain("allow", "trouble with the store: %s%s",
                          terminal_quote(view_of(problem), quoted), store_doctor(problem, more));
    else if (complaint[0] != '\0')
        terminal_complain("allow", "the store answers now, but has not decided: %s%s",
                          terminal_quote(view_of(complaint), quoted),
                          store_doctor(complaint, more));
    else
        terminal_complain("allow",
                          "the store answers now, but was too slow for this question: weir doctor "
                          "URL says how slow it is, and with deadline=... in the URL it is waited "
                          "for longer");
}

/* Of a limit that is used up there is nothing to say. */
static void explain_past(weir *w, const weir_request *request, const weir_decision *decision) {
    struct lease_past past;
    char              problem[OPEN_PROBLEM_BYTES_MAX], text[STORE_PAST_BYTES_MAX];
    if (!open_ask_about(w, request, clock_now_ns() + ASK_WAIT_NS, &past, problem) ||
        !open_wants_past(w, request, decision, &past) || !store_past_write(&past, text))
        return;
    terminal_complain(
        "allow",
        "denied for want of a past and not for permits that were given: this store was not said to "
        "be new, or has lost what it knew, and %s; if it is new, say so with weir init URL",
        text);
}

/* Says what cannot be seen in the decision; once, however many there are. */
static void explain(weir *w, const weir_request *request, const weir_decision *decision,
                    struct said *said) {
    bool is_late   = decision->why == WEIR_WHY_LATE || decision->why == WEIR_WHY_CUT;
    bool is_denied = decision->why == WEIR_WHY_NONE && !decision->allowed &&
                     decision->retry_after_ns != WEIR_NEVER;
    if (is_late && !said->trouble) explain_trouble(w);
    if (is_denied && !said->past) explain_past(w, request, decision);
    said->trouble = said->trouble || is_late;
    said->past    = said->past || is_denied;
}

/* ---- answers ---- */

static void print_decision(const weir_request *request, const weir_decision *decision) {
    uint64_t most = request->algorithm == WEIR_GCRA && request->burst != 0 && request->limit != 0
                        ? request->burst
                        : request->limit;
    printf("%s%s%s", terminal_colour(decision->allowed ? TERMINAL_GREEN : TERMINAL_RED),
           decision->allowed ? "allowed" : "denied", terminal_colour(TERMINAL_PLAIN));
    if (decision->why != WEIR_WHY_NONE) {
        printf(" by this process alone: %s\n", weir_why_text((weir_why)decision->why));
        return;
    }
    if (decision->allowed) {
        printf(", %llu left of %llu\n", (unsigned long long)decision->remaining,
               (unsigned long long)most);
        return;
    }
    if (decision->retry_after_ns == WEIR_NEVER) {
        printf(", and no wait helps: ");
        if (most == 0) {
            printf("a limit of 0 admits nobody\n");
        } else {
            printf("the cost %llu is above the %s %llu\n", (unsigned long long)request->cost,
                   most == request->limit ? "limit" : "burst", (unsigned long long)most);
        }
        return;
    }
    char wait[TEXT_DURATION_BYTES_MAX];
    text_duration_write_short(rounded_up(decision->retry_after_ns), wait);
    printf(", try again in %s\n", wait);
}

/* To three digits, upwards: who waits for what was shown must not be denied for the last of it. */
static int64_t rounded_up(int64_t duration_ns) {
    const int64_t minute_ns = WEIR_MINUTE;
    int64_t       step      = 1;
    if (duration_ns < minute_ns) {
        while (duration_ns / step >= 1000) step *= 10;
    } else {
        step = duration_ns < WEIR_HOUR        ? WEIR_SECOND
               : duration_ns < WEIR_DAY       ? minute_ns
               : duration_ns < 100 * WEIR_DAY ? WEIR_HOUR
                                              : WEIR_DAY;
    }
    return duration_ns > INT64_MAX - step ? duration_ns : (duration_ns + step - 1) / step * step;
}

static void print_json(struct json_writer *out, const weir_request *request,
                       const weir_decision *decision) {
    json_write_object(out);
    json_write_bytes(out, "user", (struct view){request->user, request->user_bytes});
    json_write_name(out, "allowed");
    json_write_bool(out, decision->allowed);
    json_write_name(out, "remaining");
    json_write_u64(out, decision->remaining);
    json_write_name(out, "limit");
    json_write_u64(out, request->limit);
    json_write_name(out, "window_ns");
    json_write_i64(out, request->window_ns);
    json_write_name(out, "cost");
    json_write_u64(out, request->cost);
    json_write_name(out, "algorithm");
    json_write_text(out, view_of(args_algorithms[request->algorithm]));
    json_write_name(out, "retry_after_ns");
    if (decision->retry_after_ns == WEIR_NEVER) {
        json_write_null(out);
    } else {
        json_write_i64(out, decision->retry_after_ns);
    }
    json_write_name(out, "reset_after_ns");
    json_write_i64(out, decision->reset_after_ns);
    if (decision->why != WEIR_WHY_NONE) {
        json_write_name(out, "degraded");
        json_write_text(out, view_of(weir_why_text((weir_why)decision->why)));
    }
    json_write_object_end(out);
    json_write_line_end(out);
}
