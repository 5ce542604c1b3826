/* SPDX-License-Identifier: MIT
 *
 * judge_line: one decision, as a line of JSON tells it. See docs/judge.md. */
#ifndef WEIR_CMD_JUDGE_LINE_H
#define WEIR_CMD_JUDGE_LINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"

/* Times are 0 to 2^62 ns, windows 1 to 2^61 ns, limits 0 to 2^40. */
#define JUDGE_TIME_MAX   (INT64_C(1) << 62)
#define JUDGE_WINDOW_MAX (INT64_C(1) << 61)
#define JUDGE_LIMIT_MAX  (UINT64_C(1) << 40)

struct judge_line {
    struct view user;
    struct view host; /* empty: not told */
    uint64_t    limit;
    uint64_t    cost; /* above JUDGE_LIMIT_MAX it is JUDGE_LIMIT_MAX + 1, which no limit allows */
    int64_t     window_ns;
    int64_t     sent_ns;     /* the decision was made at some instant from here */
    int64_t     received_ns; /* to here, both included */
    bool        allowed;
    uint32_t    file; /* where the line stands: for reports */
    uint64_t    number;
    uint64_t    hint_hash; /* judge_hint()'s */
    uint32_t    hint_host;
};

enum { JUDGE_LINE_SCRATCH_BYTES = 2 * 65536 };

/* Reads a line without its line feed. `scratch` has JUDGE_LINE_SCRATCH_BYTES; the views of `line` point
 * into it or into the text. Returns NULL, or what is wrong, in words. */
const char *judge_line_read(struct view text, char *scratch, struct judge_line *line);

#endif
