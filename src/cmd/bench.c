/* SPDX-License-Identifier: MIT
 *
 * bench: how fast is weir in this process, beside what a clock read and bare memory cost?
 *
 * Everything is measured in rounds: each round runs every row once, forwards and then backwards, so that
 * a row and its reference see the same machine, and a slow minute touches all rows alike. What is told
 * is the median of the rounds, with the least and the most beside it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cmd/args.h"
#include "cmd/bench_loop.h"
#include "cmd/bench_plan.h"
#include "cmd/bench_report.h"
#include "cmd/command.h"
#include "cmd/terminal.h"
#include "os/file.h"

enum { FOLDER_BYTES_MAX = 3000 };

struct bench_options {
    bool        json, quick;
    const char *only, *folder;
    uint64_t    users, threads, rounds, seed;
    int64_t     time_ns;
};

static int  bench_all(struct bench_plan *plan, struct bench_setting *setting,
                      const struct bench_options *o);
static bool bench_prepare(struct bench_plan *plan, const char *folder);
static bool bench_measure(struct bench_plan *plan, const struct bench_setting *setting,
                          uint64_t seed);
static void bench_clear(struct bench_plan *plan);

static bool options_read(struct bench_options *o, int count, char **words, int *code) {
    const struct args_option options[] = {
        {.name = "json", .kind = ARGS_FLAG, .into = &o->json, .text = "one JSON document"},
        {.name = "quick",
         .kind = ARGS_FLAG,
         .into = &o->quick,
         .text = "a look in seconds: 100,000 users, 3 short rounds"},
        {.name  = "only",
         .kind  = ARGS_TEXT,
         .value = "TEXT",
         .into  = &o->only,
         .text =
             "rows whose name holds this, or one of several parted by\ncommas, and what they stand beside"},
        {.name  = "users",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &o->users,
         .min   = 1024,
         .max   = BENCH_USERS_MAX,
         .text  = "how many users to ask about at random (default: 1,000,000\nand 10,000,000)"},
        {.name  = "threads",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &o->threads,
         .min   = 1,
         .max   = BENCH_THREADS_MAX,
         .text  = "most threads at once (default: as many as processors, at\nmost 2)"},
        {.name  = "time",
         .kind  = ARGS_DURATION,
         .value = "DURATION",
         .into  = &o->time_ns,
         .min   = 1000000,
         .max   = UINT64_C(600000000000),
         .text  = "for each row, all rounds together (default 1s)"},
        {.name  = "rounds",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &o->rounds,
         .min   = 1,
         .max   = BENCH_ROUNDS_MAX,
         .text  = "(default 7)"},
        {.name  = "files",
         .kind  = ARGS_TEXT,
         .value = "FOLDER",
         .into  = &o->folder,
         .text  = "measure file: in this folder, beside bare mapped files,\nand not memory:"},
        {.name  = "seed",
         .kind  = ARGS_NUMBER,
         .value = "N",
         .into  = &o->seed,
         .text  = "of the users drawn (default 1)"},
    };
    struct args args = {
        .verb  = "bench",
        .usage = "",
        .about =
            "Measures weir in this process and prints a table: CPU nanoseconds a decision, beside\n"
            "what the same run measured for a clock read and for touching memory at random.\n",
        .epilogue     = "A run with 10,000,000 users takes about five minutes and 5 GB.\n",
        .options      = options,
        .option_count = sizeof options / sizeof options[0],
    };
    return args_parse(&args, count, words, code);
}

int bench_main(int count, char **words) {
    long                 processors = sysconf(_SC_NPROCESSORS_ONLN);
    struct bench_options o          = {.threads = processors > 1 ? 2 : 1, .seed = 1};
    struct bench_setting setting;
    int                  code;

    /* Written down before options_read() puts them in another order. */
    bench_setting_command(&setting, count, words);
    if (!options_read(&o, count, words, &code)) return code;
    if (o.rounds == 0) o.rounds = o.quick ? 3 : 7;
    if (o.time_ns == 0) o.time_ns = o.quick ? 30 * WEIR_MILLISECOND : WEIR_SECOND;
    if (o.users == 0 && o.quick) o.users = 100000;
    setting.rounds      = (unsigned)o.rounds;
    setting.threads     = (unsigned)o.threads;
    setting.row_seconds = (double)o.time_ns / 1e9;

    struct bench_plan *plan = calloc(1, sizeof *plan);
    if (!plan) {
        terminal_complain("bench", "out of memory");
        return COMMAND_TROUBLE;
    }
    code = bench_all(plan, &setting, &o);
    bench_clear(plan);
    free(plan);
    return terminal_finish("bench", code);
}

static int bench_all(struct bench_plan *plan, struct bench_setting *setting,
                     const struct bench_options *o) {
    const uint64_t users[BENCH_POPULATIONS_MAX] = {o->users ? o->users : 1000000,
                                                   o->users ? 0 : 10000000};
    if (!bench_plan_make(plan, users, setting->threads, o->only)) {
        terminal_complain("bench", "no row's name holds '%s'; weir bench --quick shows their names",
                          o->only);
        return COMMAND_USAGE;
    }
    setting->load_average[0] = bench_load_average();
    bench_calibrate();
    bool is_done = bench_prepare(plan, o->folder) && bench_measure(plan, setting, o->seed);
    setting->load_average[1] = bench_load_average();
    terminal_progress_end();
    if (!is_done) return COMMAND_TROUBLE;
    if (o->json) {
        bench_report_json(plan, setting);
    } else {
        bench_report_table(plan, setting);
    }
    return COMMAND_DONE;
}

/* ---- worlds ---- */

enum { FILL_STEPS = 20 };

static weir_statistics statistics_of(weir *limiter) {
    weir_statistics s = {.size = sizeof s};
    if (weir_stats(limiter, &s) != WEIR_OK) s = (weir_statistics){0};
    return s;
}

static bool place_fill(struct bench_place *place) {
    struct bench_memory *m      = &place->memory;
    const uint64_t       users  = place->world.user_count;
    double               ns_sum = 0;
    uint64_t             done   = 0;
    for (uint64_t step = 1; step <= FILL_STEPS; step++) {
        uint64_t count = users * step / FILL_STEPS - done;
        double   ns    = bench_fill(&place->world, done, count);
        if (ns < 0) return false;
        ns_sum += ns * (double)count;
        done += count;
        uint64_t worst = done ? statistics_of(place->world.limiter).memory_bytes / done : 0;
        if (step >= FILL_STEPS / 10 && worst > m->worst_bytes) m->worst_bytes = worst;
    }
    m->fill_ns = ns_sum / (double)users;
    return true;
}

/* A name for a file of this run in the folder; nobody else has it while this process lives. */
static void file_name(const char *folder, const char *what, char name[FILE_PATH_BYTES_MAX]) {
    (void)snprintf(name, FILE_PATH_BYTES_MAX, "%.*s/weir-bench-%ld-%s", FOLDER_BYTES_MAX, folder,
                   (long)getpid(), what);
}

/* The file has no name any more once it is open, so that nothing is left behind. */
static weir *limiter_open(const char *folder, const weir_options *options, weir_error *error) {
    if (folder == NULL) return weir_open("memory:", options, error);
    char url[FILE_PATH_BYTES_MAX + 8] = "file:";
    file_name(folder, "limits.weir", url + strlen(url));
    weir *limiter = weir_open(url, options, error);
    (void)unlink(url + strlen("file:"));
    return limiter;
}

static bool place_open(struct bench_place *place, const char *folder) {
    weir_options options = WEIR_OPTIONS_DEFAULT;
    weir_error   error;
    uint64_t     before  = bench_resident_bytes();
    options.users_max    = place->users_max;
    place->world.limiter = limiter_open(folder, &options, &error);
    if (!place->world.limiter) {
        terminal_complain("bench", "%s", error.text);
        return false;
    }
    if (!place_fill(place)) {
        terminal_complain("bench", "out of memory");
        return false;
    }
    weir_statistics s            = statistics_of(place->world.limiter);
    place->memory.resident_bytes = bench_resident_bytes() - before;
    place->memory.table_bytes    = s.memory_bytes;
    place->memory.users_held     = s.users;
    place->memory.users_max      = s.users_max;
    place->memory.overflowed     = s.overflowed;
    return true;
}

static void *memory_open(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return NULL;
    madvise(memory, bytes, MADV_HUGEPAGE);
    return memory;
}

static void *memory_open_file(const char *folder, size_t bytes) {
    char  name[FILE_PATH_BYTES_MAX];
    int   fd;
    void *memory = NULL;
    file_name(folder, "bare", name);
    if (file_create_nameless(name, &fd) != 0) return NULL;
    if (file_reserve(fd, 0, bytes) != 0 || file_map(fd, bytes, true, &memory) != 0) memory = NULL;
    file_close(fd);
    return memory;
}

/* As large as the table, and on such pages as the table is, or the comparison would be with the
 * processor's address translation. */
static bool place_open_memory(struct bench_place *place, const char *folder) {
    size_t bytes  = (size_t)place->memory.table_bytes / 1024 * 1024;
    void  *memory = folder == NULL ? memory_open(bytes) : memory_open_file(folder, bytes);
    if (memory == NULL) {
        terminal_complain("bench", "%zu bytes of memory: %s", bytes, terminal_error_text(0));
        return false;
    }
    memset(memory, 0, bytes);
    place->world.memory       = memory;
    place->world.memory_bytes = bytes;
    return true;
}

static bool bench_prepare(struct bench_plan *plan, const char *folder) {
    for (unsigned i = 0; i < plan->place_count; i++) {
        struct bench_place *place = &plan->places[i];
        if (!place->is_wanted) continue;
        terminal_progress("filling: %s, %" PRIu64 " users", place->name, place->world.user_count);
        if (!place_open(place, folder)) return false;
        if (place->wants_memory && !place_open_memory(place, folder)) return false;
    }
    return true;
}

static void bench_clear(struct bench_plan *plan) {
    for (unsigned i = 0; i < plan->place_count; i++) {
        struct bench_world *world = &plan->places[i].world;
        weir_close(world->limiter);
        if (world->memory) munmap(world->memory, world->memory_bytes);
    }
}

/* ---- rounds ---- */

static void bench_round(struct bench_plan *plan, struct bench_crew *crew,
                        const struct bench_setting *setting, unsigned round, uint64_t seed) {
    for (unsigned step = 0; step < plan->row_count; step++) {
        unsigned          index = round % 2 == 0 ? step : plan->row_count - 1 - step;
        struct bench_row *row   = &plan->rows[index];
        if (!row->is_wanted) continue;
        terminal_progress("round %u of %u: %s", round + 1, setting->rounds, row->name);
        struct bench_time time = bench_run(crew, &row->load, setting->row_seconds / setting->rounds,
                                           seed + round * BENCH_ROWS_MAX + index);
        row->ns[round]         = time.ns;
        row->wall_ns[round]    = time.wall_ns;
        row->allowed += time.allowed / setting->rounds;
    }
}

static bool bench_measure(struct bench_plan *plan, const struct bench_setting *setting,
                          uint64_t seed) {
    struct bench_crew *crew = bench_crew_new(setting->threads);
    if (!crew) {
        terminal_complain("bench", "out of memory");
        return false;
    }
    for (unsigned round = 0; round < setting->rounds; round++) {
        bench_round(plan, crew, setting, round, seed);
    }
    bench_crew_free(crew);
    for (unsigned i = 0; i < plan->row_count; i++) {
        if (plan->rows[i].is_wanted) bench_row_settle(&plan->rows[i], setting->rounds);
    }
    return true;
}
