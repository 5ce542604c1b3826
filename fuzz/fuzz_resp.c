/* SPDX-License-Identifier: MIT
 *
 * fuzz_resp: any bytes as requests. The first byte says where the rest is cut; requests must be the same
 * with and without the cut, and lie within what was read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct view words[RESP_WORDS_MAX];

/* A sum over all that requests say and how they are parted. */
struct digest {
    uint64_t sum;
    bool     is_broken;
};

static void digest_add(struct digest *d, const void *data, size_t bytes) {
    const unsigned char *p = data;
    d->sum                 = (d->sum ^ bytes) * UINT64_C(0x9e3779b97f4a7c15);
    for (size_t i = 0; i < bytes; i++) d->sum = (d->sum ^ p[i]) * UINT64_C(0x100000001b3);
}

/* Takes whole requests off the front; returns how many bytes they took. */
static size_t take(struct digest *d, char *data, size_t bytes) {
    size_t at = 0;
    while (!d->is_broken) {
        struct resp_request request;
        enum resp_outcome   outcome = resp_read(data + at, bytes - at, words, &request);
        if (outcome == RESP_PARTIAL) {
            if (request.bytes_wanted <= bytes - at) abort();
            if (request.bytes_wanted > RESP_REQUEST_BYTES_MAX) abort();
            break;
        }
        if (outcome == RESP_BROKEN) {
            d->is_broken = true;
            digest_add(d, request.problem, strlen(request.problem));
            break;
        }
        if (request.bytes == 0 || request.bytes > bytes - at) abort();
        if (request.word_count > RESP_WORDS_MAX) abort();
        for (size_t i = 0; i < request.word_count; i++) {
            if (words[i].data < data + at ||
                words[i].data + words[i].bytes > data + at + request.bytes)
                abort();
            digest_add(d, words[i].data, words[i].bytes);
        }
        digest_add(d, "|", request.word_count > 0);
        at += request.bytes;
    }
    return at;
}

static struct digest read_cut(const uint8_t *data, size_t size, size_t cut) {
    struct digest d      = {.sum = 1};
    char         *buffer = malloc(size + 1);
    if (buffer == NULL) abort();
    memcpy(buffer, data, cut);
    size_t taken = take(&d, buffer, cut);
    memmove(buffer, buffer + taken, cut - taken);
    memcpy(buffer + cut - taken, data + cut, size - cut);
    /* Exactly as long as what is read, so that a step beyond it is seen. */
    char *rest = realloc(buffer, size - taken + (size == taken));
    if (rest == NULL) abort();
    take(&d, rest, size - taken);
    free(rest);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t        cut   = size > 1 ? data[0] % size : 0;
    struct digest whole = read_cut(data + 1, size - 1, 0);
    struct digest parts = read_cut(data + 1, size - 1, cut);
    if (whole.sum != parts.sum || whole.is_broken != parts.is_broken) abort();
    return 0;
}
