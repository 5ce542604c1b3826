/* SPDX-License-Identifier: MIT
 *
 * cql_driver: src/wire/cql as test_cql_oracle.py tells it to, a command a line, an answer a line. Bytes are
 * hexadecimal, "-" is none.
 *
 *     frame BYTES                                       STREAM OPCODE, and what it says; or why not
 *     startup STREAM NAME VERSION | options STREAM      the request's bytes
 *     auth STREAM USER PASSWORD | register STREAM EVENTS
 *     prepare STREAM STATEMENT
 *     query|execute STREAM STATEMENT|ID CONSISTENCY SERIAL ROWS STATE TIMESTAMP|- SKIPS VALUE...
 *                                                       a VALUE is its bytes, null or unset
 *     token COLUMN...                                   the key's bytes and its token */
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "support/cql_told.h"
#include "wire/cql_request.h"
#include "wire/cql_token.h"

enum { LINE_BYTES_MAX = 1 << 20, WORDS_MAX = 512 };

static char  line[LINE_BYTES_MAX];
static char *words[WORDS_MAX];
static char  out[LINE_BYTES_MAX];

/* Decodes a word in place. */
static struct view bytes_of(char *word) {
    size_t count = 0;
    if (strcmp(word, "-") == 0) return (struct view){.data = word, .bytes = 0};
    for (const char *at = word; *at != '\0'; at += 2) {
        int byte = hex_byte(at);
        if (byte < 0) exit(2);
        word[count++] = (char)byte;
    }
    return (struct view){.data = word, .bytes = count};
}

static long number_of(const char *word) { return strtol(word, NULL, 10); }

static void say_bytes(const char *data, size_t bytes) {
    if (bytes == 0) putchar('-');
    told_hex(stdout, (const uint8_t *)data, bytes);
}

static void say_frame(struct view bytes) {
    struct cql_frame frame;
    switch (cql_read(bytes, sizeof line, &frame)) {
    case CQL_PARTIAL: printf("partial"); return;
    case CQL_BROKEN: printf("broken: %s", frame.problem); return;
    case CQL_FRAME: break;
    }
    printf("%d %x ", frame.stream, frame.opcode);
    if (!told_response(stdout, frame.opcode, frame.body)) printf("broken");
}

static size_t write_statement(char **word, size_t word_count, int16_t stream) {
    static struct cql_value values[WORDS_MAX];
    struct cql_parameters   p = {
          .consistency        = (enum cql_consistency)number_of(word[3]),
          .serial_consistency = (enum cql_consistency)number_of(word[4]),
          .page_rows          = (uint32_t)number_of(word[5]),
          .paging_state       = bytes_of(word[6]),
          .has_timestamp      = strcmp(word[7], "-") != 0,
          .timestamp_us       = number_of(word[7]),
          .skips_metadata     = number_of(word[8]) != 0,
          .values             = values,
          .value_count        = (uint16_t)(word_count - 9),
    };
    for (size_t i = 9; i < word_count; i++) {
        struct cql_value *value = &values[i - 9];
        *value                  = (struct cql_value){.presence = CQL_PRESENT};
        if (strcmp(word[i], "null") == 0)
            value->presence = CQL_NULL;
        else if (strcmp(word[i], "unset") == 0)
            value->presence = CQL_UNSET;
        else
            value->bytes = bytes_of(word[i]);
    }
    struct view what = bytes_of(word[2]);
    return strcmp(word[0], "query") == 0 ? cql_request_query(out, sizeof out, stream, what, &p)
                                         : cql_request_execute(out, sizeof out, stream, what, &p);
}

static size_t write_request(char **word, size_t word_count) {
    int16_t stream = (int16_t)number_of(word[1]);
    if (strcmp(word[0], "options") == 0) return cql_request_options(out, sizeof out, stream);
    if (word_count < 3) exit(2);
    if (strcmp(word[0], "prepare") == 0)
        return cql_request_prepare(out, sizeof out, stream, bytes_of(word[2]));
    if (strcmp(word[0], "register") == 0)
        return cql_request_register(out, sizeof out, stream, (unsigned)number_of(word[2]));
    if (word_count < 4) exit(2);
    if (strcmp(word[0], "startup") == 0)
        return cql_request_startup(out, sizeof out, stream, bytes_of(word[2]), bytes_of(word[3]));
    if (strcmp(word[0], "auth") == 0)
        return cql_request_auth_plain(out, sizeof out, stream, bytes_of(word[2]),
                                      bytes_of(word[3]));
    if (word_count < 9) exit(2);
    return write_statement(word, word_count, stream);
}

static void say_token(char **word, size_t word_count) {
    struct view columns[WORDS_MAX];
    size_t      bytes = 0;
    for (size_t i = 1; i < word_count; i++) columns[i - 1] = bytes_of(word[i]);
    if (!cql_key_write(columns, word_count - 1, out, sizeof out, &bytes)) {
        printf("too long");
        return;
    }
    say_bytes(out, bytes);
    printf(" %" PRId64, cql_token((struct view){.data = out, .bytes = bytes}));
}

int main(void) {
    while (fgets(line, sizeof line, stdin) != NULL) {
        size_t word_count = 0;
        char  *rest       = line;
        for (char *word = NULL; (word = strtok_r(rest, " \n", &rest)) != NULL;) {
            if (word_count == WORDS_MAX) return 2;
            words[word_count++] = word;
        }
        if (word_count < 2) return 2;
        if (strcmp(words[0], "frame") == 0)
            say_frame(bytes_of(words[1]));
        else if (strcmp(words[0], "token") == 0)
            say_token(words, word_count);
        else
            say_bytes(out, write_request(words, word_count));
        putchar('\n');
        fflush(stdout);
    }
    return 0;
}
