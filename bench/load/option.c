/* SPDX-License-Identifier: MIT */
#include "option.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void die(int code, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", option_program);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(code);
}

double number_of(const char *option, const char *text, double low, double high) {
    char  *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= low) || !(value <= high)) {
        die(2, "--%s is '%s'; it may be %.15g to %.15g", option, text, low, high);
    }
    return value;
}
