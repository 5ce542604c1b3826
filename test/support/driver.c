/* SPDX-License-Identifier: MIT */
#include "support/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 80 * 1024, BLANK = 0x1f };

_Noreturn void driver_stop(const char *why) {
    fprintf(stderr, "driver: %s\n", why);
    exit(3);
}

/* ---- what it is told ---- */

static void driver_read_option(const struct driver_option *table, const char *name,
                               const char *value) {
    const struct driver_option *option = table;
    while (option->name != NULL && strcmp(option->name, name) != 0) option++;
    if (option->name == NULL) driver_stop("unknown option");
    if (option->text != NULL) *option->text = value;
    if (option->number != NULL) *option->number = (unsigned)driver_number(value);
    if (option->ns != NULL) *option->ns = driver_ms(value);
}

void driver_read_options(const struct driver_option *table, char **words, int count) {
    for (int i = 0; i + 1 < count; i += 2) driver_read_option(table, words[i], words[i + 1]);
}

static void read_blanks(char *word) {
    for (; *word != '\0'; word++)
        if (*word == BLANK) *word = ' ';
}

static unsigned words_of(char *line, char *words[DRIVER_WORDS_MAX]) {
    unsigned count = 0;
    char    *rest  = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word != NULL && count < DRIVER_WORDS_MAX;
         word       = strtok_r(NULL, " \n", &rest)) {
        read_blanks(word);
        words[count++] = word;
    }
    return count;
}

void driver_read_lines(void (*act)(char **words, unsigned count)) {
    static char line[LINE_BYTES_MAX];
    while (fgets(line, sizeof line, stdin) != NULL && strcmp(line, "close\n") != 0) {
        char    *words[DRIVER_WORDS_MAX];
        unsigned count = words_of(line, words);
        if (count > 0) act(words, count);
    }
}

uint64_t driver_number(const char *word) { return strtoull(word, NULL, 10); }

uint64_t driver_ms(const char *word) { return driver_number(word) * DRIVER_NS_PER_MS; }

/* ---- what it answers ---- */

static bool to_stdout(void *context, struct view bytes) {
    (void)context;
    return fwrite(bytes.data, 1, bytes.bytes, stdout) == bytes.bytes && fflush(stdout) == 0;
}

void driver_answer_begin(struct json_writer *w) {
    static char buffer[64 * 1024];
    json_write_begin(w, buffer, sizeof buffer, to_stdout, NULL);
    json_write_object(w);
}

void driver_answer_end(struct json_writer *w) {
    json_write_object_end(w);
    json_write_line_end(w);
    if (!json_write_end(w)) driver_stop("cannot write");
}

void driver_write_number(struct json_writer *w, const char *name, uint64_t number) {
    json_write_name(w, name);
    json_write_u64(w, number);
}

void driver_write_text(struct json_writer *w, const char *name, const char *text) {
    json_write_name(w, name);
    json_write_text(w, view_of(text));
}

void driver_write_bool(struct json_writer *w, const char *name, bool value) {
    json_write_name(w, name);
    json_write_bool(w, value);
}

void driver_write_ms(struct json_writer *w, const char *name, uint64_t ns) {
    json_write_name(w, name);
    json_write_real(w, (double)ns / 1e6, 3);
}

/* ---- fork() ---- */

void driver_in_child(void (*act)(void)) {
    int   status = 0;
    pid_t child  = fork();
    if (child == 0) {
        act();
        _exit(0);
    }
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        driver_stop("the child failed");
}
