/* SPDX-License-Identifier: MIT */
#include "api/shared.h"

#include "support/check.h"

static struct shared_url said;
static weir_error        error;

static bool reads(const char *url) { return shared_url_read(url, &said, &error); }

static void check_refused(const char *url, const char *why) {
    CHECK(!reads(url));
    CHECK_EQ(error.status, WEIR_BAD_URL);
    CHECK_CONTAINS(error.text, why);
}

TEST(urls_of_stores_that_hosts_share) {
    CHECK(shared_is_url("redis://h"));
    CHECK(shared_is_url("cassandra://h"));
    CHECK(shared_is_url("cassandras://h/ks"));
    CHECK(!shared_is_url("file:/cassandra://"));
    CHECK(!shared_is_url("cassandra"));
}

TEST(a_cassandra_url_without_a_keyspace_means_weir) {
    static const struct {
        const char *url, *servers, *cluster, *keyspace;
    } cases[] = {
        {"cassandra://h", "cassandra://h/weir", "cassandra://h", "weir"},
        {"cassandra://h/", "cassandra://h/weir", "cassandra://h", "weir"},
        {"cassandras://ann:s%2Fx@h:1,h2/Ks?datacenter=a%20b&nodes=4",
         "cassandras://ann:s%2Fx@h:1,h2/Ks?datacenter=a%20b",
         "cassandras://ann:s%2Fx@h:1,h2?datacenter=a%20b", "Ks"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK(reads(cases[i].url));
        CHECK(said.is_cassandra);
        CHECK_STR_EQ(said.servers, cases[i].servers);
        CHECK_STR_EQ(said.cluster, cases[i].cluster);
        CHECK_STR_EQ(said.keyspace, cases[i].keyspace);
        shared_url_clear(&said);
    }
}

TEST(what_follows_the_question_mark_is_for_us) {
    CHECK(reads("cassandra://h/ks?nodes=4&deadline=50ms&policy=closed&secret=a%26b&"
                "ca-file=/ca&cert-file=/c&key-file=/k"));
    CHECK_EQ(said.nodes, 4);
    CHECK_EQ(said.deadline_ns, 50 * WEIR_MILLISECOND);
    CHECK_EQ(said.policy, WEIR_POLICY_CLOSED);
    CHECK_STR_EQ(said.secret, "a&b");
    CHECK_STR_EQ(said.cassandra.ca_file, "/ca");
    CHECK_STR_EQ(said.cassandra.cert_file, "/c");
    CHECK_STR_EQ(said.cassandra.key_file, "/k");
    shared_url_clear(&said);
    CHECK(reads("redis://h/0?replicas=1&ca-file=/ca"));
    CHECK(!said.is_cassandra);
    CHECK_STR_EQ(said.servers, "redis://h/0");
    CHECK_STR_EQ(said.redis.ca_file, "/ca");
    shared_url_clear(&said);
}

TEST(what_only_the_other_kind_of_store_has_is_refused_by_name) {
    check_refused("cassandra://h?replicas=1", "the URL's replicas is for Redis");
    check_refused("cassandra://h?round-trip=1s", "the URL's round-trip is for Redis");
    check_refused("cassandra://h?sentinel-user=u", "the URL's sentinel-user is for Redis");
    check_refused("cassandra://h?sentinel-password=p", "the URL's sentinel-password is for Redis");
    check_refused("redis://h?datacenter=dc1", "the URL's datacenter is for Cassandra");
    check_refused("cassandra://h?nonsense=1", "only these are known: datacenter, nodes, ");
    check_refused("redis://h?nonsense=1", "only these are known: replicas, nodes, ");
    check_refused("cassandra://h?datacenter=",
                  "the URL's datacenter should be a text that is not empty");
    check_refused("cassandra://h?datacenter=%zz", "datacenter");
    check_refused("cassandra://ann:secret@", "a host is missing");
    check_refused("cassandra://h/a-b", "a keyspace has letters, digits and _ in its name only");
}
