/* SPDX-License-Identifier: MIT
 *
 * init: what weir init does on each kind of store. Both say what they did, or what is wrong, and return the
 * exit code. */
#ifndef WEIR_CMD_INIT_H
#define WEIR_CMD_INIT_H

#include <stdint.h>

struct shared_url;

/* Says that it is new. */
int init_redis(const char *url);

/* Makes keyspace and tables. `replicas`: of a keyspace that is not there; 0: as many as are usual, or as
 * there are nodes. */
int init_cassandra(const struct shared_url *url, uint64_t replicas);

#endif
