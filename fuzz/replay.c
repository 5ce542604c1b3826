/* SPDX-License-Identifier: MIT
 *
 * replay: gives a fuzz target the inputs that are named on the command line, files or folders, where
 * there is no libFuzzer to do it. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool replay_folder(const char *path, size_t *count);
static bool replay_file(const char *path, size_t *count);

int main(int argc, char **argv) {
    size_t count = 0;
    for (int i = 1; i < argc; i++) {
        struct stat about;
        if (stat(argv[i], &about) != 0) {
            perror(argv[i]);
            return 2;
        }
        bool is_replayed =
            S_ISDIR(about.st_mode) ? replay_folder(argv[i], &count) : replay_file(argv[i], &count);
        if (!is_replayed) return 2;
    }
    if (count == 0) {
        fprintf(stderr, "usage: %s FILE-OR-FOLDER...\n", argv[0]);
        return 2;
    }
    printf("%zu inputs replayed\n", count);
    return 0;
}

static bool replay_folder(const char *path, size_t *count) {
    DIR *folder = opendir(path);
    if (folder == NULL) {
        perror(path);
        return false;
    }
    bool is_replayed = true;
    for (struct dirent *entry; is_replayed && (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        is_replayed = replay_file(file, count);
    }
    closedir(folder);
    return is_replayed;
}

static bool replay_file(const char *path, size_t *count) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    /* The buffer is exactly as long as the input, so that a sanitizer sees a step beyond it. */
    fseek(file, 0, SEEK_END);
    long length = ftell(file);
    rewind(file);
    size_t   bytes   = length > 0 ? (size_t)length : 0;
    uint8_t *data    = malloc(bytes > 0 ? bytes : 1);
    bool     is_read = data != NULL && fread(data, 1, bytes, file) == bytes;
    fclose(file);
    if (!is_read) {
        fprintf(stderr, "%s: cannot be read\n", path);
        free(data);
        return false;
    }
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    *count += 1;
    return true;
}
