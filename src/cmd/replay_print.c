/* SPDX-License-Identifier: MIT
 *
 * replay_print: a replay's report for people.
 *
 * Everything is told in words and numbers; colour only repeats it, so that it reads the same in a
 * pipe. Admitted and denied are drawn with different marks. Where the locale is not UTF-8 the marks
 * are # and x. */
#include "cmd/replay_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/text.h"
#include "cmd/terminal.h"

#define NS_PER_SECOND UINT64_C(1000000000)

enum { USER_COLUMN_MAX = 40, USER_COLUMN_MIN = 15 };

static void print_head(const struct replay_outcome *o);
static void print_notes(const struct replay_outcome *o);
static void print_result(const struct replay_report *report);
static void print_samples(const struct replay_reading *reading);
static void print_top(const struct replay_outcome *o);
static void print_picture(const struct replay_report *report);
static void print_comparison(const struct replay_outcome *o);
static void print_suggestions(const struct replay_outcome *o);

void replay_print(const struct replay_outcome *o) {
    print_head(o);
    print_notes(o);
    if (o->report != NULL) print_result(o->report);
    if (o->is_verbose) print_samples(o->reading);
    if (o->report != NULL) {
        print_top(o);
        print_picture(o->report);
        print_comparison(o);
    }
    if (o->suggestions != NULL) print_suggestions(o);
}

/* ---- small words ---- */

static const char *bold(void) { return terminal_colour(TERMINAL_BOLD); }
static const char *dim(void) { return terminal_colour(TERMINAL_DIM); }
static const char *red(void) { return terminal_colour(TERMINAL_RED); }
static const char *green(void) { return terminal_colour(TERMINAL_GREEN); }
static const char *plain(void) { return terminal_colour(TERMINAL_PLAIN); }

static double share(uint64_t part, uint64_t whole) {
    return whole == 0 ? 0 : 100.0 * (double)part / (double)whole;
}

static const char *many(uint64_t count) { return count == 1 ? "" : "s"; }

/* Whether the terminal shows more than ASCII, by the locale as the C library would choose it. */
static bool is_utf8(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value == NULL || value[0] == '\0') continue;
        return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

const char *replay_time_text(uint64_t time_ns, char out[REPLAY_TIME_BYTES_MAX]) {
    time_t    seconds  = (time_t)(time_ns / NS_PER_SECOND);
    uint64_t  fraction = time_ns % NS_PER_SECOND;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t used = strftime(out, REPLAY_TIME_BYTES_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    if (fraction == 0) return out;
    int wrote = snprintf(out + used, REPLAY_TIME_BYTES_MAX - used, ".%09" PRIu64, fraction);
    for (size_t end = used + (size_t)wrote; out[end - 1] == '0'; end--) out[end - 1] = '\0';
    return out;
}

/* How many cells of a terminal a text takes, roughly: one for each character of UTF-8. */
static int cells(const char *text) {
    int count = 0;
    for (; *text != '\0'; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* Where in `text` the cell `index` begins. */
static size_t cell_offset(const char *text, int index) {
    size_t at = 0;
    for (int i = 0; i < index; i++) {
        at++;
        while (((unsigned char)text[at] & 0xc0) == 0x80) at++;
    }
    return at;
}

/* A user's name, safe to show, of at most `width` cells; the tabs of joined keys as " + ". */
static void user_text(const struct replay_requests *r, uint32_t user, int width,
                      char out[3 * TERMINAL_QUOTE_BYTES_MAX]) {
    struct view name = replay_user_name(r, user);
    size_t      used = 0;
    for (;;) {
        char        part[TERMINAL_QUOTE_BYTES_MAX];
        const char *tab = name.bytes > 0 ? memchr(name.data, '\t', name.bytes) : NULL;
        struct view one = {name.data, tab != NULL ? (size_t)(tab - name.data) : name.bytes};
        int wrote       = snprintf(out + used, (size_t)3 * TERMINAL_QUOTE_BYTES_MAX - used, "%s%s",
                             used > 0 ? " + " : "", terminal_quote(one, part));
        used += (size_t)wrote;
        if (tab == NULL || used > TERMINAL_QUOTE_BYTES_MAX) break;
        name = view_from(name, one.bytes + 1);
    }
    /* Cut in the middle: the beginnings of long users are often alike. */
    int all = cells(out);
    if (all <= width) return;
    int    head = (width - 3) / 2;
    char  *cut  = out + cell_offset(out, head);
    char  *tail = out + cell_offset(out, all - (width - 3 - head));
    size_t left = strlen(tail) + 1;
    memmove(cut + 3, tail, left);
    memcpy(cut, "...", 3);
}

/* Pads by cells and not by bytes, as %-*s would. */
static void print_padded(const char *text, int width) {
    printf("%s%*s", text, width - cells(text) > 0 ? width - cells(text) : 0, "");
}

/* ---- what was read, and what came of it ---- */

static void print_rule(const struct replay_report *report) {
    char window[TEXT_DURATION_BYTES_MAX];
    text_duration_write(report->rule.window_ns, window);
    printf("%" PRIu64 "/%s, %s", report->rule.limit, window,
           replay_verdict_name(REPLAY_CHOSEN, report->rule.algorithm));
    if (report->rule.algorithm == WEIR_GCRA && report->rule.burst != 0) {
        printf(" with a burst of %" PRIu64, report->rule.burst);
    }
}

static void print_head(const struct replay_outcome *o) {
    char                          requests[TERMINAL_COUNT_BYTES_MAX];
    char                          users[TERMINAL_COUNT_BYTES_MAX];
    char                          begin[REPLAY_TIME_BYTES_MAX];
    char                          end[REPLAY_TIME_BYTES_MAX];
    char                          span[TEXT_DURATION_BYTES_MAX];
    const struct replay_requests *r        = o->requests;
    uint64_t                      begin_ns = r->request[0].time_ns;
    uint64_t                      end_ns   = r->request[r->count - 1].time_ns;
    text_duration_write_short((int64_t)(end_ns - begin_ns), span);
    char key[TERMINAL_QUOTE_BYTES_MAX];
    printf("%s request%s of %s user%s (by %s)\n", terminal_count(r->count, requests),
           many(r->count), terminal_count(r->users.count, users), many(r->users.count),
           terminal_quote(view_of(o->key), key));
    printf("from %s to %s UTC (%s)\n", replay_time_text(begin_ns, begin),
           replay_time_text(end_ns, end), span);
}

static void print_notes(const struct replay_outcome *o) {
    char                          count[TERMINAL_COUNT_BYTES_MAX];
    char                          text[TEXT_DURATION_BYTES_MAX];
    const struct replay_requests *r        = o->requests;
    const struct replay_reading  *reading  = o->reading;
    uint64_t                      unusable = 0;
    for (int i = 0; i < REPLAY_OUTCOMES; i++) {
        if (i != ACCESS_LOG_READ && i != ACCESS_LOG_EMPTY) unusable += reading->outcome[i];
    }
    if (unusable > 0) {
        printf("  %s of %" PRIu64 " lines not used:", terminal_count(unusable, count),
               reading->lines);
        const char *comma = "";
        for (int i = 0; i < REPLAY_OUTCOMES; i++) {
            if (i == ACCESS_LOG_READ || i == ACCESS_LOG_EMPTY) continue;
            if (reading->outcome[i] == 0) continue;
            printf("%s %s %s", comma, terminal_count(reading->outcome[i], count),
                   replay_outcome_text(i));
            comma = ",";
        }
        printf("%s\n", o->is_verbose ? "" : " (--verbose shows the first)");
    }
    for (size_t i = 0; i < reading->input_count; i++) {
        char path[TERMINAL_QUOTE_BYTES_MAX];
        if (reading->input[i].trouble[0] == '\0') continue;
        printf("  %s: %s; what came before was used\n",
               terminal_quote(view_of(reading->input[i].path), path), reading->input[i].trouble);
    }
    if (r->late_count > 0) {
        text_duration_write_short((int64_t)r->late_ns_max, text);
        printf("  %s lines came late, by up to %s; all were put in order of time\n",
               terminal_count(r->late_count, count), text);
    }
    if (!r->has_fractions && o->is_spread) {
        printf(
            "  times are whole seconds; the requests of a second are spread over it (--spread)\n");
    } else if (!r->has_fractions) {
        printf("  times are whole seconds; the requests of a second are taken as of one instant\n");
        bool is_short = o->report != NULL && o->report->rule.window_ns <= (int64_t)NS_PER_SECOND;
        if (is_short) {
            printf("  %swhich is too coarse for so short a window; try --spread%s\n",
                   terminal_colour(TERMINAL_YELLOW), plain());
        }
    } else if (o->is_spread) {
        printf("  times have fractions, so --spread changed nothing\n");
    }
}

static void print_result(const struct replay_report *report) {
    char                     admitted[TERMINAL_COUNT_BYTES_MAX];
    char                     denied[TERMINAL_COUNT_BYTES_MAX];
    char                     touched[TERMINAL_COUNT_BYTES_MAX];
    const struct replay_row *row = &report->row[REPLAY_CHOSEN];
    printf("\n%sWith a limit of ", bold());
    print_rule(report);
    printf("%s\n", plain());
    printf("  %sadmitted%s %13s  %6.2f %%\n", green(), plain(),
           terminal_count(row->admitted, admitted), share(row->admitted, report->requests));
    printf("  %sdenied%s   %13s  %6.2f %%, to %s user%s (%.2f %% of users)\n", red(), plain(),
           terminal_count(row->denied, denied), share(row->denied, report->requests),
           terminal_count(report->users_denied, touched), many(report->users_denied),
           share(report->users_denied, report->users));
}

static void print_samples(const struct replay_reading *reading) {
    if (reading->sample_count == 0) return;
    printf("\n%sLines not used%s, the first %zu\n", bold(), plain(), reading->sample_count);
    for (size_t i = 0; i < reading->sample_count; i++) {
        const struct replay_sample *sample = &reading->sample[i];
        char                        path[TERMINAL_QUOTE_BYTES_MAX];
        char                        excerpt[TERMINAL_QUOTE_BYTES_MAX];
        struct view                 text = {sample->excerpt, sample->excerpt_bytes};
        printf("  %s:%" PRIu64 ": %s: %s%s\n", terminal_quote(view_of(sample->path), path),
               sample->line_number, replay_outcome_text(sample->outcome),
               terminal_quote(text, excerpt), sample->bytes > sample->excerpt_bytes ? "..." : "");
    }
}

/* ---- who ---- */

static void print_top(const struct replay_outcome *o) {
    const struct replay_report *report = o->report;
    if (report->top_count == 0) return;
    enum { OTHER_COLUMNS = 56 };
    int width = USER_COLUMN_MIN;
    int most  = terminal_columns() - OTHER_COLUMNS;
    if (most > USER_COLUMN_MAX) most = USER_COLUMN_MAX;
    if (most < USER_COLUMN_MIN) most = USER_COLUMN_MIN;
    char name[3 * TERMINAL_QUOTE_BYTES_MAX];
    for (size_t i = 0; i < report->top_count; i++) {
        user_text(o->requests, report->top[i].user, most, name);
        if (cells(name) > width) width = cells(name);
    }

    printf("\n%sMost limited users%s\n  ", bold(), plain());
    print_padded("user", width);
    printf("%10s%10s%9s   worst minute (UTC)\n", "requests", "denied", "");
    for (size_t i = 0; i < report->top_count; i++) {
        const struct replay_user *u = &report->top[i];
        char                      requests[TERMINAL_COUNT_BYTES_MAX];
        char                      denied[TERMINAL_COUNT_BYTES_MAX];
        char                      minute[REPLAY_TIME_BYTES_MAX];
        user_text(o->requests, u->user, most, name);
        replay_time_text(u->worst_minute_ns, minute);
        printf("  ");
        print_padded(name, width);
        printf("%10s%10s%7.1f %%   %.16s  %" PRIu64 "\n", terminal_count(u->requests, requests),
               terminal_count(u->denied, denied), share(u->denied, u->requests), minute,
               u->worst_minute_denied);
    }
}

/* ---- when ---- */

static void print_marks(const char *mark, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) fputs(mark, stdout);
}

static void print_picture(const struct replay_report *report) {
    const char *admitted_mark = is_utf8() ? "█" : "#";
    const char *denied_mark   = is_utf8() ? "░" : "x";
    enum { NUMBER_COLUMNS = 26 };
    bool     is_fine = report->span_ns < NS_PER_SECOND;
    int      label   = is_fine ? 29 : report->span_ns < 60 * NS_PER_SECOND ? 19 : 16;
    int      bar     = terminal_columns() - 1 - label - 4 - NUMBER_COLUMNS;
    uint64_t most    = 1;
    char     length[TEXT_DURATION_BYTES_MAX];
    if (bar < 8) bar = 8;
    for (size_t i = 0; i < report->span_count; i++) {
        uint64_t sum = report->span[i].admitted + report->span[i].denied;
        if (sum > most) most = sum;
    }
    text_duration_write((int64_t)report->span_ns, length);
    printf("\n%sWhen%s, by %s (UTC): %s%s%s admitted, %s%s%s denied\n", bold(), plain(), length,
           green(), admitted_mark, plain(), red(), denied_mark, plain());

    for (size_t i = 0; i < report->span_count; i++) {
        const struct replay_span *span = &report->span[i];
        char                      begin[REPLAY_TIME_BYTES_MAX];
        char                      count[TERMINAL_COUNT_BYTES_MAX];
        replay_time_text(report->span_begin_ns + i * report->span_ns, begin);
        printf("  %-*.*s ", label, label, begin);

        /* Rounded up, so that one denial in a million still shows. */
        uint64_t width    = (uint64_t)bar;
        uint64_t denied   = (span->denied * width + most - 1) / most;
        uint64_t all      = ((span->admitted + span->denied) * width + most - 1) / most;
        uint64_t admitted = all > denied ? all - denied : 0;
        if (admitted == 0 && span->admitted > 0) admitted = 1;
        if (admitted + denied > width) admitted = width - denied;
        fputs(green(), stdout);
        print_marks(admitted_mark, admitted);
        fputs(red(), stdout);
        print_marks(denied_mark, denied);
        fputs(plain(), stdout);
        printf("%*s %9s", (int)(width - admitted - denied), "",
               terminal_count(span->admitted + span->denied, count));
        if (span->denied > 0) {
            printf("  %s%s denied%s", red(), terminal_count(span->denied, count), plain());
        }
        printf("\n");
    }
}

/* ---- what others would have done ---- */

static void print_comparison(const struct replay_outcome *o) {
    static const struct {
        enum replay_verdict whose;
        const char         *name;
    } rows[] = {
        {REPLAY_CHOSEN, NULL},
        {REPLAY_STRICT, "weir strict"},
        {REPLAY_EXACT, "exact sliding log"},
        {REPLAY_FIXED, "fixed window"},
        {REPLAY_GCRA, "GCRA, burst = limit"},
        {REPLAY_TWO_COUNTER, "two-counter estimate"},
    };
    const struct replay_report *report = o->report;
    char                        window[TEXT_DURATION_BYTES_MAX];
    char                        most[TEXT_DURATION_BYTES_MAX + 8];
    text_duration_write(report->rule.window_ns, window);
    printf("\n%sThe same limit by other algorithms%s\n", bold(), plain());
    snprintf(most, sizeof most, "most in %s", window);
    printf("  %-21s%12s%11s%12s%15s\n", "", "admitted", "denied", "than exact", most);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct replay_row *row  = &report->row[rows[i].whose];
        const char              *name = rows[i].name;
        char                     chosen[40];
        char                     count[TERMINAL_COUNT_BYTES_MAX];
        if (rows[i].whose == REPLAY_CHOSEN) {
            if (report->rule.algorithm == WEIR_STRICT) continue;
            snprintf(chosen, sizeof chosen, "weir %s",
                     replay_verdict_name(REPLAY_CHOSEN, report->rule.algorithm));
            name = chosen;
        }
        int64_t more = (int64_t)row->admitted - (int64_t)report->row[REPLAY_EXACT].admitted;
        printf("  %-21s%12s", name, terminal_count(row->admitted, count));
        printf("%11s", terminal_count(row->denied, count));
        printf("%+12" PRId64, more);
        printf("%15s", terminal_count(row->worst.permits, count));
        if (row->users_over == 0) {
            printf("  %skept%s\n", green(), plain());
        } else {
            printf("  %sbroken%s for %s user%s\n", red(), plain(),
                   terminal_count(row->users_over, count), many(row->users_over));
        }
    }

    enum replay_verdict worst = REPLAY_EXACT;
    for (int i = 0; i < REPLAY_COMPARED; i++) {
        const struct replay_row *row = &report->row[i];
        if (row->users_over > 0 && row->worst.permits > report->row[worst].worst.permits) {
            worst = (enum replay_verdict)i;
        }
    }
    if (worst == REPLAY_EXACT) return;
    char                     name[3 * TERMINAL_QUOTE_BYTES_MAX];
    char                     end[REPLAY_TIME_BYTES_MAX];
    const struct replay_row *row = &report->row[worst];
    user_text(o->requests, row->worst_user, USER_COLUMN_MAX, name);
    printf("  %sThe worst: %s gave %s %" PRIu64 " within %s, up to %s.%s\n", dim(),
           replay_verdict_name(worst, report->rule.algorithm), name, row->worst.permits, window,
           replay_time_text(row->worst.end_ns, end), plain());
}

/* ---- which limit to choose ---- */

static void print_suggestions(const struct replay_outcome *o) {
    const struct replay_suggestions *s = o->suggestions;
    char                             window[TEXT_DURATION_BYTES_MAX];
    char                             count[TERMINAL_COUNT_BYTES_MAX];
    text_duration_write((int64_t)s->window_ns, window);
    printf("\n%sThe smallest limits for a window of %s%s (the busiest user asked for %s)\n", bold(),
           window, plain(), terminal_count(s->peak, count));
    printf("  %-28s%12s%20s%20s\n", "at most denied", "limit", "requests denied",
           "users with a denial");
    for (int of = 0; of < REPLAY_SHARES_OF; of++) {
        for (int i = 0; i < REPLAY_SUGGESTIONS; i++) {
            const struct replay_suggestion *one = &s->suggestion[of][i];
            char                            what[64];
            char                            limit[64];
            snprintf(what, sizeof what, "%g %% of %s", replay_suggest_permille[i] / 10.0,
                     of == REPLAY_SHARE_OF_USERS ? "users" : "requests");
            snprintf(limit, sizeof limit, "%" PRIu64 "/%s", one->limit, window);
            printf("  %-28s%12s", what, limit);
            printf("%10s%8.2f %%", terminal_count(one->requests_denied, count),
                   share(one->requests_denied, o->requests->count));
            printf("%10s%8.2f %%\n", terminal_count(one->users_denied, count),
                   share(one->users_denied, o->requests->users.count));
        }
    }

    uint64_t more = 0;
    for (int of = 0; of < REPLAY_SHARES_OF; of++) {
        for (int i = 0; i < REPLAY_SUGGESTIONS; i++) {
            const struct replay_suggestion *one = &s->suggestion[of][i];
            uint64_t                        by  = one->window_denied > one->requests_denied
                                                      ? one->window_denied - one->requests_denied
                                                      : 0;
            if (by > more) more = by;
        }
    }
    if (more == 0) {
        printf("  %sCounted by an exact log; weir's own window denies no more.%s\n", dim(),
               plain());
        return;
    }
    printf("  %sCounted by an exact log; weir's own window denies up to %s request%s more.%s\n",
           dim(), terminal_count(more, count), many(more), plain());
}
