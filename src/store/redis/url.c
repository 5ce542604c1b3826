/* SPDX-License-Identifier: MIT */
#include "store/redis/url.h"

#include <string.h>

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

static bool parse_path(struct view text, struct url *url, char *problem);

bool url_parse(struct view text, struct url *url, char problem[URL_PROBLEM_BYTES_MAX]) {
    *url = (struct url){0};
    if (text.bytes > URL_BYTES_MAX)
        return url_part_problem(problem, "the URL is longer than %d bytes", URL_BYTES_MAX);

    const struct scheme *scheme = NULL;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (url_part_starts_with(text, view_of(schemes[i].text))) scheme = &schemes[i];
    if (scheme == NULL)
        return url_part_problem(
            problem, "the URL must begin with redis://, redis+sentinel:// or redis+cluster://, "
                     "or the same with rediss for TLS");
    url->kind   = scheme->kind;
    url->is_tls = scheme->is_tls;

    struct view rest = view_from(text, strlen(scheme->text));
    if (memchr(rest.data, '?', rest.bytes) != NULL || memchr(rest.data, '#', rest.bytes) != NULL)
        return url_part_problem(problem,
                                "? and # have no meaning in the URL; in a password write them as "
                                "%%3F and %%23");

    /* A password may hold neither / nor @ as they are, so the first slash ends the hosts. */
    struct view path     = rest, hosts, login;
    bool        has_path = url_part_split(&path, '/', false, &hosts);
    if (!has_path) {
        hosts = rest;
        path  = (struct view){0};
    }
    if (url_part_split(&hosts, '@', true, &login) &&
        !url_part_login(login, url->user, url->password, problem))
        return false;
    uint16_t port = url->kind == URL_SENTINEL ? PORT_SENTINEL : PORT_REDIS;
    if (!url_part_hosts(hosts, port, url->hosts, &url->host_count, problem)) return false;
    if (url->kind == URL_STANDALONE && url->host_count > 1)
        return url_part_problem(problem,
                                "redis:// takes one host; for several write redis+sentinel:// or "
                                "redis+cluster://");
    return parse_path(path, url, problem);
}

static bool parse_database(struct view text, struct url *url, char *problem) {
    uint64_t number = 0;
    if (text.bytes > 0 && (!text_number_parse(text, &number) || number > URL_DATABASE_MAX))
        return url_part_problem(
            problem, "after the %s/ only the number of a database may follow, from 0 to %d",
            url->kind == URL_SENTINEL ? "name and " : "", URL_DATABASE_MAX);
    url->database = (uint32_t)number;
    return true;
}

static bool parse_path(struct view text, struct url *url, char *problem) {
    if (url->kind == URL_CLUSTER)
        return text.bytes == 0 ||
               url_part_problem(problem, "a Cluster has no databases: nothing may follow "
                                         "the hosts");
    if (url->kind == URL_STANDALONE) return parse_database(text, url, problem);

    struct view name, database = text;
    if (!url_part_split(&database, '/', false, &name)) {
        name     = text;
        database = (struct view){0};
    }
    if (name.bytes == 0)
        return url_part_problem(problem, "the name of the primary is missing, as in "
                                         "redis+sentinel://h1,h2,h3/mymaster");
    return url_part_decode(name, "name", url->name, sizeof url->name, problem) &&
           parse_database(database, url, problem);
}
