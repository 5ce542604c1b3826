/* SPDX-License-Identifier: MIT
 *
 * file: files that many processes map and lock.
 *
 * Functions that can fail return an error number of the system, 0 if all went well; file_error_text()
 * says what it means. */
#ifndef WEIR_OS_FILE_H
#define WEIR_OS_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILE_PATH_BYTES_MAX = 4096 };

/* Which file it is, whatever its name. */
struct file_identity {
    uint64_t device;
    uint64_t inode;
};

static inline bool file_identity_equals(struct file_identity a, struct file_identity b) {
    return a.inode == b.inode && a.device == b.device;
}

struct file_facts {
    struct file_identity identity;
    uint64_t             bytes;
    uint64_t             disk_bytes; /* that it takes there: less, where it has holes */
    uint64_t             name_count; /* by which it is known in folders */
    bool                 is_regular;
    bool                 is_linked; /* it has a name in some folder */
};

/* Static, in English. */
const char *file_error_text(int error);
bool        file_error_is_missing(int error);   /* there is no such file */
bool        file_error_is_existing(int error);  /* there is one already */
bool        file_error_is_full(int error);      /* no space, or no quota left */
bool        file_error_is_forbidden(int error); /* not permitted, or read-only */
bool        file_error_is_unsupported(int error);

/* Descriptors are closed when another program is started. */
int  file_open(const char *path, bool is_writable, int *fd);
void file_close(int fd);

/* Opens the same file once more, so that its locks are apart from those of `fd`. Safe after fork(). */
int file_open_again(int fd, int *again);

/* Makes the folders that lead to a file, for its owner alone, where they are not there. */
int file_make_folders_of(const char *path);

/* Where a path leads when all links are followed. */
int file_resolve(const char *path, char resolved[FILE_PATH_BYTES_MAX]);

/* Creates a file without a name in the folder of `path`, readable and writable for its owner alone, and
 * later gives it that name, if nobody has it. Who is killed between leaves nothing behind. */
int file_create_nameless(const char *path, int *fd);
int file_give_name(int fd, const char *path);

/* Gives a file the owner, group and mode of another. */
int file_make_like(int fd, int model);

/* Puts the file of one name in the place of another's, at once; takes a name away. */
int file_rename(const char *from, const char *to);
int file_remove(const char *path);

int file_facts(int fd, struct file_facts *facts);
int file_facts_of(const char *path, struct file_facts *facts);

/* Whether `fd` is open, and that file. */
bool file_is(int fd, struct file_identity identity);

/* All of it, or an error. Reading beyond the end is file_error_is_short. */
int  file_read(int fd, uint64_t offset, void *bytes, size_t count);
int  file_write(int fd, uint64_t offset, const void *bytes, size_t count);
bool file_error_is_short(int error);

/* Makes the file at least so long, with zeros that take no space. */
int file_extend(int fd, uint64_t bytes);

/* Sees to it that these bytes can be written whatever else fills the disk; extends the file to them. */
int file_reserve(int fd, uint64_t offset, uint64_t bytes);

/* What is written is on the disk when these return. */
int file_sync(int fd);
int file_sync_mapped(void *memory, uint64_t bytes); /* of a mapping, from its beginning */
int file_sync_folder_of(const char *path);

/* Maps the file, shared with all who map it; parts beyond its end may be touched once it is longer. */
int file_map(int fd, uint64_t bytes, bool is_writable, void **memory);

/* Puts a writable mapping of `fd`, of the same file, in the place of one that keeps another descriptor's
 * locks alive; private zeros if that fails. Safe after fork(). */
int  file_map_again(int fd, uint64_t bytes, void *memory);
void file_unmap(void *memory, uint64_t bytes);

/* Puts zeros of this process's own in the place of a mapping: threads that are in the middle of
 * something there come to their end without touching the file. */
void file_unmap_to_zeros(void *memory, uint64_t bytes);

/* Locks one byte (of any number, the file need not have it) for this opening of the file, exclusively.
 * The system lets go of it when the last process is gone that has the opening. */
int  file_lock(int fd, uint64_t byte);     /* waits */
bool file_try_lock(int fd, uint64_t byte); /* false: another opening has it, or the system fails */
void file_unlock(int fd, uint64_t byte);
bool file_is_locked(int fd, uint64_t byte); /* by another opening */

/* Why a file on this file system cannot be shared by mapping it ("NFS"); NULL: it can. */
const char *file_system_trouble(int fd);

#endif
