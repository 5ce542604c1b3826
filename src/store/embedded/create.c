/* SPDX-License-Identifier: MIT */
#include "store/embedded/create.h"

#include <stdlib.h>

#include "base/contract.h"
#include "os/clock.h"
#include "os/entropy.h"
#include "os/file.h"
#include "os/processor.h"

enum {
    UNRECORDED_MAX_DEFAULT = 16,
    USERS_MAX_DEFAULT      = 10000000,
};

#define HANDLE_BYTES ((table_handle_bytes() + 63) / 64 * 64)

uint64_t create_file_bytes(const struct format_rules *rules) {
    return format_table_at(rules) + table_bytes(rules->users_max, FORMAT_PROCESSES);
}

/* As many users as a file of bytes_max may hold; 0: not one. */
static uint64_t users_within(const struct format_rules *rules, uint64_t bytes_max) {
    uint64_t before = format_table_at(rules);
    if (bytes_max == 0) return rules->users_max;
    if (bytes_max <= before) return 0;
    return table_users_within(rules->users_max, FORMAT_PROCESSES, bytes_max - before);
}

static bool rules_for_new(const char *path, const struct embedded_options *o,
                          struct format_rules *rules, weir_error *error) {
    *rules = (struct format_rules){
        .users_max       = o->users_max != 0 ? o->users_max : USERS_MAX_DEFAULT,
        .clock_error_ppm = o->clock_error_ppm,
        .unrecorded_max  = o->unrecorded_max != 0 ? o->unrecorded_max : UNRECORDED_MAX_DEFAULT,
        .processes       = FORMAT_PROCESSES,
        .durability      = o->durability,
        .created_ns      = clock_wall_ns(),
        .generation      = 1,
    };
    if (o->durability == 0) rules->unrecorded_max = 0;
    rules->users_max = users_within(rules, o->bytes_max);
    if (rules->users_max == 0) {
        rules->users_max = 1;
        return embedded_fail(
            error, WEIR_BAD_OPTIONS, path, "bytes_max is %llu; the smallest file has %llu bytes",
            (unsigned long long)o->bytes_max, (unsigned long long)create_file_bytes(rules));
    }
    if (!entropy_fill(rules->secret, sizeof rules->secret) ||
        !entropy_fill(rules->identity, sizeof rules->identity))
        return embedded_fail(error, WEIR_UNSUPPORTED, path,
                             "the system gives no random bytes (getrandom failed)");
    return true;
}

/* Nobody else has the file yet. */
static void wait_for_nobody(void *context, uint32_t process, unsigned turn) {
    (void)context;
    (void)process;
    processor_yield(turn);
}

/* Makes an empty table of the zeros in the file. `handle` has room for a view of it. */
static int file_make_table(int fd, const struct format_rules *rules, void *handle) {
    void *memory;
    int   error = file_map(fd, create_file_bytes(rules), true, &memory);
    if (error == 0) {
        struct table *t = table_attach(handle, (char *)memory + format_table_at(rules),
                                       &(struct table_options){.users_max = rules->users_max,
                                                               .processes = FORMAT_PROCESSES,
                                                               .process   = 1,
                                                               .wait      = wait_for_nobody});
        INVARIANT(t != NULL);
        table_recover(t, 1);
        file_unmap(memory, create_file_bytes(rules));
    }
    return error;
}

/* Writes all that a new file needs into one without a name. */
static int file_fill(int fd, const struct format_rules *rules, const struct format_era *era,
                     void *handle) {
    uint8_t           bytes[FORMAT_RULES_BYTES];
    struct format_era first = {0}, second = {0};
    uint64_t          table   = table_bytes_at_first(rules->users_max, FORMAT_PROCESSES);
    struct table_part holders = table_part_of_process(1),
                      last    = table_part_of_process(FORMAT_PROCESSES);
    uint64_t buckets = last.offset + last.bytes, before = format_table_at(rules);

    /* The first holders too: whoever makes the table writes there. */
    format_write_rules(rules, bytes);
    format_write_era(&first, &second, *era);
    int error = file_extend(fd, before + table);
    if (error == 0) error = file_reserve(fd, 0, before + holders.offset + holders.bytes);
    if (error == 0) error = file_reserve(fd, before + buckets, table - buckets);
    if (error == 0) error = file_make_table(fd, rules, handle);
    if (error == 0) error = file_write(fd, FORMAT_ERA_AT, &first, sizeof first);
    if (error == 0) error = file_write(fd, 0, bytes, sizeof bytes);
    return error != 0 ? error : file_sync(fd);
}

/* What it means that a file cannot be created. */
static bool fail_to_create(weir_error *error, const char *path, int why) {
    if (file_error_is_unsupported(why))
        return embedded_fail(
            error, WEIR_STORE_FAILED, path,
            "this file system cannot create a file without a name, or cannot reserve space "
            "(fallocate); put it on a local one (ext4, xfs, btrfs, tmpfs)");
    return embedded_fail_at(error, path, "cannot create it", why);
}

bool create_nameless(const char *path, const struct format_rules *rules,
                     const struct format_era *era, int *fd, weir_error *error) {
    int why = file_create_nameless(path, fd);
    if (why != 0) return fail_to_create(error, path, why);

    const char *trouble = file_system_trouble(*fd);
    void       *handle  = aligned_alloc(64, HANDLE_BYTES);
    if (trouble != NULL) {
        embedded_fail(
            error, WEIR_STORE_FAILED, path,
            "%s does not keep mapped files the same for all; put it on a local file system",
            trouble);
    } else if (handle == NULL) {
        embedded_fail(error, WEIR_NO_MEMORY, path, "out of memory");
    } else {
        why = file_fill(*fd, rules, era, handle);
        if (why == 0) {
            free(handle);
            return true;
        }
        fail_to_create(error, path, why);
    }
    free(handle);
    file_close(*fd);
    return false;
}

bool create_file(const char *path, const struct embedded_options *o, weir_error *error) {
    struct format_rules rules;
    int                 fd;
    if (!rules_for_new(path, o, &rules, error)) return false;

    /* Of no boot: whoever opens it begins its first era. */
    const struct format_era none = {.wall_ns = rules.created_ns};
    if (!create_nameless(path, &rules, &none, &fd, error)) return false;
    int why = file_give_name(fd, path);
    file_close(fd);
    if (why == 0) why = file_sync_folder_of(path);
    return why == 0 || file_error_is_existing(why) || fail_to_create(error, path, why);
}
