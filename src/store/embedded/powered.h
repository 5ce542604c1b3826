/* SPDX-License-Identifier: MIT
 *
 * powered: what stands beside a file whose durability is power: its journal, and its past. */
#ifndef WEIR_STORE_EMBEDDED_POWERED_H
#define WEIR_STORE_EMBEDDED_POWERED_H

#include <weir.h>

#include "store/embedded/format.h"
#include "store/embedded/power.h"

struct powered;

/* Opens what stands beside `path`, for this process. `area` is the file's (FORMAT_POWER_AT). `wait` lets time
 * pass and buries the dead. `failed` is called when the past cannot be read, from a signal
 * handler; `has_failed` is set when the file fails, before anything in it reads as zeros.
 * NULL: `error` says why. */
struct powered *powered_open(const char *path, const struct format_rules *rules, void *area,
                             void (*wait)(void *context, uint32_t process, unsigned turn),
                             void               *context, void (*failed)(void *context),
                             const _Atomic bool *has_failed, weir_error *error);
void            powered_close(struct powered *p);

/* For the table's options; then, when the table is attached, who this is. */
const struct table_recorder *powered_recorder(const struct powered *p);
void                         powered_join(struct powered *p, struct table *table, uint32_t number);

/* Uses the past that there is, or removes it when all in it equal new. The opening lock is held. */
bool powered_begin(struct powered *p, uint64_t now_ns, weir_error *error);

/* In a child of fork(), before powered_join(). */
void powered_leave_to_parent(struct powered *p);

uint64_t powered_journal_bytes(const struct powered *p);

/* After a power loss: makes a new file of what the journal has, and puts it in the place of `path`, which is
 * open at `old` and whose rules are given and whose era, if `era` is not NULL. It belongs to whom the old one
 * belongs. Nobody else has it open, and its opening lock is held. May be killed and repeated. False: `error`
 * says why. */
bool powered_begin_anew(const char *path, int old, const struct format_rules *rules,
                        const struct format_era *era, uint64_t wall_error_ns, weir_error *error);

#endif
