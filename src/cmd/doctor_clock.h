/* SPDX-License-Identifier: MIT
 *
 * doctor_clock: by how much is a server's clock ahead of ours, and how much faster does it go?
 *
 * A server tells its time in whole units of its own, somewhere between question and answer. So each answer
 * says between which two numbers its clock is ahead, and several together say it much more closely: some are
 * quick, and in some the next unit has just begun. Of two looks with some time between them the rate follows,
 * with all that is not known of it. */
#ifndef WEIR_CMD_DOCTOR_CLOCK_H
#define WEIR_CMD_DOCTOR_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* How far the server's wall clock is ahead of clock_now_ns(): from least_ns to most_ns. */
struct doctor_offset {
    int64_t  least_ns, most_ns;
    uint64_t at_ns; /* the last answer's, on clock_now_ns(); 0: there was none */
};

/* No answer yet. */
void doctor_offset_begin(struct doctor_offset *offset);

/* The server's clock showed server_ns, or up to unit_ns more, between two readings of clock_now_ns(). */
void doctor_offset_take(struct doctor_offset *offset, int64_t server_ns, int64_t unit_ns,
                        uint64_t sent_ns, uint64_t received_ns);

/* Whether there were answers, and they agree: a clock that is set meanwhile says what cannot be. */
bool doctor_offset_is_sound(const struct doctor_offset *offset);

/* The server's wall clock, less ours; of a sound offset. */
int64_t doctor_offset_skew_ns(const struct doctor_offset *offset);

/* How much faster the server's clock goes than clock_now_ns(). False: not known. */
struct doctor_rate {
    int64_t least_ppm, most_ppm;
};
bool doctor_rate_between(const struct doctor_offset *first, const struct doctor_offset *last,
                         struct doctor_rate *rate);

#endif
