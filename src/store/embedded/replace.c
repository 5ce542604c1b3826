/* SPDX-License-Identifier: MIT */
#include "store/embedded/replace.h"

#include <string.h>

#include "os/file.h"
#include "store/embedded/embedded.h"

/* What was left by one that was killed; a file that is none of ours stays. */
static bool clear_name(const char *name, weir_error *error) {
    uint8_t             bytes[FORMAT_RULES_BYTES];
    struct format_rules rules;
    int                 fd;
    int                 why = file_open(name, false, &fd);
    if (file_error_is_missing(why)) return true;
    if (why == 0) {
        bool is_ours = file_read(fd, 0, bytes, sizeof bytes) == 0 &&
                       format_read_rules(bytes, &rules) == FORMAT_OK;
        file_close(fd);
        if (!is_ours)
            return embedded_fail(error, WEIR_STORE_FAILED, name,
                                 "it is in the way, and is no weir file; move it away");
        why = file_remove(name);
    }
    return why == 0 || embedded_fail(error, WEIR_STORE_FAILED, name, "cannot take it away: %s",
                                     file_error_text(why));
}

bool replace_file(const char *path, const char *suffix, int fd, weir_error *error) {
    char name[FILE_PATH_BYTES_MAX];
    if (strlen(path) + strlen(suffix) >= sizeof name)
        return embedded_fail(error, WEIR_STORE_FAILED, path, "its path is too long");
    memcpy(name, path, strlen(path));
    memcpy(name + strlen(path), suffix, strlen(suffix) + 1);
    if (!clear_name(name, error)) return false;

    int why = file_give_name(fd, name);
    if (why != 0)
        return embedded_fail(error, WEIR_STORE_FAILED, path, "cannot name the new file: %s",
                             file_error_text(why));
    why = file_rename(name, path);
    if (why != 0) {
        (void)file_remove(name);
        return embedded_fail(error, WEIR_STORE_FAILED, path,
                             "cannot put the new file in its place: %s", file_error_text(why));
    }
    why = file_sync_folder_of(path);
    return why == 0 || embedded_fail(error, WEIR_STORE_FAILED, path, "cannot write its folder: %s",
                                     file_error_text(why));
}
