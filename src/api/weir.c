/* SPDX-License-Identifier: MIT
 *
 * weir: the public functions. Reads the clock, asks the limiter; the manual is include/weir.h. */
#include <weir.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "limit/gcra.h"
#include "limit/window.h"
#include "limiter/limiter.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "table/table.h"

enum {
    USERS_MAX_DEFAULT   = 10000000,
    CLOCK_ERROR_PPM_MAX = 100000,
    URL_BYTES_SHOWN     = 150,
};

struct weir {
    struct limiter *limiter;
};

#define STRINGIFY(x)                      #x
#define VERSION_TEXT(major, minor, patch) STRINGIFY(major) "." STRINGIFY(minor) "." STRINGIFY(patch)

const char *weir_version(void) {
    return VERSION_TEXT(WEIR_VERSION_MAJOR, WEIR_VERSION_MINOR, WEIR_VERSION_PATCH);
}

const char *weir_status_text(weir_status status) {
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case name: return text;
        WEIR_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

/* --- opening -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static weir *open_fail(weir_error *error, weir_status status,
                                                             const char *format, ...) {
    if (error == NULL) return NULL;
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return NULL;
}

/* Takes over the options that both sides know. False: the caller sets one that this library does not. */
static bool options_read(const weir_options *given, weir_options *known) {
    *known = (weir_options)WEIR_OPTIONS_DEFAULT;
    if (given == NULL) return true;

    const unsigned char *bytes = (const unsigned char *)given;
    if (given->size < sizeof given->size) return false;
    for (size_t i = sizeof *known; i < given->size; i++) {
        if (bytes[i] != 0) return false;
    }
    memcpy(known, given, given->size < sizeof *known ? given->size : sizeof *known);
    for (size_t i = 0; i < sizeof known->reserved / sizeof known->reserved[0]; i++) {
        if (known->reserved[i] != 0) return false;
    }
    return true;
}

weir *weir_open(const char *url, const weir_options *options, weir_error *error) {
    if (url == NULL) return open_fail(error, WEIR_BAD_URL, "no store is named; try \"memory:\"");
    if (strcmp(url, "memory:") != 0) {
        /* Where somebody logs in, up to the scheme only: there may be a password. */
        size_t shown = strchr(url, '@') != NULL ? strcspn(url, ":") + 1 : strlen(url);
        return open_fail(error, WEIR_BAD_URL,
                         "\"%.*s\" is not a store that this version knows; it knows \"memory:\"",
                         (int)(shown < URL_BYTES_SHOWN ? shown : URL_BYTES_SHOWN), url);
    }
    weir_options o;
    if (!options_read(options, &o)) {
        return open_fail(
            error, WEIR_BAD_OPTIONS,
            "weir_options: size is wrong, or a field is set that version %s does not know; start from "
            "WEIR_OPTIONS_DEFAULT",
            weir_version());
    }
    if (o.clock_error_ppm > CLOCK_ERROR_PPM_MAX) {
        return open_fail(error, WEIR_BAD_OPTIONS, "clock_error_ppm is %llu; the most is %d",
                         (unsigned long long)o.clock_error_ppm, CLOCK_ERROR_PPM_MAX);
    }
    if (o.users_max == 0) o.users_max = USERS_MAX_DEFAULT;
    if (table_bytes(o.users_max, 1) == 0) {
        return open_fail(error, WEIR_BAD_OPTIONS,
                         "users_max is %llu; that is more than a table can hold",
                         (unsigned long long)o.users_max);
    }

    struct limiter_options limiter_options = {.users_max       = o.users_max,
                                              .clock_error_ppm = o.clock_error_ppm};
    if (!entropy_fill(limiter_options.secret, sizeof limiter_options.secret)) {
        return open_fail(error, WEIR_UNSUPPORTED,
                         "the system gives no random bytes (getrandom failed)");
    }
    weir *w = malloc(sizeof *w);
    if (w == NULL) return open_fail(error, WEIR_NO_MEMORY, "out of memory");
    w->limiter = limiter_new(&limiter_options);
    if (w->limiter == NULL) {
        free(w);
        return open_fail(error, WEIR_NO_MEMORY,
                         "no address space for users_max = %llu (%llu MiB); choose fewer",
                         (unsigned long long)o.users_max,
                         (unsigned long long)(table_bytes(o.users_max, 1) >> 20));
    }
    if (error != NULL) *error = (weir_error){.status = WEIR_OK};
    return w;
}

void weir_close(weir *w) {
    if (w == NULL) return;
    limiter_free(w->limiter);
    free(w);
}

/* --- deciding ------------------------------------------------------------------------------- */

bool weir_allow(weir *w, const char *user, uint64_t limit, int64_t window_ns) {
    size_t user_bytes = user == NULL ? WEIR_USER_BYTES_MAX + 1 : strlen(user);
    return limiter_allow(w->limiter, user, user_bytes, limit, window_ns, clock_now_ns());
}

weir_status weir_decide(weir *w, const weir_request *request, weir_decision *decision) {
    return limiter_decide(w->limiter, request, clock_now_ns(), decision);
}

weir_status weir_decide_many(weir *w, const weir_request *requests, size_t count,
                             weir_decision *decisions) {
    return limiter_decide_many(w->limiter, requests, count, clock_now_ns(), decisions);
}

weir_status weir_decide_all(weir *w, const weir_request *requests, size_t count,
                            weir_decision *decisions) {
    return limiter_decide_all(w->limiter, requests, count, clock_now_ns(), decisions);
}

weir_status weir_reset(weir *w, const weir_request *request) {
    return limiter_reset(w->limiter, request, clock_now_ns());
}

/* --- telling -------------------------------------------------------------------------------- */

weir_status weir_stats(weir *w, weir_statistics *statistics) {
    size_t          size  = statistics->size;
    weir_statistics known = {.size = size};
    if (size < sizeof size) return WEIR_BAD_REQUEST;

    limiter_stats(w->limiter, &known);
    memset(statistics, 0, size);
    memcpy(statistics, &known, size < sizeof known ? size : sizeof known);
    return WEIR_OK;
}

static void explain_strict(const struct rule *rule, weir_explanation *e) {
    struct window_grid grid = window_grid_for(rule->limit, rule->window_ns);
    e->worst_window         = rule->limit;
    e->burst                = rule->limit;
    e->cell_ns              = (int64_t)grid.cell_ns;
    e->quantum              = grid.quantum;
}

static void explain_gcra(const struct rule *rule, weir_explanation *e) {
    if (rule->limit == 0) return;
    e->worst_window =
        rule->burst + rule->limit - 1; /* burst, then one each interval, the last outside */
    e->burst       = rule->burst;
    e->interval_ns = (int64_t)gcra_interval_ns(rule->limit, rule->window_ns);
}

weir_status weir_explain(const weir_request *request, weir_explanation *explanation) {
    size_t      size = explanation->size;
    struct rule rule;
    if (size < sizeof size) return WEIR_BAD_REQUEST;
    weir_status status = limiter_rule_of(request, 0, &rule);
    if (status != WEIR_OK) return status;

    weir_explanation known = {.size = size, .quantum = 1, .user_bytes = TABLE_USER_BYTES};
    switch (rule.algorithm) {
    case ALGORITHM_GCRA: explain_gcra(&rule, &known); break;
    case ALGORITHM_FIXED:
        known.worst_window = 2 * rule.limit;
        known.burst        = rule.limit;
        break;
    default: explain_strict(&rule, &known); break;
    }
    known.is_strict = known.worst_window <= rule.limit;
    memset(explanation, 0, size);
    memcpy(explanation, &known, size < sizeof known ? size : sizeof known);
    return WEIR_OK;
}
