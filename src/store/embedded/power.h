/* SPDX-License-Identifier: MIT
 *
 * power: how does a table come through a power loss? See power.c. */
#ifndef WEIR_STORE_EMBEDDED_POWER_H
#define WEIR_STORE_EMBEDDED_POWER_H

#include "store/embedded/journal.h"
#include "store/embedded/past.h"
#include "table/table.h"

/* One process's way from a table to its journal. Made by power_init() in place. */
struct power {
    struct table_recorder recorder; /* to be given to the table */
    struct lock_owner     me;
    struct table         *table;
    const struct disk    *disk;
    struct journal       *journal;
    struct unrecorded    *unrecorded;
    uint64_t              u; /* permits of a user that may be answered and not written down */
    struct past           past;
    bool                  has_past;
    unsigned (*thread)(void); /* the caller's number, as the table wants it */
    uint64_t (*wall_ns)(void);
};

struct power_options {
    const struct disk *disk;
    struct lock_owner  me;    /* this process, and how it waits for others */
    const char        *store; /* the name that the journal's files begin with */
    uint64_t           generation;
    uint64_t           segment_bytes_max;
    uint64_t           u;
    void              *area;    /* POWER_AREA_BYTES that the processes share, zeros at first */
    struct journal    *journal; /* memory for one */
    unsigned (*thread)(void);
    uint64_t (*wall_ns)(void);
};

#define POWER_AREA_BYTES (sizeof(struct journal_shared) + sizeof(struct unrecorded))

/* Borrows everything. The caller sets `table`, once it is attached with &power->recorder. */
void power_init(struct power *p, const struct power_options *options);
void power_clear(struct power *p);

/* Newcomers are looked up in it from now on. */
void power_set_past(struct power *p, const struct past *past);

/* Frees what a dead process holds in the area. */
void power_release_dead(void *area, uint32_t process);

/* Frees all locks in the area whose owner is gone: it was spoiled. See table_scour(). */
void power_scour(void *area, bool (*is_gone)(void *context, uint32_t process), void *context);

/* Has every ring written down: before a past is removed that charges them. False: it cannot be done now. */
bool power_record_rings(struct power *p, uint64_t now_ns);

#endif
