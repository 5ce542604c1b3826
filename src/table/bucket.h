/* SPDX-License-Identifier: MIT
 *
 * bucket: sixteen cache lines, one of prints and fifteen of users.
 *
 *     offset  0  print[15]  32 bits each: the low half of the user's tag, 0 if the line is empty
 *            60  lock       the process that holds it; 0: nobody
 *            64  line[15]
 *
 * A search reads the prints, and then mostly one line. A print belongs to its line: it changes
 * under the line's lock. The bucket's lock says who may put lines in; see table.c. */
#ifndef WEIR_TABLE_BUCKET_H
#define WEIR_TABLE_BUCKET_H

#include "table/line.h"

/* The thread sanitizer sees atomics only. */
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define BUCKET_SEES_ATOMICS_ONLY
#endif
#elif defined(__SANITIZE_THREAD__)
#define BUCKET_SEES_ATOMICS_ONLY
#endif

#if defined(__SSE2__) && !defined(BUCKET_SEES_ATOMICS_ONLY)
#define BUCKET_SSE2
#include <emmintrin.h>
#endif

enum { BUCKET_LINES = 15 };

struct bucket {
    _Atomic uint32_t print[BUCKET_LINES];
    _Atomic uint32_t lock;
    struct line      line[BUCKET_LINES];
};

_Static_assert(sizeof(struct bucket) == 1024, "a bucket is sixteen cache lines");

static inline uint32_t bucket_print_of(uint64_t tag) {
    return (uint32_t)tag == 0 ? 1 : (uint32_t)tag;
}

/* A bit for each line whose print is `print`. */
static inline uint32_t bucket_match(const struct bucket *b, uint32_t print) {
#if defined(BUCKET_SSE2)
    /* Four prints at a time. Each 32-bit lane of an aligned load is read whole on every x86-64, and
     * a print only hints: the line that it leads to is checked under its own lock. */
    const __m128i *row    = (const __m128i *)(const void *)b;
    __m128i        wanted = _mm_set1_epi32((int)print);
    __m128i        low    = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(row), wanted),
                                            _mm_cmpeq_epi32(_mm_load_si128(row + 1), wanted));
    __m128i        high   = _mm_packs_epi32(_mm_cmpeq_epi32(_mm_load_si128(row + 2), wanted),
                                            _mm_cmpeq_epi32(_mm_load_si128(row + 3), wanted));
    uint32_t       mask   = (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high));
    atomic_signal_fence(memory_order_acquire);
    return mask & ((1u << BUCKET_LINES) - 1);
#else
    uint32_t mask = 0;
    for (uint32_t i = 0; i < BUCKET_LINES; i++) {
        mask |= (uint32_t)(atomic_load_explicit(&b->print[i], memory_order_acquire) == print) << i;
    }
    return mask;
#endif
}

/* The line that belongs to `tag` at this moment, or NULL. Not locked: it may be another's by the
 * time the caller locks it. */
static inline struct line *bucket_find(struct bucket *b, uint64_t tag) {
    for (uint32_t m = bucket_match(b, bucket_print_of(tag)); m != 0; m &= m - 1) {
        struct line *line = &b->line[__builtin_ctz(m)];
        if (line_load(&line->tag) == tag) return line;
    }
    return NULL;
}

/* Makes a line of this bucket, which the caller has locked, belong to `tag`; 0: to nobody. */
static inline void bucket_name(struct bucket *b, uint32_t index, uint64_t tag, bool is_taken) {
    atomic_store_explicit(&b->line[index].tag, tag, memory_order_release);
    atomic_store_explicit(&b->print[index], is_taken ? bucket_print_of(tag) : 0,
                          memory_order_release);
}

#endif
