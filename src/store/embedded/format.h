/* SPDX-License-Identifier: MIT
 *
 * format: what stands in a weir file before its table? All numbers as the machine has them; a file of
 * a machine with another byte order is refused.
 *
 *     offset  bytes
 *          0      8  magic: 89 77 65 69 72 0d 0a 1a ("\x89weir\r\n\x1a": text transfers spoil it)
 *          8      4  version of this format: 1
 *         12      4  0x01020304, for the byte order
 *         16      8  users_max: counters that the table may hold
 *         24      8  clock_error_ppm: windows are longer by so much
 *         32      8  unrecorded_max: permits of a user that a power loss may forget (durability 1)
 *         40      4  processes: that may have the file open at once
 *         44      4  durability: 0 process, 1 power
 *         48     16  secret: the key of the hash that names counters; users themselves are not in the
 * file
 *         64     16  identity of this file, drawn at random
 *         80      8  created: nanoseconds since 1970
 *         88      4  bytes of a bucket, 92: of a holder, 96: of a ring, 100: where the table begins
 *        104      8  generation: how often the table was begun anew after a power loss (durability 1)
 *        112    392  0
 *        504      8  check of the above: SipHash-1-3 with the key "weir file header"
 *       1024     64  era, first copy; see struct format_era
 *       2048     64  era, second copy: the whole one with the higher sequence holds
 *       4096  16384  256 x 64: who has the file open, by process number; see struct format_process
 *      20480         of durability 1: what is not on the disk yet, struct journal_shared and struct
 * unrecorded
 *   offset 100       the table: table/layout.h has its parts, table/bucket.h and table/line.h theirs
 *
 * The rules (0 to 511) never change; everything else does while the file is open. Which numbers are
 * taken is told by locks on the file, not by its bytes: byte 2^61 + n is locked by process n, byte 2^61
 * while somebody opens or compacts. */
#ifndef WEIR_STORE_EMBEDDED_FORMAT_H
#define WEIR_STORE_EMBEDDED_FORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FORMAT_RULES_BYTES  = 512,
    FORMAT_ERA_AT       = 1024,
    FORMAT_ERA_STEP     = 1024,
    FORMAT_PROCESSES_AT = 4096,
    FORMAT_PROCESSES    = 255, /* numbers 1 to 255 */
    FORMAT_POWER_AT     = 20480,
    FORMAT_LOCK_OPENING = 0,
};

/* What a file was made for. */
struct format_rules {
    uint64_t users_max;
    uint64_t clock_error_ppm;
    uint64_t unrecorded_max;
    uint32_t processes;
    uint32_t durability;
    uint8_t  secret[16];
    uint8_t  identity[16];
    uint64_t created_ns;
    uint64_t generation; /* of its journal */
};

/* Where the table begins, and what is before it in a file that keeps a journal. */
uint64_t format_power_bytes(void);
uint64_t format_table_at(const struct format_rules *rules);

void format_write_rules(const struct format_rules *rules, uint8_t bytes[FORMAT_RULES_BYTES]);

enum format_read {
    FORMAT_OK,
    FORMAT_FOREIGN, /* not a weir file */
    FORMAT_NEWER,   /* of a version that this program does not know */
    FORMAT_DAMAGED, /* its check fails */
    FORMAT_OTHER,   /* of another byte order, or with parts of other sizes */
};

enum format_read format_read_rules(const uint8_t        bytes[FORMAT_RULES_BYTES],
                                   struct format_rules *rules);
uint32_t         format_version_of(const uint8_t bytes[FORMAT_RULES_BYTES]);

/* How the table's clock goes with the machine's, since the machine was started. */
struct format_era {
    uint64_t sequence;
    uint8_t  boot[16]; /* the kernel's boot id */
    uint64_t ahead_ns; /* the table's time is CLOCK_BOOTTIME plus this, modulo 2^64 */
    uint64_t table_ns; /* a moment in the table's time, */
    uint64_t wall_ns;  /* and the same on the wall clock, since 1970 */
    uint64_t
        is_clean; /* 1: all of the table was on the disk, and nobody had it open (durability 1) */
    uint64_t check;
};

/* The newer of the two copies; false: neither is whole. */
bool format_read_era(const struct format_era *first, const struct format_era *second,
                     struct format_era *era);
/* The copy to write over; its check and sequence are set. */
void format_write_era(struct format_era *first, struct format_era *second, struct format_era era);

/* The era after the machine was started again. `seen_ns` is the newest table time that is known to
 * have come.
 *
 * How long the machine was off is not known by any clock that can be trusted without a word: the table's
 * time goes on from the last moment that is known, as if the machine had not been off at all, so that
 * nobody's permits age too fast. If the wall clock is trusted to `wall_error_ns` (0: not at all), before
 * and after, it goes on by as much as that proves. */
struct format_era format_next_era(const struct format_era *last, uint64_t seen_ns,
                                  uint64_t boottime_ns, uint64_t wall_ns, uint64_t wall_error_ns);

/* Who has a number. For people, and for a second opinion on whether they live. */
struct format_process {
    uint64_t id;
    uint64_t started;
    uint64_t name_space;
    uint64_t opened_ns; /* wall clock */
    char     name[16];
    uint64_t program; /* as os/process.h has it */
    uint64_t zero;
};

_Static_assert(sizeof(struct format_era) == 64 && sizeof(struct format_process) == 64,
               "as told above");

#endif
