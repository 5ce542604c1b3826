/* SPDX-License-Identifier: MIT
 *
 * fuzz_conversation: any bytes to a server, through its real commands and limiter, on a fake clock. The
 * first byte says where the rest is cut; what is answered must be the same with and without the cut,
 * and end with a line end. */
#include <stdint.h>

#include "support/conversation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *talk_cut(const uint8_t *data, size_t size, size_t cut, size_t *told_bytes) {
    struct conversation *talk = conversation_new(64);
    conversation_say(talk, data, cut);
    size_t first = talk->told_bytes;
    char  *told  = malloc(first + 1);
    if (told == NULL) abort();
    if (first > 0) memcpy(told, talk->told, first);

    conversation_say(talk, data + cut, size - cut);
    *told_bytes = first + talk->told_bytes;
    told        = realloc(told, *told_bytes + 1);
    if (told == NULL) abort();
    if (talk->told_bytes > 0) memcpy(told + first, talk->told, talk->told_bytes);
    conversation_free(talk);
    return told;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    size_t cut = size > 1 ? data[0] % size : 0, whole_bytes = 0, cut_bytes = 0;
    char  *whole = talk_cut(data + 1, size - 1, 0, &whole_bytes);
    char  *parts = talk_cut(data + 1, size - 1, cut, &cut_bytes);
    if (whole_bytes != cut_bytes || memcmp(whole, parts, whole_bytes) != 0) abort();
    if (whole_bytes == 1 || (whole_bytes > 1 && memcmp(whole + whole_bytes - 2, "\r\n", 2) != 0))
        abort();
    free(whole);
    free(parts);
    return 0;
}
