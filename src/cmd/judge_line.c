/* SPDX-License-Identifier: MIT
 *
 * judge_line: what does this line say was decided?
 *
 *     {"user":"ann","limit":100,"window_ns":60000000000,"cost":1,"allowed":true,
 *      "sent_ns":1000,"received_ns":2000,"host":"a"}
 *
 * "user_hex" stands for "user" where the bytes are not UTF-8. cost (1) and host ("") may be left
 * out; fields that are not known are skipped, so that a line may say more than the judge needs. */
#include "cmd/judge_line.h"

#include <stddef.h>

#include "wire/json.h"

enum {
    HAS_USER     = 1,
    HAS_LIMIT    = 2,
    HAS_WINDOW   = 4,
    HAS_ALLOWED  = 8,
    HAS_SENT     = 16,
    HAS_RECEIVED = 32
};
enum { HAS_ALL = 63 };

struct reading {
    struct judge_line *line;
    char              *scratch; /* half for the user, half for the host */
    unsigned           has;
};

static const char *read_field(struct reading *reading, const struct json_field *field);
static const char *check_line(struct judge_line *line, unsigned has);

const char *judge_line_read(struct view text, char *scratch, struct judge_line *line) {
    struct reading     reading = {.line = line, .scratch = scratch};
    struct json_reader reader;
    struct json_field  field;

    *line      = (struct judge_line){.cost = 1};
    line->host = (struct view){.data = "", .bytes = 0};
    json_read_begin(&reader, text, JSON_ANY_BYTES);
    if (reader.problem == JSON_FINE && reader.closing != '}') return "it is not a JSON object";
    while (json_read_next(&reader, &field)) {
        const char *wrong = read_field(&reading, &field);
        if (wrong != NULL) return wrong;
    }
    if (reader.problem != JSON_FINE) return json_problem_text(reader.problem);
    return check_line(line, reading.has);
}

static inline bool is(struct view name, const char *text, size_t bytes) {
    return name.bytes == bytes && memcmp(name.data, text, bytes) == 0;
}

#define IS(text) is(name, text, sizeof text - 1)

static const char *read_field(struct reading *reading, const struct json_field *field) {
    struct judge_line       *line  = reading->line;
    const struct json_value *value = &field->value;
    struct view              name  = field->name;
    struct view              text;
    enum { HALF = JUDGE_LINE_SCRATCH_BYTES / 2 };

    if (IS("user")) {
        if (!json_to_text(value, reading->scratch, HALF, &line->user))
            return "\"user\" is not a string";
        reading->has |= HAS_USER;
    } else if (IS("user_hex")) {
        if (value->type != JSON_STRING || value->has_escapes ||
            !json_hex_decode(value->text, reading->scratch, HALF, &line->user))
            return "\"user_hex\" is not a string of hexadecimal bytes";
        reading->has |= HAS_USER;
    } else if (IS("limit")) {
        if (!json_to_u64(value, &line->limit)) return "\"limit\" is not a whole number";
        reading->has |= HAS_LIMIT;
    } else if (IS("window_ns")) {
        if (!json_to_i64(value, &line->window_ns)) return "\"window_ns\" is not a whole number";
        reading->has |= HAS_WINDOW;
    } else if (IS("cost")) {
        if (!json_to_u64(value, &line->cost)) return "\"cost\" is not a whole number";
    } else if (IS("allowed")) {
        if (!json_to_bool(value, &line->allowed)) return "\"allowed\" is not true or false";
        reading->has |= HAS_ALLOWED;
    } else if (IS("sent_ns")) {
        if (!json_to_i64(value, &line->sent_ns)) return "\"sent_ns\" is not a whole number";
        reading->has |= HAS_SENT;
    } else if (IS("received_ns")) {
        if (!json_to_i64(value, &line->received_ns)) return "\"received_ns\" is not a whole number";
        reading->has |= HAS_RECEIVED;
    } else if (IS("host")) {
        if (!json_to_text(value, reading->scratch + HALF, HALF, &text))
            return "\"host\" is not a string";
        line->host = text;
    }
    return NULL;
}

static const char *check_line(struct judge_line *line, unsigned has) {
    if (has != HAS_ALL) {
        if ((has & HAS_USER) == 0) return "\"user\" is missing";
        if ((has & HAS_LIMIT) == 0) return "\"limit\" is missing";
        if ((has & HAS_WINDOW) == 0) return "\"window_ns\" is missing";
        if ((has & HAS_ALLOWED) == 0) return "\"allowed\" is missing";
        if ((has & HAS_SENT) == 0) return "\"sent_ns\" is missing";
        return "\"received_ns\" is missing";
    }
    if (line->limit > JUDGE_LIMIT_MAX) return "\"limit\" is above 2^40";
    if (line->window_ns < 1 || line->window_ns > JUDGE_WINDOW_MAX)
        return "\"window_ns\" is outside 1 to 2^61";
    if (line->sent_ns < 0 || line->received_ns > JUDGE_TIME_MAX)
        return "\"sent_ns\" or \"received_ns\" is outside 0 to 2^62";
    if (line->received_ns < line->sent_ns) return "\"received_ns\" is before \"sent_ns\"";
    if (line->cost > JUDGE_LIMIT_MAX) line->cost = JUDGE_LIMIT_MAX + 1;
    return NULL;
}
