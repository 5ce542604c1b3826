/* SPDX-License-Identifier: MIT */
#include "lease/shortage.h"

#include <string.h>

static void shortage_remove(struct shortages *s, uint32_t at) {
    uint32_t after = --s->list.count - at;
    memmove(&s->list.users[at], &s->list.users[at + 1], after * sizeof s->list.users[0]);
    memmove(&s->beats[at], &s->beats[at + 1], after * sizeof s->beats[0]);
}

void shortage_add(struct shortages *s, uint64_t user) {
    for (uint32_t i = 0; i < s->list.count; i++)
        if (s->list.users[i] == user) shortage_remove(s, i);
    if (s->list.count == SHORTAGES_MAX) shortage_remove(s, 0);
    s->list.users[s->list.count] = user;
    s->beats[s->list.count++]    = SHORTAGE_BEATS;
}

void shortage_told(struct shortages *s) {
    for (uint32_t i = s->list.count; i-- > 0;)
        if (--s->beats[i] == 0) shortage_remove(s, i);
}
