/* SPDX-License-Identifier: MIT
 *
 * claim_words: errands of claims and of membership (lease/claim.h, lease/members.h) as statements, and what
 * a server answers to them.
 *
 *     weir_claims    name, id -> number, permits, demand, resets      a partition a user; written with the
 *                                                                     row's number as its timestamp
 *     weir_members   bucket, id -> beat, is_fenced, keep, shortages,  conditional; in MEMBER_BUCKETS
 *                                  fenced_for                         partitions, so that few members wait
 *                                                                     for one another
 *
 * Rows expire (USING TTL) and are never deleted. All is at QUORUM. */
#ifndef WEIR_STORE_CASSANDRA_CLAIM_WORDS_H
#define WEIR_STORE_CASSANDRA_CLAIM_WORDS_H

#include "lease/claim.h"
#include "store/cassandra/cassandra.h"
#include "store/store.h"
#include "wire/cql_value.h"

enum { CLAIM_VALUES_MAX = 7, CLAIM_VALUE_BYTES_MAX = CQL_BIGINT_BYTES };

#define CLAIM_KEEP_NS_MAX (UINT64_C(630720000) * 1000000000) /* twenty years: no TTL is longer */

/* A request and the bytes that it points to, until it is submitted. */
struct claim_words {
    struct cassandra_request request;
    struct cql_value         values[CLAIM_VALUES_MAX];
    char                     bytes[CLAIM_VALUES_MAX][CLAIM_VALUE_BYTES_MAX];
    struct shortage_list     shortages;
};

/* For how long a row may be kept that is written at this wall time: it must expire before 2038, as Cassandra
 * with the formats of its version 4 wants it; later servers will have others. */
uint64_t claim_words_keep_ns_max(uint64_t wall_ns);

/* All but deadline, done and context of the request. `id` is the process's. `name` must stay as long as the
 * words are there. What an errand says of how long it is kept is cut to what a server takes. */
void claim_words_write(struct claim_words *words, const struct claim_errand *errand,
                       const struct store_name *name, uint64_t id, uint64_t wall_ns);
void claim_words_write_member(struct claim_words *words, const struct members_errand *errand,
                              uint64_t wall_ns);

/* Of a result that is CASSANDRA_DONE. False: that is no answer to such a statement. */
bool claim_words_applied(const struct cassandra_result *result, bool *is_applied);

/* Of a beat that was not applied: whether the record says that it was. A server may say UNAVAILABLE or
 * OVERLOADED when the replicas have agreed on an update already (paxos_variant v1 looks once more who is up
 * before it commits), and the client tries that again: the second try finds the first. */
bool claim_words_has_beaten(const struct cassandra_result *result, uint64_t number);

/* Up to `room` rows, in a malloc()ed array that grows: *rows, *room. */
bool claim_words_rows(const struct cassandra_result *result, struct claim_row **rows,
                      uint32_t *room, uint32_t *count);
/* A record of which a part has expired is left out. */
bool claim_words_records(const struct cassandra_result *result, struct members_record **records,
                         uint32_t *room, uint32_t *count);

#endif
