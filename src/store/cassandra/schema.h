/* SPDX-License-Identifier: MIT
 *
 * schema: do all nodes have one schema?
 *
 * A statement that makes a table is done when one node has it; the others learn it a little later, and
 * until then do not know the table. So the answer of such a statement is held until they do. Which version of
 * the schema they have is asked of the node that did it: another one may not know yet that there is anything
 * new. */
#ifndef WEIR_STORE_CASSANDRA_SCHEMA_H
#define WEIR_STORE_CASSANDRA_SCHEMA_H

#include "store/cassandra/peer.h"

struct cassandra;

struct schema {
    struct cassandra *client;
    struct query_list held;
    uint32_t          peer_number; /* who is asked */
    uint64_t          asked_ns;
    uint64_t          ask_ns;  /* when to ask, or to ask again */
    struct cql_uuid   version; /* that its node has */
};

void schema_init(struct schema *schema, struct cassandra *client);

/* Keeps a query whose answer is that it has changed the schema, with that answer. False: no memory. */
bool schema_hold(struct schema *schema, struct query *query, uint32_t peer_number,
                 struct view body);

/* What became of a question of its own, and its answer; NULL: there is none. */
void schema_answered(struct schema *schema, struct query *query, const struct cql_frame *frame);

/* Once a turn; returns when it wants to be called again. */
uint64_t schema_turn(struct schema *schema, uint64_t now_ns);

#endif
