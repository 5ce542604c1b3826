/* SPDX-License-Identifier: MIT
 *
 * Accounts that are kept packed, beside the same accounts as they are; and trips that wait. */
#include "store/cassandra/claim_table.h"

#include <string.h>

#include "base/random.h"
#include "support/check.h"

enum { USERS = 64, ROUNDS = 20000, LIMIT = 50, HOLD_US = 1000000, TERM_US = 50000 };

static struct store_name name_of(uint64_t user) {
    struct store_name name = {{0}};
    memcpy(name.bytes, &user,
           sizeof user); /* many in few buckets: only the first word is looked at */
    name.bytes[0] = (uint8_t)(user % 4);
    name.bytes[8] = (uint8_t)(user + 1);
    return name;
}

/* An acquire, or a report of all that an earlier one was granted. */
static struct lease_request request_of(struct random *random, uint64_t sequence) {
    struct lease_request q = {.limit = LIMIT, .term_us = TERM_US, .hold_us = HOLD_US};
    if (random_below(random, 3) != 0) {
        q.id   = (struct lease_id){.incarnation = 7, .sequence = sequence};
        q.need = 1;
        q.want = 1 + random_below(random, 5);
        return q;
    }
    q.report_count = LEASE_REPORTS_MAX;
    for (uint32_t i = 0; i < LEASE_REPORTS_MAX; i++) {
        q.reports[i] = (struct lease_report){.id = {7, sequence - 1 - random_below(random, 20)},
                                             .is_final  = random_below(random, 2) == 0,
                                             .use_count = LEASE_USES_MAX};
        for (uint32_t k = 0; k < LEASE_USES_MAX; k++)
            q.reports[i].uses[k] = (struct lease_use){random_below(random, TERM_US), 1};
    }
    return q;
}

static void check_same(const struct lease_reply *one, const struct lease_reply *other) {
    CHECK_EQ(one->granted, other->granted);
    CHECK_EQ(one->free, other->free);
    CHECK_EQ(one->retry_after_us, other->retry_after_us);
    CHECK_EQ(one->grants, other->grants);
    CHECK_EQ(one->receipt_count, other->receipt_count);
    for (uint32_t i = 0; i < one->receipt_count; i++) {
        CHECK_EQ(one->receipts[i].settled, other->receipts[i].settled);
        CHECK_EQ(one->receipts[i].is_over, other->receipts[i].is_over);
    }
}

TEST(an_account_is_the_same_after_it_was_packed) {
    static struct account accounts[USERS];
    struct claim_table    table;
    struct store_clock    clock, same;
    struct random         random = {.state = check_seed()};
    uint64_t              now_us = 1000000;
    memset(accounts, 0, sizeof accounts);
    CHECK(claim_table_init(&table, USERS));
    store_clock_begin(&clock, now_us, true);
    for (uint64_t i = 30; i < ROUNDS; i++) {
        uint64_t             user = random_below(&random, USERS);
        struct store_name    name = name_of(user);
        struct lease_request q    = request_of(&random, i);
        struct lease_reply   reply, packed_reply;
        struct claim_record *record = claim_table_find(&table, &name);
        if (record == NULL) record = claim_table_add(&table, &name);
        CHECK(record != NULL);
        now_us += random_below(&random, 20000);
        (void)store_clock_step(&clock, now_us, 1000000);
        same = clock;

        account_serve(&accounts[user], &clock, &q, &reply);
        claim_table_lend(&table, record);
        CHECK(claim_table_make_room(&table, record));
        account_serve(record->claim.account, &same, &q, &packed_reply);
        claim_table_take_back(&table, record);
        check_same(&reply, &packed_reply);

        claim_table_lend(&table, record);
        CHECK_EQ(account_bytes(&accounts[user]), account_bytes(record->claim.account));
        CHECK_EQ(account_live(&accounts[user], now_us),
                 account_live(record->claim.account, now_us));
    }
    claim_table_clear(&table);
}

TEST(no_more_users_than_there_is_room_for) {
    struct claim_table table;
    CHECK(claim_table_init(&table, 2));
    struct store_name one = name_of(1), two = name_of(2), three = name_of(3);
    CHECK(claim_table_add(&table, &one) != NULL);
    CHECK(claim_table_add(&table, &two) != NULL);
    CHECK(claim_table_add(&table, &three) == NULL);
    claim_table_remove(&table, claim_table_find(&table, &one));
    CHECK(claim_table_find(&table, &one) == NULL);
    CHECK(claim_table_find(&table, &two) != NULL);
    CHECK(claim_table_add(&table, &three) != NULL);
    claim_table_clear(&table);
}

TEST(trips_that_wait_keep_their_order) {
    struct claim_table table;
    struct store_trip  trips[3] = {0};
    struct store_name  names[2] = {name_of(1), name_of(2)};
    CHECK(claim_table_init(&table, 2));
    struct claim_record *one = claim_table_add(&table, &names[0]);
    struct claim_record *two = claim_table_add(&table, &names[1]);
    claim_record_wait(&table, one, &trips[0]);
    claim_record_wait(&table, two, &trips[1]);
    claim_record_wait(&table, one, &trips[2]);

    CHECK(claim_record_stop_waiting(two) == &trips[1]);
    CHECK(claim_record_stop_waiting(two) == NULL);
    CHECK(table.waiting == one && one->next_waiting == NULL);
    struct store_trip *first = claim_record_stop_waiting(one);
    CHECK(first == &trips[0] && first->next == &trips[2] && trips[2].next == NULL);
    CHECK(table.waiting == NULL);
    claim_table_clear(&table);
}

TEST(who_waits_for_a_statement_first_has_one_first) {
    struct claim_table table;
    struct store_name  names[3] = {name_of(1), name_of(2), name_of(3)};
    CHECK(claim_table_init(&table, 3));
    struct claim_record *records[3];
    for (unsigned i = 0; i < 3; i++) {
        records[i] = claim_table_add(&table, &names[i]);
        claim_table_queue(&table, records[i]);
        claim_table_queue(&table, records[0]); /* it is there already */
    }
    CHECK(claim_table_next_ready(&table) == records[0]);
    claim_table_queue(&table, records[0]);
    CHECK(claim_table_next_ready(&table) == records[1]);
    CHECK(claim_table_next_ready(&table) == records[2]);
    CHECK(claim_table_next_ready(&table) == records[0]);
    CHECK(claim_table_next_ready(&table) == NULL);
    claim_table_queue(&table, records[1]);
    CHECK(claim_table_next_ready(&table) == records[1]);
    claim_table_clear(&table);
}
