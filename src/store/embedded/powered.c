/* SPDX-License-Identifier: MIT */
#include "store/embedded/powered.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "os/clock.h"
#include "os/disk.h"
#include "os/file.h"
#include "os/guard.h"
#include "os/memory.h"
#include "os/process.h"
#include "os/processor.h"
#include "os/slot.h"
#include "store/embedded/create.h"
#include "store/embedded/replace.h"

enum {
    SEGMENT_SHARE       = 4, /* segments that the images of a full table fill */
    SEGMENT_BYTES_LEAST = 256 << 10,
    REPLAY_MEMORY_BYTES = 1 << 30, /* address space; what is touched grows with the users */
    NUMBER              = 1,       /* of the process that makes a new file */
    GUARDED_FILES       = 4,
};

struct guarded_file {
    bool                 is_open;
    int                  file;
    struct file_identity identity;
};

struct powered {
    struct power         power;
    struct power_options options;
    struct disk          disk;
    struct disk          guarded; /* the same, until the file fails */
    struct file_identity folder_identity;
    struct guarded_file  files[GUARDED_FILES]; /* of the journal, that are open */
    const _Atomic bool  *has_failed;
    bool                 has_joined;
    char                 store[SEGMENT_NAME_BYTES_MAX + 1];
    char                 folder[FILE_PATH_BYTES_MAX];
    void                *past; /* mapped */
    uint64_t             past_bytes;
    struct guard         guard; /* of the past */
    void (*failed)(void *context);
    void (*wait)(void *context, uint32_t process, unsigned turn);
    void *context;
};

static const char *disk_text(enum disk_status status) {
    switch (status) {
    case DISK_NOT_FOUND: return "a file is missing";
    case DISK_NO_SPACE: return "there is no space left; free some on its disk";
    case DISK_READ_ONLY: return "not permitted, or the file system is read-only";
    case DISK_DAMAGED:
        return "it is damaged, and what was counted is not known; to begin anew, move all files of "
               "this name away";
    default: return "the disk fails";
    }
}

static bool fail_disk(weir_error *error, const char *path, const char *what,
                      enum disk_status status) {
    weir_status is = status == DISK_DAMAGED ? WEIR_DAMAGED : WEIR_STORE_FAILED;
    return embedded_fail(error, is, path, "%s: %s", what, disk_text(status));
}

/* Where the file really is, and what its journal's names begin with. */
static bool powered_place(const char *path, char folder[FILE_PATH_BYTES_MAX],
                          char store[SEGMENT_NAME_BYTES_MAX + 1], weir_error *error) {
    int why = file_resolve(path, folder);
    if (why != 0) return embedded_fail(error, WEIR_STORE_FAILED, path, "%s", file_error_text(why));
    char  *slash = strrchr(folder, '/');
    size_t bytes = strlen(slash + 1);
    if (bytes > SEGMENT_NAME_BYTES_MAX)
        return embedded_fail(error, WEIR_BAD_URL, path,
                             "with durability power, its name may have %d bytes at most",
                             SEGMENT_NAME_BYTES_MAX);
    memcpy(store, slash + 1, bytes + 1);
    slash[slash == folder] = '\0';
    return true;
}

static uint64_t segment_bytes_for(uint64_t users_max) {
    uint64_t bytes = users_max * FRAME_COUNTER_BYTES / SEGMENT_SHARE;
    if (bytes < SEGMENT_BYTES_LEAST) return SEGMENT_BYTES_LEAST;
    return bytes < JOURNAL_SEGMENT_BYTES ? bytes : JOURNAL_SEGMENT_BYTES;
}

/* --- a disk that is left alone when the file fails ------------------------------------------- */

/* What is shared reads as zeros then (os/guard.h), and a journal that believed them would write over its own
 * segments. The flag is set before the zeros are there.
 *
 * A program may also close descriptors that it does not know, and get their numbers for other files: then
 * nothing is read, written, synced or closed, and the file counts as failed, so that it is opened anew. */
static struct guarded_file *guarded_find(struct powered *p, int file) {
    for (int i = 0; i < GUARDED_FILES; i++) {
        if (p->files[i].is_open && p->files[i].file == file) return &p->files[i];
    }
    return NULL;
}

static struct guarded_file *guarded_find_free(struct powered *p) {
    for (int i = 0; i < GUARDED_FILES; i++) {
        if (!p->files[i].is_open) return &p->files[i];
    }
    return NULL;
}

static bool guarded_has_file(struct powered *p, int file) {
    const struct guarded_file *known = guarded_find(p, file);
    if (atomic_load(p->has_failed)) return false;
    if (known != NULL && file_is(file, known->identity)) return true;
    p->failed(p->context);
    return false;
}

static bool guarded_has_folder(struct powered *p) {
    if (atomic_load(p->has_failed)) return false;
    if (file_is(disk_descriptor(&p->disk), p->folder_identity)) return true;
    p->failed(p->context);
    return false;
}

static enum disk_status guarded_open(void *context, const char *name, enum disk_mode mode,
                                     int *file) {
    struct powered *p = context;
    if (!guarded_has_folder(p)) return DISK_FAILED;
    struct guarded_file *known = guarded_find_free(p);
    INVARIANT(known != NULL);
    enum disk_status  status = p->disk.file_open(p->disk.context, name, mode, file);
    struct file_facts facts;
    if (status != DISK_OK) return status;
    if (file_facts(*file, &facts) != 0) {
        p->disk.file_close(p->disk.context, *file);
        return DISK_FAILED;
    }
    *known = (struct guarded_file){.is_open = true, .file = *file, .identity = facts.identity};
    return DISK_OK;
}

static void guarded_close(void *context, int file) {
    struct powered      *p     = context;
    struct guarded_file *known = guarded_find(p, file);
    if (known == NULL) return;
    if (file_is(file, known->identity)) p->disk.file_close(p->disk.context, file);
    known->is_open = false;
}

static enum disk_status guarded_size(void *context, int file, uint64_t *bytes) {
    struct powered *p = context;
    if (!guarded_has_file(p, file)) return DISK_FAILED;
    return p->disk.file_size(p->disk.context, file, bytes);
}

static enum disk_status guarded_read(void *context, int file, uint64_t offset, void *data,
                                     size_t bytes, size_t *read_bytes) {
    struct powered *p = context;
    if (!guarded_has_file(p, file)) return DISK_FAILED;
    return p->disk.file_read(p->disk.context, file, offset, data, bytes, read_bytes);
}

static enum disk_status guarded_write(void *context, int file, uint64_t offset, const void *data,
                                      size_t bytes) {
    struct powered *p = context;
    if (!guarded_has_file(p, file)) return DISK_FAILED;
    return p->disk.file_write(p->disk.context, file, offset, data, bytes);
}

/* Asked again afterwards: what was synced may have been another file. */
static enum disk_status guarded_sync(void *context, int file) {
    struct powered *p = context;
    if (!guarded_has_file(p, file)) return DISK_FAILED;
    enum disk_status status = p->disk.file_sync(p->disk.context, file);
    return guarded_has_file(p, file) ? status : DISK_FAILED;
}

static enum disk_status guarded_rename(void *context, const char *from, const char *to) {
    struct powered *p = context;
    if (!guarded_has_folder(p)) return DISK_FAILED;
    return p->disk.file_rename(p->disk.context, from, to);
}

static enum disk_status guarded_remove(void *context, const char *name) {
    struct powered *p = context;
    if (!guarded_has_folder(p)) return DISK_FAILED;
    return p->disk.file_remove(p->disk.context, name);
}

static enum disk_status guarded_folder_sync(void *context) {
    struct powered *p = context;
    if (!guarded_has_folder(p)) return DISK_FAILED;
    enum disk_status status = p->disk.folder_sync(p->disk.context);
    return guarded_has_folder(p) ? status : DISK_FAILED;
}

static enum disk_status guarded_list(void *context, void (*each)(void *list, const char *name),
                                     void *list) {
    struct powered *p = context;
    if (!guarded_has_folder(p)) return DISK_FAILED;
    return p->disk.folder_list(p->disk.context, each, list);
}

/* --- while it is open ------------------------------------------------------------------------ */

struct powered *powered_open(const char *path, const struct format_rules *rules, void *area,
                             void (*wait)(void *context, uint32_t process, unsigned turn),
                             void               *context, void (*failed)(void *context),
                             const _Atomic bool *has_failed, weir_error *error) {
    struct powered *p       = calloc(1, sizeof *p);
    struct journal *journal = malloc(sizeof *journal);
    if (p == NULL || journal == NULL) {
        embedded_fail(error, WEIR_NO_MEMORY, path, "out of memory");
        goto free_all;
    }
    if (!powered_place(path, p->folder, p->store, error)) goto free_all;
    enum disk_status status = disk_open(p->folder, &p->disk);
    if (status != DISK_OK) {
        fail_disk(error, path, "cannot open its folder", status);
        goto free_all;
    }
    struct file_facts facts;
    int               why = file_facts(disk_descriptor(&p->disk), &facts);
    if (why != 0) {
        embedded_fail_at(error, path, "cannot open its folder", why);
        disk_close(&p->disk);
        goto free_all;
    }
    p->folder_identity = facts.identity;
    p->guarded         = (struct disk){.context     = p,
                                       .file_open   = guarded_open,
                                       .file_close  = guarded_close,
                                       .file_size   = guarded_size,
                                       .file_read   = guarded_read,
                                       .file_write  = guarded_write,
                                       .file_sync   = guarded_sync,
                                       .file_rename = guarded_rename,
                                       .file_remove = guarded_remove,
                                       .folder_sync = guarded_folder_sync,
                                       .folder_list = guarded_list};
    p->has_failed      = has_failed;
    p->failed          = failed;
    p->wait            = wait;
    p->context         = context;
    p->options         = (struct power_options){.disk              = &p->guarded,
                                                .store             = p->store,
                                                .generation        = rules->generation,
                                                .segment_bytes_max = segment_bytes_for(rules->users_max),
                                                .u                 = rules->unrecorded_max,
                                                .area              = area,
                                                .journal           = journal,
                                                .thread            = slot_mine,
                                                .wall_ns           = clock_wall_ns};
    return p;

free_all:
    free(journal);
    free(p);
    return NULL;
}

void powered_close(struct powered *p) {
    if (p == NULL) return;
    if (p->has_joined) power_clear(&p->power);
    if (file_is(disk_descriptor(&p->disk), p->folder_identity)) disk_close(&p->disk);
    if (p->past != NULL) {
        guard_end(&p->guard);
        file_unmap(p->past, p->past_bytes);
    }
    free(p->options.journal);
    free(p);
}

const struct table_recorder *powered_recorder(const struct powered *p) {
    return &p->power.recorder;
}

void powered_join(struct powered *p, struct table *table, uint32_t number) {
    const struct past past     = p->power.past;
    bool              has_past = p->power.has_past;
    p->options.me = (struct lock_owner){.process = number, .context = p->context, .wait = p->wait};
    power_init(&p->power, &p->options);
    p->power.table = table;
    p->has_joined  = true;
    if (has_past) power_set_past(&p->power, &past); /* of the parent of this child */
}

void powered_leave_to_parent(struct powered *p) {
    if (p->has_joined) power_clear(&p->power);
    p->has_joined = false;
}

uint64_t powered_journal_bytes(const struct powered *p) {
    const struct journal_shared *shared = p->options.area;
    return atomic_load(&shared->total_bytes);
}

/* Maps the past, if there is one. */
static bool powered_map_past(struct powered *p, struct past *past, bool *is_there,
                             weir_error *error) {
    char              name[DISK_NAME_BYTES_MAX], path[FILE_PATH_BYTES_MAX + DISK_NAME_BYTES_MAX];
    struct file_facts facts = {.bytes = 0};
    int               fd;
    past_name(p->store, name);
    size_t folder_bytes = strlen(p->folder);
    memcpy(path, p->folder, folder_bytes);
    path[folder_bytes] = '/';
    memcpy(path + folder_bytes + 1, name, strlen(name) + 1);

    int why   = file_open(path, true, &fd);
    *is_there = why == 0;
    if (file_error_is_missing(why)) return true;
    if (why == 0) {
        why = file_facts(fd, &facts);
        if (why == 0) why = file_map(fd, facts.bytes, true, &p->past);
        file_close(fd);
    }
    if (why != 0)
        return embedded_fail(error, WEIR_STORE_FAILED, path, "cannot open it: %s",
                             file_error_text(why));
    p->past_bytes = facts.bytes;
    p->guard      = (struct guard){
             .memory = p->past, .bytes = p->past_bytes, .failed = p->failed, .context = p->context};
    if (!guard_begin(&p->guard))
        return embedded_fail(error, WEIR_NO_MEMORY, path,
                             "too many files are open in this process");
    return past_open(past, p->past, p->past_bytes) ||
           embedded_fail(error, WEIR_DAMAGED, path, "it is damaged");
}

bool powered_begin(struct powered *p, uint64_t now_ns, weir_error *error) {
    const struct journal_shared *shared = p->options.area;
    struct past                  past;
    bool                         is_there;
    if (!powered_map_past(p, &past, &is_there, error)) return false;
    if (!is_there) return true;

    /* The rings that charge everybody must be in the journal before the past, which has them too, goes. */
    bool is_recorded = atomic_load(&shared->commits) > 0 || power_record_rings(&p->power, now_ns);
    if (!is_recorded || now_ns < past_last_fresh_ns(&past)) {
        power_set_past(&p->power, &past);
        return true;
    }
    char name[DISK_NAME_BYTES_MAX];
    past_name(p->store, name);
    (void)p->guarded.file_remove(p, name); /* else it is removed some other time */
    return true;
}

/* --- after a power loss ---------------------------------------------------------------------- */

static void wait_for_nobody(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    processor_yield(turn);
}

/* Puts the rings into the table of a file that nobody has. `handle` has room for a view of it. */
static int anew_put_rings(int fd, const struct format_rules *rules, const struct ring *rings,
                          void *handle) {
    uint64_t bytes = format_table_at(rules) + table_bytes(rules->users_max, FORMAT_PROCESSES);
    void    *memory;
    int      why = file_map(fd, bytes, true, &memory);
    if (why == 0) {
        struct table *t = table_attach(handle, (char *)memory + format_table_at(rules),
                                       &(struct table_options){.users_max = rules->users_max,
                                                               .processes = FORMAT_PROCESSES,
                                                               .process   = NUMBER,
                                                               .wait      = wait_for_nobody});
        INVARIANT(t != NULL);
        table_put_rings(t, rings);
        table_recover(t, NUMBER);
    }
    if (why == 0) file_unmap(memory, bytes);
    return why != 0 ? why : file_sync(fd);
}

/* The table's time goes on from the newest that the journal or the file's header knows of. */
static struct format_era anew_era(const struct past_replay *replay, const struct format_era *era,
                                  uint64_t wall_error_ns) {
    struct format_era last = era != NULL ? *era : (struct format_era){.sequence = 0};
    if (replay->now_ns > last.table_ns && replay->wall_ns > 0) {
        last.table_ns = replay->now_ns;
        last.wall_ns  = replay->wall_ns;
    }
    uint64_t          here_ns = (uint64_t)process_clock_ahead_ns();
    struct format_era next    = format_next_era(&last, replay->now_ns, clock_now_ns() - here_ns,
                                                clock_wall_ns(), wall_error_ns);
    next.is_clean             = 0;
    return next;
}

static bool anew_replay(const char *path, struct past_replay *replay, struct past_rings *rings,
                        const struct format_rules *rules, struct format_era *era,
                        const struct format_era *last, uint64_t wall_error_ns, weir_error *error) {
    enum disk_status status = past_scan(replay);
    if (status != DISK_OK) return fail_disk(error, path, "its journal cannot be read", status);
    *era = anew_era(replay, last, wall_error_ns);
    if (!process_boot(era->boot))
        return embedded_fail(error, WEIR_UNSUPPORTED, path,
                             "the system does not tell when it was started");
    rings->u = rules->unrecorded_max;
    status   = past_write(replay, rings, era->table_ns);
    return status == DISK_OK || fail_disk(error, path, "its past cannot be written", status);
}

bool powered_begin_anew(const char *path, int old, const struct format_rules *rules,
                        const struct format_era *last, uint64_t wall_error_ns, weir_error *error) {
    static const char suffix[] = ".anew";
    char              folder[FILE_PATH_BYTES_MAX], store[SEGMENT_NAME_BYTES_MAX + 1];
    struct disk       disk;
    struct format_era era;
    int               fd;
    if (!powered_place(path, folder, store, error)) return false;
    enum disk_status status = disk_open(folder, &disk);
    if (status != DISK_OK) return fail_disk(error, path, "cannot open its folder", status);

    void               *handle  = aligned_alloc(64, (table_handle_bytes() + 63) / 64 * 64);
    struct ring        *ring    = calloc(TABLE_RINGS, sizeof *ring);
    struct past_replay  replay  = {.disk         = &disk,
                                   .store        = store,
                                   .generation   = rules->generation,
                                   .memory       = memory_reserve(REPLAY_MEMORY_BYTES),
                                   .memory_bytes = REPLAY_MEMORY_BYTES};
    struct past_rings   rings   = {.ring = ring, .count = TABLE_RINGS, .stripes = TABLE_STRIPES};
    struct format_rules anew    = *rules;
    bool                is_done = false;
    anew.generation++;
    if (handle == NULL || ring == NULL || replay.memory == NULL) {
        embedded_fail(error, WEIR_NO_MEMORY, path, "out of memory");
    } else if (anew_replay(path, &replay, &rings, rules, &era, last, wall_error_ns, error) &&
               create_nameless(path, &anew, &era, &fd, error)) {
        int why = anew_put_rings(fd, &anew, ring, handle);
        if (why == 0) why = file_make_like(fd, old);
        /* Whoever finds the new file waits until the old segments are gone: they have the names of new
         * ones. */
        if (why == 0) why = file_lock(fd, FORMAT_LOCK_OPENING);
        if (why != 0)
            embedded_fail_at(error, path,
                             "cannot write the new file, or give it the old one's owner", why);
        is_done = why == 0 && replace_file(path, suffix, fd, error);
        if (is_done) (void)segment_remove_all(&disk, store);
        file_close(fd);
    }
    if (replay.memory != NULL) memory_release(replay.memory, REPLAY_MEMORY_BYTES);
    free(ring);
    free(handle);
    disk_close(&disk);
    return is_done;
}
