/* SPDX-License-Identifier: MIT */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* File systems of which linux/magic.h does not know. */
#define MAGIC_LUSTRE 0x0BD00BD0
#define MAGIC_GPFS   0x47504653

enum { DESCRIPTOR_PATH_BYTES_MAX = 40, ERROR_SHORT = EILSEQ };

/* --- errors ---------------------------------------------------------------------------------- */

const char *file_error_text(int error) {
    if (error == ERROR_SHORT) return "it is too short";
    const char *text = strerrordesc_np(error);
    return text != NULL ? text : "unknown error";
}

bool file_error_is_missing(int error) { return error == ENOENT; }
bool file_error_is_existing(int error) { return error == EEXIST; }
bool file_error_is_full(int error) { return error == ENOSPC || error == EDQUOT || error == EFBIG; }
bool file_error_is_forbidden(int error) {
    return error == EACCES || error == EPERM || error == EROFS;
}
bool file_error_is_unsupported(int error) { return error == EOPNOTSUPP || error == ENOSYS; }
bool file_error_is_short(int error) { return error == ERROR_SHORT; }

/* --- opening --------------------------------------------------------------------------------- */

static int open_as(const char *path, int flags, int *fd) {
    *fd = open(path, flags | O_CLOEXEC, 0600);
    return *fd >= 0 ? 0 : errno;
}

int file_open(const char *path, bool is_writable, int *fd) {
    return open_as(path, (is_writable ? O_RDWR : O_RDONLY) | O_NONBLOCK, fd);
}

void file_close(int fd) { (void)close(fd); }

static void descriptor_path(int fd, char path[DESCRIPTOR_PATH_BYTES_MAX]) {
    (void)snprintf(path, DESCRIPTOR_PATH_BYTES_MAX, "/proc/self/fd/%d", fd);
}

int file_open_again(int fd, int *again) {
    char path[DESCRIPTOR_PATH_BYTES_MAX];
    descriptor_path(fd, path);
    return open_as(path, O_RDWR, again);
}

/* The folder that a path leads to. */
static int folder_of(const char *path, char folder[FILE_PATH_BYTES_MAX]) {
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] != '/') length--;
    while (length > 1 && path[length - 1] == '/') length--;
    if (length >= FILE_PATH_BYTES_MAX) return ENAMETOOLONG;
    if (length == 0) {
        folder[length++] = '.';
    } else {
        memcpy(folder, path, length);
    }
    folder[length] = '\0';
    return 0;
}

int file_make_folders_of(const char *path) {
    char folder[FILE_PATH_BYTES_MAX];
    int  error = folder_of(path, folder);
    for (char *c = folder + 1; error == 0 && folder[0] == '/'; c++) {
        char end = *c;
        if (end != '/' && end != '\0') continue;
        *c = '\0';
        if (mkdir(folder, 0700) != 0 && errno != EEXIST) error = errno;
        *c = end;
        if (end == '\0') break;
    }
    return error;
}

int file_create_nameless(const char *path, int *fd) {
    char folder[FILE_PATH_BYTES_MAX];
    int  error = folder_of(path, folder);
    return error != 0 ? error : open_as(folder, O_TMPFILE | O_RDWR, fd);
}

int file_give_name(int fd, const char *path) {
    char from[DESCRIPTOR_PATH_BYTES_MAX];
    descriptor_path(fd, from);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 ? 0 : errno;
}

int file_make_like(int fd, int model) {
    struct stat like, s;
    if (fstat(model, &like) != 0 || fstat(fd, &s) != 0) return errno;
    bool is_owned = s.st_uid == like.st_uid && s.st_gid == like.st_gid;
    if (!is_owned && fchown(fd, like.st_uid, like.st_gid) != 0) return errno;
    return fchmod(fd, like.st_mode & 07777) == 0 ? 0 : errno;
}

int file_rename(const char *from, const char *to) { return rename(from, to) == 0 ? 0 : errno; }

int file_remove(const char *path) { return unlink(path) == 0 ? 0 : errno; }

/* Where a link leads to of which there is nothing yet; its target may be a link as well. */
static int resolve_link(const char *path, char resolved[FILE_PATH_BYTES_MAX]) {
    char    folder[FILE_PATH_BYTES_MAX], target[FILE_PATH_BYTES_MAX];
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length < 0) return ENOENT;
    target[length] = '\0';
    int error      = folder_of(path, folder);
    if (error != 0) return error;
    bool is_absolute = target[0] == '/';
    int  bytes       = snprintf(resolved, FILE_PATH_BYTES_MAX, "%s%s%s", is_absolute ? "" : folder,
                         is_absolute ? "" : "/", target);
    return bytes >= 0 && bytes < FILE_PATH_BYTES_MAX ? 0 : ENAMETOOLONG;
}

int file_resolve(const char *path, char resolved[FILE_PATH_BYTES_MAX]) {
    char *found = realpath(path, NULL);
    if (found == NULL) return errno == ENOENT ? resolve_link(path, resolved) : errno;
    size_t bytes   = strlen(found) + 1;
    bool   is_long = bytes > FILE_PATH_BYTES_MAX;
    if (!is_long) memcpy(resolved, found, bytes);
    free(found);
    return is_long ? ENAMETOOLONG : 0;
}

/* --- what it is ------------------------------------------------------------------------------ */

static void facts_of(const struct stat *s, struct file_facts *facts) {
    *facts = (struct file_facts){
        .identity   = {.device = s->st_dev, .inode = s->st_ino},
        .bytes      = (uint64_t)s->st_size,
        .disk_bytes = (uint64_t)s->st_blocks * 512,
        .name_count = (uint64_t)s->st_nlink,
        .is_regular = S_ISREG(s->st_mode),
        .is_linked  = s->st_nlink > 0,
    };
}

int file_facts(int fd, struct file_facts *facts) {
    struct stat s;
    if (fstat(fd, &s) != 0) return errno;
    facts_of(&s, facts);
    return 0;
}

bool file_is(int fd, struct file_identity identity) {
    struct file_facts facts = {.bytes = 0};
    return file_facts(fd, &facts) == 0 && file_identity_equals(facts.identity, identity);
}

int file_facts_of(const char *path, struct file_facts *facts) {
    struct stat s;
    if (stat(path, &s) != 0) return errno;
    facts_of(&s, facts);
    return 0;
}

const char *file_system_trouble(int fd) {
    struct statfs s;
    if (fstatfs(fd, &s) != 0) return NULL;
    switch ((uint32_t)s.f_type) {
    case NFS_SUPER_MAGIC: return "NFS";
    case SMB_SUPER_MAGIC:
    case CIFS_SUPER_MAGIC:
    case SMB2_SUPER_MAGIC: return "SMB";
    case V9FS_MAGIC: return "9P";
    case AFS_SUPER_MAGIC:
    case AFS_FS_MAGIC: return "AFS";
    case CODA_SUPER_MAGIC: return "Coda";
    case CEPH_SUPER_MAGIC: return "Ceph";
    case OCFS2_SUPER_MAGIC: return "OCFS2";
    case MAGIC_LUSTRE: return "Lustre";
    case MAGIC_GPFS: return "GPFS";
    default: return NULL;
    }
}

/* --- its bytes ------------------------------------------------------------------------------- */

int file_read(int fd, uint64_t offset, void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t n = pread(fd, (char *)bytes + done, count - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return ERROR_SHORT;
        done += (size_t)n;
    }
    return 0;
}

int file_write(int fd, uint64_t offset, const void *bytes, size_t count) {
    for (size_t done = 0; done < count;) {
        ssize_t n = pwrite(fd, (const char *)bytes + done, count - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        done += (size_t)n;
    }
    return 0;
}

int file_extend(int fd, uint64_t bytes) {
    struct file_facts facts = {.bytes = 0};
    int               error = file_facts(fd, &facts);
    if (error != 0 || facts.bytes >= bytes) return error;
    return ftruncate(fd, (off_t)bytes) == 0 ? 0 : errno;
}

int file_reserve(int fd, uint64_t offset, uint64_t bytes) {
    int done;
    do {
        done = fallocate(fd, 0, (off_t)offset, (off_t)bytes);
    } while (done != 0 && errno == EINTR);
    return done == 0 ? 0 : errno;
}

int file_sync(int fd) { return fsync(fd) == 0 ? 0 : errno; }

int file_sync_mapped(void *memory, uint64_t bytes) {
    return msync(memory, bytes, MS_SYNC) == 0 ? 0 : errno;
}

int file_sync_folder_of(const char *path) {
    char folder[FILE_PATH_BYTES_MAX];
    int  fd;
    int  error = folder_of(path, folder);
    if (error == 0) error = open_as(folder, O_RDONLY | O_DIRECTORY, &fd);
    if (error != 0) return error;
    error = file_sync(fd);
    file_close(fd);
    return error;
}

/* Advice only. Users are all over the file, so reading ahead would be in vain; and huge pages, which help
 * to find them, would have the disk write 2 MiB for each of them, so only memory gets any. */
static void advise(int fd, uint64_t bytes, void *memory) {
    struct statfs s;
    (void)madvise(memory, bytes, MADV_RANDOM);
    if (fstatfs(fd, &s) == 0 && s.f_type == TMPFS_MAGIC)
        (void)madvise(memory, bytes, MADV_HUGEPAGE);
}

int file_map(int fd, uint64_t bytes, bool is_writable, void **memory) {
    int protection = is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    *memory        = mmap(NULL, bytes, protection, MAP_SHARED, fd, 0);
    if (*memory == MAP_FAILED) return errno;
    advise(fd, bytes, *memory);
    return 0;
}

int file_map_again(int fd, uint64_t bytes, void *memory) {
    int protection = PROT_READ | PROT_WRITE;
    if (mmap(memory, bytes, protection, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED) {
        advise(fd, bytes, memory);
        return 0;
    }
    int error = errno;
    (void)mmap(memory, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
               -1, 0);
    return error;
}

void file_unmap(void *memory, uint64_t bytes) { (void)munmap(memory, bytes); }

void file_unmap_to_zeros(void *memory, uint64_t bytes) {
    (void)mmap(memory, bytes, PROT_READ | PROT_WRITE,
               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

/* --- locks ----------------------------------------------------------------------------------- */

/* Far above all content: no other program locks there by chance. */
#define LOCKS_AT (INT64_C(1) << 61)

static struct flock lock_of(short type, uint64_t byte) {
    return (struct flock){
        .l_type = type, .l_whence = SEEK_SET, .l_start = LOCKS_AT + (off_t)byte, .l_len = 1};
}

int file_lock(int fd, uint64_t byte) {
    struct flock lock = lock_of(F_WRLCK, byte);
    int          done;
    do {
        done = fcntl(fd, F_OFD_SETLKW, &lock);
    } while (done != 0 && errno == EINTR);
    return done == 0 ? 0 : errno;
}

bool file_try_lock(int fd, uint64_t byte) {
    struct flock lock = lock_of(F_WRLCK, byte);
    return fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

void file_unlock(int fd, uint64_t byte) {
    struct flock lock = lock_of(F_UNLCK, byte);
    (void)fcntl(fd, F_OFD_SETLK, &lock);
}

bool file_is_locked(int fd, uint64_t byte) {
    struct flock lock = lock_of(F_WRLCK, byte);
    return fcntl(fd, F_OFD_GETLK, &lock) != 0 || lock.l_type != F_UNLCK;
}
