/* SPDX-License-Identifier: MIT */
#include "store/cassandra/contact.h"

enum { PORT_USUAL = 9042 };

static bool parse_keyspace(struct view text, struct contact *contact, char *problem) {
    if (text.bytes >= sizeof contact->keyspace)
        return url_part_problem(problem, "the keyspace is longer than %zu bytes",
                                sizeof contact->keyspace - 1);
    for (size_t i = 0; i < text.bytes; i++) {
        char c = text.data[i];
        bool is_word =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
        if (!is_word)
            return url_part_problem(problem,
                                    "a keyspace has letters, digits and _ in its name only");
    }
    if (text.bytes > 0) memcpy(contact->keyspace, text.data, text.bytes);
    return true;
}

static bool parse_options(struct view text, struct contact *contact, char *problem) {
    struct view name;
    if (text.bytes == 0) return true;
    if (!url_part_split(&text, '=', false, &name) || !view_equals(name, view_of("datacenter")))
        return url_part_problem(problem, "after the ? only datacenter=NAME may follow; in a "
                                         "password write ? as %%3F");
    if (text.bytes == 0) return url_part_problem(problem, "the name of the datacenter is empty");
    return url_part_decode(text, "datacenter", contact->datacenter, sizeof contact->datacenter,
                           problem);
}

bool contact_parse(struct view text, struct contact *contact, char problem[URL_PROBLEM_BYTES_MAX]) {
    static const char plain[] = "cassandra://", secure[] = "cassandras://";
    *contact = (struct contact){0};
    if (text.bytes > URL_BYTES_MAX)
        return url_part_problem(problem, "the URL is longer than %d bytes", URL_BYTES_MAX);
    contact->is_tls = url_part_starts_with(text, view_of(secure));
    if (!contact->is_tls && !url_part_starts_with(text, view_of(plain)))
        return url_part_problem(problem, "the URL must begin with cassandra://, or with "
                                         "cassandras:// for TLS");

    /* A password may hold none of @ / ? as they are, so the first of each ends something. */
    struct view options = view_from(text, contact->is_tls ? sizeof secure - 1 : sizeof plain - 1);
    struct view keyspace, hosts, login;
    if (!url_part_split(&options, '?', false, &keyspace)) {
        keyspace = options;
        options  = (struct view){0};
    }
    if (!url_part_split(&keyspace, '/', false, &hosts)) {
        hosts    = keyspace;
        keyspace = (struct view){0};
    }
    if (url_part_split(&hosts, '@', true, &login) &&
        !url_part_login(login, contact->user, contact->password, problem))
        return false;
    return url_part_hosts(hosts, PORT_USUAL, contact->hosts, &contact->host_count, problem) &&
           parse_keyspace(keyspace, contact, problem) && parse_options(options, contact, problem);
}
