/* SPDX-License-Identifier: MIT
 *
 * embedded: one file, many processes, nothing forgotten.
 *
 * The table is the file: all processes map it, and what is in the mapping when a decision is answered is
 * in the system's page cache, where no kill -9 reaches it. So there is nothing to save at the end and
 * nothing to load at the start.
 *
 * A process that opens the file takes a number from 1 to 255, by a lock on the file that the system lets
 * go of when the process is gone. Locks inside the table carry the number; who waits for one a little
 * longer asks the system whether its holder is still there, and if not, buries it: undoes what it had
 * begun, frees what it had locked (table/recover.c), and goes on. That takes microseconds, and whoever
 * notices first does it.
 *
 * Space is reserved on the disk before the table grows into it, so that a full disk stops the growing
 * (newcomers then share rings) and never a write in the middle of a decision. */
#include "store/embedded/embedded.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "limit/request.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/guard.h"
#include "os/process.h"
#include "os/processor.h"
#include "store/embedded/create.h"
#include "store/embedded/powered.h"

enum {
    OPEN_TRIES_MAX        = 100,
    PATH_BYTES_SHOWN      = 120,
    TURNS_BEFORE_SCOURING = 4000, /* a fifth of a second and more */
    TURNS_BEFORE_ASKING   = 4,    /* whether the process waited for still lives */
    PROCESSES_NAMED       = 3,
    PROCESSES_TEXT_BYTES  = 128, /* of so many: a number, a name and what is around them */
};

#define HANDLE_BYTES ((table_handle_bytes() + 63) / 64 * 64)

struct embedded {
    int                 fd;
    char               *path;
    char               *memory; /* the file, mapped */
    uint64_t            memory_bytes;
    struct format_rules rules;
    uint64_t            clock_ahead_ns;
    struct table       *table; /* in `handle` */
    void               *handle;
    uint32_t            number; /* of this process; 0: a reader, or a child that has none yet */
    bool                is_reader;
    uint64_t
        reserved_bytes; /* of the table's memory, known to be on the disk; changed by who is busy */
    _Atomic uint32_t     busy; /* a thread takes a number, buries somebody, reserves, or lets go */
    struct file_identity identity; /* of the file, whatever becomes of the descriptor */
    struct powered      *powered;  /* NULL: durability process */
    _Atomic bool         has_failed;
    void (*failed)(void *context); /* whom to tell */
    void            *context;
    struct guard     guard;
    struct embedded *before;    /* closed with this */
    uint32_t         abandoned; /* the number that it had when it failed */
    _Atomic bool     is_child;  /* of a fork(), and has not rejoined */
};

static void embedded_resign(struct embedded *e);
static void embedded_release(struct embedded *e, uint32_t number);
static bool embedded_join(struct embedded *e, const struct embedded_options *options,
                          weir_error *error);

static bool fail_with(weir_error *error, weir_status status, const char *path, const char *format,
                      va_list arguments) {
    size_t length = strlen(path), cut = length > PATH_BYTES_SHOWN ? length - PATH_BYTES_SHOWN : 0;
    size_t used = (size_t)snprintf(error->text, sizeof error->text, "%s%s: ", cut > 0 ? "..." : "",
                                   path + cut);
    (void)vsnprintf(error->text + used, sizeof error->text - used, format, arguments);
    error->status = status;
    return false;
}

__attribute__((format(printf, 4, 5))) static bool fail(weir_error *error, weir_status status,
                                                       const char *path, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, status, path, format, arguments);
    va_end(arguments);
    return false;
}

bool embedded_fail(weir_error *error, weir_status status, const char *path, const char *format,
                   ...) {
    va_list arguments;
    va_start(arguments, format);
    fail_with(error, status, path, format, arguments);
    va_end(arguments);
    return false;
}

bool embedded_fail_at(weir_error *error, const char *path, const char *what, int why) {
    if (file_error_is_full(why))
        return fail(error, WEIR_STORE_FAILED, path,
                    "%s: %s; free some space on its disk, or put it elsewhere", what,
                    file_error_text(why));
    if (file_error_is_forbidden(why))
        return fail(error, WEIR_STORE_FAILED, path,
                    "%s: %s; it must be readable and writable for this user", what,
                    file_error_text(why));
    if (file_error_is_missing(why))
        return fail(error, WEIR_STORE_FAILED, path, "%s: its folder is not there; create it first",
                    what);
    return fail(error, WEIR_STORE_FAILED, path, "%s: %s", what, file_error_text(why));
}

/* --- opening --------------------------------------------------------------------------------- */

bool embedded_is_in_place(const struct embedded *e) {
    struct file_facts here, named;
    return file_facts(e->fd, &here) == 0 && file_facts_of(e->path, &named) == 0 &&
           file_identity_equals(here.identity, named.identity);
}

/* From here on the file itself and not a link to it, beside which its journal would be looked for. */
static bool embedded_resolve(struct embedded *e, weir_error *error) {
    char resolved[FILE_PATH_BYTES_MAX];
    if (file_resolve(e->path, resolved) != 0 || strcmp(resolved, e->path) == 0) return true;
    char *path = strdup(resolved);
    if (path == NULL) return fail(error, WEIR_NO_MEMORY, e->path, "out of memory");
    free(e->path);
    e->path = path;
    return true;
}

/* Opens the descriptor, and locks out others who open until embedded_open() is through with it. */
static bool embedded_find(struct embedded *e, const struct embedded_options *o, weir_error *error) {
    for (int tries = 0; tries < OPEN_TRIES_MAX; tries++) {
        struct file_facts facts;
        if (!embedded_resolve(e, error)) return false;
        int why = file_open(e->path, !o->is_reader, &e->fd);
        if (file_error_is_missing(why) && !o->must_exist) {
            if (!create_file(e->path, o, error)) return false;
            continue;
        }
        if (file_error_is_missing(why))
            return fail(error, WEIR_STORE_FAILED, e->path, "there is no such file");
        if (o->is_reader && file_error_is_forbidden(why))
            return fail(error, WEIR_STORE_FAILED, e->path,
                        "cannot open it: %s; it must be readable for this user",
                        file_error_text(why));
        if (why != 0) return embedded_fail_at(error, e->path, "cannot open it", why);

        why = file_facts(e->fd, &facts);
        if (why == 0 && !facts.is_regular) {
            file_close(e->fd);
            return fail(error, WEIR_DAMAGED, e->path, "it is not a file");
        }
        if (why == 0 && !o->is_reader) why = file_lock(e->fd, FORMAT_LOCK_OPENING);
        if (why != 0) {
            file_close(e->fd);
            return embedded_fail_at(error, e->path, "cannot lock it", why);
        }
        /* While we waited, weir compact may have put another in its place. */
        e->identity = facts.identity;
        if (embedded_is_in_place(e)) return true;
        file_close(e->fd);
    }
    return fail(error, WEIR_STORE_FAILED, e->path, "it is replaced again and again");
}

static bool embedded_check(struct embedded *e, const struct embedded_options *o,
                           weir_error *error) {
    uint8_t           bytes[FORMAT_RULES_BYTES];
    struct file_facts facts;
    const char       *trouble = file_system_trouble(e->fd);
    int               why     = file_facts(e->fd, &facts);
    if (trouble != NULL)
        return fail(error, WEIR_STORE_FAILED, e->path,
                    "%s does not keep mapped files the same for all; put it on a local file system",
                    trouble);
    if (why == 0) why = file_read(e->fd, 0, bytes, sizeof bytes);
    if (file_error_is_short(why))
        return fail(
            error, WEIR_DAMAGED, e->path,
            "this is not a weir file, or it was cut off: it has %llu bytes; it was not changed",
            (unsigned long long)facts.bytes);
    if (why != 0) return embedded_fail_at(error, e->path, "cannot read it", why);

    switch (format_read_rules(bytes, &e->rules)) {
    case FORMAT_FOREIGN:
        return fail(error, WEIR_DAMAGED, e->path, "this is not a weir file; it was not changed");
    case FORMAT_NEWER:
        return fail(error, WEIR_UNSUPPORTED, e->path,
                    "its format has version %u, and this weir knows up to 1; use a newer weir",
                    format_version_of(bytes));
    case FORMAT_OTHER:
        return fail(error, WEIR_UNSUPPORTED, e->path,
                    "it was made by another kind of machine or build");
    case FORMAT_DAMAGED:
        return fail(error, WEIR_DAMAGED, e->path,
                    "its header is damaged; it was not changed. Move it away to begin anew");
    case FORMAT_OK: break;
    }
    if (o->durability > e->rules.durability)
        return fail(error, WEIR_BAD_OPTIONS, e->path,
                    "it was made with durability process, not power, and keeps no journal; use "
                    "another file");
    if (o->unrecorded_max != 0 && o->unrecorded_max != e->rules.unrecorded_max)
        return fail(
            error, WEIR_BAD_OPTIONS, e->path,
            "it was made for unrecorded_max = %llu, not %llu; all who share it must use the same",
            (unsigned long long)e->rules.unrecorded_max, (unsigned long long)o->unrecorded_max);
    if (o->users_max != 0 && o->users_max != e->rules.users_max && o->bytes_max == 0)
        return fail(error, WEIR_BAD_OPTIONS, e->path,
                    "it was made for users_max = %llu, not %llu; leave the option out, or change "
                    "the file with weir compact",
                    (unsigned long long)e->rules.users_max, (unsigned long long)o->users_max);
    if (o->bytes_max != 0 && create_file_bytes(&e->rules) > o->bytes_max)
        return fail(error, WEIR_BAD_OPTIONS, e->path,
                    "it may get %llu bytes long, and bytes_max is %llu; leave the option out, or "
                    "change the file with weir compact",
                    (unsigned long long)create_file_bytes(&e->rules),
                    (unsigned long long)o->bytes_max);
    if (o->clock_error_ppm != 0 && o->clock_error_ppm != e->rules.clock_error_ppm)
        return fail(
            error, WEIR_BAD_OPTIONS, e->path,
            "it was made for clock_error_ppm = %llu, not %llu; all who share it must use the same",
            (unsigned long long)e->rules.clock_error_ppm, (unsigned long long)o->clock_error_ppm);
    if (facts.bytes <
        format_table_at(&e->rules) + table_bytes_at_first(e->rules.users_max, FORMAT_PROCESSES))
        return fail(error, WEIR_DAMAGED, e->path,
                    "it was cut off: it has %llu bytes; move it away to begin anew",
                    (unsigned long long)facts.bytes);
    return true;
}

/* In a signal handler. */
static void embedded_has_failed(void *context) {
    struct embedded *e = context;
    atomic_store(&e->has_failed, true);
    if (e->failed != NULL) e->failed(e->context);
}

static bool embedded_map(struct embedded *e, const struct embedded_options *o, weir_error *error) {
    void *memory;
    e->memory_bytes = create_file_bytes(&e->rules);
    int why         = file_map(e->fd, e->memory_bytes, !e->is_reader, &memory);
    if (why != 0) return embedded_fail_at(error, e->path, "cannot map it", why);
    e->memory  = memory;
    e->failed  = o->failed;
    e->context = o->context;
    e->guard   = (struct guard){
          .memory = memory, .bytes = e->memory_bytes, .failed = embedded_has_failed, .context = e};
    if (o->failed != NULL && !guard_begin(&e->guard))
        return fail(error, WEIR_NO_MEMORY, e->path, "too many files are open in this process");
    e->handle = aligned_alloc(64, HANDLE_BYTES);
    if (e->handle == NULL) return fail(error, WEIR_NO_MEMORY, e->path, "out of memory");
    return true;
}

/* Whether the descriptor is still that of the file: a program may have closed all that it did not know, and
 * opened others. */
static bool embedded_has_its_file(const struct embedded *e) {
    return e->fd >= 0 && file_is(e->fd, e->identity);
}

/* Closes the descriptor, if it is not another file's by now. */
static void embedded_close_descriptor(struct embedded *e) {
    if (embedded_has_its_file(e)) file_close(e->fd);
    e->fd = -1;
}

/* Closes the file, as if it had not been opened. */
static void embedded_forget_file(struct embedded *e) {
    guard_end(&e->guard);
    if (e->memory != NULL) file_unmap(e->memory, e->memory_bytes);
    embedded_close_descriptor(e);
    free(e->handle);
    e->memory = NULL;
    e->handle = NULL;
}

static bool embedded_read_era(const struct embedded *e, struct format_era *era) {
    return format_read_era((const void *)(e->memory + FORMAT_ERA_AT),
                           (const void *)(e->memory + FORMAT_ERA_AT + FORMAT_ERA_STEP), era);
}

enum outage { POWER_KEPT, POWER_LOST, POWER_UNKNOWN };

/* Whether the machine went down while the file was open, so that its table cannot be trusted. A file that was
 * never opened has no boot. */
static enum outage embedded_ask_power(const struct embedded *e, weir_error *error) {
    static const uint8_t never[PROCESS_BOOT_BYTES];
    uint8_t              boot[PROCESS_BOOT_BYTES];
    struct format_era    era;
    if (e->rules.durability == 0 || e->is_reader) return POWER_KEPT;
    if (!process_boot(boot)) {
        fail(error, WEIR_UNSUPPORTED, e->path,
             "the system does not tell when it was started (/proc/sys/kernel/random/boot_id)");
        return POWER_UNKNOWN;
    }
    bool has_era = embedded_read_era(e, &era);
    bool is_kept = has_era && (era.is_clean || memcmp(era.boot, boot, sizeof boot) == 0 ||
                               memcmp(era.boot, never, sizeof never) == 0);
    if (is_kept && !atomic_load(&e->has_failed)) return POWER_KEPT;

    /* Whoever has a number lives since the start of the machine. What cannot be read is not lost. */
    bool is_held = false;
    for (uint32_t number = 1; number <= FORMAT_PROCESSES && !is_held; number++)
        is_held = file_is_locked(e->fd, number);
    if (!is_held && !atomic_load(&e->has_failed)) return POWER_LOST;
    fail(error, WEIR_STORE_FAILED, e->path, "its times cannot be read");
    return POWER_UNKNOWN;
}

static bool embedded_begin_anew(struct embedded *e, const struct embedded_options *o,
                                weir_error *error) {
    struct format_era era;
    bool              has_era = embedded_read_era(e, &era);
    return powered_begin_anew(e->path, e->fd, &e->rules, has_era ? &era : NULL, o->wall_error_ns,
                              error);
}

struct embedded *embedded_open(const char *path, const struct embedded_options *o,
                               weir_error *error) {
    struct embedded *e = calloc(1, sizeof *e);
    if (e != NULL) e->path = strdup(path);
    if (e == NULL || e->path == NULL) {
        fail(error, WEIR_NO_MEMORY, path, "out of memory");
        goto free_handle;
    }
    e->fd        = -1;
    e->is_reader = o->is_reader;
find:
    if (!embedded_find(e, o, error)) goto free_handle;
    if (!embedded_check(e, o, error) || !embedded_map(e, o, error)) goto close_file;
    enum outage outage = embedded_ask_power(e, error);
    if (outage == POWER_UNKNOWN) goto close_file;
    if (outage == POWER_LOST) {
        if (!embedded_begin_anew(e, o, error)) goto close_file;
        embedded_forget_file(e);
        goto find;
    }
    if (!embedded_join(e, o, error)) goto resign;
    if (atomic_load(&e->has_failed)) {
        fail(error, WEIR_STORE_FAILED, e->path, "it cannot be read");
        goto resign;
    }
    if (!o->is_reader && !o->is_alone) file_unlock(e->fd, FORMAT_LOCK_OPENING);
    error->status = WEIR_OK;
    return e;

resign:
    if (e->number != 0) embedded_release(e, e->number);
    powered_close(e->powered);
close_file:
    embedded_forget_file(e);
free_handle:
    if (e != NULL) free(e->path);
    free(e);
    return NULL;
}

static void embedded_close_one(struct embedded *e) {
    bool is_enrolled = e->number != 0 && !atomic_load(&e->is_child);
    if (is_enrolled && atomic_load(&e->has_failed)) {
        embedded_abandon(e);
    } else if (is_enrolled) {
        embedded_resign(e);
    }
    powered_close(e->powered);
    guard_end(&e->guard);
    file_unmap(e->memory, e->memory_bytes);
    embedded_close_descriptor(e);
    free(e->handle);
    free(e->path);
    free(e);
}

void embedded_close(struct embedded *e) {
    while (e != NULL) {
        struct embedded *before = e->before;
        embedded_close_one(e);
        e = before;
    }
}

static struct format_process *embedded_facts(const struct embedded *e, uint32_t number) {
    return (struct format_process *)(void *)(e->memory + FORMAT_PROCESSES_AT) + number;
}

/* The lock is what tells. But a process may have closed all its files without knowing that this is among
 * them: if it lives, it is not dead. */
static bool embedded_is_dead(const struct embedded *e, uint32_t number) {
    if (file_is_locked(e->fd, number)) return false;
    const struct format_process *facts = embedded_facts(e, number);
    return !process_lives((struct process_identity){.id         = facts->id,
                                                    .started    = facts->started,
                                                    .name_space = facts->name_space,
                                                    .program    = facts->program});
}

/* Puts right what a process left that is no more. */
static void embedded_release(struct embedded *e, uint32_t number) {
    table_recover(e->table, number);
    if (e->rules.durability != 0) power_release_dead(e->memory + FORMAT_POWER_AT, number);
}

/* Undoes and frees what a dead process left. Nobody else does the same: its lock is ours meanwhile. */
static void embedded_bury(struct embedded *e, uint32_t number) {
    if (!file_try_lock(e->fd, number)) return;
    if (table_has_process(e->table, number)) embedded_release(e, number);
    file_unlock(e->fd, number);
}

/* One thread of this process at a time, since the system's locks do not tell its threads apart. */
static void embedded_begin(struct embedded *e) {
    for (unsigned turn = 0; atomic_exchange(&e->busy, 1) != 0; turn++) processor_yield(turn);
}

static void embedded_end(struct embedded *e) { atomic_store(&e->busy, 0); }

void embedded_abandon(struct embedded *e) {
    /* This process lives, and yet is to be taken for dead under this number. Not through the mapping, where
     * the page may be this process's own by now; and a file that was cut off is not made longer by it. */
    static const struct format_process nobody = {0};
    uint64_t                           at     = FORMAT_PROCESSES_AT + e->number * sizeof nobody;
    if (embedded_has_its_file(e) && embedded_file_bytes(e) >= FORMAT_POWER_AT)
        (void)file_write(e->fd, at, &nobody, sizeof nobody);
    file_unmap_to_zeros(e->memory, e->memory_bytes);
    embedded_begin(e);
    embedded_close_descriptor(e);
    e->abandoned = e->number;
    e->number    = 0;
    embedded_end(e);
}

bool embedded_is_same_file(const struct embedded *one, const struct embedded *other) {
    return memcmp(one->rules.identity, other->rules.identity, sizeof one->rules.identity) == 0;
}

bool embedded_take_over(struct embedded *e, struct embedded *before) {
    embedded_begin(e);
    if (before->abandoned != 0 && before->abandoned != e->number)
        embedded_bury(e, before->abandoned);
    embedded_end(e);
    if (atomic_load(&e->has_failed)) return false;
    e->before = before;
    return true;
}

bool embedded_is_usable(const struct embedded *e) {
    return e->fd >= 0 && !atomic_load(&e->has_failed);
}

const char *embedded_path(const struct embedded *e) { return e->path; }

struct table *embedded_table(struct embedded *e) {
    return e->table;
}

const struct format_rules *embedded_rules(const struct embedded *e) { return &e->rules; }

uint64_t embedded_clock_ahead_ns(const struct embedded *e) { return e->clock_ahead_ns; }

uint64_t embedded_journal_bytes(const struct embedded *e) {
    return e->powered != NULL ? powered_journal_bytes(e->powered) : 0;
}

uint64_t embedded_file_bytes(const struct embedded *e) {
    struct file_facts facts;
    return file_facts(e->fd, &facts) == 0 ? facts.bytes : 0;
}

uint64_t embedded_file_bytes_max(const struct embedded *e) { return e->memory_bytes; }

uint64_t embedded_disk_bytes(const struct embedded *e) {
    struct file_facts facts;
    return file_facts(e->fd, &facts) == 0 ? facts.disk_bytes : 0;
}

void embedded_copy_power(const struct embedded *e, char *memory) {
    if (e->rules.durability != 0)
        memcpy(memory + FORMAT_POWER_AT, e->memory + FORMAT_POWER_AT, format_power_bytes());
}

int embedded_make_like(const struct embedded *e, int fd) { return file_make_like(fd, e->fd); }

/* --- being one of several -------------------------------------------------------------------- */

/* Without its descriptor nobody can be asked for: the file has failed, and whoever waits for something in it
 * goes on, with an answer that is not given. */
static void embedded_lose_file(struct embedded *e) {
    embedded_has_failed(e);
    file_unmap_to_zeros(e->memory, e->memory_bytes);
}

/* What is known of who may own a lock, while the file is scoured. */
struct embedded_search {
    struct embedded *e;
    enum { OWNER_UNKNOWN, OWNER_LIVES, OWNER_IS_GONE } owner[FORMAT_PROCESSES + 1];
};

/* Whoever is gone is buried, and nobody gets their number until embedded_scour() is through. */
static bool embedded_is_gone(void *context, uint32_t number) {
    struct embedded_search *search = context;
    struct embedded        *e      = search->e;
    if (number == 0 || number > FORMAT_PROCESSES) return true;
    if (number == e->number) return false;
    if (search->owner[number] == OWNER_UNKNOWN) {
        bool is_gone = embedded_is_dead(e, number) && file_try_lock(e->fd, number);
        if (is_gone && table_has_process(e->table, number)) embedded_release(e, number);
        search->owner[number] = is_gone ? OWNER_IS_GONE : OWNER_LIVES;
    }
    return search->owner[number] == OWNER_IS_GONE;
}

/* Who is waited for so long, and is not there, has left a lock without a note: the file was spoiled, and
 * there may be more of these. All of them are freed. */
static void embedded_scour(struct embedded *e) {
    struct embedded_search search = {.e = e};
    table_scour(e->table, embedded_is_gone, &search);
    if (e->rules.durability != 0)
        power_scour(e->memory + FORMAT_POWER_AT, embedded_is_gone, &search);
    for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
        if (search.owner[number] == OWNER_IS_GONE) file_unlock(e->fd, number);
    }
}

static void embedded_wait(void *context, uint32_t process, unsigned turn) {
    struct embedded *e         = context;
    bool             is_number = process > 0 && process <= FORMAT_PROCESSES;
    processor_yield(turn);
    if (process == TABLE_NO_PROCESS) return;
    bool is_orphan = turn % TURNS_BEFORE_SCOURING == TURNS_BEFORE_SCOURING - 1;
    bool is_mine   = process == e->number;
    if (turn < TURNS_BEFORE_ASKING || ((is_mine || !is_number) && !is_orphan)) return;
    if (is_number && !is_mine && embedded_has_its_file(e) && !embedded_is_dead(e, process)) return;
    embedded_begin(e);
    if (!embedded_has_its_file(e)) {
        embedded_lose_file(e);
    } else if (is_orphan) {
        embedded_scour(e);
    } else if (embedded_is_dead(e, process)) {
        embedded_bury(e, process);
    }
    embedded_end(e);
}

/* What this process holds of the journal, a thread of it holds that lives: of all else it let go when it
 * took its number. So nothing is scoured, however long the disk takes. */
static void embedded_wait_power(void *context, uint32_t process, unsigned turn) {
    struct embedded *e = context;
    embedded_wait(e, process != e->number ? process : TABLE_NO_PROCESS, turn);
}

/* The table asks for room to grow into; see table.h. */
static bool embedded_reserve(void *context, uint64_t bytes) {
    struct embedded *e = context;
    embedded_begin(e);
    bool is_there = bytes <= e->reserved_bytes;
    if (!is_there && !embedded_has_its_file(e)) {
        embedded_lose_file(e);
    } else if (!is_there) {
        is_there = file_reserve(e->fd, format_table_at(&e->rules) + e->reserved_bytes,
                                bytes - e->reserved_bytes) == 0;
    }
    if (is_there && e->reserved_bytes < bytes) e->reserved_bytes = bytes;
    embedded_end(e);
    return is_there;
}

/* Takes a number: one that nobody has, or that a dead process had. The opening lock is held, or this is
 * a child that rejoins. */
static uint32_t embedded_take_number(struct embedded *e) {
    for (int round = 0; round < 2; round++) {
        for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
            bool was_there = table_has_process(e->table, number);
            if (was_there && (round == 0 || !embedded_is_dead(e, number))) continue;
            if (file_try_lock(e->fd, number)) return number;
        }
    }
    return 0;
}

static struct table_options embedded_table_options(struct embedded *e, uint32_t number) {
    return (struct table_options){
        .users_max = e->rules.users_max,
        .processes = FORMAT_PROCESSES,
        .process   = number,
        .wait      = embedded_wait,
        .reserve   = embedded_reserve,
        .context   = e,
        .recorder  = number != 0 && e->powered != NULL ? powered_recorder(e->powered) : NULL};
}

static bool embedded_attach(struct embedded *e, uint32_t number, weir_error *error) {
    struct table_options options = embedded_table_options(e, number);
    e->table = table_attach(e->handle, e->memory + format_table_at(&e->rules), &options);
    if (e->table == NULL)
        return fail(error, WEIR_DAMAGED, e->path,
                    "its table is damaged; move it away to begin anew");
    return true;
}

/* Becomes one of the processes that have the file open. */
static bool embedded_enrol(struct embedded *e, weir_error *error) {
    uint32_t number = embedded_take_number(e);
    if (number == 0)
        return fail(error, WEIR_STORE_FAILED, e->path,
                    "%d processes have it open, and that is the most", FORMAT_PROCESSES);

    struct table_part holders = table_part_of_process(number);
    int why = file_reserve(e->fd, format_table_at(&e->rules) + holders.offset, holders.bytes);
    if (why != 0) {
        file_unlock(e->fd, number);
        return embedded_fail_at(error, e->path, "cannot make room for one more process", why);
    }
    embedded_release(e, number); /* also of one that left no word, as far as notes tell */
    struct process_identity self  = process_self();
    struct format_process   facts = {.id         = self.id,
                                     .started    = self.started,
                                     .name_space = self.name_space,
                                     .program    = self.program,
                                     .opened_ns  = clock_wall_ns()};
    process_name(facts.name);
    *embedded_facts(e, number) = facts;
    e->number                  = number;
    if (!embedded_attach(e, number, error)) return false;
    if (e->powered != NULL) powered_join(e->powered, e->table, number);
    return true;
}

/* Writes the era, and that somebody has the file open. With durability power it is on the disk before anybody
 * decides, also if one before us wrote the same and was killed before it was there: whoever opens the file
 * after a power loss must not find it clean, or never opened. An error of os/file.h. */
static int embedded_mark_used(struct embedded *e, struct format_era era) {
    era.is_clean = 0;
    format_write_era((void *)(e->memory + FORMAT_ERA_AT),
                     (void *)(e->memory + FORMAT_ERA_AT + FORMAT_ERA_STEP), era);
    return e->rules.durability != 0 ? file_sync_mapped(e->memory, FORMAT_PROCESSES_AT) : 0;
}

static void embedded_bury_all(struct embedded *e) {
    for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
        if (table_has_process(e->table, number)) embedded_bury(e, number);
    }
}

/* Sees to it that the table's clock goes on where it was, whatever the machine's did. The opening lock
 * is held. */
static bool embedded_set_clock(struct embedded *e, uint64_t wall_error_ns, weir_error *error) {
    struct format_era *first  = (void *)(e->memory + FORMAT_ERA_AT);
    struct format_era *second = (void *)(e->memory + FORMAT_ERA_AT + FORMAT_ERA_STEP);
    struct format_era  era;
    uint8_t            boot[PROCESS_BOOT_BYTES];
    uint64_t           here_ns = (uint64_t)process_clock_ahead_ns();
    uint64_t           now_ns = clock_now_ns() - here_ns, wall_ns = clock_wall_ns();
    if (!format_read_era(first, second, &era))
        return fail(error, WEIR_DAMAGED, e->path,
                    "both copies of its clock are damaged; move it away to begin "
                    "anew");
    if (!process_boot(boot))
        return fail(
            error, WEIR_UNSUPPORTED, e->path,
            "the system does not tell when it was started (/proc/sys/kernel/random/boot_id)");

    if (memcmp(era.boot, boot, sizeof boot) != 0) {
        uint64_t seen_ns = table_seen_ns(e->table);
        if (seen_ns > LIMIT_NOW_MAX / 2)
            return fail(error, WEIR_DAMAGED, e->path,
                        "its clock is damaged; move it away to begin anew");
        if (era.table_ns == 0 && seen_ns == 0) seen_ns = now_ns;
        era = format_next_era(&era, seen_ns, now_ns, wall_ns, wall_error_ns);
        memcpy(era.boot, boot, sizeof boot);
        embedded_bury_all(e); /* those from before: nobody of them lives */
    } else {
        era.table_ns = now_ns + era.ahead_ns;
        era.wall_ns  = wall_ns;
    }
    /* Then zeros may have been read in the place of times. */
    if (atomic_load(&e->has_failed))
        return fail(error, WEIR_STORE_FAILED, e->path, "it cannot be read");
    e->clock_ahead_ns = era.ahead_ns - here_ns;
    int why           = embedded_mark_used(e, era);
    return why == 0 || embedded_fail_at(error, e->path, "cannot write it", why);
}

bool embedded_clock(const struct embedded *e, struct format_era *era, uint64_t *now_ns) {
    const struct format_era *first  = (const void *)(e->memory + FORMAT_ERA_AT);
    const struct format_era *second = (const void *)(e->memory + FORMAT_ERA_AT + FORMAT_ERA_STEP);
    uint8_t                  boot[PROCESS_BOOT_BYTES];
    *now_ns = table_seen_ns(e->table);
    /* Whoever opens the file writes one of the two copies; that the other is whole is always true. */
    if (!format_read_era(first, second, era)) {
        *era = (struct format_era){.sequence = 0};
        return false;
    }
    if (process_boot(boot) && memcmp(era->boot, boot, sizeof boot) == 0) {
        *now_ns = clock_now_ns() - (uint64_t)process_clock_ahead_ns() + era->ahead_ns;
        return true;
    }
    if (*now_ns < era->table_ns) *now_ns = era->table_ns;
    return false;
}

/* Lets go of the dead; false: others live, and `error` names them. The opening lock is held. */
static bool embedded_be_alone(struct embedded *e, weir_error *error) {
    char     names[PROCESSES_TEXT_BYTES] = "";
    size_t   used                        = 0;
    uint32_t alive                       = 0;
    for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
        if (!table_has_process(e->table, number)) continue;
        if (embedded_is_dead(e, number)) {
            embedded_bury(e, number);
            continue;
        }
        const struct format_process *facts = embedded_facts(e, number);
        if (alive++ >= PROCESSES_NAMED) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%llu (%.*s)",
                                 alive == 1 ? "" : ", ", (unsigned long long)facts->id,
                                 (int)sizeof facts->name, facts->name);
    }
    if (alive == 0) return true;
    if (alive == 1)
        return fail(error, WEIR_STORE_FAILED, e->path, "process %s has it open; end it first",
                    names);
    return fail(error, WEIR_STORE_FAILED, e->path,
                "%u processes have it open: %s%s; end them first", (unsigned)alive, names,
                alive > PROCESSES_NAMED ? " and others" : "");
}

/* Whether the file is as long as the table needs it to be. */
static bool embedded_check_length(struct embedded *e, weir_error *error) {
    uint64_t bytes = embedded_file_bytes(e), table = table_counts(e->table).memory_bytes;
    uint64_t needs = format_table_at(&e->rules) + table;
    if (bytes < needs)
        return fail(error, WEIR_DAMAGED, e->path,
                    "it was cut off: it has %llu of %llu bytes; move it away to begin anew",
                    (unsigned long long)bytes, (unsigned long long)needs);
    e->reserved_bytes = table;
    return true;
}

static bool embedded_join(struct embedded *e, const struct embedded_options *o, weir_error *error) {
    if (!embedded_attach(e, 0, error) || !embedded_check_length(e, error)) return false;
    if (e->is_reader) return true;
    if (o->is_alone && !embedded_be_alone(e, error)) return false;
    if (!embedded_set_clock(e, o->wall_error_ns, error)) return false;
    if (e->rules.durability == 0) return embedded_enrol(e, error);

    e->powered = powered_open(e->path, &e->rules, e->memory + FORMAT_POWER_AT, embedded_wait_power,
                              e, embedded_has_failed, &e->has_failed, error);
    return e->powered != NULL && embedded_enrol(e, error) &&
           powered_begin(e->powered, clock_now_ns() + e->clock_ahead_ns, error);
}

size_t embedded_processes(struct embedded *e, struct embedded_process *processes, size_t count) {
    size_t there = 0;
    for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
        if (!table_has_process(e->table, number)) continue;
        if (there < count) {
            processes[there] = (struct embedded_process){.number   = number,
                                                         .facts    = *embedded_facts(e, number),
                                                         .is_alive = number == e->number ||
                                                                     !embedded_is_dead(e, number)};
        }
        there++;
    }
    return there;
}

/* Marks the file as one that the disk has whole, if nobody has it open any more. The opening lock is held. */
static void embedded_mark_clean(struct embedded *e) {
    struct format_era era;
    for (uint32_t number = 1; number <= FORMAT_PROCESSES; number++) {
        if (table_has_process(e->table, number)) return;
    }
    if (file_sync(e->fd) != 0 || !embedded_read_era(e, &era)) return;
    if (atomic_load(&e->has_failed)) return; /* then zeros may have said that nobody is there */
    era.is_clean = 1;
    format_write_era((void *)(e->memory + FORMAT_ERA_AT),
                     (void *)(e->memory + FORMAT_ERA_AT + FORMAT_ERA_STEP), era);
    (void)file_sync(e->fd);
}

/* Is not one of the processes any more. */
static void embedded_resign(struct embedded *e) {
    if (e->powered == NULL) {
        embedded_release(e, e->number);
        return;
    }
    bool is_locked = embedded_has_its_file(e) && file_lock(e->fd, FORMAT_LOCK_OPENING) == 0;
    embedded_release(e, e->number);
    if (is_locked) embedded_mark_clean(e);
}

/* --- forks ----------------------------------------------------------------------------------- */

void embedded_leave_to_parent(struct embedded *e) {
    int fd = -1;
    if (embedded_has_its_file(e)) (void)file_open_again(e->fd, &fd);

    /* Both the descriptor and the mapping keep the parent's lock: it would seem to live as long as this
     * child. */
    embedded_close_descriptor(e);
    if (file_map_again(fd, e->memory_bytes, e->memory) != 0 && fd >= 0) {
        file_close(fd);
        fd = -1;
    }
    e->fd     = fd;
    e->number = 0;
    atomic_store(&e->busy, 0); /* whoever was in there is in the parent */
    atomic_store(&e->is_child, true);
}

/* Enrols the child, unless another file has taken the place of the parent's. */
static bool embedded_enrol_child(struct embedded *e) {
    weir_error error;
    if (!embedded_has_its_file(e) || file_lock(e->fd, FORMAT_LOCK_OPENING) != 0) return false;
    if (e->powered != NULL) powered_leave_to_parent(e->powered);
    /* The parent may have closed it as its last, since this child had no number. */
    struct format_era era;
    bool              is_enrolled = embedded_is_in_place(e) && embedded_read_era(e, &era) &&
                       !atomic_load(&e->has_failed) && embedded_mark_used(e, era) == 0 &&
                       embedded_enrol(e, &error);
    /* It may be in another time namespace than its parent. */
    if (is_enrolled) e->clock_ahead_ns = era.ahead_ns - (uint64_t)process_clock_ahead_ns();
    file_unlock(e->fd, FORMAT_LOCK_OPENING);
    return is_enrolled;
}

weir_status embedded_rejoin(struct embedded *e) {
    weir_status status = WEIR_OK;
    embedded_begin(e);
    if (atomic_load(&e->is_child)) {
        bool is_enrolled = embedded_enrol_child(e) && embedded_is_usable(e);
        status           = is_enrolled ? WEIR_OK : WEIR_STORE_FAILED;
        atomic_store(&e->is_child, status != WEIR_OK);
    }
    embedded_end(e);
    return status;
}
