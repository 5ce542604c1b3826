/* SPDX-License-Identifier: MIT */
#include "claims/fake_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/clock.h"
#include "os/entropy.h"
#include "support/check.h"

#define SECOND UINT64_C(1000000000)

enum { BODY_BYTES_MAX = 256 * 1024 };

struct cassandra {
    uint64_t (*turn)(void *context);
    void *context;
};

struct fake_client fake;

static struct cassandra *client; /* that is open */

void fake_begin(void) {
    fake = (struct fake_client){.now_ns      = 1000 * SECOND,
                                .wall_ns     = UINT64_C(1800000000) * SECOND,
                                .next_id     = 101,
                                .has_entropy = true};
}

/* ---- the clock and the entropy ---- */

uint64_t clock_now_ns(void) {
    fake.now_ns += fake.tick_ns;
    return fake.now_ns;
}

uint64_t clock_wall_ns(void) { return fake.wall_ns; }

void fake_pass(uint64_t ns) {
    fake.now_ns += ns;
    fake.wall_ns += ns;
}

/* A name of a process is what is drawn, without its last bit. */
bool entropy_fill(void *out, size_t bytes) {
    uint64_t drawn = fake.next_id << 1;
    CHECK_EQ(bytes, sizeof drawn);
    if (!fake.has_entropy) return false;
    memcpy(out, &drawn, sizeof drawn);
    fake.next_id++;
    return true;
}

/* ---- bodies of answers ---- */

static char   body[BODY_BYTES_MAX];
static size_t body_bytes;

static void put(const void *bytes, size_t count) {
    CHECK_LE(body_bytes + count, sizeof body);
    memcpy(body + body_bytes, bytes, count);
    body_bytes += count;
}

static void put_number(unsigned bytes, uint64_t number) {
    while (bytes > 0) {
        char byte = (char)(number >> 8 * --bytes & 0xff);
        put(&byte, 1);
    }
}

static void put_string(const char *text) {
    put_number(2, strlen(text));
    put(text, strlen(text));
}

static void put_value(unsigned bytes, uint64_t number) {
    put_number(4, bytes);
    put_number(bytes, number);
}

/* Rows without the names of their columns. */
static void begin_rows(unsigned columns, unsigned rows) {
    body_bytes = 0;
    put_number(4, CQL_ROWS);
    put_number(4, 4);
    put_number(4, columns);
    put_number(4, rows);
}

/* ---- the tables ---- */

static bool is_of(const struct fake_row *row, const struct store_name *name) {
    return memcmp(&row->name, name, sizeof *name) == 0;
}

static struct fake_row *find_row(const struct fake_errand *e) {
    for (unsigned i = 0; i < fake.row_count; i++)
        if (fake.rows[i].id == e->id && is_of(&fake.rows[i], &e->name)) return &fake.rows[i];
    CHECK_LT(fake.row_count, FAKE_ROWS_MAX);
    return &fake.rows[fake.row_count++];
}

/* The greater timestamp wins, whenever it comes. */
static void do_write(const struct fake_errand *e) {
    struct fake_row *row = find_row(e);
    if (row->number > e->number) return;
    *row = (struct fake_row){.name    = e->name,
                             .id      = e->id,
                             .number  = e->number,
                             .permits = e->permits,
                             .demand  = e->demand,
                             .resets  = e->resets};
}

static void answer_read(const struct fake_errand *e) {
    unsigned count = 0;
    for (unsigned i = 0; i < fake.row_count; i++) count += is_of(&fake.rows[i], &e->name);
    begin_rows(5, count);
    for (unsigned i = 0; i < fake.row_count; i++) {
        const struct fake_row *row = &fake.rows[i];
        if (!is_of(row, &e->name)) continue;
        put_value(8, row->id);
        put_value(8, row->number);
        put_value(8, row->permits);
        put_value(8, row->demand);
        put_value(8, row->resets);
    }
}

static struct fake_member *find_member(uint64_t id) {
    for (unsigned i = 0; i < fake.member_count; i++)
        if (fake.members[i].id == id) return &fake.members[i];
    return NULL;
}

struct fake_member *fake_member(uint64_t id) {
    struct fake_member *member = find_member(id);
    CHECK(member != NULL);
    return member;
}

struct fake_member *fake_member_add(uint64_t id) {
    CHECK_LT(fake.member_count, FAKE_MEMBERS_MAX);
    struct fake_member *member = &fake.members[fake.member_count++];
    *member                    = (struct fake_member){.id = id, .beat = 1, .keep_s = 10800};
    return member;
}

static bool member_meets(const struct fake_member *member, const struct fake_errand *e) {
    switch (e->kind) {
    case FAKE_JOIN: return member == NULL;
    case FAKE_BEAT: return member != NULL && !member->is_fenced && member->beat < e->number;
    case FAKE_FENCE: return member != NULL && !member->is_fenced && member->beat == e->number;
    default: return member != NULL && member->is_fenced && member->beat == e->number;
    }
}

/* Whether its condition held. */
static bool do_member(const struct fake_errand *e) {
    struct fake_member *member = find_member(e->id);
    if (!member_meets(member, e)) return false;
    if (e->kind == FAKE_JOIN) member = fake_member_add(e->id);
    member->beat      = e->number;
    member->keep_s    = e->keep_s;
    member->is_fenced = e->kind == FAKE_FENCE || e->kind == FAKE_DATE;
    if (e->kind == FAKE_BEAT) member->shortages = e->shortages;
    if (e->kind == FAKE_DATE) member->fenced_for_s = e->fenced_for_s;
    return true;
}

static void put_column(const char *name, unsigned type) {
    put_string(name);
    put_number(2, type);
}

/* Only who sends a beat asks for the names of the columns, and reads them. */
static void answer_member(const struct fake_errand *e) {
    bool                      is_done = do_member(e);
    const struct fake_member *member  = find_member(e->id);
    if (e->kind != FAKE_BEAT || is_done || member == NULL) {
        begin_rows(1, 1);
        put_value(1, is_done);
        return;
    }
    CHECK(!e->skips_columns);
    body_bytes = 0;
    put_number(4, CQL_ROWS);
    put_number(4, 1);
    put_number(4, 3);
    put_string("weir");
    put_string("weir_members");
    put_column("[applied]", CQL_TYPE_BOOLEAN);
    put_column("beat", CQL_TYPE_BIGINT);
    put_column("is_fenced", CQL_TYPE_BOOLEAN);
    put_number(4, 1);
    put_value(1, false);
    put_value(8, member->beat);
    put_value(1, member->is_fenced);
}

static void answer_look(void) {
    begin_rows(6, fake.member_count);
    for (unsigned i = 0; i < fake.member_count; i++) {
        const struct fake_member *member = &fake.members[i];
        size_t bytes = member->shortages.count * sizeof member->shortages.users[0];
        put_value(8, member->id);
        put_value(8, member->beat);
        put_value(1, member->is_fenced);
        put_value(4, (uint64_t)member->keep_s);
        put_number(4, bytes);
        put(member->shortages.users, bytes);
        put_value(4, (uint64_t)member->fenced_for_s);
    }
}

/* ---- what is out ---- */

struct fake_errand *fake_find(enum fake_kind kind) {
    unsigned i = 0;
    while (i < fake.out_count && fake.out[i].kind != kind) i++;
    CHECK_SAYS(i < fake.out_count, "none of kind %u is out", (unsigned)kind);
    return &fake.out[i];
}

unsigned fake_count(enum fake_kind kind) {
    unsigned count = 0;
    for (unsigned i = 0; i < fake.out_count; i++) count += fake.out[i].kind == kind;
    return count;
}

static void end(struct fake_errand *errand, struct cassandra_result *result) {
    struct fake_errand ended = *errand;
    unsigned           after = --fake.out_count - (unsigned)(errand - fake.out);
    memmove(errand, errand + 1, after * sizeof *errand);
    ended.done(ended.context, result);
}

void fake_do(const struct fake_errand *errand) {
    if (errand->kind == FAKE_WRITE)
        do_write(errand);
    else
        (void)do_member(errand);
}

void fake_answer(struct fake_errand *errand) {
    struct cassandra_result result = {.status = CASSANDRA_DONE, .fate = FATE_EXECUTED, .error = -1};
    CHECK_LE(fake.now_ns, errand->deadline_ns);
    switch (errand->kind) {
    case FAKE_WRITE:
        do_write(errand);
        body_bytes = 0;
        put_number(4, CQL_VOID);
        break;
    case FAKE_READ: answer_read(errand); break;
    case FAKE_LOOK: answer_look(); break;
    default: answer_member(errand); break;
    }
    CHECK(cql_response_result((struct view){body, body_bytes}, &result.result));
    end(errand, &result);
}

void fake_fail(struct fake_errand *errand, enum cassandra_status status, enum fate fate,
               int32_t error) {
    struct cassandra_result result = {.status = status, .fate = fate, .error = error};
    end(errand, &result);
}

/* ---- the client ---- */

static enum fake_kind kind_of(const char *text) {
    static const struct {
        const char *begins, *has;
    } kinds[FAKE_KINDS] = {
        [FAKE_WRITE] = {"INSERT INTO weir_claims", ""},
        [FAKE_READ]  = {"SELECT id, number", ""},
        [FAKE_JOIN]  = {"INSERT INTO weir_members", ""},
        [FAKE_BEAT]  = {"UPDATE weir_members", "is_fenced = false, keep"},
        [FAKE_LOOK]  = {"SELECT id, beat", ""},
        [FAKE_FENCE] = {"UPDATE weir_members", "is_fenced = true, keep = ? WHERE"},
        [FAKE_DATE]  = {"UPDATE weir_members", "fenced_for = ?"}};
    unsigned kind = 0;
    while (kind < FAKE_KINDS &&
           (strncmp(text, kinds[kind].begins, strlen(kinds[kind].begins)) != 0 ||
            strstr(text, kinds[kind].has) == NULL))
        kind++;
    CHECK_SAYS(kind < FAKE_KINDS, "nobody asks for: %s", text);
    return (enum fake_kind)kind;
}

static void read_name(struct cql_value value, void *name) {
    CHECK_EQ(value.bytes.bytes, STORE_NAME_BYTES);
    memcpy(name, value.bytes.data, STORE_NAME_BYTES);
}

static void read_number(struct cql_value value, void *number) {
    int64_t read = -1;
    CHECK(cql_value_bigint(value, &read));
    CHECK_GE(read, 0);
    *(uint64_t *)number = (uint64_t)read;
}

static void read_seconds(struct cql_value value, void *seconds) {
    CHECK(cql_value_int(value, seconds));
}

static void read_shortages(struct cql_value value, void *shortages) {
    struct shortage_list *list = shortages;
    list->count                = (uint32_t)(value.bytes.bytes / sizeof list->users[0]);
    CHECK_LE(list->count, SHORTAGES_MAX);
    memcpy(list->users, value.bytes.data, value.bytes.bytes);
}

static void read_nothing(struct cql_value value, void *nothing) {
    (void)value;
    (void)nothing;
}

typedef void (*read_fn)(struct cql_value value, void *out);

#define NAME                                                                                       \
    { read_name, offsetof(struct fake_errand, name) }
#define NUMBER(of)                                                                                 \
    { read_number, offsetof(struct fake_errand, of) }
#define SECONDS(of)                                                                                \
    { read_seconds, offsetof(struct fake_errand, of) }
#define SHORTAGES                                                                                  \
    { read_shortages, offsetof(struct fake_errand, shortages) }
#define BUCKET                                                                                     \
    { read_nothing, 0 }

/* What the markers stand for, in their order (claim_words.c). */
static const struct {
    read_fn read;
    size_t  offset;
} markers[FAKE_KINDS][8] = {
    [FAKE_WRITE] = {NAME, NUMBER(id), NUMBER(number), NUMBER(permits), NUMBER(demand),
                    NUMBER(resets), SECONDS(ttl_s)},
    [FAKE_READ]  = {NAME},
    [FAKE_JOIN]  = {BUCKET, NUMBER(id), NUMBER(number), SECONDS(keep_s), SECONDS(ttl_s)},
    [FAKE_BEAT]  = {SECONDS(ttl_s), NUMBER(number), SECONDS(keep_s), SHORTAGES, BUCKET, NUMBER(id),
                    NUMBER(number)},
    [FAKE_FENCE] = {SECONDS(ttl_s), NUMBER(number), SECONDS(keep_s), BUCKET, NUMBER(id),
                    NUMBER(number)},
    [FAKE_DATE]  = {SECONDS(ttl_s), NUMBER(number), SECONDS(keep_s), SECONDS(fenced_for_s), BUCKET,
                    NUMBER(id), NUMBER(number)},
};

enum cassandra_status cassandra_submit(struct cassandra               *c,
                                       const struct cassandra_request *request) {
    CHECK(c == client);
    CHECK_EQ(request->consistency, CQL_QUORUM);
    if (fake.is_full) return CASSANDRA_FULL;
    CHECK_LT(fake.out_count, FAKE_OUT_MAX);
    struct fake_errand *errand = &fake.out[fake.out_count++];
    *errand                    = (struct fake_errand){.kind          = kind_of(request->statement->text),
                                                      .has_timestamp = request->has_timestamp,
                                                      .skips_columns = request->skips_columns,
                                                      .timestamp_us  = request->timestamp_us,
                                                      .deadline_ns   = request->deadline_ns,
                                                      .done          = request->done,
                                                      .context       = request->context};
    unsigned i                 = 0;
    for (; i < 8 && markers[errand->kind][i].read != NULL; i++) {
        CHECK_LT(i, request->value_count);
        markers[errand->kind][i].read(request->values[i],
                                      (char *)errand + markers[errand->kind][i].offset);
    }
    CHECK_EQ(i, request->value_count);
    return CASSANDRA_DONE;
}

void cassandra_wake(struct cassandra *c) {
    CHECK(c == client);
    if (fake.on_wake != NULL) fake.on_wake();
}

uint64_t fake_turn(void) {
    CHECK(client != NULL);
    return client->turn(client->context);
}

struct cassandra *cassandra_open(struct view url, const struct cassandra_options *options,
                                 char problem[CASSANDRA_PROBLEM_BYTES_MAX]) {
    if (url.bytes == 0) {
        (void)snprintf(problem, CASSANDRA_PROBLEM_BYTES_MAX, "there is no URL");
        return NULL;
    }
    client = malloc(sizeof *client);
    CHECK(client != NULL);
    *client        = (struct cassandra){options->turn, options->turn_context};
    fake.is_forked = false;
    fake.opens++;
    return client;
}

/* In a child what was out is answered by nobody. */
void cassandra_close(struct cassandra *c) {
    CHECK(c == client);
    while (!fake.is_forked && fake.out_count > 0)
        fake_fail(&fake.out[0], CASSANDRA_LATE, FATE_UNKNOWN, -1);
    fake.out_count = 0;
    free(client);
    client = NULL;
}

bool cassandra_is_forked(const struct cassandra *c) {
    CHECK(c == client);
    return fake.is_forked;
}

void cassandra_call(struct cassandra *c, const struct cassandra_request *request,
                    struct cassandra_result *result) {
    CHECK(c == client);
    (void)request;
    *result = (struct cassandra_result){
        .status = CASSANDRA_UNREADY, .fate = FATE_NOT_EXECUTED, .error = -1};
    (void)snprintf(result->problem, sizeof result->problem, "nobody is there");
}

void cassandra_result_clear(struct cassandra_result *result) { (void)result; }

const char *cassandra_status_text(enum cassandra_status status) {
    static const char *const texts[] = {
#define CASSANDRA_STATUS_TEXT(name, text) [name] = (text),
        CASSANDRA_STATUS_TABLE(CASSANDRA_STATUS_TEXT)
#undef CASSANDRA_STATUS_TEXT
    };
    return texts[status];
}
