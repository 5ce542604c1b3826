/* SPDX-License-Identifier: MIT
 *
 * stream: bytes to and from one server, through TLS or not.
 *
 * TLS works on memory and all sockets are read and written by os/socket, so that a server that hangs up
 * is an outcome and never a signal. */
#ifndef WEIR_STORE_NET_STREAM_H
#define WEIR_STORE_NET_STREAM_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>

#include "os/socket.h"

struct stream {
    int  socket;
    SSL *session; /* NULL: no TLS */
    BIO *in;      /* the session's: what came and is not yet deciphered */
    BIO *out;     /* what is enciphered and not yet sent */
};

/* Takes over the socket. `tls` NULL: without. False: no memory; the socket is still the caller's. */
bool stream_open(struct stream *stream, int socket, SSL_CTX *tls, const char *host);
void stream_close(struct stream *stream);

enum socket_outcome stream_read(struct stream *stream, char *out, size_t room, size_t *bytes);
/* SOCKET_WAIT: `*taken` bytes were taken. */
enum socket_outcome stream_write(struct stream *stream, const char *data, size_t bytes,
                                 size_t *taken);
/* Whether the session itself has something to send. */
bool stream_is_writing(const struct stream *stream);

/* After SOCKET_LOST: why, if TLS knows it. False: it was the network. */
bool stream_problem(const struct stream *stream, char *problem, size_t problem_bytes);

#endif
