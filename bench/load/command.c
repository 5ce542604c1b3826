/* SPDX-License-Identifier: MIT */
#include "command.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

const char command_names[] =
    "    ping             PING\n"
    "    incr             INCR user\n"
    "    weir.allow       WEIR.ALLOW user limit window_ms\n"
    "    cl.throttle      CL.THROTTLE user limit-1 limit window_s\n"
    "    throttle         THROTTLE user limit limit window_s         (throttlecrab)\n"
    "    evalsha          EVALSHA sha 1 user emission_us burst_us 1  (with --script)\n";

/* ---- requests ---- */

struct words {
    char   text[8][64];
    size_t count;
    size_t user_index; /* count if there is none */
};

#define SAY(words, ...)                                                                            \
    snprintf((words)->text[(words)->count++], sizeof(words)->text[0], __VA_ARGS__)

static void say_user(struct words *w) {
    w->user_index = w->count;
    SAY(w, "user:%u", (unsigned)COMMAND_USER_FIRST);
}

static void command_render(struct command *c, const struct words *w) {
    int used = snprintf(c->bytes, sizeof c->bytes, "*%zu\r\n", w->count);
    for (size_t i = 0; i < w->count; i++) {
        int head = snprintf(c->bytes + used, sizeof c->bytes - (size_t)used, "$%zu\r\n",
                            strlen(w->text[i]));
        if (i == w->user_index) c->digits_at = (size_t)(used + head) + strlen("user:");
        used += head;
        used += snprintf(c->bytes + used, sizeof c->bytes - (size_t)used, "%s\r\n", w->text[i]);
    }
    c->byte_count = (size_t)used;
}

bool command_make(struct command *c, const char *name, const struct command_rule *rule) {
    *c                    = (struct command){0};
    struct words w        = {.user_index = SIZE_MAX};
    uint64_t     window_s = rule->window_ms / 1000;

    if (strcmp(name, "ping") == 0) {
        SAY(&w, "PING");
        c->shape = REPLY_SIMPLE;
    } else if (strcmp(name, "incr") == 0) {
        SAY(&w, "INCR");
        say_user(&w);
        c->shape = REPLY_INTEGER;
    } else if (strcmp(name, "weir.allow") == 0) {
        SAY(&w, "WEIR.ALLOW");
        say_user(&w);
        SAY(&w, "%" PRIu64, rule->limit);
        SAY(&w, "%" PRIu64, rule->window_ms);
        c->shape          = REPLY_INTEGER;
        c->allowed_value  = 1;
        c->counts_answers = true;
    } else if (strcmp(name, "cl.throttle") == 0) {
        if (window_s == 0 || rule->limit == 0) return false;
        SAY(&w, "CL.THROTTLE");
        say_user(&w);
        SAY(&w, "%" PRIu64, rule->limit - 1);
        SAY(&w, "%" PRIu64, rule->limit);
        SAY(&w, "%" PRIu64, window_s);
        c->shape          = REPLY_ARRAY;
        c->element_count  = 5;
        c->allowed_value  = 0;
        c->counts_answers = true;
    } else if (strcmp(name, "throttle") == 0) {
        if (window_s == 0) return false;
        SAY(&w, "THROTTLE");
        say_user(&w);
        SAY(&w, "%" PRIu64, rule->limit);
        SAY(&w, "%" PRIu64, rule->limit);
        SAY(&w, "%" PRIu64, window_s);
        c->shape          = REPLY_ARRAY;
        c->element_count  = 5;
        c->allowed_value  = 1;
        c->counts_answers = true;
    } else if (strcmp(name, "evalsha") == 0) {
        if (!rule->script_sha || rule->limit == 0) return false;
        SAY(&w, "EVALSHA");
        SAY(&w, "%s", rule->script_sha);
        SAY(&w, "1");
        say_user(&w);
        SAY(&w, "%" PRIu64, rule->window_ms * 1000 / rule->limit);
        SAY(&w, "%" PRIu64, rule->window_ms * 1000);
        SAY(&w, "1");
        c->shape          = REPLY_ARRAY;
        c->element_count  = 2;
        c->allowed_value  = 1;
        c->counts_answers = true;
    } else {
        return false;
    }
    command_render(c, &w);
    return true;
}

void command_write(const struct command *c, uint64_t user, char *out) {
    memcpy(out, c->bytes, c->byte_count);
    if (c->digits_at == 0) return;
    uint64_t rest = COMMAND_USER_FIRST + user;
    for (char *digit = out + c->digits_at + COMMAND_USER_DIGITS - 1; digit >= out + c->digits_at;
         digit--) {
        *digit = (char)('0' + rest % 10);
        rest /= 10;
    }
}

/* ---- replies ---- */

/* The line's length with its end, or 0 if the end is not there yet. */
static size_t line_length(const char *data, size_t bytes) {
    const char *end = memchr(data, '\n', bytes);
    return end ? (size_t)(end - data) + 1 : 0;
}

/* A number that fills its line. */
static bool line_number(const char *data, size_t line, int64_t *number) {
    if (line < 4 || data[line - 2] != '\r') return false;
    size_t  at       = 1;
    bool    negative = data[at] == '-';
    int64_t value    = 0;
    if (negative) at++;
    if (at == line - 2 || line - 2 - at > 18) return false;
    for (; at < line - 2; at++) {
        if (data[at] < '0' || data[at] > '9') return false;
        value = value * 10 + (data[at] - '0');
    }
    *number = negative ? -value : value;
    return true;
}

static bool malformed(struct reply *reply) {
    reply->is_malformed = true;
    return true;
}

bool reply_read(const struct command *c, const char *data, size_t bytes, struct reply *reply) {
    *reply      = (struct reply){0};
    size_t line = line_length(data, bytes);
    if (line == 0) return false;
    reply->bytes = line;

    if (data[0] == '-') {
        reply->is_error = true;
        return true;
    }
    if (data[0] == '+') {
        reply->has_shape = c->shape == REPLY_SIMPLE;
        return line >= 3 && data[line - 2] == '\r' ? true : malformed(reply);
    }
    if (data[0] == ':') {
        reply->has_shape = c->shape == REPLY_INTEGER;
        return line_number(data, line, &reply->first) ? true : malformed(reply);
    }
    int64_t count;
    if (data[0] != '*' || !line_number(data, line, &count) || count < 1) return malformed(reply);

    /* The arrays that rate limiters answer with hold integers and nothing else. */
    for (int64_t i = 0; i < count; i++) {
        line = line_length(data + reply->bytes, bytes - reply->bytes);
        if (line == 0) return false;
        int64_t value;
        if (data[reply->bytes] != ':' || !line_number(data + reply->bytes, line, &value)) {
            return malformed(reply);
        }
        if (i == 0) reply->first = value;
        reply->bytes += line;
    }
    reply->has_shape = c->shape == REPLY_ARRAY && (uint64_t)count == c->element_count;
    return true;
}
