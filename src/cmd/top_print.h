/* SPDX-License-Identifier: MIT
 *
 * top_print: how does a person, or a program, read a look at a file of limits? */
#ifndef WEIR_CMD_TOP_PRINT_H
#define WEIR_CMD_TOP_PRINT_H

#include "cmd/top_look.h"

/* To stdout. Rates are those from `before` to `now`. */
void top_print(const struct top_watch *watch, const struct top_look *before,
               const struct top_look *now);
void top_print_json(const struct top_watch *watch, const struct top_look *before,
                    const struct top_look *now);

/* The same over what the terminal shows, with as many processes as fit; `before` NULL: no rates yet. */
void top_draw(const struct top_watch *watch, const struct top_look *before,
              const struct top_look *now);

#endif
