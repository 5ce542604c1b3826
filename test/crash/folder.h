/* SPDX-License-Identifier: MIT
 *
 * folder: a place for files that a test leaves when it is through. */
#ifndef WEIR_TEST_FOLDER_H
#define WEIR_TEST_FOLDER_H

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/check.h"

struct folder {
    char path[PATH_MAX / 2];
};

static inline struct folder folder_new(void) {
    struct folder folder;
    const char   *above = getenv("TMPDIR");
    snprintf(folder.path, sizeof folder.path, "%s/weir-crash.XXXXXX",
             above != NULL ? above : "/tmp");
    CHECK_NE(mkdtemp(folder.path), NULL);
    return folder;
}

static inline void folder_free(const struct folder *folder) {
    char path[PATH_MAX];
    DIR *all = opendir(folder->path);
    if (all == NULL) return;
    for (struct dirent *entry = readdir(all); entry != NULL; entry = readdir(all)) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, sizeof path, "%s/%s", folder->path, entry->d_name);
        (void)unlink(path);
    }
    closedir(all);
    (void)rmdir(folder->path);
}

#endif
