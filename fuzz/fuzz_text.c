/* SPDX-License-Identifier: MIT
 *
 * Numbers, durations and rates from any bytes: nothing is read beyond the view, and what is accepted
 * is written and read back as the same value. */
#include <stdint.h>
#include <stdlib.h>

#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool is_true) {
    if (!is_true) abort();
}

static void check_duration(int64_t duration_ns) {
    char    text[TEXT_DURATION_BYTES_MAX];
    int64_t again;
    must(duration_ns >= 0);
    size_t bytes = text_duration_write(duration_ns, text);
    must(bytes < sizeof text && text[bytes] == '\0');
    must(text_duration_parse((struct view){.data = text, .bytes = bytes}, &again));
    must(again == duration_ns);
    bytes = text_duration_write_short(duration_ns, text);
    must(bytes < sizeof text && text[bytes] == '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct view text = {.data = (const char *)data, .bytes = size};
    uint64_t    number, limit;
    int64_t     integer, duration_ns, window_ns;

    bool is_number   = text_number_parse(text, &number);
    bool is_integer  = text_integer_parse(text, &integer);
    bool is_duration = text_duration_parse(text, &duration_ns);
    bool is_rate     = text_rate_parse(text, &limit, &window_ns);
    must(!is_rate || (!is_number && !is_duration && !is_integer));
    must(!is_number || !is_integer || number == (uint64_t)integer);
    must(!is_number || is_integer || number > INT64_MAX);
    if (is_duration) check_duration(duration_ns);
    if (is_rate) check_duration(window_ns);
    return 0;
}
