/* SPDX-License-Identifier: MIT
 *
 * args: what did the caller type? See args.h. */
#include "cmd/args.h"

#include <stdio.h>
#include <string.h>

#include "base/contract.h"
#include "base/text.h"
#include "cmd/command.h"
#include "cmd/terminal.h"

enum {
    HELP_COLUMN    = 28, /* where the texts of options begin */
    NAME_BYTES_MAX = 63, /* longer words are no mistyped names */
    NAMES_MAX      = 64,
};

const char *const args_algorithms[] = {"strict", "gcra", "fixed", NULL};

static bool read_long(struct args *args, const char *word, char **words, int count, int *at);
static bool read_letters(struct args *args, const char *word, char **words, int count, int *at);
static bool store_value(const struct args *args, const struct args_option *option,
                        const char *label, const char *text);
static void complain_unknown(const struct args *args, const char *word, size_t name_bytes);
static bool check_operands(const struct args *args);
static void print_help(const struct args *args);
static bool bytes_parse(struct view text, uint64_t *bytes);

bool args_parse(struct args *args, int count, char **words, int *code) {
    REQUIRE(count >= 1);
    bool options_ended  = false;
    args->operands      = words + 1;
    args->operand_count = 0;

    for (int at = 1; at < count; at++) {
        char *word = words[at];
        if (options_ended || word[0] != '-' || word[1] == '\0') {
            args->operands[args->operand_count++] = word; /* never ahead of `at` */
            continue;
        }
        if (strcmp(word, "--") == 0) {
            options_ended = true;
            continue;
        }
        if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            print_help(args);
            *code = terminal_finish(args->verb, COMMAND_DONE);
            return false;
        }
        bool is_read = word[1] == '-' ? read_long(args, word, words, count, &at)
                                      : read_letters(args, word, words, count, &at);
        if (!is_read) {
            *code = COMMAND_USAGE;
            return false;
        }
    }
    if (!check_operands(args)) {
        *code = COMMAND_USAGE;
        return false;
    }
    return true;
}

/* --name, --name=value, --name value */
static bool read_long(struct args *args, const char *word, char **words, int count, int *at) {
    const char *equals     = strchr(word, '=');
    size_t      name_bytes = equals == NULL ? strlen(word) - 2 : (size_t)(equals - word) - 2;

    for (size_t i = 0; i < args->option_count; i++) {
        const struct args_option *option = &args->options[i];
        if (strlen(option->name) != name_bytes) continue;
        if (memcmp(option->name, word + 2, name_bytes) != 0) continue;

        char label[NAME_BYTES_MAX + 3];
        snprintf(label, sizeof label, "--%s", option->name);
        if (option->kind == ARGS_FLAG) {
            if (equals == NULL) return store_value(args, option, label, NULL);
            terminal_complain(args->verb, "%s takes no value; leave out '%s'", label, equals);
            return false;
        }
        if (equals != NULL) return store_value(args, option, label, equals + 1);
        if (*at + 1 == count) {
            terminal_complain(args->verb, "%s needs a value (%s); see weir %s --help", label,
                              option->kind == ARGS_CHOICE ? "one word" : option->value, args->verb);
            return false;
        }
        *at += 1;
        return store_value(args, option, label, words[*at]);
    }
    complain_unknown(args, word, name_bytes + 2);
    return false;
}

/* -q, -qj, -n5, -n 5 */
static bool read_letters(struct args *args, const char *word, char **words, int count, int *at) {
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct args_option *option = NULL;
        for (size_t i = 0; i < args->option_count && option == NULL; i++)
            if (args->options[i].letter == *letter) option = &args->options[i];
        if (option == NULL) {
            complain_unknown(args, word, strlen(word));
            return false;
        }

        char label[] = {'-', *letter, '\0'};
        if (option->kind == ARGS_FLAG) {
            if (!store_value(args, option, label, NULL)) return false;
            continue;
        }
        if (letter[1] != '\0') return store_value(args, option, label, letter + 1);
        if (*at + 1 == count) {
            terminal_complain(args->verb, "%s needs a value (%s); see weir %s --help", label,
                              option->kind == ARGS_CHOICE ? "one word" : option->value, args->verb);
            return false;
        }
        *at += 1;
        return store_value(args, option, label, words[*at]);
    }
    return true;
}

static bool store_value(const struct args *args, const struct args_option *option,
                        const char *label, const char *text) {
    char     quoted[TERMINAL_QUOTE_BYTES_MAX];
    uint64_t max = option->max != 0 ? option->max : UINT64_MAX;

    switch (option->kind) {
    case ARGS_FLAG: *(bool *)option->into = true; return true;
    case ARGS_TEXT: *(const char **)option->into = text; return true;
    case ARGS_NUMBER:
        return args_number_parse(args->verb, label, text, option->min, max, option->into);
    case ARGS_DURATION:
        if (max > INT64_MAX) max = INT64_MAX;
        return args_duration_parse(args->verb, label, text, (int64_t)option->min, (int64_t)max,
                                   option->into);
    case ARGS_RATE: return args_rate_parse(args->verb, label, text, option->into);
    case ARGS_BYTES:
        if (bytes_parse(view_of(text), option->into) && *(uint64_t *)option->into >= option->min &&
            *(uint64_t *)option->into <= max)
            return true;
        terminal_complain(args->verb,
                          "%s '%s' is not a size from %llu to %llu bytes; write it as 500M or 2G",
                          label, terminal_quote(view_of(text), quoted),
                          (unsigned long long)option->min, (unsigned long long)max);
        return false;
    case ARGS_CHOICE: {
        for (uint32_t i = 0; option->choices[i] != NULL; i++) {
            if (strcmp(option->choices[i], text) != 0) continue;
            *(uint32_t *)option->into = i;
            return true;
        }
        char   names[256] = "";
        size_t used       = 0;
        for (size_t i = 0; option->choices[i] != NULL && used < sizeof names; i++)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ", ",
                                     option->choices[i]);
        terminal_complain(args->verb, "%s '%s' is not one of: %s", label,
                          terminal_quote(view_of(text), quoted), names);
        return false;
    }
    case ARGS_LIST: {
        struct args_list *list = option->into;
        if (list->count == ARGS_LIST_MAX) {
            terminal_complain(args->verb, "%s is given more than %d times", label, ARGS_LIST_MAX);
            return false;
        }
        list->items[list->count++] = text;
        return true;
    }
    }
    __builtin_trap();
}

static void complain_unknown(const struct args *args, const char *word, size_t name_bytes) {
    const char *names[NAMES_MAX + 2];
    size_t      name_count = 0;
    REQUIRE(args->option_count <= NAMES_MAX);
    for (size_t i = 0; i < args->option_count; i++) names[name_count++] = args->options[i].name;
    names[name_count++] = "help";
    names[name_count]   = NULL;

    char        typed[NAME_BYTES_MAX + 1];
    const char *nearest = NULL;
    if (word[1] == '-' && name_bytes - 2 <= NAME_BYTES_MAX) {
        memcpy(typed, word + 2, name_bytes - 2);
        typed[name_bytes - 2] = '\0';
        nearest               = args_nearest(typed, names);
    }

    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    struct view shown = {.data = word, .bytes = name_bytes};
    if (nearest != NULL) {
        terminal_complain(args->verb, "unknown option '%s'; did you mean --%s?",
                          terminal_quote(shown, quoted), nearest);
    } else {
        terminal_complain(args->verb, "unknown option '%s'; see weir %s --help",
                          terminal_quote(shown, quoted), args->verb);
    }
}

static bool check_operands(const struct args *args) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    if (args->operand_count < args->operands_min) {
        terminal_complain(args->verb, "something is missing; usage: weir %s %s", args->verb,
                          args->usage);
        return false;
    }
    if (args->operand_count > args->operands_max) {
        terminal_complain(args->verb, "'%s' is one word too many; usage: weir %s %s",
                          terminal_quote(view_of(args->operands[args->operands_max]), quoted),
                          args->verb, args->usage);
        return false;
    }
    return true;
}

/* ---- values ---- */

bool args_rate_parse(const char *verb, const char *what, const char *text, struct args_rate *rate) {
    if (text_rate_parse(view_of(text), &rate->limit, &rate->window_ns)) return true;

    char        quoted[TERMINAL_QUOTE_BYTES_MAX];
    const char *slash = strchr(text, '/');
    terminal_quote(view_of(text), quoted);
    if (slash == NULL) {
        terminal_complain(verb, "%s '%s' has no slash; write a limit and a window, such as 100/1m",
                          what, quoted);
        return false;
    }

    uint64_t    limit;
    struct view limit_text = {.data = text, .bytes = (size_t)(slash - text)};
    if (text_number_parse(limit_text, &limit)) {
        terminal_complain(verb,
                          "%s '%s': the window is not a duration up to 292 years; "
                          "write it as 250us, 10ms, 1s, 5m, 2h or 1d",
                          what, quoted);
    } else {
        terminal_complain(verb,
                          "%s '%s': the limit is not a whole number up to 18446744073709551615; "
                          "write it as 100/1m",
                          what, quoted);
    }
    return false;
}

int args_status_complain(const char *verb, const char *what, const char *rate,
                         const weir_request *request, weir_status status) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_quote(view_of(rate), quoted);
    switch (status) {
    case WEIR_BAD_LIMIT:
    case WEIR_BAD_WINDOW:
        terminal_complain(verb, "%s '%s': %s", what, quoted, weir_status_text(status));
        return COMMAND_USAGE;
    case WEIR_BAD_BURST:
        if (request->algorithm != WEIR_GCRA) {
            terminal_complain(verb, "--burst %llu: only --algorithm gcra has a burst; leave it out",
                              (unsigned long long)request->burst);
        } else {
            terminal_complain(verb,
                              "--burst %llu with %s '%s' is too much: a burst ends at 2^40 permits "
                              "and at 100 years' worth of the rate",
                              (unsigned long long)request->burst, what, quoted);
        }
        return COMMAND_USAGE;
    case WEIR_BAD_USER:
        terminal_complain(verb, "USER has %zu bytes; 65536 are the most", request->user_bytes);
        return COMMAND_USAGE;
    default: terminal_complain(verb, "%s", weir_status_text(status)); return COMMAND_TROUBLE;
    }
}

bool args_number_parse(const char *verb, const char *what, const char *text, uint64_t min,
                       uint64_t max, uint64_t *number) {
    uint64_t parsed;
    if (text_number_parse(view_of(text), &parsed) && parsed >= min && parsed <= max) {
        *number = parsed;
        return true;
    }
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain(verb, "%s '%s' is not a whole number from %llu to %llu", what,
                      terminal_quote(view_of(text), quoted), (unsigned long long)min,
                      (unsigned long long)max);
    return false;
}

bool args_duration_parse(const char *verb, const char *what, const char *text, int64_t min_ns,
                         int64_t max_ns, int64_t *duration_ns) {
    char    quoted[TERMINAL_QUOTE_BYTES_MAX];
    int64_t parsed;
    if (!text_duration_parse(view_of(text), &parsed)) {
        terminal_complain(verb,
                          "%s '%s' is not a duration; write it as 250us, 10ms, 1s, 5m, 2h or 1d",
                          what, terminal_quote(view_of(text), quoted));
        return false;
    }
    if (parsed < min_ns || parsed > max_ns) {
        char low[TEXT_DURATION_BYTES_MAX], high[TEXT_DURATION_BYTES_MAX];
        text_duration_write(min_ns, low);
        text_duration_write_short(max_ns, high);
        terminal_complain(verb, "%s '%s' is outside %s to %s", what,
                          terminal_quote(view_of(text), quoted), low, high);
        return false;
    }
    *duration_ns = parsed;
    return true;
}

static bool bytes_parse(struct view text, uint64_t *bytes) {
    static const char units[] = "KMGT";
    unsigned          shift   = 0;
    if (text.bytes > 0) {
        const char *unit = memchr(units, text.data[text.bytes - 1], sizeof units - 1);
        if (unit != NULL) shift = 10 * (unsigned)(unit - units + 1);
    }
    if (shift > 0) text.bytes--;

    uint64_t number;
    if (!text_number_parse(text, &number) || number > UINT64_MAX >> shift) return false;
    *bytes = number << shift;
    return true;
}

/* ---- help ---- */

static void print_option(char letter, const char *name, const char *value, const char *text) {
    char head[128];
    char short_form[8] = "    ";
    if (letter != 0) snprintf(short_form, sizeof short_form, "-%c, ", letter);
    int used = snprintf(head, sizeof head, "  %s--%s%s%s", short_form, name,
                        value == NULL ? "" : " ", value == NULL ? "" : value);
    if (used >= HELP_COLUMN - 1) {
        printf("%s\n%*s", head, HELP_COLUMN, "");
    } else {
        printf("%-*s", HELP_COLUMN, head);
    }
    for (const char *line_end; (line_end = strchr(text, '\n')) != NULL; text = line_end + 1)
        printf("%.*s\n%*s", (int)(line_end - text), text, HELP_COLUMN, "");
    printf("%s\n", text);
}

static void print_help(const struct args *args) {
    printf("usage: weir %s %s%s%s\n\n%s\noptions:\n", args->verb, args->usage,
           args->usage[0] == '\0' ? "" : " ", "[options]", args->about);
    for (size_t i = 0; i < args->option_count; i++) {
        const struct args_option *option     = &args->options[i];
        char                      value[128] = "";
        size_t                    used       = 0;
        for (size_t c = 0; option->kind == ARGS_CHOICE && option->choices[c] != NULL; c++)
            used += (size_t)snprintf(value + used, sizeof value - used, "%s%s", c == 0 ? "" : "|",
                                     option->choices[c]);
        print_option(option->letter, option->name, used > 0 ? value : option->value, option->text);
    }
    print_option('h', "help", NULL, "this text");
    if (args->epilogue != NULL) printf("\n%s", args->epilogue);
}

/* ---- the nearest name ---- */

/* Letters to insert, drop, change or swap with their neighbour (optimal string alignment). */
static size_t distance(const char *a, const char *b) {
    size_t a_bytes = strlen(a), b_bytes = strlen(b);
    size_t rows[3][NAME_BYTES_MAX + 1];
    for (size_t j = 0; j <= b_bytes; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a_bytes; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above_two = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            size_t least = above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            if (above[j] + 1 < least) least = above[j] + 1;
            if (row[j - 1] + 1 < least) least = row[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                above_two[j - 2] + 1 < least)
                least = above_two[j - 2] + 1;
            row[j] = least;
        }
    }
    return rows[a_bytes % 3][b_bytes];
}

const char *args_nearest(const char *typed, const char *const *names) {
    const char *nearest = NULL;
    size_t      bytes   = strlen(typed);
    size_t      least = bytes <= 3 ? 2 : bytes <= 6 ? 3 : 4; /* as far as a slip may go, plus one */
    if (bytes > NAME_BYTES_MAX || bytes == 0) return NULL;
    for (; *names != NULL; names++) {
        if (strlen(*names) > NAME_BYTES_MAX) continue;
        size_t d = distance(typed, *names);
        if (bytes >= 3 && d > 1 && strncmp(typed, *names, bytes) == 0) d = 1; /* cut short */
        if (d >= least) continue;
        least   = d;
        nearest = *names;
    }
    return nearest;
}
