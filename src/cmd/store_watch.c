/* SPDX-License-Identifier: MIT */
#include "cmd/store_watch.h"

#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "base/range.h"

/* Another reason is told no sooner: while a server dies and comes back there are some in a second. */
#define OTHER_NS UINT64_C(10000000000)

bool store_watch_wants(struct store_watch *w, const char *complaint, uint64_t now_ns) {
    bool complains = complaint[0] != '\0';
    if (!complains) w->complaint_ns = 0;
    if (complains && w->complaint_ns == 0) w->complaint_ns = now_ns;
    if ((!complains && !w->is_told) || now_ns < w->ask_ns) return false;
    w->ask_ns = now_ns + STORE_WATCH_ASK_NS;
    return true;
}

static bool may_say(struct store_watch *w, uint64_t now_ns) {
    if (w->full_ns > now_ns + (STORE_WATCH_LINES - 1) * STORE_WATCH_LINE_NS) return false;
    w->full_ns = larger(w->full_ns, now_ns) + STORE_WATCH_LINE_NS;
    w->told_ns = now_ns;
    return true;
}

/* Of the cause without the address before it: of hosts that are down for one reason another is met each
 * time. */
static uint64_t cause_of(const char *text) {
    static const struct hash_secret nobodys = {0, 0};
    const char                     *colon   = strstr(text, ": ");
    bool        has_address = colon != NULL && memchr(text, ' ', (size_t)(colon - text)) == NULL;
    const char *cause       = has_address ? colon + 2 : text;
    return hash_of(nobodys, 0, cause, strlen(cause));
}

/* When all places are taken it is as if all had been told. */
static bool was_told(const struct store_watch *w, const char *text) {
    uint64_t cause = cause_of(text);
    for (unsigned i = 0; i < w->cause_count; i++)
        if (w->causes[i] == cause) return true;
    return w->cause_count == STORE_WATCH_CAUSES;
}

static void keep_text(struct store_watch *w, const char *text) {
    (void)snprintf(w->text, sizeof w->text, "%s", text);
    w->causes[w->cause_count++] = cause_of(text);
}

static enum store_watch_news watch_begin(struct store_watch *w, const char *text, uint64_t now_ns) {
    if (!may_say(w, now_ns)) return STORE_WATCH_NOTHING;
    w->is_told  = true;
    w->begun_ns = now_ns;
    w->well_ns  = 0;

    w->cause_count = 0;
    keep_text(w, text);
    return STORE_WATCH_BEGUN;
}

enum store_watch_news store_watch_note(struct store_watch *w, const char *complaint,
                                       const char *problem, uint64_t now_ns) {
    bool complains = complaint[0] != '\0';
    bool is_steady = complains && now_ns >= w->complaint_ns + STORE_WATCH_PATIENCE_NS;
    if (!w->is_told) {
        if (problem == NULL && !is_steady) return STORE_WATCH_NOTHING;
        return watch_begin(w, problem != NULL ? problem : complaint, now_ns);
    }
    if (problem != NULL) w->well_ns = 0;
    if (problem == NULL && w->well_ns == 0) w->well_ns = now_ns;
    if (problem == NULL && !complains) {
        if (!may_say(w, now_ns)) return STORE_WATCH_NOTHING;
        w->is_told = false;
        return STORE_WATCH_OVER;
    }
    /* What is complained of while the store answers may be what is over. */
    bool is_other = problem != NULL && !was_told(w, problem);
    if (!is_other || now_ns < w->told_ns + OTHER_NS || !may_say(w, now_ns))
        return STORE_WATCH_NOTHING;
    keep_text(w, problem);
    return STORE_WATCH_OTHER;
}
