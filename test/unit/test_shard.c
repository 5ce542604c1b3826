/* SPDX-License-Identifier: MIT */
#include "limiter/shard.h"

#include "support/check.h"

#define MS     UINT64_C(1000000)
#define SECOND UINT64_C(1000000000)

static const uint64_t start = 1000 * SECOND;

static struct shard shard_new(struct lease_terms *terms, uint64_t window_ns) {
    struct lease_options options = {0};
    struct shard_watches watches;
    struct shard         s;
    shard_watches_choose(&watches, &options);
    (void)shard_terms_make(&watches, 1000, window_ns, &options, terms);
    shard_begin(&s, &watches, SECOND, check_seed());
    shard_owe(&s, 0, start);
    return s;
}

static unsigned count_beats(struct shard *s, uint64_t from_ns, uint64_t until_ns) {
    struct lease_request beat;
    unsigned             beats = 0;
    for (uint64_t now_ns = from_ns; now_ns < until_ns; now_ns += MS)
        beats += shard_poll(s, now_ns, &beat);
    return beats;
}

TEST(a_shard_in_use_is_contacted_until_no_permit_counts_any_more) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, SECOND);
    CHECK_EQ(count_beats(&s, start, start + SECOND), 0);
    shard_use(&s, &terms, true, start);
    uint64_t end_ns = start + terms.span_ns;
    CHECK_GE(count_beats(&s, start, end_ns), terms.span_ns / terms.contact_ns);
    CHECK_EQ(count_beats(&s, end_ns + MS, end_ns + 10 * SECOND), 0);
    CHECK_EQ(shard_next_ns(&s), UINT64_MAX);
}

TEST(beats_go_on_while_the_store_says_that_permits_count) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, SECOND);
    shard_use(&s, &terms, true, start);
    uint64_t end_ns = start + terms.span_ns - 10 * MS;
    CHECK_GT(count_beats(&s, start, end_ns), 0);
    shard_owe(&s, 3000000, end_ns);
    shard_owe(&s, 0, end_ns);
    CHECK_GE(count_beats(&s, end_ns, end_ns + 3 * SECOND), 3 * SECOND / (s.clamp_ns / 2));
    CHECK_EQ(count_beats(&s, end_ns + 5 * SECOND, end_ns + 10 * SECOND), 0);
    CHECK_EQ(shard_next_ns(&s), UINT64_MAX);
    shard_owe(&s, LEASE_NUMBER_MAX, end_ns);
    CHECK_LE(s.owed_until_ns, LIMIT_NOW_MAX + end_ns + SECOND);
}

TEST(beats_for_what_others_have_are_as_rare_as_the_clamp_lets_them_be) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, SECOND);
    shard_use(&s, &terms, true, start);
    shard_owe(&s, 3600000000, start);
    uint64_t end_ns = start + terms.span_ns;
    CHECK_GE(count_beats(&s, start, end_ns), terms.span_ns / terms.contact_ns);
    unsigned beats = count_beats(&s, end_ns, end_ns + 60 * SECOND);
    CHECK_GE(beats, 60 * SECOND / (s.clamp_ns / 2));
    CHECK_LE(beats, 60 * SECOND / (s.clamp_ns / 3));

    /* Who uses the shard again is as quick as before. */
    uint64_t again_ns = end_ns + 60 * SECOND;
    shard_use(&s, &terms, true, again_ns);
    CHECK_GE(count_beats(&s, again_ns, again_ns + SECOND), SECOND / terms.contact_ns);
}

TEST(a_shard_is_asked_at_once_what_it_owes_until_it_says_so) {
    struct lease_options options = {0};
    struct shard_watches watches;
    struct shard         s;
    struct lease_request beat;
    shard_watches_choose(&watches, &options);
    shard_begin(&s, &watches, SECOND, check_seed());
    CHECK(shard_poll(&s, start, &beat));
    CHECK_GE(count_beats(&s, start, start + 10 * SECOND), 20);
    uint64_t said_ns = start + 10 * SECOND;
    shard_owe(&s, 5000000, said_ns);
    CHECK_GE(count_beats(&s, said_ns, said_ns + 5 * SECOND), 10);
    CHECK_EQ(count_beats(&s, said_ns + 7 * SECOND, said_ns + 60 * SECOND), 0);

    shard_begin(&s, &watches, SECOND, check_seed());
    CHECK(shard_poll(&s, start, &beat));
    shard_owe(&s, 0, start + MS);
    CHECK_EQ(count_beats(&s, start + MS, start + 60 * SECOND), 0);
    shard_owe(&s, 5000000, start + 60 * SECOND); /* a probe that was late */
    CHECK_GE(count_beats(&s, start + 60 * SECOND, start + 65 * SECOND), 10);
}

TEST(the_clock_is_stepped_before_half_its_clamp_has_passed) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, 3600 * SECOND);
    s.clamp_ns           = 20 * MS;
    shard_use(&s, &terms, true, start);
    CHECK_LE(shard_next_ns(&s), start + 10 * MS);
}

TEST(trips_are_contacts) {
    struct lease_terms   terms;
    struct shard         s = shard_new(&terms, 60 * SECOND);
    struct lease_request beat;
    for (uint64_t now_ns = start; now_ns < start + SECOND; now_ns += 5 * MS) {
        shard_use(&s, &terms, true, now_ns);
        CHECK(!shard_poll(&s, now_ns + 4 * MS, &beat));
    }
}

TEST(trips_that_the_store_may_hold_up_are_no_contacts) {
    struct lease_terms   terms;
    struct shard         s = shard_new(&terms, 60 * SECOND);
    struct lease_request beat;
    unsigned             beats = 0;
    for (uint64_t now_ns = start; now_ns < start + SECOND; now_ns += MS) {
        shard_use(&s, &terms, false, now_ns);
        beats += shard_poll(&s, now_ns, &beat);
    }
    CHECK_GE(beats, SECOND / terms.contact_ns);
}

TEST(misses_in_a_row_cut_a_shard_off_and_an_answer_between_does_not) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, SECOND);
    for (unsigned i = 0; i < 10; i++) {
        for (unsigned k = 1; k < SHARD_MISSES_MAX; k++) shard_note(&s, false, false, start, start);
        CHECK(!shard_is_cut(&s));
        shard_note(&s, false, true, start, start);
    }
    for (unsigned k = 0; k < SHARD_MISSES_MAX; k++) shard_note(&s, false, false, start, start);
    CHECK(shard_is_cut(&s));
}

TEST(trips_that_were_out_together_are_one_miss) {
    struct lease_terms terms;
    struct shard       s = shard_new(&terms, SECOND);
    for (unsigned k = 1; k < SHARD_MISSES_MAX; k++) {
        uint64_t sent_ns = start + k * 20 * MS;
        for (unsigned i = 0; i < 100; i++)
            shard_note(&s, false, false, sent_ns + i, sent_ns + 20 * MS - 1);
    }
    CHECK(!shard_is_cut(&s));
    shard_note(&s, false, false, start + SECOND, start + SECOND);
    CHECK(shard_is_cut(&s));
}

TEST(one_probe_at_a_time_goes_ever_less_often) {
    struct lease_terms   terms;
    struct lease_request beat;
    struct shard         s = shard_new(&terms, SECOND);
    for (unsigned k = 0; k < SHARD_MISSES_MAX; k++) shard_note(&s, false, false, start, start);
    unsigned probes = 0;
    for (uint64_t now_ns = start; now_ns < start + 60 * SECOND; now_ns += MS) {
        if (!shard_poll(&s, now_ns, &beat)) continue;
        probes++;
        CHECK(!shard_poll(&s, now_ns + SECOND, &beat));
        shard_note(&s, false, false, now_ns, now_ns); /* trips that are still out change nothing */
        CHECK(!shard_poll(&s, now_ns + SECOND, &beat));
        shard_note(&s, true, false, now_ns, now_ns);
    }
    CHECK_GE(probes, 25); /* at least one in two seconds */
    CHECK_LE(probes, 200);
    for (uint64_t now_ns = start + 60 * SECOND; !shard_poll(&s, now_ns, &beat);) now_ns += MS;
    shard_note(&s, true, true, start + 70 * SECOND, start + 70 * SECOND);
    CHECK(!shard_is_cut(&s));
}

TEST(a_probe_for_which_there_was_no_trip_comes_again) {
    struct lease_terms   terms;
    struct lease_request beat;
    struct shard         s = shard_new(&terms, SECOND);
    for (unsigned k = 0; k < SHARD_MISSES_MAX; k++) shard_note(&s, false, false, start, start);
    CHECK(shard_poll(&s, start + SECOND, &beat));
    CHECK_EQ(shard_next_ns(&s), UINT64_MAX);
    shard_unsend(&s, start + SECOND);
    CHECK(shard_is_cut(&s));
    CHECK(shard_poll(&s, start + 2 * SECOND, &beat));
}

TEST(a_rule_is_given_a_tolerance_that_is_not_above_its_own) {
    static const uint64_t windows[] = {1000, MS, SECOND, 10 * SECOND, 60 * SECOND, 86400 * SECOND};
    struct lease_options  options   = {0};
    struct shard_watches  watches;
    shard_watches_choose(&watches, &options);
    for (unsigned i = 0; i < sizeof windows / sizeof *windows; i++) {
        struct lease_terms alone, terms;
        lease_terms_make(1000, windows[i], &options, &alone);
        uint32_t which = shard_terms_make(&watches, 1000, windows[i], &options, &terms);
        CHECK_EQ(terms.tolerance_ns, watches.tolerance_ns[which]);
        CHECK_LE(terms.tolerance_ns, alone.tolerance_ns);
        CHECK_LE(terms.hold_us, alone.hold_us);
        if (which + 1 < SHARD_WATCHES)
            CHECK_GT(watches.tolerance_ns[which + 1], alone.tolerance_ns);
    }
}

TEST(a_clock_that_ran_ahead_is_asked_back_by_the_next_beat) {
    struct lease_terms   terms;
    struct lease_request beat;
    struct shard         s     = shard_new(&terms, SECOND);
    struct lease_reply   reply = {.sent_ns = start, .store_us = 5000000, .era_us = 1};
    shard_use(&s, &terms, true, start);
    shard_see(&s, 0, &reply, SHARD_WATCHES, start + MS);
    reply = (struct lease_reply){
        .sent_ns = start + 10 * MS, .store_us = 5000000 + 500000, .era_us = 1, .generation = 3};
    shard_see(&s, 0, &reply, SHARD_WATCHES, start + 11 * MS);
    CHECK(shard_poll(&s, start + 11 * MS, &beat));
    CHECK_GE(beat.rewind_us, 480000);
    CHECK_LE(beat.rewind_us, 500000);
    CHECK_EQ(beat.rewind_generation, 3);
    CHECK(!shard_poll(&s, start + 11 * MS, &beat));
}

TEST(what_a_store_has_lost_it_is_told_of_once) {
    struct lease_terms   terms;
    struct lease_request first, second, third;
    struct shard         s     = shard_new(&terms, SECOND);
    struct lease_reply   reply = {.sent_ns       = start,
                                  .store_us      = 9000000,
                                  .era_us        = 900,
                                  .granted       = 1,
                                  .grants        = 7,
                                  .is_replicated = true};
    shard_see(&s, 0, &reply, SHARD_WATCHES, start + MS);
    first = second = third = (struct lease_request){.era_seen_us = 900, .grants_seen = 5};
    shard_tell_seen(&s, &first);
    CHECK_EQ(first.era_seen_us, 900);
    CHECK_EQ(first.grants_seen, 7);

    reply = (struct lease_reply){.sent_ns = start + MS, .store_us = 1000000, .era_us = 100};
    shard_see(&s, first.era_seen_us, &reply, SHARD_WATCHES, start + 2 * MS);
    shard_tell_seen(&s, &second);
    CHECK_EQ(second.era_seen_us, 900); /* no replica has the loss: it may be forgotten */

    reply.is_replicated = true;
    shard_see(&s, second.era_seen_us, &reply, SHARD_WATCHES, start + 3 * MS);
    shard_tell_seen(&s, &third);
    CHECK_EQ(third.era_seen_us, 100);
    CHECK_EQ(third.grants_seen, 0);

    struct lease_request later = {.era_seen_us = 901};
    shard_tell_seen(&s, &later);
    CHECK_EQ(later.era_seen_us, 901);

    reply.era_us = 50; /* another clock has been told nothing yet */
    shard_see(&s, 100, &reply, SHARD_WATCHES, start + 4 * MS);
    third = (struct lease_request){.era_seen_us = 900};
    shard_tell_seen(&s, &third);
    CHECK_EQ(third.era_seen_us, 900);
}
