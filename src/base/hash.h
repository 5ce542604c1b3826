/* SPDX-License-Identifier: MIT
 *
 * hash: 64 bits that nobody without the secret can steer.
 *
 * SipHash-1-3 (Aumasson, Bernstein, "SipHash: a fast short-input PRF", 2012, in the variant that
 * Rust, Ruby and Python use for their tables). Keyed, because a caller who could choose users
 * with equal hashes could pile them on one bucket, or share a counter with a victim. Little-endian
 * by definition, so that a table written on one machine reads on another. */
#ifndef WEIR_BASE_HASH_H
#define WEIR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct hash_secret {
    uint64_t k0;
    uint64_t k1;
};

struct hash_state {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t hash_rotate(uint64_t x, unsigned bits) {
    return x << bits | x >> (64 - bits);
}

static inline void hash_round(struct hash_state *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = hash_rotate(s->v1, 13) ^ s->v0;
    s->v3 = hash_rotate(s->v3, 16) ^ s->v2;
    s->v0 = hash_rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = hash_rotate(s->v1, 17) ^ s->v2;
    s->v3 = hash_rotate(s->v3, 21) ^ s->v0;
    s->v2 = hash_rotate(s->v2, 32);
}

static inline void hash_block(struct hash_state *s, uint64_t block) {
    s->v3 ^= block;
    hash_round(s);
    s->v0 ^= block;
}

static inline uint64_t hash_load(const unsigned char *p, size_t bytes) {
    uint64_t word = 0;
    memcpy(&word, p, bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The last 0 to 7 bytes, without a byte-wise loop and without reading past them. */
static inline uint64_t hash_load_tail(const unsigned char *p, size_t bytes) {
    if (bytes >= 4) {
        uint64_t low  = hash_load(p, 4);
        uint64_t high = hash_load(p + bytes - 4, 4);
        return low | high << (8 * (bytes - 4));
    }
    if (bytes == 0) return 0;
    return (uint64_t)p[0] | (uint64_t)p[bytes / 2] << (8 * (bytes / 2)) |
           (uint64_t)p[bytes - 1] << (8 * (bytes - 1));
}

/* SipHash-1-3 of the eight bytes of `word`, low byte first, followed by `bytes` bytes at `data`. */
static inline uint64_t hash_of(struct hash_secret secret, uint64_t word, const void *data,
                               size_t bytes) {
    struct hash_state s = {
        .v0 = secret.k0 ^ UINT64_C(0x736f6d6570736575),
        .v1 = secret.k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = secret.k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = secret.k1 ^ UINT64_C(0x7465646279746573),
    };
    hash_block(&s, word);

    const unsigned char *p   = data;
    const unsigned char *end = p + (bytes & ~(size_t)7);
    for (; p != end; p += 8) hash_block(&s, hash_load(p, 8));
    hash_block(&s, hash_load_tail(p, bytes & 7) | (uint64_t)(bytes + 8) << 56);

    s.v2 ^= 0xff;
    hash_round(&s);
    hash_round(&s);
    hash_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

#endif
