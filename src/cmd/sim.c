/* SPDX-License-Identifier: MIT
 *
 * sim: do leases keep the limit when machines, networks and stores fail? Plays seeds and shows verdicts. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "cmd/args.h"
#include "cmd/command.h"
#include "cmd/terminal.h"
#include "sim/run.h"
#include "wire/json.h"

static const char about[] =
    "Plays the leases of weir in a simulated world: nodes that crash, pause and fork, a network\n"
    "that loses, repeats, delays and cuts off, stores that fail over and forget, clocks that are\n"
    "wrong. Judges who see nothing but the real times of callers and admissions then say whether\n"
    "any window held more than the limit, whether permits were wasted, and whether all was well\n"
    "again when the faults had stopped. The same seed plays the same world bit by bit.\n"
    "\n"
    "Without --scenario each seed plays one of the scenarios that must keep the promise, in turn.\n"
    "Scenarios named broken-... break an assumption, and are played only when they are named.\n";

static const char epilogue[] =
    "examples:\n"
    "  weir sim --list\n"
    "  weir sim --seeds 1..1000\n"
    "  weir sim --scenario chaos --seed 7 --trace | less\n"
    "  weir sim --scenario broken-freeze --seeds 1..20      what a frozen machine can do\n"
    "\n"
    "exit codes: 0 all promises were kept; 1 a judge convicts; 2 wrong usage; 3 trouble.\n";

struct range {
    uint64_t first, last;
};

/* What the runs of one scenario came to. */
struct summary {
    uint64_t runs, convicted;
    uint64_t fullest_max, use_min, use_sum, repair_min, trips_max;
};

enum { SCENARIOS_MAX = 128, LINE_BYTES_MAX = 256 };

struct play {
    struct summary summaries[SCENARIOS_MAX];
    bool           has_trace;
    bool           is_quiet;
    bool           as_json;
    uint64_t       runs, convicted;
    uint64_t       last_hash;
};

static void print_list(void);
static bool range_parse(const char *text, struct range *range);
static bool play_one(struct play *p, const struct scenario *s, uint64_t seed);
static bool play_range(struct play *p, const struct scenario *s, struct range range);
static int  play_file(struct play *p, const char *path);
static void print_json(const struct scenario *s, uint64_t seed, const struct run_outcome *o);
static void print_summaries(const struct play *p);

int sim_main(int count, char **words) {
    const char *name = NULL, *seeds = NULL, *file = NULL;
    uint64_t    seed    = 1;
    bool        is_list = false;
    struct play play    = {0};

    const struct args_option options[] = {
        {.name   = "seed",
         .letter = 's',
         .kind   = ARGS_NUMBER,
         .value  = "N",
         .into   = &seed,
         .text   = "play this seed (default 1)"},
        {.name  = "seeds",
         .kind  = ARGS_TEXT,
         .value = "A..B",
         .into  = &seeds,
         .text  = "play all from A to B"},
        {.name  = "scenario",
         .kind  = ARGS_TEXT,
         .value = "NAME",
         .into  = &name,
         .text  = "in this world; --list names them"},
        {.name  = "from",
         .kind  = ARGS_TEXT,
         .value = "FILE",
         .into  = &file,
         .text  = "play what FILE says: lines of a scenario and a seed; # begins\na comment"},
        {.name   = "list",
         .letter = 'l',
         .kind   = ARGS_FLAG,
         .into   = &is_list,
         .text   = "the scenarios"},
        {.name = "trace",
         .kind = ARGS_FLAG,
         .into = &play.has_trace,
         .text = "print what happens: seconds, what, who, two numbers"},
        {.name   = "json",
         .letter = 'j',
         .kind   = ARGS_FLAG,
         .into   = &play.as_json,
         .text   = "print a JSON line for each run"},
        {.name   = "quiet",
         .letter = 'q',
         .kind   = ARGS_FLAG,
         .into   = &play.is_quiet,
         .text   = "print convictions only"},
    };
    struct args args = {.verb         = words[0],
                        .usage        = "",
                        .about        = about,
                        .epilogue     = epilogue,
                        .options      = options,
                        .option_count = sizeof options / sizeof options[0]};
    int         code;
    if (!args_parse(&args, count, words, &code)) return code;
    if (is_list) {
        print_list();
        return terminal_finish("sim", COMMAND_DONE);
    }

    const struct scenario *scenario = NULL;
    struct range           range    = {seed, seed};
    if (name != NULL && (scenario = scenario_find(name)) == NULL) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX];
        terminal_complain("sim", "no scenario is called '%s'; see weir sim --list",
                          terminal_quote(view_of(name), quoted));
        return COMMAND_USAGE;
    }
    if (seeds != NULL && !range_parse(seeds, &range)) return COMMAND_USAGE;

    code = COMMAND_DONE;
    if (file != NULL) {
        code = play_file(&play, file);
    } else if (!play_range(&play, scenario, range)) {
        code = COMMAND_TROUBLE;
    }
    if (code != COMMAND_DONE) return code;
    if (!play.is_quiet && !play.as_json) print_summaries(&play);
    return terminal_finish("sim", play.convicted > 0 ? COMMAND_DENIED : COMMAND_DONE);
}

static void print_list(void) {
    for (size_t i = 0; i < sim_scenario_count; i++) {
        const struct scenario *s = &sim_scenarios[i];
        printf("%-16s %s\n", s->name, s->about);
        if (s->broken_assumption != NULL)
            printf("%-16s may exceed the limit: %s\n", "", s->broken_assumption);
    }
}

static bool range_parse(const char *text, struct range *range) {
    const char *dots = strstr(text, "..");
    if (dots != NULL) {
        struct view first = {.data = text, .bytes = (size_t)(dots - text)};
        if (text_number_parse(first, &range->first) &&
            text_number_parse(view_of(dots + 2), &range->last) && range->first <= range->last &&
            range->last < UINT64_MAX)
            return true;
    }
    char quoted[TERMINAL_QUOTE_BYTES_MAX];
    terminal_complain("sim", "--seeds takes a range such as 1..100, not '%s'",
                      terminal_quote(view_of(text), quoted));
    return false;
}

/* --- playing --------------------------------------------------------------------------------- */

/* The scenario that a seed plays if none is named: one of those that must keep the promise. */
static const struct scenario *scenario_for(uint64_t seed) {
    size_t kept = 0;
    for (size_t i = 0; i < sim_scenario_count; i++)
        kept += sim_scenarios[i].broken_assumption == NULL;
    uint64_t at = seed % kept;
    for (size_t i = 0;; i++)
        if (sim_scenarios[i].broken_assumption == NULL && at-- == 0) return &sim_scenarios[i];
}

static bool play_range(struct play *p, const struct scenario *s, struct range range) {
    for (uint64_t seed = range.first; seed <= range.last; seed++) {
        terminal_progress("seed %" PRIu64 " of %" PRIu64 "..%" PRIu64 ", %" PRIu64 " convicted",
                          seed, range.first, range.last, p->convicted);
        if (!play_one(p, s != NULL ? s : scenario_for(seed), seed)) return false;
    }
    terminal_progress_end();
    return true;
}

static int play_file(struct play *p, const char *path) {
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        char quoted[TERMINAL_QUOTE_BYTES_MAX];
        terminal_complain("sim", "cannot read %s", terminal_quote(view_of(path), quoted));
        return COMMAND_TROUBLE;
    }
    char line[LINE_BYTES_MAX];
    int  code   = COMMAND_DONE;
    int  number = 0;
    while (code == COMMAND_DONE && fgets(line, sizeof line, in) != NULL) {
        char     name[64], rest;
        uint64_t seed;
        number++;
        line[strcspn(line, "#\n")] = '\0';
        if (line[strspn(line, " ")] == '\0') continue;
        const struct scenario *s = NULL;
        if (sscanf(line, "%63s %" SCNu64 " %c", name, &seed, &rest) == 2) s = scenario_find(name);
        if (s == NULL) {
            terminal_complain("sim", "line %d is not a scenario and a seed", number);
            code = COMMAND_USAGE;
        } else if (!play_one(p, s, seed)) {
            code = COMMAND_TROUBLE;
        }
    }
    fclose(in);
    return code;
}

static bool play_one(struct play *p, const struct scenario *s, uint64_t seed) {
    struct run_outcome o;
    if (!run_scenario(s, seed, p->has_trace ? stdout : NULL, &o)) {
        terminal_complain("sim", "no memory");
        return false;
    }
    const struct verdict *v   = &o.verdict;
    struct summary       *sum = &p->summaries[s - sim_scenarios];
    if (sum->runs == 0) *sum = (struct summary){.use_min = UINT64_MAX, .repair_min = UINT64_MAX};
    sum->runs++;
    sum->use_sum += v->use_permille;
    if (v->fullest > sum->fullest_max) sum->fullest_max = v->fullest;
    if (v->use_permille < sum->use_min) sum->use_min = v->use_permille;
    if (v->repair_permille < sum->repair_min) sum->repair_min = v->repair_permille;
    if (v->trips_permille > sum->trips_max) sum->trips_max = v->trips_permille;
    p->runs++;
    p->last_hash = o.trace_hash;
    sum->convicted += v->is_convicted;
    p->convicted += v->is_convicted;
    if (p->as_json) print_json(s, seed, &o);
    if (p->as_json || !v->is_convicted) return true;

    terminal_progress_end();
    printf("%sconvicted%s %s, seed %" PRIu64
           ": %s\n    repeat: weir sim --scenario %s --seed %" PRIu64 "\n",
           terminal_colour(TERMINAL_RED), terminal_colour(TERMINAL_PLAIN), s->name, seed, v->reason,
           s->name, seed);
    fflush(stdout); /* long runs are cut short, and what was found is not to be lost */
    return true;
}

/* --- what came of it ------------------------------------------------------------------------- */

static void json_number(struct json_writer *out, const char *name, uint64_t number) {
    json_write_name(out, name);
    json_write_u64(out, number);
}

static void print_json(const struct scenario *s, uint64_t seed, const struct run_outcome *o) {
    const struct verdict *v = &o->verdict;
    char                  buffer[1024], hash[17];
    struct json_writer    out;
    snprintf(hash, sizeof hash, "%016" PRIx64, o->trace_hash);
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_write_bytes(&out, "scenario", view_of(s->name));
    json_number(&out, "seed", seed);
    json_write_name(&out, "convicted");
    json_write_bool(&out, v->is_convicted);
    if (v->is_convicted) json_write_bytes(&out, "reason", view_of(v->reason));
    json_number(&out, "limit", s->limit);
    json_number(&out, "hold_us", o->hold_us);
    json_number(&out, "loss_ppm", o->loss_ppm);
    json_number(&out, "fullest", v->fullest);
    json_number(&out, "admitted", v->admitted);
    if (o->callers > 0) {
        json_number(&out, "callers", o->callers);
        json_number(&out, "use_permille", v->use_permille);
        if (s->calm_ns > 0) json_number(&out, "repair_permille", v->repair_permille);
        json_number(&out, "trips_permille", v->trips_permille);
        json_number(&out, "wait_mean_us", o->wait_mean_us);
        json_number(&out, "wait_99_us", o->wait_99_us);
    }
    json_number(&out, "trips", o->trips);
    json_number(&out, "updates", o->updates);
    json_number(&out, "beats", o->beats);
    json_number(&out, "events", o->events);
    json_write_bytes(&out, "trace", view_of(hash));
    json_write_object_end(&out);
    json_write_line_end(&out);
    json_write_end(&out);
}

static void print_share(uint64_t permille, bool is_told) {
    if (is_told) {
        printf(" %6" PRIu64 ".%" PRIu64, permille / 10, permille % 10);
    } else {
        printf(" %8s", "-");
    }
}

static void print_summaries(const struct play *p) {
    printf("%-16s %6s %9s %11s %8s %8s %8s %8s\n", "scenario", "runs", "convicted", "fullest",
           "use %", "least", "repair %", "trips");
    for (size_t i = 0; i < sim_scenario_count; i++) {
        const struct scenario *s   = &sim_scenarios[i];
        const struct summary  *sum = &p->summaries[i];
        if (sum->runs == 0) continue;
        bool has_callers = s->traffic != TRAFFIC_GREEDY;
        printf("%-16s %6" PRIu64 " %9" PRIu64 " %5" PRIu64 "/%-5" PRIu64, s->name, sum->runs,
               sum->convicted, sum->fullest_max, s->limit);
        print_share(sum->use_sum / sum->runs, has_callers);
        print_share(sum->use_min, has_callers);
        print_share(sum->repair_min, has_callers && s->calm_ns > 0);
        if (has_callers)
            printf(" %5" PRIu64 ".%02" PRIu64, sum->trips_max / 1000, sum->trips_max % 1000 / 10);
        printf("\n");
    }
    if (p->runs == 1) printf("trace %016" PRIx64 "\n", p->last_hash);
    printf("%" PRIu64 " runs, %" PRIu64 " convicted\n", p->runs, p->convicted);
}
