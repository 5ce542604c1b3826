/* SPDX-License-Identifier: MIT
 *
 * fuzz_cql: any bytes as what a Cassandra server sends. The first byte says where the rest is cut;
 * frames must be the same with and without the cut, lie within what was read, and each is told to its
 * end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "support/cql_told.h"
#include "wire/cql.h"
#include "wire/cql_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_BYTES_MAX = 4096 };

/* A sum over where frames are parted and what they hold. */
struct digest {
    uint64_t sum;
    bool     is_broken;
};

static void must(bool is_true) {
    if (!is_true) abort();
}

static void digest_add(struct digest *d, uint64_t word) {
    d->sum = (d->sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
}

/* In memory of its own, so that a walk beyond the body is seen. */
static void tell(uint8_t opcode, struct view body) {
    static FILE *nowhere;
    if (nowhere == NULL) nowhere = fopen("/dev/null", "w");
    must(nowhere != NULL);
    char *copy = malloc(body.bytes + (body.bytes == 0));
    must(copy != NULL);
    if (body.bytes > 0) memcpy(copy, body.data, body.bytes);
    (void)told_response(nowhere, opcode, (struct view){.data = copy, .bytes = body.bytes});
    must(cql_token((struct view){.data = copy, .bytes = body.bytes}) != INT64_MIN);
    free(copy);
}

/* Takes whole frames off the front; returns how many bytes they took. */
static size_t take(struct digest *d, const char *data, size_t bytes) {
    size_t at = 0;
    while (!d->is_broken) {
        struct view      rest = {.data = data + at, .bytes = bytes - at};
        struct cql_frame frame;
        enum cql_outcome outcome = cql_read(rest, BODY_BYTES_MAX, &frame);
        if (outcome == CQL_PARTIAL) {
            must(frame.bytes_wanted > rest.bytes);
            must(frame.bytes_wanted <= CQL_HEADER_BYTES + BODY_BYTES_MAX);
            break;
        }
        if (outcome == CQL_BROKEN) {
            must(frame.problem != NULL);
            d->is_broken = true;
            break;
        }
        must(frame.bytes >= CQL_HEADER_BYTES && frame.bytes <= rest.bytes);
        must(frame.body.bytes <= frame.bytes - CQL_HEADER_BYTES);
        must(frame.body.bytes == 0 ||
             frame.body.data + frame.body.bytes == rest.data + frame.bytes);
        digest_add(d, frame.opcode);
        digest_add(d, (uint16_t)frame.stream);
        digest_add(d, frame.body.bytes);
        tell(frame.opcode, frame.body);
        at += frame.bytes;
    }
    return at;
}

static struct digest read_cut(const uint8_t *data, size_t size, size_t cut) {
    struct digest d      = {.sum = 1};
    char         *buffer = malloc(size + 1);
    must(buffer != NULL);
    memcpy(buffer, data, cut);
    size_t taken = take(&d, buffer, cut);
    memmove(buffer, buffer + taken, cut - taken);
    memcpy(buffer + cut - taken, data + cut, size - cut);
    /* Exactly as long as what is read, so that a step beyond it is seen. */
    char *rest = realloc(buffer, size - taken + (size == taken));
    must(rest != NULL);
    take(&d, rest, size - taken);
    free(rest);
    return d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t        cut   = size > 1 ? data[0] % size : 0;
    struct digest whole = read_cut(data + 1, size - 1, 0);
    struct digest parts = read_cut(data + 1, size - 1, cut);
    must(whole.sum == parts.sum && whole.is_broken == parts.is_broken);
    return 0;
}
