/* SPDX-License-Identifier: MIT */
#include "store/cassandra/claim_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"

enum {
    PACKED_UNIT = 64, /* bytes; an account that grows by less stays where it is */
    /* What one request can add: a charge, and a cell for each use that it reports. */
    GROWTH_MAX = sizeof(struct account_charge) +
                 LEASE_REPORTS_MAX * (LEASE_USES_MAX + 1) * sizeof(struct account_cell),
};

bool claim_table_init(struct claim_table *t, uint32_t count_max) {
    uint32_t buckets = 64;
    while (buckets < count_max && buckets < UINT32_C(1) << 30) buckets *= 2;
    *t = (struct claim_table){.mask = buckets - 1, .count_max = count_max, .ready_end = &t->ready};
    if (!due_init(&t->due, count_max)) return false;
    t->buckets = calloc(buckets, sizeof(void *)); /* the kernel gives pages as they are used */
    if (t->buckets != NULL) return true;
    due_clear(&t->due);
    return false;
}

void claim_table_clear(struct claim_table *t) {
    while (claim_table_next_ready(t) != NULL) continue;
    while (t->due.count > 0) claim_table_remove(t, (struct claim_record *)due_first(&t->due));
    due_clear(&t->due);
    free(t->buckets);
}

/* Names are keyed hashes already. */
static struct claim_record **bucket_of(const struct claim_table *t, const struct store_name *name) {
    return &t->buckets[claim_name_short(name) & t->mask];
}

struct claim_record *claim_table_find(const struct claim_table *t, const struct store_name *name) {
    struct claim_record *record = *bucket_of(t, name);
    while (record != NULL && memcmp(&record->name, name, sizeof *name) != 0) record = record->next;
    return record;
}

struct claim_record *claim_table_find_short(const struct claim_table *t, uint64_t name) {
    struct claim_record *record = t->buckets[name & t->mask];
    while (record != NULL && claim_name_short(&record->name) != name) record = record->next;
    return record;
}

struct claim_record *claim_table_add(struct claim_table *t, const struct store_name *name) {
    struct claim_record *record = t->count < t->count_max ? malloc(sizeof *record) : NULL;
    if (record == NULL) return NULL;
    struct claim_record **bucket = bucket_of(t, name);
    *record                      = (struct claim_record){.name = *name, .next = *bucket};
    *bucket                      = record;
    claim_begin(&record->claim, &t->lent);
    due_add(&t->due, &record->due, UINT64_MAX);
    t->count++;
    return record;
}

void claim_table_remove(struct claim_table *t, struct claim_record *record) {
    struct claim_record **link = bucket_of(t, &record->name);
    INVARIANT(record->waiting == NULL && !record->is_ready);
    while (*link != record) link = &(*link)->next;
    *link = record->next;
    due_remove(&t->due, &record->due);
    free(record->packed);
    free(record);
    t->count--;
}

void claim_table_forget(struct claim_table *t, struct claim_record *record) {
    claim_begin(&record->claim, &t->lent);
    free(record->packed);
    record->packed      = NULL;
    record->packed_room = 0;
}

/* ---- accounts ---- */

void claim_table_lend(struct claim_table *t, struct claim_record *record) {
    record->claim.account = &t->lent;
    if (record->packed != NULL)
        account_unpack(&t->lent, record->packed);
    else
        t->lent = (struct account){0};
}

static uint32_t rounded(size_t bytes) {
    return (uint32_t)((bytes + PACKED_UNIT - 1) / PACKED_UNIT * PACKED_UNIT);
}

static bool record_resize(struct claim_record *record, uint32_t room) {
    char *packed = record->packed_room == room ? record->packed : realloc(record->packed, room);
    if (packed == NULL) return false;
    record->packed      = packed;
    record->packed_room = room;
    return true;
}

bool claim_table_make_room(struct claim_table *t, struct claim_record *record) {
    bool     is_new = record->packed == NULL;
    uint32_t room   = rounded(account_bytes(&t->lent) + GROWTH_MAX);
    if (room <= record->packed_room) return true;
    if (!record_resize(record, room)) return false;
    if (is_new) account_pack(&t->lent, record->packed);
    return true;
}

/* To make something smaller may fail, too; then it stays as large as it is. */
void claim_table_take_back(struct claim_table *t, struct claim_record *record) {
    size_t bytes = account_bytes(&t->lent);
    INVARIANT(record->packed == NULL || bytes <= record->packed_room);
    if (record->packed == NULL) return;
    account_pack(&t->lent, record->packed);
    (void)record_resize(record, rounded(bytes));
}

/* ---- who waits for a statement ---- */

void claim_table_queue(struct claim_table *t, struct claim_record *record) {
    if (record->is_ready) return;
    record->is_ready   = true;
    record->next_ready = NULL;
    *t->ready_end      = record;
    t->ready_end       = &record->next_ready;
}

struct claim_record *claim_table_next_ready(struct claim_table *t) {
    struct claim_record *record = t->ready;
    if (record == NULL) return NULL;
    t->ready = record->next_ready;
    if (t->ready == NULL) t->ready_end = &t->ready;
    record->is_ready = false;
    return record;
}

/* ---- trips that wait ---- */

void claim_record_wait(struct claim_table *t, struct claim_record *record,
                       struct store_trip *trip) {
    trip->next = NULL;
    if (record->waiting == NULL) {
        record->next_waiting = t->waiting;
        record->link_waiting = &t->waiting;
        if (t->waiting != NULL) t->waiting->link_waiting = &record->next_waiting;
        t->waiting      = record;
        record->waiting = trip;
    } else {
        record->waits_last->next = trip;
    }
    record->waits_last = trip;
}

struct store_trip *claim_record_stop_waiting(struct claim_record *record) {
    struct store_trip *trips = record->waiting;
    if (trips == NULL) return NULL;
    *record->link_waiting = record->next_waiting;
    if (record->next_waiting != NULL) record->next_waiting->link_waiting = record->link_waiting;
    record->waiting = NULL;
    return trips;
}
