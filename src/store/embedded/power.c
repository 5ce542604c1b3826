/* SPDX-License-Identifier: MIT
 *
 * power: how does a table come through a power loss?
 *
 * The table tells of each permit before it is taken (table.h, struct table_recorder). It is added to
 * what is unrecorded of its user or ring; above `u` the call waits until the journal has it. What a user
 * has in the table is found again by whoever comes after the power loss in the past; what was not
 * written down is charged to everybody through the rings, which newcomers carry along. docs/journal.md
 * has the whole of it. */
#include "store/embedded/power.h"

#include "base/contract.h"

static enum table_record power_add(struct power *p, struct unrecorded_id id, uint64_t cost) {
    switch (unrecorded_add(p->unrecorded, &p->me, id, cost, p->u)) {
    case UNRECORDED_SETTLE: return TABLE_SETTLE_AFTER;
    case UNRECORDED_SETTLE_FIRST: return TABLE_SETTLE_BEFORE;
    default: return TABLE_RECORDED;
    }
}

static enum table_record power_counter(void *context, uint64_t hash, uint64_t cost) {
    return power_add(context, (struct unrecorded_id){hash, UNRECORDED_COUNTER}, cost);
}

static enum table_record power_ring(void *context, uint32_t index, uint64_t cost) {
    return power_add(context, (struct unrecorded_id){index, UNRECORDED_RING}, cost);
}

static uint64_t power_ring_open(void *context, uint32_t index) {
    struct power *p = context;
    return unrecorded_of(p->unrecorded, &p->me, (struct unrecorded_id){index, UNRECORDED_RING});
}

static bool power_settle(void *context, uint64_t now_ns) {
    struct power *p = context;
    return journal_settle(p->journal, now_ns, p->wall_ns()) == DISK_OK;
}

static bool power_past(void *context, uint64_t hash, struct counter *c) {
    struct power *p = context;
    return p->has_past && past_find(&p->past, hash, c);
}

static void power_forget_past(void *context, uint64_t hash) {
    struct power *p = context;
    if (p->has_past) past_forget(&p->past, hash);
}

/* --- what the journal asks ------------------------------------------------------------------- */

static bool source_counter(void *context, uint64_t tag, struct counter *c) {
    struct power *p = context;
    return table_copy_counter(p->table, p->thread(), tag, c);
}

static bool source_ring(void *context, uint64_t index, struct ring *r) {
    struct power *p = context;
    if (index >= TABLE_RINGS) return false; /* the area was spoiled */
    table_copy_ring(p->table, (uint32_t)index, r);
    return true;
}

static uint64_t source_users(void *context) {
    struct power *p = context;
    return table_counts(p->table).users;
}

/* --- beginning ------------------------------------------------------------------------------- */

void power_init(struct power *p, const struct power_options *o) {
    struct journal_shared *shared = o->area;
    *p                            = (struct power){
                                   .recorder   = {.context     = p,
                                                  .counter     = power_counter,
                                                  .ring        = power_ring,
                                                  .ring_open   = power_ring_open,
                                                  .settle      = power_settle,
                                                  .past        = power_past,
                                                  .forget_past = power_forget_past},
                                   .me         = o->me,
                                   .disk       = o->disk,
                                   .journal    = o->journal,
                                   .unrecorded = (struct unrecorded *)(void *)(shared + 1),
                                   .u          = o->u,
                                   .thread     = o->thread,
                                   .wall_ns    = o->wall_ns,
    };
    const struct journal_options options = {
        .disk              = o->disk,
        .store             = o->store,
        .generation        = o->generation,
        .segment_bytes_max = o->segment_bytes_max,
        .source            = {.context = p,
                              .counter = source_counter,
                              .ring    = source_ring,
                              .users   = source_users},
        .shared            = shared,
        .unrecorded        = p->unrecorded,
        .me                = &p->me,
    };
    journal_init(p->journal, &options);
}

void power_clear(struct power *p) { journal_close(p->journal); }

void power_set_past(struct power *p, const struct past *past) {
    p->past     = *past;
    p->has_past = true;
}

void power_release_dead(void *area, uint32_t process) {
    struct journal_shared *shared = area;
    journal_release_dead(shared, (struct unrecorded *)(void *)(shared + 1), process);
}

void power_scour(void *area, bool (*is_gone)(void *context, uint32_t process), void *context) {
    struct journal_shared *shared = area;
    journal_scour(shared, (struct unrecorded *)(void *)(shared + 1), is_gone, context);
}

bool power_record_rings(struct power *p, uint64_t now_ns) {
    for (uint32_t i = 0; i < TABLE_RINGS; i++) {
        while (power_ring(p, i, 0) == TABLE_SETTLE_BEFORE) {
            if (!power_settle(p, now_ns)) return false;
        }
    }
    return power_settle(p, now_ns);
}
