/* SPDX-License-Identifier: MIT */
#include "store/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_given(const char *file) { return file != NULL && file[0] != '\0'; }

/* What OpenSSL noted last in this thread. */
static const char *noted(void) {
    unsigned long code   = ERR_peek_last_error();
    const char   *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
    return reason != NULL ? reason : "no reason is given";
}

SSL_CTX *tls_new(const char *ca_file, const char *cert_file, const char *key_file, char *problem,
                 size_t problem_bytes) {
    ERR_clear_error();
    SSL_CTX *tls = SSL_CTX_new(TLS_client_method());
    if (tls == NULL) {
        (void)snprintf(problem, problem_bytes, "TLS cannot be set up: %s", noted());
        return NULL;
    }
    SSL_CTX_set_verify(tls, SSL_VERIFY_PEER, NULL);
    (void)SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);

    if (is_given(cert_file) != is_given(key_file)) {
        (void)snprintf(problem, problem_bytes,
                       "a certificate of our own needs both files, the certificate and its key");
        goto free_tls;
    }
    bool is_trusted = is_given(ca_file) ? SSL_CTX_load_verify_locations(tls, ca_file, NULL) == 1
                                        : SSL_CTX_set_default_verify_paths(tls) == 1;
    if (!is_trusted) {
        (void)snprintf(problem, problem_bytes, "the authorities in %s cannot be read: %s",
                       is_given(ca_file) ? ca_file : "the system's folder", noted());
        goto free_tls;
    }
    if (!is_given(cert_file)) return tls;

    if (SSL_CTX_use_certificate_chain_file(tls, cert_file) != 1) {
        (void)snprintf(problem, problem_bytes, "the certificate in %s cannot be read: %s",
                       cert_file, noted());
        goto free_tls;
    }
    if (SSL_CTX_use_PrivateKey_file(tls, key_file, SSL_FILETYPE_PEM) != 1) {
        (void)snprintf(problem, problem_bytes,
                       "the key in %s cannot be read, or is not that of the certificate: %s",
                       key_file, noted());
        goto free_tls;
    }
    return tls;

free_tls:
    SSL_CTX_free(tls);
    return NULL;
}

void tls_free(SSL_CTX *tls) { SSL_CTX_free(tls); }

SSL *tls_session_new(SSL_CTX *tls, const char *host) {
    SSL *session = SSL_new(tls);
    if (session == NULL) return NULL;
    /* An address is compared with the certificate's addresses, a name with its names; only a name may be
     * told to the server beforehand (RFC 6066). */
    bool is_set = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host) == 1;
    if (!is_set)
        is_set = SSL_set1_host(session, host) == 1 && SSL_set_tlsext_host_name(session, host) == 1;
    if (!is_set) {
        SSL_free(session);
        return NULL;
    }
    SSL_set_connect_state(session);
    return session;
}

void tls_problem(const SSL *session, char *problem, size_t problem_bytes) {
    long verdict = SSL_get_verify_result(session);
    if (verdict != X509_V_OK) {
        (void)snprintf(problem, problem_bytes, "the server's certificate is not accepted: %s",
                       X509_verify_cert_error_string(verdict));
    } else if (ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER) {
        (void)snprintf(
            problem, problem_bytes,
            "the server does not speak TLS at this port; another scheme of the URL is without it");
    } else {
        (void)snprintf(problem, problem_bytes, "TLS failed: %s", noted());
    }
}
