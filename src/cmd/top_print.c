/* SPDX-License-Identifier: MIT */
#include "cmd/top_print.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/text.h"
#include "cmd/terminal.h"
#include "wire/json.h"

enum {
    DATE_BYTES_MAX  = 32,
    SIZE_BYTES_MAX  = 32,
    LINES_BESIDE    = 15, /* that are no processes */
    PROCESSES_SHOWN = 3,  /* at least, however low the terminal */
};

struct rates {
    double allowed, denied, refused; /* a second */
};

static void print_all(const struct top_watch *watch, const struct rates *rates,
                      const struct top_look *now, size_t processes_max);
static void print_processes(const struct top_look *now, size_t processes_max);

/* --- figures --------------------------------------------------------------------------------- */

/* What a process counted that goes away while it is looked at may be missing for a moment. */
static double rate_of(uint64_t before, uint64_t now, uint64_t passed_ns) {
    return now > before ? (double)(now - before) * 1e9 / (double)passed_ns : 0;
}

static struct rates rates_of(const struct top_look *before, const struct top_look *now) {
    uint64_t passed_ns = now->at_ns > before->at_ns ? now->at_ns - before->at_ns : 1;
    return (struct rates){
        .allowed = rate_of(before->statistics.allowed, now->statistics.allowed, passed_ns),
        .denied  = rate_of(before->statistics.denied, now->statistics.denied, passed_ns),
        .refused = rate_of(before->statistics.refused, now->statistics.refused, passed_ns),
    };
}

static const char *size_text(uint64_t bytes, char out[SIZE_BYTES_MAX]) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double                   size    = (double)bytes;
    unsigned                 unit    = 0;
    for (; size >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++) size /= 1024;
    (void)snprintf(out, SIZE_BYTES_MAX, "%.*f %s", unit == 0 || size >= 100 ? 0 : 1, size,
                   units[unit]);
    return out;
}

static const char *date_text(uint64_t wall_ns, char out[DATE_BYTES_MAX]) {
    time_t    seconds = (time_t)(wall_ns / (uint64_t)WEIR_SECOND);
    struct tm tm;
    if (localtime_r(&seconds, &tm) == NULL ||
        strftime(out, DATE_BYTES_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        (void)snprintf(out, DATE_BYTES_MAX, "unknown");
    return out;
}

static const char *duration_text(uint64_t from_ns, uint64_t to_ns,
                                 char out[TEXT_DURATION_BYTES_MAX]) {
    uint64_t       passed_ns = to_ns > from_ns ? to_ns - from_ns : 0;
    const uint64_t second_ns = (uint64_t)WEIR_SECOND;
    if (passed_ns > INT64_MAX) passed_ns = INT64_MAX;
    text_duration_write_short((int64_t)(passed_ns / second_ns * second_ns), out);
    return out;
}

/* A name that the kernel gave: any bytes, with NULs behind. */
static const char *name_text(const struct embedded_process *p, char out[TERMINAL_QUOTE_BYTES_MAX]) {
    size_t bytes = strnlen(p->facts.name, sizeof p->facts.name);
    return terminal_quote((struct view){.data = p->facts.name, .bytes = bytes}, out);
}

static const char *durability_text(uint32_t durability) {
    return durability == 0 ? "process" : "power";
}

/* --- text ------------------------------------------------------------------------------------ */

void top_print(const struct top_watch *watch, const struct top_look *before,
               const struct top_look *now) {
    struct rates rates = rates_of(before, now);
    print_all(watch, &rates, now, FORMAT_PROCESSES);
}

void top_draw(const struct top_watch *watch, const struct top_look *before,
              const struct top_look *now) {
    int          rows = terminal_rows() - LINES_BESIDE;
    struct rates rates;
    if (before != NULL) rates = rates_of(before, now);
    printf("\033[H\033[J");
    print_all(watch, before != NULL ? &rates : NULL, now,
              rows < PROCESSES_SHOWN ? PROCESSES_SHOWN : (size_t)rows);
    (void)fflush(stdout);
}

static void print_decisions(const struct rates *rates, const struct top_look *now) {
    char allowed[TERMINAL_COUNT_BYTES_MAX], denied[TERMINAL_COUNT_BYTES_MAX],
        refused[TERMINAL_COUNT_BYTES_MAX];
    const weir_statistics *s = &now->statistics;
    if (rates != NULL) {
        printf("a second     %s%s allowed%s, %s%s denied%s, %s refused\n",
               terminal_colour(TERMINAL_GREEN),
               terminal_count((uint64_t)(rates->allowed + 0.5), allowed),
               terminal_colour(TERMINAL_PLAIN), terminal_colour(TERMINAL_RED),
               terminal_count((uint64_t)(rates->denied + 0.5), denied),
               terminal_colour(TERMINAL_PLAIN),
               terminal_count((uint64_t)(rates->refused + 0.5), refused));
    } else {
        printf("a second     -\n");
    }
    printf("so far       %s allowed, %s denied, %s refused\n", terminal_count(s->allowed, allowed),
           terminal_count(s->denied, denied), terminal_count(s->refused, refused));
}

static void print_users(const struct top_look *now) {
    char held[TERMINAL_COUNT_BYTES_MAX], most[TERMINAL_COUNT_BYTES_MAX],
        other[TERMINAL_COUNT_BYTES_MAX];
    const weir_statistics *s = &now->statistics;
    printf("users        %s of %s held (%.3g %%), ", terminal_count(s->users, held),
           terminal_count(s->users_max, most), 100.0 * (double)s->users / (double)s->users_max);
    printf("%s forgotten\n", terminal_count(s->users_forgotten, other));
    printf("shared       %s decided on shared counters, for lack of room\n",
           terminal_count(s->overflowed, other));
}

static void print_file(const struct top_look *now) {
    char size[SIZE_BYTES_MAX], disk[SIZE_BYTES_MAX], most[SIZE_BYTES_MAX];
    char mended[TERMINAL_COUNT_BYTES_MAX], spoiled[TERMINAL_COUNT_BYTES_MAX];
    printf("file         %s, %s of it on the disk; at most %s\n", size_text(now->file_bytes, size),
           size_text(now->disk_bytes, disk), size_text(now->file_bytes_max, most));
    if (now->counts.is_stuck)
        printf(
            "disk         %sfull when the table wanted to grow: newcomers may share counters%s\n",
            terminal_colour(TERMINAL_YELLOW), terminal_colour(TERMINAL_PLAIN));
    else
        printf("disk         had room whenever the table wanted to grow\n");
    printf("mended       %s users whom killed processes were changing, %s whom the disk spoiled\n",
           terminal_count(now->counts.mended, mended),
           terminal_count(now->counts.damaged, spoiled));
}

static void print_clock(const struct top_look *now) {
    char date[DATE_BYTES_MAX], ppm[TERMINAL_COUNT_BYTES_MAX];
    printf("clock        ");
    if (now->era_is_of_this_boot)
        printf("goes");
    else
        printf("%sstands still since the machine was started%s, until somebody opens the file",
               terminal_colour(TERMINAL_YELLOW), terminal_colour(TERMINAL_PLAIN));
    printf("; last opened %s", date_text(now->era.wall_ns, date));
    if (now->rules.clock_error_ppm != 0)
        printf("; windows are longer by %s ppm", terminal_count(now->rules.clock_error_ppm, ppm));
    printf("\n");
}

static void print_all(const struct top_watch *watch, const struct rates *rates,
                      const struct top_look *now, size_t processes_max) {
    char quoted[TERMINAL_QUOTE_BYTES_MAX], date[DATE_BYTES_MAX];
    printf("%s%s%s\n", terminal_colour(TERMINAL_BOLD), terminal_quote(view_of(watch->path), quoted),
           terminal_colour(TERMINAL_PLAIN));
    printf("created      %s; durability: %s", date_text(now->rules.created_ns, date),
           durability_text(now->rules.durability));
    if (now->rules.durability != 0)
        printf(", but for %llu permits of a user", (unsigned long long)now->rules.unrecorded_max);
    printf("\n\n");
    print_decisions(rates, now);
    print_users(now);
    print_file(now);
    print_clock(now);
    print_processes(now, processes_max);
}

static void print_processes(const struct top_look *now, size_t processes_max) {
    printf("\nprocesses    %zu of %d%s\n", now->process_count, FORMAT_PROCESSES,
           now->process_count == 0 ? ": nobody has it open" : "");
    if (now->process_count == 0) return;
    printf("  %6s  %8s  %-16s %-10s %s\n", "number", "pid", "name", "open for", "state");
    for (size_t i = 0; i < now->process_count; i++) {
        const struct embedded_process *p = &now->processes[i];
        char name[TERMINAL_QUOTE_BYTES_MAX], open[TEXT_DURATION_BYTES_MAX];
        if (i + 1 >= processes_max && i + 1 < now->process_count) {
            printf("  and %zu more\n", now->process_count - i);
            return;
        }
        printf("  %6u  %8llu  %-16s %-10s %s%s%s\n", (unsigned)p->number,
               (unsigned long long)p->facts.id, name_text(p, name),
               duration_text(p->facts.opened_ns, now->wall_ns, open),
               terminal_colour(p->is_alive ? TERMINAL_GREEN : TERMINAL_RED),
               p->is_alive ? "alive" : "dead, not yet let go of", terminal_colour(TERMINAL_PLAIN));
    }
}

/* --- JSON ------------------------------------------------------------------------------------ */

static void json_number(struct json_writer *out, const char *name, uint64_t number) {
    json_write_name(out, name);
    json_write_u64(out, number);
}

static void json_flag(struct json_writer *out, const char *name, bool flag) {
    json_write_name(out, name);
    json_write_bool(out, flag);
}

static void json_rate(struct json_writer *out, const char *name, double rate) {
    json_write_name(out, name);
    json_write_real(out, rate, 1);
}

static void json_identity(struct json_writer *out, const char *name, const uint8_t id[16]) {
    static const char hex[] = "0123456789abcdef";
    char              text[33];
    for (size_t i = 0; i < 16; i++) {
        text[2 * i]     = hex[id[i] >> 4];
        text[2 * i + 1] = hex[id[i] & 15];
    }
    text[32] = '\0';
    json_write_name(out, name);
    json_write_text(out, view_of(text));
}

static void json_clock(struct json_writer *out, const struct top_look *now) {
    json_write_name(out, "clock");
    json_write_object(out);
    json_flag(out, "is_of_this_boot", now->era_is_of_this_boot);
    json_identity(out, "boot", now->era.boot);
    json_number(out, "table_now_ns", now->table_now_ns);
    json_number(out, "ahead_ns", now->era.ahead_ns);
    json_number(out, "last_opened_ns", now->era.wall_ns);
    json_number(out, "clock_error_ppm", now->rules.clock_error_ppm);
    json_write_object_end(out);
}

static void json_processes(struct json_writer *out, const struct top_look *now) {
    json_write_name(out, "processes");
    json_write_array(out);
    for (size_t i = 0; i < now->process_count; i++) {
        const struct embedded_process *p     = &now->processes[i];
        size_t                         bytes = strnlen(p->facts.name, sizeof p->facts.name);
        json_write_object(out);
        json_number(out, "number", p->number);
        json_number(out, "pid", p->facts.id);
        json_write_bytes(out, "name", (struct view){.data = p->facts.name, .bytes = bytes});
        json_number(out, "opened_ns", p->facts.opened_ns);
        json_flag(out, "is_alive", p->is_alive);
        json_write_object_end(out);
    }
    json_write_array_end(out);
}

void top_print_json(const struct top_watch *watch, const struct top_look *before,
                    const struct top_look *now) {
    char                   buffer[4096];
    struct json_writer     out;
    struct rates           rates = rates_of(before, now);
    const weir_statistics *s     = &now->statistics;
    json_write_begin(&out, buffer, sizeof buffer, terminal_json_sink, NULL);
    json_write_object(&out);
    json_write_bytes(&out, "file", view_of(watch->path));
    json_identity(&out, "identity", now->rules.identity);
    json_number(&out, "wall_ns", now->wall_ns);
    json_number(&out, "created_ns", now->rules.created_ns);
    json_write_name(&out, "durability");
    json_write_text(&out, view_of(durability_text(now->rules.durability)));
    json_number(&out, "unrecorded_max", now->rules.unrecorded_max);
    json_rate(&out, "allowed_per_s", rates.allowed);
    json_rate(&out, "denied_per_s", rates.denied);
    json_rate(&out, "refused_per_s", rates.refused);
    json_number(&out, "allowed", s->allowed);
    json_number(&out, "denied", s->denied);
    json_number(&out, "refused", s->refused);
    json_number(&out, "overflowed", s->overflowed);
    json_number(&out, "users", s->users);
    json_number(&out, "users_max", s->users_max);
    json_number(&out, "users_forgotten", s->users_forgotten);
    json_number(&out, "file_bytes", now->file_bytes);
    json_number(&out, "file_bytes_max", now->file_bytes_max);
    json_number(&out, "disk_bytes", now->disk_bytes);
    json_flag(&out, "disk_was_full", now->counts.is_stuck);
    json_number(&out, "mended", now->counts.mended);
    json_number(&out, "damaged", now->counts.damaged);
    json_clock(&out, now);
    json_processes(&out, now);
    json_write_object_end(&out);
    json_write_line_end(&out);
    json_write_end(&out);
}
