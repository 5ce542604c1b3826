/* SPDX-License-Identifier: MIT
 *
 * doctor_cassandra_opinion: what can weir promise on such a cluster, why, and what would make it more?
 *
 * The promise is that of docs/claims.md. It needs quorums that overlap, and replicas that keep what they have
 * confirmed. Pure: facts in, findings out. */
#ifndef WEIR_CMD_DOCTOR_CASSANDRA_OPINION_H
#define WEIR_CMD_DOCTOR_CASSANDRA_OPINION_H

#include "cmd/doctor_cassandra.h"
#include "cmd/doctor_finding.h"

void doctor_cassandra_judge(const struct doctor_cassandra *facts, struct doctor_opinion *opinion);

/* What weir can promise, in a sentence. */
const char *doctor_cassandra_promise(enum doctor_level level);

/* What is to be said beside the promise; "": nothing. */
const char *doctor_cassandra_promise_more(const struct doctor_opinion *opinion);

#endif
