/* SPDX-License-Identifier: MIT
 *
 * embedded: one file, many processes, nothing forgotten. See embedded.c. */
#ifndef WEIR_STORE_EMBEDDED_EMBEDDED_H
#define WEIR_STORE_EMBEDDED_EMBEDDED_H

#include <weir.h>

#include "store/embedded/format.h"
#include "table/table.h"

struct embedded;

struct embedded_options {
    /* Of a new file; 0: the default in brackets. An existing one keeps its own, and 0 means that. */
    uint64_t users_max;       /* (10,000,000) */
    uint64_t bytes_max;       /* it never gets longer, for which users_max is lowered (no bound) */
    uint64_t clock_error_ppm; /* (0) */
    uint64_t unrecorded_max;  /* of durability 1 (16) */
    uint32_t durability;      /* 0 process, 1 power; what exists is refused if it has less */

    bool is_reader;  /* only looks: changes nothing, takes no number, and may not decide */
    bool must_exist; /* a file that is not there is not created */
    bool is_alone;   /* nobody else may have it open, and who opens it waits until it is closed:
                               for weir compact */
    uint64_t
        wall_error_ns; /* after a start of the machine, the wall clock is trusted so far; 0: not */

    /* Called when the file cannot be read any more, from a signal handler of any thread: what was decided
     * since may be wrong, and nothing more may be. Then embedded_abandon(). NULL: the process ends of it. */
    void (*failed)(void *context);
    void *context;
};

/* Opens or creates the file. NULL: `error` says why, with the path in it, and nothing was changed. Waits
 * while another process opens or compacts it. */
struct embedded *embedded_open(const char *path, const struct embedded_options *options,
                               weir_error *error);
void             embedded_close(struct embedded *e);

/* The table, and how it is to be asked. Valid until embedded_close(). */
struct table              *embedded_table(struct embedded *e);
const struct format_rules *embedded_rules(const struct embedded *e);
uint64_t                   embedded_clock_ahead_ns(const struct embedded *e);
const char                *embedded_path(const struct embedded *e);

/* In a child of fork(), before anything else (and from a signal handler's context): lets go of what
 * belongs to the parent. embedded_rejoin() then makes the child a process of its own, on the same
 * memory; any thread. */
void        embedded_leave_to_parent(struct embedded *e);
weir_status embedded_rejoin(struct embedded *e);

/* Lets go of a file that failed, as if the process had been killed: others put right what its threads
 * were doing. The table may be asked until embedded_close(), and answers nonsense. */
void embedded_abandon(struct embedded *e);

/* Whether both are openings of the file that was created once, whatever its name and place now. */
bool embedded_is_same_file(const struct embedded *one, const struct embedded *other);

/* Goes on where `before` failed: puts right what it left, and closes it with embedded_close(e). False:
 * this one has failed meanwhile as well, and has nothing to do with `before`. */
bool embedded_take_over(struct embedded *e, struct embedded *before);

/* Whether it has neither failed nor been let go of. */
bool embedded_is_usable(const struct embedded *e);

/* Who has the file open, for people: fills in up to `count`, returns how many there are. */
struct embedded_process {
    struct format_process facts;
    uint32_t              number;
    bool                  is_alive;
};
size_t embedded_processes(struct embedded *e, struct embedded_process *processes, size_t count);

uint64_t embedded_file_bytes(const struct embedded *e);     /* its length */
uint64_t embedded_file_bytes_max(const struct embedded *e); /* the most that it can get */
uint64_t embedded_journal_bytes(const struct embedded *e);  /* of the files beside it; about */
uint64_t embedded_disk_bytes(const struct embedded *e);     /* what it takes on the disk */

/* Whether the path still leads to the file that is open: weir compact puts another there. */
bool embedded_is_in_place(const struct embedded *e);

/* How the table's clock goes. False: by a start of the machine that is over; it goes on when somebody
 * opens the file, and stands still until then. `now_ns` is the table's time, or a moment before. */
bool embedded_clock(const struct embedded *e, struct format_era *era, uint64_t *now_ns);

/* --- for weir compact ------------------------------------------------------------------------ */

/* Copies what is not on the disk yet into the mapping of a file of the same durability and generation, whose
 * users have the same names: the journal goes on with it. */
void embedded_copy_power(const struct embedded *e, char *memory);

/* Gives a file the owner and mode of this one; an error of os/file.h. */
int embedded_make_like(const struct embedded *e, int fd);

/* The same with what an error of os/file.h means to whoever opens a file. */
bool embedded_fail_at(weir_error *error, const char *path, const char *what, int why);

/* Fills in `error`; false. The path comes first, its end if it is long. */
bool embedded_fail(weir_error *error, weir_status status, const char *path, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
