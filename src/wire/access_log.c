/* SPDX-License-Identifier: MIT
 *
 * access_log: who asked, when, and for how much? One line of an access log at a time.
 *
 *     Common    host ident user [17/May/2015:10:05:03 +0000] "GET /path HTTP/1.1" 200 2326
 *     Combined  the same, then "referer" "agent", then whatever the server appends
 *     JSON      {"time":"2015-05-17T10:05:03.25Z","ip":"10.0.0.1","user":{"id":7}}
 *
 * A line is read whole or not at all: one that was torn by a crash or a full disk would otherwise
 * name a wrong user now and then. Real logs do hold such lines, so a torn line is an outcome to be
 * counted and never a failure.
 *
 * Bytes are taken as they stand. What Apache escaped inside quotes (\x22, \") stays escaped: a user
 * needs to be told from another, not to be spelled well. Nothing here assumes UTF-8. */
#include "wire/access_log.h"

#include "base/contract.h"
#include "wire/json.h"
#include "wire/log_time.h"

enum clf_field {
    CLF_NONE,
    CLF_HOST,
    CLF_IDENT,
    CLF_USER,
    CLF_TIME,
    CLF_REQUEST,
    CLF_STATUS,
    CLF_BYTES,
    CLF_REFERER,
    CLF_AGENT,
    CLF_METHOD,
    CLF_TARGET,
    CLF_PATH,
    CLF_QUERY,
    CLF_PROTOCOL,
    CLF_VHOST,
    CLF_COLUMN, /* CLF_COLUMN + n is the n-th column, from 1 */
};

static const struct clf_name {
    const char    *name;
    enum clf_field field;
} clf_names[] = {
    {"host", CLF_HOST},         {"ip", CLF_HOST},          {"remote_addr", CLF_HOST},
    {"ident", CLF_IDENT},       {"user", CLF_USER},        {"remote_user", CLF_USER},
    {"time", CLF_TIME},         {"request", CLF_REQUEST},  {"method", CLF_METHOD},
    {"target", CLF_TARGET},     {"path", CLF_PATH},        {"query", CLF_QUERY},
    {"protocol", CLF_PROTOCOL}, {"status", CLF_STATUS},    {"bytes", CLF_BYTES},
    {"referer", CLF_REFERER},   {"referrer", CLF_REFERER}, {"agent", CLF_AGENT},
    {"user_agent", CLF_AGENT},  {"vhost", CLF_VHOST},
};

static const char *const json_time_names[] = {"time", "timestamp", "@timestamp", "ts"};
static const char *const json_user_names[] = {"ip",       "client_ip",   "remote_addr", "remote_ip",
                                              "clientip", "remote_host", "host"};

static enum access_log_outcome read_columns(const struct access_log_reader  *reader,
                                            const struct access_log_columns *columns,
                                            struct access_log_scratch       *scratch,
                                            struct access_log_entry         *entry);
static enum access_log_outcome read_json(const struct access_log_reader *reader, struct view line,
                                         struct access_log_scratch *scratch,
                                         struct access_log_entry   *entry);

/* ---- a line ---- */

static bool is_blank(struct view line) {
    for (size_t i = 0; i < line.bytes; i++) {
        if (line.data[i] != ' ' && line.data[i] != '\t' && line.data[i] != '\r') return false;
    }
    return true;
}

enum access_log_outcome access_log_read(struct access_log_reader *reader, struct view line,
                                        struct access_log_scratch *scratch,
                                        struct access_log_entry   *entry) {
    if (is_blank(line)) return ACCESS_LOG_EMPTY;
    if (line.bytes > ACCESS_LOG_LINE_BYTES_MAX) return ACCESS_LOG_TORN;
    if (line.data[line.bytes - 1] == '\r') line.bytes--;

    if (reader->format != ACCESS_LOG_JSON) {
        struct access_log_columns columns;
        if (access_log_columns_parse(line, &columns)) {
            reader->format = ACCESS_LOG_CLF;
            return read_columns(reader, &columns, scratch, entry);
        }
        if (reader->format == ACCESS_LOG_CLF) return ACCESS_LOG_TORN;
    }
    enum access_log_outcome outcome = read_json(reader, line, scratch, entry);
    if (outcome != ACCESS_LOG_TORN) reader->format = ACCESS_LOG_JSON;
    return outcome;
}

struct access_log_reader access_log_reader_default(void) {
    struct access_log_reader reader = {.key_is_default = true};
    for (size_t i = 0; i < sizeof json_user_names / sizeof *json_user_names; i++) {
        reader.key.name[reader.key.count++] = view_of(json_user_names[i]);
    }
    for (size_t i = 0; i < sizeof json_time_names / sizeof *json_time_names; i++) {
        reader.time.name[reader.time.count++] = view_of(json_time_names[i]);
    }
    return reader;
}

/* ---- names ---- */

static uint32_t clf_field_of(struct view name) {
    for (size_t i = 0; i < sizeof clf_names / sizeof *clf_names; i++) {
        if (view_equals(name, view_of(clf_names[i].name))) return clf_names[i].field;
    }
    /* A number is a column, so that fields which a server appends can be named. */
    uint32_t number = 0;
    for (size_t i = 0; i < name.bytes; i++) {
        if (name.data[i] < '0' || name.data[i] > '9' || number > ACCESS_LOG_COLUMNS_MAX) {
            return CLF_NONE;
        }
        number = number * 10 + (uint32_t)(name.data[i] - '0');
    }
    return number >= 1 && number <= ACCESS_LOG_COLUMNS_MAX ? CLF_COLUMN + number : CLF_NONE;
}

bool access_log_names_parse(struct view text, char separator, struct access_log_names *names) {
    *names = (struct access_log_names){0};
    for (;;) {
        const char *end  = text.bytes > 0 ? memchr(text.data, separator, text.bytes) : NULL;
        struct view name = {text.data, end != NULL ? (size_t)(end - text.data) : text.bytes};
        if (name.bytes == 0) return false;
        if (names->count == ACCESS_LOG_NAMES_MAX) return false;
        names->name[names->count]      = name;
        names->clf_field[names->count] = clf_field_of(name);
        names->count++;
        if (end == NULL) return true;
        text = view_from(text, name.bytes + 1);
    }
}

struct view access_log_names_unknown_to_clf(const struct access_log_names *names) {
    for (uint32_t i = 0; i < names->count; i++) {
        if (names->clf_field[i] == CLF_NONE) return names->name[i];
    }
    return (struct view){0};
}

const char *access_log_clf_names(void) {
    return "ip ident user time request method target path query protocol status bytes referer "
           "agent vhost, or the number of a column";
}

/* ---- columns ---- */

/* The bytes up to `stop`, which is stepped over. */
static bool take_until(struct view *rest, char stop, struct view *taken) {
    const char *end = rest->bytes > 0 ? memchr(rest->data, stop, rest->bytes) : NULL;
    if (end == NULL) return false;
    *taken = (struct view){rest->data, (size_t)(end - rest->data)};
    *rest  = view_from(*rest, taken->bytes + 1);
    return true;
}

/* The bytes between two quotes; a quote after an odd number of backslashes is one of the bytes. */
static bool take_quoted(struct view *rest, struct view *taken) {
    if (rest->bytes == 0 || rest->data[0] != '"') return false;
    const char *begin = rest->data + 1;
    const char *limit = rest->data + rest->bytes;
    for (const char *at = begin; at < limit; at++) {
        at = memchr(at, '"', (size_t)(limit - at));
        if (at == NULL) return false;
        const char *before = at;
        while (before > begin && before[-1] == '\\') before--;
        if ((at - before) % 2 == 1) continue;
        *taken = (struct view){begin, (size_t)(at - begin)};
        *rest  = view_from(*rest, taken->bytes + 2);
        return true;
    }
    return false;
}

/* The bytes up to a space or the end; at least one. */
static bool take_word(struct view *rest, struct view *taken) {
    size_t bytes = 0;
    while (bytes < rest->bytes && rest->data[bytes] != ' ') bytes++;
    *taken = (struct view){rest->data, bytes};
    *rest  = view_from(*rest, bytes);
    return bytes > 0;
}

static bool take_space(struct view *rest) {
    if (rest->bytes == 0 || rest->data[0] != ' ') return false;
    *rest = view_from(*rest, 1);
    return true;
}

static bool is_number_or_dash(struct view word) {
    if (word.bytes == 1 && word.data[0] == '-') return true;
    for (size_t i = 0; i < word.bytes; i++) {
        if (word.data[i] < '0' || word.data[i] > '9') return false;
    }
    return word.bytes > 0;
}

/* "example.com:443": something, a colon, and a port. An IPv6 address has more than one colon. */
static bool is_vhost(struct view word) {
    const char *colon = word.bytes > 0 ? memchr(word.data, ':', word.bytes) : NULL;
    if (colon == NULL || colon == word.data) return false;
    struct view port = view_from(word, (size_t)(colon - word.data) + 1);
    return port.bytes > 0 && port.bytes <= 5 && port.data[0] != '-' && is_number_or_dash(port);
}

/* Host, ident, user and the bracket before the time. A user's name may hold blanks: it ends where the
 * time begins. */
static bool take_identity(struct view *rest, struct access_log_columns *c) {
    if (!take_until(rest, ' ', &c->column[0]) || c->column[0].bytes == 0) return false;
    if (!take_until(rest, ' ', &c->column[1]) || c->column[1].bytes == 0) return false;
    if (!take_until(rest, '[', &c->column[2]) || c->column[2].bytes < 2) return false;
    return c->column[2].data[--c->column[2].bytes] == ' ';
}

bool access_log_columns_parse(struct view line, struct access_log_columns *c) {
    struct view rest = line;
    c->count         = 7;
    c->vhost         = (struct view){0};
    if (!take_identity(&rest, c)) return false;
    if (is_vhost(c->column[0])) {
        /* "name:port" is a virtual host if there is a whole identity behind it, and else a client
         * that is told with its port. */
        struct access_log_columns behind;
        struct view               after = view_from(line, c->column[0].bytes + 1);
        if (take_identity(&after, &behind)) {
            c->vhost = c->column[0];
            memcpy(c->column, behind.column, 3 * sizeof c->column[0]);
            rest = after;
        }
    }

    if (!take_until(&rest, ']', &c->column[3])) return false;
    if (!take_space(&rest) || !take_quoted(&rest, &c->column[4])) return false;
    if (!take_space(&rest) || !take_word(&rest, &c->column[5])) return false;
    if (!is_number_or_dash(c->column[5])) return false;
    if (!take_space(&rest) || !take_word(&rest, &c->column[6])) return false;
    if (!is_number_or_dash(c->column[6])) return false;

    while (rest.bytes > 0) {
        if (!take_space(&rest)) return false;
        if (rest.bytes == 0) break; /* a blank at the end hurts nobody */
        struct view taken;
        bool is_taken = rest.data[0] == '"' ? take_quoted(&rest, &taken) : take_word(&rest, &taken);
        if (!is_taken) return false;
        if (c->count < ACCESS_LOG_COLUMNS_MAX) c->column[c->count++] = taken;
    }
    return true;
}

/* The part of "GET /path?query HTTP/1.1" that `field` names; bytes 0: the request is not of that
 * form. */
static struct view request_part(struct view request, enum clf_field field) {
    struct view method;
    struct view target;
    struct view rest = request;
    if (!take_until(&rest, ' ', &method) || method.bytes == 0) return (struct view){0};
    /* The target may hold blanks that nobody encoded; the protocol does not. */
    size_t end = rest.bytes;
    while (end > 0 && rest.data[end - 1] != ' ') end--;
    struct view protocol = view_from(rest, end);
    if (end == 0 || protocol.bytes < 5 || memcmp(protocol.data, "HTTP/", 5) != 0) {
        protocol.bytes = 0; /* HTTP/0.9: "GET /path" */
        target         = rest;
    } else {
        target = (struct view){rest.data, end - 1};
    }
    if (target.bytes == 0) return (struct view){0};

    const char *mark = memchr(target.data, '?', target.bytes);
    size_t      path = mark != NULL ? (size_t)(mark - target.data) : target.bytes;
    switch (field) {
    case CLF_METHOD: return method;
    case CLF_TARGET: return target;
    case CLF_PATH: return (struct view){target.data, path};
    case CLF_QUERY: return mark != NULL ? view_from(target, path + 1) : (struct view){0};
    default: return protocol;
    }
}

/* The field's bytes; bytes 0: it is not there, or "-", which is how servers write that. */
static struct view field_of(const struct access_log_columns *c, uint32_t field) {
    struct view value = {0};
    if (field >= CLF_METHOD && field <= CLF_PROTOCOL) {
        value = request_part(c->column[CLF_REQUEST - 1], (enum clf_field)field);
    } else if (field == CLF_VHOST) {
        value = c->vhost;
    } else {
        uint32_t column = field > CLF_COLUMN ? field - CLF_COLUMN : field;
        if (column >= 1 && column <= c->count) value = c->column[column - 1];
    }
    if (value.bytes == 1 && value.data[0] == '-') value.bytes = 0;
    return value;
}

static bool number_parse(struct view text, uint64_t *number) {
    uint64_t n = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        unsigned digit = (unsigned char)text.data[i] - (unsigned)'0';
        if (digit > 9) return false;
        if (n > (UINT64_MAX - digit) / 10) return false;
        n = n * 10 + digit;
    }
    *number = n;
    return text.bytes > 0;
}

/* Joins what is in `part` by tabs. A tab, because a log hardly holds one inside a field. */
static bool join(const struct view *part, uint32_t count, struct access_log_scratch *scratch,
                 struct view *joined) {
    if (count == 1) {
        *joined = part[0];
        return part[0].bytes <= ACCESS_LOG_USER_BYTES_MAX;
    }
    INVARIANT(scratch->used <= sizeof scratch->bytes);
    char  *begin = scratch->bytes + scratch->used;
    size_t room  = sizeof scratch->bytes - scratch->used;
    size_t bytes = 0;
    if (room > ACCESS_LOG_USER_BYTES_MAX) room = ACCESS_LOG_USER_BYTES_MAX;
    for (uint32_t i = 0; i < count; i++) {
        if (bytes + part[i].bytes + 1 > room) return false;
        if (i > 0) begin[bytes++] = '\t';
        memcpy(begin + bytes, part[i].data, part[i].bytes);
        bytes += part[i].bytes;
    }
    *joined = (struct view){begin, bytes};
    return true;
}

static enum access_log_outcome read_columns(const struct access_log_reader  *reader,
                                            const struct access_log_columns *columns,
                                            struct access_log_scratch       *scratch,
                                            struct access_log_entry         *entry) {
    scratch->used = 0;
    if (!log_time_parse_clf(columns->column[CLF_TIME - 1], &entry->time_ns)) {
        return ACCESS_LOG_WITHOUT_TIME;
    }

    if (reader->key_is_default) {
        entry->user = field_of(columns, CLF_HOST);
        if (entry->user.bytes == 0) return ACCESS_LOG_WITHOUT_KEY;
    } else {
        struct view part[ACCESS_LOG_NAMES_MAX];
        for (uint32_t i = 0; i < reader->key.count; i++) {
            part[i] = field_of(columns, reader->key.clf_field[i]);
            if (part[i].bytes == 0) return ACCESS_LOG_WITHOUT_KEY;
        }
        if (!join(part, reader->key.count, scratch, &entry->user)) return ACCESS_LOG_WITHOUT_KEY;
    }

    entry->cost = 1;
    if (reader->cost.count == 0) return ACCESS_LOG_READ;
    uint32_t    field = reader->cost.clf_field[0];
    struct view cost  = field_of(columns, field);
    if (cost.bytes == 0 && (field == CLF_BYTES || field == CLF_COLUMN + CLF_BYTES)) {
        entry->cost = 0; /* "-" in this column means that no bytes were sent */
        return ACCESS_LOG_READ;
    }
    return number_parse(cost, &entry->cost) ? ACCESS_LOG_READ : ACCESS_LOG_WITHOUT_COST;
}

/* ---- JSON ---- */

/* A field that is looked for, and what was found. */
struct want {
    struct view       name;
    struct json_value value;
    bool              is_found;
    bool              is_exact; /* by its whole name, which counts more than by a path of names */
};

enum { WANTS_MAX = 2 * ACCESS_LOG_NAMES_MAX + 1 };

static uint32_t want_names(struct want *wants, uint32_t count,
                           const struct access_log_names *names) {
    for (uint32_t i = 0; i < names->count; i++) {
        wants[count].name     = names->name[i];
        wants[count].is_found = false;
        wants[count].is_exact = false;
        count++;
    }
    return count;
}

/* What `path` names inside an object: a field of that whole name, or, behind a dot, one inside an
 * object that is a field. Each turn of the recursion takes one of the path's names. */
static bool look_inside(struct view object, struct view path, struct json_value *value) {
    struct json_reader reader;
    struct json_field  field;
    bool               is_found = false;
    json_read_begin(&reader, object, JSON_ANY_BYTES);
    while (json_read_next(&reader, &field)) {
        if (view_equals(field.name, path)) {
            *value = field.value;
            return true;
        }
        if (is_found || field.value.type != JSON_OBJECT) continue;
        if (path.bytes <= field.name.bytes || path.data[field.name.bytes] != '.') continue;
        if (memcmp(path.data, field.name.data, field.name.bytes) != 0) continue;
        is_found = look_inside(field.value.text, view_from(path, field.name.bytes + 1), value);
    }
    return is_found;
}

static void match(struct want *want, const struct json_field *field) {
    if (want->is_exact) return;
    if (view_equals(field->name, want->name)) {
        want->value    = field->value;
        want->is_found = true;
        want->is_exact = true;
        return;
    }
    if (want->is_found || field->value.type != JSON_OBJECT) return;
    size_t bytes = field->name.bytes;
    if (want->name.bytes <= bytes || want->name.data[bytes] != '.') return;
    if (memcmp(want->name.data, field->name.data, bytes) != 0) return;
    want->is_found = look_inside(field->value.text, view_from(want->name, bytes + 1), &want->value);
}

static bool json_time(const struct access_log_reader *reader, const struct want *want,
                      uint64_t *time_ns) {
    if (!want->is_found) return false;
    struct view text = want->value.text;
    if (want->value.type == JSON_NUMBER) {
        return log_time_parse_number(text, reader->time_unit, time_ns);
    }
    if (want->value.type != JSON_STRING) return false;
    if (log_time_parse_rfc3339(text, time_ns) || log_time_parse_clf(text, time_ns)) return true;
    return log_time_parse_number(text, reader->time_unit, time_ns);
}

/* What a value says as a user: the bytes that a string means, a number or a truth value as written.
 * Objects, arrays, null and the empty string name nobody. */
static bool json_user_part(const struct want *want, struct access_log_scratch *scratch,
                           struct view *part) {
    if (!want->is_found) return false;
    switch (want->value.type) {
    case JSON_STRING:
        if (!json_to_text(&want->value, scratch->bytes + scratch->used,
                          sizeof scratch->bytes - scratch->used, part)) {
            return false;
        }
        if (want->value.has_escapes) scratch->used += part->bytes;
        return part->bytes > 0;
    case JSON_NUMBER:
    case JSON_TRUE:
    case JSON_FALSE: *part = want->value.text; return true;
    default: return false;
    }
}

static bool json_user(const struct access_log_reader *reader, const struct want *wants,
                      struct access_log_scratch *scratch, struct view *user) {
    struct view part[ACCESS_LOG_NAMES_MAX];
    for (uint32_t i = 0; i < reader->key.count; i++) {
        bool is_there = json_user_part(&wants[i], scratch, &part[i]);
        if (reader->key_is_default && is_there) {
            *user = part[i];
            return true;
        }
        if (!reader->key_is_default && !is_there) return false;
    }
    return !reader->key_is_default && join(part, reader->key.count, scratch, user);
}

static bool json_cost(const struct want *want, uint64_t *cost) {
    if (!want->is_found) return false;
    if (want->value.type == JSON_STRING) return number_parse(want->value.text, cost);
    return json_to_u64(&want->value, cost);
}

static enum access_log_outcome read_json(const struct access_log_reader *reader, struct view line,
                                         struct access_log_scratch *scratch,
                                         struct access_log_entry   *entry) {
    struct want        wants[WANTS_MAX];
    uint32_t           time_at = want_names(wants, 0, &reader->key);
    uint32_t           cost_at = want_names(wants, time_at, &reader->time);
    uint32_t           count   = want_names(wants, cost_at, &reader->cost);
    struct json_reader json;
    struct json_field  field;

    json_read_begin(&json, line, JSON_ANY_BYTES);
    if (json.problem == JSON_FINE && json.closing != '}') return ACCESS_LOG_TORN;
    while (json_read_next(&json, &field)) {
        for (uint32_t i = 0; i < count; i++) match(&wants[i], &field);
    }
    if (json.problem != JSON_FINE) return ACCESS_LOG_TORN;

    bool has_time = false;
    for (uint32_t i = time_at; i < cost_at && !has_time; i++) {
        has_time = json_time(reader, &wants[i], &entry->time_ns);
    }
    if (!has_time) return ACCESS_LOG_WITHOUT_TIME;

    scratch->used = 0;
    if (!json_user(reader, wants, scratch, &entry->user)) return ACCESS_LOG_WITHOUT_KEY;

    entry->cost = 1;
    if (cost_at < count && !json_cost(&wants[cost_at], &entry->cost)) {
        return ACCESS_LOG_WITHOUT_COST;
    }
    return ACCESS_LOG_READ;
}
