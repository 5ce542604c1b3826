/* SPDX-License-Identifier: MIT
 *
 * log_input: the lines of a log, wherever it comes from: a file, stdin, plain or gzip.
 *
 * Gzip is told by its first two bytes and not by the name, so that it may come through a pipe.
 * Several gzip members in a row are one log, as zcat has it (rotated logs are often joined so).
 *
 * Memory does not grow with the input: one buffer of text that is a line's bound and a read
 * longer, and for gzip one of raw bytes. A line that is longer than the bound is told by its
 * beginning and skipped. A log that ends in the middle of gzip data gives all lines that can be had
 * of it, and says so: that is what a log of a machine that lost power looks like. */
#include "cmd/log_input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { READ_BYTES = 256 * 1024 };

struct log_input {
    int      file;
    bool     is_stdin;
    bool     is_begun; /* the first bytes have been looked at */
    bool     is_gzip;
    bool     is_at_end;    /* no more text will come */
    bool     is_in_member; /* gzip: inside a member, so an end here is too early */
    char     trouble[160];
    uint64_t bytes_read;
    uint64_t bytes_total;
    size_t   line_bytes_max;
    size_t   text_room;
    size_t   begin, end,
        searched; /* text[begin, end) is not yet given out; no line feed before searched */
    char    *text;
    z_stream gzip;
    size_t   raw_bytes; /* bytes in `raw` that the first look took */
    uint8_t  raw[READ_BYTES];
};

static void fill(struct log_input *input);

struct log_input *log_input_open(const char *path, size_t line_bytes_max, char *error,
                                 size_t error_bytes) {
    struct log_input *input = calloc(1, sizeof *input);
    if (input == NULL) goto no_memory;
    input->line_bytes_max = line_bytes_max;
    input->text_room      = line_bytes_max + 1 + READ_BYTES;
    input->text           = malloc(input->text_room);
    if (input->text == NULL) goto free_input;

    input->is_stdin = strcmp(path, "-") == 0;
    input->file     = input->is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (input->file < 0) {
        snprintf(error, error_bytes, "cannot open '%s': %s", path, strerror(errno));
        goto free_text;
    }
    struct stat about;
    if (fstat(input->file, &about) == 0) {
        if (S_ISDIR(about.st_mode)) {
            snprintf(error, error_bytes, "'%s' is a folder; name the log files in it", path);
            goto close_file;
        }
        if (S_ISREG(about.st_mode) && about.st_size > 0) {
            input->bytes_total = (uint64_t)about.st_size;
        }
    }
    return input;

close_file:
    if (!input->is_stdin) close(input->file);
free_text:
    free(input->text);
    free(input);
    return NULL;
free_input:
    free(input);
no_memory:
    snprintf(error, error_bytes, "not enough memory to read '%s'", path);
    return NULL;
}

void log_input_close(struct log_input *input) {
    if (input == NULL) return;
    if (input->is_gzip) inflateEnd(&input->gzip);
    if (!input->is_stdin) close(input->file);
    free(input->text);
    free(input);
}

const char *log_input_trouble(const struct log_input *input) {
    return input->trouble[0] != '\0' ? input->trouble : NULL;
}

bool     log_input_is_gzip(const struct log_input *input) { return input->is_gzip; }
uint64_t log_input_bytes_read(const struct log_input *input) { return input->bytes_read; }
uint64_t log_input_bytes_total(const struct log_input *input) { return input->bytes_total; }

/* Skips the rest of a line that is too long; false: the input ended before the line did. */
static bool skip_line(struct log_input *input) {
    for (;;) {
        char  *from = input->text + input->begin;
        size_t have = input->end - input->begin;
        char  *feed = have > 0 ? memchr(from, '\n', have) : NULL;
        if (feed != NULL) {
            input->begin = input->searched = (size_t)(feed + 1 - input->text);
            return true;
        }
        input->begin = input->end = input->searched = 0;
        if (input->is_at_end) return false;
        /* What is shown of the line stays at the front of the text until the next call. */
        input->begin = input->end = input->searched = input->line_bytes_max;
        fill(input);
    }
}

enum log_input_step log_input_next(struct log_input *input, struct view *line) {
    for (;;) {
        char *from = input->text + input->searched;
        char *feed = NULL;
        if (input->end > input->searched) feed = memchr(from, '\n', input->end - input->searched);
        size_t end = feed != NULL ? (size_t)(feed - input->text) : input->end;

        if (end - input->begin > input->line_bytes_max) {
            memmove(input->text, input->text + input->begin, input->line_bytes_max);
            *line        = (struct view){input->text, input->line_bytes_max};
            input->begin = end;
            skip_line(input);
            return LOG_INPUT_TOO_LONG;
        }
        if (feed != NULL || (input->is_at_end && end > input->begin)) {
            *line        = (struct view){input->text + input->begin, end - input->begin};
            input->begin = input->searched = feed != NULL ? end + 1 : end;
            return LOG_INPUT_LINE;
        }
        if (input->is_at_end) return LOG_INPUT_END;

        /* The begun line moves to the front, which costs little beside reading what follows it. */
        memmove(input->text, input->text + input->begin, input->end - input->begin);
        input->end -= input->begin;
        input->begin    = 0;
        input->searched = input->end;
        fill(input);
    }
}

/* ---- bytes ---- */

/* Up to `room` bytes from the file; 0 at its end or after trouble. */
static size_t read_some(struct log_input *input, void *out, size_t room) {
    for (;;) {
        ssize_t got = read(input->file, out, room);
        if (got >= 0) {
            input->bytes_read += (uint64_t)got;
            return (size_t)got;
        }
        if (errno == EINTR) continue;
        snprintf(input->trouble, sizeof input->trouble, "reading stopped: %s", strerror(errno));
        return 0;
    }
}

/* Takes the first bytes and tells by them what the input is. */
static void begin(struct log_input *input) {
    input->is_begun = true;
    while (input->raw_bytes < 2) {
        size_t got = read_some(input, input->raw + input->raw_bytes, READ_BYTES - input->raw_bytes);
        if (got == 0) break;
        input->raw_bytes += got;
    }
    if (input->raw_bytes < 2 || input->raw[0] != 0x1f || input->raw[1] != 0x8b) return;
    if (inflateInit2(&input->gzip, 15 + 16) != Z_OK) {
        snprintf(input->trouble, sizeof input->trouble, "not enough memory to read gzip");
        input->raw_bytes = 0;
        input->is_at_end = true;
        return;
    }
    input->is_gzip       = true;
    input->is_in_member  = true;
    input->gzip.next_in  = input->raw;
    input->gzip.avail_in = (uInt)input->raw_bytes;
}

/* Inflates at least one byte, or finds the end. */
static size_t inflate_some(struct log_input *input, char *out, size_t room) {
    z_stream *z  = &input->gzip;
    z->next_out  = (Bytef *)out;
    z->avail_out = (uInt)room;
    while (z->avail_out == room) {
        if (z->avail_in == 0) {
            z->next_in  = input->raw;
            z->avail_in = (uInt)read_some(input, input->raw, READ_BYTES);
        }
        if (z->avail_in == 0) {
            if (input->is_in_member && input->trouble[0] == '\0') {
                snprintf(input->trouble, sizeof input->trouble, "the gzip data is cut off");
            }
            break;
        }
        if (!input->is_in_member) {
            /* Padding by zeros is common on tapes and is not damage; else another member begins. */
            if (*z->next_in == 0) {
                z->next_in++;
                z->avail_in--;
                continue;
            }
            if (inflateReset(z) != Z_OK) break;
            input->is_in_member = true;
        }
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_STREAM_END) {
            input->is_in_member = false;
        } else if (result != Z_OK && result != Z_BUF_ERROR) {
            snprintf(input->trouble, sizeof input->trouble, "the gzip data is damaged: %s",
                     z->msg != NULL ? z->msg : "unknown error");
            z->avail_in         = 0;
            input->is_in_member = false;
            break;
        }
    }
    return room - z->avail_out;
}

/* Appends some text after `end`, or finds that there is no more. */
static void fill(struct log_input *input) {
    if (!input->is_begun) begin(input);
    if (input->is_at_end) return;

    char  *out  = input->text + input->end;
    size_t room = input->text_room - input->end;
    size_t got  = 0;
    if (input->is_gzip) {
        got = inflate_some(input, out, room);
    } else if (input->raw_bytes > 0) {
        got = input->raw_bytes < room ? input->raw_bytes : room;
        memcpy(out, input->raw, got);
        memmove(input->raw, input->raw + got, input->raw_bytes - got);
        input->raw_bytes -= got;
    } else {
        got = read_some(input, out, room);
    }
    input->end += got;
    if (got == 0 || (input->is_gzip && input->trouble[0] != '\0')) input->is_at_end = true;
}
