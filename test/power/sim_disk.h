/* SPDX-License-Identifier: MIT
 *
 * sim_disk: a disk that does no more than what os/disk.h promises, from a seed.
 *
 * It knows what is durable and what came later. When the power fails, each write that was not synced is kept,
 * dropped, kept in part (in sectors of 512 bytes, any of them) or spoiled, whatever happened to those
 * before and after it; each name that came, went or moved since the folder was synced is as before or as
 * after. A failed sync keeps some of the writes and forgets the others, though reads still show them and
 * the next sync succeeds, as Linux does. Any thread may call. */
#ifndef WEIR_TEST_SIM_DISK_H
#define WEIR_TEST_SIM_DISK_H

#include <pthread.h>
#include <stdbool.h>

#include "base/random.h"
#include "os/disk.h"

enum { SIM_FILES_MAX = 4096, SIM_NAMES_MAX = 512, SIM_CHANGES_MAX = 8192, SIM_NAME_BYTES = 96 };

enum sim_act { SIM_OPEN, SIM_WRITE, SIM_SYNC, SIM_RENAME, SIM_REMOVE, SIM_FOLDER_SYNC, SIM_ACTS };

struct sim_write {
    uint64_t       offset;
    size_t         bytes;
    unsigned char *data;
};

struct sim_bytes {
    unsigned char *data;
    size_t         bytes, room;
};

struct sim_file {
    bool              is_used;
    uint32_t          opened;
    struct sim_bytes  now;     /* what reads show */
    struct sim_bytes  durable; /* what was synced */
    struct sim_write *write;   /* since then */
    size_t            write_count, write_room;
};

/* A name gets a file, or none (-1). */
struct sim_name {
    char name[SIM_NAME_BYTES];
    int  file;
};

struct sim_names {
    struct sim_name entry[SIM_NAMES_MAX];
    size_t          count;
};

struct sim_change {
    struct sim_name to;
    char            from[SIM_NAME_BYTES]; /* of a rename: loses its file at the same moment */
};

struct sim_disk {
    struct random     random;
    struct sim_file   file[SIM_FILES_MAX];
    struct sim_names  now, durable;
    struct sim_change change[SIM_CHANGES_MAX];
    size_t            change_count;
    pthread_mutex_t   mutex;

    /* Called before and after each act that changes something, without the mutex. May jump away. */
    void (*hook)(void *context, enum sim_act act, bool is_before);
    void *hook_context;

    /* Acts of these kinds (bits) fail with `fault` for as long as `fault_acts` lasts. */
    uint32_t         fault_mask;
    uint64_t         fault_acts;
    enum disk_status fault;

    uint64_t acts[SIM_ACTS];
};

struct sim_disk *sim_disk_new(uint64_t seed);
void             sim_disk_free(struct sim_disk *sim);
struct disk      sim_disk_face(struct sim_disk *sim);

/* The same disk again, without hook and faults, for trying what happens if. */
struct sim_disk *sim_disk_copy(const struct sim_disk *sim, uint64_t seed);

/* The power fails and comes back. Open files are closed. */
void sim_disk_crash(struct sim_disk *sim);

/* All is synced: what is there now is durable. */
void sim_disk_settle(struct sim_disk *sim);

/* For tests that look into files: the bytes of one, or NULL; and a name from the bytes. */
struct sim_bytes *sim_disk_bytes(struct sim_disk *sim, const char *name);
void     sim_disk_put(struct sim_disk *sim, const char *name, const void *data, size_t bytes);
uint64_t sim_disk_total(struct sim_disk *sim);

#endif
