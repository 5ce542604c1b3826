/* SPDX-License-Identifier: MIT */
#include "store/net/stream.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/contract.h"
#include "store/net/tls.h"

enum { CIPHER_BYTES = 16 * 1024, CIPHER_WAITING_MAX = 256 * 1024 };

bool stream_open(struct stream *stream, int socket, SSL_CTX *tls, const char *host) {
    *stream = (struct stream){.socket = socket};
    if (tls == NULL) return true;

    stream->session = tls_session_new(tls, host);
    if (stream->session == NULL) return false;
    stream->in  = BIO_new(BIO_s_mem());
    stream->out = BIO_new(BIO_s_mem());
    if (stream->in == NULL || stream->out == NULL) {
        BIO_free(stream->in);
        BIO_free(stream->out);
        SSL_free(stream->session);
        return false;
    }
    SSL_set_bio(stream->session, stream->in, stream->out);
    return true;
}

void stream_close(struct stream *stream) {
    socket_close(stream->socket);
    SSL_free(stream->session); /* with its BIOs */
}

bool stream_is_writing(const struct stream *stream) {
    return stream->session != NULL && BIO_pending(stream->out) > 0;
}

bool stream_problem(const struct stream *stream, char *problem, size_t problem_bytes) {
    if (stream->session == NULL || ERR_peek_last_error() == 0) return false;
    tls_problem(stream->session, problem, problem_bytes);
    return true;
}

/* Sends what is enciphered. */
static enum socket_outcome stream_drain(struct stream *stream) {
    char  *data  = NULL;
    size_t taken = 0;
    long   bytes = BIO_get_mem_data(stream->out, &data);
    if (bytes <= 0) return SOCKET_DONE;
    enum socket_outcome outcome = socket_write(stream->socket, data, (size_t)bytes, &taken);
    /* Reading from a memory BIO is how it forgets. */
    char gone[CIPHER_BYTES];
    while (taken > 0) {
        int part = BIO_read(stream->out, gone, taken < sizeof gone ? (int)taken : (int)sizeof gone);
        INVARIANT(part > 0);
        taken -= (size_t)part;
    }
    return outcome;
}

/* What comes from the network goes to the session. */
static enum socket_outcome stream_fill(struct stream *stream) {
    char                cipher[CIPHER_BYTES];
    size_t              bytes   = 0;
    enum socket_outcome outcome = socket_read(stream->socket, cipher, sizeof cipher, &bytes);
    if (outcome != SOCKET_DONE) return outcome;
    return BIO_write(stream->in, cipher, (int)bytes) == (int)bytes ? SOCKET_DONE : SOCKET_LOST;
}

enum socket_outcome stream_read(struct stream *stream, char *out, size_t room, size_t *bytes) {
    if (stream->session == NULL) return socket_read(stream->socket, out, room, bytes);
    *bytes = 0;
    for (;;) {
        ERR_clear_error();
        int read = SSL_read(stream->session, out, room < CIPHER_BYTES ? (int)room : CIPHER_BYTES);
        int why  = SSL_get_error(stream->session, read);
        /* A handshake answers, and a failed one says why to the other side. */
        enum socket_outcome drained = stream_drain(stream);
        if (read > 0) {
            *bytes = (size_t)read;
            return SOCKET_DONE;
        }
        if (why == SSL_ERROR_ZERO_RETURN) return SOCKET_ENDED;
        if (why != SSL_ERROR_WANT_READ || drained == SOCKET_LOST) return SOCKET_LOST;
        enum socket_outcome filled = stream_fill(stream);
        if (filled != SOCKET_DONE) return filled;
    }
}

enum socket_outcome stream_write(struct stream *stream, const char *data, size_t bytes,
                                 size_t *taken) {
    if (stream->session == NULL) return socket_write(stream->socket, data, bytes, taken);
    *taken = 0;
    while (*taken < bytes) {
        if (BIO_pending(stream->out) > CIPHER_WAITING_MAX) return stream_drain(stream);
        size_t part = bytes - *taken < CIPHER_BYTES ? bytes - *taken : CIPHER_BYTES;
        ERR_clear_error();
        int written = SSL_write(stream->session, data + *taken, (int)part);
        if (written <= 0) {
            int                 why     = SSL_get_error(stream->session, written);
            enum socket_outcome drained = stream_drain(stream);
            return why == SSL_ERROR_WANT_READ && drained != SOCKET_LOST ? SOCKET_WAIT : SOCKET_LOST;
        }
        *taken += (size_t)written;
    }
    return stream_drain(stream);
}
