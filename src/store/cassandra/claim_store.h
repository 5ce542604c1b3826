/* SPDX-License-Identifier: MIT
 *
 * claim_store: a fleet on Cassandra: store/store.h over claims (lease/claim.h) and the client.
 *
 * A trip is answered from what this process claims of the user, on the client's thread and without a word
 * to a server. Where that is too little the trip waits for a write and a read, or until its deadline. How
 * the fleet shares a user, and why that is strict, stands in docs/claims.md.
 *
 * Tables: see claim_words.h and weir cassandra schema. */
#ifndef WEIR_STORE_CASSANDRA_CLAIM_STORE_H
#define WEIR_STORE_CASSANDRA_CLAIM_STORE_H

#include "store/cassandra/cassandra.h"
#include "store/store.h"

struct claim_store;

/* Zero means the default. */
struct claim_store_options {
    struct cassandra_options client;          /* but for its turn */
    uint64_t                 clock_error_ppm; /* as in struct lease_options: 1000 */
    uint64_t                 nodes;           /* that ask about one user at a time: 8 */
    uint32_t users_max; /* of whom this process can claim permits; 262144, 0.3 to 5 KB each as they
                           are used. Who is one more is refused until others have aged out */
};

/* `url` is the client's, with a keyspace. Options are copied; the texts in them, and the URL, must stay until
 * the store is closed, since a child of fork() opens it anew. Does not wait for a server. NULL: see
 * `problem`. */
struct claim_store *claim_store_open(struct view url, const struct claim_store_options *options,
                                     char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

/* For fleet_open(). Its close() tells the others what this process does not need any longer, which takes a
 * second at most, and frees all. */
struct store *claim_store_interface(struct claim_store *s);

/* Whether the keyspace has the tables as this version makes them. Waits until the deadline at most; not on
 * the store's thread. False: `problem`. */
bool claim_store_check(struct claim_store *s, const char *keyspace, uint64_t deadline_ns,
                       char problem[CASSANDRA_PROBLEM_BYTES_MAX]);

#endif
