/* SPDX-License-Identifier: MIT
 *
 * replay_reading: logs become requests, and what could not be used is told.
 *
 * A line that cannot be used is counted by its reason and never ends the reading: a log of a busy
 * server holds some. The first few are kept so that they can be shown. What does end it: a file that
 * cannot be opened, since a forgotten file would make the answer wrong and not just rough. */
#include "cmd/replay_reading.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "cmd/log_input.h"
#include "cmd/terminal.h"
#include "wire/json.h"

static enum replay_read read_log(struct replay_reading *reading, struct replay_requests *requests,
                                 struct access_log_reader reader, struct replay_input *about,
                                 char trouble[REPLAY_TROUBLE_BYTES]);
static void keep_sample(struct replay_reading *reading, const struct replay_input *about,
                        int outcome, struct view line);
static void keep_fields(struct replay_reading *reading, struct view line);
static bool check_names(const struct access_log_reader *reader, const struct replay_input *about,
                        char trouble[REPLAY_TROUBLE_BYTES]);
static void show_progress(const struct log_input *input, const struct replay_input *about,
                          const struct replay_requests *requests);

enum replay_read replay_read_logs(struct replay_reading *reading, struct replay_requests *requests,
                                  const struct access_log_reader *reader, char **paths,
                                  size_t count, char trouble[REPLAY_TROUBLE_BYTES]) {
    REQUIRE(count > 0);
    *reading       = (struct replay_reading){.input_count = count};
    reading->input = calloc(count, sizeof *reading->input);
    if (reading->input == NULL) {
        snprintf(trouble, REPLAY_TROUBLE_BYTES, "not enough memory");
        return REPLAY_READ_TROUBLE;
    }
    for (size_t i = 0; i < count; i++) reading->input[i].path = paths[i];
    for (size_t i = 0; i < count; i++) {
        enum replay_read read = read_log(reading, requests, *reader, &reading->input[i], trouble);
        terminal_progress_end();
        if (read != REPLAY_READ_DONE) return read;
    }
    return REPLAY_READ_DONE;
}

void replay_reading_clear(struct replay_reading *reading) {
    free(reading->input);
    *reading = (struct replay_reading){0};
}

const char *replay_outcome_text(int outcome) {
    static const char *const texts[REPLAY_OUTCOMES] = {
        [ACCESS_LOG_READ]         = "used",
        [ACCESS_LOG_EMPTY]        = "empty",
        [ACCESS_LOG_TORN]         = "torn or garbage",
        [ACCESS_LOG_WITHOUT_TIME] = "without a time",
        [ACCESS_LOG_WITHOUT_KEY]  = "without the key",
        [ACCESS_LOG_WITHOUT_COST] = "without the cost",
        [REPLAY_TOO_LONG]         = "too long",
    };
    REQUIRE(outcome >= 0);
    REQUIRE(outcome < REPLAY_OUTCOMES);
    return texts[outcome];
}

const char *replay_format_name(enum access_log_format format) {
    switch (format) {
    case ACCESS_LOG_CLF: return "clf";
    case ACCESS_LOG_JSON: return "json";
    case ACCESS_LOG_UNKNOWN: break;
    }
    return "unknown";
}

static enum replay_read read_log(struct replay_reading *reading, struct replay_requests *requests,
                                 struct access_log_reader reader, struct replay_input *about,
                                 char trouble[REPLAY_TROUBLE_BYTES]) {
    enum { LINES_BETWEEN_PROGRESS = 1 << 14 };
    enum replay_read           read    = REPLAY_READ_TROUBLE;
    struct access_log_scratch *scratch = malloc(sizeof *scratch);
    if (scratch == NULL) {
        snprintf(trouble, REPLAY_TROUBLE_BYTES, "not enough memory to read '%s'", about->path);
        return REPLAY_READ_TROUBLE;
    }
    struct log_input *input =
        log_input_open(about->path, ACCESS_LOG_LINE_BYTES_MAX, trouble, REPLAY_TROUBLE_BYTES);
    if (input == NULL) goto free_scratch;

    bool are_names_checked = false;
    replay_requests_begin_file(requests);
    for (;;) {
        struct view         line;
        enum log_input_step step = log_input_next(input, &line);
        if (step == LOG_INPUT_END) break;
        reading->lines++;
        about->lines++;
        if (about->lines % LINES_BETWEEN_PROGRESS == 0) show_progress(input, about, requests);

        struct access_log_entry entry;
        int                     outcome = step == LOG_INPUT_TOO_LONG
                                              ? (int)REPLAY_TOO_LONG
                                              : (int)access_log_read(&reader, line, scratch, &entry);
        reading->outcome[outcome]++;
        if (!are_names_checked && reader.format != ACCESS_LOG_UNKNOWN) {
            are_names_checked = true;
            if (!check_names(&reader, about, trouble)) {
                read = REPLAY_READ_USAGE;
                goto close_input;
            }
        }
        if (outcome != ACCESS_LOG_READ) {
            if (outcome != ACCESS_LOG_EMPTY) keep_sample(reading, about, outcome, line);
            continue;
        }

        switch (replay_requests_add(requests, entry.time_ns, entry.user, entry.cost)) {
        case REPLAY_ADDED: about->requests++; continue;
        case REPLAY_NO_MEMORY:
            snprintf(trouble, REPLAY_TROUBLE_BYTES,
                     "not enough memory after %zu requests; replay fewer files at once",
                     requests->count);
            goto close_input;
        case REPLAY_FULL:
            snprintf(trouble, REPLAY_TROUBLE_BYTES,
                     "more than %zu requests; raise --requests-max (%d bytes of memory each) or "
                     "replay fewer files at once",
                     requests->count, REPLAY_BYTES_AT_ONE);
            goto close_input;
        case REPLAY_COSTS_FULL:
            snprintf(trouble, REPLAY_TROUBLE_BYTES,
                     "more than %d requests cost %d or more; replay fewer files at once",
                     REPLAY_COST_INLINE, REPLAY_COST_INLINE);
            goto close_input;
        }
    }
    read = REPLAY_READ_DONE;
    if (log_input_trouble(input) != NULL) {
        snprintf(about->trouble, sizeof about->trouble, "%s", log_input_trouble(input));
    }

close_input:
    about->format  = reader.format;
    about->is_gzip = log_input_is_gzip(input);
    log_input_close(input);
free_scratch:
    free(scratch);
    return read;
}

static void show_progress(const struct log_input *input, const struct replay_input *about,
                          const struct replay_requests *requests) {
    char     path[TERMINAL_QUOTE_BYTES_MAX];
    char     count[TERMINAL_COUNT_BYTES_MAX];
    uint64_t total = log_input_bytes_total(input);
    terminal_quote(view_of(about->path), path);
    terminal_count(requests->count, count);
    if (total == 0) {
        terminal_progress("reading %s: %s requests", path, count);
        return;
    }
    uint64_t percent = log_input_bytes_read(input) * 100 / total;
    terminal_progress("reading %s: %u %%, %s requests", path,
                      (unsigned)(percent < 100 ? percent : 100), count);
}

static void keep_sample(struct replay_reading *reading, const struct replay_input *about,
                        int outcome, struct view line) {
    bool lacks_field = outcome == ACCESS_LOG_WITHOUT_KEY || outcome == ACCESS_LOG_WITHOUT_TIME;
    if (lacks_field && reading->fields[0] == '\0') keep_fields(reading, line);
    if (reading->sample_count == REPLAY_SAMPLES) return;

    struct replay_sample *sample = &reading->sample[reading->sample_count++];
    *sample                      = (struct replay_sample){.path          = about->path,
                                                          .line_number   = about->lines,
                                                          .outcome       = outcome,
                                                          .bytes         = line.bytes,
                                                          .excerpt_bytes = line.bytes};
    if (sample->excerpt_bytes > sizeof sample->excerpt) {
        sample->excerpt_bytes = sizeof sample->excerpt;
    }
    memcpy(sample->excerpt, line.data, sample->excerpt_bytes);
}

/* The names in a JSON line, so that whoever mistyped a field sees what there is. */
static void keep_fields(struct replay_reading *reading, struct view line) {
    struct json_reader json;
    struct json_field  field;
    size_t             used  = 0;
    size_t             shown = 0;
    json_read_begin(&json, line, JSON_ANY_BYTES);
    while (shown < REPLAY_FIELDS_SHOWN && json_read_next(&json, &field)) {
        char name[TERMINAL_QUOTE_BYTES_MAX];
        int  wrote = snprintf(reading->fields + used, sizeof reading->fields - used, "%s%s",
                             shown > 0 ? " " : "", terminal_quote(field.name, name));
        if (wrote < 0 || (size_t)wrote >= sizeof reading->fields - used) {
            reading->fields[used] = '\0';
            return;
        }
        used += (size_t)wrote;
        shown++;
    }
}

static bool check_names(const struct access_log_reader *reader, const struct replay_input *about,
                        char trouble[REPLAY_TROUBLE_BYTES]) {
    if (reader->format != ACCESS_LOG_CLF) return true;
    struct view key  = {0};
    struct view cost = access_log_names_unknown_to_clf(&reader->cost);
    if (!reader->key_is_default) key = access_log_names_unknown_to_clf(&reader->key);
    struct view unknown = key.bytes > 0 ? key : cost;
    if (unknown.bytes == 0) return true;

    char name[TERMINAL_QUOTE_BYTES_MAX];
    char path[TERMINAL_QUOTE_BYTES_MAX];
    snprintf(trouble, REPLAY_TROUBLE_BYTES,
             "%s '%.64s': '%.128s' is in Common Log Format, whose fields are %s",
             key.bytes > 0 ? "--key" : "--cost", terminal_quote(unknown, name),
             terminal_quote(view_of(about->path), path), access_log_clf_names());
    return false;
}
