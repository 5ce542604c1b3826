/* SPDX-License-Identifier: MIT
 *
 * replay_json: a replay's report for programs, and its decisions for judge.
 *
 * The names of fields are a contract: docs/replay.md lists them, and test/replay reads them. Users
 * are bytes: `user` where they are UTF-8, else `user_hex`. */
#include <stdio.h>
#include <string.h>

#include "base/contract.h"
#include "cmd/replay_print.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static void write_u64(struct json_writer *w, const char *name, uint64_t number) {
    json_write_name(w, name);
    json_write_u64(w, number);
}

static void write_bool(struct json_writer *w, const char *name, bool flag) {
    json_write_name(w, name);
    json_write_bool(w, flag);
}

static void write_text(struct json_writer *w, const char *name, const char *text) {
    json_write_name(w, name);
    json_write_text(w, view_of(text));
}

static void write_reading(struct json_writer *w, const struct replay_outcome *o) {
    static const char *const names[REPLAY_OUTCOMES] = {
        [ACCESS_LOG_READ]         = "used",
        [ACCESS_LOG_EMPTY]        = "empty",
        [ACCESS_LOG_TORN]         = "torn",
        [ACCESS_LOG_WITHOUT_TIME] = "without_time",
        [ACCESS_LOG_WITHOUT_KEY]  = "without_key",
        [ACCESS_LOG_WITHOUT_COST] = "without_cost",
        [REPLAY_TOO_LONG]         = "too_long",
    };
    const struct replay_reading *reading = o->reading;

    json_write_name(w, "inputs");
    json_write_array(w);
    for (size_t i = 0; i < reading->input_count; i++) {
        const struct replay_input *input = &reading->input[i];
        json_write_object(w);
        json_write_bytes(w, "path", view_of(input->path));
        write_text(w, "format", replay_format_name(input->format));
        write_bool(w, "gzip", input->is_gzip);
        write_u64(w, "lines", input->lines);
        write_u64(w, "requests", input->requests);
        json_write_name(w, "trouble");
        if (input->trouble[0] != '\0') {
            json_write_text(w, view_of(input->trouble));
        } else {
            json_write_null(w);
        }
        json_write_object_end(w);
    }
    json_write_array_end(w);

    json_write_name(w, "lines");
    json_write_object(w);
    write_u64(w, "total", reading->lines);
    for (int i = 0; i < REPLAY_OUTCOMES; i++) write_u64(w, names[i], reading->outcome[i]);
    write_u64(w, "late", o->requests->late_count);
    write_u64(w, "late_ns_max", o->requests->late_ns_max);
    json_write_object_end(w);

    json_write_name(w, "unused_lines");
    json_write_array(w);
    for (size_t i = 0; i < reading->sample_count; i++) {
        const struct replay_sample *sample = &reading->sample[i];
        struct view                 text   = {sample->excerpt, sample->excerpt_bytes};
        json_write_object(w);
        json_write_bytes(w, "path", view_of(sample->path));
        write_u64(w, "line", sample->line_number);
        write_text(w, "reason", names[sample->outcome]);
        write_u64(w, "bytes", sample->bytes);
        json_write_bytes(w, "text", text);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_user(struct json_writer *w, const struct replay_requests *r, uint32_t user) {
    json_write_bytes(w, "user", replay_user_name(r, user));
}

static void write_rows(struct json_writer *w, const struct replay_outcome *o) {
    const struct replay_report *report = o->report;
    json_write_name(w, "algorithms");
    json_write_array(w);
    for (int i = 0; i < REPLAY_COMPARED; i++) {
        const struct replay_row *row   = &report->row[i];
        enum replay_verdict      whose = (enum replay_verdict)i;
        if (whose == REPLAY_CHOSEN && report->rule.algorithm == WEIR_STRICT) continue;
        json_write_object(w);
        write_text(w, "algorithm", replay_verdict_name(whose, report->rule.algorithm));
        write_bool(w, "weir", whose == REPLAY_CHOSEN || whose == REPLAY_STRICT);
        write_u64(w, "admitted", row->admitted);
        write_u64(w, "denied", row->denied);
        write_u64(w, "permits", row->permits);
        json_write_name(w, "admitted_more_than_exact");
        json_write_i64(w, (int64_t)row->admitted - (int64_t)report->row[REPLAY_EXACT].admitted);
        write_u64(w, "decided_otherwise_than_exact", row->differs);
        write_u64(w, "worst_window", row->worst.permits);
        if (row->worst.permits > 0) {
            json_write_name(w, "worst_window_of");
            json_write_object(w);
            write_user(w, o->requests, row->worst_user);
            write_u64(w, "end_ns", row->worst.end_ns);
            json_write_object_end(w);
        }
        write_u64(w, "users_over_limit", row->users_over);
        write_bool(w, "kept", row->users_over == 0);
        json_write_object_end(w);
    }
    json_write_array_end(w);
}

static void write_report(struct json_writer *w, const struct replay_outcome *o) {
    const struct replay_report *report = o->report;
    write_u64(w, "limit", report->rule.limit);
    write_u64(w, "window_ns", (uint64_t)report->rule.window_ns);
    write_text(w, "algorithm", replay_verdict_name(REPLAY_CHOSEN, report->rule.algorithm));
    if (report->rule.algorithm == WEIR_GCRA) {
        write_u64(w, "burst", report->rule.burst != 0 ? report->rule.burst : report->rule.limit);
    }
    write_u64(w, "admitted", report->row[REPLAY_CHOSEN].admitted);
    write_u64(w, "denied", report->row[REPLAY_CHOSEN].denied);
    write_u64(w, "users_denied", report->users_denied);

    json_write_name(w, "top");
    json_write_array(w);
    for (size_t i = 0; i < report->top_count; i++) {
        const struct replay_user *u = &report->top[i];
        json_write_object(w);
        write_user(w, o->requests, u->user);
        write_u64(w, "requests", u->requests);
        write_u64(w, "denied", u->denied);
        write_u64(w, "worst_minute_ns", u->worst_minute_ns);
        write_u64(w, "worst_minute_denied", u->worst_minute_denied);
        json_write_object_end(w);
    }
    json_write_array_end(w);

    json_write_name(w, "when");
    json_write_object(w);
    write_u64(w, "span_ns", report->span_ns);
    json_write_name(w, "spans");
    json_write_array(w);
    for (size_t i = 0; i < report->span_count; i++) {
        json_write_object(w);
        write_u64(w, "begin_ns", report->span_begin_ns + i * report->span_ns);
        write_u64(w, "admitted", report->span[i].admitted);
        write_u64(w, "denied", report->span[i].denied);
        json_write_object_end(w);
    }
    json_write_array_end(w);
    json_write_object_end(w);

    write_rows(w, o);
}

static void write_suggestions(struct json_writer *w, const struct replay_suggestions *s) {
    json_write_name(w, "suggest");
    json_write_object(w);
    write_u64(w, "window_ns", s->window_ns);
    write_u64(w, "peak", s->peak);
    json_write_name(w, "limits");
    json_write_array(w);
    for (int of = 0; of < REPLAY_SHARES_OF; of++) {
        for (int i = 0; i < REPLAY_SUGGESTIONS; i++) {
            const struct replay_suggestion *one = &s->suggestion[of][i];
            json_write_object(w);
            write_text(w, "of", of == REPLAY_SHARE_OF_USERS ? "users" : "requests");
            json_write_name(w, "share_max");
            json_write_real(w, replay_suggest_permille[i] / 1000.0, 3);
            write_u64(w, "limit", one->limit);
            write_u64(w, "requests_denied", one->requests_denied);
            write_u64(w, "users_denied", one->users_denied);
            write_u64(w, "requests_denied_by_weir", one->window_denied);
            json_write_object_end(w);
        }
    }
    json_write_array_end(w);
    json_write_object_end(w);
}

void replay_print_json(const struct replay_outcome *o) {
    static char                   buffer[1 << 16];
    struct json_writer            w;
    const struct replay_requests *r = o->requests;
    json_write_begin(&w, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&w);
    json_write_bytes(&w, "key", view_of(o->key));
    write_u64(&w, "requests", r->count);
    write_u64(&w, "users", r->users.count);
    write_u64(&w, "begin_ns", r->request[0].time_ns);
    write_u64(&w, "end_ns", r->request[r->count - 1].time_ns);
    write_bool(&w, "whole_seconds", !r->has_fractions);
    write_bool(&w, "spread", o->is_spread && !r->has_fractions);
    write_reading(&w, o);
    if (o->report != NULL) write_report(&w, o);
    if (o->suggestions != NULL) write_suggestions(&w, o->suggestions);
    json_write_object_end(&w);
    json_write_line_end(&w);
    json_write_end(&w);
}

/* ---- decisions ---- */

static bool file_sink(void *context, struct view bytes) {
    return fwrite(bytes.data, 1, bytes.bytes, context) == bytes.bytes;
}

bool replay_write_decisions(const char *file_path, const struct replay_requests *r,
                            const weir_request *rule, enum replay_verdict whose,
                            uint64_t *written) {
    static char        buffer[1 << 16];
    struct json_writer w;
    bool               is_stdout = strcmp(file_path, "-") == 0;
    FILE              *file      = is_stdout ? stdout : fopen(file_path, "we");
    *written                     = 0;
    if (file == NULL) return false;

    json_write_begin(&w, buffer, sizeof buffer, file_sink, file);
    for (size_t i = 0; i < r->count && !w.is_cut; i++) {
        const struct replay_request *request = &r->request[i];
        uint64_t                     cost    = replay_cost(r, request);
        if (cost == 0) continue; /* nothing was asked for, so nothing was decided */
        json_write_object(&w);
        write_user(&w, r, request->user);
        write_u64(&w, "limit", rule->limit);
        write_u64(&w, "window_ns", (uint64_t)rule->window_ns);
        write_u64(&w, "cost", cost);
        write_bool(&w, "allowed", replay_is_admitted(request, whose));
        write_u64(&w, "sent_ns", request->time_ns);
        write_u64(&w, "received_ns", request->time_ns);
        write_text(&w, "host", "replay");
        json_write_object_end(&w);
        json_write_line_end(&w);
        *written += 1;
    }
    bool is_written = json_write_end(&w) && fflush(file) == 0;
    if (is_stdout) return is_written;
    if (fclose(file) != 0) is_written = false;
    return is_written;
}
