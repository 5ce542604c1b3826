/* SPDX-License-Identifier: MIT */
#include "power/sim_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR_BYTES = 512 };

static void *must(void *memory) {
    if (memory == NULL) abort();
    return memory;
}

/* --- bytes and names ------------------------------------------------------------------------- */

static void bytes_write(struct sim_bytes *b, uint64_t offset, const void *data, size_t bytes) {
    size_t end = (size_t)offset + bytes;
    if (end > b->room) {
        b->room = end + end / 2 + 4096;
        b->data = must(realloc(b->data, b->room));
    }
    if (end > b->bytes) {
        memset(b->data + b->bytes, 0, end - b->bytes);
        b->bytes = end;
    }
    if (bytes > 0) memcpy(b->data + offset, data, bytes);
}

static void bytes_copy(struct sim_bytes *to, const struct sim_bytes *from) {
    to->bytes = 0;
    bytes_write(to, 0, from->data, from->bytes);
}

static int *names_find(struct sim_names *names, const char *name) {
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->entry[i].name, name) == 0) return &names->entry[i].file;
    }
    return NULL;
}

static int names_file(struct sim_names *names, const char *name) {
    int *file = names_find(names, name);
    return file == NULL ? DISK_NO_FILE : *file;
}

static void names_set(struct sim_names *names, const char *name, int file) {
    int *found = names_find(names, name);
    if (found == NULL) {
        if (file == DISK_NO_FILE) return;
        if (names->count == SIM_NAMES_MAX) abort();
        struct sim_name *entry = &names->entry[names->count++];
        snprintf(entry->name, sizeof entry->name, "%s", name);
        entry->file = file;
    } else if (file == DISK_NO_FILE) {
        struct sim_name *entry =
            (struct sim_name *)(void *)((char *)found - offsetof(struct sim_name, file));
        *entry = names->entry[--names->count];
    } else {
        *found = file;
    }
}

/* --- files ----------------------------------------------------------------------------------- */

static void file_forget_writes(struct sim_file *f) {
    for (size_t i = 0; i < f->write_count; i++) free(f->write[i].data);
    f->write_count = 0;
}

static void file_free(struct sim_file *f) {
    file_forget_writes(f);
    free(f->write);
    free(f->now.data);
    free(f->durable.data);
    *f = (struct sim_file){0};
}

static void file_remember(struct sim_file *f, uint64_t offset, const void *data, size_t bytes) {
    if (f->write_count == f->write_room) {
        f->write_room = 2 * f->write_room + 8;
        f->write      = must(realloc(f->write, f->write_room * sizeof *f->write));
    }
    struct sim_write *w = &f->write[f->write_count++];
    *w                  = (struct sim_write){.offset = offset, .bytes = bytes};
    w->data             = must(malloc(bytes + 1));
    memcpy(w->data, data, bytes);
}

/* Files that nobody can reach any more. */
static void sim_collect(struct sim_disk *sim) {
    bool is_reached[SIM_FILES_MAX] = {false};
    for (size_t i = 0; i < sim->now.count; i++) is_reached[sim->now.entry[i].file] = true;
    for (size_t i = 0; i < sim->durable.count; i++) is_reached[sim->durable.entry[i].file] = true;
    for (size_t i = 0; i < sim->change_count; i++) {
        if (sim->change[i].to.file != DISK_NO_FILE) is_reached[sim->change[i].to.file] = true;
    }
    for (size_t i = 0; i < SIM_FILES_MAX; i++) {
        struct sim_file *f = &sim->file[i];
        if (f->is_used && !is_reached[i] && f->opened == 0) file_free(f);
    }
}

static int sim_new_file(struct sim_disk *sim) {
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SIM_FILES_MAX; i++) {
            if (sim->file[i].is_used) continue;
            sim->file[i].is_used = true;
            return i;
        }
        sim_collect(sim);
    }
    abort();
}

/* What the power loss, or a failed sync, leaves of one write. */
static void sim_write_survives(struct sim_disk *sim, struct sim_file *f, const struct sim_write *w,
                               bool may_spoil) {
    uint64_t fate = random_below(&sim->random, 8);
    if (fate < 2) return;
    if (fate < 4) {
        bytes_write(&f->durable, w->offset, w->data, w->bytes);
        return;
    }
    /* The size may have grown and the content not come. */
    if (fate == 4) bytes_write(&f->durable, w->offset + w->bytes, NULL, 0);
    for (size_t at = 0; at < w->bytes;) {
        size_t to_sector = SECTOR_BYTES - (size_t)((w->offset + at) % SECTOR_BYTES);
        size_t part      = w->bytes - at < to_sector ? w->bytes - at : to_sector;
        if (random_below(&sim->random, 2) == 0) {
            bytes_write(&f->durable, w->offset + at, w->data + at, part);
            if (may_spoil && fate == 7 && random_below(&sim->random, 4) == 0) {
                f->durable.data[w->offset + at + random_below(&sim->random, part)] ^=
                    (unsigned char)(1 + random_below(&sim->random, 255));
            }
        }
        at += part;
    }
}

static void sim_writes_survive(struct sim_disk *sim, struct sim_file *f, bool may_spoil) {
    for (size_t i = 0; i < f->write_count; i++) {
        sim_write_survives(sim, f, &f->write[i], may_spoil);
    }
    file_forget_writes(f);
}

/* --- the face -------------------------------------------------------------------------------- */

static void sim_hook(struct sim_disk *sim, enum sim_act act, bool is_before) {
    if (sim->hook != NULL) sim->hook(sim->hook_context, act, is_before);
}

/* Begins an act, which may be one of those that fail. Leaves the mutex locked. */
static enum disk_status sim_begin(struct sim_disk *sim, enum sim_act act) {
    sim_hook(sim, act, true);
    pthread_mutex_lock(&sim->mutex);
    sim->acts[act]++;
    if (sim->fault_acts == 0 || (sim->fault_mask >> act & 1) == 0) return DISK_OK;
    sim->fault_acts--;
    return sim->fault;
}

static enum disk_status sim_end(struct sim_disk *sim, enum sim_act act, enum disk_status status) {
    pthread_mutex_unlock(&sim->mutex);
    sim_hook(sim, act, false);
    return status;
}

static void sim_change(struct sim_disk *sim, const char *name, int file, const char *from) {
    if (sim->change_count == SIM_CHANGES_MAX) abort();
    struct sim_change *c = &sim->change[sim->change_count++];
    snprintf(c->to.name, sizeof c->to.name, "%s", name);
    snprintf(c->from, sizeof c->from, "%s", from);
    c->to.file = file;
    names_set(&sim->now, name, file);
    if (from[0] != '\0') names_set(&sim->now, from, DISK_NO_FILE);
}

static enum disk_status sim_file_open(void *context, const char *name, enum disk_mode mode,
                                      int *file) {
    struct sim_disk *sim    = context;
    enum disk_status status = DISK_OK;
    if (mode == DISK_CREATE) {
        status = sim_begin(sim, SIM_OPEN);
        if (status == DISK_OK) {
            *file = sim_new_file(sim);
            sim->file[*file].opened++;
            sim_change(sim, name, *file, "");
        }
        return sim_end(sim, SIM_OPEN, status);
    }
    pthread_mutex_lock(&sim->mutex);
    *file = names_file(&sim->now, name);
    if (*file == DISK_NO_FILE) {
        status = DISK_NOT_FOUND;
    } else {
        sim->file[*file].opened++;
    }
    pthread_mutex_unlock(&sim->mutex);
    return status;
}

static void sim_file_close(void *context, int file) {
    struct sim_disk *sim = context;
    pthread_mutex_lock(&sim->mutex);
    if (sim->file[file].opened == 0) abort();
    sim->file[file].opened--;
    pthread_mutex_unlock(&sim->mutex);
}

static enum disk_status sim_file_size(void *context, int file, uint64_t *bytes) {
    struct sim_disk *sim = context;
    pthread_mutex_lock(&sim->mutex);
    *bytes = sim->file[file].now.bytes;
    pthread_mutex_unlock(&sim->mutex);
    return DISK_OK;
}

static enum disk_status sim_file_read(void *context, int file, uint64_t offset, void *data,
                                      size_t bytes, size_t *read_bytes) {
    struct sim_disk *sim = context;
    pthread_mutex_lock(&sim->mutex);
    const struct sim_bytes *now = &sim->file[file].now;
    *read_bytes                 = 0;
    if (offset < now->bytes) {
        *read_bytes = now->bytes - (size_t)offset < bytes ? now->bytes - (size_t)offset : bytes;
        memcpy(data, now->data + offset, *read_bytes);
    }
    pthread_mutex_unlock(&sim->mutex);
    return DISK_OK;
}

static enum disk_status sim_file_write(void *context, int file, uint64_t offset, const void *data,
                                       size_t bytes) {
    struct sim_disk *sim    = context;
    enum disk_status status = sim_begin(sim, SIM_WRITE);
    struct sim_file *f      = &sim->file[file];
    /* A write that fails may have written some of it. */
    size_t written = status == DISK_OK ? bytes : (size_t)random_below(&sim->random, bytes + 1);
    bytes_write(&f->now, offset, data, written);
    file_remember(f, offset, data, written);
    return sim_end(sim, SIM_WRITE, status);
}

static enum disk_status sim_file_sync(void *context, int file) {
    struct sim_disk *sim    = context;
    enum disk_status status = sim_begin(sim, SIM_SYNC);
    struct sim_file *f      = &sim->file[file];
    if (status != DISK_OK) {
        sim_writes_survive(sim, f, false);
    } else {
        for (size_t i = 0; i < f->write_count; i++) {
            bytes_write(&f->durable, f->write[i].offset, f->write[i].data, f->write[i].bytes);
        }
        file_forget_writes(f);
    }
    return sim_end(sim, SIM_SYNC, status);
}

static enum disk_status sim_file_rename(void *context, const char *from, const char *to) {
    struct sim_disk *sim    = context;
    enum disk_status status = sim_begin(sim, SIM_RENAME);
    int              file   = names_file(&sim->now, from);
    if (status == DISK_OK && file == DISK_NO_FILE) status = DISK_NOT_FOUND;
    if (status == DISK_OK) sim_change(sim, to, file, from);
    return sim_end(sim, SIM_RENAME, status);
}

static enum disk_status sim_file_remove(void *context, const char *name) {
    struct sim_disk *sim    = context;
    enum disk_status status = sim_begin(sim, SIM_REMOVE);
    if (status == DISK_OK && names_find(&sim->now, name) == NULL) status = DISK_NOT_FOUND;
    if (status == DISK_OK) sim_change(sim, name, DISK_NO_FILE, "");
    return sim_end(sim, SIM_REMOVE, status);
}

static enum disk_status sim_folder_sync(void *context) {
    struct sim_disk *sim    = context;
    enum disk_status status = sim_begin(sim, SIM_FOLDER_SYNC);
    if (status == DISK_OK) {
        sim->durable      = sim->now;
        sim->change_count = 0;
    }
    return sim_end(sim, SIM_FOLDER_SYNC, status);
}

static enum disk_status sim_folder_list(void *context, void (*each)(void *list, const char *name),
                                        void *list) {
    struct sim_disk *sim = context;
    pthread_mutex_lock(&sim->mutex);
    for (size_t i = 0; i < sim->now.count; i++) each(list, sim->now.entry[i].name);
    pthread_mutex_unlock(&sim->mutex);
    return DISK_OK;
}

struct disk sim_disk_face(struct sim_disk *sim) {
    return (struct disk){.context     = sim,
                         .file_open   = sim_file_open,
                         .file_close  = sim_file_close,
                         .file_size   = sim_file_size,
                         .file_read   = sim_file_read,
                         .file_write  = sim_file_write,
                         .file_sync   = sim_file_sync,
                         .file_rename = sim_file_rename,
                         .file_remove = sim_file_remove,
                         .folder_sync = sim_folder_sync,
                         .folder_list = sim_folder_list};
}

/* --- the world ------------------------------------------------------------------------------- */

struct sim_disk *sim_disk_new(uint64_t seed) {
    struct sim_disk *sim = must(calloc(1, sizeof *sim));
    sim->random          = (struct random){.state = seed};
    pthread_mutex_init(&sim->mutex, NULL);
    return sim;
}

void sim_disk_free(struct sim_disk *sim) {
    for (size_t i = 0; i < SIM_FILES_MAX; i++) {
        if (sim->file[i].is_used) file_free(&sim->file[i]);
    }
    pthread_mutex_destroy(&sim->mutex);
    free(sim);
}

struct sim_disk *sim_disk_copy(const struct sim_disk *sim, uint64_t seed) {
    struct sim_disk *copy = sim_disk_new(seed);
    copy->now             = sim->now;
    copy->durable         = sim->durable;
    copy->change_count    = sim->change_count;
    memcpy(copy->change, sim->change, sim->change_count * sizeof *sim->change);
    for (size_t i = 0; i < SIM_FILES_MAX; i++) {
        const struct sim_file *from = &sim->file[i];
        struct sim_file       *to   = &copy->file[i];
        if (!from->is_used) continue;
        to->is_used = true;
        bytes_copy(&to->now, &from->now);
        bytes_copy(&to->durable, &from->durable);
        for (size_t w = 0; w < from->write_count; w++) {
            file_remember(to, from->write[w].offset, from->write[w].data, from->write[w].bytes);
        }
    }
    return copy;
}

void sim_disk_crash(struct sim_disk *sim) {
    for (size_t i = 0; i < sim->change_count; i++) {
        const struct sim_change *c = &sim->change[i];
        if (random_below(&sim->random, 2) == 0) continue;
        if (c->from[0] != '\0') {
            /* A rename of a file whose creation was lost cannot be there. */
            if (names_file(&sim->durable, c->from) != c->to.file) continue;
            names_set(&sim->durable, c->from, DISK_NO_FILE);
        }
        names_set(&sim->durable, c->to.name, c->to.file);
    }
    sim->change_count = 0;
    sim->now          = sim->durable;
    for (size_t i = 0; i < SIM_FILES_MAX; i++) {
        struct sim_file *f = &sim->file[i];
        if (!f->is_used) continue;
        f->opened = 0;
        sim_writes_survive(sim, f, true);
        bytes_copy(&f->now, &f->durable);
    }
    sim_collect(sim);
}

void sim_disk_settle(struct sim_disk *sim) {
    sim->durable      = sim->now;
    sim->change_count = 0;
    for (size_t i = 0; i < SIM_FILES_MAX; i++) {
        struct sim_file *f = &sim->file[i];
        if (!f->is_used) continue;
        file_forget_writes(f);
        bytes_copy(&f->durable, &f->now);
    }
}

struct sim_bytes *sim_disk_bytes(struct sim_disk *sim, const char *name) {
    int file = names_file(&sim->now, name);
    return file == DISK_NO_FILE ? NULL : &sim->file[file].now;
}

void sim_disk_put(struct sim_disk *sim, const char *name, const void *data, size_t bytes) {
    int file = sim_new_file(sim);
    names_set(&sim->now, name, file);
    bytes_write(&sim->file[file].now, 0, data, bytes);
    sim_disk_settle(sim);
}

uint64_t sim_disk_total(struct sim_disk *sim) {
    uint64_t total = 0;
    for (size_t i = 0; i < sim->now.count; i++) {
        total += sim->file[sim->now.entry[i].file].now.bytes;
    }
    return total;
}
