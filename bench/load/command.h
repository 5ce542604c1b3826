/* SPDX-License-Identifier: MIT
 *
 * command: what is asked of a server, and what is a proper answer?
 *
 * A command is rendered once; a request is a copy of it with the user's digits put in. Users are
 * "user:" and eight digits, so that every request of a command has the same length. */
#ifndef WEIR_BENCH_COMMAND_H
#define WEIR_BENCH_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    COMMAND_BYTES_MAX   = 512,
    COMMAND_USER_FIRST  = 10000000, /* user 0 is user:10000000 */
    COMMAND_USERS_MAX   = 89999999,
    COMMAND_USER_DIGITS = 8,
};

enum reply_shape { REPLY_SIMPLE, REPLY_INTEGER, REPLY_ARRAY };

struct command {
    char             bytes[COMMAND_BYTES_MAX];
    size_t           byte_count;
    size_t           digits_at; /* 0: the command names no user */
    enum reply_shape shape;
    uint64_t         element_count; /* REPLY_ARRAY */
    int64_t          allowed_value; /* what the (first) integer is when the request was admitted */
    bool             counts_answers;
};

struct command_rule {
    uint64_t    limit;
    uint64_t    window_ms;
    const char *script_sha; /* evalsha */
};

/* The names that command_make() knows, one line for each with its form. */
extern const char command_names[];

/* False: no such name, or the rule cannot be said in that command. */
bool command_make(struct command *c, const char *name, const struct command_rule *rule);

/* Writes the request for `user` to `out`, which has room for c->byte_count bytes. */
void command_write(const struct command *c, uint64_t user, char *out);

struct reply {
    size_t  bytes; /* consumed */
    bool    is_error;
    bool    is_malformed;
    bool    has_shape; /* that of the command */
    int64_t first;     /* first integer in it */
};

/* Reads one reply. False: more bytes are needed. */
bool reply_read(const struct command *c, const char *data, size_t bytes, struct reply *reply);

#endif
