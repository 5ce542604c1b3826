/* SPDX-License-Identifier: MIT */
#include "cmd/doctor_clock.h"

#include "os/clock.h"

#define PPM INT64_C(1000000)

void doctor_offset_begin(struct doctor_offset *offset) {
    *offset = (struct doctor_offset){.least_ns = INT64_MIN, .most_ns = INT64_MAX};
}

void doctor_offset_take(struct doctor_offset *offset, int64_t server_ns, int64_t unit_ns,
                        uint64_t sent_ns, uint64_t received_ns) {
    int64_t least_ns = server_ns - (int64_t)received_ns;
    int64_t most_ns  = server_ns + unit_ns - (int64_t)sent_ns;
    if (least_ns > offset->least_ns) offset->least_ns = least_ns;
    if (most_ns < offset->most_ns) offset->most_ns = most_ns;
    offset->at_ns = received_ns;
}

bool doctor_offset_is_sound(const struct doctor_offset *offset) {
    return offset->at_ns > 0 && offset->least_ns <= offset->most_ns;
}

static int64_t middle(const struct doctor_offset *offset) {
    return offset->least_ns + (offset->most_ns - offset->least_ns) / 2;
}

int64_t doctor_offset_skew_ns(const struct doctor_offset *offset) {
    uint64_t now_ns = clock_now_ns(), wall_ns = clock_wall_ns();
    return middle(offset) - (int64_t)(wall_ns - now_ns);
}

/* Offsets are below 2^63 ns, and their differences, of clocks that nobody has set, below an hour. */
bool doctor_rate_between(const struct doctor_offset *first, const struct doctor_offset *last,
                         struct doctor_rate *rate) {
    if (!doctor_offset_is_sound(first) || !doctor_offset_is_sound(last)) return false;
    if (last->at_ns <= first->at_ns) return false;
    double span_ns  = (double)(last->at_ns - first->at_ns);
    double least_ns = (double)last->least_ns - (double)first->most_ns;
    double most_ns  = (double)last->most_ns - (double)first->least_ns;
    *rate           = (struct doctor_rate){.least_ppm = (int64_t)(least_ns / span_ns * (double)PPM),
                                           .most_ppm  = (int64_t)(most_ns / span_ns * (double)PPM)};
    return true;
}
