/* SPDX-License-Identifier: MIT
 *
 * access_log: who asked, when, and for how much? One line of an access log at a time.
 *
 * Three forms are read: Common Log Format, Combined (the same with referer and agent, and whatever
 * a server appends), and JSON lines. See access_log.c. */
#ifndef WEIR_WIRE_ACCESS_LOG_H
#define WEIR_WIRE_ACCESS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/view.h"
#include "wire/log_time.h"

enum {
    ACCESS_LOG_LINE_BYTES_MAX = 65536, /* longer lines are not lines of a log */
    ACCESS_LOG_COLUMNS_MAX    = 32,    /* further columns are checked, and not kept */
    ACCESS_LOG_NAMES_MAX      = 8,     /* fields that a key may join, places to look for a time */
    /* Joined fields may repeat one another, so a user may be longer than a line. */
    ACCESS_LOG_USER_BYTES_MAX = 65536,
};

enum access_log_format {
    ACCESS_LOG_UNKNOWN, /* not told: each file shows it by its first good line */
    ACCESS_LOG_CLF,     /* Common or Combined */
    ACCESS_LOG_JSON,
};

/* What came of a line. */
enum access_log_outcome {
    ACCESS_LOG_READ,
    ACCESS_LOG_EMPTY,        /* blanks only */
    ACCESS_LOG_TORN,         /* not a whole line of the format: cut off, garbage, binary */
    ACCESS_LOG_WITHOUT_TIME, /* whole, but its time is missing or makes no sense */
    ACCESS_LOG_WITHOUT_KEY,  /* whole, but it does not name a user */
    ACCESS_LOG_WITHOUT_COST, /* whole, but its cost is missing or not a whole number */
    ACCESS_LOG_OUTCOMES
};

/* One line of CLF, cut into columns: host, ident, user, time, request, status, bytes, referer,
 * agent, and what follows. Quotes and brackets are taken off; bytes inside stay as they are. */
struct access_log_columns {
    struct view column[ACCESS_LOG_COLUMNS_MAX];
    uint32_t    count;
    struct view vhost; /* "name:port" before the host, as Debian's other_vhosts_access.log has it */
};

/* Names of fields, joined by `separator`: "ip+path" of a key, "time,ts" of a time. */
struct access_log_names {
    struct view name[ACCESS_LOG_NAMES_MAX];
    uint32_t    clf_field[ACCESS_LOG_NAMES_MAX]; /* which CLF field has this name; 0: none */
    uint32_t    count;
};

/* How to read the lines of one file. Views are borrowed as long as the reader is used. */
struct access_log_reader {
    enum access_log_format  format; /* UNKNOWN is settled by the first line that can be read */
    enum log_time_unit      time_unit;
    struct access_log_names key;  /* joined into the user, a tab between them */
    struct access_log_names time; /* JSON: the first of these that is there; CLF has its column */
    struct access_log_names cost; /* one name, or count 0: each request costs 1 */
    bool                    key_is_default; /* JSON: the first of several usual names, not joined */
};

/* What a line said. */
struct access_log_entry {
    uint64_t    time_ns; /* since 1970, UTC */
    uint64_t    cost;
    struct view user; /* points into the line or into `scratch` */
};

/* Room for what had to be unescaped or joined. About 200 KiB: keep one and reuse it. */
struct access_log_scratch {
    char   bytes[3 * ACCESS_LOG_USER_BYTES_MAX];
    size_t used;
};

/* Reads one line, without its line feed. On ACCESS_LOG_READ `entry` is filled in; it is valid as long
 * as the line and the scratch are. */
enum access_log_outcome access_log_read(struct access_log_reader *reader, struct view line,
                                        struct access_log_scratch *scratch,
                                        struct access_log_entry   *entry);

/* A reader with the usual names: the host as the user, the usual fields for the time. */
struct access_log_reader access_log_reader_default(void);

/* Cuts "ip+path" at the separator. False: an empty name, or more than ACCESS_LOG_NAMES_MAX. */
bool access_log_names_parse(struct view text, char separator, struct access_log_names *names);

/* The first name that CLF does not have; bytes 0 if it has all. */
struct view access_log_names_unknown_to_clf(const struct access_log_names *names);

/* "ip host ident user ...": the names that CLF has, for messages. */
const char *access_log_clf_names(void);

/* Cuts a line of CLF. False: torn. */
bool access_log_columns_parse(struct view line, struct access_log_columns *columns);

#endif
