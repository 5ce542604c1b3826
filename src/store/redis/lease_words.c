/* SPDX-License-Identifier: MIT
 *
 * The encoding: https://github.com/msgpack/msgpack/blob/master/spec.md */
#include "store/redis/lease_words.h"

#include <hiredis/hiredis.h>

#include "base/contract.h"

enum {
    PACK_FIX_MAX   = 0x7f,
    PACK_UINT8     = 0xcc, /* then 16, 32 and 64 bits */
    PACK_FIX_TEXT  = 0xa0, /* plus its bytes, to 31 */
    PACK_FIX_ARRAY = 0x90, /* plus its elements, to 15 */
    PACK_ARRAY16   = 0xdc,
    REPLY_FIXED    = 7, /* numbers of a reply; then two for each report */
};

static char *write_big_endian(char *out, uint64_t number, unsigned bytes) {
    for (unsigned i = bytes; i-- > 0; number >>= 8) out[i] = (char)(unsigned char)number;
    return out + bytes;
}

static char *write_number(char *out, uint64_t number) {
    if (number <= PACK_FIX_MAX) return write_big_endian(out, number, 1);
    unsigned kind = number <= UINT8_MAX    ? 0
                    : number <= UINT16_MAX ? 1
                    : number <= UINT32_MAX ? 2
                                           : 3;
    *out++        = (char)(PACK_UINT8 + kind);
    return write_big_endian(out, number, 1U << kind);
}

/* Stores compare it and do not calculate, so it is a text. */
static char *write_incarnation(char *out, uint64_t incarnation) {
    *out++ = (char)(PACK_FIX_TEXT + (int)sizeof incarnation);
    return write_big_endian(out, incarnation, sizeof incarnation);
}

size_t lease_words_write(const struct lease_request *q, char out[LEASE_WORDS_BYTES_MAX]) {
    REQUIRE(lease_request_is_sound(q));
    unsigned words = LEASE_WORDS_FIXED;
    for (uint32_t i = 0; i < q->report_count; i++) words += 5 + 2 * q->reports[i].use_count;

    char *at = out;
    if (q->report_count == 0) {
        *at++ = (char)(PACK_FIX_ARRAY + LEASE_WORDS_FIXED); /* by which the script knows it */
    } else {
        *at++ = (char)PACK_ARRAY16;
        at    = write_big_endian(at, words, 2);
    }
    at = write_incarnation(at, q->id.incarnation);
    at = write_number(at, q->id.sequence);
    at = write_number(at, q->need);
    at = write_number(at, q->want);
    at = write_number(at, q->limit);
    at = write_number(at, q->term_us);
    at = write_number(at, q->hold_us);
    at = write_number(at, q->era_seen_us);
    at = write_number(at, q->grants_seen);
    at = write_number(at, q->rewind_us);
    at = write_number(at, q->rewind_generation);
    at = write_number(at, q->is_reset);
    for (uint32_t i = 0; i < q->report_count; i++) {
        const struct lease_report *r = &q->reports[i];
        at                           = write_incarnation(at, r->id.incarnation);
        at                           = write_number(at, r->id.sequence);
        at                           = write_number(at, r->base);
        at                           = write_number(at, r->is_final);
        at                           = write_number(at, r->use_count);
        for (uint32_t k = 0; k < r->use_count; k++) {
            at = write_number(at, r->uses[k].age_us);
            at = write_number(at, r->uses[k].count);
        }
    }
    return (size_t)(at - out);
}

static bool read_numbers(const struct redisReply *said, size_t count, uint64_t *numbers) {
    if (said->type != REDIS_REPLY_ARRAY || said->elements != count) return false;
    for (size_t i = 0; i < count; i++) {
        const struct redisReply *word = said->element[i];
        if (word->type != REDIS_REPLY_INTEGER || word->integer < 0) return false;
        numbers[i] = (uint64_t)word->integer;
    }
    return true;
}

bool lease_words_read(const struct lease_request *q, const struct redisReply *said,
                      struct lease_reply *reply) {
    uint64_t numbers[REPLY_FIXED + 2 * LEASE_REPORTS_MAX] = {0};
    if (!read_numbers(said, REPLY_FIXED + 2 * (size_t)q->report_count, numbers)) return false;
    *reply = (struct lease_reply){.id             = q->id,
                                  .granted        = numbers[0],
                                  .free           = numbers[1],
                                  .retry_after_us = numbers[2],
                                  .store_us       = numbers[3],
                                  .era_us         = numbers[4],
                                  .generation     = numbers[5],
                                  .grants         = numbers[6],
                                  .receipt_count  = q->report_count};
    for (uint32_t i = 0; i < q->report_count; i++)
        reply->receipts[i] =
            (struct lease_receipt){.id      = q->reports[i].id,
                                   .settled = numbers[REPLY_FIXED + 2 * i],
                                   .is_over = numbers[REPLY_FIXED + 2 * i + 1] != 0};
    return lease_reply_is_sound(reply);
}
