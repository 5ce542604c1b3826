/* SPDX-License-Identifier: MIT */
#include "os/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The context of the real disk is the folder's descriptor. */
static int disk_folder(void *context) { return (int)(intptr_t)context; }

static enum disk_status disk_problem(int number) {
    switch (number) {
    case ENOENT: return DISK_NOT_FOUND;
    case ENOSPC:
    case EDQUOT:
    case EFBIG: return DISK_NO_SPACE;
    case EROFS:
    case EACCES:
    case EPERM: return DISK_READ_ONLY;
    default: return DISK_FAILED;
    }
}

static enum disk_status disk_result(int result) {
    return result == 0 ? DISK_OK : disk_problem(errno);
}

static enum disk_status disk_file_open(void *context, const char *name, enum disk_mode mode,
                                       int *file) {
    int flags = O_CLOEXEC | (mode == DISK_READ ? O_RDONLY : O_RDWR);
    if (mode == DISK_CREATE) {
        /* A new file and not the old one cut short: whoever has the old one open keeps it. */
        if (unlinkat(disk_folder(context), name, 0) != 0 && errno != ENOENT) {
            return disk_problem(errno);
        }
        flags |= O_CREAT | O_EXCL;
    }
    do {
        *file = openat(disk_folder(context), name, flags, 0600);
    } while (*file < 0 && errno == EINTR);
    return *file < 0 ? disk_problem(errno) : DISK_OK;
}

static void disk_file_close(void *context, int file) {
    (void)context;
    (void)close(file);
}

static enum disk_status disk_file_size(void *context, int file, uint64_t *bytes) {
    (void)context;
    struct stat about;
    if (fstat(file, &about) != 0) return disk_problem(errno);
    *bytes = (uint64_t)about.st_size;
    return DISK_OK;
}

static enum disk_status disk_file_read(void *context, int file, uint64_t offset, void *data,
                                       size_t bytes, size_t *read_bytes) {
    (void)context;
    for (*read_bytes = 0; *read_bytes < bytes;) {
        ssize_t done = pread(file, (char *)data + *read_bytes, bytes - *read_bytes,
                             (off_t)(offset + *read_bytes));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return disk_problem(errno);
        if (done == 0) break;
        *read_bytes += (size_t)done;
    }
    return DISK_OK;
}

static enum disk_status disk_file_write(void *context, int file, uint64_t offset, const void *data,
                                        size_t bytes) {
    (void)context;
    for (size_t written = 0; written < bytes;) {
        ssize_t done =
            pwrite(file, (const char *)data + written, bytes - written, (off_t)(offset + written));
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return disk_problem(errno);
        if (done == 0) return DISK_NO_SPACE;
        written += (size_t)done;
    }
    return DISK_OK;
}

/* Not repeated after EINTR, as little as after anything else: what was to be written may be gone. */
static enum disk_status disk_file_sync(void *context, int file) {
    (void)context;
    return disk_result(fdatasync(file));
}

static enum disk_status disk_file_rename(void *context, const char *from, const char *to) {
    return disk_result(renameat(disk_folder(context), from, disk_folder(context), to));
}

static enum disk_status disk_file_remove(void *context, const char *name) {
    return disk_result(unlinkat(disk_folder(context), name, 0));
}

static enum disk_status disk_folder_sync(void *context) {
    return disk_result(fsync(disk_folder(context)));
}

static enum disk_status disk_folder_list(void *context, void (*each)(void *list, const char *name),
                                         void *list) {
    /* A descriptor of its own, since reading a folder moves a position. */
    int folder = openat(disk_folder(context), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return disk_problem(errno);
    DIR *entries = fdopendir(folder);
    if (entries == NULL) {
        (void)close(folder);
        return DISK_FAILED;
    }

    errno = 0;
    for (struct dirent *entry; (entry = readdir(entries)) != NULL;) each(list, entry->d_name);
    enum disk_status status = errno == 0 ? DISK_OK : disk_problem(errno);
    (void)closedir(entries);
    return status;
}

enum disk_status disk_open(const char *path, struct disk *disk) {
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return disk_problem(errno);
    *disk = (struct disk){.context     = (void *)(intptr_t)folder,
                          .file_open   = disk_file_open,
                          .file_close  = disk_file_close,
                          .file_size   = disk_file_size,
                          .file_read   = disk_file_read,
                          .file_write  = disk_file_write,
                          .file_sync   = disk_file_sync,
                          .file_rename = disk_file_rename,
                          .file_remove = disk_file_remove,
                          .folder_sync = disk_folder_sync,
                          .folder_list = disk_folder_list};
    return DISK_OK;
}

void disk_close(struct disk *disk) { (void)close(disk_folder(disk->context)); }

int disk_descriptor(const struct disk *disk) { return disk_folder(disk->context); }
