/* SPDX-License-Identifier: MIT
 *
 * weir: the public functions. Reads the clock, asks the limiter; the manual is include/weir.h. */
#include <weir.h>

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/open.h"
#include "api/place.h"
#include "api/shared.h"
#include "base/contract.h"
#include "base/login.h"
#include "base/range.h"
#include "base/text.h"
#include "limit/gcra.h"
#include "limit/window.h"
#include "limiter/limiter.h"
#include "limiter/remote.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/process.h"
#include "store/cassandra/claim_store.h"
#include "store/embedded/embedded.h"
#include "table/sketch.h"
#include "table/table.h"

enum {
    USERS_MAX_DEFAULT   = 10000000,
    CLOCK_ERROR_PPM_MAX = 100000,
    URL_BYTES_SHOWN     = 150,
};

#define SKETCH_BYTES_DEFAULT (UINT64_C(1) << 30)

struct weir {
    struct limiter            *limiter; /* NULL: `shared` answers */
    struct shared              shared;
    _Atomic(struct embedded *) embedded; /* NULL: in memory */
    _Atomic bool               is_healing;
    bool                       has_let_go; /* of a file that failed; changed by who is healing */
    uint64_t                   heal_at_ns; /* not before */
    struct process_fork_watch  forks;
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

const char *weir_why_text(weir_why why) {
    switch (why) {
#define WHY_TEXT(name, value, text)                                                                \
    case name: return text;
        WEIR_WHY_TABLE(WHY_TEXT)
#undef WHY_TEXT
    }
    return "unknown reason";
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

/* Takes over the options that both sides know. False: the caller sets one that this library does not.
 * */
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

static bool options_are_sound(const weir_options *o, weir_error *error) {
    if (o->clock_error_ppm > CLOCK_ERROR_PPM_MAX) {
        open_fail(error, WEIR_BAD_OPTIONS, "clock_error_ppm is %llu; the most is %d",
                  (unsigned long long)o->clock_error_ppm, CLOCK_ERROR_PPM_MAX);
        return false;
    }
    if (o->users_max != 0 && table_bytes(o->users_max, 1) == 0) {
        open_fail(error, WEIR_BAD_OPTIONS, "users_max is %llu; that is more than a table can hold",
                  (unsigned long long)o->users_max);
        return false;
    }
    if (o->durability > WEIR_DURABILITY_POWER || o->reserved_word != 0) {
        open_fail(
            error, WEIR_BAD_OPTIONS,
            "durability is %u; it is WEIR_DURABILITY_PROCESS (0) or WEIR_DURABILITY_POWER (1)",
            o->durability);
        return false;
    }
    if (o->wall_error_ns < 0) {
        open_fail(error, WEIR_BAD_OPTIONS, "wall_error_ns is %lld; it cannot be negative",
                  (long long)o->wall_error_ns);
        return false;
    }
    if (o->deadline_ns < 0) {
        open_fail(error, WEIR_BAD_OPTIONS, "deadline_ns is %lld; it cannot be negative",
                  (long long)o->deadline_ns);
        return false;
    }
    if (o->policy > WEIR_POLICY_LOCAL) {
        open_fail(error, WEIR_BAD_OPTIONS, "policy is %u; it is an enum weir_policy, 0 to %u",
                  o->policy, (unsigned)WEIR_POLICY_LOCAL);
        return false;
    }
    return true;
}

/* In memory: whoever opens it has a table and a secret of their own. */
static bool open_memory(weir *w, const weir_options *o, weir_error *error) {
    struct limiter_options options = {
        .users_max = limiter_users_within(o->users_max != 0 ? o->users_max : USERS_MAX_DEFAULT,
                                          o->bytes_max),
        .clock_error_ppm = o->clock_error_ppm,
        .ask_context     = w};
    if (options.users_max == 0) {
        open_fail(error, WEIR_BAD_OPTIONS, "bytes_max is %llu; that is too little for one user",
                  (unsigned long long)o->bytes_max);
        return false;
    }
    if (!entropy_fill(options.secret, sizeof options.secret)) {
        open_fail(error, WEIR_UNSUPPORTED, "the system gives no random bytes (getrandom failed)");
        return false;
    }
    w->limiter = limiter_new(&options);
    if (w->limiter != NULL) return true;
    open_fail(error, WEIR_NO_MEMORY,
              "no address space for users_max = %llu (%llu MiB); choose fewer",
              (unsigned long long)options.users_max,
              (unsigned long long)(table_bytes(options.users_max, 1) >> 20));
    return false;
}

/* The window is what follows "sketch:". */
static bool open_sketch(weir *w, const char *window, const weir_options *o, weir_error *error) {
    struct limiter_options options = {
        .clock_error_ppm  = o->clock_error_ppm,
        .sketch_limit_max = o->limit_max != 0 ? o->limit_max : SKETCH_LIMIT_MAX,
        .bytes_max        = o->bytes_max != 0 ? o->bytes_max : SKETCH_BYTES_DEFAULT,
        .ask_context      = w};
    int64_t window_ns;
    if (!text_duration_parse(view_of(window), &window_ns) || window_ns < WEIR_WINDOW_MIN ||
        window_ns > WEIR_WINDOW_MAX) {
        open_fail(
            error, WEIR_BAD_URL,
            "\"sketch:%.100s\" does not say the window that is counted, from 1us to 10 years; try "
            "\"sketch:1m\"",
            window);
        return false;
    }
    if (options.sketch_limit_max > SKETCH_LIMIT_MAX) {
        open_fail(error, WEIR_BAD_OPTIONS, "limit_max is %llu; a sketch counts to %d",
                  (unsigned long long)o->limit_max, SKETCH_LIMIT_MAX);
        return false;
    }
    if (sketch_bytes(options.bytes_max) == 0) {
        open_fail(error, WEIR_BAD_OPTIONS, "bytes_max is %llu; that is too little for a sketch",
                  (unsigned long long)o->bytes_max);
        return false;
    }
    options.sketch_window_ns = (uint64_t)window_ns;
    if (!entropy_fill(options.secret, sizeof options.secret)) {
        open_fail(error, WEIR_UNSUPPORTED, "the system gives no random bytes (getrandom failed)");
        return false;
    }
    w->limiter = limiter_new(&options);
    if (w->limiter != NULL) return true;
    open_fail(error, WEIR_NO_MEMORY, "no address space for bytes_max = %llu; choose fewer",
              (unsigned long long)options.bytes_max);
    return false;
}

static void file_failed(void *context);

static struct embedded *embedded_of(weir *w, const char *path, const struct embedded_options *from,
                                    weir_error *error) {
    struct embedded_options options = *from;
    options.failed                  = file_failed;
    options.context                 = w;
    return embedded_open(path, &options, error);
}

static bool open_file(weir *w, const char *path, const weir_options *o, weir_error *error) {
    struct embedded_options options = {.users_max       = o->users_max,
                                       .bytes_max       = o->bytes_max,
                                       .clock_error_ppm = o->clock_error_ppm,
                                       .wall_error_ns   = (uint64_t)o->wall_error_ns,
                                       .durability      = o->durability,
                                       .unrecorded_max  = o->unrecorded_max};
    char                    found[FILE_PATH_BYTES_MAX];
    weir_error              ignored;
    if (error == NULL) error = &ignored;
    if (!place_of_file(path, found, error)) return false;
    w->embedded = embedded_of(w, found, &options, error);
    if (w->embedded == NULL) return false;

    const struct format_rules *rules           = embedded_rules(w->embedded);
    struct limiter_options     limiter_options = {.users_max       = rules->users_max,
                                                  .clock_error_ppm = rules->clock_error_ppm,
                                                  .table           = embedded_table(w->embedded),
                                                  .clock_ahead_ns =
                                                      embedded_clock_ahead_ns(w->embedded),
                                                  .ask_context = w};
    memcpy(limiter_options.secret, rules->secret, sizeof rules->secret);
    w->limiter = limiter_new(&limiter_options);
    if (w->limiter == NULL) {
        open_fail(error, WEIR_NO_MEMORY, "out of memory");
        return false;
    }
    if (!embedded_is_usable(w->embedded)) file_failed(w); /* before there was anybody to halt */
    return true;
}

/* --- when a file fails ----------------------------------------------------------------------- */

static weir_status failed_asks(void *context);

/* While somebody heals, nobody else decides. */
static weir_status healing_asks(void *context) {
    (void)context;
    return WEIR_STORE_FAILED;
}

/* Opens the file again, if it is the same. What failed is kept until weir_close(): threads may be in there.
 * Should either of the two fail meanwhile, another halts the limiter than who heals, and it stays halted. */
static bool heal(weir *w) {
    weir_error error;
    limiter_halt(w->limiter, healing_asks);
    struct embedded *again = embedded_of(w, embedded_path(w->embedded),
                                         &(struct embedded_options){.must_exist = true}, &error);
    if (again != NULL && embedded_is_same_file(again, w->embedded) &&
        embedded_take_over(again, w->embedded)) {
        w->embedded   = again;
        w->has_let_go = false;
        limiter_set_clock_ahead(w->limiter, embedded_clock_ahead_ns(again));
        limiter_replace_table(w->limiter, embedded_table(again));
        return limiter_resume(w->limiter, healing_asks);
    }
    embedded_close(again);
    limiter_halt(w->limiter, failed_asks);
    return false;
}

/* Asked before each decision since the file failed. One thread at a time tries, no more than once a second;
 * the others are not kept waiting, nor is a thread that is about to fork. */
static weir_status failed_asks(void *context) {
    weir       *w      = context;
    weir_status status = WEIR_STORE_FAILED;
    if (atomic_exchange(&w->is_healing, true)) return status;
    uint64_t now_ns = clock_now_ns();
    if (!w->has_let_go) embedded_abandon(w->embedded);
    w->has_let_go = true;
    if (now_ns >= w->heal_at_ns && process_try_hold_forks()) {
        w->heal_at_ns = now_ns + WEIR_SECOND;
        if (heal(w)) status = WEIR_OK;
        process_release_forks();
    }
    atomic_store(&w->is_healing, false);
    return status;
}

/* In a signal handler. */
static void file_failed(void *context) {
    weir *w = context;
    if (w->limiter != NULL) limiter_halt(w->limiter, failed_asks);
}

static bool open_store(weir *w, const char *url, const weir_options *o, weir_error *error) {
    if (strcmp(url, "memory:") == 0) return open_memory(w, o, error);
    if (strncmp(url, "file:", strlen("file:")) == 0)
        return open_file(w, url + strlen("file:"), o, error);
    if (strncmp(url, "sketch:", strlen("sketch:")) == 0)
        return open_sketch(w, url + strlen("sketch:"), o, error);
    if (shared_is_url(url)) return shared_open(&w->shared, url, o, error);
    char shown[URL_BYTES_SHOWN + 1];
    open_fail(error, WEIR_BAD_URL,
              "\"%s\" is not a store that this version knows; it knows \"file:PATH\", "
              "\"memory:\", \"sketch:WINDOW\", \"redis://HOST\" and \"cassandra://HOST\"",
              login_hide(url, shown, sizeof shown));
    return false;
}

static const char *default_url(void) {
    const char *url = getenv("WEIR_STORE");
    return url != NULL && url[0] != '\0' ? url : "file:";
}

/* In a child of fork(): what is in a file is shared with it, as soon as it asks; memory is not. */
static weir_status child_asks(void *context) {
    weir *w = context;
    if (w->embedded == NULL) return WEIR_FORKED;
    weir_status status = embedded_rejoin(w->embedded);
    if (status != WEIR_OK) {
        limiter_halt(w->limiter, failed_asks); /* which opens the file again */
        return status;
    }
    limiter_set_clock_ahead(w->limiter, embedded_clock_ahead_ns(w->embedded));
    return limiter_resume(w->limiter, child_asks) ? WEIR_OK : WEIR_STORE_FAILED;
}

static void child_begins(void *context) {
    weir *w = context;
    if (w->limiter == NULL) return;      /* a fleet watches for itself */
    atomic_store(&w->is_healing, false); /* whoever was at it is in the parent */
    bool is_usable = w->embedded == NULL || embedded_is_usable(w->embedded);
    if (w->embedded != NULL) embedded_leave_to_parent(w->embedded);
    if (is_usable) {
        limiter_halt(w->limiter, child_asks);
    } else {
        w->has_let_go = true; /* the number was the parent's */
        limiter_halt(w->limiter, failed_asks);
    }
}

weir *weir_open(const char *url, const weir_options *options, weir_error *error) {
    weir_options o;
    if (url == NULL) url = default_url();
    if (!options_read(options, &o)) {
        return open_fail(
            error, WEIR_BAD_OPTIONS,
            "weir_options: size is wrong, or a field is set that version %s does not know; start from "
            "WEIR_OPTIONS_DEFAULT",
            weir_version());
    }
    if (!options_are_sound(&o, error)) return NULL;
    weir *w = calloc(1, sizeof *w);
    if (w == NULL || !process_hold_forks()) {
        free(w);
        return open_fail(error, WEIR_NO_MEMORY, "out of memory");
    }
    if (!open_store(w, url, &o, error)) goto close;

    w->forks = (struct process_fork_watch){.in_child = child_begins, .context = w};
    if (!process_watch_forks(&w->forks)) {
        if (w->limiter == NULL) shared_close(&w->shared);
        open_fail(error, WEIR_NO_MEMORY, "out of memory");
        goto close;
    }
    process_release_forks();
    if (error != NULL) *error = (weir_error){.status = WEIR_OK};
    return w;

close:
    embedded_close(w->embedded); /* which may still tell the limiter that the file fails */
    limiter_free(w->limiter);
    free(w);
    process_release_forks();
    return NULL;
}

void weir_close(weir *w) {
    if (w == NULL) return;
    /* A child that is made meanwhile would keep locks that nobody lets go of. */
    bool holds_forks = process_hold_forks();
    process_unwatch_forks(&w->forks);
    if (w->limiter == NULL) shared_close(&w->shared);
    embedded_close(w->embedded); /* which may still tell the limiter that the file fails */
    limiter_free(w->limiter);
    free(w);
    if (holds_forks) process_release_forks();
}

struct limiter *open_limiter(weir *w) {
    return w->limiter;
}

bool open_is_remote(const weir *w) { return w->limiter == NULL; }

bool open_has_past(const weir *w) { return open_is_remote(w) && w->shared.redis != NULL; }

_Static_assert((int)OPEN_PROBLEM_BYTES_MAX >= (int)CASSANDRA_PROBLEM_BYTES_MAX, "problems fit");
_Static_assert((int)OPEN_PROBLEM_BYTES_MAX >= (int)REDIS_PROBLEM_BYTES_MAX, "problems fit");

bool open_ask(weir *w, uint64_t deadline_ns, struct lease_past *past,
              char problem[OPEN_PROBLEM_BYTES_MAX]) {
    return open_ask_about(w, NULL, deadline_ns, past, problem);
}

bool open_ask_about(weir *w, const weir_request *request, uint64_t deadline_ns,
                    struct lease_past *past, char problem[OPEN_PROBLEM_BYTES_MAX]) {
    uint32_t shard =
        request != NULL ? remote_shard_of(w->shared.remote, request) : LEASE_STORE_SHARDS;
    const struct shared *s = &w->shared;
    struct redis_result  result;
    deadline_ns = larger(deadline_ns, clock_now_ns() + 4 * (uint64_t)s->url.round_trip_ns);
    /* Who has lost a claim finds that out, and claims anew. */
    *past = (struct lease_past){.us = UINT64_MAX, .long_us = UINT64_MAX};
    if (s->claims != NULL)
        return claim_store_check(s->claims, s->url.keyspace, deadline_ns, problem);
    if (s->redis == NULL || lease_store_past_of(s->redis, shard, deadline_ns, past, &result))
        return true;
    (void)snprintf(problem, OPEN_PROBLEM_BYTES_MAX, "%s", result.problem);
    redis_result_clear(&result);
    return false;
}

#define FORTNIGHT_US UINT64_C(1209600000000)

enum { SPAN_PARTS = 256 }; /* clocks differ by less */

bool open_wants_past(const weir *w, const weir_request *request, const weir_decision *decision,
                     const struct lease_past *past) {
    struct lease_terms terms;
    if (w->shared.redis == NULL || decision->allowed || decision->why != WEIR_WHY_NONE ||
        decision->retry_after_ns == WEIR_NEVER)
        return false;
    lease_terms_make(request->limit, (uint64_t)request->window_ns, &w->shared.lease, &terms);
    /* As lease.lua has it: nothing is granted before its past is as long as this. */
    bool     is_long = terms.term_us + 2 * terms.hold_us >= FORTNIGHT_US;
    uint64_t past_us = is_long ? past->long_us : past->us;
    uint64_t span_us = terms.term_us + terms.hold_us;
    if (past_us >= span_us) return false;
    /* Whoever is denied for that waits for all that is lacking. */
    uint64_t wait_us = (uint64_t)decision->retry_after_ns / 1000;
    return wait_us + past_us + span_us / SPAN_PARTS >= span_us;
}

void open_trouble(weir *w, char *out, size_t room) {
    struct store_health health = {.is_up = true};
    struct store       *store  = w->shared.store;
    if (store != NULL && store->health != NULL) store->health(store->context, &health);
    (void)snprintf(out, room, "%s", health.is_up ? "" : health.text);
}

/* --- deciding ------------------------------------------------------------------------------- */

bool weir_allow(weir *w, const char *user, uint64_t limit, int64_t window_ns) {
    size_t user_bytes = user == NULL ? WEIR_USER_BYTES_MAX + 1 : strlen(user);
    if (w->limiter == NULL)
        return remote_allow(w->shared.remote, user, user_bytes, limit, window_ns);
    return limiter_allow(w->limiter, user, user_bytes, limit, window_ns, clock_now_ns());
}

weir_status weir_decide(weir *w, const weir_request *request, weir_decision *decision) {
    if (w->limiter == NULL) return remote_decide(w->shared.remote, request, decision);
    return limiter_decide(w->limiter, request, clock_now_ns(), decision);
}

bool weir_decide_async(weir *w, const weir_request *request, weir_ticket *ticket) {
    if (w->limiter == NULL) return remote_decide_async(w->shared.remote, request, ticket);
    (void)limiter_decide(w->limiter, request, clock_now_ns(), &ticket->decision);
    return true;
}

weir_status weir_decide_many(weir *w, const weir_request *requests, size_t count,
                             weir_decision *decisions) {
    if (w->limiter == NULL) return remote_decide_many(w->shared.remote, requests, count, decisions);
    return limiter_decide_many(w->limiter, requests, count, clock_now_ns(), decisions);
}

weir_status weir_decide_all(weir *w, const weir_request *requests, size_t count,
                            weir_decision *decisions) {
    if (w->limiter == NULL) return remote_decide_all(w->shared.remote, requests, count, decisions);
    return limiter_decide_all(w->limiter, requests, count, clock_now_ns(), decisions);
}

weir_status weir_reset(weir *w, const weir_request *request) {
    if (w->limiter == NULL) return remote_reset(w->shared.remote, request);
    return limiter_reset(w->limiter, request, clock_now_ns());
}

/* --- telling -------------------------------------------------------------------------------- */

weir_status weir_stats(weir *w, weir_statistics *statistics) {
    size_t          size  = statistics->size;
    weir_statistics known = {.size = size};
    if (size < sizeof size) return WEIR_BAD_REQUEST;

    if (w->limiter == NULL) {
        remote_stats(w->shared.remote, &known);
    } else {
        limiter_stats(w->limiter, &known);
    }
    if (w->embedded != NULL) known.journal_bytes = embedded_journal_bytes(w->embedded);
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
