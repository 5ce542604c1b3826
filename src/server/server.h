/* SPDX-License-Identifier: MIT
 *
 * server: `weir serve` as an object. Opens listeners, starts a worker a core, waits until it is asked
 * to stop. */
#ifndef WEIR_SERVER_SERVER_H
#define WEIR_SERVER_SERVER_H

#include "limiter/limiter.h"
#include "os/socket.h"

struct server;

struct server_options {
    struct limiter *limiter; /* borrowed until server_close(); NULL: the store is remote */
    weir           *store;   /* the same; asked where the store is remote */
    void (*trouble)(weir *store, char *out, size_t room); /* service.h */
    uint64_t              clock_error_ppm;
    const struct address *addresses; /* at least one */
    size_t                address_count;
    unsigned              unix_mode;    /* of the files of unix sockets */
    unsigned              thread_count; /* at least 1 */
    uint64_t              connections_max;
    uint64_t idle_ns_max; /* a connection that says nothing for so long is closed; 0: none is */
    /* Called about each second by server_wait() until the server is asked to stop; a stop waits for it, so
     * it should not take long. NULL: nobody is called. */
    void (*tick)(void *context);
    void *tick_context;
};

/* Listens, and answers from then on. From now on SIGTERM and SIGINT of this process are the server's.
 * NULL: `problem` (SOCKET_PROBLEM_BYTES_MAX) says what is wrong and what to do. */
struct server *server_open(const struct server_options *options, char *problem);

/* The addresses it listens on, with the ports that the system chose. */
size_t                server_address_count(const struct server *s);
const struct address *server_address(const struct server *s, size_t index);

/* Returns when a signal has asked the server to stop and all that it had been asked is answered, or the
 * second signal has come. */
void server_wait(struct server *s);

/* Ends a server, waited for or not. */
void server_close(struct server *s);

#endif
