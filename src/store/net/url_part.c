/* SPDX-License-Identifier: MIT */
#include "store/net/url_part.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/contract.h"
#include "base/hex.h"
#include "base/text.h"

bool url_part_problem(char *problem, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(problem, URL_PROBLEM_BYTES_MAX, format, arguments);
    va_end(arguments);
    return false;
}

bool url_part_starts_with(struct view text, struct view start) {
    return text.bytes >= start.bytes && memcmp(text.data, start.data, start.bytes) == 0;
}

bool url_part_split(struct view *rest, char mark, bool is_last, struct view *before) {
    if (rest->bytes == 0) return false;
    const char *at =
        is_last ? memrchr(rest->data, mark, rest->bytes) : memchr(rest->data, mark, rest->bytes);
    if (at == NULL) return false;
    *before = (struct view){.data = rest->data, .bytes = (size_t)(at - rest->data)};
    *rest   = view_from(*rest, before->bytes + 1);
    return true;
}

bool url_part_decode(struct view text, const char *what, char *out, size_t room, char *problem) {
    size_t used = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '%') {
            int byte = text.bytes - i > 2 ? hex_byte(text.data + i + 1) : -1;
            if (byte < 0)
                return url_part_problem(
                    problem,
                    "in the %s, %% must be followed by two hexadecimal digits; a "
                    "percent sign itself is %%25",
                    what);
            c = (char)byte;
            i += 2;
        }
        if (c == '\0') return url_part_problem(problem, "the %s holds a NUL byte", what);
        if (used + 1 >= room)
            return url_part_problem(problem, "the %s is longer than %zu bytes", what, room - 1);
        out[used++] = c;
    }
    out[used] = '\0';
    return true;
}

bool url_part_login(struct view text, char user[URL_USER_BYTES_MAX],
                    char password[URL_SECRET_BYTES_MAX], char *problem) {
    struct view secret = text, name;
    if (!url_part_split(&secret, ':', false, &name))
        return url_part_problem(problem,
                                "a colon and the password are missing before the @; without "
                                "a user write :PASSWORD@HOST");
    if (secret.bytes == 0) return url_part_problem(problem, "the password before the @ is empty");
    return url_part_decode(name, "user", user, URL_USER_BYTES_MAX, problem) &&
           url_part_decode(secret, "password", password, URL_SECRET_BYTES_MAX, problem);
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
        if (!url_part_split(text, ']', false, name))
            return url_part_problem(problem, "a ] is missing after the IPv6 address");
        for (size_t i = 0; i < name->bytes; i++)
            if (!is_ip6_byte(name->data[i]))
                return url_part_problem(problem, "there is no IPv6 address in the brackets");
        if (name->bytes == 0) return url_part_problem(problem, "the brackets are empty");
        return true;
    }
    size_t bytes = 0;
    while (bytes < text->bytes && is_host_byte(text->data[bytes])) bytes++;
    *name = (struct view){.data = text->data, .bytes = bytes};
    *text = view_from(*text, bytes);
    if (bytes == 0)
        return url_part_problem(problem, "a host is empty or begins with a byte that no name has");
    return true;
}

static bool parse_host(struct view text, uint16_t usual_port, struct url_host *host,
                       char *problem) {
    if (text.bytes == 0)
        return url_part_problem(problem, "a host is empty: is there a comma too many?");
    struct view name = {0};
    if (!parse_host_name(&text, &name, problem)) return false;
    if (name.bytes >= URL_HOST_BYTES_MAX)
        return url_part_problem(problem, "a host is longer than %d bytes", URL_HOST_BYTES_MAX - 1);

    uint64_t port = usual_port;
    if (text.bytes > 0 && text.data[0] != ':')
        return url_part_problem(problem,
                                "a host holds a byte that no name has; an IPv6 address needs "
                                "brackets");
    if (text.bytes > 0 && memchr(text.data + 1, ':', text.bytes - 1) != NULL)
        return url_part_problem(problem,
                                "a host holds more than one colon; an IPv6 address needs brackets, "
                                "as in [::1]:%u",
                                usual_port);
    if (text.bytes > 0 &&
        (!text_number_parse(view_from(text, 1), &port) || port == 0 || port > UINT16_MAX))
        return url_part_problem(problem, "a port must be a number from 1 to 65535");

    INVARIANT(name.data != NULL);
    *host = (struct url_host){.port = (uint16_t)port};
    memcpy(host->name, name.data, name.bytes);
    return true;
}

bool url_part_hosts(struct view text, uint16_t usual_port, struct url_host hosts[URL_HOSTS_MAX],
                    unsigned *host_count, char *problem) {
    struct view host;
    if (text.bytes == 0)
        return url_part_problem(problem, "a host is missing, as in 127.0.0.1:%u", usual_port);
    for (;;) {
        bool is_last = !url_part_split(&text, ',', false, &host);
        if (*host_count == URL_HOSTS_MAX)
            return url_part_problem(
                problem, "there are more than %d hosts; a few are enough to find the rest",
                URL_HOSTS_MAX);
        if (!parse_host(is_last ? text : host, usual_port, &hosts[*host_count], problem))
            return false;
        ++*host_count;
        if (is_last) return true;
    }
}

void url_host_write(const struct url_host *host, char *out, size_t room) {
    bool is_ip6 = strchr(host->name, ':') != NULL;
    (void)snprintf(out, room, is_ip6 ? "[%s]:%u" : "%s:%u", host->name, host->port);
}

bool url_host_equals(const struct url_host *a, const struct url_host *b) {
    return a->port == b->port && strcmp(a->name, b->name) == 0;
}
