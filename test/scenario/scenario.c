/* SPDX-License-Identifier: MIT
 *
 * scenario: plays the *.scenario texts of this folder on the limiter, in virtual time, and compares
 * each answer. A text is lines like these; # begins a comment:
 *
 *     users 100                                    the table's size; 1000 if it is not said
 *     clock error 1000ppm                          0 if it is not said
 *     rule  3 per 10s                              what `ask` means from here on
 *     rule  3 per 10s gcra burst 5                 or: fixed
 *     rule  day = 1000 per 1d                      a rule with a name
 *     at 10.001s ask ann -> allowed, 2 left
 *     at 11s  ask ann cost 2 under day -> denied, try again in 8s
 *     at 11s  ask ann and org under day -> allowed, 1 left; denied, try again in 8s
 *     at 11s  look ann -> allowed, 2 left          counts nothing
 *     at 11s  reset ann
 *     fill 100 at 1s                               so many users ask once under the present rule
 *
 * Times count from 1000 s on the limiter's clock, and need not be in order. An answer is one of
 *
 *     allowed, N left        denied, try again in T       denied for ever       refused: TEXT
 *
 * and `, shared` at its end if it came from a counter shared with others, and `, all back in T` if the
 * text asks for that. The program takes files by the environment variable SCENARIO, to play one that
 * is not in this folder, and then shows the answers in place. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "limiter/limiter.h"
#include "support/check.h"

enum {
    LINE_BYTES  = 1024,
    RULES_MAX   = 16,
    ASKS_MAX    = 8,
    WORDS_MAX   = 64,
    TIME_BYTES  = 32,
    USERS_COUNT = 1000,
};

static const uint64_t epoch_ns = UINT64_C(1000) * 1000000000;

struct named_rule {
    char         name[32];
    weir_request request;
};

struct scenario {
    const char       *path;
    int               line;
    struct limiter   *limiter;
    uint64_t          users_max, clock_error_ppm;
    struct named_rule rule[RULES_MAX];
    size_t            rule_count;
    size_t            present; /* the rule that `ask` means */
    bool              shows;   /* print answers instead of comparing them */
    size_t            asked, wrong;
};

static void scenario_refuse(const struct scenario *s, const char *what, const char *word)
    __attribute__((noreturn));
static void scenario_refuse(const struct scenario *s, const char *what, const char *word) {
    fprintf(stderr, "%s:%d: %s: %s\n", s->path, s->line, what, word == NULL ? "(nothing)" : word);
    CHECK_SAYS(false, "%s:%d cannot be read", s->path, s->line);
    abort();
}

/* ---- words ---- */

static const struct {
    const char *unit;
    uint64_t    ns;
} units[] = {{"ns", 1},          {"us", 1000},         {"ms", 1000000},      {"s", 1000000000},
             {"m", 60000000000}, {"h", 3600000000000}, {"d", 86400000000000}};

/* 10.001s */
static uint64_t time_parse(const struct scenario *s, const char *word) {
    if (word == NULL) scenario_refuse(s, "a time is missing", word);
    uint64_t    whole = 0, fraction = 0, scale = 1;
    const char *p = word;
    for (; *p >= '0' && *p <= '9'; p++) whole = 10 * whole + (uint64_t)(*p - '0');
    if (*p == '.') {
        for (p++; *p >= '0' && *p <= '9'; p++, scale *= 10)
            fraction = 10 * fraction + (uint64_t)(*p - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (strcmp(p, units[i].unit) != 0 || p == word) continue;
        if (units[i].ns * fraction % scale != 0)
            scenario_refuse(s, "finer than a nanosecond", word);
        return whole * units[i].ns + units[i].ns * fraction / scale;
    }
    scenario_refuse(s, "not a time", word);
}

/* The largest unit in which the time has at most nine decimals: exact, and as people write. */
static const char *time_write(uint64_t time_ns, char *out) {
    static const size_t show[] = {6, 5, 4, 3, 2, 1, 0};
    for (size_t k = 0; k < sizeof show / sizeof *show; k++) {
        uint64_t unit_ns = units[show[k]].ns;
        if (time_ns < unit_ns && unit_ns > 1) continue;
        if (show[k] > 3 && time_ns % unit_ns != 0) continue; /* no decimals of minutes and more */
        int      used = snprintf(out, TIME_BYTES, "%" PRIu64, time_ns / unit_ns);
        uint64_t rest = time_ns % unit_ns;
        if (rest > 0) {
            used += snprintf(out + used, TIME_BYTES - (size_t)used, ".");
            for (uint64_t place = unit_ns / 10; rest > 0; place /= 10) {
                used += snprintf(out + used, TIME_BYTES - (size_t)used, "%" PRIu64, rest / place);
                rest %= place;
            }
        }
        snprintf(out + used, TIME_BYTES - (size_t)used, "%s", units[show[k]].unit);
        return out;
    }
    snprintf(out, TIME_BYTES, "0s");
    return out;
}

static uint64_t number_parse(const struct scenario *s, const char *word) {
    char *end = NULL;
    if (word == NULL || *word < '0' || *word > '9') scenario_refuse(s, "not a number", word);
    uint64_t number = strtoull(word, &end, 10);
    if (*end != 0) scenario_refuse(s, "not a number", word);
    return number;
}

/* Ends each word with a NUL, in place; the list ends with NULL. */
static size_t words_split(char *text, char **words) {
    static const char blanks[] = " \t\n";
    size_t            count    = 0;
    for (char *at = text + strspn(text, blanks); *at != 0 && count < WORDS_MAX - 1;) {
        words[count++] = at;
        at += strcspn(at, blanks);
        if (*at != 0) *at++ = 0;
        at += strspn(at, blanks);
    }
    words[count] = NULL;
    return count;
}

static bool word_is(const char *word, const char *expected) {
    return word != NULL && strcmp(word, expected) == 0;
}

/* ---- lines ---- */

static void scenario_open(struct scenario *s) {
    if (s->limiter != NULL) return;
    struct limiter_options options = {.users_max       = s->users_max,
                                      .clock_error_ppm = s->clock_error_ppm,
                                      .secret          = "a fixed secret"};
    s->limiter                     = limiter_new(&options);
    CHECK_NE(s->limiter, NULL);
}

static void rule_read(struct scenario *s, char **w) {
    struct named_rule rule = {.name = ""};
    if (word_is(w[1], "=")) {
        snprintf(rule.name, sizeof rule.name, "%s", w[0]);
        w += 2;
    }
    rule.request.limit = number_parse(s, w[0]);
    if (!word_is(w[1], "per")) scenario_refuse(s, "`per` is missing", w[1]);
    rule.request.window_ns = (int64_t)time_parse(s, w[2]);
    for (w += 3; *w != NULL; w++) {
        if (word_is(*w, "fixed")) {
            rule.request.algorithm = WEIR_FIXED;
        } else if (word_is(*w, "gcra")) {
            rule.request.algorithm = WEIR_GCRA;
        } else if (word_is(*w, "burst")) {
            rule.request.burst = number_parse(s, *++w);
        } else {
            scenario_refuse(s, "not part of a rule", *w);
        }
    }
    size_t at = 0;
    while (at < s->rule_count && strcmp(s->rule[at].name, rule.name) != 0) at++;
    if (at == RULES_MAX) scenario_refuse(s, "too many rules", rule.name);
    if (at == s->rule_count) s->rule_count++;
    s->rule[at] = rule;
    if (rule.name[0] == 0) s->present = at;
}

static weir_request request_of(struct scenario *s, const char *rule_name, const char *user) {
    size_t at = s->present;
    if (rule_name != NULL) {
        for (at = 0; at < s->rule_count && strcmp(s->rule[at].name, rule_name) != 0;) at++;
    }
    if (at >= s->rule_count) scenario_refuse(s, "no such rule", rule_name);
    weir_request r = s->rule[at].request;
    if (word_is(user, "\"\"")) user = "";
    r.user       = user;
    r.user_bytes = strlen(user);
    r.cost       = 1;
    return r;
}

/* ann cost 2 under day and org -> one request for each user. */
static size_t requests_read(struct scenario *s, char **w, weir_request *r, bool looks) {
    size_t count = 0;
    while (*w != NULL) {
        const char *user = *w++, *rule_name = NULL;
        uint64_t    cost = looks ? 0 : 1;
        while (*w != NULL && strcmp(*w, "and") != 0) {
            if (word_is(*w, "cost")) {
                cost = number_parse(s, w[1]);
            } else if (word_is(*w, "under") && w[1] != NULL) {
                rule_name = w[1];
            } else {
                scenario_refuse(s, "not part of a question", *w);
            }
            w += 2;
        }
        if (*w != NULL) w++;
        if (count == ASKS_MAX) scenario_refuse(s, "too many users", user);
        r[count]        = request_of(s, rule_name, user);
        r[count++].cost = cost;
    }
    if (count == 0) scenario_refuse(s, "nobody asks", NULL);
    return count;
}

static void answer_write(char *out, size_t out_bytes, const weir_decision *d, bool tells_reset) {
    char time[TIME_BYTES];
    if (d->status != WEIR_OK) {
        snprintf(out, out_bytes, "refused: %s", weir_status_text((weir_status)d->status));
        return;
    }
    if (d->allowed) {
        snprintf(out, out_bytes, "allowed, %" PRIu64 " left", d->remaining);
    } else if (d->retry_after_ns == WEIR_NEVER) {
        snprintf(out, out_bytes, "denied for ever");
    } else {
        snprintf(out, out_bytes, "denied, try again in %s",
                 time_write((uint64_t)d->retry_after_ns, time));
    }
    size_t used = strlen(out);
    if (tells_reset) {
        snprintf(out + used, out_bytes - used, ", all back in %s",
                 time_write((uint64_t)d->reset_after_ns, time));
        used = strlen(out);
    }
    if (d->how == WEIR_HOW_OVERFLOW) snprintf(out + used, out_bytes - used, ", shared");
}

/* The texts of status live in api; the limiter is tested without it. */
const char *weir_status_text(weir_status status) {
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                             \
    case name: return text;
        WEIR_STATUS_TABLE(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

static void ask_play(struct scenario *s, char **w, uint64_t now_ns, bool looks,
                     const char *expected) {
    weir_request  r[ASKS_MAX];
    weir_decision d[ASKS_MAX];
    char          answer[LINE_BYTES] = "";
    size_t        count              = requests_read(s, w, r, looks);
    scenario_open(s);
    if (count == 1) {
        (void)!limiter_decide(s->limiter, r, now_ns, d);
    } else {
        (void)!limiter_decide_all(s->limiter, r, count, now_ns, d);
    }
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(answer);
        if (i > 0) used += (size_t)snprintf(answer + used, sizeof answer - used, "; ");
        answer_write(answer + used, sizeof answer - used, &d[i],
                     strstr(expected, "all back in") != NULL);
    }
    s->asked++;
    if (s->shows) {
        printf(" -> %s\n", answer);
    } else if (strcmp(answer, expected) != 0) {
        fprintf(stderr, "%s:%d:\n  - %s\n  + %s\n", s->path, s->line, expected, answer);
        s->wrong++;
    }
}

static void at_play(struct scenario *s, char **w, const char *expected) {
    uint64_t now_ns = epoch_ns + time_parse(s, w[0]);
    if (word_is(w[1], "ask") || word_is(w[1], "look")) {
        if (expected == NULL) scenario_refuse(s, "what is expected is missing", w[1]);
        ask_play(s, w + 2, now_ns, word_is(w[1], "look"), expected);
    } else if (word_is(w[1], "reset") && w[2] != NULL) {
        weir_request r = request_of(s, word_is(w[3], "under") ? w[4] : NULL, w[2]);
        scenario_open(s);
        CHECK_EQ(limiter_reset(s->limiter, &r, now_ns), WEIR_OK);
    } else {
        scenario_refuse(s, "not something to do", w[1]);
    }
}

static void fill_play(struct scenario *s, char **w) {
    uint64_t count  = number_parse(s, w[0]);
    uint64_t now_ns = epoch_ns + time_parse(s, word_is(w[1], "at") ? w[2] : NULL);
    scenario_open(s);
    for (uint64_t i = 0; i < count; i++) {
        char          name[32];
        weir_decision d;
        snprintf(name, sizeof name, "filler %" PRIu64, i);
        weir_request r = request_of(s, NULL, name);
        CHECK_EQ(limiter_decide(s->limiter, &r, now_ns, &d), WEIR_OK);
    }
}

static void line_play(struct scenario *s, char *line) {
    char *words[WORDS_MAX] = {NULL}, *expected = NULL;
    char *comment = strchr(line, '#');
    if (comment != NULL) *comment = 0;
    for (size_t end = strlen(line); end > 0 && strchr(" \t\n", line[end - 1]) != NULL;)
        line[--end] = 0;
    if (s->shows && line[0] != 0)
        printf("%.*s", (int)strcspn(line, ">") - (strchr(line, '>') != NULL ? 2 : 0), line);
    char *arrow = strstr(line, "->");
    if (arrow != NULL) {
        *arrow   = 0;
        expected = arrow + 2;
        while (*expected == ' ') expected++;
    }
    if (words_split(line, words) == 0) return;

    if (word_is(words[0], "at")) {
        at_play(s, words + 1, expected);
        return;
    }
    if (s->shows) printf("\n");
    if (word_is(words[0], "rule")) {
        rule_read(s, words + 1);
    } else if (word_is(words[0], "fill")) {
        fill_play(s, words + 1);
    } else if (word_is(words[0], "users") && s->limiter == NULL) {
        s->users_max = number_parse(s, words[1]);
    } else if (word_is(words[0], "clock") && word_is(words[1], "error") && words[2] != NULL &&
               s->limiter == NULL) {
        s->clock_error_ppm = strtoull(words[2], NULL, 10);
    } else {
        scenario_refuse(s, "not understood", words[0]);
    }
}

static void scenario_play(const char *path, bool shows) {
    struct scenario s    = {.path = path, .users_max = USERS_COUNT, .shows = shows};
    FILE           *file = fopen(path, "r");
    CHECK_SAYS(file != NULL, "%s cannot be read", path);
    char line[LINE_BYTES];
    while (fgets(line, sizeof line, file) != NULL) {
        s.line++;
        line_play(&s, line);
    }
    fclose(file);
    limiter_free(s.limiter);
    CHECK_SAYS(s.asked > 0, "%s asks nothing", path);
    CHECK_SAYS(s.wrong == 0, "%s: %zu of %zu answers differ", path, s.wrong, s.asked);
}

static int name_order(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

TEST(every_scenario_is_answered_as_it_says) {
    enum { SCENARIOS_MAX = 200 };
    const char *single = getenv("SCENARIO");
    if (single != NULL) {
        scenario_play(single, true);
        return;
    }
    DIR *folder = opendir(SCENARIO_FOLDER);
    CHECK_NE(folder, NULL);
    char  *paths[SCENARIOS_MAX];
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *dot = strrchr(entry->d_name, '.');
        if (dot == NULL || strcmp(dot, ".scenario") != 0) continue;
        CHECK_LT(count, SCENARIOS_MAX);
        CHECK_GT(asprintf(&paths[count], "%s/%s", SCENARIO_FOLDER, entry->d_name), 0);
        count++;
    }
    closedir(folder);
    qsort(paths, count, sizeof *paths, name_order);
    for (size_t i = 0; i < count; i++) {
        scenario_play(paths[i], false);
        free(paths[i]);
    }
    printf("%zu scenarios\n", count);
    CHECK_GE(count, 12);
}
