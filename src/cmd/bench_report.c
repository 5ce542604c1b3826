/* SPDX-License-Identifier: MIT */
#include "cmd/bench_report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cmd/terminal.h"
#include "wire/json.h"

/* ---- the machine ---- */

struct machine {
    char           cpu[128], clock[64], pages[64];
    long           cpu_count;
    struct utsname system;
};

/* The first line of a file, without its end; "" if there is none. */
static const char *line_read(const char *path, char *line, size_t room) {
    line[0]    = 0;
    FILE *file = fopen(path, "re");
    if (!file) return line;
    if (!fgets(line, (int)room, file)) line[0] = 0;
    fclose(file);
    line[strcspn(line, "\n")] = 0;
    return line;
}

static void cpu_read(char *name, size_t room) {
    char  line[256];
    FILE *file = fopen("/proc/cpuinfo", "re");
    snprintf(name, room, "unknown");
    while (file && fgets(line, sizeof line, file)) {
        char *colon = strstr(line, ": ");
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon[strcspn(colon, "\n")] = 0;
        snprintf(name, room, "%s", colon + 2);
        break;
    }
    if (file) fclose(file);
}

static struct machine machine_look(void) {
    struct machine m = {.cpu_count = sysconf(_SC_NPROCESSORS_ONLN)};
    cpu_read(m.cpu, sizeof m.cpu);
    line_read("/sys/devices/system/clocksource/clocksource0/current_clocksource", m.clock,
              sizeof m.clock);
    line_read("/sys/kernel/mm/transparent_hugepage/enabled", m.pages, sizeof m.pages);
    uname(&m.system);
    return m;
}

static const char compiler[] =
#if defined(__clang__)
    "clang " __clang_version__;
#else
    "gcc " __VERSION__;
#endif

/* What of the compiler's flags a program can know of itself. */
static const char build[] =
#if defined(__OPTIMIZE__)
    "optimised"
#else
    "NOT optimised"
#endif
#if defined(__SANITIZE_ADDRESS__)
    ", AddressSanitizer"
#endif
#if defined(__SANITIZE_THREAD__)
    ", ThreadSanitizer"
#endif
#if defined(__AVX512F__)
    ", x86-64-v4"
#elif defined(__AVX2__)
    ", x86-64-v3"
#elif defined(__SSE4_2__)
        ", x86-64-v2"
#endif
    ;

uint64_t bench_resident_bytes(void) {
    char     line[128];
    uint64_t pages;
    if (sscanf(line_read("/proc/self/statm", line, sizeof line), "%*u %" SCNu64, &pages) != 1)
        return 0;
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

double bench_load_average(void) {
    double average;
    return getloadavg(&average, 1) == 1 ? average : -1;
}

void bench_setting_command(struct bench_setting *setting, int word_count, char **words) {
    *setting    = (struct bench_setting){.command = "weir"};
    size_t used = strlen(setting->command);
    for (int i = 0; i < word_count && used < sizeof setting->command; i++) {
        used += (size_t)snprintf(setting->command + used, sizeof setting->command - used, " %s",
                                 words[i]);
    }
}

/* ---- figures of a row ---- */

struct figures {
    double median, least, most, wall, ratio, over;
};

static struct figures figures_of(const struct bench_plan *plan, const struct bench_row *row,
                                 unsigned rounds) {
    struct figures f = {.median = bench_row_median(row->ns, rounds),
                        .least  = row->ns[0],
                        .most   = row->ns[rounds - 1],
                        .wall   = bench_row_median(row->wall_ns, rounds)};
    if (row->reference == BENCH_NO_REFERENCE) return f;
    double reference = bench_row_median(plan->rows[row->reference].ns, rounds);
    f.ratio          = f.median / reference;
    f.over           = f.median - reference;
    return f;
}

static bool decides(const struct bench_row *row) { return row->load.call >= BENCH_ALLOW; }

/* Per user, of what the population's limiter holds. */
static double per_user(uint64_t bytes, const struct bench_place *place) {
    return (double)bytes / (double)place->world.user_count;
}

/* ---- for people ---- */

static void table_row(const struct bench_plan *plan, const struct bench_row *row, unsigned rounds) {
    struct figures f = figures_of(plan, row, rounds);
    printf("%-32s %9.2f %9.2f %9.2f %9.2f", row->name, f.median, f.least, f.most, 1000 / f.median);
    if (decides(row)) {
        printf("  %5.1f %%", row->allowed * 100);
    } else {
        printf("         ");
    }
    if (row->reference == BENCH_NO_REFERENCE) {
        puts("");
    } else if (row->load.threads > 1) {
        printf("  %5.2f times the rate of %s\n", 1 / f.ratio, plan->rows[row->reference].name);
    } else {
        printf("  %5.2f x %s, %+.1f ns\n", f.ratio, plan->rows[row->reference].name, f.over);
    }
}

static void table_memory(const struct bench_plan *plan) {
    bool is_first = true;
    for (unsigned i = 0; i < plan->place_count; i++) {
        const struct bench_place  *place = &plan->places[i];
        const struct bench_memory *m     = &place->memory;
        if (!place->is_wanted || !place->is_population) continue;
        if (is_first)
            printf("\n%-28s %11s  %8s  %8s  %8s  %12s  %10s\n", "memory", "users", "resident",
                   "table", "worst", "ns to fill", "overflowed");
        is_first = false;
        printf("%-28s %11" PRIu64 "  %6.1f B  %6.1f B  %6.1f B  %12.1f  %10" PRIu64 "\n",
               place->name, m->users_held, per_user(m->resident_bytes, place),
               per_user(m->table_bytes, place), (double)m->worst_bytes, m->fill_ns, m->overflowed);
    }
}

void bench_report_table(const struct bench_plan *plan, const struct bench_setting *setting) {
    struct machine m = machine_look();
    printf("%s, %ld processors, %s %s, clock source %s, huge pages %s\n", m.cpu, m.cpu_count,
           m.system.sysname, m.system.release, m.clock, m.pages);
    printf("weir %s, %s, %s\n", weir_version(), compiler, build);
    printf("%u rounds in turn; CPU nanoseconds a call; load average %.2f before, %.2f after\n",
           setting->rounds, setting->load_average[0], setting->load_average[1]);

    const char *bold = terminal_colour(TERMINAL_BOLD), *plain = terminal_colour(TERMINAL_PLAIN);
    printf("\n%s%-32s %9s %9s %9s %9s  %7s  %s%s\n", bold, "", "median", "least", "most", "M/s",
           "allowed", "beside", plain);
    char group[BENCH_NAME_BYTES_MAX] = "";
    for (unsigned i = 0; i < plan->row_count; i++) {
        const struct bench_row *row = &plan->rows[i];
        if (!row->is_wanted) continue;
        size_t head = strcspn(row->name, "/");
        if (strncmp(group, row->name, head) != 0 && row->reference != BENCH_NO_REFERENCE) puts("");
        snprintf(group, sizeof group, "%.*s", (int)head, row->name);
        table_row(plan, row, setting->rounds);
    }
    table_memory(plan);
}

/* ---- for programs ---- */

static void put_text(struct json_writer *w, const char *name, const char *text) {
    json_write_name(w, name);
    json_write_text(w, view_of(text));
}
static void put_u64(struct json_writer *w, const char *name, uint64_t number) {
    json_write_name(w, name);
    json_write_u64(w, number);
}
static void put_real(struct json_writer *w, const char *name, double number) {
    json_write_name(w, name);
    json_write_real(w, number, 3);
}

static void json_machine(struct json_writer *w, const struct bench_setting *setting) {
    struct machine m = machine_look();
    json_write_name(w, "machine");
    json_write_object(w);
    put_text(w, "cpu", m.cpu);
    put_u64(w, "processors", (uint64_t)m.cpu_count);
    put_text(w, "kernel", m.system.release);
    put_text(w, "architecture", m.system.machine);
    put_text(w, "clock_source", m.clock);
    put_text(w, "huge_pages", m.pages);
    put_text(w, "compiler", compiler);
    put_text(w, "build", build);
    put_real(w, "load_average_before", setting->load_average[0]);
    put_real(w, "load_average_after", setting->load_average[1]);
    json_write_object_end(w);
}

static void json_row(struct json_writer *w, const struct bench_plan *plan,
                     const struct bench_row *row, unsigned rounds) {
    struct figures f = figures_of(plan, row, rounds);
    json_write_object(w);
    put_text(w, "name", row->name);
    put_u64(w, "threads", row->load.threads);
    put_real(w, "median_ns", f.median);
    put_real(w, "min_ns", f.least);
    put_real(w, "max_ns", f.most);
    put_real(w, "wall_median_ns", f.wall);
    if (decides(row)) put_real(w, "allowed_share", row->allowed);
    if (row->reference != BENCH_NO_REFERENCE) {
        put_text(w, "reference", plan->rows[row->reference].name);
        put_real(w, "ratio", f.ratio);
        put_real(w, "over_reference_ns", f.over);
    }
    json_write_object_end(w);
}

static void json_memory(struct json_writer *w, const struct bench_place *place) {
    const struct bench_memory *m = &place->memory;
    json_write_object(w);
    put_text(w, "name", place->name);
    put_u64(w, "users", place->world.user_count);
    put_u64(w, "users_held", m->users_held);
    put_u64(w, "users_max", m->users_max);
    put_u64(w, "overflowed", m->overflowed);
    put_real(w, "resident_bytes_per_user", per_user(m->resident_bytes, place));
    put_real(w, "table_bytes_per_user", per_user(m->table_bytes, place));
    put_u64(w, "worst_table_bytes_per_user", m->worst_bytes);
    put_real(w, "fill_ns_per_user", m->fill_ns);
    json_write_object_end(w);
}

void bench_report_json(const struct bench_plan *plan, const struct bench_setting *setting) {
    char               buffer[8192];
    struct json_writer w;
    json_write_begin(&w, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&w);
    put_text(&w, "bench", "weir in process");
    put_text(&w, "version", weir_version());
    json_write_bytes(&w, "command", view_of(setting->command));
    json_machine(&w, setting);
    put_u64(&w, "rounds", setting->rounds);
    put_u64(&w, "threads", setting->threads);
    put_real(&w, "row_seconds", setting->row_seconds);
    json_write_name(&w, "rows");
    json_write_array(&w);
    for (unsigned i = 0; i < plan->row_count; i++) {
        if (plan->rows[i].is_wanted) json_row(&w, plan, &plan->rows[i], setting->rounds);
    }
    json_write_array_end(&w);
    json_write_name(&w, "memory");
    json_write_array(&w);
    for (unsigned i = 0; i < plan->place_count; i++) {
        if (plan->places[i].is_wanted && plan->places[i].is_population)
            json_memory(&w, &plan->places[i]);
    }
    json_write_array_end(&w);
    json_write_object_end(&w);
    json_write_line_end(&w);
    (void)json_write_end(&w); /* terminal_finish() says what went wrong */
}
