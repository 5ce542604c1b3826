/* SPDX-License-Identifier: MIT */
#include "model/program.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "support/check.h"

void program_begin(struct program *program, uint64_t seed, size_t steps_max) {
    memset(program, 0, sizeof *program);
    program->seed  = seed;
    program->steps = calloc(steps_max, sizeof *program->steps);
    REQUIRE(program->steps != NULL);
}

void program_clear(struct program *program) {
    free(program->steps);
    memset(program, 0, sizeof *program);
}

/* Halves, quarters, eighths, ... and single steps, until no single one can go. */
void program_shorten(struct program *program, program_fails_fn *fails, char *failure) {
    struct program shorter = *program;
    shorter.steps          = calloc(program->count, sizeof *shorter.steps);
    REQUIRE(shorter.steps != NULL);

    size_t chunk = program->count / 2;
    while (chunk > 0) {
        bool dropped = false;
        for (size_t from = 0; from + chunk <= program->count;) {
            size_t after = program->count - from - chunk;
            memcpy(shorter.steps, program->steps, from * sizeof *shorter.steps);
            memcpy(shorter.steps + from, program->steps + from + chunk,
                   after * sizeof *shorter.steps);
            shorter.count = from + after;
            if (fails(&shorter, failure)) {
                memcpy(program->steps, shorter.steps, shorter.count * sizeof *shorter.steps);
                program->count = shorter.count;
                dropped        = true;
            } else {
                from += chunk;
            }
        }
        if (!dropped || chunk > 1) chunk /= 2;
    }
    INVARIANT(fails(program, failure)); /* Else it failed for a reason outside the program. */
    free(shorter.steps);
}

void program_report(struct program *program, program_fails_fn *fails, const char *rule_tail,
                    char *failure) {
    size_t length = program->count;
    fprintf(stderr, "A program of %zu steps fails: %s\n", length, failure);
    program_shorten(program, fails, failure);
    program_print(program, rule_tail, failure);
    CHECK_SAYS(false,
               "%s\n    this program alone: --seed %" PRIu64
               ", and an effort that gives it %zu steps",
               failure, program->seed, length);
    abort();
}

void program_print(const struct program *program, const char *rule_tail, const char *failure) {
    fprintf(stderr, "# %s\n# The counter's head begins as 0x%" PRIx64 ".\n", failure,
            program->head_top);
    for (size_t i = 0; i < program->count; i++) {
        struct program_step s = program->steps[i];
        if (i == 0 || s.limit != program->steps[i - 1].limit) {
            fprintf(stderr, "rule %" PRIu64 " per %" PRIu64 "ns%s\n", s.limit, program->window_ns,
                    rule_tail);
        }
        fprintf(stderr, "at %" PRIu64 "ns ask ann cost %" PRIu64 " -> ?%s\n", s.now_ns, s.cost,
                i + 1 == program->count ? "   # this one is wrong" : "");
    }
}
