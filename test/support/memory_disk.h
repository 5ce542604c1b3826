/* SPDX-License-Identifier: MIT
 *
 * memory_disk: a few files in memory, of which nothing is ever lost; for fuzzers, which need thousands a
 * second. */
#ifndef WEIR_TEST_MEMORY_DISK_H
#define WEIR_TEST_MEMORY_DISK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/disk.h"

enum { MEMORY_FILES_MAX = 8 };

struct memory_disk {
    struct {
        char           name[64]; /* empty: no file */
        unsigned char *data;
        size_t         bytes, room;
    } file[MEMORY_FILES_MAX];
};

static inline int memory_find(struct memory_disk *m, const char *name) {
    for (int i = 0; i < MEMORY_FILES_MAX; i++) {
        if (strcmp(m->file[i].name, name) == 0) return i;
    }
    return DISK_NO_FILE;
}

static inline enum disk_status memory_remove(void *context, const char *name) {
    struct memory_disk *m    = context;
    int                 file = memory_find(m, name);
    if (file == DISK_NO_FILE) return DISK_NOT_FOUND;
    m->file[file].name[0] = '\0';
    m->file[file].bytes   = 0;
    return DISK_OK;
}

static inline enum disk_status memory_open(void *context, const char *name, enum disk_mode mode,
                                           int *file) {
    struct memory_disk *m = context;
    if (mode == DISK_CREATE) {
        (void)memory_remove(m, name);
        *file = memory_find(m, "");
        if (*file == DISK_NO_FILE) return DISK_NO_SPACE;
        snprintf(m->file[*file].name, sizeof m->file[*file].name, "%s", name);
        return DISK_OK;
    }
    *file = memory_find(m, name);
    return *file == DISK_NO_FILE ? DISK_NOT_FOUND : DISK_OK;
}

static inline void memory_close(void *context, int file) {
    (void)context;
    (void)file;
}

static inline enum disk_status memory_size(void *context, int file, uint64_t *bytes) {
    *bytes = ((struct memory_disk *)context)->file[file].bytes;
    return DISK_OK;
}

static inline enum disk_status memory_read(void *context, int file, uint64_t offset, void *data,
                                           size_t bytes, size_t *read_bytes) {
    struct memory_disk *m    = context;
    size_t              have = m->file[file].bytes;
    *read_bytes              = 0;
    if (offset >= have) return DISK_OK;
    *read_bytes = have - offset < bytes ? have - offset : bytes;
    memcpy(data, m->file[file].data + offset, *read_bytes);
    return DISK_OK;
}

static inline enum disk_status memory_write(void *context, int file, uint64_t offset,
                                            const void *data, size_t bytes) {
    struct memory_disk *m   = context;
    size_t              end = (size_t)offset + bytes;
    if (end > m->file[file].room) {
        m->file[file].room = 2 * end + 4096;
        m->file[file].data = realloc(m->file[file].data, m->file[file].room);
        if (m->file[file].data == NULL) abort();
    }
    size_t have = m->file[file].bytes;
    if (end > have) {
        memset(m->file[file].data + have, 0, end - have);
        m->file[file].bytes = end;
    }
    if (bytes > 0) memcpy(m->file[file].data + offset, data, bytes);
    return DISK_OK;
}

static inline enum disk_status memory_sync(void *context, int file) {
    (void)context;
    (void)file;
    return DISK_OK;
}

static inline enum disk_status memory_rename(void *context, const char *from, const char *to) {
    struct memory_disk *m = context;
    (void)memory_remove(m, to);
    int file = memory_find(m, from);
    if (file == DISK_NO_FILE) return DISK_NOT_FOUND;
    snprintf(m->file[file].name, sizeof m->file[file].name, "%s", to);
    return DISK_OK;
}

static inline enum disk_status memory_folder_sync(void *context) {
    (void)context;
    return DISK_OK;
}

static inline enum disk_status memory_list(void *context,
                                           void (*each)(void *list, const char *name), void *list) {
    struct memory_disk *m = context;
    for (int i = 0; i < MEMORY_FILES_MAX; i++) {
        if (m->file[i].name[0] != '\0') each(list, m->file[i].name);
    }
    return DISK_OK;
}

static inline struct disk memory_disk_face(struct memory_disk *m) {
    return (struct disk){.context     = m,
                         .file_open   = memory_open,
                         .file_close  = memory_close,
                         .file_size   = memory_size,
                         .file_read   = memory_read,
                         .file_write  = memory_write,
                         .file_sync   = memory_sync,
                         .file_rename = memory_rename,
                         .file_remove = memory_remove,
                         .folder_sync = memory_folder_sync,
                         .folder_list = memory_list};
}

static inline void memory_disk_free(struct memory_disk *m) {
    for (int i = 0; i < MEMORY_FILES_MAX; i++) free(m->file[i].data);
}

#endif
