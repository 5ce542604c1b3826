/* SPDX-License-Identifier: MIT
 *
 * socket: bytes to and from peers, TCP and unix.
 *
 * All sockets are non-blocking and are closed on exec. What may happen to one is an outcome and not
 * an errno: the rooms above do not know the system's numbers. */
#ifndef WEIR_OS_SOCKET_H
#define WEIR_OS_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    SOCKET_ADDRESS_BYTES_MAX = 128, /* room for address_write(), NUL included */
    SOCKET_PROBLEM_BYTES_MAX = 384, /* what went wrong, in words */
};

struct address {
    struct sockaddr_storage socket;
    socklen_t               bytes;
};

/* Reads "127.0.0.1:7400", "[::1]:7400", "localhost:7400", "*:7400" (every IPv4 and IPv6 address) or
 * "unix:/path". Port 0: the system chooses. False: `problem` says what is wrong. */
bool address_parse(const char *text, struct address *address, char *problem);
/* An IPv4 or IPv6 address without brackets, and no name. False: it is none. */
bool address_of_ip(const char *ip, uint16_t port, struct address *address);
/* The same as text. */
void address_write(const struct address *address, char *out);
/* Only processes of this machine can reach it. */
bool address_is_local(const struct address *address);
bool address_is_unix(const struct address *address);
/* 0 for a unix socket. */
unsigned address_port(const struct address *address);

/* Opens a listener; `address` then holds the port that the system chose, if it was 0. A file that a
 * dead server left at a unix path is replaced; one that a living server answers at, or that is no
 * socket, is not. `unix_mode` is the mode of that file. Returns the descriptor; -1: `problem` says
 * what is wrong and what to do. */
int socket_listen(struct address *address, unsigned unix_mode, char *problem);
/* Turns away whoever comes from now on; the descriptor stays. */
void socket_deafen(int listener);
/* Ends a listener and takes its file away, if it is still the one that socket_listen() made. */
void socket_unlisten(int listener, const struct address *address);

enum socket_outcome {
    SOCKET_DONE,
    SOCKET_WAIT,  /* nothing to read or accept, no room to write: wait for the loop */
    SOCKET_ENDED, /* the peer will send no more */
    SOCKET_LOST,  /* the connection is gone */
    SOCKET_FULL,  /* accept: no descriptor or memory left */
};

/* The next connection, with small writes not held back. */
enum socket_outcome socket_accept(int listener, int *connection);
enum socket_outcome socket_read(int connection, char *out, size_t room, size_t *bytes);
/* Begins to connect; a loop tells when the connection can be written to, and socket_connected() whether
 * it is one. -1: `problem` says why not. */
int  socket_connect(const struct address *address, char *problem);
bool socket_connected(int connection, char *problem);
/* SOCKET_DONE: all was taken. SOCKET_WAIT: `*taken` bytes of it were. */
enum socket_outcome socket_write(int connection, const char *data, size_t bytes, size_t *taken);
/* Says that we will send no more. */
void socket_finish(int connection);
void socket_close(int descriptor);

/* A descriptor kept for the day when there is none left: closing it leaves room to accept a peer
 * and turn it away. -1: not even one is left. */
int socket_spare_open(void);

/* Raises the limit on open descriptors as far as it may be; returns what it is then. */
uint64_t socket_count_max(void);

#endif
