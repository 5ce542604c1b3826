/* SPDX-License-Identifier: MIT */
#include "store/embedded/format.h"

#include <string.h>

#include "base/hash.h"
#include "store/embedded/journal.h"
#include "table/layout.h"

enum {
    AT_VERSION    = 8,
    AT_BYTE_ORDER = 12,
    AT_USERS      = 16,
    AT_PPM        = 24,
    AT_UNRECORDED = 32,
    AT_PROCESSES  = 40,
    AT_DURABILITY = 44,
    AT_SECRET     = 48,
    AT_IDENTITY   = 64,
    AT_CREATED    = 80,
    AT_SIZES      = 88,
    AT_GENERATION = 104,
    AT_CHECK      = 504,
    VERSION       = 1,
    ORDER_MARK    = 0x01020304,
};

static const uint8_t            magic[8]  = {0x89, 'w', 'e', 'i', 'r', '\r', '\n', 0x1a};
static const struct hash_secret check_key = {.k0 = UINT64_C(0x6c69662072696577),
                                             .k1 = UINT64_C(0x7265646165682065)};

static void sizes_of(const struct format_rules *rules, uint32_t sizes[4]) {
    sizes[0] = sizeof(struct bucket);
    sizes[1] = sizeof(struct holder);
    sizes[2] = sizeof(struct table_ring);
    sizes[3] = (uint32_t)format_table_at(rules);
}

uint64_t format_power_bytes(void) {
    return sizeof(struct journal_shared) + sizeof(struct unrecorded);
}

uint64_t format_table_at(const struct format_rules *rules) {
    uint64_t power = rules->durability == 0 ? 0 : format_power_bytes();
    return FORMAT_POWER_AT + (power + TABLE_PAGE_BYTES - 1) / TABLE_PAGE_BYTES * TABLE_PAGE_BYTES;
}

static uint64_t check_of(const void *bytes, size_t count) {
    return hash_of(check_key, count, bytes, count);
}

static void put(uint8_t *bytes, size_t at, const void *value, size_t count) {
    memcpy(bytes + at, value, count);
}

static void get(const uint8_t *bytes, size_t at, void *value, size_t count) {
    memcpy(value, bytes + at, count);
}

/* --- the rules ------------------------------------------------------------------------------- */

void format_write_rules(const struct format_rules *rules, uint8_t bytes[FORMAT_RULES_BYTES]) {
    uint32_t       sizes[4];
    const uint32_t version = VERSION, byte_order = ORDER_MARK;
    memset(bytes, 0, FORMAT_RULES_BYTES);
    put(bytes, 0, magic, sizeof magic);
    put(bytes, AT_VERSION, &version, sizeof version);
    put(bytes, AT_BYTE_ORDER, &byte_order, sizeof byte_order);
    put(bytes, AT_USERS, &rules->users_max, sizeof rules->users_max);
    put(bytes, AT_PPM, &rules->clock_error_ppm, sizeof rules->clock_error_ppm);
    put(bytes, AT_UNRECORDED, &rules->unrecorded_max, sizeof rules->unrecorded_max);
    put(bytes, AT_PROCESSES, &rules->processes, sizeof rules->processes);
    put(bytes, AT_DURABILITY, &rules->durability, sizeof rules->durability);
    put(bytes, AT_SECRET, rules->secret, sizeof rules->secret);
    put(bytes, AT_IDENTITY, rules->identity, sizeof rules->identity);
    put(bytes, AT_CREATED, &rules->created_ns, sizeof rules->created_ns);
    put(bytes, AT_GENERATION, &rules->generation, sizeof rules->generation);
    sizes_of(rules, sizes);
    put(bytes, AT_SIZES, sizes, sizeof sizes);
    uint64_t check = check_of(bytes, AT_CHECK);
    put(bytes, AT_CHECK, &check, sizeof check);
}

uint32_t format_version_of(const uint8_t bytes[FORMAT_RULES_BYTES]) {
    uint32_t version;
    get(bytes, AT_VERSION, &version, sizeof version);
    return version;
}

/* In the order in which it helps most: a file of a newer version may have its check elsewhere. */
enum format_read format_read_rules(const uint8_t        bytes[FORMAT_RULES_BYTES],
                                   struct format_rules *rules) {
    uint32_t byte_order, sizes[4], sizes_there[4];
    uint64_t check;
    get(bytes, AT_BYTE_ORDER, &byte_order, sizeof byte_order);
    get(bytes, AT_SIZES, sizes_there, sizeof sizes_there);
    get(bytes, AT_CHECK, &check, sizeof check);
    if (memcmp(bytes, magic, sizeof magic) != 0) return FORMAT_FOREIGN;
    if (byte_order == __builtin_bswap32(ORDER_MARK)) return FORMAT_OTHER;
    if (format_version_of(bytes) > VERSION) return FORMAT_NEWER;
    if (check != check_of(bytes, AT_CHECK)) return FORMAT_DAMAGED;

    get(bytes, AT_USERS, &rules->users_max, sizeof rules->users_max);
    get(bytes, AT_PPM, &rules->clock_error_ppm, sizeof rules->clock_error_ppm);
    get(bytes, AT_UNRECORDED, &rules->unrecorded_max, sizeof rules->unrecorded_max);
    get(bytes, AT_PROCESSES, &rules->processes, sizeof rules->processes);
    get(bytes, AT_DURABILITY, &rules->durability, sizeof rules->durability);
    get(bytes, AT_SECRET, rules->secret, sizeof rules->secret);
    get(bytes, AT_IDENTITY, rules->identity, sizeof rules->identity);
    get(bytes, AT_CREATED, &rules->created_ns, sizeof rules->created_ns);
    get(bytes, AT_GENERATION, &rules->generation, sizeof rules->generation);
    sizes_of(rules, sizes);
    if (memcmp(sizes_there, sizes, sizeof sizes) != 0) return FORMAT_OTHER;

    /* Somebody who knows how to make the check may still have written nonsense. */
    bool is_sound = rules->users_max > 0 && table_bytes(rules->users_max, 1) != 0 &&
                    rules->clock_error_ppm <= 100000 && rules->processes == FORMAT_PROCESSES &&
                    rules->durability <= 1;
    return is_sound ? FORMAT_OK : FORMAT_DAMAGED;
}

/* --- eras ------------------------------------------------------------------------------------ */

static bool era_is_whole(const struct format_era *era) {
    return era->sequence != 0 && era->check == check_of(era, offsetof(struct format_era, check));
}

bool format_read_era(const struct format_era *first, const struct format_era *second,
                     struct format_era *era) {
    bool one = era_is_whole(first), two = era_is_whole(second);
    if (!one && !two) return false;
    *era = two && (!one || second->sequence > first->sequence) ? *second : *first;
    return true;
}

void format_write_era(struct format_era *first, struct format_era *second, struct format_era era) {
    struct format_era  last    = {0};
    bool               is_next = format_read_era(first, second, &last);
    struct format_era *over    = is_next && last.sequence == first->sequence ? second : first;
    era.sequence               = last.sequence + 1;
    era.check                  = check_of(&era, offsetof(struct format_era, check));
    *over                      = era;
}

struct format_era format_next_era(const struct format_era *last, uint64_t seen_ns,
                                  uint64_t boottime_ns, uint64_t wall_ns, uint64_t wall_error_ns) {
    uint64_t now_ns = seen_ns > last->table_ns ? seen_ns : last->table_ns;
    if (wall_error_ns > 0 && wall_ns > last->wall_ns) {
        uint64_t passed_ns = wall_ns - last->wall_ns;
        uint64_t proven_ns = passed_ns / 2 > wall_error_ns ? passed_ns - 2 * wall_error_ns : 0;
        if (proven_ns > 0 && last->table_ns + proven_ns > now_ns)
            now_ns = last->table_ns + proven_ns;
    }
    struct format_era next = *last;
    next.ahead_ns          = now_ns - boottime_ns;
    next.table_ns          = now_ns;
    next.wall_ns           = wall_ns;
    return next;
}
