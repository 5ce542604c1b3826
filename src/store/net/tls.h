/* SPDX-License-Identifier: MIT
 *
 * tls: whom do we trust, and who are we?
 *
 * TLS 1.2 or newer. The server's certificate must lead to an authority that we trust and be made out to
 * the name or address that we connect to. */
#ifndef WEIR_STORE_NET_TLS_H
#define WEIR_STORE_NET_TLS_H

#include <openssl/types.h>
#include <stddef.h>

/* The files as in the options of a client; NULL or "" is none. NULL: `problem` says what is wrong. */
SSL_CTX *tls_new(const char *ca_file, const char *cert_file, const char *key_file, char *problem,
                 size_t problem_bytes);
void     tls_free(SSL_CTX *tls);

/* A client's side of one connection to `host`; NULL: no memory. */
SSL *tls_session_new(SSL_CTX *tls, const char *host);

/* Why a session failed, in words. */
void tls_problem(const SSL *session, char *problem, size_t problem_bytes);

#endif
