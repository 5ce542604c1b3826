/* SPDX-License-Identifier: MIT */
#include "store/cassandra/contact.h"

#include "support/check.h"

static struct contact contact;
static char           problem[URL_PROBLEM_BYTES_MAX];

static bool parse(const char *text) { return contact_parse(view_of(text), &contact, problem); }

TEST(a_host_has_the_usual_port_and_nothing_else) {
    CHECK(parse("cassandra://example.org"));
    CHECK(!contact.is_tls);
    CHECK_EQ(contact.host_count, 1);
    CHECK_STR_EQ(contact.hosts[0].name, "example.org");
    CHECK_EQ(contact.hosts[0].port, 9042);
    CHECK_STR_EQ(contact.user, "");
    CHECK_STR_EQ(contact.password, "");
    CHECK_STR_EQ(contact.keyspace, "");
    CHECK_STR_EQ(contact.datacenter, "");
    CHECK(parse("cassandra://h/"));
    CHECK_STR_EQ(contact.keyspace, "");
}

TEST(everything_at_once) {
    CHECK(
        parse("cassandras://ann:s%40%2F%3Fe%25t@[::1]:9043,h2,10.0.0.3:1/Weir_2?datacenter=a%20b"));
    CHECK(contact.is_tls);
    CHECK_EQ(contact.host_count, 3);
    CHECK_STR_EQ(contact.hosts[0].name, "::1");
    CHECK_EQ(contact.hosts[0].port, 9043);
    CHECK_STR_EQ(contact.hosts[1].name, "h2");
    CHECK_EQ(contact.hosts[1].port, 9042);
    CHECK_EQ(contact.hosts[2].port, 1);
    CHECK_STR_EQ(contact.user, "ann");
    CHECK_STR_EQ(contact.password, "s@/?e%t");
    CHECK_STR_EQ(contact.keyspace, "Weir_2");
    CHECK_STR_EQ(contact.datacenter, "a b");
}

TEST(a_datacenter_needs_no_keyspace) {
    CHECK(parse("cassandra://h?datacenter=dc1"));
    CHECK_STR_EQ(contact.datacenter, "dc1");
    CHECK(parse("cassandra://h/?datacenter=dc1"));
    CHECK_STR_EQ(contact.keyspace, "");
}

TEST(what_is_wrong_is_said) {
    static const struct {
        const char *url;
        const char *problem;
    } cases[] = {
        {"", "must begin with cassandra://"},
        {"redis://h", "must begin with cassandra://"},
        {"cassandra://", "a host is missing"},
        {"cassandra:///ks", "a host is missing"},
        {"cassandra://secret@h", "a colon and the password are missing before the @"},
        {"cassandra://u:@h", "the password before the @ is empty"},
        {"cassandra://h:0", "a port must be a number from 1 to 65535"},
        {"cassandra://h,", "a host is empty"},
        {"cassandra://h/a-b", "a keyspace has letters, digits and _"},
        {"cassandra://h/ks/", "a keyspace has letters, digits and _"},
        {"cassandra://h/a2345678901234567890123456789012345678901234567890",
         "longer than 48 bytes"},
        {"cassandra://h?", NULL},
        {"cassandra://h?dc=1", "only datacenter=NAME may follow"},
        {"cassandra://h?datacenter", "only datacenter=NAME may follow"},
        {"cassandra://h?datacenter=", "the name of the datacenter is empty"},
        {"cassandra://h?datacenter=%0", "two hexadecimal digits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_EQ(parse(cases[i].url), cases[i].problem == NULL);
        if (cases[i].problem != NULL) CHECK(strstr(problem, cases[i].problem) != NULL);
    }
}

TEST(a_password_is_never_quoted) {
    static const char *const urls[] = {"cassandra://ann:secret@", "cassandra://ann:secret@h:x",
                                       "cassandra://ann:secret%@h", "cassandra://secret@h",
                                       "cassandra://ann:secret?@h"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        CHECK(!parse(urls[i]));
        CHECK(strstr(problem, "secret") == NULL);
    }
}
