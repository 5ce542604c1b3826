/* SPDX-License-Identifier: MIT
 *
 * explain_sketch: what does a limit mean in a sketch of fixed memory? */
#ifndef WEIR_CMD_EXPLAIN_SKETCH_H
#define WEIR_CMD_EXPLAIN_SKETCH_H

#include <stdbool.h>
#include <weir.h>

#include "wire/json.h"

/* The options, as they were typed; bytes 0: no sketch was asked about. */
struct explain_sketch {
    uint64_t    bytes;
    uint64_t    users;
    const char *mean_text; /* permits of a user in a window; NULL: a quarter of the limit */
    double      mean;      /* the same, set by explain_sketch_check() */
};

/* False: what is wrong was said; exit with COMMAND_USAGE. */
bool explain_sketch_check(struct explain_sketch *e, const weir_request *request);

/* Both compute for about half a second. */
void explain_sketch_print(const struct explain_sketch *e, const weir_request *request);
void explain_sketch_json(const struct explain_sketch *e, const weir_request *request,
                         struct json_writer *out);

#endif
