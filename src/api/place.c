/* SPDX-License-Identifier: MIT */
#include "api/place.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/process.h"

__attribute__((format(printf, 3, 4))) static bool fail(weir_error *error, weir_status status,
                                                       const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    error->status = status;
    (void)vsnprintf(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}

static bool place_is_set(const char *variable, const char **value) {
    *value = getenv(variable);
    return *value != NULL && (*value)[0] == '/';
}

/* Where programs keep what must survive them: see file-hierarchy(7) and the XDG base directories. */
static bool place_by_default(char found[FILE_PATH_BYTES_MAX], weir_error *error) {
    const char *folder, *below = "";
    if (!place_is_set("XDG_STATE_HOME", &folder)) {
        bool is_root = process_is_root(), has_home = place_is_set("HOME", &folder);
        if (!is_root && !has_home)
            return fail(
                error, WEIR_BAD_URL,
                "file: has no place, since neither XDG_STATE_HOME nor HOME is set; say file:PATH");
        if (is_root) folder = "/var/lib";
        if (!is_root) below = "/.local/state";
    }
    int length = snprintf(found, FILE_PATH_BYTES_MAX, "%s%s/weir/limits.weir", folder, below);
    if (length < 0 || length >= FILE_PATH_BYTES_MAX)
        return fail(error, WEIR_BAD_URL, "the path of the default file is too long; say file:PATH");
    return true;
}

bool place_of_file(const char *path, char found[FILE_PATH_BYTES_MAX], weir_error *error) {
    if (!place_find_file(path, found, error)) return false;
    int why = path[0] == '\0' ? file_make_folders_of(found) : 0;
    if (why == 0) return true;
    return fail(error, WEIR_STORE_FAILED, "cannot make the folder of %.150s: %s; say file:PATH",
                found, file_error_text(why));
}

bool place_find_file(const char *path, char found[FILE_PATH_BYTES_MAX], weir_error *error) {
    if (path[0] == '\0') return place_by_default(found, error);
    if (strncmp(path, "//", 2) == 0) {
        path += 2;
        if (path[0] != '/')
            return fail(error, WEIR_BAD_URL,
                        "file://%.100s: a file is on this machine, so no host can be named; say "
                        "file:/PATH",
                        path);
    }
    if (strlen(path) >= FILE_PATH_BYTES_MAX)
        return fail(error, WEIR_BAD_URL, "the path of the file is longer than %d bytes",
                    FILE_PATH_BYTES_MAX - 1);
    memcpy(found, path, strlen(path) + 1);
    return true;
}
