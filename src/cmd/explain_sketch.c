/* SPDX-License-Identifier: MIT
 *
 * explain_sketch: what does a limit mean in a sketch of fixed memory?
 *
 * How often it denies without need is told twice: as a bound, which is computed, and as what happened
 * when it was tried with fewer users on a smaller sketch that is as dense. */
#include "cmd/explain_sketch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "cmd/sketch_plan.h"
#include "cmd/sketch_trial.h"
#include "cmd/terminal.h"
#include "table/sketch.h"

enum {
    TRIED_USERS_MAX = 100000,
    TRIED_REQUESTS  = 1500000, /* about so many, a third of a second */
    TRIED_WINDOWS   = 6,       /* two of them to fill it */
    TRIED_SEED      = 1,       /* the same numbers each time */
    MEAN_MAX        = 100000,
};

struct numbers {
    struct sketch_shape shape;
    int64_t             cell_ns;
    double              user_bytes;
    double              bound;
    struct sketch_trial trial;
    struct sketch_tried tried; /* asked 0: nothing was */
};

static struct numbers      numbers_of(const struct explain_sketch *e, const weir_request *request);
static void                print_tried(const struct numbers *n);
static struct sketch_trial trial_of(const struct explain_sketch *e, uint64_t limit);

bool explain_sketch_check(struct explain_sketch *e, const weir_request *request) {
    if (e->bytes == 0) {
        if (e->users == 0 && e->mean_text == NULL) return true;
        terminal_complain("explain", "--users and --mean are about a sketch; give --sketch BYTES");
        return false;
    }
    if (request->algorithm != WEIR_STRICT) {
        terminal_complain("explain", "--sketch: a sketch is strict; leave --algorithm out");
        return false;
    }
    if (request->limit == 0 || request->limit > SKETCH_LIMIT_MAX) {
        terminal_complain("explain",
                          "--sketch: a sketch counts limits of 1 to %d, and this is %llu",
                          SKETCH_LIMIT_MAX, (unsigned long long)request->limit);
        return false;
    }
    if (e->users == 0) {
        terminal_complain("explain", "--sketch: for how many users? give --users N");
        return false;
    }
    if (sketch_bytes(e->bytes) == 0) {
        terminal_complain("explain", "--sketch %llu: too small, 192 bytes are the least",
                          (unsigned long long)e->bytes);
        return false;
    }
    e->mean = (double)request->limit / 4;
    if (e->mean_text == NULL) return true;
    char *end = NULL;
    e->mean   = strtod(e->mean_text, &end);
    if (end != e->mean_text && *end == '\0' && e->mean > 0 && e->mean <= MEAN_MAX) return true;
    terminal_complain("explain", "--mean '%s': not a number above 0 and up to %d, like 2.5",
                      e->mean_text, MEAN_MAX);
    return false;
}

void explain_sketch_print(const struct explain_sketch *e, const weir_request *request) {
    struct numbers n = numbers_of(e, request);
    char           bytes[TERMINAL_COUNT_BYTES_MAX], users[TERMINAL_COUNT_BYTES_MAX];
    char           cell[TEXT_DURATION_BYTES_MAX], window[TEXT_DURATION_BYTES_MAX];
    text_duration_write(request->window_ns, window);
    text_duration_write_short(n.cell_ns, cell);
    printf("\n%sIn a sketch%s of %s bytes for %s users who take %.3g in a window each:\n",
           terminal_colour(TERMINAL_BOLD), terminal_colour(TERMINAL_PLAIN),
           terminal_count(n.shape.bytes, bytes), terminal_count(e->users, users), e->mean);
    printf("  Never more than the limit, as above. It takes %.3g bytes a user, and never more.\n"
           "  Time is counted in cells of %s: a permit comes back at most so much later than one\n"
           "  %s after it was taken.\n",
           n.user_bytes, cell, window);
    printf(
        "  A request of a user within the limit is denied with a probability of at most %.3g %%\n"
        "  (if all ask alike, at random times).\n",
        100 * n.bound);
    if (n.tried.asked > 0) print_tried(&n);
}

static void print_tried(const struct numbers *n) {
    char users[TERMINAL_COUNT_BYTES_MAX], denied[TERMINAL_COUNT_BYTES_MAX];
    char asked[TERMINAL_COUNT_BYTES_MAX];
    printf("  Tried with %s users on a sketch as dense, %s of %s were (%.3g %%).\n",
           terminal_count(n->trial.users, users), terminal_count(n->tried.denied_falsely, denied),
           terminal_count(n->tried.asked, asked),
           100 * (double)n->tried.denied_falsely / (double)n->tried.asked);
}

void explain_sketch_json(const struct explain_sketch *e, const weir_request *request,
                         struct json_writer *out) {
    struct numbers n = numbers_of(e, request);
    json_write_name(out, "sketch");
    json_write_object(out);
    json_write_name(out, "bytes");
    json_write_u64(out, n.shape.bytes);
    json_write_name(out, "users");
    json_write_u64(out, e->users);
    json_write_name(out, "mean");
    json_write_real(out, e->mean, 6);
    json_write_name(out, "user_bytes");
    json_write_real(out, n.user_bytes, 6);
    json_write_name(out, "lines");
    json_write_u64(out, n.shape.lines);
    json_write_name(out, "line_counts");
    json_write_u64(out, n.shape.line_counts);
    json_write_name(out, "count_bits");
    json_write_u64(out, n.shape.count_bits);
    json_write_name(out, "cell_ns");
    json_write_i64(out, n.cell_ns);
    json_write_name(out, "false_denial_max");
    json_write_real(out, n.bound, 9);
    json_write_name(out, "tried_users");
    json_write_u64(out, n.trial.users);
    json_write_name(out, "tried_requests");
    json_write_u64(out, n.tried.asked);
    json_write_name(out, "tried_denied_falsely");
    json_write_u64(out, n.tried.denied_falsely);
    json_write_object_end(out);
}

static struct numbers numbers_of(const struct explain_sketch *e, const weir_request *request) {
    const struct sketch_plan plan = {
        .bytes = e->bytes, .users = e->users, .mean = e->mean, .limit = request->limit};
    struct numbers n = {
        .shape   = sketch_shape_of(e->bytes, request->limit),
        .cell_ns = (request->window_ns + SKETCH_CELLS - 1) / SKETCH_CELLS,
        .bound   = sketch_plan_false_denial(&plan),
        .trial   = trial_of(e, request->limit),
    };
    n.user_bytes = (double)n.shape.bytes / (double)e->users;
    if (!sketch_trial_run(&n.trial, &n.tried)) n.tried.asked = 0;
    return n;
}

/* Fewer users in as much less memory, and as many windows as the requests suffice for. */
static struct sketch_trial trial_of(const struct explain_sketch *e, uint64_t limit) {
    double users   = fmin(fmin((double)e->users, TRIED_USERS_MAX),
                          fmax(TRIED_REQUESTS / (e->mean * TRIED_WINDOWS), 1));
    double windows = fmin(TRIED_REQUESTS / (users * e->mean) - 2, SKETCH_TRIAL_WINDOWS_MAX);
    double bytes   = floor(users) * ((double)e->bytes / (double)e->users);
    return (struct sketch_trial){.bytes   = (size_t)bytes,
                                 .users   = (uint64_t)users,
                                 .mean    = e->mean,
                                 .limit   = limit,
                                 .windows = (unsigned)fmax(windows, 1),
                                 .seed    = TRIED_SEED};
}
