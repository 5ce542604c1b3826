/* SPDX-License-Identifier: MIT */
#include "wire/cql_token.h"

#include "base/contract.h"

#define FACTOR_1 UINT64_C(0x87c37b91114253d5)
#define FACTOR_2 UINT64_C(0x4cf5ad432745937f)

enum { BLOCK_BYTES = 16, HALF_BYTES = 8 };

static uint64_t rotate(uint64_t x, unsigned bits) { return x << bits | x >> (64 - bits); }

/* Eight bytes, the lowest first. */
static uint64_t load(const char *at) {
    uint64_t value = 0;
    for (size_t i = 0; i < HALF_BYTES; i++) value |= (uint64_t)(uint8_t)at[i] << (8 * i);
    return value;
}

/* Fewer than eight or eight, each with its sign stretched to the top: Cassandra's mistake. */
static uint64_t load_tail(const char *at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) value ^= (uint64_t)(int64_t)(int8_t)at[i] << (8 * i);
    return value;
}

static uint64_t mix_1(uint64_t k) { return rotate(k * FACTOR_1, 31) * FACTOR_2; }
static uint64_t mix_2(uint64_t k) { return rotate(k * FACTOR_2, 33) * FACTOR_1; }

static uint64_t avalanche(uint64_t k) {
    k ^= k >> 33;
    k *= UINT64_C(0xff51afd7ed558ccd);
    k ^= k >> 33;
    k *= UINT64_C(0xc4ceb9fe1a85ec53);
    return k ^ k >> 33;
}

int64_t cql_token(struct view key) {
    uint64_t h1 = 0, h2 = 0;
    size_t   at = 0;
    for (; key.bytes - at >= BLOCK_BYTES; at += BLOCK_BYTES) {
        h1 ^= mix_1(load(key.data + at));
        h1 = (rotate(h1, 27) + h2) * 5 + 0x52dce729;
        h2 ^= mix_2(load(key.data + at + HALF_BYTES));
        h2 = (rotate(h2, 31) + h1) * 5 + 0x38495ab5;
    }
    size_t tail = key.bytes - at;
    size_t low  = tail < HALF_BYTES ? tail : HALF_BYTES;
    if (tail > low) h2 ^= mix_2(load_tail(key.data + at + HALF_BYTES, tail - low));
    if (low > 0) h1 ^= mix_1(load_tail(key.data + at, low));

    h1 ^= key.bytes;
    h2 ^= key.bytes;
    h1 += h2;
    h2 += h1;
    int64_t token = (int64_t)(avalanche(h1) + avalanche(h2));
    return token == INT64_MIN ? INT64_MAX : token;
}

bool cql_key_write(const struct view *columns, size_t column_count, char *out, size_t room,
                   size_t *bytes) {
    REQUIRE(column_count > 0);
    if (room > CQL_KEY_BYTES_MAX) room = CQL_KEY_BYTES_MAX;
    size_t around = column_count == 1 ? 0 : 3; /* its length before it and the zero after it */
    size_t used   = 0;
    for (size_t i = 0; i < column_count; i++) {
        struct view column = columns[i];
        if (column.bytes > room || used + column.bytes + around > room) return false;
        if (around > 0) {
            out[used++] = (char)(column.bytes >> 8);
            out[used++] = (char)column.bytes;
        }
        if (column.bytes > 0) memcpy(out + used, column.data, column.bytes);
        used += column.bytes;
        if (around > 0) out[used++] = '\0';
    }
    *bytes = used;
    return true;
}
