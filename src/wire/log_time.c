/* SPDX-License-Identifier: MIT
 *
 * log_time: which instant does a log mean?
 *
 * Integer arithmetic throughout, since decisions hang on nanoseconds; no time zone data is needed,
 * because each form tells its distance from UTC or is UTC. */
#include "wire/log_time.h"

enum { NS_PER_SECOND = 1000000000 };

/* 2^62 ns after 1970, in 2116: the last instant that a limiter can be told. */
#define TIME_SECONDS_MAX (UINT64_C(4611686018))

static bool is_digits(const char *at, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (at[i] < '0' || at[i] > '9') return false;
    }
    return true;
}

static uint32_t two_digits(const char *at) {
    return (uint32_t)(at[0] - '0') * 10 + (uint32_t)(at[1] - '0');
}

struct moment {
    uint32_t year, month, day, hour, minute, second; /* month and day from 1 */
    int32_t  zone_minutes;                           /* how far local time is ahead of UTC */
    uint32_t fraction_ns;
};

/* Days from 1970 in the Gregorian calendar: years that begin in March put the leap day last, and
 * months then follow the pattern 153 days in 5 months (Howard Hinnant, "chrono-compatible low-level
 * date algorithms"). */
static int64_t days_from_1970(uint32_t year, uint32_t month, uint32_t day) {
    uint32_t y           = month <= 2 ? year - 1 : year;
    uint32_t era         = y / 400;
    uint32_t year_of_era = y % 400;
    uint32_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    uint32_t day_of_era  = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + (int64_t)day_of_era - 719468;
}

static bool moment_to_ns(const struct moment *m, uint64_t *time_ns) {
    static const uint8_t month_days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (m->year < 1969 || m->month < 1 || m->month > 12) return false;
    bool     is_leap = (m->year % 4 == 0 && m->year % 100 != 0) || m->year % 400 == 0;
    uint32_t days    = month_days[m->month - 1] + (m->month == 2 && is_leap ? 1u : 0u);
    if (m->day < 1 || m->day > days) return false;
    /* Second 60 is a leap second: it counts as the first of the next minute. */
    if (m->hour > 23 || m->minute > 59 || m->second > 60) return false;

    int64_t seconds = days_from_1970(m->year, m->month, m->day) * 86400 + (int64_t)m->hour * 3600 +
                      (int64_t)m->minute * 60 + (int64_t)m->second - (int64_t)m->zone_minutes * 60;
    if (seconds < 0 || (uint64_t)seconds >= TIME_SECONDS_MAX) return false;
    *time_ns = (uint64_t)seconds * NS_PER_SECOND + m->fraction_ns;
    return true;
}

/* "+0200" or "+02:00"; whole or nothing. */
static bool zone_parse(struct view text, int32_t *minutes) {
    if (text.bytes != 5 && text.bytes != 6) return false;
    const char *m = text.data + text.bytes - 2;
    if (text.data[0] != '+' && text.data[0] != '-') return false;
    if (!is_digits(text.data + 1, 2) || !is_digits(m, 2)) return false;
    if (text.bytes == 6 && text.data[3] != ':') return false;
    if (two_digits(text.data + 1) > 23 || two_digits(m) > 59) return false;
    *minutes = (int32_t)(two_digits(text.data + 1) * 60 + two_digits(m));
    if (text.data[0] == '-') *minutes = -*minutes;
    return true;
}

static uint32_t month_parse(const char *at) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (uint32_t i = 0; i < 12; i++) {
        if (memcmp(at, names + (size_t)i * 3, 3) == 0) return i + 1;
    }
    return 0;
}

/*  0         1         2
 *  01234567890123456789012345
 *  17/May/2015:10:05:03 +0000 */
bool log_time_parse_clf(struct view text, uint64_t *time_ns) {
    const char *t = text.data;
    if (text.bytes != 26) return false;
    if (t[2] != '/' || t[6] != '/' || t[11] != ':' || t[14] != ':' || t[17] != ':') return false;
    if (t[20] != ' ') return false;
    if (!is_digits(t, 2) || !is_digits(t + 7, 4) || !is_digits(t + 12, 2)) return false;
    if (!is_digits(t + 15, 2) || !is_digits(t + 18, 2)) return false;

    struct moment m = {.year   = two_digits(t + 7) * 100 + two_digits(t + 9),
                       .month  = month_parse(t + 3),
                       .day    = two_digits(t),
                       .hour   = two_digits(t + 12),
                       .minute = two_digits(t + 15),
                       .second = two_digits(t + 18)};
    return zone_parse(view_from(text, 21), &m.zone_minutes) && moment_to_ns(&m, time_ns);
}

/* ".123" or ",123": what is finer than a nanosecond is dropped. Steps over what it took. */
static bool fraction_parse(struct view *rest, uint32_t *fraction_ns) {
    *fraction_ns = 0;
    if (rest->bytes == 0 || (rest->data[0] != '.' && rest->data[0] != ',')) return true;
    size_t   i    = 1;
    uint32_t unit = NS_PER_SECOND / 10;
    for (; i < rest->bytes && is_digits(rest->data + i, 1); i++) {
        *fraction_ns += (uint32_t)(rest->data[i] - '0') * unit;
        unit /= 10;
    }
    *rest = view_from(*rest, i);
    return i > 1;
}

/*  0123456789012345678
 *  2015-05-17T10:05:03   then a fraction, then a zone. Without a zone it is UTC. */
bool log_time_parse_rfc3339(struct view text, uint64_t *time_ns) {
    const char *t = text.data;
    if (text.bytes < 19) return false;
    if (t[4] != '-' || t[7] != '-' || t[13] != ':' || t[16] != ':') return false;
    if (t[10] != 'T' && t[10] != 't' && t[10] != ' ') return false;
    if (!is_digits(t, 4) || !is_digits(t + 5, 2) || !is_digits(t + 8, 2)) return false;
    if (!is_digits(t + 11, 2) || !is_digits(t + 14, 2) || !is_digits(t + 17, 2)) return false;

    struct moment m    = {.year   = two_digits(t) * 100 + two_digits(t + 2),
                          .month  = two_digits(t + 5),
                          .day    = two_digits(t + 8),
                          .hour   = two_digits(t + 11),
                          .minute = two_digits(t + 14),
                          .second = two_digits(t + 17)};
    struct view   rest = view_from(text, 19);
    if (!fraction_parse(&rest, &m.fraction_ns)) return false;
    if (rest.bytes > 0 && rest.data[0] == ' ') rest = view_from(rest, 1); /* "10:05:03 +0200" */
    bool is_utc =
        rest.bytes == 0 || (rest.bytes == 1 && (rest.data[0] == 'Z' || rest.data[0] == 'z'));
    if (!is_utc && !zone_parse(rest, &m.zone_minutes)) return false;
    return moment_to_ns(&m, time_ns);
}

/* How many digits a count of `unit` has after the point if it is told in nanoseconds. */
static int32_t unit_digits(enum log_time_unit unit, uint64_t whole) {
    switch (unit) {
    case LOG_TIME_SECONDS: return 9;
    case LOG_TIME_MILLISECONDS: return 6;
    case LOG_TIME_MICROSECONDS: return 3;
    case LOG_TIME_NANOSECONDS: return 0;
    case LOG_TIME_GUESS: break;
    }
    /* Any time from 1973 to 2116 has 9 or 10 digits in seconds, and 3 more with each finer unit. */
    if (whole < UINT64_C(100000000000)) return 9;
    if (whole < UINT64_C(100000000000000)) return 6;
    if (whole < UINT64_C(100000000000000000)) return 3;
    return 0;
}

/* 1431857103, 1431857103.25, 1.43185710325e9, in exact arithmetic: a double holds the time of today
 * only to a quarter of a microsecond. */
bool log_time_parse_number(struct view text, enum log_time_unit unit, uint64_t *time_ns) {
    char    digits[64];
    int32_t count = 0;
    int32_t point = -1; /* how many digits stand before the point */
    size_t  i     = 0;
    for (; i < text.bytes; i++) {
        char c = text.data[i];
        if (c == '.' && point < 0) {
            point = count;
        } else if (is_digits(&c, 1)) {
            if (count == (int32_t)sizeof digits) return false;
            digits[count++] = c;
        } else {
            break;
        }
    }
    if (count == 0) return false;
    if (point < 0) point = count;

    if (i < text.bytes) {
        if (text.data[i] != 'e' && text.data[i] != 'E') return false;
        struct view exponent    = view_from(text, i + 1);
        bool        is_negative = exponent.bytes > 0 && exponent.data[0] == '-';
        if (exponent.bytes > 0 && (exponent.data[0] == '+' || is_negative)) {
            exponent = view_from(exponent, 1);
        }
        if (exponent.bytes < 1 || exponent.bytes > 2) return false;
        if (!is_digits(exponent.data, exponent.bytes)) return false;
        int32_t shift = exponent.data[0] - '0';
        if (exponent.bytes == 2) shift = (int32_t)two_digits(exponent.data);
        point += is_negative ? -shift : shift;
    }

    /* The whole part first, since the unit is guessed by it; then as many digits as the unit has. */
    uint64_t whole  = 0;
    int32_t  wanted = point;
    for (int32_t stage = 0, at = 0; stage < 2; stage++) {
        for (; at < wanted; at++) {
            if (whole >= UINT64_C(1000000000000000000)) return false;
            whole = whole * 10 + (uint64_t)(at >= 0 && at < count ? digits[at] - '0' : 0);
        }
        if (stage == 0) wanted = point + unit_digits(unit, whole);
        if (stage == 0 && at > point) at = point; /* "0.00…": the point stands left of the digits */
    }
    if (whole / NS_PER_SECOND >= TIME_SECONDS_MAX) return false;
    *time_ns = whole;
    return true;
}
