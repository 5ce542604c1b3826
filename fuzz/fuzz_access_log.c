/* SPDX-License-Identifier: MIT
 *
 * Any bytes as lines of an access log: the reader says what came of each, and never breaks.
 *
 * The first byte chooses what is asked for (key, cost, unit of times); the rest are lines. What is
 * read must hold together: the user within bounds and inside the line or the scratch, the time one
 * that a limiter can be told, and a second reading of the same line the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "limit/request.h"
#include "wire/access_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_inside(struct view v, const char *begin, size_t bytes) {
    return v.data >= begin && v.data + v.bytes <= begin + bytes;
}

static void read_line(struct access_log_reader *reader, struct view line) {
    static struct access_log_scratch scratch, again;
    struct access_log_entry          entry, same;
    struct access_log_reader         before  = *reader;
    enum access_log_outcome          outcome = access_log_read(reader, line, &scratch, &entry);
    INVARIANT(outcome < ACCESS_LOG_OUTCOMES);
    INVARIANT(before.format == ACCESS_LOG_UNKNOWN || before.format == reader->format);
    INVARIANT(access_log_read(&before, line, &again, &same) == outcome);
    if (outcome != ACCESS_LOG_READ) return;

    INVARIANT(reader->format != ACCESS_LOG_UNKNOWN);
    INVARIANT(entry.time_ns <= LIMIT_NOW_MAX);
    INVARIANT(entry.user.bytes > 0);
    INVARIANT(entry.user.bytes <= ACCESS_LOG_USER_BYTES_MAX);
    INVARIANT(is_inside(entry.user, line.data, line.bytes) ||
              is_inside(entry.user, scratch.bytes, sizeof scratch.bytes));
    INVARIANT(view_equals(entry.user, same.user));
    INVARIANT(entry.time_ns == same.time_ns);
    INVARIANT(entry.cost == same.cost);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const keys[] = {NULL,    "ip",      "ip+path",     "user+agent+10",
                                       "a.b.c", "u+u+u+u", "query+vhost", "status+method+protocol"};
    if (size == 0) return 0;
    struct access_log_reader reader = access_log_reader_default();
    const char              *key    = keys[data[0] % 8];
    if (key != NULL) {
        reader.key_is_default = false;
        REQUIRE(access_log_names_parse(view_of(key), '+', &reader.key));
    }
    reader.time_unit = (enum log_time_unit)(data[0] / 8 % 5);
    if (data[0] >= 128) {
        REQUIRE(access_log_names_parse(view_of(data[0] >= 192 ? "bytes" : "n"), '+', &reader.cost));
    }

    struct view rest = {(const char *)data + 1, size - 1};
    while (rest.bytes > 0) {
        const char *feed = memchr(rest.data, '\n', rest.bytes);
        size_t      end  = feed != NULL ? (size_t)(feed - rest.data) : rest.bytes;
        /* A copy of exactly the line's length, so that a step beyond it is seen. */
        char *line = malloc(end > 0 ? end : 1);
        REQUIRE(line != NULL);
        memcpy(line, rest.data, end);
        read_line(&reader, (struct view){line, end});
        free(line);
        if (feed == NULL) break;
        rest = view_from(rest, end + 1);
    }
    return 0;
}
