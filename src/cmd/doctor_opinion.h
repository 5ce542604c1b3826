/* SPDX-License-Identifier: MIT
 *
 * doctor_opinion: what can weir promise on such a Redis store, why, and what would make it more?
 *
 * Pure: facts in, findings out. */
#ifndef WEIR_CMD_DOCTOR_OPINION_H
#define WEIR_CMD_DOCTOR_OPINION_H

#include "cmd/doctor_facts.h"
#include "cmd/doctor_finding.h"

void doctor_judge(const struct doctor_facts *facts, struct doctor_opinion *opinion);

/* What weir can promise, in a sentence. */
const char *doctor_promise(enum doctor_level level);

/* What is to be said beside the promise; "": nothing. */
const char *doctor_promise_more(const struct doctor_opinion *opinion);

#endif
