/* SPDX-License-Identifier: MIT
 *
 * disk: named files of one folder, and what is known to survive a power loss.
 *
 * An interface, so that what must survive can be tried on a disk that loses it (test/power/sim_disk.h),
 * and the real one, disk_open(). It stands here and not with its user, since os may include nobody.
 *
 * What is promised of a disk: what was written to a file before file_sync() is there after a power loss;
 * which names there are, and for which files, as of the last folder_sync(). Of everything later any
 * part may be there, or other bytes in its place. A sync that failed may have dropped what it should
 * have written, and a second one would not know it: after a failed sync nothing unsynced of that file
 * may be relied upon, ever. */
#ifndef WEIR_OS_DISK_H
#define WEIR_OS_DISK_H

#include <stddef.h>
#include <stdint.h>

enum { DISK_NAME_BYTES_MAX = 256, /* a name with its NUL */ DISK_NO_FILE = -1 };

enum disk_status {
    DISK_OK,
    DISK_NOT_FOUND,
    DISK_NO_SPACE,  /* the device or somebody's share of it is full: it may pass */
    DISK_READ_ONLY, /* not allowed, now or ever */
    DISK_FAILED,    /* the device, or too many open files: it may pass */
    DISK_DAMAGED,   /* what is there fails its checks; no disk says so, only who reads it */
};

enum disk_mode {
    DISK_READ,
    DISK_WRITE,  /* an existing file */
    DISK_CREATE, /* a new file, empty; one of this name stops having it */
};

struct disk {
    void *context;
    enum disk_status (*file_open)(void *context, const char *name, enum disk_mode mode, int *file);
    void (*file_close)(void *context, int file);
    enum disk_status (*file_size)(void *context, int file, uint64_t *bytes);
    /* Reads what is there of [offset, offset + bytes); `read_bytes` is less only at the file's end. */
    enum disk_status (*file_read)(void *context, int file, uint64_t offset, void *data,
                                  size_t bytes, size_t *read_bytes);
    /* All or a status; then any part may be written. */
    enum disk_status (*file_write)(void *context, int file, uint64_t offset, const void *data,
                                   size_t bytes);
    enum disk_status (*file_sync)(void *context, int file);
    enum disk_status (*file_rename)(void *context, const char *from, const char *to);
    enum disk_status (*file_remove)(void *context, const char *name);
    enum disk_status (*folder_sync)(void *context);
    /* Calls `each` for every name, in any order. `each` does not touch the disk. */
    enum disk_status (*folder_list)(void *context, void (*each)(void *list, const char *name),
                                    void *list);
};

/* The files of the folder at `path`. Until disk_close(), which closes no file that is still open. */
enum disk_status disk_open(const char *path, struct disk *disk);
void             disk_close(struct disk *disk);

/* The folder's. */
int disk_descriptor(const struct disk *disk);

#endif
