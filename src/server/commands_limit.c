/* SPDX-License-Identifier: MIT
 *
 * commands_limit: weir's own commands. WEIR.ALLOW, WEIR.DECIDE, WEIR.RESET, WEIR.EXPLAIN. */
#include "base/text.h"
#include "server/commands.h"

enum { NS_PER_MS = 1000000 };

/* ---- words to values ---- */

/* A plain number is milliseconds; a unit says something else. */
static bool window_parse(struct view word, int64_t *window_ns) {
    uint64_t ms = 0;
    if (text_number_parse(word, &ms)) {
        if (ms > INT64_MAX / NS_PER_MS) return false;
        *window_ns = (int64_t)(ms * NS_PER_MS);
        return true;
    }
    return text_duration_parse(word, window_ns);
}

static bool algorithm_parse(struct view word, uint32_t *algorithm) {
    if (word_is(word, "strict"))
        *algorithm = WEIR_STRICT;
    else if (word_is(word, "gcra"))
        *algorithm = WEIR_GCRA;
    else if (word_is(word, "fixed"))
        *algorithm = WEIR_FIXED;
    else
        return false;
    return true;
}

static const char window_problem[] =
    "ERR the window must be a number of milliseconds or a duration such as 250us or 1m, and not ";

/* What is wrong with a word, or NULL. `problem_word` is that word. */
struct trouble {
    const char *problem;
    struct view word;
};

static struct trouble trouble_with(const char *problem, struct view word) {
    return (struct trouble){.problem = problem, .word = word};
}

static struct trouble rule_parse(struct view limit, struct view window, weir_request *request) {
    if (!text_number_parse(limit, &request->limit))
        return trouble_with("ERR the limit must be a number from 0 to 1099511627776, and not ",
                            limit);
    if (!window_parse(window, &request->window_ns)) return trouble_with(window_problem, window);
    return (struct trouble){0};
}

/* The named options after a rule, from words[at] on. */
struct rule_options {
    bool has_cost, takes_cost;
    bool takes_burst;
};

static struct trouble options_parse(const struct view *words, size_t count, size_t at,
                                    struct rule_options *options, weir_request *request) {
    static const struct view nothing = {0};
    bool                     is_peek = false;
    while (at < count) {
        struct view option = words[at++];
        if (options->takes_cost && word_is(option, "peek")) {
            is_peek = true;
            continue;
        }
        if (at == count) return trouble_with("ERR syntax error", nothing);
        struct view value = words[at++];
        if (options->takes_cost && word_is(option, "cost")) {
            options->has_cost = true;
            if (!text_number_parse(value, &request->cost))
                return trouble_with("ERR COST must be a number, and not ", value);
        } else if (options->takes_burst && word_is(option, "burst")) {
            if (!text_number_parse(value, &request->burst) || request->burst == 0)
                return trouble_with("ERR BURST must be a number from 1 on, and not ", value);
        } else if (word_is(option, "algorithm")) {
            if (!algorithm_parse(value, &request->algorithm))
                return trouble_with("ERR ALGORITHM must be strict, gcra or fixed, and not ", value);
        } else {
            return trouble_with("ERR unknown option ", option);
        }
    }
    if (is_peek && options->has_cost)
        return trouble_with("ERR PEEK takes nothing, so it goes without COST", nothing);
    if (is_peek) request->cost = 0;
    return (struct trouble){0};
}

/* ---- WEIR.ALLOW user limit window [cost] ---- */

bool ask_allow(struct call *call, weir_request *request) {
    const struct view *words = call->words;
    if (call->word_count > 5)
        return call_fail(call,
                         "ERR WEIR.ALLOW takes user, limit, window and perhaps a cost; for more "
                         "there is WEIR.DECIDE",
                         NULL);
    *request               = weir_request_for(words[1].data, words[1].bytes, 0, 0);
    struct trouble trouble = rule_parse(words[2], words[3], request);
    if (trouble.problem != NULL) return call_fail(call, trouble.problem, &trouble.word);
    if (call->word_count == 5 && !text_number_parse(words[4], &request->cost))
        return call_fail(call, "ERR the cost must be a number, and not ", &words[4]);
    return true;
}

void answer_allow(const struct batch *batch, const struct call *call, struct reply *reply) {
    reply_integer(reply, call_decision(batch, call)->allowed);
}

/* ---- WEIR.DECIDE user limit window [options] ---- */

bool ask_decide(struct call *call, weir_request *request) {
    const struct view  *words   = call->words;
    struct rule_options options = {.takes_cost = true, .takes_burst = true};
    *request                    = weir_request_for(words[1].data, words[1].bytes, 0, 0);
    struct trouble trouble      = rule_parse(words[2], words[3], request);
    if (trouble.problem == NULL)
        trouble = options_parse(words, call->word_count, 4, &options, request);
    return trouble.problem == NULL || call_fail(call, trouble.problem, &trouble.word);
}

static const char *how_text(uint8_t how) {
    switch (how) {
    case WEIR_HOW_STRICT: return "strict";
    case WEIR_HOW_GCRA: return "gcra";
    case WEIR_HOW_FIXED: return "fixed";
    case WEIR_HOW_OVERFLOW: return "overflow";
    case WEIR_HOW_SKETCH: return "sketch";
    case WEIR_HOW_LEASE: return "lease";
    case WEIR_HOW_STORE: return "store";
    case WEIR_HOW_CACHED: return "cached";
    case WEIR_HOW_CLOSED: return "closed";
    case WEIR_HOW_OPEN: return "open";
    case WEIR_HOW_LOCAL: return "local";
    default: return "none";
    }
}

/* Whoever waits so many milliseconds has waited long enough. */
static int64_t ms_rounded_up(int64_t ns) { return ns / NS_PER_MS + (ns % NS_PER_MS != 0); }

static void field(struct reply *reply, const char *name, int64_t value) {
    reply_text(reply, name);
    reply_integer(reply, value);
}

/* Only a degraded decision tells why. */
void answer_decide(const struct batch *batch, const struct call *call, struct reply *reply) {
    const weir_decision *d           = call_decision(batch, call);
    bool                 is_never    = d->retry_after_ns == WEIR_NEVER;
    bool                 is_degraded = d->why != WEIR_WHY_NONE;
    reply_map(reply, is_degraded ? 8 : 7);
    field(reply, "allowed", d->allowed);
    field(reply, "remaining", (int64_t)d->remaining);
    field(reply, "retry_after_ms", is_never ? -1 : ms_rounded_up(d->retry_after_ns));
    field(reply, "reset_after_ms", ms_rounded_up(d->reset_after_ns));
    field(reply, "retry_after_ns", is_never ? -1 : d->retry_after_ns);
    field(reply, "reset_after_ns", d->reset_after_ns);
    reply_text(reply, "how");
    reply_text(reply, how_text(d->how));
    if (!is_degraded) return;
    reply_text(reply, "why");
    reply_text(reply, weir_why_text((weir_why)d->why));
}

/* ---- WEIR.RESET user window [ALGORITHM a] ---- */

void act_reset_user(const struct service *service, const struct call *call, uint64_t now_ns,
                    struct reply *reply) {
    const struct view  *words   = call->words;
    struct rule_options options = {0};
    weir_request        request = weir_request_for(words[1].data, words[1].bytes, 1, 0);
    struct trouble      trouble = {0};
    if (!window_parse(words[2], &request.window_ns))
        trouble = trouble_with(window_problem, words[2]);
    if (trouble.problem == NULL)
        trouble = options_parse(words, call->word_count, 3, &options, &request);
    if (trouble.problem != NULL) {
        reply_error_about(reply, trouble.problem, trouble.word);
        return;
    }

    weir_status status = service_reset(service, &request, now_ns);
    if (status == WEIR_OK)
        reply_simple(reply, "OK");
    else
        command_answer_refused(status, request.algorithm, reply);
}

/* ---- WEIR.EXPLAIN limit window [ALGORITHM a] [BURST n] ---- */

void answer_explain(const struct batch *batch, const struct call *call, struct reply *reply) {
    (void)batch;
    const struct view  *words   = call->words;
    struct rule_options options = {.takes_burst = true};
    weir_request        request = weir_request_for("", 0, 0, 0);
    weir_explanation    what    = {.size = sizeof what};
    struct trouble      trouble = rule_parse(words[1], words[2], &request);
    if (trouble.problem == NULL)
        trouble = options_parse(words, call->word_count, 3, &options, &request);
    if (trouble.problem == NULL) {
        weir_status status = weir_explain(&request, &what);
        if (status != WEIR_OK) trouble = trouble_with("ERR ", view_of(weir_status_text(status)));
    }
    if (trouble.problem != NULL) {
        reply_error_about(reply, trouble.problem, trouble.word);
        return;
    }

    reply_map(reply, 7);
    field(reply, "strict", what.is_strict);
    field(reply, "worst_window", (int64_t)what.worst_window);
    field(reply, "burst", (int64_t)what.burst);
    field(reply, "cell_ns", what.cell_ns);
    field(reply, "quantum", (int64_t)what.quantum);
    field(reply, "interval_ns", what.interval_ns);
    field(reply, "user_bytes", (int64_t)what.user_bytes);
}
