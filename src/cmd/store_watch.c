/* SPDX-License-Identifier: MIT */
#include "cmd/store_watch.h"

#include <stdio.h>
#include <string.h>

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

static void keep_text(struct store_watch *w, const char *text) {
    (void)snprintf(w->text, sizeof w->text, "%s", text);
}

static enum store_watch_news watch_begin(struct store_watch *w, const char *text, uint64_t now_ns) {
    if (!may_say(w, now_ns)) return STORE_WATCH_NOTHING;
    w->is_told  = true;
    w->begun_ns = now_ns;
    w->well_ns  = 0;
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
    bool is_other = problem != NULL && strcmp(problem, w->text) != 0;
    if (!is_other || now_ns < w->told_ns + OTHER_NS || !may_say(w, now_ns))
        return STORE_WATCH_NOTHING;
    keep_text(w, problem);
    return STORE_WATCH_OTHER;
}
