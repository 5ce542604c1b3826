/* SPDX-License-Identifier: MIT
 *
 * hex: what hexadecimal digits of either case stand for. */
#ifndef WEIR_BASE_HEX_H
#define WEIR_BASE_HEX_H

/* -1: it is none. */
static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/* Of two digits, 0 to 255; -1: they are not two. The second is not looked at if the first is none, such as
 * the NUL of a text. */
static inline int hex_byte(const char *at) {
    int high = hex_digit(at[0]), low = high < 0 ? -1 : hex_digit(at[1]);
    return low < 0 ? -1 : high * 16 + low;
}

#endif
