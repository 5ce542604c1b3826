/* SPDX-License-Identifier: MIT */
#include "wire/cql_request.h"

#include "base/contract.h"

enum { VERSION = 4, LENGTH_AT = 5, LENGTH_UNSET = -2, LENGTH_NULL = -1 };
enum {
    FLAG_VALUES       = 0x01,
    FLAG_NO_METADATA  = 0x02,
    FLAG_PAGE_SIZE    = 0x04,
    FLAG_PAGING_STATE = 0x08,
    FLAG_SERIAL       = 0x10,
    FLAG_TIMESTAMP    = 0x20,
};

/* Where the next byte goes. One that has no place makes it full for good. */
struct writer {
    char *start;
    char *at;
    char *end;
    bool  is_full;
};

static void put(struct writer *w, struct view bytes) {
    if (bytes.bytes > (size_t)(w->end - w->at)) w->is_full = true;
    if (w->is_full || bytes.bytes == 0) return;
    memcpy(w->at, bytes.data, bytes.bytes);
    w->at += bytes.bytes;
}

static void put_number(struct writer *w, uint64_t value, size_t bytes) {
    char big_endian[8];
    for (size_t i = 0; i < bytes; i++) big_endian[i] = (char)(value >> (8 * (bytes - 1 - i)));
    put(w, (struct view){.data = big_endian, .bytes = bytes});
}

static void put_byte(struct writer *w, uint8_t value) { put_number(w, value, 1); }
static void put_short(struct writer *w, uint16_t value) { put_number(w, value, 2); }
static void put_int(struct writer *w, int32_t value) { put_number(w, (uint32_t)value, 4); }

static void put_string(struct writer *w, struct view text) {
    REQUIRE(text.bytes <= UINT16_MAX);
    put_short(w, (uint16_t)text.bytes);
    put(w, text);
}

/* [long string] and [bytes]. */
static void put_bytes(struct writer *w, struct view bytes) {
    if (bytes.bytes > CQL_BODY_BYTES_MAX) {
        w->is_full = true;
        return;
    }
    put_int(w, (int32_t)bytes.bytes);
    put(w, bytes);
}

static struct writer begin(char *out, size_t room, int16_t stream, enum cql_opcode opcode) {
    REQUIRE(stream >= 0);
    struct writer w = {.start = out, .at = out, .end = out + room};
    put_byte(&w, VERSION);
    put_byte(&w, 0);
    put_short(&w, (uint16_t)stream);
    put_byte(&w, (uint8_t)opcode);
    put_int(&w, 0);
    return w;
}

/* Now the length is known. */
static size_t finish(const struct writer *w) {
    size_t bytes = (size_t)(w->at - w->start);
    if (w->is_full || bytes - CQL_HEADER_BYTES > CQL_BODY_BYTES_MAX) return 0;
    struct writer length = {.at = w->start + LENGTH_AT, .end = w->start + CQL_HEADER_BYTES};
    put_int(&length, (int32_t)(bytes - CQL_HEADER_BYTES));
    return bytes;
}

size_t cql_request_startup(char *out, size_t room, int16_t stream, struct view driver_name,
                           struct view driver_version) {
    struct writer w = begin(out, room, stream, CQL_STARTUP);
    put_short(&w, 3);
    put_string(&w, view_of("CQL_VERSION"));
    put_string(&w, view_of("3.0.0"));
    put_string(&w, view_of("DRIVER_NAME"));
    put_string(&w, driver_name);
    put_string(&w, view_of("DRIVER_VERSION"));
    put_string(&w, driver_version);
    return finish(&w);
}

size_t cql_request_options(char *out, size_t room, int16_t stream) {
    struct writer w = begin(out, room, stream, CQL_OPTIONS);
    return finish(&w);
}

static bool has_nul(struct view text) {
    return text.bytes > 0 && memchr(text.data, '\0', text.bytes) != NULL;
}

size_t cql_request_auth_plain(char *out, size_t room, int16_t stream, struct view user,
                              struct view password) {
    REQUIRE(!has_nul(user) && user.bytes <= UINT16_MAX);
    REQUIRE(!has_nul(password) && password.bytes <= UINT16_MAX);
    struct writer w = begin(out, room, stream, CQL_AUTH_RESPONSE);
    put_int(&w, (int32_t)(1 + user.bytes + 1 + password.bytes));
    put_byte(&w, 0);
    put(&w, user);
    put_byte(&w, 0);
    put(&w, password);
    return finish(&w);
}

size_t cql_request_register(char *out, size_t room, int16_t stream, unsigned events) {
    static const char *const types[] = {"TOPOLOGY_CHANGE", "STATUS_CHANGE", "SCHEMA_CHANGE"};
    enum { TYPE_COUNT = sizeof types / sizeof types[0] };
    REQUIRE(events < 1 << TYPE_COUNT);
    struct writer w = begin(out, room, stream, CQL_REGISTER);
    put_short(&w, (uint16_t)__builtin_popcount(events));
    for (unsigned i = 0; i < TYPE_COUNT; i++)
        if (events & 1U << i) put_string(&w, view_of(types[i]));
    return finish(&w);
}

size_t cql_request_prepare(char *out, size_t room, int16_t stream, struct view statement) {
    struct writer w = begin(out, room, stream, CQL_PREPARE);
    put_bytes(&w, statement);
    return finish(&w);
}

static void put_value(struct writer *w, const struct cql_value *value) {
    switch (value->presence) {
    case CQL_PRESENT: put_bytes(w, value->bytes); break;
    case CQL_NULL: put_int(w, LENGTH_NULL); break;
    case CQL_UNSET: put_int(w, LENGTH_UNSET); break;
    }
}

static void put_parameters(struct writer *w, const struct cql_parameters *p) {
    REQUIRE(p->page_rows <= INT32_MAX);
    REQUIRE(!p->has_timestamp || p->timestamp_us >= 0);
    unsigned flags = 0;
    if (p->value_count > 0) flags |= FLAG_VALUES;
    if (p->skips_metadata) flags |= FLAG_NO_METADATA;
    if (p->page_rows > 0) flags |= FLAG_PAGE_SIZE;
    if (p->paging_state.bytes > 0) flags |= FLAG_PAGING_STATE;
    if (p->serial_consistency != 0) flags |= FLAG_SERIAL;
    if (p->has_timestamp) flags |= FLAG_TIMESTAMP;

    put_short(w, (uint16_t)p->consistency);
    put_byte(w, (uint8_t)flags);
    if (flags & FLAG_VALUES) {
        put_short(w, p->value_count);
        for (size_t i = 0; i < p->value_count; i++) put_value(w, &p->values[i]);
    }
    if (flags & FLAG_PAGE_SIZE) put_int(w, (int32_t)p->page_rows);
    if (flags & FLAG_PAGING_STATE) put_bytes(w, p->paging_state);
    if (flags & FLAG_SERIAL) put_short(w, (uint16_t)p->serial_consistency);
    if (flags & FLAG_TIMESTAMP) put_number(w, (uint64_t)p->timestamp_us, 8);
}

size_t cql_request_query(char *out, size_t room, int16_t stream, struct view statement,
                         const struct cql_parameters *parameters) {
    struct writer w = begin(out, room, stream, CQL_QUERY);
    put_bytes(&w, statement);
    put_parameters(&w, parameters);
    return finish(&w);
}

size_t cql_request_execute(char *out, size_t room, int16_t stream, struct view id,
                           const struct cql_parameters *parameters) {
    struct writer w = begin(out, room, stream, CQL_EXECUTE);
    put_string(&w, id);
    put_parameters(&w, parameters);
    return finish(&w);
}
