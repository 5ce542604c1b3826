/* SPDX-License-Identifier: MIT
 *
 * compact: a file as small as its live users need.
 *
 * A table grows and never shrinks, and users_max is for life; so a new file is written beside the
 * old one and put in its place at once. While that goes on, the old one is locked as an opener locks
 * it: who opens it waits, and then finds the new one (embedded.c looks whether it was replaced).
 *
 *     1  the old file is opened by nobody else; dead processes are let go of
 *     2  a file without a name: users, rings, counts; the same secret, era and times; another identity
 *     3  all of it is on the disk
 *     4  it is named PATH.compacting, and renamed to PATH; the folder is on the disk
 *
 * Who is killed before the rename leaves the old file as it was, and at most the name
 * PATH.compacting, which the next one takes away. After it, the new one is there whole.
 *
 * clock_error_ppm may change only while nothing is remembered. A counter does not say how long its
 * window is, and with another length its cells would be read as being of another age. */
#include "store/embedded/compact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/text.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/processor.h"
#include "store/embedded/create.h"
#include "store/embedded/replace.h"

enum { NUMBER = 1 }; /* of the process that fills the new file */

static const char suffix[] = ".compacting";

struct compact {
    const struct compact_options *options;
    char                          path[FILE_PATH_BYTES_MAX];
    struct embedded              *old;
    struct format_rules           rules; /* of the new file */
    struct format_era             era;
    uint64_t                      now_ns;
    struct table_live             live;
    int                           fd; /* of the new file */
    uint64_t                      reserved_bytes;
};

/* --- what is wanted -------------------------------------------------------------------------- */

static bool compact_find(struct compact *c, const char *path, weir_error *error) {
    int why = file_resolve(path, c->path);
    if (why != 0)
        return embedded_fail(error, WEIR_STORE_FAILED, path, "%s",
                             file_error_is_missing(why) ? "there is no such file"
                                                        : file_error_text(why));
    return true;
}

static bool compact_open(struct compact *c, weir_error *error) {
    const struct embedded_options options = {.must_exist    = true,
                                             .is_reader     = c->options->is_dry_run,
                                             .is_alone      = true,
                                             .wall_error_ns = c->options->wall_error_ns};
    struct file_facts             facts;
    c->old = embedded_open(c->path, &options, error);
    if (c->old == NULL) return false;
    if (file_facts_of(c->path, &facts) == 0 && facts.name_count > 1)
        return embedded_fail(error, WEIR_STORE_FAILED, c->path,
                             "it has %llu names (hard links), and only one of them would get the "
                             "new file; remove the others",
                             (unsigned long long)facts.name_count);
    (void)embedded_clock(c->old, &c->era, &c->now_ns);
    c->live = table_live(embedded_table(c->old), c->now_ns);
    return true;
}

/* How long there will be something remembered. */
static const char *compact_wait(const struct compact *c, char text[TEXT_DURATION_BYTES_MAX]) {
    uint64_t wait_ns = c->live.until_ns > c->now_ns ? c->live.until_ns - c->now_ns : 0;
    text_duration_write_short(wait_ns < INT64_MAX ? (int64_t)wait_ns : INT64_MAX, text);
    return text;
}

static bool compact_choose(struct compact *c, weir_error *error) {
    const struct compact_options *o = c->options;
    char                          wait[TEXT_DURATION_BYTES_MAX];
    c->rules = *embedded_rules(c->old);
    if (o->users_max != COMPACT_AS_IT_IS) c->rules.users_max = o->users_max;
    if (o->clock_error_ppm != COMPACT_AS_IT_IS) c->rules.clock_error_ppm = o->clock_error_ppm;

    if (c->rules.users_max < c->live.users)
        return embedded_fail(
            error, WEIR_BAD_OPTIONS, c->path,
            "users_max cannot be %llu: it remembers %llu users; choose at least as "
            "many, or try again when some are forgotten",
            (unsigned long long)c->rules.users_max, (unsigned long long)c->live.users);
    if (table_bytes(c->rules.users_max, FORMAT_PROCESSES) == 0)
        return embedded_fail(error, WEIR_BAD_OPTIONS, c->path,
                             "users_max cannot be %llu; that is more than a table can hold",
                             (unsigned long long)c->rules.users_max);
    bool is_other = c->rules.clock_error_ppm != embedded_rules(c->old)->clock_error_ppm;
    if (is_other && (c->live.users > 0 || c->live.rings > 0))
        return embedded_fail(
            error, WEIR_BAD_OPTIONS, c->path,
            "clock_error_ppm can change only while nothing is remembered of anybody; "
            "try again in %s",
            compact_wait(c, wait));
    return true;
}

/* --- the new file ---------------------------------------------------------------------------- */

static bool compact_fail(const struct compact *c, const char *what, int why, weir_error *error) {
    uint64_t bytes = format_table_at(&c->rules) +
                     table_bytes_for(c->rules.users_max, FORMAT_PROCESSES, c->live.users);
    if (file_error_is_full(why))
        return embedded_fail(error, WEIR_STORE_FAILED, c->path,
                             "%s: %s; the new file needs up to %llu MiB beside the old one", what,
                             file_error_text(why), (unsigned long long)(bytes >> 20) + 1);
    return embedded_fail(error, WEIR_STORE_FAILED, c->path, "%s: %s", what, file_error_text(why));
}

static bool compact_reserve(void *context, uint64_t bytes) {
    struct compact *c    = context;
    uint64_t        have = c->reserved_bytes;
    if (bytes <= have) return true;
    if (file_reserve(c->fd, format_table_at(&c->rules) + have, bytes - have) != 0) return false;
    c->reserved_bytes = bytes;
    return true;
}

static void wait_for_nobody(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    processor_yield(turn);
}

/* Brings all into the table at `memory`; `handle` has room for a view of it. */
static bool compact_copy(struct compact *c, void *memory, void *handle,
                         struct compact_outcome *outcome, weir_error *error) {
    const struct table_options options = {.users_max = c->rules.users_max,
                                          .processes = FORMAT_PROCESSES,
                                          .process   = NUMBER,
                                          .wait      = wait_for_nobody,
                                          .reserve   = compact_reserve,
                                          .context   = c};
    struct table *to = table_attach(handle, (char *)memory + format_table_at(&c->rules), &options);
    INVARIANT(to != NULL);
    c->reserved_bytes = table_bytes_at_first(c->rules.users_max, FORMAT_PROCESSES);
    if (!table_make_room(to, c->live.users))
        return embedded_fail(
            error, WEIR_STORE_FAILED, c->path,
            "there is no room on its disk for the new file, of %llu MiB",
            (unsigned long long)(table_bytes_for(c->rules.users_max, FORMAT_PROCESSES,
                                                 c->live.users) >>
                                 20) +
                1);
    if (!table_copy(to, embedded_table(c->old), c->now_ns, c->options->progress,
                    c->options->context, &outcome->after.users))
        return embedded_fail(error, WEIR_STORE_FAILED, c->path,
                             "one of its users found no seat in the new file; choose a larger "
                             "users_max, or free some space on its disk");
    table_recover(to, NUMBER);
    return true;
}

static bool compact_fill(struct compact *c, struct compact_outcome *outcome, weir_error *error) {
    uint64_t bytes = format_table_at(&c->rules) + table_bytes(c->rules.users_max, FORMAT_PROCESSES);
    void    *handle = aligned_alloc(64, (table_handle_bytes() + 63) / 64 * 64), *memory;
    if (handle == NULL) return embedded_fail(error, WEIR_NO_MEMORY, c->path, "out of memory");

    bool is_done = false;
    int  why     = file_map(c->fd, bytes, true, &memory);
    if (why != 0) {
        compact_fail(c, "cannot map the new file", why, error);
    } else {
        embedded_copy_power(c->old, memory);
        is_done = compact_copy(c, memory, handle, outcome, error);
        file_unmap(memory, bytes);
    }
    free(handle);
    if (!is_done) return false;
    why = file_sync(c->fd);
    return why == 0 || compact_fail(c, "cannot write the new file", why, error);
}

/* --- its place ------------------------------------------------------------------------------- */

static bool compact_replace(struct compact *c, struct compact_outcome *outcome, weir_error *error) {
    struct file_facts facts;
    if (!entropy_fill(c->rules.identity, sizeof c->rules.identity))
        return embedded_fail(error, WEIR_UNSUPPORTED, c->path,
                             "the system gives no random bytes (getrandom failed)");
    c->era.is_clean = 1; /* it gets its name when the disk has all of it */
    if (!create_nameless(c->path, &c->rules, &c->era, &c->fd, error)) return false;

    int  why     = embedded_make_like(c->old, c->fd);
    bool is_done = why == 0 || compact_fail(c,
                                            "cannot give the new file the owner and mode of "
                                            "the old one",
                                            why, error);
    is_done      = is_done && compact_fill(c, outcome, error);
    is_done      = is_done && replace_file(c->path, suffix, c->fd, error);
    if (is_done && file_facts(c->fd, &facts) == 0) {
        outcome->after.file_bytes = facts.bytes;
        outcome->after.disk_bytes = facts.disk_bytes;
    }
    file_close(c->fd);
    return is_done;
}

/* --- all of it ------------------------------------------------------------------------------- */

static void compact_tell(const struct compact *c, struct compact_outcome *outcome) {
    uint64_t users = table_counts(embedded_table(c->old)).users;
    outcome->before =
        (struct compact_sizes){.file_bytes      = embedded_file_bytes(c->old),
                               .disk_bytes      = embedded_disk_bytes(c->old),
                               .users           = users,
                               .users_max       = embedded_rules(c->old)->users_max,
                               .clock_error_ppm = embedded_rules(c->old)->clock_error_ppm};
    outcome->after = (struct compact_sizes){
        .file_bytes = format_table_at(&c->rules) +
                      table_bytes_for(c->rules.users_max, FORMAT_PROCESSES, c->live.users),
        .users           = c->live.users,
        .users_max       = c->rules.users_max,
        .clock_error_ppm = c->rules.clock_error_ppm};
    outcome->users_miscounted = users > c->live.there ? users - c->live.there : 0;

    struct embedded_process processes[FORMAT_PROCESSES];
    size_t                  count = embedded_processes(c->old, processes, FORMAT_PROCESSES);
    outcome->process_count        = 0;
    for (size_t i = 0; i < count; i++) outcome->process_count += processes[i].is_alive;
}

bool compact_file(const char *path, const struct compact_options *options,
                  struct compact_outcome *outcome, weir_error *error) {
    struct compact c = {.options = options, .fd = -1};
    bool           is_done =
        compact_find(&c, path, error) && compact_open(&c, error) && compact_choose(&c, error);
    if (is_done) {
        compact_tell(&c, outcome);
        if (!options->is_dry_run) is_done = compact_replace(&c, outcome, error);
    }
    embedded_close(c.old);
    return is_done;
}
