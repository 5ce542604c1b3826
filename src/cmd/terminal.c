/* SPDX-License-Identifier: MIT
 *
 * terminal: how does the program speak to its caller? See terminal.h. */
#include "cmd/terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/contract.h"
#include "base/text.h"
#include "cmd/command.h"
#include "os/clock.h"
#include "wire/json.h"

enum { PROGRESS_PERIOD_NS = 100000000 };

static bool     progress_is_shown;
static uint64_t progress_next_ns;

void terminal_begin(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGPIPE, &ignore, NULL);

    /* A caller who closed stdout wants no output: it goes nowhere, and quietly. */
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0) close(fd);
}

bool terminal_is_terminal(void) { return isatty(STDOUT_FILENO) == 1; }

const char *terminal_colour(enum terminal_colour colour) {
    static const char *const sequences[] = {
        [TERMINAL_PLAIN] = "\033[0m", [TERMINAL_BOLD] = "\033[1m",   [TERMINAL_DIM] = "\033[2m",
        [TERMINAL_RED] = "\033[31m",  [TERMINAL_GREEN] = "\033[32m", [TERMINAL_YELLOW] = "\033[33m",
        [TERMINAL_BLUE] = "\033[34m",
    };
    const char *no_colour = getenv("NO_COLOR");
    const char *kind      = getenv("TERM");
    if (no_colour != NULL && no_colour[0] != '\0') return "";
    if (kind != NULL && strcmp(kind, "dumb") == 0) return "";
    return terminal_is_terminal() ? sequences[colour] : "";
}

int terminal_columns(void) {
    struct winsize size;
    uint64_t       told;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
    const char *columns = getenv("COLUMNS");
    if (columns != NULL && text_number_parse(view_of(columns), &told) && told >= 20 && told <= 1000)
        return (int)told;
    return 80;
}

int terminal_rows(void) {
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

void terminal_complain(const char *verb, const char *format, ...) {
    char    message[2048];
    va_list values;
    va_start(values, format);
    vsnprintf(message, sizeof message, format, values);
    va_end(values);

    terminal_progress_end();
    fflush(stdout); /* in a file that holds both, what was said before stands before */
    fprintf(stderr, "weir%s%s: %s\n", verb[0] == '\0' ? "" : " ", verb, message);
}

const char *terminal_error_text(int error) {
    static _Thread_local char text[256];
    /* The GNU strerror_r: it may return a text of its own instead of filling in ours. */
    return strerror_r(error, text, sizeof text);
}

void terminal_progress(const char *format, ...) {
    if (isatty(STDERR_FILENO) != 1) return;
    uint64_t now_ns = clock_now_ns();
    if (now_ns < progress_next_ns) return;
    progress_next_ns = now_ns + PROGRESS_PERIOD_NS;

    va_list values;
    va_start(values, format);
    fputc('\r', stderr);
    vfprintf(stderr, format, values);
    fputs("\033[K", stderr);
    va_end(values);
    fflush(stderr);
    progress_is_shown = true;
}

void terminal_progress_end(void) {
    if (!progress_is_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress_is_shown = false;
}

bool terminal_is_gone(void) { return ferror(stdout) != 0; }

int terminal_finish(const char *verb, int code) {
    terminal_progress_end();
    errno = 0;
    if (fflush(stdout) == 0 && ferror(stdout) == 0) return code;

    /* The error may be an earlier write's, whose errno is gone; then the pipe itself tells. */
    int           error = errno;
    struct pollfd pipe  = {.fd = STDOUT_FILENO, .events = POLLOUT};
    if (error == EPIPE) return code;
    if (error == 0 && poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0) return code;
    terminal_complain(verb, "cannot write the answer to standard output: %s",
                      error != 0 ? terminal_error_text(error) : "a write failed");
    return COMMAND_TROUBLE;
}

const char *terminal_quote(struct view bytes, char out[TERMINAL_QUOTE_BYTES_MAX]) {
    static const char hex[] = "0123456789abcdef";
    static const char cut[] = "...";
    const size_t      room  = TERMINAL_QUOTE_BYTES_MAX - sizeof cut;
    size_t            used  = 0;
    size_t            at    = 0;
    while (at < bytes.bytes) {
        unsigned char c     = (unsigned char)bytes.data[at];
        size_t        plain = 0; /* bytes of one printable character */
        if (c >= 0x20 && c < 0x7f && c != '\\') plain = 1;
        if (c >= 0xc2) {
            size_t length = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
            /* U+0080 to U+009F are control characters too. */
            bool is_control =
                c == 0xc2 && at + 1 < bytes.bytes && (unsigned char)bytes.data[at + 1] < 0xa0;
            if (length <= bytes.bytes - at && !is_control &&
                json_is_utf8((struct view){.data = bytes.data + at, .bytes = length}))
                plain = length;
        }
        size_t shown = plain > 0 ? plain : c == '\\' ? 2 : 4;
        if (used + shown > room) {
            memcpy(out + used, cut, sizeof cut);
            return out;
        }
        if (plain > 0) {
            memcpy(out + used, bytes.data + at, plain);
            at += plain;
        } else {
            out[used]     = '\\';
            out[used + 1] = c == '\\' ? '\\' : 'x';
            if (c != '\\') {
                out[used + 2] = hex[c >> 4];
                out[used + 3] = hex[c & 15];
            }
            at++;
        }
        used += shown;
    }
    out[used] = '\0';
    return out;
}

const char *terminal_count(uint64_t number, char out[TERMINAL_COUNT_BYTES_MAX]) {
    char   digits[24];
    size_t count = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    size_t used  = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0 && (count - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    out[used] = '\0';
    return out;
}

bool terminal_json_sink(void *context, struct view bytes) {
    (void)context;
    return fwrite(bytes.data, 1, bytes.bytes, stdout) == bytes.bytes;
}
