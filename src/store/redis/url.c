/* SPDX-License-Identifier: MIT */
#include "store/redis/url.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/contract.h"
#include "base/hex.h"
#include "base/text.h"

enum { PORT_REDIS = 6379, PORT_SENTINEL = 26379 };

static const struct scheme {
    const char   *text;
    enum url_kind kind;
    bool          is_tls;
} schemes[] = {
    {"redis://", URL_STANDALONE, false},        {"rediss://", URL_STANDALONE, true},
    {"redis+sentinel://", URL_SENTINEL, false}, {"rediss+sentinel://", URL_SENTINEL, true},
    {"redis+cluster://", URL_CLUSTER, false},   {"rediss+cluster://", URL_CLUSTER, true},
};

static bool parse_login(struct view text, struct url *url, char *problem);
static bool parse_hosts(struct view text, struct url *url, char *problem);
static bool parse_host(struct view text, struct url *url, char *problem);
static bool parse_path(struct view text, struct url *url, char *problem);

static bool problem_set(char *problem, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Always false, so that a failing check is one line. */
static bool problem_set(char *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, URL_PROBLEM_BYTES_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool starts_with(struct view text, struct view start) {
    return text.bytes >= start.bytes && memcmp(text.data, start.data, start.bytes) == 0;
}

/* The part before the first (or last) `mark`, which is taken off `rest` together with the mark. False: there
 * is none, and nothing is changed. */
static bool split(struct view *rest, char mark, bool is_last, struct view *before) {
    if (rest->bytes == 0) return false;
    const char *at =
        is_last ? memrchr(rest->data, mark, rest->bytes) : memchr(rest->data, mark, rest->bytes);
    if (at == NULL) return false;
    *before = (struct view){.data = rest->data, .bytes = (size_t)(at - rest->data)};
    *rest   = view_from(*rest, before->bytes + 1);
    return true;
}

bool url_parse(struct view text, struct url *url, char problem[URL_PROBLEM_BYTES_MAX]) {
    *url = (struct url){0};
    if (text.bytes > URL_BYTES_MAX)
        return problem_set(problem, "the URL is longer than %d bytes", URL_BYTES_MAX);

    const struct scheme *scheme = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (starts_with(text, view_of(schemes[i].text))) scheme = &schemes[i];
    if (scheme == NULL)
        return problem_set(
            problem, "the URL must begin with redis://, redis+sentinel:// or redis+cluster://, "
                     "or the same with rediss for TLS");
    url->kind   = scheme->kind;
    url->is_tls = scheme->is_tls;

    struct view rest = view_from(text, strlen(scheme->text));
    if (memchr(rest.data, '?', rest.bytes) != NULL || memchr(rest.data, '#', rest.bytes) != NULL)
        return problem_set(problem,
                           "? and # have no meaning in the URL; in a password write them as "
                           "%%3F and %%23");

    /* A password may hold neither / nor @ as they are, so the first slash ends the hosts. */
    struct view path     = rest, hosts, login;
    bool        has_path = split(&path, '/', false, &hosts);
    if (!has_path) {
        hosts = rest;
        path  = (struct view){0};
    }
    if (split(&hosts, '@', true, &login) && !parse_login(login, url, problem)) return false;
    return parse_hosts(hosts, url, problem) && parse_path(path, url, problem);
}

/* Puts what `text` stands for into `out` with a NUL. */
static bool decode(struct view text, const char *what, char *out, size_t room, char *problem) {
    size_t used = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '%') {
            int byte = text.bytes - i > 2 ? hex_byte(text.data + i + 1) : -1;
            if (byte < 0)
                return problem_set(problem,
                                   "in the %s, %% must be followed by two hexadecimal digits; a "
                                   "percent sign itself is %%25",
                                   what);
            c = (char)byte;
            i += 2;
        }
        if (c == '\0') return problem_set(problem, "the %s holds a NUL byte", what);
        if (used + 1 >= room)
            return problem_set(problem, "the %s is longer than %zu bytes", what, room - 1);
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

static bool parse_login(struct view text, struct url *url, char *problem) {
    struct view password = text, user;
    if (!split(&password, ':', false, &user))
        return problem_set(problem,
                           "a colon and the password are missing before the @; for the default "
                           "user write redis://:PASSWORD@HOST");
    if (password.bytes == 0) return problem_set(problem, "the password before the @ is empty");
    return decode(user, "user", url->user, sizeof url->user, problem) &&
           decode(password, "password", url->password, sizeof url->password, problem);
}

static bool parse_hosts(struct view text, struct url *url, char *problem) {
    struct view host;
    if (text.bytes == 0)
        return problem_set(problem, "a host is missing, as in redis://127.0.0.1:6379");
    while (split(&text, ',', false, &host))
        if (!parse_host(host, url, problem)) return false;
    if (!parse_host(text, url, problem)) return false;
    if (url->kind == URL_STANDALONE && url->host_count > 1)
        return problem_set(problem,
                           "redis:// takes one host; for several write redis+sentinel:// or "
                           "redis+cluster://");
    return true;
}

static bool is_host_byte(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
}

static bool is_ip6_byte(char c) { return hex_digit(c) >= 0 || c == ':' || c == '.'; }

/* Takes the host off `text`; what is left begins with the port's colon, if there is one. */
static bool parse_host_name(struct view *text, struct view *name, char *problem) {
    if (text->data[0] == '[') {
        *text = view_from(*text, 1);
        if (!split(text, ']', false, name))
            return problem_set(problem, "a ] is missing after the IPv6 address");
        for (size_t i = 0; i < name->bytes; i++)
            if (!is_ip6_byte(name->data[i]))
                return problem_set(problem, "there is no IPv6 address in the brackets");
        if (name->bytes == 0) return problem_set(problem, "the brackets are empty");
        return true;
    }
    size_t bytes = 0;
    while (bytes < text->bytes && is_host_byte(text->data[bytes])) bytes++;
    *name = (struct view){.data = text->data, .bytes = bytes};
    *text = view_from(*text, bytes);
    if (bytes == 0)
        return problem_set(problem, "a host is empty or begins with a byte that no name has");
    return true;
}

static bool parse_host(struct view text, struct url *url, char *problem) {
    if (text.bytes == 0) return problem_set(problem, "a host is empty: is there a comma too many?");
    if (url->host_count == URL_HOSTS_MAX)
        return problem_set(problem,
                           "there are more than %d hosts; a few are enough to find the rest",
                           URL_HOSTS_MAX);
    struct view name = {0};
    if (!parse_host_name(&text, &name, problem)) return false;
    if (name.bytes >= URL_HOST_BYTES_MAX)
        return problem_set(problem, "a host is longer than %d bytes", URL_HOST_BYTES_MAX - 1);

    uint64_t port = url->kind == URL_SENTINEL ? PORT_SENTINEL : PORT_REDIS;
    if (text.bytes > 0 && text.data[0] != ':')
        return problem_set(problem, "a host holds a byte that no name has; an IPv6 address needs "
                                    "brackets");
    if (text.bytes > 0 && memchr(text.data + 1, ':', text.bytes - 1) != NULL)
        return problem_set(problem,
                           "a host holds more than one colon; an IPv6 address needs brackets, "
                           "as in [::1]:6379");
    if (text.bytes > 0 &&
        (!text_number_parse(view_from(text, 1), &port) || port == 0 || port > UINT16_MAX))
        return problem_set(problem, "a port must be a number from 1 to 65535");

    INVARIANT(name.data != NULL);
    struct url_host *host = &url->hosts[url->host_count++];
    memcpy(host->name, name.data, name.bytes);
    host->port = (uint16_t)port;
    return true;
}

static bool parse_database(struct view text, struct url *url, char *problem) {
    uint64_t number = 0;
    if (text.bytes > 0 && (!text_number_parse(text, &number) || number > URL_DATABASE_MAX))
        return problem_set(problem,
                           "after the %s/ only the number of a database may follow, from 0 to %d",
                           url->kind == URL_SENTINEL ? "name and " : "", URL_DATABASE_MAX);
    url->database = (uint32_t)number;
    return true;
}

static bool parse_path(struct view text, struct url *url, char *problem) {
    if (url->kind == URL_CLUSTER)
        return text.bytes == 0 ||
               problem_set(problem, "a Cluster has no databases: nothing may follow "
                                    "the hosts");
    if (url->kind == URL_STANDALONE) return parse_database(text, url, problem);

    struct view name, database = text;
    if (!split(&database, '/', false, &name)) {
        name     = text;
        database = (struct view){0};
    }
    if (name.bytes == 0)
        return problem_set(problem, "the name of the primary is missing, as in "
                                    "redis+sentinel://h1,h2,h3/mymaster");
    return decode(name, "name", url->name, sizeof url->name, problem) &&
           parse_database(database, url, problem);
}

void url_host_write(const struct url_host *host, char *out, size_t room) {
    bool is_ip6 = strchr(host->name, ':') != NULL;
    (void)snprintf(out, room, is_ip6 ? "[%s]:%u" : "%s:%u", host->name, host->port);
}
