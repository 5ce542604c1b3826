/* SPDX-License-Identifier: MIT
 *
 * The judge against two others: one that follows the definitions of docs/judge.md word by word over
 * whole histories, and one that knows no definitions and tries every way in which a tiny history
 * may have happened. */
#include "cmd/judge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "support/check.h"

enum { LINES_MAX = 64, TINY_MAX = 4 };

struct made_line {
    struct judge_line line;
    int64_t           arrives_ns;
};

struct history {
    struct made_line lines[LINES_MAX];
    size_t           count;
    int64_t          horizon_ns;
    bool             has_clock_error;
    int64_t          clock_error_ns;
    uint64_t         seed;
};

static const char *const users[] = {"ann", "bob", "cyd"};
static const char *const hosts[] = {"", "h1", "h2"};

static int by_arrival(const void *a, const void *b) {
    const struct made_line *x = a, *y = b;
    if (x->arrives_ns != y->arrives_ns) return x->arrives_ns < y->arrives_ns ? -1 : 1;
    return (x->line.number > y->line.number) - (x->line.number < y->line.number);
}

/* Small numbers, so that windows and intervals touch in every way. */
static struct history history_draw(uint64_t seed) {
    struct random  r    = {.state = seed};
    struct history h    = {.seed = seed};
    h.count             = random_between(&r, 1, LINES_MAX);
    h.horizon_ns        = (int64_t)random_below(&r, 6);
    h.has_clock_error   = random_below(&r, 3) == 0;
    h.clock_error_ns    = (int64_t)random_below(&r, 4);
    uint64_t user_count = random_between(&r, 1, 3), host_count = random_between(&r, 1, 3);
    uint64_t step = random_between(&r, 1, 4), length_max = random_below(&r, 6);
    uint64_t limit_max = random_between(&r, 1, 5), cost_max = random_between(&r, 1, 3);
    bool     is_mixed   = random_below(&r, 2) == 0;
    uint64_t limit      = random_between(&r, 1, limit_max);
    int64_t  windows[2] = {(int64_t)random_between(&r, 1, 12), (int64_t)random_between(&r, 1, 30)};
    int64_t  now_ns     = (int64_t)random_below(&r, 20);

    for (size_t i = 0; i < h.count; i++) {
        if (random_below(&r, 10) == 0) now_ns += (int64_t)random_below(&r, 40);
        now_ns += (int64_t)random_below(&r, step + 1);
        struct made_line *made = &h.lines[i];
        uint64_t          rare = random_below(&r, 12) == 0 ? 20 : 0;
        made->arrives_ns       = now_ns + (int64_t)random_below(&r, (uint64_t)h.horizon_ns + 1);
        made->line =
            (struct judge_line){.user      = view_of(users[random_below(&r, user_count)]),
                                .host      = view_of(hosts[random_below(&r, host_count)]),
                                .limit     = is_mixed ? random_below(&r, limit_max + 1) : limit,
                                .cost      = random_below(&r, cost_max + 1),
                                .window_ns = windows[random_below(&r, 8) == 0],
                                .sent_ns   = now_ns,
                                .allowed   = random_below(&r, 4) != 0,
                                .number    = i + 1};
        made->line.received_ns = now_ns + (int64_t)random_below(&r, length_max + rare + 1);
    }
    qsort(h.lines, h.count, sizeof h.lines[0], by_arrival);
    return h;
}

static struct judge_result judge_history(const struct history *h, struct judge **keep) {
    struct judge_options options   = {.memory_bytes    = 1 << 22,
                                      .horizon_ns      = h->horizon_ns,
                                      .has_clock_error = h->has_clock_error,
                                      .clock_error_ns  = h->clock_error_ns,
                                      .shown_max       = 2 * LINES_MAX,
                                      .secret          = {h->seed, 7}};
    struct judge        *j         = judge_new(&options);
    int64_t              newest_ns = INT64_MIN;
    int64_t              watermark = INT64_MIN;
    CHECK_NE((void *)j, NULL);
    for (size_t i = 0; i < h->count; i++) {
        struct judge_line line = h->lines[i].line;
        /* Hints may come or not, and must not matter. */
        for (int step = 0; step < JUDGE_HINT_STEPS && (h->seed & 1) != 0; step++)
            judge_hint(j, &line, step);
        CHECK_EQ(judge_take(j, &line), JUDGE_TAKEN);
        if (line.sent_ns > newest_ns) newest_ns = line.sent_ns;
        if (newest_ns - h->horizon_ns > watermark) watermark = newest_ns - h->horizon_ns;
        judge_advance(j, watermark);
    }
    judge_end(j);
    *keep = j;
    return judge_result(j);
}

/* ---- the judge by the word of the definitions ---- */

struct naive_result {
    uint64_t windows, certain, possible;
};

struct naive_entry {
    int64_t  sent_ns, received_ns;
    uint64_t limit, cost;
};

static int by_sent(const void *a, const void *b) {
    const struct naive_entry *x = a, *y = b;
    if (x->sent_ns != y->sent_ns) return x->sent_ns < y->sent_ns ? -1 : 1;
    if (x->received_ns != y->received_ns) return x->received_ns < y->received_ns ? -1 : 1;
    return (x->limit > y->limit) - (x->limit < y->limit);
}

/* Stable, as arrival decides among equals. */
static void sort_entries(struct naive_entry *entries, size_t count) {
    for (size_t i = 1; i < count; i++) {
        struct naive_entry entry = entries[i];
        size_t             at    = i;
        for (; at > 0 && by_sent(&entries[at - 1], &entry) > 0; at--) entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

static bool naive_certain(const struct naive_entry *e, size_t count, size_t d, int64_t window_ns) {
    if (e[d].received_ns - e[d].sent_ns >= window_ns) return false;
    bool     is_in[LINES_MAX];
    uint64_t sum      = 0;
    int64_t  sent_max = INT64_MIN;
    for (size_t i = 0; i < count; i++) {
        bool is_before =
            e[i].received_ns < e[d].received_ns || (e[i].received_ns == e[d].received_ns && i <= d);
        is_in[i] = is_before && e[i].sent_ns > e[d].received_ns - window_ns;
        if (!is_in[i]) continue;
        sum += e[i].cost;
        if (e[i].sent_ns > sent_max) sent_max = e[i].sent_ns;
    }
    uint64_t limit = 0;
    for (size_t i = 0; i < count; i++)
        if (is_in[i] && e[i].received_ns >= sent_max && e[i].limit > limit) limit = e[i].limit;
    return sum > limit;
}

static bool naive_possible(const struct naive_entry *e, size_t d, int64_t window_ns) {
    uint64_t sum = 0, limit = UINT64_MAX;
    for (size_t i = 0; i <= d; i++) {
        if (e[i].received_ns > e[d].sent_ns - window_ns) sum += e[i].cost;
        if (e[i].received_ns >= e[d].sent_ns && e[i].limit < limit) limit = e[i].limit;
    }
    return sum > limit;
}

static void naive_counter(const struct history *h, struct view user, int64_t window_ns,
                          const char *host, bool is_widened, bool asks_possible,
                          struct naive_result *result) {
    struct naive_entry entries[LINES_MAX];
    size_t             count = 0;
    for (size_t i = 0; i < h->count; i++) {
        const struct judge_line *line = &h->lines[i].line;
        if (!line->allowed || line->cost == 0) continue;
        if (!view_equals(line->user, user) || line->window_ns != window_ns) continue;
        if (host != NULL && !view_equals(line->host, view_of(host))) continue;
        bool    is_first_host = view_equals(line->host, h->lines[0].line.host);
        int64_t widen_ns      = is_widened && !is_first_host ? h->clock_error_ns : 0;
        entries[count++]      = (struct naive_entry){.sent_ns     = line->sent_ns - widen_ns,
                                                     .received_ns = line->received_ns + widen_ns,
                                                     .limit       = line->limit,
                                                     .cost        = line->cost};
    }
    sort_entries(entries, count);
    for (size_t d = 0; d < count; d++) {
        result->windows++;
        if (naive_certain(entries, count, d, window_ns)) {
            result->certain++;
        } else if (asks_possible && naive_possible(entries, d, window_ns)) {
            result->possible++;
        }
    }
}

static struct naive_result naive_judge(const struct history *h) {
    struct naive_result result      = {0};
    int64_t             windows[40] = {0};
    for (size_t i = 0; i < h->count; i++) windows[h->lines[i].line.window_ns] = 1;
    for (size_t u = 0; u < 3; u++) {
        for (int64_t w = 1; w < 40; w++) {
            if (windows[w] == 0) continue;
            struct view user = view_of(users[u]);
            if (h->has_clock_error) naive_counter(h, user, w, NULL, true, true, &result);
            for (size_t i = 0; i < 3; i++) {
                bool is_first_host = view_equals(h->lines[0].line.host, view_of(hosts[i]));
                if (!h->has_clock_error) {
                    naive_counter(h, user, w, hosts[i], false, true, &result);
                } else if (!is_first_host && h->clock_error_ns > 0) {
                    naive_counter(h, user, w, hosts[i], false, false, &result);
                }
            }
        }
    }
    return result;
}

TEST(the_judge_agrees_with_the_definitions_on_random_histories) {
    struct random r      = {.state = check_seed()};
    uint64_t      broken = 0, possible = 0, rounds = check_effort(20000);
    for (uint64_t i = 0; i < rounds; i++) {
        uint64_t            seed  = random_next(&r);
        struct history      h     = history_draw(seed);
        struct naive_result naive = naive_judge(&h);
        struct judge       *j;
        struct judge_result result = judge_history(&h, &j);
        CHECK_SAYS(result.windows == naive.windows, "history %llu: %llu windows, not %llu",
                   (unsigned long long)seed, (unsigned long long)result.windows,
                   (unsigned long long)naive.windows);
        CHECK_SAYS(result.certain == naive.certain, "history %llu: %llu certain, not %llu",
                   (unsigned long long)seed, (unsigned long long)result.certain,
                   (unsigned long long)naive.certain);
        CHECK_SAYS(result.possible == naive.possible, "history %llu: %llu possible, not %llu",
                   (unsigned long long)seed, (unsigned long long)result.possible,
                   (unsigned long long)naive.possible);
        CHECK_EQ(result.shown_count, naive.certain);
        for (uint32_t v = 0; v < result.shown_count; v++) {
            CHECK_GT(result.shown[v].admitted, result.shown[v].limit);
            CHECK_LT(result.shown[v].end_ns - result.shown[v].begin_ns, result.shown[v].window_ns);
        }
        broken += naive.certain > 0;
        possible += naive.possible > 0;
        judge_free(j);
    }
    /* The draw must reach all three verdicts, or agreement would say little. */
    CHECK_GT(broken, rounds / 20);
    CHECK_LT(broken, rounds - rounds / 20);
    CHECK_GT(possible, rounds / 20);
}

/* ---- the judge that knows no definitions ---- */

/* One way in which it may have happened: instants, and an order among them. */
static bool is_way_broken(const struct judge_line *lines, const int64_t *instants,
                          const size_t *order, size_t count) {
    for (size_t d = 0; d < count; d++) {
        uint64_t sum = 0;
        for (size_t e = 0; e <= d; e++)
            if (instants[order[e]] > instants[order[d]] - lines[order[d]].window_ns)
                sum += lines[order[e]].cost;
        if (sum > lines[order[d]].limit) return true;
    }
    return false;
}

struct ways {
    uint64_t all, broken;
};

static void try_orders(const struct judge_line *lines, const int64_t *instants, size_t *order,
                       size_t placed, size_t count, struct ways *ways) {
    if (placed == count) {
        ways->all++;
        ways->broken += is_way_broken(lines, instants, order, count);
        return;
    }
    for (size_t i = placed; i < count; i++) {
        size_t next = order[i];
        bool   fits = placed == 0 || instants[next] >= instants[order[placed - 1]];
        for (size_t k = placed; k < count; k++) fits &= instants[order[k]] >= instants[next];
        if (!fits) continue;
        order[i]      = order[placed];
        order[placed] = next;
        try_orders(lines, instants, order, placed + 1, count, ways);
        order[placed] = order[i];
        order[i]      = next;
    }
}

static void try_instants(const struct judge_line *lines, int64_t *instants, size_t at, size_t count,
                         struct ways *ways) {
    if (at == count || at == TINY_MAX) {
        size_t order[TINY_MAX];
        for (size_t i = 0; i < count; i++) order[i] = i;
        try_orders(lines, instants, order, 0, count, ways);
        return;
    }
    for (int64_t t = lines[at].sent_ns; t <= lines[at].received_ns; t++) {
        instants[at] = t;
        try_instants(lines, instants, at + 1, count, ways);
    }
}

TEST(the_judge_accuses_only_what_every_way_breaks_and_misses_nothing_that_some_way_breaks) {
    struct random r       = {.state = check_seed()};
    uint64_t      accused = 0, open = 0, fine = 0;
    for (uint64_t i = 0; i < check_effort(6000); i++) {
        uint64_t          seed       = random_next(&r);
        struct random     draw       = {.state = seed};
        struct history    h          = {.seed = seed, .horizon_ns = 100};
        uint64_t          length_max = random_below(&draw, 4);
        int64_t           window_ns  = (int64_t)random_between(&draw, 1, 6);
        bool              is_mixed   = random_below(&draw, 2) == 0;
        uint64_t          limit      = random_between(&draw, 1, 3);
        struct judge_line lines[TINY_MAX];
        h.count = random_between(&draw, 2, TINY_MAX);
        for (size_t k = 0; k < h.count; k++) {
            lines[k]             = (struct judge_line){.allowed = true, .number = k + 1};
            lines[k].user        = view_of("ann");
            lines[k].host        = view_of("");
            lines[k].limit       = is_mixed ? random_between(&draw, 1, 4) : limit;
            lines[k].cost        = random_between(&draw, 1, 2);
            lines[k].window_ns   = window_ns;
            lines[k].sent_ns     = (int64_t)random_below(&draw, 8);
            lines[k].received_ns = lines[k].sent_ns + (int64_t)random_below(&draw, length_max + 1);
            h.lines[k].line      = lines[k];
        }

        struct judge       *j;
        struct judge_result result = judge_history(&h, &j);
        int64_t             instants[TINY_MAX];
        struct ways         ways = {0};
        try_instants(lines, instants, 0, h.count, &ways);
        CHECK_SAYS(result.certain == 0 || ways.broken == ways.all,
                   "history %llu is accused, but %llu of %llu ways keep the promise",
                   (unsigned long long)seed, (unsigned long long)(ways.all - ways.broken),
                   (unsigned long long)ways.all);
        CHECK_SAYS((result.certain > 0 || result.possible > 0) == (ways.broken > 0),
                   "history %llu: %llu certain, %llu possible, but %llu of %llu ways break it",
                   (unsigned long long)seed, (unsigned long long)result.certain,
                   (unsigned long long)result.possible, (unsigned long long)ways.broken,
                   (unsigned long long)ways.all);
        if (length_max == 0)
            CHECK_SAYS((result.certain > 0) == (ways.broken == ways.all),
                       "history %llu of instants is not decided exactly", (unsigned long long)seed);
        accused += result.certain > 0;
        open += result.certain == 0 && ways.broken > 0;
        fine += ways.broken == 0;
        judge_free(j);
    }
    CHECK_GT(accused, 0);
    CHECK_GT(open, 0);
    CHECK_GT(fine, 0);
}

/* ---- memory ---- */

static struct judge *judge_with(uint64_t memory_bytes, int64_t horizon_ns) {
    struct judge_options options = {
        .memory_bytes = memory_bytes, .horizon_ns = horizon_ns, .shown_max = 3, .secret = {1, 2}};
    struct judge *j = judge_new(&options);
    CHECK_NE((void *)j, NULL);
    return j;
}

static enum judge_outcome take_one(struct judge *j, uint64_t user, int64_t now_ns,
                                   int64_t window_ns) {
    char              name[32];
    int               bytes = snprintf(name, sizeof name, "user-%llu", (unsigned long long)user);
    struct judge_line line  = {.user        = {.data = name, .bytes = (size_t)bytes},
                               .host        = view_of(""),
                               .limit       = 1000000,
                               .cost        = 1,
                               .window_ns   = window_ns,
                               .sent_ns     = now_ns,
                               .received_ns = now_ns,
                               .allowed     = true};
    return judge_take(j, &line);
}

TEST(users_who_come_and_go_fit_into_little_memory_for_ever) {
    struct judge *j = judge_with(8 << 20, 10);
    for (int64_t i = 0; i < 1000000; i++) {
        CHECK_EQ(take_one(j, (uint64_t)i, i, 1000), JUDGE_TAKEN);
        if (i >= 10) judge_advance(j, i - 10);
    }
    judge_end(j);
    CHECK_EQ(judge_result(j).windows, 1000000);
    CHECK_LE(judge_result(j).memory_bytes, 8 << 20);
    judge_free(j);
}

TEST(one_busy_user_fits_into_little_memory_for_ever) {
    struct judge *j = judge_with(1 << 20, 10);
    for (int64_t i = 0; i < 1000000; i++) {
        CHECK_EQ(take_one(j, 1, i, 5000), JUDGE_TAKEN);
        if (i >= 10) judge_advance(j, i - 10);
    }
    judge_end(j);
    CHECK_EQ(judge_result(j).windows, 1000000);
    CHECK_EQ(judge_result(j).fullest_admitted, 5000);
    judge_free(j);
}

/* Three hundred stalled requests at any time, each as long as half a window: looking at all that they
 * overlap would take hours here, and the timeout would tell. */
TEST(long_intervals_do_not_make_the_judge_crawl) {
    struct judge     *j    = judge_with(1 << 28, 10);
    struct judge_line line = {
        .user = view_of("ann"), .host = view_of(""), .limit = 1 << 20, .cost = 1, .allowed = true};
    line.window_ns = 600000;
    for (int64_t i = 0; i < 400000; i++) {
        line.sent_ns     = i;
        line.received_ns = i % 1000 == 0 ? i + 300000 : i + i % 7;
        CHECK_EQ(judge_take(j, &line), JUDGE_TAKEN);
        if (i >= 10) judge_advance(j, i - 10);
    }
    judge_end(j);
    CHECK_EQ(judge_result(j).windows, 400000);
    CHECK_EQ(judge_result(j).fullest_admitted, 400000);
    judge_free(j);
}

TEST(too_little_memory_is_told_before_it_is_exceeded) {
    struct judge *j     = judge_with(4 << 20, 10);
    uint64_t      taken = 0;
    while (taken < 1000000 && take_one(j, taken, 5, 1000) == JUDGE_TAKEN) taken++;
    CHECK_LT(taken, 40000);
    CHECK_GT(taken, 8000);
    CHECK_EQ(take_one(j, taken, 5, 1000), JUDGE_NO_MEMORY);
    CHECK_LE(judge_result(j).memory_bytes, 4 << 20);
    CHECK_GE(judge_live_counters(j), taken);
    judge_free(j);
}

TEST(a_line_beyond_the_horizon_is_late_and_one_at_it_is_not) {
    struct judge *j = judge_with(1 << 20, 10);
    CHECK_EQ(take_one(j, 1, 100, 50), JUDGE_TAKEN);
    judge_advance(j, 90);
    CHECK_EQ(take_one(j, 1, 89, 50), JUDGE_LATE);
    CHECK_EQ(take_one(j, 1, 90, 50), JUDGE_TAKEN);
    judge_end(j);
    CHECK_EQ(judge_result(j).lines, 2);
    judge_free(j);
}

TEST(the_largest_times_windows_and_costs_do_not_overflow) {
    struct judge_options options = {.memory_bytes    = 1 << 20,
                                    .horizon_ns      = INT64_C(1) << 60,
                                    .has_clock_error = true,
                                    .clock_error_ns  = INT64_C(1) << 60,
                                    .shown_max       = 3};
    struct judge        *j       = judge_new(&options);
    struct judge_line    line    = {.user      = view_of(""),
                                    .host      = view_of("a"),
                                    .limit     = JUDGE_LIMIT_MAX,
                                    .cost      = JUDGE_LIMIT_MAX + 1,
                                    .window_ns = JUDGE_WINDOW_MAX,
                                    .allowed   = true};
    line.sent_ns = line.received_ns = 0;
    CHECK_EQ(judge_take(j, &line), JUDGE_TAKEN);
    line.host        = view_of("b");
    line.received_ns = JUDGE_TIME_MAX;
    CHECK_EQ(judge_take(j, &line), JUDGE_TAKEN);
    line.sent_ns = line.received_ns = JUDGE_TIME_MAX;
    judge_advance(j, JUDGE_TIME_MAX - (INT64_C(1) << 60));
    CHECK_EQ(judge_take(j, &line), JUDGE_TAKEN);
    judge_end(j);
    CHECK_GE(judge_result(j).certain, 2);
    judge_free(j);
}

/* ---- lines ---- */

static const char *read_line(const char *text, struct judge_line *line) {
    static char scratch[JUDGE_LINE_SCRATCH_BYTES];
    return judge_line_read(view_of(text), scratch, line);
}

TEST(a_line_says_what_was_decided) {
    struct judge_line line;
    CHECK_EQ((void *)read_line(
                 "{\"user\":\"a\\u00e9\",\"limit\":3,\"window_ns\":1e9,\"cost\":2,\"allowed\":"
                 "true,\"sent_ns\":5,\"received_ns\":7,\"host\":\"h\\n\",\"more\":[{}]}",
                 &line),
             NULL);
    CHECK(view_equals(line.user, view_of("a\xc3\xa9")));
    CHECK(view_equals(line.host, view_of("h\n")));
    CHECK_EQ(line.limit, 3);
    CHECK_EQ(line.window_ns, 1000000000);
    CHECK_EQ(line.cost, 2);
    CHECK_EQ(line.sent_ns, 5);
    CHECK_EQ(line.received_ns, 7);
    CHECK(line.allowed);

    CHECK_EQ(
        (void *)read_line("{\"user_hex\":\"00ff\",\"limit\":0,\"window_ns\":1,\"allowed\":false,"
                          "\"sent_ns\":0,\"received_ns\":0}",
                          &line),
        NULL);
    CHECK_EQ(line.user.bytes, 2);
    CHECK_EQ(line.cost, 1);
    CHECK_EQ(line.host.bytes, 0);
}

TEST(what_is_wrong_with_a_line_is_said) {
#define REST ",\"limit\":3,\"window_ns\":9,\"allowed\":true,\"sent_ns\":5,\"received_ns\":7}"
    struct judge_line line;
    CHECK_STR_EQ(read_line("", &line), "it does not begin with { or [");
    CHECK_STR_EQ(read_line("[1]", &line), "it is not a JSON object");
    CHECK_STR_EQ(read_line("{\"user\":\"ann\"", &line), "it ends too early");
    CHECK_STR_EQ(read_line("{\"user\":3" REST, &line), "\"user\" is not a string");
    CHECK_STR_EQ(read_line("{\"x\":3" REST, &line), "\"user\" is missing");
    CHECK_STR_EQ(read_line("{\"user_hex\":\"0\"" REST, &line),
                 "\"user_hex\" is not a string of hexadecimal bytes");
    CHECK_STR_EQ(read_line("{\"user\":\"a\",\"cost\":-1" REST, &line),
                 "\"cost\" is not a whole number");
    CHECK_STR_EQ(read_line("{\"user\":\"a\",\"host\":null" REST, &line),
                 "\"host\" is not a string");
    CHECK_STR_EQ(
        read_line("{\"user\":\"a\",\"limit\":1,\"window_ns\":0,\"allowed\":true,\"sent_ns\":5,"
                  "\"received_ns\":7}",
                  &line),
        "\"window_ns\" is outside 1 to 2^61");
    CHECK_STR_EQ(
        read_line("{\"user\":\"a\",\"limit\":1099511627777,\"window_ns\":1,\"allowed\":true,"
                  "\"sent_ns\":5,\"received_ns\":7}",
                  &line),
        "\"limit\" is above 2^40");
    CHECK_STR_EQ(
        read_line("{\"user\":\"a\",\"limit\":1,\"window_ns\":1,\"allowed\":true,\"sent_ns\":8,"
                  "\"received_ns\":7}",
                  &line),
        "\"received_ns\" is before \"sent_ns\"");
    CHECK_STR_EQ(
        read_line("{\"user\":\"a\",\"limit\":1,\"window_ns\":1,\"allowed\":true,\"sent_ns\":-8,"
                  "\"received_ns\":7}",
                  &line),
        "\"sent_ns\" or \"received_ns\" is outside 0 to 2^62");
}
