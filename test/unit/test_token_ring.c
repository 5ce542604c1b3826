/* SPDX-License-Identifier: MIT */
#include "store/cassandra/token_ring.h"

#include "base/random.h"
#include "support/check.h"

static struct token_ring ring;

static void add_node(uint16_t datacenter, uint16_t rack) {
    CHECK(token_ring_add_node(&ring,
                              (struct token_ring_node){.datacenter = datacenter, .rack = rack}));
}

/* Who has the replicas, each as a digit: "021". */
static const char *replicas(struct token_ring_strategy strategy, int64_t token) {
    static char text[TOKEN_RING_REPLICAS_MAX + 1];
    uint16_t    nodes[TOKEN_RING_REPLICAS_MAX];
    size_t      count = token_ring_replicas(&ring, &strategy, token, nodes);
    for (size_t i = 0; i < count; i++) text[i] = (char)('0' + nodes[i]);
    text[count] = '\0';
    return text;
}

static struct token_ring_strategy simple(uint16_t factor) {
    return (struct token_ring_strategy){.kind = TOKEN_RING_SIMPLE, .factor = factor};
}

static struct token_ring_strategy network(uint16_t first, uint16_t second) {
    return (struct token_ring_strategy){.kind = TOKEN_RING_NETWORK, .factors = {first, second}};
}

TEST(a_partition_belongs_to_the_first_token_that_is_not_below_its_own) {
    for (uint16_t i = 0; i < 3; i++) add_node(0, i);
    CHECK(token_ring_add_place(&ring, 100, 2));
    CHECK(token_ring_add_place(&ring, -100, 0));
    CHECK(token_ring_add_place(&ring, 0, 1));
    token_ring_end(&ring);
    CHECK_STR_EQ(replicas(simple(1), -101), "0");
    CHECK_STR_EQ(replicas(simple(1), -100), "0");
    CHECK_STR_EQ(replicas(simple(1), -99), "1");
    CHECK_STR_EQ(replicas(simple(1), 100), "2");
    CHECK_STR_EQ(replicas(simple(1), 101), "0");
    CHECK_STR_EQ(replicas(simple(1), INT64_MIN), "0");
    CHECK_STR_EQ(replicas(simple(1), INT64_MAX), "0");
    CHECK_STR_EQ(replicas(simple(2), 1), "20");
    CHECK_STR_EQ(replicas(simple(3), 0), "120");
    CHECK_STR_EQ(replicas(simple(9), 0), "120");
    token_ring_clear(&ring);
}

TEST(a_node_with_many_tokens_is_one_replica) {
    add_node(0, 0);
    add_node(0, 0);
    for (int64_t token = 0; token < 5; token++) CHECK(token_ring_add_place(&ring, token, 0));
    CHECK(token_ring_add_place(&ring, 5, 1));
    token_ring_end(&ring);
    CHECK_STR_EQ(replicas(simple(2), 2), "01");
    CHECK_STR_EQ(replicas(network(2, 0), 2), "01");
    token_ring_clear(&ring);
}

TEST(each_data_centre_has_its_own) {
    add_node(0, 0);
    add_node(1, 1);
    add_node(0, 0);
    add_node(1, 1);
    for (uint16_t i = 0; i < 4; i++) CHECK(token_ring_add_place(&ring, i, i));
    token_ring_end(&ring);
    CHECK_STR_EQ(replicas(network(1, 1), 0), "01");
    CHECK_STR_EQ(replicas(network(2, 1), 0), "012");
    CHECK_STR_EQ(replicas(network(0, 2), 0), "13");
    CHECK_STR_EQ(replicas(network(3, 3), 1), "1230");
    CHECK_STR_EQ(replicas(network(0, 0), 1), "");
    token_ring_clear(&ring);
}

TEST(replicas_stand_in_racks_apart_as_far_as_there_are_so_many) {
    /* Racks 0 0 0 1: of two replicas the second is the one in the other rack, of three one more may be in
     * the first rack again. */
    add_node(0, 0);
    add_node(0, 0);
    add_node(0, 0);
    add_node(0, 1);
    for (uint16_t i = 0; i < 4; i++) CHECK(token_ring_add_place(&ring, i, i));
    token_ring_end(&ring);
    CHECK_STR_EQ(replicas(network(2, 0), 0), "03");
    CHECK_STR_EQ(replicas(network(3, 0), 0), "013");
    CHECK_STR_EQ(replicas(network(4, 0), 0), "0123");
    CHECK_STR_EQ(replicas(simple(2), 0), "01");
    token_ring_clear(&ring);
}

TEST(nobody_is_told_of_what_is_not_known) {
    CHECK_STR_EQ(replicas(simple(3), 0), "");
    add_node(0, 0);
    CHECK(token_ring_add_place(&ring, 0, 0));
    token_ring_end(&ring);
    CHECK_STR_EQ(replicas((struct token_ring_strategy){.kind = TOKEN_RING_NONE}, 0), "");
    CHECK_STR_EQ(replicas(simple(0), 0), "");
    token_ring_clear(&ring);
}

TEST(whatever_the_ring_there_are_as_many_replicas_as_can_be_and_none_twice) {
    struct random random = {.state = check_seed()};
    for (uint64_t round = check_effort(300); round > 0; round--) {
        uint16_t count = (uint16_t)random_between(&random, 1, 12);
        token_ring_begin(&ring);
        uint16_t in_first = 0;
        for (uint16_t i = 0; i < count; i++) {
            uint16_t datacenter = (uint16_t)random_below(&random, 2);
            if (datacenter == 0) in_first++;
            add_node(datacenter, (uint16_t)(datacenter * 4 + random_below(&random, 4)));
        }
        for (uint16_t i = 0; i < count; i++)
            for (uint64_t k = random_between(&random, 1, 4); k > 0; k--)
                CHECK(token_ring_add_place(&ring, (int64_t)random_next(&random), i));
        token_ring_end(&ring);

        uint16_t first    = (uint16_t)random_below(&random, 5), nodes[TOKEN_RING_REPLICAS_MAX];
        uint16_t second   = (uint16_t)random_below(&random, 5);
        uint16_t in_other = (uint16_t)(count - in_first);
        struct token_ring_strategy strategy = network(first, second);
        size_t found = token_ring_replicas(&ring, &strategy, (int64_t)random_next(&random), nodes);
        CHECK_EQ(found, (size_t)((first < in_first ? first : in_first) +
                                 (second < in_other ? second : in_other)));
        for (size_t i = 0; i < found; i++)
            for (size_t k = 0; k < i; k++) CHECK(nodes[i] != nodes[k]);
    }
    token_ring_clear(&ring);
}
