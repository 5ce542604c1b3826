/* SPDX-License-Identifier: MIT
 *
 * store_watch: what is to be said of how a remote store is, and when?
 *
 * A trouble is told when it begins, when it is another one (each cause once, whatever the address), and when
 * it is over: a line each. What the store
 * complains of (open_trouble()) makes us ask it ourselves: if it does not answer, that is told at once, with
 * its own words. If it does, the complaint may be about one trip among a million, so it is told only when it
 * stands for longer than one stands by itself. A trouble that was told is over when the store answers us and
 * nobody complains of it any more.
 *
 * However a store comes and goes there are no more lines than STORE_WATCH_LINES at once and one a minute from
 * then on; what could not be said is said then, if it is so still. Decides only: whoever calls it asks and
 * prints. Times are of clock_now_ns(). */
#ifndef WEIR_CMD_STORE_WATCH_H
#define WEIR_CMD_STORE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

enum { STORE_WATCH_BYTES_MAX = 640, STORE_WATCH_LINES = 6, STORE_WATCH_CAUSES = 8 };

#define STORE_WATCH_PATIENCE_NS UINT64_C(15000000000)
#define STORE_WATCH_ASK_NS      UINT64_C(2000000000)
#define STORE_WATCH_LINE_NS     UINT64_C(60000000000)

enum store_watch_news {
    STORE_WATCH_NOTHING,
    STORE_WATCH_BEGUN,
    STORE_WATCH_OTHER, /* it goes on, for another reason */
    STORE_WATCH_OVER,
};

/* Zero at first. */
struct store_watch {
    bool     is_told;                     /* of a trouble that is not over yet */
    uint64_t begun_ns;                    /* is_told: when that was */
    uint64_t well_ns;                     /* is_told: since when it answers us; 0: it does not */
    uint64_t complaint_ns;                /* since when it complains; 0: it does not */
    uint64_t ask_ns;                      /* not to be asked before */
    uint64_t told_ns;                     /* the last line */
    uint64_t full_ns;                     /* until when the lines that were said count */
    char     text[STORE_WATCH_BYTES_MAX]; /* is_told: what was told last */
    unsigned cause_count;                 /* is_told: of what was told of this trouble */
    uint64_t causes[STORE_WATCH_CAUSES];
};

/* Whether the store should be asked now. `complaint`: of open_trouble(); "": none. */
bool store_watch_wants(struct store_watch *w, const char *complaint, uint64_t now_ns);

/* It was asked; `problem`: it did not answer; NULL: it did. What is told of is in w->text. */
enum store_watch_news store_watch_note(struct store_watch *w, const char *complaint,
                                       const char *problem, uint64_t now_ns);

#endif
