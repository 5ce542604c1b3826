/* SPDX-License-Identifier: MIT
 *
 * driver: a program that does what it is told by lines, and answers each with a line of JSON.
 *
 * What the drivers of the store clients have in common. The tests beside them (Python) start the servers,
 * break them, and read what happened here. In words, the byte 0x1f stands for a blank. A driver that is told
 * what it does not understand stops. */
#ifndef WEIR_TEST_DRIVER_H
#define WEIR_TEST_DRIVER_H

#include "wire/json.h"

enum { DRIVER_WORDS_MAX = 64 };

#define DRIVER_NS_PER_MS UINT64_C(1000000)

_Noreturn void driver_stop(const char *why);

/* ---- what it is told ---- */

/* An option has a value of one kind; all else of it is NULL. */
struct driver_option {
    const char  *name; /* "--connections"; NULL: the table's end */
    const char **text;
    unsigned    *number;
    uint64_t    *ns; /* told in milliseconds */
};

/* Pairs of a name and a value. */
void driver_read_options(const struct driver_option *table, char **words, int count);

/* Does what each line says, until one says close, or the end. */
void driver_read_lines(void (*act)(char **words, unsigned count));

uint64_t driver_number(const char *word);
uint64_t driver_ms(const char *word); /* in nanoseconds */

/* ---- what it answers ---- */

void driver_answer_begin(struct json_writer *w);
void driver_answer_end(struct json_writer *w);

void driver_write_number(struct json_writer *w, const char *name, uint64_t number);
void driver_write_text(struct json_writer *w, const char *name, const char *text);
void driver_write_bool(struct json_writer *w, const char *name, bool value);
void driver_write_ms(struct json_writer *w, const char *name, uint64_t ns);

/* ---- fork() ---- */

/* Calls it in a child of fork(), which must end well. */
void driver_in_child(void (*act)(void));

#endif
