/* SPDX-License-Identifier: MIT
 *
 * text: numbers, durations and rates as people write them. Exact both ways: what a writer wrote, a
 * parser reads back as the same value, but for text_duration_write_short(), which is for eyes only. */
#include "base/text.h"

#include "base/contract.h"

struct unit {
    char     name[3];
    uint64_t ns;
};

/* From long to short, so that the first unit that divides a duration gives its shortest form. */
static const struct unit units[] = {
    {"w", UINT64_C(604800000000000)}, {"d", UINT64_C(86400000000000)},
    {"h", UINT64_C(3600000000000)},   {"m", UINT64_C(60000000000)},
    {"s", UINT64_C(1000000000)},      {"ms", UINT64_C(1000000)},
    {"us", UINT64_C(1000)},           {"ns", UINT64_C(1)},
};

enum { UNIT_COUNT = sizeof units / sizeof units[0], UNIT_DAY = 1, UNIT_SECOND = 4 };

static size_t             digits_count(struct view text);
static const struct unit *unit_named(struct view name);
static size_t             number_write(uint64_t number, char *out);
static size_t             part_write(uint64_t number, const struct unit *unit, char *out);
static size_t             decimal_write(uint64_t duration_ns, char *out);
static size_t   pair_write(uint64_t duration_ns, const struct unit *large, const struct unit *small,
                           char *out);
static uint64_t round_to(uint64_t value, uint64_t step);

bool text_number_parse(struct view text, uint64_t *number) {
    if (text.bytes == 0 || digits_count(text) != text.bytes) return false;

    uint64_t sum = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum)) return false;
        if (__builtin_add_overflow(sum, (uint64_t)(text.data[i] - '0'), &sum)) return false;
    }
    *number = sum;
    return true;
}

bool text_integer_parse(struct view text, int64_t *integer) {
    bool     is_negative = text.bytes > 0 && text.data[0] == '-';
    uint64_t magnitude;
    if (!text_number_parse(is_negative ? view_from(text, 1) : text, &magnitude)) return false;

    /* There is one more negative integer than there are positive ones. */
    if (magnitude > (uint64_t)INT64_MAX + (is_negative ? 1 : 0)) return false;
    *integer = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool text_duration_parse(struct view text, int64_t *duration_ns) {
    size_t             digits = digits_count(text);
    const struct unit *unit   = unit_named(view_from(text, digits));
    uint64_t           number;
    if (unit == NULL) return false;
    if (!text_number_parse((struct view){.data = text.data, .bytes = digits}, &number))
        return false;
    if (number > (uint64_t)INT64_MAX / unit->ns) return false;

    *duration_ns = (int64_t)(number * unit->ns);
    return true;
}

bool text_rate_parse(struct view text, uint64_t *limit, int64_t *window_ns) {
    size_t digits = digits_count(text);
    if (digits == text.bytes || text.data[digits] != '/') return false;

    uint64_t number;
    if (!text_number_parse((struct view){.data = text.data, .bytes = digits}, &number))
        return false;

    struct view        window = view_from(text, digits + 1);
    const struct unit *unit   = unit_named(window);
    int64_t            length_ns;
    if (unit != NULL) {
        length_ns = (int64_t)unit->ns;
    } else if (!text_duration_parse(window, &length_ns)) {
        return false;
    }
    *limit     = number;
    *window_ns = length_ns;
    return true;
}

size_t text_duration_write(int64_t duration_ns, char *out) {
    REQUIRE(duration_ns >= 0);
    if (duration_ns == 0) return part_write(0, &units[UNIT_SECOND], out);

    const struct unit *unit = units;
    while ((uint64_t)duration_ns % unit->ns != 0) unit++;
    return part_write((uint64_t)duration_ns / unit->ns, unit, out);
}

size_t text_duration_write_short(int64_t duration_ns, char *out) {
    REQUIRE(duration_ns >= 0);
    uint64_t exact_ns = (uint64_t)duration_ns;
    if (exact_ns < 60 * units[UNIT_SECOND].ns) {
        size_t length = decimal_write(exact_ns, out);
        if (length > 0) return length;
    }

    /* Minutes and seconds below an hour, hours and minutes below a day, days and hours below 100
     * days. Rounding to the smaller unit may lift it into the next pair, which then is shown. */
    for (size_t i = UNIT_SECOND; i > UNIT_DAY; i--) {
        uint64_t end_ns  = i - 1 == UNIT_DAY ? 100 * units[UNIT_DAY].ns : units[i - 2].ns;
        uint64_t rounded = round_to(exact_ns, units[i].ns);
        if (rounded < end_ns) return pair_write(rounded, &units[i - 1], &units[i], out);
    }
    uint64_t day_ns = units[UNIT_DAY].ns;
    return part_write(round_to(exact_ns, day_ns) / day_ns, &units[UNIT_DAY], out);
}

/* "2h 5m", or "2h" if nothing of the smaller unit is left. */
static size_t pair_write(uint64_t duration_ns, const struct unit *large, const struct unit *small,
                         char *out) {
    size_t   length = part_write(duration_ns / large->ns, large, out);
    uint64_t rest   = duration_ns % large->ns / small->ns;
    if (rest == 0) return length;
    out[length++] = ' ';
    return length + part_write(rest, small, out + length);
}

/* Below a minute: up to three digits and a point, "45.6ms". 0: it rounds up to a minute. */
static size_t decimal_write(uint64_t duration_ns, char *out) {
    const struct unit *unit = &units[UNIT_SECOND];
    while (duration_ns < unit->ns && unit->ns > 1) unit++;
    if (duration_ns == 0) unit = &units[UNIT_SECOND];

    uint64_t step = 1;
    while (duration_ns / step >= 1000) step *= 10;
    uint64_t rounded = round_to(duration_ns, step);
    if (rounded >= 60 * units[UNIT_SECOND].ns) return 0;
    if (unit->ns < units[UNIT_SECOND].ns && rounded >= unit[-1].ns) unit--;

    size_t   length = number_write(rounded / unit->ns, out);
    uint64_t rest   = rounded % unit->ns;
    if (rest != 0) out[length++] = '.';
    for (uint64_t place = unit->ns / 10; rest != 0; place /= 10) {
        out[length++] = (char)('0' + rest / place);
        rest %= place;
    }
    size_t name_bytes = strlen(unit->name);
    memcpy(out + length, unit->name, name_bytes + 1);
    return length + name_bytes;
}

static uint64_t round_to(uint64_t value, uint64_t step) { return (value + step / 2) / step * step; }

static size_t part_write(uint64_t number, const struct unit *unit, char *out) {
    size_t length     = number_write(number, out);
    size_t name_bytes = strlen(unit->name);
    memcpy(out + length, unit->name, name_bytes + 1);
    return length + name_bytes;
}

static size_t number_write(uint64_t number, char *out) {
    char   digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    for (size_t i = 0; i < count; i++) out[i] = digits[count - 1 - i];
    return count;
}

static size_t digits_count(struct view text) {
    size_t count = 0;
    while (count < text.bytes && text.data[count] >= '0' && text.data[count] <= '9') count++;
    return count;
}

static const struct unit *unit_named(struct view name) {
    for (size_t i = 0; i < UNIT_COUNT; i++)
        if (view_equals(name, view_of(units[i].name))) return &units[i];
    return NULL;
}
