/* SPDX-License-Identifier: MIT */
#include "store/redis/url.h"

#include "support/check.h"

static struct url url;
static char       problem[URL_PROBLEM_BYTES_MAX];

static bool parse(const char *text) { return url_parse(view_of(text), &url, problem); }

TEST(a_server_has_the_usual_port_and_no_password) {
    CHECK(parse("redis://example.org"));
    CHECK_EQ(url.kind, URL_STANDALONE);
    CHECK(!url.is_tls);
    CHECK_EQ(url.host_count, 1);
    CHECK_STR_EQ(url.hosts[0].name, "example.org");
    CHECK_EQ(url.hosts[0].port, 6379);
    CHECK_STR_EQ(url.user, "");
    CHECK_STR_EQ(url.password, "");
    CHECK_EQ(url.database, 0);
    CHECK(parse("redis://h/"));
}

TEST(everything_at_once) {
    CHECK(parse("rediss://ann:s%40%2Fe%25t@[::1]:6380/15"));
    CHECK(url.is_tls);
    CHECK_STR_EQ(url.hosts[0].name, "::1");
    CHECK_EQ(url.hosts[0].port, 6380);
    CHECK_STR_EQ(url.user, "ann");
    CHECK_STR_EQ(url.password, "s@/e%t");
    CHECK_EQ(url.database, 15);
}

TEST(the_password_of_the_default_user_and_colons_in_it) {
    CHECK(parse("redis://:a:b@h"));
    CHECK_STR_EQ(url.user, "");
    CHECK_STR_EQ(url.password, "a:b");
}

TEST(sentinels_have_their_port_and_a_name) {
    CHECK(parse("redis+sentinel://a,b:1,[::2]/my%2Fmaster/3"));
    CHECK_EQ(url.kind, URL_SENTINEL);
    CHECK_EQ(url.host_count, 3);
    CHECK_EQ(url.hosts[0].port, 26379);
    CHECK_EQ(url.hosts[1].port, 1);
    CHECK_STR_EQ(url.hosts[2].name, "::2");
    CHECK_STR_EQ(url.name, "my/master");
    CHECK_EQ(url.database, 3);
}

TEST(a_cluster_has_many_hosts) {
    CHECK(parse("rediss+cluster://:p@a:7000,b:7001,c"));
    CHECK_EQ(url.kind, URL_CLUSTER);
    CHECK(url.is_tls);
    CHECK_EQ(url.host_count, 3);
    CHECK_EQ(url.hosts[2].port, 6379);
}

TEST(what_is_wrong_is_told) {
    static const struct {
        const char *text;
        const char *says;
    } wrong[] = {
        {"", "must begin with redis://"},
        {"http://h", "must begin with redis://"},
        {"redis:/h", "must begin with redis://"},
        {"redis://", "a host is missing"},
        {"redis:///1", "a host is missing"},
        {"redis://u:p@", "a host is missing"},
        {"redis://secret@h", "a colon and the password are missing before the @"},
        {"redis://u:@h", "the password before the @ is empty"},
        {"redis://:%4@h", "two hexadecimal digits"},
        {"redis://:%zz@h", "two hexadecimal digits"},
        {"redis://:a%00b@h", "NUL"},
        {"redis://a,b", "takes one host"},
        {"redis+cluster://a,,b", "a comma too many"},
        {"redis+cluster://a,", "a comma too many"},
        {"redis://h:", "a port must be a number"},
        {"redis://h:0", "a port must be a number"},
        {"redis://h:65536", "a port must be a number"},
        {"redis://h:12x", "a port must be a number"},
        {"redis://::1", "begins with a byte that no name has"},
        {"redis://fe80::1", "needs brackets"},
        {"redis://[::1", "a ] is missing"},
        {"redis://[]", "the brackets are empty"},
        {"redis://[h]", "no IPv6 address"},
        {"redis://a b", "a byte that no name has"},
        {"redis://h/x", "only the number of a database"},
        {"redis://h/1000001", "only the number of a database"},
        {"redis://h?db=1", "? and # have no meaning"},
        {"redis+cluster://h/0", "a Cluster has no databases"},
        {"redis+sentinel://h", "the name of the primary is missing"},
        {"redis+sentinel://h/", "the name of the primary is missing"},
        {"redis+sentinel://h/m/x", "only the number of a database"},
        {"redis+cluster://a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", "more than 16 hosts"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK_SAYS(!parse(wrong[i].text), "%s is taken", wrong[i].text);
        CHECK_CONTAINS(problem, wrong[i].says);
        CHECK_SAYS(strstr(problem, "secret") == NULL, "%s", problem);
    }
}

TEST(hosts_are_written_as_they_are_read) {
    char text[64];
    CHECK(parse("redis://[::1]:7"));
    url_host_write(&url.hosts[0], text, sizeof text);
    CHECK_STR_EQ(text, "[::1]:7");
    CHECK(parse("redis://h:7"));
    url_host_write(&url.hosts[0], text, sizeof text);
    CHECK_STR_EQ(text, "h:7");
}
