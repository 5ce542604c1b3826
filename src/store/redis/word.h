/* SPDX-License-Identifier: MIT
 *
 * word: a command in RESP: "*2\r\n" and for each word "$3\r\nGET\r\n". */
#ifndef WEIR_STORE_REDIS_WORD_H
#define WEIR_STORE_REDIS_WORD_H

#include <stdint.h>
#include <string.h>

#include "base/view.h"

enum { WORD_COUNT_BYTES_MAX = 23 };

/* Room enough for a word of so many bytes. */
static inline size_t word_bytes(size_t bytes) { return WORD_COUNT_BYTES_MAX + bytes + 2; }

static inline char *word_digits_write(char *at, uint64_t number) {
    char   digits[20];
    size_t used = sizeof digits;
    do {
        digits[--used] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    memcpy(at, digits + used, sizeof digits - used);
    return at + sizeof digits - used;
}

static inline char *word_line_write(char *at, char mark, uint64_t number) {
    *at++ = mark;
    at    = word_digits_write(at, number);
    memcpy(at, "\r\n", 2);
    return at + 2;
}

/* The three return where the next byte goes. */
static inline char *word_count_write(char *at, uint64_t count) {
    return word_line_write(at, '*', count);
}

static inline char *word_write(char *at, struct view word) {
    at = word_line_write(at, '$', word.bytes);
    if (word.bytes > 0) memcpy(at, word.data, word.bytes);
    memcpy(at + word.bytes, "\r\n", 2);
    return at + word.bytes + 2;
}

static inline char *word_number_write(char *at, uint64_t number) {
    char  digits[20];
    char *end = word_digits_write(digits, number);
    return word_write(at, (struct view){digits, (size_t)(end - digits)});
}

#endif
