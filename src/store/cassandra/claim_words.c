/* SPDX-License-Identifier: MIT */
#include "store/cassandra/claim_words.h"

#include <stdlib.h>
#include <string.h>

#include "base/contract.h"
#include "base/range.h"

enum { MEMBER_BUCKETS = 8 };

#define MEMBER_BUCKETS_TEXT "0, 1, 2, 3, 4, 5, 6, 7"
#define SECOND              UINT64_C(1000000000)
#define NUMBER_MAX          (2 * CLAIM_NUMBER_MAX)
#define EXPIRES_NS_MAX      (UINT64_C(2145916800) * SECOND) /* 2038 begins */

static const struct cassandra_statement
    write_row = {"INSERT INTO weir_claims (name, id, number, permits, demand, resets) "
                 "VALUES (?, ?, ?, ?, ?, ?) USING TTL ?"},
    read_rows = {"SELECT id, number, permits, demand, resets FROM weir_claims WHERE name = ?"},
    join      = {"INSERT INTO weir_members (bucket, id, beat, is_fenced, keep) "
                      "VALUES (?, ?, ?, false, ?) IF NOT EXISTS USING TTL ?"},
    beat      = {"UPDATE weir_members USING TTL ? "
                      "SET beat = ?, is_fenced = false, keep = ?, shortages = ? "
                      "WHERE bucket = ? AND id = ? IF is_fenced = false AND beat < ?"},
    fence     = {"UPDATE weir_members USING TTL ? SET beat = ?, is_fenced = true, keep = ? "
                     "WHERE bucket = ? AND id = ? IF is_fenced = false AND beat = ?"},
    date      = {"UPDATE weir_members USING TTL ? "
                      "SET beat = ?, is_fenced = true, keep = ?, shortages = 0x, fenced_for = ? "
                      "WHERE bucket = ? AND id = ? IF is_fenced = true AND beat = ?"},
    look      = {"SELECT id, beat, is_fenced, keep, shortages, fenced_for FROM weir_members "
                      "WHERE bucket IN (" MEMBER_BUCKETS_TEXT ")"};

/* ---- requests ---- */

static void words_begin(struct claim_words *words, const struct cassandra_statement *statement) {
    words->request = (struct cassandra_request){.statement     = statement,
                                                .values        = words->values,
                                                .consistency   = CQL_QUORUM,
                                                .skips_columns = true};
}

static unsigned words_next(struct claim_words *words) {
    INVARIANT(words->request.value_count < CLAIM_VALUES_MAX);
    return words->request.value_count++;
}

static void words_add(struct claim_words *words, uint64_t number) {
    unsigned i       = words_next(words);
    words->values[i] = cql_value_of_bigint((int64_t)number, words->bytes[i]);
}

static void words_add_int(struct claim_words *words, int32_t number) {
    unsigned i       = words_next(words);
    words->values[i] = cql_value_of_int(number, words->bytes[i]);
}

uint64_t claim_words_keep_ns_max(uint64_t wall_ns) {
    if (wall_ns >= EXPIRES_NS_MAX) return CLAIM_KEEP_NS_MAX;
    return smaller(CLAIM_KEEP_NS_MAX, EXPIRES_NS_MAX - wall_ns);
}

/* As long as an errand says, if a server takes that. What was fenced long ago is kept for so much less. */
static uint64_t allowed_keep_ns(uint64_t keep_ns, uint64_t fenced_for_ns, uint64_t wall_ns) {
    uint64_t past_ns = smaller(fenced_for_ns, CLAIM_KEEP_NS_MAX);
    uint64_t max_ns  = smaller(claim_words_keep_ns_max(wall_ns) + past_ns, CLAIM_KEEP_NS_MAX);
    return smaller(keep_ns, max_ns);
}

/* Rounded up. */
static int32_t seconds_of(uint64_t ns) {
    REQUIRE(ns <= CLAIM_KEEP_NS_MAX);
    return (int32_t)((ns + SECOND - 1) / SECOND);
}

void claim_words_write(struct claim_words *words, const struct claim_errand *errand,
                       const struct store_name *name, uint64_t id, uint64_t wall_ns) {
    struct view key      = {(const char *)name->bytes, sizeof name->bytes};
    bool        is_write = errand->act == CLAIM_WRITE;
    words_begin(words, is_write ? &write_row : &read_rows);
    words->request.key               = key;
    words->values[words_next(words)] = (struct cql_value){CQL_PRESENT, key};
    if (!is_write) return;
    words_add(words, id);
    words_add(words, errand->number);
    words_add(words, errand->permits);
    words_add(words, errand->demand);
    words_add(words, errand->resets);
    words_add_int(words, seconds_of(allowed_keep_ns(errand->keep_ns, 0, wall_ns)));
    words->request.has_timestamp = true;
    words->request.timestamp_us  = (int64_t)errand->number;
}

/* The key of a record. Its partition is where all conditional updates of it meet. */
static void words_add_member(struct claim_words *words, uint64_t id) {
    unsigned i = words->request.value_count;
    words_add_int(words, (int32_t)(id % MEMBER_BUCKETS));
    words->request.key = words->values[i].bytes;
    words_add(words, id);
}

/* Eight bytes each, as in the name of a user. */
static void words_add_shortages(struct claim_words *words, const struct shortage_list *list) {
    struct view bytes = {(const char *)words->shortages.users, list->count * sizeof(uint64_t)};
    words->shortages  = *list;
    words->values[words_next(words)] = (struct cql_value){CQL_PRESENT, bytes};
}

void claim_words_write_member(struct claim_words *words, const struct members_errand *errand,
                              uint64_t wall_ns) {
    uint64_t keep_ns = larger(MEMBER_KEEP_NS_MIN, errand->keep_ns);
    int32_t  keep_s  = seconds_of(allowed_keep_ns(keep_ns, errand->fenced_for_ns, wall_ns));
    /* Rounded down: it is never older than that. */
    int32_t fenced_for_s = (int32_t)(smaller(errand->fenced_for_ns, CLAIM_KEEP_NS_MAX) / SECOND);
    switch (errand->act) {
    case MEMBERS_JOIN:
        words_begin(words, &join);
        words_add_member(words, errand->id);
        words_add(words, errand->beat);
        words_add_int(words, keep_s);
        words_add_int(words, keep_s);
        break;
    case MEMBERS_BEAT:
    case MEMBERS_FENCE:
        words_begin(words, errand->act == MEMBERS_BEAT ? &beat : &fence);
        words_add_int(words, keep_s);
        words_add(words, errand->beat);
        words_add_int(words, keep_s);
        if (errand->act == MEMBERS_BEAT) words_add_shortages(words, &errand->shortages);
        words_add_member(words, errand->id);
        words_add(words, errand->beat);
        break;
    case MEMBERS_DATE:
        words_begin(words, &date);
        /* When it would have expired; 0 would be never. */
        words_add_int(words, fenced_for_s < keep_s ? keep_s - fenced_for_s : 1);
        words_add(words, errand->beat);
        words_add_int(words, keep_s);
        words_add_int(words, fenced_for_s);
        words_add_member(words, errand->id);
        words_add(words, errand->beat);
        break;
    case MEMBERS_LOOK: words_begin(words, &look); return;
    }
    words->request.skips_columns      = errand->act != MEMBERS_BEAT; /* claim_words_has_beaten() */
    words->request.serial_consistency = CQL_SERIAL;
    words->request.is_conditional     = true;
}

/* ---- answers ---- */

/* Of the columns only the first is needed, "[applied]". */
bool claim_words_applied(const struct cassandra_result *result, bool *is_applied) {
    struct cql_rows  rows = result->result.rows;
    struct cql_value applied;
    return result->result.kind == CQL_ROWS && cql_rows_next(&rows, &applied, 1) &&
           cql_value_boolean(applied, is_applied);
}

/* The columns of the condition follow, in no order that is promised. */
static bool find_column(const struct cassandra_result *result, const char *name,
                        struct cql_value *value) {
    enum { COLUMNS_MAX = 8 };
    struct cql_rows    rows    = result->result.rows;
    struct cql_columns columns = rows.columns;
    struct cql_column  column;
    struct cql_value   values[COLUMNS_MAX];
    if (!cql_rows_next(&rows, values, COLUMNS_MAX)) return false;
    for (unsigned i = 0; i < COLUMNS_MAX && cql_columns_next(&columns, &column); i++) {
        if (!view_equals(column.name, view_of(name))) continue;
        *value = values[i];
        return true;
    }
    return false;
}

bool claim_words_has_beaten(const struct cassandra_result *result, uint64_t number) {
    struct cql_value value;
    bool             is_fenced;
    int64_t          found;
    if (result->result.kind != CQL_ROWS) return false;
    if (!find_column(result, "is_fenced", &value) || !cql_value_boolean(value, &is_fenced))
        return false;
    if (!find_column(result, "beat", &value) || !cql_value_bigint(value, &found)) return false;
    return !is_fenced && (uint64_t)found == number;
}

static bool read_number(struct cql_value value, uint64_t max, uint64_t *number) {
    int64_t read;
    if (!cql_value_bigint(value, &read) || read < 0 || (uint64_t)read > max) return false;
    *number = (uint64_t)read;
    return true;
}

/* NULL: no row is here that could be read, or nobody can say how many there are. */
static void *rows_begin(const struct cassandra_result *result, struct cql_rows *rows, void *memory,
                        uint32_t *room, size_t bytes) {
    if (result->result.kind != CQL_ROWS || result->result.rows.paging_state.bytes > 0) return NULL;
    *rows = result->result.rows;
    if (rows->row_left < *room) return memory;
    memory = realloc(memory, (rows->row_left + 1) * bytes);
    if (memory != NULL) *room = rows->row_left + 1;
    return memory;
}

bool claim_words_rows(const struct cassandra_result *result, struct claim_row **rows,
                      uint32_t *room, uint32_t *count) {
    enum { ID, NUMBER, PERMITS, DEMAND, RESETS, COLUMNS };
    struct cql_rows   said;
    struct cql_value  values[COLUMNS];
    struct claim_row *memory = rows_begin(result, &said, *rows, room, sizeof **rows);
    if (memory == NULL) return false;
    *rows  = memory;
    *count = 0;
    while (cql_rows_next(&said, values, COLUMNS)) {
        struct claim_row *row = &memory[*count];
        int64_t           id;
        *row = (struct claim_row){0};
        if (!cql_value_bigint(values[ID], &id)) return false;
        if (!read_number(values[NUMBER], NUMBER_MAX, &row->number) ||
            !read_number(values[PERMITS], LIMIT_MAX, &row->permits) ||
            !read_number(values[DEMAND], LIMIT_MAX, &row->demand) ||
            !read_number(values[RESETS], NUMBER_MAX, &row->resets))
            return false;
        row->id = (uint64_t)id;
        (*count)++;
    }
    return true;
}

/* A hint: of what is not as it should be, nothing is read. */
static void read_shortages(struct cql_value value, struct shortage_list *list) {
    size_t count = value.bytes.bytes / sizeof list->users[0];
    if (value.presence != CQL_PRESENT || count > SHORTAGES_MAX) return;
    memcpy(list->users, value.bytes.data, count * sizeof list->users[0]);
    list->count = (uint32_t)count;
}

static bool is_null(struct cql_value value) { return value.presence != CQL_PRESENT; }

bool claim_words_records(const struct cassandra_result *result, struct members_record **records,
                         uint32_t *room, uint32_t *count) {
    enum { ID, BEAT, IS_FENCED, KEEP, SHORTAGES, FENCED_FOR, COLUMNS };
    struct cql_rows        said;
    struct cql_value       values[COLUMNS];
    struct members_record *memory = rows_begin(result, &said, *records, room, sizeof **records);
    if (memory == NULL) return false;
    *records = memory;
    *count   = 0;
    while (cql_rows_next(&said, values, COLUMNS)) {
        struct members_record *record = &memory[*count];
        int64_t                id;
        int32_t                keep_s, fenced_for_s = 0;
        *record = (struct members_record){0};
        /* Its columns do not expire together: of who is half gone nothing is known, and so it counts. */
        if (is_null(values[BEAT]) || is_null(values[IS_FENCED]) || is_null(values[KEEP])) continue;
        if (!cql_value_bigint(values[ID], &id) || !cql_value_int(values[KEEP], &keep_s) ||
            !read_number(values[BEAT], INT64_MAX, &record->beat) || keep_s < 0 ||
            !cql_value_boolean(values[IS_FENCED], &record->is_fenced))
            return false;
        record->id      = (uint64_t)id;
        record->keep_ns = (uint64_t)keep_s * SECOND;
        if (cql_value_int(values[FENCED_FOR], &fenced_for_s) && fenced_for_s > 0)
            record->fenced_for_ns = (uint64_t)fenced_for_s * SECOND;
        read_shortages(values[SHORTAGES], &record->shortages);
        (*count)++;
    }
    return true;
}
